// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What the tests of the SIP gateway share: endpoints and messages written as text, and one pass of a message.

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "alg/sip/sip_alg.hpp"
#include "tests/support/fake_alg_host.hpp"

namespace pinhole::test {

inline nat::Ipv4Address address(std::string_view text) {
  return *nat::Ipv4Address::parse(text);
}

/// "10.0.0.5:5060"
inline nat::Endpoint endpoint(std::string_view text) {
  const auto colon = text.find(':');
  return {address(text.substr(0, colon)),
          nat::Be16{static_cast<std::uint16_t>(std::stoul(std::string(text.substr(colon + 1))))}};
}

inline std::string lines(std::initializer_list<std::string_view> list) {
  std::string text;
  for (const auto line : list) text.append(line).append("\r\n");
  return text;
}

/// Headers and a body of type application/sdp, with its Content-Length.
inline std::string with_sdp(std::initializer_list<std::string_view> head, std::string_view sdp) {
  return lines(head) + "Content-Type: application/sdp\r\nContent-Length: " + std::to_string(sdp.size()) +
         "\r\n\r\n" + std::string(sdp);
}

struct Passed {
  alg::Answer answer;
  std::string text;  // what goes on; empty when nothing does
  std::size_t edits = 0;
  std::string rules;  // of the edits, "Via, Contact"
};

/// The policy by which all endpoints of inside hosts come back in, whoever gets them.
inline alg::sip::Policy direct_media() {
  alg::sip::Policy policy;
  policy.local_media = alg::sip::LocalMedia::direct;
  return policy;
}

/// A gateway with its host and the flow of a phone with a proxy outside: the phone 10.0.0.5:5060, unless said
/// otherwise.
struct SipBench {
  FakeAlgHost host;
  nat::CounterBlock<alg::Counter> counters;
  alg::sip::SipAlg alg;
  alg::Flow flow{nat::Protocol::udp, endpoint("10.0.0.5:5060"), {}, endpoint("198.51.100.20:5060")};

  explicit SipBench(const alg::sip::Policy& policy = {}) : alg(counters, policy) {
    flow.external = host.external_of(nat::Protocol::udp, flow.inside).endpoint;
  }
  SipBench(std::string_view inside_prefix, std::string_view phone, const alg::sip::Policy& policy = {})
      : alg(counters, policy) {
    host.inside_prefix = *nat::Prefix::parse(inside_prefix);
    flow.inside = endpoint(phone);
    host.own_host = flow.inside.address;
    flow.external = host.external_of(nat::Protocol::udp, flow.inside).endpoint;
  }

  /// Goes on with a flow of another protocol between the same ends.
  void speak(nat::Protocol protocol) {
    flow.protocol = protocol;
    flow.external = host.external_of(protocol, flow.inside).endpoint;
  }
  /// An inside endpoint that has been mapped before.
  void know(std::string_view inside, nat::Protocol protocol = nat::Protocol::udp) {
    static_cast<void>(host.external_of(protocol, endpoint(inside)));
  }

  Passed pass(alg::Direction direction, std::string_view text) {
    alg::EditList edits;
    Passed passed;
    passed.answer = alg.inspect({text, direction, flow}, host, edits);
    passed.edits = edits.edits().size();
    for (const auto& edit : edits.edits())
      passed.rules.append(passed.rules.empty() ? "" : ", ").append(alg::text(edit.rule));
    if (passed.answer.verdict != alg::Verdict::forward) return passed;
    passed.text.assign(text);
    passed.text.resize(text.size() + alg::EditList::kMaxText);
    const auto size = edits.apply(passed.text, text.size());
    passed.text.resize(size.value_or(0));
    return passed;
  }
  Passed out(std::string_view text) { return pass(alg::Direction::outbound, text); }
  Passed in(std::string_view text) { return pass(alg::Direction::inbound, text); }
};

}  // namespace pinhole::test
