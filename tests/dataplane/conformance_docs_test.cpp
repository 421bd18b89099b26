// SPDX-License-Identifier: BSD-3-Clause
// docs/rfc-conformance.md has a row for each requirement of the NAT RFCs, for each complaint about SIP
// gateways and for each RFC on SIP and media; the tests that it names are there, and where it says that a
// requirement is kept each of them carries its tag, and one of them that of each RFC of a row. When this
// fails after a test was moved or renamed, the page is what has to follow.
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
  static const std::regex row{R"(\n\| ((?:RFC|AC)[ -][^|]+) \| [^|]+ \| ([^|]+) \|([^|\n]*)\|)"};
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

/// Tags of which any does.
using Tags = std::vector<std::string>;

/// "RFC 4787 REQ-9a" is "rfc4787-req9a" or, as a part of the whole, "rfc4787-req9"; "RFC 7857 2.1" is
/// "rfc7857-2.1"; "AC-07" is itself; of "RFC 3264, RFC 6337" each has its own. None for sections of RFCs that
/// have no numbered requirements for a translator.
std::vector<Tags> tags_of(const std::string& requirement) {
  static const std::regex numbered{R"(RFC (4787|5382|5508|6888) REQ-(\d+)([a-z]?))"};
  static const std::regex section{R"(RFC (7857) (\d+(\.\d+)?))"};
  static const std::regex rfcs{R"(RFC \d+(, RFC \d+)*)"};
  static const std::regex one_rfc{R"(RFC (\d+))"};
  std::smatch found;
  if (std::regex_match(requirement, found, numbered)) {
    const auto whole = fmt::format("rfc{}-req{}", found[1].str(), found[2].str());
    return {Tags{whole, whole + found[3].str()}};
  }
  std::vector<Tags> tags;
  if (std::regex_match(requirement, found, section)) {
    tags.push_back({fmt::format("rfc{}-{}", found[1].str(), found[2].str())});
  } else if (requirement.starts_with("AC-")) {
    tags.push_back({requirement});
  } else if (std::regex_match(requirement, rfcs)) {
    for (std::sregex_iterator it{requirement.begin(), requirement.end(), one_rfc}, end; it != end; ++it) {
      tags.push_back({fmt::format("rfc{}", (*it)[1].str())});
    }
  }
  return tags;
}

/// "RFC 4787 REQ-9" of "RFC 4787 REQ-9a".
std::string whole(std::string requirement) {
  if (std::isalpha(static_cast<unsigned char>(requirement.back())) != 0) requirement.pop_back();
  return requirement;
}

/// Whether a file of tests has one of the tags.
bool carries(const std::string& test, const Tags& tags) {
  const auto text = file_text(kRoot + test);
  return std::any_of(tags.begin(), tags.end(), [&](const std::string& tag) {
    return text.find(fmt::format("[{}]", tag)) != std::string::npos;
  });
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

TEST_CASE("the page on conformance has a row for every complaint and every RFC on SIP and media",
          "[docs][conformance]") {
  std::set<std::string> present;
  for (const auto& row : rows_of_page()) {
    present.insert(row.requirement);
    for (const auto& tags : tags_of(row.requirement)) present.insert(tags.begin(), tags.end());
  }
  for (int number = 1; number <= 29; ++number) CHECK(present.contains(fmt::format("AC-{:02}", number)));
  for (const int rfc :
       {2046, 3261, 3262, 3264, 3311, 3323, 3325, 3327, 3362, 3428, 3515, 3551, 3581, 3605, 3608,
        3863, 3891, 3892, 3903, 3911, 4028, 4145, 4235, 4475, 4538, 4566, 4568, 4975, 5118, 5245,
        5389, 5621, 5626, 5761, 5764, 5853, 5876, 5923, 6140, 6223, 6314, 6337, 6544, 6665, 6714,
        7044, 7118, 7362, 8224, 8225, 8226, 8445, 8489, 8656, 8839, 8840, 8843, 8866}) {
    INFO(rfc);
    CHECK(present.contains(fmt::format("rfc{}", rfc)));
  }
}

TEST_CASE("what the page on conformance says to be kept is shown by a test with its tag",
          "[docs][conformance]") {
  const auto rows = rows_of_page();
  REQUIRE(rows.size() > 140);
  for (const auto& row : rows) {
    INFO(row.requirement);
    for (const auto& test : row.tests) {
      INFO(test);
      CHECK(test.starts_with("tests/"));
      CHECK(std::filesystem::exists(kRoot + test));
    }
    if (!row.state.starts_with("kept")) {
      CHECK(row.state.size() > 20);  // the reason
      continue;
    }
    CHECK_FALSE(row.tests.empty());
    const auto wanted = tags_of(row.requirement);
    for (const auto& tags : wanted) {
      INFO(tags.front());
      CHECK(std::any_of(row.tests.begin(), row.tests.end(),
                        [&](const std::string& test) { return carries(test, tags); }));
    }
    for (const auto& test : row.tests) {
      INFO(test);
      CHECK((wanted.empty() || std::any_of(wanted.begin(), wanted.end(),
                                           [&](const Tags& tags) { return carries(test, tags); })));
    }
  }
}

}  // namespace pinhole
