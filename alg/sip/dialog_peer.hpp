// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Tells who speaks next in a dialog whose other end nobody inside has spoken to: a proxy that does not stay
// on the way leaves ACK, BYE and all that follows to the caller itself (requirement AC-12), and NOTIFY to the
// notifier. And what would have to be known to speak in a dialog in place of one of its ends.

#include "alg/sip/message.hpp"
#include "alg/sip/translator.hpp"

namespace pinhole::alg::sip {

/// Tells the host where the requests of a dialog will come from, of an INVITE that comes in, and of a 2xx to
/// SUBSCRIBE or REFER: from the nearest proxy that put itself on the way, else from who made it. Names say
/// nothing. Source: RFC 3261 sections 12.1, 12.2.1.1 and 16.6 item 4, RFC 6665 section 4.1.2.1, RFC 3515.
void tell_dialog_peer(const MessageView& view, Translator& translator) noexcept;

/// Tells the host what an INVITE or UPDATE, or a 2xx to one, says of how requests of its dialog get to who
/// sends it. Source: RFC 3261 section 12.1, RFC 3311 section 5.
void tell_dialog(const MessageView& view, Host& host) noexcept;

}  // namespace pinhole::alg::sip
