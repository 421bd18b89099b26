// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/dialog_table.hpp"

#include <initializer_list>
#include <string>
#include <vector>

#include "dataplane/text_pack.hpp"
#include "tests/nat/table_memory.hpp"

#include <catch2/catch.hpp>

namespace pinhole::dataplane {

namespace {

using alg::Direction;
using alg::sip::Method;

constexpr nat::Endpoint end(std::uint32_t address, std::uint16_t port) {
  return {nat::Ipv4Address::from_host(address), nat::Be16{port}};
}
constexpr alg::Flow kFlow = {.protocol = nat::Protocol::udp,
                             .inside = end(0x0a000005, 5060),
                             .external = end(0xcb007101, 40000),
                             .remote = end(0xc6336401, 5060)};

/// What a message of the call of Alice, who calls, with Bob says.
struct Said {
  Method method = Method::invite;
  std::uint16_t status = 0;
  std::uint32_t cseq = 1;
  std::string contact = {};
  std::vector<std::string> routes = {};
  bool by_alice = true;
  bool in_dialog = true;   // it has both tags
  bool from_alice = true;  // in a response: whose request it answers
  std::string to_tag = "b";
  std::string call_id = "one@example.com";
};

class Scene {
 public:
  /// \param outbound  Alice is inside
  explicit Scene(bool outbound)
      : outbound_(outbound), memory_(DialogTable::bytes_needed(4)), table(4, memory_.span()) {
    table.open(2);
  }

  void say(const Said& said) {
    const bool from_alice = said.status == 0 ? said.by_alice : said.from_alice;
    const std::string tag = said.in_dialog || said.status != 0 ? said.to_tag : std::string();
    alg::sip::Summary summary;
    summary.method = said.method;
    summary.status = said.status;
    summary.cseq = said.cseq;
    summary.call_id = said.call_id;
    summary.from_tag = from_alice ? std::string_view("a") : std::string_view(said.to_tag);
    summary.to_tag = from_alice ? std::string_view(tag) : std::string_view("a");
    summary.from_uri = from_alice ? "sip:alice@a.example" : "sip:bob@b.example";
    summary.to_uri = from_alice ? "sip:bob@b.example" : "sip:alice@a.example";
    alg::sip::DialogFacts facts;
    facts.call_id = said.call_id;
    facts.contact = said.contact;
    for (const auto& route : said.routes) {
      if (facts.route_count < facts.routes.size()) {
        facts.routes[facts.route_count++] = route;
      } else {
        facts.too_many_routes = true;
      }
    }
    const bool has_facts = said.method == Method::invite || said.method == Method::update;
    table.note(2, {.summary = summary,
                   .facts = has_facts ? &facts : nullptr,
                   .direction = said.by_alice == outbound_ ? Direction::outbound : Direction::inbound,
                   .flow = kFlow});
  }
  /// The call as far as it is answered.
  void set_up(const std::vector<std::string>& invite_routes = {},
              const std::vector<std::string>& answer_routes = {}) {
    say({.contact = "sip:alice@10.0.0.5", .routes = invite_routes, .in_dialog = false});
    say({.status = 200, .contact = "sip:bob@192.0.2.1", .routes = answer_routes, .by_alice = false});
    say({.method = Method::ack});
  }
  [[nodiscard]] std::size_t alice() const { return outbound_ ? kInsideSide : kOutsideSide; }
  [[nodiscard]] std::size_t bob() const { return other_side(alice()); }
  [[nodiscard]] std::string word(std::size_t side, Dialog::Word word) {
    return std::string(table[2].word(side, word));
  }

 private:
  bool outbound_;
  nat::TableMemory memory_;

