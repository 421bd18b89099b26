// SPDX-License-Identifier: BSD-3-Clause
// Cycles of what the translator does for a packet, without the worker around it: look-ups in bursts of 64 in
// random order, from inside and from outside, with the touch of the mapping that follows; and of making and
// closing a mapping. Medians of several rounds; time stamp counter cycles.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include "nat/random.hpp"
#include "nat/translator.hpp"

#include <sys/mman.h>
#include <x86intrin.h>

namespace pinhole::nat {

namespace {

constexpr std::size_t kBursts = 16384;  // a round: about a million packets
constexpr unsigned kRounds = 7;
constexpr std::uint16_t kPoolAddresses = 32;
constexpr Endpoint kRemote = {Ipv4Address::from_host(0xc6336401), Be16{5060}};

/// Zeroed memory, in huge pages where the kernel has some to spare: as the data plane has it.
std::span<std::byte> map_memory(std::size_t size) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20U;
  size = (size + kHugePage - 1) / kHugePage * kHugePage;
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;
  void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, kFlags | MAP_HUGETLB | MAP_POPULATE, -1, 0);
  if (at == MAP_FAILED) {
    at = mmap(nullptr, size, PROT_READ | PROT_WRITE, kFlags, -1, 0);
    madvise(at, size, MADV_HUGEPAGE);
  }
  return {static_cast<std::byte*>(at), size};
}

OutboundKey key_number(std::uint32_t n) {
  return {{Ipv4Address::from_host(0x0a000000 + n / 16), Be16{static_cast<std::uint16_t>(20000 + n % 16)}},
          Protocol::udp};
}

template <typename Round>
double median_cycles(double divisor, Round&& round) {
  std::array<double, kRounds> cycles{};
  for (double& each : cycles) {
    const std::uint64_t begin = __rdtsc();
    round();
    each = static_cast<double>(__rdtsc() - begin) / divisor;
  }
  std::ranges::sort(cycles);
  return cycles[kRounds / 2];
}

void measure(std::uint32_t mappings) {
  std::vector<Ipv4Address> pool;
  for (std::uint32_t i = 0; i < kPoolAddresses; ++i) pool.push_back(Ipv4Address::from_host(0xcb007100 + i));
  const TranslatorConfig config{
      .external = pool, .pool_size = kPoolAddresses, .mappings = mappings + 64, .key = {mappings}};
  CounterBlock<Counter> counters;
  const InboundIndex inbound(pool.size(), map_memory(InboundIndex::bytes_needed(pool.size())));
  const auto nat = std::make_unique<Translator>(config, map_memory(Translator::bytes_needed(config)), inbound,
                                                counters, 0);
  std::vector<InboundKey> external;
  for (std::uint32_t n = 0; n < mappings; ++n) {
    const OutboundKey key = key_number(n);
    const Created created = nat->create(key.protocol(), key.inside(), kRemote, 0);
    if (created.index == kNoMapping) {
      std::fprintf(stderr, "mapping %u of %u could not be made\n", n, mappings);
      return;
    }
    const Mapping& mapping = (*nat)[created.index];
    external.push_back({mapping.pool_index, mapping.external.port.host(), mapping.protocol});
  }

  Random random({7});
  std::vector<std::uint32_t> order(kBursts * kLookupBurst);
  for (std::uint32_t& n : order) n = random.below(mappings);
  std::vector<OutboundKey> out(order.size());
  std::vector<InboundKey> in(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    out[i] = key_number(order[i]);
    in[i] = external[order[i]];
  }

  const auto packets = static_cast<double>(order.size());
  std::array<MappingIndex, kLookupBurst> found{};
  const double outbound = median_cycles(packets, [&] {
    for (std::size_t i = 0; i < order.size(); i += kLookupBurst) {
      nat->find_outbound({&out[i], kLookupBurst}, found);
      for (const MappingIndex index : found) nat->touch_outbound(index, kRemote, 200, 1);
    }
  });
  const double inbound_cycles = median_cycles(packets, [&] {
    for (std::size_t i = 0; i < order.size(); i += kLookupBurst) {
      nat->find_inbound({&in[i], kLookupBurst}, found);
      for (const MappingIndex index : found) {
        if (nat->admits(index, kRemote, 1)) nat->touch_inbound(index, kRemote, 200, 1);
      }
    }
  });
  constexpr std::uint32_t kSetUps = 64;
  const double set_up = median_cycles(kSetUps * 100.0, [&] {
    for (int i = 0; i < 100; ++i) {
      for (std::uint32_t n = 0; n < kSetUps; ++n) {
        const OutboundKey key = key_number(mappings + n * 977);
        found[n] = nat->create(key.protocol(), key.inside(), kRemote, 1).index;
      }
      for (std::uint32_t n = 0; n < kSetUps; ++n) nat->close(found[n], (*nat)[found[n]].generation);
    }
  });
  std::printf("%9u  %9.1f  %9.1f  %12.1f\n", mappings, outbound, inbound_cycles, set_up);
}

}  // namespace

}  // namespace pinhole::nat

int main() {
  std::printf("%9s  %9s  %9s  %12s   cycles each\n", "mappings", "outbound", "inbound", "make + close");
  for (const std::uint32_t mappings : {1U, 1'000U, 65'536U, 1'000'000U}) pinhole::nat::measure(mappings);
}
