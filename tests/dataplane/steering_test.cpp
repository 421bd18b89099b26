// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/steering.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <span>
#include <vector>

#include "nat/port_blocks.hpp"
#include "nat/random.hpp"
#include "tests/nat/table_memory.hpp"

using namespace pinhole;
using namespace pinhole::dataplane;
using nat::Protocol;

namespace {

constexpr nat::Ipv4Address external(std::uint32_t n) {
  return nat::Ipv4Address::from_host(0xcb007100 + n);
}
constexpr nat::Ipv4Address inside(std::uint32_t n) {
  return nat::Ipv4Address::from_host(0x0a000000 + n);
}

/// A host inside that belongs to this worker.
nat::Ipv4Address host_of(unsigned worker, unsigned workers) {
  std::uint32_t n = 1;
  while (nat::owner_of_inside(inside(n), workers) != worker) ++n;
  return inside(n);
}

config::PortForward forward(Protocol protocol, nat::Ipv4Address address, std::uint16_t port,
                            nat::Ipv4Address host) {
  return {.protocol = protocol, .external = {address, nat::Be16{port}}, .inside = {host, nat::Be16{port}}};
}

}  // namespace

TEST_CASE("one worker owns everything", "[dataplane][steering]") {
  const std::vector pool = {external(1)};
  const Steering steering(1, pool, {});
  for (std::uint32_t i = 0; i < 65536; ++i) {
    REQUIRE(steering.owner_of_external(0, Protocol::udp, static_cast<std::uint16_t>(i)) == 0);
    REQUIRE(steering.owner_of_inside(inside(i)) == 0);
  }
}

TEST_CASE("external addresses are numbered: the pool, then those of forwards", "[dataplane][steering]") {
  const std::vector pool = {external(9), external(3)};
  const std::vector forwards = {forward(Protocol::udp, external(5), 80, inside(1)),
                                forward(Protocol::udp, external(3), 80, inside(1)),
                                forward(Protocol::tcp, external(5), 80, inside(1))};
  const Steering steering(2, pool, forwards);
  CHECK(steering.pool_size() == 2);
  CHECK(steering.addresses().size() == 3);
  CHECK(steering.pool_index(external(9)) == 0);
  CHECK(steering.pool_index(external(3)) == 1);
  CHECK(steering.pool_index(external(5)) == 2);
  CHECK_FALSE(steering.pool_index(external(4)));
  CHECK_FALSE(steering.pool_index(nat::Ipv4Address{}));
}

TEST_CASE("65,536 external addresses can be told apart", "[dataplane][steering][rfc6888-req3]") {
  std::vector<nat::Ipv4Address> pool;
  for (std::uint32_t i = 0; i < 65536; ++i) pool.push_back(nat::Ipv4Address::from_host(0x64400000 + i));
  const Steering steering(3, pool, {});
  CHECK(steering.pool_size() == 65536);
  for (std::uint32_t i = 0; i < 65536; ++i) REQUIRE(steering.pool_index(pool[i]) == i);
  CHECK_FALSE(steering.pool_index(nat::Ipv4Address::from_host(0x64410000)));
  CHECK_FALSE(steering.pool_index(nat::Ipv4Address::from_host(0x643fffff)));
}

TEST_CASE("a large pool numbers every address and no other", "[dataplane][steering]") {
  std::vector<nat::Ipv4Address> pool;
  for (std::uint32_t i = 0; i < 1024; ++i) pool.push_back(external(i));
  const Steering steering(4, pool, {});
  for (std::uint32_t i = 0; i < 1024; ++i) REQUIRE(steering.pool_index(external(i)) == i);
  for (std::uint32_t i = 1024; i < 70000; ++i) REQUIRE_FALSE(steering.pool_index(external(i)));
}

TEST_CASE("no pool and no forward: no address is ours", "[dataplane][steering]") {
  const Steering steering(2, {}, {});
  CHECK_FALSE(steering.pool_index(external(1)));
  CHECK(steering.addresses().empty());
}

TEST_CASE("external addresses are told from all others, however far apart they lie",
          "[dataplane][steering]") {
  const auto address = [](std::uint32_t value) { return nat::Ipv4Address::from_host(value); };
  const std::vector<std::vector<std::uint32_t>> pools = {
      {}, {0xcb007101}, {0xcb007101, 0xcb007105}, {1, 0xfffffffe}, {0xffffffff}, {1}};
  for (const auto& numbers : pools) {
    std::vector<nat::Ipv4Address> pool;
    for (const auto number : numbers) pool.push_back(address(number));
    const Steering steering(2, pool, {});
    std::vector<std::uint32_t> asked = {0, 0x0a000001, 0x7fffffff, 0x80000000};
    for (const auto number : numbers) asked.insert(asked.end(), {number - 1, number, number + 1});
    for (const auto number : asked) {
      CAPTURE(numbers, number);
      CHECK(steering.is_external(address(number)) == (std::ranges::count(numbers, number) == 1));
    }
  }
  const std::vector forwards = {forward(Protocol::udp, external(200), 80, inside(1))};
  CHECK(Steering(1, {}, forwards).is_external(external(200)));
}

