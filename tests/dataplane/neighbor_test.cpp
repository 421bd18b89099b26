// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/neighbor.hpp"

#include "tests/support/frame.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace pinhole::dataplane {

namespace {

using nat::Ipv4Address;
using nat::MacAddress;
using nat::Tick;

/// A table with memory of its own, and what it asked for and gave back.
class Bench {
 public:
  Bench() : memory_(NeighborTable::bytes_needed() + 64), table_(aligned(memory_)) {}

  NeighborTable& table() { return table_; }
  /// The word that readers load first in the slot where probing for `address` begins.
  std::span<std::byte, 8> first_word(Ipv4Address address) {
    const auto slot = NeighborTable::home_slot(0, address);
    return aligned(memory_).subspan(slot * 16).first<8>();
  }

  Enqueued enqueue(Ipv4Address address, int packet, Tick now, std::uint8_t interface = 0) {
    return table_.enqueue(interface, address, handle(packet), now);
  }
  bool learn(Ipv4Address address, const MacAddress& mac, Tick now, bool add_new = true,
             std::uint8_t interface = 0) {
    return table_.learn(interface, address, mac, add_new, now,
                        [&](void* packet) { released.push_back(number(packet)); });
  }
  /// Ticks on, each tick once, up to and with `to`.
  void run_to(Tick to) {
    for (; now_ <= to; ++now_) {
      table_.tick(
          now_, [&](const NeighborQuestion& question) { asked.emplace_back(now_, question); },
          [&](void* packet) { dropped.push_back(number(packet)); });
    }
  }

  std::vector<int> released;
  std::vector<int> dropped;
  std::vector<std::pair<Tick, NeighborQuestion>> asked;

 private:
  static std::span<std::byte> aligned(std::vector<std::byte>& memory) {
    void* at = memory.data();
    std::size_t space = memory.size();
    std::align(64, NeighborTable::bytes_needed(), at, space);
    return {static_cast<std::byte*>(at), NeighborTable::bytes_needed()};
  }
  static void* handle(int packet) { return reinterpret_cast<void*>(static_cast<std::uintptr_t>(packet)); }
  static int number(void* packet) { return static_cast<int>(reinterpret_cast<std::uintptr_t>(packet)); }

  std::vector<std::byte> memory_;
  NeighborTable table_;
  Tick now_ = 0;
};

Ipv4Address host(std::uint32_t number) {
  return Ipv4Address::from_host(0x0a000000U + number);
}
MacAddress mac(std::uint32_t number) {
  return MacAddress::from_raw(std::uint64_t{number} << 16U | 0x02U);
}
/// Another host that is looked for in the same slot.
Ipv4Address meets(Ipv4Address address) {
  std::uint32_t number = 2;
  while (NeighborTable::home_slot(0, host(number)) != NeighborTable::home_slot(0, address)) ++number;
  return host(number);
}
constexpr Tick seconds(double s) {
  return static_cast<Tick>(s * nat::kTicksPerSecond);
}

}  // namespace

TEST_CASE("a neighbour that was learnt is found, on its interface alone", "[dataplane][neighbor]") {
  Bench bench;
  CHECK_FALSE(bench.table().find(0, host(1)));
  CHECK(bench.learn(host(1), mac(1), 0));
  REQUIRE(bench.table().find(0, host(1)));
  CHECK(*bench.table().find(0, host(1)) == mac(1));
  CHECK_FALSE(bench.table().find(1, host(1)));
  CHECK(bench.learn(host(1), mac(7), 0, true, 1));
  CHECK(*bench.table().find(0, host(1)) == mac(1));
  CHECK(*bench.table().find(1, host(1)) == mac(7));
  CHECK(bench.learn(host(1), mac(2), 5));
  CHECK(*bench.table().find(0, host(1)) == mac(2));
  CHECK(bench.table().size() == 2);
}

