// SPDX-License-Identifier: BSD-3-Clause
#include "control/message_log.hpp"

#include <catch2/catch.hpp>

#include <string>

#include "tests/control/fake_model.hpp"

namespace pinhole::control {

namespace {

constexpr Page kAll{.offset = 0, .limit = 5000};

ipc::Event message(std::uint8_t worker, std::uint32_t sequence, std::string_view start) {
  ipc::Event event;
  event.type = ipc::EventType::sip_message;
  event.worker = worker;
  event.sequence = sequence;
  event.sip.card = ipc::kNoCard;
  event.sip.inside = endpoint("10.0.0.5", 5060);
  event.sip.remote = endpoint("203.0.113.9", 5060);
  event.sip.start.assign(start);
  return event;
}

ipc::Event why(std::uint8_t worker, std::uint32_t of, std::string_view before,
               std::uint32_t card = ipc::kNoCard) {
  ipc::Event event;
  event.type = ipc::EventType::sip_why;
  event.worker = worker;
  event.why = {.card = card, .card_generation = 0, .message = of, .records = {}};
  REQUIRE(event.why.records.add({.rule = alg::Rule::via, .before = before, .after = "x"}));
  return event;
}

}  // namespace

TEST_CASE("messages of no call are kept with what was done to them, whatever other workers tell meanwhile",
          "[control][message_log][AC-25]") {
  MessageLog log;
  auto told = message(0, 7, "REGISTER");
  told.sip.why = 2;
  log.on_event(told, at_ms(0));
  log.on_event(message(1, 7, "OPTIONS"), at_ms(1));
  log.on_event(why(0, 7, "a"), at_ms(1));
  log.on_event(why(0, 6, "of a message that was lost"), at_ms(1));
  log.on_event(why(0, 7, "of a call", 3), at_ms(1));
  log.on_event(why(2, 7, "of a worker that has told nothing"), at_ms(1));
  auto of_call = message(0, 8, "INVITE");
  of_call.sip.card = 3;
  log.on_event(of_call, at_ms(2));
  const auto rows = log.rows({}, kAll);
  REQUIRE(rows.total == 2);
  CHECK(rows.rows[0].line.start == "OPTIONS");
  CHECK(rows.rows[0].worker == 1);
  CHECK(rows.rows[0].line.why.empty());
  CHECK(rows.rows[1].line.start == "REGISTER");
  CHECK(rows.rows[1].line.time == at_ms(0));
  CHECK(rows.rows[1].line.why_told == 2);
  REQUIRE(rows.rows[1].line.why.size() == 1);
  CHECK(rows.rows[1].line.why[0].before == "a");
}

TEST_CASE("messages are found by their ends, and by what became of them", "[control][message_log]") {
  MessageLog log;
  auto dropped = message(0, 1, "OPTIONS");
  dropped.sip.drop = nat::DropReason::drop_sip_malformed;
  log.on_event(dropped, at_ms(0));
  auto other = message(0, 2, "REGISTER");
  other.sip.inside = endpoint("10.0.0.6", 5060);
  other.sip.remote = endpoint("203.0.113.10", 5060);
  log.on_event(other, at_ms(1));
  const auto only = [](const char* prefix) {
    return EndpointFilter{.prefix = nat::Prefix::parse(prefix).value(), .port = {}};
  };
  CHECK(log.rows({.dropped_only = true, .inside = {}, .remote = {}}, kAll).rows.at(0).line.start ==
        "OPTIONS");
  CHECK(log.rows({.inside = only("10.0.0.6/32"), .remote = {}}, kAll).rows.at(0).line.start == "REGISTER");
  CHECK(log.rows({.inside = {}, .remote = only("203.0.113.9/32")}, kAll).rows.at(0).line.start == "OPTIONS");
  CHECK(log.rows({.inside = only("10.0.0.7/32"), .remote = {}}, kAll).total == 0);
}

TEST_CASE("only so many messages are kept, and only so much of each", "[control][message_log]") {
  MessageLog log;
  for (std::uint32_t sequence = 0; sequence < MessageLog::kKept + 10; ++sequence)
    log.on_event(message(0, sequence, std::to_string(sequence)), at_ms(0));
  constexpr std::uint32_t kLast = MessageLog::kKept + 9;
  for (std::size_t i = 0; i < MessageLog::kWhyLines + 10; ++i) log.on_event(why(0, kLast, "a"), at_ms(0));
  const auto page = log.rows({}, {.offset = 2, .limit = 3});
  CHECK(page.total == MessageLog::kKept);
  REQUIRE(page.rows.size() == 3);
  CHECK(page.rows[0].line.start == std::to_string(kLast - 2));
  CHECK(log.rows({}, kAll).rows.at(0).line.why.size() == MessageLog::kWhyLines);
  CHECK(log.rows({}, kAll).rows.back().line.start == "10");
}

}  // namespace pinhole::control
