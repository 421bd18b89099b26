// SPDX-License-Identifier: BSD-3-Clause
// What the store of bans keeps in its file, and what it does without one.

#include "control/ban_file.hpp"

#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "tests/control/ban_scene.hpp"

using namespace pinhole;
using namespace pinhole::control;
using namespace pinhole::control::test;
using ipc::BanReason;
using ipc::CommandType;
using std::chrono::seconds;

namespace {

/// What a file says when it is asked as by another program.
std::string ask(const std::string& file, const char* sql) {
  sqlite3* database = nullptr;
  std::string answer = "nothing";
  if (sqlite3_open(file.c_str(), &database) == SQLITE_OK) {
    const auto take = [](void* to, int, char** values, char**) {
      *static_cast<std::string*>(to) = values[0] == nullptr ? "" : values[0];
      return 0;
    };
    char* problem = nullptr;
    if (sqlite3_exec(database, sql, take, &answer, &problem) != SQLITE_OK) answer = problem;
    sqlite3_free(problem);
  }
  sqlite3_close(database);
  return answer;
}

/// A disk that takes nothing more, while it lives.
class FullDisk {
 public:
  FullDisk() {
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit none = before_;
    none.rlim_cur = 0;
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &none);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

/// Makes files for everybody, while it lives.
class OpenMask {
 public:
  OpenMask() : before_(umask(0)) {}
  OpenMask(const OpenMask&) = delete;
  OpenMask& operator=(const OpenMask&) = delete;
  ~OpenMask() { umask(before_); }

 private:
  mode_t before_;
};

mode_t mode_of(const std::filesystem::path& path) {
  struct stat facts{};
  return stat(path.c_str(), &facts) == 0 ? facts.st_mode & 07777U : 0;
}

}  // namespace

TEST_CASE("bans and allowed sources outlive control and the data plane", "[control][bans]") {
  Scene scene;
  scene.attach();
  scene.banned();
  REQUIRE(scene.store->add({.prefix = prefix("192.0.2.0/24"), .seconds = 7200, .note = "ticket 7"},
                           scene.link.moment));
  REQUIRE(scene.store->allow(prefix("203.0.113.9"), scene.link.moment));
  scene.link.pass(seconds(60));
  scene.link.sent.clear();

  scene.start();  // without any word of farewell to the one before
  const auto rows = scene.rows();
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].prefix == prefix("192.0.2.0/24"));
  CHECK(rows[0].reason == BanReason::manual);
  CHECK(rows[0].detail == "ticket 7");
  CHECK(rows[1].prefix == kStranger);
  scene.attach();
  const auto sent = scene.link.take(CommandType::ban);
  CHECK(sent.size() == 4);
  for (const auto& one : sent) {
    CHECK(one.command.seconds == (one.command.ban.prefix == kStranger ? 240 : 7140));
  }
  REQUIRE(scene.link.take(CommandType::allow).size() == 2);
  // The next ban is longer, as it would have been without a restart.
  scene.pass(seconds(240));
  scene.banned();
  CHECK(scene.ordered_s() == 1200);
}

TEST_CASE("a wall clock that was set back between two starts makes no ban longer", "[control][bans]") {
  Scene scene;
  scene.banned();
  scene.link.moment.wall -= std::chrono::hours(48);
  scene.start();
  REQUIRE(scene.rows().size() == 1);
  CHECK(scene.rows()[0].until == scene.link.moment.wall + seconds(300));
  scene.attach();
  CHECK(scene.ordered_s() == 300);
}

