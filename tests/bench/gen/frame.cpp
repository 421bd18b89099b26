// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/gen/frame.hpp"

#include <cstring>
#include <span>

#include "nat/checksum.hpp"

namespace pinhole::gen {

using nat::Be16;

FrameMaker::FrameMaker(Direction direction, std::size_t size, const Macs& macs)
    : direction_(direction), template_(size) {
  std::byte* const frame = template_.data();
  auto& ethernet = nat::header_at<nat::EthernetHeader>(frame, 0);
  ethernet.source = macs.source;
  ethernet.destination = macs.destination;
  ethernet.ether_type = Be16{nat::kEtherTypeIpv4};

  auto& ip = nat::header_at<nat::Ipv4Header>(frame, kIpOffset);
  ip.version_and_length = nat::Ipv4Header::kVersionNoOptions;
  ip.total_length = Be16{static_cast<std::uint16_t>(size - kIpOffset)};
  ip.fragment = Be16{nat::Ipv4Header::kDontFragment};
  ip.ttl = kTtl;
  ip.protocol = nat::kIpProtocolUdp;
  ip_sum_ = nat::sum_bytes(std::span<const std::byte>(frame + kIpOffset, sizeof ip));

  auto& udp = nat::header_at<nat::UdpHeader>(frame, kUdpOffset);
  const auto length = static_cast<std::uint16_t>(size - kUdpOffset);
  udp.length = Be16{length};
  for (std::size_t at = sizeof(Payload); at < size - kPayloadOffset; ++at) {
    frame[kPayloadOffset + at] = filler(at);
  }
  nat::header_at<Payload>(frame, kPayloadOffset).mark = mark_of(direction);
  udp_sum_ = nat::sum_bytes(std::span<const std::byte>(template_).subspan(kUdpOffset)) +
             nat::pseudo_header_sum({}, {}, nat::kIpProtocolUdp, length);
}

void FrameMaker::write(std::byte* frame, const Flow& flow, std::uint32_t number, std::uint32_t sequence,
                       std::uint64_t stamp) const noexcept {
  const bool outbound = direction_ == Direction::outbound;
  const nat::Endpoint source = outbound ? flow.inside : flow.remote;
  const nat::Endpoint destination = outbound ? flow.remote : flow.external;
  std::memcpy(frame, template_.data(), template_.size());

  auto& ip = nat::header_at<nat::Ipv4Header>(frame, kIpOffset);
  ip.source = source.address;
  ip.destination = destination.address;
  const std::uint64_t addresses = std::uint64_t{source.address.value.raw()} + destination.address.value.raw();
  ip.checksum = Be16::from_raw(static_cast<std::uint16_t>(~nat::fold(ip_sum_ + addresses)));

  auto& payload = nat::header_at<Payload>(frame, kPayloadOffset);
  payload.flow = nat::Be32{number};
  payload.sequence = nat::Be32{sequence};
  std::memcpy(payload.stamp.data(), &stamp, sizeof stamp);

  auto& udp = nat::header_at<nat::UdpHeader>(frame, kUdpOffset);
  udp.source_port = source.port;
  udp.destination_port = destination.port;
  // Every word lies at an even offset, so words may be summed as they are, whatever their size.
  const std::uint64_t differs = addresses + source.port.raw() + destination.port.raw() + payload.flow.raw() +
                                payload.sequence.raw() + (stamp & 0xffffffffU) + (stamp >> 32U);
  const auto checksum = static_cast<std::uint16_t>(~nat::fold(udp_sum_ + differs));
  udp.checksum = Be16::from_raw(checksum == 0 ? std::uint16_t{0xffff} : checksum);
}

}  // namespace pinhole::gen
