// SPDX-License-Identifier: BSD-3-Clause
#include "control/capture/capture.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "control/capture/pcapng.hpp"
#include "control/log.hpp"

#include <fmt/format.h>

namespace pinhole::control {

namespace {

constexpr std::size_t kEtherTypeAt = 12;
constexpr std::uint16_t kVlanId = 0x0fff;

std::uint16_t word_at(std::span<const std::byte> bytes, std::size_t at) noexcept {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[at]) << 8U |
                                    std::to_integer<unsigned>(bytes[at + 1]));
}

/// The VLAN of a frame; 0: it has no tag.
std::uint16_t vlan_of(std::span<const std::byte> frame) noexcept {
  constexpr std::uint16_t kVlan = 0x8100;
  if (frame.size() < kEtherTypeAt + 4 || word_at(frame, kEtherTypeAt) != kVlan) return 0;
  return word_at(frame, kEtherTypeAt + 2) & kVlanId;
}

std::size_t interfaces_in(const ipc::Layout& layout) noexcept {
  return std::min<std::size_t>(layout.interface_count, ipc::kMaxInterfaces);
}

std::string_view name(ipc::CaptureState state) noexcept {
  return state == ipc::CaptureState::on ? "running" : "starting";
}

}  // namespace

Capture::Capture(const ipc::Layout& layout, const DataplaneClock& clock) noexcept
    : layout_(layout), clock_(clock) {
  promise(std::chrono::seconds(0));
}

Capture::~Capture() {
  if (is_running()) end("control", {.wall = clock_.wall(), .steady = begun_});
}

Result<void> Capture::start(const CaptureOrder& order, Refresh refresh, Moment now) {
  if (is_running()) {
    return Error{ErrorCode::conflict,
                 fmt::format("a capture into {} is running; stop it, or wait for its end", row_.file)};
  }
  if (layout_.capture == nullptr) {
    return Error{ErrorCode::unavailable, "this data plane cannot copy packets"};
  }
  if (auto opened = open(order.file); !opened) return opened;
  order_ = order;
  refresh_ = std::move(refresh);
  filter_ = {};
  row_ = {};
  row_.state = "starting";
  row_.file = order.file;
  row_.started = now.wall;
  waiting_.clear();
  waiting_bytes_ = 0;
  begun_ = asked_ = now.steady;
  begun_tsc_ = clock_.tsc();
  for (unsigned worker = 0; worker < layout_.worker_count; ++worker) layout_.workers[worker].capture->clear();
  lost_before_ = lost();
  if (!begin_file()) {
    end("file", now);
    return Error{ErrorCode::range,
                 fmt::format("file: {} cannot be written; control's log says why", order.file)};
  }
  promise(kPromise);
  log_info("capture_started", {{"file", row_.file}});
  return {};
}

Result<void> Capture::open(const std::string& path) {
  constexpr mode_t kOwnerOnly = 0600;
  if (path.empty() || path.front() != '/') {
    return Error{ErrorCode::range,
                 fmt::format("file: found \"{}\"; allowed is a path that begins with /", path)};
  }
  file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kOwnerOnly);
  if (file_ >= 0) return {};
  if (errno == EEXIST) {
    return Error{ErrorCode::conflict, fmt::format("file: {} exists; name one that does not", path)};
  }
  return Error{ErrorCode::range,
               fmt::format("file: {} cannot be made: {}", path, std::generic_category().message(errno))};
}

bool Capture::begin_file() {
  std::string head;
  pcapng::append_section(head, "Pinhole " PINHOLE_VERSION);
  for (std::size_t i = 0; i < interfaces_in(layout_); ++i) {
    const auto& interface = layout_.interfaces[i];
    pcapng::append_interface(
        head, interface.name.view(),
        fmt::format("{}, {}", interface.inside ? "inside" : "outside", interface.device.view()));
  }
  return write(head);
}

void Capture::drain(Moment now) {
  if (!is_running()) return;
  for (unsigned worker = 0; worker < layout_.worker_count; ++worker) {
    layout_.workers[worker].capture->drain([this](const ipc::CapturedFrame& frame) { take(frame); });
  }
  if (waiting_bytes_ > kMostWaiting) write_waiting(now);
}

void Capture::take(const ipc::CapturedFrame& frame) {
  // What an earlier capture had copied last.
  if (static_cast<std::int64_t>(frame.header.tsc - begun_tsc_) < 0) return;
  const auto interface = interface_of(frame);
  if (!interface) return;
  waiting_bytes_ += sizeof(Frame) + frame.bytes.size();
  waiting_.push_back({.tsc = frame.header.tsc,
                      .number = waiting_.size(),
                      .interface = *interface,
                      .frame_bytes = frame.header.frame_bytes,
                      .sent = frame.header.sent,
                      .bytes = {frame.bytes.begin(), frame.bytes.end()}});
}

