// SPDX-License-Identifier: BSD-3-Clause
// SIP over TCP through the whole pipeline: segments in, segments out, with the numbers that each end expects.
#include <catch2/catch.hpp>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "dataplane/config/policy.hpp"
#include "dataplane/context.hpp"
#include "tests/dataplane/tcp_talk.hpp"
#include "tests/support/policy_talk.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Endpoint;
using nat::Protocol;
using nat::TcpHeader;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
constexpr unsigned kAck = TcpHeader::kAck;
constexpr std::uint32_t kPhoneStart = 0xfffffe00;  // its numbers wrap within the first message
constexpr std::uint32_t kProxyStart = 7000;
const Endpoint kProxy = endpoint("198.51.100.7", 5060);

using Segment = SentSegment;

/// A connection of a phone with a proxy.
class Connection {
 public:
  explicit Connection(bool reads) : lab_(with(reads)) {
    lab_.add_neighbor(kOutside, address("203.0.113.254"));
    connect(5060);
  }

  /// Goes on by a connection from another port of the phone, or of another host of its worker.
  void connect(unsigned port, unsigned host = 0) {
    phone_ = {lab_.host_of(0, host), nat::Be16{static_cast<std::uint16_t>(port)}};
    CHECK(from_phone(kPhoneStart, 0, "", TcpHeader::kSyn).size() == 1);
    external_ = lab_.mapping(Protocol::tcp, phone_).external;
    CHECK(from_proxy(kProxyStart, kPhoneStart + 1, "", TcpHeader::kSyn | kAck).size() == 1);
    CHECK(from_phone(kPhoneStart + 1, kProxyStart + 1, "").size() == 1);
  }

  std::vector<Segment> from_phone(std::uint32_t sequence, std::uint32_t acknowledgement,
                                  const std::string& text, unsigned flags = kAck) {
    return pass(kInside, phone_, kProxy, sequence, acknowledgement, text, flags);
  }
  std::vector<Segment> from_proxy(std::uint32_t sequence, std::uint32_t acknowledgement,
                                  const std::string& text, unsigned flags = kAck) {
    return pass(kOutside, kProxy, external_, sequence, acknowledgement, text, flags);
  }

