// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What can be changed while calls live: the switch of each gateway, limits, and the rules for messages.
// One image of fixed size without pointers; two of them lie in shared memory, of which workers use one.
//
// A change is a generation, whatever of the image it changes:
//
//     announce_policy   each worker says on its card that it has heard of the generation. Commands come in
//                       order, so none that was sent before, by another control perhaps, is still on its way
//     (control writes the image that nobody uses)
//     prepare_policy    each worker looks whether the image is sound, and says so on its card
//     commit_policy     when all have: each uses it from now on
//
// If one has not, nobody does. Control that comes back after it died finds on the cards how far it had got.

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "alg/sip/rule_set.hpp"
#include "dataplane/ipc/alg_switch.hpp"
#include "dataplane/ipc/gateways.hpp"
#include "dataplane/ipc/rates.hpp"

namespace pinhole::ipc {

struct PolicyImage {
  std::array<AlgSwitch, kMaxGateways> switches;  // by the number of the gateway
  std::array<AlgSwitch, kMaxGateways>
      configured;  // as the configuration says, however they were turned since
  RateLimits rates;
  alg::sip::RuleSet rules;
};
static_assert(std::is_trivially_copyable_v<PolicyImage>);

inline constexpr std::size_t kPolicySlots = 2;

/// What a worker uses, and what it is ready to use.
struct PolicyCard {
  std::uint32_t generation = 0;
  std::uint32_t announced = 0;  // the last generation that it was told of
  std::uint32_t prepared = 0;   // a generation, or 0
  std::uint32_t refused = 0;    // the last generation whose image was not sound
  std::uint8_t slot = 0;        // of `generation`
  std::uint8_t next_slot = 0;   // of `prepared`
};
static_assert(std::is_trivially_copyable_v<PolicyCard>);

}  // namespace pinhole::ipc
