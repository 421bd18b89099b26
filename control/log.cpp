// SPDX-License-Identifier: BSD-3-Clause
#include "control/log.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>

namespace pinhole::control {
namespace {

constexpr std::array<std::string_view, 4> kLevelNames = {"debug", "info", "warning", "error"};

bool is_plain(std::string_view value) noexcept {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return c > ' ' && c != 0x7f && c != '"' && c != '\\' && c != '=';
  });
}

// A line stays one line and shows no terminal escape, whatever a peer put into a Call-ID.
void append_value(std::string& line, std::string_view value) {
  if (is_plain(value)) {
    line += value;
    return;
  }
  line += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (c >= ' ' && c < 0x7f) {
      line += c;
    } else {
      fmt::format_to(std::back_inserter(line), "\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  line += '"';
}

std::string format_line(Level level, std::string_view event, std::initializer_list<Field> fields) {
  auto line = fmt::format("{} event={}", name(level), event);
  for (const auto& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    append_value(line, field.value);
  }
  line += '\n';
  return line;
}

}  // namespace

std::string_view name(Level level) noexcept {
  return kLevelNames[static_cast<std::size_t>(level)];
}

std::optional<Level> level_from(std::string_view name) noexcept {
  const auto* const found = std::find(kLevelNames.begin(), kLevelNames.end(), name);
  if (found == kLevelNames.end()) return std::nullopt;
  return static_cast<Level>(found - kLevelNames.begin());
}

Log::Log(Sink sink, Now now) : sink_(std::move(sink)), now_(std::move(now)) {
}

Log::~Log() {
  close_windows(Clock::time_point::max());
}

void Log::set_level(Level level) noexcept {
  const std::scoped_lock lock(mutex_);
  level_ = level;
}

void Log::write(Level level, std::string_view event, std::initializer_list<Field> fields) {
  const std::scoped_lock lock(mutex_);
  if (level < level_) return;
  const auto now = now_();
  close_windows(now);
  auto& window = windows_.try_emplace(event, Window{now}).first->second;
  if (window.lines == kBurst) {
    ++window.held_back;
    return;
  }
  ++window.lines;
  sink_(format_line(level, event, fields));
}

void Log::close_windows(Clock::time_point now) {
  for (auto at = windows_.begin(); at != windows_.end();) {
    const auto& [event, window] = *at;
    if (now - window.start < kWindow) {
      ++at;
      continue;
    }
    if (window.held_back > 0) {
      sink_(format_line(Level::info, "repeats_held_back", {{"of", event}, {"count", window.held_back}}));
    }
    at = windows_.erase(at);
  }
}

Log& log() {
  static Log instance(
      [](std::string_view line) { static_cast<void>(std::fwrite(line.data(), 1, line.size(), stderr)); });
  return instance;
}

}  // namespace pinhole::control
