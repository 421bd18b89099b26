// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A burst: up to 64 packets on their way through the pipeline, and what each stage found out about them. It
// lives in the worker and is used again and again. A packet has a place in the burst for as long as it is
// there; lanes are lists of places. Invariant: a packet that was dropped, handed off or parked is in no lane.

#include <array>
#include <cstdint>

#include "dataplane/port.hpp"
#include "nat/mapping.hpp"
#include "nat/packet.hpp"

#include <rte_mbuf.h>

namespace pinhole::dataplane {

/// Where a packet goes next.
struct Hop {
  nat::Ipv4Address next_hop;
  std::uint8_t interface = 0;

  friend bool operator==(Hop, Hop) noexcept = default;
};

/// Places of a burst that go the same way, in the order of arrival.
class Lane {
 public:
  void clear() noexcept { size_ = 0; }
  void add(unsigned place) noexcept { places_[size_++] = static_cast<std::uint8_t>(place); }
  [[nodiscard]] unsigned size() const noexcept { return size_; }
  [[nodiscard]] unsigned operator[](unsigned i) const noexcept { return places_[i]; }
  [[nodiscard]] const std::uint8_t* begin() const noexcept { return places_.data(); }
  [[nodiscard]] const std::uint8_t* end() const noexcept { return places_.data() + size_; }
  /// Keeps the places for which `stays` is true.
  template <typename Predicate>
  void keep_if(Predicate&& stays) noexcept {
    const auto nothing = [](unsigned) noexcept {};
    keep_if(stays, nothing, nothing);
  }
  /// The same, with a look ahead. \param far `void(unsigned place)`, noexcept: called for a place before
  /// `stays` is called for the second one in front of it \param near the same, for the one in front of it
  template <typename Predicate, typename Far, typename Near>
  void keep_if(Predicate&& stays, Far&& far, Near&& near) noexcept {
    unsigned kept = 0;
    if (size_ > 1) far(static_cast<unsigned>(places_[1]));
    for (unsigned i = 0; i < size_; ++i) {
      const auto place = places_[i];
      if (i + 2 < size_) far(static_cast<unsigned>(places_[i + 2]));
      if (i + 1 < size_) near(static_cast<unsigned>(places_[i + 1]));
      if (stays(static_cast<unsigned>(place))) places_[kept++] = place;
    }
    size_ = kept;
  }

 private:
  unsigned size_ = 0;
  std::array<std::uint8_t, kBurst> places_;
};

struct Burst {
  std::uint16_t size = 0;
  std::array<rte_mbuf*, kBurst> mbufs;
  std::array<nat::Packet, kBurst> packets;
  std::array<std::uint8_t, kBurst> arrival;        // interface that the packet came in by
  std::array<std::uint16_t, kBurst> pool_index;    // inbound: number of the external address
  std::array<nat::Realm, kBurst> realms;           // after classify
  std::array<nat::MappingIndex, kBurst> mappings;  // after look_up
  std::array<Hop, kBurst> hops;                    // outbound after classify, inbound after look_up
  Lane outbound;
  Lane inbound;
};

}  // namespace pinhole::dataplane
