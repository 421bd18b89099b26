// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Finds the session descriptions in the body of a message: the body itself, or parts of a multipart one.

#include <optional>
#include <string_view>

#include "alg/sip/message.hpp"

namespace pinhole::alg::sip {

/// A session description. `content_length` is that of its part of a multipart body, when the part has one.
struct SdpPart {
  std::string_view sdp;
  std::string_view content_length;
};

/// Source: RFC 3261 section 7.4, RFC 2046 section 5.1. A multipart body inside a multipart body is not
/// opened, and no encoded body.
class SdpReader {
 public:
  explicit SdpReader(const MessageView& message) noexcept;
  [[nodiscard]] std::optional<SdpPart> next() noexcept;

 private:
  [[nodiscard]] std::optional<std::string_view> next_part() noexcept;

  std::string_view rest_;
  std::string_view boundary_;  // empty: `rest_` is the description
  bool begun_ = false;         // the first delimiter has been passed
};

}  // namespace pinhole::alg::sip
