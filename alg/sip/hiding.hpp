// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Hides, by policy, inside addresses in what identifies a call and its parties: the hosts of From and To, and
// those of Call-IDs wherever a message names one (Call-ID, Replaces, Join, Target-Dialog, In-Reply-To).
// Outbound an inside address becomes a token (alg/sip/host_token.hpp), inbound a token becomes the address
// again, so that each side sees one and the same identifier for as long as the key lives (requirement AC-15).

#include <array>
#include <string_view>

#include "alg/sip/translator.hpp"

namespace pinhole::alg::sip {

/// \param value of From or To
void hide_party(std::string_view value, Translator& translator) noexcept;

/// \param value of Warning, whose agents are hosts (RFC 3261 section 20.43)
void hide_warning_agents(std::string_view value, Translator& translator) noexcept;

/// \param value of a header that begins with a Call-ID; what follows a semicolon is not read
void hide_call_id(std::string_view value, Translator& translator) noexcept;

/// \param value Call-IDs with commas between them
void hide_call_ids(std::string_view value, Translator& translator) noexcept;

/// A Call-ID as the inside knows it.
class InsideCallId {
 public:
  /// \param call_id of a message, as it came
  [[nodiscard]] std::string_view of(std::string_view call_id, const Translator& translator) noexcept;

  /// Longer ones are not hidden.
  static constexpr std::size_t kMaxSize = 512;

 private:
  std::array<char, kMaxSize> text_;
};

}  // namespace pinhole::alg::sip
