// SPDX-License-Identifier: BSD-3-Clause
// What a configuration says about SIP, seen on the wire; and that endpoints come back as they were written,
// whichever worker knows how.
#include <catch2/catch.hpp>

#include <cstring>
#include <optional>
#include <string>

#include "dataplane/context.hpp"
#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::DropReason;
using nat::Endpoint;
using nat::Protocol;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
const Endpoint kProxy = endpoint("198.51.100.7", 5060);

std::string text_of(nat::Ipv4Address address) {
  return std::string(nat::EndpointText(address).view());
}

std::string lines(std::initializer_list<std::string> list) {
  std::string text;
  for (const auto& line : list) text += line + "\r\n";
  return text;
}

std::string message(const std::string& start, const std::string& via, const std::string& party,
                    const std::string& call_id, const std::string& contact) {
  return lines({start, "Via: SIP/2.0/UDP " + via + ";branch=z9hG4bK1;rport",
                "From: <sip:alice@" + party + ">;tag=a", "To: <sip:bob@example.com>", "Call-ID: " + call_id,
                "CSeq: 1 INVITE", contact, ""});
}

class Lab {
 public:
  explicit Lab(const config::Sip& sip = {}, unsigned workers = 1, const config::Calls& calls = {})
      : lab_(with(sip, workers, calls)) {
    lab_.add_neighbor(kOutside, address("203.0.113.254"));
    phone_ = lab_.host_of(0);
    other_ = lab_.host_of(workers - 1, 1);
  }

  [[nodiscard]] std::string phone() const { return text_of(phone_); }
  [[nodiscard]] std::string other() const { return text_of(other_); }
  PipelineLab& pipeline() { return lab_; }
  [[nodiscard]] nat::Ipv4Address other_host() const { return other_; }

  /// What the proxy gets of a message of the phone; none when it was dropped.
  std::optional<std::string> out(const std::string& text) { return out_of(phone_, text); }
  std::optional<std::string> out_of(nat::Ipv4Address host, const std::string& text) {
    return pass(kInside, {.source = {host, nat::Be16{5060}}, .destination = kProxy}, text);
  }
  std::optional<std::string> in(const std::string& text) {
    const auto external = lab_.mapping(Protocol::udp, {phone_, nat::Be16{5060}}).external;
    return pass(kOutside, {.source = kProxy, .destination = external}, text);
  }

 private:
  static config::Config with(const config::Sip& sip, unsigned workers, const config::Calls& calls) {
    auto config = lab_config(workers);
    config.sip = sip;
    config.calls = calls;
    return config;
  }

  std::optional<std::string> pass(unsigned interface, FrameSpec spec, const std::string& text) {
    spec.payload.resize(text.size());
    std::memcpy(spec.payload.data(), text.data(), text.size());
    const auto sent = lab_.send(interface, spec);
    // An answer of Pinhole's own goes the other way.
    if (sent.size() != 1 || sent[0].interface == interface) return std::nullopt;
    constexpr std::size_t kHeaders = 14 + 20 + 8;
    const auto& frame = sent[0].frame;
    return std::string(reinterpret_cast<const char*>(frame.data()) + kHeaders, frame.size() - kHeaders);
  }

  PipelineLab lab_;
  nat::Ipv4Address phone_;
  nat::Ipv4Address other_;
};

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

}  // namespace

