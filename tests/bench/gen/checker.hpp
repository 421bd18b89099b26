// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What pinhole-gen demands of each packet that comes back: both checksums right, the payload whole, one hop
// less, the addresses that its flow must have, no packet twice. Nothing that arrives is taken on trust: the
// checksums are computed in full over the bytes that came.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tests/bench/gen/flow.hpp"
#include "tests/bench/gen/frame.hpp"

namespace pinhole::gen {

enum class Fault : std::uint8_t {
  none,
  foreign,
  size,
  ip_checksum,
  udp_checksum,
  ttl,
  payload,
  mapping,
  duplicate
};
inline constexpr std::size_t kFaults = 9;
/// What was wrong, for people: "wrong UDP checksum".
[[nodiscard]] std::string_view text_of(Fault fault) noexcept;
[[nodiscard]] std::string_view key_of(Fault fault) noexcept;

/// Which sequence numbers have arrived, over the newest kSize of them.
class SequenceWindow {
 public:
  static constexpr std::uint32_t kSize = 1U << 20U;

  /// \param next  the sequence number that will be sent next; everything before it is forgotten
  void restart(std::uint32_t next) noexcept;
  enum class Seen : std::uint8_t { fresh, again, stale };
  /// \return stale for what was sent before restart()
  Seen insert(std::uint32_t sequence) noexcept;

 private:
  static constexpr std::uint32_t kWord = 64;
  std::vector<std::uint64_t> bits_ = std::vector<std::uint64_t>(kSize / kWord);
  std::uint32_t first_ = 0;    // of this trial
  std::uint32_t cleared_ = 0;  // words of numbers below this are clear or in use
};

/// What has arrived in one direction. Shape: reset between trials.
struct Arrivals {
  std::uint64_t received = 0;   // good ones
  std::uint64_t reordered = 0;  // within a flow
  std::uint64_t stale = 0;      // of an earlier trial
  std::array<std::uint64_t, kFaults> faults{};

  [[nodiscard]] std::uint64_t faulty() const noexcept;
  Arrivals& operator+=(const Arrivals& other) noexcept;
};

class Checker {
 public:
  /// \param flows  outlives the checker; external endpoints are learnt into it
  /// \param size   of every frame, from kMinFrame to kMaxFrame
  Checker(Direction direction, Device device, std::size_t size, std::vector<Flow>& flows);

  void restart(std::uint32_t next_sequence) noexcept;
  /// The flow that a frame claims, for prefetching; the frame may be anything of at least kMinFrame bytes.
  [[nodiscard]] std::uint32_t flow_of(const std::byte* frame) const noexcept;
  /// Checks and counts a frame that is IPv4. \return true when it is good; its stamp is then stamp_of()
  bool take(std::span<const std::byte> frame) noexcept;
  [[nodiscard]] const Arrivals& arrivals() const noexcept { return arrivals_; }
  [[nodiscard]] static std::uint64_t stamp_of(std::span<const std::byte> frame) noexcept;

 private:
  [[nodiscard]] Fault fault_of(std::span<const std::byte> frame) noexcept;
  [[nodiscard]] Fault addresses_fault(std::span<const std::byte> frame, Flow& flow) const noexcept;

  Direction direction_;
  Device device_;
  std::size_t size_;
  std::vector<Flow>& flows_;
  std::vector<std::byte> filler_;
  SequenceWindow window_;
  Arrivals arrivals_;
};

}  // namespace pinhole::gen
