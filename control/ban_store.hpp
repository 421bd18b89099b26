// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The bans of the whole appliance: what workers impose and operators order, for how long, and who is let be.
// A worker bans by itself for a short time and says so; the store makes it longer each time, tells all
// workers, and keeps it in a file (ban_file.hpp), from which a control or a data plane that is started again
// has it back. Invariants: who is on an allow list is not banned by a worker's word; a record is kept until
// its ban has been over for `forget_s`, so that the next one is longer; there are kMaxRecords at most, and
// the one that would go first makes room. Thread: one. Time is a parameter.

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/ban_file.hpp"
#include "control/error.hpp"
#include "control/model.hpp"
#include "control/worker_link.hpp"
#include "dataplane/config/structs.hpp"
#include "dataplane/ipc/event.hpp"
#include "dataplane/ipc/rates.hpp"

namespace pinhole::control {

class BanStore {
 public:
  static constexpr std::size_t kMaxRecords = 16384;
  static constexpr std::size_t kMaxAllowed = ipc::RateLimits::kMaxAllowed;  // of each worker, at run time

  BanStore(const config::Protection& protection, const std::string& path, Moment now);

  /// The configuration has changed.
  void use(const config::Protection& protection) { protection_ = protection; }

  /// From now on orders go over `link`, which outlives the store: first all that holds.
  void attach(WorkerLink& link, std::uint32_t workers, Moment now);

  /// Takes note of what a worker tells, and logs it.
  void on_event(const ipc::Event& event, Moment now);

  /// Sends what waits, forgets what has been over for long. To be called a few times a second.
  void run(Moment now);

  /// Errors: range, when the prefix has bits after its length.
  [[nodiscard]] Result<BanRow> add(const BanOrderRow& order, Moment now);
  /// Errors: not_found.
  [[nodiscard]] Result<void> lift(nat::Prefix prefix, Moment now);
  /// Errors: range, when there are too many or the prefix has bits after its length.
  [[nodiscard]] Result<void> allow(nat::Prefix prefix);
  /// Errors: not_found; conflict, when the configuration says so.
  [[nodiscard]] Result<void> disallow(nat::Prefix prefix);

  /// Those that hold, the longest first.
  [[nodiscard]] Paged<BanRow> rows(Page page, Moment now) const;
  [[nodiscard]] std::vector<AllowRow> allow_list() const;
  [[nodiscard]] std::size_t size(Moment now) const;
  [[nodiscard]] const std::string& problem() const noexcept { return file_.problem(); }

 private:
  struct Key {
    std::uint32_t address = 0;
    std::uint8_t length = 32;

    friend auto operator<=>(const Key&, const Key&) = default;
  };
  [[nodiscard]] static Key key_of(nat::Prefix prefix) noexcept {
    return {prefix.address.host(), prefix.length};
  }

  void take_ban(const ipc::GuardEvent& news, Moment now);
  [[nodiscard]] std::chrono::seconds length_of(std::uint32_t level) const;
  [[nodiscard]] bool is_allowed(nat::Prefix prefix) const;
  void hold(const BanRecord& record, Moment now);
  void make_room(Moment now);
  void tell_all(const ipc::Command& command);
  void send_waiting();
  [[nodiscard]] std::uint64_t hits_of(nat::Prefix prefix) const;
  [[nodiscard]] BanRow row_of(const BanRecord& record) const;

  config::Protection protection_;
  BanFile file_;
  std::map<Key, BanRecord> bans_;
  std::vector<nat::Prefix> allowed_;  // at run time
  WorkerLink* link_ = nullptr;
  std::vector<std::deque<ipc::Command>> waiting_;  // by worker
  Steady forgot_{};                                // when run() last looked for what is over
};

}  // namespace pinhole::control