  [[nodiscard]] Endpoint inside() const { return phone_; }
  [[nodiscard]] Endpoint external() const { return external_; }
  [[nodiscard]] std::string phone() const { return std::string(nat::EndpointText(phone_.address).view()); }
  [[nodiscard]] std::string invite() const { return invite(phone(), 40000); }
  /// \param media  where media is wanted
  [[nodiscard]] std::string invite(const std::string& media, unsigned port) const {
    const auto host = phone();
    const auto body = "v=0\r\no=- 1 1 IN IP4 " + host + "\r\ns=-\r\nc=IN IP4 " + media +
                      "\r\nt=0 0\r\nm=audio " + std::to_string(port) + " RTP/AVP 0\r\n";
    return "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TCP " + host +
           ":5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=a\r\n"
           "To: <sip:bob@example.com>\r\nCall-ID: one@example.com\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@" +
           host + ":5060;transport=tcp>\r\nContent-Type: application/sdp\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  /// \param names  lines with its endpoints; HOST and OTHER stand for the phone and another host
  [[nodiscard]] std::string message(const std::string& start, std::string names) {
    const auto other = std::string(nat::EndpointText(lab_.host_of(0, 1)).view());
    for (const auto& [mark, host] :
         {std::pair{std::string("HOST"), phone()}, {std::string("OTHER"), other}}) {
      for (auto at = names.find(mark); at != std::string::npos; at = names.find(mark))
        names.replace(at, mark.size(), host);
    }
    return start + "\r\nVia: SIP/2.0/TCP " + phone() + ":" + std::to_string(phone_.port.host()) +
           ";branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=a\r\n"
           "To: <sip:alice@example.com>\r\nCall-ID: names\r\nCSeq: 1 REGISTER\r\n" +
           names + "\r\nContent-Length: 0\r\n\r\n";
  }
  /// Whether a SYN of the proxy to an external endpoint gets in.
  bool lets_in(Endpoint external) {
    const auto sent = pass(kOutside, {kProxy.address, nat::Be16{4444}}, external, 1, 0, "", TcpHeader::kSyn);
    return !sent.empty() && sent[0].interface == kInside;
  }
  PipelineLab& lab() { return lab_; }

 private:
  static config::Config with(bool reads) {
    auto config = lab_config();
    config.sip.tcp = reads;
    return config;
  }

  std::vector<Segment> pass(unsigned interface, Endpoint from, Endpoint to, std::uint32_t sequence,
                            std::uint32_t acknowledgement, const std::string& text, unsigned flags) {
    FrameSpec spec{.protocol = nat::kIpProtocolTcp, .source = from, .destination = to};
    spec.tcp_flags = static_cast<std::uint8_t>(flags);
    spec.tcp_mss = (flags & TcpHeader::kSyn) != 0 ? 1460 : 0;
    spec.tcp_sequence = sequence;
    spec.tcp_acknowledgement = acknowledgement;
    spec.payload.resize(text.size());
    if (!text.empty()) std::memcpy(spec.payload.data(), text.data(), text.size());
    std::vector<Segment> segments;
    for (const auto& sent : lab_.send(interface, spec)) segments.push_back(Segment::of(sent));
    return segments;
  }

  PipelineLab lab_;
  Endpoint phone_;
  Endpoint external_;
};

std::uint32_t size_of(const std::string& text) {
  return static_cast<std::uint32_t>(text.size());
}

/// The INVITE as the proxy is to see it: as long as what it says, and with nothing of the inside.
void check_invite(const Connection& connection, const std::string& text) {
  CHECK(text.starts_with("INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 203.0.113.1:"));
  CHECK(text.find(connection.phone()) == std::string::npos);
  CHECK(text.find("c=IN IP4 203.0.113.1\r\n") != std::string::npos);
  const auto body = text.substr(text.find("\r\n\r\n") + 4);
  CHECK(text.find("Content-Length: " + std::to_string(body.size()) + "\r\n") != std::string::npos);
}

constexpr std::uint32_t kFirst = kPhoneStart + 1;
constexpr std::uint32_t kProxyFirst = kProxyStart + 1;

}  // namespace

TEST_CASE("a message in one segment is edited, and numbers are translated both ways",
          "[dataplane][sip][stream][AC-07]") {
  Connection connection(true);
  const auto invite = connection.invite();
  const auto out = connection.from_phone(kFirst, kProxyFirst, invite);
  REQUIRE(out.size() == 1);
  CHECK(out[0].interface == kOutside);
  CHECK(out[0].sequence == kFirst);
  CHECK(out[0].acknowledgement == kProxyFirst);
  check_invite(connection, out[0].text);
  const auto end = kFirst + size_of(invite);
  const auto end_outside = kFirst + size_of(out[0].text);
  REQUIRE(end != end_outside);

  // Sent again before it is acknowledged: the same bytes.
  const auto again = connection.from_phone(kFirst, kProxyFirst, invite);
  REQUIRE(again.size() == 1);
  CHECK(again[0].sequence == kFirst);
  CHECK(again[0].text == out[0].text);

  const std::string trying =
      "SIP/2.0 100 Trying\r\nVia: SIP/2.0/TCP example.com\r\nContent-Length: 0\r\n\r\n";
  const auto answer = connection.from_proxy(kProxyFirst, end_outside, trying);
  REQUIRE(answer.size() == 1);
  CHECK(answer[0].interface == kInside);
  CHECK(answer[0].sequence == kProxyFirst);
  CHECK(answer[0].acknowledgement == end);
  CHECK(answer[0].text == trying);

  // What follows is shifted, whether it has bytes or not.
  const auto acknowledged = connection.from_phone(end, kProxyFirst + size_of(trying), "");
  REQUIRE(acknowledged.size() == 1);
  CHECK(acknowledged[0].sequence == end_outside);
  CHECK(acknowledged[0].acknowledgement == kProxyFirst + size_of(trying));
  const auto alive = connection.from_phone(end, kProxyFirst + size_of(trying), "\r\n\r\n");
  REQUIRE(alive.size() == 1);
  CHECK(alive[0].sequence == end_outside);
  CHECK(alive[0].text == "\r\n\r\n");
  CHECK(connection.lab().count(WorkerCounter::pinhole_opened) > 0);
  CHECK(connection.lab().drops().empty());
}

