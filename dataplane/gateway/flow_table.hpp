// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The flows of gateways that keep any (SIP does not): between a mapping and a remote, with the gateway's own
// memory of each. A flow begins with its first message (of TCP with its SYN) and ends with its mapping, its
// connection or by being silent; what it has announced knows it by index and generation. Fixed memory.
// Invariant: a flow that finds no place is not read, and half of the places are kept for connections. Owned
// by one worker.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "alg/plugin.h"
#include "dataplane/ipc/gateways.hpp"
#include "nat/endpoint.hpp"
#include "nat/hash_chains.hpp"
#include "nat/mapping.hpp"
#include "nat/memory.hpp"
#include "nat/tick.hpp"

namespace pinhole::dataplane {

using FlowIndex = std::uint32_t;
inline constexpr FlowIndex kNoFlow = ~FlowIndex{0};

struct GatewayFlow {
  alignas(8) std::array<std::byte, PINHOLE_MAX_FLOW> memory{};  // the gateway's
  nat::MappingIndex mapping = nat::kNoMapping;                  // kNoMapping: the place is free
  std::uint32_t mapping_generation = 0;
  nat::Endpoint remote;
  nat::Protocol protocol = nat::Protocol::udp;
  ipc::GatewayNumber gateway = 0;
  std::uint8_t server = PINHOLE_OUTSIDE;  // the side that the claimed port is on
  bool left = false;                      // the gateway leaves it alone
  std::uint16_t announced = 0;            // expectations of it that exist
  std::uint16_t children = 0;             // of these, flows that run and keep it alive
  std::uint32_t generation = 1;           // of the flow: grows when it ends
  nat::Tick last_seen = 0;
  nat::Tick keep = 0;         // how long it is kept when it is silent; 0: as its time-out says
  nat::Tick spoken_at = 0;    // when its ends were last asked whether they are there
  std::uint32_t live_at = 0;  // place in the list of those that exist
  std::uint32_t next_free = 0;
};

/// A flow as it was when somebody took note of it.
struct FlowRef {
  FlowIndex index = kNoFlow;
  std::uint32_t generation = 0;

  friend constexpr bool operator==(FlowRef, FlowRef) noexcept = default;
};

class FlowTable {
 public:
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t flows) noexcept {
    return nat::carved_bytes<GatewayFlow>(flows) + nat::carved_bytes<FlowIndex>(flows) +
           nat::HashChains::bytes_needed(flows);
  }
  /// \param flows  at least 1
  FlowTable(std::uint32_t flows, std::uint64_t seed, nat::Carver& memory) noexcept;
  FlowTable(const FlowTable&) = delete;
  FlowTable& operator=(const FlowTable&) = delete;

  /// \return nullptr when there is none
  [[nodiscard]] GatewayFlow* find(nat::MappingIndex mapping, std::uint32_t generation,
                                  nat::Endpoint remote) noexcept;
  /// \return nullptr when the table is full, or has as many flows of datagrams as it may
  [[nodiscard]] GatewayFlow* add(nat::MappingIndex mapping, std::uint32_t generation, nat::Endpoint remote,
                                 nat::Protocol protocol) noexcept;
  void remove(GatewayFlow& flow) noexcept;
  /// Another connection begins on the same endpoints: what was known of the flow, and what it had announced,
  /// is the former one's.
  void restart(GatewayFlow& flow) noexcept;

  [[nodiscard]] FlowRef ref(const GatewayFlow& flow) const noexcept {
    return {index_of(flow), flow.generation};
  }
  /// \return nullptr when it has ended
  [[nodiscard]] GatewayFlow* get(FlowRef ref) noexcept {
    if (ref.index >= flows_.size()) return nullptr;
    auto& flow = flows_[ref.index];
    return flow.mapping != nat::kNoMapping && flow.generation == ref.generation ? &flow : nullptr;
  }

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] bool is_full() const noexcept { return size_ == flows_.size(); }
  /// The next of a walk over those that exist, that goes round and round. There are some.
  [[nodiscard]] GatewayFlow& walk() noexcept {
    walker_ = walker_ + 1 < size_ ? walker_ + 1 : 0;
    return flows_[live_[walker_]];
  }
  /// Any of those that exist. \param i  below size()
  [[nodiscard]] GatewayFlow& live(std::uint32_t i) noexcept { return flows_[live_[i]]; }

 private:
  /// Anybody can send datagrams from as many endpoints as he likes; a connection has to find a place
  /// meanwhile.
  [[nodiscard]] bool has_place_for(nat::Protocol protocol) const noexcept {
    return protocol == nat::Protocol::tcp || datagrams_ < (flows_.size() + 1) / 2;
  }
  [[nodiscard]] FlowIndex index_of(const GatewayFlow& flow) const noexcept {
    return static_cast<FlowIndex>(&flow - flows_.data());
  }
  [[nodiscard]] static std::uint64_t hash_of(nat::MappingIndex mapping, nat::Endpoint remote) noexcept {
    return nat::endpoint_word(remote) ^ std::uint64_t{mapping} * 0xd6e8feb86659fd93U;  // odd, half its bits
  }

  std::span<GatewayFlow> flows_;
  std::span<FlowIndex> live_;
  nat::HashChains index_;
  std::uint32_t size_ = 0;
  std::uint32_t datagrams_ = 0;  // of these, flows of UDP
  std::uint32_t first_free_ = 0;
  std::uint32_t walker_ = 0;
};

}  // namespace pinhole::dataplane
