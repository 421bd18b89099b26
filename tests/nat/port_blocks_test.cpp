// SPDX-License-Identifier: BSD-3-Clause
#include "nat/port_blocks.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "tests/nat/table_memory.hpp"

using namespace pinhole::nat;

namespace {

constexpr std::uint32_t kPlenty = 1U << 30U;

PortBlocks::Deal deal_of(std::uint32_t block_size, std::uint32_t addresses = 1, unsigned worker = 0,
                         unsigned workers = 1, Tick rest = 0) {
  return {.plan = {.mode = PortMode::blocks, .block_size = block_size},
          .pool_size = addresses,
          .worker = worker,
          .workers = workers,
          .rest = rest};
}

struct Blocks {
  explicit Blocks(const PortBlocks::Deal& deal, std::uint32_t key = 1)
      : memory(PortBlocks::bytes_needed(deal)), blocks(deal, Carver(memory.span())), random({key}) {}
  PortBlocks::Slot assign(std::uint16_t pool_index = 0) { return blocks.assign(pool_index, random); }
  TableMemory memory;
  PortBlocks blocks;
  Random random;
};

}  // namespace

TEST_CASE("workers share the blocks of an address without a common one and without a gap",
          "[nat][port_blocks][ownership]") {
  for (const unsigned workers : {1U, 2U, 3U, 7U, 16U}) {
    for (const std::uint32_t size : {64U, 512U, 4096U, 16384U}) {
      DYNAMIC_SECTION(workers << " workers, " << size << " ports") {
        for (std::uint16_t address = 0; address < 5; ++address) {
          std::set<std::uint16_t> first_ports;
          for (unsigned worker = 0; worker < workers; ++worker) {
            Blocks b(deal_of(size, 5, worker, workers));
            for (auto slot = b.assign(address); slot != PortBlocks::kNone; slot = b.assign(address)) {
              const PortBlock block = b.blocks.at(slot);
              REQUIRE(block.pool_index == address);
              REQUIRE(block.first_port >= 1024);
              REQUIRE(block.first_port % size == 0);
              REQUIRE(block.last_port == block.first_port + size - 1);
              REQUIRE(first_ports.insert(block.first_port).second);
              REQUIRE(b.blocks.find(address, block.first_port) == slot);
              REQUIRE(b.blocks.find(address, block.last_port) == slot);
              const PortPlan plan{.mode = PortMode::blocks, .block_size = size};
              REQUIRE(owner_of_block(address, *plan.block_of(block.first_port), workers) == worker);
            }
            CHECK_FALSE(b.blocks.has_free(address));
          }
          CHECK(first_ports.size() == PortPlan{.block_size = size}.blocks_per_address());
        }
      }
    }
  }
}

TEST_CASE("every free block is as likely as any other", "[nat][port_blocks][rfc6888-req15]") {
  // Pearson's chi-square over 126 blocks, 200 expected in each: mean 125, standard deviation 16.
  Blocks b(deal_of(512), 5);
  std::map<std::uint16_t, int> count;
  for (int i = 0; i < 200 * 126; ++i) {
    const auto slot = b.assign();
    REQUIRE(slot != PortBlocks::kNone);
    ++count[b.blocks.at(slot).first_port];
    b.blocks.release(slot);
  }
  REQUIRE(count.size() == 126);
  double chi_square = 0;
  for (const auto& [port, times] : count) chi_square += (times - 200.0) * (times - 200.0) / 200.0;
  CHECK(chi_square > 125 - 5 * 16);
  CHECK(chi_square < 125 + 5 * 16);
}

