// SPDX-License-Identifier: BSD-3-Clause
// docs/examples/plugins/tftp, as its shared object.
#include <string>
#include <string_view>

#include "tests/plugins/loaded.hpp"

using namespace pinhole::test;
using namespace std::literals;

namespace {

constexpr std::uint16_t kPort = 69;

int inspect(Loaded& tftp, std::uint8_t from, std::uint8_t server, std::string_view bytes) {
  const bool server_is_inside = server == PINHOLE_INSIDE;
  return tftp.host.inspect(
      tftp.plugin, tftp.state,
      FakeGatewayHost::message(PINHOLE_UDP, from, server, bytes, server_is_inside ? kPort : 2000,
                               server_is_inside ? 3000 : kPort));
}

}  // namespace

TEST_CASE("a TFTP request announces an answer from any port of the server, to the client's port",
          "[plugins][tftp]") {
  struct Row {
    std::string_view what;
    std::string_view bytes;
    std::string_view counter;
  };
  const Row row = GENERATE(Row{"a read request", "\0\1boot.img\0octet\0"sv, "read_request"},
                           Row{"a write request", "\0\2log\0netascii\0"sv, "write_request"},
                           Row{"one with options", "\0\1boot.img\0octet\0tsize\0000\0"sv, "read_request"});
  DYNAMIC_SECTION(row.what) {
    Loaded tftp("tftp");
    CHECK(inspect(tftp, PINHOLE_INSIDE, PINHOLE_OUTSIDE, row.bytes) == PINHOLE_FORWARD);
    REQUIRE(tftp.host.expectations.size() == 1);
    const auto& transfer = tftp.host.expectations.front();
    CHECK(transfer.protocol == PINHOLE_UDP);
    CHECK(transfer.from == PINHOLE_OUTSIDE);
    CHECK(transfer.inside.port == 2000);
    CHECK(transfer.remote.address == FakeGatewayHost::kRemote);
    CHECK(transfer.remote.port == 0);
    CHECK(tftp.host.edits.empty());
    CHECK(tftp.count(row.counter) == 1);
  }
}

TEST_CASE("an inside TFTP server's answer is known again, from any of its ports", "[plugins][tftp]") {
  Loaded tftp("tftp");
  CHECK(inspect(tftp, PINHOLE_OUTSIDE, PINHOLE_INSIDE, "\0\1a\0octet\0"sv) == PINHOLE_FORWARD);
  REQUIRE(tftp.host.expectations.size() == 1);
  const auto& transfer = tftp.host.expectations.front();
  CHECK(transfer.from == PINHOLE_INSIDE);
  CHECK(transfer.inside.port == 0);
  CHECK(transfer.remote.port == 3000);
  CHECK(transfer.flags == PINHOLE_CHILD);
}

TEST_CASE("what is no TFTP request announces nothing and goes on", "[plugins][tftp]") {
  const auto bytes =
      GENERATE(""sv, "\0"sv, "\0\1"sv, "\0\1\0octet\0"sv, "\0\1name"sv, "\0\1name\0"sv, "\0\1name\0octet"sv,
               "\0\3\0\1data"sv, "\1\1name\0octet\0"sv, "GET / HTTP/1.1\r\n\r\n"sv);
  Loaded tftp("tftp");
  CHECK(inspect(tftp, PINHOLE_INSIDE, PINHOLE_OUTSIDE, bytes) == PINHOLE_FORWARD);
  CHECK(tftp.host.expectations.empty());
  CHECK(tftp.count("not_tftp") == 1);
}

TEST_CASE("what a TFTP server sends from port 69 announces nothing", "[plugins][tftp]") {
  Loaded tftp("tftp");
  CHECK(inspect(tftp, PINHOLE_OUTSIDE, PINHOLE_OUTSIDE, "\0\1a\0octet\0"sv) == PINHOLE_FORWARD);
  CHECK(tftp.host.expectations.empty());
}

TEST_CASE("a TFTP request that a rule forbids is dropped with an event", "[plugins][tftp]") {
  Loaded tftp("tftp");
  tftp.host.forbidden = {"write"};
  CHECK(inspect(tftp, PINHOLE_INSIDE, PINHOLE_OUTSIDE, "\0\2secret\0octet\0"sv) == PINHOLE_DROP);
  CHECK(tftp.host.asked.front() == std::pair("write"s, "secret"s));
  CHECK(tftp.host.events.size() == 1);
  CHECK(tftp.host.expectations.empty());
  CHECK(inspect(tftp, PINHOLE_INSIDE, PINHOLE_OUTSIDE, "\0\1public\0octet\0"sv) == PINHOLE_FORWARD);
}

TEST_CASE("a TFTP request for whose answer there is no room goes on and is counted", "[plugins][tftp]") {
  Loaded tftp("tftp");
  tftp.host.expect_result = PINHOLE_FULL;
  CHECK(inspect(tftp, PINHOLE_INSIDE, PINHOLE_OUTSIDE, "\0\1a\0octet\0"sv) == PINHOLE_FORWARD);
  CHECK(tftp.count("no_room") == 1);
}
