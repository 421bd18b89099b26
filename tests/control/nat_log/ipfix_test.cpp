// SPDX-License-Identifier: BSD-3-Clause
// The messages below are written by hand from RFC 7011 (sections 3.1 to 3.4: headers, sets, templates), RFC
// 8158 (sections 4.3 and 4.6: events and templates) and IANA's registry of information elements.
#include "control/nat_log/ipfix.hpp"

#include <chrono>
#include <string>
#include <vector>

#include "tests/control/nat_log/records.hpp"

#include <fmt/format.h>
#include <catch2/catch.hpp>

namespace pinhole::control {

namespace {

using namespace std::chrono_literals;
using nat::DropReason;
using nat::RecordType;

const Time kHappened{1'700'000'000'123ms};  // 0x018bcfe5687b

/// Digits of bytes, blanks left out.
std::string hex(std::initializer_list<const char*> parts) {
  std::string digits;
  for (const std::string_view part : parts) {
    for (const char c : part) {
      if (c != ' ') digits += c;
    }
  }
  return digits;
}

const std::string kTemplates = hex({
    "0002 0070",  // template set
    "0100 0007",  // a mapping that began or ended
    "0143 0008",  // observationTimeMilliseconds
    "00e6 0001",  // natEvent
    "0008 0004",  // sourceIPv4Address
    "00e1 0004",  // postNATSourceIPv4Address
    "0004 0001",  // protocolIdentifier
    "0007 0002",  // sourceTransportPort
    "00e3 0002",  // postNAPTSourceTransportPort
    "0101 0006",  // a block of ports
    "0143 0008", "00e6 0001", "0008 0004", "00e1 0004",
    "0169 0002",  // portRangeStart
    "016a 0002",  // portRangeEnd
    "0102 0005",  // no ports
    "0143 0008", "00e6 0001", "0008 0004", "00e1 0004", "0004 0001",
    "0103 0005",  // a host over its quota
    "0143 0008", "00e6 0001",
    "01d2 0004",  // natQuotaExceededEvent
    "01d9 0004",  // maxEntriesPerUser
    "0008 0004",
});

struct Scene {
  explicit Scene(const IpfixOptions& with = {.domain = 7,
                                             .templates_every = 600s,
                                             .quotas = {100, 200, 300},
                                             .ports = 2048,
                                             .sequence = 0})
      : options(with) {}

  void add(const nat::Record& record) { exporter.add(record, kHappened, now); }
  void flush() { exporter.flush(now); }
  void pass(std::chrono::milliseconds time) {
    now.wall += time;
    now.steady += time;
  }
  /// What was sent since the last call, as digits.
  std::vector<std::string> take() { return std::exchange(messages, {}); }