/// \return none when it is not to be captured. A VLAN that is nobody's counts for the first of the port.
std::optional<std::uint32_t> Capture::interface_of(const ipc::CapturedFrame& frame) const {
  const auto vlan = vlan_of(frame.bytes);
  std::optional<std::uint32_t> found;
  for (std::uint32_t i = 0; i < interfaces_in(layout_); ++i) {
    const auto& interface = layout_.interfaces[i];
    if (interface.port != frame.header.port) continue;
    if (!found || interface.vlan == vlan) found = i;
    if (interface.vlan == vlan) break;
  }
  if (!found || order_.interfaces.empty()) return found;
  const auto name = layout_.interfaces[*found].name.view();
  return std::ranges::find(order_.interfaces, name) != order_.interfaces.end() ? found : std::nullopt;
}

void Capture::run(Moment now) {
  if (!is_running()) return;
  drain(now);
  write_waiting(now);
  if (!is_running()) return;
  if (layout_.capture->state.load(std::memory_order_acquire) == ipc::CaptureState::refused) {
    return end("refused", now);
  }
  if (now.steady - begun_ >= std::chrono::seconds(order_.seconds)) return end("seconds", now);
  if (order_.attended && now.steady - asked_ > kUnattended) return end("unattended", now);
  promise(kPromise);
}

void Capture::stop(Moment now) {
  drain(now);
  if (is_running()) write_waiting(now);
  end("stopped", now);
}

void Capture::write_waiting(Moment now) {
  if (refresh_) refresh_(filter_);
  auto frames = std::exchange(waiting_, {});
  waiting_bytes_ = 0;
  // Of several workers, and those of a burst have one time.
  std::ranges::sort(frames, {}, [](const Frame& frame) { return std::pair(frame.tsc, frame.number); });
  std::string out;
  std::uint64_t packets = row_.packets;
  const std::uint64_t most_bytes = std::uint64_t{order_.megabytes} * 1'000'000;
  const char* over = nullptr;
  for (const auto& frame : frames) {
    if (refresh_ && !filter_.keeps(frame.bytes)) continue;
    const auto before = out.size();
    const auto time = clock_.at_tsc(frame.tsc).time_since_epoch();
    pcapng::append_packet(out, {.interface = frame.interface,
                                .time_ns = static_cast<std::uint64_t>(
                                    std::chrono::duration_cast<std::chrono::nanoseconds>(time).count()),
                                .frame_bytes = frame.frame_bytes,
                                .sent = frame.sent,
                                .bytes = frame.bytes});
    if (row_.bytes + out.size() > most_bytes) {
      out.resize(before);
      over = "mb";
      break;
    }
    if (++packets == order_.packets) {
      over = "packets";
      break;
    }
  }
  if (write(out)) {
    row_.packets = packets;
  } else {
    over = "file";
  }
  if (over != nullptr) end(over, now);
}

/// \return false when the disk does not take it; the file is as before then.
bool Capture::write(const std::string& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto size = ::write(file_, bytes.data() + done, bytes.size() - done);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) {
      log_error("capture_failed", {{"file", row_.file}, {"reason", std::generic_category().message(errno)}});
      if (::ftruncate(file_, static_cast<off_t>(row_.bytes)) != 0)
        log_warning("capture_torn", {{"file", row_.file}});
      return false;
    }
    done += static_cast<std::size_t>(size);
  }
  row_.bytes += bytes.size();
  return true;
}

void Capture::promise(std::chrono::seconds time) noexcept {
  if (layout_.capture == nullptr) return;
  const auto ticks = static_cast<std::uint64_t>(time.count()) * layout_.tsc_hz;
  layout_.capture->until_tsc.store(ticks == 0 ? 0 : clock_.tsc() + ticks, std::memory_order_release);
}

std::uint64_t Capture::lost() const noexcept {
  std::uint64_t lost = 0;
  for (unsigned worker = 0; worker < layout_.worker_count; ++worker) {
    lost += layout_.workers[worker].capture->lost();
  }
  return lost;
}

void Capture::end(const char* why, Moment now) {
  if (!is_running()) return;
  promise(std::chrono::seconds(0));
  row_.lost = lost() - lost_before_;
  row_.state = "ended";
  row_.ended = now.wall;
  row_.ended_by = why;
  ::close(std::exchange(file_, -1));
  refresh_ = nullptr;
  waiting_.clear();
  log_info("capture_ended",
           {{"file", row_.file}, {"by", why}, {"packets", row_.packets}, {"lost", row_.lost}});
}

CaptureRow Capture::row(Moment now) {
  asked_ = now.steady;
  if (is_running()) {
    row_.state = name(layout_.capture->state.load(std::memory_order_acquire));
    row_.lost = lost() - lost_before_;
  }
  return row_;
}

}  // namespace pinhole::control
