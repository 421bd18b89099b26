// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The other dialogs of a call that several ends have accepted (RFC 3261 section 13.2.2.4): its card is of the
// first of them, until that one is ended while another one lives. Invariant: bounded; an end for which there
// is no room cannot become the call.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace pinhole::dataplane {

struct Fork {
  /// Of the tag of the end that has accepted, as MediaSource::leg has it.
  using Name = std::uint16_t;
  static constexpr Name kNone = 0;
  enum class State : std::uint8_t { accepted, confirmed, over };

  Name name = kNone;
  State state = State::over;
  std::uint8_t description = 0;  // number of the last one from inside in its dialog; 0: none
};

class Forks {
 public:
  static constexpr std::size_t kMost = 4;

  /// The fork that the call is now; kNone: none has accepted it.
  [[nodiscard]] Fork::Name current() const noexcept { return current_; }
  /// What is noted of one; kNone by name: nothing.
  [[nodiscard]] Fork find(Fork::Name name) const noexcept {
    const auto found =
        std::find_if(forks_.begin(), forks_.end(), [name](const Fork& fork) { return fork.name == name; });
    return found == forks_.end() ? Fork{} : *found;
  }

  /// It has accepted the call first of all.
  void begin(Fork::Name name) noexcept {
    forks_ = {};
    current_ = name;
  }
  /// It has accepted the call besides. One that is over, and says so late, stays so.
  void accept(Fork::Name name) noexcept {
    if (place_of(name) == nullptr) add({.name = name, .state = Fork::State::accepted});
  }
  /// Its acceptance was acknowledged.
  void confirm(Fork::Name name) noexcept {
    auto* const fork = place_of(name);
    if (fork != nullptr && fork->state == Fork::State::accepted) fork->state = Fork::State::confirmed;
  }
  void end(Fork::Name name) noexcept {
    if (auto* const fork = place_of(name)) fork->state = Fork::State::over;
  }
  void describe(Fork::Name name, std::uint8_t description) noexcept {
    if (auto* const fork = place_of(name)) fork->description = description;
  }
  /// The fork that the call was is over, or has only been accepted so far.
  /// \return whether a confirmed one lives, which is the call from now on
  [[nodiscard]] bool turn(Fork::State former) noexcept {
    if (current_ == Fork::kNone) return false;
    if (auto* const noted = place_of(current_)) noted->state = former;
    const auto next = std::find_if(forks_.begin(), forks_.end(),
                                   [](const Fork& fork) { return fork.state == Fork::State::confirmed; });
    if (next == forks_.end()) return false;
    const auto chosen = next->name;
    if (place_of(current_) == nullptr) add({.name = current_, .state = former});
    current_ = chosen;
    return true;
  }

 private:
  [[nodiscard]] Fork* place_of(Fork::Name name) noexcept {
    auto* const found =
        std::find_if(forks_.begin(), forks_.end(), [name](const Fork& fork) { return fork.name == name; });
    return found == forks_.end() ? nullptr : found;
  }
  /// Of those that are over the one that was noted first makes room: of the others messages may still be on
  /// their way.
  void add(const Fork& fork) noexcept {
    if (fork.name == Fork::kNone) return;
    auto* place = place_of(Fork::kNone);
    if (place == nullptr) {
      auto* const over = std::find_if(forks_.begin(), forks_.end(),
                                      [](const Fork& known) { return known.state == Fork::State::over; });
      if (over == forks_.end()) return;
      place = std::copy(over + 1, forks_.end(), over);
    }
    *place = fork;
  }

  std::array<Fork, kMost> forks_{};  // in the order in which they were noted, and then free places
  Fork::Name current_ = Fork::kNone;
};
static_assert(sizeof(Forks) <= 18);  // of every call

}  // namespace pinhole::dataplane