TEST_CASE("hidden hosts are tokens outside, and one call inside", "[dataplane][sip][AC-15]") {
  config::Sip sip;
  sip.hide_parties = sip.hide_call_id = true;
  sip.hide_key = "000102030405060708090a0b0c0d0e0f";
  std::optional<std::string> first;
  for (int start = 0; start < 2; ++start) {
    Lab lab(sip);
    const auto invite = message("INVITE sip:bob@example.com SIP/2.0", lab.phone() + ":5060", lab.phone(),
                                "1@" + lab.phone(), "Replaces: 2@" + lab.phone() + ";to-tag=1;from-tag=2");
    const auto out = lab.out(invite);
    REQUIRE(out);
    CHECK(out->find(lab.phone()) == std::string::npos);
    CHECK(out->find(".invalid") != std::string::npos);
    CHECK(lab.pipeline().context(0).calls.size() == 1);
    // The answer carries Via, From and Call-ID back as they went out.
    const auto answer = replaced(*out, "INVITE sip:bob@example.com SIP/2.0", "SIP/2.0 180 Ringing");
    CHECK(lab.in(answer) == replaced(invite, "INVITE sip:bob@example.com SIP/2.0", "SIP/2.0 180 Ringing"));
    CHECK(lab.pipeline().context(0).calls.size() == 1);
    CHECK(lab.pipeline().context(0).calls.card(0).step.state == ipc::CallState::ringing);

    // Another start, the same key, the same tokens; only the external port is drawn anew.
    const auto tokens = out->substr(out->find("From:"));
    if (start > 0) CHECK(tokens == first);
    first = tokens;
  }
}

TEST_CASE("what software runs inside is not told outside when that is configured",
          "[dataplane][sip][hiding]") {
  config::Sip sip;
  sip.software = alg::sip::Software::replace;
  sip.software_name = "Example SBC, as all the others";  // longer than what a string has room for in itself
  for (const unsigned workers : {1U, 2U}) {
    Lab lab(sip, workers);
    for (const std::string start :
         {"INVITE sip:bob@example.com SIP/2.0", "OPTIONS sip:bob@example.com SIP/2.0", "SIP/2.0 200 OK"}) {
      const auto text = message(start, "phone.example.com", "example.com", "1", "User-Agent: Acme Desk/7.1");
      CHECK(lab.out(text) == replaced(text, "Acme Desk/7.1", sip.software_name));
      CHECK(lab.in(text) == text);
    }
  }
}

TEST_CASE("SIP that cannot be read goes on, or is dropped when that is configured",
          "[dataplane][sip][AC-16][AC-20]") {
  const std::string broken = "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5\r\n";
  {
    Lab lab;
    CHECK(lab.out(broken) == broken);
  }
  config::Sip sip;
  sip.malformed = alg::sip::Malformed::drop;
  Lab strict(sip);
  CHECK_FALSE(strict.out(broken));
  CHECK(strict.pipeline().dropped(DropReason::drop_sip_malformed) == 1);
}

TEST_CASE("messages of a transparent peer pass as they are", "[dataplane][sip][AC-04]") {
  config::Sip sip;
  sip.transparent = {*nat::Prefix::parse("198.51.100.0/28")};
  Lab lab(sip);
  const auto invite = message("INVITE sip:bob@example.com SIP/2.0", lab.phone() + ":5060", "example.com", "1",
                              "Contact: <sip:alice@" + lab.phone() + ":5060>");
  CHECK(lab.out(invite) == invite);
  CHECK(lab.in(invite) == invite);
  CHECK(lab.pipeline().context(0).calls.size() == 0);
}

TEST_CASE("endpoints come back with a port or without, also those of another worker's host",
          "[dataplane][sip][AC-10][AC-11]") {
  for (const unsigned workers : {1U, 2U}) {
    for (const std::string via_port : {"", ":5060"}) {
      for (const std::string contact_port : {"", ":5060"}) {
        DYNAMIC_SECTION(workers << " workers, Via " << via_port << ", Contact " << contact_port) {
          Lab lab({}, workers);
          const auto text =
              message("OPTIONS sip:bob@example.com SIP/2.0", lab.phone() + via_port, "example.com", "1",
                      "Contact: <sip:alice@" + lab.phone() + contact_port + ">, <sip:alice@" + lab.other() +
                          contact_port + ">");
          const auto out = lab.out(text);
          REQUIRE(out);
          CHECK(out->find(lab.phone()) == std::string::npos);
          CHECK(out->find(lab.other()) == std::string::npos);
          CHECK(lab.in(*out) == text);
        }
      }
    }
  }
}

