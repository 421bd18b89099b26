// SPDX-License-Identifier: BSD-3-Clause
// SACK blocks (RFC 2018) on a connection whose messages are edited: each end hears of its own numbers.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "alg/stream/segment.hpp"
#include "dataplane/context.hpp"
#include "nat/packet.hpp"
#include "tests/dataplane/tcp_talk.hpp"

using namespace pinhole;
using namespace pinhole::test;
using nat::Endpoint;
using nat::TcpHeader;

namespace {

constexpr std::uint32_t kPhoneFirst = 0xffffff00;  // its numbers wrap within the first message
constexpr std::uint32_t kProxyFirst = 7000;
const Endpoint kProxy = endpoint("198.51.100.7", 5060);

using Blocks = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

std::uint32_t size_of(const std::string& text) {
  return static_cast<std::uint32_t>(text.size());
}
std::string text_of(Endpoint endpoint) {
  return std::string(nat::EndpointText(endpoint).view());
}

/// Puts SACK blocks into the room that a frame has for options.
void put_blocks(Frame& frame, const Blocks& blocks) {
  const auto packet = nat::parse(frame, 0);
  const std::size_t l4 = packet.l4_offset;
  std::size_t at = l4 + sizeof(TcpHeader);
  const auto put = [&](std::uint32_t value, unsigned bytes) {
    for (unsigned i = bytes; i > 0; --i) frame[at++] = static_cast<std::byte>(value >> (8 * (i - 1)));
  };
  put(0x01010500 + 2 + 8 * static_cast<std::uint32_t>(blocks.size()), 4);
  for (const auto& [begin, end] : blocks) {
    put(begin, 4);
    put(end, 4);
  }
  nat::header_at<TcpHeader>(frame.data(), l4).checksum = nat::Be16::from_raw(nat::transport_checksum(
      nat::Protocol::tcp, packet.source.address, packet.destination.address,
      std::span(frame).subspan(l4, packet.ip_end - l4), offsetof(TcpHeader, checksum)));
}

Blocks blocks_of(Frame frame) {
  const auto packet = nat::parse(frame, 0);
  const std::size_t options = packet.l4_offset + sizeof(TcpHeader);
  const std::size_t end =
      packet.l4_offset + (std::to_integer<unsigned>(frame[packet.l4_offset + 12]) >> 4U) * 4;
  const auto sacks = alg::stream::read_options(std::span(frame).subspan(options, end - options)).sacks;
  Blocks blocks;
  const auto number = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value << 8U | std::to_integer<std::uint32_t>(sacks[at + i]);
    return value;
  };
  for (std::size_t at = 0; at < sacks.size(); at += 8) blocks.emplace_back(number(at), number(at + 4));
  return blocks;
}

/// A phone and its proxy, of which one speaks and the other has not got the first that was said.
class Lossy {
 public:
  explicit Lossy(bool phone_speaks) : phone_speaks_(phone_speaks) {
    lab_.add_neighbor(PipelineLab::kOutside, address("203.0.113.254"));
    phone_ = {lab_.host_of(0), nat::Be16{5060}};
    static_cast<void>(send(true, kPhoneFirst - 1, 0, "", TcpHeader::kSyn));
    external_ = lab_.mapping(nat::Protocol::tcp, phone_).external;
    static_cast<void>(send(false, kProxyFirst - 1, kPhoneFirst, "", TcpHeader::kSyn | TcpHeader::kAck));
    static_cast<void>(send(true, kPhoneFirst, kProxyFirst, ""));
    static_cast<void>(send(false, kProxyFirst, kPhoneFirst, ""));
  }

  [[nodiscard]] std::uint32_t first() const { return phone_speaks_ ? kPhoneFirst : kProxyFirst; }
  /// A request that names the phone as its sender knows it.
  [[nodiscard]] std::string message() const {
    return "OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/TCP example.com;branch=z9hG4bK1\r\n"
           "From: <sip:b@example.com>;tag=1\r\nTo: <sip:a@example.com>\r\nCall-ID: one\r\nCSeq: 1 OPTIONS\r\n"
           "Route: <sip:example.com;lr>\r\nRefer-To: <sip:a@" +
           own_text() + ";transport=tcp>\r\nContent-Length: 0\r\n\r\n";
  }
  /// The phone as the speaker knows it, and as the other end does.
  [[nodiscard]] std::string own_text() const { return text_of(phone_speaks_ ? phone_ : external_); }
  [[nodiscard]] std::string other_text() const { return text_of(phone_speaks_ ? external_ : phone_); }

