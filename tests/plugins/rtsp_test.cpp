// SPDX-License-Identifier: BSD-3-Clause
// docs/examples/plugins/rtsp, as its shared object.
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/plugins/loaded.hpp"

using namespace pinhole::test;
using namespace std::literals;

namespace {

/// A connection between a client and a server, one of which is inside.
struct Connection {
  explicit Connection(std::uint8_t server, const char* options = "")
      : rtsp("rtsp", PINHOLE_TCP, server, options) {}

  /// \return the message on the other side
  std::string show(std::uint8_t from, std::string_view bytes) {
    auto shown = rtsp.host.show(from, bytes);
    CHECK(shown.verdict == PINHOLE_FORWARD);
    expected = std::move(shown.expected);
    return shown.text;
  }
  std::string from_inside(std::string_view bytes) { return show(PINHOLE_INSIDE, bytes); }
  std::string from_outside(std::string_view bytes) { return show(PINHOLE_OUTSIDE, bytes); }

  Loaded rtsp;
  std::vector<pinhole_expectation> expected;  // by the last message
};

std::string setup(std::string_view transport, int cseq = 1) {
  return "SETUP rtsp://203.0.113.10/a RTSP/1.0\r\nCSeq: " + std::to_string(cseq) +
         "\r\nTransport: " + std::string(transport) + "\r\n\r\n";
}
std::string ok(std::string_view transport, int cseq = 1) {
  return "RTSP/1.0 200 OK\r\nCSeq: " + std::to_string(cseq) +
         "\r\nSession: 7\r\nTransport: " + std::string(transport) + "\r\n\r\n";
}
std::string request(std::string_view method) {
  return std::string(method) + " rtsp://203.0.113.10/a RTSP/1.0\r\nCSeq: 9\r\nSession: 7\r\n\r\n";
}

struct Flow {
  std::uint16_t inside = 0;
  std::uint16_t remote = 0;
  std::uint32_t address = kRemote;

  friend bool operator==(const Flow&, const Flow&) = default;
};
std::ostream& operator<<(std::ostream& out, const Flow& flow) {
  return out << flow.inside << " from " << flow.address << ':' << flow.remote;
}

std::vector<Flow> announced(const Connection& connection) {
  std::vector<Flow> flows;
  for (const auto& each : connection.expected) {
    CHECK(each.protocol == PINHOLE_UDP);
    CHECK(each.from == PINHOLE_OUTSIDE);
    CHECK(each.flags == PINHOLE_CHILD);
    flows.push_back({each.inside.port, each.remote.port, each.remote.address});
  }
  return flows;
}

/// All that frame() says of a stream that comes in pieces of a size, as "M120 S4 N0".
std::string frames_of(Loaded& rtsp, std::string_view stream, std::size_t piece) {
  std::string said;
  std::size_t begin = 0;
  std::size_t read = 0;
  pinhole_framing framing{};
  while (read < stream.size()) {
    const auto fresh = stream.substr(read, piece);
    const auto frame = rtsp.plugin.frame(rtsp.host.state(), &framing, fresh.data(), fresh.size());
    framing.scanned += static_cast<std::uint32_t>(fresh.size());
    read += fresh.size();
    if (frame.kind == PINHOLE_FRAME_MORE) continue;
    if (!said.empty()) said += ' ';
    said += "?MSN"[frame.kind];
    if (frame.kind == PINHOLE_FRAME_NOT_MINE) return said;
    said += std::to_string(frame.length);
    begin += frame.length;
    read = begin;
    framing = {};
  }
  return said;
}

}  // namespace

