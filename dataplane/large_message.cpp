// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/large_message.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "dataplane/fragments.hpp"
#include "nat/checksum.hpp"
#include "nat/fragmentation.hpp"
#include "nat/headers.hpp"
#include "nat/rewrite.hpp"

namespace pinhole::dataplane {

namespace {

using nat::DropReason;

constexpr std::ptrdiff_t kMaxDatagram = 65535;
/// Every host takes packets of this size (RFC 791 section 3.1), and no MTU can be configured below it.
constexpr std::uint16_t kMinMtu = 576;
/// Of the largest datagram, with the most options, in fragments for kMinMtu.
constexpr std::size_t kMaxPieces = 128;

const nat::Ipv4Header& ip_header(const rte_mbuf* fragment) noexcept {
  auto* const mbuf = const_cast<rte_mbuf*>(fragment);
  return nat::header_at<nat::Ipv4Header>(bytes_of(mbuf), note_of(mbuf).l3_offset);
}

/// Hands a packet of a message to the first stage again, as one that was inspected.
void send_on(rte_mbuf* mbuf, WorkerContext& worker) noexcept {
  mbuf->port |= MbufMark::kInspected;
  worker.handoff.add(worker.index, mbuf);
}

/// The largest packet in which a message may go on.
std::uint16_t mtu_of(const Burst& burst, unsigned place, const Network& network) noexcept {
  const auto way_out = burst.hops[place].interface;
  // What is turned around is cut again when it goes in.
  return network.mtu(way_out == kHairpinInterface ? burst.arrival[place] : way_out);
}

/// The size of the largest fragment.
std::uint16_t largest_of(const rte_mbuf* message) noexcept {
  std::uint16_t largest = kMinMtu;
  for (; message != nullptr; message = message->next) {
    largest = std::max(largest, ip_header(message).total_length.host());
  }
  return largest;
}

/// The number of a message that came as one packet and goes on in fragments.
nat::Be16 number_for(const Burst& burst, unsigned place, const nat::Ipv4Header& ip,
                     WorkerContext& worker) noexcept {
  const auto way_out = burst.hops[place].interface;
  const bool goes_in = way_out != kHairpinInterface && worker.network.interfaces[way_out].inside;
  // Who forbids fragments need not give different numbers (RFC 6864 section 4.1).
  const bool has_number = goes_in && (ip.fragment.host() & nat::Ipv4Header::kDontFragment) == 0;
  return has_number ? ip.identification : worker.datagram_ids.next(ip.destination);
}

/// Moves a message that came as one packet into the worker's memory, as write_whole() does with others.
void move_whole(rte_mbuf* mbuf, nat::Packet& packet, WorkerContext& worker) noexcept {
  const std::uint8_t l3 = packet.l3_offset;
  std::memcpy(worker.whole_message.data(), bytes_of(mbuf) + l3, packet.ip_size());
  packet.l3_offset = 0;
  packet.l4_offset = static_cast<std::uint8_t>(packet.l4_offset - l3);
  packet.payload_offset = static_cast<std::uint8_t>(packet.payload_offset - l3);
  packet.payload_end = static_cast<std::uint16_t>(packet.payload_end - l3);
  packet.ip_end = static_cast<std::uint16_t>(packet.ip_end - l3);
}

/// Buffers for a datagram in packets of a size.
class Pieces {
 public:
  /// \param payload  bytes behind the IP header
  [[nodiscard]] bool reserve(std::size_t header, std::size_t payload, std::uint16_t limit,
                             rte_mempool* packets) noexcept {
    constexpr std::size_t kUnit = nat::Ipv4Header::kFragmentUnit;
    const std::size_t room = (limit - header) / kUnit * kUnit;
    size_ = header + payload <= limit ? 1 : static_cast<unsigned>((payload + room - 1) / room);
    return size_ <= kMaxPieces && rte_pktmbuf_alloc_bulk(packets, mbufs_.data(), size_) == 0;
  }
  [[nodiscard]] bool is_one() const noexcept { return size_ == 1; }
  [[nodiscard]] unsigned written() const noexcept { return written_; }

