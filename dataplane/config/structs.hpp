// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The configuration as plain data. Every default stands here and nowhere else; load.hpp reads a file into it,
// validate.hpp says whether it can be run. Both processes and pinholectl use it.

#include "alg/sip/policy.hpp"
#include "dataplane/config/structs_protection.hpp"
#include "nat/endpoint.hpp"
#include "nat/mapping.hpp"
#include "nat/port_plan.hpp"
#include "nat/static_rules.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pinhole::config {

enum class Zone : std::uint8_t { inside, outside };

struct Interface {
  std::string name;
  std::string device;  // a PCI address, or a DPDK virtual device: "net_af_packet0,iface=eth1"
  Zone zone = Zone::inside;
  nat::Prefix address;                      // own address with the length of its subnet
  std::optional<nat::Ipv4Address> gateway;  // default gateway by this interface
  std::uint16_t vlan = 0;                   // 0: untagged
  std::uint16_t mtu = 1500;
  bool icmp = true;  // whether we send ICMP of our own to this side
  bool sip = true;   // whether SIP is read that comes or goes by it

  friend bool operator==(const Interface&, const Interface&) = default;
};

struct Route {
  nat::Prefix prefix;
  nat::Ipv4Address via;

  friend bool operator==(const Route&, const Route&) = default;
};

enum class Idle : std::uint8_t {
  automatic,  // spin when every worker has a CPU of its own, yield otherwise
  spin,
  yield,
};

struct Workers {
  unsigned count = 1;
  // The CPU of each worker in order, may repeat; empty: 1, 2, ... (CPU 0 serves the rest).
  std::vector<unsigned> cpus;
  Idle idle = Idle::automatic;

  friend bool operator==(const Workers&, const Workers&) = default;
};

struct Dpdk {
  std::string file_prefix = "pinhole";
  unsigned memory_mb = 512;

  friend bool operator==(const Dpdk&, const Dpdk&) = default;
};

struct PortForward {
  nat::Protocol protocol = nat::Protocol::udp;
  nat::Endpoint external;
  nat::Endpoint inside;

  friend bool operator==(const PortForward&, const PortForward&) = default;
};

/// One port, a range of ports, a whole address or a block of whole addresses.
struct EndpointRange {
  nat::Prefix prefix;  // the first address; several only when every port is meant
  std::uint16_t first_port = 0;
  std::uint16_t last_port = 0xffff;

  [[nodiscard]] constexpr bool whole() const noexcept { return first_port == 0 && last_port == 0xffff; }
  [[nodiscard]] constexpr std::uint32_t addresses() const noexcept { return 1U << (32U - prefix.length); }
  /// The first port of the n-th address.
  [[nodiscard]] constexpr nat::Endpoint endpoint(std::uint32_t n) const noexcept {
    return {nat::Ipv4Address::from_host(prefix.address.host() + n), nat::Be16{first_port}};
  }
  friend bool operator==(const EndpointRange&, const EndpointRange&) = default;
};

enum class Protocols : std::uint8_t { all, udp, tcp, icmp };

struct StaticMapping {
  Protocols protocol = Protocols::all;
  EndpointRange external;
  EndpointRange inside;
  nat::StaticDirection direction = nat::StaticDirection::both;

  /// Stands for itself: lets a host in route mode be reached.
  [[nodiscard]] bool is_opening() const noexcept { return external == inside; }
  friend bool operator==(const StaticMapping&, const StaticMapping&) = default;
};

/// The protocols that a static mapping is for; ICMP has identifiers, which belong to whole addresses alone.
[[nodiscard]] inline std::vector<nat::Protocol> protocols_of(const StaticMapping& mapping) {
  switch (mapping.protocol) {
    case Protocols::udp:
      return {nat::Protocol::udp};
    case Protocols::tcp:
      return {nat::Protocol::tcp};
    case Protocols::icmp:
      return {nat::Protocol::icmp};
    case Protocols::all:
      break;
  }
  if (!mapping.external.whole()) return {nat::Protocol::udp, nat::Protocol::tcp};
  return {nat::Protocol::udp, nat::Protocol::tcp, nat::Protocol::icmp};
}

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0xffff;

  friend bool operator==(const PortRange&, const PortRange&) = default;
};

struct Exempt {
  nat::Prefix from = {{}, 0};
  nat::Prefix to;
  Protocols protocol = Protocols::all;
  PortRange ports;  // of the destination; a ping has port 0

  friend bool operator==(const Exempt&, const Exempt&) = default;
};

/// Each side is the name of an interface or a prefix.
struct RouteMode {
  std::string inside;
  std::string outside;

  friend bool operator==(const RouteMode&, const RouteMode&) = default;
};

