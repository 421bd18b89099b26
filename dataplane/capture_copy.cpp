// SPDX-License-Identifier: BSD-3-Clause
// The part of the capture that workers run.
#include <algorithm>
#include <cstring>

#include "dataplane/capture_tap.hpp"

#include <rte_cycles.h>
#include <rte_mbuf.h>

namespace pinhole::dataplane {

namespace {

// Above the largest frame that an interface may be configured for, so that frames are copied whole.
constexpr std::uint32_t kMostCopied = 16384;

void copy_frame(const rte_mbuf& frame, ipc::CaptureHeader header, ipc::CaptureRing& ring) noexcept {
  header.frame_bytes = frame.pkt_len;
  header.copied_bytes = std::min(frame.pkt_len, kMostCopied);
  std::byte* to = ring.claim(header);
  if (to == nullptr) return;
  std::uint32_t left = header.copied_bytes;
  for (const rte_mbuf* part = &frame; part != nullptr && left > 0; part = part->next) {
    const auto size = std::min<std::uint32_t>(part->data_len, left);
    std::memcpy(to, rte_pktmbuf_mtod(part, const std::byte*), size);
    to += size;
    left -= size;
  }
  ring.put();
}

void copy_all(std::span<rte_mbuf* const> mbufs, std::uint16_t port, bool sent, void* ring) noexcept {
  if (mbufs.empty()) return;
  const ipc::CaptureHeader header{.tsc = rte_rdtsc(), .port = port, .sent = sent};
  for (const rte_mbuf* const mbuf : mbufs) {
    copy_frame(*mbuf, header, *static_cast<ipc::CaptureRing*>(ring));
  }
}

}  // namespace

std::uint16_t copy_received(std::uint16_t port, std::uint16_t, rte_mbuf** mbufs, std::uint16_t size,
                            std::uint16_t, void* ring) noexcept {
  copy_all({mbufs, size}, port, false, ring);
  return size;
}

std::uint16_t copy_sent(std::uint16_t port, std::uint16_t, rte_mbuf** mbufs, std::uint16_t size,
                        void* ring) noexcept {
  copy_all({mbufs, size}, port, true, ring);
  return size;
}

}  // namespace pinhole::dataplane