TEST_CASE("the ports of an RTSP client inside are replaced, and its server's media is let in to them",
          "[plugins][rtsp]") {
  struct Row {
    std::string_view what;
    std::string_view asked;
    std::string_view asked_outside;
    std::string_view answered;
    std::string_view answered_inside;
    std::vector<Flow> flows;
  };
  const std::vector<Row> rows = {
      {"a pair",
       "RTP/AVP;unicast;client_port=5000-5001",
       "RTP/AVP;unicast;client_port=15000-15001",
       "RTP/AVP;unicast;client_port=15000-15001;server_port=6000-6001;ssrc=1234",
       "RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001;ssrc=1234",
       {{5000, 6000}, {5001, 6001}}},
      {"UDP by its name, a destination, and the wish to record",
       "RTP/AVP/UDP;unicast;destination=10.77.0.10;client_port=5000-5001;mode=\"PLAY\"",
       "RTP/AVP/UDP;unicast;destination=203.0.113.2;client_port=15000-15001;mode=\"PLAY\"",
       "RTP/AVP/UDP;unicast;destination=203.0.113.2;client_port=15000-15001;server_port=6000-6001",
       "RTP/AVP/UDP;unicast;destination=10.77.0.10;client_port=5000-5001;server_port=6000-6001",
       {{5000, 6000}, {5001, 6001}}},
      {"one port",
       "RTP/AVP;unicast;client_port=5000",
       "RTP/AVP;unicast;client_port=15000",
       "RTP/AVP;unicast;client_port=15000;server_port=6000",
       "RTP/AVP;unicast;client_port=5000;server_port=6000",
       {{5000, 6000}}},
      {"a pair that begins odd",
       "RTP/AVP;unicast;client_port=5001-5002",
       "RTP/AVP;unicast;client_port=15001-15002",
       "RTP/AVP;unicast;client_port=15001-15002;server_port=6000-6001",
       "RTP/AVP;unicast;client_port=5001-5002;server_port=6000-6001",
       {{5001, 6000}, {5002, 6001}}},
      {"a server that says no ports of its own",
       "RTP/AVP;unicast;client_port=5000-5001",
       "RTP/AVP;unicast;client_port=15000-15001",
       "RTP/AVP;unicast;client_port=15000-15001",
       "RTP/AVP;unicast;client_port=5000-5001",
       {{5000, 0}, {5001, 0}}},
      {"a server that does not repeat the client's",
       "RTP/AVP;unicast;client_port=5000-5001",
       "RTP/AVP;unicast;client_port=15000-15001",
       "RTP/AVP;unicast;server_port=6000-6001",
       "RTP/AVP;unicast;server_port=6000-6001",
       {{5000, 6000}, {5001, 6001}}},
      {"media from another host",
       "RTP/AVP;unicast;client_port=5000-5001",
       "RTP/AVP;unicast;client_port=15000-15001",
       "RTP/AVP;unicast;source=203.0.113.77;client_port=15000-15001;server_port=6000-6001",
       "RTP/AVP;unicast;source=203.0.113.77;client_port=5000-5001;server_port=6000-6001",
       {{5000, 6000, 0xCB00714D}, {5001, 6001, 0xCB00714D}}},
      {"RTSP 2.0, ports alone",
       R"(RTP/AVP/UDP;unicast;dest_addr=":5000"/":5001")",
       R"(RTP/AVP/UDP;unicast;dest_addr=":15000"/":15001")",
       R"(RTP/AVP/UDP;unicast;dest_addr="203.0.113.2:15000"/"203.0.113.2:15001";src_addr="203.0.113.10:6000"/"203.0.113.10:6001")",
       R"(RTP/AVP/UDP;unicast;dest_addr="10.77.0.10:5000"/"10.77.0.10:5001";src_addr="203.0.113.10:6000"/"203.0.113.10:6001")",
       {{5000, 6000}, {5001, 6001}}},
      {"RTSP 2.0, with addresses",
       R"(RTP/AVP;unicast;dest_addr="10.77.0.10:5000"/"10.77.0.10:5001")",
       R"(RTP/AVP;unicast;dest_addr="203.0.113.2:15000"/"203.0.113.2:15001")",
       R"(RTP/AVP;unicast;dest_addr="203.0.113.2:15000"/"203.0.113.2:15001";src_addr=":6000"/":6001")",
       R"(RTP/AVP;unicast;dest_addr="10.77.0.10:5000"/"10.77.0.10:5001";src_addr=":6000"/":6001")",
       {{5000, 6000}, {5001, 6001}}},
      {"a choice, of which the server takes UDP",
       "RTP/AVP/TCP;interleaved=0-1, RTP/AVP;unicast;client_port=5000-5001",
       "RTP/AVP/TCP;interleaved=0-1, RTP/AVP;unicast;client_port=15000-15001",
       "RTP/AVP;unicast;client_port=15000-15001;server_port=6000-6001",
       "RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001",
       {{5000, 6000}, {5001, 6001}}},
      {"media over the connection",
       "RTP/AVP/TCP;unicast;interleaved=0-1",
       "RTP/AVP/TCP;unicast;interleaved=0-1",
       "RTP/AVP/TCP;unicast;interleaved=0-1",
       "RTP/AVP/TCP;unicast;interleaved=0-1",
       {}},
      {"multicast",
       "RTP/AVP;multicast;destination=224.2.0.1;port=3456-3457;ttl=16",
       "RTP/AVP;multicast;destination=224.2.0.1;port=3456-3457;ttl=16",
       "RTP/AVP;multicast;destination=224.2.0.1;port=3456-3457;ttl=16",
       "RTP/AVP;multicast;destination=224.2.0.1;port=3456-3457;ttl=16",
       {}},
      {"another host's address",
       "RTP/AVP;unicast;destination=10.77.0.99;client_port=5000-5001",
       "RTP/AVP;unicast;destination=10.77.0.99;client_port=15000-15001",
       "RTP/AVP/TCP;interleaved=0-1",
       "RTP/AVP/TCP;interleaved=0-1",
       {}},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.what) {
      Connection connection(PINHOLE_OUTSIDE);
      CHECK(connection.from_inside(setup(row.asked)) == setup(row.asked_outside));
      CHECK(announced(connection).empty());
      CHECK(connection.from_outside(ok(row.answered)) == ok(row.answered_inside));
      CHECK(announced(connection) == row.flows);
    }
  }
}

