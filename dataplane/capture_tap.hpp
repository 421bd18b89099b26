// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Copies frames for `pinholectl capture`, as callbacks of ethdev on the queues that workers poll and send by.
// Invariant: while no copies are wanted no callback is installed, so that packets cost nothing more; a copy
// that finds no room is lost, and the frame goes on. Installed and taken away by the main thread while
// workers run.
//
// DPDK's own librte_pdump is not used: it has the secondary make rings and mempools, under locks of the
// shared heap that a control that is killed would leave held, it leaves its callbacks behind then, and
// rte_pcapng needs the devices opened in control, which knows none on purpose.

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/ipc/layout.hpp"
#include "dataplane/port.hpp"
#include "dataplane/stats.hpp"

#include <rte_ethdev.h>

namespace pinhole::dataplane {

/// The copying itself. \param ring of the worker whose queue it is. Shape: rte_rx_callback_fn,
/// rte_tx_callback_fn. Cost: one copy of each frame. Thread: the worker.
std::uint16_t copy_received(std::uint16_t port, std::uint16_t queue, rte_mbuf** mbufs, std::uint16_t size,
                            std::uint16_t room, void* ring) noexcept;
std::uint16_t copy_sent(std::uint16_t port, std::uint16_t queue, rte_mbuf** mbufs, std::uint16_t size,
                        void* ring) noexcept;

class CaptureTap {
 public:
  /// \param layout, whose workers and switch are set, and `ports` outlive the tap.
  CaptureTap(const ipc::Layout& layout, std::span<const Port> ports) noexcept
      : layout_(layout), ports_(ports) {}

  /// Installs or takes away the callbacks as control wants it at this moment. Thread: main, now and then.
  void follow(std::uint64_t tsc);

 private:
  struct Callback {
    const rte_eth_rxtx_callback* handle = nullptr;
    std::uint16_t port = 0;
    std::uint16_t queue = 0;
    bool sends = false;
  };

  [[nodiscard]] bool install();
  [[nodiscard]] bool install_on(const Port& port, unsigned index);
  [[nodiscard]] bool add(Callback callback, unsigned worker);
  void take_away();
  void free_retired();
  [[nodiscard]] std::vector<std::uint64_t> turns() const;

  const ipc::Layout& layout_;
  std::span<const Port> ports_;
  std::vector<Callback> installed_;
  std::vector<Callback> retired_;             // taken away; a worker may be in one of them still
  std::vector<std::uint64_t> retired_turns_;  // of each worker when the last of them was
};

}  // namespace pinhole::dataplane