  /// Writes the next packet. \param link  what is before the IP header
  /// \return nullptr when all of the datagram has been written
  rte_mbuf* write(std::span<const std::byte> link, std::span<const std::byte> datagram,
                  std::uint16_t limit) noexcept {
    if (is_over_) return nullptr;
    rte_mbuf* const mbuf = mbufs_[written_++];
    const auto buffer = buffer_of(mbuf);
    std::memcpy(buffer.data(), link.data(), link.size());
    std::size_t size = datagram.size();
    if (is_one()) {
      std::memcpy(buffer.data() + link.size(), datagram.data(), size);
    } else {
      const auto piece = nat::write_piece(buffer.subspan(link.size()), datagram, from_, limit);
      size = piece.size;
      from_ = piece.next;
    }
    is_over_ = is_one() || from_ == 0;
    resize(mbuf, static_cast<std::uint16_t>(link.size() + size));
    return mbuf;
  }
  /// Later fragments may have fewer options than the first, and then there are fewer of them.
  void free_rest() noexcept { rte_pktmbuf_free_bulk(mbufs_.data() + written_, size_ - written_); }

 private:
  std::array<rte_mbuf*, kMaxPieces> mbufs_;
  unsigned size_ = 0;
  unsigned written_ = 0;
  std::uint16_t from_ = 0;
  bool is_over_ = false;
};

}  // namespace

rte_mbuf* gather_message(Burst& burst, unsigned place, alg::Direction direction,
                         WorkerContext& worker) noexcept {
  const auto& packet = burst.packets[place];
  rte_mbuf* const mbuf = burst.mbufs[place];
  note_of(mbuf).l3_offset = packet.l3_offset;
  if (worker.resumed_rest != nullptr) {
    mbuf->next = std::exchange(worker.resumed_rest, nullptr);
    return mbuf;
  }
  const auto& ip = ip_header(mbuf);
  rte_mbuf* message = nullptr;
  rte_mbuf* last = nullptr;
  const bool is_whole = worker.reassembly.take(
      {packet.source, packet.destination, ip.identification, direction == alg::Direction::outbound},
      nat::fragment_range(ip), mbuf, worker.clock.tick(),
      [&](void* piece) noexcept {
        auto* const fragment = static_cast<rte_mbuf*>(piece);
        (last == nullptr ? message : last->next) = fragment;
        last = fragment;
      },
      [&](void* piece, DropReason reason) noexcept {
        worker.transmitter.drop(static_cast<rte_mbuf*>(piece), reason);
      });
  if (is_whole) worker.stats.worker.add(WorkerCounter::sip_reassembled);
  return message;
}

DropReason write_whole(const rte_mbuf* message, nat::Packet& packet, WorkerContext& worker) noexcept {
  std::byte* const whole = worker.whole_message.data();
  const std::size_t header = ip_header(message).header_size();
  packet.ttl = ip_header(message).ttl;
  std::memcpy(whole, &ip_header(message), header);
  std::size_t end = header;
  for (; message != nullptr; message = message->next) {
    const auto& ip = ip_header(message);
    const std::size_t size = ip.total_length.host() - ip.header_size();
    if (end + size > std::size_t{kMaxDatagram}) return DropReason::drop_fragment_malformed;
    std::memcpy(whole + end, reinterpret_cast<const std::byte*>(&ip) + ip.header_size(), size);
    end += size;
  }
  auto& ip = nat::header_at<nat::Ipv4Header>(whole, 0);
  ip.fragment = {};
  ip.total_length = nat::Be16{static_cast<std::uint16_t>(end)};
  ip.checksum = {};
  ip.checksum = nat::Be16::from_raw(nat::checksum({whole, header}));

  const std::size_t length = nat::header_at<nat::UdpHeader>(whole, header).length.host();
  if (length < sizeof(nat::UdpHeader) || header + length > end) return DropReason::drop_bad_udp_length;
  packet.part = nat::FragmentPart::whole;
  packet.l3_offset = 0;
  packet.l4_offset = static_cast<std::uint8_t>(header);
  packet.payload_offset = static_cast<std::uint8_t>(header + sizeof(nat::UdpHeader));
  packet.payload_end = static_cast<std::uint16_t>(header + length);
  packet.ip_end = static_cast<std::uint16_t>(end);
  return DropReason::none;
}

void pass_message(rte_mbuf* message, WorkerContext& worker) noexcept {
  while (message != nullptr) {
    rte_mbuf* const fragment = message;
    message = std::exchange(fragment->next, nullptr);
    send_on(fragment, worker);
  }
}

void send_edited(Burst& burst, unsigned place, rte_mbuf* message, const nat::Packet& packet,
                 DropReason too_big, WorkerContext& worker) noexcept {
  const auto refuse = [&](DropReason reason) noexcept {
    worker.inspection.drop(reason);
    drop_message(message, reason, worker);
  };
  const bool came_whole = message->next == nullptr;
  const auto growth = worker.edits.growth();
  const std::ptrdiff_t size = packet.payload_end - packet.l3_offset + growth;
  if (size > kMaxDatagram) return refuse(too_big);
  const std::uint16_t mtu = mtu_of(burst, place, worker.network);
  if (size > mtu && came_whole && !worker.ignores_df && !may_be_fragmented(bytes_of(message), packet)) {
    worker.inspection.abandon();
    const auto fitting = std::clamp<std::ptrdiff_t>(mtu - growth, kMinMtu, mtu);
    return worker.slow_path.too_big(message, packet, burst.arrival[place],
                                    static_cast<std::uint16_t>(fitting));
  }
  // Who fragments may know why it is done at that size.
  const std::uint16_t limit = size <= mtu || came_whole ? mtu : std::min(mtu, largest_of(message));
  const std::size_t header = packet.l4_offset - packet.l3_offset;
  Pieces pieces;
  if (!pieces.reserve(header, static_cast<std::size_t>(size) - header, limit, worker.packets)) {
    return refuse(DropReason::drop_no_mbuf);
  }

  worker.inspection.commit();
  nat::Packet edited = packet;
  if (came_whole) move_whole(message, edited, worker);
  const auto whole = std::span(worker.whole_message);
  const auto payload = whole.subspan(edited.payload_offset);
  const auto payload_size =
      worker.edits.apply({reinterpret_cast<char*>(payload.data()), payload.size()}, edited.payload_size());
  nat::finish_udp_payload(whole.data(), edited, static_cast<std::uint16_t>(*payload_size));
  nat::FragmentFlow flow{edited.source.port, edited.destination.port, 0, edited.identification};
  if (came_whole) {
    const auto& ip = nat::header_at<nat::Ipv4Header>(whole.data(), 0);
    flow.identification = pieces.is_one() ? ip.identification : number_for(burst, place, ip, worker);
  }
  nat::renumber(whole.data(), 0, flow.identification);

  const std::span link(bytes_of(message), came_whole ? packet.l3_offset : note_of(message).l3_offset);
  const auto marks = static_cast<std::uint16_t>(message->port & ~unsigned{MbufMark::kKnownFragment});
  while (rte_mbuf* const mbuf = pieces.write(link, whole.first(edited.ip_size()), limit)) {
    mbuf->port = marks;
    if (!pieces.is_one()) mark_known(mbuf, flow);
    send_on(mbuf, worker);
  }
  if (!pieces.is_one()) worker.stats.worker.add(WorkerCounter::fragment_out, pieces.written());
  pieces.free_rest();
  rte_pktmbuf_free(message);
}

void drop_message(rte_mbuf* message, DropReason reason, WorkerContext& worker) noexcept {
  while (message != nullptr) {
    rte_mbuf* const fragment = message;
    message = std::exchange(fragment->next, nullptr);
    worker.transmitter.drop(fragment, reason);
  }
}

void expire_messages(WorkerContext& worker, std::uint32_t budget) noexcept {
  worker.reassembly.expire(worker.clock.tick(), budget, [&](void* piece, DropReason reason) noexcept {
    worker.transmitter.drop(static_cast<rte_mbuf*>(piece), reason);
  });
}

}  // namespace pinhole::dataplane
