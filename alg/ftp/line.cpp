// SPDX-License-Identifier: BSD-3-Clause
#include "alg/ftp/line.hpp"

#include <algorithm>

#include "alg/sip/chars.hpp"

namespace pinhole::alg::ftp {

namespace {

using sip::slice;

// RFC 854.
constexpr char kInterpret = '\xFF';           // IAC
constexpr unsigned char kFirstOption = 0xFB;  // WILL, WONT, DO, DONT: an option follows
constexpr std::size_t kCodeSize = 3;

constexpr bool is_control(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < ' ' && c != '\t') || byte == 0x7F;
}

/// The line without Telnet's commands; a doubled IAC stands for that byte.
std::string_view without_telnet(std::string_view line, LineScratch& scratch) noexcept {
  if (line.find(kInterpret) == std::string_view::npos) return line;
  std::size_t size = 0;
  for (std::size_t i = 0; i < line.size() && size < scratch.size(); ++i) {
    if (line[i] != kInterpret) {
      scratch[size++] = line[i];
      continue;
    }
    if (++i == line.size()) break;
    if (line[i] == kInterpret) {
      scratch[size++] = kInterpret;
    } else if (static_cast<unsigned char>(line[i]) >= kFirstOption) {
      ++i;
    }
  }
  return {scratch.data(), size};
}

/// Bytes of Telnet's commands that a line begins with.
std::size_t telnet_size(std::string_view line) noexcept {
  std::size_t size = 0;
  while (line.size() - size >= 2 && line[size] == kInterpret && line[size + 1] != kInterpret) {
    const std::size_t next = static_cast<unsigned char>(line[size + 1]) >= kFirstOption ? 3U : 2U;
    size = std::min(size + next, line.size());
  }
  return size;
}

Verb verb_of(std::string_view name) noexcept {
  struct Row {
    std::string_view name;
    Verb verb;
  };
  constexpr std::array kRows{Row{"port", Verb::port}, Row{"eprt", Verb::eprt}, Row{"lprt", Verb::lprt},
                             Row{"pasv", Verb::pasv}, Row{"epsv", Verb::epsv}, Row{"lpsv", Verb::lpsv},
                             Row{"auth", Verb::auth}};
  for (const auto& row : kRows) {
    if (sip::equals(name, row.name)) return row.verb;
  }
  return Verb::other;
}

}  // namespace

bool begins_text(std::string_view line) noexcept {
  if (line.empty()) return false;
  const char c = line.front();
  const bool is_end = c == '\r' || c == '\n';
  return is_end || c == kInterpret || (!is_control(c) && static_cast<unsigned char>(c) < 0x7F);
}

pinhole_frame frame_line(pinhole_framing& framing, std::string_view fresh) noexcept {
  if (fresh.empty()) return {PINHOLE_FRAME_MORE, 0};
  const auto end = fresh.find('\n');
  const bool ends = end != std::string_view::npos;
  if (framing.scanned == 0 && !begins_text(fresh)) {
    const auto size = std::min(ends ? end + 1 : fresh.size(), kMaxLine);
    return {PINHOLE_FRAME_MESSAGE, static_cast<std::uint32_t>(size)};
  }
  framing.begun = 1;
  const auto size = framing.scanned + (ends ? end + 1 : fresh.size());
  if (!ends && size < kMaxLine) return {PINHOLE_FRAME_MORE, 0};
  return {PINHOLE_FRAME_MESSAGE, static_cast<std::uint32_t>(std::min(size, kMaxLine))};
}

std::string_view without_end(std::string_view line) noexcept {
  if (!is_ended(line)) return line;
  line.remove_suffix(1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

Command read_command(std::string_view line, LineScratch& scratch) noexcept {
  const auto text = without_telnet(without_end(line), scratch);
  Command command;
  command.is_ambiguous = std::any_of(text.begin(), text.end(), is_control);
  const auto begin = sip::skip(text, 0, sip::chars::kBlank);
  const auto end = sip::skip_to(text, begin, sip::chars::kBlank);
  command.name = slice(text, begin, end);
  command.argument = sip::trim(slice(text, end));
  command.verb = verb_of(command.name);
  return command;
}

Reply read_reply(std::string_view line) noexcept {
  const auto begin = telnet_size(line);
  const auto text = without_end(slice(line, begin));
  if (text.size() < kCodeSize) return {};
  const auto code = sip::number(slice(text, 0, kCodeSize));
  if (!code || *code < 100 || *code > 699) return {};
  const char mark = text.size() > kCodeSize ? text[kCodeSize] : ' ';
  if (mark != ' ' && mark != '-') return {};
  return {.code = static_cast<std::uint16_t>(*code), .goes_on = mark == '-', .begin = begin};
}

}  // namespace pinhole::alg::ftp
