// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A mapping: one inside endpoint stands for one external endpoint (RFC 4787 REQ-1), whoever the remote is.
// It is one cache line and holds all that a packet needs. Invariant: a line belongs to one worker; others,
// the control process included, only read it, and check `generation` before and after (odd: free or being
// changed).

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "nat/endpoint.hpp"
#include "nat/tick.hpp"

namespace pinhole::nat {

/// An index into the owner's array of mappings.
using MappingIndex = std::uint32_t;
inline constexpr MappingIndex kNoMapping = ~MappingIndex{0};

/// Who may send to the external endpoint from outside (RFC 4787 section 5).
enum class Filter : std::uint8_t {
  endpoint_independent,
  address_dependent,
  address_and_port_dependent,
  expected,  // as the one before; and from outside nothing begins that no gateway has announced
};

/// From whom a media pinhole takes packets, besides those whom inside sends to (RFC 7362).
enum class MediaFrom : std::uint8_t {
  signalled,  // from the addresses that the descriptions of its call name
  latched,    // and while nobody has come in, from the first who does, who stays
  anywhere,   // from anyone
};

/// Whether a mapping translates, or stands for itself (external equals inside) because nothing is to be
/// translated between its two sides. One inside endpoint may have a mapping of each.
enum class Realm : std::uint8_t { translated, untranslated };

/// Which time-out a mapping obeys; the ticks are in nat::Timeouts.
enum class TimeoutClass : std::uint8_t {
  udp,
  tcp_established,
  tcp_opening,
  tcp_closing,
  icmp,
  media,
  permanent
};

struct MappingFlags {
  static constexpr std::uint8_t kStatic = 1;      // from the configuration: never expires
  static constexpr std::uint8_t kPinhole = 2;     // media opened by an ALG; `parent` is the call that owns it
  static constexpr std::uint8_t kSip = 4;         // SIP is looked for in packets to and from this mapping
  static constexpr std::uint8_t kHasRemote = 8;   // `remote` is set
  static constexpr std::uint8_t kRegular = 16;    // every packet takes the regular path
  static constexpr std::uint8_t kRefreshIn = 32;  // packets from outside keep it alive, too
  static constexpr std::uint8_t kLatching = 64;   // a pinhole that the first to come in has to himself
  static constexpr std::uint8_t kLatched = 128;   // a pinhole whose `remote` came in like that, unnamed
};

/// The number of a next hop that its worker has a link header ready for; none: packets take the regular path.
using HopNumber = std::uint16_t;
inline constexpr HopNumber kNoHop = 0;

struct alignas(64) Mapping {
  // What it is found by from inside, as one word: key_word().
  Endpoint inside;
  Protocol protocol = Protocol::udp;
  Realm realm = Realm::translated;

  Endpoint remote;  // the first remote that was sent to, or the last that was admitted
  std::uint8_t flags = 0;
  Filter filter : 2 = Filter::address_dependent;
  TimeoutClass timeout_class : 3 = TimeoutClass::udp;
  // Signalling: the host writes its endpoint without the port there (alg::Portless).
  bool portless_uri : 1 = false;
  bool portless_via : 1 = false;
  bool was_shut : 1 = false;  // by what gave it its generation; see LocalEndpoints::shut()

  Endpoint external;
  std::uint16_t pool_index = 0;  // which external address
  // RFC 1624 deltas for inside → external, to be added in one's complement; the other way is their
  // complement.
  std::uint16_t ip_delta = 0xffff;    // address only: the IPv4 header checksum; never 0 (kNoChange)
  std::uint16_t transport_delta = 0;  // address and port (UDP, TCP) or identifier only (ICMP)
  // Of plain packets to and from `remote`. Invariant: there is none unless the mapping is taken, kHasRemote
  // is set, and neither kRegular nor kSip is, so that who finds one need not ask.
  HopNumber hop_out = kNoHop;
  HopNumber hop_in = kNoHop;

  Tick last_seen = 0;
  Tick keep_until = 0;  // not freed for idleness before this tick (a registration's or a call's promise)
  std::uint32_t packets_out = 0;
  std::uint32_t packets_in = 0;
  std::uint64_t bytes = 0;  // IP bytes, both directions
  // Pinholes: index of the owning call in the worker's call table. TCP: connections_of().
  std::uint32_t parent = ~std::uint32_t{0};
  std::atomic<std::uint32_t> generation{1};  // odd: free
};
static_assert(sizeof(Mapping) == 64);
static_assert(offsetof(Mapping, inside) == 0 && offsetof(Mapping, realm) == 7);

/// The key of a mapping as one word, as the table hashes and compares it.
[[nodiscard]] constexpr std::uint64_t key_word(Protocol protocol, const Endpoint& inside,
                                               Realm realm = Realm::translated) noexcept {
  return inside.address.value.raw() | std::uint64_t{inside.port.raw()} << 32U |
         std::uint64_t{static_cast<std::uint8_t>(protocol)} << 48U |
         std::uint64_t{static_cast<std::uint8_t>(realm)} << 56U;
}
[[nodiscard]] inline std::uint64_t key_word(const Mapping& mapping) noexcept {
  std::uint64_t word;
  std::memcpy(&word, &mapping, sizeof word);
  return word;
}
inline void set_key_word(Mapping& mapping, std::uint64_t word) noexcept {
  std::memcpy(static_cast<void*>(&mapping), &word, sizeof word);
}
/// How many connections go through a TCP mapping. Those that died without a word count until their session's
/// place is wanted. A count that was ever at its end stays there: the mapping lives rather longer then.
struct TcpConnections {
  std::uint16_t established = 0;
  std::uint16_t opening = 0;

  static constexpr std::uint16_t kMost = 0xffff;
};
[[nodiscard]] constexpr TcpConnections connections_of(const Mapping& mapping) noexcept {
  return {.established = static_cast<std::uint16_t>(mapping.parent),
          .opening = static_cast<std::uint16_t>(mapping.parent >> 16U)};
}
inline void set_connections(Mapping& mapping, TcpConnections connections) noexcept {
  mapping.parent = connections.established | std::uint32_t{connections.opening} << 16U;
}

/// From now on all packets of a mapping take the regular path. \param why  kSip or kRegular
inline void keep_to_regular_path(Mapping& mapping, std::uint8_t why) noexcept {
  mapping.flags |= why;
  mapping.hop_out = kNoHop;
  mapping.hop_in = kNoHop;
}

/// An endpoint as one word of 48 bits.
[[nodiscard]] constexpr std::uint64_t endpoint_word(Endpoint endpoint) noexcept {
  return endpoint.address.value.raw() | std::uint64_t{endpoint.port.raw()} << 32U;
}
/// The endpoint of such a word, or of a key_word().
[[nodiscard]] constexpr Endpoint endpoint_of(std::uint64_t word) noexcept {
  return {{Be32::from_raw(static_cast<std::uint32_t>(word))},
          Be16::from_raw(static_cast<std::uint16_t>(word >> 32U))};
}

}  // namespace pinhole::nat
