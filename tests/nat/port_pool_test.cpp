// SPDX-License-Identifier: BSD-3-Clause
#include "nat/port_pool.hpp"

#include "tests/nat/table_memory.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <set>
#include <vector>

using namespace pinhole::nat;

namespace {

struct Pool {
  explicit Pool(unsigned worker = 0, unsigned workers = 1, std::uint16_t addresses = 1, std::uint32_t key = 1,
                Tick rest = 0)
      : memory(PortPool::bytes_needed(addresses, workers)),
        pool(addresses, worker, workers, Random({key}), memory.span(), rest) {}
  TableMemory memory;
  PortPool pool;
};

}  // namespace

TEST_CASE("a port keeps the range and the parity of the inside port",
          "[nat][port_pool][rfc4787-req3][rfc4787-req4][rfc7857-8]") {
  struct Case {
    std::uint16_t inside;
    bool low;
    bool odd;
  };
  for (const Case& row : {Case{1, true, true},
                          {512, true, false},
                          {1023, true, true},
                          {1024, false, false},
                          {5060, false, false},
                          {5061, false, true},
                          {65535, false, true}}) {
    DYNAMIC_SECTION("inside port " << row.inside) {
      Pool p;
      for (int i = 0; i < 400; ++i) {
        const auto port = p.pool.take(Protocol::udp, 0, row.inside);
        REQUIRE(port);
        CHECK((*port < 1024) == row.low);
        CHECK((*port % 2 == 1) == row.odd);
      }
    }
  }
}

TEST_CASE("when a parity has run out the other is given, and at last nothing",
          "[nat][port_pool][rfc4787-req4]") {
  Pool p;
  for (int i = 0; i < (65536 - 1024) / 2; ++i) REQUIRE(*p.pool.take(Protocol::tcp, 0, 5000) % 2 == 0);
  for (int i = 0; i < (65536 - 1024) / 2; ++i) {
    const auto port = p.pool.take(Protocol::tcp, 0, 5000);
    REQUIRE(port);
    REQUIRE(*port % 2 == 1);
    REQUIRE(*port >= 1024);
  }
  CHECK_FALSE(p.pool.take(Protocol::tcp, 0, 5000));
  CHECK_FALSE(p.pool.take(Protocol::tcp, 0, 5001));
  CHECK(p.pool.take(Protocol::tcp, 0, 1023));  // low ports were never given to others
  CHECK(p.pool.take(Protocol::udp, 0, 5000));  // another protocol is another pool
  CHECK(p.pool.in_use() == 65536 - 1024 + 2);
  p.pool.give_back(Protocol::tcp, 0, 2000);
  CHECK(p.pool.take(Protocol::tcp, 0, 5001) == 2000);
}

TEST_CASE("a low inside port gets a high one when all low ones are taken", "[nat][port_pool][rfc4787-req3]") {
  Pool p;
  for (int i = 0; i < 1023; ++i) REQUIRE(*p.pool.take(Protocol::udp, 0, 100) < 1024);
  const auto port = p.pool.take(Protocol::udp, 0, 100);
  REQUIRE(port);
  CHECK(*port >= 1024);
  CHECK(*port % 2 == 0);
}

TEST_CASE("an RTP/RTCP pair gets an even port and the next one", "[nat][port_pool][rfc4787-req4]") {
  Pool p;
  std::set<std::uint16_t> taken;
  for (int i = 0; i < (65536 - 1024) / 2; ++i) {
    const auto even = p.pool.take_pair(0);
    REQUIRE(even);
    REQUIRE(*even % 2 == 0);
    REQUIRE(*even >= 1024);
    REQUIRE(taken.insert(*even).second);
  }
  CHECK_FALSE(p.pool.take_pair(0));
  CHECK(p.pool.in_use() == 65536 - 1024);
  p.pool.give_back(Protocol::udp, 0, 30000);
  CHECK_FALSE(p.pool.take_pair(0));  // half a pair is none
  p.pool.give_back(Protocol::udp, 0, 30001);
  CHECK(p.pool.take_pair(0) == 30000);
}

