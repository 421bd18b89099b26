// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What is kept of bans and allowed sources over a restart: two tables in an SQLite file, which nobody else
// has open meanwhile. Each change is written when it is made, so that a process that is killed has lost
// nothing that it said. Invariant: a file that cannot be opened or read is left alone; one that cannot be
// written is behind until all is written anew. Either costs what it would have kept, and nothing else; the
// problem is logged and shown. Thread: one.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
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

  // Each is one transaction. They do nothing while the file is behind.
  void put(const BanRecord& record);
  void erase_bans(const std::vector<nat::Prefix>& prefixes);
  void put_allowed(nat::Prefix prefix);
  void erase_allowed(nat::Prefix prefix);

  /// Whether a change could not be written: the file wants all of them, until it takes them.
  [[nodiscard]] bool is_behind() const noexcept { return behind_; }
  void write_all(const std::vector<BanRecord>& bans, const std::vector<nat::Prefix>& allowed);

  /// What is wrong with it, and the mend; empty: nothing.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  struct Close {
    void operator()(sqlite3* database) const noexcept;
  };
  class Statement;
  /// An SQL statement and its values.
  struct Change {
    const char* sql;
    std::vector<std::string> values;
  };

  [[nodiscard]] static Change to_put(const BanRecord& record);
  [[nodiscard]] static Change to_put(nat::Prefix allowed);
  void open();
  void open_tables();
  /// Says what is wrong, and goes on without the file.
  void give_up(std::string_view doing, std::string_view reason, std::string_view mend);
  void fail(std::string_view doing, std::string_view reason, std::string_view mend);
  [[nodiscard]] bool run(const char* sql);
  [[nodiscard]] std::optional<std::int64_t> number(const char* sql);
  void write(const std::vector<Change>& changes);
  [[nodiscard]] bool commit(const std::vector<Change>& changes);

  std::string path_;
  std::unique_ptr<sqlite3, Close> database_;
  bool behind_ = false;
  std::string problem_;
};

}  // namespace pinhole::control
