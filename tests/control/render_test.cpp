// SPDX-License-Identifier: BSD-3-Clause
#include "control/ctl/render.hpp"

#include "control/commands/command.hpp"
#include "control/ctl/completion.hpp"
#include "control/ctl/table.hpp"
#include "tests/control/fake_model.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace pinhole;
using namespace pinhole::control;

namespace {

/// What pinholectl prints for a command over a model. The text begins with a newline, for the eye.
std::string shown(const FakeModel& model, std::string_view command, const char* params = "{}") {
  const auto result = run_command(model, command, Json::parse(params));
  REQUIRE(result.has_value());
  return '\n' + render(command, *result);
}

}  // namespace

TEST_CASE("status is shown for people", "[control][render]") {
  auto model = sample_model();
  CHECK(shown(model, "status") == R"(
data plane  up for 2 h 3 min, pid 790, 2 workers
control     up for 2 h 3 min, pid 812, version 0.1.0
config      /etc/pinhole.json
live        calls 1, registrations 1, mappings 3, pinholes 2, mbufs 512
events      received 4, lost 0
sip         on, but off for 10.0.0.64/26
nat log     received 6, lost 0
  file      /var/log/pinhole/nat.jsonl: 7 lines, lost 0
  collector 192.0.2.30:4739: sent 6, lost 0

INTERFACE  ZONE     ADDRESS          MAC                DEVICE
lan        inside   10.0.0.1/24      02:00:00:00:00:01  net_af_packet0,iface=eth1
wan        outside  198.51.100.1/29  02:00:00:00:00:02  0000:01:00.1
)");
  model.now.dataplane = DataplaneState::lost;
  CHECK(shown(model, "status").find("data plane  LOST since 2026-01-02T01:00:46.006Z (was pid 790)") == 1);
  model.now.dataplane = DataplaneState::starting;
  CHECK(
      shown(model, "status").find("data plane  not there yet, waited for since 2026-01-02T01:00:46.006Z\n") ==
      1);
}

TEST_CASE("the switch of the SIP gateway is shown in a line", "[control][render][alg_switch][AC-24]") {
  FakeModel model;
  struct Case {
    AlgRow row;
    const char* shown;
  };
  const pinhole::nat::Prefix subnet = pinhole::nat::Prefix::parse("10.0.0.0/24").value();
  const pinhole::nat::Prefix host = pinhole::nat::Prefix::parse("10.0.0.9/32").value();
  for (const Case& each :
       {Case{{}, "\non\n"}, Case{{.on = false}, "\noff\n"},
        Case{{.interfaces_off = {"lan", "wan"}, .hosts = {{host, true}, {subnet, false}}},
             "\non, but off for lan, off for wan, on for 10.0.0.9/32, off for 10.0.0.0/24\n"},
        Case{{.settled = false}, "\non (not all workers have heard of it yet)\n"}}) {
    model.now.dataplane = DataplaneState::up;
    model.now.sip = each.row;
    CHECK(shown(model, "sip.show") == each.shown);
  }
}

TEST_CASE("the switches of all gateways are a line each", "[control][render][AC-24]") {
  const auto model = sample_model();
  CHECK(shown(model, "alg.show") == R"(
sip: on, but off for 10.0.0.64/26
tftp: on, but off for wan
)");
  CHECK(shown(model, "alg.off", R"({"name": "tftp"})") == "\ntftp: off\n");
}

TEST_CASE("plug-ins are a table, and so is what they have counted", "[control][render][plugins]") {
  auto model = sample_model();
  CHECK(shown(model, "plugins") == R"(
NAME  VERSION  CLAIMS  STATE                FAULTS  FILE
tftp  1.0      udp 69  STOPPED on worker 1       9  /usr/lib/pinhole/plugins/tftp.so

MODULE  COUNTER       TOTAL  W0  W1  WHAT IT COUNTS
tftp    shown            12   4   8  messages that the gateway was shown
tftp    read_request      3   3   0  counted by the gateway tftp itself
)");
  auto& tftp = model.gateway_rows.front();
  tftp.stopped_workers.clear();
  tftp.counters.clear();
  tftp.file.clear();
  CHECK(shown(model, "plugins") == R"(
NAME  VERSION  CLAIMS  STATE                FAULTS  FILE
tftp  1.0      udp 69  on, but off for wan       9  built in
)");
  model.gateway_rows.clear();
  CHECK(shown(model, "plugins") == "\nno gateways\n");
}

