// SPDX-License-Identifier: BSD-3-Clause
#include "nat/host_ports.hpp"

#include <algorithm>
#include <cassert>

namespace pinhole::nat {

namespace {

/// How many external addresses are looked at, in mode random, for a new host whose own has nothing left; and
/// how many in vain in a tick, for all of them.
constexpr std::uint32_t kAddressesTried = 16;
constexpr std::uint32_t kAddressesInVain = 4 * kAddressesTried;

/// Addresses that ports are given out of one by one.
constexpr std::uint32_t pool_size_of(const PortBlocks::Deal& deal) noexcept {
  return deal.plan.mode == PortMode::random ? deal.pool_size : 0;
}

}  // namespace

std::size_t HostPorts::bytes_needed(const PortBlocks::Deal& deal) noexcept {
  return PortPool::bytes_needed(pool_size_of(deal), deal.workers) + PortBlocks::bytes_needed(deal);
}

HostPorts::HostPorts(const PortBlocks::Deal& deal, std::span<const Ipv4Address> external, HostTable& hosts,
                     RecordSink* records, CounterBlock<Counter>& counters, const Random& random,
                     Carver memory) noexcept
    : plan_(deal.plan),
      subscribers_(deal.subscribers),
      pool_size_(deal.pool_size),
      external_(external),
      hosts_(hosts),
      records_(records),
      counters_(counters),
      random_(random),
      pool_(pool_size_of(deal), deal.worker, deal.workers, random,
            memory.take_bytes(PortPool::bytes_needed(pool_size_of(deal), deal.workers)), deal.rest),
      blocks_(deal, memory) {
  for (auto& search : searches_) search.next = random_.below(std::max(pool_size_, std::uint32_t{1}));
}

HostTable::Place HostPorts::settle(HostTable::Place host, Ipv4Address inside, std::uint16_t pool_index,
                                   Tick now) noexcept {
  if (host == HostTable::kNone) host = hosts_.add(inside, now);
  hosts_.give_address(host, pool_index);
  return host;
}

HostPorts::Entry HostPorts::enter(HostTable::Place host, Ipv4Address inside, Protocol protocol,
                                  Tick now) noexcept {
  if (plan_.mode == PortMode::deterministic) {
    const auto number = subscribers_.number_of(inside);
    if (!number) return {.reason = DropReason::drop_not_subscriber};
    const PortBlocks::Slot slot = blocks_.find_subscriber(*number);
    assert(slot != PortBlocks::kNone);  // a host's flows are its owner's
    if (slot == PortBlocks::kNone) return {.reason = DropReason::drop_no_port};
    host = settle(host, inside, blocks_.at(slot).pool_index, now);
    hosts_.first_block(host) = slot;
    return {.host = host};
  }
  if (pool_size_ == 0) return {.reason = DropReason::drop_no_port};
  std::uint16_t pool_index = pool_index_of_inside(inside, pool_size_);
  if (plan_.mode == PortMode::blocks) {
    if (!blocks_.has_free(pool_index)) {
      const auto other = blocks_.find_room(random_);
      if (!other) return {.reason = DropReason::drop_no_block};
      pool_index = *other;
    }
  } else if (!pool_.has_room(protocol, pool_index)) {
    pool_index = find_address(protocol, now).value_or(pool_index);
  }
  return {.host = settle(host, inside, pool_index, now)};
}

std::optional<std::uint16_t> HostPorts::find_address(Protocol protocol, Tick now) noexcept {
  Search& search = searches_[static_cast<std::size_t>(protocol)];
  if (search.tick != now) {
    search.tick = now;
    search.in_vain = 0;
  }
  if (search.in_vain >= kAddressesInVain) {
    counters_.add(Counter::address_search_skipped);
    return std::nullopt;
  }
  const auto found = pool_.find_room(protocol, search.next, kAddressesTried);
  if (found) {
    search.next = random_.below(pool_size_);  // the next host is another address's
  } else {
    search.in_vain += kAddressesTried;
  }
  return found;
}

/// In a mode with blocks.
HostPorts::Answer HostPorts::take_from_blocks(HostTable::Place host, Protocol protocol,
                                              std::uint16_t inside_port) noexcept {
  const bool odd = ((protocol == Protocol::icmp ? random_.next() : inside_port) & 1U) != 0;
  auto port = take_of_blocks(host, protocol, odd);
  if (!port) port = take_of_blocks(host, protocol, !odd);
  if (!port) {
    const Assigned assigned = assign_block(host);
    if (assigned.reason != DropReason::none) return {.reason = assigned.reason};
    port = blocks_.take(assigned.slot, protocol, odd, random_);
    if (!port) port = blocks_.take(assigned.slot, protocol, !odd, random_);
  }
  assert(port);  // a block that is assigned has ports of each protocol
  return port ? Answer{.port = *port} : Answer{.reason = DropReason::drop_no_port};
}

std::optional<std::uint16_t> HostPorts::take_of_blocks(HostTable::Place host, Protocol protocol,
                                                       bool odd) noexcept {
  std::optional<std::uint16_t> port;
  static_cast<void>(try_blocks(host, [&](PortBlocks::Slot slot) noexcept {
    port = blocks_.take(slot, protocol, odd, random_);
    return port.has_value();
  }));
  return port;
}

std::optional<std::uint16_t> HostPorts::take_pair_of_blocks(HostTable::Place host,
                                                            Protocol protocol) noexcept {
  std::optional<std::uint16_t> even;
  static_cast<void>(try_blocks(host, [&](PortBlocks::Slot slot) noexcept {
    even = blocks_.take_pair(slot, random_, protocol);
    return even.has_value();
  }));
  return even;
}

/// The blocks of a host in turn, until one will do. \return whether one did
template <typename Try>
bool HostPorts::try_blocks(HostTable::Place host, Try&& try_one) noexcept {
  for (PortBlocks::Slot slot = hosts_.first_block(host); slot != PortBlocks::kNone;
       slot = blocks_.next(slot)) {
    if (try_one(slot)) return true;
  }
  return false;
}

std::optional<std::uint16_t> HostPorts::take_pair(HostTable::Place host, Protocol protocol) noexcept {
  if (!has_blocks()) return pool_.take_pair(hosts_.pool_index(host), protocol);
  if (const auto even = take_pair_of_blocks(host, protocol)) return even;
  // Media is worth a block: an odd port is one that some phones do not send to.
  const Assigned assigned = assign_block(host);
  if (assigned.reason != DropReason::none) return std::nullopt;
  const auto even = blocks_.take_pair(assigned.slot, random_, protocol);
  if (!even) release(host, assigned.slot);  // what is reserved in it leaves no pair
  return even;
}

bool HostPorts::take_exactly(HostTable::Place host, Protocol protocol, std::uint16_t port) noexcept {
  if (!has_blocks()) return pool_.take_exactly(protocol, hosts_.pool_index(host), port);
  return try_blocks(
      host, [&](PortBlocks::Slot slot) noexcept { return blocks_.take_exactly(slot, protocol, port); });
}

void HostPorts::give_back(HostTable::Place host, Protocol protocol, std::uint16_t port) noexcept {
  if (has_blocks()) return put_into_block(host, protocol, port);
  pool_.give_back(protocol, hosts_.pool_index(host), port);
}

void HostPorts::put_back(HostTable::Place host, Protocol protocol, std::uint16_t port) noexcept {
  if (has_blocks()) return put_into_block(host, protocol, port);
  pool_.put_back(protocol, hosts_.pool_index(host), port);
}

void HostPorts::put_into_block(HostTable::Place host, Protocol protocol, std::uint16_t port) noexcept {
  const PortBlocks::Slot slot = plan_.mode == PortMode::deterministic
                                    ? hosts_.first_block(host)
                                    : blocks_.find(hosts_.pool_index(host), port);
  const bool emptied = blocks_.put_back(slot, protocol, port);
  if (emptied && plan_.mode == PortMode::blocks) release(host, slot);
}

/// Another block for a host.
HostPorts::Assigned HostPorts::assign_block(HostTable::Place host) noexcept {
  if (plan_.mode == PortMode::deterministic) return {.reason = DropReason::drop_block_limit};
  PortBlocks::Slot* last = &hosts_.first_block(host);
  std::uint32_t count = 0;
  for (; *last != PortBlocks::kNone; last = &blocks_.next(*last)) ++count;
  if (count >= plan_.blocks_per_host) return {.reason = DropReason::drop_block_limit};
  const PortBlocks::Slot slot = blocks_.assign(hosts_.pool_index(host), random_);
  if (slot == PortBlocks::kNone) return {.reason = DropReason::drop_no_block};
  *last = slot;
  counters_.add(Counter::block_assigned);
  counters_.set(Counter::block_live, blocks_.assigned());
  tell(RecordType::block_assigned, host, slot);
  return {.slot = slot};
}

void HostPorts::release(HostTable::Place host, PortBlocks::Slot slot) noexcept {
  PortBlocks::Slot* link = &hosts_.first_block(host);
  while (*link != slot) link = &blocks_.next(*link);
  *link = blocks_.next(slot);
  blocks_.release(slot);
  counters_.set(Counter::block_live, blocks_.assigned());
  tell(RecordType::block_released, host, slot);
}

void HostPorts::tell(RecordType type, HostTable::Place host, PortBlocks::Slot slot) noexcept {
  if (records_ == nullptr) return;
  const PortBlock block = blocks_.at(slot);
  records_->put({.type = type,
                 .inside = {hosts_.address(host), {}},
                 .external = {external_[block.pool_index], Be16{block.first_port}},
                 .last_port = block.last_port});
}

void HostPorts::reserve(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept {
  if (has_blocks()) return blocks_.reserve(protocol, pool_index, port);
  pool_.reserve(protocol, pool_index, port);
}

void HostPorts::rest(Tick now, std::uint32_t budget) noexcept {
  if (has_blocks()) {
    blocks_.sweep(now, budget);
    counters_.set(Counter::block_resting, blocks_.resting());
    return;
  }
  pool_.sweep(now, budget);
  counters_.set(Counter::port_resting, pool_.resting());
}

}  // namespace pinhole::nat
