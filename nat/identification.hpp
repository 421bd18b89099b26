// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Identifications for datagrams that leave in fragments. Many inside hosts share an external address, and two
// of them may give datagrams to one server the same number at the same time; the server would put their
// fragments together into one. So each fragmented datagram gets a number of its own on its way out (RFC 6864
// section 5.3, RFC 7857 section 10). Invariant: a worker numbers from its own share of the numbers, and does
// not give a number to the same destination again before it has used up its share. Owned by one worker.

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "nat/endpoint.hpp"
#include "nat/ownership.hpp"

namespace pinhole::nat {

class DatagramIds {
 public:
  /// \param seed  secret: nobody can tell who else shares his row of numbers, or where it begins
  DatagramIds(unsigned worker, unsigned workers, std::uint64_t seed) noexcept
      : worker_(worker), workers_(workers), share_(kNumbers / workers), seed_(seed) {
    assert(worker < workers && workers <= kNumbers);
    for (std::size_t row = 0; row < kRows; ++row) {
      used_[row] = scale(hash_address(Ipv4Address::from_host(static_cast<std::uint32_t>(row)), seed), share_);
    }
  }

  /// A number for a datagram to `destination`. Source addresses and protocols share a row: they need not.
  [[nodiscard]] Be16 next(Ipv4Address destination) noexcept {
    auto& used = used_[hash_address(destination, seed_) % kRows];
    if (++used >= share_) used = 0;
    return Be16{static_cast<std::uint16_t>(used * workers_ + worker_)};
  }

 private:
  static constexpr std::uint32_t kNumbers = 65536;
  static constexpr std::size_t kRows = 256;  // destinations that meet in a row use it up together

  std::uint32_t worker_;
  std::uint32_t workers_;
  std::uint32_t share_;  // numbers of this worker
  std::uint64_t seed_;
  std::array<std::uint32_t, kRows> used_;
};

}  // namespace pinhole::nat
