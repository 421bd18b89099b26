// SPDX-License-Identifier: BSD-3-Clause
// Conversations on control connections, line by line, and what the gateway makes of them.
#include "alg/ftp/ftp_gateway.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "alg/ftp/line.hpp"
#include "nat/endpoint.hpp"
#include "tests/support/fake_gateway_host.hpp"

using namespace pinhole;
using namespace pinhole::alg;
using test::FakeGatewayHost;

namespace {

std::string text(const pinhole_endpoint& endpoint) {
  const nat::Endpoint value{nat::Ipv4Address::from_host(endpoint.address), nat::Be16{endpoint.port}};
  return std::string(nat::EndpointText(value).view());
}

/// "out 10.0.0.5:4000 <- 198.51.100.7:0", or "in …" for what begins inside.
std::string text(const pinhole_expectation& expected) {
  const bool is_open = expected.from == PINHOLE_OUTSIDE;
  return text(expected.inside) + (is_open ? " <- " : " -> ") + text(expected.remote);
}

enum class Who { client, server };

struct Step {
  Who who;
  std::string_view in;
  std::string_view out;       // "=": as it came
  std::string_view expected;  // "": nothing
};

struct Talk {
  const char* name;
  std::uint8_t server;
  std::vector<Step> steps;
};

constexpr std::uint8_t kClientInside = PINHOLE_OUTSIDE;
constexpr std::uint8_t kServerInside = PINHOLE_INSIDE;

class Bench : public FakeGatewayHost {
 public:
  explicit Bench(std::uint8_t server_side, const char* options = "")
      : FakeGatewayHost(ftp::gateway(), options) {
    REQUIRE(started());
    server = server_side;
    if (server_side == PINHOLE_INSIDE) {
      inside.port = external.port = 21;
      remote.port = 50000;
    }
  }
  Shown say(Who who, std::string_view line) {
    const auto other = static_cast<std::uint8_t>(1 - server);
    return show(who == Who::server ? server : other, line);
  }
  void say_all(const std::vector<Step>& steps) {
    for (const auto& step : steps) {
      INFO(step.in);
      const auto shown = say(step.who, step.in);
      CHECK(shown.verdict == PINHOLE_FORWARD);
      CHECK(shown.text == (step.out == "=" ? step.in : step.out));
      std::string expected;
      for (const auto& each : shown.expected) {
        CHECK(each.flags == (PINHOLE_ONCE | PINHOLE_CHILD));
        CHECK(each.protocol == PINHOLE_TCP);
        expected += (expected.empty() ? "" : "; ") + text(each);
      }
      CHECK(expected == step.expected);
    }
  }
  [[nodiscard]] std::uint32_t count(ftp::Counter counter) const {
    return counted[static_cast<std::size_t>(counter)];
  }
};

const Step kGreeting{Who::server, "220 here\r\n", "=", ""};
const Step kPasv{Who::client, "PASV\r\n", "=", ""};
const Step kEpsv{Who::client, "EPSV\r\n", "=", ""};

}  // namespace

