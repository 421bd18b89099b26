// SPDX-License-Identifier: BSD-3-Clause
// SIP messages larger than a packet through the real pipeline: in fragments, and outgrowing the MTU.
#include <algorithm>
#include <catch2/catch.hpp>

#include <cstring>
#include <random>
#include <set>
#include <string>

#include "dataplane/context.hpp"
#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::DropReason;
using nat::Endpoint;
using nat::Protocol;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
const Endpoint kProxy = endpoint("198.51.100.7", 5060);
const nat::Ipv4Address kGateway = address("203.0.113.254");
constexpr std::size_t kIp = 14;
constexpr std::size_t kHeaders = kIp + 20 + 8;

std::string text_of(Endpoint at) {
  const auto host = at.address.host();
  std::string text;
  for (const unsigned shift : {24U, 16U, 8U, 0U}) text += std::to_string(host >> shift & 0xffU) + '.';
  text.back() = ':';
  return text + std::to_string(at.port.host());
}

/// A message of exactly so many bytes, most of them body. The body names the phone, too, which nobody may
/// touch.
std::string sip_message(const std::string& start, const std::string& via, const std::string& contact,
                        std::size_t size) {
  const std::string head = start + "\r\nVia: SIP/2.0/UDP " + via +
                           ";branch=z9hG4bK7\r\nMax-Forwards: 70\r\n" +
                           "From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\n" +
                           "Call-ID: large\r\nCSeq: 1 MESSAGE\r\nContact: <sip:alice@" + contact +
                           ">\r\nContent-Type: text/plain\r\nContent-Length: ";
  std::size_t body = size - head.size() - 4 - 3;
  while (head.size() + std::to_string(body).size() + 4 + body > size) --body;
  while (head.size() + std::to_string(body).size() + 4 + body < size) ++body;
  std::string text = head + std::to_string(body) + "\r\n\r\n" + via + '\n';
  for (std::size_t i = text.size(); i < size; ++i) text += static_cast<char>('a' + i * 7 % 26);
  text.resize(size);
  return text;
}
std::string request(Endpoint phone, std::size_t size) {
  return sip_message("MESSAGE sip:bob@example.com SIP/2.0", text_of(phone), text_of(phone), size);
}
std::string response(Endpoint phone, std::size_t size) {
  return sip_message("SIP/2.0 200 OK", text_of(phone), "example.net", size);
}
/// The same with one endpoint for another in Via and Contact.
std::string translated(std::string text, Endpoint from, Endpoint to) {
  for (const std::string place : {"UDP ", "alice@"}) {
    const auto at = text.find(place + text_of(from));
    if (at == std::string::npos || at > text.find("\r\n\r\n")) continue;
    text.replace(at + place.size(), text_of(from).size(), text_of(to));
  }
  return text;
}

FrameSpec datagram(Endpoint from, Endpoint to, const std::string& text, std::uint16_t identification = 7) {
  FrameSpec spec{.source = from, .destination = to, .identification = identification};
  spec.payload.resize(text.size());
  std::memcpy(spec.payload.data(), text.data(), text.size());
  return spec;
}
/// Where a datagram is cut for an MTU.
std::vector<std::size_t> ends_for(std::size_t text_size, std::size_t mtu = 1500) {
  std::vector<std::size_t> ends;
  const std::size_t piece = (mtu - 20) / 8 * 8;
  for (std::size_t end = piece; end < text_size + 8; end += piece) ends.push_back(end);
  return ends;
}

unsigned field16(const Frame& frame, std::size_t at) {
  return std::to_integer<unsigned>(frame[at]) << 8U | std::to_integer<unsigned>(frame[at + 1]);
}

