// SPDX-License-Identifier: BSD-3-Clause
// What becomes of calls, and when.
#include "control/call_deadlines.hpp"
#include "tests/control/call_scene.hpp"

namespace pinhole::control {

namespace {

TEST_CASE("a call whose BYE is not answered is closed five seconds and the linger later",
          "[control][call_store]") {
  Scene scene;
  scene.answer_call(0, 1);
  scene.message(0, "BYE", CallState::ending);
  scene.wait(CallStore::kByeAnswer + kLinger - 100ms);
  CHECK(scene.link.take(CommandType::close_call).empty());
  scene.wait(100ms);
  CHECK(scene.link.take(CommandType::close_call).size() == 1);
}

TEST_CASE("a BYE that is sent again does not put off the end", "[control][call_store]") {
  Scene scene;
  scene.answer_call(0, 1);
  scene.message(0, "BYE", CallState::ending);
  scene.wait(CallStore::kByeAnswer);
  scene.message(0, "BYE", CallState::ending);
  scene.wait(kLinger);
  CHECK(scene.link.take(CommandType::close_call).size() == 1);
}

TEST_CASE("a held call keeps its ports: it is kept every minute for three", "[control][call_store][AC-27]") {
  Scene scene;
  scene.link.last_media = scene.link.now_tick;
  scene.answer_call(0, 1);
  scene.card(0).pinhole_count = 2;
  scene.wait(100ms);
  const auto first = scene.link.take(CommandType::keep_call);
  REQUIRE(first.size() == 1);
  CHECK(first[0].command.seconds == 180);
  scene.message(0, "INVITE", CallState::confirmed);  // the hold
  scene.wait(30min);
  CHECK(scene.link.take(CommandType::keep_call).size() == 30);
  CHECK(scene.link.take(CommandType::close_call).empty());
  CHECK(scene.rows(true).at(0).pinholes == 2);
}

TEST_CASE("a call without media or signalling is not kept for ever", "[control][call_store]") {
  struct Case {
    const char* name;
    std::uint8_t pinholes;
    EndReason reason;
  };
  const Case cases[] = {{"with pinholes", 2, EndReason::media_silence}, {"without", 0, EndReason::lost}};
  for (const auto& row : cases) {
    DYNAMIC_SECTION(row.name) {
      Scene scene;
      scene.link.last_media = scene.link.now_tick;
      scene.answer_call(0, 1);
      scene.card(0).pinhole_count = row.pinholes;
      scene.wait(kSilence - 1min);
      CHECK(scene.link.take(CommandType::close_call).empty());
      scene.wait(2min);
      REQUIRE_FALSE(scene.link.take(CommandType::close_call).empty());
      scene.close(0, EndReason::none);
      CHECK(scene.last_end() == row.reason);
    }
  }
}

TEST_CASE("a call that nobody answers is ended", "[control][call_store]") {
  Scene scene;
  scene.open(0, 1);
  scene.message(0, "INVITE", CallState::inviting);
  scene.wait(100s);
  scene.message(0, "180 Ringing", CallState::ringing);
  scene.wait(180s - 100ms);
  CHECK(scene.link.take(CommandType::close_call).empty());
  scene.wait(100ms);
  CHECK(scene.link.take(CommandType::close_call).size() == 1);
  scene.close(0, EndReason::none);
  CHECK(scene.last_end() == EndReason::no_answer);
  CHECK(scene.told.at(0).ended_by == EndedBy::pinhole);
}

TEST_CASE("the command that closes a call says why, for a control that is started again meanwhile",
          "[control][call_store]") {
  Scene scene({.max_duration_s = 10});
  scene.answer_call(0, 1);
  scene.wait(10s);
  const auto closed = scene.link.take(CommandType::close_call);
  REQUIRE(closed.size() == 1);
  CHECK(closed[0].command.reason == EndReason::max_duration);
  scene.close(0, EndReason::max_duration);
  CHECK(scene.last_end() == EndReason::max_duration);
}

TEST_CASE("a call ends at its limit, counted from the answer", "[control][call_store]") {
  Scene scene({.max_duration_s = 10});
  scene.open(0, 1);
  scene.message(0, "INVITE", CallState::inviting);
  scene.wait(8s);
  scene.message(0, "200 OK", CallState::answered);
  scene.message(0, "ACK", CallState::confirmed);
  scene.wait(5s);
  scene.message(0, "INFO", CallState::confirmed);  // what is said in it changes nothing
  scene.wait(5s - 200ms);
  CHECK(scene.link.take(CommandType::close_call).empty());
  scene.wait(200ms);
  CHECK_FALSE(scene.link.take(CommandType::close_call).empty());
}

TEST_CASE("an answer without ACK ends its call, and one with ACK does not",
          "[control][call_store][rfc3261]") {
  Scene scene;
  scene.open(0, 1);
  scene.message(0, "INVITE", CallState::inviting);
  scene.message(0, "200 OK", CallState::answered);
  SECTION("without") {
    scene.wait(16s);
    scene.message(0, "200 OK", CallState::answered);  // sent again
    scene.wait(16s - 200ms);
    CHECK(scene.link.take(CommandType::close_call).empty());
    scene.wait(200ms);
    CHECK_FALSE(scene.link.take(CommandType::close_call).empty());
    scene.close(0, EndReason::none);
    CHECK(scene.last_end() == EndReason::no_ack);
  }
  SECTION("with") {
    scene.wait(31s);
    scene.message(0, "ACK", CallState::confirmed);
    scene.wait(5min);
    CHECK(scene.link.take(CommandType::close_call).empty());
  }
}

/// A call whose media has been agreed on.
struct Talk {
  explicit Talk(config::Calls calls) : scene(std::move(calls)) {
    scene.link.last_media = scene.link.now_tick;
    scene.answer_call(0, 1);
    scene.card(0).pinhole_count = 2;
    scene.card(0).media.agreed = true;
  }
  Scene scene;
};

TEST_CASE("silent media ends its call, or is shut, as the policy says", "[control][call_store]") {
  SECTION("ends it") {
    Talk talk({.media_inactivity_s = 7});
    talk.scene.wait(5s);
    talk.scene.link.last_media = talk.scene.link.now_tick;
    talk.scene.wait(7s - 200ms);
    CHECK(talk.scene.link.take(CommandType::close_call).empty());
    talk.scene.wait(200ms);
    CHECK_FALSE(talk.scene.link.take(CommandType::close_call).empty());
    CHECK(talk.scene.link.take(CommandType::shut_media).empty());
    talk.scene.close(0, EndReason::none);
    CHECK(talk.scene.last_end() == EndReason::media_silence);
  }
  SECTION("shuts it once, and again only after it was agreed on anew") {
    Talk talk({.media_inactivity_s = 7, .media_inactivity = config::Inactivity::shut});
    talk.scene.wait(7s);
    REQUIRE(talk.scene.link.take(CommandType::shut_media).size() == 1);
    talk.scene.card(0).media_shut = true;
    talk.scene.wait(30min);
    CHECK(talk.scene.link.take(CommandType::shut_media).empty());
    CHECK(talk.scene.link.take(CommandType::close_call).empty());
    CHECK(talk.scene.link.take(CommandType::keep_call).size() >= 30);
    talk.scene.card(0).media_shut = false;
    talk.scene.message(0, "200 OK", CallState::confirmed);
    talk.scene.wait(7s - 200ms);
    CHECK(talk.scene.link.take(CommandType::shut_media).empty());
    talk.scene.wait(300ms);
    CHECK(talk.scene.link.take(CommandType::shut_media).size() == 1);
    CHECK(talk.scene.count(ControlCounter::call_media_shut) == 2);
  }
  SECTION("a command that the ring had no room for is given again") {
    Talk talk({.media_inactivity_s = 7, .media_inactivity = config::Inactivity::shut});
    talk.scene.link.ring_full = true;
    talk.scene.wait(8s);
    talk.scene.link.ring_full = false;
    talk.scene.wait(1s);
    CHECK_FALSE(talk.scene.link.take(CommandType::shut_media).empty());
  }
  SECTION("does nothing when it may be silent") {
    Talk talk({.media_inactivity_s = 0});
    talk.scene.wait(1h);
    CHECK(talk.scene.link.take(CommandType::close_call).empty());
  }
}

TEST_CASE("a promise lasts as long as media may be silent", "[control][call_store]") {
  struct Case {
    std::uint32_t media_inactivity_s;
    std::uint32_t promised_s;
  };
  const auto row = GENERATE(Case{120, 180}, Case{600, 600}, Case{0, 7440});
  Scene scene({.media_inactivity_s = row.media_inactivity_s});
  scene.answer_call(0, 1);
  scene.wait(100ms);
  const auto kept = scene.link.take(CommandType::keep_call);
  REQUIRE(kept.size() == 1);
  CHECK(kept[0].command.seconds == row.promised_s);
}

TEST_CASE("messages within a call do not make control promise it anew", "[control][call_store]") {
  Scene scene;
  scene.answer_call(0, 1);
  for (int i = 0; i < 50; ++i) {
    scene.message(0, "INFO", CallState::confirmed);
    scene.wait(1s);
  }
  CHECK(scene.link.take(CommandType::keep_call).size() == 1);
}

TEST_CASE("a record says who ended the call", "[control][call_store]") {
  struct Message {
    const char* start;
    CallState state;
    EndReason reason;
    alg::Direction direction;
  };
  struct Case {
    const char* name;
    std::vector<Message> messages;
    EndedBy expected;
  };
  constexpr auto kOut = alg::Direction::outbound;
  constexpr auto kIn = alg::Direction::inbound;
  constexpr auto kNone = EndReason::none;
  const Case cases[] = {
      {"BYE from inside",
       {{"BYE", CallState::ending, kNone, kOut}, {"200 OK", CallState::ended, EndReason::bye, kIn}},
       EndedBy::inside},
      {"BYE from outside",
       {{"BYE", CallState::ending, kNone, kIn}, {"200 OK", CallState::ended, EndReason::bye, kOut}},
       EndedBy::outside},
      {"BYE from both sides at once: the first",
       {{"BYE", CallState::ending, kNone, kIn}, {"BYE", CallState::ending, kNone, kOut}},
       EndedBy::outside},
      {"taken back",
       {{"CANCEL", CallState::ringing, kNone, kOut},
        {"487 Terminated", CallState::ended, EndReason::cancelled, kIn}},
       EndedBy::inside},
      {"taken back, and the CANCEL was not seen",
       {{"487 Terminated", CallState::ended, EndReason::cancelled, kIn}},
       EndedBy::inside},
      {"refused outside", {{"486 Busy", CallState::ended, EndReason::failed, kIn}}, EndedBy::outside},
      {"taken back too late",
       {{"CANCEL", CallState::ringing, kNone, kOut},
        {"200 OK", CallState::answered, kNone, kIn},
        {"BYE", CallState::ending, kNone, kIn}},
       EndedBy::outside},
      {"tried again and refused inside",
       {{"407 Auth", CallState::ended, EndReason::failed, kIn},
        {"INVITE", CallState::inviting, kNone, kOut},
        {"603 Decline", CallState::ended, EndReason::failed, kOut}},
       EndedBy::inside},
      {"nobody knows", {}, EndedBy::unknown},
  };
  for (const auto& row : cases) {
    DYNAMIC_SECTION(row.name) {
      Scene scene;
      scene.open(0, 1);
      scene.message(0, "INVITE", CallState::inviting);
      for (const auto& message : row.messages) {
        scene.direction = message.direction;
        scene.message(0, message.start, message.state, message.reason);
      }
      scene.close(0, EndReason::none);
      REQUIRE(scene.told.size() == 1);
      CHECK(scene.told[0].ended_by == row.expected);
    }
  }
}

TEST_CASE("what went through the pinholes of a call is in its record", "[control][call_store]") {
  Scene scene;
  scene.open(0, 1);
  auto& card = scene.card(0);
  const nat::Endpoint remote{nat::Ipv4Address::from_host(0xc6336405), nat::Be16{7000}};
  const auto pinhole = [&](nat::MappingIndex mapping, std::uint16_t port) {
    ipc::PinholeRef ref;
    ref.mapping = mapping;
    ref.inside = {nat::Ipv4Address::from_host(0x0a000005), nat::Be16{port}};
    ref.external = {nat::Ipv4Address::from_host(0xcb007101), nat::Be16{port}};
    return ref;
  };
  card.pinholes[0] = pinhole(7, 4000);
  card.pinhole_count = 1;
  scene.link.pinholes[7] = {};
  scene.message(0, "INVITE", CallState::inviting);
  scene.message(0, "200 OK", CallState::answered);
  scene.message(0, "ACK", CallState::confirmed);
  const auto used = [](std::uint64_t out, std::uint64_t in, std::uint64_t bytes) {
    return MediaUsage{.packets_out = out, .packets_in = in, .bytes = bytes, .measured = {}};
  };
  scene.link.pinholes[7] = {.remote = remote, .usage = used(3, 2, 500)};

  SECTION("also of one that another stream took the place of") {
    card.pinholes[1] = pinhole(8, 5000);
    card.pinholes[1].heir = 5;  // it was another call's, which had used it
    card.pinhole_count = 2;
    scene.link.pinholes[8].usage = used(100, 200, 300);
    scene.message(0, "INVITE", CallState::confirmed);
    scene.link.pinholes.erase(7);
    scene.link.pinholes[8].usage = used(101, 202, 303);
  }
  SECTION("of one that was closed and opened again as well") {
    scene.message(0, "INFO", CallState::confirmed);
    scene.link.pinholes[7] = {.remote = remote, .usage = used(1, 2, 3)};
  }
  scene.message(0, "BYE", CallState::ending);
  scene.message(0, "200 OK", CallState::ended, EndReason::bye);
  scene.wait(kLinger);
  scene.link.pinholes.clear();
  scene.close(0, EndReason::none);

  REQUIRE(scene.told.size() == 1);
  const auto& media = scene.told[0].media;
  REQUIRE(media.size() == 2);
  CHECK(media[0].remote == remote);
  CHECK(media[0].usage.packets_out == 3);
  CHECK(media[0].usage.packets_in == 2);
  CHECK(media[0].usage.bytes == 500);
  CHECK(media[1].usage.packets_out == 1);
  CHECK(media[1].usage.packets_in == 2);
  CHECK(media[1].usage.bytes == 3);
}

TEST_CASE("what was measured of another call's time with a port is not this one's",
          "[control][call_store][rtp]") {
  Scene scene;
  scene.open(0, 1);
  auto& card = scene.card(0);
  const bool was_of_another = GENERATE(false, true);
  card.pinholes[0].mapping = 7;
  if (was_of_another) card.pinholes[0].heir = 5;
  card.pinhole_count = 1;
  auto& usage = scene.link.pinholes[7].usage;
  usage.measured = Measured{.bytes_out = 50,
                            .bytes_in = 60,
                            .rtp_out = {},
                            .rtp_in = RtpRow{.packets = 10, .lost = 5, .repeated = 4, .sources = 1}};
  scene.message(0, "INVITE", CallState::inviting);
  usage.measured->bytes_in = 160;
  usage.measured->rtp_in = {.packets = 110,
                            .lost = was_of_another ? 3U : 8U,  // what was lost came after all
                            .repeated = 5,
                            .sources = 2,
                            .jitter_us = 7,
                            .jitter_max_us = 9,
                            .gap_max_us = 11};
  scene.message(0, "200 OK", CallState::answered);
  const auto* const record = scene.store.by_id(call_id(scene.card(0).call_hash));
  REQUIRE(record != nullptr);
  const auto media = scene.store.media(*record);
  REQUIRE(media.size() == 1);
  const auto& measured = media[0].usage.measured;
  REQUIRE(measured);
  CHECK(measured->bytes_out == (was_of_another ? 0 : 50));
  CHECK(measured->bytes_in == (was_of_another ? 100 : 160));
  CHECK_FALSE(measured->rtp_out);
  REQUIRE(measured->rtp_in);
  CHECK(measured->rtp_in->packets == (was_of_another ? 100 : 110));
  CHECK(measured->rtp_in->lost == (was_of_another ? 0 : 8));
  CHECK(measured->rtp_in->repeated == (was_of_another ? 1 : 5));
  CHECK(measured->rtp_in->sources == (was_of_another ? 1 : 2));
  CHECK(measured->rtp_in->jitter_us == 7);
  CHECK(measured->rtp_in->jitter_max_us == 9);
  CHECK(measured->rtp_in->gap_max_us == 11);
}

TEST_CASE("a command that got lost is sent again until the card is gone", "[control][call_store]") {
  Scene scene;
  scene.answer_call(0, 1);
  scene.message(0, "200 OK", CallState::ended, EndReason::bye);

  SECTION("the worker did not follow") {
    scene.wait(kLinger + 3s);
    CHECK(scene.link.take(CommandType::close_call).size() == 4);
    CHECK(scene.count(ControlCounter::command_again) == 3);
  }
  SECTION("the ring was full") {
    scene.link.ring_full = true;
    scene.wait(kLinger + 1s);
    CHECK(scene.link.sent.empty());
    CHECK(scene.count(ControlCounter::command_ring_full) >= 3);
    scene.link.ring_full = false;
    scene.wait(1s);
    CHECK_FALSE(scene.link.take(CommandType::close_call).empty());
  }
  SECTION("the card went, and the event that says so was lost") {
    scene.wait(kLinger);
    scene.card(0).in_use = false;
    scene.wait(1s);
    CHECK(scene.link.take(CommandType::close_call).size() == 1);
    CHECK(scene.last_end() == EndReason::bye);
  }
  SECTION("the card is being written whenever control looks") {
    scene.link.torn.insert({0, 0});
    scene.wait(kLinger + 1s);
    CHECK(scene.link.take(CommandType::close_call).size() == 2);
    CHECK(scene.store.size() == 1);
  }
}

TEST_CASE("neither silence nor its length ends a call that is on hold or has a session timer",
          "[control][call_store][AC-13][AC-27]") {
  Scene scene;
  scene.link.last_media = scene.link.now_tick;
  scene.answer_call(0, 1);
  scene.card(0).pinhole_count = 2;
  SECTION("on hold") {
    scene.card(0).media.held = true;
    scene.wait(kSilence * 2);
    CHECK(scene.link.take(CommandType::close_call).empty());
  }
  SECTION("with a session timer") {
    scene.card(0).session_until = scene.link.now_tick + nat::ticks_from_s(4 * 3600);
    scene.wait(kSilence + std::chrono::minutes(2));
    CHECK(scene.link.take(CommandType::close_call).empty());
    scene.wait(kSilence);
    CHECK_FALSE(scene.link.take(CommandType::close_call).empty());
  }
}

TEST_CASE("a session timer that nobody renews ends a call whose media is idle",
          "[control][call_store][rfc4028][AC-13]") {
  constexpr std::chrono::seconds kSession{1800};
  Scene scene;
  scene.link.last_media = scene.link.now_tick;
  scene.answer_call(0, 1);
  scene.card(0).pinhole_count = 2;
  scene.card(0).session_until = scene.link.now_tick + nat::ticks_from_s(kSession.count());
  SECTION("when it has run out, and not before") {
    scene.wait(kSession - 100s);
    CHECK(scene.link.take(CommandType::close_call).empty());
    scene.wait(100s + CallStore::kKeepEvery);
    CHECK_FALSE(scene.link.take(CommandType::close_call).empty());
    scene.close(0, EndReason::none);
    CHECK(scene.last_end() == EndReason::session_timer);
  }
  SECTION("on hold as well") {
    scene.card(0).media.held = true;
    scene.wait(kSession + CallStore::kKeepEvery);
    CHECK_FALSE(scene.link.take(CommandType::close_call).empty());
  }
  SECTION("and one that never had media") {
    scene.card(0).pinhole_count = 0;
    scene.wait(kSession + CallStore::kKeepEvery);
    CHECK_FALSE(scene.link.take(CommandType::close_call).empty());
  }
  SECTION("but not one that is renewed in time") {
    scene.wait(kSession / 2);
    scene.card(0).session_until = scene.link.now_tick + nat::ticks_from_s(kSession.count());
    scene.wait(kSession - 100s);
    CHECK(scene.link.take(CommandType::close_call).empty());
  }
  SECTION("but not one whose media passes, until that is idle") {
    scene.wait(kSession - 1s);
    scene.link.last_media = scene.link.now_tick;
    scene.wait(kMediaIdle - 1s);
    CHECK(scene.link.take(CommandType::close_call).empty());
    scene.wait(2s);
    CHECK_FALSE(scene.link.take(CommandType::close_call).empty());
  }
}

}  // namespace

}  // namespace pinhole::control
