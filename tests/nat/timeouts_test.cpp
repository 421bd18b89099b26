// SPDX-License-Identifier: BSD-3-Clause
#include "nat/timeouts.hpp"

#include <catch2/catch.hpp>

using namespace pinhole::nat;

TEST_CASE("the default time-outs are those that the RFCs ask for",
          "[nat][timeouts][rfc4787-req5][rfc5382-req5][rfc5508-req2]") {
  const Timeouts timeouts;
  CHECK(timeouts[TimeoutClass::udp] == ticks_from_s(300));
  CHECK(timeouts[TimeoutClass::tcp_established] == ticks_from_s(7440));
  CHECK(timeouts[TimeoutClass::tcp_opening] == ticks_from_s(240));
  CHECK(timeouts[TimeoutClass::tcp_closing] == ticks_from_s(240));
  CHECK(timeouts[TimeoutClass::icmp] == ticks_from_s(60));
}

TEST_CASE("a time-out is set in seconds and never reaches past what ticks can tell", "[nat][timeouts]") {
  Timeouts timeouts;
  timeouts.set_s(TimeoutClass::media, 30);
  timeouts.set_s(TimeoutClass::udp, ~std::uint32_t{0});
  timeouts.set_s(TimeoutClass::permanent, 30);
  CHECK(timeouts[TimeoutClass::media] == 300);
  CHECK_FALSE(reached(timeouts[TimeoutClass::udp], 0));
  CHECK(timeouts[TimeoutClass::permanent] == 0);
}

TEST_CASE("a mapping may be freed when it was idle for its time-out and no promise keeps it",
          "[nat][timeouts]") {
  struct Case {
    const char* name;
    Tick last_seen;
    Tick keep_until;
    Tick deadline;
  };
  for (const Case& row : {Case{"idle", 1000, 1000, 4000},
                          {"a promise that ends earlier", 1000, 3999, 4000},
                          {"a promise that ends later", 1000, 9000, 9000},
                          {"across a wrap", ~Tick{0} - 999, ~Tick{0} - 999, 2000},
                          {"a promise across a wrap", ~Tick{0} - 5000, 100, 100}}) {
    DYNAMIC_SECTION(row.name) {
      Mapping mapping;
      mapping.last_seen = row.last_seen;
      mapping.keep_until = row.keep_until;
      CHECK(deadline_of(mapping, Timeouts{}) == row.deadline);
    }
  }
}
