// SPDX-License-Identifier: BSD-3-Clause
#include "framer.hpp"

#include <cstdint>

#include "text.hpp"

namespace rtsp {

namespace {

// pinhole_framing::phase: where in a message the next byte is.
enum Phase : std::uint8_t {
  at_boundary,
  in_packet,      // in the four bytes before media; `value` is the length so far
  in_start_line,  // `matched` characters of the version have come in a row
  at_line_begin,
  in_empty_line,  // behind a CR there
  in_name,        // in a name that is Content-Length's so far, with `matched` characters
  in_value,       // in its value
  in_rest,        // in a line that does not matter
};

constexpr std::uint8_t kHasLength = 1;  // pinhole_framing::flags: `value` is the Content-Length
constexpr std::string_view kVersion = "RTSP/";
constexpr std::string_view kContentLength = "content-length:";
constexpr std::uint32_t kPacketHead = 4;
constexpr std::uint32_t kMaxStartLine = 4096;
constexpr std::uint32_t kMaxHead = 32768;
constexpr std::uint32_t kMaxMessage = 65535;
constexpr std::uint32_t kMaxBody = 1U << 28U;

enum class Next : std::uint8_t { more, head_ends, not_mine };

Next take_start_line(pinhole_framing& framing, char c) noexcept {
  if (c == '\n') {
    if (framing.begun == 0) return Next::not_mine;
    framing.phase = at_line_begin;
    framing.value = 0;
    return Next::more;
  }
  // Another protocol is known by its first bytes, so that nobody waits for an answer to what is held.
  const bool is_text = static_cast<unsigned char>(c) >= ' ' || c == '\t' || c == '\r';
  if (!is_text || framing.scanned > kMaxStartLine) return Next::not_mine;
  if (framing.begun != 0) return Next::more;
  if (c != kVersion[framing.matched]) framing.matched = 0;
  if (c == kVersion[framing.matched]) ++framing.matched;
  if (framing.matched == kVersion.size()) framing.begun = 1;
  return Next::more;
}

void begin_line(pinhole_framing& framing, char c) noexcept {
  framing.matched = 1;
  framing.phase = lower(c) == kContentLength[0] ? in_name : in_rest;
}

/// White space may stand in front of the colon.
Next take_name(pinhole_framing& framing, char c) noexcept {
  const bool before_colon = framing.matched + 1U == kContentLength.size();
  if (before_colon && is_blank(c)) return Next::more;
  if (lower(c) != kContentLength[framing.matched]) {
    framing.phase = in_rest;
  } else if (++framing.matched == kContentLength.size()) {
    // Two lengths, even if they agree: whoever reads on takes the one or the other.
    if ((framing.flags & kHasLength) != 0) return Next::not_mine;
    framing.phase = in_value;
    framing.flags = kHasLength;
  }
  return Next::more;
}

Next take_value(pinhole_framing& framing, char c) noexcept {
  if (is_blank(c) || c == '\r') return Next::more;
  if (c < '0' || c > '9') return Next::not_mine;
  framing.value = framing.value * 10 + static_cast<std::uint32_t>(c - '0');
  return framing.value <= kMaxBody ? Next::more : Next::not_mine;
}

Next take(pinhole_framing& framing, char c) noexcept {
  switch (framing.phase) {
    case in_start_line:
      return take_start_line(framing, c);
    case at_line_begin:
      if (c == '\n') return Next::head_ends;
      if (c == '\r') {
        framing.phase = in_empty_line;
      } else {
        begin_line(framing, c);
      }
      return Next::more;
    case in_empty_line:
      if (c == '\n') return Next::head_ends;
      framing.phase = in_rest;
      return Next::more;
    default:
      break;
  }
  if (c == '\n') {
    framing.phase = at_line_begin;
    return Next::more;
  }
  if (framing.phase == in_name) return take_name(framing, c);
  return framing.phase == in_value ? take_value(framing, c) : Next::more;
}

/// Media between messages. `scanned` says how many of the four bytes before it have come.
pinhole_frame feed_packet(pinhole_framing& framing, std::string_view fresh) noexcept {
  std::uint32_t at = framing.scanned;
  for (const char c : fresh) {
    if (at >= 2) framing.value = framing.value << 8U | static_cast<unsigned char>(c);
    if (++at == kPacketHead) {
      framing.begun = 1;
      return {PINHOLE_FRAME_SKIP, kPacketHead + framing.value};
    }
  }
  return {PINHOLE_FRAME_MORE, 0};
}

}  // namespace

pinhole_frame feed(pinhole_framing& framing, std::string_view fresh) noexcept {
  if (framing.phase == at_boundary) {
    const auto line_ends = fresh.find_first_not_of("\r\n");
    if (line_ends != 0) {
      const auto count = line_ends == std::string_view::npos ? fresh.size() : line_ends;
      return {PINHOLE_FRAME_SKIP, static_cast<std::uint32_t>(count)};
    }
    framing.phase = fresh[0] == '$' ? in_packet : in_start_line;
  }
  if (framing.phase == in_packet) return feed_packet(framing, fresh);
  std::uint32_t head = framing.scanned;
  for (const char c : fresh) {
    ++head;
    const auto next = take(framing, c);
    if (next == Next::more) continue;
    if (next == Next::not_mine) return {PINHOLE_FRAME_NOT_MINE, 0};
    const std::uint32_t size = head + ((framing.flags & kHasLength) != 0 ? framing.value : 0);
    const std::uint32_t kind = size > kMaxMessage ? PINHOLE_FRAME_SKIP : PINHOLE_FRAME_MESSAGE;
    return {kind, size};
  }
  if (head > kMaxHead) return {PINHOLE_FRAME_NOT_MINE, 0};
  return {PINHOLE_FRAME_MORE, 0};
}

}  // namespace rtsp
