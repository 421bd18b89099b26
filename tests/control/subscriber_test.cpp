// SPDX-License-Identifier: BSD-3-Clause
// `subscriber`: whose ports are whose, in each mode, with and without a data plane.
#include "control/commands/command.hpp"
#include "tests/control/fake_model.hpp"

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace pinhole;
using namespace pinhole::control;

namespace {

Result<Json> ask(const FakeModel& model, const std::string& endpoint) {
  return run_command(model, "subscriber", {{"endpoint", endpoint}});
}

/// The rows of an answer, a line each.
std::vector<std::string> rows(const FakeModel& model, const std::string& endpoint) {
  const auto answer = ask(model, endpoint);
  INFO((answer ? "" : answer.error().message));
  REQUIRE(answer.has_value());
  std::vector<std::string> lines;
  for (const auto& row : answer->at("subscribers")) {
    lines.push_back(fmt::format("{} {}:{}-{} {} {} {}", row.at("inside").get<std::string>(),
                                row.at("external").get<std::string>(), row.at("first_port").dump(),
                                row.at("last_port").dump(), row.at("protocol").dump(),
                                row.at("known_by").get<std::string>(), row.at("number").dump()));
  }
  CHECK(answer->at("total") == lines.size());
  return lines;
}

using Lines = std::vector<std::string>;

Error refusal(const FakeModel& model, const std::string& endpoint) {
  const auto answer = ask(model, endpoint);
  REQUIRE(answer.has_error());
  return answer.error();
}

MappingRow mapping(nat::Protocol protocol, nat::Endpoint inside, nat::Endpoint external) {
  return {.protocol = protocol,
          .inside = inside,
          .external = external,
          .remote = {},
          .connections = {},
          .expires_s = {}};
}

/// A few hosts with mappings, a forward, and a static mapping.
FakeModel office(nat::PortMode mode) {
  FakeModel model;
  model.now.dataplane = DataplaneState::up;
  auto& nat = model.config_value.nat;
  nat.pool = {nat::Prefix::parse("198.51.100.2/31").value()};
  nat.ports.mode = mode;
  nat.forwards = {{nat::Protocol::udp, endpoint("198.51.100.2", 5060), endpoint("10.0.0.9", 5060)},
                  {nat::Protocol::udp, endpoint("198.51.100.2", 2000), endpoint("10.0.0.8", 2000)}};
  nat.static_mappings = {{.external = {{nat::Ipv4Address::parse("198.51.100.8").value(), 31}},
                          .inside = {{nat::Ipv4Address::parse("10.0.0.20").value(), 31}}},
                         {.protocol = config::Protocols::tcp,
                          .external = {{nat::Ipv4Address::parse("198.51.100.3").value(), 32}, 8000, 8099},
                          .inside = {{nat::Ipv4Address::parse("10.0.0.30").value(), 32}, 9000, 9099}}};
  const auto udp = nat::Protocol::udp;
  model.mapping_rows = {
      mapping(udp, endpoint("10.0.0.5", 4000), endpoint("198.51.100.2", 5100)),
      mapping(udp, endpoint("10.0.0.5", 4002), endpoint("198.51.100.2", 4608)),
      mapping(nat::Protocol::tcp, endpoint("10.0.0.5", 4000), endpoint("198.51.100.2", 9000)),
      mapping(udp, endpoint("10.0.0.6", 4000), endpoint("198.51.100.3", 5100)),
      // By the rule of the second static mapping, and one that is not translated.
      mapping(nat::Protocol::tcp, endpoint("10.0.0.30", 9001), endpoint("198.51.100.3", 8001)),
      mapping(udp, endpoint("10.0.0.7", 4000), endpoint("10.0.0.7", 4000))};
  return model;
}

}  // namespace