TEST_CASE("within a block ports are random, keep parity, and come in pairs",
          "[nat][port_blocks][rfc6056][rfc4787-req4]") {
  Blocks a(deal_of(512), 1);
  Blocks b(deal_of(512), 2);
  const auto slot = a.assign();
  const auto [pool_index, first, last] = a.blocks.at(slot);
  const auto slot_of_b = b.blocks.find(pool_index, first);
  std::set<std::uint16_t> seen;
  int equal = 0;
  for (int i = 0; i < 128; ++i) {
    const auto port = a.blocks.take(slot, Protocol::udp, true, a.random);
    REQUIRE(port);
    REQUIRE(*port % 2 == 1);
    REQUIRE(*port >= first);
    REQUIRE(*port <= last);
    REQUIRE(seen.insert(*port).second);
    equal += port == b.blocks.take(slot_of_b, Protocol::udp, true, b.random);
  }
  CHECK(equal < 10);
  while (const auto even = a.blocks.take_pair(slot, a.random)) {
    REQUIRE(*even % 2 == 0);
    REQUIRE(seen.insert(*even).second);
    REQUIRE(seen.insert(static_cast<std::uint16_t>(*even + 1)).second);
  }
  CHECK(seen.size() == 128 + 2 * (256 - 128));
  while (const auto port = a.blocks.take(slot, Protocol::udp, false, a.random)) seen.insert(*port);
  CHECK(seen.size() == 512);
  CHECK(a.blocks.ports_in_use() == 512);
  CHECK_FALSE(a.blocks.take(slot, Protocol::udp, true, a.random));
  CHECK(a.blocks.take(slot, Protocol::tcp, true, a.random));  // another protocol is another set
}

TEST_CASE("a block is empty with the last port of any protocol", "[nat][port_blocks]") {
  Blocks b(deal_of(64));
  const auto slot = b.assign();
  const auto udp = b.blocks.take(slot, Protocol::udp, false, b.random);
  const auto tcp = b.blocks.take(slot, Protocol::tcp, false, b.random);
  const auto icmp = b.blocks.take(slot, Protocol::icmp, false, b.random);
  CHECK_FALSE(b.blocks.put_back(slot, Protocol::udp, *udp));
  CHECK(b.blocks.take_exactly(slot, Protocol::udp, *udp));  // free at once
  CHECK_FALSE(b.blocks.take_exactly(slot, Protocol::udp, *udp));
  CHECK_FALSE(b.blocks.put_back(slot, Protocol::icmp, *icmp));
  CHECK_FALSE(b.blocks.put_back(slot, Protocol::udp, *udp));
  CHECK(b.blocks.put_back(slot, Protocol::tcp, *tcp));
  CHECK(b.blocks.ports_in_use() == 0);
}

TEST_CASE("a block that was released rests as long as asked, whatever the turns",
          "[nat][port_blocks][rfc6888-req8]") {
  constexpr Tick kRest = 120;
  Blocks b(deal_of(16384, 1, 0, 1, kRest));
  std::vector<PortBlocks::Slot> slots;
  for (int i = 0; i < 3; ++i) slots.push_back(b.assign());
  REQUIRE(b.assign() == PortBlocks::kNone);
  // The worker was away for hours when this one came back.
  Tick now = 100000;
  b.blocks.release(slots[0]);
  b.blocks.sweep(now, kPlenty);
  CHECK(b.blocks.resting() == 1);
  CHECK(b.blocks.assigned() == 2);
  for (; now < 100000 + 50; ++now) b.blocks.sweep(now, kPlenty);
  b.blocks.release(slots[1]);
  for (; !b.blocks.has_free(0); ++now) {
    REQUIRE(now < 100000 + 200);
    b.blocks.sweep(now, kPlenty);
  }
  CHECK(now - 100000 >= kRest);
  CHECK(now - 100000 <= kRest + 3);
  CHECK(b.assign() == slots[0]);
  for (; !b.blocks.has_free(0); ++now) {
    REQUIRE(now < 100000 + 300);
    b.blocks.sweep(now, 1);
  }
  CHECK(now - 100050 >= kRest);
  CHECK(b.assign() == slots[1]);
  CHECK(b.blocks.resting() == 0);
}

