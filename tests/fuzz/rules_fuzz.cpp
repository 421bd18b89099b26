// SPDX-License-Identifier: BSD-3-Clause
// Any image of rules is refused or is asked of any message within its bounds. The input is bytes that are
// changed in an image that asks for everything, and a message behind them.
#include "alg/sip/rules.hpp"
#include "dataplane/config/load.hpp"
#include "dataplane/config/policy.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace {

using namespace pinhole;
using namespace pinhole::alg;

constexpr std::string_view kEverything = R"({"interfaces": [
  {"name": "lan", "device": "a", "zone": "inside", "address": "10.0.0.1/24"},
  {"name": "wan", "device": "b", "zone": "outside", "address": "203.0.113.1/24"}],
  "protection": {"rules": [
    {"name": "flow", "action": "log", "direction": "out", "interfaces": ["lan"], "sources": ["10.0.0.0/8"],
     "destinations": ["0.0.0.0/0"], "realm": "nat", "transport": "udp", "message_above_bytes": 9},
    {"name": "headers", "action": "drop", "methods": ["INVITE", "unknown"], "kind": "request",
     "headers_present": ["Via", "Subject"], "headers_absent": ["Require"], "header_above_bytes": 5,
     "uri_above_bytes": 2, "headers_above": 2, "vias_above": 1, "max_forwards_below": 70},
    {"name": "uris", "action": "drop", "request_uris": ["sip:*a?b*@*"], "from_uris": ["*x"],
     "to_uris": ["sip:?@*"], "domains": ["*.com"]},
    {"name": "agents", "action": "refuse", "user_agents": ["*scan*", "sip*"]},
    {"name": "types", "action": "drop", "content_types": ["*/sdp"], "codecs": ["G7*", "opus"]},
    {"name": "broken", "action": "drop", "unreadable": ["not_sip", "short_body", "cseq"]},
    {"name": "ftp", "action": "drop", "application": "ftp", "commands": ["S*", "DELE"], "arguments": ["*.exe"]},
    {"name": "rest", "action": "refuse"}],
  "unknown": {"route": {"methods": "drop", "not_sip": "log", "malformed": "drop"}}}})";

void require(bool condition) {
  if (!condition) std::abort();
}

class Nobody final : public sip::RuleHost {
 public:
  void note(std::string_view rule, const Message&) noexcept override {
    for (const char c : rule) sum_ = static_cast<char>(sum_ ^ c);  // each byte is there to be read
  }
  void ban(std::string_view rule, const Message& message) noexcept override { note(rule, message); }

 private:
  char sum_ = 0;
};

const ipc::PolicyImage& everything() {
  static const auto image = [] {
    auto made = std::make_unique<ipc::PolicyImage>();
    const auto config = config::parse(kEverything, "fuzz.json");
    require(config.has_value() && config::write_policy(*config, *made).has_value());
    return made;
  }();
  return *image;
}

constexpr std::size_t kChange = 5;  // where, in four bytes, and what

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t changes = data[0] % 16;
  ++data, --size;
  if (size < changes * kChange) return 0;
  const auto set = std::make_unique<sip::RuleSet>(everything().rules);
  for (std::size_t i = 0; i < changes; ++i, data += kChange, size -= kChange) {
    std::uint32_t where = 0;
    std::memcpy(&where, data, sizeof where);
    reinterpret_cast<std::uint8_t*>(set.get())[where % sizeof(sip::RuleSet)] = data[4];
  }
  if (!sip::is_sound(*set)) return 0;
  const std::vector<char> bytes(data, data + size);
  Nobody nobody;
  sip::Rules rules(nobody);
  sip::RuleHits hits;
  rules.use(*set, hits);
  sip::MessageView view;
  const auto result = view.parse({bytes.data(), bytes.size()});
  for (const auto direction : {Direction::outbound, Direction::inbound}) {
    Message message;
    message.bytes = {bytes.data(), bytes.size()};
    message.direction = direction;
    message.flow.inside.address = nat::Ipv4Address::from_host(0x0a000005);
    message.interfaces = 1;
    message.realm = direction == Direction::outbound ? nat::Realm::translated : nat::Realm::untranslated;
    if (result == sip::ParseResult::message) {
      const auto answer = rules.judge(view, message);
      require(answer.verdict != Verdict::refuse || (view.is_request() && answer.status >= 400));
    } else if (result != sip::ParseResult::keepalive) {
      require(view.defect() != sip::Defect::none);
      const auto answer = rules.judge_unread(view.defect(), message);
      require(!answer || answer->verdict != Verdict::wait);
    }
  }
  Message flow;
  flow.flow.protocol = nat::Protocol::tcp;
  const std::string_view text(bytes.data(), bytes.size());
  static_cast<void>(rules.allows({"ftp", text.substr(0, text.find(' ')), text}, flow));
  sip::RuleHits next;
  sip::carry_over(*set, hits, everything().rules, next);
  return 0;
}