  /// The speaker says something. \return what leaves
  std::string say(std::uint32_t place, const std::string& text) {
    const auto sent = send(phone_speaks_, first() + place, other_first(), text);
    REQUIRE(sent.size() == 1);
    return SentSegment::of(sent[0]).text;
  }
  /// The other end has nothing in order, and these blocks. \return what the speaker hears
  Blocks claim(const Blocks& blocks) {
    const auto sent = send(!phone_speaks_, other_first(), first(), "", TcpHeader::kAck, blocks);
    REQUIRE(sent.size() == 1);
    const auto segment = SentSegment::of(sent[0]);
    CHECK(segment.interface == (phone_speaks_ ? PipelineLab::kInside : PipelineLab::kOutside));
    CHECK(segment.acknowledgement == first());
    return blocks_of(sent[0].frame);
  }

 private:
  [[nodiscard]] std::uint32_t other_first() const { return phone_speaks_ ? kProxyFirst : kPhoneFirst; }

  std::vector<Sent> send(bool by_phone, std::uint32_t sequence, std::uint32_t acknowledgement,
                         const std::string& text, unsigned flags = TcpHeader::kAck,
                         const Blocks& blocks = {}) {
    FrameSpec spec{.protocol = nat::kIpProtocolTcp,
                   .source = by_phone ? phone_ : kProxy,
                   .destination = by_phone ? kProxy : external_};
    spec.tcp_flags = static_cast<std::uint8_t>(flags);
    spec.tcp_sequence = sequence;
    spec.tcp_acknowledgement = acknowledgement;
    spec.tcp_option_words = static_cast<std::uint8_t>(blocks.empty() ? 0 : 1 + 2 * blocks.size());
    spec.payload.resize(text.size());
    if (!text.empty()) std::memcpy(spec.payload.data(), text.data(), text.size());
    auto frame = make_frame(spec);
    if (!blocks.empty()) put_blocks(frame, blocks);
    const unsigned interface = by_phone ? PipelineLab::kInside : PipelineLab::kOutside;
    const auto own = lab_.own_mac(interface);
    std::memcpy(frame.data(), own.bytes.data(), own.bytes.size());
    const auto sender = PipelineLab::mac_of(spec.source.address);
    std::memcpy(frame.data() + own.bytes.size(), sender.bytes.data(), sender.bytes.size());
    lab_.receive_frame(interface, frame);
    return lab_.run();
  }

  PipelineLab lab_;
  bool phone_speaks_;
  Endpoint phone_;
  Endpoint external_;
};

}  // namespace

TEST_CASE("SACK blocks arrive in the numbers of who has sent the bytes, behind edits and in them",
          "[dataplane][sip][stream][AC-06][AC-07][rfc2018]") {
  for (const bool phone_speaks : {true, false}) {
    DYNAMIC_SECTION((phone_speaks ? "from the proxy" : "from the phone")) {
      Lossy talk(phone_speaks);
      const auto message = talk.message();
      const std::string alive = "\r\n\r\n";
      const auto made = talk.say(0, message);
      CHECK(made.find(talk.own_text()) == std::string::npos);
      REQUIRE(made.size() != message.size());
      const auto end = size_of(message);
      CHECK(talk.say(end, message) == made);
      CHECK(talk.say(2 * end, alive) == alive);

      const auto first = talk.first();
      const auto made_end = size_of(made);
      const auto all = size_of(alive);
      // What is asked for in the sender's numbers, and is where in the receiver's.
      const auto own_at = static_cast<std::uint32_t>(message.find(talk.own_text()));
      const auto made_at = static_cast<std::uint32_t>(made.find(talk.other_text()));
      REQUIRE(own_at == made_at);
      const auto own_behind = own_at + size_of(talk.own_text());
      const auto made_behind = made_at + size_of(talk.other_text());
      struct Row {
        const char* name;
        Blocks claimed;  // from the first byte
        Blocks arrives;
      };
      const Row rows[] = {
          {"the second message", {{made_end, 2 * made_end}}, {{end, 2 * end}}},
          {"what is behind it", {{2 * made_end, 2 * made_end + all}}, {{2 * end, 2 * end + all}}},
          {"the newest first",
           {{2 * made_end + 2, 2 * made_end + all}, {made_end, made_end + 10}},
           {{2 * end + 2, 2 * end + all}, {end, end + 10}}},
          {"from the middle of an edit", {{made_at + 3, made_end}}, {{own_behind, end}}},
          {"from behind an edit", {{made_behind, made_end}}, {{own_behind, end}}},
          {"to the middle of an edit", {{10, made_at + 3}}, {{10, own_at}}},
          {"within an edit", {{made_at + 3, made_at + 5}}, {}},
          {"more than was sent", {{2 * made_end, 2 * made_end + 500}}, {{2 * end, 2 * end + all}}},
      };
      for (const auto& row : rows) {
        INFO(row.name);
        const auto from_first = [&](Blocks blocks) {
          for (auto& [begin, behind] : blocks) begin += first, behind += first;
          return blocks;
        };
        CHECK(talk.claim(from_first(row.claimed)) == from_first(row.arrives));
      }
    }
  }
}