TEST_CASE("a data connection is announced by what says where it goes",
          "[alg][ftp][rfc959][rfc1123][rfc2428]") {
  const Talk talks[] = {
      {"PORT of a client inside",
       kClientInside,
       {kGreeting,
        {Who::client, "PORT 10,0,0,5,15,160\r\n", "PORT 203,0,113,2,54,176\r\n",
         "10.0.0.5:4000 <- 198.51.100.7:0"}}},
      {"in any case, with blanks, ended by LF",
       kClientInside,
       {kGreeting,
        {Who::client, " pOrT  10,0,0,5,15,160 \n", "PORT 203,0,113,2,54,176\n",
         "10.0.0.5:4000 <- 198.51.100.7:0"}}},
      {"with Telnet commands before and in it",
       kClientInside,
       {kGreeting,
        {Who::client, "\xFF\xF4\xFF\xF2PO\xFF\xFD\x01RT 10,0,0,5,15,160\r\n", "PORT 203,0,113,2,54,176\r\n",
         "10.0.0.5:4000 <- 198.51.100.7:0"}}},
      {"PORT with the address as it is seen outside",
       kClientInside,
       {kGreeting,
        {Who::client, "PORT 203,0,113,2,15,160\r\n", "PORT 203,0,113,2,54,176\r\n",
         "10.0.0.5:4000 <- 198.51.100.7:0"}}},
      {"EPRT of a client inside, with any delimiter",
       kClientInside,
       {kGreeting,
        {Who::client, "EPRT |1|10.0.0.5|4000|\r\n", "EPRT |1|203.0.113.2|14000|\r\n",
         "10.0.0.5:4000 <- 198.51.100.7:0"},
        {Who::client, "eprt !1!10.0.0.5!4001!\r\n", "EPRT |1|203.0.113.2|14001|\r\n",
         "10.0.0.5:4001 <- 198.51.100.7:0"}}},
      {"PORT of a client outside",
       kServerInside,
       {kGreeting,
        {Who::client, "PORT 198,51,100,7,15,160\r\n", "=", "10.0.0.5:0 -> 198.51.100.7:4000"},
        {Who::client, "EPRT |1|198.51.100.7|4001|\r\n", "=", "10.0.0.5:0 -> 198.51.100.7:4001"}}},
      {"227 of a server outside",
       kClientInside,
       {kGreeting,
        kPasv,
        {Who::server, "227 Entering Passive Mode (198,51,100,7,15,160).\r\n", "=",
         "10.0.0.5:0 -> 198.51.100.7:4000"}}},
      {"227 of a server inside",
       kServerInside,
       {kGreeting,
        kPasv,
        {Who::server, "227 Entering Passive Mode (10,0,0,5,15,160).\r\n",
         "227 Entering Passive Mode (203,0,113,2,54,176).\r\n", "10.0.0.5:4000 <- 198.51.100.7:0"}}},
      {"227 of a server that was told how it is seen",
       kServerInside,
       {kGreeting,
        kPasv,
        {Who::server, "227 Passive (203,0,113,2,15,160)\r\n", "227 Passive (203,0,113,2,54,176)\r\n",
         "10.0.0.5:4000 <- 198.51.100.7:0"}}},
      {"227 without parentheses, behind other numbers",
       kServerInside,
       {kGreeting,
        kPasv,
        {Who::server, "227 Server 2 of 3,4 at =10,0,0,5,15,160\r\n",
         "227 Server 2 of 3,4 at =203,0,113,2,54,176\r\n", "10.0.0.5:4000 <- 198.51.100.7:0"}}},
      {"229 of a server inside",
       kServerInside,
       {kGreeting,
        kEpsv,
        {Who::server, "229 Entering Extended Passive Mode (|||4000|)\r\n",
         "229 Entering Extended Passive Mode (|||14000|)\r\n", "10.0.0.5:4000 <- 198.51.100.7:0"}}},
      {"229 of a server outside",
       kClientInside,
       {kGreeting, kEpsv, {Who::server, "229 (ok) (!!!4000!)\r\n", "=", "10.0.0.5:0 -> 198.51.100.7:4000"}}},
      {"227 in several lines",
       kServerInside,
       {kGreeting,
        kPasv,
        {Who::server, "227-Look for 227\r\n", "=", ""},
        {Who::server, " here: 10,0,0,5,15,160\r\n", " here: 203,0,113,2,54,176\r\n",
         "10.0.0.5:4000 <- 198.51.100.7:0"},
        {Who::server, "227 Done\r\n", "=", ""},
        // It was answered.
        {Who::server, "227 Again (10,0,0,5,15,160)\r\n", "=", ""}}},
      {"several 227 in a row, as they were asked for at once",
       kServerInside,
       {kGreeting,
        {Who::client, "SYST\r\n", "=", ""},
        kPasv,
        kPasv,
        kEpsv,
        {Who::server, "215 UNIX\r\n", "=", ""},
        {Who::server, "227 (10,0,0,5,15,160)\r\n", "227 (203,0,113,2,54,176)\r\n",
         "10.0.0.5:4000 <- 198.51.100.7:0"},
        {Who::server, "227 (10,0,0,5,15,161)\r\n", "227 (203,0,113,2,54,177)\r\n",
         "10.0.0.5:4001 <- 198.51.100.7:0"},
        {Who::server, "229 (|||4002|)\r\n", "229 (|||14002|)\r\n", "10.0.0.5:4002 <- 198.51.100.7:0"}}},
      {"a transfer that is still going on when the next is asked for",
       kServerInside,
       {kGreeting,
        {Who::client, "RETR x\r\n", "=", ""},
        {Who::server, "150 here it comes\r\n", "=", ""},
        kPasv,
        {Who::server, "226 done\r\n", "=", ""},
        {Who::server, "227 (10,0,0,5,15,160)\r\n", "227 (203,0,113,2,54,176)\r\n",
         "10.0.0.5:4000 <- 198.51.100.7:0"}}},
  };
  for (const auto& talk : talks) {
    DYNAMIC_SECTION(talk.name) {
      Bench bench(talk.server);
      bench.say_all(talk.steps);
    }
  }
}

