// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy_board.hpp"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

namespace pinhole::control {

namespace {

std::uint32_t newest(const std::vector<ipc::PolicyCard>& cards) {
  std::uint32_t generation = 0;
  for (const auto& card : cards) generation = std::max(generation, card.generation);
  return generation;
}

bool all_have(const std::vector<ipc::PolicyCard>& cards, std::uint32_t generation) {
  return std::ranges::all_of(cards,
                             [&](const ipc::PolicyCard& card) { return card.generation == generation; });
}

Error no_answer() {
  return {ErrorCode::unavailable,
          "a worker did not answer, and nothing was changed; see \"workers\" and ask again"};
}

}  // namespace

std::string scope_text(const AlgTurn& turn) {
  if (turn.hosts) {
    return fmt::format("hosts {}/{}", nat::EndpointText(turn.hosts->address).view(), turn.hosts->length);
  }
  return turn.interface.empty() ? "all" : fmt::format("interface {}", turn.interface);
}

std::vector<ipc::PolicyCard> PolicyBoard::cards() const {
  std::vector<ipc::PolicyCard> all;
  for (std::uint32_t worker = 0; worker < workers_; ++worker) {
    const auto card = link_.policy_card(worker);
    if (!card || card->slot >= ipc::kPolicySlots) return {};
    all.push_back(*card);
  }
  return all;
}

template <typename Condition>
bool PolicyBoard::wait_for_all(Condition&& condition) const {
  for (auto waited = kLookEvery; waited <= kPatience; waited += kLookEvery) {
    sleep_(kLookEvery);
    const auto all = cards();
    if (!all.empty() && std::ranges::all_of(all, condition)) return true;
  }
  return false;
}

bool PolicyBoard::tell_all(const ipc::Command& command) {
  for (std::uint32_t worker = 0; worker < workers_; ++worker) {
    if (!link_.send(worker, command)) return false;
  }
  return true;
}

std::optional<PolicyBoard::State> PolicyBoard::state() const {
  const auto all = cards();
  if (all.empty()) return std::nullopt;
  const auto generation = newest(all);
  const auto first = std::ranges::find(all, generation, &ipc::PolicyCard::generation);
  std::uint32_t named = generation;
  for (const auto& card : all) named = std::max({named, card.prepared, card.announced, card.refused});
  return State{.image = &link_.policy(first->slot),
               .generation = generation,
               .slot = first->slot,
               .settled = all_have(all, generation),
               .next = named + 1};
}

Result<PolicyBoard::State> PolicyBoard::settled_state() const {
  const auto now = state();
  if (!now) return Error{ErrorCode::unavailable, "a worker is writing its policy down just now; ask again"};
  if (!now->settled) {
    return Error{ErrorCode::unavailable,
                 "the last change has not got to all workers yet; ask again in a second"};
  }
  return *now;
}

Result<PolicyBoard::State> PolicyBoard::put(const ipc::PolicyImage& image) {
  const auto found = settled_state();
  if (!found) return found.error();
  const auto generation = found->next;
  if (!tell_all({.type = ipc::CommandType::announce_policy, .generation = generation})) return no_answer();
  if (!wait_for_all([&](const ipc::PolicyCard& card) { return card.announced == generation; }))
    return no_answer();
  // What another control had sent has been read by now, and it may have been its last word.
  const auto before = settled_state();
  if (!before) return before.error();
  const auto slot = static_cast<std::uint8_t>((before->slot + 1) % ipc::kPolicySlots);
  link_.write_policy(slot, image);
  if (!tell_all({.type = ipc::CommandType::prepare_policy, .slot = slot, .generation = generation}))
    return no_answer();
  const auto has_looked = [&](const ipc::PolicyCard& card) {
    return card.prepared == generation || card.refused == generation;
  };
  if (!wait_for_all(has_looked)) return no_answer();
  const auto looked = cards();
  if (std::ranges::find(looked, generation, &ipc::PolicyCard::refused) != looked.end()) {
    return Error{ErrorCode::internal, "a worker finds the policy damaged, and nothing was changed"};
  }
  // From here on it holds: a worker that does not hear of it now is told again.
  for (std::uint32_t worker = 0; worker < workers_; ++worker) {
    static_cast<void>(
        link_.send(worker, {.type = ipc::CommandType::commit_policy, .generation = generation}));
  }
  const bool settled =
      wait_for_all([&](const ipc::PolicyCard& card) { return card.generation == generation; });
  return State{.image = &link_.policy(slot),
               .generation = generation,
               .slot = slot,
               .settled = settled,
               .next = generation + 1};
}

Result<PolicyBoard::State> PolicyBoard::turn(std::size_t number, const ipc::SwitchChange& change) {
  const auto before = settled_state();
  if (!before) return before.error();
  const auto next = before->image->switches[number].after(change);
  if (!next) {
    return Error{ErrorCode::range,
                 fmt::format("there are {} rules for hosts already; take one back, or give a shorter prefix",
                             ipc::AlgSwitch::kMaxRules)};
  }
  const auto image = std::make_unique<ipc::PolicyImage>(*before->image);
  image->switches[number] = *next;
  return put(*image);
}

void PolicyBoard::run() {
  const auto all = cards();
  const auto generation = newest(all);
  for (std::uint32_t worker = 0; worker < all.size(); ++worker) {
    if (all[worker].generation == generation || all[worker].prepared != generation) continue;
    static_cast<void>(
        link_.send(worker, {.type = ipc::CommandType::commit_policy, .generation = generation}));
  }
}

}  // namespace pinhole::control