TEST_CASE("the ports of an RTSP server inside are replaced, and its client's reports are let in to them",
          "[plugins][rtsp]") {
  struct Row {
    std::string_view what;
    std::string_view asked;
    std::string_view answered;
    std::string_view answered_outside;
    std::vector<Flow> flows;
  };
  const std::vector<Row> rows = {
      {"a pair",
       "RTP/AVP;unicast;client_port=5000-5001",
       "RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001;source=10.77.0.10",
       "RTP/AVP;unicast;client_port=5000-5001;server_port=16000-16001;source=203.0.113.2",
       {{6000, 5000}, {6001, 5001}}},
      {"RTSP 2.0",
       R"(RTP/AVP;unicast;dest_addr=":5000"/":5001")",
       R"(RTP/AVP;unicast;dest_addr="203.0.113.10:5000"/"203.0.113.10:5001";src_addr="10.77.0.10:6000"/"10.77.0.10:6001")",
       R"(RTP/AVP;unicast;dest_addr="203.0.113.10:5000"/"203.0.113.10:5001";src_addr="203.0.113.2:16000"/"203.0.113.2:16001")",
       {{6000, 5000}, {6001, 5001}}},
      {"media to somebody else: nobody is let in",
       "RTP/AVP;unicast;destination=198.51.100.1;client_port=5000-5001",
       "RTP/AVP;unicast;destination=198.51.100.1;client_port=5000-5001;server_port=6000-6001",
       "RTP/AVP;unicast;destination=198.51.100.1;client_port=5000-5001;server_port=16000-16001",
       {}},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.what) {
      Connection connection(PINHOLE_INSIDE);
      CHECK(connection.from_outside(setup(row.asked)) == setup(row.asked));
      CHECK(connection.from_inside(ok(row.answered)) == ok(row.answered_outside));
      CHECK(announced(connection) == row.flows);
    }
  }
}

TEST_CASE("an RTSP server's media may have another external address than its connection", "[plugins][rtsp]") {
  const auto asked = setup("RTP/AVP;unicast;client_port=5000-5001");
  struct Row {
    std::string_view answered;
    std::string_view outside;
  };
  const Row row =
      GENERATE(Row{"RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001",
                   "RTP/AVP;unicast;client_port=5000-5001;server_port=16000-16001;source=192.0.2.9"},
               Row{"RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001;source=10.77.0.10",
                   "RTP/AVP;unicast;client_port=5000-5001;server_port=16000-16001;source=192.0.2.9"},
               Row{"RTP/AVP;unicast;client_port=5000-5001;source=10.77.0.10;server_port=6000-6001",
                   "RTP/AVP;unicast;client_port=5000-5001;source=192.0.2.9;server_port=16000-16001"});
  Connection connection(PINHOLE_INSIDE);
  connection.rtsp.host.reserved_address = 0xC0000209;
  connection.from_outside(asked);
  CHECK(connection.from_inside(ok(row.answered)) == ok(row.outside));
}