TEST_CASE("where nothing is translated data connections are announced and no text is changed", "[alg][ftp]") {
  for (const auto server : {kClientInside, kServerInside}) {
    Bench bench(server);
    bench.unchanged = true;
    const bool inside = server == kServerInside;
    bench.say_all({kGreeting,
                   {Who::client, inside ? "PORT 198,51,100,7,15,160\r\n" : "PORT 10,0,0,5,15,160\r\n", "=",
                    inside ? "10.0.0.5:0 -> 198.51.100.7:4000" : "10.0.0.5:4000 <- 198.51.100.7:0"},
                   // For IPv6, which passes as it is.
                   {Who::client, "EPRT |2|2001:db8::1|4000|\r\n", "=", ""},
                   kPasv,
                   {Who::server, inside ? "227 (10,0,0,5,15,160)\r\n" : "227 (198,51,100,7,15,160)\r\n", "=",
                    inside ? "10.0.0.5:4000 <- 198.51.100.7:0" : "10.0.0.5:0 -> 198.51.100.7:4000"}});
  }
}

TEST_CASE("an endpoint that is not its sender's opens nothing, and its command becomes an unknown one",
          "[alg][ftp][rfc2577]") {
  struct Row {
    std::uint8_t server;
    std::string_view command;
  };
  const Row rows[] = {
      {kClientInside, "PORT 10,0,0,6,15,160\r\n"},      // another host inside
      {kClientInside, "PORT 198,51,100,7,15,160\r\n"},  // the server itself
      {kClientInside, "PORT 10,0,0,5,3,255\r\n"},       // port 1023
      {kClientInside, "PORT 10,0,0,5,0,0\r\n"},         // port 0
      {kClientInside, "PORT 0,0,0,0,15,160\r\n"},
      {kClientInside, "EPRT |1|10.0.0.6|4000|\r\n"},
      {kClientInside, "EPRT |1|10.0.0.5|25|\r\n"},
      {kClientInside, "EPRT |2|2001:db8::1|4000|\r\n"},
      {kClientInside, "EPRT |1|10.0.0.5|65536|\r\n"},
      {kClientInside, "EPRT |1|10.0.0.5|4000\r\n"},
      {kClientInside, "EPRT\r\n"},
      {kClientInside, "PORT\r\n"},
      {kClientInside, "PORT 10,0,0,5,15\r\n"},
      {kClientInside, "PORT 10,0,0,5,15,160,1\r\n"},
      {kClientInside, "PORT 10,0,0,5,15,256\r\n"},
      {kClientInside, "LPRT 4,4,10,0,0,5,2,15,160\r\n"},
      {kClientInside, "LPSV\r\n"},
      {kServerInside, "PORT 203,0,113,9,15,160\r\n"},  // a third party
      {kServerInside, "PORT 10,0,0,5,15,160\r\n"},     // the server itself, or another host inside
      {kServerInside, "PORT 203,0,113,2,15,160\r\n"},
      {kServerInside, "PORT 198,51,100,7,0,25\r\n"},
      {kServerInside, "EPRT |1|203.0.113.9|4000|\r\n"},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.command) {
      Bench bench(row.server);
      bench.say_all({kGreeting, {Who::client, row.command, "XXXX\r\n", ""}});
      CHECK(bench.count(ftp::Counter::refused) == 1);
      CHECK(bench.count(ftp::Counter::active) == 0);
    }
  }
  Bench bench(kServerInside);
  bench.say_all({kGreeting, {Who::client, "PORT 203,0,113,9,15,160\r\n", "XXXX\r\n", ""}});
  CHECK(bench.events == std::vector<std::string>{
                            "refused a data connection to 203.0.113.9:4000, as asked for by 198.51.100.7"});
}