TEST_CASE("rules are a table, and reading the file again says what it changed", "[control][render][rules]") {
  auto model = sample_model();
  CHECK(shown(model, "rules") == R"(
RULE                 APPLICATION  ACTION  HITS
scanners             sip          drop      17
no-site              ftp          drop       3
unknown.nat.methods  sip          log        0
)");
  CHECK(shown(model, "reload") == "\nchanged: protection.rules, sip.enabled\n");
  model.rule_rows->clear();
  CHECK(shown(model, "rules") == "\nno rules\n");
}

TEST_CASE("what is wrong with the log of NAT is shown for people", "[control][render][nat_log]") {
  auto model = sample_model();
  model.now.nat_log->file_problem = "cannot be written: No space left on device";
  model.now.nat_log->unwritten = 9;
  model.now.nat_log->collector_problem = "Connection refused";
  auto text = shown(model, "status");
  CHECK(text.find("nat.jsonl: 7 lines, lost 9; FAILS: cannot be written: No space left on device\n") !=
        std::string::npos);
  CHECK(text.find("192.0.2.30:4739: sent 6, lost 0; FAILS: Connection refused\n") != std::string::npos);
  model.now.nat_log->file.clear();
  model.now.nat_log->collector.reset();
  text = shown(model, "status");
  CHECK(text.find("  file ") == std::string::npos);
  CHECK(text.find("  collector ") == std::string::npos);
  model.now.nat_log.reset();
  CHECK(shown(model, "status").find("nat log") == std::string::npos);
}

TEST_CASE("workers are shown for people", "[control][render]") {
  CHECK(shown(sample_model(), "workers") == R"(
WORKER  LCORE    RX    TX   OUT    IN  HANDED OFF  DROPS  MAPPINGS  CALLS  PINHOLES  PHONES  BUSY
     0      1  6206  6200  3104  3096          10      6         0      0         0       0  25 %
     1      2  6206  6200  3104  3096          10      6         3      1         2       1  25 %
)");
}

TEST_CASE("mappings are shown for people", "[control][render]") {
  CHECK(shown(sample_model(), "mappings") == R"(
PROTOCOL  INSIDE          EXTERNAL            REMOTE            KIND         CONNECTIONS       IDLE     EXPIRES  OUT  IN   BYTES  WORKER
udp       10.0.0.5:5060   198.51.100.1:40000  203.0.113.9:5060  dynamic sip            -  1 min 1 s  3 min 59 s    2   2  3.1 kB       1
tcp       10.0.0.7:50123  198.51.100.1:40001  192.0.2.80:443    dynamic                1        5 s   2 h 3 min   10  12  9.0 kB       0
udp       10.0.0.10:5060  198.51.100.1:5060   -                 forward                -        0 s           -    0   0     0 B       0
3 mappings
)");
}

TEST_CASE("calls are shown for people", "[control][render]") {
  CHECK(shown(sample_model(), "calls", R"({"all":true})") == R"(
ID                STATE       DIRECTION  FROM                   TO                   INSIDE         OUTSIDE           STARTED                        TALK  PINHOLES
3f2a91c04de85b76  confirmed   outbound   sip:alice@example.com  sip:bob@example.com  10.0.0.5:5060  203.0.113.9:5060  2026-01-02T03:03:00.006Z  1 min 2 s         2
3f77000000000001  ended: bye  outbound   sip:alice@example.com  sip:bob@example.com  10.0.0.6:5060  203.0.113.9:5060  2026-01-02T03:03:00.006Z  1 min 1 s         0
2 calls
)");
}

