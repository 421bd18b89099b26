// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/call_table.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "dataplane/text_hash.hpp"
#include "tests/nat/table_memory.hpp"

using namespace pinhole;
using namespace pinhole::dataplane;
using alg::sip::Method;
using ipc::CallState;
using ipc::EndReason;

namespace {

constexpr auto kPhone = nat::Ipv4Address::from_host(0x0a000005);
constexpr auto kOtherPhone = nat::Ipv4Address::from_host(0x0a000006);

constexpr auto kRinging = nat::ticks_from_s(180);

CallKey key_of(std::string_view call_id, nat::Ipv4Address inside = kPhone, std::string_view from_tag = "f",
               std::string_view to_tag = "") {
  return {text_hash(call_id), call_id, inside, from_tag, to_tag};
}

alg::sip::Summary message(Method method, std::uint16_t status = 0, std::string_view to_tag = "") {
  alg::sip::Summary summary;
  summary.method = method;
  summary.status = status;
  summary.to_tag = to_tag;
  return summary;
}

struct Calls {
  explicit Calls(std::uint32_t capacity = 8)
      : cards(capacity),
        memory(CallTable::bytes_needed(capacity)),
        table(cards, 3, memory.span(), counters) {}

  CardIndex open(const CallKey& key, nat::Tick now = 1, CallState state = CallState::inviting,
                 bool outbound = false) {
    CallOpening opening;
    opening.key = key;
    opening.step = {state, EndReason::none};
    opening.outbound = outbound;
    opening.inside = {key.inside, nat::Be16{5060}};
    opening.from_uri = "sip:alice@example.com";
    opening.to_uri = "sip:bob@example.com";
    return table.open(opening, now);
  }

  /// A request of who has called, or a response to him.
  ipc::CallStep step(CardIndex index, const alg::sip::Summary& said, nat::Tick now) {
    return table.step(index, said, said.is_request() == table.card(index).outbound, now);
  }

  std::vector<ipc::Shared<ipc::CallCard>> cards;
  nat::TableMemory memory;
  nat::CounterBlock<WorkerCounter> counters;
  CallTable table;
};

}  // namespace

TEST_CASE("a call is found by Call-ID and inside host", "[dataplane][call_table]") {
  Calls calls;
  const auto index = calls.open(key_of("a@phone"), 7);
  CHECK(calls.table.find(key_of("a@phone")) == index);
  CHECK(calls.table.find(key_of("b@phone")) == kNoCard);
  const auto& card = calls.table.card(index);
  CHECK(card.in_use);
  CHECK(card.call_id.view() == "a@phone");
  CHECK(card.from_uri.view() == "sip:alice@example.com");
  CHECK(card.created == 7);
  CHECK(calls.counters.read(WorkerCounter::call_opened) == 1);
  CHECK(calls.counters.read(WorkerCounter::call_live) == 1);
}

TEST_CASE("two phones with the same Call-ID have two calls", "[dataplane][call_table][AC-17]") {
  Calls calls;
  const auto one = calls.open(key_of("1", kPhone, "tag-a"));
  const auto other = calls.open(key_of("1", kOtherPhone, "tag-b"));
  CHECK(calls.table.find(key_of("1", kPhone, "tag-a")) == one);
  CHECK(calls.table.find(key_of("1", kOtherPhone, "tag-b")) == other);
  calls.table.close(one);
  CHECK(calls.table.find(key_of("1", kPhone, "tag-a")) == kNoCard);
  CHECK(calls.table.find(key_of("1", kOtherPhone, "tag-b")) == other);
}

TEST_CASE("a message from another inside host belongs to the call whose tag it has",
          "[dataplane][call_table]") {
  Calls calls;
  const auto index = calls.open(key_of("a@proxy", kPhone, "caller"));
  CHECK(calls.table.find(key_of("a@proxy", kOtherPhone, "caller", "callee")) == index);
  CHECK(calls.table.find(key_of("a@proxy", kOtherPhone, "callee", "caller")) == index);
  CHECK(calls.table.find(key_of("a@proxy", kOtherPhone, "stranger", "callee")) == kNoCard);
  // The same INVITE on its way to another phone begins a call of its own.
  CHECK(calls.table.find(key_of("a@proxy", kOtherPhone, "caller")) == kNoCard);
}

