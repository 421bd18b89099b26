// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/guard/bucket.hpp"

#include <catch2/catch.hpp>

#include <vector>

#include "dataplane/guard/keyed_buckets.hpp"

using namespace pinhole;
using dataplane::Bucket;
using dataplane::Taken;

namespace {

constexpr std::uint8_t kNever = 100;

unsigned taken(Bucket& bucket, const ipc::Rate& rate, unsigned tries, nat::Tick now) {
  unsigned count = 0;
  for (unsigned i = 0; i < tries; ++i) count += bucket.take(rate, kNever, now) != Taken::over;
  return count;
}

}  // namespace

TEST_CASE("a bucket gives its burst at once, and then its rate", "[guard][bucket]") {
  struct Row {
    ipc::Rate rate;
    unsigned seconds;
    unsigned first;
    unsigned later;
  };
  const auto row =
      GENERATE(Row{{10, 5}, 1, 5, 5}, Row{{10, 50}, 1, 50, 10}, Row{{1, 1}, 3, 1, 1}, Row{{1, 4}, 3, 4, 3},
               Row{{1'000'000, 1000}, 1, 1000, 1000}, Row{{3, 9}, 2, 9, 6});
  CAPTURE(row.rate.per_s, row.rate.burst);
  Bucket bucket;
  nat::Tick now = 77;
  CHECK(taken(bucket, row.rate, 2 * row.first, now) == row.first);
  now += nat::ticks_from_s(row.seconds);
  CHECK(taken(bucket, row.rate, 2 * row.first, now) == row.later);
}

TEST_CASE("a bucket without a rate never ends", "[guard][bucket]") {
  Bucket bucket;
  CHECK(taken(bucket, {0, 1}, 100'000, 1) == 100'000);
}

TEST_CASE("over a long time no more than the rate comes through, and no less", "[guard][bucket]") {
  Bucket bucket;
  const ipc::Rate rate{30, 30};
  unsigned count = 0;
  for (nat::Tick now = 1; now <= 1 + nat::ticks_from_s(100); ++now) count += taken(bucket, rate, 20, now);
  CHECK(count >= 30 + 30 * 100 - 1);
  CHECK(count <= 30 + 30 * 100);
}

TEST_CASE("a warning comes before the limit", "[guard][bucket]") {
  Bucket bucket;
  const ipc::Rate rate{1, 10};
  std::vector<Taken> seen;
  for (int i = 0; i < 11; ++i) seen.push_back(bucket.take(rate, 80, 5));
  using enum Taken;
  CHECK(seen == std::vector{fine, fine, fine, fine, fine, fine, fine, fine, near, near, over});
}

TEST_CASE("a bucket under a smaller limit, or after the ticks wrapped, begins anew as a full one",
          "[guard][bucket]") {
  Bucket bucket;
  CHECK(taken(bucket, {1, 1000}, 1000, 50) == 1000);
  CHECK(taken(bucket, {10, 10}, 20, 50) == 10);
  CHECK(taken(bucket, {10, 10}, 20, 50 + nat::ticks_from_s(1)) == 10);

  Bucket late;
  CHECK(taken(late, {10, 10}, 10, ~nat::Tick{0}) == 10);
  CHECK(taken(late, {10, 10}, 20, nat::ticks_from_s(2)) == 10);
  CHECK(taken(late, {10, 10}, 20, nat::ticks_from_s(3)) == 10);
}

TEST_CASE("buckets by key keep apart, and forget the one that is used up less", "[guard][bucket]") {
  alignas(64) std::array<std::byte, 64> room{};
  nat::Carver carver(room);
  dataplane::KeyedBuckets buckets(4, carver);
  const ipc::Rate rate{1, 10};
  CHECK(taken(buckets.of(2, 1), rate, 20, 1) == 10);
  CHECK(taken(buckets.of(4, 1), rate, 3, 1) == 3);
  CHECK(taken(buckets.of(3, 1), rate, 20, 1) == 10);  // of another pair
  CHECK(taken(buckets.of(6, 1), rate, 1, 1) == 1);    // takes the place of 4
  CHECK(taken(buckets.of(2, 1), rate, 1, 1) == 0);
  CHECK(taken(buckets.of(4, 1), rate, 20, 1) == 10);
}
