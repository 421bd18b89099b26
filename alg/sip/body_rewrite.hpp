// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Translates what of a body can be translated, and keeps every length right: that of the message and of each
// part that something changed in.

#include <array>
#include <cstddef>
#include <cstdint>

#include "alg/sip/body.hpp"
#include "alg/sip/message.hpp"
#include "alg/sip/translator.hpp"

namespace pinhole::alg::sip {

/// One body, in two steps: what its sender says, and after all else of the message what it quotes.
class BodyRewriter {
 public:
  BodyRewriter(const Body& body, Translator& translator) noexcept : body_(body), translator_(translator) {}

  /// Translates descriptions and event state. \return the number of streams that were opened
  [[nodiscard]] std::uint32_t rewrite_own(const MessageView& message) noexcept;
  /// Translates fragments of messages, for which nothing is made, and then the lengths.
  void rewrite_quoted() noexcept;

 private:
  void rewrite_lengths() noexcept;

  const Body& body_;
  Translator& translator_;
  std::array<std::ptrdiff_t, Body::kMaxParts> growth_{};
};

}  // namespace pinhole::alg::sip
