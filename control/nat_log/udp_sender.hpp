// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Datagrams to one peer. Invariant: it never waits; a datagram that the system does not take is lost, and
// the caller knows. A plain socket and not Asio's, because nothing here is ever waited for.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "control/worker_link.hpp"
#include "nat/endpoint.hpp"

namespace pinhole::control {

class UdpSender {
 public:
  static constexpr std::chrono::seconds kTryAgain{1};
  /// What went wrong is told for so long; a peer that does not listen refuses only every other datagram.
  static constexpr std::chrono::seconds kCalm{10};
  static constexpr int kBuffer_bytes = 4 << 20U;

  explicit UdpSender(nat::Endpoint peer) noexcept : peer_(peer) {}
  UdpSender(const UdpSender&) = delete;
  UdpSender& operator=(const UdpSender&) = delete;
  ~UdpSender();

  /// \return false when the datagram was not sent.
  bool send(std::span<const std::byte> datagram, Steady now);

  [[nodiscard]] nat::Endpoint peer() const noexcept { return peer_; }
  /// Why datagrams do not arrive, as far as the system tells; empty: nothing is known.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  /// How often something went wrong.
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }

 private:
  bool open(Steady now);
  void close() noexcept;
  void fail(int error, Steady now);

  nat::Endpoint peer_;
  int socket_ = -1;
  Steady try_at_{};
  Steady failed_at_{};
  std::string problem_;
  std::uint64_t failures_ = 0;
};

}  // namespace pinhole::control
