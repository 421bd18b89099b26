// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A guard with what it is given, and messages as it sees them: a server inside (10.0.0.5) that outside
// sources send to.

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "alg/sip/message.hpp"
#include "dataplane/guard/guard.hpp"
#include "tests/support/sip_bench.hpp"

namespace pinhole::test {

/// Notes the news.
struct NewsList final : dataplane::EventSink {
  bool push(ipc::Event& event) noexcept override {
    if (event.type == ipc::EventType::guard) news.push_back(event.guard);
    return true;
  }
  [[nodiscard]] std::size_t count(ipc::GuardNews what) const {
    return static_cast<std::size_t>(
        std::count_if(news.begin(), news.end(), [&](const auto& each) { return each.news == what; }));
  }
  std::vector<ipc::GuardEvent> news;
};

/// No limits; what leads to a ban is as the configuration has it by default.
inline ipc::RateLimits no_limits() {
  ipc::RateLimits limits;
  limits.enabled = true;
  for (const auto status : std::array<std::uint16_t, 3>{403, 404, 604}) limits.refusals.add(status);
  limits.refused = 4;
  limits.failed_auth = 3;
  limits.not_found = 5;
  limits.within = nat::ticks_from_s(60);
  limits.denied_for = nat::ticks_from_s(60);
  limits.banned_for = nat::ticks_from_s(300);
  limits.scanners[0].assign("friendly-scanner");
  limits.scanners[1].assign("sipcli");
  limits.scanner_count = 2;
  return limits;
}

struct RequestSpec {
  std::string method = "REGISTER";
  std::string from = "alice";
  std::string to = "alice";
  std::string to_tag = {};
  std::string call_id = "c1";
  std::string user_agent = "Phone/1.0";
  std::string nonce = {};  // of credentials; empty: there are none
};

struct AnswerSpec {
  unsigned status = 200;
  std::string method = "REGISTER";
  std::string to = "alice";
  std::string to_tag = "server-tag";
  std::string call_id = "c1";
  std::string nonce = {};  // of a challenge
  bool stale = false;
};

class GuardLab {
 public:
  explicit GuardLab(const ipc::RateLimits& limits = no_limits(), std::uint32_t sources = 16384)
      : limits_(limits),
        memory_((dataplane::Guard::bytes_needed(sources) + 63) / 64),
        slots_(dataplane::BanTable::kCapacity),
        guard_(std::make_unique<dataplane::Guard>(
            dataplane::GuardParts{.sources = sources,
                                  .bans = slots_,
                                  .memory = std::as_writable_bytes(std::span(memory_)),
                                  .seed = 0x1234567890abcdefU},
            steering_, events_, counters_)) {
    guard_->use(limits_);
    pass(0);
  }

  dataplane::Guard& guard() { return *guard_; }
  NewsList& events() { return events_; }
  [[nodiscard]] std::uint64_t count(dataplane::WorkerCounter counter) const {
    return counters_.read(counter);
  }
  [[nodiscard]] const std::vector<ipc::BanSlot>& slots() const { return slots_; }

  void pass(unsigned seconds) { pass_ticks(nat::ticks_from_s(seconds)); }
  void pass_ticks(nat::Tick ticks) { guard_->tick(now_ += ticks); }

  /// A request of an outside source to the server inside.
  alg::Answer ask(nat::Ipv4Address source, const RequestSpec& spec = {},
                  nat::Protocol protocol = nat::Protocol::udp) {
    return judge(request(spec), alg::Direction::inbound, source, protocol);
  }
  /// What the server answers.
  alg::Answer answer(nat::Ipv4Address source, const AnswerSpec& spec = {},
                     nat::Protocol protocol = nat::Protocol::udp) {
    return judge(response(spec), alg::Direction::outbound, source, protocol);
  }
  /// The same the other way round: a host inside asks, somebody outside answers.
  alg::Answer ask_out(nat::Ipv4Address server, const RequestSpec& spec = {}) {
    return judge(request(spec), alg::Direction::outbound, server, nat::Protocol::udp);
  }
  alg::Answer answer_in(nat::Ipv4Address server, const AnswerSpec& spec = {}) {
    return judge(response(spec), alg::Direction::inbound, server, nat::Protocol::udp);
  }
  bool passes(nat::Ipv4Address source, const RequestSpec& spec = {}) {
    return ask(source, spec).verdict == alg::Verdict::forward;
  }
  /// Registers with the right password: from now on the source is known.
  void make_known(nat::Ipv4Address source) {
    const std::string nonce = "nonce-" + std::string(nat::EndpointText(source).view());
    static_cast<void>(ask(source));
    static_cast<void>(answer(source, {.status = 401, .nonce = nonce}));
    static_cast<void>(ask(source, {.nonce = nonce}));
    static_cast<void>(answer(source));
  }

  alg::Answer judge(const std::string& text, alg::Direction direction, nat::Ipv4Address outside,
                    nat::Protocol protocol, bool again = false) {
    const alg::Message message{text,
                               direction,
                               {protocol,
                                {address("10.0.0.5"), nat::Be16{5060}},
                                {address("203.0.113.1"), nat::Be16{5060}},
                                {outside, nat::Be16{5060}},
                                {}},
                               again};
    alg::sip::MessageView view;
    const auto result = view.parse(message.bytes);
    if (result != alg::sip::ParseResult::message) {
      return guard_->judge_unread(view.defect(), message).value_or(alg::Answer{});
    }
    return guard_->judge(view, message);
  }

  static std::string request(const RequestSpec& spec) {
    auto text = lines({spec.method + " sip:" + spec.to + "@example.com SIP/2.0",
                       "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1",
                       "From: <sip:" + spec.from + "@example.com>;tag=f",
                       "To: <sip:" + spec.to + "@example.com>" + tag(spec.to_tag), "Call-ID: " + spec.call_id,
                       "CSeq: 1 " + spec.method, "User-Agent: " + spec.user_agent});
    if (!spec.nonce.empty()) {
      text += "Authorization: Digest username=\"alice\", nonce=\"" + spec.nonce + "\", response=\"0\"\r\n";
    }
    return text + "\r\n";
  }
  static std::string response(const AnswerSpec& spec) {
    auto text =
        lines({"SIP/2.0 " + std::to_string(spec.status) + " Text",
               "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1", "From: <sip:alice@example.com>;tag=f",
               "To: <sip:" + spec.to + "@example.com>" + tag(spec.to_tag), "Call-ID: " + spec.call_id,
               "CSeq: 1 " + spec.method});
    if (!spec.nonce.empty()) {
      text += "WWW-Authenticate: Digest realm=\"x\", nonce=\"" + spec.nonce + "\"" +
              (spec.stale ? ", stale=TRUE" : "") + "\r\n";
    }
    return text + "\r\n";
  }

 private:
  static std::string tag(const std::string& text) { return text.empty() ? text : ";tag=" + text; }

  struct alignas(64) Line {
    std::array<std::byte, 64> bytes;
  };
  const dataplane::Steering steering_{1, std::array{address("203.0.113.1")}, {}};
  ipc::RateLimits limits_;
  std::vector<Line> memory_;
  std::vector<ipc::BanSlot> slots_;
  NewsList events_;
  nat::CounterBlock<dataplane::WorkerCounter> counters_;
  std::unique_ptr<dataplane::Guard> guard_;
  nat::Tick now_ = nat::ticks_from_s(1000);
};

}  // namespace pinhole::test
