// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Which external ports a host gets, by the mode of nat/port_plan.hpp: any of its external address (PortPool),
// those of blocks that it is assigned when it needs them, or those of its one block (PortBlocks).
//
// A host in need of a port gets one of the parity that it asks for out of the blocks that it has, the oldest
// first, so that the younger ones run empty and go back; then one of the other parity; and only then another
// block, while it may have more. All its blocks are of one external address (RFC 6888 REQ-2).
//
// Invariant: in mode blocks a host in the table has the blocks that its ports lie in, and no others; it has
// lost them when its external address is taken away. Owned by one worker.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nat/counters.hpp"
#include "nat/drop_reason.hpp"
#include "nat/endpoint.hpp"
#include "nat/host_table.hpp"
#include "nat/memory.hpp"
#include "nat/port_blocks.hpp"
#include "nat/port_plan.hpp"
#include "nat/port_pool.hpp"
#include "nat/random.hpp"
#include "nat/record.hpp"
#include "nat/tick.hpp"

namespace pinhole::nat {

class HostPorts {
 public:
  /// A port, or why there is none.
  struct Answer {
    std::uint16_t port = 0;
    DropReason reason = DropReason::none;
  };
  /// A host that is in the table now, or why it is not.
  struct Entry {
    HostTable::Place host = HostTable::kNone;
    DropReason reason = DropReason::none;
  };

  [[nodiscard]] static std::size_t bytes_needed(const PortBlocks::Deal& deal) noexcept;
  /// \param external  all external addresses by number, kept as a view
  /// \param records   told of blocks that are assigned and released; nullptr: nobody is
  HostPorts(const PortBlocks::Deal& deal, std::span<const Ipv4Address> external, HostTable& hosts,
            RecordSink* records, CounterBlock<Counter>& counters, const Random& random,
            Carver memory) noexcept;
  HostPorts(const HostPorts&) = delete;
  HostPorts& operator=(const HostPorts&) = delete;

  /// Gives a host the external address that its hash says, or its number among the subscribers. When nothing
  /// is left at the former, an address that has some (RFC 6888 REQ-13): in mode blocks whichever has a free
  /// block, in mode random one of a few that are looked at. Of those, so many a tick are looked at in vain,
  /// and then none, however many new hosts a flood may feign; the search goes on where it ended in the next
  /// tick.
  /// \param host  place of `inside` in the table, or kNone: it is brought in, for which there is room
  /// Precondition: it has no external address
  [[nodiscard]] Entry enter(HostTable::Place host, Ipv4Address inside, Protocol protocol, Tick now) noexcept;

  /// A port like `inside_port` for a host: PortPool::take(), or of its blocks.
  /// \param guess  guess() for the same flow, or none
  [[nodiscard]] Answer take(HostTable::Place host, Protocol protocol, std::uint16_t inside_port,
                            const PortPool::Guess& guess = {}) noexcept {
    if (has_blocks()) return take_from_blocks(host, protocol, inside_port);
    const auto port = pool_.take(protocol, hosts_.pool_index(host), inside_port, guess);
    return port ? Answer{.port = *port} : Answer{.reason = DropReason::drop_no_port};
  }
  // What take() will choose, as PortPool guesses it.

  [[nodiscard]] std::uint32_t draw_number(std::size_t n) const noexcept { return pool_.draw_number(n); }
  void prefetch(Protocol protocol, PortPool::Guess& guess) const noexcept {
    if (!has_blocks() && pool_size_ > 0) pool_.prefetch(protocol, guess);
  }
  void guess(Protocol protocol, std::uint16_t inside_port, PortPool::Guess& guess) const noexcept {
    if (!has_blocks() && pool_size_ > 0) pool_.guess(protocol, inside_port, guess);
  }
  /// The external address that a host has, or will probably get.
  /// \param guess  HostTable::guess() of the host
  [[nodiscard]] std::uint16_t pool_index_of(Ipv4Address inside, HostTable::Place guess) const noexcept {
    const HostTable::Place host = hosts_.find(inside, guess);
    if (host != HostTable::kNone && hosts_.has_address(host)) return hosts_.pool_index(host);
    return pool_size_ == 0 ? std::uint16_t{0} : pool_index_of_inside(inside, pool_size_);
  }
  /// An even port and the next one, or none.
  [[nodiscard]] std::optional<std::uint16_t> take_pair(HostTable::Place host, Protocol protocol) noexcept;
  /// This port. \return false when the host cannot have it
  [[nodiscard]] bool take_exactly(HostTable::Place host, Protocol protocol, std::uint16_t port) noexcept;
  /// Gives back a port that was used; a block that was emptied with it is the host's no more.
  void give_back(HostTable::Place host, Protocol protocol, std::uint16_t port) noexcept;
  /// Gives back a port that was taken and never used.
  void put_back(HostTable::Place host, Protocol protocol, std::uint16_t port) noexcept;

  /// Takes a port away from all hosts. Nothing happens when it is another worker's.
  void reserve(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept;
  /// Moves on what rests; to be called each turn. \param budget  steps
  void rest(Tick now, std::uint32_t budget) noexcept;

  [[nodiscard]] std::uint32_t in_use() const noexcept { return pool_.in_use() + blocks_.ports_in_use(); }

 private:
  struct Assigned {
    PortBlocks::Slot slot = PortBlocks::kNone;
    DropReason reason = DropReason::none;
  };

  [[nodiscard]] bool has_blocks() const noexcept { return plan_.mode != PortMode::random; }
  /// The addresses that are looked at in mode random for hosts whose own has nothing left.
  struct Search {
    Tick tick = 0;
    std::uint32_t in_vain = 0;  // in that tick
    std::uint32_t next = 0;     // address
  };

  [[nodiscard]] std::optional<std::uint16_t> find_address(Protocol protocol, Tick now) noexcept;
  [[nodiscard]] HostTable::Place settle(HostTable::Place host, Ipv4Address inside, std::uint16_t pool_index,
                                        Tick now) noexcept;
  [[nodiscard]] Answer take_from_blocks(HostTable::Place host, Protocol protocol,
                                        std::uint16_t inside_port) noexcept;
  template <typename Try>
  [[nodiscard]] bool try_blocks(HostTable::Place host, Try&& try_one) noexcept;
  [[nodiscard]] std::optional<std::uint16_t> take_of_blocks(HostTable::Place host, Protocol protocol,
                                                            bool odd) noexcept;
  [[nodiscard]] std::optional<std::uint16_t> take_pair_of_blocks(HostTable::Place host,
                                                                 Protocol protocol) noexcept;
  [[nodiscard]] Assigned assign_block(HostTable::Place host) noexcept;
  void put_into_block(HostTable::Place host, Protocol protocol, std::uint16_t port) noexcept;
  void release(HostTable::Place host, PortBlocks::Slot slot) noexcept;
  void tell(RecordType type, HostTable::Place host, PortBlocks::Slot slot) noexcept;

  PortPlan plan_;
  Subscribers subscribers_;
  std::uint32_t pool_size_;
  std::span<const Ipv4Address> external_;
  HostTable& hosts_;
  RecordSink* records_;
  CounterBlock<Counter>& counters_;
  Random random_;
  std::array<Search, kProtocols> searches_{};
  PortPool pool_;      // mode random; otherwise it has no address
  PortBlocks blocks_;  // otherwise it has no block
};

}  // namespace pinhole::nat
