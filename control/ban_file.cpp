// SPDX-License-Identifier: BSD-3-Clause
#include "control/ban_file.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <optional>

#include "control/log.hpp"

#include <fmt/format.h>

namespace pinhole::control {

namespace {

// A file of another version, or with tables and without one, is left alone.
constexpr std::int64_t kVersion = 1;
constexpr const char* kSchema = R"(
CREATE TABLE ban (
  prefix TEXT PRIMARY KEY, reason INTEGER NOT NULL, proven INTEGER NOT NULL, detail TEXT NOT NULL,
  since_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, level INTEGER NOT NULL);
CREATE TABLE allowed (prefix TEXT PRIMARY KEY);
PRAGMA user_version = 1;
)";

// Who was banned is not for everybody.
constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;

// Enough for any ban to be as long as it can be; more only costs time.
constexpr std::int64_t kMaxLevel = 1'000'000;

constexpr std::string_view kOtherFile = "name another file";
constexpr std::string_view kMoveAway = "move it away, or name another file";

std::string text(nat::Prefix prefix) {
  return fmt::format("{}/{}", nat::EndpointText(prefix.address).view(), prefix.length);
}

std::string text(Time time) {
  return fmt::format("{}",
                     std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
}

/// Within what the clock can say, whatever stands in the file.
Time time_of(std::int64_t milliseconds) {
  constexpr std::int64_t kLast = 9'000'000'000'000;  // in the year 2255
  return Time(std::chrono::milliseconds(std::clamp<std::int64_t>(milliseconds, 0, kLast)));
}

/// None for what no such program has written.
std::optional<nat::Prefix> prefix_of(std::string_view words) {
  const auto prefix = nat::Prefix::parse(words);
  return prefix && prefix->first() == prefix->address ? prefix : std::nullopt;
}

/// Those that are not there. What fails shows when the file is opened.
void make_directories(const std::filesystem::path& path) {
  std::filesystem::path made;
  for (const auto& part : path) {
    made /= part;
    ::mkdir(made.c_str(), kDirectoryMode);
  }
}

}  // namespace

void BanFile::Close::operator()(sqlite3* database) const noexcept {
  sqlite3_close_v2(database);  // which waits for statements that are still there
}

/// A statement with its values; all of them go in as text, which SQLite turns into what the column is.
class BanFile::Statement {
 public:
  Statement(sqlite3* database, const char* sql, const std::vector<std::string>& values) {
    if (sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr) != SQLITE_OK) return;
    for (std::size_t i = 0; i < values.size(); ++i) {
      sqlite3_bind_text(statement_, static_cast<int>(i + 1), values[i].data(),
                        static_cast<int>(values[i].size()), SQLITE_TRANSIENT);
    }
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }

  [[nodiscard]] int step() { return statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_); }
  [[nodiscard]] std::int64_t number(int column) { return sqlite3_column_int64(statement_, column); }
  [[nodiscard]] std::string words(int column) {
    const auto* const bytes = sqlite3_column_text(statement_, column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
    return bytes == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(bytes), size);
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

BanFile::BanFile(const std::string& path) : path_(path) {
  if (!path.empty()) open();
}

void BanFile::open() {
  constexpr std::string_view kMend = "make its directory, or name another file";
  make_directories(std::filesystem::path(path_).parent_path());
  // SQLite would make it for everybody to read; its journal gets the mode of the file.
  const int made = ::open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, kFileMode);
  if (made < 0) return give_up("open", std::strerror(errno), kMend);
  ::close(made);
  sqlite3* opened = nullptr;
  const int result = sqlite3_open_v2(path_.c_str(), &opened, SQLITE_OPEN_READWRITE, nullptr);
  database_.reset(opened);
  if (result != SQLITE_OK) return give_up("open", sqlite3_errstr(result), kMend);
  open_tables();
}

void BanFile::open_tables() {
  // Nothing is written before the version is known. Who waits for a lock answers nobody meanwhile.
  const bool mine = run("PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE");
  const auto version = mine ? number("PRAGMA user_version") : std::nullopt;
  const auto tables = version ? number("SELECT count(*) FROM sqlite_master") : std::nullopt;
  const bool is_new = tables == 0 && version == 0;
  if (tables && !is_new && version != kVersion) {
    const auto found =
        fmt::format("its tables have version {}, and {} is what this program knows", *version, kVersion);
    return give_up("use", found, kMoveAway);
  }
  const bool ready = tables &&
                     run("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN EXCLUSIVE") &&
                     (!is_new || run(kSchema)) && run("COMMIT");
  if (ready) return;
  const bool is_held = sqlite3_errcode(database_.get()) == SQLITE_BUSY;
  give_up("use", is_held ? "another process has it open" : sqlite3_errmsg(database_.get()),
          is_held ? kOtherFile : kMoveAway);
}

