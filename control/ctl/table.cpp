// SPDX-License-Identifier: BSD-3-Clause
#include "control/ctl/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>

namespace pinhole::control {
namespace {

constexpr std::string_view kEllipsis = "…";
constexpr std::string_view kGap = "  ";

bool starts_character(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
}

void append_cell(std::string& line, std::string_view text, const Table::Column& column, std::size_t width) {
  const std::string padding(width - width_of(text), ' ');
  if (column.align == Table::Align::right) line += padding;
  line += text;
  if (column.align == Table::Align::left) line += padding;
}

void end_line(std::string& out, std::string& line) {
  line.erase(line.find_last_not_of(' ') + 1);
  out += line;
  out += '\n';
  line.clear();
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const bool is_c1 =
        byte == 0xc2 && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xa0;
    if (byte < 0x20 || byte == 0x7f || is_c1) {
      out += '?';
      at += is_c1 ? 1 : 0;
    } else {
      out += text[at];
    }
  }
  return out;
}

std::size_t width_of(std::string_view text) noexcept {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

std::string fit(std::string_view text, std::size_t width) {
  if (width_of(text) <= width) return std::string(text);
  std::size_t characters = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    if (starts_character(text[at]) && ++characters == width) break;
    ++at;
  }
  return std::string(text.substr(0, at)).append(kEllipsis);
}

std::string centred(std::string_view text, std::size_t width) {
  const auto cut = fit(text, width);
  const auto spare = width - width_of(cut);
  return std::string(spare / 2, ' ') + cut + std::string(spare - spare / 2, ' ');
}

std::string duration_text(std::int64_t seconds) {
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  if (seconds < kMinute) return fmt::format("{} s", seconds);
  if (seconds < kHour) return fmt::format("{} min {} s", seconds / kMinute, seconds % kMinute);
  if (seconds < kDay) return fmt::format("{} h {} min", seconds / kHour, seconds % kHour / kMinute);
  return fmt::format("{} d {} h", seconds / kDay, seconds % kDay / kHour);
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits = {"kB", "MB", "GB", "TB", "PB"};
  if (bytes < 1000) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

void Table::add(const std::vector<std::string>& cells) {
  assert(cells.size() == columns_.size());
  auto& row = rows_.emplace_back();
  for (std::size_t column = 0; column < columns_.size(); ++column) {
    row.push_back(fit(printable(cells[column]), columns_[column].most));
  }
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t column = 0; column < columns_.size(); ++column) {
    auto width = width_of(columns_[column].title);
    for (const auto& row : rows_) width = std::max(width, width_of(row[column]));
    widths.push_back(width);
  }
  std::string out;
  std::string line;
  for (std::size_t column = 0; column < columns_.size(); ++column) {
    if (column > 0) line += kGap;
    append_cell(line, columns_[column].title, columns_[column], widths[column]);
  }
  end_line(out, line);
  for (const auto& row : rows_) {
    for (std::size_t column = 0; column < columns_.size(); ++column) {
      if (column > 0) line += kGap;
      append_cell(line, row[column], columns_[column], widths[column]);
    }
    end_line(out, line);
  }
  return out;
}

}  // namespace pinhole::control