TEST_CASE("ARP between others refreshes neighbours but adds none", "[dataplane][neighbor][rfc826]") {
  Bench bench;
  CHECK_FALSE(bench.learn(host(1), mac(1), 0, false));
  CHECK_FALSE(bench.table().find(0, host(1)));
  bench.learn(host(1), mac(1), 0);
  CHECK(bench.learn(host(1), mac(2), 1, false));
  CHECK(*bench.table().find(0, host(1)) == mac(2));
}

TEST_CASE("a MAC address that cannot be a host's is not learnt", "[dataplane][neighbor]") {
  Bench bench;
  CHECK_FALSE(bench.learn(host(1), nat::kBroadcastMac, 0));
  CHECK_FALSE(bench.learn(host(1), MacAddress{{0x01, 0, 0x5e, 0, 0, 1}}, 0));
  CHECK_FALSE(bench.learn(host(1), MacAddress{}, 0));
  CHECK(bench.table().size() == 0);
}

TEST_CASE("packets wait in order until the neighbour answers", "[dataplane][neighbor]") {
  Bench bench;
  CHECK(bench.enqueue(host(1), 1, 0) == Enqueued::ask);
  CHECK(bench.enqueue(host(1), 2, 0) == Enqueued::queued);
  CHECK(bench.enqueue(host(2), 3, 0) == Enqueued::ask);
  CHECK(bench.enqueue(host(1), 4, 1) == Enqueued::queued);
  CHECK_FALSE(bench.table().find(0, host(1)));
  CHECK(bench.table().pending() == 4);

  CHECK(bench.learn(host(1), mac(1), 2, false));  // an answer to us refreshes what waits
  CHECK(bench.released == std::vector{1, 2, 4});
  CHECK(*bench.table().find(0, host(1)) == mac(1));
  CHECK(bench.table().pending() == 1);
  CHECK(bench.enqueue(host(1), 5, 3) == Enqueued::resolved);
  CHECK(bench.table().pending() == 1);
}

TEST_CASE("a callback finds the address that its packet waited for", "[dataplane][neighbor]") {
  Bench bench;
  (void)bench.enqueue(host(1), 1, 0);
  bool known = false;
  bench.table().learn(0, host(1), mac(1), true, 1,
                      [&](void*) { known = bench.table().find(0, host(1)) == mac(1); });
  CHECK(known);
}

TEST_CASE("one neighbour holds eight packets, all of them 256", "[dataplane][neighbor]") {
  Bench bench;
  for (int i = 0; i < 8; ++i) CHECK(bench.enqueue(host(1), i, 0) != Enqueued::full);
  CHECK(bench.enqueue(host(1), 8, 0) == Enqueued::full);
  for (std::uint32_t i = 2; i <= 32; ++i) {
    for (int k = 0; k < 8; ++k) REQUIRE(bench.enqueue(host(i), 100, 0) != Enqueued::full);
  }
  CHECK(bench.table().pending() == 256);
  CHECK(bench.enqueue(host(33), 1, 0) == Enqueued::full);
  CHECK(bench.table().size() == 32);

  bench.learn(host(1), mac(1), 0);
  CHECK(bench.enqueue(host(33), 1, 0) == Enqueued::ask);
}

TEST_CASE("who does not answer is asked three times in three seconds, then the packets are dropped",
          "[dataplane][neighbor]") {
  Bench bench;
  bench.run_to(99);
  CHECK(bench.enqueue(host(1), 1, 100) == Enqueued::ask);
  bench.run_to(115);
  CHECK(bench.enqueue(host(1), 2, 115) == Enqueued::queued);
  bench.run_to(129);
  CHECK(bench.dropped.empty());
  bench.run_to(134);  // looking through the whole table takes four ticks
  CHECK(bench.dropped == std::vector{1, 2});
  REQUIRE(bench.asked.size() == 2);  // after the one that enqueue() called for
  for (const auto& [when, question] : bench.asked) {
    CHECK(question.address == host(1));
    CHECK(question.known == nat::kBroadcastMac);
  }
  CHECK(bench.asked[1].first - bench.asked[0].first >= 10);
  CHECK(bench.table().size() == 0);
  CHECK(bench.table().pending() == 0);
  CHECK(bench.enqueue(host(1), 3, 140) == Enqueued::ask);
}

