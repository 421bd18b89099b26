// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The data plane's gateways, read where they are written down (dataplane/ipc/gateways.hpp). Nothing is kept.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/model.hpp"
#include "dataplane/ipc/layout.hpp"

namespace pinhole::control {

class GatewayView {
 public:
  /// \param layout  outlives the view
  explicit GatewayView(const ipc::Layout& layout) noexcept : layout_(layout) {}

  [[nodiscard]] std::size_t count() const noexcept;
  /// \return "?" for a number that no gateway has
  [[nodiscard]] std::string_view name(std::size_t number) const noexcept;
  /// \return none when no gateway has that name
  [[nodiscard]] std::optional<std::size_t> number_of(std::string_view alg) const noexcept;

  /// Of those that are loaded, in their order.
  [[nodiscard]] std::vector<std::string> plugin_files() const;
  /// All, without their switches.
  [[nodiscard]] std::vector<GatewayRow> rows() const;
  /// What the host counts is of the module "gateway", with the name before it; a gateway's own counters are
  /// of a module of its name.
  void append_counters(std::vector<CounterRow>& rows) const;

 private:
  [[nodiscard]] const ipc::GatewayStats* stats(std::size_t gateway, std::uint32_t worker) const noexcept;
  [[nodiscard]] CounterRow host_counter(std::size_t gateway, std::size_t counter) const;
  [[nodiscard]] CounterRow own_counter(std::size_t gateway, std::size_t counter) const;
  [[nodiscard]] std::size_t own_counters(std::size_t gateway) const noexcept;

  const ipc::Layout& layout_;
};

}  // namespace pinhole::control
