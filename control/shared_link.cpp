// SPDX-License-Identifier: BSD-3-Clause
#include "control/shared_link.hpp"

#include <algorithm>

#include <rte_ring.h>
#include <rte_ring_elem.h>

namespace pinhole::control {

const ipc::WorkerShare* SharedLink::share(std::uint32_t worker) const noexcept {
  // Numbers come out of events, so they are not taken on trust.
  if (worker >= attachment_.layout->worker_count) return nullptr;
  return &attachment_.layout->workers[worker];
}

std::uint32_t SharedLink::call_capacity(std::uint32_t worker) const noexcept {
  const auto* const of = share(worker);
  return of == nullptr ? 0 : of->call_capacity;
}

std::uint32_t SharedLink::registration_capacity(std::uint32_t worker) const noexcept {
  const auto* const of = share(worker);
  return of == nullptr ? 0 : of->registration_capacity;
}

std::optional<ipc::CallCard> SharedLink::call_card(std::uint32_t worker, std::uint32_t card) const noexcept {
  if (card >= call_capacity(worker)) return std::nullopt;
  return share(worker)->calls[card].read();
}

std::optional<ipc::RegistrationCard> SharedLink::registration_card(std::uint32_t worker,
                                                                   std::uint32_t card) const noexcept {
  if (card >= registration_capacity(worker)) return std::nullopt;
  return share(worker)->registrations[card].read();
}

std::optional<ipc::PolicyCard> SharedLink::policy_card(std::uint32_t worker) const noexcept {
  const auto* const of = share(worker);
  if (of == nullptr || of->policy == nullptr || attachment_.layout->policies == nullptr) return std::nullopt;
  return of->policy->read();
}

const ipc::PolicyImage& SharedLink::policy(std::uint8_t slot) const noexcept {
  return attachment_.layout->policies[slot];
}

std::uint64_t SharedLink::rule_hits(std::uint32_t worker, std::uint8_t slot,
                                    std::size_t rule) const noexcept {
  const auto* const of = share(worker);
  const bool is_there = of != nullptr && of->rule_hits != nullptr && rule < alg::sip::RuleSet::kMaxRules;
  return is_there ? of->rule_hits[slot].read(rule) : 0;
}

void SharedLink::write_policy(std::uint8_t slot, const ipc::PolicyImage& image) noexcept {
  // Seen by a worker that is told of it after, by its ring.
  attachment_.layout->policies[slot] = image;
}

std::span<const ipc::BanSlot> SharedLink::bans(std::uint32_t worker) const noexcept {
  const auto* const of = share(worker);
  if (of == nullptr || of->bans == nullptr) return {};
  return {of->bans, of->ban_capacity};
}

MediaActivity SharedLink::media(const ipc::CallCard& card) const noexcept {
  MediaActivity activity;
  const auto count = std::min<std::size_t>(card.pinhole_count, ipc::kMaxPinholes);
  for (std::size_t i = 0; i < count; ++i) {
    const auto seen = mappings_.last_seen(card.pinholes[i]);
    if (!seen) continue;
    ++activity.open;
    if (!activity.last_seen || nat::reached(*activity.last_seen, *seen)) activity.last_seen = seen;
  }
  return activity;
}

bool SharedLink::send(std::uint32_t worker, ipc::Command command) noexcept {
  if (share(worker) == nullptr) return false;
  command.abi_version = ipc::kAbiVersion;
  command.sequence = sequence_[worker] + 1;
  command.sequence_again = command.sequence;
  if (rte_ring_sp_enqueue_elem(attachment_.commands[worker], &command, sizeof command) != 0) return false;
  ++sequence_[worker];
  return true;
}

}  // namespace pinhole::control
