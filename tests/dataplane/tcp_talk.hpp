// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// TCP connections through the real pipeline for tests that say what is sent and look at what is heard: each
// end counts its own numbers and takes what is next. Nothing is lost here but what the pipeline keeps back.

#include <catch2/catch.hpp>

#include <cstdint>
#include <cstring>
#include <string>

#include "alg/stream/sequence.hpp"
#include "tests/support/pipeline_lab.hpp"

namespace pinhole::test {

/// A segment that left.
struct SentSegment {
  unsigned interface = 0;
  nat::Endpoint source;
  nat::Endpoint destination;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgement = 0;
  unsigned flags = 0;
  std::string text;

  static SentSegment of(const Sent& sent) {
    constexpr std::size_t kIp = 14;
    constexpr std::size_t kTcp = kIp + 20;
    const auto& frame = sent.frame;
    CHECK(checksums_right(frame));
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
    const std::size_t payload = kTcp + (number(kTcp + 12, 1) >> 4U) * 4;
    const std::size_t end = kIp + number(kIp + 2, 2);
    return {.interface = sent.interface,
            .source = endpoint(kIp + 12, kTcp),
            .destination = endpoint(kIp + 16, kTcp + 2),
            .sequence = number(kTcp + 4, 4),
            .acknowledgement = number(kTcp + 8, 4),
            .flags = number(kTcp + 13, 1),
            .text = {reinterpret_cast<const char*>(frame.data()) + payload, end - payload}};
  }
};

/// One end of a connection.
struct TcpEnd {
  unsigned interface = 0;
  nat::Endpoint self;
  nat::Endpoint peer{};            // where it sends to
  std::uint32_t next = 0;          // its own next number
  std::uint32_t acknowledged = 0;  // of its own
  std::uint32_t expects = 0;       // of the other's
  std::string heard{};
  bool saw_fin = false;
  bool saw_reset = false;
};

/// A connection and its two ends. A SYN that does not arrive leaves it unopened.
class TcpTalk {
 public:
  static constexpr unsigned kAck = nat::TcpHeader::kAck;
  static constexpr std::uint32_t kFirst = 0xfffffe00;  // of the caller: wraps within the first message

  /// How much of the handshake is seen.
  enum class Opening : std::uint8_t { whole, without_last, unseen };

  /// \param called  its peer is learnt from the SYN
  TcpTalk(PipelineLab& lab, const TcpEnd& calls, const TcpEnd& is_called, Opening opening = Opening::whole)
      : caller(calls), called(is_called), lab_(lab) {
    caller.next = kFirst;
    called.next = 7000;
    if (opening == Opening::unseen) {
      caller.expects = called.next;
      called.expects = caller.next;
      return;
    }
    put(caller, caller.next++, "", nat::TcpHeader::kSyn);
    run();
    if (!open) return;
    put(called, called.next++, "", nat::TcpHeader::kSyn | kAck);
    run();
    if (opening == Opening::whole) acknowledge(caller);
  }

  /// Puts a segment on the wire; run() lets it pass.
  void say(TcpEnd& end, const std::string& text, unsigned flags = kAck) {
    put(end, end.next, text, flags);
    end.next += static_cast<std::uint32_t>(text.size()) + ((flags & nat::TcpHeader::kFin) != 0 ? 1 : 0);
  }
  /// The last bytes that were said, again.
  void say_again(TcpEnd& end, const std::string& text) {
    put(end, end.next - static_cast<std::uint32_t>(text.size()), text, kAck);
  }
  void acknowledge(TcpEnd& end) {
    say(end, "");
    run();
  }
  /// Says something, and has the other end acknowledge what it heard of it.
  void tell(TcpEnd& end, const std::string& text) {
    say(end, text);
    run();
    acknowledge(&end == &caller ? called : caller);
  }
  /// Both end the connection, the caller first.
  void close() {
    say(caller, "", kAck | nat::TcpHeader::kFin);
    run();
    say(called, "", kAck | nat::TcpHeader::kFin);
    run();
    acknowledge(caller);
  }
  void run() {
    for (const auto& sent : lab_.run()) {
      constexpr std::size_t kProtocol = 14 + 9;  // errors about what was refused are nobody's here
      if (sent.frame[kProtocol] == std::byte{nat::kIpProtocolTcp}) take(SentSegment::of(sent));
    }
  }

  TcpEnd caller;
  TcpEnd called;
  bool open = false;

 private:
  void put(const TcpEnd& end, std::uint32_t sequence, const std::string& text, unsigned flags) {
    FrameSpec spec{.protocol = nat::kIpProtocolTcp, .source = end.self, .destination = end.peer};
    spec.tcp_flags = static_cast<std::uint8_t>(flags);
    spec.tcp_mss = (flags & nat::TcpHeader::kSyn) != 0 ? 1460 : 0;
    spec.tcp_sequence = sequence;
    spec.tcp_acknowledgement = (flags & kAck) != 0 ? end.expects : 0;
    spec.payload.resize(text.size());
    if (!text.empty()) std::memcpy(spec.payload.data(), text.data(), text.size());
    lab_.receive(end.interface, spec);
  }

  void take(const SentSegment& segment) {
    TcpEnd& end =
        segment.interface == called.interface && segment.destination == called.self ? called : caller;
    REQUIRE(segment.interface == end.interface);
    REQUIRE(segment.destination == end.self);
    if ((segment.flags & nat::TcpHeader::kRst) != 0) {
      end.saw_reset = true;
      return;
    }
    if ((segment.flags & nat::TcpHeader::kSyn) != 0) {
      end.expects = segment.sequence + 1;
      if (&end == &called) end.peer = segment.source;
      open = true;
    }
    CHECK(segment.source == end.peer);
    if ((segment.flags & kAck) != 0) {
      CHECK_FALSE(alg::stream::after(segment.acknowledgement, end.next));
      end.acknowledged = segment.acknowledgement;
    }
    if (segment.sequence != end.expects) return;  // it has that
    end.heard += segment.text;
    end.expects += static_cast<std::uint32_t>(segment.text.size());
    if ((segment.flags & nat::TcpHeader::kFin) != 0) {
      ++end.expects;
      end.saw_fin = true;
    }
  }

  PipelineLab& lab_;
};

}  // namespace pinhole::test
