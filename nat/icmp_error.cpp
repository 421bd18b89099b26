// SPDX-License-Identifier: BSD-3-Clause
#include "nat/icmp_error.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "nat/checksum.hpp"
#include "nat/headers.hpp"
#include "nat/rewrite.hpp"

namespace pinhole::nat {
namespace {

// RFC 792: an error quotes the header and at least 64 bits of what follows, enough for the ports.
constexpr std::size_t kQuotedTransport = 8;
// RFC 1812 section 4.3.2.5: errors go with precedence 6, internetwork control.
constexpr std::uint8_t kInternetworkControl = 0xc0;

/// Where in the frame the parts of the quoted packet lie.
struct Quote {
  std::size_t ip;
  std::size_t transport;
  std::size_t end;
  Protocol protocol;
};

std::optional<Quote> find_quote(const std::byte* frame, const Packet& packet) noexcept {
  const std::size_t ip = packet.payload_offset;
  const std::size_t end = packet.payload_end;
  if (end < ip + sizeof(Ipv4Header)) return std::nullopt;
  const auto& header = header_at<Ipv4Header>(frame, ip);
  const std::size_t transport = ip + header.header_size();
  const bool sound = header.version_and_length >> 4U == 4 && header.header_size() >= sizeof(Ipv4Header) &&
                     transport + kQuotedTransport <= end &&
                     (header.fragment.host() & Ipv4Header::kFragmentOffset) == 0;
  const auto protocol = protocol_from(header.protocol);
  if (!sound || !protocol) return std::nullopt;
  return Quote{ip, transport, end, *protocol};
}

/// Which end of the quoted packet is ours.
enum class Side : std::uint8_t { source, destination };

/// Gives one end of the quoted packet another endpoint, with the checksums that the quote has.
/// \return what that adds to the sum of the ICMP message
std::uint16_t translate_quote(std::byte* frame, const Quote& quote, Side side, Endpoint to) noexcept {
  auto& ip = header_at<Ipv4Header>(frame, quote.ip);
  auto& address = side == Side::source ? ip.source : ip.destination;
  const auto& fields = rewrite_detail::fields_of(quote.protocol);
  auto& port =
      header_at<Be16>(frame, quote.transport + (side == Side::source ? fields.source : fields.destination));
  const Deltas deltas = deltas_for(quote.protocol, {address, port}, to);

  const Be16 ip_checksum = Be16::from_raw(apply(ip.checksum.raw(), deltas.ip));
  std::uint16_t change = combine(delta(address, to.address), delta(port, to.port));
  change = combine(change, delta(ip.checksum, ip_checksum));
  ip.checksum = ip_checksum;
  address = to.address;
  port = to.port;

  const std::size_t at = quote.transport + fields.checksum;
  if (at + sizeof(Be16) > quote.end) return change;  // TCP's lies behind the eight bytes that must be quoted
  auto& checksum = header_at<Be16>(frame, at);
  const Be16 before = checksum;
  rewrite_detail::fix_transport(frame + at, quote.protocol, deltas.transport);
  return combine(change, delta(before, checksum));
}

void translate_outer(std::byte* frame, const Packet& packet, std::size_t address_field,
                     Ipv4Address to) noexcept {
  auto& address = header_at<Ipv4Address>(frame, packet.l3_offset + address_field);
  std::byte* const third_word = frame + packet.l3_offset + offsetof(Ipv4Header, ttl);
  store(third_word, rewrite_detail::next_hop(load<std::uint32_t>(third_word), delta(address, to)));
  address = to;
}

/// \param outer  the address that the error itself gets in its field `outer_field`
void translate_error(std::byte* frame, const Packet& packet, const Quote& quote, Side quoted_side,
                     Endpoint to, std::size_t outer_field, Ipv4Address outer) noexcept {
  assert(packet.kind == PacketKind::icmp_error && packet.ttl > 1);
  const std::uint16_t change = translate_quote(frame, quote, quoted_side, to);
  auto& icmp = header_at<IcmpHeader>(frame, packet.l4_offset);
  icmp.checksum = Be16::from_raw(apply(icmp.checksum.raw(), change));
  translate_outer(frame, packet, outer_field, outer);
}

/// Cuts the quote behind the first bytes of its transport header. \return the new end of the datagram
std::uint16_t cut_quote(std::byte* frame, const Packet& packet, const Quote& quote) noexcept {
  const auto end = static_cast<std::uint16_t>(quote.transport + kQuotedTransport);
  auto& ip = header_at<Ipv4Header>(frame, packet.l3_offset);
  const Be16 total_length{static_cast<std::uint16_t>(end - packet.l3_offset)};
  ip.checksum = Be16::from_raw(apply(ip.checksum.raw(), delta(ip.total_length, total_length)));
  ip.total_length = total_length;

  auto& icmp = header_at<IcmpHeader>(frame, packet.l4_offset);
  // The extensions of RFC 4884 went with the rest, so the length in the sixth byte that tells where they
  // begin is zero again.
  icmp.identifier = Be16{static_cast<std::uint16_t>(icmp.identifier.host() & 0xff00U)};
  icmp.checksum = {};
  icmp.checksum =
      Be16::from_raw(checksum({frame + packet.l4_offset, static_cast<std::size_t>(end - packet.l4_offset)}));
  return end;
}

}  // namespace

bool may_answer_with_error(const std::byte* frame, const Packet& packet) noexcept {
  return packet.kind == PacketKind::flow && packet.part != FragmentPart::later &&
         !header_at<EthernetHeader>(frame, 0).destination.is_group();
}

std::size_t build_icmp_error(std::span<std::byte> datagram, const std::byte* frame, const Packet& packet,
                             IcmpError error, Ipv4Address source) noexcept {
  return build_icmp_error(datagram, {frame + packet.l3_offset, packet.ip_size()}, error, source);
}

std::size_t build_icmp_error(std::span<std::byte> datagram, std::span<const std::byte> about, IcmpError error,
                             Ipv4Address source) noexcept {
  assert(datagram.size() >= kMaxIcmpError && about.size() >= sizeof(Ipv4Header));
  constexpr std::size_t kHeaders = sizeof(Ipv4Header) + sizeof(IcmpHeader);
  const std::size_t quoted = std::min(about.size(), kMaxIcmpError - kHeaders);
  const std::size_t size = kHeaders + quoted;
  std::memcpy(datagram.data() + kHeaders, about.data(), quoted);

  auto& icmp = header_at<IcmpHeader>(datagram.data(), sizeof(Ipv4Header));
  icmp = {};
  icmp.type = error.type;
  icmp.code = error.code;
  icmp.sequence = Be16{error.mtu};
  icmp.checksum = Be16::from_raw(checksum(datagram.subspan(sizeof(Ipv4Header), sizeof(IcmpHeader) + quoted)));

  auto& ip = header_at<Ipv4Header>(datagram.data(), 0);
  ip = {};
  ip.version_and_length = Ipv4Header::kVersionNoOptions;
  ip.type_of_service = kInternetworkControl;
  ip.total_length = Be16{static_cast<std::uint16_t>(size)};
  // Never fragmented, so the identification may be anything: RFC 6864 section 4.1.
  ip.fragment = Be16{Ipv4Header::kDontFragment};
  ip.ttl = kInitialTtl;
  ip.protocol = kIpProtocolIcmp;
  ip.source = source;
  ip.destination = header_at<Ipv4Header>(about.data(), 0).source;
  ip.checksum = Be16::from_raw(checksum(datagram.first(sizeof(Ipv4Header))));
  return size;
}

void answer_echo_request(std::byte* frame, Packet& packet) noexcept {
  assert(packet.kind == PacketKind::flow && packet.icmp_type == IcmpHeader::kEchoRequest);
  auto& icmp = header_at<IcmpHeader>(frame, packet.l4_offset);
  const auto before = load<std::uint16_t>(frame + packet.l4_offset);
  icmp.type = IcmpHeader::kEchoReply;
  const auto after = load<std::uint16_t>(frame + packet.l4_offset);
  icmp.checksum = Be16::from_raw(apply(icmp.checksum.raw(), delta(before, after)));
  const std::span message{frame + packet.l4_offset,
                          static_cast<std::size_t>(packet.ip_end - packet.l4_offset)};
  // A reply of zeros alone is the one message whose sum is +0, which a difference cannot tell from -0.
  if (sum_bytes(message) == 0) icmp.checksum = Be16{0xffff};

  auto& ip = header_at<Ipv4Header>(frame, packet.l3_offset);
  std::swap(ip.source, ip.destination);
  const Be16 old_ttl{static_cast<std::uint16_t>(ip.ttl << 8U)};
  const Be16 new_ttl{static_cast<std::uint16_t>(kInitialTtl << 8U)};
  ip.checksum = Be16::from_raw(apply(ip.checksum.raw(), delta(old_ttl, new_ttl)));
  ip.ttl = kInitialTtl;

  packet.icmp_type = IcmpHeader::kEchoReply;
  packet.ttl = kInitialTtl;
  std::swap(packet.source, packet.destination);
}

bool error_checksums_right(const std::byte* frame, const Packet& packet) noexcept {
  assert(packet.kind == PacketKind::icmp_error);
  const std::span message{frame + packet.l4_offset,
                          static_cast<std::size_t>(packet.ip_end - packet.l4_offset)};
  if (checksum(message) != 0) return false;
  const auto quoted = message.subspan(sizeof(IcmpHeader));
  if (quoted.size() < sizeof(Ipv4Header)) return true;  // and there is no flow in it
  const std::size_t header = header_at<Ipv4Header>(quoted.data(), 0).header_size();
  return header > quoted.size() || checksum(quoted.first(header)) == 0;
}

std::optional<EmbeddedFlow> embedded_flow(const std::byte* frame, const Packet& packet) noexcept {
  assert(packet.kind == PacketKind::icmp_error);
  const auto quote = find_quote(frame, packet);
  if (!quote) return std::nullopt;

  const auto& ip = header_at<Ipv4Header>(frame, quote->ip);
  EmbeddedFlow flow{quote->protocol, {ip.source, {}}, {ip.destination, {}}};
  if (quote->protocol == Protocol::icmp) {
    const auto& icmp = header_at<IcmpHeader>(frame, quote->transport);
    const bool request = icmp.type == IcmpHeader::kEchoRequest;
    if (!request && icmp.type != IcmpHeader::kEchoReply) return std::nullopt;
    (request ? flow.source : flow.destination).port = icmp.identifier;
  } else {
    const auto& fields = rewrite_detail::fields_of(quote->protocol);
    flow.source.port = header_at<Be16>(frame, quote->transport + fields.source);
    flow.destination.port = header_at<Be16>(frame, quote->transport + fields.destination);
  }
  return flow;
}

void rewrite_icmp_error_inbound(std::byte* frame, const Packet& packet, const Mapping& mapping) noexcept {
  if (const auto quote = find_quote(frame, packet)) {
    translate_error(frame, packet, *quote, Side::source, mapping.inside, offsetof(Ipv4Header, destination),
                    mapping.inside.address);
  }
}

std::uint16_t rewrite_icmp_error_outbound(std::byte* frame, const Packet& packet, const Mapping& mapping,
                                          Ipv4Address sender) noexcept {
  const auto quote = find_quote(frame, packet);
  if (!quote) return packet.ip_end;
  translate_error(frame, packet, *quote, Side::destination, mapping.external, offsetof(Ipv4Header, source),
                  sender);
  const bool payload_translated = (mapping.flags & MappingFlags::kSip) != 0;
  return payload_translated ? cut_quote(frame, packet, *quote) : packet.ip_end;
}

}  // namespace pinhole::nat
