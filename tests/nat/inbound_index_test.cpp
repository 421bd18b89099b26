// SPDX-License-Identifier: BSD-3-Clause
#include "nat/inbound_index.hpp"

#include "tests/nat/table_memory.hpp"

#include <catch2/catch.hpp>

using namespace pinhole::nat;

TEST_CASE("the inbound index tells addresses, protocols and ports apart", "[nat][inbound_index]") {
  TableMemory memory(InboundIndex::bytes_needed(2));
  InboundIndex index(2, memory.span());
  const InboundKey key = {.pool_index = 1, .port = 65535, .protocol = Protocol::icmp};
  CHECK(index.find(key) == kNoMapping);
  index.set(key, 0);
  CHECK(index.find(key) == 0);
  CHECK(index.find({.pool_index = 0, .port = 65535, .protocol = Protocol::icmp}) == kNoMapping);
  CHECK(index.find({.pool_index = 1, .port = 65534, .protocol = Protocol::icmp}) == kNoMapping);
  CHECK(index.find({.pool_index = 1, .port = 65535, .protocol = Protocol::tcp}) == kNoMapping);
  InboundIndex copy = index;
  copy.clear(key);
  CHECK(index.find(key) == kNoMapping);
}
