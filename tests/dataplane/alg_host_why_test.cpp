// SPDX-License-Identifier: BSD-3-Clause
// What one worker tells control of messages and of what was done to them.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "dataplane/alg_host.hpp"
#include "tests/dataplane/calls_lab.hpp"

using namespace pinhole;
using namespace pinhole::dataplane;
using alg::sip::Method;
using ipc::EventType;

TEST_CASE("what was done to a message is told when it is wanted", "[dataplane][alg_host][AC-25]") {
  Lab lab({.why = true});
  TestMessage message;
  message.phone = lab.phone_of(0);
  message.media = {{endpoint(message.phone.address, 4000), endpoint(message.phone.address, 4001)}};
  lab.inspect(0, message);
  const auto& events = lab[0].events;
  REQUIRE(events.size() >= 2);
  CHECK(events[0].type == EventType::sip_message);
  CHECK(events[0].sip.why == 5);  // three edits, two pinholes
  std::vector<std::string> told;
  for (std::size_t i = 1; i < events.size(); ++i) {
    REQUIRE(events[i].type == EventType::sip_why);
    CHECK(events[i].why.message == events[0].sequence);
    events[i].why.records.for_each([&](const ipc::WhyRecord& record) {
      told.push_back(std::to_string(static_cast<unsigned>(record.kind)) + " " + std::string(record.before) +
                     " " + std::string(record.after));
    });
  }
  REQUIRE(told.size() == 5);
  CHECK(told[0] == "0 a x");
  CHECK(told[2] == "0 c x");
  const auto& pinhole = lab[0].calls.card(events[0].sip.card).pinholes[1];
  CHECK(told[4] == "1 " + std::string(nat::EndpointText(pinhole.inside).view()) + " " +
                       std::string(nat::EndpointText(pinhole.external).view()));
  lab.inspect(0, message);
  CHECK(lab[0].events.back().type == EventType::sip_why);
}

TEST_CASE("messages of no call and dropped ones are told of when it is wanted, but no flood of them",
          "[dataplane][alg_host][AC-25]") {
  const bool is_wanted = GENERATE(false, true);
  Lab lab({.why = is_wanted});
  TestMessage options;
  options.phone = lab.phone_of(0);
  options.method = Method::options;
  const auto told = [&](std::size_t from) {
    std::size_t count = 0;
    for (std::size_t i = from; i < lab[0].events.size(); ++i) {
      const auto& event = lab[0].events[i];
      count += event.type == EventType::sip_message && event.sip.card == ipc::kNoCard ? 1U : 0U;
    }
    return count;
  };
  lab.inspect(0, options);
  CHECK(told(0) == (is_wanted ? 1 : 0));
  if (!is_wanted) return;
  CHECK(lab[0].events[0].sip.method == Method::options);
  CHECK(lab[0].events[0].sip.drop == nat::DropReason::none);
  CHECK(lab[0].events[0].sip.inside == options.phone);
  CHECK(lab[0].events[0].sip.why == 3);
  CHECK(lab[0].events[1].type == EventType::sip_why);
  CHECK(lab[0].events[1].why.card == ipc::kNoCard);
  // What was not read, a keep-alive, is no message.
  const auto seen = lab[0].events.size();
  const alg::Message keep_alive{
      "\r\n\r\n", alg::Direction::outbound, {nat::Protocol::udp, options.phone, {}, kProvider}};
  lab[0].host.begin(keep_alive, lab.now);
  lab[0].host.commit({});
  CHECK(lab[0].events.size() == seen);
  for (unsigned i = 0; i < 2000; ++i) lab.inspect(0, options);
  CHECK(told(0) < 600);
  lab.pass_s(1);
  const auto before = lab[0].events.size();
  for (unsigned i = 0; i < 2000; ++i) lab.inspect(0, options);
  CHECK(told(before) >= 500);
}

TEST_CASE("why a message was dropped is told with its first line", "[dataplane][alg_host][AC-25]") {
  Lab lab({.why = true});
  const auto phone = lab.phone_of(0);
  const alg::Message message{
      "OPTIONS nobody\r\nVia: x\r\n", alg::Direction::outbound, {nat::Protocol::udp, phone, {}, kProvider}};
  lab[0].host.begin(message, lab.now);
  lab[0].host.drop(nat::DropReason::drop_sip_malformed);
  REQUIRE(lab[0].events.size() == 1);
  const auto& told = lab[0].events[0].sip;
  CHECK(told.card == ipc::kNoCard);
  CHECK(told.drop == nat::DropReason::drop_sip_malformed);
  CHECK(told.start.view() == "OPTIONS nobody");
  CHECK(told.inside == phone);
  CHECK(told.remote == kProvider);
}

TEST_CASE("records of why are cut to what an event holds", "[ipc][AC-25]") {
  ipc::WhyPack pack;
  const std::string text(200, 'x');
  REQUIRE(pack.add({.rule = alg::Rule::contact, .before = text, .after = text}));
  CHECK_FALSE(pack.add({.before = text, .after = text}));
  REQUIRE(pack.add({.before = "", .after = "y"}));
  std::vector<std::size_t> sizes;
  pack.for_each(
      [&](const ipc::WhyRecord& record) { sizes.push_back(record.before.size() + record.after.size()); });
  CHECK(sizes == std::vector<std::size_t>{120, 1});
}
