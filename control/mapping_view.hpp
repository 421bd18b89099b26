// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The workers' mappings as rows, read where they lie. Invariant: a row is of one mapping only; a line that
// was freed or used again while it was copied is left out. The words that a packet changes (counters, last
// seen) are each as they were at some moment of the copy. Nothing is kept.

#include <cstdint>
#include <optional>
#include <string_view>

#include "control/model.hpp"
#include "control/worker_link.hpp"
#include "dataplane/config/structs.hpp"
#include "dataplane/ipc/card.hpp"
#include "dataplane/ipc/layout.hpp"
#include "nat/mapping.hpp"
#include "nat/tick.hpp"

namespace pinhole::control {

/// Copies a line. \return false when it is free or was changing.
[[nodiscard]] bool copy_mapping(const nat::Mapping& line, nat::Mapping& copy) noexcept;

class MappingView {
 public:
  /// \param layout outlives the view. \param timeouts as configured: cards and lines do not hold them.
  MappingView(const ipc::Layout& layout, const config::Timeouts& timeouts) noexcept
      : layout_(layout), timeouts_(timeouts) {}

  /// Cost: reads every line that was ever used, whatever the page.
  [[nodiscard]] Paged<MappingRow> rows(const MappingFilter& filter, Page page, nat::Tick now) const;

  /// The mapping of an open pinhole. \return none when it was closed.
  [[nodiscard]] std::optional<PinholeRow> pinhole(const ipc::PinholeRef& pinhole, std::string_view call,
                                                  nat::Tick now) const;

  /// What has gone through an open pinhole; none when it was closed.
  [[nodiscard]] std::optional<PinholeState> state(const ipc::PinholeRef& pinhole) const noexcept;

  /// The tick of the last packet through an open pinhole; none when it was closed.
  [[nodiscard]] std::optional<nat::Tick> last_seen(const ipc::PinholeRef& pinhole) const noexcept;

 private:
  [[nodiscard]] bool copy_pinhole(const ipc::PinholeRef& pinhole, nat::Mapping& copy) const noexcept;
  [[nodiscard]] MappingRow row(std::uint32_t worker, const nat::Mapping& mapping, nat::Tick now) const;
  [[nodiscard]] std::uint32_t timeout_s(nat::TimeoutClass timeout_class) const noexcept;

  const ipc::Layout& layout_;
  config::Timeouts timeouts_;
};

}  // namespace pinhole::control
