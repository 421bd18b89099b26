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

// What is signed or encrypted is not for others to change.
bool is_multipart(std::string_view type) noexcept {
  constexpr std::string_view kPrefix = "multipart/";
  if (type.size() <= kPrefix.size() || !equals(slice(type, 0, kPrefix.size()), kPrefix)) return false;
  const auto subtype = slice(type, kPrefix.size());
  return !equals(subtype, "signed") && !equals(subtype, "encrypted");
}

// The boundary of a multipart body as written; empty when there is none.
std::string_view boundary_of(std::string_view content_type) noexcept {
  const auto params = slice(content_type, std::min(content_type.find(';'), content_type.size()));
  const auto boundary = find_param(params, "boundary");
  return boundary && boundary->value != "\"\"" ? boundary->value : std::string_view{};
}

// Fills in what a Content-Type says.
void describe(BodyPart& part, std::string_view content_type) noexcept {
  const auto type = media_type(content_type);
  if (equals(type, "application/sdp")) {
    part.kind = BodyKind::description;
  } else if (equals(type, "application/trickle-ice-sdpfrag")) {
    part.kind = BodyKind::trickle_fragment;
  } else if (equals(type, "message/sipfrag")) {
    part.kind = BodyKind::message_fragment;
  } else if (equals(type, "application/dialog-info+xml") || equals(type, "application/pidf+xml")) {
    part.kind = BodyKind::event_state;
  } else if (is_multipart(type)) {
    part.boundary = boundary_of(content_type);
    if (!part.boundary.empty()) part.kind = BodyKind::multipart;
  }
}

bool is_encoding(std::string_view content_encoding) noexcept {
  return !content_encoding.empty() && !equals(content_encoding, "identity");
}

// Those that change no byte (RFC 2045 section 6.2).
bool is_transfer_encoding(std::string_view value) noexcept {
  return !equals(value, "binary") && !equals(value, "8bit") && !equals(value, "7bit");
}

// The name of a header of bodies that messages do not have, and the reader of headers does not know.
// \param value of the header, in `text`
std::string_view name_of(std::string_view value, std::string_view text) noexcept {
  auto end = static_cast<std::size_t>(value.data() - text.data());
  while (end > 0 && is(text[end - 1], chars::kSpace)) --end;
  if (end == 0 || text[--end] != ':') return {};
  auto begin = end;
  while (begin > 0 && text[begin - 1] != '\n') --begin;
  return trim(slice(text, begin, end));
}

// Reads headers and the body below them.
// \return false when there is no body that can be read
bool read_head(std::string_view text, BodyPart& part) noexcept {
  HeaderReader reader(text);
  Header header;
  bool encoded = false;
  while (reader.next(header)) {
    if (header.id == HeaderId::content_type) describe(part, header.value);
    if (header.id == HeaderId::content_encoding) encoded = encoded || is_encoding(header.value);
    if (header.id == HeaderId::other && equals(name_of(header.value, text), "content-transfer-encoding"))
      encoded = encoded || is_transfer_encoding(header.value);
    if (header.id == HeaderId::content_length) part.content_length = header.value;
  }
  if (!reader.terminated() || encoded || part.kind == BodyKind::other) return false;
  part.text = reader.rest();
  return true;
}

// How long a boundary is at the beginning of a text; 0 when the text begins otherwise. Backslashes of a
// quoted string stand for what follows them.
std::size_t match_boundary(std::string_view text, std::string_view boundary) noexcept {
  const bool quoted = boundary.size() >= 2 && boundary.front() == '"' && boundary.back() == '"';
  if (!quoted) return text.starts_with(boundary) ? boundary.size() : 0;
  std::size_t matched = 0;
  for (std::size_t i = 1; i + 1 < boundary.size(); ++i, ++matched) {
    if (boundary[i] == '\\' && i + 2 < boundary.size()) ++i;
    if (matched == text.size() || text[matched] != boundary[i]) return 0;
  }
  return matched;
}

enum class Delimiter : std::uint8_t { none, next, last };

// "--boundary", or "--boundary--" at the end; white space may follow (RFC 2046 section 5.1.1). Anything else
// that follows makes it another boundary, of a part inside.
Delimiter delimiter_of(std::string_view line, std::string_view boundary) noexcept {
  if (!line.starts_with("--")) return Delimiter::none;
  const auto size = match_boundary(slice(line, 2), boundary);
  if (size == 0) return Delimiter::none;
  auto tail = slice(line, 2 + size);
  const bool closes = tail.starts_with("--");
  if (closes) tail = slice(tail, 2);
  if (skip(tail, 0, chars::kSpace) != tail.size()) return Delimiter::none;
  return closes ? Delimiter::last : Delimiter::next;
}

}  // namespace

Body::Body(const MessageView& message) noexcept {
  BodyPart whole;
  whole.text = message.body();
  whole.content_length = message.value(HeaderId::content_length);
  if (!whole.text.empty() && !is_encoding(message.value(HeaderId::content_encoding)))
    describe(whole, message.value(HeaderId::content_type));
  add(whole);
  for (std::uint8_t i = 0; i < parts_.size() && within_bounds_; ++i) {
    if (parts_[i].depth == kMaxDepth) continue;
    if (parts_[i].kind == BodyKind::multipart) open_multipart(i);
    if (parts_[i].kind == BodyKind::message_fragment) open_fragment(i);
  }
}

void Body::add(const BodyPart& part) noexcept {
  if (part.kind == BodyKind::description || part.kind == BodyKind::trickle_fragment) ++descriptions_;
  within_bounds_ = descriptions_ <= kMaxDescriptions && parts_.add(part) != nullptr;
}

void Body::open_multipart(std::uint8_t index) noexcept {
  const auto whole = parts_[index];
  PartReader reader(whole.text, whole.boundary);
  while (const auto text = within_bounds_ ? reader.next() : std::nullopt) {
    BodyPart part;
    part.parent = index;
    part.depth = static_cast<std::uint8_t>(whole.depth + 1);
    part.is_quoted = whole.is_quoted;
    if (read_head(*text, part)) add(part);
  }
}

// A fragment of a message may end anywhere: with its start line, its headers, or with a body.
void Body::open_fragment(std::uint8_t index) noexcept {
  const auto whole = parts_[index];
  BodyPart part;
  part.parent = index;
  part.depth = static_cast<std::uint8_t>(whole.depth + 1);
  part.is_quoted = true;
  if (read_head(whole.text, part)) add(part);
}

// The line end before a delimiter belongs to the delimiter.
std::optional<std::string_view> PartReader::next() noexcept {
  if (closed_) return std::nullopt;
  for (std::size_t line = 0; line < rest_.size();) {
    const auto line_end = std::min(rest_.find('\n', line), rest_.size());
    const auto after = std::min(line_end + 1, rest_.size());
    const auto delimiter = delimiter_of(slice(rest_, line, line_end), boundary_);
    if (delimiter == Delimiter::none) {
      line = after;
      continue;
    }
    auto end = line;
    if (end > 0) --end;
    if (end > 0 && rest_[end - 1] == '\r') --end;
    const auto part = slice(rest_, 0, end);
    rest_ = slice(rest_, after);
    closed_ = delimiter == Delimiter::last;
    if (begun_) return part;
    begun_ = true;
    if (closed_) return std::nullopt;
    line = 0;
  }
  closed_ = true;
  return begun_ && !rest_.empty() ? std::optional(rest_) : std::nullopt;
}

}  // namespace pinhole::alg::sip