TEST_CASE("a call is shown with a ladder of its messages", "[control][render]") {
  CHECK(shown(sample_model(), "call", R"({"id":"3f2"})") == R"(
call      3f2a91c04de85b76  confirmed, outbound, worker 1
Call-ID   1-4242@10.0.0.5
from      sip:alice@example.com  tag a1
to        sip:bob@example.com  tag b2
started   2026-01-02T03:03:00.006Z
answered  2026-01-02T03:03:03.006Z
ended     -
talk      1 min 2 s

           inside                          pinhole                    outside
       10.0.0.5:5060                  198.51.100.1:40000          203.0.113.9:5060
    +0.000 s  │── INVITE (SDP) ───────────────▶│── 6 edits ──────────────▶│  CSeq 1
    +0.012 s  │◀──────────────── 180 Ringing ──│◀─────────────── 1 edit ──│  CSeq 1
    +3.000 s  │◀─────────────── 200 OK (SDP) ──│◀─────────────── 1 edit ──│  CSeq 1
    +3.020 s  │── ACK ────────────────────────▶│── untouched ────────────▶│  CSeq 1

MEDIA                WAY  PACKETS     BYTES  LOST    LOSS  JITTER    MOST      GAP
10.0.0.5:20000       out     3100  620.0 kB     0  0.00 %  0.2 ms  0.9 ms  21.5 ms
10.0.0.5:20000       in      3098  619.6 kB     2  0.06 %  3.1 ms  8.0 ms  61.0 ms
10.0.0.5:20001 rtcp  out     3100  620.0 kB     -       -       -       -        -
10.0.0.5:20001 rtcp  in      3098  619.6 kB     -       -       -       -        -

CALL              INSIDE          EXTERNAL            REMOTE             IDLE   OUT    IN   BYTES  WORKER
3f2a91c04de85b76  10.0.0.5:20000  198.51.100.1:30000  203.0.113.9:20000   0 s  3100  3098  1.2 MB       1
3f2a91c04de85b76  10.0.0.5:20001  198.51.100.1:30001  203.0.113.9:20001   0 s  3100  3098  1.2 MB       1
)");
}

TEST_CASE("a ladder says what is missing and which messages took another way", "[control][render]") {
  auto model = sample_model();
  auto& detail = model.call_details[0];
  detail.ladder_missing = 12;
  detail.ladder[1].remote = endpoint("203.0.113.10", 5062);
  detail.ladder[2].start = "200 " + std::string(60, 'O');
  const auto text = shown(model, "call", R"({"id":"3f2"})");
  CHECK(text.find("(12 more that are not kept)\n") != std::string::npos);
  CHECK(text.find("CSeq 1, outside 203.0.113.10:5062\n") != std::string::npos);
  CHECK(text.find("│◀ 200 OOOOOOOOOOOOOOOOOOOOOO… ──│") != std::string::npos);
}