TEST_CASE("a file that cannot be used costs the memory of bans and nothing else", "[control][bans]") {
  struct Case {
    const char* name;
    const char* path;  // below the directory of the test
    const char* problem;
  };
  const auto row = GENERATE(
      Case{"it is no database", "bad.db",
           "control.store: cannot use FILE: file is not a database; move it away, "
           "or name another file"},
      Case{"a file where its directory should be", "bad.db/state.db",
           "control.store: cannot open FILE: Not a directory; make its directory, or name another file"},
      Case{"tables of another version", "new.db",
           "control.store: cannot use FILE: its tables have version 7, and 1 "
           "is what this program knows; move it away, or name another file"},
      Case{"somebody else's tables", "other.db",
           "control.store: cannot use FILE: its tables have version 0, and 1 "
           "is what this program knows; move it away, or name another file"});
  Scene scene;
  INFO(row.name);
  std::ofstream(scene.directory.path() / "bad.db") << std::string(4096, 'x');
  const auto file = (scene.directory.path() / row.path).string();
  if (row.path == std::string_view("new.db")) ask(file, "CREATE TABLE ban (what); PRAGMA user_version = 7");
  if (row.path == std::string_view("other.db")) ask(file, "CREATE TABLE ban (what)");
  const auto digest = ask(file, "SELECT sql FROM sqlite_master");

  BanStore store(scene.protection, file, scene.link.moment);
  std::string problem = row.problem;
  problem.replace(problem.find("FILE"), 4, file);
  CHECK(store.problem() == problem);
  store.attach(scene.link, 2, scene.link.moment);
  REQUIRE(store.add(order(kStranger), scene.link.moment));
  CHECK(store.rows({}, scene.link.moment).rows.size() == 1);
  CHECK(store.problem() == problem);
  CHECK(ask(file, "SELECT sql FROM sqlite_master") == digest);
}

TEST_CASE("a file belongs to one control at a time", "[control][bans]") {
  Scene scene;
  scene.banned();
  {
    BanStore second(scene.protection, scene.file(), scene.link.moment);
    CHECK(second.problem() ==
          "control.store: cannot use " + scene.file() + ": another process has it open; name another file");
    CHECK(second.size(scene.link.moment) == 0);
    CHECK(second.add(order(prefix("192.0.2.0/24")), scene.link.moment));
  }
  CHECK(ask(scene.file(), "SELECT count(*) FROM ban") == "database is locked");
  CHECK(scene.store->problem().empty());
  scene.start();
  CHECK(scene.store->problem().empty());
  CHECK(scene.rows().size() == 1);
}

TEST_CASE("the file of bans is for nobody else to read", "[control][bans]") {
  const OpenMask mask;
  Scene scene;
  scene.banned();
  REQUIRE(scene.store->problem().empty());
  CHECK(mode_of(scene.directory.path() / "deep") == 0700);
  for (const auto& entry : std::filesystem::directory_iterator(scene.directory.path() / "deep")) {
    INFO(entry.path());
    CHECK(mode_of(entry.path()) == 0600);
  }
  scene.store.reset();
  CHECK(ask(scene.file(), "PRAGMA user_version") == "1");
}

TEST_CASE("what a full disk did not take is written when there is room again", "[control][bans]") {
  const bool by_order = GENERATE(false, true);
  Scene scene;
  scene.attach();
  REQUIRE(scene.store->add(order(prefix("192.0.2.0/24"), 7200), scene.link.moment));
  REQUIRE(scene.store->allow(prefix("203.0.113.9"), scene.link.moment));
  std::string problem;
  {
    const FullDisk disk;
    static_cast<void>(scene.store->lift(prefix("192.0.2.0/24"), scene.link.moment));
    scene.banned();
    scene.pass(seconds(1));
    problem = scene.store->problem();
  }
  CHECK(problem.starts_with("control.store: cannot write " + scene.file() + ": "));
  CHECK(problem.ends_with("; make room, or name another file"));
  if (by_order) {
    REQUIRE(scene.store->allow(prefix("203.0.113.10"), scene.link.moment));
  } else {
    scene.pass(seconds(1));
  }
  CHECK(scene.store->problem().empty());
  scene.start();
  const auto rows = scene.rows();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].prefix == kStranger);
  CHECK(scene.store->allow_list().size() == (by_order ? 2 : 1));
}
