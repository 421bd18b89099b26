// SPDX-License-Identifier: BSD-3-Clause
// Calls that name endpoints of another worker's hosts.
#include <catch2/catch.hpp>
#include <utility>
#include <vector>

#include "dataplane/parking.hpp"
#include "tests/dataplane/calls_lab.hpp"

using namespace pinhole;
using namespace pinhole::dataplane;
using alg::LookupState;
using alg::Verdict;
using alg::sip::Method;
using ipc::EndReason;

namespace {

/// A proxy of worker 0 that announces the media of a phone of worker 1.
struct TwoWorkers : Lab {
  explicit TwoWorkers(std::vector<config::PortForward> forwards = {})
      : Lab({.workers = 2, .forwards = std::move(forwards)}) {}

  nat::Endpoint proxy = phone_of(0);
  nat::Ipv4Address phone = host_of(1);

  TestMessage invite(unsigned port = 4000) const {
    TestMessage message;
    message.phone = proxy;
    message.media = {{endpoint(phone, port), endpoint(phone, port + 1)}};
    return message;
  }
  TestMessage follow(Method method, std::uint16_t status = 0) const {
    TestMessage message;
    message.phone = proxy;
    message.method = method;
    message.status = status;
    if (status != 0) message.direction = alg::Direction::inbound;
    message.to_tag = "callee";
    return message;
  }
  LabWorker& asker() { return *workers[0]; }
  LabWorker& owner() { return *workers[1]; }
  std::uint64_t owner_pinholes() { return owner().stats.worker.read(WorkerCounter::pinhole_live); }

  /// Inspects, lets the owner answer, inspects again.
  Inspected inspect_twice(const TestMessage& message) {
    CHECK(inspect(0, message).verdict == Verdict::wait);
    CHECK(deliver() == std::vector<Ticket>{asker().host.ticket()});
    return inspect(0, message);
  }
};

const ipc::CallCard& only_call(LabWorker& worker) {
  REQUIRE(worker.calls.size() == 1);
  return worker.calls.card(0);
}

}  // namespace

TEST_CASE("media of another worker's host waits for its owner, then belongs to the call",
          "[dataplane][alg_host][foreign]") {
  TwoWorkers lab;
  CHECK(lab.inspect(0, lab.invite()).verdict == Verdict::wait);
  CHECK(lab.asker().host.ticket() != kNoTicket);
  CHECK(lab.asker().calls.size() == 0);
  CHECK(lab.asker().events.empty());
  CHECK(lab.deliver() == std::vector<Ticket>{lab.asker().host.ticket()});
  const auto seen = lab.inspect(0, lab.invite());
  REQUIRE(seen.verdict == Verdict::forward);
  CHECK(seen.media[0].rtp.port.host() % 2 == 0);
  CHECK(seen.media[0].rtcp.port.host() == seen.media[0].rtp.port.host() + 1);
  CHECK(lab.steering.owner_of_external(0, nat::Protocol::udp, seen.media[0].rtp.port.host()) == 1);

  const auto& card = only_call(lab.asker());
  REQUIRE(card.pinhole_count == 2);
  CHECK(card.pinholes[0].worker == 1);
  CHECK(card.pinholes[0].external == seen.media[0].rtp);
  CHECK(lab.owner_pinholes() == 2);
  CHECK(lab.owner().translator[card.pinholes[0].mapping].parent >= kGuestParent);
  CHECK(lab.asker().questions.size() == 0);
  CHECK(lab.asker().events.size() == 1);
}

TEST_CASE("a retransmission that waits too asks nothing of its own", "[dataplane][alg_host][foreign]") {
  TwoWorkers lab;
  lab.inspect(0, lab.invite());
  const auto ticket = lab.asker().host.ticket();
  lab.inspect(0, lab.invite());
  CHECK(lab.asker().host.ticket() == ticket);
  CHECK(lab.asker().sent.size() == 1);
}

