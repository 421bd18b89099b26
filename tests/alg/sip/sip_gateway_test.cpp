// SPDX-License-Identifier: BSD-3-Clause
// SIP behind alg/plugin.h: the same messages, verdicts and ends of messages as by its own classes.
#include "alg/sip/sip_gateway.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "alg/sip/framer.hpp"
#include "tests/support/sip_bench.hpp"

namespace pinhole::alg::sip {

namespace {

/// An inspection, behind the pointer that a gateway is given.
Voice& voice_of(pinhole_context& context) noexcept {
  return reinterpret_cast<Voice&>(context);
}

VoiceHost host_of(SipAlg& alg) {
  VoiceHost host{.table = {}, .alg = &alg, .voice = voice_of};
  host.table.size = sizeof(VoiceHost);
  return host;
}

int inspect(const VoiceHost& host, Voice& voice) {
  void* state = nullptr;
  REQUIRE(gateway().worker_init(&host.table, 0, "", &state) == 0);
  const pinhole_message message{};
  return gateway().inspect(state, reinterpret_cast<pinhole_context*>(&voice), &message);
}

std::string options(const std::string& contact) {
  return test::lines({"OPTIONS sip:example.com SIP/2.0", "Via: SIP/2.0/UDP phone.example.net;branch=z9hG4bK1",
                      "From: <sip:a@b>;tag=1", "To: <sip:c@d>", "Call-ID: 1", "CSeq: 1 OPTIONS",
                      "Contact: <sip:alice@" + contact + ">", "Content-Length: 0"}) +
         "\r\n";
}

}  // namespace

TEST_CASE("SIP does not start under a host that knows nothing of calls", "[alg][sip][plugin]") {
  pinhole_host plain{};
  plain.size = sizeof(pinhole_host);
  void* state = nullptr;
  CHECK(gateway().worker_init(&plain, 0, "", &state) != 0);
}

TEST_CASE("SIP behind the interface of gateways edits and judges as by itself", "[alg][sip][plugin]") {
  test::SipBench bench;
  const auto host = host_of(bench.alg);
  const std::string text = options("10.0.0.5:5060");
  const Message message{text, Direction::outbound, bench.flow};
  EditList edits;
  SECTION("a message goes on with its edits") {
    Voice voice{message, bench.host, edits};
    CHECK(inspect(host, voice) == PINHOLE_FORWARD);
    CHECK(voice.answer.recognised);
    REQUIRE(edits.edits().size() == 1);
    CHECK(edits.text(edits.edits().front()) == "203.0.113.10:10060");
  }
  SECTION("one that waits for another worker does not go on, and the answer says why") {
    bench.host.waits = true;
    const std::string of_another = options("10.0.0.7:5060");
    const Message waiting{of_another, Direction::outbound, bench.flow};
    Voice voice{waiting, bench.host, edits};
    CHECK(inspect(host, voice) == PINHOLE_DROP);
    CHECK(voice.answer.verdict == Verdict::wait);
    CHECK(edits.empty());
  }
}

TEST_CASE("SIP's frames behind the interface of gateways are those of its framer, wherever it is cut",
          "[alg][sip][plugin]") {
  const std::string message = options("10.0.0.5:5060");
  const std::string other = "SSH-2.0-OpenSSH\r\n";
  for (const auto& stream : {message + message, "\r\n\r\n" + message, other}) {
    for (std::size_t cut = 1; cut < stream.size(); ++cut) {
      INFO(stream << " cut at " << cut);
      stream::FramerState state;
      pinhole_framing framing{};
      for (std::size_t at = 0; at < stream.size();) {
        const auto size = std::min(at == 0 ? cut : stream.size(), stream.size() - at);
        const auto piece = std::string_view(stream).substr(at, size);
        const auto expected = SipFramer{}.feed(state, piece);
        const auto found = gateway().frame(nullptr, &framing, piece.data(), piece.size());
        framing.scanned += static_cast<std::uint32_t>(size);
        REQUIRE(found.kind == static_cast<std::uint32_t>(expected.kind));
        REQUIRE(found.length == expected.size);
        if (expected.kind != stream::Frame::Kind::more) break;
        REQUIRE(framing.scanned == state.scanned);
        REQUIRE((framing.begun != 0) == state.begun);
        at += size;
      }
    }
  }
}

}  // namespace pinhole::alg::sip