TEST_CASE("what the other side has named is not opened by the messages of a phone that repeat it",
          "[dataplane][sip][AC-23]") {
  for (const unsigned workers : {1U, 2U}) {
    DYNAMIC_SECTION(workers << " workers") {
      Lab lab({}, workers);
      auto& pipeline = lab.pipeline();
      const auto live = [&] { return pipeline.count(nat::Counter::mapping_live); };
      const std::string via = "SIP/2.0/UDP proxy.example.com;branch=z9hG4bK1, SIP/2.0/UDP ";
      const std::string record_route = "Record-Route: <sip:" + lab.other() + ":2022;transport=tcp>";
      const auto answer =
          lines({"SIP/2.0 200 OK", "Via: " + via + lab.other() + ":1610;branch=z9hG4bK0", record_route,
                 "From: <sip:bob@example.com>;tag=b", "To: <sip:alice@example.com>;tag=a", "Call-ID: 1",
                 "CSeq: 1 OPTIONS", "Contact: <sip:alice@" + lab.phone() + ":5060>", ""});
      const auto out = lab.out(answer);
      REQUIRE(out);
      const auto external = pipeline.mapping(Protocol::udp, {address(lab.phone()), nat::Be16{5060}}).external;
      CHECK(*out == replaced(answer, lab.phone() + ":5060", std::string(nat::EndpointText(external).view())));
      CHECK(live() == 1);
      CHECK(lab.out(answer) == out);
      CHECK(live() == 1);

      const auto bye = lines({"BYE sip:" + lab.other() + ":22;transport=tcp SIP/2.0",
                              "Via: SIP/2.0/UDP phone.example.com;branch=z9hG4bK2",
                              "Route: <sip:proxy.example.com;lr>, <sip:" + lab.other() + ":1610;lr>",
                              "From: <sip:alice@example.com>;tag=a", "To: <sip:bob@example.com>;tag=b",
                              "Call-ID: 1", "CSeq: 2 BYE", ""});
      CHECK(lab.out(bye) == bye);
      CHECK(live() == 1);

      // Nor is it told which port stands for what carries no signalling.
      pipeline.send(PipelineLab::kInside, {.source = {address(lab.other()), nat::Be16{1610}},
                                           .destination = endpoint("198.51.100.53", 53)});
      REQUIRE(live() == 2);
      CHECK(lab.out(answer) == out);
      CHECK(live() == 2);
    }
  }
}

TEST_CASE("what a phone quotes of a message in a fragment opens nothing, whoever named it",
          "[dataplane][sip][AC-23][rfc3420]") {
  struct Row {
    std::string start, in_fragment;
  };
  for (const unsigned workers : {1U, 2U}) {
    const Row rows[] = {
        {"SIP/2.0 200 OK", "INVITE sip:OTHER:22;transport=tcp SIP/2.0"},
        {"SIP/2.0 420 Bad Extension", "INVITE sip:OTHER:22;transport=tcp SIP/2.0"},
        {"NOTIFY sip:bob@example.com SIP/2.0", "INVITE sip:OTHER:22;transport=tcp SIP/2.0"},
        {"NOTIFY sip:bob@example.com SIP/2.0", "SIP/2.0 200 OK"},
        {"NOTIFY sip:bob@example.com SIP/2.0", "Subject: headers alone"},
    };
    for (const auto& row : rows) {
      DYNAMIC_SECTION(workers << " workers, " << row.start << ": " << row.in_fragment) {
        Lab lab({}, workers);
        auto& pipeline = lab.pipeline();
        const auto fragment =
            replaced(lines({row.in_fragment, "Via: SIP/2.0/UDP OTHER:1610;branch=z9hG4bK0",
                            "Via: SIP/2.0/TCP OTHER:1612;branch=z9hG4bK3",
                            "Via: SIP/2.0/UDP host.example.com;received=OTHER;rport=1611;branch=z9hG4bK9",
                            "Record-Route: <sip:OTHER:1613;lr>", "Route: <sip:OTHER:1614;lr>",
                            "Path: <sip:OTHER:1615;lr>", "Contact: <sip:bob@OTHER:1616>",
                            "Refer-To: <sip:bob@OTHER:1617?Route=%3Csip:OTHER:1618%3E>", ""}),
                     "OTHER", lab.other());
        const auto text = lines({row.start, "Via: SIP/2.0/UDP phone.example.com;branch=z9hG4bK1",
                                 "From: <sip:a@example.com>;tag=a", "To: <sip:b@example.com>;tag=b",
                                 "Call-ID: 1", "CSeq: 1 NOTIFY", "Content-Type: message/sipfrag",
                                 "Content-Length: " + std::to_string(fragment.size()), ""}) +
                          fragment;
        for (int repeat = 0; repeat < 2; ++repeat) {
          CHECK(lab.out(text) == text);
          CHECK(pipeline.count(nat::Counter::mapping_live) == 1);  // that of the phone itself
        }
      }
    }
  }
}

