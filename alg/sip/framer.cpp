// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/framer.hpp"

#include <algorithm>
#include <array>

#include "alg/http.hpp"
#include "alg/sip/chars.hpp"
#include "alg/stream/engine.hpp"

namespace pinhole::alg::sip {

namespace {

using stream::Frame;
using stream::FramerState;

// FramerState::phase: where in a message the next byte is.
enum Phase : std::uint8_t {
  at_boundary,    // where there may be keep-alives
  in_first_word,  // in the method, or in the version of an answer
  in_scheme,      // in front of the Request-URI's colon
  in_start_line,  // in the rest of a request's start line
  at_line_begin,  // at the first character of a line
  in_empty_line,  // behind a CR there
  in_name,        // in a name that is Content-Length's so far
  behind_name,    // behind that name
  in_value,       // in its value
  at_value_line,  // at the beginning of the line behind it, which may continue it
  in_rest,        // in a line that does not matter
};

// FramerState::flags.
constexpr std::uint8_t kHasLength = 1;    // `value` is the Content-Length
constexpr std::uint8_t kHasDigits = 2;    // of the value in hand
constexpr std::uint8_t kEnded = 4;        // white space behind what was matched
constexpr std::uint8_t kAgain = 8;        // a second Content-Length, of which nothing was read yet
constexpr std::uint8_t kMismatch = 0xff;  // FramerState::matched

constexpr std::uint32_t kMaxFirstWord = 64;
constexpr std::uint8_t kMaxScheme = 64;
constexpr std::uint32_t kMaxStartLine = 8192;
constexpr std::string_view kContentLength = "content-length";
constexpr std::string_view kVersion = "SIP/";

constexpr std::uint32_t kHashSeed = 2166136261U;  // FNV-1a
constexpr std::uint32_t hash_on(std::uint32_t hash, char c) noexcept {
  return (hash ^ static_cast<unsigned char>(c)) * 16777619U;
}
constexpr std::uint32_t hash_of(std::string_view word) noexcept {
  std::uint32_t hash = kHashSeed;
  for (const char c : word) hash = hash_on(hash, c);
  return hash;
}
/// What HTTP begins with and SIP does not.
constexpr auto kHttpHashes = [] {
  std::array<std::uint32_t, kHttpMethods.size()> hashes{};
  std::transform(kHttpMethods.begin(), kHttpMethods.end(), hashes.begin(), hash_of);
  return hashes;
}();

/// In the start line `value` is the hash of the first word, and `matched` counts what of a word was matched.
bool take_first_word(FramerState& state, char c) noexcept {
  const std::uint32_t at = state.scanned;
  const bool is_version = state.matched == at && at < kVersion.size() && c == kVersion[at];
  if (is_version && ++state.matched == kVersion.size()) {
    state.phase = in_rest;  // an answer: what follows is for its reader
    state.begun = true;
    return true;
  }
  state.value = hash_on(at == 0 ? kHashSeed : state.value, c);
  return is(c, chars::kToken) && at < kMaxFirstWord;
}

bool end_first_word(FramerState& state) noexcept {
  if (state.scanned == 0) return false;
  if (std::find(kHttpHashes.begin(), kHttpHashes.end(), state.value) != kHttpHashes.end()) return false;
  state.phase = in_scheme;
  state.matched = 0;
  state.value = 0;
  return true;
}

bool take_scheme(FramerState& state, char c) noexcept {
  if (is(c, chars::kBlank) && state.matched == 0) return true;
  if (c == ':' && state.matched > 0) {
    state.begun = true;
    state.phase = in_start_line;
    state.matched = kMismatch;
    return true;
  }
  const bool fits = is(c, chars::kAlpha) ||
                    (state.matched > 0 && (is(c, chars::kDigit) || c == '+' || c == '-' || c == '.'));
  return fits && ++state.matched <= kMaxScheme;
}

/// The last word of a request's start line has to be the version.
bool take_start_line(FramerState& state, char c) noexcept {
  if (c == '\n') {
    if (state.matched != kVersion.size()) return false;
    state.phase = at_line_begin;
    state.matched = 0;
    state.flags = 0;
    return true;
  }
  if (is(c, chars::kBlank) || c == '\r') {
    state.flags |= kEnded;
    return true;
  }
  if ((state.flags & kEnded) != 0) state.matched = 0;
  state.flags = static_cast<std::uint8_t>(state.flags & ~kEnded);
  if (state.matched < kVersion.size()) {
    const bool fits = lower(c) == lower(kVersion[state.matched]);
    state.matched = fits ? static_cast<std::uint8_t>(state.matched + 1) : kMismatch;
  }
  return state.scanned < kMaxStartLine;
}

void begin_line(FramerState& state, char c) noexcept {
  state.matched = 1;
  state.phase = lower(c) == 'c' || lower(c) == 'l' ? in_name : in_rest;
  // The compact form is a whole name already.
  if (lower(c) == 'l') state.matched = kContentLength.size();
}

void take_name(FramerState& state, char c) noexcept {
  if (state.matched < kContentLength.size() && lower(c) == kContentLength[state.matched]) {
    ++state.matched;
    return;
  }
  const bool whole = state.matched == kContentLength.size();
  if (whole && is(c, chars::kBlank)) {
    state.phase = behind_name;
  } else if (whole && c == ':') {
    state.phase = in_value;
    state.flags = static_cast<std::uint8_t>((state.flags & kHasLength) |
                                            ((state.flags & kHasLength) != 0 ? kAgain : 0));
  } else {
    state.phase = in_rest;
  }
}

/// \return false for what is no number, or not the number that was said before
bool take_value(FramerState& state, char c) noexcept {
  constexpr std::uint32_t kHuge = 1U << 30U;  // more is no length of anything
  if (c == '\r') return true;
  if (is(c, chars::kBlank)) {
    if ((state.flags & kHasDigits) != 0) state.flags |= kEnded;
    return true;
  }
  // Two lengths, even if they agree: whoever reads on takes the one or the other.
  if (!is(c, chars::kDigit) || (state.flags & (kEnded | kAgain)) != 0) return false;
  if ((state.flags & kHasDigits) == 0) state.value = 0;
  state.flags |= kHasDigits;
  state.value = state.value * 10 + static_cast<unsigned>(c - '0');
  return state.value < kHuge;
}

/// Reads the characters of a message's head, one by one.
class Reader {
 public:
  enum class Next : std::uint8_t { more, whole, not_mine };

