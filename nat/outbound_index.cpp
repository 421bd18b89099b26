// SPDX-License-Identifier: BSD-3-Clause
#include "nat/outbound_index.hpp"

namespace pinhole::nat {

OutboundIndex::OutboundIndex(std::uint32_t mappings, std::uint64_t seed, Carver& carver) noexcept
    : line_count_(lines_for(mappings)), seed_(seed), lines_(carver.take<Line>(line_count_).data()) {
}

MappingIndex OutboundIndex::guess_further(Hash hash) const noexcept {
  return find_further(hash, [](MappingIndex) noexcept { return true; });
}

void OutboundIndex::remove(Hash hash, MappingIndex index) noexcept {
  const std::uint32_t stride = stride_of(hash);
  std::uint32_t at = hash.home;
  for (std::uint32_t probe = 0; probe < kMaxProbes; ++probe, at = step(at, stride)) {
    Line& line = lines_[at];
    for (std::uint32_t places = match(line, hash.tag()); places != 0; places &= places - 1) {
      const auto place = place_of(places);
      if (line.indices[place] != index) continue;
      line.tags[place] = 0;
      return;
    }
    --line.passed_on;
  }
  assert(false && "a mapping that is taken is in the index");
}

}  // namespace pinhole::nat