TEST_CASE("a reserved port is nobody's, and a block without ports of a protocol is not assigned",
          "[nat][port_blocks]") {
  Blocks b(deal_of(16384));
  b.blocks.reserve(Protocol::udp, 0, 80);  // in no block
  b.blocks.reserve(Protocol::udp, 7, 20000);
  b.blocks.reserve(Protocol::udp, 0, 16384);
  b.blocks.reserve(Protocol::udp, 0, 16384);  // twice is once
  for (std::uint32_t port = 32768; port < 49152; ++port)
    b.blocks.reserve(Protocol::tcp, 0, static_cast<std::uint16_t>(port));
  std::set<std::uint16_t> assigned;
  for (auto slot = b.assign(); slot != PortBlocks::kNone; slot = b.assign()) {
    assigned.insert(b.blocks.at(slot).first_port);
    if (b.blocks.at(slot).first_port != 16384) continue;
    CHECK_FALSE(b.blocks.take_exactly(slot, Protocol::udp, 16384));
    CHECK(b.blocks.take_exactly(slot, Protocol::tcp, 16384));
  }
  CHECK(assigned == std::set<std::uint16_t>{16384, 49152});
}

TEST_CASE("each subscriber's block is with its owner and nobody else", "[nat][port_blocks][rfc7422]") {
  const std::vector<SubscriberRange> ranges = {{0x0a000000, 0x0a0000ff, 100}, {0x64400000, 0x64400063, 0}};
  constexpr std::uint32_t kSubscribers = 356;
  constexpr unsigned kWorkers = 3;
  std::set<std::uint32_t> numbers;
  for (unsigned worker = 0; worker < kWorkers; ++worker) {
    PortBlocks::Deal deal = deal_of(512, 3, worker, kWorkers);
    deal.plan.mode = PortMode::deterministic;
    deal.subscribers = Subscribers(ranges);
    Blocks b(deal);
    for (std::uint32_t n = 0; n < kSubscribers; ++n) {
      const bool mine = owner_of_inside(*deal.subscribers.address_of(n), kWorkers) == worker;
      const auto slot = b.blocks.find_subscriber(n);
      REQUIRE((slot != PortBlocks::kNone) == mine);
      if (!mine) continue;
      REQUIRE(numbers.insert(n).second);
      REQUIRE(b.blocks.at(slot) == block_of_subscriber(deal.plan, n));
      REQUIRE(b.blocks.find(b.blocks.at(slot).pool_index, b.blocks.at(slot).last_port) == slot);
      std::size_t ports = 0;
      while (b.blocks.take(slot, Protocol::udp, ports % 2 != 0, b.random)) ++ports;
      REQUIRE(ports == 512);
    }
    CHECK(b.blocks.find_subscriber(kSubscribers) == PortBlocks::kNone);
  }
  CHECK(numbers.size() == kSubscribers);
}

