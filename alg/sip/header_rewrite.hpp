// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Translates the addresses in the start line and headers of a message: in every value of Via, and in every
// URI that says where to send something or who somebody is, also in the headers that such a URI carries
// escaped. From, To and Call-IDs are touched by policy alone (alg/sip/hiding.hpp); CSeq, tags, branches and
// credentials never (requirements AC-10, AC-15).

#include "alg/sip/message.hpp"
#include "alg/sip/translator.hpp"

namespace pinhole::alg::sip {

/// A value that does not follow the grammar is left as it is; whoever receives it judges it.
void rewrite_headers(const MessageView& message, Translator& translator) noexcept;

/// One header, of a message or of a part of one that is like a message.
void rewrite_header(const Header& header, Translator& translator) noexcept;

/// A Request-URI.
void rewrite_request_uri(std::string_view uri, Translator& translator) noexcept;

}  // namespace pinhole::alg::sip
