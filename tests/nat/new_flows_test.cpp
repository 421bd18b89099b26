// SPDX-License-Identifier: BSD-3-Clause
// New flows in bursts, of which something is foreseen before they are made (Translator::for_each_new).
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "tests/nat/test_nat.hpp"

namespace pinhole::nat {

namespace {

constexpr std::uint32_t kHosts = 40;

TestNat::Options options_for(PortMode mode) {
  TestNat::Options options{.pool = 3, .mappings = 300, .quotas = {.mappings = {2, 2, 2}}, .port_rest = 3};
  options.ports.mode = mode;
  options.ports.block_size = 64;
  options.ports.blocks_per_host = 1;
  if (mode == PortMode::deterministic) options.subscribers = {{0xc0a80000, 0xc0a80000 + kHosts, 0}};
  return options;
}

OutboundKey random_key(std::mt19937_64& random) {
  const auto host = static_cast<std::uint32_t>(1 + random() % kHosts);
  const auto port =
      static_cast<std::uint16_t>(random() % 4 == 0 ? 1 + random() % 1023 : 2000 + random() % 40);
  return {inside(host, port), static_cast<Protocol>(random() % 3)};
}

}  // namespace

TEST_CASE("what is foreseen of new flows changes nothing of what they become", "[nat][translator][rfc4787]") {
  const auto mode = GENERATE(PortMode::random, PortMode::blocks, PortMode::deterministic);
  const std::uint64_t seed = std::random_device{}();
  CAPTURE(mode, seed);
  std::mt19937_64 random(seed);
  TestNat foreseeing(options_for(mode));
  TestNat plain(options_for(mode));
  std::vector<MappingIndex> live;
  unsigned made = 0;
  unsigned refused = 0;
  for (Tick now = 0; now < 400; ++now) {
    std::array<OutboundKey, kLookupBurst> keys;
    const std::size_t size = 1 + random() % keys.size();
    std::generate_n(keys.begin(), size, [&random] { return random_key(random); });
    std::size_t next = 0;
    foreseeing.nat.for_each_new(
        std::span(keys).first(size), [&](std::size_t i, const Foreseen& foreseen) noexcept {
          CHECK(i == next++);
          const auto key = keys[i];
          const bool is_known = plain.nat.find_outbound(key) != kNoMapping;
          CHECK((foreseeing.nat.find_outbound(key) != kNoMapping) == is_known);
          // It may turn out that a flow takes no port.
          if (is_known || random() % 8 == 0) return;
          const auto one =
              foreseeing.nat.create(key.protocol(), key.inside(), kServer, now, Realm::translated, foreseen);
          const auto other = plain.nat.create(key.protocol(), key.inside(), kServer, now);
          CHECK(one.reason == other.reason);
          CHECK(one.index == other.index);
          ++(one.index == kNoMapping ? refused : made);
          if (one.index == kNoMapping) return;
          CHECK(foreseeing.nat[one.index].external == plain.nat[other.index].external);
          live.push_back(one.index);
        });
    REQUIRE(next == size);
    while (live.size() > 100 || (!live.empty() && random() % 4 == 0)) {
      std::swap(live[random() % live.size()], live.back());
      for (TestNat* const n : {&foreseeing, &plain})
        REQUIRE(n->nat.close(live.back(), n->generation(live.back())));
      live.pop_back();
    }
  }
  CHECK(made > 1000);
  CHECK(refused > 100);
}

}  // namespace pinhole::nat
