// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Translates the addresses in the start line and headers of a message: in every value of Via, and in every
// URI that says where to send something or who somebody is. From, To, Call-ID, CSeq, tags, branches and
// credentials are never touched (requirements AC-10, AC-15).

#include "alg/sip/message.hpp"
#include "alg/sip/translator.hpp"

namespace pinhole::alg::sip {

/// A value that does not follow the grammar is left as it is; whoever receives it judges it.
void rewrite_headers(const MessageView& message, Translator& translator) noexcept;

}  // namespace pinhole::alg::sip
