// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What is kept of bans and allowed sources over a restart: two tables in an SQLite file. Each change is
// written when it is made, so that a process that is killed has lost nothing that it said. Invariant: a file
// that cannot be opened, read or written costs what it would have kept, and nothing else; the problem is
// logged and shown. Thread: one.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "control/model.hpp"

struct sqlite3;

namespace pinhole::control {

/// A source that is banned, or was, for as long as that counts against it.
struct BanRecord {
  nat::Prefix prefix;
  ipc::BanReason reason = ipc::BanReason::manual;
  bool proven = false;
  std::string detail;  // the User-Agent, the subscriber, or the note of an operator
  Time since;
  Time until;
  std::uint32_t level = 0;  // how often it was banned for longer than the time before
};

class BanFile {
 public:
  /// \param path  empty: nothing is kept
  explicit BanFile(const std::string& path);

  [[nodiscard]] std::vector<BanRecord> bans();
  [[nodiscard]] std::vector<nat::Prefix> allowed();
  void put(const BanRecord& record);
  void erase_ban(nat::Prefix prefix);
  void put_allowed(nat::Prefix prefix);
  void erase_allowed(nat::Prefix prefix);

  /// What was wrong with it last; empty: nothing.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  struct Close {
    void operator()(sqlite3* database) const noexcept;
  };
  class Statement;

  void fail(std::string_view what);
  void run(const char* sql, const std::vector<std::string>& values);

  std::unique_ptr<sqlite3, Close> database_;
  std::string problem_;
};

}  // namespace pinhole::control