TEST_CASE("a call that comes back to its host is two calls, and each message finds its own",
          "[dataplane][call_table][AC-17]") {
  Calls calls;
  // Seen from here, whom From names is inside (`from_inside`) in the messages of one of them, outside in the
  // other's.
  const auto key = [](bool from_inside, std::string_view from_tag, std::string_view to_tag,
                      bool begins = false) {
    auto sought = key_of("a@phone", kPhone, from_tag, to_tag);
    sought.from_inside = from_inside;
    sought.begins = begins;
    return sought;
  };
  const auto came = calls.open(key_of("a@phone", kPhone, "caller"));
  REQUIRE(calls.table.find(key(true, "caller", "", true)) == kNoCard);
  // While it is alone it has what does not fit, too: not every party keeps its tags.
  CHECK(calls.table.find(key(true, "caller", "callee")) == came);
  const auto went = calls.open(key(true, "caller", ""), 1, CallState::inviting, true);
  CHECK(calls.table.find(key(true, "caller", "", true)) == went);
  CHECK(calls.table.find(key(true, "caller", "callee")) == went);
  CHECK(calls.table.find(key(false, "callee", "caller")) == went);
  CHECK(calls.table.find(key(false, "caller", "", true)) == came);
  CHECK(calls.table.find(key(false, "caller", "callee")) == came);
  CHECK(calls.table.find(key(true, "callee", "caller")) == came);
}

TEST_CASE("a phone that uses one Call-ID for every call has a new call after the old one ended",
          "[dataplane][call_table][AC-17]") {
  Calls calls;
  const auto old = calls.open(key_of("1", kPhone, "first"), 1, CallState::ringing);
  CHECK(calls.table.find(key_of("1", kPhone, "second")) == old);
  calls.step(old, message(Method::invite, 487), 2);
  CHECK(calls.table.find(key_of("1", kPhone, "first")) == old);  // sent again
  REQUIRE(calls.table.find(key_of("1", kPhone, "second")) == kNoCard);
  const auto successor = calls.open(key_of("1", kPhone, "second"), 3);
  CHECK(calls.table.find(key_of("1", kPhone, "second")) == successor);
  CHECK(calls.table.find(key_of("1", kPhone, "second", "callee")) == successor);
  calls.table.close(old);
  CHECK(calls.table.find(key_of("1", kPhone, "second", "callee")) == successor);
}

TEST_CASE("a Call-ID longer than its card is known by its hash and its beginning",
          "[dataplane][call_table]") {
  Calls calls;
  const std::string same_beginning(200, 'x');
  const auto one = calls.open(key_of(same_beginning + "1"));
  const auto other = calls.open(key_of(same_beginning + "2"));
  CHECK(one != other);
  CHECK(calls.table.find(key_of(same_beginning + "1")) == one);
  CHECK(calls.table.find(key_of(same_beginning + "2")) == other);
  CHECK(calls.table.find(key_of(same_beginning + "3")) == kNoCard);
}

TEST_CASE("a full table refuses and counts, and has room again after a close", "[dataplane][call_table]") {
  Calls calls(2);
  const auto one = calls.open(key_of("1"));
  calls.open(key_of("2"));
  CHECK(calls.table.next_free() == kNoCard);
  CHECK(calls.counters.read(WorkerCounter::call_table_full) == 1);
  calls.table.close(one);
  CHECK(calls.table.next_free() == one);
  CHECK(calls.open(key_of("3")) == one);
}

TEST_CASE("a card that is used again has another generation", "[dataplane][call_table]") {
  Calls calls(1);
  const auto index = calls.open(key_of("1"));
  const auto generation = calls.table.card(index).generation;
  CHECK(calls.table.is_current(index, generation));
  calls.table.close(index);
  CHECK_FALSE(calls.table.is_current(index, generation));
  REQUIRE(calls.open(key_of("2")) == index);
  CHECK_FALSE(calls.table.is_current(index, generation));
  CHECK(calls.table.is_current(index, calls.table.card(index).generation));
  CHECK_FALSE(calls.table.is_current(kNoCard, 0));
}

