// SPDX-License-Identifier: BSD-3-Clause
#include "alg/edit.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace pinhole::alg {

namespace {

struct Replacement {
  std::size_t offset;
  std::size_t removed;
  std::string text;
};

// The oracle: builds the result from left to right in a new string.
std::string rebuilt(const std::string& message, const std::vector<Replacement>& replacements) {
  std::map<std::size_t, Replacement> ordered;
  for (const auto& replacement : replacements) ordered[replacement.offset] = replacement;
  std::string result;
  std::size_t at = 0;
  for (const auto& [offset, replacement] : ordered) {
    result += message.substr(at, offset - at) + replacement.text;
    at = offset + replacement.removed;
  }
  return result + message.substr(at);
}

std::string applied(const std::string& message, const std::vector<Replacement>& replacements) {
  EditList list;
  for (const auto& [offset, removed, text] : replacements) REQUIRE(list.replace(offset, removed, text));
  std::string buffer = message;
  buffer.resize(message.size() + 256, '#');
  const auto size = list.apply(buffer, message.size());
  REQUIRE(size.has_value());
  REQUIRE(static_cast<std::ptrdiff_t>(*size) == static_cast<std::ptrdiff_t>(message.size()) + list.growth());
  const bool untouched_behind =
      buffer.find_first_not_of('#', std::max(*size, message.size())) == std::string::npos;
  CHECK(untouched_behind);
  return buffer.substr(0, *size);
}

}  // namespace

TEST_CASE("edits replace exactly their bytes", "[alg][edit][AC-03]") {
  struct Row {
    const char* name;
    std::vector<Replacement> replacements;
    const char* result;
  };
  const std::string message = "abcdefghij";
  const Row rows[] = {
      {"nothing", {}, "abcdefghij"},
      {"same size", {{2, 2, "XY"}}, "abXYefghij"},
      {"grows", {{2, 2, "12345"}}, "ab12345efghij"},
      {"shrinks", {{2, 5, "1"}}, "ab1hij"},
      {"removes", {{0, 3, ""}}, "defghij"},
      {"inserts at the front", {{0, 0, "12"}}, "12abcdefghij"},
      {"inserts at the end", {{10, 0, "12"}}, "abcdefghij12"},
      {"grows, then shrinks", {{0, 1, "1234"}, {4, 4, ""}}, "1234bcdij"},
      {"shrinks, then grows", {{0, 4, ""}, {6, 1, "123456"}}, "ef123456hij"},
      {"shrinks, grows beyond, shrinks again", {{0, 3, ""}, {4, 0, "123456"}, {8, 2, ""}}, "d123456efgh"},
      {"any order of calls", {{8, 1, "yy"}, {0, 1, "xx"}, {4, 1, "zz"}}, "xxbcdzzfghyyj"},
      {"one beside another", {{2, 2, "1"}, {4, 2, "22222"}}, "ab122222ghij"},
      {"an insertion right after a replacement", {{2, 2, "1"}, {4, 0, "+"}}, "ab1+efghij"},
      {"everything", {{0, 10, "Z"}}, "Z"},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      CHECK(applied(message, row.replacements) == row.result);
    }
  }
}

TEST_CASE("edits in place agree with building a new text", "[alg][edit][AC-03]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  };
  for (int round = 0; round < 2000; ++round) {
    std::string message;
    for (std::size_t i = 0, size = below(120); i < size; ++i) message += static_cast<char>('a' + below(26));
    std::vector<Replacement> replacements;
    for (std::size_t at = below(10); at <= message.size(); at += 1 + below(20)) {
      const auto removed = std::min(below(12), message.size() - at);
      replacements.push_back({at, removed, std::string(below(12), '0')});
      at += removed;
    }
    if (replacements.size() > 20) replacements.resize(20);
    CAPTURE(message);
    REQUIRE(applied(message, replacements) == rebuilt(message, replacements));
  }
}

TEST_CASE("edits that overlap or do not fit are refused", "[alg][edit]") {
  EditList list;
  REQUIRE(list.replace(10, 5, "x"));
  CHECK_FALSE(list.replace(12, 1, "y"));
  CHECK_FALSE(list.replace(8, 3, "y"));
  CHECK_FALSE(list.replace(10, 0, "y"));
  CHECK_FALSE(list.replace(0, 20, "y"));
  CHECK(list.replace(15, 1, "y"));
  CHECK(list.replace(8, 2, "y"));
  CHECK_FALSE(list.replace(40, 0, std::string(EditList::kMaxText, 'z')));
  CHECK(list.edits().size() == 3);

  list.clear();
  for (std::size_t i = 0; i < EditList::kMaxEdits; ++i) REQUIRE(list.replace(i, 1, "x"));
  CHECK_FALSE(list.replace(500, 1, "x"));
}

TEST_CASE("a message that has no room for its edits stays as it was", "[alg][edit]") {
  EditList list;
  REQUIRE(list.replace(2, 1, "12345"));
  std::string exact = "abcdef....";
  CHECK(list.apply(exact, 6) == 10);
  CHECK(exact == "ab12345def");
  std::string small = "abcdef...";
  CHECK_FALSE(list.apply(small, 6).has_value());
  CHECK(small == "abcdef...");
  std::string cut = "ab............";
  CHECK_FALSE(list.apply(cut, 2).has_value());
  CHECK(cut == "ab............");
}

}  // namespace pinhole::alg
