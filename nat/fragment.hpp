// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Fragments: which flow they belong to (RFC 4787 REQ-14). Only the first fragment of a datagram has the
// ports, so this table learns them there and tells them to the others; nothing is put together, and each
// fragment goes on by itself as soon as its flow is known ("virtual reassembly").
//
// Theory of operation. A datagram is known by addresses, protocol, identification and the side that it comes
// from. A fragment that comes before the first one waits, as an opaque pointer, until the first one comes or
// kWait is over. Once the first is known, later fragments pass at once, and the datagram is forgotten when
// all of its bytes have been seen, or after kRemember: soon, because identifications are used again (RFC
// 4963).
//
// Nobody can use it up (REQ-14a). All memory is given at start. When there is no place for a new datagram, or
// for a packet to wait, the oldest ones make room: a flood has to be faster than the pause between two
// fragments of one datagram to hurt. One source has a share of the places and is refused beyond it, so that a
// single flooder does not make others give way at all; sources are counted in buckets by a secret hash.
//
// Invariant: a packet that was handed in comes out exactly once, by `pass` or by `drop`, and datagrams that
// hold packets are the `waiting` ones. Owned by one worker.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nat/drop_reason.hpp"
#include "nat/endpoint.hpp"
#include "nat/hash_chains.hpp"
#include "nat/headers.hpp"
#include "nat/identification.hpp"
#include "nat/memory.hpp"
#include "nat/packet.hpp"
#include "nat/tick.hpp"

namespace pinhole::nat {

/// What all fragments of a datagram have in common (RFC 791 section 3.2), and the side that they come from:
/// both sides may use the same addresses (RFC 4787 REQ-7).
struct DatagramKey {
  Ipv4Address source;
  Ipv4Address destination;
  Be16 identification;
  Protocol protocol = Protocol::udp;
  bool from_inside = false;

  friend constexpr bool operator==(DatagramKey, DatagramKey) noexcept = default;
};

/// Which part of its datagram a fragment is, in units of 8 bytes as the header counts them.
struct FragmentRange {
  std::uint16_t begin = 0;
  std::uint16_t end = 0;  // behind its last byte, rounded up
  bool is_last = false;

  friend constexpr bool operator==(FragmentRange, FragmentRange) noexcept = default;
};

/// \param ip  of a fragment of at least one byte and at most 65,535 of its datagram
[[nodiscard]] inline FragmentRange fragment_range(const Ipv4Header& ip) noexcept {
  const std::uint16_t field = ip.fragment.host();
  const auto begin = static_cast<std::uint16_t>(field & Ipv4Header::kFragmentOffset);
  const std::size_t size = ip.total_length.host() - ip.header_size();
  const std::size_t units = (size + Ipv4Header::kFragmentUnit - 1) / Ipv4Header::kFragmentUnit;
  return {begin, static_cast<std::uint16_t>(begin + units), (field & Ipv4Header::kMoreFragments) == 0};
}

/// What the first fragment tells of all others.
struct FragmentFlow {
  Be16 source_port;  // ports and identifiers as in Packet
  Be16 destination_port;
  std::uint8_t icmp_type = 0;
  Be16 identification;  // with which the datagram goes on: a new one from inside, else its own
};

/// Makes a fragment whose flow is known a packet of that flow. \param packet  of kind fragment
inline void set_flow(Packet& packet, const FragmentFlow& flow) noexcept {
  packet.kind = PacketKind::flow;
  packet.source.port = flow.source_port;
  packet.destination.port = flow.destination_port;
  packet.icmp_type = flow.icmp_type;
  packet.identification = flow.identification;
}

/// How much of a datagram has been seen. Exact as long as what has been seen is at most kRanges pieces; more
/// are not kept, and the datagram then never looks complete.
class Coverage {
 public:
  void add(FragmentRange range) noexcept;
  [[nodiscard]] bool complete() const noexcept {
    return total_ != 0 && size_ == 1 && ranges_[0].begin == 0 && ranges_[0].end >= total_;
  }

