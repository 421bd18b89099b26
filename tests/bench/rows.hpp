// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What the smaller benchmarks have to say: rows of a label, a value and what it may be at most, as a table
// for people and as JSON for scripts/bench.

#include <algorithm>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace pinhole::bench {

struct Row {
  std::string label;
  double value = 0;
  std::string unit;
  std::optional<double> limit;  // what the project wants
};

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

inline void print(const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    fmt::print("{:<44} {:>12.1f} {:<18}", row.label, row.value, row.unit);
    if (row.limit) fmt::print(" at most {:g}{}", *row.limit, row.value > *row.limit ? "  MISSED" : "");
    fmt::print("\n");
  }
}

/// \param path  null: nothing is written
inline void write_json(const char* path, const std::string& benchmark, const std::vector<Row>& rows) {
  if (path == nullptr) return;
  nlohmann::json list = nlohmann::json::array();
  for (const auto& row : rows) {
    nlohmann::json each = {{"label", row.label}, {"value", row.value}, {"unit", row.unit}};
    if (row.limit) each.emplace("limit", *row.limit);
    list.push_back(std::move(each));
  }
  const nlohmann::json report = {{"benchmark", benchmark}, {"rows", std::move(list)}};
  std::FILE* const file = std::fopen(path, "w");
  if (file == nullptr) throw std::runtime_error(std::string("cannot write ") + path);
  fmt::print(file, "{}\n", report.dump(2));
  std::fclose(file);
}

/// The main() of a benchmark: `NAME [--json FILE]`. Errors: one sentence and status 1.
template <typename Measure>
int run_benchmark(const char* name, int argc, char** argv, Measure&& measure) {
  try {
    const bool json = argc == 3 && std::string(argv[1]) == "--json";
    if (argc != 1 && !json) throw std::runtime_error("use no argument or --json FILE");
    const std::vector<Row> rows = measure();
    print(rows);
    write_json(json ? argv[2] : nullptr, name, rows);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}_bench: {}\n", name, error.what());
    return 1;
  }
}

}  // namespace pinhole::bench