 public:
  DialogTable table;
};

}  // namespace

TEST_CASE("each side of a call is known by its own words once it is answered", "[dataplane][hangup]") {
  for (const bool outbound : {true, false}) {
    Scene scene(outbound);
    CHECK_FALSE(scene.table[2].knows(scene.alice()));
    scene.say({.contact = "sip:alice@10.0.0.5", .in_dialog = false});
    scene.say({.status = 183, .contact = "sip:early@192.0.2.1", .by_alice = false});
    CHECK_FALSE(scene.table[2].knows(scene.alice()));
    CHECK_FALSE(scene.table[2].knows(scene.bob()));
    scene.say({.status = 200, .contact = "sip:bob@192.0.2.1", .by_alice = false});
    CHECK(scene.table[2].knows(scene.alice()));
    CHECK(scene.table[2].knows(scene.bob()));
    CHECK(scene.word(scene.alice(), Dialog::self) == "<sip:alice@a.example>;tag=a");
    CHECK(scene.word(scene.alice(), Dialog::peer) == "<sip:bob@b.example>;tag=b");
    CHECK(scene.word(scene.alice(), Dialog::target) == "sip:alice@10.0.0.5");
    CHECK(scene.word(scene.bob(), Dialog::self) == "<sip:bob@b.example>;tag=b");
    CHECK(scene.word(scene.bob(), Dialog::peer) == "<sip:alice@a.example>;tag=a");
    CHECK(scene.word(scene.bob(), Dialog::target) == "sip:bob@192.0.2.1");
    CHECK(scene.word(scene.bob(), Dialog::call_id) == "one@example.com");
    CHECK(scene.table[2].sides[scene.alice()].inside == kFlow.inside);
    CHECK(scene.table[2].sides[scene.bob()].remote == kFlow.remote);
  }
}

TEST_CASE("the way to a side leads past the proxies on its own side alone", "[dataplane][hangup]") {
  struct Row {
    const char* name;
    std::vector<std::string> invite;  // as Pinhole sees it
    std::vector<std::string> answer;
    std::string to_alice;
    std::string to_bob;
  };
  const Row rows[] = {
      {"none", {}, {}, "", ""},
      {"one of the callee's", {}, {"<sip:d1;lr>"}, "", "<sip:d1;lr>"},
      {"one of the caller's", {"<sip:u1;lr>"}, {"<sip:u1;lr>"}, "<sip:u1;lr>", ""},
      {"two and two",
       {"<sip:u2;lr>", "<sip:u1;lr>"},
       {"<sip:d2;lr>", "<sip:d1;lr>", "<sip:u2;lr>", "<sip:u1;lr>"},
       "<sip:u2;lr>, <sip:u1;lr>",
       "<sip:d1;lr>, <sip:d2;lr>"},
      {"a callee that repeats none", {"<sip:u1;lr>"}, {}, "<sip:u1;lr>", ""},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      Scene scene(true);
      scene.set_up(row.invite, row.answer);
      CHECK(scene.word(scene.alice(), Dialog::routes) == row.to_alice);
      CHECK(scene.word(scene.bob(), Dialog::routes) == row.to_bob);
    }
  }
}

TEST_CASE("a side moves by its requests and its answers, and by those of its dialog alone",
          "[dataplane][hangup]") {
  Scene scene(true);
  scene.set_up();
  scene.say({.method = Method::update, .cseq = 2, .contact = "sip:alice@10.0.0.6"});
  scene.say({.cseq = 7, .contact = "sip:bob@192.0.2.2", .by_alice = false});
  CHECK(scene.word(scene.alice(), Dialog::target) == "sip:alice@10.0.0.6");
  CHECK(scene.word(scene.bob(), Dialog::target) == "sip:bob@192.0.2.2");
  scene.say({.status = 200, .cseq = 7, .contact = "sip:alice@10.0.0.7", .from_alice = false});
  CHECK(scene.word(scene.alice(), Dialog::target) == "sip:alice@10.0.0.7");
  // A request without a Contact changes nothing, nor does one of another fork, or one that was refused.
  scene.say({.method = Method::update, .cseq = 3});
  scene.say({.status = 200, .contact = "sip:fork@192.0.2.3", .by_alice = false, .to_tag = "fork"});
  scene.say({.status = 488, .contact = "sip:bob@192.0.2.4", .by_alice = false});
  scene.say({.contact = "sip:again@10.0.0.9", .in_dialog = false});
  CHECK(scene.word(scene.alice(), Dialog::target) == "sip:alice@10.0.0.7");
  CHECK(scene.word(scene.bob(), Dialog::target) == "sip:bob@192.0.2.2");
}

TEST_CASE("the numbers that a side has heard are those of the other one's requests", "[dataplane][hangup]") {
  Scene scene(true);
  scene.set_up();
  CHECK(scene.table[2].sides[scene.bob()].heard_cseq == 1);
  CHECK(scene.table[2].sides[scene.alice()].heard_cseq == 0);
  scene.say({.method = Method::info, .cseq = 9, .by_alice = false});
  scene.say({.method = Method::info, .cseq = 5});
  scene.say({.method = Method::info, .cseq = 4});  // sent again, or out of order
  scene.say({.method = Method::ack, .cseq = 100});
  CHECK(scene.table[2].sides[scene.bob()].heard_cseq == 5);
  CHECK(scene.table[2].sides[scene.alice()].heard_cseq == 9);
}

TEST_CASE("a side of which something is not to be kept cannot be spoken to", "[dataplane][hangup]") {
  const std::string huge(Dialog::kTextSize, 'x');
  const std::vector<std::string> many(alg::sip::DialogFacts::kMaxRoutes + 1, "<sip:p;lr>");
  struct Row {
    const char* name;
    std::string contact;
    std::vector<std::string> routes;
  };
  for (const auto& row : {Row{"too long", "sip:" + huge, {}}, Row{"too many proxies", "sip:bob@b", many},
                          Row{"long proxies", "sip:bob@b", {huge}}, Row{"nothing", "", {}},
                          Row{"a line end", "sip:bob\r\n X: y@b", {}}, Row{"a blank", "sip:bob smith@b", {}},
                          Row{"a folded proxy", "sip:bob@b", {"<sip:p>\r\n ;x"}}}) {
    DYNAMIC_SECTION(row.name) {
      Scene scene(true);
      scene.say({.contact = "sip:alice@10.0.0.5", .in_dialog = false});
      scene.say({.status = 200, .contact = row.contact, .routes = row.routes, .by_alice = false});
      CHECK(scene.table[2].knows(scene.alice()));
      CHECK_FALSE(scene.table[2].knows(scene.bob()));
    }
  }
  SECTION("a call that is met in the middle") {
    Scene scene(true);
    scene.say({.cseq = 5, .contact = "sip:alice@10.0.0.5"});
    scene.say({.status = 200, .cseq = 5, .contact = "sip:bob@192.0.2.1", .by_alice = false});
    CHECK_FALSE(scene.table[2].knows(scene.alice()));
    CHECK_FALSE(scene.table[2].knows(scene.bob()));
  }
}

