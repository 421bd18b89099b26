// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Translates the addresses in the start line and headers of a message: in every value of Via, and in every
// URI that says where to send something or who somebody is, also in the headers that such a URI carries
// escaped. From, To, Call-IDs, User-Agent and Server are touched by policy alone (alg/sip/hiding.hpp); CSeq,
// tags, branches and credentials never (requirements AC-10, AC-15).

#include <string_view>

#include "alg/sip/message.hpp"
#include "alg/sip/translator.hpp"

namespace pinhole::alg::sip {

/// All that is the sender's own word. A value that does not follow the grammar is left as it is; whoever
/// receives it judges it.
void rewrite_headers(const MessageView& message, Translator& translator) noexcept;

/// For whom the sender says to speak: Referred-By, Diversion, History-Info, identities. Its own word where
/// that is its own host; what it names of other hosts it may have copied, so that it is looked up, like an
/// echo.
void rewrite_parties(const MessageView& message, Translator& translator) noexcept;

/// What the sender repeats of messages that came to it: in a response Via, Record-Route and Path of its
/// request, in a request the Request-URI and Route. Whoever sent those may have named any inside endpoint
/// there, so that none is opened for it. To be called when everything else was asked for: a message that is
/// sent again is to find the same mappings.
void rewrite_echoes(const MessageView& message, Translator& translator) noexcept;

/// A Request-URI.
void rewrite_request_uri(std::string_view uri, Translator& translator) noexcept;

/// Translates a message/sipfrag: a start line, headers, or both; its body is for others (RFC 3420). It quotes
/// a message that came to its sender, who answers for none of it: the request it refuses, the response it
/// tells of. So all of it is echoed, Contact as well.
void rewrite_fragment(std::string_view text, Translator& translator) noexcept;

}  // namespace pinhole::alg::sip