/// What a host makes of packets that it receives: one datagram, as a frame.
struct Received {
  Frame frame;
  std::string text;
  std::size_t packets = 0;
  std::size_t largest = 0;  // IP size
};
Received put_together(const std::vector<Sent>& sent, unsigned interface) {
  Received received;
  REQUIRE(!sent.empty());
  const auto identification = field16(sent[0].frame, kIp + 4);
  std::size_t bytes = 0;
  std::size_t end = 0;
  for (const auto& [out, frame] : sent) {
    CHECK(out == interface);
    CHECK(field16(frame, kIp + 4) == identification);
    CHECK(checksum_by_the_book(frame.data() + kIp, 20) == 0);
    const std::size_t size = field16(frame, kIp + 2);
    const auto fragment = field16(frame, kIp + 6);
    REQUIRE(frame.size() == kIp + size);
    REQUIRE(size > 20);
    const std::size_t begin = kIp + 20 + (fragment & 0x1fffU) * 8;
    if (received.frame.size() < begin + size - 20) received.frame.resize(begin + size - 20);
    if ((fragment & 0x1fffU) == 0) std::copy_n(frame.begin(), kIp + 20, received.frame.begin());
    std::copy(frame.begin() + kIp + 20, frame.end(),
              received.frame.begin() + static_cast<std::ptrdiff_t>(begin));
    if ((fragment & 0x2000U) == 0) end = begin + size - 20;
    bytes += size - 20;
    received.largest = std::max(received.largest, size);
    ++received.packets;
  }
  REQUIRE(end == received.frame.size());
  REQUIRE(bytes + kIp + 20 == end);
  // As one: no fragment, the whole length, a checksum to match.
  auto& frame = received.frame;
  const auto put = [&](std::size_t at, std::size_t value) {
    frame[at] = static_cast<std::byte>(value >> 8U);
    frame[at + 1] = static_cast<std::byte>(value & 0xffU);
  };
  put(kIp + 2, frame.size() - kIp);
  put(kIp + 6, 0);
  put(kIp + 10, 0);
  put(kIp + 10, checksum_by_the_book(frame.data() + kIp, 20));
  CHECK(field16(frame, kIp + 24) == frame.size() - kIp - 20);
  CHECK(checksums_right(frame));
  received.text.assign(reinterpret_cast<const char*>(frame.data()) + kHeaders, frame.size() - kHeaders);
  return received;
}

/// A phone of the last worker, that has said something small.
struct Scene {
  explicit Scene(unsigned workers = 1, config::Config config = lab_config())
      : lab(with_workers(std::move(config), workers)), phone{lab.host_of(workers - 1), Be16{5060}} {
    REQUIRE(lab.send(kInside, datagram(phone, kProxy, "\r\n\r\n")).size() == 1);
    external = lab.mapping(Protocol::udp, phone).external;
  }
  static config::Config with_workers(config::Config config, unsigned workers) {
    config.workers.count = workers;
    return config;
  }

  /// Puts the fragments of a datagram on the wire in an order, each received by another worker.
  std::vector<Sent> send(unsigned interface, const FrameSpec& spec, const std::vector<std::size_t>& ends,
                         const std::vector<std::size_t>& order = {}) {
    auto pieces = cut(make_frame(spec), ends);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      auto& piece = pieces[order.empty() ? i : order[i]];
      const auto own = lab.own_mac(interface);
      std::memcpy(piece.data(), own.bytes.data(), own.bytes.size());
      lab.receive_frame(interface, piece, static_cast<unsigned>(i) % lab.workers());
    }
    return lab.run();
  }
  /// The fragments of a datagram as they must leave when nobody has edited it.
  std::vector<Sent> leave(unsigned interface, const FrameSpec& spec, nat::Ipv4Address neighbor,
                          const std::vector<std::size_t>& ends) {
    std::vector<Sent> all;
    for (auto& piece : cut(lab.leaves(interface, spec, neighbor).frame, ends)) {
      all.push_back({interface, std::move(piece)});
    }
    return all;
  }

  PipelineLab lab;
  Endpoint phone;
  Endpoint external;
};