TEST_CASE("a neighbour is confirmed every minute and stays usable meanwhile",
          "[dataplane][neighbor][rfc1122]") {
  Bench bench;
  bench.learn(host(1), mac(1), 0);
  bench.run_to(seconds(59.9));
  CHECK(bench.asked.empty());
  bench.run_to(seconds(60.4));
  REQUIRE(bench.asked.size() == 1);
  CHECK(bench.asked[0].second.known == mac(1));  // at its known address first
  CHECK(bench.table().find(0, host(1)));

  SECTION("it answers") {
    bench.learn(host(1), mac(1), seconds(60.5), false);
    bench.run_to(seconds(120));
    CHECK(bench.asked.size() == 1);
    CHECK(bench.table().find(0, host(1)));
    bench.run_to(seconds(121));
    CHECK(bench.asked.size() == 2);
  }
  SECTION("it does not") {
    bench.run_to(seconds(62.9));
    CHECK(bench.asked.size() == 3);
    CHECK(bench.asked[2].second.known == nat::kBroadcastMac);
    CHECK(bench.table().find(0, host(1)));
    bench.run_to(seconds(65));
    CHECK(bench.asked.size() == 3);
    CHECK_FALSE(bench.table().find(0, host(1)));
    CHECK(bench.table().size() == 0);
  }
}

TEST_CASE("the clock may wrap", "[dataplane][neighbor]") {
  Bench bench;
  const Tick late = ~Tick{0} - 5;
  bench.table().learn(0, host(1), mac(1), true, late, [](void*) {});
  unsigned asked = 0;
  for (Tick now = late; now != seconds(30); ++now) {
    bench.table().tick(now, [&](const NeighborQuestion&) { ++asked; }, [](void*) {});
  }
  CHECK(asked == 0);
  CHECK(bench.table().find(0, host(1)));
}

TEST_CASE("the table takes so many neighbours and refuses more", "[dataplane][neighbor]") {
  Bench bench;
  for (std::uint32_t i = 0; i < NeighborTable::kMaxNeighbors; ++i)
    REQUIRE(bench.learn(host(i), mac(i + 1), 0));
  CHECK_FALSE(bench.learn(host(100000), mac(1), 0));
  CHECK(bench.enqueue(host(100000), 1, 0) == Enqueued::full);
  CHECK(bench.table().pending() == 0);
  for (std::uint32_t i = 0; i < NeighborTable::kMaxNeighbors; ++i) {
    REQUIRE(bench.table().find(0, host(i)) == mac(i + 1));
  }
}

TEST_CASE("what waits is given back at the end", "[dataplane][neighbor]") {
  Bench bench;
  (void)bench.enqueue(host(1), 1, 0);
  (void)bench.enqueue(host(2), 2, 0);
  std::set<void*> drained;
  bench.table().drain([&](void* packet) { drained.insert(packet); });
  CHECK(drained.size() == 2);
  CHECK(bench.table().pending() == 0);
}