void BanFile::give_up(std::string_view doing, std::string_view reason, std::string_view mend) {
  fail(doing, reason, mend);
  database_.reset();
}

/// The same problem again is no news.
void BanFile::fail(std::string_view doing, std::string_view reason, std::string_view mend) {
  const auto what = fmt::format("control.store: cannot {} {}: {}; {}", doing, path_, reason, mend);
  if (what == problem_) return;
  problem_ = what;
  log_error("store_failed", {{"reason", what}});
}

std::vector<BanRecord> BanFile::bans() {
  std::vector<BanRecord> all;
  if (!database_) return all;
  Statement rows(database_.get(), "SELECT prefix, reason, proven, detail, since_ms, until_ms, level FROM ban",
                 {});
  int result = rows.step();
  for (; result == SQLITE_ROW; result = rows.step()) {
    const auto prefix = prefix_of(rows.words(0));
    const auto reason = rows.number(1);
    if (!prefix || reason < 0 || reason > static_cast<std::int64_t>(ipc::BanReason::rule)) continue;
    all.push_back(
        {.prefix = *prefix,
         .reason = static_cast<ipc::BanReason>(reason),
         .proven = rows.number(2) != 0,
         .detail = rows.words(3),
         .since = time_of(rows.number(4)),
         .until = time_of(rows.number(5)),
         .level = static_cast<std::uint32_t>(std::clamp<std::int64_t>(rows.number(6), 0, kMaxLevel))});
  }
  if (result != SQLITE_DONE) give_up("read", sqlite3_errmsg(database_.get()), kMoveAway);
  return all;
}

std::vector<nat::Prefix> BanFile::allowed() {
  std::vector<nat::Prefix> all;
  if (!database_) return all;
  Statement rows(database_.get(), "SELECT prefix FROM allowed", {});
  int result = rows.step();
  for (; result == SQLITE_ROW; result = rows.step()) {
    if (const auto prefix = prefix_of(rows.words(0))) all.push_back(*prefix);
  }
  if (result != SQLITE_DONE) give_up("read", sqlite3_errmsg(database_.get()), kMoveAway);
  return all;
}

bool BanFile::run(const char* sql) {
  return sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK;
}

std::optional<std::int64_t> BanFile::number(const char* sql) {
  Statement row(database_.get(), sql, {});
  if (row.step() != SQLITE_ROW) return std::nullopt;
  return row.number(0);
}

void BanFile::write(const std::vector<Change>& changes) {
  if (!database_ || behind_) return;
  behind_ = !commit(changes);
}

bool BanFile::commit(const std::vector<Change>& changes) {
  const auto is_done = [&](const Change& change) {
    return Statement(database_.get(), change.sql, change.values).step() == SQLITE_DONE;
  };
  if (run("BEGIN") && std::ranges::all_of(changes, is_done) && run("COMMIT")) return true;
  fail("write", sqlite3_errmsg(database_.get()), "make room, or name another file");
  // SQLite may have rolled back by itself.
  static_cast<void>(run("ROLLBACK"));
  return false;
}

void BanFile::write_all(const std::vector<BanRecord>& bans, const std::vector<nat::Prefix>& allowed) {
  if (!database_) return;
  std::vector<Change> changes{{"DELETE FROM ban", {}}, {"DELETE FROM allowed", {}}};
  for (const auto& record : bans) changes.push_back(to_put(record));
  for (const auto prefix : allowed) changes.push_back(to_put(prefix));
  if (!commit(changes)) return;
  behind_ = false;
  problem_.clear();
  log_info("store_written", {{"bans", bans.size()}, {"allowed", allowed.size()}});
}

BanFile::Change BanFile::to_put(const BanRecord& record) {
  return {"INSERT OR REPLACE INTO ban VALUES (?, ?, ?, ?, ?, ?, ?)",
          {text(record.prefix), fmt::format("{}", static_cast<unsigned>(record.reason)),
           record.proven ? "1" : "0", record.detail, text(record.since), text(record.until),
           fmt::format("{}", record.level)}};
}

BanFile::Change BanFile::to_put(nat::Prefix allowed) {
  return {"INSERT OR REPLACE INTO allowed VALUES (?)", {text(allowed)}};
}

void BanFile::put(const BanRecord& record) {
  write({to_put(record)});
}

void BanFile::erase_bans(const std::vector<nat::Prefix>& prefixes) {
  std::vector<Change> changes;
  for (const auto prefix : prefixes) changes.push_back({"DELETE FROM ban WHERE prefix = ?", {text(prefix)}});
  write(changes);
}

void BanFile::put_allowed(nat::Prefix prefix) {
  write({to_put(prefix)});
}

void BanFile::erase_allowed(nat::Prefix prefix) {
  write({{"DELETE FROM allowed WHERE prefix = ?", {text(prefix)}}});
}

}  // namespace pinhole::control