TEST_CASE("several streams of an RTSP connection keep their ports apart, also when they are set up at once",
          "[plugins][rtsp]") {
  Connection connection(PINHOLE_OUTSIDE);
  connection.from_inside(setup("RTP/AVP;unicast;client_port=5000-5001", 1));
  connection.from_inside(setup("RTP/AVP;unicast;client_port=5002-5003", 2));
  connection.from_outside(ok("RTP/AVP;unicast;server_port=6002-6003", 2));
  CHECK(announced(connection) == std::vector<Flow>{{5002, 6002}, {5003, 6003}});
  connection.from_outside(ok("RTP/AVP;unicast;client_port=15000-15001;server_port=6000-6001", 1));
  CHECK(announced(connection) == std::vector<Flow>{{5000, 6000}, {5001, 6001}});
}

TEST_CASE("PLAY announces what was agreed on again, TEARDOWN shuts what has not begun", "[plugins][rtsp]") {
  Connection connection(PINHOLE_OUTSIDE, "patience_s=7");
  connection.from_inside(setup("RTP/AVP;unicast;client_port=5000-5001"));
  connection.from_inside(request("PLAY"));
  CHECK(announced(connection).empty());  // nobody has agreed yet
  connection.from_outside(ok("RTP/AVP;unicast;client_port=15000-15001;server_port=6000-6001"));
  CHECK(connection.expected.front().seconds == 7);
  CHECK(connection.from_inside(request("PLAY")) == request("PLAY"));
  CHECK(announced(connection) == std::vector<Flow>{{5000, 6000}, {5001, 6001}});
  CHECK(connection.expected.front().seconds == 7);
  connection.from_inside(request("TEARDOWN"));
  CHECK(announced(connection) == std::vector<Flow>{{5000, 6000}, {5001, 6001}});
  CHECK(connection.expected.front().seconds == 1);
  connection.from_inside(request("PLAY"));
  CHECK(announced(connection).empty());
}

TEST_CASE("what an RTSP server refuses, and what is malformed, changes nothing", "[plugins][rtsp]") {
  Connection connection(PINHOLE_OUTSIDE);
  connection.from_inside(setup("RTP/AVP;unicast;client_port=5000-5001"));
  const auto refusal =
      "RTSP/1.0 461 Unsupported transport\r\nCSeq: 1\r\nTransport: RTP/AVP;client_port=15000-15001\r\n\r\n"s;
  CHECK(connection.from_outside(refusal) == refusal);
  CHECK(announced(connection).empty());
  const auto transport = GENERATE(
      "", ";", ",", "RTP/AVP;client_port", "RTP/AVP;client_port=", "RTP/AVP;client_port=0-1",
      "RTP/AVP;client_port=99999-1", "RTP/AVP;client_port=5000-5001-5002", "RTP/AVP;client_port=-5001",
      "RTP/AVP;dest_addr=\"", "RTP/AVP;dest_addr=\"\"", "RTP/AVP;dest_addr=\":\"/\":\"",
      "RTP/AVP;dest_addr=\"10.77.0.10.1:5000\"", "RTP/AVP;dest_addr=\"[::1]:5000\"",
      "RAW/RAW/UDP;client_port=5000-5001", "RTP;client_port=5000-5001", "RTP/AVP;client_port=80-81");
  CHECK(connection.from_inside(setup(transport)) == setup(transport));
  CHECK(connection.rtsp.count("setup") <= 2);
  CHECK(connection.rtsp.count("flow") == 0);
}

TEST_CASE("an RTSP answer about ports that nobody asked for is left as it is", "[plugins][rtsp]") {
  Connection connection(PINHOLE_OUTSIDE);
  const auto answer = ok("RTP/AVP;unicast;client_port=15000-15001;server_port=6000-6001", 3);
  CHECK(connection.from_outside(answer) == answer);
  CHECK(announced(connection).empty());
}

TEST_CASE("a transport may go on in the next line", "[plugins][rtsp]") {
  Connection connection(PINHOLE_OUTSIDE);
  CHECK(connection.from_inside(setup("RTP/AVP;unicast;\r\n client_port=5000-5001")) ==
        setup("RTP/AVP;unicast;\r\n client_port=15000-15001"));
}

TEST_CASE("an RTSP request that a rule forbids goes on under a name that no server knows",
          "[plugins][rtsp]") {
  Connection connection(PINHOLE_INSIDE);
  connection.rtsp.host.rule = [](std::string_view command, std::string_view) { return command != "RECORD"; };
  CHECK(connection.from_outside(request("RECORD")) == request("REFUSED"));
  CHECK(connection.rtsp.host.judged.front() == "RECORD rtsp://203.0.113.10/a");
  CHECK(connection.from_outside(request("PLAY")) == request("PLAY"));
}

