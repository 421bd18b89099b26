// SPDX-License-Identifier: BSD-3-Clause
// Whose packets the pinholes of calls take, and for how long, as workers without packets see it.
#include <catch2/catch.hpp>
#include <string>

#include "tests/dataplane/calls_lab.hpp"

using namespace pinhole;
using namespace pinhole::dataplane;
using alg::Direction;
using alg::Verdict;
using alg::sip::Method;
using nat::MediaFrom;

namespace {

constexpr nat::Endpoint kRemote = {nat::Ipv4Address::from_host(0xc6336414), nat::Be16{6000}};
constexpr nat::Endpoint kOtherRemote = {nat::Ipv4Address::from_host(0xc6336415), nat::Be16{6000}};
constexpr nat::Endpoint kStranger = {nat::Ipv4Address::from_host(0xcb0071fa), nat::Be16{9}};

nat::Endpoint next(nat::Endpoint endpoint) {
  return {endpoint.address, nat::Be16{static_cast<std::uint16_t>(endpoint.port.host() + 1)}};
}

/// One phone with one call: messages, and packets to its ports.
class Phone {
 public:
  explicit Phone(Lab& lab, unsigned worker = 0, std::string call_id = "call-1@phone")
      : lab_(lab), worker_(worker), call_id_(std::move(call_id)), phone_(lab.phone_of(worker)) {}

  Inspected out(Method method, std::uint16_t status, std::uint32_t cseq, unsigned port = 0,
                std::vector<std::uint8_t> rejected = {}, bool held = false) {
    auto message = base(Direction::outbound, method, status, cseq);
    if (port != 0) {
      message.media = {{.rtp = endpoint(phone_.address, port), .rtcp = endpoint(phone_.address, port + 1)}};
    }
    message.rejected = std::move(rejected);
    message.held = held;
    return lab_.inspect(worker_, message);
  }
  Inspected in(Method method, std::uint16_t status, std::uint32_t cseq, std::vector<nat::Endpoint> from = {},
               const std::string& to_tag = "callee", std::uint32_t session_expires_s = 0) {
    auto message = base(Direction::inbound, method, status, cseq);
    message.to_tag = to_tag;
    message.session_expires_s = session_expires_s;
    for (const auto remote : from) message.sources.push_back({.rtp = remote, .rtcp = next(remote)});
    return lab_.inspect(worker_, message);
  }
  void establish(unsigned port = 4000, nat::Endpoint from = kRemote, std::uint32_t session_expires_s = 0) {
    REQUIRE(out(Method::invite, 0, 1, port).verdict == Verdict::forward);
    in(Method::invite, 200, 1, {from}, "callee", session_expires_s);
    out(Method::ack, 0, 1);
  }

  [[nodiscard]] nat::MappingIndex mapping(unsigned port, nat::Protocol protocol = nat::Protocol::udp) const {
    return worker().translator.find_outbound(protocol, endpoint(phone_.address, port));
  }
  /// Whether a packet would get in; it comes in then.
  bool hears(nat::Endpoint remote, unsigned port = 4000) {
    const auto index = mapping(port);
    if (index == nat::kNoMapping || !worker().translator.admits(index, remote, lab_.now)) return false;
    worker().translator.touch_inbound(index, remote, 200, lab_.now);
    return true;
  }
  void sends(nat::Endpoint remote, unsigned port = 4000) {
    const auto index = mapping(port);
    if (index != nat::kNoMapping) worker().translator.touch_outbound(index, remote, 200, lab_.now);
  }
  [[nodiscard]] LabWorker& worker() const { return lab_[worker_]; }
  [[nodiscard]] nat::Endpoint address() const { return phone_; }

 private:
  TestMessage base(Direction direction, Method method, std::uint16_t status, std::uint32_t cseq) const {
    TestMessage message;
    message.phone = phone_;
    message.direction = direction;
    message.method = method;
    message.status = status;
    message.cseq = cseq;
    message.call_id = call_id_;
    message.to_tag = status == 0 && cseq == 1 && method == Method::invite ? "" : "callee";
    return message;
  }

  Lab& lab_;
  unsigned worker_;
  std::string call_id_;
  nat::Endpoint phone_;
};

}  // namespace

