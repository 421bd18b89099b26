// SPDX-License-Identifier: BSD-3-Clause
#include "control/log.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <string>
#include <vector>

using namespace pinhole::control;
using namespace std::chrono_literals;

namespace {

/// A log into a vector, with a clock that stands until it is moved.
struct Fixture {
  std::vector<std::string> lines;
  Log::Clock::time_point now = Log::Clock::time_point(1h);
  Log log{[this](std::string_view line) { lines.emplace_back(line); }, [this] { return now; }};
};

}  // namespace

TEST_CASE("a line is level, event and fields", "[control][log]") {
  Fixture fixture;
  fixture.log.write(Level::warning, "event_lost", {{"worker", 1}, {"count", 12U}, {"reason", "ring full"}});
  fixture.log.write(Level::error, "alone");
  CHECK(fixture.lines ==
        std::vector<std::string>{"warning event=event_lost worker=1 count=12 reason=\"ring full\"\n",
                                 "error event=alone\n"});
}

TEST_CASE("a value cannot make a second line or a terminal escape", "[control][log]") {
  struct Case {
    const char* value;
    const char* shown;
  };
  const std::vector<Case> cases = {
      {"plain-1.2:3@x", "plain-1.2:3@x"},  {"", "\"\""},
      {"two\nlines", R"("two\x0alines")"}, {"\x1b[2J", R"("\x1b[2J")"},
      {"a\"b\\c", R"("a\"b\\c")"},         {"a=b", R"("a=b")"},
      {"\xc3\xa9", R"("\xc3\xa9")"},
  };
  for (const auto& [value, shown] : cases) {
    DYNAMIC_SECTION(shown) {
      Fixture fixture;
      fixture.log.write(Level::info, "e", {{"v", value}});
      REQUIRE(fixture.lines.size() == 1);
      CHECK(fixture.lines[0] == std::string("info event=e v=") + shown + "\n");
    }
  }
}

TEST_CASE("levels below the one that is set are not written", "[control][log]") {
  Fixture fixture;
  fixture.log.write(Level::debug, "quiet");
  CHECK(fixture.lines.empty());
  fixture.log.set_level(Level::debug);
  fixture.log.write(Level::debug, "heard");
  CHECK(fixture.lines.size() == 1);
  fixture.log.set_level(Level::error);
  fixture.log.write(Level::warning, "quiet");
  CHECK(fixture.lines.size() == 1);
}

TEST_CASE("levels are known by their names", "[control][log]") {
  for (const auto level : {Level::debug, Level::info, Level::warning, Level::error}) {
    CHECK(level_from(name(level)) == level);
  }
  CHECK_FALSE(level_from("loud").has_value());
}

TEST_CASE("repeats of an event are held back and told when their window is over", "[control][log]") {
  Fixture fixture;
  for (int count = 0; count < 1000; ++count) fixture.log.write(Level::info, "flood", {{"n", count}});
  CHECK(fixture.lines.size() == Log::kBurst);
  fixture.log.write(Level::info, "other");
  CHECK(fixture.lines.size() == Log::kBurst + 1);

  fixture.now += Log::kWindow;
  fixture.lines.clear();
  fixture.log.write(Level::info, "other");
  CHECK(fixture.lines ==
        std::vector<std::string>{"info event=repeats_held_back of=flood count=990\n", "info event=other\n"});
  fixture.log.write(Level::info, "flood");
  CHECK(fixture.lines.back() == "info event=flood\n");
}

TEST_CASE("what was held back is told at the end", "[control][log]") {
  std::vector<std::string> lines;
  {
    Log log([&](std::string_view line) { lines.emplace_back(line); });
    for (std::uint32_t count = 0; count < Log::kBurst + 2; ++count) log.write(Level::info, "flood");
  }
  CHECK(lines.back() == "info event=repeats_held_back of=flood count=2\n");
}
