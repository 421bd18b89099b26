// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The bans of the whole appliance: what workers impose and operators order, for how long, and who is let be.
// A worker bans by itself for a short time and says so; the store makes it longer each time, tells all
// workers, and keeps it in a file (ban_file.hpp), from which a control or a data plane that is started again
// has it back. Invariants: who is on an allow list is not banned by a worker's word; a record is kept until
// its ban has been over for `forget_s`, so that the next one is longer; there are kMaxRecords at most, and
// the one that would go first makes room. While control runs, bans end by the steady clock; the wall clock is
// for people and for the file. What workers are to be told is noted by what it is about, and worded when it
// is sent: what waits is bounded, and never stale. Thread: one. Time is a parameter.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
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
  /// Half of what a worker has places for, so that its sets of eight hardly ever run over.
  static constexpr std::size_t kMaxRecords = 4096;
  static constexpr std::size_t kMaxAllowed = ipc::RateLimits::kMaxAllowed;  // of each worker, at run time
  /// To one worker between two calls of run(): it takes 64 commands a tick, and others send some, too.
  static constexpr std::size_t kOrdersPerRun = 32;
  /// Of any ban: what a worker's ticks can count.
  static constexpr std::chrono::seconds kLongest{31'536'000};

  BanStore(const config::Protection& protection, const std::string& path, Moment now);

  /// The configuration has changed.
  void use(const config::Protection& protection) { protection_ = protection; }

  /// From now on orders go over `link`, which outlives the store: first all that holds.
  void attach(WorkerLink& link, std::uint32_t workers, Moment now);

  /// Takes note of what a worker tells, and logs it.
  void on_event(const ipc::Event& event, Moment now);

  /// Sends what waits, ends what is over, forgets what has been over for long. To be called ten times a
  /// second.
  void run(Moment now);

  /// Errors: range, when the prefix has bits after its length or workers have no room for another one.
  [[nodiscard]] Result<BanRow> add(const BanOrderRow& order, Moment now);
  /// Errors: not_found, when no worker has such a ban either.
  [[nodiscard]] Result<void> lift(nat::Prefix prefix, Moment now);
  /// Errors: range, when there are too many or the prefix has bits after its length; unavailable, when a
  /// worker has taken no orders for long.
  [[nodiscard]] Result<void> allow(nat::Prefix prefix, Moment now);
  /// Errors: not_found; conflict, when the configuration says so.
  [[nodiscard]] Result<void> disallow(nat::Prefix prefix, Moment now);

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

  /// A ban, or one that is over and still counts.
  struct Held {
    BanRecord record;
    Steady end;
    bool is_told = true;  // workers are to have it

    [[nodiscard]] bool holds(Moment now) const noexcept { return end > now.steady; }
  };
  enum class About : std::uint8_t { allow, ban };
  struct Subject {
    About about = About::ban;
    Key key;

    friend auto operator<=>(const Subject&, const Subject&) = default;
  };
  /// What a worker is to be told about. Ends go first: they make room in its tables.
  struct Outbox {
    std::set<Subject> ends;
    std::set<Subject> begins;  // of what is in bans_ and allowed_
    std::size_t left = kOrdersPerRun;

    /// A worker that is told of no end any more bans until the time that it knows.
    [[nodiscard]] bool is_full() const noexcept { return ends.size() >= kMaxRecords; }
  };

  [[nodiscard]] static std::optional<Key> key_in(const ipc::BanSlot& slot) noexcept;
  void take_ban(const ipc::GuardEvent& news, Moment now);
  [[nodiscard]] std::chrono::seconds length_of(std::uint32_t level) const;
  [[nodiscard]] bool is_allowed(nat::Prefix prefix) const;
  [[nodiscard]] bool is_in_a_table(nat::Prefix prefix) const;
  [[nodiscard]] std::size_t prefixes(Moment now) const;
  void load(Moment now);
  const Held& hold(BanRecord record, std::chrono::seconds length, Moment now);
  void make_room(Moment now);
  void end_and_forget(Moment now);
  void catch_up();
  void tell_all(Subject subject, bool begins);
  void send_waiting(Moment now);
  [[nodiscard]] ipc::Command order_about(Subject subject, Moment now) const;
  void count_hits(std::map<Key, std::uint64_t>& hits) const;
  [[nodiscard]] BanRow row_of(const Held& held, std::uint64_t hits, Moment now) const;

  config::Protection protection_;
  BanFile file_;
  std::map<Key, Held> bans_;
  std::vector<nat::Prefix> allowed_;  // at run time
  WorkerLink* link_ = nullptr;
  std::vector<Outbox> outboxes_;  // by worker
  Steady looked_{};               // when run() last looked for what is over
};

}  // namespace pinhole::control
