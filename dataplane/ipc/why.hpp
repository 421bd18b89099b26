// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Why a message looks the way it does on the other side: what was replaced by which rule, and what was opened
// for it, as short records of text, packed into events of fixed size.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "alg/rule.hpp"

namespace pinhole::ipc {

enum class WhyKind : std::uint8_t {
  edit,      // `before` was replaced by `after`
  opened,    // a pinhole was opened: inside endpoint, external endpoint
  kept,      // a pinhole that was open was described again
  expected,  // media is to come from there: RTP and RTCP, remote endpoints
};

/// One record. Views point into the pack that it was read from.
struct WhyRecord {
  WhyKind kind = WhyKind::edit;
  alg::Rule rule = alg::Rule::other;  // of an edit
  std::string_view before;
  std::string_view after;
};

/// Records as they lie in an event: kind, rule, two sizes, two texts.
class WhyPack {
 public:
  static constexpr std::size_t kBytes = 144;
  static constexpr std::size_t kMaxText = 60;  // longer text is cut

  /// \return false when there is no room: the record belongs into another pack
  [[nodiscard]] bool add(const WhyRecord& record) noexcept {
    const auto before = record.before.substr(0, kMaxText);
    const auto after = record.after.substr(0, kMaxText);
    if (kHead + before.size() + after.size() > kBytes - size_) return false;
    char* place = bytes_.data() + size_;
    *place++ = static_cast<char>(record.kind);
    *place++ = static_cast<char>(record.rule);
    *place++ = static_cast<char>(before.size());
    *place++ = static_cast<char>(after.size());
    place = std::copy(before.begin(), before.end(), place);
    place = std::copy(after.begin(), after.end(), place);
    size_ = static_cast<std::uint8_t>(place - bytes_.data());
    return true;
  }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  void clear() noexcept { size_ = 0; }

  /// Calls visit(const WhyRecord&) for each record; what a torn message left broken ends it.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    const std::string_view all(bytes_.data(), std::min<std::size_t>(size_, kBytes));
    for (std::size_t at = 0; at + kHead <= all.size();) {
      const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(all[at + i]); };
      const std::size_t before = byte(2);
      const std::size_t after = byte(3);
      if (at + kHead + before + after > all.size()) return;
      visit(WhyRecord{.kind = static_cast<WhyKind>(byte(0)),
                      .rule = static_cast<alg::Rule>(byte(1)),
                      .before = {all.data() + at + kHead, before},
                      .after = {all.data() + at + kHead + before, after}});
      at += kHead + before + after;
    }
  }

 private:
  static constexpr std::size_t kHead = 4;
  static_assert(kHead + 2 * kMaxText <= kBytes && kBytes <= 255);

  std::array<char, kBytes> bytes_;
  std::uint8_t size_ = 0;
};

}  // namespace pinhole::ipc