TEST_CASE("the table does what a map does, whatever comes", "[dataplane][neighbor]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  Bench bench;
  // What must be known: the last MAC address of everyone who spoke during the last minute.
  std::map<std::uint32_t, std::pair<MacAddress, Tick>> spoke;
  std::multiset<int> waiting;
  const auto settle = [&](std::vector<int>& given_back) {
    for (const int packet : given_back) {
      const auto at = waiting.find(packet);
      REQUIRE(at != waiting.end());
      waiting.erase(at);
    }
    given_back.clear();
  };
  int next_packet = 1;
  for (Tick now = 0; now < 3000; ++now) {
    for (int i = 0; i < 40; ++i) {
      const auto number = static_cast<std::uint32_t>(random() % 6000);
      if (random() % 3 == 0) {
        const auto address = mac(static_cast<std::uint32_t>(random() % 1000 + 1));
        if (bench.learn(host(number), address, now)) spoke[number] = {address, now};
      } else if (const auto became = bench.enqueue(host(number), next_packet, now);
                 became == Enqueued::queued || became == Enqueued::ask) {
        waiting.insert(next_packet++);
      } else if (became == Enqueued::resolved) {
        REQUIRE(bench.table().find(0, host(number)));
      }
      settle(bench.released);
    }
    bench.run_to(now);
    settle(bench.dropped);
    REQUIRE(bench.table().pending() == waiting.size());
    const auto number = static_cast<std::uint32_t>(random() % 6000);
    const auto known = spoke.find(number);
    const auto found = bench.table().find(0, host(number));
    if (known != spoke.end() && now - known->second.second < seconds(60)) {
      REQUIRE(found == known->second.first);
    } else if (known == spoke.end() || now - known->second.second > seconds(65)) {
      REQUIRE_FALSE(found);
    }
  }
  bench.run_to(3000 + seconds(70));
  settle(bench.dropped);
  CHECK(waiting.empty());
  CHECK(bench.table().size() == 0);
}

TEST_CASE("a reader that is between the two words of a slot while it is taken over finds nothing",
          "[dataplane][neighbor]") {
  Bench bench;
  const auto first = host(1);
  const auto second = meets(first);
  bench.learn(first, mac(1), 0);
  std::array<std::byte, 8> loaded_before;
  std::ranges::copy(bench.first_word(first), loaded_before.begin());
  bench.learn(second, mac(2), seconds(30));
  bench.run_to(seconds(70));
  REQUIRE_FALSE(bench.table().find(0, first));
  REQUIRE(bench.table().find(0, second) == mac(2));

  // The reader has loaded the first word before, and loads the second now.
  std::ranges::copy(loaded_before, bench.first_word(first).begin());
  CHECK_FALSE(bench.table().find(0, first));
}

TEST_CASE("a reader never sees one neighbour's MAC address for another", "[dataplane][neighbor]") {
  Bench bench;
  // Two that meet in one slot: when the first is forgotten, the second moves over it, under the reader's
  // eyes.
  const auto first = host(1);
  const auto second = meets(first);
  const auto& table = bench.table();

  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> found{0};
  std::thread reader([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      const auto one = table.find(0, first);
      const auto two = table.find(0, second);
      if ((one && *one != mac(1)) || (two && *two != mac(2))) wrong.fetch_add(1, std::memory_order_relaxed);
      if (one || two) found.fetch_add(1, std::memory_order_relaxed);
    }
  });
  const auto look_through = [&](Tick now) {
    for (int i = 0; i < 4; ++i) {
      bench.table().tick(now, [](const NeighborQuestion&) {}, [](void*) {});
    }
  };
  Tick now = 0;
  for (int round = 0; round < 500; ++round, now += seconds(200)) {
    bench.learn(first, mac(1), now);
    bench.learn(second, mac(2), now + seconds(30));
    for (int i = 0; i < 4; ++i) look_through(now + seconds(61 + 1.5 * i));
    REQUIRE_FALSE(table.find(0, first));
    REQUIRE(table.find(0, second) == mac(2));
    for (int i = 0; i < 4; ++i) look_through(now + seconds(100 + 1.5 * i));
    REQUIRE(table.size() == 0);
  }
  bench.learn(first, mac(1), now);
  while (found.load() == 0) std::this_thread::yield();  // the reader may have had no CPU so far
  stop = true;
  reader.join();
  CHECK(wrong == 0);
}

}  // namespace pinhole::dataplane