TEST_CASE("a segment whose number was changed may be fragmented on its way",
          "[dataplane][sip][stream][rfc1191]") {
  Connection connection(true);
  const auto field = [](const Frame& frame, std::size_t at) {
    return std::to_integer<unsigned>(frame[at]) << 8U | std::to_integer<unsigned>(frame[at + 1]);
  };
  constexpr std::size_t kFragment = 14 + 6;
  constexpr std::size_t kIdentification = 14 + 4;
  FrameSpec spec{.protocol = nat::kIpProtocolTcp, .source = connection.inside(), .destination = kProxy};
  spec.identification = 0;
  spec.fragment = nat::Ipv4Header::kDontFragment;
  spec.tcp_acknowledgement = kProxyFirst;
  const std::string alive = "\r\n\r\n";
  const auto invite = connection.invite();
  std::uint32_t next = kFirst;
  for (const auto& [text, keeps_df] : {std::pair{alive, true}, {invite, false}, {alive, false}}) {
    spec.tcp_sequence = next;
    spec.payload.resize(text.size());
    std::memcpy(spec.payload.data(), text.data(), text.size());
    const auto sent = connection.lab().send(kInside, spec);
    REQUIRE(sent.size() == 1);
    CHECK(checksums_right(sent[0].frame));
    CHECK((field(sent[0].frame, kFragment) == nat::Ipv4Header::kDontFragment) == keeps_df);
    CHECK((field(sent[0].frame, kIdentification) == 0) == keeps_df);
    next += size_of(text);
  }
}

TEST_CASE("a message that is cut in two goes out whole", "[dataplane][sip][stream][AC-07]") {
  const auto cuts = GENERATE(1U, 20U, 60U, 300U, 390U);
  INFO("cut at " << cuts);
  Connection connection(true);
  const auto invite = connection.invite();
  const auto held = connection.from_phone(kFirst, kProxyFirst, invite.substr(0, cuts));
  REQUIRE(held.size() == 1);
  CHECK(held[0].interface == kInside);  // so that the rest is sent
  CHECK(held[0].acknowledgement == kFirst + cuts);
  CHECK(held[0].sequence == kProxyFirst);
  CHECK(held[0].text.empty());

  const auto sent = connection.from_phone(kFirst + cuts, kProxyFirst, invite.substr(cuts));
  std::string out;
  for (const auto& segment : sent) {
    if (segment.interface != kOutside) continue;
    CHECK(segment.sequence == kFirst + size_of(out));
    out += segment.text;
  }
  check_invite(connection, out);
  const auto back = connection.from_proxy(kProxyFirst, kFirst + size_of(out), "");
  REQUIRE(back.size() == 1);
  CHECK(back[0].acknowledgement == kFirst + size_of(invite));
  CHECK(connection.lab().drops().empty());
}

TEST_CASE("what is not SIP passes as it is, and is not looked at any more",
          "[dataplane][sip][stream][AC-23]") {
  for (const std::string text : {"\x16\x03\x01\x02client hello", "POST /x HTTP/1.1\r\nHost: a\r\n\r\n"}) {
    INFO(text);
    Connection connection(true);
    const auto out = connection.from_phone(kFirst, kProxyFirst, text + connection.invite());
    REQUIRE(out.size() == 1);
    CHECK(out[0].text == text + connection.invite());
    CHECK(connection.lab().context(0).streams.size() == 1);
    CHECK(connection.from_proxy(kProxyFirst, kFirst + size_of(out[0].text), "").size() == 1);
    CHECK(connection.lab().context(0).streams.size() == 0);
    CHECK(connection.lab().count(WorkerCounter::pinhole_opened) == 0);
  }
}

