// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/parking.hpp"

#include <array>
#include <catch2/catch.hpp>

using namespace pinhole::dataplane;

namespace {

struct Packet {};
using Lot = ParkingLot<Packet, 4>;

}  // namespace

TEST_CASE("a parked packet leaves when its answer comes", "[dataplane][parking]") {
  Lot lot;
  std::array<Packet, 3> packets;
  REQUIRE(lot.park(&packets[0], 7, 100));
  REQUIRE(lot.park(&packets[1], 8, 100));
  REQUIRE(lot.park(&packets[2], 7, 101));  // a retransmission waits for the same answer
  CHECK_FALSE(lot.take_ready(9));
  CHECK(lot.take_ready(7)->packet == &packets[0]);
  CHECK(lot.take_ready(7)->packet == &packets[2]);
  CHECK_FALSE(lot.take_ready(7));
  CHECK(lot.size() == 1);
}

TEST_CASE("a packet that waits for too long is given back, the first one first", "[dataplane][parking]") {
  Lot lot;
  std::array<Packet, 2> packets;
  REQUIRE(lot.park(&packets[0], 1, 100));
  REQUIRE(lot.park(&packets[1], 2, 105));
  CHECK_FALSE(lot.take_expired(100 + kParkingLimit - 1));
  CHECK(lot.take_expired(105 + kParkingLimit)->packet == &packets[0]);
  CHECK(lot.take_expired(105 + kParkingLimit)->packet == &packets[1]);
  CHECK_FALSE(lot.take_expired(105 + kParkingLimit));
}

TEST_CASE("a packet that is parked again keeps its deadline", "[dataplane][parking]") {
  Lot lot;
  Packet packet;
  REQUIRE(lot.park(&packet, 1, 100));
  auto parked = *lot.take_ready(1);
  parked.ticket = 2;
  REQUIRE(lot.park(parked));
  CHECK_FALSE(lot.take_expired(100 + kParkingLimit - 1));
  CHECK(lot.take_expired(100 + kParkingLimit)->packet == &packet);
}

TEST_CASE("a full car park, and a packet that nothing will free, are refused", "[dataplane][parking]") {
  Lot lot;
  std::array<Packet, 5> packets;
  CHECK_FALSE(lot.park(&packets[0], kNoTicket, 1));
  for (std::size_t i = 0; i < 4; ++i) REQUIRE(lot.park(&packets[i], 1, 1));
  CHECK_FALSE(lot.park(&packets[4], 1, 1));
  REQUIRE(lot.take_ready(1));
  CHECK(lot.park(&packets[4], 1, 1));
}