TEST_CASE("reserved ports and port 0 are never given", "[nat][port_pool]") {
  Pool p;
  p.pool.reserve(Protocol::udp, 0, 5060);
  p.pool.reserve(Protocol::udp, 0, 5060);  // twice is once
  p.pool.reserve(Protocol::udp, 0, 443);
  p.pool.reserve(Protocol::udp, 1, 443);  // an address that is not of the pool
  CHECK(p.pool.in_use() == 0);
  CHECK_FALSE(p.pool.take_exactly(Protocol::udp, 0, 5060));
  CHECK_FALSE(p.pool.take_exactly(Protocol::udp, 0, 0));
  CHECK(p.pool.take_exactly(Protocol::tcp, 0, 5060));
  std::set<std::uint16_t> seen;
  while (const auto port = p.pool.take(Protocol::udp, 0, 80)) seen.insert(*port);
  CHECK(seen.size() == 65536 - 3);
  CHECK_FALSE(seen.contains(0));
  CHECK_FALSE(seen.contains(443));
  CHECK_FALSE(seen.contains(5060));
}

TEST_CASE("ICMP identifiers come from the whole space", "[nat][port_pool]") {
  Pool p;
  std::set<std::uint16_t> seen;
  while (const auto identifier = p.pool.take(Protocol::icmp, 0, 7)) seen.insert(*identifier);
  CHECK(seen.size() == 65536);
}

TEST_CASE("workers share a pool without a common port and without a gap", "[nat][port_pool][ownership]") {
  for (const unsigned workers : {1U, 2U, 3U, 7U, 16U}) {
    DYNAMIC_SECTION(workers << " workers") {
      for (const std::uint16_t address : {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{4}}) {
        std::vector<bool> seen(65536);
        std::size_t count = 0;
        for (unsigned worker = 0; worker < workers; ++worker) {
          Pool p(worker, workers, 5);
          while (const auto port = p.pool.take(Protocol::udp, address, 80)) {
            REQUIRE(owner_of_block(address, port_block(*port), workers) == worker);
            REQUIRE_FALSE(seen[*port]);
            seen[*port] = true;
            ++count;
          }
        }
        CHECK(count == 65535);
      }
    }
  }
}

TEST_CASE("ports are chosen at random", "[nat][port_pool][rfc6056][rfc7857-9]") {
  Pool a(0, 1, 1, 1);
  Pool b(0, 1, 1, 2);
  int equal = 0;
  int neighbours = 0;
  std::array<int, 16> spread{};
  int last = 0;
  for (int i = 0; i < 16000; ++i) {
    const int port = *a.pool.take(Protocol::udp, 0, 5000);
    equal += port == *b.pool.take(Protocol::udp, 0, 5000);
    neighbours += std::abs(port - last) <= 2;
    ++spread.at(static_cast<std::size_t>(port) / 4096);
    last = port;
    a.pool.give_back(Protocol::udp, 0, static_cast<std::uint16_t>(port));
  }
  CHECK(equal < 10);
  CHECK(neighbours < 10);
  for (std::size_t i = 1; i < spread.size(); ++i) {
    CHECK(spread[i] > 800);
    CHECK(spread[i] < 1200);
  }
}

TEST_CASE("every free port is as likely as any other", "[nat][port_pool][rfc6056][rfc6888-req15]") {
  // Pearson's chi-square over the 32,256 even ports from 1024 on, 20 expected in each. With 32,255 degrees of
  // freedom its mean is 32,255 and its standard deviation 254; the bound is 5 of them to either side.
  Pool p(0, 1, 1, 77);
  constexpr int kEvenPorts = (65536 - 1024) / 2;
  constexpr double kExpected = 20;
  std::vector<int> count(65536);
  for (int i = 0; i < static_cast<int>(kExpected) * kEvenPorts; ++i) {
    const auto port = p.pool.take(Protocol::udp, 0, 5000);
    REQUIRE(port);
    ++count[*port];
    p.pool.give_back(Protocol::udp, 0, *port);
  }
  double chi_square = 0;
  for (std::size_t port = 1024; port < 65536; port += 2) {
    const double off = count[port] - kExpected;
    chi_square += off * off / kExpected;
  }
  CHECK(chi_square > 32255 - 5 * 254);
  CHECK(chi_square < 32255 + 5 * 254);
}

TEST_CASE("a port that was used rests, one that was not does not", "[nat][port_pool][rfc6888-req8]") {
  constexpr Tick kRest = 120;
  Pool p(0, 1, 1, 1, kRest);
  REQUIRE(p.pool.take_exactly(Protocol::udp, 0, 5000));
  p.pool.put_back(Protocol::udp, 0, 5000);
  REQUIRE(p.pool.take_exactly(Protocol::udp, 0, 5000));
  p.pool.sweep(7, 100000);
  p.pool.give_back(Protocol::udp, 0, 5000);
  CHECK(p.pool.in_use() == 0);
  CHECK(p.pool.resting() == 1);
  Tick now = 7;
  while (!p.pool.take_exactly(Protocol::udp, 0, 5000)) {
    REQUIRE(now < 1000);
    p.pool.sweep(++now, 100000);
  }
  CHECK(now - 7 >= kRest);
  CHECK(now - 7 <= 2 * kRest + 5);
  CHECK(p.pool.resting() == 0);
  CHECK(p.pool.take_exactly(Protocol::tcp, 0, 5000));  // another protocol is another pool
}

