// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Translates sip URIs in bodies that tell the state of dialogs or of presence (RFC 4235, RFC 3863): where a
// call is picked up, or a contact is reached. The XML is not read: a URI is found by its scheme, wherever it
// stands. Hides Call-IDs in dialog-info, too, where the policy hides them. Invariant: what others say opens
// nothing, and asks nobody. Only endpoints of the host itself are replaced, that have a mapping: outbound the
// sender's, inbound those that stand for the receiver's.

#include <string_view>

#include "alg/sip/translator.hpp"

namespace pinhole::alg::sip {

void rewrite_event_state(std::string_view text, Translator& translator) noexcept;

}  // namespace pinhole::alg::sip
