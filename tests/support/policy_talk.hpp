// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What control does to change the policy of the workers of a lab, by shared memory and commands.

#include <cstdint>
#include <string>

#include <catch2/catch.hpp>

#include "dataplane/ipc/command.hpp"
#include "dataplane/ipc/layout.hpp"
#include "tests/support/pipeline_lab.hpp"

#include <rte_memzone.h>
#include <rte_ring_elem.h>

namespace pinhole::test {

class PolicyTalk {
 public:
  explicit PolicyTalk(PipelineLab& lab) : lab_(lab) {}

  [[nodiscard]] static const ipc::Layout& layout() {
    return *static_cast<const ipc::Layout*>(rte_memzone_lookup(ipc::kLayoutName)->addr);
  }
  [[nodiscard]] static ipc::PolicyCard card(unsigned worker = 0) {
    return layout().workers[worker].policy->read().value();
  }
  [[nodiscard]] static ipc::PolicyImage& image(std::uint8_t slot) { return layout().policies[slot]; }
  /// Of the rule with a number, by all workers.
  [[nodiscard]] std::uint64_t hits(std::size_t rule) const {
    std::uint64_t sum = 0;
    for (unsigned worker = 0; worker < lab_.workers(); ++worker) {
      sum += layout().workers[worker].rule_hits[card(worker).slot].read(rule);
    }
    return sum;
  }

  void tell(unsigned worker, ipc::Command command) {
    const auto name = std::string("pinhole_command_") + std::to_string(worker);
    command.abi_version = ipc::kAbiVersion;
    command.sequence = command.sequence_again = ++sequence_;
    REQUIRE(rte_ring_enqueue_elem(rte_ring_lookup(name.c_str()), &command, sizeof command) == 0);
  }
  void tell_all(const ipc::Command& command) {
    for (unsigned worker = 0; worker < lab_.workers(); ++worker) tell(worker, command);
    lab_.pass_s(1);
  }

  /// Writes the image that is not in use. \param change  `void(ipc::PolicyImage&)` \return its slot
  template <typename Change>
  std::uint8_t write(Change&& change) {
    const auto slot = card().slot;
    const auto next = static_cast<std::uint8_t>(1 - slot);
    image(next) = image(slot);
    change(image(next));
    return next;
  }
  /// The same, and all workers use it.
  template <typename Change>
  void put(Change&& change) {
    ++generation_;
    const auto slot = write(change);
    tell_all({.type = ipc::CommandType::announce_policy, .generation = generation_});
    tell_all({.type = ipc::CommandType::prepare_policy, .slot = slot, .generation = generation_});
    for (unsigned worker = 0; worker < lab_.workers(); ++worker) {
      CHECK(card(worker).announced == generation_);
      CHECK(card(worker).prepared == generation_);
      CHECK(card(worker).generation == generation_ - 1);
    }
    tell_all({.type = ipc::CommandType::commit_policy, .generation = generation_});
    for (unsigned worker = 0; worker < lab_.workers(); ++worker) {
      CHECK(card(worker).generation == generation_);
    }
  }
  void turn(const ipc::SwitchChange& change) {
    put([&](ipc::PolicyImage& image) {
      image.switches[ipc::kSipGateway] = image.switches[ipc::kSipGateway].after(change).value();
    });
  }

 private:
  PipelineLab& lab_;
  std::uint32_t sequence_ = 0;
  std::uint32_t generation_ = 0;
};

}  // namespace pinhole::test
