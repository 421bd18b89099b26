// SPDX-License-Identifier: BSD-3-Clause
// Limits that come by shared memory: which a worker takes.
#include "dataplane/ipc/rates.hpp"

#include <catch2/catch.hpp>

#include "tests/dataplane/guard/guard_lab.hpp"

using namespace pinhole;
using ipc::RateLimits;

TEST_CASE("limits are taken when each number is one that the configuration may give", "[guard][limits]") {
  struct Row {
    const char* what;
    void (*damage)(RateLimits&);
    bool sound;
  };
  const auto row = GENERATE(
      Row{"as they come", [](RateLimits&) {}, true},
      Row{"the largest rate", [](RateLimits& all) { all.inside = {10'000'000, 10'000'000}; }, true},
      Row{"a burst above", [](RateLimits& all) { all.inside.burst = 10'000'001; }, false},
      Row{"a burst of nothing", [](RateLimits& all) { all.methods.back().burst = 0; }, false},
      Row{"a rate above", [](RateLimits& all) { all.malformed.all_unknown.per_s = 10'000'001; }, false},
      Row{"a method's burst", [](RateLimits& all) { all.methods[3].burst = ~0U; }, false},
      Row{"more than all percent", [](RateLimits& all) { all.warn_percent = 101; }, false},
      Row{"a prefix that is too long",
          [](RateLimits& all) {
            all.allowed_count = 2;
            all.allowed[1].length = 33;
          },
          false},
      Row{"a long prefix that nobody uses", [](RateLimits& all) { all.allowed[1].length = 33; }, true},
      Row{"all prefixes", [](RateLimits& all) { all.allowed_count = RateLimits::kMaxAllowed; }, true},
      Row{"a prefix too many", [](RateLimits& all) { all.allowed_count = RateLimits::kMaxAllowed + 1; },
          false},
      Row{"a scanner too many", [](RateLimits& all) { all.scanner_count = RateLimits::kMaxScanners + 1; },
          false});
  CAPTURE(row.what);
  auto limits = test::no_limits();
  row.damage(limits);
  CHECK(ipc::is_sound(limits) == row.sound);
}