TEST_CASE("media asked for again gets the same ports", "[dataplane][alg_host][foreign]") {
  TwoWorkers lab;
  const auto first = lab.inspect_twice(lab.invite());
  const auto again = lab.inspect_twice(lab.invite());
  CHECK(again.media[0].rtp == first.media[0].rtp);
  CHECK(again.media[0].rtcp == first.media[0].rtcp);
  CHECK(only_call(lab.asker()).pinhole_count == 2);
  CHECK(lab.owner_pinholes() == 2);
}

TEST_CASE("the end of the call shuts the ports that another worker opened for it",
          "[dataplane][alg_host][foreign]") {
  TwoWorkers lab;
  lab.inspect_twice(lab.invite());
  REQUIRE(lab.asker().host.close_call(0, only_call(lab.asker()).generation, EndReason::none));
  CHECK(lab.owner_pinholes() == 2);
  lab.deliver();
  CHECK(lab.owner_pinholes() == 0);
  CHECK(lab.owner().translator.table().size() == 0);
}

TEST_CASE("a close that is lost turns into a time-out", "[dataplane][alg_host][foreign]") {
  TwoWorkers lab;
  lab.inspect_twice(lab.invite());
  lab.asker().ring_full = true;
  REQUIRE(lab.asker().host.close_call(0, only_call(lab.asker()).generation, EndReason::none));
  lab.asker().ring_full = false;
  lab.pass_s(119);
  CHECK(lab.owner_pinholes() == 2);
  lab.pass_s(2);
  CHECK(lab.owner_pinholes() == 0);
  CHECK(lab.owner().translator.table().size() == 0);
}

TEST_CASE("a question that cannot be sent leaves nothing to wait for", "[dataplane][alg_host][foreign]") {
  TwoWorkers lab;
  lab.asker().ring_full = true;
  CHECK(lab.inspect(0, lab.invite()).verdict == Verdict::wait);
  CHECK(lab.asker().host.ticket() == kNoTicket);
  CHECK(lab.asker().questions.size() == 0);
  lab.asker().ring_full = false;
  CHECK(lab.inspect_twice(lab.invite()).verdict == Verdict::forward);
}

TEST_CASE("an answer that never comes costs the message, not the call after it",
          "[dataplane][alg_host][foreign]") {
  TwoWorkers lab;
  struct Packet {
  } packet;
  ParkingLot<Packet> lot;
  lab.inspect(0, lab.invite());
  REQUIRE(lot.park(&packet, lab.asker().host.ticket(), lab.now));
  lab.asker().sent.clear();  // lost
  lab.pass_s(1);
  CHECK_FALSE(lot.take_expired(lab.now));
  lab.pass_s(1);
  CHECK(lot.take_expired(lab.now)->packet == &packet);
  CHECK(lab.asker().questions.size() == 0);
  CHECK(lab.asker().calls.size() == 0);
  CHECK(lab.inspect_twice(lab.invite()).verdict == Verdict::forward);
}

TEST_CASE("ports that were opened for a message which did not come back are shut",
          "[dataplane][alg_host][foreign]") {
  TwoWorkers lab;
  lab.inspect(0, lab.invite());
  lab.deliver();
  CHECK(lab.owner_pinholes() == 2);
  lab.pass_s(3);
  CHECK(lab.owner_pinholes() == 0);
  CHECK(lab.asker().questions.size() == 0);
}

TEST_CASE("an unused answer does not shut ports that the call has already",
          "[dataplane][alg_host][foreign]") {
  TwoWorkers lab;
  lab.inspect_twice(lab.invite());
  CHECK(lab.inspect(0, lab.invite()).verdict == Verdict::wait);
  lab.deliver();
  lab.pass_s(3);
  CHECK(lab.owner_pinholes() == 2);
  CHECK(only_call(lab.asker()).pinhole_count == 2);
}

TEST_CASE("control's promise reaches the ports of another worker", "[dataplane][alg_host][foreign][AC-27]") {
  TwoWorkers lab;
  lab.inspect_twice(lab.invite());
  lab.inspect(0, lab.follow(Method::invite, 200));
  lab.inspect(0, lab.follow(Method::ack));
  REQUIRE(lab.asker().host.keep_call(0, only_call(lab.asker()).generation, lab.now + nat::ticks_from_s(600)));
  lab.deliver();
  lab.pass_s(599);
  CHECK(lab.owner_pinholes() == 2);
  CHECK(lab.asker().calls.size() == 1);
}