TEST_CASE("a response carries back what was put back to inside endpoints in its request",
          "[dataplane][sip][AC-10]") {
  for (const unsigned workers : {1U, 2U}) {
    DYNAMIC_SECTION(workers << " workers") {
      Lab lab({}, workers);
      // The other host has named itself to the proxy, which sends its request in to the phone.
      const auto request = message("OPTIONS sip:alice@example.com SIP/2.0", lab.other() + ":1610",
                                   "example.com", "1", "Record-Route: <sip:" + lab.other() + ":1610;lr>");
      const auto outside = lab.out(request);
      REQUIRE(outside);
      REQUIRE(lab.in(*outside) == request);
      const auto status = [](const std::string& text) {
        return replaced(text, "OPTIONS sip:alice@example.com SIP/2.0", "SIP/2.0 200 OK");
      };
      CHECK(lab.out(status(request)) == status(*outside));
    }
  }
}

TEST_CASE("over UDP signalling is opened for what a request names, whichever host inside and port it is",
          "[dataplane][sip][AC-23]") {
  struct Row {
    const char* host;
    const char* port;
  };
  const char* const places[] = {"Contact: <sip:alice@HOST:PORT>",
                                "Via: SIP/2.0/UDP HOST:PORT;branch=z9hG4bK0",
                                "Record-Route: <sip:HOST:PORT;lr>", "Path: <sip:HOST:PORT;lr>",
                                "Contact: <sip:alice@phone.example.com:PORT;maddr=HOST>"};
  for (const unsigned workers : {1U, 2U}) {
    for (const auto& row : {Row{"PHONE", "40555"}, {"PHONE", "22"}, {"PHONE", "1023"}, {"OTHER", "5060"}}) {
      for (const std::string place : places) {
        DYNAMIC_SECTION(workers << " workers, " << place << " of " << row.host << ":" << row.port) {
          Lab lab({}, workers);
          auto& pipeline = lab.pipeline();
          const auto host = row.host == std::string("PHONE") ? lab.phone() : lab.other();
          const auto named = replaced(replaced(place, "HOST", host), "PORT", row.port);
          auto text =
              message("REGISTER sip:example.com SIP/2.0", "phone.example.com", "example.com", "1", named);
          text = replaced(text, "1 INVITE", "1 REGISTER");
          const auto out = lab.out(text);
          REQUIRE(out);
          CHECK(out->find(host) == std::string::npos);
          CHECK(pipeline.count(nat::Counter::mapping_live) == 2);
          // Whom the request went to gets in, to where it says.
          const auto port = static_cast<std::uint16_t>(std::stoul(row.port));
          const auto external = pipeline.mapping(Protocol::udp, {address(host), nat::Be16{port}}).external;
          CHECK(pipeline.send(kOutside, {.source = kProxy, .destination = external}).size() == 1);
        }
      }
    }
  }
}