  IpfixOptions options;
  ControlCounters counters;
  std::vector<std::string> messages;
  bool reachable = true;
  Moment now{.wall = Time(1'700'000'001s), .steady = Steady(1h)};  // 0x6553f101
  IpfixExporter exporter{options,
                         [this](std::span<const std::byte> message, Steady) {
                           std::string digits;
                           for (const auto byte : message)
                             digits += fmt::format("{:02x}", static_cast<unsigned>(byte));
                           messages.push_back(digits);
                           return reachable;
                         },
                         counters};
};

std::uint32_t number_at(const std::string& message, std::size_t byte, std::size_t bytes) {
  return static_cast<std::uint32_t>(std::stoul(message.substr(2 * byte, 2 * bytes), nullptr, 16));
}
std::uint32_t sequence_of(const std::string& message) {
  return number_at(message, 8, 4);
}
bool is_templates(const std::string& message) {
  return number_at(message, 16, 2) == 2;
}

TEST_CASE("the first message has the templates of RFC 8158", "[control][nat_log][ipfix][rfc8158]") {
  Scene scene;
  scene.flush();
  CHECK(scene.take() == std::vector{hex({"000a 0080", "6553f101", "00000000", "00000007"}) + kTemplates});
}

TEST_CASE("each type of NAT record is a data record of its template", "[control][nat_log][ipfix][rfc8158]") {
  struct Case {
    const char* name;
    nat::Record record;
    std::string message;
  };
  const Case cases[] = {
      {"mapping created", test::mapping(),
       hex({"000a 002a", "6553f101", "00000000", "00000007", "0100 001a",
            "0000018bcfe5687b 08 0a000001 cb007101 06 0fa0 9c41"})},
      {"mapping freed", test::mapping(RecordType::mapping_freed),
       hex({"000a 002a", "6553f101", "00000000", "00000007", "0100 001a",
            "0000018bcfe5687b 09 0a000001 cb007101 06 0fa0 9c41"})},
      {"block assigned", test::block(),
       hex({"000a 0029", "6553f101", "00000000", "00000007", "0101 0019",
            "0000018bcfe5687b 10 0a000001 cb007101 0400 05ff"})},
      {"block released", test::block(RecordType::block_released),
       hex({"000a 0029", "6553f101", "00000000", "00000007", "0101 0019",
            "0000018bcfe5687b 11 0a000001 cb007101 0400 05ff"})},
      {"ports exhausted", test::refusal(RecordType::ports_exhausted, DropReason::drop_no_port),
       hex({"000a 0026", "6553f101", "00000000", "00000007", "0102 0016",
            "0000018bcfe5687b 0c 0a000001 cb007101 11"})},
      {"quota exceeded", test::refusal(RecordType::quota_exceeded, DropReason::drop_quota_mappings),
       hex({"000a 0029", "6553f101", "00000000", "00000007", "0103 0019",
            "0000018bcfe5687b 0d 00000003 00000064 0a000001"})},
      {"blocks used up", test::refusal(RecordType::quota_exceeded, DropReason::drop_block_limit),
       hex({"000a 0029", "6553f101", "00000000", "00000007", "0103 0019",
            "0000018bcfe5687b 0d 00000003 00000800 0a000001"})},
  };
  for (const auto& row : cases) {
    DYNAMIC_SECTION(row.name) {
      Scene scene;
      scene.flush();
      scene.take();
      scene.add(row.record);
      scene.flush();
      CHECK(scene.take() == std::vector{row.message});
      CHECK(scene.counters.read(ControlCounter::record_exported) == 1);
    }
  }
}

TEST_CASE("protocols have IANA's numbers and their own quota", "[control][nat_log][ipfix]") {
  struct Case {
    nat::Protocol protocol;
    const char* number;
    const char* quota;
  };
  for (const auto& row :
       {Case{nat::Protocol::udp, "11", "00000064"}, Case{nat::Protocol::tcp, "06", "000000c8"},
        Case{nat::Protocol::icmp, "01", "0000012c"}}) {
    DYNAMIC_SECTION(nat::name(row.protocol)) {
      Scene scene;
      scene.flush();
      scene.take();
      auto mapping = test::mapping();
      mapping.protocol = row.protocol;
      auto quota = test::refusal(RecordType::quota_exceeded, DropReason::drop_quota_mappings);
      quota.protocol = row.protocol;
      scene.add(mapping);
      scene.add(quota);
      scene.flush();
      const auto message = scene.take().at(0);
      CHECK(message.substr(2 * (16 + 4 + 17), 2) == row.number);
      CHECK(message.substr(2 * (16 + 4 + 22 + 4 + 13), 8) == row.quota);
    }
  }
}

TEST_CASE("records of one kind share a set, those of another begin the next", "[control][nat_log][ipfix]") {
  Scene scene;
  scene.flush();
  scene.take();
  scene.add(test::mapping());
  scene.add(test::mapping(RecordType::mapping_freed));
  scene.add(test::block());
  scene.flush();
  CHECK(scene.take() == std::vector{hex({"000a 0059", "6553f101", "00000000", "00000007", "0100 0030",
                                         "0000018bcfe5687b 08 0a000001 cb007101 06 0fa0 9c41",
                                         "0000018bcfe5687b 09 0a000001 cb007101 06 0fa0 9c41", "0101 0019",
                                         "0000018bcfe5687b 10 0a000001 cb007101 0400 05ff"})});
}

TEST_CASE("a rate that was exceeded is no event of RFC 8158", "[control][nat_log][ipfix]") {
  Scene scene;
  scene.flush();
  scene.take();
  scene.add(test::refusal(RecordType::quota_exceeded, DropReason::drop_quota_rate));
  scene.flush();
  CHECK(scene.take().empty());
}

TEST_CASE("many records are as many as fit into 1,400 bytes a message", "[control][nat_log][ipfix]") {
  Scene scene;
  for (int i = 0; i < 200; ++i) scene.add(test::mapping());
  scene.flush();
  const auto messages = scene.take();
  REQUIRE(messages.size() == 5);
  CHECK(is_templates(messages[0]));
  const std::uint32_t sequences[] = {0, 62, 124, 186};
  const std::size_t sizes[] = {16 + 4 + 62 * 22, 16 + 4 + 62 * 22, 16 + 4 + 62 * 22, 16 + 4 + 14 * 22};
  for (std::size_t i = 0; i < 4; ++i) {
    const auto& message = messages[i + 1];
    CHECK(message.size() / 2 == sizes[i]);
    CHECK(message.size() / 2 <= IpfixExporter::kMaxMessage_bytes);
    CHECK(number_at(message, 2, 2) == sizes[i]);
    CHECK(number_at(message, 18, 2) == sizes[i] - 16);
    CHECK(sequence_of(message) == sequences[i]);
  }
  CHECK(scene.counters.read(ControlCounter::record_exported) == 200);
}

TEST_CASE("sets of changing kinds do not overflow a message either", "[control][nat_log][ipfix]") {
  Scene scene;
  for (int i = 0; i < 1000; ++i) {
    scene.add(i % 2 == 0 ? test::mapping() : test::block());
  }
  scene.flush();
  std::uint32_t records = 0;
  for (const auto& message : scene.take()) {
    REQUIRE(message.size() / 2 <= IpfixExporter::kMaxMessage_bytes);
    if (is_templates(message)) continue;
    CHECK(sequence_of(message) == records);
    for (std::size_t at = 16; at < message.size() / 2; at += number_at(message, at + 2, 2)) {
      const auto kind = number_at(message, at, 2);
      REQUIRE((kind == 256 || kind == 257));
      REQUIRE(number_at(message, at + 2, 2) == 4 + (kind == 256 ? 22 : 21));
      ++records;
    }
  }
  CHECK(records == 1000);
}

TEST_CASE("sequence numbers count data records, not templates, and wrap",
          "[control][nat_log][ipfix][rfc7011]") {
  Scene scene({.domain = 7, .templates_every = 1s, .quotas = {}, .ports = 0, .sequence = 0xffff'fffe});
  for (int i = 0; i < 3; ++i) scene.add(test::mapping());
  scene.flush();
  scene.pass(1s);
  scene.add(test::mapping());
  scene.flush();
  const auto messages = scene.take();
  REQUIRE(messages.size() == 4);
  CHECK(is_templates(messages[0]));
  CHECK(sequence_of(messages[0]) == 0xffff'fffe);
  CHECK(sequence_of(messages[1]) == 0xffff'fffe);
  CHECK(is_templates(messages[2]));
  CHECK(sequence_of(messages[2]) == 1);
  CHECK(sequence_of(messages[3]) == 1);
}

TEST_CASE("templates are sent again every template_s, with or without data",
          "[control][nat_log][ipfix][rfc7011]") {
  Scene scene;
  scene.flush();
  CHECK(scene.take().size() == 1);
  scene.pass(599'999ms);
  scene.flush();
  CHECK(scene.take().empty());
  scene.pass(1ms);
  scene.flush();
  const auto again = scene.take();
  REQUIRE(again.size() == 1);
  CHECK(again[0].substr(32) == kTemplates);
  scene.pass(600s);
  scene.add(test::mapping());
  scene.flush();
  const auto both = scene.take();
  REQUIRE(both.size() == 2);
  CHECK(is_templates(both[0]));
  CHECK_FALSE(is_templates(both[1]));
}

TEST_CASE("the time of export is that of sending", "[control][nat_log][ipfix]") {
  Scene scene;
  scene.flush();
  scene.take();
  scene.add(test::mapping());
  scene.pass(5s);
  scene.flush();
  CHECK(number_at(scene.take().at(0), 4, 4) == 1'700'000'006);
}

TEST_CASE("what could not be sent is counted, leaves a hole, and brings the templates again",
          "[control][nat_log][ipfix]") {
  Scene scene;
  scene.flush();
  scene.take();
  scene.reachable = false;
  for (int i = 0; i < 3; ++i) scene.add(test::mapping());
  scene.flush();
  scene.take();
  CHECK(scene.counters.read(ControlCounter::record_unsent) == 3);
  CHECK(scene.counters.read(ControlCounter::record_exported) == 0);

  scene.reachable = true;
  scene.pass(999ms);
  scene.add(test::mapping());
  scene.flush();
  auto messages = scene.take();
  REQUIRE(messages.size() == 1);
  CHECK_FALSE(is_templates(messages[0]));
  CHECK(sequence_of(messages[0]) == 3);

  scene.pass(1ms);
  scene.flush();
  messages = scene.take();
  REQUIRE(messages.size() == 1);
  CHECK(is_templates(messages[0]));
  scene.pass(1s);
  scene.flush();
  CHECK(scene.take().empty());
}

TEST_CASE("templates are not sent more often than each second, whatever fails", "[control][nat_log][ipfix]") {
  Scene scene;
  scene.reachable = false;
  std::size_t templates = 0;
  for (int i = 0; i < 100; ++i) {
    scene.add(test::mapping());
    scene.flush();
    scene.pass(100ms);
    for (const auto& message : scene.take()) templates += is_templates(message) ? 1 : 0;
  }
  CHECK(templates == 10);
}

}  // namespace

}  // namespace pinhole::control
