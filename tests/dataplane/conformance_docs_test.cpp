// SPDX-License-Identifier: BSD-3-Clause
// docs/rfc-conformance.md has a row for each requirement of the NAT RFCs, the tests that it names are there,
// and where it says that a requirement is kept one of them carries the tag. When this fails after a test was
// moved or renamed, the page is what has to follow.
#include <fmt/format.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace pinhole {

namespace {

const std::string kRoot = PINHOLE_SOURCE_DIR "/";

std::string file_text(const std::string& path) {
  std::ifstream file{path};
  REQUIRE(file);
  return {std::istreambuf_iterator<char>{file}, {}};
}

struct Row {
  std::string requirement;
  std::string state;
  std::vector<std::string> tests;
};

std::vector<Row> rows_of_page() {
  const auto page = file_text(kRoot + "docs/rfc-conformance.md");
  static const std::regex row{R"(\n\| (RFC [^|]+) \| [^|]+ \| ([^|]+) \|([^|\n]*)\|)"};
  static const std::regex name{"`([^`]+)`"};
  std::vector<Row> rows;
  for (std::sregex_iterator it{page.begin(), page.end(), row}, end; it != end; ++it) {
    Row found{(*it)[1], (*it)[2], {}};
    const std::string cell = (*it)[3];
    for (std::sregex_iterator each{cell.begin(), cell.end(), name}; each != end; ++each) {
      found.tests.push_back((*each)[1]);
    }
    rows.push_back(std::move(found));
  }
  return rows;
}

/// "RFC 4787 REQ-9a" is "rfc4787-req9a", "RFC 7857 2.1" is "rfc7857-2.1"; empty for the RFCs that have no
/// numbered requirements for a translator.
std::string tag_of(const std::string& requirement) {
  static const std::regex numbered{R"(RFC (4787|5382|5508|6888) REQ-(\d+[a-z]?))"};
  static const std::regex section{R"(RFC (7857) (\d+(\.\d+)?))"};
  std::smatch found;
  if (std::regex_match(requirement, found, numbered))
    return fmt::format("rfc{}-req{}", found[1].str(), found[2].str());
  if (std::regex_match(requirement, found, section))
    return fmt::format("rfc{}-{}", found[1].str(), found[2].str());
  return {};
}

/// Of a part of a requirement, the tag of the whole.
std::string whole(std::string tag) {
  if (std::isalpha(static_cast<unsigned char>(tag.back())) != 0) tag.pop_back();
  return tag;
}

}  // namespace

TEST_CASE("the page on conformance has a row for every requirement of the NAT RFCs", "[docs][conformance]") {
  std::set<std::string> present;
  for (const auto& row : rows_of_page()) present.insert(whole(row.requirement));
  std::vector<std::string> wanted;
  const auto want = [&](int rfc, int last) {
    for (int number = 1; number <= last; ++number)
      wanted.push_back(fmt::format("RFC {} REQ-{}", rfc, number));
  };
  want(4787, 14);
  want(5382, 10);
  want(5508, 11);
  want(6888, 15);
  for (const char* section :
       {"2", "2.1", "2.2", "3", "4", "5", "6", "7", "7.1", "8", "9", "10", "11", "12"}) {
    wanted.push_back(fmt::format("RFC 7857 {}", section));
  }
  for (const auto& requirement : wanted) {
    INFO(requirement);
    CHECK(present.contains(requirement));
  }
}

TEST_CASE("what the page on conformance says to be kept is shown by a test with its tag",
          "[docs][conformance]") {
  const auto rows = rows_of_page();
  REQUIRE(rows.size() > 60);
  for (const auto& row : rows) {
    INFO(row.requirement);
    std::string sources;
    for (const auto& test : row.tests) {
      INFO(test);
      CHECK(test.starts_with("tests/"));
      CHECK(std::filesystem::exists(kRoot + test));
      if (test.ends_with(".cpp")) sources += file_text(kRoot + test);
    }
    if (!row.state.starts_with("kept")) {
      CHECK(row.state.size() > 20);  // the reason
      continue;
    }
    CHECK_FALSE(row.tests.empty());
    const auto tag = tag_of(row.requirement);
    if (tag.empty()) continue;
    const bool tagged = sources.find(fmt::format("[{}]", tag)) != std::string::npos ||
                        sources.find(fmt::format("[{}]", whole(tag))) != std::string::npos;
    CHECK(tagged);
  }
}

}  // namespace pinhole
