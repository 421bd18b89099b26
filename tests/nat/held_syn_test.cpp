// SPDX-License-Identifier: BSD-3-Clause
#include "nat/held_syn.hpp"

#include "tests/nat/table_memory.hpp"
#include "tests/support/frame.hpp"

#include <catch2/catch.hpp>
#include <deque>
#include <optional>
#include <random>
#include <vector>

namespace pinhole::nat {

namespace {

const Endpoint kClient = test::endpoint("198.51.100.7", 50000);
const Endpoint kExternal = test::endpoint("203.0.113.1", 4000);
constexpr std::uint32_t kAll = 1000;

struct Lab {
  TableMemory memory{HeldSyns::bytes_needed()};
  HeldSyns syns{42, memory.span()};

  /// A SYN whose bytes tell which one it is.
  Held hold(Endpoint remote, Endpoint external, Tick now, std::byte mark = {}, std::size_t size = 40) {
    const std::vector<std::byte> datagram(size, mark);
    return syns.hold(remote, external, datagram, 3, now);
  }
  std::vector<HeldSyn> expire(Tick now, std::uint32_t budget = kAll) {
    std::vector<HeldSyn> answered;
    syns.expire(now, budget, [&](const HeldSyn& syn) noexcept { answered.push_back(syn); });
    return answered;
  }
};

Endpoint number(std::uint32_t n) {
  return {Ipv4Address::from_host(0xc6336400 + n / 60000), Be16{static_cast<std::uint16_t>(1 + n % 60000)}};
}

}  // namespace

TEST_CASE("a SYN is held for six seconds at least, then answered once", "[nat][held_syn][rfc5382-req4]") {
  for (const Tick start : {Tick{0}, Tick{12345}, ~Tick{0} - 30}) {
    Lab lab;
    REQUIRE(lab.hold(kClient, kExternal, start, std::byte{7}) == Held::held);
    CHECK(lab.expire(start + ticks_from_s(6)).empty());
    const auto answered = lab.expire(start + ticks_from_s(6) + 1);
    REQUIRE(answered.size() == 1);
    CHECK(answered[0].remote == kClient);
    CHECK(answered[0].external == kExternal);
    CHECK(answered[0].interface == 3);
    CHECK(answered[0].quote().size() == 40);
    CHECK(answered[0].quote().front() == std::byte{7});
    CHECK(lab.expire(start + ticks_from_s(60)).empty());
    CHECK(lab.syns.size() == 0);
  }
}

TEST_CASE("a SYN sent again is held no longer for it", "[nat][held_syn][rfc5382-req4]") {
  Lab lab;
  CHECK(lab.hold(kClient, kExternal, 0, std::byte{1}) == Held::held);
  CHECK(lab.hold(kClient, kExternal, 10, std::byte{2}) == Held::again);
  CHECK(lab.hold(kClient, kExternal, 30, std::byte{3}) == Held::again);
  CHECK(lab.syns.size() == 1);
  const auto answered = lab.expire(HeldSyns::kHold);
  REQUIRE(answered.size() == 1);
  CHECK(answered[0].quote().front() == std::byte{1});
  // What comes after the answer is another attempt.
  CHECK(lab.hold(kClient, kExternal, 70) == Held::held);
}

TEST_CASE("an outbound SYN of the same connection takes the answer away", "[nat][held_syn][rfc5382-req4]") {
  Lab lab;
  const auto other_port = Endpoint{kClient.address, Be16{50001}};
  lab.hold(kClient, kExternal, 0);
  lab.hold(other_port, kExternal, 0);
  CHECK_FALSE(lab.syns.meet(kClient, {kExternal.address, Be16{4001}}));
  CHECK(lab.syns.meet(kClient, kExternal));
  CHECK_FALSE(lab.syns.meet(kClient, kExternal));
  // One more of the same is a new story.
  CHECK(lab.hold(kClient, kExternal, 20) == Held::held);
  const auto answered = lab.expire(HeldSyns::kHold);
  REQUIRE(answered.size() == 1);
  CHECK(answered[0].remote == other_port);
  CHECK(lab.expire(20 + HeldSyns::kHold).size() == 1);
}

TEST_CASE("as many SYNs are held as there are places, and more are forgotten",
          "[nat][held_syn][rfc5382-req4]") {
  Lab lab;
  for (std::uint32_t n = 0; n < HeldSyns::kCapacity; ++n) {
    REQUIRE(lab.hold(number(n), kExternal, n / 100) == Held::held);
  }
  CHECK(lab.hold(number(100000), kExternal, 6) == Held::full);
  CHECK(lab.hold(number(5), kExternal, 6) == Held::again);
  CHECK(lab.expire(HeldSyns::kHold, 30).size() == 30);
  CHECK(lab.expire(HeldSyns::kHold).size() == 70);
  CHECK(lab.hold(number(100000), kExternal, HeldSyns::kHold) == Held::held);
  CHECK(lab.syns.size() == HeldSyns::kCapacity - 99);
}

TEST_CASE("the quote is the headers, and no more than there is", "[nat][held_syn]") {
  Lab lab;
  lab.hold(number(1), kExternal, 0, {}, 20);
  lab.hold(number(2), kExternal, 0, {}, HeldSyn::kQuoted);
  lab.hold(number(3), kExternal, 0, {}, 1500);
  const auto answered = lab.expire(HeldSyns::kHold);
  REQUIRE(answered.size() == 3);
  CHECK(answered[0].quote().size() == 20);
  CHECK(answered[1].quote().size() == HeldSyn::kQuoted);
  CHECK(answered[2].quote().size() == HeldSyn::kQuoted);
}

TEST_CASE("held SYNs agree with a plain queue under random operations", "[nat][held_syn]") {
  const auto seed = Catch::rngSeed();
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto below = [&](std::uint32_t limit) { return static_cast<std::uint32_t>(random() % limit); };
  struct Waiting {
    std::uint32_t number;
    Tick due;
    bool waits;
  };
  Lab lab;
  std::deque<Waiting> model;
  const auto find = [&](std::uint32_t n) {
    return std::find_if(model.begin(), model.end(),
                        [n](const Waiting& each) { return each.waits && each.number == n; });
  };
  Tick now = ~Tick{0} - 500;
  unsigned answers = 0;
  unsigned met = 0;
  unsigned full = 0;
  for (unsigned step = 0; step < 60000; ++step) {
    const auto n = below(1500);
    switch (below(16)) {
      case 0: {
        now += below(4);
        std::vector<std::uint32_t> expected;
        while (!model.empty() && reached(model.front().due, now)) {
          if (model.front().waits) expected.push_back(model.front().number);
          model.pop_front();
        }
        const auto answered = lab.expire(now);
        REQUIRE(answered.size() == expected.size());
        for (std::size_t i = 0; i < expected.size(); ++i) REQUIRE(answered[i].remote == number(expected[i]));
        answers += static_cast<unsigned>(expected.size());
        break;
      }
      case 1:
      case 2:
      case 3: {
        const auto known = find(n);
        REQUIRE(lab.syns.meet(number(n), kExternal) == (known != model.end()));
        if (known != model.end()) {
          known->waits = false;
          ++met;
        }
        break;
      }
      default: {
        const bool known = find(n) != model.end();
        const bool room = model.size() < HeldSyns::kCapacity;
        REQUIRE(lab.hold(number(n), kExternal, now) == (known  ? Held::again
                                                        : room ? Held::held
                                                               : Held::full));
        if (!known && !room) ++full;
        if (!known && room) model.push_back({n, now + HeldSyns::kHold, true});
        break;
      }
    }
    REQUIRE(lab.syns.size() == model.size());
  }
  CHECK(answers > 1000);
  CHECK(met > 1000);
  CHECK(full > 100);
}

}  // namespace pinhole::nat