struct Timeouts {
  std::uint32_t udp_s = 300;
  std::uint32_t tcp_established_s = 7440;
  std::uint32_t tcp_opening_s = 240;
  std::uint32_t tcp_closing_s = 240;
  std::uint32_t icmp_s = 60;
  std::uint32_t media_s = 120;  // RTP and RTCP pinholes, unless control keeps the call

  friend bool operator==(const Timeouts&, const Timeouts&) = default;
};

/// One address, or all of a prefix.
struct PoolItem {
  nat::Prefix prefix;

  constexpr PoolItem() noexcept = default;
  // Implicit: an address is the shortest way to write a pool.
  // NOLINTBEGIN(google-explicit-constructor)
  constexpr PoolItem(nat::Ipv4Address address) noexcept : prefix{address, 32} {}
  constexpr PoolItem(nat::Prefix all) noexcept : prefix(all) {}
  // NOLINTEND(google-explicit-constructor)

  friend bool operator==(const PoolItem&, const PoolItem&) = default;
};

/// Of each inside host; 0: as much as there is.
struct Quotas {
  std::uint32_t udp = 8192;
  std::uint32_t tcp = 8192;
  std::uint32_t icmp = 1024;
  std::uint32_t new_per_s = 1000;
  std::uint32_t burst = 4000;

  friend bool operator==(const Quotas&, const Quotas&) = default;
};

/// How external ports are given out; nat::PortPlan is made of it (subscribers.hpp).
struct Ports {
  nat::PortMode mode = nat::PortMode::random;
  std::uint32_t block_size = 512;
  std::uint32_t blocks_per_host = 4;
  std::vector<nat::Prefix> subscribers;  // mode deterministic: numbered in this order
  std::uint32_t rest_s = 120;

  friend bool operator==(const Ports&, const Ports&) = default;
};

/// External addresses that can be told apart, whatever the memory.
inline constexpr std::size_t kMaxExternalAddresses = 65536;

/// A choice by protocol. In a document one value may stand for all three.
struct Filtering {
  nat::Filter udp = nat::Filter::address_dependent;
  nat::Filter tcp = nat::Filter::address_dependent;
  nat::Filter icmp = nat::Filter::address_dependent;

  friend bool operator==(const Filtering&, const Filtering&) = default;
};
struct InboundRefresh {
  bool udp = false;
  bool tcp = false;
  bool icmp = false;

  friend bool operator==(const InboundRefresh&, const InboundRefresh&) = default;
};

/// How large the TCP segments are that a SYN may announce: what the MTUs of both ways allow, whatever hosts
/// like, or so many bytes.
struct Mss {
  static constexpr std::uint16_t kAuto = 0;
  static constexpr std::uint16_t kOff = 0xffff;
  std::uint16_t bytes = kAuto;

  friend bool operator==(const Mss&, const Mss&) = default;
};

struct Tcp {
  Mss mss;
  bool answer_unsolicited = true;

  friend bool operator==(const Tcp&, const Tcp&) = default;
};

/// Who had which external endpoint when.
struct NatLog {
  bool mappings = false;  // besides blocks and refusals, each mapping
  std::string file;       // JSON lines; empty: none
  std::uint32_t file_mb = 64;
  std::uint32_t files = 8;
  std::optional<nat::Endpoint> collector;  // of IPFIX over UDP
  std::uint32_t domain = 0;
  std::uint32_t template_s = 600;

  /// Whether anybody reads what workers record.
  [[nodiscard]] bool wanted() const noexcept { return !file.empty() || collector.has_value(); }
  friend bool operator==(const NatLog&, const NatLog&) = default;
};

struct Nat {
  std::vector<PoolItem> pool;  // empty: the address of the first outside interface
  std::vector<PortForward> forwards;
  std::vector<StaticMapping> static_mappings;
  std::vector<Exempt> exempt;
  std::vector<RouteMode> route;
  Filtering filtering;
  InboundRefresh inbound_refresh;
  Timeouts timeouts;
  Quotas quotas;
  Ports ports;
  Tcp tcp;
  std::uint32_t mappings_per_worker = 65536;
  std::uint32_t hosts_per_worker = 0;    // 0: as many as there may well be
  std::uint32_t remotes_per_worker = 0;  // 0: half as many as mappings
  std::uint32_t tcp_sessions_per_worker = 65536;
  NatLog log;

  friend bool operator==(const Nat&, const Nat&) = default;
};

