// SPDX-License-Identifier: BSD-3-Clause
// docs/examples/plugins/tftp, as its shared object.
#include <string_view>

#include "tests/plugins/loaded.hpp"

using namespace pinhole::test;
using namespace std::literals;

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
    Loaded tftp("tftp", PINHOLE_UDP, PINHOLE_OUTSIDE);
    const auto shown = tftp.host.show(PINHOLE_INSIDE, row.bytes);
    CHECK(shown.verdict == PINHOLE_FORWARD);
    CHECK(shown.text == row.bytes);
    REQUIRE(shown.expected.size() == 1);
    const auto& transfer = shown.expected.front();
    CHECK(transfer.protocol == PINHOLE_UDP);
    CHECK(transfer.from == PINHOLE_OUTSIDE);
    CHECK(transfer.inside.port == 40000);
    CHECK(transfer.remote.address == kRemote);
    CHECK(transfer.remote.port == 0);
    CHECK(tftp.count(row.counter) == 1);
  }
}

TEST_CASE("an inside TFTP server's answer is known again, from any of its ports", "[plugins][tftp]") {
  Loaded tftp("tftp", PINHOLE_UDP, PINHOLE_INSIDE);
  const auto shown = tftp.host.show(PINHOLE_OUTSIDE, "\0\1a\0octet\0"sv);
  CHECK(shown.verdict == PINHOLE_FORWARD);
  REQUIRE(shown.expected.size() == 1);
  const auto& transfer = shown.expected.front();
  CHECK(transfer.from == PINHOLE_INSIDE);
  CHECK(transfer.inside.port == 0);
  CHECK(transfer.remote.port == 45000);
  CHECK(transfer.flags == PINHOLE_CHILD);
}

TEST_CASE("what is no TFTP request announces nothing and goes on", "[plugins][tftp]") {
  const auto bytes =
      GENERATE(""sv, "\0"sv, "\0\1"sv, "\0\1\0octet\0"sv, "\0\1name"sv, "\0\1name\0"sv, "\0\1name\0octet"sv,
               "\0\3\0\1data"sv, "\1\1name\0octet\0"sv, "GET / HTTP/1.1\r\n\r\n"sv);
  Loaded tftp("tftp", PINHOLE_UDP, PINHOLE_OUTSIDE);
  const auto shown = tftp.host.show(PINHOLE_INSIDE, bytes);
  CHECK(shown.verdict == PINHOLE_FORWARD);
  CHECK(shown.expected.empty());
  CHECK(tftp.count("not_tftp") == 1);
}

TEST_CASE("what a TFTP server sends from port 69 announces nothing", "[plugins][tftp]") {
  Loaded tftp("tftp", PINHOLE_UDP, PINHOLE_OUTSIDE);
  const auto shown = tftp.host.show(PINHOLE_OUTSIDE, "\0\1a\0octet\0"sv);
  CHECK(shown.verdict == PINHOLE_FORWARD);
  CHECK(shown.expected.empty());
}

TEST_CASE("a TFTP request that a rule forbids is dropped with an event", "[plugins][tftp]") {
  Loaded tftp("tftp", PINHOLE_UDP, PINHOLE_OUTSIDE);
  tftp.host.rule = [](std::string_view command, std::string_view) { return command != "write"; };
  const auto shown = tftp.host.show(PINHOLE_INSIDE, "\0\2secret\0octet\0"sv);
  CHECK(shown.verdict == PINHOLE_DROP);
  CHECK(shown.expected.empty());
  CHECK(tftp.host.judged.front() == "write secret");
  CHECK(tftp.host.events.size() == 1);
  CHECK(tftp.host.show(PINHOLE_INSIDE, "\0\1public\0octet\0"sv).verdict == PINHOLE_FORWARD);
}

TEST_CASE("a TFTP request for whose answer there is no room goes on and is counted", "[plugins][tftp]") {
  Loaded tftp("tftp", PINHOLE_UDP, PINHOLE_OUTSIDE);
  tftp.host.expect_answer = PINHOLE_FULL;
  CHECK(tftp.host.show(PINHOLE_INSIDE, "\0\1a\0octet\0"sv).verdict == PINHOLE_FORWARD);
  CHECK(tftp.count("no_room") == 1);
}
