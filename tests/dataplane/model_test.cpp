// SPDX-License-Identifier: BSD-3-Clause
// Random packets of several hosts and protocols in both directions, through whole workers, against a plain
// model of what a translator owes them: std::map and arithmetic. Whole frames are compared.
#include <catch2/catch.hpp>

#include <map>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "tests/support/flows.hpp"
#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using nat::Be16;
using nat::Endpoint;
using nat::Filter;
using nat::Protocol;
using nat::Tick;
using nat::ticks_from_s;

namespace {

const nat::Ipv4Address kGateway = address("203.0.113.254");
const nat::Ipv4Address kRouter = address("192.0.2.33");
constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
constexpr Protocol kAllProtocols[] = {Protocol::udp, Protocol::tcp, Protocol::icmp};

// Short, so that much ends while a test runs.
constexpr Tick kUdp = ticks_from_s(30);
constexpr Tick kIcmp = ticks_from_s(20);
constexpr Tick kTcpEstablished = ticks_from_s(120);
constexpr Tick kTcpOpening = ticks_from_s(25);
constexpr Tick kRest = ticks_from_s(40);

config::Config model_config(unsigned workers, Filter filter, bool inbound_refresh) {
  auto config = lab_config(workers);
  config.nat.pool = {address("203.0.113.1"), address("203.0.113.2"), address("203.0.113.3")};
  config.nat.filtering = {filter, filter, filter};
  config.nat.inbound_refresh = {inbound_refresh, inbound_refresh, inbound_refresh};
  config.nat.timeouts = {.udp_s = kUdp / nat::kTicksPerSecond,
                         .tcp_established_s = kTcpEstablished / nat::kTicksPerSecond,
                         .tcp_opening_s = kTcpOpening / nat::kTicksPerSecond,
                         .tcp_closing_s = kTcpOpening / nat::kTicksPerSecond,
                         .icmp_s = kIcmp / nat::kTicksPerSecond};
  config.nat.ports.rest_s = kRest / nat::kTicksPerSecond;
  config.nat.remotes_per_worker = 65536;  // so that no filter has to forget anybody
  config.nat.quotas.new_per_s = 0;
  return config;
}

/// When something happened: within a few ticks, because time does not stand still while packets are sent.
struct Moment {
  Tick first = 0;
  Tick last = 0;
};

/// What must happen, or that it cannot be told: a time-out is just then, or the translator is free to
/// remember more than it must.
enum class Guess : std::uint8_t { no, yes, either };

Guess both(Guess a, Guess b) {
  if (a == Guess::no || b == Guess::no) return Guess::no;
  return a == Guess::yes && b == Guess::yes ? Guess::yes : Guess::either;
}
Guess one_of(Guess a, Guess b) {
  if (a == Guess::yes || b == Guess::yes) return Guess::yes;
  return a == Guess::no && b == Guess::no ? Guess::no : Guess::either;
}
/// Whether less than `timeout` has passed.
Guess younger(Moment since, Tick timeout, Moment now) {
  const auto most = static_cast<std::int32_t>(now.last - since.first);
  const auto least = static_cast<std::int32_t>(now.first - since.last);
  if (most < static_cast<std::int32_t>(timeout)) return Guess::yes;
  return least > static_cast<std::int32_t>(timeout) ? Guess::no : Guess::either;
}

/// A mapping as its inside endpoint may expect it to be.
struct Expected {
  Endpoint external;
  Moment last_seen;
  std::optional<Endpoint> first;  // whom it sent to first
  std::map<Endpoint, Moment> sent;
  // TCP: whose connection is established; and whose may be, because it cannot be told whether its session was
  // still there when it was answered.
  std::set<Endpoint> answered;
  std::set<Endpoint> perhaps_answered;

  [[nodiscard]] Tick tcp_timeout(Endpoint remote) const {
    return answered.contains(remote) ? kTcpEstablished : kTcpOpening;
  }

  [[nodiscard]] Guess alive(Protocol protocol, Moment now) const {
    switch (protocol) {
      case Protocol::udp:
        return younger(last_seen, kUdp, now);
      case Protocol::icmp:
        return younger(last_seen, kIcmp, now);
      case Protocol::tcp:
        break;
    }
    // A connection that was answered keeps the mapping as established, for as long as it is not idle itself.
    Guess established = Guess::no;
    for (const auto& remote : answered) {
      established = one_of(established, younger(sent.at(remote), kTcpEstablished, now));
    }
    const Guess as_opening = younger(last_seen, kTcpOpening, now);
    const Guess as_established = younger(last_seen, kTcpEstablished, now);
    if (established == Guess::yes) return as_established;
    if (answered.empty() && perhaps_answered.empty()) return as_opening;
    // What ends without a word counts until its place is wanted.
    return as_opening == Guess::yes ? Guess::yes : as_established == Guess::no ? Guess::no : Guess::either;
  }

