// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The TCP connections of one worker whose bytes a gateway reads, found by mapping and remote; the chunks that
// they hold; and which of them time has something to do for. Fixed memory, of which SIP and the other
// gateways have places and chunks of their own. Invariant: a connection that finds no place is not read at
// all, and does not begin where all are to be read.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "alg/stream/chunk_pool.hpp"
#include "alg/stream/engine.hpp"
#include "alg/stream/stream.hpp"
#include "dataplane/foreign.hpp"
#include "dataplane/gateway/flow_table.hpp"
#include "dataplane/gateway/ports.hpp"
#include "nat/endpoint.hpp"
#include "nat/hash_chains.hpp"
#include "nat/mapping.hpp"
#include "nat/memory.hpp"
#include "nat/tick.hpp"

namespace pinhole::dataplane {

struct StreamEntry {
  alg::stream::Stream stream;
  nat::MappingIndex mapping = nat::kNoMapping;  // kNoMapping: the place is free
  std::uint32_t generation = 0;                 // of the mapping: the stream dies with it
  nat::Endpoint remote;
  std::uint8_t ttl[2] = {64, 64};  // of each side's last packet
  std::uint8_t type_of_service[2] = {0, 0};
  PortOwner owner = kSipOwner;   // who reads it
  FlowRef flow;                  // of a gateway that keeps any
  bool has_come_about = false;   // was established, since it began
  bool is_ending = false;        // half closed, closed or reset
  bool parked = false;           // in the parking lot: its place is not given to another
  bool switched_on = true;       // whether the gateway was for its last packet
  std::uint16_t interfaces = 0;  // by which it came in and went out, a bit each
  std::array<nat::Tick, 2>
      waits_until{};  // by the side that sends, while a message of it waits; 0: none does
  nat::Tick begun_at = 0;
  nat::Tick ending_at = 0;  // since when it is
  nat::Tick last_seen = 0;
  std::uint32_t armed_at = kNotArmed;  // place in the list of those with something to do
  std::uint32_t next_free = 0;

  static constexpr std::uint32_t kNotArmed = ~std::uint32_t{0};
};

/// How many connections may be read at a time. One place at least is of somebody.
struct StreamPlaces {
  std::uint32_t sip = 1;
  std::uint32_t others = 0;

  [[nodiscard]] constexpr std::uint32_t all() const noexcept { return sip + others; }
};

class StreamTable {
 public:
  [[nodiscard]] static constexpr std::uint32_t chunks_for(std::uint32_t streams) noexcept {
    constexpr std::uint32_t kMore = 256;  // several large messages at once
    // Each connection may have begun a message while what was read was acknowledged.
    return streams == 0 ? 0 : streams + kMore;
  }
  [[nodiscard]] static constexpr std::size_t bytes_needed(StreamPlaces places) noexcept {
    const std::uint32_t streams = places.all();
    return nat::carved_bytes<StreamEntry>(streams) + nat::carved_bytes<std::uint32_t>(streams) +
           nat::HashChains::bytes_needed(streams) + chunk_bytes(places.sip) + chunk_bytes(places.others) +
           nat::carved_bytes<std::byte>(alg::stream::Engine::kMaxMessage);
  }
  StreamTable(StreamPlaces places, std::uint64_t seed, std::span<std::byte> memory) noexcept
      : StreamTable(places, seed, nat::Carver(memory)) {}
  StreamTable(const StreamTable&) = delete;
  StreamTable& operator=(const StreamTable&) = delete;

  /// \return nullptr when there is none
  [[nodiscard]] StreamEntry* find(nat::MappingIndex mapping, std::uint32_t generation,
                                  nat::Endpoint remote) noexcept;
  /// \param owner  who is to read it \return nullptr when all of the owner's places are taken
  [[nodiscard]] StreamEntry* add(nat::MappingIndex mapping, std::uint32_t generation, nat::Endpoint remote,
                                 PortOwner owner) noexcept;
  [[nodiscard]] bool has_place_for(PortOwner owner) const noexcept {
    return first_free_[kind_of(owner)] != end_of(owner);
  }
  /// Its stream holds nothing any more (Engine::release()).
  void remove(StreamEntry& entry) noexcept;