TEST_CASE("an RTSP transport for which there is no port is left as it is, and counted", "[plugins][rtsp]") {
  Connection connection(PINHOLE_OUTSIDE);
  connection.rtsp.host.reserve_answer = PINHOLE_FULL;
  const auto asked = setup("RTP/AVP;unicast;client_port=5000-5001");
  CHECK(connection.from_inside(asked) == asked);
  CHECK(connection.rtsp.count("no_room") == 1);
}

TEST_CASE("in route mode nothing of RTSP is edited, and media is let in", "[plugins][rtsp]") {
  Connection connection(PINHOLE_INSIDE);
  connection.rtsp.host.unchanged = true;
  const auto asked = setup("RTP/AVP;unicast;client_port=5000-5001");
  const auto answered = ok("RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001;source=10.77.0.10");
  CHECK(connection.from_outside(asked) == asked);
  CHECK(connection.from_inside(answered) == answered);
  CHECK(announced(connection) == std::vector<Flow>{{6000, 5000}, {6001, 5001}});
}

TEST_CASE("options of the RTSP plug-in are read, and refused when they are none", "[plugins][rtsp]") {
  const auto& plugin = load_example("rtsp");
  for (const char* const wrong :
       {"patience_s", "patience_s=", "patience_s=0", "patience_s=3601", "patience=5", "x"}) {
    const FakeGatewayHost host(plugin, wrong);
    CHECK_FALSE(host.started());
  }
}

TEST_CASE("messages of RTSP are found in a stream, however it is cut", "[plugins][rtsp]") {
  const auto describe = "DESCRIBE rtsp://a/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"s;
  const auto answer = "RTSP/1.0 200 OK\r\ncontent-LENGTH : 12\r\nCSeq: 1\r\n\r\nhello\r\n\r\nabc"s;
  const auto bare = "RTSP/2.0 200 OK\nCSeq: 1\n\n"s;
  const auto packet = "$\0\0\7RTSP/1."s;
  const auto m = [](const std::string& text) { return 'M' + std::to_string(text.size()); };
  struct Row {
    std::string_view what;
    std::string stream;
    std::string frames;
  };
  const std::vector<Row> rows = {
      {"one request", describe, m(describe)},
      {"pipelined requests", describe + describe, m(describe) + ' ' + m(describe)},
      {"an answer with a body", answer + describe, m(answer) + ' ' + m(describe)},
      {"bare line feeds", bare + bare, m(bare) + ' ' + m(bare)},
      {"media between messages", packet + describe + packet + packet + answer,
       "S11 " + m(describe) + " S11 S11 " + m(answer)},
      {"an empty packet", "$\1\0\0"s + describe, "S4 " + m(describe)},
      {"HTTP", "GET / HTTP/1.1\r\n\r\n", "N"},
      {"TLS", "\x16\x03\x01\x02", "N"},
      {"two lengths", "RTSP/1.0 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "N"},
      {"a length that is no number", "RTSP/1.0 200 OK\r\nContent-Length: 1x\r\n\r\n", "N"},
  };
  Loaded rtsp("rtsp", PINHOLE_TCP, PINHOLE_OUTSIDE);
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.what) {
      for (std::size_t piece = 1; piece <= row.stream.size(); ++piece) {
        INFO("in pieces of " << piece);
        CHECK(frames_of(rtsp, row.stream, piece) == row.frames);
      }
    }
  }
  SECTION("line ends between messages are skipped") {
    CHECK(frames_of(rtsp, "\r\n" + describe, 1) == "S1 S1 " + m(describe));
    CHECK(frames_of(rtsp, "\r\n" + describe, 100) == "S2 " + m(describe));
  }
  SECTION("a message that is too large to be shown passes") {
    const auto head = "RTSP/1.0 200 OK\r\nContent-Length: 70000\r\n\r\n"s;
    CHECK(frames_of(rtsp, head, head.size()) == 'S' + std::to_string(head.size() + 70000));
  }
  SECTION("a head without an end is not waited for") {
    CHECK(frames_of(rtsp, "RTSP/1.0 200 OK\r\nX: " + std::string(40000, 'x'), 1000) == "N");
  }
}
