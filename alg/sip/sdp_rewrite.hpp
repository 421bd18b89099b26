// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Translates a session description. Outbound it opens the media that the description announces and writes the
// external endpoints; inbound it tells what media to expect, and gives a description that comes back to
// another phone inside its inside endpoints again, where the policy says so.

#include <cstdint>
#include <string_view>

#include "alg/sip/sdp_streams.hpp"
#include "alg/sip/translator.hpp"

namespace pinhole::alg::sip {

/// \return the number of streams that were opened.
std::uint32_t rewrite_sdp(std::string_view sdp, SdpPurpose purpose, Translator& translator) noexcept;

}  // namespace pinhole::alg::sip