TEST_CASE("by policy media ports are opened for the host that sends a message only",
          "[dataplane][sip][AC-23]") {
  for (const unsigned workers : {1U, 2U}) {
    for (const bool own_host : {false, true}) {
      DYNAMIC_SECTION(workers << " workers, " << (own_host ? "its own" : "anybody's")) {
        config::Sip sip;
        sip.media_own_host = own_host;
        Lab lab(sip, workers);
        const auto offer = [&](const std::string& host, const std::string& call_id) {
          return message("INVITE sip:bob@example.com SIP/2.0", lab.phone() + ":5060", "example.com", call_id,
                         "Content-Type: application/sdp") +
                 lines({"v=0", "o=- 1 1 IN IP4 " + host, "s=-", "c=IN IP4 " + host, "t=0 0",
                        "m=audio 4000 RTP/AVP 0", "a=candidate:1 1 UDP 9 " + host + " 4000 typ host",
                        "a=candidate:2 1 UDP 8 " + host + " 4008 typ host"});
        };
        const auto pinholes = [&] { return lab.pipeline().count(dataplane::WorkerCounter::pinhole_live); };
        const auto others = lab.out(offer(lab.other(), "others"));
        REQUIRE(others);
        CHECK(others->find(lab.other()) == std::string::npos);
        CHECK((others->find("m=audio 4000 ") != std::string::npos) == own_host);
        CHECK(pinholes() == (own_host ? 0 : 2));
        if (own_host) CHECK(lab.pipeline().count(nat::Counter::mapping_live) == 1);
        const auto before = pinholes();
        REQUIRE(lab.out(offer(lab.phone(), "own")));
        CHECK(pinholes() == before + 2);
      }
    }
  }
}

TEST_CASE("a first message that names its own port for media leaves it to signalling", "[dataplane][AC-09]") {
  Lab lab;
  const auto sdp = lines({"v=0", "o=- 1 1 IN IP4 " + lab.phone(), "s=-", "c=IN IP4 " + lab.phone(), "t=0 0",
                          "m=audio 5060 RTP/AVP 0"});
  const auto invite = message("INVITE sip:bob@example.com SIP/2.0", lab.phone() + ":5060", "example.com",
                              "own", "Content-Type: application/sdp") +
                      sdp;
  const auto out = lab.out(invite);
  REQUIRE(out);
  CHECK(out->find(lab.phone()) == std::string::npos);
  const auto& mapping = lab.pipeline().mapping(Protocol::udp, {address(lab.phone()), nat::Be16{5060}});
  CHECK((mapping.flags & nat::MappingFlags::kPinhole) == 0);
  CHECK((mapping.flags & nat::MappingFlags::kSip) != 0);
}

TEST_CASE(
    "an INVITE over a limit of calls stays here, whichever side and worker it comes from, and leaves nothing",
    "[dataplane][sip][call_limits]") {
  const unsigned workers = GENERATE(1U, 2U);
  config::Calls calls;
  calls.limits.total = 1;
  Lab lab({}, workers, calls);
  const auto invite = [](const std::string& host, const std::string& call_id) {
    return message("INVITE sip:bob@example.com SIP/2.0", host + ":5060", "example.com", call_id,
                   "Contact: <sip:alice@" + host + ":5060>");
  };
  const auto first = invite(lab.phone(), "1");
  const auto gone_out = lab.out(first);
  REQUIRE(gone_out);
  CHECK_FALSE(lab.out(invite(lab.phone(), "2")));
  CHECK_FALSE(lab.out_of(lab.other_host(), invite(lab.other(), "3")));
  CHECK_FALSE(lab.in(invite("198.51.100.7", "4")));
  CHECK(lab.pipeline().dropped(DropReason::drop_call_limit) == 3);
  CHECK(lab.pipeline().count(WorkerCounter::call_opened) == 1);
  CHECK(lab.pipeline().buffers_in_use() == 0);

  CHECK(lab.out(first));  // sent again
  CHECK(lab.in(replaced(*gone_out, "INVITE sip:bob@example.com SIP/2.0", "SIP/2.0 486 Busy Here")));
  CHECK(lab.pipeline().count(WorkerCounter::call_active) == 0);
  CHECK(lab.out_of(lab.other_host(), invite(lab.other(), "3")));
  CHECK(lab.pipeline().count(WorkerCounter::call_active) == 1);
}