  explicit Reader(FramerState& state) noexcept : state_(state) {}

  [[nodiscard]] Next take(char c) noexcept {
    switch (state_.phase) {
      case at_boundary:
        state_.phase = in_first_word;
        [[fallthrough]];
      case in_first_word:
        return next(c == ' ' ? end_first_word(state_) : take_first_word(state_, c));
      case in_scheme:
        return next(take_scheme(state_, c));
      case in_start_line:
        return next(take_start_line(state_, c));
      case at_line_begin:
        return take_line_begin(c);
      case in_empty_line:
        if (c == '\n') return Next::whole;
        state_.phase = in_rest;
        return Next::more;
      case in_name:
        take_name(state_, c);
        return line_end(c);
      case behind_name:
        if (c == ':' || !is(c, chars::kBlank)) take_name(state_, c);
        return line_end(c);
      case at_value_line:
        if (!is(c, chars::kBlank)) return end_value(c);
        state_.phase = in_value;
        return Next::more;
      case in_value:
        if (c == '\n') {
          state_.phase = at_value_line;
          return Next::more;
        }
        return next(take_value(state_, c));
      default:
        return line_end(c);
    }
  }

 private:
  static Next next(bool fits) noexcept { return fits ? Next::more : Next::not_mine; }
  Next line_end(char c) noexcept {
    if (c == '\n') state_.phase = at_line_begin;
    return Next::more;
  }
  Next take_line_begin(char c) noexcept {
    if (c == '\n') return Next::whole;
    if (c == '\r') {
      state_.phase = in_empty_line;
      return Next::more;
    }
    begin_line(state_, c);
    return Next::more;
  }
  Next end_value(char c) noexcept {
    if ((state_.flags & kHasDigits) == 0) return Next::not_mine;
    state_.flags = kHasLength;
    return take_line_begin(c);
  }

  FramerState& state_;
};

}  // namespace

stream::Frame SipFramer::feed(FramerState& state, std::string_view fresh) const noexcept {
  if (state.phase == at_boundary) {
    const auto keep_alive = std::find_if(
        fresh.begin(), fresh.end(), [](char c) noexcept { return !is(c, chars::kLineEnd) && c != '\0'; });
    if (keep_alive != fresh.begin())
      return {Frame::Kind::skip, static_cast<std::uint32_t>(keep_alive - fresh.begin())};
  }
  Reader reader(state);
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    if (state.phase == in_rest) {
      const auto line_end = std::min(fresh.find('\n', i), fresh.size());
      state.scanned += static_cast<std::uint32_t>(line_end - i);
      i = line_end;
      if (i == fresh.size()) break;
    }
    const auto next = reader.take(fresh[i]);
    ++state.scanned;
    if (next == Reader::Next::not_mine) return {Frame::Kind::not_mine, 0};
    if (next == Reader::Next::more) continue;
    const std::uint32_t body = (state.flags & kHasLength) != 0 ? state.value : 0;
    const std::uint32_t size = state.scanned + body;
    return {size > stream::Engine::kMaxMessage ? Frame::Kind::skip : Frame::Kind::message, size};
  }
  if (state.scanned > kMaxHeaders) return {Frame::Kind::not_mine, 0};
  return {};
}

}  // namespace pinhole::alg::sip
