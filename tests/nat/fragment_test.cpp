// SPDX-License-Identifier: BSD-3-Clause
#include "nat/fragment.hpp"

#include "tests/nat/table_memory.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include <array>
#include <list>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

using namespace pinhole::nat;

namespace {

/// What a packet came out with.
struct Out {
  int packet = 0;
  DropReason dropped = DropReason::none;
  FragmentFlow flow{};  // of what passed

  friend bool operator==(const Out& a, const Out& b) {
    return a.packet == b.packet && a.dropped == b.dropped && a.flow.source_port == b.flow.source_port &&
           a.flow.destination_port == b.flow.destination_port && a.flow.icmp_type == b.flow.icmp_type;
  }
};

/// A table with its memory, and a log of what came out in order.
class Bench {
  static void* handle(int packet) { return reinterpret_cast<void*>(static_cast<std::uintptr_t>(packet)); }
  static int number(void* packet) { return static_cast<int>(reinterpret_cast<std::uintptr_t>(packet)); }
  auto pass() {
    return [this](void* packet, const FragmentFlow& flow) noexcept {
      out.push_back({number(packet), DropReason::none, flow});
    };
  }
  auto drop() {
    return [this](void* packet, DropReason reason) noexcept { out.push_back({number(packet), reason, {}}); };
  }

 public:
  explicit Bench(FragmentLimits limits = {}, std::uint64_t seed = 1)
      : memory(FragmentTable::bytes_needed(limits)),
        ids(0, 1, seed),
        table(limits, seed, ids, memory.span()) {}

  void first(const DatagramKey& key, std::uint16_t end, FragmentFlow flow, int packet, Tick now = 0,
             bool is_last = false) {
    table.take_first(key, {0, end, is_last}, flow, handle(packet), now, pass(), drop());
  }
  void later(const DatagramKey& key, FragmentRange range, int packet, Tick now = 0) {
    table.take_later(key, range, handle(packet), now, pass(), drop());
  }
  void expire(Tick now, std::uint32_t budget = 1000000) { table.expire(now, budget, drop()); }

  /// The packets that passed, in order, since it was last asked.
  std::vector<int> passed() {
    std::vector<int> all;
    for (const auto& each : out) {
      if (each.dropped == DropReason::none) all.push_back(each.packet);
    }
    out.clear();
    return all;
  }
  std::vector<int> dropped(DropReason reason) const {
    std::vector<int> all;
    for (const auto& each : out) {
      if (each.dropped == reason) all.push_back(each.packet);
    }
    return all;
  }

  std::vector<Out> out;
  TableMemory memory;
  DatagramIds ids;
  FragmentTable table;
};

DatagramKey key_of(std::uint32_t source, std::uint16_t identification, bool from_inside = true) {
  return {Ipv4Address::from_host(0x0a000000U + source), Ipv4Address::from_host(0xc6336401U),
          Be16{identification}, Protocol::udp, from_inside};
}
FragmentFlow flow_of(std::uint16_t source_port, std::uint16_t destination_port = 53) {
  return {Be16{source_port}, Be16{destination_port}, 0, {}};
}
// Three fragments of a datagram of 4,000 bytes on a link of 1,500.
constexpr std::uint16_t kFirstEnd = 185;
constexpr FragmentRange kMiddle{185, 370, false};
constexpr FragmentRange kLast{370, 500, true};

}  // namespace

TEST_CASE("three fragments pass with the ports of the first, in whatever order they come",
          "[nat][fragment][rfc4787-req14]") {
  for (const bool from_inside : {true, false}) {
    std::array<int, 3> order = {1, 2, 3};
    do {
      DYNAMIC_SECTION((from_inside ? "out: " : "in: ") << order[0] << order[1] << order[2]) {
        Bench bench;
        const auto key = key_of(1, 7, from_inside);
        for (const int which : order) {
          if (which == 1) bench.first(key, kFirstEnd, flow_of(4000), 1);
          if (which == 2) bench.later(key, kMiddle, 2);
          if (which == 3) bench.later(key, kLast, 3);
        }
        REQUIRE(bench.out.size() == 3);
        // The first comes out before those that waited for it, which keep their order.
        std::vector<int> expected(order.begin(), order.end());
        std::rotate(expected.begin(), std::ranges::find(expected, 1), std::ranges::find(expected, 1) + 1);
        for (std::size_t i = 0; i < 3; ++i) {
          CHECK(bench.out[i] == Out{expected[i], DropReason::none, flow_of(4000)});
        }
        CHECK(bench.table.datagrams() == 0);  // it was complete, so it is forgotten
        CHECK(bench.table.waiting() == 0);
      }
    } while (std::ranges::next_permutation(order).found);
  }
}