TEST_CASE("messages move a call through its states and name the callee", "[dataplane][call_table]") {
  Calls calls;
  const auto index = calls.open(key_of("1"), 10);
  const auto step = [&](Method method, std::uint16_t status, std::string_view to_tag, nat::Tick now) {
    return calls.step(index, message(method, status, to_tag), now).state;
  };
  CHECK(step(Method::invite, 180, "fork-1", 20) == CallState::ringing);
  CHECK(calls.table.card(index).to_tag.view() == "fork-1");
  CHECK(calls.table.card(index).answered == 0);
  CHECK(step(Method::invite, 200, "fork-2", 30) == CallState::answered);
  CHECK(calls.table.card(index).to_tag.view() == "fork-2");
  CHECK(calls.table.card(index).answered == 30);
  CHECK(step(Method::ack, 0, "fork-2", 31) == CallState::confirmed);
  CHECK(calls.table.card(index).last_message == 31);
  CHECK(step(Method::bye, 0, "fork-2", 90) == CallState::ending);
  CHECK(step(Method::bye, 200, "fork-2", 91) == CallState::ended);
  CHECK(calls.table.card(index).step.reason == EndReason::bye);
  CHECK(calls.table.card(index).answered == 30);
}

TEST_CASE("what is said to another fork than the one that was accepted first moves no call",
          "[dataplane][call_table][AC-19][rfc3261]") {
  const std::string long_tag(80, 't');  // longer than a card has room for
  const auto accepted = GENERATE_COPY(std::string("a"), long_tag);
  Calls calls;
  const auto index = calls.open(key_of("1", kPhone, "caller"));
  const auto step = [&](Method method, std::uint16_t status, std::string_view from_tag,
                        std::string_view to_tag, nat::Tick now = 1) {
    auto said = message(method, status, to_tag);
    said.from_tag = from_tag;
    said.session_expires_s = 90;
    return calls.step(index, said, now).state;
  };
  step(Method::invite, 200, "caller", accepted);
  step(Method::ack, 0, "caller", accepted);
  const auto session_until = calls.table.card(index).session_until;
  CHECK(step(Method::invite, 200, "caller", "b", 20) == CallState::confirmed);
  CHECK(calls.table.card(index).to_tag.view() == accepted.substr(0, 62));
  CHECK(calls.table.card(index).session_until == session_until);
  CHECK(step(Method::bye, 0, "caller", "b") == CallState::confirmed);
  CHECK(step(Method::bye, 200, "caller", "b") == CallState::confirmed);
  CHECK(step(Method::bye, 0, "b", "caller") == CallState::confirmed);
  SECTION("the caller ends it") {
    CHECK(step(Method::bye, 0, "caller", accepted) == CallState::ending);
  }
  SECTION("the other side ends it") {
    CHECK(step(Method::bye, 0, accepted, "caller") == CallState::ending);
  }
  SECTION("who has other tags altogether ends it, for not everybody keeps them") {
    CHECK(step(Method::bye, 0, "x", "y") == CallState::ending);
  }
}

TEST_CASE("of a call that goes on as another fork the tag is known by what is said in it",
          "[dataplane][call_table][AC-19][rfc3261]") {
  const bool called_speaks = GENERATE(false, true);
  Calls calls;
  const auto index = calls.open(key_of("1", kPhone, "caller"));
  const auto step = [&](Method method, std::uint16_t status, std::string_view from_tag,
                        std::string_view to_tag) {
    auto said = message(method, status, to_tag);
    said.from_tag = from_tag;
    said.session_expires_s = 90;
    return calls.step(index, said, 1).state;
  };
  for (const char* const fork : {"a", "b"}) {
    step(Method::invite, 200, "caller", fork);
    step(Method::ack, 0, "caller", fork);
  }
  const auto first = calls.table.fork(index).name;
  CHECK(first != Fork::kNone);
  CHECK(step(Method::bye, 0, "caller", "a") == CallState::confirmed);
  CHECK(calls.table.fork(index).name != first);
  CHECK(calls.table.card(index).session_until == 0);
  CHECK(step(Method::bye, 200, "caller", "a") == CallState::confirmed);
  CHECK(calls.table.card(index).to_tag.view().empty());
  if (called_speaks) {
    step(Method::invite, 0, "b", "caller");
  } else {
    step(Method::invite, 0, "caller", "b");
  }
  CHECK(calls.table.card(index).to_tag.view() == "b");
  CHECK(step(Method::bye, 0, "caller", "a") == CallState::confirmed);
  CHECK(step(Method::bye, 0, "caller", "b") == CallState::ending);
  CHECK(step(Method::bye, 200, "caller", "b") == CallState::ended);
}

