// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The hash that identifies a Call-ID or an address of record. It depends on the text alone, never on a
// process or a machine, so that cards, events and records of any node agree on it. Strangers choose these
// texts: the function is one for which nobody knows how to make many texts of equal hash (SipHash-2-4).
// Tables still put a secret of their own between the hash and the bucket.

#include <array>
#include <cstdint>
#include <string_view>

namespace pinhole::dataplane {

using SipHashKey = std::array<std::uint64_t, 2>;

/// Source: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", 2012. Cost: about 1.5 ns a
/// byte.
[[nodiscard]] std::uint64_t sip_hash(std::string_view text, SipHashKey key) noexcept;

/// The hash under which a text is known everywhere in Pinhole.
[[nodiscard]] inline std::uint64_t text_hash(std::string_view text) noexcept {
  return sip_hash(text, {0x50494e484f4c4521U, 0x63616c6c2d696421U});
}

}  // namespace pinhole::dataplane
