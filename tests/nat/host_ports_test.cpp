// SPDX-License-Identifier: BSD-3-Clause
#include "nat/host_ports.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <vector>

#include "tests/nat/table_memory.hpp"

namespace pinhole::nat {

namespace {

constexpr std::uint32_t kHosts = 1000;
constexpr std::uint32_t kPool = 100;

constexpr Ipv4Address host(std::uint32_t n) {
  return Ipv4Address::from_host(0x0a000000 + n);
}

/// One worker of sixteen, and a pool of 100 addresses of which nothing is left but what a test frees.
struct TestPorts {
  explicit TestPorts(PortMode mode)
      : external(kPool),
        deal({.plan = {.mode = mode, .block_size = 64}, .pool_size = kPool, .workers = 16}),
        host_memory(HostTable::bytes_needed(kHosts)),
        hosts(kHosts, {}, 7, Carver(host_memory.span())),
        memory(HostPorts::bytes_needed(deal)),
        ports(deal, external, hosts, nullptr, counters, Random({Catch::rngSeed()}, 1),
              Carver(memory.span())) {}

  /// Takes every port, but keeps one of an address aside, for free().
  void use_up(std::uint32_t spared) {
    const auto last = ports.enter(HostTable::kNone, host_of(spared), Protocol::udp, 0).host;
    const auto port = ports.take(last, Protocol::udp, 5000);
    REQUIRE(port.reason == DropReason::none);
    hosts.count(last, Protocol::udp);
    kept = {.host = last, .port = port.port};
    for (std::uint16_t address = 0; address < kPool; ++address) {
      for (std::uint32_t each = 1; each < kPorts; ++each) {
        if (address != spared || each != kept.port)
          ports.reserve(Protocol::udp, address, static_cast<std::uint16_t>(each));
      }
    }
  }
  void free() {
    ports.give_back(kept.host, Protocol::udp, kept.port);
    hosts.uncount(kept.host, Protocol::udp);
  }
  /// A host whose own address it is.
  static Ipv4Address host_of(std::uint32_t address) {
    for (std::uint32_t n = 0;; ++n) {
      if (pool_index_of_inside(host(n), kPool) == address) return host(n);
    }
  }
  /// Whether a new host gets a port; it does not stay.
  bool gets_port(Ipv4Address inside, Tick now) {
    const auto entry = ports.enter(HostTable::kNone, inside, Protocol::udp, now);
    if (entry.reason != DropReason::none) return false;
    const auto port = ports.take(entry.host, Protocol::udp, 5000);
    if (port.reason == DropReason::none) ports.put_back(entry.host, Protocol::udp, port.port);
    hosts.remove_if_idle(entry.host);
    return port.reason == DropReason::none;
  }
  std::uint64_t skipped() const { return counters.read(Counter::address_search_skipped); }

  struct Kept {
    HostTable::Place host = HostTable::kNone;
    std::uint16_t port = 0;
  };
  std::vector<Ipv4Address> external;
  PortBlocks::Deal deal;
  CounterBlock<Counter> counters;
  TableMemory host_memory;
  HostTable hosts;
  TableMemory memory;
  HostPorts ports;
  Kept kept;
};

}  // namespace

TEST_CASE("a flood of new hosts on an exhausted pool makes a few searches a tick, and no more",
          "[nat][host_ports][rfc6888-req11]") {
  INFO("seed " << Catch::rngSeed());
  TestPorts t(PortMode::random);
  t.use_up(0);
  constexpr std::uint64_t kSearches = 4;
  for (Tick now = 10; now < 15; ++now) {
    const auto before = t.skipped();
    for (std::uint32_t n = 0; n < 500; ++n) REQUIRE_FALSE(t.gets_port(host(100000 + n), now));
    CHECK(t.skipped() - before == 500 - kSearches);
  }
  // Each protocol has its own ports.
  const auto before = t.skipped();
  CHECK(t.ports.enter(HostTable::kNone, host(200000), Protocol::tcp, 14).reason == DropReason::none);
  CHECK(t.skipped() == before);
}

TEST_CASE("a port that becomes free on an exhausted pool is found again",
          "[nat][host_ports][rfc6888-req13]") {
  INFO("seed " << Catch::rngSeed());
  std::mt19937 random(Catch::rngSeed());
  for (int round = 0; round < 5; ++round) {
    const auto spared = static_cast<std::uint32_t>(random() % kPool);
    TestPorts t(PortMode::random);
    t.use_up(spared);
    const auto stranger = TestPorts::host_of((spared + 1) % kPool);
    const auto flood = [&](Tick now) {
      for (std::uint32_t n = 0; n < 50; ++n) {
        const auto other = TestPorts::host_of((spared + 2 + n % 50) % kPool);
        static_cast<void>(t.gets_port(other, now));
      }
    };
    flood(1);
    REQUIRE_FALSE(t.gets_port(stranger, 1));
    t.free();
    CHECK(t.gets_port(TestPorts::host_of(spared), 1));  // its own host's at once
    CHECK_FALSE(t.gets_port(stranger, 1));
    // 64 addresses a tick: the whole pool in two.
    bool found = false;
    for (Tick now = 2; now < 4 && !found; ++now) {
      for (int tries = 0; tries < 5 && !found; ++tries) found = t.gets_port(stranger, now);
    }
    CHECK(found);
  }
}

TEST_CASE("in blocks, an exhausted pool is known without a look, and a block that is free again is found",
          "[nat][host_ports][blocks][rfc6888-req11]") {
  TestPorts t(PortMode::blocks);
  t.use_up(3);
  for (std::uint32_t n = 1; n < 500; ++n)
    REQUIRE(t.ports.enter(HostTable::kNone, host(100000 + n), Protocol::udp, 0).reason ==
            DropReason::drop_no_block);
  CHECK(t.hosts.size() == 1);
  t.free();
  // What is left of its block is a port of UDP, and every one of the others.
  const auto entry = t.ports.enter(HostTable::kNone, TestPorts::host_of(4), Protocol::udp, 0);
  REQUIRE(entry.reason == DropReason::none);
  CHECK(t.hosts.pool_index(entry.host) == 3);
  CHECK(t.ports.take(entry.host, Protocol::udp, 5000).port == t.kept.port);
}

}  // namespace pinhole::nat
