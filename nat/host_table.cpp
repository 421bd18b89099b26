// SPDX-License-Identifier: BSD-3-Clause
#include "nat/host_table.hpp"

#include <algorithm>
#include <cassert>

namespace pinhole::nat {

HostTable::HostTable(std::uint32_t capacity, const HostQuotas& quotas, std::uint64_t seed,
                     Carver memory) noexcept
    : quotas_(quotas), chains_(capacity, seed, memory), hosts_(memory.take<Host>(capacity)) {
  assert(capacity > 0 && quotas.burst > 0);
}

DropReason HostTable::ask_for_media(Place place, std::uint32_t count) const noexcept {
  if (place == kNone) return size_ < capacity() ? DropReason::none : DropReason::drop_host_table_full;
  const std::uint32_t quota = quotas_.mappings[static_cast<std::size_t>(Protocol::udp)];
  const std::uint32_t limit =
      quota == 0 || quota > kMostMappings - kMediaReserve ? kMostMappings : quota + kMediaReserve;
  return mappings(place, Protocol::udp) + count <= limit ? DropReason::none : DropReason::drop_quota_mappings;
}

HostTable::Place HostTable::add(Ipv4Address address, std::uint16_t pool_index, Tick now) noexcept {
  assert(find(address) == kNone && size_ < capacity());
  const Place place = first_free_ != kNone ? first_free_ : fresh_++;
  Host& host = hosts_[place];
  if (place == first_free_) first_free_ = host.next_free;
  host = {.address = address, .pool_index = pool_index, .filled = now, .credit = full()};
  if (quotas_.new_per_s != 0) host.credit -= kTicksPerSecond;  // for the mapping that brings it here
  chains_.add(place, address.host());
  ++size_;
  return place;
}

void HostTable::uncount(Place place, Protocol protocol) noexcept {
  assert(mappings(place, protocol) > 0);
  --hosts_[place].mappings[static_cast<std::size_t>(protocol)];
  remove_if_idle(place);
}

void HostTable::remove_if_idle(Place place) noexcept {
  Host& host = hosts_[place];
  if (std::ranges::any_of(host.mappings, [](std::uint32_t count) { return count > 0; })) return;
  chains_.remove(place, host.address.host());
  host.next_free = first_free_;
  first_free_ = place;
  --size_;
}

}  // namespace pinhole::nat