TEST_CASE("datagrams that come interleaved keep their own ports", "[nat][fragment][rfc4787-req14]") {
  struct Case {
    const char* differs_in;
    DatagramKey key;
  };
  auto destination = key_of(1, 7);
  destination.destination = Ipv4Address::from_host(0xc6336402U);
  auto protocol = key_of(1, 7);
  protocol.protocol = Protocol::tcp;
  for (const Case& row :
       {Case{"identification", key_of(1, 8)}, Case{"source", key_of(2, 7)}, Case{"destination", destination},
        Case{"protocol", protocol}, Case{"side", key_of(1, 7, false)}}) {
    DYNAMIC_SECTION("they differ in their " << row.differs_in) {
      Bench bench;
      const auto key = key_of(1, 7);
      bench.later(row.key, kMiddle, 12);
      bench.first(key, kFirstEnd, flow_of(4000), 1);
      bench.later(key, kMiddle, 2);
      bench.first(row.key, kFirstEnd, flow_of(5000), 11);
      bench.later(row.key, kLast, 13);
      bench.later(key, kLast, 3);
      REQUIRE(bench.out.size() == 6);
      for (const auto& out : bench.out) {
        CHECK(out.dropped == DropReason::none);
        CHECK(out.flow.source_port == Be16{static_cast<std::uint16_t>(out.packet > 10 ? 5000 : 4000)});
      }
      CHECK(bench.table.datagrams() == 0);
    }
  }
}

TEST_CASE("duplicates pass and do not make a datagram look complete", "[nat][fragment]") {
  Bench bench;
  const auto key = key_of(1, 7);
  bench.later(key, kLast, 3);
  bench.later(key, kLast, 13);
  bench.first(key, kFirstEnd, flow_of(4000), 1);
  bench.first(key, kFirstEnd, flow_of(4000), 11);
  bench.later(key, kLast, 23);
  CHECK(bench.table.datagrams() == 1);
  bench.later(key, kMiddle, 2);
  CHECK(bench.passed() == std::vector{1, 3, 13, 11, 23, 2});
  CHECK(bench.table.datagrams() == 0);
}

TEST_CASE("a fragment whose first one does not come is dropped after two seconds", "[nat][fragment]") {
  Bench bench;
  const auto key = key_of(1, 7);
  bench.later(key, kMiddle, 2, 100);
  bench.later(key, kLast, 3, 110);
  bench.expire(100 + FragmentTable::kWait - 1);
  CHECK(bench.out.empty());
  bench.expire(100 + FragmentTable::kWait);
  CHECK(bench.dropped(DropReason::drop_fragment_timeout) == std::vector{2, 3});
  CHECK(bench.table.datagrams() == 0);
  CHECK(bench.table.waiting() == 0);
  bench.first(key, kFirstEnd, flow_of(4000), 1, 130);  // it passes all the same
  CHECK(bench.out.back() == Out{1, DropReason::none, flow_of(4000)});
}

TEST_CASE("the ports of a datagram are forgotten after five seconds", "[nat][fragment][rfc4963]") {
  Bench bench;
  const auto key = key_of(1, 7);
  bench.later(key, kMiddle, 2, 100);
  bench.first(key, kFirstEnd, flow_of(4000), 1, 110);
  bench.expire(110 + FragmentTable::kRemember - 1);
  CHECK(bench.table.datagrams() == 1);
  bench.expire(110 + FragmentTable::kRemember);
  CHECK(bench.table.datagrams() == 0);
  CHECK(bench.passed() == std::vector{1, 2});
  bench.later(key, kLast, 3, 200);
  CHECK(bench.out.empty());
  CHECK(bench.table.waiting() == 1);
}