TEST_CASE("a server that has not greeted is asked for no data connection", "[alg][ftp]") {
  const std::string_view kCommands[] = {"PORT 10,0,0,5,15,160\r\n", "EPRT |1|10.0.0.5|4000|\r\n"};
  for (const auto command : kCommands) {
    Bench bench(kClientInside);
    bench.say_all({{Who::client, command, "XXXX\r\n", ""},
                   {Who::server, "220-wait\r\n", "=", ""},  // not all of it yet
                   {Who::client, command, "XXXX\r\n", ""}});
    CHECK(bench.count(ftp::Counter::refused) == 2);
    CHECK(bench.count(ftp::Counter::active) == 0);
    bench.say_all({{Who::server, "220 here\r\n", "=", ""}});
    CHECK(bench.say(Who::client, command).expected.size() == 1);
    CHECK(bench.count(ftp::Counter::active) == 1);
  }
}

TEST_CASE("a client that has said what a browser says opens nothing by a command", "[alg][ftp][AC-23]") {
  const std::string long_target = "STOR /" + std::string(ftp::kMaxLine - 6, 'a');
  const std::string long_method(ftp::kMaxLine, 'A');
  const std::string cut_in_version = long_target.substr(0, ftp::kMaxLine - 4) + " HTT";
  const std::string cut_before_version = long_target.substr(0, ftp::kMaxLine - 1) + " ";
  struct Row {
    const char* name;
    std::vector<Step> steps;
  };
  const Row rows[] = {
      {"a request", {kGreeting, {Who::client, "POST / HTTP/1.1\r\n", "=", ""}}},
      {"before the greeting", {{Who::client, "POST / HTTP/1.1\r\n", "=", ""}, kGreeting}},
      {"of HTTP/1.0, ended by LF", {kGreeting, {Who::client, "GET /a%20b HTTP/1.0\n", "=", ""}}},
      {"with a method of the page's own", {kGreeting, {Who::client, "STAT / HTTP/1.1\r\n", "=", ""}}},
      {"with no version", {kGreeting, {Who::client, "PUT /\r\n", "=", ""}}},
      {"whose line is cut",
       {{Who::client, long_target, "=", ""}, {Who::client, " HTTP/1.1\r\n", "=", ""}, kGreeting}},
      {"whose method is long",
       {kGreeting, {Who::client, long_method, "XXXX", ""}, {Who::client, " / HTTP/1.1\r\n", "=", ""}}},
      {"cut within its version",
       {{Who::client, cut_in_version, "=", ""}, {Who::client, "P/1.1\r\n", "=", ""}, kGreeting}},
      {"cut before its version",
       {kGreeting, {Who::client, cut_before_version, "XXXX", ""}, {Who::client, "HTTP/1.1\r\n", "=", ""}}},
      {"what is no text", {{Who::client, std::string_view("\0\1\0\x50\n", 5), "=", ""}, kGreeting}},
      {"headers between",
       {kGreeting,
        {Who::client, "POST / HTTP/1.1\r\n", "=", ""},
        {Who::client, "Host: example.com:2121\r\n", "=", ""},
        {Who::client, "\r\n", "=", ""}}},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      Bench bench(kClientInside);
      bench.say_all(row.steps);
      bench.say_all({{Who::client, "PORT 10,0,0,5,15,160\r\n", "XXXX\r\n", ""},
                     {Who::client, "EPRT |1|10.0.0.5|4000|\r\n", "XXXX\r\n", ""}});
      CHECK(bench.count(ftp::Counter::refused) == 2);
      CHECK(bench.count(ftp::Counter::active) == 0);
      CHECK(bench.events == std::vector<std::string>(
                                2, "refused a data connection to 10.0.0.5:4000, as asked for by 10.0.0.5"));
      // Everything is read on, so that rules hold.
      bench.rule = [](std::string_view command, std::string_view) { return command != "DELE"; };
      bench.say_all({{Who::client, "DELE a\r\n", "XXXX\r\n", ""}});
    }
  }
}