 private:
  static constexpr std::uint8_t kRanges = 4;
  struct Range {
    std::uint16_t begin = 0;
    std::uint16_t end = 0;
  };
  std::array<Range, kRanges> ranges_;  // apart from each other, in no order
  std::uint16_t total_ = 0;            // 0: the last fragment was not seen
  std::uint8_t size_ = 0;
};

/// How much a FragmentTable holds.
struct FragmentLimits {
  std::uint32_t datagrams = 4096;           // at most 65,535
  std::uint32_t datagrams_of_source = 512;  // an eighth
  std::uint32_t waiting = 1024;             // packets; at most 65,535
  std::uint32_t waiting_of_source = 128;
  std::uint32_t waiting_of_datagram = 128;  // 65,535 bytes in fragments of 552, for an MTU of 576
};

class FragmentTable {
 public:
  /// How long a fragment waits for the first one: reordering takes milliseconds.
  static constexpr Tick kWait = ticks_from_s(2);
  /// How long the ports of a datagram are remembered when some of it does not come.
  static constexpr Tick kRemember = ticks_from_s(5);

  [[nodiscard]] static std::size_t bytes_needed(const FragmentLimits& limits) noexcept;
  /// \param memory  bytes_needed(), aligned to a cache line
  /// \param seed    secret, so that nobody can choose datagrams or sources that meet
  /// \param ids     numbers for datagrams from inside; outlives the table
  FragmentTable(const FragmentLimits& limits, std::uint64_t seed, DatagramIds& ids,
                std::span<std::byte> memory) noexcept;
  FragmentTable(const FragmentTable&) = delete;
  FragmentTable& operator=(const FragmentTable&) = delete;

  /// Takes the first fragment of a datagram, which passes in any case, and before those that waited for it.
  /// \param range  begins at 0
  /// \param flow   its ports; the identification is filled in here
  /// \param pass   called as pass(void* packet, const FragmentFlow&)
  /// \param drop   called as drop(void* packet, DropReason)
  /// Neither may use the table.
  template <typename Pass, typename Drop>
  void take_first(const DatagramKey& key, FragmentRange range, FragmentFlow flow, void* packet, Tick now,
                  Pass&& pass, Drop&& drop) noexcept {
    const Learned learned = learn(key, range, flow, now);
    give_back(learned.displaced, [&](const Waiting& waiting) noexcept {
      drop(waiting.packet, DropReason::drop_fragment_overflow);
    });
    pass(packet, learned.flow);
    give_back(learned.released, [&](const Waiting& waiting) noexcept {
      if (waiting.begin < range.end) return drop(waiting.packet, DropReason::drop_fragment_overlap);
      pass(waiting.packet, learned.flow);
    });
  }

  /// Takes any other fragment: it passes, waits, or is dropped at once.
  /// \param range  begins behind 0
  template <typename Pass, typename Drop>
  void take_later(const DatagramKey& key, FragmentRange range, void* packet, Tick now, Pass&& pass,
                  Drop&& drop) noexcept {
    const Joined joined = join(key, range, now);
    give_back(joined.displaced, [&](const Waiting& waiting) noexcept {
      drop(waiting.packet, DropReason::drop_fragment_overflow);
    });
    if (joined.waits_at != kNone) return wait(joined.waits_at, range, packet);
    if (joined.reason != DropReason::none) return drop(packet, joined.reason);
    pass(packet, joined.flow);
  }

  /// Forgets what is too old, and drops what waited for too long. \param budget  datagrams, at most
  template <typename Drop>
  void expire(Tick now, std::uint32_t budget, Drop&& drop) noexcept {
    for (; budget > 0; --budget) {
      const Expired expired = forget_oldest(now);
      if (!expired.any) return;
      give_back(expired.packets, [&](const Waiting& waiting) noexcept {
        drop(waiting.packet, DropReason::drop_fragment_timeout);
      });
    }
  }