TEST_CASE("a ladder says why each message looks as it does", "[control][render][AC-25]") {
  auto model = sample_model();
  auto& ladder = model.call_details[0].ladder;
  ladder[0].why_told = 5;
  ladder[0].why = {
      {.kind = ipc::WhyKind::edit, .rule = alg::Rule::via, .before = "10.0.0.5", .after = "192.0.2.1"},
      {.kind = ipc::WhyKind::opened, .before = "10.0.0.5:4000", .after = "192.0.2.1:5000"},
      {.kind = ipc::WhyKind::expected, .before = "203.0.113.9:6000", .after = "203.0.113.9:6001"}};
  const auto text = shown(model, "call", R"({"id":"3f2","why":true})");
  CHECK(text.find(R"(
    +0.000 s  │── INVITE (SDP) ───────────────▶│── 6 edits ──────────────▶│  CSeq 1
                Via: 10.0.0.5 → 192.0.2.1
                pinhole opened: 10.0.0.5:4000 ↔ 192.0.2.1:5000
                media from 203.0.113.9:6000, RTCP from 203.0.113.9:6001
                2 records lost
    +0.012 s)") != std::string::npos);
}

TEST_CASE("an ended call without ladder and pinholes is shown too", "[control][render]") {
  auto model = sample_model();
  model.call_details[1].ladder.clear();
  model.call_details[1].media.clear();
  model.call_details[1].call.answered = std::nullopt;
  const auto text = shown(model, "call", R"({"id":"3f7"})");
  CHECK(text.find("ended: bye") != std::string::npos);
  CHECK(text.find("answered  -\nended     2026-01-02T03:04:04.006Z\ntalk      -\n\nno pinholes\n") !=
        std::string::npos);
  model.call_details[1].call.ended_by = EndedBy::pinhole;
  CHECK_THAT(shown(model, "call", R"({"id":"3f7"})"),
             Catch::Contains("\nended     2026-01-02T03:04:04.006Z  by pinhole\n"));
}

TEST_CASE("pinholes, registrations and stats are shown for people", "[control][render]") {
  const auto model = sample_model();
  CHECK(shown(model, "pinholes").find("\n2 pinholes\n") != std::string::npos);
  CHECK(shown(model, "registrations") == R"(
ADDRESS OF RECORD      INSIDE         EXTERNAL            REGISTRAR            EXPIRES  WORKER
sip:alice@example.com  10.0.0.5:5060  198.51.100.1:40000  203.0.113.9:5060  59 min 0 s       1
1 registration
)");
  CHECK(shown(model, "messages") == R"(
TIME                      MESSAGE                               INSIDE         WAY  OUTSIDE           WHAT BECAME OF IT
2026-01-02T03:04:03.006Z  REGISTER                              10.0.0.5:5060  →    203.0.113.9:5060  2 edits
2026-01-02T03:04:02.006Z  OPTIONS sip:100@198.51.100.1 SIP/2.0  10.0.0.5:5060  ←    192.0.2.66:5071   drop_sip_malformed
2 messages
)");
  CHECK_THAT(shown(model, "messages", R"({"why":true})"),
             Catch::Contains("2 edits\n                Via: 10.0.0.5:5060 → 198.51.100.1:40000\n"
                             "                1 record lost\n2026-01-02T03:04:02.006Z  OPTIONS"));
  CHECK(shown(model, "messages", R"({"dropped":true,"remote":"192.0.2.0/24"})").find("1 message\n") !=
        std::string::npos);
  CHECK(shown(model, "subscriber", R"({"endpoint":"10.0.0.5"})") == R"(
INSIDE    EXTERNAL      PORTS      PROTOCOL  KNOWN BY  NUMBER
10.0.0.5  198.51.100.2  3584-4095  all       rule           5
)");
  CHECK(shown(model, "stats", R"({"nonzero":true})") == R"(
MODULE   COUNTER          TOTAL  W0  W1  WHAT IT COUNTS
drop     drop_no_mapping      6   2   4  to an external port that stands for nobody
nat      mapping_created      9   4   5  mappings created
control  event_received       4   -   -  events taken from the workers
)");
  CHECK(shown(model, "version") == "\npinhole-control 0.1.0\n");
  CHECK(shown(model, "config.show") == "\n{\n  \"interfaces\": []\n}\n");
}

TEST_CASE("bans and allowed sources are shown for people", "[control][render][bans]") {
  const auto model = sample_model();
  const auto bans = shown(model, "ban.list");
  CHECK(bans.find("198.51.100.66/32  scanner           friendly-scanner") != std::string::npos);
  CHECK(bans.find("192.0.2.0/24      manual (allowed)  ticket 7") != std::string::npos);
  CHECK(bans.find("NOT KEPT") == std::string::npos);
  auto result = *run_command(model, "ban.list", Json::object());
  result["store_problem"] = "disk full";
  CHECK(render("ban.list", result).find("NOT KEPT over a restart: disk full") != std::string::npos);
  CHECK(shown(model, "allow.list").find("203.0.113.9/32  configuration") != std::string::npos);
  CHECK(shown(FakeModel{}, "allow.list") == "\nnobody is allowed more than others\n");
}

TEST_CASE("with one worker the counters have no column of their own for it", "[control][render]") {
  auto model = sample_model();
  model.counter_rows = {{"nat", "mapping_created", "mappings created", 9, {9}}};
  CHECK(shown(model, "stats") == R"(
MODULE  COUNTER          TOTAL  WHAT IT COUNTS
nat     mapping_created      9  mappings created
)");
}

TEST_CASE("empty lists say so, and pages say what is left", "[control][render]") {
  const auto model = sample_model();
  CHECK(shown(FakeModel{}, "calls") == "\nno calls\n");
  CHECK(shown(model, "mappings", R"({"limit":1})").find("\n1 of 3 mappings; --offset 1 shows more\n") !=
        std::string::npos);
  CHECK(shown(model, "mappings", R"({"offset":1,"limit":1})")
            .find("\n1 of 3 mappings; --offset 2 shows more\n") != std::string::npos);
  CHECK(shown(model, "mappings", R"({"offset":2})").find("\n1 of 3 mappings\n") != std::string::npos);
}

TEST_CASE("what is an empty list is told from what is not", "[control][render]") {
  const auto model = sample_model();
  struct Case {
    const char* command;
    const char* params;
    bool empty;
  };
  const std::vector<Case> cases = {
      {"calls", "{}", false},
      {"calls", R"({"party":"carol"})", true},
      {"mappings", R"({"offset":100})", false},
      {"stats", R"({"name":"zzz"})", true},
      {"stats", "{}", false},
      {"status", "{}", false},
  };
  for (const auto& [command, params, empty] : cases) {
    DYNAMIC_SECTION(command << " " << params) {
      CHECK(is_empty_list(*run_command(model, command, Json::parse(params))) == empty);
    }
  }
}

TEST_CASE("text from the network cannot drive the terminal", "[control][render]") {
  auto model = sample_model();
  model.call_details[0].call.from_uri = "sip:\x1b[2J\x07\x7f\xc2\x9b\x31m@x";
  model.call_details[0].call.call_id = "id\nsecond line";
  model.call_details[0].ladder[0].start = "INV\x1b[31mITE";
  for (const auto* command : {"calls", "call"}) {
    const auto text = shown(model, command, command == std::string("call") ? R"({"id":"3f2"})" : "{}");
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.find("\xc2\x9b") == std::string::npos);
    CHECK(text.find("\nsecond") == std::string::npos);
    CHECK(text.find("sip:?[2J???1m@x") != std::string::npos);
  }
  const auto json = json_text(*run_command(model, "calls", Json::object()));
  CHECK(std::all_of(json.begin(), json.end(), [](char c) { return c == '\n' || (c >= ' ' && c < 0x7f); }));
}

