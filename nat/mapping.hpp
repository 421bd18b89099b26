// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A mapping: one inside endpoint stands for one external endpoint (RFC 4787 REQ-1), whoever the remote is.
// It is one cache line and holds all that a packet needs. Invariant: a line belongs to one worker; others,
// the control process included, only read it, and check `generation` before and after (odd: free or being
// changed).

#include <atomic>
#include <cstdint>

#include "nat/endpoint.hpp"
#include "nat/tick.hpp"

namespace pinhole::nat {

/// An index into the owner's array of mappings.
using MappingIndex = std::uint32_t;
inline constexpr MappingIndex kNoMapping = ~MappingIndex{0};

/// Who may send to the external endpoint from outside (RFC 4787 section 5).
enum class Filter : std::uint8_t { endpoint_independent, address_dependent };

/// Which time-out a mapping obeys; the ticks are in nat::Timeouts.
enum class TimeoutClass : std::uint8_t { udp, tcp_established, tcp_transitory, icmp, media, permanent };

enum class TcpState : std::uint8_t { none, syn_out, syn_in, established, fin_out, fin_in, closing, reset };

struct MappingFlags {
  static constexpr std::uint8_t kStatic = 1;     // from the configuration: never expires
  static constexpr std::uint8_t kPinhole = 2;    // media opened by an ALG; `parent` is the call that owns it
  static constexpr std::uint8_t kSip = 4;        // SIP is looked for in packets to and from this mapping
  static constexpr std::uint8_t kHasRemote = 8;  // `remote` is set
};

struct alignas(64) Mapping {
  Endpoint inside;
  Endpoint external;
  Endpoint remote;  // the first remote that was sent to, or the last that was admitted
  Protocol protocol = Protocol::udp;
  std::uint8_t flags = 0;
  TcpState tcp_state = TcpState::none;
  TimeoutClass timeout_class = TimeoutClass::udp;
  Filter filter = Filter::address_dependent;
  std::uint8_t reserved = 0;
  // RFC 1624 deltas for inside → external, to be added in one's complement; the other way is their
  // complement.
  std::uint16_t ip_delta = 0;         // address only: the IPv4 header checksum
  std::uint16_t transport_delta = 0;  // address and port (UDP, TCP) or identifier only (ICMP)
  std::uint16_t pool_index = 0;       // which external address
  Tick last_seen = 0;
  Tick keep_until = 0;  // not freed for idleness before this tick (a registration's or a call's promise)
  std::uint32_t packets_out = 0;
  std::uint32_t packets_in = 0;
  std::uint64_t bytes = 0;                   // IP bytes, both directions
  std::uint32_t parent = ~std::uint32_t{0};  // pinholes: index of the owning call in the worker's call table
  std::atomic<std::uint32_t> generation{1};  // odd: free
};
static_assert(sizeof(Mapping) == 64);

}  // namespace pinhole::nat