TEST_CASE("a call whose media with another worker fell silent is closed", "[dataplane][alg_host][foreign]") {
  TwoWorkers lab;
  lab.inspect_twice(lab.invite());
  lab.inspect(0, lab.follow(Method::invite, 200));
  lab.inspect(0, lab.follow(Method::ack));
  lab.pass_s(119);
  CHECK(lab.owner_pinholes() == 2);
  CHECK(lab.asker().calls.size() == 1);
  lab.pass_s(20);
  CHECK(lab.owner_pinholes() == 0);
  CHECK(lab.asker().calls.size() == 0);
  CHECK(lab.asker().events.back().closed.reason == EndReason::media_silence);
}

TEST_CASE("RTP and RTCP on forwarded ports of another worker's host keep their own ports",
          "[dataplane][alg_host][foreign][AC-06]") {
  const auto host = TwoWorkers().phone;
  TwoWorkers lab({{nat::Protocol::udp, endpoint(kPoolAddress, 4000), endpoint(host, 4000)},
                  {nat::Protocol::udp, endpoint(kPoolAddress, 4001), endpoint(host, 4001)}});
  const auto seen = lab.inspect_twice(lab.invite());
  REQUIRE(seen.verdict == Verdict::forward);
  CHECK(seen.media[0].rtp == endpoint(kPoolAddress, 4000));
  CHECK(seen.media[0].rtcp == endpoint(kPoolAddress, 4001));
  CHECK(only_call(lab.asker()).pinhole_count == 0);
}

TEST_CASE("RTP on a signalling endpoint of another worker's host leaves RTCP its own port",
          "[dataplane][alg_host][foreign][AC-06]") {
  TwoWorkers lab;
  PeerMessage make;
  make.first = endpoint(lab.phone, 4000);
  make.second = kProvider;
  REQUIRE(answer(make, lab.owner().endpoints, lab.now));
  const auto seen = lab.inspect_twice(lab.invite());
  REQUIRE(seen.verdict == Verdict::forward);
  CHECK(seen.media[0].rtp == make.first);
  CHECK(seen.media[0].rtcp != make.first);
  CHECK(only_call(lab.asker()).pinhole_count == 1);
}

TEST_CASE("RTP and RTCP of hosts with two owners are opened by both", "[dataplane][alg_host][foreign]") {
  TwoWorkers lab;
  const auto own_host = lab.host_of(0, 1);
  auto message = lab.invite();
  message.media = {{endpoint(lab.phone, 4000), endpoint(own_host, 4001)}};
  const auto seen = lab.inspect_twice(message);
  REQUIRE(seen.verdict == Verdict::forward);
  CHECK(lab.owner_pinholes() == 1);
  CHECK(lab.asker().stats.worker.read(WorkerCounter::pinhole_live) == 1);
  const auto& card = only_call(lab.asker());
  REQUIRE(card.pinhole_count == 2);
  CHECK(card.pinholes[0].worker == 1);
  CHECK(card.pinholes[1].worker == 0);
  CHECK(seen.media[0].rtcp == card.pinholes[1].external);
  REQUIRE(lab.asker().host.close_call(0, card.generation, EndReason::none));
  lab.deliver();
  CHECK(lab.owner_pinholes() == 0);
  CHECK(lab.asker().stats.worker.read(WorkerCounter::pinhole_live) == 0);
}

TEST_CASE("a message with more streams of another worker than a card holds is refused, and they are shut",
          "[dataplane][alg_host][foreign]") {
  TwoWorkers lab;
  auto message = lab.invite();
  for (unsigned i = 1; i < 9; ++i)
    message.media.push_back({endpoint(lab.phone, 4000 + 2 * i), endpoint(lab.phone, 4001 + 2 * i)});
  CHECK(lab.inspect(0, message).verdict == Verdict::wait);
  lab.deliver();
  CHECK(lab.inspect(0, message).verdict == Verdict::drop);
  CHECK(lab.owner_pinholes() == 18);
  lab.pass_s(3);
  CHECK(lab.owner_pinholes() == 0);
  CHECK(lab.asker().calls.size() == 0);
}

