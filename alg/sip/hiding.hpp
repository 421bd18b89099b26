// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Hides, by policy, inside addresses in what identifies a call and its parties: the hosts of From and To, and
// those of Call-IDs wherever a message names one (Call-ID, Replaces, Join, Target-Dialog, In-Reply-To,
// Event). Outbound an inside address becomes a token (alg/sip/host_token.hpp), inbound a token becomes the
// address again, so that each side sees one and the same identifier for as long as the key lives (requirement
// AC-15). That holds of what either side made itself: an address that somebody outside wrote, and which
// happens to be one of the inside, comes in as a token, and is answered by the address. What software runs
// inside is hidden, too (User-Agent, Server), and needs no way back: nobody answers it.

#include <array>
#include <string_view>

#include "alg/sip/translator.hpp"

namespace pinhole::alg::sip {

/// \param value of From or To
void hide_party(std::string_view value, Translator& translator) noexcept;

/// \param value of Warning, whose agents are hosts (RFC 3261 section 20.43)
void hide_warning_agents(std::string_view value, Translator& translator) noexcept;

/// \param value a Call-ID
void hide_call_id(std::string_view value, Translator& translator) noexcept;

/// \param value a Call-ID and, after a semicolon, the tags of a dialog, which are not read
void hide_dialog(std::string_view value, Translator& translator) noexcept;

/// \param value of Event: a package with parameters. That of dialogs names one by its Call-ID (RFC 4235
/// section 3.2).
void hide_event(std::string_view value, Translator& translator) noexcept;

/// \param value Call-IDs with commas between them
void hide_call_ids(std::string_view value, Translator& translator) noexcept;

/// \param value of User-Agent or Server, in the message or in a fragment of one that it carries
/// Outbound one text for all stands in its place, or nothing. An empty value tells nothing, and stays.
void hide_software(std::string_view value, Translator& translator) noexcept;

/// Passes on a token beside what says where to send. Inbound an address stays there as it is: it asks for no
/// answer.
/// \return false when there is no token of an inside host
bool pass_name(std::string_view token, Translator& translator) noexcept;
bool pass_ipv6(std::string_view token, Translator& translator) noexcept;

/// A Call-ID as the inside knows it.
class InsideCallId {
 public:
  /// \param call_id of a message, as it came
  [[nodiscard]] std::string_view of(std::string_view call_id, const Translator& translator) noexcept;

  /// What stands beside the host is no longer than this, or the host is not hidden.
  static constexpr std::size_t kMaxRest = 480;

 private:
  std::array<char, kMaxRest + HostTokens::kNameSize> text_;
};

}  // namespace pinhole::alg::sip
