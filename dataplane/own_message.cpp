// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/own_message.hpp"

#include <algorithm>
#include <cstring>

#include "alg/sip/refusal.hpp"
#include "alg/sip/values.hpp"
#include "dataplane/context.hpp"
#include "dataplane/fragments.hpp"
#include "dataplane/hairpin.hpp"
#include "dataplane/mbuf_view.hpp"
#include "dataplane/own_packet.hpp"
#include "nat/checksum.hpp"
#include "nat/headers.hpp"

namespace pinhole::dataplane {

namespace {

using alg::Direction;
using alg::Verdict;
using alg::sip::HeaderId;
using alg::sip::Method;
using nat::DropReason;

constexpr std::uint8_t kL3 = sizeof(nat::EthernetHeader);
constexpr std::uint8_t kL4 = kL3 + sizeof(nat::Ipv4Header);
constexpr std::uint8_t kPayload = kL4 + sizeof(nat::UdpHeader);
constexpr std::uint8_t kTtl = 64;
/// What begins the To tag of a refusal.
constexpr std::string_view kTagMark = "ph";

/// A datagram behind a link header that nobody reads. \param frame  with room for it
nat::Packet write_datagram(std::byte* frame, nat::Endpoint source, nat::Endpoint destination,
                           std::string_view text, nat::Be16 identification) noexcept {
  nat::Packet packet;
  packet.kind = nat::PacketKind::flow;
  packet.protocol = nat::Protocol::udp;
  packet.ttl = kTtl;
  packet.l3_offset = kL3;
  packet.l4_offset = kL4;
  packet.payload_offset = kPayload;
  packet.payload_end = packet.ip_end = static_cast<std::uint16_t>(kPayload + text.size());
  packet.source = source;
  packet.destination = destination;
  packet.identification = identification;
  write_ip_header(frame, packet, 0, identification);
  const auto size = static_cast<std::uint16_t>(packet.payload_end - kL4);
  auto& udp = nat::header_at<nat::UdpHeader>(frame, kL4);
  udp = {.source_port = source.port,
         .destination_port = destination.port,
         .length = nat::Be16{size},
         .checksum = {}};
  std::memcpy(frame + kPayload, text.data(), text.size());
  udp.checksum =
      nat::Be16::from_raw(nat::transport_checksum(nat::Protocol::udp, source.address, destination.address,
                                                  {frame + kL4, size}, offsetof(nat::UdpHeader, checksum)));
  return packet;
}

}  // namespace

std::array<char, 16> hex_digits(std::uint64_t value) noexcept {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<char, 16> text;
  for (std::size_t i = text.size(); i > 0; --i, value >>= 4U) text[i - 1] = kDigits[value & 15U];
  return text;
}

OwnMessages::OwnMessages(WorkerContext& worker, std::uint64_t seed, std::uint64_t tsc_hz) noexcept
    : worker_(worker),
      key_{sip_hash("tag of a refusal", {seed, 0}), sip_hash("tag of a refusal", {seed, 1})},
      limit_(kRefusalsPerSecond, kRefusalBurst, tsc_hz) {
}

alg::Answer OwnMessages::judge(const alg::sip::MessageView& view, const alg::Message& message) noexcept {
  const bool ends_here = view.is_request()
                             ? view.method() == Method::ack && is_ack_of_refusal(view)
                             : view.method() == Method::bye && worker_.hang_ups.take_answer(view, message);
  if (!ends_here) return {};
  return {.verdict = Verdict::drop, .reason = DropReason::drop_sip_own, .recognised = true};
}

std::optional<alg::Answer> OwnMessages::judge_unread(alg::sip::Defect, const alg::Message&) noexcept {
  return std::nullopt;
}

/// The same for a request that is sent again, and for its ACK.
std::array<char, 18> OwnMessages::tag_for(const alg::sip::Summary& request) const noexcept {
  const auto call = sip_hash(request.call_id, key_);
  const auto hash = sip_hash(request.from_tag, {key_[0] ^ call, key_[1] ^ request.cseq});
  std::array<char, 18> tag;
  std::copy(kTagMark.begin(), kTagMark.end(), tag.begin());
  const auto digits = hex_digits(hash);
  std::copy(digits.begin(), digits.end(), tag.begin() + kTagMark.size());
  return tag;
}

bool OwnMessages::is_ack_of_refusal(const alg::sip::MessageView& view) const noexcept {
  // Most tags are told by their size.
  if (view.value(HeaderId::to).find(kTagMark) == std::string_view::npos) return false;
  const auto summary = view.summary();
  const auto tag = tag_for(summary);
  return summary.to_tag == std::string_view(tag.data(), tag.size());
}

std::string_view OwnMessages::write(const alg::sip::MessageView& view, const alg::Message& request,
                                    const alg::Answer& answer) noexcept {
  const auto tag = tag_for(view.summary());
  const auto& flow = request.flow;
  return alg::sip::write_refusal(
      view,
      {.status = answer.status,
       .retry_after_s = answer.retry_after_s,
       .source = request.direction == Direction::outbound ? flow.inside : flow.remote,
       .to_tag = {tag.data(), tag.size()}},
      text_);
}

std::string_view OwnMessages::answer_to(const alg::Message& request, const alg::Answer& answer) noexcept {
  if (!limit_.take(worker_.clock.tsc())) return {};
  alg::sip::MessageView view;
  static_cast<void>(view.parse(request.bytes));  // what could not be read of it may be why it is refused
  return write(view, request, answer);
}

void OwnMessages::refuse(const alg::Message& request, const alg::Answer& answer) noexcept {
  if (!limit_.take(worker_.clock.tsc())) return;
  alg::sip::MessageView view;
  static_cast<void>(view.parse(request.bytes));
  const bool outbound = request.direction == Direction::outbound;
  const auto& flow = request.flow;
  auto destination = outbound ? flow.inside : flow.remote;
  const auto port = alg::sip::reply_port(view, destination.port);
  const auto text = port ? write(view, request, answer) : std::string_view();
  if (text.empty()) return;
  destination.port = *port;
  send(outbound ? flow.remote : flow.external, destination,
       outbound ? Direction::inbound : Direction::outbound, text);
  worker_.stats.worker.add(WorkerCounter::sip_refused);
}

void OwnMessages::send(nat::Endpoint source, nat::Endpoint destination, Direction direction,
                       std::string_view text) noexcept {
  const auto& network = worker_.network;
  const bool is_hairpin =
      direction == Direction::outbound && network.steering.is_external(destination.address);
  const auto route = network.routes.find(destination.address);
  if (!is_hairpin && route.kind != RouteKind::forward)
    return worker_.stats.drops.add(DropReason::drop_no_route);
  rte_mbuf* const mbuf = rte_pktmbuf_alloc(worker_.packets);
  if (mbuf == nullptr || buffer_of(mbuf).size() < kPayload + text.size()) {
    rte_pktmbuf_free(mbuf);
    return worker_.stats.drops.add(DropReason::drop_no_mbuf);
  }
  const auto packet = write_datagram(bytes_of(mbuf), source, destination, text,
                                     worker_.datagram_ids.next(destination.address));
  resize(mbuf, packet.ip_end);
  if (is_hairpin) return hairpin(mbuf, packet, source.port, worker_);
  const Hop hop{route.next_hop, route.interface};
  if (packet.ip_size() > network.mtu(hop.interface)) return send_in_fragments(mbuf, packet, hop, worker_);
  worker_.transmitter.send(mbuf, packet.l3_offset, hop);
}

}  // namespace pinhole::dataplane
