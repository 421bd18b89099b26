// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/static_table.hpp"

#include <algorithm>

namespace pinhole::dataplane {

StaticTable::StaticTable(std::span<const config::StaticMapping> mappings, const Steering& steering) {
  using nat::StaticRules;
  for (const auto& mapping : mappings) {
    auto& by_inside = mapping.is_opening() ? openings_ : by_inside_;
    for (const auto protocol : config::protocols_of(mapping)) {
      for (std::uint32_t n = 0; n < mapping.external.addresses(); ++n) {
        const auto external = mapping.external.endpoint(n);
        const auto inside = mapping.inside.endpoint(n);
        const auto pool_index = steering.pool_index(external.address).value_or(0);
        const std::uint64_t span = mapping.external.last_port - mapping.external.first_port;
        const auto add = [&](std::vector<nat::StaticInterval>& list, nat::Endpoint from, nat::Endpoint to) {
          const auto first = StaticRules::key(protocol, from);
          list.push_back({first, first + span, StaticRules::number(to), pool_index, mapping.direction});
        };
        add(by_inside, inside, external);
        if (!mapping.is_opening()) add(by_external_, external, inside);
      }
    }
  }
  std::ranges::sort(by_inside_, {}, &nat::StaticInterval::first);
  std::ranges::sort(by_external_, {}, &nat::StaticInterval::first);
  std::ranges::sort(openings_, {}, &nat::StaticInterval::first);
}

}  // namespace pinhole::dataplane
