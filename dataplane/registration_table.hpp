// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The registrations of one worker: cards in shared memory, each a binding of an address of record to an
// inside endpoint, and the private indexes that find them. A registration ends when its contact is withdrawn
// or its time is up, whichever comes first. Invariant: a card in use is in both indexes; one that is not is
// on the free list. Written by its worker only; control reads the cards.
//
// Beside them it notes until when ways in are kept that no binding points to: those by which registrars reach
// the contacts of others, and those of subscriptions. That is bounded: of those that meet in one place the
// first to end is forgotten, and goes with a contact of its endpoint that is withdrawn. So does one whose
// host is another worker's than that of the message which it was noted for.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "dataplane/call_table.hpp"
#include "dataplane/ipc/card.hpp"
#include "dataplane/stats.hpp"
#include "dataplane/targets.hpp"
#include "nat/endpoint.hpp"
#include "nat/hash_chains.hpp"
#include "nat/memory.hpp"
#include "nat/tick.hpp"

namespace pinhole::dataplane {

struct Registration {
  std::string_view aor;
  nat::Protocol protocol = nat::Protocol::udp;
  nat::Endpoint inside;
  nat::Endpoint external;
  nat::Endpoint registrar;
};

class RegistrationTable {
 public:
  /// Bytes of private memory beside the cards.
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t capacity) noexcept {
    return 2 * nat::HashChains::bytes_needed(capacity) + nat::carved_bytes<CardIndex>(capacity) +
           nat::carved_bytes<Watch>(capacity) + nat::carved_bytes<WaySet>(way_sets(capacity));
  }
  /// \param cards at least one, none in use
  /// \param memory bytes_needed(cards.size()), aligned to a cache line
  RegistrationTable(std::span<ipc::Shared<ipc::RegistrationCard>> cards, std::uint64_t seed,
                    std::span<std::byte> memory, nat::CounterBlock<WorkerCounter>& counters) noexcept;
  RegistrationTable(const RegistrationTable&) = delete;
  RegistrationTable& operator=(const RegistrationTable&) = delete;

  /// \return kNoCard when this address of record is not bound to this inside endpoint
  [[nodiscard]] CardIndex find(std::string_view aor, nat::Endpoint inside) const noexcept;
  /// A binding of this address of record to any port of an inside host. \return kNoCard when there is none
  [[nodiscard]] CardIndex find_on(std::string_view aor, nat::Ipv4Address host) const noexcept;
  /// A binding of this address of record to an inside host at an endpoint that is not among those listed.
  /// \return kNoCard when there is none
  [[nodiscard]] CardIndex find_unlisted(std::string_view aor, nat::Ipv4Address host,
                                        std::span<const nat::Endpoint> listed) const noexcept;
  /// Writes down a binding, or refreshes it. \return kNoCard when there is no free card
  CardIndex grant(const Registration& registration, nat::Tick expires) noexcept;
  /// Frees a card that is in use.
  void remove(CardIndex index) noexcept;
  /// Whether any binding points to an inside endpoint. Cost: one probe.
  [[nodiscard]] bool has_any(nat::Endpoint inside) const noexcept;
  /// A way in is kept until `until` for another reason than a binding to its endpoint. Cost: one line.
  void note_way(Target way, nat::Tick until, nat::Tick now) noexcept;
  /// Until when such a way in is kept still; `now` if it is not. Cost: one line.
  [[nodiscard]] nat::Tick way_until(Target way, nat::Tick now) const noexcept;

  [[nodiscard]] const ipc::RegistrationCard& card(CardIndex index) const noexcept {
    return cards_[index].own();
  }
  [[nodiscard]] std::uint32_t size() const noexcept { return capacity() - free_count_; }
  [[nodiscard]] std::uint32_t capacity() const noexcept { return static_cast<std::uint32_t>(cards_.size()); }

  /// Looks at some cards, going round. \param budget cards looked at, at most
  /// \param on_expired `void(CardIndex)`, noexcept: is to remove() the card
  template <typename OnExpired>
  void tick(nat::Tick now, std::uint32_t budget, OnExpired&& on_expired) noexcept {
    if (size() == 0) return;
    for (std::uint32_t left = std::min(budget, capacity()); left > 0; --left) {
      const CardIndex index = cursor_;
      cursor_ = index + 1 == capacity() ? 0 : index + 1;
      if (watches_[index].live && nat::reached(watches_[index].expires, now)) on_expired(index);
    }
  }

 private:
  struct Watch {
    nat::Tick expires = 0;
    bool live = false;
  };
  struct Way {
    Target target;
    nat::Tick until = 0;  // 0: the place is free
  };
  struct alignas(nat::kCacheLine) WaySet {
    std::array<Way, 5> ways;
  };
  static_assert(sizeof(WaySet) == nat::kCacheLine);

  /// Most phones speak from where they listen, and need none.
  [[nodiscard]] static constexpr std::size_t way_sets(std::uint32_t capacity) noexcept {
    return capacity / 5 + 1;
  }
  [[nodiscard]] std::size_t set_of(Target way) const noexcept;

  RegistrationTable(std::span<ipc::Shared<ipc::RegistrationCard>> cards, std::uint64_t seed,
                    nat::Carver memory, nat::CounterBlock<WorkerCounter>& counters) noexcept;
  void show_size() noexcept;

  std::span<ipc::Shared<ipc::RegistrationCard>> cards_;
  nat::HashChains by_binding_;  // address of record and inside host
  nat::HashChains by_inside_;   // inside endpoint alone
  std::span<CardIndex> free_;   // a stack: the first free_count_ are free
  std::span<Watch> watches_;
  std::span<WaySet> ways_;
  nat::CounterBlock<WorkerCounter>& counters_;
  std::uint64_t seed_;
  std::uint32_t free_count_;
  CardIndex cursor_ = 0;
};

}  // namespace pinhole::dataplane
