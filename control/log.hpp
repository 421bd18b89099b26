// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The log of control: one line an event, `level event=name key=value ...`, to stderr, where the service
// manager adds the time. Repeats are limited: of one event at most kBurst lines are written in a window, and
// what was held back is told when the window is over. The packet path never logs.

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace pinhole::control {

enum class Level : std::uint8_t { debug, info, warning, error };

[[nodiscard]] std::string_view name(Level level) noexcept;
[[nodiscard]] std::optional<Level> level_from(std::string_view name) noexcept;

/// One `key=value` of a line; a value with spaces, quotes or control bytes is written quoted and escaped.
struct Field {
  template <typename Value>
  Field(std::string_view field, const Value& content) : key(field), value(fmt::format("{}", content)) {}
  std::string_view key;
  std::string value;
};

class Log {
 public:
  using Clock = std::chrono::steady_clock;
  using Sink = std::function<void(std::string_view line)>;  // the line ends with a newline
  using Now = std::function<Clock::time_point()>;

  static constexpr std::uint32_t kBurst = 10;
  static constexpr std::chrono::seconds kWindow{10};

  explicit Log(Sink sink, Now now = Clock::now);
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log();

  /// Lines below this level are not written; the default is info.
  void set_level(Level level) noexcept;

  /// Writes one line. \param event a snake_case name that outlives the log: a literal.
  /// Thread: any. Errors: none; a line that cannot be written is lost.
  void write(Level level, std::string_view event, std::initializer_list<Field> fields = {});

 private:
  struct Window {
    Clock::time_point start;
    std::uint32_t lines = 0;
    std::uint64_t held_back = 0;
  };
  void close_windows(Clock::time_point now);

  Sink sink_;
  Now now_;
  std::mutex mutex_;
  Level level_ = Level::info;
  std::map<std::string_view, Window> windows_;  // as many as there are names of events
};

/// The log of the process, on stderr.
[[nodiscard]] Log& log();

inline void log_debug(std::string_view event, std::initializer_list<Field> fields = {}) {
  log().write(Level::debug, event, fields);
}
inline void log_info(std::string_view event, std::initializer_list<Field> fields = {}) {
  log().write(Level::info, event, fields);
}
inline void log_warning(std::string_view event, std::initializer_list<Field> fields = {}) {
  log().write(Level::warning, event, fields);
}
inline void log_error(std::string_view event, std::initializer_list<Field> fields = {}) {
  log().write(Level::error, event, fields);
}

}  // namespace pinhole::control