TEST_CASE("commands of FTP are not taken for requests of HTTP", "[alg][ftp][AC-23]") {
  for (const std::string_view line :
       {"RETR HTTP/1.1\r\n", "STOR notes on HTTP/3\r\n", "CWD HTTP/\r\n", "STOR a HTTP/1.1\r\n",
        "CWD /old HTTP/doc\r\n", "STAT /\r\n", "DELE POST\r\n", "GETS /\r\n", "\r\n",
        "\xFF\xF4\xFF\xF2"
        "ABOR\r\n",
        "SITE  CHMOD 644 HTTP/a\r\n"}) {
    DYNAMIC_SECTION(line) {
      Bench bench(kClientInside);
      bench.say_all({kGreeting,
                     {Who::client, line, "=", ""},
                     {Who::client, "PORT 10,0,0,5,15,160\r\n", "PORT 203,0,113,2,54,176\r\n",
                      "10.0.0.5:4000 <- 198.51.100.7:0"}});
    }
  }
}

TEST_CASE("a reply with an endpoint that is not its sender's becomes an error", "[alg][ftp]") {
  const Talk talks[] = {
      {"the address of another host",
       kClientInside,
       {kGreeting,
        kPasv,
        {Who::server, "227 Entering Passive Mode (198,51,100,8,15,160).\r\n", "500 Passive mode refused.\r\n",
         ""}}},
      {"of a host on the other side",
       kClientInside,
       {kGreeting, kPasv, {Who::server, "227 (10,0,0,5,15,160)\n", "500 Passive mode refused.\n", ""}}},
      {"a port below 1024",
       kServerInside,
       {kGreeting,
        kPasv,
        {Who::server, "227 (10,0,0,5,0,22)\r\n", "500 Passive mode refused.\r\n", ""},
        kEpsv,
        {Who::server, "229 (|||22|)\r\n", "500 Passive mode refused.\r\n", ""}}},
      {"another host inside",
       kServerInside,
       {kGreeting, kPasv, {Who::server, "227 (10,0,0,6,15,160)\r\n", "500 Passive mode refused.\r\n", ""}}},
      {"in several lines, whose code stays for the end to be known",
       kServerInside,
       {kGreeting,
        kPasv,
        {Who::server, "227-Entering (10,0,0,6,15,160)\r\n", "227-Entering (Refused.)\r\n", ""},
        {Who::server, "227 Done\r\n", "=", ""}}},
  };
  for (const auto& talk : talks) {
    DYNAMIC_SECTION(talk.name) {
      Bench bench(talk.server);
      bench.say_all(talk.steps);
      CHECK(bench.count(ftp::Counter::refused) >= 1);
      CHECK(bench.count(ftp::Counter::passive) == 0);
    }
  }
}

TEST_CASE("a reply opens nothing that was not asked for", "[alg][ftp]") {
  const Step spoofed{Who::server, "227 (10,0,0,5,13,56)\r\n", "=", ""};
  const Talk talks[] = {
      {"out of the blue", kServerInside, {kGreeting, spoofed}},
      {"as the greeting", kServerInside, {kPasv, spoofed}},
      {"as the text of another reply",
       kServerInside,
       {kGreeting,
        kPasv,
        {Who::server, "214-Help\r\n", "=", ""},
        spoofed,
        {Who::server, "214 End\r\n", "=", ""}}},
      {"to a command that was refused before",
       kServerInside,
       {kGreeting, kPasv, {Who::server, "502 no\r\n", "=", ""}, spoofed}},
      {"229 where PASV was asked for",
       kServerInside,
       {kGreeting, kPasv, {Who::server, "229 (|||3384|)\r\n", "=", ""}}},
      {"to EPSV ALL",
       kServerInside,
       {kGreeting, {Who::client, "EPSV ALL\r\n", "=", ""}, {Who::server, "229 (|||3384|)\r\n", "=", ""}}},
      {"in a line of the client",
       kClientInside,
       {kGreeting, kPasv, {Who::client, "227 (10,0,0,5,13,56)\r\n", "=", ""}}},
  };
  for (const auto& talk : talks) {
    DYNAMIC_SECTION(talk.name) {
      Bench bench(talk.server);
      bench.say_all(talk.steps);
      CHECK(bench.count(ftp::Counter::passive) == 0);
    }
  }
}