TEST_CASE("expiry keeps to its budget, and the clock may wrap", "[nat][fragment]") {
  Bench bench;
  const Tick late = ~Tick{0} - 5;
  for (std::uint16_t id = 0; id < 10; ++id) bench.later(key_of(1, id), kMiddle, id + 1, late);
  bench.expire(late + 10);
  CHECK(bench.out.empty());
  bench.expire(late + FragmentTable::kWait, 4);
  CHECK(bench.out.size() == 4);
  bench.expire(late + FragmentTable::kWait);
  CHECK(bench.out.size() == 10);
}

TEST_CASE("a number that is used again while it is remembered stands for the new datagram",
          "[nat][fragment][rfc4963]") {
  Bench bench;
  const auto key = key_of(1, 7);
  bench.first(key, kFirstEnd, flow_of(4000), 1);
  bench.later(key, kMiddle, 2);  // and the last one is lost
  bench.first(key, kFirstEnd, flow_of(4001), 11);
  bench.later(key, kLast, 13);
  CHECK(bench.out.back() == Out{13, DropReason::none, flow_of(4001)});
  CHECK(bench.table.datagrams() == 1);  // its middle has not come
  bench.later(key, kMiddle, 12);
  CHECK(bench.out.back() == Out{12, DropReason::none, flow_of(4001)});
  CHECK(bench.table.datagrams() == 0);
}

TEST_CASE("a later fragment that begins inside of the first one is dropped", "[nat][fragment][rfc1858]") {
  Bench bench;
  const auto key = key_of(1, 7);
  bench.later(key, {1, 370, false}, 2);
  bench.later(key, kMiddle, 3);
  bench.first(key, kFirstEnd, flow_of(4000), 1);
  CHECK(bench.dropped(DropReason::drop_fragment_overlap) == std::vector{2});
  bench.later(key, {184, 370, false}, 4);
  CHECK(bench.dropped(DropReason::drop_fragment_overlap) == std::vector{2, 4});
  CHECK(bench.passed() == std::vector{1, 3});
}

TEST_CASE("identifications of datagrams from inside are new and the same in all fragments",
          "[nat][fragment][rfc6864][rfc7857-10]") {
  Bench bench;
  std::set<std::uint16_t> seen;
  for (std::uint32_t host = 0; host < 200; ++host) {  // all use the same number for the same server
    const auto key = key_of(host, 7);
    bench.out.clear();
    bench.later(key, kLast, 3);
    bench.first(key, kFirstEnd, flow_of(4000), 1);
    bench.first(key, kFirstEnd, flow_of(4000), 11);
    bench.later(key, kMiddle, 2);
    REQUIRE(bench.out.size() == 4);
    const auto identification = bench.out.front().flow.identification;
    for (const auto& out : bench.out) CHECK(out.flow.identification == identification);
    CHECK(seen.insert(identification.host()).second);
  }
  const auto inbound = key_of(1, 7, false);
  bench.out.clear();
  bench.first(inbound, kFirstEnd, flow_of(4000), 1);
  CHECK(bench.out.front().flow.identification == Be16{7});
}

TEST_CASE("workers number datagrams apart, and use all of their numbers before they begin again",
          "[nat][fragment][rfc6864]") {
  for (const unsigned workers : {1U, 3U, 16U}) {
    DYNAMIC_SECTION(workers << " workers") {
      std::set<std::uint16_t> all;
      const auto server = Ipv4Address::from_host(0xc6336401U);
      for (unsigned worker = 0; worker < workers; ++worker) {
        DatagramIds ids(worker, workers, 42);
        for (unsigned i = 0; i < 65536 / workers; ++i) REQUIRE(all.insert(ids.next(server).host()).second);
      }
      CHECK(all.size() == 65536 / workers * workers);
    }
  }
}