  /// Whether time has something to do for it.
  void arm(StreamEntry& entry, bool armed) noexcept;
  [[nodiscard]] std::uint32_t armed() const noexcept { return armed_count_; }
  [[nodiscard]] StreamEntry& armed(std::uint32_t i) noexcept { return entries_[armed_[i]]; }

  /// The next place of a walk that goes round and round; its entry may be free.
  [[nodiscard]] StreamEntry& walk() noexcept {
    walker_ = walker_ + 1 < entries_.size() ? walker_ + 1 : 0;
    return entries_[walker_];
  }
  /// The same, of the places that an owner's connections may have. There are some.
  [[nodiscard]] StreamEntry& walk(PortOwner owner) noexcept {
    auto& walker = walkers_[kind_of(owner)];
    const std::uint32_t first = first_of(owner);
    walker = first + walker + 1 < end_of(owner) ? walker + 1 : 0;
    return entries_[first + walker];
  }
  [[nodiscard]] std::uint32_t capacity() const noexcept {
    return static_cast<std::uint32_t>(entries_.size());
  }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  /// Of what an owner's connections hold.
  [[nodiscard]] alg::stream::ChunkPool& chunks(PortOwner owner) noexcept { return chunks_[kind_of(owner)]; }
  [[nodiscard]] std::span<std::byte> scratch() const noexcept { return scratch_; }

 private:
  StreamTable(StreamPlaces places, std::uint64_t seed, nat::Carver memory) noexcept;
  [[nodiscard]] static constexpr std::size_t chunk_bytes(std::uint32_t streams) noexcept {
    return nat::carved_bytes<std::byte>(alg::stream::ChunkPool::bytes_needed(chunks_for(streams)));
  }
  [[nodiscard]] static alg::stream::ChunkPool chunks_of(std::uint32_t streams, nat::Carver& memory) noexcept {
    const std::uint32_t chunks = chunks_for(streams);
    return {chunks, memory.take<std::byte>(alg::stream::ChunkPool::bytes_needed(chunks))};
  }
  [[nodiscard]] static std::uint64_t hash_of(nat::MappingIndex mapping, nat::Endpoint remote) noexcept {
    return nat::endpoint_word(remote) ^ std::uint64_t{mapping} * 0xd6e8feb86659fd93U;  // odd, half its bits
  }
  [[nodiscard]] std::uint32_t place_of(const StreamEntry& entry) const noexcept {
    return static_cast<std::uint32_t>(&entry - entries_.data());
  }

  // SIP's places come first, and the others' behind them.
  [[nodiscard]] static std::size_t kind_of(PortOwner owner) noexcept { return owner == kSipOwner ? 0 : 1; }
  [[nodiscard]] std::uint32_t first_of(PortOwner owner) const noexcept {
    return owner == kSipOwner ? 0 : places_.sip;
  }
  [[nodiscard]] std::uint32_t end_of(PortOwner owner) const noexcept {
    return owner == kSipOwner ? places_.sip : places_.all();
  }

  std::span<StreamEntry> entries_;
  std::span<std::uint32_t> armed_;
  nat::HashChains index_;
  std::array<alg::stream::ChunkPool, 2> chunks_;  // by kind_of()
  std::span<std::byte> scratch_;
  std::uint32_t armed_count_ = 0;
  StreamPlaces places_;
  std::uint32_t size_ = 0;
  std::array<std::uint32_t, 2> first_free_{};  // by kind_of()
  std::array<std::uint32_t, 2> walkers_{};     // the same, from first_of() on
  std::uint32_t walker_ = 0;
};

}  // namespace pinhole::dataplane