TEST_CASE("a sweep that comes late or far between lets no port out early", "[nat][port_pool][rfc6888-req8]") {
  constexpr Tick kRest = 120;
  Pool p(0, 1, 1, 1, kRest);
  REQUIRE(p.pool.take_exactly(Protocol::udp, 0, 5000));
  Tick now = 100000;  // the worker was away for hours
  p.pool.sweep(now, 100000);
  p.pool.give_back(Protocol::udp, 0, 5000);
  const Tick freed = now;
  for (int turn = 0; !p.pool.take_exactly(Protocol::udp, 0, 5000); ++turn) {
    REQUIRE(turn < 100000);
    // Sometimes several turns a tick with small budgets, sometimes ticks that no turn saw.
    now += turn % 7 == 0 ? 40 : turn % 3 == 0 ? 1 : 0;
    p.pool.sweep(now, 5);
  }
  CHECK(now - freed >= kRest);
}

TEST_CASE("a port that rests can be reserved", "[nat][port_pool]") {
  Pool p(0, 1, 1, 1, 20);
  REQUIRE(p.pool.take_exactly(Protocol::udp, 0, 5060));
  p.pool.give_back(Protocol::udp, 0, 5060);
  p.pool.reserve(Protocol::udp, 0, 5060);
  CHECK(p.pool.resting() == 0);
  for (Tick now = 1; now < 100; ++now) p.pool.sweep(now, 100000);
  CHECK_FALSE(p.pool.take_exactly(Protocol::udp, 0, 5060));
}

TEST_CASE("with rest, no port is given twice, none early, and none is lost",
          "[nat][port_pool][rfc6888-req8]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  Random random({seed});
  constexpr Tick kRest = 30;
  Pool p(1, 16, 2, seed, kRest);
  std::set<std::pair<std::uint16_t, std::uint16_t>> taken;
  std::map<std::pair<std::uint16_t, std::uint16_t>, Tick> freed;
  Tick now = 0;
  const auto taken_now = [&](std::uint16_t address, std::uint16_t port) {
    REQUIRE(taken.emplace(address, port).second);
    const auto before = freed.find({address, port});
    if (before == freed.end()) return;
    REQUIRE(now - before->second >= kRest);
    freed.erase(before);
  };
  for (int i = 0; i < 200000; ++i) {
    if (random.next() % 50 == 0) now += 1 + random.next() % 3;
    p.pool.sweep(now, 64);
    const auto address = static_cast<std::uint16_t>(random.next() % 2);
    const auto any = static_cast<std::uint16_t>(random.next());
    if (random.next() % 2 == 0) {
      if (random.next() % 4 != 0) {
        if (const auto port = p.pool.take(Protocol::udp, address, any)) taken_now(address, *port);
      } else if (const auto even = p.pool.take_pair(address)) {
        taken_now(address, *even);
        taken_now(address, static_cast<std::uint16_t>(*even + 1));
      }
    } else if (!taken.empty()) {
      auto victim = taken.lower_bound({address, any});
      if (victim == taken.end()) victim = taken.begin();
      p.pool.give_back(Protocol::udp, victim->first, victim->second);
      freed[*victim] = now;
      taken.erase(victim);
    }
    REQUIRE(p.pool.in_use() == taken.size());
  }
  for (const auto& [address, port] : taken) p.pool.give_back(Protocol::udp, address, port);
  for (Tick later = now + 1; later < now + 200; ++later) p.pool.sweep(later, 100000);
  CHECK(p.pool.resting() == 0);
  std::size_t all = 0;
  for (std::uint16_t address = 0; address < 2; ++address) {
    while (p.pool.take(Protocol::udp, address, 80)) ++all;
  }
  // Of each address every 16th block; the one with block 0 is not this worker's, so port 0 takes none away.
  CHECK(all == 2 * 65536 / 16 - (owner_of_block(0, 0, 16) == 1 || owner_of_block(1, 0, 16) == 1 ? 1 : 0));
}

