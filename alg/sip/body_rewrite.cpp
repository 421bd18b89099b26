// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/body_rewrite.hpp"

#include <cstddef>

#include "alg/sip/chars.hpp"
#include "alg/sip/event_state.hpp"
#include "alg/sip/header_rewrite.hpp"
#include "alg/sip/sdp_rewrite.hpp"

namespace pinhole::alg::sip {

namespace {

// Offers and answers ride in these methods and in their answers up to 2xx (RFC 3264, 3261, 3262, 3311); INFO
// is what older phones change their media with.
bool sets_up_media(const MessageView& message) noexcept {
  if (message.status() >= 300) return false;
  switch (message.method()) {
    case Method::invite:
    case Method::ack:
    case Method::prack:
    case Method::update:
    case Method::info:
      return true;
    default:
      return false;
  }
}

SdpPurpose purpose_of(const BodyPart& part, const MessageView& message) noexcept {
  if (part.is_quoted || !sets_up_media(message)) return SdpPurpose::information;
  return part.kind == BodyKind::trickle_fragment ? SdpPurpose::trickle : SdpPurpose::session;
}

// A length that a message or part did not say stays unsaid (requirement AC-06).
void rewrite_length(std::string_view token, std::ptrdiff_t growth, Translator& translator) noexcept {
  if (token.empty() || growth == 0) return;
  const auto length = number(token);
  if (!length) return;
  // A length that the body does not have cannot be kept in step with it.
  if (static_cast<std::ptrdiff_t>(*length) + growth < 0) return translator.refuse();
  translator.use(Rule::content_length);
  translator.replace_number(token, static_cast<std::uint32_t>(*length + growth));
}

}  // namespace

std::uint32_t BodyRewriter::rewrite_own(const MessageView& message) noexcept {
  if (!body_.is_within_bounds()) {
    translator_.refuse();
    return 0;
  }
  std::uint32_t opened = 0;
  const auto& parts = body_.parts();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (translator_.given_up()) return 0;
    const auto& part = parts[i];
    const auto before = translator_.growth();
    switch (part.kind) {
      case BodyKind::description:
      case BodyKind::trickle_fragment:
        opened += rewrite_sdp(part.text, purpose_of(part, message), translator_);
        break;
      case BodyKind::event_state:
        rewrite_event_state(part.text, translator_);
        break;
      case BodyKind::message_fragment:
      case BodyKind::multipart:
      case BodyKind::other:
        break;
    }
    growth_[i] = translator_.growth() - before;
  }
  return opened;
}

void BodyRewriter::rewrite_quoted() noexcept {
  if (translator_.given_up()) return;
  const auto& parts = body_.parts();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].kind != BodyKind::message_fragment) continue;
    const auto before = translator_.growth();
    rewrite_fragment(parts[i].text, translator_);
    growth_[i] = translator_.growth() - before;
  }
  rewrite_lengths();
}

void BodyRewriter::rewrite_lengths() noexcept {
  const auto& parts = body_.parts();
  // A part comes behind the one that it is inside of. Where its length is written belongs to that one, too.
  for (std::size_t i = parts.size(); i-- > 0;) {
    const auto before = translator_.growth();
    rewrite_length(parts[i].content_length, growth_[i], translator_);
    if (i > 0) growth_[parts[i].parent] += growth_[i] + translator_.growth() - before;
  }
}

}  // namespace pinhole::alg::sip
