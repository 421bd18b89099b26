// SPDX-License-Identifier: BSD-3-Clause
#include "nat/filter.hpp"

#include <catch2/catch.hpp>

#include "tests/nat/table_memory.hpp"

using namespace pinhole::nat;

namespace {

constexpr Ipv4Address address(std::uint32_t n) {
  return Ipv4Address::from_host(0xc6336400 + n);
}
constexpr Endpoint remote(std::uint32_t n, std::uint16_t port = 0) {
  return {address(n), Be16{port}};
}

struct Remotes {
  explicit Remotes(std::uint32_t places)
      : memory(RemoteTable::bytes_needed(places)), table(places, memory.span()) {}
  TableMemory memory;
  RemoteTable table;
};

}  // namespace

TEST_CASE("a mapping's filter decides who may come in",
          "[nat][filter][rfc4787-req8][rfc5382-req3][rfc6888-req7]") {
  const Endpoint friendly = {address(1), Be16{5060}};
  struct Case {
    const char* name;
    Filter filter;
    std::uint8_t flags;
    Endpoint sender;
    bool admitted;
  };
  for (const Case& row :
       {Case{"the remote", Filter::address_dependent, MappingFlags::kHasRemote, friendly, true},
        {"the remote's other port",
         Filter::address_dependent,
         MappingFlags::kHasRemote,
         {address(1), Be16{9}},
         true},
        {"a stranger", Filter::address_dependent, MappingFlags::kHasRemote, {address(2), Be16{5060}}, false},
        {"anyone while there is no remote", Filter::address_dependent, 0, friendly, false},
        {"anyone with an open filter", Filter::endpoint_independent, 0, {address(2), Be16{1}}, true},
        {"the remote and its port", Filter::address_and_port_dependent, MappingFlags::kHasRemote, friendly,
         true},
        {"the remote's other port where ports count",
         Filter::address_and_port_dependent,
         MappingFlags::kHasRemote,
         {address(1), Be16{9}},
         false}}) {
    DYNAMIC_SECTION(row.name) {
      Mapping mapping;
      mapping.filter = row.filter;
      mapping.flags = row.flags;
      mapping.remote = friendly;
      CHECK(admits(mapping, row.sender) == row.admitted);
    }
  }
}

TEST_CASE("a further remote is known for as long as it was sent to in time", "[nat][filter]") {
  Remotes r(16);
  CHECK_FALSE(r.table.knows(3, 2, remote(1), 100, 0));
  r.table.remember(3, 2, remote(1), 1000);
  CHECK(r.table.knows(3, 2, remote(1), 100, 1099));
  CHECK_FALSE(r.table.knows(3, 2, remote(1), 100, 1100));
  r.table.remember(3, 2, remote(1), 1100);
  CHECK(r.table.knows(3, 2, remote(1), 100, 1199));
}

TEST_CASE("a remote is known to its mapping only, and only while that lives", "[nat][filter]") {
  Remotes r(16);
  r.table.remember(3, 2, remote(1), 0);
  CHECK_FALSE(r.table.knows(4, 2, remote(1), 100, 0));
  CHECK_FALSE(r.table.knows(3, 4, remote(1), 100, 0));
  CHECK_FALSE(r.table.knows(3, 2, remote(2), 100, 0));
}

TEST_CASE("a remote's ports are told apart", "[nat][filter][rfc4787-req8]") {
  Remotes r(16);
  r.table.remember(3, 2, remote(1, 53), 0);
  CHECK(r.table.knows(3, 2, remote(1, 53), 100, 0));
  CHECK_FALSE(r.table.knows(3, 2, remote(1, 54), 100, 0));
  CHECK_FALSE(r.table.knows(3, 2, remote(1), 100, 0));
}

TEST_CASE("a full set forgets the remote that was silent longest", "[nat][filter]") {
  Remotes r(1);  // one set of four
  for (std::uint32_t n = 0; n < 4; ++n) r.table.remember(0, 2, remote(n), n);
  r.table.remember(0, 2, remote(0), 10);
  r.table.remember(0, 2, remote(4), 11);
  CHECK_FALSE(r.table.knows(0, 2, remote(1), 100, 11));
  for (const std::uint32_t n : {0U, 2U, 3U, 4U}) CHECK(r.table.knows(0, 2, remote(n), 100, 11));
}