TEST_CASE("a mapping of another worker becomes a pinhole when the message goes on that names it",
          "[dataplane][alg_host][foreign][AC-23]") {
  TwoWorkers lab;
  auto& translator = lab.owner().translator;
  const auto index =
      translator.create(nat::Protocol::udp, endpoint(lab.phone, 4000), kProvider, lab.now).index;
  REQUIRE(index != nat::kNoMapping);
  const auto is_pinhole = [&] { return (translator[index].flags & nat::MappingFlags::kPinhole) != 0; };
  CHECK(lab.inspect(0, lab.invite()).verdict == Verdict::wait);
  lab.deliver();
  CHECK(lab.owner_pinholes() == 1);  // RTCP, which is fresh
  lab.pass_s(3);                     // the message did not come back
  CHECK_FALSE(is_pinhole());
  CHECK(lab.owner_pinholes() == 0);
  REQUIRE(lab.inspect_twice(lab.invite()).verdict == Verdict::forward);
  lab.deliver();
  CHECK(is_pinhole());
  CHECK(translator[index].parent >= kGuestParent);
  CHECK(lab.owner_pinholes() == 2);
  REQUIRE(lab.asker().host.close_call(0, only_call(lab.asker()).generation, EndReason::none));
  lab.deliver();
  CHECK(lab.owner_pinholes() == 0);
  CHECK(translator.table().size() == 0);
}

TEST_CASE("a message that waits takes nothing of another call, and knows whose it was when it goes on",
          "[dataplane][alg_host][foreign][AC-14]") {
  TwoWorkers lab;
  const alg::MediaRequest own = {endpoint(lab.proxy.address, 6000), endpoint(lab.proxy.address, 6001)};
  auto first = lab.invite();
  first.media = {own};
  first.call_id = "first";
  REQUIRE(lab.inspect(0, first).verdict == Verdict::forward);
  const auto before = only_call(lab.asker()).pinholes[0];
  auto second = lab.invite();
  second.call_id = "second";
  second.media.push_back(own);
  CHECK(lab.inspect(0, second).verdict == Verdict::wait);
  CHECK(lab.asker().endpoints.is_open(ref_of(before)));
  lab.deliver();
  REQUIRE(lab.inspect(0, second).verdict == Verdict::forward);
  CHECK_FALSE(lab.asker().endpoints.is_open(ref_of(before)));
  const auto& event = lab.asker().events.back();
  REQUIRE(lab.asker().host.close_call(event.sip.card, event.sip.card_generation, EndReason::none));
  const auto after = only_call(lab.asker()).pinholes[0];
  CHECK(after.external == before.external);
  CHECK(lab.asker().endpoints.is_open(ref_of(after)));
}

TEST_CASE("what a message repeats is looked up with its owner, and not made there",
          "[dataplane][alg_host][foreign][AC-23]") {
  TwoWorkers lab;
  const auto named = endpoint(lab.phone, 1610);
  const alg::Message message{"", alg::Direction::outbound, {nat::Protocol::udp, lab.proxy, {}, kProvider}};
  auto& host = lab.asker().host;
  const auto ask = [&](alg::Claim claim) {
    alg::Lookup found;
    found.state = LookupState::wait;
    for (int i = 0; i < 2 && found.state == LookupState::wait; ++i) {
      host.begin(message, lab.now);
      found = host.external_of(nat::Protocol::udp, named, alg::Written::anyhow, claim);
      host.abandon();
      lab.deliver();
    }
    return found;
  };
  CHECK(ask(alg::Claim::echoed).state == LookupState::none);
  CHECK(lab.owner().translator.table().size() == 0);
  // The same question by another claim is another question.
  const auto made = ask(alg::Claim::own);
  CHECK(made.state == LookupState::found);
  CHECK(lab.owner().translator.table().size() == 1);
  lab.pass_s(3);  // the first answer is forgotten
  const auto found = ask(alg::Claim::echoed);
  CHECK(found.state == LookupState::found);
  CHECK(found.endpoint == made.endpoint);
}