TEST_CASE("a whole message in a segment of its own is none behind what is not SIP, on either way",
          "[dataplane][sip][stream][AC-20][AC-23]") {
  const std::string post = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\nfield=";
  const std::string tls = "\x16\x03\x01\x02client hello";
  for (const auto& [name, first] : {std::pair{"a form", post}, {"TLS", tls}}) {
    for (const bool first_by_proxy : {false, true}) {
      for (const bool then_by_proxy : {false, true}) {
        for (const bool acknowledged : {false, true}) {
          DYNAMIC_SECTION(name << " by the " << (first_by_proxy ? "proxy" : "phone") << ", then SIP by the "
                               << (then_by_proxy ? "proxy" : "phone")
                               << (acknowledged ? ", once it is acknowledged" : "")) {
            Connection connection(true);
            auto& lab = connection.lab();
            std::array<std::uint32_t, 2> next = {kFirst, kProxyFirst};
            const auto say = [&](bool by_proxy, const std::string& text) {
              const auto out = by_proxy ? connection.from_proxy(next[1], next[0], text)
                                        : connection.from_phone(next[0], next[1], text);
              REQUIRE(out.size() == 1);
              CHECK(out[0].interface == (by_proxy ? kInside : kOutside));
              CHECK(out[0].sequence == next[by_proxy ? 1 : 0]);
              CHECK(out[0].acknowledgement == next[by_proxy ? 0 : 1]);
              CHECK(out[0].text == text);
              next[by_proxy ? 1 : 0] += size_of(text);
            };
            say(first_by_proxy, first);
            if (acknowledged) say(!first_by_proxy, "");
            CHECK((lab.context(0).streams.size() == 0) == acknowledged);
            auto invite = connection.invite();
            if (then_by_proxy) {
              const auto own = std::string(nat::EndpointText(connection.external()).view());
              invite.replace(0, invite.find(' ', 7), "INVITE sip:alice@" + own + ";transport=tcp");
            }
            say(then_by_proxy, invite);
            say(then_by_proxy, connection.message("REGISTER sip:example.com SIP/2.0",
                                                  "Contact: <sip:alice@HOST:40555;transport=tcp>"));
            CHECK(lab.count(WorkerCounter::pinhole_opened) == 0);
            CHECK(lab.count(WorkerCounter::call_live) == 0);
            CHECK(lab.count(nat::Counter::mapping_live) == 1);
            CHECK(lab.drops().empty());
          }
        }
      }
    }
  }
}

TEST_CASE("over TCP nothing is opened for another host or a port below 1024",
          "[dataplane][sip][stream][AC-23]") {
  struct Row {
    std::string host;  // empty: the phone
    unsigned port;
    bool opens;
  };
  for (const auto& row : {Row{"", 40000, true}, {"", 22, false}, {"10.0.9.9", 40000, false}}) {
    INFO(row.host << ":" << row.port);
    Connection connection(true);
    const auto host = row.host.empty() ? connection.phone() : row.host;
    const auto out = connection.from_phone(kFirst, kProxyFirst, connection.invite(host, row.port));
    REQUIRE(out.size() == 1);
    INFO(out[0].text);
    const auto written = "m=audio " + std::to_string(row.port) + " ";
    CHECK((out[0].text.find(written) == std::string::npos) == row.opens);
    CHECK((connection.lab().count(WorkerCounter::pinhole_opened) > 0) == row.opens);
  }
}

