// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The policy that a worker uses (dataplane/ipc/policy.hpp), and its part in changing it. Invariant: an image
// is used only after it was found sound, and is not written while it is used. Owned by one worker.

#include <cstddef>
#include <cstdint>
#include <span>

#include "alg/sip/rules.hpp"
#include "dataplane/guard/guard.hpp"
#include "dataplane/ipc/card.hpp"
#include "dataplane/ipc/policy.hpp"

namespace pinhole::dataplane {

/// Shared memory; all of it outlives the worker.
struct PolicyMemory {
  std::span<const ipc::PolicyImage, ipc::kPolicySlots> images;
  std::span<alg::sip::RuleHits, ipc::kPolicySlots> hits;  // the worker's own
  ipc::Shared<ipc::PolicyCard>& card;                     // the worker's own
};

class WorkerPolicy {
 public:
  /// Uses the image that the card names. \param guard,rules  outlive the policy
  WorkerPolicy(const PolicyMemory& memory, Guard& guard, alg::sip::Rules& rules) noexcept
      : memory_(memory), guard_(guard), rules_(rules) {
    use(memory_.card.own().slot);
  }
  WorkerPolicy(const WorkerPolicy&) = delete;
  WorkerPolicy& operator=(const WorkerPolicy&) = delete;

  /// The switch of a gateway.
  [[nodiscard]] const ipc::AlgSwitch& gateway(ipc::GatewayNumber number) const noexcept {
    return image_->switches[number];
  }

  void announce(std::uint32_t generation) noexcept;
  /// \return false when the image is not sound, or is the one in use
  bool prepare(std::uint32_t generation, std::uint8_t slot) noexcept;
  /// \return false when another generation was prepared last, or none
  bool commit(std::uint32_t generation) noexcept;

 private:
  void use(std::uint8_t slot) noexcept;

  PolicyMemory memory_;
  Guard& guard_;
  alg::sip::Rules& rules_;
  const ipc::PolicyImage* image_ = nullptr;
};

}  // namespace pinhole::dataplane
