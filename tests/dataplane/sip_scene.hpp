// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A phone inside and a server outside that say SIP messages by UDP, through the real pipeline.

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/context.hpp"
#include "tests/support/pipeline_lab.hpp"

namespace pinhole::test {

/// A datagram that left.
struct SentText {
  unsigned interface = 0;
  nat::Endpoint source;
  nat::Endpoint destination;
  std::string text;

  static SentText of(const Sent& sent) {
    constexpr std::size_t kIp = 14;
    constexpr std::size_t kUdp = kIp + 20;
    constexpr std::size_t kPayload = kUdp + 8;
    const auto& frame = sent.frame;
    const auto number = [&frame](std::size_t at, unsigned bytes) {
      std::uint32_t value = 0;
      for (unsigned i = 0; i < bytes; ++i)
        value = value << 8U | std::to_integer<std::uint32_t>(frame[at + i]);
      return value;
    };
    const auto endpoint = [&number](std::size_t address, std::size_t port) {
      return nat::Endpoint{nat::Ipv4Address::from_host(number(address, 4)),
                           nat::Be16{static_cast<std::uint16_t>(number(port, 2))}};
    };
    return {.interface = sent.interface,
            .source = endpoint(kIp + 12, kUdp),
            .destination = endpoint(kIp + 16, kUdp + 2),
            .text = {reinterpret_cast<const char*>(frame.data()) + kPayload, frame.size() - kPayload}};
  }
};

/// What every worker's own screen says comes first, then: refuse the methods that the test names.
class RefusingScreen final : public alg::sip::Screen {
 public:
  explicit RefusingScreen(dataplane::WorkerContext& worker) : own_(worker.own_messages) {
    worker.screens[0] = this;
  }
  alg::Answer judge(const alg::sip::MessageView& view, const alg::Message& message) noexcept override {
    const auto answer = own_.judge(view, message);
    if (answer.verdict != alg::Verdict::forward || !view.is_request() || view.method() != refused)
      return answer;
    return {.verdict = alg::Verdict::refuse,
            .reason = nat::DropReason::drop_sip_refused,
            .status = 503,
            .retry_after_s = 7};
  }
  std::optional<alg::Answer> judge_unread(alg::sip::Defect, const alg::Message&) noexcept override {
    return std::nullopt;
  }

  alg::sip::Method refused = alg::sip::Method::other;

 private:
  alg::sip::Screen& own_;
};

class SipScene {
 public:
  static constexpr unsigned kInside = PipelineLab::kInside;
  static constexpr unsigned kOutside = PipelineLab::kOutside;

  /// \param owner  the worker whose host the phone is; all packets arrive at worker 0
  explicit SipScene(unsigned workers = 1, unsigned owner = 0) : SipScene(lab_config(workers), owner) {}
  explicit SipScene(const config::Config& config, unsigned owner = 0) : lab(config) {
    lab.add_neighbor(kOutside, address("203.0.113.254"));
    phone = {lab.host_of(owner), nat::Be16{5060}};
  }

  [[nodiscard]] static std::string text_of(nat::Endpoint endpoint) {
    return std::string(nat::EndpointText(endpoint).view());
  }
  [[nodiscard]] nat::Endpoint external() { return lab.mapping(nat::Protocol::udp, phone).external; }

  /// What leaves when a message comes.
  std::vector<SentText> out(const std::string& text) { return out_to(server, text); }
  std::vector<SentText> out_to(nat::Endpoint to, const std::string& text) {
    return pass(kInside, {.source = phone, .destination = to}, text);
  }
  std::vector<SentText> in(const std::string& text) { return in_from(server, text); }
  std::vector<SentText> in_from(nat::Endpoint from, const std::string& text) {
    return pass(kOutside, {.source = from, .destination = external()}, text);
  }
  std::vector<SentText> pass(unsigned interface, FrameSpec spec, const std::string& text) {
    spec.payload.resize(text.size());
    std::memcpy(spec.payload.data(), text.data(), text.size());
    lab.receive(interface, spec);
    return run();
  }
  std::vector<SentText> run() {
    std::vector<SentText> texts;
    for (const auto& sent : lab.run()) texts.push_back(SentText::of(sent));
    return texts;
  }

  PipelineLab lab;
  nat::Endpoint phone;
  nat::Endpoint server = endpoint("198.51.100.7", 5060);
};

/// The lines of a message that begin with a name, without it.
inline std::vector<std::string> values_of(const std::string& text, const std::string& name) {
  std::vector<std::string> values;
  const std::string mark = "\r\n" + name + ": ";
  for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
    const auto begin = at + mark.size();
    values.push_back(text.substr(begin, text.find("\r\n", begin) - begin));
  }
  return values;
}
inline std::string value_of(const std::string& text, const std::string& name) {
  const auto values = values_of(text, name);
  return values.empty() ? std::string("(none)") : values.front();
}
inline std::string first_line(const std::string& text) {
  return text.substr(0, text.find("\r\n"));
}

/// The answer to a request, as its receiver sends it.
inline std::string answer_to(const std::string& request, const std::string& status) {
  std::string text = "SIP/2.0 " + status + "\r\n";
  for (const auto& via : values_of(request, "Via")) text += "Via: " + via + "\r\n";
  for (const char* const name : {"From", "To", "Call-ID", "CSeq"})
    text += std::string(name) + ": " + value_of(request, name) + "\r\n";
  return text + "Content-Length: 0\r\n\r\n";
}

}  // namespace pinhole::test