TEST_CASE("so many packets wait: of a datagram, of a source, and in all", "[nat][fragment][rfc4787-req14a]") {
  const FragmentLimits limits{.datagrams = 64,
                              .datagrams_of_source = 16,
                              .waiting = 12,
                              .waiting_of_source = 6,
                              .waiting_of_datagram = 4};
  Bench bench(limits);
  int packet = 0;
  const auto piece = [](int i) {
    const auto at = static_cast<std::uint16_t>(10 * (i + 1));
    return FragmentRange{at, static_cast<std::uint16_t>(at + 10), false};
  };
  for (int i = 0; i < 4; ++i) bench.later(key_of(1, 1), piece(i), ++packet);
  CHECK(bench.out.empty());
  bench.later(key_of(1, 1), piece(4), 100);  // one more of the datagram than may wait
  CHECK(bench.dropped(DropReason::drop_fragment_overflow) == std::vector{100});
  for (int i = 0; i < 2; ++i) bench.later(key_of(1, 2), piece(i), ++packet);
  bench.later(key_of(1, 3), piece(0), 101);  // one more of the source
  CHECK(bench.dropped(DropReason::drop_fragment_overflow) == std::vector{100, 101});
  for (int i = 0; i < 6; ++i) bench.later(key_of(2, static_cast<std::uint16_t>(i)), piece(0), ++packet);
  CHECK(bench.table.waiting() == 12);
  CHECK(bench.dropped(DropReason::drop_fragment_overflow) == std::vector{100, 101});
  bench.later(key_of(3, 1), piece(0), ++packet);  // the oldest datagram makes room
  CHECK(bench.dropped(DropReason::drop_fragment_overflow) == std::vector{100, 101, 1, 2, 3, 4});
  CHECK(bench.table.waiting() == 9);
}

TEST_CASE("a flood from one source takes no place of another's", "[nat][fragment][rfc4787-req14a]") {
  Bench bench;
  const auto victim = key_of(1, 7, false);
  const bool known_before = GENERATE(true, false);
  if (known_before) bench.first(victim, kFirstEnd, flow_of(4000), 1);
  bench.later(victim, kLast, 3);
  bench.out.clear();
  const int packets = 200000;
  for (int i = 0; i < packets; ++i) {
    const auto key = key_of(2, static_cast<std::uint16_t>(i), false);
    if (i % 2 == 0) {
      bench.later(key, kLast, 10);
    } else {
      bench.first(key, kFirstEnd, flow_of(5000), 11);
    }
  }
  const FragmentLimits limits;
  CHECK(bench.table.waiting() <= limits.waiting_of_source + 1);
  CHECK(bench.table.datagrams() <= limits.datagrams_of_source + 1);
  CHECK(bench.dropped(DropReason::drop_fragment_overflow).size() >=
        packets / 2 - limits.datagrams_of_source - limits.waiting_of_source);
  bench.out.clear();
  if (!known_before) bench.first(victim, kFirstEnd, flow_of(4000), 1);
  bench.later(victim, kMiddle, 2);
  CHECK(bench.passed() == (known_before ? std::vector{2} : std::vector{1, 3, 2}));
}

TEST_CASE("a flood from all sources leaves a datagram the time of as many others",
          "[nat][fragment][rfc4787-req14a]") {
  const FragmentLimits limits;
  Bench bench(limits);
  const auto victim = key_of(1, 7, false);
  bench.first(victim, kFirstEnd, flow_of(4000), 1);
  std::uint32_t source = 1000;
  const auto flood = [&](std::uint32_t count) {
    for (; count > 0; --count) bench.first(key_of(source++, 1, false), kFirstEnd, flow_of(1), 9);
  };
  flood(limits.datagrams - 1);
  bench.later(victim, kMiddle, 2);
  CHECK(bench.out.back() == Out{2, DropReason::none, flow_of(4000)});
  flood(1);
  CHECK(bench.table.datagrams() == limits.datagrams);
  bench.out.clear();
  bench.later(victim, kLast, 3);  // it has been forgotten
  CHECK(bench.out.empty());
  CHECK(bench.table.waiting() == 1);
}

TEST_CASE("more pieces than are kept apart never look complete", "[nat][fragment]") {
  Coverage coverage;
  for (std::uint16_t i = 1; i <= 9; i = static_cast<std::uint16_t>(i + 2)) {
    coverage.add({i, static_cast<std::uint16_t>(i + 1), i == 9});
  }
  for (std::uint16_t i = 0; i <= 8; i = static_cast<std::uint16_t>(i + 2)) {
    CHECK_FALSE(coverage.complete());
    coverage.add({i, static_cast<std::uint16_t>(i + 1), false});
  }
  CHECK_FALSE(coverage.complete());  // 9 was the fifth piece, and was not kept
  coverage.add({9, 10, true});
  CHECK(coverage.complete());
}

