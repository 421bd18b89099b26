// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Cuts a byte stream into lines. Invariant: it holds less than one line of the largest size and one chunk of
// input, whatever the peer sends.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace pinhole::control {

class LineBuffer {
 public:
  explicit LineBuffer(std::size_t max_line_bytes) noexcept : max_line_bytes_(max_line_bytes) {}

  void append(std::string_view bytes) { buffer_.append(bytes); }

  /// The next whole line without its newline; none when its end has not come yet.
  [[nodiscard]] std::optional<std::string> next() {
    const auto end = buffer_.find('\n', searched_);
    if (end == std::string::npos) {
      searched_ = buffer_.size();
      return std::nullopt;
    }
    auto line = buffer_.substr(start_, end - start_);
    start_ = searched_ = end + 1;
    if (start_ == buffer_.size() || start_ >= max_line_bytes_) {
      buffer_.erase(0, start_);
      start_ = searched_ = 0;
    }
    return line;
  }

  /// True when the line that has begun is longer than a line may be: it will never be whole.
  [[nodiscard]] bool is_too_long() const noexcept { return buffer_.size() - start_ > max_line_bytes_; }

 private:
  std::size_t max_line_bytes_;
  std::string buffer_;
  std::size_t start_ = 0;     // of the line that is next
  std::size_t searched_ = 0;  // there is no newline before this
};

}  // namespace pinhole::control
