// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// An alg::Host over a few std::maps. Inside is 10.0.0.0/8 unless a test says otherwise, the external pool
// 203.0.113.0/28. A mapping is easy to foretell: 10.0.0.5:5060 becomes 203.0.113.10:10060, its port plus 1000
// times the last octet of its address; a port that is taken or out of range gives way to the next free one.
// RTP and RTCP are mapped alike.

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "alg/host.hpp"

namespace pinhole::test {

class FakeAlgHost final : public alg::Host {
 public:
  struct Announced {
    alg::sip::Method method;
    std::uint16_t status;
    bool has_sdp;
    std::string call_id, from_tag, to_tag, from_uri, to_uri;
  };
  struct Granted {
    std::string aor;
    nat::Endpoint inside, external, registrar;
    std::uint32_t expires_s;
    nat::Protocol protocol;
  };

  struct Dialog {
    std::string contact;
    std::vector<std::string> routes;
    bool too_many_routes;
  };

  struct Expected {
    std::uint8_t section;
    nat::Endpoint rtp, rtcp;

    friend bool operator==(const Expected&, const Expected&) = default;
  };

  // What a test may set.
  nat::Prefix inside_prefix{nat::Ipv4Address::from_host(0x0A000000), 8};
  std::map<nat::Ipv4Address, nat::Ipv4Address>
      pool;                                       // the external address of an inside one; else the default
  std::map<nat::Endpoint, nat::Endpoint> forced;  // the external endpoint that an inside one will get
  nat::Ipv4Address own_host = nat::Ipv4Address::from_host(0x0A000005);  // of the messages' flow
  bool waits = false;                          // every question is answered by `wait`
  bool exhausted = false;                      // nothing new can be mapped
  alg::Welcome welcome = alg::Welcome::taken;  // what every message is answered with
  bool knows_repeated = false;                 // what a message repeats has been mapped before
  std::set<nat::Endpoint> no_media;            // inside endpoints that are no pinholes; all others are

  // What a test may read.
  std::vector<Announced> announced;
  std::vector<alg::MediaStream> described;
  std::vector<alg::MediaRequest> opened;
  std::vector<Expected> expected;
  std::vector<Granted> granted;
  std::vector<Dialog> dialogs;
  std::vector<nat::Endpoint> peers;    // from where the requests of dialogs will come
  std::vector<nat::Endpoint> targets;  // inside endpoints that requests will come to
  [[nodiscard]] std::size_t mappings() const { return external_.size(); }

  [[nodiscard]] bool is_inside(nat::Ipv4Address address) const noexcept override {
    return inside_prefix.contains(address);
  }
  [[nodiscard]] bool is_external(nat::Ipv4Address address) const noexcept override {
    return kPool.contains(address);
  }

  [[nodiscard]] alg::Lookup external_of(nat::Protocol protocol, nat::Endpoint inside,
                                        alg::Written written = alg::Written::anyhow,
                                        alg::Claim claim = alg::Claim::own) noexcept override {
    if (waits) return {alg::LookupState::wait, {}, {}};
    const bool is_echoed = claim == alg::Claim::echoed && !knows_repeated;
    if (!is_echoed) remember({protocol, inside}, written);
    const auto found = external_.find({protocol, inside});
    if (found != external_.end()) return {alg::LookupState::found, found->second, {}};
    if (is_echoed) return {};
    if (exhausted) return {alg::LookupState::exhausted, {}, {}};
    const auto external = choose(protocol, inside);
    external_[{protocol, inside}] = external;
    inside_[{protocol, external}] = inside;
    return {alg::LookupState::found, external, {}};
  }

  [[nodiscard]] alg::Lookup candidate_of(nat::Protocol protocol, nat::Endpoint inside) noexcept override {
    return external_of(protocol, inside);
  }

  [[nodiscard]] alg::Lookup inside_of(nat::Protocol protocol, nat::Endpoint external) noexcept override {
    if (waits) return {alg::LookupState::wait, {}, {}};
    const auto found = inside_.find({protocol, external});
    if (found == inside_.end()) return {};
    const auto written = portless_.find({protocol, found->second});
    return {alg::LookupState::found, found->second,
            written == portless_.end() ? alg::Portless{} : written->second,
            !no_media.contains(found->second)};
  }

