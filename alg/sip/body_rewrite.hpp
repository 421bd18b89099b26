// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Translates what of a body can be translated, and keeps every length right: that of the message and of each
// part that something changed in.

#include <cstdint>

#include "alg/sip/body.hpp"
#include "alg/sip/message.hpp"
#include "alg/sip/translator.hpp"

namespace pinhole::alg::sip {

/// \return the number of streams that were opened.
std::uint32_t rewrite_body(const MessageView& message, const Body& body, Translator& translator) noexcept;

}  // namespace pinhole::alg::sip
