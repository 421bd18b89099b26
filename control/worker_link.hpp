// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What the stores ask of the data plane: copies of its cards, its clock, and to take a command. Over shared
// memory it is SharedLink; in tests it is a few vectors.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "control/model.hpp"
#include "dataplane/ipc/ban.hpp"
#include "dataplane/ipc/card.hpp"
#include "dataplane/ipc/command.hpp"
#include "dataplane/ipc/policy.hpp"
#include "nat/tick.hpp"

namespace pinhole::control {

/// Deadlines are kept on the steady clock, so that setting the wall clock neither hastens nor delays them.
using Steady = std::chrono::steady_clock::time_point;

/// One moment on both clocks.
struct Moment {
  Time wall;
  Steady steady;
};

struct MediaActivity {
  std::uint32_t open = 0;              // pinholes
  std::optional<nat::Tick> last_seen;  // of a packet through any of them; none when none is open
};

/// A pinhole as it is now.
struct PinholeState {
  std::optional<nat::Endpoint> remote;  // who was heard or sent to last
  MediaUsage usage;
};

class WorkerLink {
 public:
  [[nodiscard]] virtual std::uint32_t call_capacity(std::uint32_t worker) const noexcept = 0;
  [[nodiscard]] virtual std::uint32_t registration_capacity(std::uint32_t worker) const noexcept = 0;

  /// \return a whole copy; none when there is no such card, or the worker kept writing it (try again later).
  [[nodiscard]] virtual std::optional<ipc::CallCard> call_card(std::uint32_t worker,
                                                               std::uint32_t card) const noexcept = 0;
  [[nodiscard]] virtual std::optional<ipc::RegistrationCard> registration_card(
      std::uint32_t worker, std::uint32_t card) const noexcept = 0;

  [[nodiscard]] virtual std::optional<ipc::PolicyCard> policy_card(std::uint32_t worker) const noexcept = 0;
  /// \param slot  below ipc::kPolicySlots, here and below
  [[nodiscard]] virtual const ipc::PolicyImage& policy(std::uint8_t slot) const noexcept = 0;
  /// Of a rule, by its number in the image of a slot. \return 0 for one that there is not
  [[nodiscard]] virtual std::uint64_t rule_hits(std::uint32_t worker, std::uint8_t slot,
                                                std::size_t rule) const noexcept = 0;
  /// \param slot  one that no worker uses
  virtual void write_policy(std::uint8_t slot, const ipc::PolicyImage& image) noexcept = 0;

  /// The bans of a worker, as they lie there.
  [[nodiscard]] virtual std::span<const ipc::BanSlot> bans(std::uint32_t worker) const noexcept = 0;

  /// What the pinholes on a card are doing now.
  [[nodiscard]] virtual MediaActivity media(const ipc::CallCard& card) const noexcept = 0;
  /// \return none when the pinhole is closed
  [[nodiscard]] virtual std::optional<PinholeState> pinhole(
      const ipc::PinholeRef& pinhole) const noexcept = 0;

  [[nodiscard]] virtual nat::Tick tick() const noexcept = 0;
  [[nodiscard]] virtual Time time_of(nat::Tick tick) const noexcept = 0;

  /// Hands a command to the worker; the link adds version and sequence.
  /// \return false when the ring is full: send it again later.
  virtual bool send(std::uint32_t worker, ipc::Command command) noexcept = 0;

 protected:
  ~WorkerLink() = default;
};

}  // namespace pinhole::control
