// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A data plane of vectors and a clock that tests turn by hand.

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "control/worker_link.hpp"
#include "dataplane/ipc/event.hpp"

namespace pinhole::control::test {

class FakeLink final : public WorkerLink {
 public:
  struct Sent {
    std::uint32_t worker = 0;
    ipc::Command command;
  };

  FakeLink(std::size_t workers, std::size_t cards)
      : calls(workers, std::vector<ipc::CallCard>(cards)),
        registrations(workers, std::vector<ipc::RegistrationCard>(cards)),
        policies(workers),
        hits(workers) {}

  std::uint32_t call_capacity(std::uint32_t worker) const noexcept override {
    return static_cast<std::uint32_t>(calls[worker].size());
  }
  std::uint32_t registration_capacity(std::uint32_t worker) const noexcept override {
    return static_cast<std::uint32_t>(registrations[worker].size());
  }
  std::optional<ipc::CallCard> call_card(std::uint32_t worker, std::uint32_t card) const noexcept override {
    if (torn.contains({worker, card})) return std::nullopt;
    return calls[worker][card];
  }
  std::optional<ipc::RegistrationCard> registration_card(std::uint32_t worker,
                                                         std::uint32_t card) const noexcept override {
    return registrations[worker][card];
  }
  std::optional<ipc::PolicyCard> policy_card(std::uint32_t worker) const noexcept override {
    if (worker >= policies.size() || torn_policies.contains(worker)) return std::nullopt;
    return policies[worker];
  }
  const ipc::PolicyImage& policy(std::uint8_t slot) const noexcept override { return images->at(slot); }
  std::uint64_t rule_hits(std::uint32_t worker, std::uint8_t slot, std::size_t rule) const noexcept override {
    const auto found = hits[worker].find({slot, rule});
    return found == hits[worker].end() ? 0 : found->second;
  }
  void write_policy(std::uint8_t slot, const ipc::PolicyImage& image) noexcept override {
    written.push_back(slot);
    images->at(slot) = image;
  }
  std::span<const ipc::BanSlot> bans(std::uint32_t worker) const noexcept override {
    return worker < ban_slots.size() ? std::span<const ipc::BanSlot>(ban_slots[worker])
                                     : std::span<const ipc::BanSlot>();
  }
  MediaActivity media(const ipc::CallCard& card) const noexcept override {
    if (card.pinhole_count == 0) return {};
    return {.open = card.pinhole_count, .last_seen = last_media};
  }
  std::optional<PinholeState> pinhole(const ipc::PinholeRef& pinhole) const noexcept override {
    const auto found = pinholes.find(pinhole.mapping);
    if (found == pinholes.end()) return std::nullopt;
    return found->second;
  }
  nat::Tick tick() const noexcept override { return now_tick; }
  Time time_of(nat::Tick tick) const noexcept override {
    return moment.wall + std::chrono::milliseconds(100) * static_cast<std::int32_t>(tick - now_tick);
  }
  bool send(std::uint32_t worker, ipc::Command command) noexcept override {
    if (ring_full) return false;
    sent.push_back({worker, command});
    return true;
  }

  /// Lets time pass on all clocks.
  void pass(std::chrono::milliseconds duration) {
    moment.wall += duration;
    moment.steady += duration;
    now_tick += static_cast<nat::Tick>(duration.count() / 100);
  }

  /// The commands of one type that were sent since the last call of this function.
  std::vector<Sent> take(ipc::CommandType type) {
    std::vector<Sent> taken;
    std::erase_if(sent, [&](const Sent& one) {
      if (one.command.type != type) return false;
      taken.push_back(one);
      return true;
    });
    return taken;
  }

  std::vector<std::vector<ipc::CallCard>> calls;
  std::vector<std::vector<ipc::RegistrationCard>> registrations;
  std::vector<ipc::PolicyCard> policies;
  std::vector<std::map<std::pair<std::uint8_t, std::size_t>, std::uint64_t>> hits;  // by slot and rule
  std::unique_ptr<std::array<ipc::PolicyImage, ipc::kPolicySlots>> images =
      std::make_unique<std::array<ipc::PolicyImage, ipc::kPolicySlots>>();
  std::vector<std::uint8_t> written;  // slots, in order
  std::vector<std::vector<ipc::BanSlot>> ban_slots;
  std::set<std::pair<std::uint32_t, std::uint32_t>> torn;
  std::set<std::uint32_t> torn_policies;
  std::map<nat::MappingIndex, PinholeState> pinholes;
  std::vector<Sent> sent;
  bool ring_full = false;
  nat::Tick last_media = 0;
  nat::Tick now_tick = 1'000'000;
  Moment moment{.wall = Time(std::chrono::hours(500'000)), .steady = Steady(std::chrono::hours(100))};
};

}  // namespace pinhole::control::test