struct Sip {
  bool enabled = true;
  std::vector<std::uint16_t> ports = {5060};
  bool tcp = true;
  bool tcp_own_host = true;
  bool media_own_host = false;
  std::uint32_t streams_per_worker = 1024;
  alg::sip::Malformed malformed = alg::sip::Malformed::forward;
  std::vector<nat::Prefix> transparent;
  bool hide_parties = false;
  bool hide_call_id = false;
  std::string hide_key;  // 32 hexadecimal digits; empty: drawn at start
  alg::sip::AssertedIdentity asserted_identity = alg::sip::AssertedIdentity::keep;
  alg::sip::Software software = alg::sip::Software::keep;
  std::string software_name = "SIP";
  std::vector<nat::Prefix> only;     // inside hosts whose SIP is read; empty: all
  std::vector<nat::Prefix> exclude;  // and of these not
  bool ignore_df = false;            // fragment messages that outgrow the MTU even if their sender forbids it
  nat::MediaFrom media_from = nat::MediaFrom::latched;
  std::vector<nat::Prefix> latch_from;  // empty: anyone
  bool why = false;
  std::uint32_t calls_per_worker = 8192;
  std::uint32_t registrations_per_worker = 16384;
  alg::sip::LocalMedia local_media = alg::sip::LocalMedia::hairpin;

  friend bool operator==(const Sip&, const Sip&) = default;
};

struct Ftp {
  bool enabled = true;
  std::vector<std::uint16_t> ports = {21};
  std::uint32_t data_timeout_s = 30;
  std::uint32_t keep_alive_s = 60;  // 0: none

  friend bool operator==(const Ftp&, const Ftp&) = default;
};

/// What becomes of a call whose media has been silent for too long.
enum class Inactivity : std::uint8_t {
  end,   // it ends
  shut,  // its media is let through no more, until media is agreed on anew
};

/// 0: as many as there are.
struct CallLimits {
  std::uint32_t total = 0;
  std::uint32_t per_host = 0;
  std::uint32_t per_server = 0;
  std::uint32_t per_s = 0;
  std::uint32_t burst = 0;  // 0: as many as per_s

  [[nodiscard]] bool any() const noexcept { return (total | per_host | per_server | per_s) != 0; }
  friend bool operator==(const CallLimits&, const CallLimits&) = default;
};

/// A line for every call that is over.
struct CallLog {
  std::string file;  // JSON lines; empty: none
  std::uint32_t file_mb = 64;
  std::uint32_t files = 8;

  friend bool operator==(const CallLog&, const CallLog&) = default;
};

/// How calls end that their parties do not end, and how many there may be.
struct Calls {
  std::uint32_t max_duration_s = 43200;    // 0: any
  std::uint32_t ringing_s = 180;           // timer C, RFC 3261 section 16.6
  std::uint32_t answer_ack_s = 32;         // 64*T1, RFC 3261 section 13.3.1.4
  std::uint32_t media_inactivity_s = 120;  // 0: any
  Inactivity media_inactivity = Inactivity::end;
  bool hang_up = true;
  bool measure = false;
  CallLimits limits = {};
  CallLog log = {};

  friend bool operator==(const Calls&, const Calls&) = default;
};

struct Icmp {
  std::uint32_t errors_per_s = 100;  // each worker

  friend bool operator==(const Icmp&, const Icmp&) = default;
};

struct Control {
  std::string socket = "/run/pinhole/control.sock";
  std::string group;                                // of the socket; empty: that of control
  std::string read_group;                           // may only read; empty: none
  std::uint32_t linger_s = 4;                       // a call's media ports stay open this long after its end
  std::string store = "/var/lib/pinhole/state.db";  // empty: nothing is kept

  friend bool operator==(const Control&, const Control&) = default;
};

/// A gateway that others wrote (alg/plugin.h), in a shared object.
struct Plugin {
  std::string file;
  std::string options;  // for the plug-in to read
  bool enabled = true;
  std::uint32_t budget_us = 200;
  std::uint32_t max_faults = 8;

  friend bool operator==(const Plugin&, const Plugin&) = default;
};

struct Config {
  std::vector<Interface> interfaces;
  std::vector<Route> routes;
  Workers workers;
  Dpdk dpdk;
  Nat nat;
  Sip sip;
  Ftp ftp;
  Calls calls;
  Icmp icmp;
  Protection protection;
  std::vector<Plugin> plugins;
  Control control;

  friend bool operator==(const Config&, const Config&) = default;
};

/// The number of the first plug-in among all gateways (ipc::Layout::gateways): those that are built in, SIP
/// and maybe FTP, come first.
[[nodiscard]] constexpr std::size_t first_plugin(const Config& config) noexcept {
  return config.ftp.enabled ? 2 : 1;
}

/// The number of the interface that has a name.
[[nodiscard]] inline std::optional<std::size_t> interface_number(const Config& config,
                                                                 std::string_view name) {
  for (std::size_t i = 0; i < config.interfaces.size(); ++i) {
    if (config.interfaces[i].name == name) return i;
  }
  return std::nullopt;
}

}  // namespace pinhole::config
