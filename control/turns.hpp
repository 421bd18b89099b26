// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What can be changed at run time, as the control process does it: each turn goes to the store or the board
// that it concerns, and is logged. Invariant: it keeps nothing of its own. Owned by the Runtime that it
// turns.

#include <cstdint>
#include <string>

#include "control/model.hpp"
#include "control/runtime.hpp"

namespace pinhole::control {

class Runtime::Turns final : public Controls {
 public:
  /// \param runtime  outlives this
  explicit Turns(Runtime& runtime) : runtime_(runtime) {}

  Result<AlgRow> turn_alg(const AlgTurn& turn) override;
  Result<ReloadRow> reload() override;
  Result<CallRow> hang_up(const std::string& id) override;

  Result<CaptureRow> start_capture(const CaptureOrder& order) override;
  CaptureRow stop_capture() override;
  CaptureRow capture() override;

  Result<BanRow> add_ban(const BanOrderRow& order) override { return runtime_.bans_.add(order, now()); }
  Result<void> lift_ban(nat::Prefix prefix) override { return runtime_.bans_.lift(prefix, now()); }
  Result<void> allow(nat::Prefix prefix) override { return runtime_.bans_.allow(prefix, now()); }
  Result<void> disallow(nat::Prefix prefix) override { return runtime_.bans_.disallow(prefix, now()); }

 private:
  [[nodiscard]] Result<std::uint8_t> interface_number(const std::string& name) const;

  Runtime& runtime_;
};

}  // namespace pinhole::control