TEST_CASE("a message that does not go on leaves the mappings it names as they were",
          "[dataplane][alg_host][AC-23]") {
  for (const auto protocol : {nat::Protocol::udp, nat::Protocol::tcp}) {
    for (const bool waits : {false, true}) {
      DYNAMIC_SECTION(static_cast<int>(protocol) << (waits ? " waits" : " is dropped")) {
        Lab lab({.workers = 2, .media_from = MediaFrom::latched});
        auto& worker = lab[0];
        const auto phone = lab.phone_of(0);
        const auto port = endpoint(phone.address, 4000);
        const auto index = worker.translator.create(protocol, port, kRemote, lab.now).index;
        REQUIRE(index != nat::kNoMapping);
        const auto& mapping = worker.translator[index];
        const auto flags = mapping.flags;
        const auto parent = mapping.parent;
        const auto timeout_class = mapping.timeout_class;

        TestMessage good;
        good.phone = phone;
        good.media = {{.rtp = port, .rtcp = port, .protocol = protocol}};
        auto bad = good;
        if (waits) {
          bad.media.push_back({endpoint(lab.host_of(1), 4000), endpoint(lab.host_of(1), 4001)});
        } else {
          for (unsigned i = 1; i < 9; ++i)
            bad.media.push_back(
                {endpoint(phone.address, 5000 + 2 * i), endpoint(phone.address, 5001 + 2 * i)});
        }
        CHECK(lab.inspect(0, bad).verdict == (waits ? Verdict::wait : Verdict::drop));
        CHECK(worker.calls.size() == 0);
        CHECK(worker.stats.worker.read(WorkerCounter::pinhole_live) == 0);
        CHECK(mapping.flags == flags);
        CHECK(mapping.parent == parent);
        CHECK(mapping.timeout_class == timeout_class);
        CHECK_FALSE(worker.translator.admits(index, kStranger, lab.now));

        REQUIRE(lab.inspect(0, good).verdict == Verdict::forward);
        CHECK((mapping.flags & nat::MappingFlags::kPinhole) != 0);
        CHECK((mapping.flags & nat::MappingFlags::kLatching) != 0);
        CHECK(worker.stats.worker.read(WorkerCounter::pinhole_live) == 1);
        CHECK(worker.translator.admits(index, kRemote, lab.now));  // whom the phone has sent to
      }
    }
  }
}

TEST_CASE("signalled media comes from where the description says, at any port",
          "[dataplane][alg_host][AC-09][AC-23][rfc7362]") {
  Lab lab({.media_from = MediaFrom::signalled});
  Phone phone(lab);
  phone.out(Method::invite, 0, 1, 4000);
  CHECK_FALSE(phone.hears(kRemote));  // nobody is known yet
  phone.in(Method::invite, 200, 1, {kRemote});
  CHECK(phone.hears(kRemote));
  CHECK(phone.hears(kRemote, 4001));
  CHECK(phone.hears({kRemote.address, nat::Be16{7777}}));
  CHECK_FALSE(phone.hears(kStranger));
  CHECK_FALSE(phone.hears(kStranger, 4001));
  phone.sends(kStranger);  // whom the phone speaks to may answer, as through any mapping
  CHECK(phone.hears(kStranger));
  CHECK(phone.hears(kRemote));
}

