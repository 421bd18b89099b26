// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/body.hpp"

#include <algorithm>

#include "alg/sip/chars.hpp"
#include "alg/sip/values.hpp"

namespace pinhole::alg::sip {

namespace {

std::string_view media_type(std::string_view content_type) noexcept {
  return trim(slice(content_type, 0, std::min(content_type.find(';'), content_type.size())));
}

bool is_sdp(std::string_view content_type) noexcept {
  return equals(media_type(content_type), "application/sdp");
}

bool is_multipart(std::string_view content_type) noexcept {
  constexpr std::string_view kPrefix = "multipart/";
  const auto type = media_type(content_type);
  return type.size() > kPrefix.size() && equals(slice(type, 0, kPrefix.size()), kPrefix);
}

std::string_view unquoted(std::string_view text) noexcept {
  const bool quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
  return quoted ? slice(text, 1, text.size() - 1) : text;
}

}  // namespace

SdpReader::SdpReader(const MessageView& message) noexcept {
  const auto type = message.value(HeaderId::content_type);
  const auto encoding = message.value(HeaderId::content_encoding);
  if (!encoding.empty() && !equals(encoding, "identity")) return;
  if (is_sdp(type)) {
    rest_ = message.body();
  } else if (is_multipart(type)) {
    const auto params = slice(type, std::min(type.find(';'), type.size()));
    const auto boundary = find_param(params, "boundary");
    if (!boundary || unquoted(boundary->value).empty()) return;
    boundary_ = unquoted(boundary->value);
    rest_ = message.body();
  }
}

std::optional<SdpPart> SdpReader::next() noexcept {
  if (rest_.empty()) return std::nullopt;
  if (boundary_.empty()) {
    const SdpPart whole{rest_, {}};
    rest_ = {};
    return whole;
  }
  while (const auto part = next_part()) {
    HeaderReader reader(*part);
    Header header;
    SdpPart found;
    bool described = false;
    bool encoded = false;
    while (reader.next(header)) {
      if (header.id == HeaderId::content_type) described = is_sdp(header.value);
      if (header.id == HeaderId::content_encoding) encoded = !equals(header.value, "identity");
      if (header.id == HeaderId::content_length) found.content_length = header.value;
    }
    if (!described || encoded || !reader.terminated()) continue;
    found.sdp = reader.rest();
    return found;
  }
  return std::nullopt;
}

// The lines between one delimiter line and the next. The line end before a delimiter belongs to the
// delimiter.
std::optional<std::string_view> SdpReader::next_part() noexcept {
  std::size_t line = 0;
  while (line < rest_.size()) {
    const auto line_end = std::min(rest_.find('\n', line), rest_.size());
    const auto after = std::min(line_end + 1, rest_.size());
    auto text = slice(rest_, line, line_end);
    const bool delimiter = text.size() >= boundary_.size() + 2 && text[0] == '-' && text[1] == '-' &&
                           slice(text, 2, boundary_.size() + 2) == boundary_;
    if (delimiter) {
      auto end = line;
      if (end > 0) --end;
      if (end > 0 && rest_[end - 1] == '\r') --end;
      const auto part = slice(rest_, 0, end);
      const auto tail = trim(slice(text, boundary_.size() + 2));
      const bool was_begun = begun_;
      begun_ = true;
      rest_ = equals(tail, "--") ? std::string_view{} : slice(rest_, after);
      if (was_begun) return part;
      line = 0;
      continue;
    }
    line = after;
  }
  rest_ = {};
  return std::nullopt;
}

}  // namespace pinhole::alg::sip