  [[nodiscard]] Guess admits(Protocol protocol, Filter filter, Endpoint remote, Moment now) const {
    const auto same = [&](Endpoint one, Endpoint other) {
      return filter == Filter::address_and_port_dependent ? one == other : one.address == other.address;
    };
    if (filter == Filter::endpoint_independent || (first && same(*first, remote))) return Guess::yes;
    Guess known = Guess::no;
    for (const auto& [to, when] : sent) {
      if (!same(to, remote)) continue;
      if (protocol == Protocol::tcp) {
        // The connection itself vouches for its remote; what the filter knows beyond that may be older.
        const bool lives = to == remote && younger(when, tcp_timeout(to), now) == Guess::yes;
        known = one_of(known, lives ? Guess::yes : Guess::either);
      } else {
        known = one_of(known, younger(when, protocol == Protocol::udp ? kUdp : kIcmp, now));
      }
    }
    return known;
  }
};

class Model {
 public:
  Model(unsigned workers, Filter filter, bool inbound_refresh, std::uint32_t seed)
      : filter_(filter),
        inbound_refresh_(inbound_refresh),
        random_(seed),
        lab_(model_config(workers, filter, inbound_refresh)) {
    for (unsigned n = 0; n < 6; ++n) hosts_.push_back(lab_.host_of(n % workers, n));
  }

  void step() {
    const unsigned choice = below(100);
    if (choice < 45) return send_out();
    if (choice < 80) return send_in();
    if (choice < 88) return send_error_in();
    if (choice < 94) return send_round();
    lab_.pass_s(1 + below(16));
  }

  [[nodiscard]] PipelineLab& lab() { return lab_; }
  unsigned certain = 0;
  unsigned passed = 0;
  unsigned refused = 0;
  unsigned ended = 0;
  unsigned rounds = 0;

 private:
  using Key = std::pair<Protocol, Endpoint>;

  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
  [[nodiscard]] Tick tick() { return lab_.context(0).clock.tick(); }
  Protocol any_protocol() { return kAllProtocols[below(3)]; }
  Endpoint any_inside() {
    constexpr std::uint16_t kPorts[] = {80, 443, 2000, 2001, 40000, 65535};
    return {hosts_[below(static_cast<unsigned>(hosts_.size()))], Be16{kPorts[below(6)]}};
  }
  Endpoint any_remote(Protocol protocol) {
    const auto host = nat::Ipv4Address::from_host(0xc6336407U + below(4));
    return {host, protocol == Protocol::icmp ? Be16{} : Be16{static_cast<std::uint16_t>(7000 + below(3))}};
  }

  /// Sends a packet. \return what came of it, and when
  std::vector<Sent> send(unsigned interface, const FrameSpec& spec, Moment& when) {
    constexpr Tick kSlack = 1;  // workers read the clock one after the other
    when.first = tick() - kSlack;
    auto sent = lab_.send(interface, spec, below(lab_.workers()));
    when.last = tick() + kSlack;
    const auto text = [](Endpoint each) { return std::string{nat::EndpointText{each}.view()}; };
    UNSCOPED_INFO("protocol " << int{spec.protocol} << " from " << text(spec.source) << " to "
                              << text(spec.destination) << " at " << when.first << " to " << when.last);
    return sent;
  }
  /// Compares with what must be, and finds out what is where that cannot be told.
  bool check(Guess guess, const std::vector<Sent>& sent, const Sent& expected) {
    if (guess != Guess::either) {
      ++certain;
      REQUIRE(sent.size() == (guess == Guess::yes ? 1 : 0));
    }
    if (sent.empty()) {
      ++refused;
      return false;
    }
    REQUIRE(sent == std::vector{expected});
    ++passed;
    return true;
  }