TEST_CASE("an INVITE that is tried again and a card that is used again begin anew", "[dataplane][hangup]") {
  Scene scene(true);
  scene.say({.contact = "sip:alice@10.0.0.5", .routes = {"<sip:u1;lr>"}, .in_dialog = false});
  scene.say({.status = 407, .by_alice = false});
  scene.say({.cseq = 2, .contact = "sip:alice@10.0.0.6", .in_dialog = false});
  scene.say({.status = 200, .cseq = 2, .contact = "sip:bob@192.0.2.1", .by_alice = false});
  CHECK(scene.word(scene.alice(), Dialog::routes).empty());
  CHECK(scene.word(scene.alice(), Dialog::target) == "sip:alice@10.0.0.6");
  CHECK(scene.word(scene.alice(), Dialog::peer) == "<sip:bob@b.example>;tag=b");
  scene.table.open(2);
  CHECK_FALSE(scene.table[2].knows(scene.alice()));
  CHECK(scene.word(scene.alice(), Dialog::self).empty());
}

TEST_CASE("a hidden Call-ID is another word on each side", "[dataplane][hangup]") {
  Scene scene(true);
  scene.say({.contact = "sip:alice@10.0.0.5", .in_dialog = false, .call_id = "1@10.0.0.5"});
  scene.say({.status = 200, .contact = "sip:bob@b", .by_alice = false, .call_id = "1@hidden.invalid"});
  CHECK(scene.word(scene.alice(), Dialog::call_id) == "1@10.0.0.5");
  CHECK(scene.word(scene.bob(), Dialog::call_id) == "1@hidden.invalid");
}

TEST_CASE("in a dialog that is over nobody is spoken to, whatever is said in the call",
          "[dataplane][hangup]") {
  Scene scene(true);
  scene.set_up();
  CHECK(scene.table[2].knows(scene.alice()));
  scene.table.end(2);
  CHECK_FALSE(scene.table[2].knows(scene.alice()));
  scene.say({.contact = "sip:alice@10.0.0.6"});
  scene.say({.status = 200, .contact = "sip:bob@192.0.2.2", .by_alice = false});
  CHECK_FALSE(scene.table[2].knows(scene.alice()));
  CHECK_FALSE(scene.table[2].knows(scene.bob()));
}

TEST_CASE("texts that share their room are whole or not there", "[dataplane][hangup]") {
  TextPack<3, 10> pack;
  CHECK(pack.set(0, {"ab", "cd"}));
  CHECK(pack.set(2, {"xyz"}));
  CHECK(pack.set(1, {"123"}));
  CHECK(pack.get(0) == "abcd");
  CHECK(pack.get(1) == "123");
  CHECK(pack.get(2) == "xyz");
  CHECK_FALSE(pack.append(1, "4"));
  CHECK_FALSE(pack.set(0, {"abc", "de"}));
  CHECK(pack.get(0).empty());
  CHECK(pack.append(1, "4567"));
  CHECK(pack.get(1) == "1234567");
  CHECK(pack.get(2) == "xyz");
  CHECK(pack.set(1, {}));
  CHECK(pack.set(0, {"0123456"}));
  CHECK(pack.get(0) == "0123456");
  CHECK(pack.get(1).empty());
  CHECK(pack.get(2) == "xyz");
}

TEST_CASE("what is watched is walked round until it is over", "[dataplane][hangup]") {
  nat::TableMemory memory(DialogTable::bytes_needed(3));
  DialogTable table(3, memory.span());
  for (std::uint32_t card = 0; card < 3; ++card) CHECK(table.watch(card));
  CHECK_FALSE(table.watch(0));
  std::vector<std::uint32_t> seen;
  const auto walk = [&](std::uint32_t budget, std::uint32_t over) {
    seen.clear();
    table.walk(budget, [&](std::uint32_t card) noexcept {
      seen.push_back(card);
      return card != over;
    });
  };
  walk(2, 9);
  CHECK(seen == std::vector<std::uint32_t>{0, 1});
  walk(2, 9);
  CHECK(seen == std::vector<std::uint32_t>{2, 0});
  walk(10, 1);
  CHECK(seen == std::vector<std::uint32_t>{1, 2, 0});
  walk(10, 0);
  walk(10, 2);
  CHECK(seen == std::vector<std::uint32_t>{2});
  walk(10, 9);
  CHECK(seen.empty());
}

}  // namespace pinhole::dataplane
