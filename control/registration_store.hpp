// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The registrations: bindings that a registrar granted to inside contacts. The worker holds the mapping open
// for as long as the binding lasts; the store knows who they are, by events and cards. Invariants: at most
// one registration for each card; one is dropped when it was ended or has run out, whether or not the worker
// said so. Thread: one. Time is a parameter.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "control/model.hpp"
#include "control/worker_link.hpp"
#include "dataplane/ipc/event.hpp"

namespace pinhole::control {

class RegistrationStore {
 public:
  /// From now on cards are read over `link`, which outlives the store. What was known of an earlier data
  /// plane is forgotten.
  void attach(const WorkerLink& link) noexcept;

  /// An event says which card to read. One that comes late does no harm: the card is newer than any event.
  void on_event(const ipc::Event& event, Moment now);

  /// Reads every card of the worker.
  void resync(std::uint32_t worker, Moment now);

  /// Drops what has run out.
  void run(Moment now);

  [[nodiscard]] std::size_t size() const noexcept { return bindings_.size(); }

  /// \param aor part of the address of record; empty: any. \return in the order of worker and card.
  [[nodiscard]] Paged<RegistrationRow> rows(std::string_view aor, Page page, Moment now) const;

 private:
  struct Binding {
    std::uint32_t generation = 0;
    std::string aor;
    nat::Endpoint inside;
    nat::Endpoint external;
    nat::Endpoint registrar;
    Steady expires;
  };
  using Key = std::pair<std::uint32_t, std::uint32_t>;  // worker, card

  void take_in(Key key, const ipc::RegistrationCard& card, Moment now);

  const WorkerLink* link_ = nullptr;
  std::map<Key, Binding> bindings_;
};

}  // namespace pinhole::control