  /// A mapping that is new by its own word: everything that must hold of it.
  void check_new(Protocol protocol, Endpoint inside, Endpoint external, Moment now) {
    // Whoever had it is gone.
    for (const auto& [key, mapping] : std::map(mappings_)) {
      if (key.first != protocol || mapping.external != external || key.second == inside) continue;
      REQUIRE(mapping.alive(protocol, now) != Guess::yes);  // RFC 4787 REQ-3
      end(key, now);
    }
    const auto port = external.port.host();
    bool pooled = false;
    for (const auto& each : lab_.steering().addresses()) pooled = pooled || each == external.address;
    REQUIRE(pooled);
    if (protocol != Protocol::icmp) {
      REQUIRE(port % 2 == inside.port.host() % 2);            // RFC 4787 REQ-4
      REQUIRE((port < 1024) == (inside.port.host() < 1024));  // REQ-3a
    }
    for (const auto& [key, mapping] : mappings_) {
      const bool certainly = mapping.alive(key.first, now) == Guess::yes;
      if (!certainly || key == Key{protocol, inside}) continue;
      if (key.second.address == inside.address) {
        REQUIRE(mapping.external.address == external.address);  // REQ-2
      }
    }
    // A port rests before it is somebody else's (RFC 6888 REQ-8).
    const auto former = freed_.find({protocol, external});
    if (former != freed_.end() && former->second.first != inside) {
      REQUIRE(now.last - former->second.second.first >= kRest);
    }
  }

  /// An outbound packet was seen to leave as `external`.
  void note_out(Protocol protocol, Endpoint inside, Endpoint external, Endpoint remote, Moment now) {
    const Key key{protocol, inside};
    const auto found = mappings_.find(key);
    const Guess alive = found == mappings_.end() ? Guess::no : found->second.alive(protocol, now);
    const bool kept = found != mappings_.end() && found->second.external == external && alive != Guess::no;
    if (alive == Guess::yes) REQUIRE(kept);  // RFC 4787 REQ-1 and REQ-11
    if (!kept) {
      check_new(protocol, inside, external, now);
      if (found != mappings_.end()) end(key, now);
      Expected fresh;
      fresh.external = external;
      fresh.last_seen = now;
      fresh.first = remote;
      mappings_[key] = fresh;
    }
    auto& mapping = mappings_[key];
    if (protocol == Protocol::tcp && mapping.answered.contains(remote)) {
      const Guess lives = younger(mapping.sent[remote], kTcpEstablished, now);
      if (lives == Guess::either) mapping.perhaps_answered.insert(remote);
      if (lives != Guess::yes) mapping.answered.erase(remote);  // it begins anew
    }
    mapping.last_seen = now;
    mapping.sent[remote] = now;
  }

  void end(const Key& key, Moment now) {
    const auto found = mappings_.find(key);
    if (found == mappings_.end()) return;
    ++ended;
    const Tick timeout = key.first == Protocol::udp    ? kUdp
                         : key.first == Protocol::icmp ? kIcmp
                                                       : kTcpOpening;
    const Tick earliest = found->second.last_seen.first + timeout;
    freed_[{key.first, found->second.external}] = {key.second, {earliest, now.last}};
    mappings_.erase(found);
  }

  void send_out() {
    const auto protocol = any_protocol();
    const auto inside = any_inside();
    const auto remote = any_remote(protocol);
    Moment now;
    const auto sent = send(kInside, outward(protocol, inside, remote), now);
    REQUIRE(sent.size() == 1);
    const auto external = source_of(protocol, sent[0].frame);
    check(Guess::yes, sent, lab_.leaves(kOutside, outward(protocol, external, remote, 63), kGateway));
    note_out(protocol, inside, external, remote, now);
  }

  void send_in() {
    if (mappings_.empty()) return;
    auto picked = std::next(mappings_.begin(), below(static_cast<unsigned>(mappings_.size())));
    const auto [protocol, inside] = picked->first;
    auto& mapping = picked->second;
    const auto remote = any_remote(protocol);
    Moment now;
    const auto sent = send(kOutside, inward(protocol, remote, mapping.external), now);
    const Guess alive = mapping.alive(protocol, now);
    const Guess guess = both(alive, mapping.admits(protocol, filter_, remote, now));
    const auto expected = lab_.leaves(kInside, inward(protocol, remote, inside, 63), inside.address);
    if (!check(guess, sent, expected)) {
      if (alive == Guess::no) end({protocol, inside}, now);
      return;
    }
    if (inbound_refresh_) mapping.last_seen = now;
    if (protocol != Protocol::tcp || !mapping.sent.contains(remote)) return;
    // Both sides of a connection keep it, if it was still there.
    const bool lived = younger(mapping.sent[remote], mapping.tcp_timeout(remote), now) == Guess::yes;
    (lived ? mapping.answered : mapping.perhaps_answered).insert(remote);
    mapping.last_seen.last = mapping.sent[remote].last = now.last;
    if (lived) mapping.last_seen.first = mapping.sent[remote].first = now.first;
  }