TEST_CASE("under random use the pool agrees with a set of taken ports", "[nat][port_pool]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  Random random({seed});
  Pool p(1, 3, 2, seed);
  std::array<std::set<std::uint16_t>, 2> taken;
  const auto owned = [](std::uint16_t address, std::uint32_t port) {
    return owner_of_block(address, port_block(static_cast<std::uint16_t>(port)), 3) == 1;
  };
  for (int i = 0; i < 200000; ++i) {
    const auto address = static_cast<std::uint16_t>(random.next() % 2);
    auto& mine = taken.at(address);
    const bool fill = i / 50000 % 2 == 0;
    const auto any = static_cast<std::uint16_t>(random.next());
    if (random.next() % 8 < (fill ? 6U : 2U)) {
      if (random.next() % 2 == 0) {
        if (const auto port = p.pool.take(Protocol::udp, address, any)) {
          REQUIRE(owned(address, *port));
          REQUIRE(mine.insert(*port).second);
        }
      } else if (random.next() % 2 == 0) {
        const bool free = owned(address, any) && any != 0 && !mine.contains(any);
        REQUIRE(p.pool.take_exactly(Protocol::udp, address, any) == free);
        if (free) mine.insert(any);
      } else if (const auto even = p.pool.take_pair(address)) {
        REQUIRE(mine.insert(*even).second);
        REQUIRE(mine.insert(static_cast<std::uint16_t>(*even + 1)).second);
      }
    } else if (!mine.empty()) {
      auto victim = mine.lower_bound(any);
      if (victim == mine.end()) victim = mine.begin();
      p.pool.give_back(Protocol::udp, address, *victim);
      mine.erase(victim);
    }
    REQUIRE(p.pool.in_use() == taken[0].size() + taken[1].size());
  }
}

TEST_CASE("the ports that will be given are guessed, and guessing changes nothing", "[nat][port_pool]") {
  for (const auto protocol : {Protocol::udp, Protocol::tcp, Protocol::icmp}) {
    Pool guessed(1, 3, 4);
    Pool plain(1, 3, 4);
    const auto inside_port = [](unsigned n) {
      return static_cast<std::uint16_t>(n % 5 == 0 ? 700 + n : 3000 + n);
    };
    for (unsigned round = 0; round < 20; ++round) {
      std::vector<std::uint16_t> guesses;
      for (unsigned n = 0; n < PortPool::kAhead; ++n) {
        PortPool::Guess guess;
        guess.pool_index = n % 4;
        guess.draw = guessed.pool.draw_number(n);
        guessed.pool.prefetch(protocol, guess);
        guessed.pool.guess(protocol, inside_port(n), guess);
        REQUIRE(guess.place);
        guesses.push_back(guess.port);
      }
      unsigned right = 0;
      for (unsigned n = 0; n < PortPool::kAhead; ++n) {
        const auto port = guessed.pool.take(protocol, n % 4, inside_port(n));
        REQUIRE(port);
        REQUIRE(port == plain.pool.take(protocol, n % 4, inside_port(n)));
        if (*port == guesses[n]) ++right;
      }
      CHECK(right >= PortPool::kAhead - 2);  // one may have been taken in between
    }
  }
}

TEST_CASE("a port may be taken by a guess, which is as good as a choice at its time", "[nat][port_pool]") {
  Pool guessed(0, 1, 1);
  Pool plain(0, 1, 1);
  constexpr std::uint16_t kInside = 4000;
  PortPool::Guess guess;
  guess.draw = guessed.pool.draw_number(0);
  guessed.pool.prefetch(Protocol::udp, guess);
  guessed.pool.guess(Protocol::udp, kInside, guess);
  const auto port = plain.pool.take(Protocol::udp, 0, kInside);
  REQUIRE(port);

  SECTION("the guess is taken") {
    CHECK(guessed.pool.take(Protocol::udp, 0, kInside, guess) == port);
  }
  SECTION("somebody else got that port: another one is chosen") {
    REQUIRE(guessed.pool.take_exactly(Protocol::udp, 0, *port));
    const auto other = guessed.pool.take(Protocol::udp, 0, kInside, guess);
    REQUIRE(other);
    CHECK(other != port);
    CHECK(*other % 2 == 0);
  }
  SECTION("its time has passed: the next number is drawn as if there were no guess") {
    REQUIRE(guessed.pool.take(Protocol::udp, 0, kInside) == port);
    CHECK(guessed.pool.take(Protocol::udp, 0, kInside, guess) == plain.pool.take(Protocol::udp, 0, kInside));
  }
}