TEST_CASE("latched media comes from the first who comes in, until one who was named does",
          "[dataplane][alg_host][AC-09][AC-23][rfc7362]") {
  Lab lab({.media_from = MediaFrom::latched});
  Phone phone(lab);
  phone.out(Method::invite, 0, 1, 4000);
  SECTION("early media before its description") {
    CHECK(phone.hears(kRemote));
    CHECK_FALSE(phone.hears(kStranger));
    phone.in(Method::invite, 200, 1, {kRemote});
    CHECK(phone.hears(kRemote));
    CHECK_FALSE(phone.hears(kStranger));
  }
  SECTION("a peer behind a NAT that names an address of its own") {
    const nat::Endpoint own{nat::Ipv4Address::from_host(0xac100005), nat::Be16{6000}};
    phone.in(Method::invite, 200, 1, {own});
    CHECK(phone.hears(kOtherRemote));
    CHECK(phone.hears({kOtherRemote.address, nat::Be16{6002}}));
    CHECK_FALSE(phone.hears(kStranger));
  }
  SECTION("a stranger who was first loses the stream to the one who was named") {
    phone.in(Method::invite, 200, 1, {kRemote});
    CHECK(phone.hears(kStranger));
    CHECK(phone.hears(kRemote));
    CHECK_FALSE(phone.hears(kStranger));
    CHECK(phone.hears(kRemote));
  }
  SECTION("a stranger from before the description is not known after it") {
    CHECK(phone.hears(kStranger));
    phone.in(Method::invite, 200, 1, {kRemote});
    CHECK(phone.hears(kRemote));
    CHECK_FALSE(phone.hears(kStranger));
  }
  SECTION("latching begins anew when another address is named, and not when the same one is") {
    phone.in(Method::invite, 200, 1, {kRemote});
    CHECK(phone.hears(kRemote));
    phone.in(Method::invite, 0, 9, {kRemote});
    phone.out(Method::invite, 200, 9, 4000);
    CHECK_FALSE(phone.hears(kStranger));
    phone.in(Method::invite, 0, 10, {kOtherRemote});
    CHECK(phone.hears(kRemote));  // the old media goes on until the new is agreed on
    CHECK(phone.hears(kOtherRemote));
    phone.out(Method::invite, 200, 10, 4000);
    CHECK(phone.hears(kOtherRemote));
    CHECK_FALSE(phone.hears(kStranger));
  }
}

TEST_CASE("media from anywhere comes from anyone", "[dataplane][alg_host][AC-09]") {
  Lab lab({.media_from = MediaFrom::anywhere});
  Phone phone(lab);
  phone.establish();
  CHECK(phone.hears(kRemote));
  CHECK(phone.hears(kStranger));
}

TEST_CASE("an offer from outside is remembered until the phone has ports for it",
          "[dataplane][alg_host][AC-09][AC-19]") {
  Lab lab({.media_from = MediaFrom::signalled});
  Phone phone(lab);
  phone.in(Method::invite, 0, 1, {kRemote});
  phone.out(Method::invite, 200, 1, 4000);
  CHECK(phone.hears(kRemote));
  CHECK(phone.hears(kRemote, 4001));
  CHECK_FALSE(phone.hears(kStranger));
}

TEST_CASE("every fork that rings is heard until one is chosen", "[dataplane][alg_host][AC-19]") {
  Lab lab({.media_from = MediaFrom::signalled});
  Phone phone(lab);
  phone.out(Method::invite, 0, 1, 4000);
  phone.in(Method::invite, 183, 1, {kRemote}, "one");
  phone.in(Method::invite, 183, 1, {kOtherRemote}, "other");
  CHECK(phone.hears(kRemote));
  CHECK(phone.hears(kOtherRemote));
  CHECK(phone.hears(kRemote));
  phone.in(Method::invite, 200, 1, {kOtherRemote}, "other");
  CHECK(phone.hears(kOtherRemote));
}

TEST_CASE("every candidate of a stream is heard", "[dataplane][alg_host][AC-05][rfc5245]") {
  Lab lab({.media_from = MediaFrom::signalled});
  Phone phone(lab);
  phone.out(Method::invite, 0, 1, 4000);
  phone.in(Method::invite, 200, 1, {kRemote, kOtherRemote});
  CHECK(phone.hears(kOtherRemote));
  CHECK(phone.hears(kRemote));
  CHECK_FALSE(phone.hears(kStranger));
}

TEST_CASE("the owner of another host's media is told whom to expect",
          "[dataplane][alg_host][foreign][AC-09]") {
  Lab lab({.workers = 2, .media_from = MediaFrom::signalled});
  const auto proxy = lab.phone_of(0);
  const auto phone = lab.host_of(1);
  TestMessage invite;
  invite.phone = proxy;
  invite.media = {{.rtp = endpoint(phone, 4000), .rtcp = endpoint(phone, 4001)}};
  REQUIRE(lab.inspect(0, invite).verdict == Verdict::wait);
  lab.deliver();
  REQUIRE(lab.inspect(0, invite).verdict == Verdict::forward);
  TestMessage answer;
  answer.phone = proxy;
  answer.direction = Direction::inbound;
  answer.status = 200;
  answer.to_tag = "callee";
  answer.sources = {{.rtp = kRemote, .rtcp = next(kRemote)}};
  lab.inspect(0, answer);
  lab.deliver();
  auto& translator = lab[1].translator;
  const auto index = translator.find_outbound(nat::Protocol::udp, endpoint(phone, 4000));
  REQUIRE(index != nat::kNoMapping);
  CHECK(translator.admits(index, kRemote, lab.now));
  CHECK_FALSE(translator.admits(index, kStranger, lab.now));
}

