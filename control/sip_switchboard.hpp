// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Turns the switch of the SIP gateway for all workers (dataplane/ipc/sip_switch.hpp): tells each of them,
// waits until all are ready, and only then tells them to go. Invariant: either all workers have a change or
// none will; what was cut off in the middle, by a full ring or by an end of control, run() sees through. It
// remembers nothing: what holds is on the workers' cards. Owned by the thread that runs the server.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "control/error.hpp"
#include "control/worker_link.hpp"
#include "dataplane/ipc/sip_switch.hpp"

namespace pinhole::control {

class SipSwitchboard {
 public:
  /// A worker reads its commands once in a tenth of a second, unless its CPU is taken from it.
  static constexpr std::chrono::milliseconds kPatience{1000};
  static constexpr std::chrono::milliseconds kLookEvery{5};

  struct State {
    ipc::SipSwitch now;
    std::uint32_t generation = 0;
    bool settled = true;  // all workers have it
  };

  /// \param link   outlives the board
  /// \param sleep  lets time pass for the workers
  SipSwitchboard(WorkerLink& link, std::uint32_t workers,
                 std::function<void(std::chrono::milliseconds)> sleep)
      : link_(link), workers_(workers), sleep_(std::move(sleep)) {}

  /// \return none while a worker's card cannot be read
  [[nodiscard]] std::optional<State> state() const;
  /// Cost: two ticks of the workers, 2 * kPatience when one of them does not answer.
  /// Errors: range, when there is no room for another rule; unavailable, when a worker did not answer.
  /// Nothing has changed then.
  [[nodiscard]] Result<State> turn(const ipc::SipChange& change);
  /// To be called now and then: workers that have not heard of what others have are told again.
  void run();

 private:
  [[nodiscard]] std::vector<ipc::SipCard> cards() const;  // empty when one cannot be read
  template <typename Condition>
  [[nodiscard]] bool wait_for_all(Condition&& condition) const;

  WorkerLink& link_;
  std::uint32_t workers_;
  std::function<void(std::chrono::milliseconds)> sleep_;
};

}  // namespace pinhole::control
