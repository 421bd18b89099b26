// SPDX-License-Identifier: BSD-3-Clause
#include "control/nat_log/json_lines.hpp"

#include <chrono>
#include <string>

#include "tests/control/nat_log/records.hpp"

#include <catch2/catch.hpp>

namespace pinhole::control {

namespace {

using namespace std::chrono_literals;
using nat::DropReason;
using nat::RecordType;

const Time kNow{1'767'323'045'006ms};  // 2026-01-02T03:04:05.006Z

std::string line_of(const nat::Record& record) {
  JsonLines lines;
  lines.add(test::sent(record, 17, 3), kNow);
  return std::string(lines.view());
}

TEST_CASE("each type of NAT record is one JSON object on one line", "[control][nat_log][json_lines]") {
  struct Case {
    nat::Record record;
    const char* line;
  };
  auto unknown_external = test::refusal(RecordType::quota_exceeded, DropReason::drop_quota_rate);
  unknown_external.external = {};
  const Case cases[] = {
      {test::mapping(),
       R"({"time":"2026-01-02T03:04:05.006Z","event":"mapping_created","protocol":"tcp",)"
       R"("inside":"10.0.0.1:4000","external":"203.0.113.1:40001","worker":3,"sequence":17})"},
      {test::mapping(RecordType::mapping_freed),
       R"({"time":"2026-01-02T03:04:05.006Z","event":"mapping_freed","protocol":"tcp",)"
       R"("inside":"10.0.0.1:4000","external":"203.0.113.1:40001","worker":3,"sequence":17})"},
      {test::block(),
       R"({"time":"2026-01-02T03:04:05.006Z","event":"block_assigned","inside":"10.0.0.1",)"
       R"("external":"203.0.113.1","first_port":1024,"last_port":1535,"worker":3,"sequence":17})"},
      {test::block(RecordType::block_released),
       R"({"time":"2026-01-02T03:04:05.006Z","event":"block_released","inside":"10.0.0.1",)"
       R"("external":"203.0.113.1","first_port":1024,"last_port":1535,"worker":3,"sequence":17})"},
      {test::refusal(RecordType::ports_exhausted, DropReason::drop_no_port),
       R"({"time":"2026-01-02T03:04:05.006Z","event":"ports_exhausted","protocol":"udp",)"
       R"("inside":"10.0.0.1:4000","external":"203.0.113.1","reason":"drop_no_port","worker":3,"sequence":17})"},
      {unknown_external,
       R"({"time":"2026-01-02T03:04:05.006Z","event":"quota_exceeded","protocol":"udp",)"
       R"("inside":"10.0.0.1:4000","external":null,"reason":"drop_quota_rate","worker":3,"sequence":17})"},
  };
  for (const auto& row : cases) {
    DYNAMIC_SECTION(name(row.record.type)) {
      const auto line = line_of(row.record);
      CHECK(line == std::string(row.line) + "\n");
    }
  }
}

TEST_CASE("what is lost and where records come from are lines too", "[control][nat_log][json_lines]") {
  JsonLines lines;
  lines.add_lost(kNow, 2, 1000);
  lines.add_attached(kNow, kNow - 3s);
  CHECK(lines.view() ==
        "{\"time\":\"2026-01-02T03:04:05.006Z\",\"event\":\"records_lost\",\"worker\":2,\"count\":1000}\n"
        "{\"time\":\"2026-01-02T03:04:05.006Z\",\"event\":\"dataplane_attached\","
        "\"started\":\"2026-01-02T03:04:02.006Z\"}\n");
}

TEST_CASE("every time is told to the millisecond, in any order", "[control][nat_log][json_lines][rfc6302]") {
  struct Case {
    std::chrono::nanoseconds since_epoch;
    const char* text;
  };
  const Case cases[] = {
      {0ns, "1970-01-01T00:00:00.000Z"},
      {999'999us, "1970-01-01T00:00:00.999Z"},
      {1'709'251'199'999ms, "2024-02-29T23:59:59.999Z"},
      {1'709'251'200'000ms, "2024-03-01T00:00:00.000Z"},
      {1'767'323'045'070ms, "2026-01-02T03:04:05.070Z"},
      {1'767'323'045'700ms, "2026-01-02T03:04:05.700Z"},
      {1'767'323'044'007ms, "2026-01-02T03:04:04.007Z"},
  };
  JsonLines lines;
  std::string expected;
  for (const auto& row : cases) {
    lines.add_lost(Time(std::chrono::duration_cast<Time::duration>(row.since_epoch)), 0, 1);
    expected +=
        std::string(R"({"time":")") + row.text + "\",\"event\":\"records_lost\",\"worker\":0,\"count\":1}\n";
  }
  CHECK(lines.view() == expected);
}

TEST_CASE("lines that were taken are forgotten, the others stay", "[control][nat_log][json_lines]") {
  JsonLines lines;
  lines.add_lost(kNow, 0, 1);
  const auto first = lines.view().size();
  lines.add_lost(kNow, 0, 2);
  lines.add_lost(kNow, 0, 3);
  const std::string rest(lines.view().substr(first));
  lines.drop(first);
  CHECK(lines.view() == rest);
  lines.drop(rest.size());
  CHECK(lines.view().empty());
}

TEST_CASE("no line tells of a remote", "[control][nat_log][json_lines][rfc6888-req12]") {
  for (const auto type :
       {RecordType::mapping_created, RecordType::mapping_freed, RecordType::block_assigned,
        RecordType::block_released, RecordType::ports_exhausted, RecordType::quota_exceeded}) {
    const auto line = line_of(test::mapping(type));
    INFO(line);
    CHECK(line.find("remote") == std::string::npos);
    CHECK(line.find("destination") == std::string::npos);
  }
}

}  // namespace

}  // namespace pinhole::control