TEST_CASE("text is cut and centred by characters, not bytes", "[control][table]") {
  CHECK(width_of("caf\xc3\xa9") == 4);
  CHECK(fit("caf\xc3\xa9", 4) == "caf\xc3\xa9");
  CHECK(fit("caf\xc3\xa9s", 4) == "caf…");
  CHECK(fit("\xc3\xa9\xc3\xa9\xc3\xa9", 2) == "\xc3\xa9…");
  CHECK(centred("ab", 5) == " ab  ");
  CHECK(centred("abcdef", 4) == "abc…");
}

TEST_CASE("durations and sizes are read at a glance", "[control][table]") {
  CHECK(duration_text(0) == "0 s");
  CHECK(duration_text(59) == "59 s");
  CHECK(duration_text(60) == "1 min 0 s");
  CHECK(duration_text(3'599) == "59 min 59 s");
  CHECK(duration_text(3'600) == "1 h 0 min");
  CHECK(duration_text(90'000) == "1 d 1 h");
  CHECK(bytes_text(999) == "999 B");
  CHECK(bytes_text(1'000) == "1.0 kB");
  CHECK(bytes_text(999'949) == "999.9 kB");
  CHECK(bytes_text(999'950) == "1.0 MB");
  CHECK(bytes_text(18'446'744'073'709'551'615U) == "18446.7 PB");
}

TEST_CASE("completion knows every command and every option", "[control][completion]") {
  const auto script = bash_completion();
  for (const auto& command : commands()) {
    if (command.name == "help") continue;
    auto line = std::string(command.name);
    std::replace(line.begin(), line.end(), '.', ' ');
    INFO(line);
    CHECK(script.find("\"" + line + "\") words=") != std::string::npos);
    for (const auto& argument : command.arguments) {
      if (!argument.required) CHECK(script.find("--" + std::string(argument.name)) != std::string::npos);
    }
  }
}