TEST_CASE("forks are told apart by the whole of their tags, and each by whom it was spoken to",
          "[dataplane][call_table][AC-19][rfc3261]") {
  const std::string a(80, 't');  // a card has room for less
  Calls calls;
  const auto index = calls.open(key_of("1", kPhone, "caller"));
  const auto said = [](Method method, std::uint16_t status, std::string_view to_tag) {
    auto summary = message(method, status, to_tag);
    summary.from_tag = "caller";
    return summary;
  };
  const auto step = [&](Method method, std::uint16_t status, std::string_view to_tag) {
    return calls.step(index, said(method, status, to_tag), 1).state;
  };
  const nat::Endpoint remote{nat::Ipv4Address::from_host(0xc6336407), nat::Be16{5060}};
  for (const auto& fork : {a, std::string("c"), std::string("d")}) {
    step(Method::invite, 200, fork);
    step(Method::ack, 0, fork);
  }
  const auto last = GENERATE(as<std::string>(), "c", "d");
  calls.table.address_fork(index, said(Method::ack, 0, last), remote);
  CHECK(step(Method::bye, 0, a) == CallState::confirmed);  // it is c now
  CHECK(calls.table.peers(index)[1] == (last == "c" ? remote : nat::Endpoint{}));
  CHECK(calls.table.peers(index)[2] == (last == "c" ? nat::Endpoint{} : remote));
  CHECK(step(Method::invite, 200, a) == CallState::confirmed);
  CHECK(step(Method::ack, 0, a) == CallState::confirmed);
  CHECK(step(Method::bye, 0, "d") == CallState::confirmed);
  CHECK(step(Method::bye, 0, "c") == CallState::ending);
}

TEST_CASE("a message with other tags altogether does not say which fork the call has turned to",
          "[dataplane][call_table][AC-19][AC-23]") {
  Calls calls;
  const auto index = calls.open(key_of("1", kPhone, "caller"));
  const auto step = [&](Method method, std::uint16_t status, std::string_view from, std::string_view to) {
    auto said = message(method, status, to);
    said.from_tag = from;
    return calls.step(index, said, 1).state;
  };
  for (const char* const fork : {"a", "b"}) {
    step(Method::invite, 200, "caller", fork);
    step(Method::ack, 0, "caller", fork);
  }
  CHECK(step(Method::bye, 0, "caller", "a") == CallState::confirmed);
  const auto status = GENERATE(as<std::uint16_t>(), 0, 200);
  step(Method::options, status, "x", "y");
  CHECK(step(Method::bye, 0, "caller", "b") == CallState::ending);
}

TEST_CASE("a fork that is over is remembered for as long as others were noted before it",
          "[dataplane][call_table][AC-19]") {
  Forks forks;
  forks.begin(1);
  const auto confirm = [&](Fork::Name name) {
    forks.accept(name);
    forks.confirm(name);
  };
  SECTION("beside free places") {
    confirm(2);
    forks.end(2);
    confirm(3);
    confirm(2);
    REQUIRE(forks.turn(Fork::State::over));
    CHECK(forks.current() == 3);
    CHECK_FALSE(forks.turn(Fork::State::over));
  }
  SECTION("the one that the call was") {
    confirm(2);
    REQUIRE(forks.turn(Fork::State::over));
    forks.accept(3);
    confirm(1);
    CHECK_FALSE(forks.turn(Fork::State::over));
  }
  SECTION("the oldest makes room") {
    for (Fork::Name name = 2; name <= 5; ++name) {
      confirm(name);
      forks.end(name);
    }
    confirm(6);
    confirm(3);
    CHECK(forks.find(3).state == Fork::State::over);
    CHECK(forks.find(2).name == Fork::kNone);
    CHECK(forks.find(6).state == Fork::State::confirmed);
  }
}