TEST_CASE("under random use blocks and their ports agree with a plain model", "[nat][port_blocks]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  Random random({seed});
  constexpr Tick kRest = 30;
  Blocks b(deal_of(128, 2, 1, 5, kRest), seed);
  std::map<PortBlocks::Slot, std::set<std::pair<Protocol, std::uint16_t>>> taken;  // of assigned blocks
  std::map<PortBlocks::Slot, Tick> released;
  std::uint32_t ports = 0;
  Tick now = 0;
  for (int step = 0; step < 200000; ++step) {
    if (random.below(40) == 0) now += random.below(5);
    if (random.below(3) == 0) b.blocks.sweep(now, 1 + random.below(8));
    const auto protocol = static_cast<Protocol>(random.below(3));
    const auto any = taken.empty()
                         ? taken.end()
                         : std::next(taken.begin(), random.below(static_cast<std::uint32_t>(taken.size())));
    switch (random.below(5)) {
      case 0: {
        const auto address = static_cast<std::uint16_t>(random.below(2));
        const bool has_free = b.blocks.has_free(address);
        const auto slot = b.assign(address);
        REQUIRE((slot != PortBlocks::kNone) == has_free);
        if (!has_free) break;
        REQUIRE(b.blocks.at(slot).pool_index == address);
        REQUIRE(taken.emplace(slot, decltype(taken)::mapped_type{}).second);
        const auto before = released.find(slot);
        if (before != released.end()) REQUIRE(now - before->second >= kRest);
        released.erase(slot);
        break;
      }
      case 1:
        if (any != taken.end() && random.below(4) != 0) {
          const bool odd = random.below(2) != 0;
          const auto port = b.blocks.take(any->first, protocol, odd, b.random);
          if (port) {
            REQUIRE((*port % 2 != 0) == odd);
            REQUIRE(b.blocks.find(b.blocks.at(any->first).pool_index, *port) == any->first);
            REQUIRE(any->second.emplace(protocol, *port).second);
            ++ports;
          }
        }
        break;
      case 2:
        if (any != taken.end()) {
          if (const auto even = b.blocks.take_pair(any->first, b.random)) {
            REQUIRE(any->second.emplace(Protocol::udp, *even).second);
            REQUIRE(any->second.emplace(Protocol::udp, static_cast<std::uint16_t>(*even + 1)).second);
            ports += 2;
          }
        }
        break;
      default:
        if (any == taken.end()) break;
        if (!any->second.empty()) {
          const auto [freed_protocol, port] = *any->second.begin();
          any->second.erase(any->second.begin());
          --ports;
          REQUIRE(b.blocks.put_back(any->first, freed_protocol, port) == any->second.empty());
        }
        if (any->second.empty()) {
          b.blocks.release(any->first);
          released[any->first] = now;
          taken.erase(any);
        }
    }
    REQUIRE(b.blocks.ports_in_use() == ports);
    REQUIRE(b.blocks.assigned() == taken.size());
    REQUIRE(b.blocks.resting() <= released.size());
  }
  for (auto& [slot, of_block] : taken) {
    for (const auto& [protocol, port] : of_block) static_cast<void>(b.blocks.put_back(slot, protocol, port));
    b.blocks.release(slot);
  }
  b.blocks.sweep(now, kPlenty);
  b.blocks.sweep(now + kRest + 1, kPlenty);
  CHECK(b.blocks.resting() == 0);
  std::size_t all = 0;
  std::size_t owned = 0;
  for (const std::uint16_t address : {std::uint16_t{0}, std::uint16_t{1}}) {
    while (b.assign(address) != PortBlocks::kNone) ++all;
    for (std::uint32_t block = 0; block < 504; ++block) owned += owner_of_block(address, block, 5) == 1;
  }
  CHECK(all == owned);
}

TEST_CASE("the one address of many that has a free block is found", "[nat][port_blocks][rfc6888-req13]") {
  constexpr std::uint16_t kAddresses = 200;
  Blocks b(deal_of(16384, kAddresses));
  std::vector<PortBlocks::Slot> slots;
  for (std::uint16_t address = 0; address < kAddresses; ++address) {
    for (auto slot = b.assign(address); slot != PortBlocks::kNone; slot = b.assign(address))
      slots.push_back(slot);
  }
  CHECK_FALSE(b.blocks.find_room(b.random));
  for (const std::uint16_t address : std::initializer_list<std::uint16_t>{0, 63, 64, 130, kAddresses - 1}) {
    const auto slot = *std::ranges::find_if(
        slots, [&](PortBlocks::Slot each) { return b.blocks.at(each).pool_index == address; });
    b.blocks.release(slot);
    for (int i = 0; i < 300; ++i) REQUIRE(b.blocks.find_room(b.random) == address);
    while (b.assign(address) != PortBlocks::kNone) {
    }
    CHECK_FALSE(b.blocks.find_room(b.random));
  }
}
