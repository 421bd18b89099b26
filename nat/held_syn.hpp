// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// SYNs from outside that nobody asked for (RFC 5382 REQ-4). Such a one may be half of a simultaneous open
// whose other half is on its way out, and an answer would end that; so nothing is said for six seconds. If an
// outbound SYN for the same connection passes meanwhile, the answer is never given, otherwise it is ICMP
// "port unreachable".
//
// What is kept is the beginning of the datagram, which the answer quotes, and not the packet: a flood of SYNs
// takes no packet buffer. Invariant: places are a ring in the order of arrival, which is that of deadlines,
// because all wait alike. A SYN sent again while it is held waits no longer for that; one that finds no place
// is forgotten, and gets no answer. Owned by one worker: that of the external port.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "nat/endpoint.hpp"
#include "nat/hash_chains.hpp"
#include "nat/mapping.hpp"
#include "nat/memory.hpp"
#include "nat/tick.hpp"

namespace pinhole::nat {

struct HeldSyn {
  static constexpr std::size_t kQuoted = 84;  // headers of IPv4 and TCP with their usual options

  Endpoint remote;    // who asks
  Endpoint external;  // whom
  Tick due = 0;
  bool waits = false;          // false: the other half of a simultaneous open has come
  std::uint8_t interface = 0;  // by which it came; the caller's
  std::uint8_t size = 0;
  std::array<std::byte, kQuoted> datagram;

  [[nodiscard]] std::span<const std::byte> quote() const noexcept { return std::span(datagram).first(size); }
};

enum class Held : std::uint8_t {
  held,
  again,  // the same SYN is held already
  full,   // no place: forgotten
};

class HeldSyns {
 public:
  /// 85 a second: more than the rate limit of answers lets through unless it is set high.
  static constexpr std::uint32_t kCapacity = 512;
  /// The tick in which a SYN comes may be nearly over.
  static constexpr Tick kHold = ticks_from_s(6) + 1;

  [[nodiscard]] static constexpr std::size_t bytes_needed() noexcept {
    return carved_bytes<HeldSyn>(kCapacity) + HashChains::bytes_needed(kCapacity);
  }
  /// \param seed  secret: without it nobody can choose endpoints that share a chain
  HeldSyns(std::uint64_t seed, std::span<std::byte> memory) noexcept : HeldSyns(seed, Carver(memory)) {}

  /// \param datagram  from the IPv4 header on, at least that
  Held hold(Endpoint remote, Endpoint external, std::span<const std::byte> datagram, std::uint8_t interface,
            Tick now) noexcept {
    const std::uint64_t hash = hash_of(remote, external);
    if (find(remote, external, hash) != HashChains::kNone) return Held::again;
    if (size_ == kCapacity) return Held::full;
    const std::uint32_t place = (first_ + size_) % kCapacity;
    ++size_;
    auto& syn = syns_[place];
    syn.remote = remote;
    syn.external = external;
    syn.due = now + kHold;
    syn.waits = true;
    syn.interface = interface;
    syn.size = static_cast<std::uint8_t>(std::min(datagram.size(), syn.datagram.size()));
    std::memcpy(syn.datagram.data(), datagram.data(), syn.size);
    chains_.add(place, hash);
    return Held::held;
  }

  /// An outbound SYN was translated. \return whether it met one that is held, which is forgotten then
  bool meet(Endpoint remote, Endpoint external) noexcept {
    if (size_ == 0) return false;
    const std::uint64_t hash = hash_of(remote, external);
    const std::uint32_t place = find(remote, external, hash);
    if (place == HashChains::kNone) return false;
    chains_.remove(place, hash);
    syns_[place].waits = false;
    return true;
  }

  /// Takes out what has waited for long enough. \param answer `void(const HeldSyn&)`, noexcept
  /// \param budget  places
  template <typename Answer>
  void expire(Tick now, std::uint32_t budget, Answer&& answer) noexcept {
    for (; size_ > 0 && budget > 0; --budget) {
      auto& syn = syns_[first_];
      if (!reached(syn.due, now)) return;
      if (syn.waits) {
        chains_.remove(first_, hash_of(syn.remote, syn.external));
        answer(static_cast<const HeldSyn&>(syn));
      }
      first_ = (first_ + 1) % kCapacity;
      --size_;
    }
  }

  /// Places that are taken.
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

 private:
  HeldSyns(std::uint64_t seed, Carver memory) noexcept
      : seed_(seed), syns_(memory.take<HeldSyn>(kCapacity)), chains_(kCapacity, seed, memory) {}

  [[nodiscard]] std::uint64_t hash_of(Endpoint remote, Endpoint external) const noexcept {
    std::uint64_t mixed = (endpoint_word(remote) ^ seed_) * 0x9e3779b97f4a7c15U;  // 2^64 / golden ratio
    mixed ^= mixed >> 32U;
    mixed = (mixed + endpoint_word(external)) * 0xd6e8feb86659fd93U;  // odd, half its bits set
    return mixed ^ mixed >> 32U;
  }
  [[nodiscard]] std::uint32_t find(Endpoint remote, Endpoint external, std::uint64_t hash) const noexcept {
    std::uint32_t place = chains_.first(hash);
    while (place != HashChains::kNone &&
           !(syns_[place].remote == remote && syns_[place].external == external)) {
      place = chains_.next(place);
    }
    return place;
  }

  std::uint64_t seed_;
  std::span<HeldSyn> syns_;
  HashChains chains_;
  std::uint32_t first_ = 0;
  std::uint32_t size_ = 0;
};

}  // namespace pinhole::nat