namespace {

/// The same rules written down without a thought for time or memory.
class Model {
 public:
  explicit Model(FragmentLimits limits) : limits_(limits) {}

  void first(const DatagramKey& key, std::uint16_t end, bool is_last, FragmentFlow flow, int packet,
             Tick now) {
    const auto at = find(key);
    std::vector<Piece> released;
    if (at == datagrams_.end()) {
      if (count(key.source, &Model::one) >= limits_.datagrams_of_source) return pass(packet, flow);
      make_room();
      datagrams_.push_back({key, now, true, flow, end, {}, {}, 0});
    } else if (!at->known || at->flow.source_port != flow.source_port) {
      released = at->waiting;
      if (at->known) at->units.clear();
      if (at->known) at->total = 0;
      Datagram changed = *at;
      datagrams_.erase(at);
      changed.waiting.clear();
      changed.known = true;
      changed.since = now;
      changed.flow = flow;
      changed.first_end = end;
      datagrams_.push_back(changed);
    }
    const auto it = find(key);
    const auto seen_flow = it->flow;
    cover(*it, {0, end, is_last});
    if (complete(*it)) datagrams_.erase(it);
    pass(packet, seen_flow);
    for (const auto& piece : released) {
      piece.begin < end ? drop(piece.packet, DropReason::drop_fragment_overlap) : pass(piece.packet, flow);
    }
  }
  void later(const DatagramKey& key, FragmentRange range, int packet, Tick now) {
    auto at = find(key);
    if (at != datagrams_.end() && at->known) {
      if (range.begin < at->first_end) return drop(packet, DropReason::drop_fragment_overlap);
      pass(packet, at->flow);
      cover(*at, range);
      if (complete(*at)) datagrams_.erase(at);
      return;
    }
    const auto refuse = [&] { drop(packet, DropReason::drop_fragment_overflow); };
    if (count(key.source, &Model::packets) >= limits_.waiting_of_source) return refuse();
    if (at == datagrams_.end() && count(key.source, &Model::one) >= limits_.datagrams_of_source)
      return refuse();
    if (at != datagrams_.end() && at->waiting.size() >= limits_.waiting_of_datagram) return refuse();
    std::size_t waiting = 0;
    for (const auto& each : datagrams_) waiting += each.waiting.size();
    if (waiting == limits_.waiting) {
      const auto oldest = std::ranges::find(datagrams_, false, &Datagram::known);
      if (oldest == at) return refuse();
      displace(oldest);
    }
    if (at == datagrams_.end()) {
      make_room();
      datagrams_.push_back({key, now, false, {}, 0, {}, {}, 0});
      at = std::prev(datagrams_.end());
    }
    at->waiting.push_back({packet, range.begin});
    cover(*at, range);
  }
  void expire(Tick now) {
    for (auto at = datagrams_.begin(); at != datagrams_.end();) {
      if (!reached(at->since + (at->known ? FragmentTable::kRemember : FragmentTable::kWait), now)) {
        ++at;
        continue;
      }
      for (const auto& piece : at->waiting) drop(piece.packet, DropReason::drop_fragment_timeout);
      at = datagrams_.erase(at);
    }
  }
  std::size_t size() const { return datagrams_.size(); }

  std::vector<Out> out;

 private:
  struct Piece {
    int packet;
    std::uint16_t begin;
  };
  struct Datagram {
    DatagramKey key;
    Tick since;
    bool known;
    FragmentFlow flow;
    std::uint16_t first_end;
    std::set<std::uint16_t> units;
    std::vector<Piece> waiting;
    std::uint16_t total;
  };
  using Datagrams = std::list<Datagram>;  // in the order in which they began to wait or were learnt