  [[nodiscard]] alg::Lookup own_inside_of(nat::Protocol protocol, nat::Endpoint external) noexcept override {
    auto found = inside_.find({protocol, external});
    const auto other = protocol == nat::Protocol::udp ? nat::Protocol::tcp : nat::Protocol::udp;
    if (found == inside_.end()) found = inside_.find({other, external});
    if (found == inside_.end() || found->second.address != own_host) return {};
    const auto written = portless_.find(Key{found->first.first, found->second});
    return {alg::LookupState::found, found->second,
            written == portless_.end() ? alg::Portless{} : written->second};
  }

  [[nodiscard]] alg::Welcome announce(const alg::sip::Summary& summary) noexcept override {
    announced.push_back({summary.method, summary.status, summary.has_sdp, std::string(summary.call_id),
                         std::string(summary.from_tag), std::string(summary.to_tag),
                         std::string(summary.from_uri), std::string(summary.to_uri)});
    return welcome;
  }

  [[nodiscard]] alg::MediaLookup open_media(const alg::MediaRequest& request) noexcept override {
    const auto rtp = external_of(request.protocol, request.rtp);
    const auto rtcp = external_of(request.protocol, request.rtcp);
    if (rtp.state != alg::LookupState::found) return {rtp.state, {}, {}};
    if (rtcp.state != alg::LookupState::found) return {rtcp.state, {}, {}};
    opened.push_back(request);
    return {alg::LookupState::found, rtp.endpoint, rtcp.endpoint};
  }

  void describe(const alg::MediaStream& stream) noexcept override { described.push_back(stream); }
  void expect_media_from(std::uint8_t section, nat::Endpoint rtp, nat::Endpoint rtcp) noexcept override {
    expected.push_back({section, rtp, rtcp});
  }

  void expect_signalling_from(nat::Endpoint remote) noexcept override { peers.push_back(remote); }

  void expect_requests_at(nat::Protocol, nat::Endpoint inside) noexcept override {
    targets.push_back(inside);
  }

  void tell_dialog(const alg::sip::DialogFacts& facts) noexcept override {
    dialogs.push_back({std::string(facts.contact), {}, facts.too_many_routes});
    for (std::size_t i = 0; i < facts.route_count; ++i) dialogs.back().routes.emplace_back(facts.routes[i]);
  }

  void grant(const alg::sip::Binding& binding) noexcept override {
    granted.push_back({std::string(binding.aor), binding.inside, binding.external, binding.registrar,
                       binding.expires_s, binding.protocol});
  }

 private:
  using Key = std::pair<nat::Protocol, nat::Endpoint>;

  static constexpr nat::Prefix kPool{nat::Ipv4Address::from_host(0xCB007100), 28};
  static constexpr nat::Ipv4Address kDefault = nat::Ipv4Address::from_host(0xCB00710A);

  nat::Endpoint choose(nat::Protocol protocol, nat::Endpoint inside) const {
    if (const auto found = forced.find(inside); found != forced.end()) return found->second;
    const auto address = pool.contains(inside.address) ? pool.at(inside.address) : kDefault;
    auto port = static_cast<std::uint16_t>(inside.port.host() + 1000 * (inside.address.host() & 0xFF));
    nat::Endpoint external{address, nat::Be16{port}};
    while (port < 1024 || inside_.contains({protocol, external})) {
      external.port = nat::Be16{++port};
    }
    return external;
  }

  void remember(const Key& host, alg::Written written) {
    using alg::Written;
    if (written == Written::in_uri || written == Written::in_uri_without_port)
      portless_[host].in_uri = written == Written::in_uri_without_port;
    if (written == Written::in_via || written == Written::in_via_without_port)
      portless_[host].in_via = written == Written::in_via_without_port;
  }

  std::map<Key, alg::Portless> portless_;
  std::map<Key, nat::Endpoint> external_;
  std::map<Key, nat::Endpoint> inside_;
};

}  // namespace pinhole::test
