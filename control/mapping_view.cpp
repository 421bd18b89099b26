// SPDX-License-Identifier: BSD-3-Clause
#include "control/mapping_view.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>

namespace pinhole::control {

namespace {

/// Seconds from `then` to `now`; a packet of this very tick may be ahead of the sample of the clock.
std::uint32_t seconds_since(nat::Tick then, nat::Tick now) noexcept {
  return nat::reached(then, now) ? (now - then) / nat::kTicksPerSecond : 0;
}

MappingKind kind_of(const nat::Mapping& mapping) noexcept {
  if (mapping.flags & nat::MappingFlags::kStatic) return MappingKind::forward;
  if (mapping.flags & nat::MappingFlags::kPinhole) return MappingKind::pinhole;
  return MappingKind::dynamic;
}

std::optional<nat::Endpoint> remote_of(const nat::Mapping& mapping) noexcept {
  if (mapping.flags & nat::MappingFlags::kHasRemote) return mapping.remote;
  return std::nullopt;
}

std::optional<std::uint32_t> established_of(const nat::Mapping& mapping) noexcept {
  if (mapping.protocol == nat::Protocol::tcp) return nat::connections_of(mapping).established;
  return std::nullopt;
}

RtpRow row_of(const ipc::FlowMeter& meter) noexcept {
  constexpr unsigned kFraction = 4;  // bits of a jitter
  return {.packets = meter.packets,
          .lost = meter.lost,
          .repeated = meter.repeated,
          .sources = meter.sources,
          .jitter_us = meter.jitter >> kFraction,
          .jitter_max_us = meter.jitter_max >> kFraction,
          .gap_max_us = meter.gap_max_us};
}

Measured measured(const ipc::MediaMeter& meter, bool is_rtcp) noexcept {
  Measured row{.bytes_out = meter.out.bytes, .bytes_in = meter.in.bytes, .rtp_out = {}, .rtp_in = {}};
  if (is_rtcp) return row;
  row.rtp_out = row_of(meter.out);
  row.rtp_in = row_of(meter.in);
  return row;
}

bool matches(const nat::Mapping& mapping, const MappingFilter& filter) noexcept {
  if (filter.protocol && *filter.protocol != mapping.protocol) return false;
  if (filter.inside && !filter.inside->matches(mapping.inside)) return false;
  if (filter.external && !filter.external->matches(mapping.external)) return false;
  if (!filter.remote) return true;
  const auto remote = remote_of(mapping);
  return remote && filter.remote->matches(*remote);
}

}  // namespace

bool copy_mapping(const nat::Mapping& line, nat::Mapping& copy) noexcept {
  const auto before = line.generation.load(std::memory_order_acquire);
  if (before & 1U) return false;
  std::memcpy(static_cast<void*>(&copy), &line, sizeof copy);
  std::atomic_thread_fence(std::memory_order_acquire);
  return line.generation.load(std::memory_order_relaxed) == before;
}

Paged<MappingRow> MappingView::rows(const MappingFilter& filter, Page page, nat::Tick now) const {
  Paged<MappingRow> rows;
  nat::Mapping mapping;
  for (std::uint32_t worker = 0; worker < layout_.worker_count; ++worker) {
    const auto& share = layout_.workers[worker];
    const auto end =
        std::min(share.mapping_high_water->load(std::memory_order_acquire), share.mapping_capacity);
    for (nat::MappingIndex index = 0; index < end; ++index) {
      if (!copy_mapping(share.mappings[index], mapping) || !matches(mapping, filter)) continue;
      if (rows.total++ < page.offset || rows.rows.size() == page.limit) continue;
      rows.rows.push_back(row(worker, mapping, now));
    }
  }
  return rows;
}

MappingRow MappingView::row(std::uint32_t worker, const nat::Mapping& mapping, nat::Tick now) const {
  MappingRow row{.worker = worker,
                 .protocol = mapping.protocol,
                 .kind = kind_of(mapping),
                 .sip = (mapping.flags & nat::MappingFlags::kSip) != 0,
                 .inside = mapping.inside,
                 .external = mapping.external,
                 .remote = remote_of(mapping),
                 .filter = mapping.filter,
                 .timeout_class = mapping.timeout_class,
                 .connections = established_of(mapping),
                 .idle_s = seconds_since(mapping.last_seen, now),
                 .expires_s = std::nullopt,
                 .packets_out = mapping.packets_out,
                 .packets_in = mapping.packets_in,
                 .bytes = mapping.bytes};
  if (row.kind == MappingKind::forward || mapping.timeout_class == nat::TimeoutClass::permanent) return row;
  nat::Tick end = mapping.last_seen + nat::ticks_from_s(timeout_s(mapping.timeout_class));
  if (mapping.keep_until != 0 && nat::reached(end, mapping.keep_until)) end = mapping.keep_until;
  row.expires_s = seconds_since(now, end);
  return row;
}

std::uint32_t MappingView::timeout_s(nat::TimeoutClass timeout_class) const noexcept {
  switch (timeout_class) {
    case nat::TimeoutClass::udp:
      return timeouts_.udp_s;
    case nat::TimeoutClass::tcp_established:
      return timeouts_.tcp_established_s;
    case nat::TimeoutClass::tcp_opening:
      return timeouts_.tcp_opening_s;
    case nat::TimeoutClass::tcp_closing:
      return timeouts_.tcp_closing_s;
    case nat::TimeoutClass::icmp:
      return timeouts_.icmp_s;
    case nat::TimeoutClass::media:
      return timeouts_.media_s;
    case nat::TimeoutClass::permanent:
      break;
  }
  return 0;
}

bool MappingView::copy_pinhole(const ipc::PinholeRef& pinhole, nat::Mapping& copy) const noexcept {
  if (pinhole.worker >= layout_.worker_count) return false;
  const auto& share = layout_.workers[pinhole.worker];
  if (pinhole.mapping >= share.mapping_capacity) return false;
  return copy_mapping(share.mappings[pinhole.mapping], copy) &&
         copy.generation.load(std::memory_order_relaxed) == pinhole.generation;
}

std::optional<PinholeRow> MappingView::pinhole(const ipc::PinholeRef& pinhole, std::string_view call,
                                               nat::Tick now) const {
  nat::Mapping mapping;
  if (!copy_pinhole(pinhole, mapping)) return std::nullopt;
  return PinholeRow{.call = std::string(call),
                    .worker = pinhole.worker,
                    .inside = mapping.inside,
                    .external = mapping.external,
                    .remote = remote_of(mapping),
                    .idle_s = seconds_since(mapping.last_seen, now),
                    .packets_out = mapping.packets_out,
                    .packets_in = mapping.packets_in,
                    .bytes = mapping.bytes};
}

std::optional<PinholeState> MappingView::state(const ipc::PinholeRef& pinhole) const noexcept {
  nat::Mapping mapping;
  if (!copy_pinhole(pinhole, mapping)) return std::nullopt;
  PinholeState state{.remote = remote_of(mapping),
                     .usage = {.packets_out = mapping.packets_out,
                               .packets_in = mapping.packets_in,
                               .bytes = mapping.bytes,
                               .measured = {}}};
  const auto* const meters = layout_.workers[pinhole.worker].meters;
  if (meters == nullptr || pinhole.protocol != nat::Protocol::udp) return state;
  ipc::MediaMeter meter;
  std::memcpy(&meter, &meters[pinhole.mapping], sizeof meter);
  // The meter is the pinhole's if its mapping still is.
  if (!copy_pinhole(pinhole, mapping)) return std::nullopt;
  state.usage.measured = measured(meter, pinhole.is_rtcp);
  return state;
}

std::optional<nat::Tick> MappingView::last_seen(const ipc::PinholeRef& pinhole) const noexcept {
  nat::Mapping mapping;
  if (!copy_pinhole(pinhole, mapping)) return std::nullopt;
  return mapping.last_seen;
}

}  // namespace pinhole::control
