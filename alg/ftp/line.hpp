// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Lines of a control connection (RFC 959 section 5.3): where they end, and what a command or a reply is made
// of. Views point into the line, or into the scratch memory that a reader was given.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "alg/plugin.h"

namespace pinhole::alg::ftp {

/// What is longer goes on in pieces, of which the first alone is read.
inline constexpr std::size_t kMaxLine = 4096;

using LineScratch = std::array<char, kMaxLine>;

/// Whether a line begins with a character that commands and replies begin with.
[[nodiscard]] bool begins_text(std::string_view line) noexcept;

/// Lines end with LF. What does not begin like one is cut where it has come to, so that nobody waits for the
/// end of what is no text.
[[nodiscard]] pinhole_frame frame_line(pinhole_framing& framing, std::string_view fresh) noexcept;

/// Without CR and LF at its end.
[[nodiscard]] std::string_view without_end(std::string_view line) noexcept;

[[nodiscard]] constexpr bool is_ended(std::string_view line) noexcept {
  return !line.empty() && line.back() == '\n';
}

enum class Verb : std::uint8_t { other, port, eprt, lprt, pasv, epsv, lpsv, auth };

struct Command {
  Verb verb = Verb::other;
  // It has a zero byte, a CR or the like in it: servers differ in what they make of these, so that nobody can
  // tell what the command is.
  bool is_ambiguous = false;
  std::string_view name;      // as it was written; empty when there is none
  std::string_view argument;  // without the blanks around it
};

/// \param line  of at most kMaxLine bytes, with or without its end. Telnet's commands in it (RFC 854), such
/// as those before ABOR, are left out of what is read.
[[nodiscard]] Command read_command(std::string_view line, LineScratch& scratch) noexcept;

struct Reply {
  std::uint16_t code = 0;  // 0: the line has none
  bool goes_on = false;    // the first of several lines
  std::size_t begin = 0;   // where the code stands, behind what Telnet has to say
};

[[nodiscard]] Reply read_reply(std::string_view line) noexcept;

}  // namespace pinhole::alg::ftp