TEST_CASE("the clocks that both sides name are those of the pinhole, whoever owns it",
          "[dataplane][alg_host][foreign][rtp]") {
  Lab lab({.workers = 2, .media_from = MediaFrom::signalled});
  const auto proxy = lab.phone_of(0);
  const unsigned owner = GENERATE(0U, 1U);
  const auto phone = owner == 0 ? proxy.address : lab.host_of(owner);
  TestMessage invite;
  invite.phone = proxy;
  invite.media = {{.rtp = endpoint(phone, 4000), .rtcp = endpoint(phone, 4001)}};
  invite.clocks.set(96, alg::rtp_clock_of(48'000));
  invite.clocks.set(97, alg::rtp_clock_of(16'000));
  if (lab.inspect(0, invite).verdict == Verdict::wait) {
    lab.deliver();
    REQUIRE(lab.inspect(0, invite).verdict == Verdict::forward);
  }
  TestMessage answer;
  answer.phone = proxy;
  answer.direction = Direction::inbound;
  answer.status = 200;
  answer.to_tag = "callee";
  answer.sources = {{.rtp = kRemote, .rtcp = next(kRemote)}};
  answer.clocks.set(97, alg::rtp_clock_of(32'000));
  answer.clocks.set(111, alg::rtp_clock_of(90'000));
  lab.inspect(0, answer);
  lab.deliver();
  const auto& clocks_of = [&](unsigned port) {
    const auto index = lab[owner].translator.find_outbound(nat::Protocol::udp, endpoint(phone, port));
    REQUIRE(index != nat::kNoMapping);
    return lab[owner].meter_clocks[index];
  };
  CHECK(clocks_of(4000)[96] == alg::rtp_clock_of(48'000));
  CHECK(clocks_of(4000)[97] == alg::rtp_clock_of(32'000));
  CHECK(clocks_of(4000)[111] == alg::rtp_clock_of(90'000));
  CHECK(clocks_of(4001).empty());
}

TEST_CASE("a meter begins with its pinhole, and one that changes hands has no maxima of before",
          "[dataplane][alg_host][rtp]") {
  Lab lab;
  Phone first(lab);
  first.establish();
  auto& meter = lab[0].meter_lines[first.mapping(4000)];
  meter.in = {.packets = 7, .lost = 3, .jitter_max = 160, .gap_max_us = 50, .reach = 9, .sources = 1};
  SECTION("of two calls that share it, it goes on") {
    Phone second(lab, 0, "call-2@phone");
    second.establish();
    CHECK(meter.in.packets == 7);
    CHECK(meter.in.reach == 9);
    CHECK(meter.in.jitter_max == 160);
  }
  SECTION("of a call after one that has ended, sums go on and maxima begin anew") {
    first.out(Method::bye, 0, 2);
    first.in(Method::bye, 200, 2);
    Phone second(lab, 0, "call-2@phone");
    second.establish();
    CHECK(meter.in.packets == 7);
    CHECK(meter.in.lost == 3);
    CHECK(meter.in.reach == 0);
    CHECK(meter.in.jitter_max == 0);
    CHECK(meter.in.gap_max_us == 0);
  }
  SECTION("of the same call it goes on") {
    first.out(Method::invite, 0, 2, 4000);
    first.in(Method::invite, 200, 2, {kRemote});
    CHECK(meter.in.reach == 9);
    CHECK(meter.in.jitter_max == 160);
  }
  SECTION("opened again it is empty") {
    REQUIRE(lab[0].host.close_call(0, lab[0].calls.card(0).generation, ipc::EndReason::bye));
    Phone second(lab, 0, "call-2@phone");
    second.establish();
    const auto& fresh = lab[0].meter_lines[second.mapping(4000)];
    CHECK(fresh.in.packets == 0);
    CHECK(fresh.in.sources == 0);
  }
}

TEST_CASE("a rejected stream of another worker's host is shut, and has the same port when it comes back",
          "[dataplane][alg_host][foreign][AC-14][rfc3264]") {
  Lab lab({.workers = 2, .media_from = MediaFrom::signalled});
  const auto proxy = lab.phone_of(0);
  const auto phone = lab.host_of(1);
  auto& translator = lab[1].translator;
  const auto pass = [&](TestMessage message, Direction direction, std::uint16_t status, std::uint32_t cseq) {
    message.phone = proxy;
    message.direction = direction;
    message.status = status;
    message.cseq = cseq;
    message.to_tag = cseq > 1 || status != 0 ? "callee" : "";
    message.session_expires_s = 1800;
    for (int i = 0; i < 2 && lab.inspect(0, message).verdict == Verdict::wait; ++i) lab.deliver();
    lab.deliver();
  };
  const auto hears = [&] {
    const auto index = translator.find_outbound(nat::Protocol::udp, endpoint(phone, 4000));
    return index != nat::kNoMapping && translator.admits(index, kRemote, lab.now);
  };
  TestMessage describes;
  describes.media = {{.rtp = endpoint(phone, 4000), .rtcp = endpoint(phone, 4001)}};
  TestMessage expects;
  expects.sources = {{.rtp = kRemote, .rtcp = next(kRemote)}};
  TestMessage rejects;
  rejects.rejected = {0};

  pass(describes, Direction::outbound, 0, 1);
  pass(expects, Direction::inbound, 200, 1);
  CHECK(hears());
  const auto before =
      translator[translator.find_outbound(nat::Protocol::udp, endpoint(phone, 4000))].external;
  pass(rejects, Direction::outbound, 0, 2);
  CHECK(hears());
  pass(rejects, Direction::inbound, 200, 2);
  CHECK_FALSE(hears());
  lab.pass_s(600);  // it is kept under the name that it has since
  pass(describes, Direction::outbound, 0, 3);
  pass(expects, Direction::inbound, 200, 3);
  CHECK(hears());
  CHECK(translator[translator.find_outbound(nat::Protocol::udp, endpoint(phone, 4000))].external == before);
  // And it ends with the call.
  const auto& card = lab[0].calls.card(0);
  REQUIRE(lab[0].host.close_call(0, card.generation, ipc::EndReason::none));
  lab.deliver();
  CHECK(translator.table().size() == 0);
}

TEST_CASE("a pinhole of another worker's host is known by the name from before it was shut, too",
          "[dataplane][alg_host][foreign][AC-14][rfc3264]") {
  Lab lab({.workers = 2, .media_from = MediaFrom::signalled});
  const auto proxy = lab.phone_of(0);
  const auto phone = lab.host_of(1);
  auto& translator = lab[1].translator;
  const auto inspect = [&](TestMessage message, Direction direction, std::uint16_t status,
                           std::uint32_t cseq) {
    message.phone = proxy;
    message.direction = direction;
    message.status = status;
    message.cseq = cseq;
    message.to_tag = cseq > 1 || status != 0 ? "callee" : "";
    message.session_expires_s = 1800;
    return lab.inspect(0, message).verdict;
  };
  const auto pass = [&](const TestMessage& message, Direction direction, std::uint16_t status,
                        std::uint32_t cseq) {
    for (int i = 0; i < 2 && inspect(message, direction, status, cseq) == Verdict::wait; ++i) lab.deliver();
    lab.deliver();
  };
  const auto hears = [&] {
    const auto index = translator.find_outbound(nat::Protocol::udp, endpoint(phone, 4000));
    return index != nat::kNoMapping && translator.admits(index, kRemote, lab.now);
  };
  const auto hang_up = [&] {
    REQUIRE(lab[0].host.close_call(0, lab[0].calls.card(0).generation, ipc::EndReason::none));
    lab.deliver();
    CHECK(translator.table().size() == 0);
  };
  TestMessage describes;
  describes.media = {{.rtp = endpoint(phone, 4000), .rtcp = endpoint(phone, 4001)}};
  TestMessage expects;
  expects.sources = {{.rtp = kRemote, .rtcp = next(kRemote)}};
  TestMessage rejects;
  rejects.rejected = {0};
  pass(describes, Direction::outbound, 0, 1);
  pass(expects, Direction::inbound, 200, 1);
  pass(rejects, Direction::outbound, 0, 2);
  CHECK(hears());

  SECTION("a stream that comes back before the answer is heard") {
    REQUIRE(inspect(describes, Direction::outbound, 0, 3) == Verdict::wait);
    lab.deliver();  // the answer has the name from before
    inspect(rejects, Direction::inbound, 200, 2);
    REQUIRE(inspect(describes, Direction::outbound, 0, 3) == Verdict::forward);
    lab.deliver();
    pass(expects, Direction::inbound, 200, 3);
    CHECK(hears());
    hang_up();
  }
  SECTION("a call that ends before the answer leaves nothing behind") {
    inspect(rejects, Direction::inbound, 200, 2);
    hang_up();
  }
  SECTION("an answer that is lost costs nothing") {
    inspect(rejects, Direction::inbound, 200, 2);
    lab[1].ring_full = true;
    lab.deliver();
    lab[1].ring_full = false;
    CHECK_FALSE(hears());
    lab.pass_s(600);
    CHECK(translator.table().size() == 2);
    pass(describes, Direction::outbound, 0, 3);
    pass(expects, Direction::inbound, 200, 3);
    CHECK(hears());
    hang_up();
  }
  SECTION("a call that ends after its answer was lost leaves nothing behind") {
    inspect(rejects, Direction::inbound, 200, 2);
    lab[1].ring_full = true;
    lab.deliver();
    lab[1].ring_full = false;
    hang_up();
  }
}

TEST_CASE("the name of a pinhole from before it was handed over, or shut twice, is nobody's",
          "[dataplane][alg_host][AC-14]") {
  Lab lab;
  auto& endpoints = lab[0].endpoints;
  const auto inside = endpoint(lab.host_of(0), 4000);
  const auto first = endpoints.open_media({.rtp = inside, .rtcp = inside}, 1, lab.now).rtp.ref;
  const auto second = endpoints.shut(first);
  CHECK(second != first);
  CHECK(endpoints.is_open(first));
  CHECK(endpoints.is_open(second));
  SECTION("shut again") {
    static_cast<void>(endpoints.shut(first));
    CHECK_FALSE(endpoints.is_open(first));
    CHECK(endpoints.is_open(second));
  }
  SECTION("handed over") {
    const auto other = endpoints.hand_over(first, 2, nat::Sharing::with_former, lab.now);
    CHECK_FALSE(endpoints.is_open(first));
    CHECK_FALSE(endpoints.is_open(second));
    CHECK(endpoints.is_open(other));
  }
  SECTION("closed, and another in its place") {
    endpoints.close(first);
    CHECK_FALSE(endpoints.is_open(second));
    const auto next = endpoints.open_media({.rtp = inside, .rtcp = inside}, 1, lab.now).rtp.ref;
    CHECK(next.mapping == first.mapping);
    CHECK_FALSE(endpoints.is_open(first));
    CHECK_FALSE(endpoints.is_open(second));
  }
}

TEST_CASE("a stream over TCP gets a pinhole that a remote may connect to",
          "[dataplane][alg_host][AC-21][rfc4145]") {
  Lab lab({.media_from = MediaFrom::signalled});
  Phone phone(lab);
  const auto inside = endpoint(phone.address().address, 4000);
  TestMessage invite;
  invite.phone = phone.address();
  invite.media = {{.rtp = inside, .rtcp = inside, .protocol = nat::Protocol::tcp}};
  const auto opened = lab.inspect(0, invite);
  REQUIRE(opened.verdict == Verdict::forward);
  phone.in(Method::invite, 200, 1, {kRemote});
  const auto index = phone.mapping(4000, nat::Protocol::tcp);
  REQUIRE(index != nat::kNoMapping);
  auto& translator = lab[0].translator;
  CHECK(translator[index].external == opened.media[0].rtp);
  CHECK(translator.admits(index, kRemote, lab.now));
  CHECK_FALSE(translator.admits(index, kStranger, lab.now));
  phone.out(Method::bye, 0, 2);
  phone.in(Method::bye, 200, 2);
  lab.pass_s(40);
  CHECK(phone.mapping(4000, nat::Protocol::tcp) == nat::kNoMapping);
}

TEST_CASE("ports that were replaced are closed some seconds after the answer",
          "[dataplane][alg_host][rfc3264]") {
  Lab lab;
  Phone phone(lab);
  phone.establish();
  phone.out(Method::invite, 0, 2, 4002);
  lab.pass_s(20);
  CHECK(phone.mapping(4000) != nat::kNoMapping);
  phone.in(Method::invite, 200, 2, {kRemote});
  CHECK(phone.hears(kRemote, 4000));
  lab.pass_s(10);
  CHECK(phone.mapping(4000) == nat::kNoMapping);
  CHECK(phone.mapping(4002) != nat::kNoMapping);
}

TEST_CASE("a re-INVITE that is refused leaves the media as it was", "[dataplane][alg_host][rfc3264]") {
  Lab lab;
  Phone phone(lab);
  phone.establish();
  phone.out(Method::invite, 0, 2, 4002);
  phone.in(Method::invite, 488, 2);
  lab.pass_s(10);
  CHECK(phone.mapping(4000) != nat::kNoMapping);
  CHECK(phone.mapping(4002) == nat::kNoMapping);
}

TEST_CASE("a stream that is rejected is shut, and has the same port when it comes back",
          "[dataplane][alg_host][AC-14][rfc3264]") {
  Lab lab({.media_from = MediaFrom::signalled});
  Phone phone(lab);
  phone.establish(4000, kRemote, 1800);
  const auto before = phone.worker().translator[phone.mapping(4000)].external;
  phone.out(Method::invite, 0, 2, 0, {0});
  CHECK(phone.hears(kRemote));
  phone.in(Method::invite, 200, 2, {});
  auto rejects = TestMessage{};
  rejects.phone = phone.address();
  rejects.direction = Direction::inbound;
  rejects.status = 200;
  rejects.cseq = 2;
  rejects.to_tag = "callee";
  rejects.rejected = {0};
  rejects.session_expires_s = 1800;
  lab.inspect(0, rejects);
  CHECK_FALSE(phone.hears(kRemote));
  lab.pass_s(600);
  phone.out(Method::invite, 0, 3, 4000);
  phone.in(Method::invite, 200, 3, {kRemote});
  CHECK(phone.worker().translator[phone.mapping(4000)].external == before);
  CHECK(phone.hears(kRemote));
}

TEST_CASE("media that control shuts has the same ports when it is agreed on anew",
          "[dataplane][alg_host][media_shut]") {
  Lab lab({.media_from = GENERATE(MediaFrom::signalled, MediaFrom::latched, MediaFrom::anywhere)});
  Phone phone(lab);
  phone.establish();
  CardIndex index = 0;
  while (!lab[0].calls.card(index).in_use) ++index;
  const auto card = [&]() -> const ipc::CallCard& { return lab[0].calls.card(index); };
  const auto external = phone.worker().translator[phone.mapping(4000)].external;
  REQUIRE(phone.hears(kRemote));

  REQUIRE(lab[0].host.shut_call(index, card().generation));
  CHECK(card().media_shut);
  CHECK_FALSE(phone.hears(kRemote));
  CHECK_FALSE(phone.hears(kStranger));
  CHECK_FALSE(lab[0].host.shut_call(index, card().generation + 1));
  REQUIRE(lab[0].host.shut_call(index, card().generation));
  lab.pass_s(20);
  CHECK_FALSE(phone.hears(kRemote));

  phone.out(Method::invite, 0, 2, 4000);
  phone.in(Method::invite, 200, 2, {kRemote});
  CHECK_FALSE(card().media_shut);
  CHECK(phone.worker().translator[phone.mapping(4000)].external == external);
  CHECK(phone.hears(kRemote));
}

TEST_CASE("media of another worker's host is shut, too, when control says so",
          "[dataplane][alg_host][media_shut]") {
  Lab lab({.workers = 2, .media_from = MediaFrom::signalled});
  const auto phone = lab.phone_of(0);
  const auto host = lab.host_of(1);
  const auto message_of = [&](Direction direction, std::uint16_t status, std::uint32_t cseq) {
    TestMessage message;
    message.phone = phone;
    message.direction = direction;
    message.status = status;
    message.cseq = cseq;
    if (status == 0) message.media = {{endpoint(host, 4000), endpoint(host, 4001)}};
    if (status != 0) {
      message.to_tag = "callee";
      message.sources = {{.rtp = kRemote, .rtcp = next(kRemote)}};
    }
    return message;
  };
  const auto agree = [&](std::uint32_t cseq) {
    REQUIRE(lab.inspect(0, message_of(Direction::outbound, 0, cseq)).verdict == Verdict::wait);
    lab.deliver();
    REQUIRE(lab.inspect(0, message_of(Direction::outbound, 0, cseq)).verdict == Verdict::forward);
    lab.inspect(0, message_of(Direction::inbound, 200, cseq));
    lab.deliver();
  };
  const auto hears = [&] {
    const auto index = lab[1].translator.find_outbound(nat::Protocol::udp, endpoint(host, 4000));
    REQUIRE(index != nat::kNoMapping);
    return lab[1].translator.admits(index, kRemote, lab.now);
  };
  agree(1);
  REQUIRE(hears());
  CardIndex index = 0;
  while (!lab[0].calls.card(index).in_use) ++index;
  REQUIRE(lab[0].host.shut_call(index, lab[0].calls.card(index).generation));
  lab.deliver();
  CHECK_FALSE(hears());
  agree(2);
  CHECK(hears());
}

TEST_CASE("a call on hold keeps its ports however silent it is, without control",
          "[dataplane][alg_host][AC-14][AC-27]") {
  Lab lab;
  Phone phone(lab);
  phone.establish();
  const auto before = phone.worker().translator[phone.mapping(4000)].external;
  phone.out(Method::invite, 0, 2, 4000, {}, true);
  phone.in(Method::invite, 200, 2, {kRemote});
  lab.pass_s(3600);
  REQUIRE(phone.mapping(4000) != nat::kNoMapping);
  CHECK(phone.worker().translator[phone.mapping(4000)].external == before);
  CHECK(lab[0].calls.size() == 1);
  lab.pass_s(24 * 3600 + 300);
  CHECK(lab[0].calls.size() == 0);
}

TEST_CASE("a session timer keeps a silent call until it runs out", "[dataplane][alg_host][AC-13][rfc4028]") {
  Lab lab;
  Phone phone(lab);
  phone.establish(4000, kRemote, 1800);
  lab.pass_s(1700);
  CHECK(phone.mapping(4000) != nat::kNoMapping);
  phone.out(Method::update, 0, 2);
  phone.in(Method::update, 200, 2, {}, "callee", 1800);
  lab.pass_s(1700);
  CHECK(lab[0].calls.size() == 1);
  lab.pass_s(400);
  CHECK(lab[0].calls.size() == 0);
  CHECK(phone.mapping(4000) == nat::kNoMapping);
}

TEST_CASE("of two calls of a phone on one port, the one that stays has its media", "[dataplane][alg_host]") {
  Lab lab({.media_from = MediaFrom::signalled});
  Phone one(lab, 0, "one");
  Phone other(lab, 0, "other");
  one.establish(4000, kRemote);
  other.establish(4000, kOtherRemote);
  CHECK(one.hears(kRemote));
  CHECK(other.hears(kOtherRemote));
  const auto end = [&](Phone& call) {
    call.out(Method::bye, 0, 2);
    call.in(Method::bye, 200, 2);
    for (unsigned i = 0; i < 40; ++i) {
      lab.pass_s(1);
      other.sends(kOtherRemote);
    }
  };
  SECTION("when the later one ends") {
    end(other);
    REQUIRE(lab[0].calls.size() == 1);
    CHECK(one.hears(kRemote));
    end(one);
    CHECK(lab[0].stats.worker.read(WorkerCounter::pinhole_live) == 0);
  }
  SECTION("when the earlier one ends") {
    end(one);
    REQUIRE(lab[0].calls.size() == 1);
    CHECK(other.hears(kOtherRemote));
  }
  SECTION("when a third one took it in between, and the second ends first") {
    Phone third(lab, 0, "third");
    third.establish(4000, kOtherRemote);
    end(other);
    end(third);
    REQUIRE(lab[0].calls.size() == 1);
    CHECK(one.hears(kRemote));
  }
}
