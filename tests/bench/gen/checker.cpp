// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/gen/checker.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "nat/checksum.hpp"

namespace pinhole::gen {

namespace {

struct FaultName {
  std::string_view key;
  std::string_view text;
};
constexpr std::array<FaultName, kFaults> kFaultNames = {{
    {"none", "no fault"},
    {"foreign", "not a packet of the generator"},
    {"size", "wrong size"},
    {"ip_checksum", "wrong IPv4 checksum"},
    {"udp_checksum", "wrong UDP checksum"},
    {"ttl", "wrong TTL"},
    {"payload", "changed payload"},
    {"mapping", "wrong mapping"},
    {"duplicate", "arrived twice"},
}};

/// True when `a` comes before `b`, in numbers that wrap.
constexpr bool before(std::uint32_t a, std::uint32_t b) noexcept {
  return static_cast<std::int32_t>(a - b) < 0;
}

bool checksums_right(std::span<const std::byte> frame, Fault& fault) noexcept {
  const auto& ip = nat::header_at<nat::Ipv4Header>(frame.data(), kIpOffset);
  if (nat::checksum(frame.subspan(kIpOffset, sizeof ip)) != 0) {
    fault = Fault::ip_checksum;
    return false;
  }
  const auto segment = frame.subspan(kUdpOffset);
  const auto& udp = nat::header_at<nat::UdpHeader>(frame.data(), kUdpOffset);
  const std::uint64_t sum =
      nat::sum_bytes(segment) + nat::pseudo_header_sum(ip.source, ip.destination, nat::kIpProtocolUdp,
                                                       static_cast<std::uint16_t>(segment.size()));
  // A checksum of zero says that there is none; we always send one, and it must be kept.
  fault = Fault::udp_checksum;
  return udp.checksum.raw() != 0 && nat::fold(sum) == 0xffff;
}

}  // namespace

std::string_view text_of(Fault fault) noexcept {
  return kFaultNames[static_cast<std::size_t>(fault)].text;
}

std::string_view key_of(Fault fault) noexcept {
  return kFaultNames[static_cast<std::size_t>(fault)].key;
}

void SequenceWindow::restart(std::uint32_t next) noexcept {
  std::ranges::fill(bits_, 0);
  first_ = next;
  cleared_ = next - next % kWord + kWord;
}

SequenceWindow::Seen SequenceWindow::insert(std::uint32_t sequence) noexcept {
  if (before(sequence, first_)) return Seen::stale;
  // Words are cleared when the newest number enters them. More than a window at once clears all of it.
  if (!before(sequence, cleared_ + kSize)) {
    std::ranges::fill(bits_, 0);
    cleared_ = sequence - sequence % kWord + kWord;
  }
  while (!before(sequence, cleared_)) {
    bits_[cleared_ % kSize / kWord] = 0;
    cleared_ += kWord;
  }
  if (before(sequence, cleared_ - kSize))
    return Seen::again;  // too old to tell; no device holds a million packets
  std::uint64_t& word = bits_[sequence % kSize / kWord];
  const std::uint64_t bit = std::uint64_t{1} << sequence % kWord;
  if ((word & bit) != 0) return Seen::again;
  word |= bit;
  return Seen::fresh;
}

std::uint64_t Arrivals::faulty() const noexcept {
  return std::accumulate(faults.begin(), faults.end(), std::uint64_t{0});
}

Arrivals& Arrivals::operator+=(const Arrivals& other) noexcept {
  received += other.received;
  reordered += other.reordered;
  stale += other.stale;
  for (std::size_t i = 0; i < kFaults; ++i) faults[i] += other.faults[i];
  return *this;
}

Checker::Checker(Direction direction, Device device, std::size_t size, std::vector<Flow>& flows)
    : direction_(direction), device_(device), size_(size), flows_(flows) {
  for (std::size_t at = sizeof(Payload); at < size - kPayloadOffset; ++at) filler_.push_back(filler(at));
}

void Checker::restart(std::uint32_t next_sequence) noexcept {
  window_.restart(next_sequence);
  arrivals_ = {};
}

std::uint32_t Checker::flow_of(const std::byte* frame) const noexcept {
  const std::uint32_t flow = nat::header_at<Payload>(frame, kPayloadOffset).flow.host();
  return flow < flows_.size() ? flow : 0;
}

std::uint64_t Checker::stamp_of(std::span<const std::byte> frame) noexcept {
  return nat::load<std::uint64_t>(frame.data() + kPayloadOffset + offsetof(Payload, stamp));
}

bool Checker::take(std::span<const std::byte> frame) noexcept {
  const Fault fault = fault_of(frame);
  if (fault != Fault::none) {
    ++arrivals_.faults[static_cast<std::size_t>(fault)];
    return false;
  }
  const auto& payload = nat::header_at<Payload>(frame.data(), kPayloadOffset);
  const std::uint32_t sequence = payload.sequence.host();
  switch (window_.insert(sequence)) {
    case SequenceWindow::Seen::stale:
      ++arrivals_.stale;
      return false;
    case SequenceWindow::Seen::again:
      ++arrivals_.faults[static_cast<std::size_t>(Fault::duplicate)];
      return false;
    case SequenceWindow::Seen::fresh:
      break;
  }
  std::uint32_t& last = flows_[payload.flow.host()].last[static_cast<std::size_t>(direction_)];
  if (last != 0 && before(sequence, last)) {
    ++arrivals_.reordered;
  } else {
    last = sequence;
  }
  ++arrivals_.received;
  return true;
}

Fault Checker::fault_of(std::span<const std::byte> frame) noexcept {
  if (frame.size() < kMinFrame) return Fault::size;
  const auto& ip = nat::header_at<nat::Ipv4Header>(frame.data(), kIpOffset);
  const auto& udp = nat::header_at<nat::UdpHeader>(frame.data(), kUdpOffset);
  const auto& payload = nat::header_at<Payload>(frame.data(), kPayloadOffset);
  if (ip.version_and_length != nat::Ipv4Header::kVersionNoOptions || ip.protocol != nat::kIpProtocolUdp) {
    return Fault::foreign;
  }
  if (frame.size() != size_ || ip.total_length.host() != size_ - kIpOffset ||
      udp.length.host() != size_ - kUdpOffset) {
    return Fault::size;
  }
  if (Fault fault{}; !checksums_right(frame, fault)) return fault;
  if (payload.mark != mark_of(direction_) || payload.flow.host() >= flows_.size() ||
      !std::ranges::equal(frame.subspan(kPayloadOffset + sizeof(Payload)), filler_)) {
    return Fault::payload;
  }
  if (ip.ttl != (device_ == Device::nat ? kTtl - 1 : kTtl)) return Fault::ttl;
  return addresses_fault(frame, flows_[payload.flow.host()]);
}

Fault Checker::addresses_fault(std::span<const std::byte> frame, Flow& flow) const noexcept {
  const auto& ip = nat::header_at<nat::Ipv4Header>(frame.data(), kIpOffset);
  const auto& udp = nat::header_at<nat::UdpHeader>(frame.data(), kUdpOffset);
  const nat::Endpoint source{ip.source, udp.source_port};
  const nat::Endpoint destination{ip.destination, udp.destination_port};
  const bool outbound = direction_ == Direction::outbound;
  bool right = false;
  if (device_ == Device::swap) {
    const nat::Endpoint& sender = outbound ? flow.inside : flow.remote;
    const nat::Endpoint& target = outbound ? flow.remote : flow.external;
    right = source == target && destination == sender;
  } else if (outbound) {
    if (destination == flow.remote && source != flow.inside && !flow.known()) flow.external = source;
    right = destination == flow.remote && source == flow.external;
  } else {
    right = source == flow.remote && destination == flow.inside;
  }
  return right ? Fault::none : Fault::mapping;
}

}  // namespace pinhole::gen
