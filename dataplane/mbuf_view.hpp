// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// An mbuf as bytes, and the few words that Pinhole keeps in its private area. Pinhole's pools give every mbuf
// one segment; a chain of segments (which no port is asked for) is seen up to the end of the first. The
// fragments of a message that is held are a list by rte_mbuf::next (dataplane/large_message.hpp).

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/burst.hpp"
#include "nat/fragment.hpp"

#include <rte_mbuf.h>

namespace pinhole::dataplane {

/// In the private area: where a packet that waits for its neighbour's MAC address is to go, or which flow a
/// fragment belongs to and where it begins.
struct PacketNote {
  Hop hop;
  std::uint8_t l3_offset = 0;
  nat::FragmentFlow flow;  // while MbufMark::kKnownFragment is set
};
inline constexpr std::uint16_t kPacketNoteSize = 16;  // DPDK wants a multiple of 8
static_assert(sizeof(PacketNote) <= kPacketNoteSize);

/// Marks in mbuf->port, above any number of a port. Receiving a packet sets the port anew; a mark lives while
/// the packet is on its way between workers.
struct MbufMark {
  static constexpr std::uint16_t kHairpinned = 0x8000;     // see dataplane/hairpin.hpp
  static constexpr std::uint16_t kKnownFragment = 0x4000;  // see dataplane/fragments.hpp
  static constexpr std::uint16_t kOwn = 0x2000;        // an ICMP error of ours; see dataplane/slow_path.hpp
  static constexpr std::uint16_t kInspected = 0x1000;  // see dataplane/large_message.hpp
  static constexpr std::uint16_t kPort = 0x0fff;       // what is left is the port
};
static_assert(RTE_MAX_ETHPORTS <= MbufMark::kPort);

/// Neither made by ourselves nor turned around: no address of ours can be its source.
[[nodiscard]] inline bool is_from_wire(const rte_mbuf* mbuf) noexcept {
  return (mbuf->port & (MbufMark::kHairpinned | MbufMark::kOwn)) == 0;
}
[[nodiscard]] inline bool is_own(const rte_mbuf* mbuf) noexcept {
  return (mbuf->port & MbufMark::kOwn) != 0;
}

[[nodiscard]] inline PacketNote& note_of(rte_mbuf* mbuf) noexcept {
  return *static_cast<PacketNote*>(rte_mbuf_to_priv(mbuf));
}
[[nodiscard]] inline std::byte* bytes_of(rte_mbuf* mbuf) noexcept {
  return rte_pktmbuf_mtod(mbuf, std::byte*);
}
[[nodiscard]] inline std::span<std::byte> frame_of(rte_mbuf* mbuf) noexcept {
  return {bytes_of(mbuf), mbuf->data_len};
}
/// The frame with the room behind it.
[[nodiscard]] inline std::span<std::byte> buffer_of(rte_mbuf* mbuf) noexcept {
  return {bytes_of(mbuf), std::size_t{mbuf->data_len} + rte_pktmbuf_tailroom(mbuf)};
}
/// Sets the size of a one-segment frame. \param size at most buffer_of(mbuf).size()
inline void resize(rte_mbuf* mbuf, std::uint16_t size) noexcept {
  mbuf->data_len = size;
  mbuf->pkt_len = size;
}

}  // namespace pinhole::dataplane