  /// An error finds its host while the mapping lives, and changes nothing.
  void send_error_in() {
    if (mappings_.empty()) return;
    const auto picked = std::next(mappings_.begin(), below(static_cast<unsigned>(mappings_.size())));
    const auto protocol = picked->first.first;
    const auto inside = picked->first.second;
    const auto& mapping = picked->second;
    const auto remote = any_remote(protocol);
    const auto error = [&](Endpoint source, nat::Ipv4Address to, std::uint8_t ttl) {
      return icmp_error(kRouter, to, nat::kHostUnreachable, datagram_of(outward(protocol, source, remote, 9)),
                        ttl);
    };
    Moment now;
    const auto sent = send(kOutside, error(mapping.external, mapping.external.address, 64), now);
    check(mapping.alive(protocol, now), sent,
          lab_.leaves(kInside, error(inside, inside.address, 63), inside.address));
  }

  /// One host sends to another by its external endpoint.
  void send_round() {
    if (mappings_.empty()) return;
    const auto picked = std::next(mappings_.begin(), below(static_cast<unsigned>(mappings_.size())));
    const auto [protocol, reached] = picked->first;
    const auto sender = any_inside();
    const auto external = picked->second.external;
    if (protocol != Protocol::udp || sender == reached) return;
    ++rounds;
    // Its own external endpoint is known only if it has one for certain; so it gets one.
    Moment before;
    const auto remote = any_remote(protocol);
    const auto first = send(kInside, outward(protocol, sender, remote), before);
    REQUIRE(first.size() == 1);
    const auto source = source_of(protocol, first[0].frame);
    note_out(protocol, sender, source, remote, before);

    Moment now;
    const auto sent = send(kInside, outward(protocol, sender, external), now);
    note_out(protocol, sender, source, external, now);
    auto& mapping = mappings_[{protocol, reached}];
    const Guess guess = both(mapping.alive(protocol, now), mapping.admits(protocol, filter_, source, now));
    const auto expected = lab_.leaves(kInside, outward(protocol, source, reached, 63), reached.address);
    if (check(guess, sent, expected) && inbound_refresh_) mapping.last_seen = now;
  }

  /// The source of a frame as its mapping has it: for a ping with its identifier.
  static Endpoint source_of(Protocol protocol, const Frame& frame) {
    const auto packet = nat::parse(frame, 0);
    REQUIRE(packet.protocol == protocol);
    return packet.source;
  }

  Filter filter_;
  bool inbound_refresh_;
  std::mt19937 random_;
  PipelineLab lab_;
  std::vector<nat::Ipv4Address> hosts_;
  std::map<Key, Expected> mappings_;
  std::map<Key, std::pair<Endpoint, Moment>> freed_;  // external endpoints: who had them, and until when
};

}  // namespace

TEST_CASE("random packets of many hosts fare as a plain model says",
          "[dataplane][model][rfc4787-req1][rfc4787-req2][rfc4787-req3][rfc4787-req4][rfc4787-req6]"
          "[rfc4787-req8][rfc4787-req11][rfc5382-req1][rfc5382-req3][rfc5382-req7][rfc5508-req1][rfc6888-"
          "req8][rfc7857-3][rfc6888-req1]") {
  for (const auto filter :
       {Filter::endpoint_independent, Filter::address_dependent, Filter::address_and_port_dependent}) {
    for (const unsigned workers : {1U, 2U}) {
      for (const bool inbound_refresh : {false, true}) {
        DYNAMIC_SECTION("filter " << static_cast<int>(filter) << ", " << workers << " workers, "
                                  << (inbound_refresh ? "kept by both sides" : "kept by inside")) {
          const auto seed = std::random_device{}();
          INFO("seed " << seed);
          Model model(workers, filter, inbound_refresh, seed);
          for (unsigned step = 0; step < 1200; ++step) {
            INFO("step " << step);
            model.step();
          }
          // The model is of use as long as it can tell most things.
          CHECK(model.certain > (model.passed + model.refused) * 8 / 10);
          CHECK(model.passed > 500);
          CHECK(model.refused > 20);
          CHECK(model.ended > 20);
          CHECK(model.rounds > 5);
          CHECK(model.lab().buffers_in_use() == 0);
        }
      }
    }
  }
}