  static std::size_t one(const Datagram&) { return 1; }
  static std::size_t packets(const Datagram& datagram) { return datagram.waiting.size(); }
  static void cover(Datagram& datagram, FragmentRange range) {
    for (std::uint16_t at = range.begin; at < range.end; ++at) datagram.units.insert(at);
    if (range.is_last) datagram.total = range.end;
  }
  static bool complete(const Datagram& datagram) {
    return datagram.total != 0 && datagram.units.size() >= datagram.total &&
           *datagram.units.rbegin() + 1U == datagram.units.size();
  }
  Datagrams::iterator find(const DatagramKey& key) {
    return std::ranges::find(datagrams_, key, &Datagram::key);
  }
  std::size_t count(Ipv4Address source, std::size_t (*what)(const Datagram&)) const {
    std::size_t sum = 0;
    for (const auto& each : datagrams_) sum += each.key.source == source ? what(each) : 0;
    return sum;
  }
  void make_room() {
    if (datagrams_.size() < limits_.datagrams) return;
    const auto known = std::ranges::find(datagrams_, true, &Datagram::known);
    displace(known != datagrams_.end() ? known : datagrams_.begin());
  }
  void displace(Datagrams::iterator at) {
    for (const auto& piece : at->waiting) drop(piece.packet, DropReason::drop_fragment_overflow);
    datagrams_.erase(at);
  }
  void pass(int packet, FragmentFlow flow) { out.push_back({packet, DropReason::none, flow}); }
  void drop(int packet, DropReason reason) { out.push_back({packet, reason, {}}); }

  FragmentLimits limits_;
  Datagrams datagrams_;
};

}  // namespace

TEST_CASE("the table does what a plain model does, and gives each packet back once", "[nat][fragment]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const auto below = [&](unsigned bound) { return static_cast<unsigned>(random() % bound); };
  const FragmentLimits limits{.datagrams = 24,
                              .datagrams_of_source = 9,
                              .waiting = 20,
                              .waiting_of_source = 12,
                              .waiting_of_datagram = 5};
  Bench bench(limits);  // with a seed by which its five sources do not meet
  Model model(limits);
  std::set<int> outside;  // packets that the table holds
  std::array<unsigned, CounterTraits<DropReason>::kInfo.size()> fates{};
  Tick now = ~Tick{0} - 500;
  for (int packet = 1; packet <= 60000; ++packet) {
    if (below(8) == 0) now += below(packet / 5000 % 2 == 0 ? 3 : 12);
    const auto key = key_of(below(5), static_cast<std::uint16_t>(below(8)), below(2) == 0);
    // Pieces of four units, seven of them; some are longer or begin between two pieces.
    const unsigned piece = below(7);
    const auto end = [&](unsigned at) { return static_cast<std::uint16_t>(at + (below(10) == 0 ? 8 : 4)); };
    outside.insert(packet);
    if (piece == 0) {
      const auto flow = flow_of(static_cast<std::uint16_t>(below(3)));
      const auto first_end = end(0);
      bench.first(key, first_end, flow, packet, now);
      model.first(key, first_end, false, flow, packet, now);
    } else {
      const unsigned begin = 4 * piece - (below(20) == 0 ? 1 : 0);
      const FragmentRange range{static_cast<std::uint16_t>(begin), end(begin), piece == 6};
      bench.later(key, range, packet, now);
      model.later(key, range, packet, now);
    }
    if (below(3) == 0) {
      bench.expire(now);
      // Both expire in the order of age; the table takes those that wait before those that are known.
      model.expire(now);
    }
    REQUIRE(bench.out.size() == model.out.size());
    for (std::size_t i = 0; i < bench.out.size(); ++i) {
      REQUIRE(bench.out[i] == model.out[i]);
      REQUIRE(outside.erase(bench.out[i].packet) == 1);
      ++fates.at(static_cast<std::size_t>(bench.out[i].dropped));
    }
    bench.out.clear();
    model.out.clear();
    REQUIRE(bench.table.datagrams() == model.size());
    REQUIRE(bench.table.waiting() == outside.size());
  }
  bench.expire(now + FragmentTable::kRemember);
  for (const auto& out : bench.out) REQUIRE(outside.erase(out.packet) == 1);
  CHECK(outside.empty());
  CHECK(bench.table.datagrams() == 0);
  for (const auto reason : {DropReason::none, DropReason::drop_fragment_overlap,
                            DropReason::drop_fragment_timeout, DropReason::drop_fragment_overflow}) {
    CHECK(fates.at(static_cast<std::size_t>(reason)) > 100);  // the random operations reach every fate
  }
}