TEST_CASE("signalling endpoints of other workers are asked for", "[dataplane][alg_host][foreign]") {
  TwoWorkers lab;
  const auto contact = endpoint(lab.phone, 5060);
  const alg::Message message{"", alg::Direction::outbound, {nat::Protocol::udp, lab.proxy, {}, kProvider}};
  auto& host = lab.asker().host;
  host.begin(message, lab.now);
  CHECK(host.external_of(nat::Protocol::udp, contact).state == LookupState::wait);
  host.abandon();
  lab.deliver();
  host.begin(message, lab.now);
  const auto external = host.external_of(nat::Protocol::udp, contact);
  REQUIRE(external.state == LookupState::found);
  CHECK(host.inside_of(nat::Protocol::udp, external.endpoint).state == LookupState::wait);
  host.abandon();
  lab.deliver();
  host.begin(message, lab.now);
  const auto inside = host.inside_of(nat::Protocol::udp, external.endpoint);
  CHECK(inside.state == LookupState::found);
  CHECK(inside.endpoint == contact);
  host.abandon();
}

TEST_CASE("a registration made through a proxy keeps the way in to the phone",
          "[dataplane][alg_host][foreign]") {
  TwoWorkers lab;
  const auto contact = endpoint(lab.phone, 5060);
  PeerMessage make;
  make.first = contact;
  make.second = kProvider;
  REQUIRE(answer(make, lab.owner().endpoints, lab.now));
  auto message = lab.follow(Method::register_, 200);
  message.bindings = {{.aor = "sip:alice@example.com",
                       .inside = contact,
                       .external = make.first,
                       .registrar = kProvider,
                       .expires_s = 3600}};
  lab.inspect(0, message);
  lab.deliver();
  lab.pass_s(3600 + 31);  // a refresh may be late
  CHECK(lab.owner().translator.find_outbound(nat::Protocol::udp, contact) != nat::kNoMapping);
  lab.pass_s(2);
  CHECK(lab.owner().translator.find_outbound(nat::Protocol::udp, contact) == nat::kNoMapping);
}

TEST_CASE("a message may ask other workers so much, and one that asks more waits for nobody",
          "[dataplane][alg_host][foreign][AC-23]") {
  constexpr unsigned kMost = 32;
  TwoWorkers lab;
  const alg::Message message{"", alg::Direction::inbound, {nat::Protocol::udp, lab.proxy, {}, kProvider}};
  auto& host = lab.asker().host;
  std::vector<nat::Endpoint> externals;
  for (std::uint16_t port = 1024; externals.size() < 3 * kMost; ++port) {
    if (lab.steering.owner_of_external(0, nat::Protocol::udp, port) == 1)
      externals.push_back(endpoint(kPoolAddress, port));
  }
  const auto ask = [&](unsigned from, unsigned questions) {
    host.begin(message, lab.now);
    unsigned waits = 0;
    // Named twice is asked once.
    for (unsigned i = 0; i < 2 * questions; ++i)
      waits += host.inside_of(nat::Protocol::udp, externals[from + i % questions]).state == LookupState::wait;
    host.abandon();
    return waits;
  };
  SECTION("as much as it may") {
    CHECK(ask(0, kMost) == 2 * kMost);
    CHECK(lab.asker().sent.size() == kMost);
    CHECK(host.ticket() != kNoTicket);
    // With the answer that it waits for all are there.
    CHECK(lab.deliver().back() == host.ticket());
    CHECK(ask(0, kMost) == 0);
  }
  SECTION("more") {
    CHECK(ask(0, 3 * kMost) == 6 * kMost);
    CHECK(lab.asker().sent.size() == kMost);
    CHECK(host.ticket() == kNoTicket);
    // The answers to what it asked do not make room for the rest, and others may ask.
    lab.deliver();
    ask(0, 3 * kMost);
    CHECK(lab.asker().sent.empty());
    CHECK(host.ticket() == kNoTicket);
    CHECK(ask(2 * kMost, 1) == 2);
    CHECK(host.ticket() != kNoTicket);
  }
}