TEST_CASE("over TCP no signalling is opened for another host or a port below 1024",
          "[dataplane][sip][stream][AC-23]") {
  struct Row {
    const char* host;
    const char* port;
    bool opens;
  };
  const Row rows[] = {{"HOST", "40555", true}, {"HOST", "1024", true},   {"HOST", "1023", false},
                      {"HOST", "22", false},   {"OTHER", "5060", false}, {"OTHER", "40555", false},
                      {"OTHER", "22", false}};
  // What names an endpoint: in front of its host, in front of its port, and behind.
  struct Place {
    const char* name;
    const char* host;
    const char* port;
    const char* end;
  };
  const Place places[] = {
      {"Contact", "Contact: <sip:alice@", ":", ";transport=tcp>"},
      {"Contact for UDP", "Contact: <sip:alice@", ":", ";transport=udp>"},
      {"Via", "Via: SIP/2.0/TCP ", ":", ";branch=z9hG4bK0"},
      {"received", "Via: SIP/2.0/TCP a.example.com;received=", ";rport=", ";branch=z9hG4bK0"},
      {"Record-Route", "Record-Route: <sip:", ":", ";transport=tcp;lr>"},
      {"Path", "Path: <sip:", ":", ";transport=tcp;lr>"},
      {"Refer-To", "Refer-To: <sip:alice@", ":", ";transport=tcp>"}};
  const auto check = [](const std::string& names, unsigned port, bool opens) {
    Connection connection(true);
    auto& lab = connection.lab();
    REQUIRE(lab.count(nat::Counter::mapping_live) == 1);
    const auto text = connection.message("REGISTER sip:example.com SIP/2.0", names);
    const auto out = connection.from_phone(kFirst, kProxyFirst, text);
    REQUIRE(out.size() == 1);
    INFO(out[0].text);
    CHECK(out[0].text.starts_with("REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP 203.0.113.1:"));
    // All but its first Via is as it came.
    const auto behind_via = [](const std::string& whole) {
      return whole.substr(whole.find("\r\nMax-Forwards"));
    };
    CHECK((behind_via(out[0].text) == behind_via(text)) == !opens);
    CHECK(lab.count(nat::Counter::mapping_live) == (opens ? 2 : 1));
    const nat::Be16 named{static_cast<std::uint16_t>(port)};
    const auto own = connection.external();
    if (!opens && named != own.port) CHECK_FALSE(connection.lets_in({own.address, named}));
    if (opens && names.find("=udp") == std::string::npos)
      CHECK(connection.lets_in(lab.mapping(Protocol::tcp, {connection.inside().address, named}).external));
  };
  for (const auto& row : rows) {
    const auto port = static_cast<unsigned>(std::stoul(row.port));
    for (const auto& place : places) {
      DYNAMIC_SECTION(place.name << " " << row.host << ":" << row.port) {
        check(std::string(place.host) + row.host + place.port + row.port + place.end, port, row.opens);
      }
    }
    DYNAMIC_SECTION("maddr " << row.host << ":" << row.port) {
      const auto uri = std::string("sip:alice@phone.example.com:") + row.port + ";transport=tcp;maddr=";
      check("Contact: <" + uri + row.host + ">", port, row.opens);
    }
  }
}

TEST_CASE("over TCP a message is not told which port stands for an endpoint of another host",
          "[dataplane][sip][stream][AC-23]") {
  Connection connection(true);
  auto& lab = connection.lab();
  connection.connect(5060, 1);
  const auto other =
      connection.message("REGISTER sip:example.com SIP/2.0", "Contact: <sip:a@HOST:5060;transport=tcp>");
  REQUIRE(connection.from_phone(kFirst, kProxyFirst, other).size() == 1);
  connection.connect(5070);
  const auto own =
      connection.message("REGISTER sip:example.com SIP/2.0", "Contact: <sip:a@HOST:5080;transport=tcp>");
  REQUIRE(connection.from_phone(kFirst, kProxyFirst, own).size() == 1);
  const auto live = lab.count(nat::Counter::mapping_live);

  // A response repeats what its request named.
  auto at = kFirst + size_of(own);
  for (const auto& [names, is_told] : {std::pair{"Record-Route: <sip:OTHER:5060;transport=tcp;lr>", false},
                                       {"Record-Route: <sip:HOST:5080;transport=tcp;lr>", true}}) {
    INFO(names);
    const auto text = connection.message("SIP/2.0 200 OK", names);
    const auto out = connection.from_phone(at, kProxyFirst, text);
    REQUIRE(out.size() == 1);
    INFO(out[0].text);
    const auto line =
        text.substr(text.find("Record-Route"), text.find(";transport") - text.find("Record-Route"));
    CHECK((out[0].text.find(line) == std::string::npos) == is_told);
    CHECK(lab.count(nat::Counter::mapping_live) == live);
    at += size_of(text);
  }
}