std::vector<std::size_t> numbers_to(std::size_t size) {
  std::vector<std::size_t> order(size);
  for (std::size_t i = 0; i < size; ++i) order[i] = i;
  return order;
}

}  // namespace

TEST_CASE("a message in three fragments is translated both ways, in any order and whoever receives them",
          "[dataplane][large][AC-08]") {
  for (const unsigned workers : {1U, 3U}) {
    DYNAMIC_SECTION(workers << " workers") {
      Scene scene(workers);
      const std::vector<std::size_t> thirds = {1480, 2960};
      std::vector<std::size_t> order = {0, 1, 2};
      std::uint16_t number = 100;
      std::set<unsigned> numbers;
      do {
        INFO("order " << order[0] << order[1] << order[2]);
        const auto there = request(scene.phone, 4000);
        const auto out = put_together(
            scene.send(kInside, datagram(scene.phone, kProxy, there, ++number), thirds, order), kOutside);
        CHECK((out.text == translated(there, scene.phone, scene.external)));
        CHECK((out.text != there));
        CHECK(out.packets == 3);
        CHECK(out.largest <= 1500);
        CHECK(numbers.insert(field16(out.frame, kIp + 4)).second);

        const auto back = response(scene.external, 4000);
        const auto in = put_together(
            scene.send(kOutside, datagram(kProxy, scene.external, back, number), thirds, order), kInside);
        CHECK((in.text == translated(back, scene.external, scene.phone)));
        CHECK((in.text != back));
        CHECK(field16(in.frame, kIp + 4) == number);
      } while (std::ranges::next_permutation(order).found);
      CHECK(scene.lab.drops().empty());
      CHECK(scene.lab.count(WorkerCounter::sip_reassembled) == 12);
      CHECK(scene.lab.count(WorkerCounter::sip_fragment_waiting) == 0);
      CHECK(scene.lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("messages of up to 65,535 bytes are translated both ways, their fragments in random order",
          "[dataplane][large][AC-08]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (const unsigned workers : {1U, 3U}) {
    for (const std::size_t mtu : {1500U, 576U}) {
      for (const std::size_t size : {9000U, 65400U}) {
        DYNAMIC_SECTION(size << " bytes over an MTU of " << mtu << " with " << workers << " workers") {
          auto config = lab_config();
          for (auto& interface : config.interfaces) interface.mtu = static_cast<std::uint16_t>(mtu);
          Scene scene(workers, config);
          const auto ends = ends_for(size, mtu);
          auto order = numbers_to(ends.size() + 1);
          for (std::uint16_t round = 0; round < 4; ++round) {
            std::ranges::shuffle(order, random);
            const auto there = request(scene.phone, size);
            const auto out = put_together(
                scene.send(kInside, datagram(scene.phone, kProxy, there, round), ends, order), kOutside);
            CHECK((out.text == translated(there, scene.phone, scene.external)));
            CHECK(out.largest <= mtu);

            const auto back = response(scene.external, size);
            const auto in = put_together(
                scene.send(kOutside, datagram(kProxy, scene.external, back, round), ends, order), kInside);
            CHECK((in.text == translated(back, scene.external, scene.phone)));
            CHECK(in.largest <= mtu);
          }
          CHECK(scene.lab.drops().empty());
          CHECK(scene.lab.buffers_in_use() == 0);
        }
      }
    }
  }
}

TEST_CASE("a message in which nothing is translated goes on in the fragments that came, bit for bit",
          "[dataplane][large][AC-04]") {
  for (const unsigned workers : {1U, 3U}) {
    Scene scene(workers);
    const std::string name = "phone.example.com";
    struct Case {
      const char* what;
      std::string text;
    };
    for (const Case& row :
         {Case{"names only", sip_message("MESSAGE sip:b@example.com SIP/2.0", name, name, 3900)},
          Case{"a foreign address", request(endpoint("192.0.2.99", 5060), 3900)},
          Case{"not SIP", std::string(3900, 'x')}}) {
      DYNAMIC_SECTION(row.what << " with " << workers << " workers") {
        // Of odd sizes, so that to cut it again would show.
        const std::vector<std::size_t> ends = {1000, 1008, 2480};
        const auto there = datagram(scene.phone, kProxy, row.text);
        const auto out = scene.send(kInside, there, ends, {3, 1, 0, 2});
        REQUIRE(out.size() == 4);
        auto expected = there;
        expected.source = scene.external;
        expected.ttl = 63;
        expected.identification = static_cast<std::uint16_t>(field16(out[0].frame, kIp + 4));
        CHECK(out == scene.leave(kOutside, expected, kGateway, ends));

        const auto back = datagram(kProxy, scene.external, row.text, 99);
        expected = back;
        expected.destination = scene.phone;
        expected.ttl = 63;
        CHECK(scene.send(kOutside, back, ends, {2, 0, 3, 1}) ==
              scene.leave(kInside, expected, scene.phone.address, ends));
        CHECK(scene.lab.drops().empty());
        CHECK(scene.lab.buffers_in_use() == 0);
      }
    }
  }
}

TEST_CASE("an edited message that fits its way out leaves as one packet", "[dataplane][large][AC-08]") {
  Scene scene(3);
  const auto there = request(scene.phone, 1300);
  const auto out = put_together(
      scene.send(kInside, datagram(scene.phone, kProxy, there), {504, 1008}, {2, 0, 1}), kOutside);
  CHECK(out.packets == 1);
  CHECK((out.text == translated(there, scene.phone, scene.external)));
  CHECK(scene.lab.buffers_in_use() == 0);
}

TEST_CASE("fragments of an edited message are no larger than those that came", "[dataplane][large][AC-08]") {
  Scene scene;
  const auto there = request(scene.phone, 4000);
  const auto out =
      put_together(scene.send(kInside, datagram(scene.phone, kProxy, there), ends_for(4000, 1300)), kOutside);
  CHECK(out.largest <= 1300);
  CHECK((out.text == translated(there, scene.phone, scene.external)));
}

TEST_CASE("a message that outgrows the MTU goes on in fragments if it may",
          "[dataplane][large][AC-08][rfc6864]") {
  for (const bool ignores : {false, true}) {
    DYNAMIC_SECTION((ignores ? "it may not, but that is ignored" : "it may")) {
      auto config = lab_config(3);
      config.sip.ignore_df = ignores;
      Scene scene(3, config);
      std::set<unsigned> numbers;
      for (int round = 0; round < 3; ++round) {
        const auto there = request(scene.phone, 1472);
        auto spec = datagram(scene.phone, kProxy, there);
        spec.fragment = ignores ? nat::Ipv4Header::kDontFragment : 0;
        const auto out = put_together(scene.lab.send(kInside, spec), kOutside);
        CHECK(out.packets == 2);
        CHECK(out.largest <= 1500);
        CHECK((out.text == translated(there, scene.phone, scene.external)));
        CHECK(numbers.insert(field16(out.frame, kIp + 4)).second);
      }
      CHECK(scene.lab.drops().empty());
      CHECK(scene.lab.count(WorkerCounter::fragment_out) == 6);
      CHECK(scene.lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("one that may not is answered with an MTU by which the next try gets through",
          "[dataplane][large][AC-08][rfc1191]") {
  Scene scene(3);
  const auto there = request(scene.phone, 1472);
  auto spec = datagram(scene.phone, kProxy, there);
  spec.fragment = nat::Ipv4Header::kDontFragment;
  const auto sent = scene.lab.send(kInside, spec, 1);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].interface == kInside);
  const auto& error = sent[0].frame;
  REQUIRE(error.size() > kIp + 28 + 28);
  CHECK(error[kIp + 20] == std::byte{3});
  CHECK(error[kIp + 21] == std::byte{4});
  const auto mtu = field16(error, kIp + 26);
  CHECK(mtu < 1500);
  CHECK(mtu >= 1400);
  // It quotes what the phone has sent, not what became of it.
  const auto frame = make_frame(spec);
  CHECK(std::equal(frame.begin() + kIp, frame.begin() + kHeaders, error.begin() + kIp + 28));
  CHECK(scene.lab.dropped(DropReason::drop_too_big) == 1);

  const auto again =
      put_together(scene.send(kInside, datagram(scene.phone, kProxy, there), ends_for(1472, mtu)), kOutside);
  CHECK((again.text == translated(there, scene.phone, scene.external)));
  const auto smaller = request(scene.phone, mtu - 28);
  spec = datagram(scene.phone, kProxy, smaller);
  spec.fragment = nat::Ipv4Header::kDontFragment;
  const auto fits = put_together(scene.lab.send(kInside, spec), kOutside);
  CHECK((fits.text == translated(smaller, scene.phone, scene.external)));
  CHECK(fits.packets == 1);
  CHECK(scene.lab.buffers_in_use() == 0);
}

TEST_CASE("a message in fragments of two phones inside goes round", "[dataplane][large][hairpin][AC-08]") {
  for (const unsigned workers : {1U, 3U}) {
    auto config = lab_config();
    config.nat.filtering.udp = nat::Filter::endpoint_independent;
    Scene scene(workers, config);
    const Endpoint caller{scene.lab.host_of(0, 1), Be16{5060}};
    for (const std::size_t size : {1472U, 4000U, 20000U}) {
      DYNAMIC_SECTION(size << " bytes with " << workers << " workers") {
        const auto there = request(caller, size);
        const auto sent = size < 1500
                              ? scene.lab.send(kInside, datagram(caller, scene.external, there))
                              : scene.send(kInside, datagram(caller, scene.external, there), ends_for(size));
        const auto in = put_together(sent, kInside);
        CHECK((in.text == there));  // translated on the way out, and back on the way in
        CHECK(in.largest <= 1500);
        CHECK(scene.lab.drops().empty());
        CHECK(scene.lab.buffers_in_use() == 0);
      }
    }
  }
}

TEST_CASE("a message in fragments waits for the worker of a host that it names",
          "[dataplane][large][AC-08]") {
  Scene scene(3);
  const Endpoint other{scene.lab.host_of(0, 2), Be16{5060}};
  const auto there =
      sip_message("MESSAGE sip:bob@example.com SIP/2.0", text_of(scene.phone), text_of(other), 5000);
  const auto out = put_together(
      scene.send(kInside, datagram(scene.phone, kProxy, there), ends_for(5000), {3, 0, 2, 1}), kOutside);
  const auto external = scene.lab.mapping(Protocol::udp, other).external;
  CHECK((out.text == translated(translated(there, scene.phone, scene.external), other, external)));
  CHECK(scene.lab.count(WorkerCounter::parked) == 1);
  CHECK(scene.lab.drops().empty());
  CHECK(scene.lab.buffers_in_use() == 0);
}

TEST_CASE("a message that waits for another worker in vain is dropped with all its fragments",
          "[dataplane][large][AC-08]") {
  Scene scene;
  auto& worker = scene.lab.context(0);
  rte_mbuf* message = nullptr;
  for (int i = 0; i < 3; ++i) {
    rte_mbuf* const fragment = rte_pktmbuf_alloc(worker.packets);
    REQUIRE(fragment != nullptr);
    fragment->next = message;
    message = fragment;
  }
  constexpr dataplane::Ticket kNeverAnswered = 77;
  REQUIRE(worker.parking.park(message, kNeverAnswered, worker.clock.tick()));
  CHECK(scene.lab.buffers_in_use() == 3);
  scene.lab.pass_s(3);
  CHECK(scene.lab.dropped(DropReason::drop_sip_parked_timeout) == 3);
  CHECK(scene.lab.buffers_in_use() == 0);
}

TEST_CASE("a message in fragments that is damaged or contradicts itself is dropped",
          "[dataplane][large][AC-08]") {
  Scene scene;
  auto& lab = scene.lab;
  auto frame = make_frame(datagram(scene.phone, kProxy, request(scene.phone, 4000)));
  const auto send = [&](const Frame& damaged, const std::vector<std::size_t>& ends) {
    for (auto& piece : cut(damaged, ends)) {
      const auto own = lab.own_mac(kInside);
      std::memcpy(piece.data(), own.bytes.data(), own.bytes.size());
      lab.receive_frame(kInside, piece);
    }
    return lab.run().size();
  };
  SECTION("its checksum is wrong") {
    frame[3000] ^= std::byte{1};
    CHECK(send(frame, {1480, 2960}) == 0);
    CHECK(lab.dropped(DropReason::drop_bad_udp_checksum) == 3);
  }
  SECTION("it is shorter than UDP says") {
    frame[kIp + 24] = std::byte{0x7f};
    CHECK(send(frame, {1480, 2960}) == 0);
    CHECK(lab.dropped(DropReason::drop_bad_udp_length) == 3);
  }
  SECTION("two fragments overlap") {
    auto pieces = cut(frame, {1480, 2960});
    const auto longer = cut(frame, {1480, 2400});
    for (auto piece : {pieces[0], pieces[1], longer[2]}) {
      const auto own = lab.own_mac(kInside);
      std::memcpy(piece.data(), own.bytes.data(), own.bytes.size());
      lab.receive_frame(kInside, piece);
    }
    CHECK(lab.run().empty());
    CHECK(lab.dropped(DropReason::drop_fragment_overlap) == 3);
  }
  CHECK(lab.buffers_in_use() == 0);
}

TEST_CASE("a message that would be larger than a datagram can be is dropped", "[dataplane][large][AC-08]") {
  Scene scene;
  const auto there = request(scene.phone, 65507);
  const auto ends = ends_for(there.size());
  CHECK(scene.send(kInside, datagram(scene.phone, kProxy, there), ends).empty());
  CHECK(scene.lab.dropped(DropReason::drop_sip_too_big) == ends.size() + 1);
  CHECK(scene.lab.buffers_in_use() == 0);
}

TEST_CASE("messages that never become whole hold a bounded number of buffers, for a bounded time",
          "[dataplane][large][AC-08][rfc4787-req14][rfc4787-req14a]") {
  Scene scene;
  auto& lab = scene.lab;
  const auto text = request(scene.phone, 4000);
  for (std::uint16_t id = 0; id < 500; ++id) {
    auto spec = datagram(scene.phone, kProxy, text, id);
    auto pieces = cut(make_frame(spec), {1480, 2960});
    pieces.pop_back();
    for (auto& piece : pieces) {
      const auto own = lab.own_mac(kInside);
      std::memcpy(piece.data(), own.bytes.data(), own.bytes.size());
      lab.receive_frame(kInside, piece);
    }
    CHECK(lab.run().empty());
  }
  CHECK(lab.buffers_in_use() <= dataplane::kReassemblyLimits.pieces_of_source);
  CHECK(lab.buffers_in_use() >= dataplane::kReassemblyLimits.datagrams_of_source);
  CHECK(lab.dropped(DropReason::drop_sip_fragment_overflow) > 0);

  // Others are served meanwhile.
  const Endpoint other{lab.host_of(0, 3), Be16{5060}};
  const auto theirs = request(other, 4000);
  const auto out = put_together(scene.send(kInside, datagram(other, kProxy, theirs), {1480, 2960}), kOutside);
  CHECK((out.text == translated(theirs, other, lab.mapping(Protocol::udp, other).external)));

  lab.pass_s(6);
  CHECK(lab.buffers_in_use() == 0);
  CHECK(lab.dropped(DropReason::drop_sip_fragment_timeout) > 0);
  CHECK(lab.count(WorkerCounter::sip_fragment_waiting) == 0);
}
