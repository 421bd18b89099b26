// SPDX-License-Identifier: BSD-3-Clause
#include "control/line_file.hpp"

#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/control/nat_log/temporary_directory.hpp"
#include "tests/control/size_limit.hpp"

#include <catch2/catch.hpp>

namespace pinhole::control {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Scene {
  test::TemporaryDirectory directory;
  fs::path path = directory.path() / "nat.jsonl";
  Steady now{1h};

  [[nodiscard]] fs::path old(int number) const { return path.string() + "." + std::to_string(number); }
};

TEST_CASE("lines are added to what the file has", "[control][nat_log][line_file]") {
  Scene scene;
  std::ofstream(scene.path) << "before\n";
  LineFile file(scene.path, 0, 1);
  CHECK(file.write("one\ntwo\n", scene.now) == 8);
  CHECK(file.write("three\n", scene.now) == 6);
  CHECK(text_of(scene.path) == "before\none\ntwo\nthree\n");
  CHECK(file.problem().empty());
}

TEST_CASE("a new file is not for everybody", "[control][nat_log][line_file]") {
  Scene scene;
  LineFile file(scene.path, 0, 1);
  REQUIRE(file.write("one\n", scene.now) == 4);
  struct stat of{};
  REQUIRE(stat(scene.path.c_str(), &of) == 0);
  CHECK((of.st_mode & 0007U) == 0);
}

TEST_CASE("half a line of a process that was killed is ended first", "[control][nat_log][line_file]") {
  Scene scene;
  std::ofstream(scene.path) << "whole\nhal";
  LineFile file(scene.path, 0, 1);
  CHECK(file.write("one\n", scene.now) == 4);
  CHECK(text_of(scene.path) == "whole\nhal\none\n");
}

TEST_CASE("a file that is full is renamed, and the oldest one goes", "[control][nat_log][line_file]") {
  Scene scene;
  LineFile file(scene.path, 10, 3);
  for (const char* line : {"first1\n", "second\n", "third3\n", "fourth\n"}) {
    CHECK(file.write(line, scene.now) == 7);
  }
  CHECK(text_of(scene.path) == "fourth\n");
  CHECK(text_of(scene.old(1)) == "third3\n");
  CHECK(text_of(scene.old(2)) == "second\n");
  CHECK_FALSE(fs::exists(scene.old(3)));
  CHECK(file.failures() == 0);
}

TEST_CASE("no line is split between two files", "[control][nat_log][line_file]") {
  Scene scene;
  LineFile file(scene.path, 100'050, 4);
  std::string lines;
  while (lines.size() < 250'000) lines += std::string(99, 'x') + '\n';
  CHECK(file.write(lines, scene.now) == lines.size());
  CHECK(fs::file_size(scene.old(2)) == 100'000);
  CHECK(fs::file_size(scene.old(1)) == 100'000);
  CHECK(fs::file_size(scene.path) == 50'000);
  for (const auto& path : {scene.old(2), scene.old(1), scene.path}) CHECK(text_of(path).ends_with("x\n"));
}

TEST_CASE("with one file the full one is begun anew", "[control][nat_log][line_file]") {
  Scene scene;
  LineFile file(scene.path, 10, 1);
  file.write("first1\n", scene.now);
  file.write("second\n", scene.now);
  CHECK(text_of(scene.path) == "second\n");
  CHECK_FALSE(fs::exists(scene.old(1)));
}

TEST_CASE("without a size the file is never renamed", "[control][nat_log][line_file]") {
  Scene scene;
  LineFile file(scene.path, 0, 2);
  for (int i = 0; i < 1000; ++i) file.write("a line of the log\n", scene.now);
  CHECK(fs::file_size(scene.path) == 18000);
  CHECK_FALSE(fs::exists(scene.old(1)));
}

TEST_CASE("a line longer than the file may be has a file of its own", "[control][nat_log][line_file]") {
  Scene scene;
  LineFile file(scene.path, 10, 3);
  const auto line = std::string(50, 'x') + '\n';
  CHECK(file.write("short\n" + line, scene.now) == 57);
  CHECK(file.write("after\n", scene.now) == 6);
  CHECK(text_of(scene.old(2)) == "short\n");
  CHECK(text_of(scene.old(1)) == line);
  CHECK(text_of(scene.path) == "after\n");
}

TEST_CASE("a file that others moved away is made anew within a second", "[control][nat_log][line_file]") {
  Scene scene;
  LineFile file(scene.path, 0, 1);
  file.write("one\n", scene.now);
  fs::rename(scene.path, scene.old(1));
  file.write("two\n", scene.now + LineFile::kLookEvery - 1ms);
  file.write("three\n", scene.now + LineFile::kLookEvery);
  CHECK(text_of(scene.old(1)) == "one\ntwo\n");
  CHECK(text_of(scene.path) == "three\n");
}

TEST_CASE("a file that others replaced or removed is noticed", "[control][nat_log][line_file]") {
  Scene scene;
  LineFile file(scene.path, 0, 1);
  file.write("one\n", scene.now);
  SECTION("replaced") {
    fs::rename(scene.path, scene.old(1));
    std::ofstream(scene.path) << "theirs\n";
    file.write("two\n", scene.now + 1s);
    CHECK(text_of(scene.path) == "theirs\ntwo\n");
  }
  SECTION("removed") {
    fs::remove(scene.path);
    file.write("two\n", scene.now + 1s);
    CHECK(text_of(scene.path) == "two\n");
  }
  SECTION("truncated") {
    fs::resize_file(scene.path, 0);
    file.write("two\n", scene.now + 1s);
    CHECK(text_of(scene.path) == "two\n");
  }
  CHECK(file.failures() == 0);
}

TEST_CASE("a full disk takes whole lines only, and is tried again after a second",
          "[control][nat_log][line_file]") {
  Scene scene;
  LineFile file(scene.path, 0, 1);
  const std::string lines = "first1\nsecond\nthird3\n";
  {
    const test::SizeLimit limit(17);
    CHECK(file.write(lines, scene.now) == 14);
    CHECK(text_of(scene.path) == "first1\nsecond\n");
    CHECK(file.problem() == "cannot be written: File too large");
    CHECK(file.failures() == 1);
    CHECK(file.write("third3\n", scene.now + LineFile::kTryAgain) == 0);
    CHECK(file.failures() == 2);
  }
  CHECK(file.write("third3\n", scene.now + 2 * LineFile::kTryAgain - 1ms) == 0);
  CHECK(file.failures() == 2);
  CHECK(file.write("third3\n", scene.now + 2 * LineFile::kTryAgain) == 7);
  CHECK(text_of(scene.path) == lines);
  CHECK(file.problem().empty());
}

TEST_CASE("a file that others truncated does not grow when the disk is full",
          "[control][nat_log][line_file]") {
  Scene scene;
  LineFile file(scene.path, 0, 1);
  CHECK(file.write("an older line\n", scene.now) == 14);
  fs::resize_file(scene.path, 0);
  const test::SizeLimit limit(10);
  CHECK(file.write("first1\nsecond\n", scene.now) == 7);
  CHECK(text_of(scene.path) == "first1\n");
}

TEST_CASE("a device without room is a disk without room", "[control][nat_log][line_file]") {
  LineFile file("/dev/full", 10, 3);
  CHECK(file.write("one\n", Steady{1h}) == 0);
  CHECK(file.problem() == "cannot be written: No space left on device");
  CHECK(fs::is_character_file("/dev/full"));
}

TEST_CASE("what cannot be opened is told and tried again", "[control][nat_log][line_file]") {
  Scene scene;
  SECTION("a directory that does not exist yet") {
    const auto path = scene.directory.path() / "later" / "nat.jsonl";
    LineFile file(path, 0, 1);
    CHECK(file.write("one\n", scene.now) == 0);
    CHECK(file.problem() == "cannot be opened: No such file or directory");
    fs::create_directory(path.parent_path());
    CHECK(file.write("one\n", scene.now + 999ms) == 0);
    CHECK(file.write("one\n", scene.now + 1s) == 4);
    CHECK(file.problem().empty());
    CHECK(text_of(path) == "one\n");
  }
  SECTION("a directory") {
    LineFile file(scene.directory.path(), 0, 1);
    CHECK(file.write("one\n", scene.now) == 0);
    CHECK(file.problem() == "cannot be opened: Is a directory");
  }
  SECTION("a pipe, which could hold or kill the process") {
    REQUIRE(mkfifo(scene.path.c_str(), 0600) == 0);
    LineFile file(scene.path, 0, 1);
    CHECK(file.write("one\n", scene.now) == 0);
    CHECK(file.problem() == "cannot be opened: Invalid argument");
  }
}

TEST_CASE("a file that cannot be renamed grows on", "[control][nat_log][line_file]") {
  Scene scene;
  fs::create_directory(scene.old(1));  // a name that no file can take
  std::ofstream(scene.old(1) / "occupied") << "x";
  LineFile file(scene.path, 10, 2);
  file.write("first1\n", scene.now);
  CHECK(file.write("second\n", scene.now) == 7);
  CHECK(text_of(scene.path) == "first1\nsecond\n");
  CHECK(file.problem().starts_with("cannot be rotated: "));
  CHECK(file.failures() == 1);
  fs::remove_all(scene.old(1));
  CHECK(file.write("third3\n", scene.now + LineFile::kTryAgain) == 7);
  CHECK(text_of(scene.path) == "third3\n");
  CHECK(text_of(scene.old(1)) == "first1\nsecond\n");
  CHECK(file.problem().empty());
}

}  // namespace

}  // namespace pinhole::control
