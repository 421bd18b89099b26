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

TEST_CASE("without a data plane it is said why nobody knows", "[control][subscriber]") {
  auto model = office(nat::PortMode::blocks);
  model.now.dataplane = DataplaneState::lost;
  const auto error = refusal(model, "10.0.0.5");
  CHECK(error.code == ErrorCode::unavailable);
  CHECK(error.message ==
        "nat.ports.mode is \"blocks\": only the data plane knows whose ports are whose now, and it is not "
        "there; records tell of the past, if nat.log keeps them");
}

TEST_CASE("a subnet is nobody", "[control][subscriber]") {
  CHECK(refusal(sample_model(), "10.0.0.0/24").code == ErrorCode::range);
}
