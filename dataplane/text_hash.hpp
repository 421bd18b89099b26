// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The hash that identifies a Call-ID or an address of record. It depends on the text alone, never on a
// process or a machine, so that cards, events and records of any node agree on it. Strangers choose these
// texts: the function is one for which nobody knows how to make many texts of equal hash (SipHash-2-4).
// Tables still put a secret of their own between the hash and the bucket.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
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

/// A hash for tables of one process, whose outcome nobody outside sees. Each eight bytes are multiplied by a
/// secret, and the halves of the product added without carry: without the secret nobody can make two texts
/// meet.
class SecretHash {
 public:
  /// \param seed  that nobody outside can guess
  explicit SecretHash(std::uint64_t seed) noexcept
      : begin_(sip_hash("begin", {seed, ~seed})), factor_(sip_hash("factor", {seed, ~seed}) | 1U) {}

  /// Cost: some 30 instructions, and 6 for each eight bytes.
  [[nodiscard]] std::uint64_t operator()(std::string_view text) const noexcept {
    std::uint64_t hash = begin_;
    const char* at = text.data();
    std::size_t rest = text.size();
    for (; rest > 8; rest -= 8, at += 8) hash = multiplied(hash ^ load<std::uint64_t>(at));
    // Beside the words the size would undo what they differ in.
    return multiplied(multiplied(hash ^ last_word(text)) ^ text.size());
  }

 private:
  template <typename Word>
  [[nodiscard]] static std::uint64_t load(const char* at) noexcept {
    Word word;
    std::memcpy(&word, at, sizeof word);
    return word;
  }
  /// The last eight bytes of a text; all of a shorter one.
  [[nodiscard]] static std::uint64_t last_word(std::string_view text) noexcept {
    const char* const end = text.data() + text.size();
    if (text.size() >= 8) return load<std::uint64_t>(end - 8);
    if (text.size() >= 4) return load<std::uint32_t>(text.data()) | load<std::uint32_t>(end - 4) << 32U;
    std::uint64_t word = 0;
    for (const char c : text) word = word << 8U | static_cast<unsigned char>(c);
    return word;
  }
  [[nodiscard]] std::uint64_t multiplied(std::uint64_t word) const noexcept {
    __extension__ using Product = unsigned __int128;
    const auto product = Product{word} * factor_;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
  }

  std::uint64_t begin_;
  std::uint64_t factor_;
};

}  // namespace pinhole::dataplane
