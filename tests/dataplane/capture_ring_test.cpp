// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipc/capture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <thread>
#include <vector>

using namespace pinhole::ipc;

namespace {

using Ring = BasicCaptureRing<4096>;

bool put(Ring& ring, std::uint32_t size, std::uint64_t number) {
  auto* const to = ring.claim({.tsc = number, .frame_bytes = size + 1, .copied_bytes = size});
  if (to == nullptr) return false;
  std::memset(to, static_cast<int>(number & 0xffU), size);
  ring.put();
  return true;
}

bool is_whole(const CapturedFrame& frame) {
  const auto expected = static_cast<std::byte>(frame.header.tsc);
  return std::ranges::all_of(frame.bytes, [&](std::byte each) { return each == expected; }) &&
         frame.header.frame_bytes == frame.bytes.size() + 1;
}

}  // namespace

TEST_CASE("a ring of copies gives back what was put, whatever the sizes, and counts what had no room",
          "[ipc][capture][AC-25]") {
  const auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  auto ring = std::make_unique<Ring>();
  std::deque<std::uint64_t> inside;
  std::uint64_t lost = 0;
  for (std::uint64_t number = 1; number <= 5'000; ++number) {
    const auto size = static_cast<std::uint32_t>(random() % 1600);
    if (put(*ring, size, number)) {
      inside.push_back(number);
    } else {
      ++lost;
    }
    REQUIRE(ring->lost() == lost);
    if (random() % 3 != 0) continue;
    ring->drain([&](const CapturedFrame& frame) {
      REQUIRE_FALSE(inside.empty());
      REQUIRE(frame.header.tsc == inside.front());
      REQUIRE(is_whole(frame));
      inside.pop_front();
    });
    REQUIRE(inside.empty());
  }
  CHECK(lost > 0);
}

TEST_CASE("a ring of copies that is cleared is empty, and one larger than it never fits",
          "[ipc][capture][AC-25]") {
  auto ring = std::make_unique<Ring>();
  CHECK_FALSE(put(*ring, 4096, 1));
  CHECK(put(*ring, 100, 2));
  ring->clear();
  ring->drain([](const CapturedFrame&) { FAIL("there was something"); });
}

TEST_CASE("a ring of copies whose bytes make no sense is skipped", "[ipc][capture][AC-25]") {
  auto ring = std::make_unique<Ring>();
  CHECK(put(*ring, 100, 1));
  auto* const first = ring->claim({.copied_bytes = 10});
  REQUIRE(first != nullptr);
  CaptureHeader broken{.copied_bytes = 4000};
  SECTION("a record of no length") {
    broken.record_bytes = 0;
  }
  SECTION("a record that is longer than what is there") {
    broken.record_bytes = 2048;
  }
  SECTION("a frame that is longer than its record") {
    broken.record_bytes = 64;
  }
  std::memcpy(first - sizeof broken, &broken, sizeof broken);
  ring->put();
  int taken = 0;
  ring->drain([&](const CapturedFrame&) { ++taken; });
  CHECK(taken == 1);
  CHECK(put(*ring, 100, 3));
  ring->drain([&](const CapturedFrame& frame) { taken += static_cast<int>(frame.header.tsc); });
  CHECK(taken == 4);
}

TEST_CASE("a ring of copies is written and read at the same time", "[ipc][capture][AC-25]") {
  constexpr std::uint64_t kFrames = 10'000;
  auto ring = std::make_unique<Ring>();
  std::thread writer([&] {
    for (std::uint64_t number = 1; number <= kFrames; ++number) {
      while (!put(*ring, static_cast<std::uint32_t>(number % 300), number)) std::this_thread::yield();
    }
  });
  std::uint64_t last = 0;
  bool is_good = true;
  while (last < kFrames && is_good) {
    ring->drain([&](const CapturedFrame& frame) {
      is_good = is_good && frame.header.tsc == last + 1 && is_whole(frame);
      last = frame.header.tsc;
    });
    std::this_thread::yield();
  }
  writer.join();
  CHECK(is_good);
}