TEST_CASE("of more forks than there is room for those that are over make room",
          "[dataplane][call_table][AC-19]") {
  Forks forks;
  forks.begin(100);
  for (Fork::Name name = 1; name <= 2 * Forks::kMost; ++name) {
    forks.accept(name);
    forks.confirm(name);
    forks.end(name);
  }
  for (Fork::Name name = 20; name < 20 + 2 * Forks::kMost; ++name) {
    forks.accept(name);
    forks.confirm(name);
    CHECK((forks.find(name).state == Fork::State::confirmed) == (name < 20 + Forks::kMost));
  }
  for (Fork::Name name = 20; name < 20 + Forks::kMost; ++name) {
    CHECK(forks.turn(Fork::State::over));
    CHECK(forks.current() == name);
  }
  CHECK_FALSE(forks.turn(Fork::State::over));
}

TEST_CASE("the table agrees with a map under random operations", "[dataplane][call_table]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  constexpr std::uint32_t kCapacity = 100;
  Calls calls(kCapacity);
  std::unordered_map<std::string, CardIndex> oracle;
  for (int i = 0; i < 20'000; ++i) {
    const auto call_id = "call-" + std::to_string(random() % 200);
    const auto known = oracle.find(call_id);
    const auto found = calls.table.find(key_of(call_id));
    REQUIRE(found == (known == oracle.end() ? kNoCard : known->second));
    if (found != kNoCard) {
      calls.table.close(found);
      oracle.erase(known);
    } else if (oracle.size() < kCapacity) {
      oracle[call_id] = calls.open(key_of(call_id));
    } else {
      REQUIRE(calls.table.next_free() == kNoCard);
    }
    REQUIRE(calls.table.size() == oracle.size());
  }
}

