// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Copies of frames on their way from workers to control: one ring of bytes a worker, and the word by which
// control asks for them. Invariant: a ring has one writer (its worker) and one reader (control), and each
// moves only its own end, in one store: either may be killed at any moment. A ring that is full loses the
// copy and counts it; a frame never waits for its copy.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <span>
#include <type_traits>

namespace pinhole::ipc {

enum class CaptureState : std::uint8_t {
  off,      // nothing is copied
  on,       // every frame is
  refused,  // it was wanted, and the data plane has no memory for it
};

/// Written by control, but for `state`; the data plane's main thread follows it.
struct CaptureSwitch {
  /// Copies are wanted until the TSC has this value; 0: none are. Control promises a little time again and
  /// again, so that one that was killed is not copied for.
  std::atomic<std::uint64_t> until_tsc{0};
  std::atomic<CaptureState> state{CaptureState::off};
};

/// What stands before the bytes of a frame.
struct CaptureHeader {
  std::uint64_t tsc = 0;
  std::uint32_t record_bytes = 0;  // from this header to the next
  std::uint32_t frame_bytes = 0;
  std::uint32_t copied_bytes = 0;  // of the frame, its first
  std::uint16_t port = 0;          // DPDK's number
  bool sent = false;               // else received
  bool filler = false;             // no frame: the rest of the ring up to its end
};
static_assert(std::is_trivially_copyable_v<CaptureHeader>);

/// A frame as it lies in a ring.
struct CapturedFrame {
  CaptureHeader header;
  std::span<const std::byte> bytes;
};

/// \tparam Bytes a power of two.
template <std::size_t Bytes>
class BasicCaptureRing {
 public:
  static constexpr std::size_t kRecordAlign = 32;
  static_assert(sizeof(CaptureHeader) <= kRecordAlign && Bytes % kRecordAlign == 0 &&
                (Bytes & (Bytes - 1)) == 0);

  /// Makes room for a frame and writes its header. \param header all but `record_bytes` is set.
  /// \return where its bytes belong, `header.copied_bytes` of them; null when there is no room, which is
  /// counted. Thread: the writer, who calls put() next.
  [[nodiscard]] std::byte* claim(CaptureHeader header) noexcept {
    const std::uint64_t wanted = record_size(header.copied_bytes);
    const std::uint64_t written = written_.load(std::memory_order_relaxed);
    const std::uint64_t to_end = Bytes - written % Bytes;
    const std::uint64_t skipped = to_end < wanted ? to_end : 0;
    if (Bytes - (written - read_.load(std::memory_order_acquire)) < wanted + skipped) {
      lost_.store(lost_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      return nullptr;
    }
    if (skipped > 0) {
      write_header(written, {.record_bytes = static_cast<std::uint32_t>(skipped), .filler = true});
    }
    header.record_bytes = static_cast<std::uint32_t>(wanted);
    write_header(written + skipped, header);
    claimed_ = written + skipped + wanted;
    return &bytes_[(written + skipped) % Bytes + sizeof(CaptureHeader)];
  }

  /// Hands the frame that was claimed over to the reader.
  void put() noexcept { written_.store(claimed_, std::memory_order_release); }

  /// Calls `take(const CapturedFrame&)` for every frame that is there. What makes no sense is skipped with
  /// all behind it. Thread: the reader.
  template <typename Take>
  void drain(Take&& take) {
    const std::uint64_t written = written_.load(std::memory_order_acquire);
    std::uint64_t at = read_.load(std::memory_order_relaxed);
    while (at != written) {
      const auto frame = frame_at(at, written - at);
      if (!frame) break;
      if (!frame->header.filler) take(*frame);
      at += frame->header.record_bytes;
      read_.store(at, std::memory_order_release);
    }
    read_.store(written, std::memory_order_release);
  }

  /// Forgets what is there. Thread: the reader.
  void clear() noexcept { read_.store(written_.load(std::memory_order_acquire), std::memory_order_release); }

  /// Copies that found no room, ever.
  [[nodiscard]] std::uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }

 private:
  [[nodiscard]] static constexpr std::uint64_t record_size(std::uint64_t frame) noexcept {
    return (sizeof(CaptureHeader) + frame + kRecordAlign - 1) / kRecordAlign * kRecordAlign;
  }
  void write_header(std::uint64_t at, const CaptureHeader& header) noexcept {
    std::memcpy(&bytes_[at % Bytes], &header, sizeof header);
  }
  [[nodiscard]] std::optional<CapturedFrame> frame_at(std::uint64_t at, std::uint64_t there) const noexcept {
    CapturedFrame frame;
    const std::size_t begin = at % Bytes;
    std::memcpy(&frame.header, &bytes_[begin], sizeof frame.header);
    const std::uint64_t size = frame.header.record_bytes;
    if (size == 0 || size % kRecordAlign != 0 || size > there || size > Bytes - begin) return std::nullopt;
    if (frame.header.copied_bytes > size - sizeof frame.header) return std::nullopt;
    frame.bytes = {&bytes_[begin + sizeof frame.header], frame.header.copied_bytes};
    return frame;
  }

  alignas(64) std::atomic<std::uint64_t> written_{0};
  std::uint64_t claimed_ = 0;  // the writer's
  std::atomic<std::uint64_t> lost_{0};
  alignas(64) std::atomic<std::uint64_t> read_{0};
  alignas(64) std::array<std::byte, Bytes> bytes_;
};

/// Holds what a worker may copy from one look of control to the next, 10 ms: about 8,000 frames of speech.
inline constexpr std::size_t kCaptureRingBytes = std::size_t{2} << 20U;
using CaptureRing = BasicCaptureRing<kCaptureRingBytes>;

}  // namespace pinhole::ipc
