// SPDX-License-Identifier: BSD-3-Clause
#include "nat/rate_limit.hpp"

#include "nat/tick.hpp"

#include <catch2/catch.hpp>

namespace pinhole::nat {

namespace {

unsigned taken(RateLimit& limit, std::uint64_t now, unsigned attempts) {
  unsigned count = 0;
  for (unsigned i = 0; i < attempts; ++i) count += limit.take(now) ? 1U : 0U;
  return count;
}

}  // namespace

TEST_CASE("a full bucket gives its burst and no more", "[nat][rate_limit]") {
  RateLimit limit(100, 20, 3'000'000'000);
  CHECK(taken(limit, 5'000'000'000'000, 100) == 20);
  CHECK(taken(limit, 5'000'000'000'000, 100) == 0);
}

TEST_CASE("over a long time exactly the rate is given, whatever the clock", "[nat][rate_limit]") {
  struct Row {
    std::uint32_t rate;
    std::uint64_t units_per_s;
    std::uint64_t step;
  };
  const Row rows[] = {
      {100, kTicksPerSecond, 1},        // ten tokens a tick
      {3, kTicksPerSecond, 1},          // a third of a second each: no whole number of ticks
      {100, 2'999'999'999, 1'234'567},  // TSC
      {1, 2'999'999'999, 999'999'937},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.rate << " a second, " << row.units_per_s << " units") {
      RateLimit limit(row.rate, 10, row.units_per_s);
      std::uint64_t now = 1'000'000'000'000;
      CHECK(taken(limit, now, 1000) == 10);
      unsigned total = 0;
      const std::uint64_t end = now + 100 * row.units_per_s;
      while (now < end) {
        now += row.step;
        total += taken(limit, now, 1000);
      }
      const double expected = static_cast<double>(row.rate) * static_cast<double>(end - 1'000'000'000'000) /
                              static_cast<double>(row.units_per_s);
      CHECK(static_cast<double>(total) == Approx(expected).margin(2));
    }
  }
}

TEST_CASE("a pause of any length gives one burst", "[nat][rate_limit]") {
  RateLimit limit(100000, 50, 3'000'000'000);
  CHECK(taken(limit, 1, 1000) == 50);
  CHECK(taken(limit, ~std::uint64_t{0} / 2, 1000) == 50);
}

TEST_CASE("a rate of zero gives nothing", "[nat][rate_limit]") {
  RateLimit limit(0, 20, kTicksPerSecond);
  CHECK_FALSE(limit.take(0));
  CHECK_FALSE(limit.take(1'000'000));
}

}  // namespace pinhole::nat
