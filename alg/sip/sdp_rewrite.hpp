// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Translates a session description. Outbound it opens the media that the description announces and writes the
// external endpoints; inbound it restores what is ours (a description that comes back to another phone
// inside).

#include <cstdint>
#include <string_view>

#include "alg/sip/translator.hpp"

namespace pinhole::alg::sip {

/// Whether a description sets media up (an offer or an answer), or only tells what an endpoint can do: then
/// the addresses are hidden, and nothing is opened.
enum class SdpPurpose : std::uint8_t { session, information };

/// Ports below this one are never opened for media (requirement AC-23).
inline constexpr std::uint16_t kFirstMediaPort = 1024;

/// \return the number of streams that were opened.
std::uint32_t rewrite_sdp(std::string_view sdp, SdpPurpose purpose, Translator& translator) noexcept;

}  // namespace pinhole::alg::sip
