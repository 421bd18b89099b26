// SPDX-License-Identifier: BSD-3-Clause
// Rules from the text of the configuration to what they say of messages.
#include "alg/sip/rules.hpp"

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/config/load.hpp"
#include "dataplane/config/policy.hpp"
#include "dataplane/config/validate.hpp"

using namespace pinhole;
using namespace pinhole::alg;
using namespace pinhole::alg::sip;
using nat::DropReason;

namespace {

config::Result<config::Config> parsed(const std::string& protection) {
  auto config = config::parse(R"({"interfaces": [
      {"name": "lan", "device": "net_null0", "zone": "inside", "address": "10.0.0.1/24"},
      {"name": "guest", "device": "net_null1", "zone": "inside", "address": "10.0.1.1/24"},
      {"name": "wan", "device": "net_null2", "zone": "outside", "address": "203.0.113.1/24"}],
      "protection": )" + protection +
                                  "}",
                              "test.json");
  if (!config) return config;
  if (const auto valid = config::validate(*config); !valid) return valid.error();
  return config;
}

class Noted final : public RuleHost {
 public:
  void note(std::string_view rule, const Message& message) noexcept override {
    rules.emplace_back(rule);
    lines.emplace_back(message.bytes.substr(0, message.bytes.find('\r')));
  }
  void ban(std::string_view rule, const Message&) noexcept override { bans.emplace_back(rule); }
  std::vector<std::string> rules;
  std::vector<std::string> lines;  // the first of each message that was noted
  std::vector<std::string> bans;
};

/// A screen with the rules of a configuration.
struct Bench {
  explicit Bench(const std::string& protection) {
    const auto config = parsed(protection);
    INFO((config ? std::string() : config.error().message));
    REQUIRE(config.has_value());
    REQUIRE(config::write_policy(*config, *image).has_value());
    REQUIRE(is_sound(image->rules));
    screen.use(image->rules, *hits);
  }
  /// A message as the gateway has it judged; none: the gateway's own policy decides.
  std::optional<Answer> judge(const Message& message) {
    MessageView view;
    switch (view.parse(message.bytes)) {
      case ParseResult::message:
        return screen.judge(view, message);
      case ParseResult::keepalive:
        return std::nullopt;
      case ParseResult::not_sip:
      case ParseResult::malformed:
        break;
    }
    return screen.judge_unread(view.defect(), message);
  }

  std::unique_ptr<ipc::PolicyImage> image = std::make_unique<ipc::PolicyImage>();
  std::unique_ptr<RuleHits> hits = std::make_unique<RuleHits>();
  Noted noted;
  Rules screen{noted};
};

nat::Endpoint endpoint(const char* address, std::uint16_t port) {
  return {*nat::Ipv4Address::parse(address), nat::Be16{port}};
}

std::string lines(std::string text) {
  std::string out;
  for (const char c : text) out += c == '\n' ? std::string("\r\n") : std::string(1, c);
  return out;
}

const std::string kSdp = lines(
    "v=0\no=- 1 1 IN IP4 10.0.0.5\ns=-\nc=IN IP4 10.0.0.5\nt=0 0\nm=audio 4000 RTP/AVP 0 18 96\n"
    "a=rtpmap:96 opus/48000/2\n");

/// \param more  header lines
std::string request(const std::string& start = "INVITE sip:Bob@Example.com;transport=udp SIP/2.0",
                    const std::string& more = "", const std::string& body = "") {
  const auto method = start.substr(0, start.find(' '));
  return lines(start +
               "\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK1, SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK0\n"
               "f: \"A\" <sip:Alice@example.org;x=1>;tag=1\nTo: <sip:Bob@Example.com>\nCall-ID: x@y\n"
               "CSeq: 7 " +
               method + "\nMax-Forwards: 5\nUser-Agent: friendly-scanner 1.0\n" + more +
               (body.empty() ? "" : "c: application/SDP;x=y\n") + fmt::format("l: {}\n\n", body.size())) +
         body;
}
const std::string kInvite = request("INVITE sip:Bob@Example.com;transport=udp SIP/2.0", "", kSdp);
const std::string kRinging = lines(
    "SIP/2.0 180 Ringing\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK1\nFrom: <sip:Alice@example.org>;tag=1\n"
    "To: <sip:Bob@Example.com>;tag=2\nCall-ID: x@y\nCSeq: 7 INVITE\n\n");