TEST_CASE("more commands than are remembered forget the oldest", "[alg][ftp]") {
  Bench bench(kServerInside);
  bench.say_all({kGreeting, kEpsv});
  for (int i = 0; i < 40; ++i) bench.say_all({{Who::client, "NOOP\r\n", "=", ""}});
  bench.say_all({kPasv,
                 {Who::server, "229 (|||4000|)\r\n", "=", ""},
                 {Who::server, "227 (10,0,0,5,15,160)\r\n", "227 (203,0,113,2,54,176)\r\n",
                  "10.0.0.5:4000 <- 198.51.100.7:0"}});
}

TEST_CASE("commands are asked of the rules, as the server will read them", "[alg][ftp]") {
  Bench bench(kClientInside);
  bench.rule = [](std::string_view command, std::string_view) {
    return command != "SITE" && command != "port";
  };
  bench.say_all({kGreeting,
                 {Who::client, "SITE EXEC ls\r\n", "XXXX\r\n", ""},
                 {Who::client, "\xFF\xF4 SITE\texec\r\n", "XXXX\r\n", ""},
                 {Who::client, "STOR  a b.exe \r\n", "=", ""},
                 {Who::client, "pass secret\r\n", "=", ""},
                 {Who::client, "\r\n", "=", ""},
                 {Who::client, "port 10,0,0,5,15,160\n", "XXXX\n", ""}});
  CHECK(bench.judged == std::vector<std::string>{"SITE EXEC ls", "SITE exec", "STOR a b.exe", "pass ",
                                                 "port 10,0,0,5,15,160"});
  CHECK(bench.count(ftp::Counter::denied) == 3);
  CHECK(bench.count(ftp::Counter::commands) == 6);
}

TEST_CASE("a command that servers read differently is not shown to them", "[alg][ftp]") {
  Bench bench(kServerInside);
  bench.say_all({kGreeting,
                 {Who::client, "NOOP\rPORT 198,51,100,7,0,25\r\n", "XXXX\r\n", ""},
                 {Who::client, std::string_view("DELE a\0.txt\r\n", 13), "XXXX\r\n", ""}});
  CHECK(bench.count(ftp::Counter::unreadable) == 2);
  CHECK(bench.judged.empty());
}

TEST_CASE("a connection is left alone from where it is encrypted", "[alg][ftp][rfc4217]") {
  struct Row {
    const char* name;
    std::vector<Step> steps;
    std::string_view last;
    int verdict;
  };
  const Step auth{Who::client, "AUTH TLS\r\n", "=", ""};
  const Row rows[] = {
      {"AUTH TLS", {kGreeting, auth}, "234 go on\r\n", PINHOLE_LEAVE},
      {"in any case", {kGreeting, {Who::client, "auth ssl\n", "=", ""}}, "234 go on\r\n", PINHOLE_LEAVE},
      {"with data of the mechanism", {kGreeting, auth}, "334 go on\r\n", PINHOLE_LEAVE},
      {"refused", {kGreeting, auth}, "504 no\r\n", PINHOLE_FORWARD},
      {"not asked for", {kGreeting}, "234 go on\r\n", PINHOLE_FORWARD},
      {"behind others",
       {kGreeting, {Who::client, "SYST\r\n", "=", ""}, auth, {Who::server, "215 UNIX\r\n", "=", ""}},
       "234 go on\r\n",
       PINHOLE_LEAVE},
      {"in several lines",
       {kGreeting, auth, {Who::server, "234-go\r\n", "=", ""}},
       "234 on\r\n",
       PINHOLE_LEAVE},
      {"what does not greet as FTP does", {}, "SSH-2.0-OpenSSH_9.2\r\n", PINHOLE_LEAVE},
      {"lines between replies are nobody's", {kGreeting}, "what\r\n", PINHOLE_FORWARD},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      Bench bench(kClientInside);
      bench.say_all(row.steps);
      const auto shown = bench.say(Who::server, row.last);
      CHECK(shown.verdict == row.verdict);
      CHECK(shown.text == row.last);
    }
  }
  Bench bench(kClientInside);
  bench.rule = [](std::string_view command, std::string_view) { return command != "AUTH"; };
  bench.say_all({kGreeting, {Who::client, "AUTH TLS\r\n", "XXXX\r\n", ""}});
  CHECK(bench.say(Who::server, "234 go on\r\n").verdict == PINHOLE_FORWARD);
}

