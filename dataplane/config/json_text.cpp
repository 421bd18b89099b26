// SPDX-License-Identifier: BSD-3-Clause

// With JSON_DIAGNOSTICS a new value visits its children, and GCC 12 warns of the children of a string.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Warray-bounds"
#endif

#include "dataplane/config/json_text.hpp"

#include "dataplane/config/walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pinhole::config {

namespace {

using nlohmann::json;

/// Deeper than any configuration; keeps the paths in errors short.
constexpr std::size_t kMaxDepth = 32;

/// Hears the document go by, and remembers the first thing that is wrong with it.
class Proofreader final : public nlohmann::json_sax<json> {
 public:
  explicit Proofreader(std::string_view text) : text_(text) {}
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t) override { return value(); }
  bool number_float(number_float_t, const string_t&) override { return value(); }
  bool string(string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }

  bool start_object(std::size_t) override { return open(false); }
  bool start_array(std::size_t) override { return open(true); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    auto& object = open_.back();
    object.key = name;
    if (object.seen.insert(name).second) return true;
    error_ = config_conflict(path(), "is written twice", "keep one of the two");
    return false;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& problem) override {
    const auto at = std::min(position == 0 ? 0 : position - 1, text_.size());
    const auto before = text_.substr(0, at);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const auto newline = before.rfind('\n');
    const auto column = newline == std::string_view::npos ? at + 1 : at - newline;
    error_ =
        Error{ErrorCode::syntax,
              fmt::format("line {}, column {}: this is not JSON: {}; look there for a missing or surplus "
                          "quote, comma or bracket",
                          line, column, cause_of(problem.what()))};
    return false;
  }

 private:
  /// An object or array that has begun and not ended.
  struct Level {
    bool is_array = false;
    std::size_t index = 0;         // arrays: of the item that comes next
    std::string key{};             // objects: of the value that comes next
    std::set<std::string> seen{};  // objects: the keys so far
  };

  bool open(bool is_array) {
    if (open_.size() == kMaxDepth) {
      error_ = Error{ErrorCode::syntax,
                     fmt::format("{}: found more than {} objects and lists inside each other; this is no "
                                 "configuration",
                                 path(), kMaxDepth)};
      return false;
    }
    open_.push_back({.is_array = is_array});
    return true;
  }
  bool close() {
    open_.pop_back();
    return value();
  }
  bool value() {
    if (!open_.empty() && open_.back().is_array) ++open_.back().index;
    return true;
  }

  [[nodiscard]] std::string path() const {
    std::string path;
    for (const auto& level : open_) {
      path = level.is_array ? item_path(path, level.index) : join_path(path, level.key);
    }
    return path;
  }

  /// What the library says after "[json.exception.…] parse error at line …: syntax error while parsing …".
  static std::string cause_of(std::string cause) {
    for (const std::string_view mark : {"] ", " - "}) {
      if (const auto at = cause.find(mark); at != std::string::npos) cause.erase(0, at + mark.size());
    }
    // It goes on with what was read last, which may be anything; line and column say it better.
    if (const auto read = cause.find("; last read: '"); read != std::string::npos) {
      const auto expected = cause.rfind("'; expected ");
      cause.erase(read, expected == std::string::npos ? std::string::npos : expected + 1 - read);
    }
    return cause;
  }

  std::string_view text_;
  std::vector<Level> open_;
  std::optional<Error> error_;
};

}  // namespace

Result<json> parse_json(std::string_view text) {
  Proofreader reader{text};
  json::sax_parse(text, &reader, json::input_format_t::json, /*strict=*/true, /*ignore_comments=*/true);
  if (reader.error()) return *reader.error();
  return json::parse(text, nullptr, /*allow_exceptions=*/true, /*ignore_comments=*/true);
}

}  // namespace pinhole::config
