// SPDX-License-Identifier: BSD-3-Clause
#include "nat/host_table.hpp"

#include <algorithm>
#include <cassert>

namespace pinhole::nat {

HostTable::HostTable(std::uint32_t capacity, const HostQuotas& quotas, std::uint64_t seed,
                     Carver memory) noexcept
    : new_per_s_(quotas.new_per_s),
      full_(std::min(quotas.burst, HostQuotas::kMaxBurst) * kTicksPerSecond),
      chains_(capacity, seed, memory),
      hosts_(memory.take<Host>(capacity)) {
  assert(capacity > 0 && quotas.burst > 0);
  for (std::size_t p = 0; p < kProtocols; ++p) {
    mappings_[p] = limit_of(quotas.mappings[p]);
    ports_[p] = std::min(limit_of(quotas.ports[p]), mappings_[p]);
  }
}

DropReason HostTable::ask_from_outside(Place place, Protocol protocol, Tick now) noexcept {
  const auto most_of = [](std::uint32_t limit) { return limit - limit / 4; };
  if (place == kNone)
    return size_ < most_of(capacity()) ? DropReason::none : DropReason::drop_host_table_full;
  if (mappings(place, protocol) >= most_of(mappings_[static_cast<std::size_t>(protocol)]))
    return DropReason::drop_quota_mappings;
  const std::uint32_t tokens_left = full_ / kTicksPerSecond / 4;
  return take_token(hosts_[place], now, tokens_left * kTicksPerSecond) ? DropReason::none
                                                                       : DropReason::drop_quota_rate;
}

DropReason HostTable::ask_for_media(Place place, std::uint32_t count, Takes takes) const noexcept {
  if (place == kNone) return size_ < capacity() ? DropReason::none : DropReason::drop_host_table_full;
  constexpr auto kUdp = static_cast<std::size_t>(Protocol::udp);
  const auto may = [count](std::uint32_t has, std::uint32_t limit) {
    return has + count <= std::min(limit + kMediaReserve, kMostMappings);
  };
  const Host& host = hosts_[place];
  const bool granted = may(host.mappings[kUdp], mappings_[kUdp]) &&
                       (takes == Takes::state || may(host.ports[kUdp], ports_[kUdp]));
  return granted ? DropReason::none : DropReason::drop_quota_mappings;
}

HostTable::Place HostTable::add(Ipv4Address address, Tick now) noexcept {
  assert(find(address) == kNone && size_ < capacity());
  const Place place = first_free_ != kNone ? first_free_ : fresh_++;
  Host& host = hosts_[place];
  if (place == first_free_) first_free_ = host.first;
  host = {.address = address, .filled = now, .credit = full_};
  if (new_per_s_ != 0) host.credit -= kTicksPerSecond;  // for the mapping that brings it here
  chains_.add(place, address.host());
  ++size_;
  return place;
}

void HostTable::uncount(Place place, Protocol protocol, Takes takes) noexcept {
  const auto p = static_cast<std::size_t>(protocol);
  Host& host = hosts_[place];
  assert(host.mappings[p] > 0 && (takes == Takes::state || host.ports[p] > 0));
  --host.mappings[p];
  if (takes == Takes::port) --host.ports[p];
  remove_if_idle(place);
}

void HostTable::remove_if_idle(Place place) noexcept {
  Host& host = hosts_[place];
  const auto has_any = [](const auto& counts) {
    return std::ranges::any_of(counts, [](std::uint32_t count) { return count > 0; });
  };
  if (has_any(host.mappings)) {
    host.has_address = has_any(host.ports);
    return;
  }
  chains_.remove(place, host.address.host());
  host.address = {};
  host.first = first_free_;
  first_free_ = place;
  --size_;
}

}  // namespace pinhole::nat
