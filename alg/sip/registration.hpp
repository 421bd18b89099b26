// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Reads what a registrar granted, so that a registered phone stays reachable for as long (requirement AC-01).

#include "alg/sip/message.hpp"
#include "alg/sip/translator.hpp"

namespace pinhole::alg::sip {

/// When neither the contact nor the message says how long (RFC 3261 section 10.2.1.1 recommends an hour).
inline constexpr std::uint32_t kDefaultExpires_s = 3600;

/// Grants the bindings of an inbound 2xx to REGISTER; other messages grant nothing. A 2xx without a contact
/// of the phone that asked, as we or another NAT made it, ends its binding. A request ends nothing by itself:
/// it may be refused.
void grant_bindings(const MessageView& view, Translator& translator) noexcept;

}  // namespace pinhole::alg::sip
