// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Who owns what: the law by which inside hosts and blocks of external ports are dealt out to workers. It is
// pure arithmetic, so that steering (which looks owners up) and the port pool (which hands out only what its
// worker owns) cannot disagree.

#include <cstdint>

#include "nat/endpoint.hpp"

namespace pinhole::nat {

inline constexpr unsigned kMaxWorkers = 16;

/// Consecutive external ports that have one owner. 64 is one word of a port pool's bitmap; it keeps every
/// even/odd pair in one block; and it puts 16 blocks below port 1024, so that each of kMaxWorkers has some of
/// the low ports that RFC 4787 REQ-3a asks for.
inline constexpr std::uint32_t kPortBlock = 64;
inline constexpr std::uint32_t kPorts = 65536;
inline constexpr std::uint32_t kPortBlocks = kPorts / kPortBlock;  // of one external address

inline constexpr std::uint32_t kLowPorts = 1024;  // the well-known ports of RFC 4787 REQ-3a

[[nodiscard]] constexpr std::uint32_t port_block(std::uint16_t port) noexcept {
  return port / kPortBlock;
}

/// A well mixed 32-bit hash of an address. `salt` gives independent hashes of the same address.
[[nodiscard]] constexpr std::uint32_t hash_address(Ipv4Address address, std::uint64_t salt) noexcept {
  std::uint64_t mixed = (address.host() ^ salt) * 0x9e3779b97f4a7c15U;  // 2^64 / golden ratio
  mixed ^= mixed >> 32U;
  mixed *= 0xd6e8feb86659fd93U;  // odd, half its bits set
  return static_cast<std::uint32_t>(mixed >> 32U);
}

/// Maps a hash evenly to 0..count-1 without a division.
[[nodiscard]] constexpr std::uint32_t scale(std::uint32_t hash, std::uint32_t count) noexcept {
  return static_cast<std::uint32_t>((std::uint64_t{hash} * count) >> 32U);
}

/// The worker that owns an inside host.
[[nodiscard]] constexpr unsigned owner_of_inside(Ipv4Address address, unsigned workers) noexcept {
  return scale(hash_address(address, 0), workers);
}

/// The worker that owns a block of ports of an external address, static forwards apart. Neighbouring blocks
/// have different owners, and so has one block of neighbouring addresses.
[[nodiscard]] constexpr unsigned owner_of_block(std::uint16_t pool_index, std::uint32_t block,
                                                unsigned workers) noexcept {
  return (pool_index + block) % workers;
}

/// The worker that finds out which flow a fragment from outside belongs to: the same for all fragments of a
/// datagram, whichever worker receives them.
[[nodiscard]] constexpr unsigned owner_of_fragment(Ipv4Address source, Ipv4Address destination,
                                                   Be16 identification, unsigned workers) noexcept {
  const std::uint64_t datagram = std::uint64_t{destination.host()} << 32U ^ identification.host();
  return scale(hash_address(source, datagram), workers);
}

/// The external address that an inside host gets, the same for all its flows (RFC 4787 REQ-2). Independent
/// of the owner, so that each worker uses all addresses.
[[nodiscard]] constexpr std::uint16_t pool_index_of_inside(Ipv4Address address,
                                                           std::uint32_t pool_size) noexcept {
  return static_cast<std::uint16_t>(scale(hash_address(address, 0x6a09e667f3bcc908U), pool_size));
}

}  // namespace pinhole::nat
