// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The ways on which a call is set up. A proxy that tries several ends, at once or in turn, sends each of them
// an INVITE of the same call; they differ in the branch of their topmost Via, which a response repeats
// (RFC 3261 sections 16.6 and 17.1.3). The refusal of one is not the end of the call while others are tried.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "alg/sip/summary.hpp"
#include "dataplane/ipc/call_state.hpp"

namespace pinhole::dataplane {

class InviteBranches {
 public:
  static constexpr std::size_t kMax = 8;  // more than proxies fork to by default; others are not noted

  /// Takes an INVITE, or a response to one, into account. Cost: some instructions for each eight bytes of the
  /// branch.
  /// \return what was known of its branch before, and is of others
  ipc::Branches note(const alg::sip::Summary& message) noexcept {
    const auto name = name_of(message);
    const bool is_request = message.is_request();
    const auto own = place_of(name, is_request);
    // A response to what nobody has sent may only be to one for which there was no room.
    ipc::Branches branches{.open = is_request || count_ == kMax};
    if (own < count_) {
      auto& state = states_[own];
      branches.open = state != State::over || (is_request && message.branch.empty());
      if (!is_request && state != State::over) state = message.status < 200 ? State::heard : State::over;
    }
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
    constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15U;  // 2^64 / golden ratio
    std::uint64_t hash = message.cseq;
    const auto take = [&hash](std::uint64_t word) noexcept {
      hash = (hash ^ word) * kFactor;
      hash ^= hash >> 32U;
    };
    auto rest = message.branch;
    for (std::uint64_t word = 0; rest.size() >= sizeof word; rest.remove_prefix(sizeof word)) {
      std::memcpy(&word, rest.data(), sizeof word);
      take(word);
    }
    std::uint64_t last = rest.size();
    for (const char c : rest) last = last << 8U | static_cast<unsigned char>(c);
    take(last);
    return static_cast<Name>(hash);
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