Message shown(std::string_view bytes, Direction direction = Direction::outbound) {
  return {.bytes = bytes,
          .direction = direction,
          .flow = {nat::Protocol::udp, endpoint("10.0.0.5", 5060), endpoint("203.0.113.1", 5060),
                   endpoint("198.51.100.7", 5060)},
          .interfaces = 0b101};
}

/// One rule that drops what fits the conditions.
std::string dropping(const std::string& conditions) {
  return R"({"rules": [{"name": "r", "action": "drop")" + (conditions.empty() ? "" : ", " + conditions) +
         "}]}";
}

}  // namespace

TEST_CASE("a rule matches when all that it asks for holds", "[alg][rules]") {
  struct Row {
    const char* conditions;
    bool invite;   // an INVITE from inside
    bool ringing;  // the answer to it, from outside
  };
  const Row rows[] = {
      {R"()", true, true},
      {R"("direction": "out")", true, false},
      {R"("direction": "in")", false, true},
      {R"("interfaces": ["wan"])", true, true},
      {R"("interfaces": ["guest"])", false, false},
      {R"("interfaces": ["guest", "lan"])", true, true},
      {R"("sources": ["10.0.0.0/24"])", true, false},
      {R"("sources": ["10.0.1.0/24", "198.51.100.7/32"])", false, true},
      {R"("destinations": ["198.51.100.0/24"])", true, false},
      {R"("destinations": ["10.0.0.5/32"])", false, true},
      {R"("destinations": ["203.0.113.1/32"])", false, false},
      {R"("realm": "nat")", true, true},
      {R"("realm": "route")", false, false},
      {R"("transport": "udp")", true, true},
      {R"("transport": "tcp")", false, false},
      {R"("methods": ["INVITE"])", true, true},
      {R"("methods": ["BYE", "unknown"])", false, false},
      {R"("kind": "request")", true, false},
      {R"("kind": "response")", false, true},
      {R"("kind": "request", "direction": "in")", false, false},
      {R"("headers_present": ["User-Agent", "from"])", true, false},
      {R"("headers_present": ["User-Agent", "Subject"])", false, false},
      {R"("headers_absent": ["max-forwards"])", false, true},
      {R"("headers_absent": ["Subject", "Require"])", true, true},
      {R"("headers_absent": ["From"])", false, false},
      {R"("message_above_bytes": 400)", true, false},
      {R"("message_above_bytes": 65000)", false, false},
      {R"("header_above_bytes": 250)", true, false},
      {R"("header_above_bytes": 1000)", false, false},
      {R"("uri_above_bytes": 10)", true, false},
      {R"("uri_above_bytes": 33)", false, false},
      {R"("headers_above": 8)", true, false},
      {R"("headers_above": 9)", false, false},
      {R"("vias_above": 1)", true, false},
      {R"("vias_above": 2)", false, false},
      {R"("max_forwards_below": 6)", true, false},
      {R"("max_forwards_below": 5)", false, false},
      {R"("content_types": ["application/sdp"])", true, false},
      {R"("content_types": ["text/*", "*/sdp"])", true, false},
      {R"("content_types": ["text/*"])", false, false},
      {R"("codecs": ["G729"])", true, false},
      {R"("codecs": ["opus"])", true, false},
      {R"("codecs": ["PCM?"])", true, false},
      {R"("codecs": ["PCMA", "G722", "opus/48000"])", false, false},
      {R"("request_uris": ["sip:Bob@example.COM"])", true, false},
      {R"("request_uris": ["SIP:*@EXAMPLE.com"])", true, false},
      {R"("request_uris": ["sip:bob@example.com"])", false, false},
      {R"("from_uris": ["sip:Alice@*"])", true, true},
      {R"("from_uris": ["sip:Bob@*"])", false, false},
      {R"("to_uris": ["*@example.com"])", true, true},
      {R"("to_uris": ["*@example.org"])", false, false},
      {R"("domains": ["example.com"])", true, false},
      {R"("domains": ["example.org", "*.com.*"])", false, false},
      {R"("user_agents": ["*SCANNER*"])", true, false},
      {R"("user_agents": ["scanner*"])", false, false},
      {R"("unreadable": ["not_sip"])", false, false},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.conditions) {
      Bench bench(dropping(row.conditions));
      CHECK((bench.judge(shown(kInvite))->verdict == Verdict::drop) == row.invite);
      CHECK((bench.judge(shown(kRinging, Direction::inbound))->verdict == Verdict::drop) == row.ringing);
      CHECK(bench.hits->read(0) == (row.invite ? 1U : 0U) + (row.ringing ? 1U : 0U));
    }
  }
}

TEST_CASE("what carries a message and between whom is asked of TCP and of route mode too", "[alg][rules]") {
  auto message = shown(kInvite);
  message.flow.protocol = nat::Protocol::tcp;
  message.realm = nat::Realm::untranslated;
  CHECK(Bench(dropping(R"("transport": "tcp", "realm": "route")")).judge(message)->verdict == Verdict::drop);
  CHECK(Bench(dropping(R"("transport": "udp")")).judge(message)->verdict == Verdict::forward);
  CHECK(Bench(dropping(R"("realm": "nat")")).judge(message)->verdict == Verdict::forward);
}

TEST_CASE("a rule for the commands of an application is asked of these alone", "[alg][rules][ftp]") {
  struct Row {
    const char* conditions;
    const char* name;
    const char* argument;
    bool denied;
  };
  const Row rows[] = {
      {R"()", "STOR", "a.txt", true},
      {R"("commands": ["SITE", "DELE"])", "dele", "a", true},
      {R"("commands": ["SITE", "DELE"])", "DELETE", "a", false},
      {R"("commands": ["R*"])", "RETR", "a", true},
      {R"("commands": ["STOR"], "arguments": ["*.exe", "*.bat"])", "STOR", "x/Setup.EXE", true},
      {R"("commands": ["STOR"], "arguments": ["*.exe", "*.bat"])", "STOR", "x/setup.exe.txt", false},
      {R"("commands": ["STOR"], "arguments": ["*.exe"])", "RETR", "x/setup.exe", false},
      {R"("arguments": ["*"])", "PASV", "", true},
      {R"("arguments": ["?*"])", "PASV", "", false},
      {R"("direction": "out")", "PASV", "", true},
      {R"("direction": "in")", "PASV", "", false},
      {R"("interfaces": ["guest"])", "PASV", "", false},
      {R"("interfaces": ["lan"], "sources": ["10.0.0.0/24"])", "PASV", "", true},
      {R"("sources": ["10.0.1.0/24"])", "PASV", "", false},
      {R"("destinations": ["198.51.100.7/32"])", "PASV", "", true},
      {R"("realm": "route")", "PASV", "", false},
      {R"("transport": "tcp")", "PASV", "", true},
      {R"("transport": "udp")", "PASV", "", false},
  };
  auto flow = shown("");
  flow.flow.protocol = nat::Protocol::tcp;
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.conditions << " " << row.name << " " << row.argument) {
      const std::string conditions = row.conditions;
      Bench bench(dropping(R"("application": "ftp")" + (conditions.empty() ? "" : ", " + conditions)));
      CHECK(bench.screen.allows({"ftp", row.name, row.argument}, flow) == !row.denied);
      CHECK(bench.hits->read(0) == (row.denied ? 1U : 0U));
      CHECK(bench.screen.allows({"ftps", row.name, row.argument}, flow));
      CHECK(bench.judge(shown(kInvite))->verdict == Verdict::forward);
      CHECK_FALSE(bench.judge(shown("hello")).has_value());
    }
  }
}

TEST_CASE("a rule for SIP is asked of no command", "[alg][rules][ftp]") {
  Bench bench(dropping(R"("direction": "out")"));
  CHECK(bench.screen.allows({"ftp", "DELE", "a"}, shown("")));
  CHECK(bench.screen.allows({"sip", "INVITE", ""}, shown("")));
  CHECK(bench.hits->read(0) == 0);
}

TEST_CASE("the first rule for a command decides, and does what it says besides", "[alg][rules][ftp]") {
  Bench bench(R"({"rules": [
      {"name": "sip", "action": "drop"},
      {"name": "watch", "action": "log", "application": "ftp", "commands": ["DELE"], "arguments": ["tmp/*"]},
      {"name": "no", "action": "refuse", "application": "ftp", "commands": ["DELE"]},
      {"name": "out", "action": "ban", "application": "ftp", "commands": ["SITE"]}]})");
  const auto flow = shown("DELE tmp/a\r\n");
  CHECK(bench.screen.allows({"ftp", "DELE", "tmp/a"}, flow));
  CHECK(bench.noted.rules == std::vector<std::string>{"watch"});
  CHECK(bench.noted.lines == std::vector<std::string>{"DELE tmp/a"});
  CHECK_FALSE(bench.screen.allows({"ftp", "DELE", "b"}, flow));
  CHECK_FALSE(bench.screen.allows({"ftp", "site", ""}, flow));
  CHECK(bench.noted.bans == std::vector<std::string>{"out"});
  CHECK(bench.screen.allows({"ftp", "NOOP", ""}, flow));
  for (std::size_t rule = 0; rule < 4; ++rule) CHECK(bench.hits->read(rule) == (rule == 0 ? 0 : 1));
}

TEST_CASE("a rule for an application asks for nothing that it has not", "[config][rules][ftp]") {
  struct Row {
    const char* rule;
    const char* said;
  };
  for (const auto& row :
       {Row{R"("application": "FTP")",
            "protection.rules[0].application: found \"FTP\"; allowed is \"sip\", or the name of a gateway "
            "such "
            "as \"ftp\""},
        Row{R"("commands": ["DELE"])",
            "protection.rules[0].commands: the rule is for SIP, which has no commands; name the application, "
            "or "
            "methods instead"},
        Row{R"("arguments": ["*"])",
            "protection.rules[0].arguments: the rule is for SIP, which has no commands; name the "
            "application, or "
            "methods instead"},
        Row{R"("application": "ftp", "methods": ["INVITE"])",
            "protection.rules[0].application: the rule asks for what messages of SIP alone have; keep "
            "direction, "
            "interfaces, sources, destinations, realm, transport, commands and arguments alone beside it"},
        Row{R"("application": "ftp", "message_above_bytes": 9)",
            "protection.rules[0].application: the rule asks for what messages of SIP alone have; keep "
            "direction, "
            "interfaces, sources, destinations, realm, transport, commands and arguments alone beside it"},
        Row{R"("application": "ftp", "unreadable": ["not_sip"])",
            "protection.rules[0].application: the rule asks for what messages of SIP alone have; keep "
            "direction, "
            "interfaces, sources, destinations, realm, transport, commands and arguments alone beside it"}}) {
    DYNAMIC_SECTION(row.rule) {
      const auto config = parsed(dropping(row.rule));
      REQUIRE_FALSE(config.has_value());
      CHECK_THAT(config.error().message, Catch::EndsWith(row.said));
    }
  }
}

TEST_CASE("each method can be named, and what is none of them is unknown", "[alg][rules]") {
  for (const std::string method : {"INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "PRACK", "UPDATE",
                                   "INFO", "SUBSCRIBE", "NOTIFY", "REFER", "MESSAGE", "PUBLISH"}) {
    DYNAMIC_SECTION(method) {
      const auto text = request(method + " sip:a@b SIP/2.0");
      CHECK(Bench(dropping(R"("methods": [")" + method + R"("])")).judge(shown(text))->verdict ==
            Verdict::drop);
      CHECK(Bench(dropping(R"("methods": ["unknown"])")).judge(shown(text))->verdict == Verdict::forward);
    }
  }
  const auto text = request("FROBNICATE sip:a@b SIP/2.0");
  CHECK(Bench(dropping(R"("methods": ["unknown"])")).judge(shown(text))->verdict == Verdict::drop);
}

TEST_CASE("a rule that bans drops the message, and names who sent it", "[alg][rules]") {
  Bench bench(R"({"rules": [{"name": "no-scans", "action": "ban", "user_agents": ["*scanner*"]}]})");
  CHECK(bench.judge(shown(kInvite))->verdict == Verdict::drop);
  CHECK(bench.noted.bans == std::vector<std::string>{"no-scans"});
  CHECK(bench.hits->read(0) == 1);
  CHECK(bench.judge(shown(kRinging))->verdict == Verdict::forward);
  CHECK(bench.noted.bans.size() == 1);
}

TEST_CASE("where the gateway only sees calls through, no rule is asked", "[alg][rules]") {
  Bench bench(R"({"rules": [{"name": "all", "action": "drop"}]})");
  auto message = shown(kInvite);
  message.judged = false;
  CHECK(bench.judge(message)->verdict == Verdict::forward);
  CHECK(bench.hits->read(0) == 0);
}

TEST_CASE("a description of more codecs than are told apart fits any codec", "[alg][rules]") {
  const auto described = [](unsigned codecs) {
    std::string sdp =
        lines("v=0\no=- 1 1 IN IP4 10.0.0.5\ns=-\nc=IN IP4 10.0.0.5\nt=0 0\nm=audio 4000 RTP/AVP 96\n");
    for (unsigned i = 0; i < codecs; ++i) sdp += lines(fmt::format("a=rtpmap:96 codec{}/8000\n", i));
    return request("INVITE sip:Bob@Example.com SIP/2.0", "", sdp);
  };
  Bench bench(R"({"rules": [{"name": "no-opus", "action": "drop", "codecs": ["opus"]}]})");
  CHECK(bench.judge(shown(described(96)))->verdict == Verdict::forward);
  CHECK(bench.judge(shown(described(97)))->verdict == Verdict::drop);
}

TEST_CASE("the first rule that matches decides, and counts", "[alg][rules]") {
  Bench bench(R"({"rules": [
      {"name": "other", "action": "drop", "methods": ["BYE"]},
      {"name": "friends", "action": "log", "sources": ["10.0.0.5/32"], "methods": ["INVITE"]},
      {"name": "ours", "action": "pass", "sources": ["10.0.0.0/24"]},
      {"name": "rest", "action": "refuse", "status": 503, "retry_after_s": 30}]})");
  CHECK(bench.judge(shown(kInvite))->verdict == Verdict::forward);
  CHECK(bench.noted.rules == std::vector<std::string>{"friends"});
  const auto options = request("OPTIONS sip:a@b SIP/2.0");
  CHECK(bench.judge(shown(options))->verdict == Verdict::forward);
  auto stranger = shown(options);
  stranger.flow.inside = endpoint("10.0.1.77", 5060);
  const auto refused = bench.judge(stranger);
  CHECK(refused->verdict == Verdict::refuse);
  CHECK(refused->reason == DropReason::drop_sip_refused);
  CHECK(refused->status == 503);
  CHECK(refused->retry_after_s == 30);
  for (const auto& [rule, hits] : {std::pair{0, 0}, {1, 1}, {2, 1}, {3, 1}}) {
    CHECK(bench.hits->read(static_cast<std::size_t>(rule)) == static_cast<std::uint64_t>(hits));
  }
}

TEST_CASE("what nobody may answer is dropped instead of refused", "[alg][rules]") {
  Bench bench(R"({"rules": [{"name": "all", "action": "refuse", "status": 400}]})");
  const auto ack = request("ACK sip:a@b SIP/2.0");
  const std::string broken = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n";
  const std::string broken_response = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\n\r\n";
  struct Row {
    const char* what;
    std::string_view bytes;
    Verdict verdict;
  };
  for (const auto& row :
       {Row{"a request", kInvite, Verdict::refuse}, Row{"ACK", ack, Verdict::drop},
        Row{"a response", kRinging, Verdict::drop}, Row{"what is no SIP", "hello", Verdict::drop},
        Row{"a request that cannot be read", broken, Verdict::refuse},
        Row{"a response that cannot be read", broken_response, Verdict::drop}}) {
    DYNAMIC_SECTION(row.what) {
      const auto answer = bench.judge(shown(row.bytes));
      REQUIRE(answer.has_value());
      CHECK(answer->verdict == row.verdict);
      CHECK(answer->reason ==
            (row.verdict == Verdict::refuse ? DropReason::drop_sip_refused : DropReason::drop_sip_rule));
    }
  }
}

TEST_CASE("each way in which a message is unreadable can be asked for", "[alg][rules]") {
  const std::string head =
      "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\n";
  const std::string whole = head + "Call-ID: x\r\nCSeq: 1 OPTIONS\r\n";
  std::string many = whole;
  for (int i = 0; i < 200; ++i) many += "Contact: <sip:a@b>\r\n";
  struct Row {
    const char* defect;
    std::string bytes;
  };
  const Row rows[] = {
      {"not_sip", "GET / HTTP/1.1\r\n\r\n"},
      {"start_line", "SIP/2.0 4711 What\r\n\r\n"},
      {"unterminated", whole},
      {"duplicate_header", whole + "i: y\r\n\r\n"},
      {"too_many_headers", many + "\r\n"},
      {"missing_header", head + "\r\n"},
      {"cseq", head + "Call-ID: x\r\nCSeq: one\r\n\r\n"},
      {"content_length", whole + "Content-Length: -1\r\n\r\n"},
      {"short_body", whole + "Content-Length: 5\r\n\r\nabcd"},
  };
  for (const auto& asked : rows) {
    Bench bench(dropping(fmt::format(R"("unreadable": ["{}"])", asked.defect)));
    for (const auto& row : rows) {
      INFO(asked.defect << " asked of " << row.defect);
      const auto answer = bench.judge(shown(row.bytes));
      CHECK(answer.has_value() == (asked.defect == row.defect));
    }
    CHECK(bench.judge(shown(kInvite))->verdict == Verdict::forward);
    CHECK(bench.hits->read(0) == 1);
  }
}

TEST_CASE("a rule that asks for nothing to be read is asked of what cannot be", "[alg][rules]") {
  struct Row {
    const char* conditions;
    bool matches;
  };
  for (const auto& row : {Row{R"("sources": ["10.0.0.5/32"])", true}, Row{R"("direction": "in")", false},
                          Row{R"("message_above_bytes": 3)", true}, Row{R"("methods": ["unknown"])", false},
                          Row{R"("kind": "request")", false}, Row{R"("headers_absent": ["Subject"])", false},
                          Row{R"("user_agents": ["*"])", false}, Row{R"("codecs": ["*"])", false}}) {
    DYNAMIC_SECTION(row.conditions) {
      CHECK(Bench(dropping(row.conditions)).judge(shown("hello")).has_value() == row.matches);
    }
  }
}

TEST_CASE("messages that are not understood have a policy by mode", "[alg][rules][unknown]") {
  const auto unknown = request("FROBNICATE sip:a@b SIP/2.0");
  const std::string broken = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n";
  for (const std::string mode : {"nat", "route"}) {
    for (const std::string what : {"methods", "not_sip", "malformed"}) {
      for (const std::string action : {"pass", "log", "drop"}) {
        DYNAMIC_SECTION(mode << " " << what << " " << action) {
          Bench bench(fmt::format(R"({{"unknown": {{"{}": {{"{}": "{}"}}}}}})", mode, what, action));
          for (const auto& [kind, bytes] : {std::pair<std::string, std::string_view>{"methods", unknown},
                                            {"not_sip", "hello"},
                                            {"malformed", broken}}) {
            for (const auto realm : {nat::Realm::translated, nat::Realm::untranslated}) {
              INFO(kind << (realm == nat::Realm::translated ? " nat" : " route"));
              auto message = shown(bytes);
              message.realm = realm;
              const auto answer = bench.judge(message);
              const bool is_asked = kind == what && (realm == nat::Realm::translated) == (mode == "nat");
              CHECK((answer && answer->verdict == Verdict::drop) == (is_asked && action == "drop"));
              // A message that is not read passes by a word of the policy, or by none.
              if (is_asked && what == "malformed") CHECK(answer.has_value());
            }
          }
          CHECK(bench.noted.rules.size() == (action == "log" ? 1 : 0));
        }
      }
    }
  }
}

TEST_CASE("without rules nothing is said of any message", "[alg][rules]") {
  Bench bench("{}");
  CHECK(bench.image->rules.rule_count == 0);
  CHECK(bench.judge(shown(kInvite))->verdict == Verdict::forward);
  CHECK_FALSE(bench.judge(shown("hello")).has_value());
}

TEST_CASE("a message that waited is not judged, and not counted, again", "[alg][rules]") {
  Bench bench(dropping(""));
  auto message = shown(kInvite);
  message.again = true;
  CHECK(bench.judge(message)->verdict == Verdict::forward);
  CHECK(bench.hits->read(0) == 0);
}

TEST_CASE("hits go on for rules that stay as they were, wherever they stand then", "[alg][rules]") {
  const std::string kept = R"({"name": "kept", "action": "drop", "methods": ["BYE"]})";
  Bench before(R"({"rules": [{"name": "a", "action": "pass", "methods": ["INFO"]}, )" + kept + "]}");
  Bench after(R"({"rules": [)" + kept + R"(, {"name": "a", "action": "pass", "methods": ["REFER"]}]})");
  before.hits->set(0, 5);
  before.hits->set(1, 7);
  after.hits->set(1, 99);
  carry_over(before.image->rules, *before.hits, after.image->rules, *after.hits);
  CHECK(after.hits->read(0) == 7);
  CHECK(after.hits->read(1) == 0);
}

TEST_CASE("a set with anything out of bounds is not sound", "[alg][rules]") {
  const auto fresh = [] {
    return Bench(
        dropping(R"("sources": ["10.0.0.0/24"], "user_agents": ["x"], "headers_present": ["Subject"])"));
  };
  struct Row {
    const char* what;
    void (*damage)(RuleSet& set);
  };
  const Row rows[] = {
      {"rules", [](RuleSet& set) { set.rule_count = RuleSet::kMaxRules + 1; }},
      {"headers", [](RuleSet& set) { set.header_count = RuleSet::kMaxHeaders + 1; }},
      {"prefixes", [](RuleSet& set) { set.prefix_count = RuleSet::kMaxPrefixes + 1; }},
      {"patterns", [](RuleSet& set) { set.pattern_count = RuleSet::kMaxPatterns + 1; }},
      {"text", [](RuleSet& set) { set.text_size = RuleSet::kMaxText + 1; }},
      {"a name behind the text", [](RuleSet& set) { set.rules[0].name.size = 60000; }},
      {"a pattern behind the text", [](RuleSet& set) { set.patterns[0].begin = 60000; }},
      {"a pattern that is too long",
       [](RuleSet& set) {
         set.text_size = 1000;
         set.patterns[0] = {0, RuleSet::kMaxPattern + 1};
       }},
      {"a header behind the text", [](RuleSet& set) { set.headers[0].begin = set.text_size; }},
      {"prefixes of a rule", [](RuleSet& set) { set.rules[0].sources.size = 2; }},
      {"patterns of a rule", [](RuleSet& set) { set.rules[0].user_agents.begin = 1; }},
      {"commands", [](RuleSet& set) { set.rules[0].commands = {1, 1}; }},
      {"arguments", [](RuleSet& set) { set.rules[0].arguments = {1, 1}; }},
      {"an application behind the text", [](RuleSet& set) { set.rules[0].application.size = 60000; }},
      {"other patterns of a rule", [](RuleSet& set) { set.rules[0].codecs = {1, 65535}; }},
      {"a prefix", [](RuleSet& set) { set.prefixes[0].length = 33; }},
      {"an action", [](RuleSet& set) { set.rules[0].action = static_cast<RuleAction>(5); }},
      {"a status",
       [](RuleSet& set) {
         set.rules[0].action = RuleAction::refuse;
         set.rules[0].status = 200;
       }},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.what) {
      auto bench = fresh();
      row.damage(bench.image->rules);
      CHECK_FALSE(is_sound(bench.image->rules));
    }
  }
}

TEST_CASE("a list of rules that cannot be run is refused, and told where", "[config][rules]") {
  struct Row {
    std::string protection;
    const char* said;
  };
  std::string many = R"({"rules": [)";
  for (int i = 0; i < 9; ++i) {
    many += fmt::format(R"({}{{"name": "r{}", "action": "drop", "user_agents": [)", i == 0 ? "" : ", ", i);
    for (int k = 0; k < 64; ++k) many += fmt::format(R"({}"p{}")", k == 0 ? "" : ", ", k);
    many += "]}";
  }
  many += "]}";
  const Row rows[] = {
      {R"({"rules": [{"name": "a"}]})", "protection.rules[0].action: missing"},
      {R"({"rules": [{"name": "a b", "action": "drop"}]})", "protection.rules[0].name: found \"a b\""},
      {R"({"rules": [{"name": "unknown.x", "action": "drop"}]})", "protection.rules[0].name"},
      {R"({"rules": [{"name": "a", "action": "drop"}, {"name": "a", "action": "pass"}]})",
       "protection.rules[1].name"},
      {R"({"rules": [{"name": "a", "action": "refuse", "status": 200}]})", "protection.rules[0].status"},
      {R"({"rules": [{"name": "a", "action": "drop", "interfaces": ["dmz"]}]})",
       "protection.rules[0].interfaces[0]"},
      {R"({"rules": [{"name": "a", "action": "drop", "sources": ["10.0.0.5/24"]}]})",
       "protection.rules[0].sources[0]"},
      {R"({"rules": [{"name": "a", "action": "drop", "methods": ["invite"]}]})",
       "protection.rules[0].methods[0]"},
      {R"({"rules": [{"name": "a", "action": "drop", "headers_absent": ["a:b"]}]})",
       "protection.rules[0].headers_absent[0]"},
      {R"({"rules": [{"name": "a", "action": "drop", "unreadable": ["cseq"], "kind": "request"}]})",
       "protection.rules[0].unreadable"},
      {R"({"unknown": {"nat": {"methods": "refuse"}}})", "protection.unknown.nat.methods"},
      {many, "protection.rules[8]: the rules up to this one have more patterns than 512"},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.said) {
      const auto config = parsed(row.protection);
      REQUIRE_FALSE(config.has_value());
      CHECK(config.error().message.find(row.said) != std::string::npos);
    }
  }
}