  [[nodiscard]] std::uint32_t datagrams() const noexcept { return datagrams_; }
  [[nodiscard]] std::uint32_t waiting() const noexcept { return waiting_; }

 private:
  using Index = std::uint16_t;
  static constexpr Index kNone = 0xffff;
  static constexpr std::uint32_t kSourceBuckets = 1024;

  struct Datagram {
    DatagramKey key;
    Index older = kNone;
    Index newer = kNone;  // of a free one: the next free one
    Tick since = 0;       // began to wait, or was learnt
    FragmentFlow flow;
    bool is_known = false;        // its first fragment was seen
    std::uint16_t first_end = 0;  // where the first fragment ends
    Coverage coverage;
    Index first_waiting = kNone;
    Index last_waiting = kNone;
    std::uint16_t waiting = 0;
  };
  static_assert(sizeof(Datagram) <= 64);
  struct Waiting {
    void* packet = nullptr;
    std::uint16_t begin = 0;
    Index next = kNone;
  };
  /// Datagrams by age, linked by `older` and `newer`.
  struct AgeList {
    Index oldest = kNone;
    Index newest = kNone;
  };
  struct SourceShare {
    std::uint16_t datagrams = 0;
    std::uint16_t waiting = 0;
  };

  // Chains of waiting packets that are to be given back are named by their first; kNone: none.
  struct Learned {
    FragmentFlow flow;
    Index released = kNone;
    Index displaced = kNone;
  };
  struct Joined {  // it waits, or is dropped for a reason, or passes as part of `flow`
    FragmentFlow flow;
    Index waits_at = kNone;
    DropReason reason = DropReason::none;
    Index displaced = kNone;
  };
  struct Expired {
    bool any = false;
    Index packets = kNone;
  };

  FragmentTable(const FragmentLimits& limits, std::uint64_t seed, DatagramIds& ids, Carver memory) noexcept;

  [[nodiscard]] Learned learn(const DatagramKey& key, FragmentRange range, FragmentFlow flow,
                              Tick now) noexcept;
  [[nodiscard]] Joined join(const DatagramKey& key, FragmentRange range, Tick now) noexcept;
  [[nodiscard]] Expired forget_oldest(Tick now) noexcept;

  [[nodiscard]] std::uint64_t hash_of(const DatagramKey& key) const noexcept;
  [[nodiscard]] std::size_t bucket_of(Ipv4Address source) const noexcept;
  [[nodiscard]] Index find(const DatagramKey& key, std::uint64_t hash) const noexcept;
  [[nodiscard]] Index make_room() noexcept;
  [[nodiscard]] Index add(const DatagramKey& key, std::uint64_t hash, bool is_known, Tick now) noexcept;
  [[nodiscard]] Index forget(Index at) noexcept;
  [[nodiscard]] Index take_waiting(Index at) noexcept;
  void wait(Index at, FragmentRange range, void* packet) noexcept;
  [[nodiscard]] AgeList& list_of(const Datagram& datagram) noexcept {
    return datagram.is_known ? known_list_ : waiting_list_;
  }
  void link_newest(Index at) noexcept;
  void unlink(Index at) noexcept;

  template <typename Callback>
  void give_back(Index first, Callback&& callback) noexcept {
    while (first != kNone) {
      const Waiting waiting = places_[first];
      places_[first].next = free_place_;
      free_place_ = first;
      first = waiting.next;
      callback(waiting);
    }
  }

  FragmentLimits limits_;
  std::uint64_t seed_;
  DatagramIds& ids_;
  HashChains chains_;
  std::span<Datagram> table_;
  std::span<Waiting> places_;
  std::span<SourceShare> shares_;
  Index free_datagram_ = kNone;
  Index free_place_ = kNone;
  AgeList known_list_;
  AgeList waiting_list_;
  std::uint32_t datagrams_ = 0;
  std::uint32_t waiting_ = 0;
};

}  // namespace pinhole::nat
