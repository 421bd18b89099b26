// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A port of the generator: one queue each way. It answers every request by ARP with its own MAC address,
// because all hosts on its side are played by it.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "nat/headers.hpp"

#include <rte_mbuf.h>
#include <rte_mempool.h>

namespace pinhole::gen {

inline constexpr unsigned kBurst = 64;

/// What pinhole-gen asks of DPDK.
struct EalOptions {
  std::vector<std::string> devices;
  unsigned cpu = 1;
  unsigned memory_mb = 128;
  bool huge_pages = true;
};
/// Errors: std::runtime_error with one sentence.
void start_eal(const EalOptions& options);
[[nodiscard]] rte_mempool* make_pool();

class Link {
 public:
  /// \param device  a PCI address, or a virtual device with its arguments
  /// Errors: std::runtime_error with one sentence.
  Link(const std::string& device, rte_mempool* pool);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  [[nodiscard]] const nat::MacAddress& mac() const noexcept { return mac_; }

  /// Waits until the other end is there. Errors: std::runtime_error after a few seconds.
  void wait_up() const;
  /// Waits until the other end is gone, for a minute at most.
  void wait_down() const;

  /// \return how many of `mbufs` it took; the rest stay the caller's.
  unsigned send(std::span<rte_mbuf*> mbufs) noexcept;
  /// \return how many frames came into `mbufs`; ARP is answered on the way and not among them.
  unsigned receive(std::span<rte_mbuf*, kBurst> mbufs) noexcept;

  /// Asks for the MAC address of `target` until it answers. Errors: std::runtime_error after a few seconds.
  nat::MacAddress resolve(nat::Ipv4Address own, nat::Ipv4Address target);

 private:
  [[nodiscard]] bool is_up() const;
  /// \return true when it was ARP, and is gone.
  bool take_arp(rte_mbuf* mbuf) noexcept;

  std::string device_;
  rte_mempool* pool_;
  std::uint16_t id_ = 0;
  nat::MacAddress mac_;
  nat::Ipv4Address asked_;
  nat::MacAddress answer_;
  bool answered_ = false;
};

}  // namespace pinhole::gen