TEST_CASE("a call that nobody closes is found overdue", "[dataplane][call_table]") {
  struct Case {
    const char* what;
    CallState state;
    EndReason reason;
    std::uint8_t pinholes;
    bool media_live;
    std::uint32_t limit_s;  // 0: never
    EndReason closed_as;
  };
  const auto row = GENERATE(
      Case{"ended", CallState::ended, EndReason::cancelled, 2, true, 32, EndReason::cancelled},
      Case{"asked to end, but nobody answered", CallState::ending, EndReason::none, 2, true, 32,
           EndReason::bye},
      Case{"never answered", CallState::inviting, EndReason::none, 0, false, 212, EndReason::no_answer},
      Case{"ringing without end", CallState::ringing, EndReason::none, 2, false, 212, EndReason::no_answer},
      Case{"an announcement plays", CallState::ringing, EndReason::none, 2, true, 0, EndReason::none},
      Case{"media is flowing", CallState::confirmed, EndReason::none, 2, true, 0, EndReason::none},
      Case{"media fell silent", CallState::confirmed, EndReason::none, 2, false, 32,
           EndReason::media_silence},
      Case{"no ACK and no media", CallState::answered, EndReason::none, 2, false, 32,
           EndReason::media_silence},
      Case{"no media of ours", CallState::confirmed, EndReason::none, 0, false, 7200, EndReason::lost});
  DYNAMIC_SECTION(row.what) {
    ipc::CallCard card;
    card.step = {row.state, row.reason};
    card.pinhole_count = row.pinholes;
    card.last_message = 1000;
    if (row.limit_s == 0) {
      CHECK_FALSE(overdue(card, 1000, row.media_live, kRinging, 1000 + nat::ticks_from_s(100'000)));
    } else {
      const nat::Tick due = 1000 + nat::ticks_from_s(row.limit_s);
      CHECK_FALSE(overdue(card, 1000, row.media_live, kRinging, due - 1));
      CHECK(overdue(card, 1000, row.media_live, kRinging, due) == row.closed_as);
    }
  }
}

TEST_CASE("a worker gives an unanswered call longer than control does, however long that is",
          "[dataplane][call_table]") {
  ipc::CallCard card;
  card.step = {CallState::ringing, EndReason::none};
  card.last_message = 1000;
  const auto ringing = nat::ticks_from_s(GENERATE(5U, 180U, 3600U));
  CHECK_FALSE(overdue(card, 0, false, ringing, 1000 + ringing + kUnansweredMargin - 1));
  CHECK(overdue(card, 0, false, ringing, 1000 + ringing + kUnansweredMargin) == EndReason::no_answer);
}

TEST_CASE("control's promise keeps a silent call, but not one that has ended",
          "[dataplane][call_table][AC-27]") {
  ipc::CallCard card;
  card.step = {CallState::confirmed, EndReason::none};
  card.pinhole_count = 2;
  card.last_message = 10;
  card.keep_until = 50'000;
  CHECK_FALSE(overdue(card, 0, false, kRinging, 49'999));
  CHECK(overdue(card, 0, false, kRinging, 50'000) == EndReason::media_silence);
  card.step = {CallState::ended, EndReason::bye};
  CHECK(overdue(card, 10, false, kRinging, 10 + kEndedLinger) == EndReason::bye);
}

TEST_CASE("the sweep closes overdue calls within its budget", "[dataplane][call_table]") {
  Calls calls(64);
  for (int i = 0; i < 64; ++i) calls.open(key_of("call-" + std::to_string(i)), 1);
  std::uint32_t closed = 0;
  const auto sweep = [&](nat::Tick now, std::uint32_t budget) {
    calls.table.tick(
        now, budget, [](CardIndex) noexcept { return false; }, [](CardIndex) noexcept {},
        [&](CardIndex index, EndReason reason) noexcept {
          closed += reason == EndReason::no_answer;
          calls.table.close(index);
        });
  };
  sweep(kRinging + kUnansweredMargin, 64);
  CHECK(closed == 0);
  const nat::Tick due = 1 + kRinging + kUnansweredMargin + nat::ticks_from_s(5);
  for (std::uint32_t turn = 1; turn <= 8; ++turn) {
    sweep(due, 8);
    CHECK(closed == 8 * turn);
  }
  CHECK(calls.table.size() == 0);
  CHECK(calls.counters.read(WorkerCounter::call_closed) == 64);
  CHECK(calls.counters.read(WorkerCounter::call_live) == 0);
}

TEST_CASE("the sweep tells which calls go on", "[dataplane][call_table]") {
  Calls calls;
  const auto live = calls.open(key_of("1"), 1, CallState::confirmed);
  const auto ended = calls.open(key_of("2"), 1, CallState::confirmed);
  calls.step(ended, message(Method::bye), 1);
  calls.step(ended, message(Method::bye, 200), 1);
  std::vector<CardIndex> seen;
  const auto sweep = [&](nat::Tick now) {
    calls.table.tick(
        now, 8, [](CardIndex) noexcept { return true; },
        [&](CardIndex index) noexcept { seen.push_back(index); }, [](CardIndex, EndReason) noexcept {});
  };
  sweep(CallTable::kRecheck);
  CHECK(seen.empty());
  sweep(1 + CallTable::kRecheck);
  sweep(1 + CallTable::kRecheck);
  CHECK(seen == std::vector<CardIndex>{live});
}

TEST_CASE("messages after the end do not put the end off", "[dataplane][call_table]") {
  Calls calls;
  const auto index = calls.open(key_of("1"), 1, CallState::confirmed);
  calls.step(index, message(Method::bye), 10);
  calls.step(index, message(Method::bye, 200), 11);
  calls.step(index, message(Method::bye, 200), 11 + kEndedLinger - 1);
  bool closed = false;
  const auto sweep = [&](nat::Tick now) {
    calls.table.tick(
        now, 8, [](CardIndex) noexcept { return true; }, [](CardIndex) noexcept {},
        [&](CardIndex overdue_index, EndReason) noexcept {
          closed = true;
          calls.table.close(overdue_index);
        });
  };
  sweep(11 + kEndedLinger - 1);
  CHECK_FALSE(closed);
  sweep(11 + kEndedLinger);
  CHECK(closed);
}
