// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Changes the policy of all workers (dataplane/ipc/policy.hpp): the switch of a gateway, or the whole.
// It tells each of them, waits until all are ready, and only then tells them to go. Invariant: either all
// workers have a change or none will; what was cut off in the middle, by a full ring or by an end of control,
// run() sees through. It remembers nothing: what holds is on the workers' cards, and in the image that they
// name. Owned by the thread that runs the server.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "control/error.hpp"
#include "control/model.hpp"
#include "control/worker_link.hpp"
#include "dataplane/ipc/policy.hpp"

namespace pinhole::control {

/// For whom a switch is turned, in a line of the log: "all", "interface wan", "hosts 10.0.0.64/26".
[[nodiscard]] std::string scope_text(const AlgTurn& turn);

class PolicyBoard {
 public:
  /// A worker reads its commands once in a tenth of a second, unless its CPU is taken from it.
  static constexpr std::chrono::milliseconds kPatience{1000};
  static constexpr std::chrono::milliseconds kLookEvery{5};

  struct State {
    const ipc::PolicyImage* image = nullptr;  // until the next change
    std::uint32_t generation = 0;
    std::uint8_t slot = 0;   // of the image, and of the hits of its rules
    bool settled = true;     // all workers have it
    std::uint32_t next = 1;  // a generation that no card names, whoever wrote it there
  };

  /// \param link   outlives the board
  /// \param sleep  lets time pass for the workers, kLookEvery at once, and does meanwhile what cannot wait;
  ///               it does not come back to the board
  PolicyBoard(WorkerLink& link, std::uint32_t workers, std::function<void(std::chrono::milliseconds)> sleep)
      : link_(link), workers_(workers), sleep_(std::move(sleep)) {}

  /// \return none while a worker's card cannot be read
  [[nodiscard]] std::optional<State> state() const;
  /// Puts a policy in the place of the one in use.
  /// Cost: three ticks of the workers, 3 * kPatience when one of them does not answer.
  /// Errors: unavailable, when a worker did not answer, is writing its card just now, or has not got the last
  /// change yet; internal, when a worker found the image not sound.
  /// Nothing has changed then.
  [[nodiscard]] Result<State> put(const ipc::PolicyImage& image);
  /// The same with a turn of a switch. Errors: besides, range, when there is no room for another host.
  /// \param number  of the switch (ipc::PolicyImage)
  [[nodiscard]] Result<State> turn(std::size_t number, const ipc::SwitchChange& change);
  /// To be called now and then: workers that have not heard of what others have are told again.
  void run();

 private:
  [[nodiscard]] std::vector<ipc::PolicyCard> cards() const;  // empty when one cannot be read
  /// The state, when every worker has it. Errors: unavailable
  [[nodiscard]] Result<State> settled_state() const;
  [[nodiscard]] bool tell_all(const ipc::Command& command);
  template <typename Condition>
  [[nodiscard]] bool wait_for_all(Condition&& condition) const;

  WorkerLink& link_;
  std::uint32_t workers_;
  std::function<void(std::chrono::milliseconds)> sleep_;
};

}  // namespace pinhole::control
