// SPDX-License-Identifier: BSD-3-Clause
#include "control/ban_file.hpp"

#include <sqlite3.h>

#include <charconv>
#include <chrono>
#include <filesystem>
#include <optional>

#include "control/log.hpp"

#include <fmt/format.h>

namespace pinhole::control {

namespace {

// A version of the tables that this program does not know is left alone.
constexpr const char* kSchema = R"(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA busy_timeout = 200;
CREATE TABLE IF NOT EXISTS ban (
  prefix TEXT PRIMARY KEY, reason INTEGER NOT NULL, proven INTEGER NOT NULL, detail TEXT NOT NULL,
  since_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, level INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS allowed (prefix TEXT PRIMARY KEY);
)";

std::string text(nat::Prefix prefix) {
  return fmt::format("{}/{}", nat::EndpointText(prefix.address).view(), prefix.length);
}

std::string text(Time time) {
  return fmt::format("{}",
                     std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
}

Time time_of(std::int64_t milliseconds) {
  return Time(std::chrono::milliseconds(milliseconds));
}

}  // namespace

void BanFile::Close::operator()(sqlite3* database) const noexcept {
  sqlite3_close(database);
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

BanFile::BanFile(const std::string& path) {
  if (path.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  sqlite3* opened = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int result = sqlite3_open_v2(path.c_str(), &opened, flags, nullptr);
  database_.reset(opened);
  if (result != SQLITE_OK) {
    fail(sqlite3_errstr(result));
    database_.reset();
    return;
  }
  if (sqlite3_exec(database_.get(), kSchema, nullptr, nullptr, nullptr) != SQLITE_OK) {
    fail(sqlite3_errmsg(database_.get()));
    database_.reset();
  }
}

void BanFile::fail(std::string_view what) {
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
    const auto prefix = nat::Prefix::parse(rows.words(0));
    if (!prefix) continue;
    all.push_back({.prefix = *prefix,
                   .reason = static_cast<ipc::BanReason>(rows.number(1)),
                   .proven = rows.number(2) != 0,
                   .detail = rows.words(3),
                   .since = time_of(rows.number(4)),
                   .until = time_of(rows.number(5)),
                   .level = static_cast<std::uint32_t>(rows.number(6))});
  }
  if (result != SQLITE_DONE) fail(sqlite3_errmsg(database_.get()));
  return all;
}

std::vector<nat::Prefix> BanFile::allowed() {
  std::vector<nat::Prefix> all;
  if (!database_) return all;
  Statement rows(database_.get(), "SELECT prefix FROM allowed", {});
  int result = rows.step();
  for (; result == SQLITE_ROW; result = rows.step()) {
    if (const auto prefix = nat::Prefix::parse(rows.words(0))) all.push_back(*prefix);
  }
  if (result != SQLITE_DONE) fail(sqlite3_errmsg(database_.get()));
  return all;
}

void BanFile::run(const char* sql, const std::vector<std::string>& values) {
  if (!database_) return;
  Statement statement(database_.get(), sql, values);
  if (statement.step() != SQLITE_DONE) return fail(sqlite3_errmsg(database_.get()));
  problem_.clear();
}

void BanFile::put(const BanRecord& record) {
  run("INSERT OR REPLACE INTO ban VALUES (?, ?, ?, ?, ?, ?, ?)",
      {text(record.prefix), fmt::format("{}", static_cast<unsigned>(record.reason)),
       record.proven ? "1" : "0", record.detail, text(record.since), text(record.until),
       fmt::format("{}", record.level)});
}

void BanFile::erase_ban(nat::Prefix prefix) {
  run("DELETE FROM ban WHERE prefix = ?", {text(prefix)});
}

void BanFile::put_allowed(nat::Prefix prefix) {
  run("INSERT OR REPLACE INTO allowed VALUES (?)", {text(prefix)});
}

void BanFile::erase_allowed(nat::Prefix prefix) {
  run("DELETE FROM allowed WHERE prefix = ?", {text(prefix)});
}

}  // namespace pinhole::control