TEST_CASE("while the gateway is off, messages of a connection pass as they came, but for calls that live",
          "[dataplane][sip][stream][AC-24][rfc4787-req10]") {
  Connection connection(true);
  auto& lab = connection.lab();
  auto at = kFirst;
  const auto is_translated = [&](const std::string& call_id) {
    auto text = connection.invite();
    text.replace(text.find("one@"), 3, call_id);
    const auto out = connection.from_phone(at, kProxyFirst, text);
    at += size_of(text);
    REQUIRE(out.size() == 1);
    CHECK((out[0].text == text || out[0].text.find(connection.phone()) == std::string::npos));
    return out[0].text != text;
  };
  PolicyTalk talk(lab);
  const auto turn = [&](bool on) { talk.turn({.scope = ipc::SwitchScope::all, .on = on}); };
  CHECK(is_translated("one"));
  turn(false);
  const auto pinholes = lab.count(WorkerCounter::pinhole_opened);
  CHECK_FALSE(is_translated("two"));
  CHECK(lab.count(WorkerCounter::pinhole_opened) == pinholes);
  CHECK(lab.count(WorkerCounter::call_live) == 1);
  CHECK(lab.count(ipc::kSipGateway, ipc::GatewayCounter::switched_off) == 1);
  CHECK(is_translated("one"));
  turn(true);
  CHECK(is_translated("two"));
}

TEST_CASE("while the gateway is off, a call that lives is seen through on a connection that begins then",
          "[dataplane][sip][stream][AC-24][rfc4787-req10]") {
  Connection connection(true);
  auto& lab = connection.lab();
  const auto invite = connection.invite();
  check_invite(connection, connection.from_phone(kFirst, kProxyFirst, invite).at(0).text);
  PolicyTalk(lab).turn({.scope = ipc::SwitchScope::all, .on = false});
  connection.connect(5070);
  auto other = invite;
  other.replace(other.find("one@"), 3, "two");
  CHECK(connection.from_phone(kFirst, kProxyFirst, other).at(0).text == other);
  check_invite(connection, connection.from_phone(kFirst + size_of(invite), kProxyFirst, invite).at(0).text);
  CHECK(lab.count(WorkerCounter::call_live) == 1);
}

TEST_CASE("a message that a rule drops is taken out of its connection, and the next one goes on",
          "[dataplane][sip][stream][policy]") {
  Connection connection(true);
  auto& lab = connection.lab();
  config::Rule rule;
  rule.name = "no-invites";
  rule.action = alg::sip::RuleAction::drop;
  rule.transport = nat::Protocol::tcp;
  rule.interfaces = {"outside"};
  rule.methods = {alg::sip::Method::invite};
  auto config = lab_config();
  config.protection.rules = {rule};
  PolicyTalk talk(lab);
  talk.put([&](ipc::PolicyImage& image) { REQUIRE(config::write_policy(config, image).has_value()); });

  const auto invite = connection.invite();
  auto options = invite;
  for (auto at = options.find("INVITE"); at != std::string::npos; at = options.find("INVITE"))
    options.replace(at, 6, "OPTIONS");
  const auto out = connection.from_phone(kFirst, kProxyFirst, invite + options);
  std::string text;
  for (const auto& segment : out) text += segment.text;
  CHECK(text.starts_with("OPTIONS sip:bob@example.com SIP/2.0\r\n"));
  CHECK(text.find("INVITE") == std::string::npos);
  CHECK(lab.dropped(nat::DropReason::drop_sip_rule) == 1);
  CHECK(talk.hits(0) == 1);
}

TEST_CASE("while the gateway is off and no call lives, a connection that begins is not read",
          "[dataplane][sip][stream][AC-24][rfc4787-req10]") {
  Connection connection(true);
  auto& lab = connection.lab();
  PolicyTalk(lab).turn({.scope = ipc::SwitchScope::all, .on = false});
  const auto streams = lab.context(0).streams.size();
  connection.connect(5070);
  CHECK(lab.context(0).streams.size() == streams);
  CHECK(connection.from_phone(kFirst, kProxyFirst, connection.invite()).at(0).text == connection.invite());
}

TEST_CASE("without sip.tcp a connection on a SIP port is one like any other", "[dataplane][sip][stream]") {
  Connection connection(false);
  CHECK(connection.lab().context(0).streams.size() == 0);
  const auto invite = connection.invite();
  const auto out = connection.from_phone(kFirst, kProxyFirst, invite);
  REQUIRE(out.size() == 1);
  CHECK(out[0].text == invite);
  CHECK(connection.lab().count(WorkerCounter::pinhole_opened) == 0);
}