TEST_CASE("external ports belong to those that hand them out", "[dataplane][steering]") {
  const std::vector pool = {external(1), external(2)};
  for (const unsigned workers : {2U, 3U, 16U}) {
    DYNAMIC_SECTION(workers << " workers") {
      const Steering steering(workers, pool, {});
      for (std::uint16_t index = 0; index < 2; ++index) {
        for (std::uint32_t i = 0; i < 65536; ++i) {
          const auto port = static_cast<std::uint16_t>(i);
          REQUIRE(steering.owner_of_external(index, Protocol::tcp, port) ==
                  nat::owner_of_block(index, nat::port_block(port), workers));
        }
      }
    }
  }
}

TEST_CASE("a forward belongs to the owner of its host, its neighbours to the owner of the block",
          "[dataplane][steering]") {
  constexpr unsigned kWorkers = 3;
  const std::vector pool = {external(1)};
  constexpr std::uint16_t kPort = 5060;
  const unsigned block_owner = nat::owner_of_block(0, nat::port_block(kPort), kWorkers);
  for (unsigned worker = 0; worker < kWorkers; ++worker) {
    DYNAMIC_SECTION("host of worker " << worker << ", block of worker " << block_owner) {
      const std::vector forwards = {
          forward(Protocol::udp, external(1), kPort, host_of(worker, kWorkers)),
          forward(Protocol::tcp, external(1), kPort + 1, host_of((worker + 1) % kWorkers, kWorkers)),
          forward(Protocol::udp, external(7), kPort, host_of(worker, kWorkers))};
      const Steering steering(kWorkers, pool, forwards);
      CHECK(steering.owner_of_external(0, Protocol::udp, kPort) == worker);
      CHECK(steering.owner_of_external(0, Protocol::tcp, kPort + 1) == (worker + 1) % kWorkers);
      CHECK(steering.owner_of_external(1, Protocol::udp, kPort) == worker);
      CHECK(steering.owner_of_external(0, Protocol::tcp, kPort) == block_owner);
      CHECK(steering.owner_of_external(0, Protocol::icmp, kPort) == block_owner);
      CHECK(steering.owner_of_external(0, Protocol::udp, kPort + 1) == block_owner);
      CHECK(steering.owner_of_external(0, Protocol::udp, kPort - 1) == block_owner);
    }
  }
}

TEST_CASE("many forwards are all found", "[dataplane][steering]") {
  constexpr unsigned kWorkers = 5;
  const std::vector pool = {external(1), external(2)};
  nat::Random random({4});
  std::vector<config::PortForward> forwards;
  for (std::uint32_t port = 1; port < 60000; port += 1 + random.below(30)) {
    forwards.push_back(forward(static_cast<Protocol>(random.below(2)), external(1 + random.below(2)),
                               static_cast<std::uint16_t>(port), inside(random.next() & 0xffffU)));
  }
  const Steering steering(kWorkers, pool, forwards);
  for (const config::PortForward& each : forwards) {
    const auto index = steering.pool_index(each.external.address);
    REQUIRE(index);
    REQUIRE(steering.owner_of_external(*index, each.protocol, each.external.port.host()) ==
            steering.owner_of_inside(each.inside.address));
  }
}

TEST_CASE("the blocks that hosts are given belong to the workers that give them",
          "[dataplane][steering][ports][rfc7422]") {
  const std::vector pool = {external(1), external(2), external(3)};
  // 300 hosts, numbered from the second range on.
  const std::vector<nat::SubscriberRange> ranges = {{inside(0).host(), inside(99).host(), 200},
                                                    {inside(1000).host(), inside(1199).host(), 0}};
  for (const auto mode : {nat::PortMode::blocks, nat::PortMode::deterministic}) {
    for (const std::uint32_t size : {64U, 512U, 16384U}) {
      for (const unsigned workers : {1U, 3U, 5U}) {
        DYNAMIC_SECTION("mode " << static_cast<int>(mode) << ", " << workers << " workers, " << size
                                << " ports") {
          const nat::PortPlan plan{.mode = mode, .block_size = size};
          const auto hosts = std::min(300U, 3 * plan.blocks_per_address());
          std::vector<nat::SubscriberRange> listed = ranges;
          if (hosts < 300) listed = {{inside(0).host(), inside(hosts - 1).host(), 0}};
          const nat::Subscribers subscribers(mode == nat::PortMode::deterministic
                                                 ? std::span<const nat::SubscriberRange>(listed)
                                                 : std::span<const nat::SubscriberRange>());
          const Steering steering(workers, pool, {}, {}, plan, subscribers);
          std::size_t ports = 0;
          for (unsigned worker = 0; worker < workers; ++worker) {
            const nat::PortBlocks::Deal deal{.plan = plan,
                                             .subscribers = subscribers,
                                             .pool_size = 3,
                                             .worker = worker,
                                             .workers = workers};
            nat::TableMemory memory(nat::PortBlocks::bytes_needed(deal));
            const nat::PortBlocks blocks(deal, nat::Carver(memory.span()));
            for (std::uint16_t index = 0; index < 3; ++index) {
              for (std::uint32_t port = 0; port < 65536; ++port) {
                const auto external_port = static_cast<std::uint16_t>(port);
                if (blocks.find(index, external_port) == nat::PortBlocks::kNone) continue;
                ++ports;
                REQUIRE(steering.owner_of_external(index, Protocol::udp, external_port) == worker);
              }
            }
          }
          const auto in_blocks = mode == nat::PortMode::blocks ? 3 * plan.blocks_per_address() : hosts;
          CHECK(ports == in_blocks * size);
        }
      }
    }
  }
}