TEST_CASE("by the rule each subscriber's ports are known, without a data plane too",
          "[control][subscriber][rfc7422]") {
  auto model = sample_model();
  for (const auto state : {DataplaneState::up, DataplaneState::lost, DataplaneState::starting}) {
    model.now.dataplane = state;
    // 126 blocks of 512 ports: number 5 is on the first address, number 127 the second of the second one.
    CHECK(rows(model, "10.0.0.5") == Lines{"10.0.0.5 198.51.100.2:3584-4095 null rule 5"});
    CHECK(rows(model, "198.51.100.2:3584") == Lines{"10.0.0.5 198.51.100.2:3584-4095 null rule 5"});
    CHECK(rows(model, "198.51.100.2:4095") == Lines{"10.0.0.5 198.51.100.2:3584-4095 null rule 5"});
    CHECK(rows(model, "10.0.0.127") == Lines{"10.0.0.127 198.51.100.3:1536-2047 null rule 127"});
  }
  CHECK(refusal(model, "10.0.0.128").code == ErrorCode::not_found);
  CHECK(refusal(model, "10.0.0.128").message == "10.0.0.128 is not in nat.ports.subscribers");
  for (const char* nobodys : {"198.51.100.2:1023", "198.51.100.4:5000", "198.51.100.3:2048"}) {
    CHECK(refusal(model, nobodys).code == ErrorCode::not_found);
    CHECK(refusal(model, nobodys).message.starts_with(std::string(nobodys) + " is no subscriber's"));
  }
}

TEST_CASE("in blocks the mappings that live say whose a block is", "[control][subscriber]") {
  const auto model = office(nat::PortMode::blocks);
  CHECK(rows(model, "10.0.0.5") == Lines{"10.0.0.5 198.51.100.2:4608-5119 null mapping null",
                                         "10.0.0.5 198.51.100.2:8704-9215 null mapping null"});
  // Any port of the block, whether a mapping has it or not.
  CHECK(rows(model, "198.51.100.2:4700") == Lines{"10.0.0.5 198.51.100.2:4608-5119 null mapping null"});
  CHECK(rows(model, "198.51.100.3:5119") == Lines{"10.0.0.6 198.51.100.3:4608-5119 null mapping null"});
  CHECK(refusal(model, "198.51.100.2:5120").message ==
        "nobody has 198.51.100.2:5120 now; records tell of the past, if nat.log keeps them");
  CHECK(refusal(model, "198.51.100.3:7700").code == ErrorCode::not_found);  // the static mapping has no block
}

TEST_CASE("one by one the mappings that live say whose a port is", "[control][subscriber]") {
  const auto model = office(nat::PortMode::random);
  CHECK(rows(model, "10.0.0.5") == Lines{R"(10.0.0.5 198.51.100.2:5100-5100 "udp" mapping null)",
                                         R"(10.0.0.5 198.51.100.2:4608-4608 "udp" mapping null)",
                                         R"(10.0.0.5 198.51.100.2:9000-9000 "tcp" mapping null)"});
  CHECK(rows(model, "198.51.100.2:9000") == Lines{R"(10.0.0.5 198.51.100.2:9000-9000 "tcp" mapping null)"});
  CHECK(refusal(model, "198.51.100.2:9001").code == ErrorCode::not_found);
  CHECK(refusal(model, "10.0.0.7").message ==
        "10.0.0.7 has no external ports now; records tell of the past, if nat.log keeps them");
}

TEST_CASE("of a busy host as many rows are shown as one may ask for, and all are counted",
          "[control][subscriber]") {
  auto model = office(nat::PortMode::random);
  model.mapping_rows.clear();
  constexpr std::uint16_t kMappings = 60000;
  for (std::uint16_t i = 0; i < kMappings; ++i) {
    const auto port = static_cast<std::uint16_t>(5061 + i);
    model.mapping_rows.push_back(
        mapping(nat::Protocol::udp, endpoint("10.0.0.5", port), endpoint("198.51.100.2", port)));
  }
  const auto ask_for = [&](nat::PortMode mode) {
    model.config_value.nat.ports.mode = mode;
    const auto answer = ask(model, "10.0.0.5");
    REQUIRE(answer.has_value());
    return *answer;
  };
  const auto each = ask_for(nat::PortMode::random);
  CHECK(each.at("total") == kMappings);
  CHECK(each.at("subscribers").size() == kMaxRows);
  const auto blocks = ask_for(nat::PortMode::blocks);
  CHECK(blocks.at("total") == 119);
  CHECK(blocks.at("subscribers").size() == 119);
}

TEST_CASE("static mappings are known from the configuration in every mode", "[control][subscriber]") {
  for (const auto mode : {nat::PortMode::random, nat::PortMode::blocks, nat::PortMode::deterministic}) {
    for (const auto state : {DataplaneState::up, DataplaneState::lost}) {
      auto model = office(mode);
      model.config_value.nat.ports.subscribers = {nat::Prefix::parse("10.1.0.0/32").value()};
      model.now.dataplane = state;
      CHECK(rows(model, "198.51.100.2:2000") ==
            Lines{R"(10.0.0.8 198.51.100.2:2000-2000 "udp" static null)"});
      CHECK(rows(model, "10.0.0.8") == Lines{R"(10.0.0.8 198.51.100.2:2000-2000 "udp" static null)"});
      CHECK(rows(model, "10.0.0.21") == Lines{"10.0.0.21 198.51.100.9:0-65535 null static null"});
      CHECK(rows(model, "198.51.100.8:7") == Lines{"10.0.0.20 198.51.100.8:0-65535 null static null"});
      CHECK(rows(model, "198.51.100.3:8001") ==
            Lines{R"(10.0.0.30 198.51.100.3:8000-8099 "tcp" static null)"});
    }
  }
}

