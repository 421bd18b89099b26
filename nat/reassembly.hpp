// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Reassembly of the datagrams that a gateway has to read as a whole (RFC 791 section 3.2). Their fragments
// are known to be of a flow already (nat/fragment.hpp); here they are kept, as opaque pointers, until all are
// there. Nothing is copied: who gets them puts the bytes together, or sends the fragments on as they came.
//
// Theory of operation. A datagram is a list of its pieces in the order of their places. It is whole when the
// last piece is there and the pieces add up to its end. A piece that overlaps another one says that somebody
// wants the bytes to be read in two ways: the datagram is given up (RFC 1858, RFC 5722); a piece that comes
// twice is dropped alone. A datagram that is not whole after kLifetime is given up, too.
//
// Nobody can use it up. All memory is given at start. When there is no place, the oldest datagrams make room,
// and one source has a share of the places, beyond which it is refused; sources are counted in buckets by a
// secret hash. Finding a piece's place takes as many steps as a datagram may have pieces, at worst, and one
// when they come in order or in reverse.
//
// Invariant: a packet that was handed in comes out exactly once, by `give` or by `drop`. Owned by one worker.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nat/drop_reason.hpp"
#include "nat/endpoint.hpp"
#include "nat/fragment.hpp"
#include "nat/hash_chains.hpp"
#include "nat/memory.hpp"
#include "nat/tick.hpp"

namespace pinhole::nat {

/// What the fragments of a datagram of a known flow have in common. Ports are those of the first one.
struct ReassemblyKey {
  Endpoint source;
  Endpoint destination;
  Be16 identification;
  bool from_inside = false;

  friend constexpr bool operator==(ReassemblyKey, ReassemblyKey) noexcept = default;
};

/// How much a Reassembly holds.
struct ReassemblyLimits {
  std::uint32_t datagrams = 256;           // at most 65,535
  std::uint32_t datagrams_of_source = 64;  // a quarter: a provider's proxy is one source
  std::uint32_t pieces = 1024;             // at most 65,535
  std::uint32_t pieces_of_source = 256;
  std::uint32_t pieces_of_datagram = 128;  // 65,535 bytes in fragments of 552, for an MTU of 576
};

class Reassembly {
 public:
  /// How long a datagram may take: as long as the flow of its fragments is remembered.
  static constexpr Tick kLifetime = FragmentTable::kRemember;

  [[nodiscard]] static std::size_t bytes_needed(const ReassemblyLimits& limits) noexcept;
  /// \param memory  bytes_needed(), aligned to a cache line
  /// \param seed    secret, so that nobody can choose datagrams or sources that meet
  Reassembly(const ReassemblyLimits& limits, std::uint64_t seed, std::span<std::byte> memory) noexcept;
  Reassembly(const Reassembly&) = delete;
  Reassembly& operator=(const Reassembly&) = delete;

  /// Takes a fragment.
  /// \param give  called as give(void* packet) for each piece in order, when the datagram is whole
  /// \param drop  called as drop(void* packet, DropReason)
  /// Neither may use the table.
  /// \return whether the datagram is whole
  template <typename Give, typename Drop>
  bool take(const ReassemblyKey& key, FragmentRange range, void* packet, Tick now, Give&& give,
            Drop&& drop) noexcept {
    const Joined joined = join(key, range, now);
    give_back(joined.displaced,
              [&](void* piece) noexcept { drop(piece, DropReason::drop_sip_fragment_overflow); });
    give_back(joined.refused, [&](void* piece) noexcept { drop(piece, joined.reason); });
    if (joined.reason != DropReason::none) {
      drop(packet, joined.reason);
      return false;
    }
    const Index whole = insert(joined.at, joined.behind, range, packet);
    give_back(whole, give);
    return whole != kNone;
  }

  /// Gives up what is too old. \param budget  datagrams, at most
  template <typename Drop>
  void expire(Tick now, std::uint32_t budget, Drop&& drop) noexcept {
    for (; budget > 0 && oldest_ != kNone && reached(table_[oldest_].since + kLifetime, now); --budget) {
      give_back(forget(oldest_),
                [&](void* piece) noexcept { drop(piece, DropReason::drop_sip_fragment_timeout); });
    }
  }

  [[nodiscard]] std::uint32_t datagrams() const noexcept { return datagrams_; }
  [[nodiscard]] std::uint32_t pieces() const noexcept { return pieces_; }

 private:
  using Index = std::uint16_t;
  static constexpr Index kNone = 0xffff;
  static constexpr std::uint32_t kSourceBuckets = 256;

  struct Datagram {
    ReassemblyKey key;
    Index older = kNone;
    Index newer = kNone;  // of a free one: the next free one
    Tick since = 0;
    Index first = kNone;  // pieces, in order
    Index last = kNone;
    std::uint16_t pieces = 0;
    std::uint16_t units = 0;  // of all pieces
    std::uint16_t total = 0;  // 0: the last fragment was not seen
  };
  struct Piece {
    void* packet = nullptr;
    std::uint16_t begin = 0;
    std::uint16_t end = 0;
    Index next = kNone;  // of a free one: the next free one
  };
  struct SourceShare {
    std::uint16_t datagrams = 0;
    std::uint16_t pieces = 0;
  };

  // Lists of pieces that are to be given back are named by their first; kNone: none.
  struct Joined {  // it stays behind another piece of a datagram, or is dropped for a reason
    Index at = kNone;
    Index behind = kNone;  // kNone: it is the first
    DropReason reason = DropReason::none;
    Index refused = kNone;  // with it, for the same reason
    Index displaced = kNone;
  };
  enum class Fit : std::uint8_t { free, repeated, overlaps };
  struct Place {
    Fit fit = Fit::free;
    Index behind = kNone;
  };

  Reassembly(const ReassemblyLimits& limits, std::uint64_t seed, Carver memory) noexcept;

  [[nodiscard]] Joined join(const ReassemblyKey& key, FragmentRange range, Tick now) noexcept;
  [[nodiscard]] Place place_for(const Datagram& datagram, FragmentRange range) const noexcept;
  [[nodiscard]] Index insert(Index at, Index behind, FragmentRange range, void* packet) noexcept;
  [[nodiscard]] std::uint64_t hash_of(const ReassemblyKey& key) const noexcept;
  [[nodiscard]] SourceShare& share_of(Ipv4Address source) noexcept;
  [[nodiscard]] Index find(const ReassemblyKey& key, std::uint64_t hash) const noexcept;
  [[nodiscard]] Index add(const ReassemblyKey& key, std::uint64_t hash, Tick now) noexcept;
  [[nodiscard]] Index forget(Index at) noexcept;

  template <typename Callback>
  void give_back(Index first, Callback&& callback) noexcept {
    while (first != kNone) {
      const Piece piece = places_[first];
      places_[first].next = free_place_;
      free_place_ = first;
      first = piece.next;
      callback(piece.packet);
    }
  }

  ReassemblyLimits limits_;
  std::uint64_t seed_;
  HashChains chains_;
  std::span<Datagram> table_;
  std::span<Piece> places_;
  std::span<SourceShare> shares_;
  Index free_datagram_ = kNone;
  Index free_place_ = kNone;
  Index oldest_ = kNone;
  Index newest_ = kNone;
  std::uint32_t datagrams_ = 0;
  std::uint32_t pieces_ = 0;
};

}  // namespace pinhole::nat
