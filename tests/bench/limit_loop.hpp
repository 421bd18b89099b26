// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What the worker loop is measured against.
//
// The swap loop receives, swaps the MAC addresses and transmits: the floor of the ports.
//
// The limit loop is the floor of a translator: it also rewrites by difference, and touches as many random
// cache lines of tables of the same size as the product must, an index line and a mapping line, each
// prefetched a step ahead, by the distance that the core can wait for (see dataplane/express.cpp). Parsing,
// looking anything up, ownership, counters and timers are left out: which lines it touches is taken from the
// packet by a multiplication, and what it writes is what it finds there.

#include <array>
#include <cstdint>
#include <utility>

#include "dataplane/mbuf_view.hpp"
#include "nat/rewrite.hpp"

#include <rte_ethdev.h>
#include <rte_prefetch.h>

namespace pinhole::bench {

/// One turn: a burst in by one port and out by the other.
inline void swap_turn(std::uint16_t from, std::uint16_t to) {
  std::array<rte_mbuf*, dataplane::kBurst> mbufs;
  const std::uint16_t size = rte_eth_rx_burst(from, 0, mbufs.data(), dataplane::kBurst);
  for (unsigned i = 0; i < size && i < 8; ++i) rte_prefetch0(dataplane::bytes_of(mbufs[i]));
  for (unsigned i = 0; i < size; ++i) {
    if (i + 8U < size) rte_prefetch0(dataplane::bytes_of(mbufs[i + 8]));
    auto& ethernet = nat::header_at<nat::EthernetHeader>(dataplane::bytes_of(mbufs[i]), 0);
    std::swap(ethernet.source, ethernet.destination);
  }
  rte_eth_tx_burst(to, 0, mbufs.data(), size);
}

class LimitLoop {
 public:
  struct alignas(64) Line {
    std::array<std::uint64_t, 8> words{};
  };

  /// \param index_lines, mapping_lines  of random numbers; as many as the product's tables have
  LimitLoop(std::span<const Line> index_lines, std::span<const Line> mapping_lines)
      : index_lines_(index_lines), mapping_lines_(mapping_lines) {}

  template <bool kOutbound>
  void turn(std::uint16_t from, std::uint16_t to) const {
    using namespace nat;
    constexpr std::size_t kIp = sizeof(EthernetHeader);
    constexpr std::size_t kUdp = kIp + sizeof(Ipv4Header);
    constexpr std::size_t kAddress =
        kIp + (kOutbound ? offsetof(Ipv4Header, source) : offsetof(Ipv4Header, destination));
    constexpr std::size_t kPort =
        kUdp + (kOutbound ? offsetof(UdpHeader, source_port) : offsetof(UdpHeader, destination_port));
    std::array<rte_mbuf*, dataplane::kBurst> mbufs;
    std::array<std::uint64_t, dataplane::kBurst> numbers;
    std::array<const Line*, dataplane::kBurst> mappings;
    const unsigned size = rte_eth_rx_burst(from, 0, mbufs.data(), dataplane::kBurst);
    for (unsigned i = 0; i < size && i < kAhead; ++i) rte_prefetch0(dataplane::bytes_of(mbufs[i]));
    for (unsigned step = 0; step < size + 2 * kAhead; ++step) {
      if (step < size) {
        if (step + kAhead < size) rte_prefetch0(dataplane::bytes_of(mbufs[step + kAhead]));
        const std::byte* const frame = dataplane::bytes_of(mbufs[step]);
        const std::uint64_t flow =
            load<std::uint32_t>(frame + kAddress) | std::uint64_t{load<std::uint16_t>(frame + kPort)} << 32U;
        numbers[step] = flow * 0x9fb21c651e98df25U ^ flow * 0x9e3779b97f4a7c15U >> 32U;
        rte_prefetch0(&at(index_lines_, static_cast<std::uint32_t>(numbers[step] >> 32U)));
      }
      if (step >= kAhead && step - kAhead < size) {
        const std::uint64_t number = numbers[step - kAhead];
        const Line& index = at(index_lines_, static_cast<std::uint32_t>(number >> 32U));
        const Line& mapping =
            at(mapping_lines_, static_cast<std::uint32_t>(number ^ index.words[number & 7U]));
        rte_prefetch0(&mapping);
        mappings[step - kAhead] = &mapping;
      }
      if (step < 2 * kAhead) continue;
      std::byte* const frame = dataplane::bytes_of(mbufs[step - 2 * kAhead]);
      const auto& words = mappings[step - 2 * kAhead]->words;
      const auto delta = static_cast<std::uint16_t>(words[0] | 1U);
      store(frame, words[1]);  // both MAC addresses
      store(frame + 4, words[2]);
      std::byte* const third_word = frame + kIp + offsetof(Ipv4Header, ttl);
      store(third_word, rewrite_detail::next_hop(load<std::uint32_t>(third_word), delta));
      store(frame + kAddress, static_cast<std::uint32_t>(words[3]));
      store(frame + kPort, static_cast<std::uint16_t>(words[4]));
      std::byte* const checksum = frame + kUdp + offsetof(UdpHeader, checksum);
      store(checksum, apply_udp(load<std::uint16_t>(checksum), delta));
    }
    rte_eth_tx_burst(to, 0, mbufs.data(), static_cast<std::uint16_t>(size));
  }

 private:
  static constexpr unsigned kAhead = 10;

  static const Line& at(std::span<const Line> lines, std::uint32_t number) {
    return lines[nat::scale(number, static_cast<std::uint32_t>(lines.size()))];
  }

  std::span<const Line> index_lines_;
  std::span<const Line> mapping_lines_;
};

}  // namespace pinhole::bench
