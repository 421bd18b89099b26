// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The ways on which a call is set up. A proxy that tries several ends, at once or in turn, sends each of them
// an INVITE of the same call; they differ in the branch of their topmost Via, which a response repeats
// (RFC 3261 sections 16.6 and 17.1.3). The refusal of one is not the end of the call while others are tried.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "alg/sip/summary.hpp"
#include "dataplane/ipc/call_state.hpp"

namespace pinhole::dataplane {

class InviteBranches {
 public:
  static constexpr std::size_t kMax = 8;  // more than proxies fork to by default; others are not noted

  /// Takes an INVITE, or a response to one, into account. Cost: three instructions a character of the branch.
  /// \return what was known of its branch before, and is of others
  ipc::Branches note(const alg::sip::Summary& message) noexcept {
    const auto name = name_of(message);
    const auto own = place_of(name, message.is_request());
    bool was_over = false;
    if (own < count_) {
      auto& state = states_[own];
      was_over = state == State::over;
      if (!message.is_request() && !was_over) state = message.status < 200 ? State::heard : State::over;
    }
    ipc::Branches branches{.open = !was_over || message.branch.empty()};
    for (std::size_t i = 0; i < count_; ++i) branches.others |= i != own && states_[i] == State::heard;
    return branches;
  }

 private:
  enum class State : std::uint8_t {
    sent,   // nothing has been heard of it: it may have got lost
    heard,  // it waits for its final response
    over,
  };
  using Name = std::uint16_t;

  /// A client that has one branch for all (RFC 2543) makes another transaction with another number.
  static Name name_of(const alg::sip::Summary& message) noexcept {
    std::uint32_t hash = 0x811c9dc5U ^ message.cseq;  // FNV-1a
    for (const char c : message.branch) hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193U;
    return static_cast<Name>(hash ^ hash >> 16U);
  }

  /// \return where a branch is noted; count_: nowhere
  std::size_t place_of(Name name, bool is_new_noted) noexcept {
    const auto find = [this](const auto& values, auto value) noexcept {
      return static_cast<std::size_t>(std::find(values.begin(), values.begin() + count_, value) -
                                      values.begin());
    };
    auto at = find(names_, name);
    if (at < count_ || !is_new_noted) return at;
    if (count_ < kMax) {
      ++count_;
    } else {
      at = find(states_, State::over);
      if (at == count_) return at;
    }
    names_[at] = name;
    states_[at] = State::sent;
    return at;
  }

  std::array<Name, kMax> names_{};
  std::array<State, kMax> states_{};
  std::uint8_t count_ = 0;
};
static_assert(sizeof(InviteBranches) <= 32);  // of every call

}  // namespace pinhole::dataplane
