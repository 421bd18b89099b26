// SPDX-License-Identifier: BSD-3-Clause
#include "control/sip_switchboard.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace pinhole::control {

namespace {

std::uint32_t newest(const std::vector<ipc::SipCard>& cards) {
  std::uint32_t generation = 0;
  for (const auto& card : cards) generation = std::max(generation, card.generation);
  return generation;
}

bool all_have(const std::vector<ipc::SipCard>& cards, std::uint32_t generation) {
  return std::ranges::all_of(cards, [&](const ipc::SipCard& card) { return card.generation == generation; });
}

}  // namespace

std::vector<ipc::SipCard> SipSwitchboard::cards() const {
  std::vector<ipc::SipCard> all;
  for (std::uint32_t worker = 0; worker < workers_; ++worker) {
    const auto card = link_.sip_card(worker);
    if (!card) return {};
    all.push_back(*card);
  }
  return all;
}

template <typename Condition>
bool SipSwitchboard::wait_for_all(Condition&& condition) const {
  for (auto waited = kLookEvery; waited <= kPatience; waited += kLookEvery) {
    sleep_(kLookEvery);
    const auto all = cards();
    if (!all.empty() && std::ranges::all_of(all, condition)) return true;
  }
  return false;
}

std::optional<SipSwitchboard::State> SipSwitchboard::state() const {
  const auto all = cards();
  if (all.empty()) return std::nullopt;
  const auto generation = newest(all);
  const auto first = std::ranges::find(all, generation, &ipc::SipCard::generation);
  return State{.now = first->current, .generation = generation, .settled = all_have(all, generation)};
}

Result<SipSwitchboard::State> SipSwitchboard::turn(const ipc::SipChange& change) {
  const auto before = cards();
  if (before.empty() || !all_have(before, newest(before))) {
    return Error{ErrorCode::unavailable,
                 "the last change has not got to all workers yet; ask again in a second"};
  }
  if (!before.front().current.after(change)) {
    return Error{ErrorCode::range,
                 fmt::format("there are {} rules for hosts already; take one back, or give a shorter prefix",
                             ipc::SipSwitch::kMaxRules)};
  }
  std::uint32_t generation = newest(before);
  for (const auto& card : before) generation = std::max(generation, card.prepared);
  ++generation;
  const Error refused{ErrorCode::unavailable,
                      "a worker did not answer, and nothing was changed; see \"workers\" and ask again"};
  for (std::uint32_t worker = 0; worker < workers_; ++worker) {
    const bool sent =
        link_.send(worker, {.type = ipc::CommandType::prepare_sip, .generation = generation, .sip = change});
    if (!sent) return refused;
  }
  if (!wait_for_all([&](const ipc::SipCard& card) { return card.prepared == generation; })) return refused;
  // From here on it holds: a worker that does not hear of it now is told again.
  for (std::uint32_t worker = 0; worker < workers_; ++worker) {
    static_cast<void>(link_.send(worker, {.type = ipc::CommandType::commit_sip, .generation = generation}));
  }
  const bool settled = wait_for_all([&](const ipc::SipCard& card) { return card.generation == generation; });
  return State{.now = *before.front().current.after(change), .generation = generation, .settled = settled};
}

void SipSwitchboard::run() {
  const auto all = cards();
  const auto generation = newest(all);
  for (std::uint32_t worker = 0; worker < all.size(); ++worker) {
    if (all[worker].generation == generation || all[worker].prepared != generation) continue;
    static_cast<void>(link_.send(worker, {.type = ipc::CommandType::commit_sip, .generation = generation}));
  }
}

}  // namespace pinhole::control
