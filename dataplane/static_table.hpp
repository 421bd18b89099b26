// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The static mappings of the configuration, taken apart into the intervals that nat/static_rules.hpp looks
// up. Built once at start, constant afterwards.

#include <span>
#include <vector>

#include "dataplane/config/structs.hpp"
#include "dataplane/steering.hpp"
#include "nat/static_rules.hpp"

namespace pinhole::dataplane {

class StaticTable {
 public:
  StaticTable() = default;
  /// \param mappings  valid: they do not overlap, and steering was built from the same ones
  StaticTable(std::span<const config::StaticMapping> mappings, const Steering& steering);

  /// A view, valid for as long as the table stays where it is.
  [[nodiscard]] nat::StaticRules rules() const noexcept { return {by_inside_, by_external_}; }
  /// The same of the realm in which nothing is translated: hosts in route mode that are open to the outside.
  [[nodiscard]] nat::StaticRules openings() const noexcept { return {openings_, openings_}; }

 private:
  std::vector<nat::StaticInterval> by_inside_;
  std::vector<nat::StaticInterval> by_external_;
  std::vector<nat::StaticInterval> openings_;
};

}  // namespace pinhole::dataplane
