// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The WorkerLink over shared memory. Invariant: it reads cards and mappings where they lie, and writes
// nothing but the command rings, which it alone pushes to, and the policy that no worker uses.

#include <array>
#include <cstdint>

#include "control/attach.hpp"
#include "control/dataplane_clock.hpp"
#include "control/mapping_view.hpp"
#include "control/worker_link.hpp"

namespace pinhole::control {

class SharedLink final : public WorkerLink {
 public:
  /// Everything outlives the link.
  SharedLink(const Attachment& attachment, const DataplaneClock& clock, const MappingView& mappings) noexcept
      : attachment_(attachment), clock_(clock), mappings_(mappings) {}

  [[nodiscard]] std::uint32_t call_capacity(std::uint32_t worker) const noexcept override;
  [[nodiscard]] std::uint32_t registration_capacity(std::uint32_t worker) const noexcept override;
  [[nodiscard]] std::optional<ipc::CallCard> call_card(std::uint32_t worker,
                                                       std::uint32_t card) const noexcept override;
  [[nodiscard]] std::optional<ipc::RegistrationCard> registration_card(
      std::uint32_t worker, std::uint32_t card) const noexcept override;
  [[nodiscard]] std::optional<ipc::PolicyCard> policy_card(std::uint32_t worker) const noexcept override;
  [[nodiscard]] const ipc::PolicyImage& policy(std::uint8_t slot) const noexcept override;
  [[nodiscard]] std::uint64_t rule_hits(std::uint32_t worker, std::uint8_t slot,
                                        std::size_t rule) const noexcept override;
  void write_policy(std::uint8_t slot, const ipc::PolicyImage& image) noexcept override;
  [[nodiscard]] std::span<const ipc::BanSlot> bans(std::uint32_t worker) const noexcept override;
  [[nodiscard]] MediaActivity media(const ipc::CallCard& card) const noexcept override;
  [[nodiscard]] std::optional<PinholeState> pinhole(const ipc::PinholeRef& pinhole) const noexcept override {
    return mappings_.state(pinhole);
  }
  [[nodiscard]] nat::Tick tick() const noexcept override { return clock_.tick(); }
  [[nodiscard]] Time time_of(nat::Tick tick) const noexcept override { return clock_.at_tick(tick); }
  bool send(std::uint32_t worker, ipc::Command command) noexcept override;

 private:
  [[nodiscard]] const ipc::WorkerShare* share(std::uint32_t worker) const noexcept;

  const Attachment& attachment_;
  const DataplaneClock& clock_;
  const MappingView& mappings_;
  std::array<std::uint32_t, ipc::kMaxWorkers> sequence_{};  // of the last command to each worker
};

}  // namespace pinhole::control
