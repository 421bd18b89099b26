// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Who decides whether a message goes on at all, before it is translated: rate limits, rules, bans. The
// gateway asks each of its screens in turn; the first that says anything else than `forward` decides. A
// screen belongs to one worker and may keep state; a message that waited and is inspected again was judged
// before (Message::again) and is not to count twice.

#include <optional>

#include "alg/alg.hpp"
#include "alg/sip/message.hpp"

namespace pinhole::alg::sip {

class Screen {
 public:
  /// Judges a message that was read. \return `forward`, `drop` with its reason, or `refuse` with its status
  [[nodiscard]] virtual Answer judge(const MessageView& view, const Message& message) noexcept = 0;
  /// Judges what could not be read. \param defect  why; not `none`
  /// \return none: what the gateway's own policy says
  [[nodiscard]] virtual std::optional<Answer> judge_unread(Defect defect,
                                                           const Message& message) noexcept = 0;

 protected:
  ~Screen() = default;
};

}  // namespace pinhole::alg::sip
