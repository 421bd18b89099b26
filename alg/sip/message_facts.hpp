// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What rules ask of a message besides what the gateway reads of it: looked up when it is first asked for, and
// once a message. Views point into the message.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "alg/sip/bounded_list.hpp"
#include "alg/sip/message.hpp"
#include "alg/sip/rule_set.hpp"

namespace pinhole::alg::sip {

struct HeaderFacts {
  std::uint32_t count = 0;
  std::uint32_t vias = 0;   // values, of which a line may have several
  std::uint32_t bytes = 0;  // of all lines
  std::uint64_t named = 0;  // a bit for each of the set's headers that is there
  std::optional<std::uint32_t> max_forwards{};
  std::string_view user_agent{};
};

/// What all descriptions of a body name, each once.
struct CodecNames {
  static constexpr std::size_t kMax = 96;
  BoundedList<std::string_view, kMax> names;
  bool too_many = false;

  void add(std::string_view name) noexcept;
};

class MessageFacts {
 public:
  /// All outlive the facts.
  MessageFacts(const RuleSet& set, const MessageView& view, std::string_view bytes) noexcept
      : set_(set), view_(view), bytes_(bytes) {}

  [[nodiscard]] const MessageView& view() const noexcept { return view_; }
  [[nodiscard]] const HeaderFacts& headers() noexcept {
    if (!headers_) headers_ = read_headers();
    return *headers_;
  }
  [[nodiscard]] const Summary& summary() const noexcept { return view_.summary(); }
  /// The host of the Request-URI; empty when there is none.
  [[nodiscard]] std::string_view domain() const noexcept;
  /// The type of the body, without parameters; empty when none is stated.
  [[nodiscard]] std::string_view content_type() const noexcept;
  /// Whether a description in the body names a codec that fits one of the patterns; or more codecs than are
  /// told apart, which fits any.
  [[nodiscard]] bool names_codec(ListRef patterns) noexcept;

 private:
  [[nodiscard]] HeaderFacts read_headers() const noexcept;
  void read_codecs(CodecNames& codecs) const noexcept;

  const RuleSet& set_;
  const MessageView& view_;
  std::string_view bytes_;
  std::optional<HeaderFacts> headers_;
  std::optional<CodecNames> codecs_;
};

}  // namespace pinhole::alg::sip
