// SPDX-License-Identifier: BSD-3-Clause
#include "control/capture/filter.hpp"

namespace pinhole::control {

namespace {

constexpr std::size_t kEtherTypeAt = 12;
constexpr std::size_t kTagBytes = 4;
constexpr std::size_t kLeastIpv4 = 20;
constexpr std::uint16_t kIpv4 = 0x0800;
constexpr std::uint16_t kVlan = 0x8100;
constexpr std::uint16_t kFragmentOffset = 0x1fff;
constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::size_t kIcmpHeader = 8;
constexpr std::uint8_t kEchoReply = 0;
constexpr std::uint8_t kEchoRequest = 8;

/// Bytes that may end anywhere.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}

  [[nodiscard]] bool has(std::size_t size) const noexcept { return bytes_.size() >= size; }
  [[nodiscard]] std::uint8_t octet(std::size_t at) const noexcept {
    return std::to_integer<std::uint8_t>(bytes_[at]);
  }
  [[nodiscard]] std::uint16_t word(std::size_t at) const noexcept {
    return static_cast<std::uint16_t>(octet(at) << 8U | octet(at + 1));
  }
  [[nodiscard]] nat::Ipv4Address address(std::size_t at) const noexcept {
    return nat::Ipv4Address::from_host(std::uint32_t{word(at)} << 16U | word(at + 2));
  }
  [[nodiscard]] Reader behind(std::size_t size) const noexcept {
    return Reader(has(size) ? bytes_.subspan(size) : std::span<const std::byte>());
  }

 private:
  std::span<const std::byte> bytes_;
};

bool is_error(std::uint8_t icmp_type) noexcept {
  return icmp_type == 3 || icmp_type == 4 || icmp_type == 5 || icmp_type == 11 || icmp_type == 12;
}

std::optional<PacketEnds> ends_of_packet(Reader packet, bool is_quoted) noexcept;

void read_icmp(Reader message, PacketEnds& ends, bool is_quoted) noexcept {
  const auto type = message.octet(0);
  if (type == kEchoReply || type == kEchoRequest) {
    ends.source_port = ends.target_port = message.word(4);
  } else if (is_error(type) && !is_quoted) {
    const auto about = ends_of_packet(message.behind(kIcmpHeader), true);
    if (!about) return;
    ends.source = about->target;
    ends.target = about->source;
    ends.source_port = about->target_port;
    ends.target_port = about->source_port;
    ends.protocol = about->protocol;
  }
}

std::optional<PacketEnds> ends_of_packet(Reader packet, bool is_quoted) noexcept {
  if (!packet.has(kLeastIpv4) || packet.octet(0) >> 4U != 4) return std::nullopt;
  const std::size_t header = std::size_t{4} * (packet.octet(0) & 0xfU);
  PacketEnds ends{.source = packet.address(12),
                  .target = packet.address(16),
                  .identification = packet.word(4),
                  .protocol = packet.octet(9),
                  .is_later_fragment = (packet.word(6) & kFragmentOffset) != 0,
                  .source_port = {},
                  .target_port = {}};
  const Reader payload = packet.behind(header);
  if (ends.is_later_fragment || header < kLeastIpv4 || !payload.has(kIcmpHeader)) return ends;
  if (ends.protocol == kTcp || ends.protocol == kUdp) {
    ends.source_port = payload.word(0);
    ends.target_port = payload.word(2);
  } else if (ends.protocol == kIcmp) {
    read_icmp(payload, ends, is_quoted);
  }
  return ends;
}

std::optional<nat::Protocol> protocol_of(std::uint8_t number) noexcept {
  if (number == kUdp) return nat::Protocol::udp;
  if (number == kTcp) return nat::Protocol::tcp;
  if (number == kIcmp) return nat::Protocol::icmp;
  return std::nullopt;
}

}  // namespace

std::optional<PacketEnds> ends_of(std::span<const std::byte> frame) noexcept {
  const Reader bytes(frame);
  std::size_t type_at = kEtherTypeAt;
  if (bytes.has(type_at + 2) && bytes.word(type_at) == kVlan) type_at += kTagBytes;
  if (!bytes.has(type_at + 2) || bytes.word(type_at) != kIpv4) return std::nullopt;
  return ends_of_packet(bytes.behind(type_at + 2), false);
}

void CaptureFilter::want(nat::Ipv4Address address) {
  addresses_.insert(address);
}

void CaptureFilter::want(nat::Protocol protocol, nat::Endpoint endpoint, std::optional<nat::Endpoint> peer) {
  flows_.emplace(protocol, endpoint, peer);
}

bool CaptureFilter::keeps(std::span<const std::byte> frame) {
  const auto ends = ends_of(frame);
  if (!ends) return false;
  const Datagram datagram{ends->source, ends->target, ends->identification, ends->protocol};
  if (ends->is_later_fragment && datagrams_.contains(datagram)) return true;
  if (!wants(*ends)) return false;
  // Forgotten all at once: an identification comes again, and means another datagram then.
  if (datagrams_.size() == kMostDatagrams) datagrams_.clear();
  datagrams_.insert(datagram);
  return true;
}

bool CaptureFilter::wants(const PacketEnds& ends) const {
  if (addresses_.contains(ends.source) || addresses_.contains(ends.target)) return true;
  const auto protocol = protocol_of(ends.protocol);
  if (!protocol || !ends.source_port || !ends.target_port) return false;
  const nat::Endpoint source{ends.source, nat::Be16{*ends.source_port}};
  const nat::Endpoint target{ends.target, nat::Be16{*ends.target_port}};
  return flows_.contains({*protocol, source, std::nullopt}) ||
         flows_.contains({*protocol, target, std::nullopt}) || flows_.contains({*protocol, source, target}) ||
         flows_.contains({*protocol, target, source});
}

}  // namespace pinhole::control