TEST_CASE("a forward has its port, and the host of the block that it lies in the others",
          "[control][subscriber]") {
  const auto model = office(nat::PortMode::blocks);
  CHECK(rows(model, "198.51.100.2:5060") == Lines{R"(10.0.0.9 198.51.100.2:5060-5060 "udp" static null)",
                                                  "10.0.0.5 198.51.100.2:4608-5119 null mapping null"});
}

TEST_CASE("by the rule, what is mapped statically to the host of a block is part of it",
          "[control][subscriber][rfc7422]") {
  auto model = sample_model();
  auto& nat = model.config_value.nat;
  // 10.0.0.5 has 198.51.100.2:3584-4095.
  nat.forwards = {{nat::Protocol::udp, endpoint("198.51.100.2", 3600), endpoint("10.0.0.5", 5060)},
                  {nat::Protocol::udp, endpoint("198.51.100.2", 80), endpoint("10.0.0.5", 80)}};
  const std::string block = "10.0.0.5 198.51.100.2:3584-4095 null rule 5";
  CHECK(rows(model, "198.51.100.2:3600") == Lines{block});
  CHECK(rows(model, "198.51.100.2:80") == Lines{R"(10.0.0.5 198.51.100.2:80-80 "udp" static null)"});
  CHECK(rows(model, "10.0.0.5") == Lines{R"(10.0.0.5 198.51.100.2:80-80 "udp" static null)", block});
}

TEST_CASE("when the data plane runs with another plan, nothing is answered by control's own",
          "[control][subscriber][rfc7422]") {
  for (const auto mode : {nat::PortMode::random, nat::PortMode::blocks, nat::PortMode::deterministic}) {
    auto model = office(mode);
    model.config_value.nat.ports.subscribers = {nat::Prefix::parse("10.0.0.0/25").value()};
    model.now.config_path = "/etc/pinhole.json";
    model.now.plan_differs = true;
    for (const char* endpoint : {"10.0.0.5", "198.51.100.2:2000", "10.0.0.8"}) {
      CHECK(refusal(model, endpoint).code == ErrorCode::unavailable);
      CHECK(refusal(model, endpoint).message ==
            "the data plane runs with another nat.pool, nat.ports, nat.forwards or nat.static_mappings than "
            "/etc/pinhole.json had when control read it; start both with the same file");
    }
    // When it has ended, the file says what the next one will do.
    model.now.dataplane = DataplaneState::lost;
    CHECK(ask(model, "10.0.0.8").has_value());
  }
}

TEST_CASE("without a data plane it is said why nobody knows", "[control][subscriber]") {
  auto model = office(nat::PortMode::blocks);
  model.now.dataplane = DataplaneState::lost;
  const auto error = refusal(model, "10.0.0.5");
  CHECK(error.code == ErrorCode::unavailable);
  CHECK(error.message ==
        "nat.ports.mode is \"blocks\": only the data plane knows whose ports are whose now, and it is not "
        "there; records tell of the past, if nat.log keeps them");
}

TEST_CASE("who asks for an external address without a port is told to give one", "[control][subscriber]") {
  for (const auto mode : {nat::PortMode::random, nat::PortMode::blocks, nat::PortMode::deterministic}) {
    auto model = office(mode);
    model.config_value.nat.ports.subscribers = {nat::Prefix::parse("10.1.0.0/32").value()};
    for (const char* external : {"198.51.100.2", "198.51.100.9"}) {
      const auto error = refusal(model, external);
      CHECK(error.code == ErrorCode::not_found);
      CHECK(error.message == fmt::format("{0} is an external address, which hosts share; give address:port, "
                                         "such as {0}:40000",
                                         external));
    }
  }
}

TEST_CASE("a subnet is nobody", "[control][subscriber]") {
  CHECK(refusal(sample_model(), "10.0.0.0/24").code == ErrorCode::range);
}
