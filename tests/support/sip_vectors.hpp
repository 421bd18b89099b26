// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The messages of tests/vectors/sip, read as they are.

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace pinhole::test {

inline std::string file_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  INFO(path);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::filesystem::path vector_folder(const std::string& name = {}) {
  return std::filesystem::path(PINHOLE_SOURCE_DIR) / "tests/vectors/sip" / name;
}

/// The files of a folder with an extension, without it, in order.
inline std::vector<std::string> vector_names(const std::string& folder, const std::string& extension) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(vector_folder(folder))) {
    if (entry.path().extension() == extension) names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace pinhole::test
