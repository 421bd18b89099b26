// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What is remembered of a control connection: which commands have no reply yet, so that a reply is believed
// only where one was asked for, and where in a reply or in a long line each side is. It lies in the memory
// that the host keeps for a flow, which begins as zeros.

#include <cstdint>
#include <type_traits>

#include "alg/ftp/line.hpp"
#include "alg/plugin.h"

namespace pinhole::alg::ftp {

/// What a reply may open the way for.
enum class Asked : std::uint8_t { other, passive, extended_passive, security };

/// The commands that have no reply yet, the oldest first. Of more than it holds the oldest are forgotten.
class Pending {
 public:
  static constexpr unsigned kMax = 32;

  void push(Asked asked) noexcept {
    if (size_ == kMax) drop(1);
    asked_ |= static_cast<std::uint64_t>(asked) << (kBits * size_);
    ++size_;
  }
  /// Whether there is such a command. Older ones do not matter: some servers leave out a reply.
  [[nodiscard]] bool has(Asked asked) const noexcept { return find(asked) < size_; }
  /// The first such command was answered, and all before it.
  void answer(Asked asked) noexcept { drop(find(asked) + 1); }
  /// The oldest one was.
  void answer() noexcept { drop(1); }

 private:
  static constexpr unsigned kBits = 2;
  static_assert(kMax * kBits == 64);

  [[nodiscard]] unsigned find(Asked asked) const noexcept {
    unsigned i = 0;
    while (i < size_ && static_cast<Asked>(asked_ >> (kBits * i) & 3U) != asked) ++i;
    return i;
  }
  void drop(unsigned count) noexcept {
    if (count >= size_) {
      asked_ = 0;
      size_ = 0;
      return;
    }
    asked_ >>= kBits * count;
    size_ = static_cast<std::uint8_t>(size_ - count);
  }

  std::uint64_t asked_ = 0;
  std::uint8_t size_ = 0;
};

struct Session {
  Pending pending;
  std::uint16_t reply = 0;  // the code of a reply of several lines that has not ended
  bool greeted = false;     // the server's first reply has come
  bool in_line[2] = {};     // by side: the next piece goes on with a line that was too long
  bool foreign = false;     // the client has said what clients of FTP do not say: PORT and EPRT open nothing
};
static_assert(std::is_trivially_copyable_v<Session> && sizeof(Session) <= PINHOLE_MAX_FLOW &&
              alignof(Session) <= 8);

}  // namespace pinhole::alg::ftp
