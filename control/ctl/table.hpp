// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Text for a terminal: tables with aligned columns, and what keeps text from the network from being more than
// text. Widths are counted in characters of UTF-8, each taken to be one column wide.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pinhole::control {

/// The text with every control character, and so every terminal escape, replaced by '?'.
[[nodiscard]] std::string printable(std::string_view text);

/// Characters in valid UTF-8.
[[nodiscard]] std::size_t width_of(std::string_view text) noexcept;

/// The text, cut to `width` characters; the last is then "…".
[[nodiscard]] std::string fit(std::string_view text, std::size_t width);

/// The text in the middle of `width` columns.
[[nodiscard]] std::string centred(std::string_view text, std::size_t width);

/// "0 s", "59 s", "2 min 5 s", "3 h 20 min", "4 d 1 h"
[[nodiscard]] std::string duration_text(std::int64_t seconds);

/// "999 B", "1.5 kB", "2.0 MB": thousands, as counters of bytes are read.
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);

class Table {
 public:
  enum class Align : std::uint8_t { left, right };
  struct Column {
    std::string_view title;
    Align align = Align::left;
    std::size_t most = 64;  // characters; what is longer is cut
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// \param cells one for each column; made printable here
  void add(const std::vector<std::string>& cells);
  [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }
  /// The titles and the rows, without spaces at the ends of lines.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace pinhole::control