TEST_CASE("a line that is too long goes on in pieces, of which none is a command", "[alg][ftp]") {
  Bench bench(kClientInside);
  const std::string first = "STOR " + std::string(ftp::kMaxLine - 5, 'a');
  bench.say_all({kGreeting,
                 {Who::client, first, "XXXX", ""},
                 {Who::client, "PORT 10,0,0,5,15,160\r\n", "=", ""},
                 {Who::client, "NOOP\r\n", "=", ""}});
  CHECK(bench.count(ftp::Counter::unreadable) == 1);
  bench.say_all({kPasv,
                 {Who::server, "200 " + std::string(ftp::kMaxLine - 4, 'b'), "=", ""},
                 {Who::server, "227 (10,0,0,5,15,160)\r\n", "=", ""}});
}

TEST_CASE("what is no text is of another protocol until the server greets, and then refused", "[alg][ftp]") {
  Bench bench(kClientInside);
  bench.say_all({{Who::client, "\x16\x03\x01 hello", "=", ""}});
  CHECK(bench.say(Who::server, "\x16\x03\x03 hello").verdict == PINHOLE_LEAVE);

  // What goes on in a line that did not begin as text is no command, and what comes behind it is one.
  Bench other(kClientInside);
  other.rule = [](std::string_view command, std::string_view) { return command != "SITE"; };
  other.say_all({kGreeting,
                 {Who::client, "\x01", "XXXX", ""},
                 {Who::client, "SITE EXEC a\r\n", "=", ""},
                 {Who::client, "STOR " + std::string(ftp::kMaxLine - 5, 'a'), "XXXX", ""},
                 {Who::client, "\x01 tail\r\n", "=", ""},
                 {Who::client, "SITE EXEC a\r\n", "XXXX\r\n", ""}});
}

TEST_CASE("a data connection that there is no place for is one that the client is told of", "[alg][ftp]") {
  struct Row {
    int reserve, expect;
    std::uint32_t address;
  };
  const Row rows[] = {{PINHOLE_FULL, PINHOLE_OK, 0},
                      {PINHOLE_OK, PINHOLE_FULL, 0},
                      {PINHOLE_OK, PINHOLE_REFUSED, 0},
                      {PINHOLE_OK, PINHOLE_OK, 0xCB007103}};
  for (const auto& row : rows) {
    Bench bench(kServerInside);
    bench.reserve_answer = row.reserve;
    bench.expect_answer = row.expect;
    bench.reserved_address = row.address;
    bench.say_all(
        {kGreeting, kEpsv, {Who::server, "229 (|||4000|)\r\n", "500 Passive mode refused.\r\n", ""}});
    CHECK(bench.count(ftp::Counter::exhausted) == 1);
  }
  Bench bench(kClientInside);
  bench.reserve_answer = PINHOLE_FULL;
  bench.say_all({kGreeting, {Who::client, "PORT 10,0,0,5,15,160\r\n", "XXXX\r\n", ""}});
  bench.replace_answer = PINHOLE_FULL;
  CHECK(bench.say(Who::client, "PORT 10,0,0,5,15,160\r\n").verdict == PINHOLE_DROP);
}

TEST_CASE("options say for how long a data connection may take", "[alg][ftp]") {
  struct Row {
    const char* options;
    std::uint32_t seconds;  // 0: refused
  };
  for (const Row row :
       {Row{"", 30}, Row{"data_timeout_s=1", 1}, Row{"data_timeout_s=3600", 3600}, Row{"data_timeout_s=0", 0},
        Row{"data_timeout_s=3601", 0}, Row{"data_timeout_s=", 0}, Row{"other=1", 0}}) {
    INFO(row.options);
    FakeGatewayHost host(ftp::gateway(), row.options);
    REQUIRE(host.started() == (row.seconds != 0));
    if (row.seconds == 0) continue;
    host.show(PINHOLE_OUTSIDE, "220 ready\r\n");
    CHECK(host.show(PINHOLE_INSIDE, "PORT 10,0,0,5,15,160\r\n").expected.at(0).seconds == row.seconds);
  }
}
