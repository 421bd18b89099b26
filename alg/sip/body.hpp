// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The body of a message, taken apart: what of it can be translated, alone or in parts of a multipart body,
// parts inside of parts included. Invariant: bounded in number and depth; each byte is looked at once for
// each multipart body that it lies in. Source: RFC 3261 section 7.4, RFC 2046 section 5.1, RFC 5621.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "alg/sip/bounded_list.hpp"
#include "alg/sip/message.hpp"

namespace pinhole::alg::sip {

enum class BodyKind : std::uint8_t {
  other,             // left alone; so is all that is encoded, encrypted or signed
  multipart,         // mixed, alternative, related and any other
  description,       // application/sdp
  trickle_fragment,  // application/trickle-ice-sdpfrag (RFC 8840)
  message_fragment,  // message/sipfrag (RFC 3420)
  event_state,       // application/dialog-info+xml (RFC 4235), application/pidf+xml (RFC 3863)
};

struct BodyPart {
  BodyKind kind = BodyKind::other;
  std::uint8_t parent = 0;  // index of the part that this one is inside of; the body itself is its own
  std::uint8_t depth = 0;   // parts that it is inside of
  bool is_quoted = false;   // inside of a message fragment: it tells of a session, and is none
  std::string_view text;
  std::string_view boundary;        // of a multipart body, as written
  std::string_view content_length;  // of the part that it is, when that says one
};

class Body {
 public:
  static constexpr std::size_t kMaxParts = 16;
  static constexpr std::size_t kMaxDescriptions = 8;
  static constexpr unsigned kMaxDepth = 4;

  explicit Body(const MessageView& message) noexcept;

  /// False when there is more than the bounds allow: it cannot be translated as a whole.
  [[nodiscard]] bool is_within_bounds() const noexcept { return within_bounds_; }
  [[nodiscard]] bool has_description() const noexcept { return descriptions_ > 0; }
  /// The parts of a kind that can be translated, and what they lie in, the body itself first.
  [[nodiscard]] const BoundedList<BodyPart, kMaxParts>& parts() const noexcept { return parts_; }

 private:
  void add(const BodyPart& part) noexcept;
  void open_multipart(std::uint8_t index) noexcept;
  void open_fragment(std::uint8_t index) noexcept;

  BoundedList<BodyPart, kMaxParts> parts_;
  std::size_t descriptions_ = 0;
  bool within_bounds_ = true;
};

/// Cuts a multipart body at its delimiter lines. A last part that nothing closes goes to the end.
class PartReader {
 public:
  /// \param boundary as written in the parameter, with its quotes if it has any
  PartReader(std::string_view text, std::string_view boundary) noexcept : rest_(text), boundary_(boundary) {}
  /// \return the next part: its headers, an empty line, its body; none at the end.
  [[nodiscard]] std::optional<std::string_view> next() noexcept;

 private:
  std::string_view rest_;
  std::string_view boundary_;
  bool begun_ = false;   // the first delimiter has been passed
  bool closed_ = false;  // the last one has
};

}  // namespace pinhole::alg::sip
