// SPDX-License-Identifier: BSD-3-Clause
// Calls that control ends: the BYEs that each side gets, and what becomes of the answers.
#include <catch2/catch.hpp>

#include <algorithm>

#include "dataplane/ipc/command.hpp"
#include "dataplane/ipc/layout.hpp"
#include "tests/dataplane/sip_scene.hpp"
#include "tests/dataplane/tcp_talk.hpp"

#include <rte_ring_elem.h>

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using ipc::CallState;
using ipc::EndReason;
using nat::DropReason;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;

/// Control asks a worker to end its first call.
void ask_to_hang_up(dataplane::WorkerContext& worker, std::uint32_t card = 0) {
  ipc::Command command;
  command.sequence = command.sequence_again = 1;
  command.abi_version = ipc::kAbiVersion;
  command.type = ipc::CommandType::hang_up;
  command.reason = EndReason::by_operator;
  command.card = card;
  command.card_generation = worker.calls.card(card).generation;
  REQUIRE(rte_ring_enqueue_elem(worker.commands, &command, sizeof command) == 0);
}

/// The card of the one call that a worker has.
std::uint32_t card_of(dataplane::WorkerContext& worker) {
  REQUIRE(worker.calls.size() == 1);
  for (std::uint32_t card = 0; card < worker.calls.capacity(); ++card)
    if (worker.calls.card(card).in_use) return card;
  return 0;
}

/// Messages of a call between a phone inside and a server outside. \param transport  of Via
struct Texts {
  std::string transport = "UDP";
  std::string parameter = {};  // of Contact

  [[nodiscard]] std::string message(const std::string& start, const std::string& via, const std::string& from,
                                    const std::string& to, const std::string& cseq, const std::string& more,
                                    const std::string& contact) const {
    return start + "\r\n" + via + "From: " + from + "\r\nTo: " + to + "\r\nCall-ID: talk\r\nCSeq: " + cseq +
           "\r\n" + more + "Contact: <sip:" + contact + parameter + ">\r\nContent-Length: 0\r\n\r\n";
  }
  [[nodiscard]] std::string via(const std::string& host, const std::string& branch = "1") const {
    return "Via: SIP/2.0/" + transport + " " + host + ";branch=z9hG4bK" + branch + "\r\nMax-Forwards: 70\r\n";
  }
};

const std::string kAlice = "<sip:alice@a.example>";
const std::string kBob = "<sip:bob@b.example>";
const std::string kRoutes = "Record-Route: <sip:198.51.100.8;lr>, <sip:198.51.100.7;lr>\r\n";

/// A call by UDP, set up as far as its ACK.
class Call : public SipScene, private Texts {
 public:
  enum class Way : std::uint8_t { out, in };

  explicit Call(Way way, unsigned workers = 1, unsigned owner = 0, const std::string& routes = kRoutes,
                const std::string& contact = "bob@192.0.2.9:5070")
      : SipScene(workers, owner), owner_(owner) {
    const auto own = text_of(phone);
    if (way == Way::out) {
      const auto invite = out(message("INVITE sip:bob@b.example SIP/2.0", via(own), kAlice + ";tag=a", kBob,
                                      "4 INVITE", {}, "alice@" + own));
      REQUIRE(invite.size() == 1);
      const auto answer = answered(invite[0].text, "200 OK", kBob + ";tag=b", routes, contact);
      REQUIRE(in(answer).size() == 1);
      acked = out(message("ACK sip:" + contact + " SIP/2.0", via(own, "2"), kAlice + ";tag=a",
                          kBob + ";tag=b", "4 ACK", {}, "alice@" + own));
    } else {
      REQUIRE(out(message("OPTIONS sip:b.example SIP/2.0", via(own), kAlice + ";tag=x", kBob, "1 OPTIONS", {},
                          "alice@" + own))
                  .size() == 1);
      const auto invite =
          in(message("INVITE sip:alice@" + text_of(external()) + " SIP/2.0", via("198.51.100.7"),
                     kBob + ";tag=b", kAlice, "4 INVITE", routes, contact));
      REQUIRE(invite.size() == 1);
      REQUIRE(out(answered(invite[0].text, "200 OK", kAlice + ";tag=a", routes, "alice@" + own)).size() == 1);
      acked = in(message("ACK sip:alice@" + text_of(external()) + " SIP/2.0", via("198.51.100.7", "2"),
                         kBob + ";tag=b", kAlice + ";tag=a", "4 ACK", {}, contact));
    }
    REQUIRE(acked.size() == 1);
    REQUIRE(worker().calls.card(card_of(worker())).step.state == CallState::confirmed);
  }

  dataplane::WorkerContext& worker() { return lab.context(owner_); }
  const ipc::CallCard& card() { return worker().calls.card(card_of(worker())); }
  /// What leaves when control hangs up: to inside, then to outside.
  std::vector<SentText> hang_up() {
    ask_to_hang_up(worker(), card_of(worker()));
    lab.pass_s(0);  // commands are taken once a tick
    auto sent = run();
    std::sort(sent.begin(), sent.end(),
              [](const SentText& a, const SentText& b) { return a.interface < b.interface; });
    return sent;
  }
  std::vector<SentText> acked;

 private:
  static std::string answered(const std::string& invite, const std::string& status, const std::string& to,
                              const std::string& routes, const std::string& contact) {
    auto text = answer_to(invite, status);
    const auto at = text.find("\r\nTo: ") + 6;
    text.replace(at, text.find("\r\n", at) - at, to);
    return text.replace(text.find("Content-Length"), 0, routes + "Contact: <sip:" + contact + ">\r\n");
  }

  unsigned owner_;
};

}  // namespace

TEST_CASE("a call that is hung up ends with a BYE to each side in its own words",
          "[dataplane][sip][hangup]") {
  for (const unsigned owner : {0U, 1U}) {
    for (const auto way : {Call::Way::out, Call::Way::in}) {
      DYNAMIC_SECTION("worker " << owner << (way == Call::Way::out ? ", out" : ", in")) {
        Call call(way, 2, owner);
        const auto sent = call.hang_up();
        REQUIRE(sent.size() == 2);
        const auto& [to_phone, to_server] = std::tie(sent[0], sent[1]);
        const auto own = SipScene::text_of(call.phone);
        CHECK(call.card().step.state == CallState::ending);
        CHECK(call.card().step.reason == EndReason::by_operator);

        CHECK(to_phone.interface == kInside);
        CHECK(to_phone.source == call.server);
        CHECK(to_phone.destination == call.phone);
        CHECK(first_line(to_phone.text) == "BYE sip:alice@" + own + " SIP/2.0");
        CHECK(value_of(to_phone.text, "Via").starts_with("SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK"));
        CHECK(value_of(to_phone.text, "Route") == "(none)");
        CHECK(value_of(to_phone.text, "From") == kBob + ";tag=b");
        CHECK(value_of(to_phone.text, "To") == kAlice + ";tag=a");
        CHECK(value_of(to_phone.text, "CSeq") == (way == Call::Way::out ? "1 BYE" : "5 BYE"));

        CHECK(to_server.interface == kOutside);
        CHECK(to_server.source == call.external());
        CHECK(first_line(to_server.text) == "BYE sip:bob@192.0.2.9:5070 SIP/2.0");
        CHECK(value_of(to_server.text, "Via")
                  .starts_with("SIP/2.0/UDP " + SipScene::text_of(call.external()) + ";branch="));
        CHECK(value_of(to_server.text, "From") == kAlice + ";tag=a");
        CHECK(value_of(to_server.text, "To") == kBob + ";tag=b");
        CHECK(value_of(to_server.text, "CSeq") == (way == Call::Way::out ? "5 BYE" : "1 BYE"));
        CHECK(value_of(to_server.text, "Call-ID") == "talk");
        // The proxies in the order of the way: a caller finds them in the answer the other way round.
        const bool out = way == Call::Way::out;
        CHECK(value_of(to_server.text, "Route") == (out ? "<sip:198.51.100.7;lr>, <sip:198.51.100.8;lr>"
                                                        : "<sip:198.51.100.8;lr>, <sip:198.51.100.7;lr>"));
        CHECK(to_server.destination == endpoint(out ? "198.51.100.7" : "198.51.100.8", 5060));

        // Both answers end here, and the call with them.
        CHECK(call.out(answer_to(to_phone.text, "200 OK")).empty());
        CHECK(call.card().step.state == CallState::ending);
        CHECK(call.in_from(to_server.destination, answer_to(to_server.text, "481 Gone")).empty());
        CHECK(call.card().step.state == CallState::ended);
        CHECK(call.card().step.reason == EndReason::by_operator);
        CHECK(call.lab.dropped(DropReason::drop_sip_own) == 2);
        CHECK(call.lab.count(WorkerCounter::sip_bye_sent) == 2);
        CHECK(call.lab.count(WorkerCounter::sip_bye_answered) == 2);
        // Sent again, an answer still ends here and counts no more.
        CHECK(call.out(answer_to(to_phone.text, "200 OK")).empty());
        CHECK(call.lab.count(WorkerCounter::sip_bye_answered) == 2);
        CHECK(call.lab.buffers_in_use() == 0);
      }
    }
  }
}

TEST_CASE("a BYE that nobody answers is sent again a few times", "[dataplane][sip][hangup]") {
  Call call(Call::Way::out);
  const auto first = call.hang_up();
  REQUIRE(first.size() == 2);
  CHECK(call.out(answer_to(first[0].text, "200 OK")).empty());
  std::size_t again = 0;
  for (unsigned second = 0; second < 60; ++second) {
    call.lab.pass_s(1);
    for (const auto& sent : call.run()) {
      ++again;
      CHECK(sent.text == first[1].text);
      CHECK(sent.destination == first[1].destination);
    }
  }
  CHECK(again == dataplane::HangUps::kTries);
  CHECK(call.lab.count(WorkerCounter::sip_bye_again) == again);
  // The worker's own backstop closes a call that nobody else does.
  CHECK(call.worker().calls.size() == 0);
  // A late answer ends here all the same: nobody else knows what it is about.
  CHECK(call.in_from(first[1].destination, answer_to(first[1].text, "200 OK")).empty());
}

TEST_CASE("an answer that was not asked for is nobody's own", "[dataplane][sip][hangup]") {
  Call call(Call::Way::out);
  const auto sent = call.hang_up();
  REQUIRE(sent.size() == 2);
  auto forged = answer_to(sent[0].text, "200 OK");
  const auto at = forged.find("branch=z9hG4bK") + 14 + 2 + 16;
  forged[at] = forged[at] == '0' ? '1' : '0';
  CHECK(call.out(forged).size() == 1);
  // The right one on the wrong side is none either.
  CHECK(call.in(answer_to(sent[0].text, "200 OK")).size() == 1);
  CHECK(call.lab.count(WorkerCounter::sip_bye_answered) == 0);
  // A BYE of a side crosses Pinhole's, and passes.
  CHECK(call.out("BYE sip:bob@192.0.2.9:5070 SIP/2.0\r\nVia: SIP/2.0/UDP " + SipScene::text_of(call.phone) +
                 ";branch=z9hG4bK9\r\nFrom: " + kAlice + ";tag=a\r\nTo: " + kBob +
                 ";tag=b\r\nCall-ID: talk\r\nCSeq: 5 BYE\r\nContent-Length: 0\r\n\r\n")
            .size() == 1);
  CHECK(call.card().step.reason == EndReason::by_operator);
}

TEST_CASE("who is named decides where a BYE goes, as far as that can be", "[dataplane][sip][hangup]") {
  struct Row {
    const char* name;
    std::string routes;
    std::string contact;
    nat::Endpoint to;
  };
  for (const auto& row : {Row{"the contact", "", "bob@192.0.2.9:5070", endpoint("192.0.2.9", 5070)},
                          Row{"a name", "", "bob@phone.example.com", endpoint("198.51.100.7", 5060)},
                          Row{"an inside address", "", "bob@10.9.9.9", endpoint("198.51.100.7", 5060)},
                          Row{"a proxy with a name", "Record-Route: <sip:p.example.com;lr>\r\n",
                              "bob@192.0.2.9", endpoint("198.51.100.7", 5060)}}) {
    DYNAMIC_SECTION(row.name) {
      Call call(Call::Way::out, 1, 0, row.routes, row.contact);
      const auto sent = call.hang_up();
      REQUIRE(sent.size() == 2);
      CHECK(sent[1].destination == row.to);
      // Whoever it was sent to is let in with the answer.
      CHECK(call.in_from(row.to, answer_to(sent[1].text, "200 OK")).empty());
      CHECK(call.lab.count(WorkerCounter::sip_bye_answered) == 1);
    }
  }
}

TEST_CASE("a side of which too little is known gets no BYE, and the other one does",
          "[dataplane][sip][hangup]") {
  Call call(Call::Way::out, 1, 0, "Record-Route: <sip:" + std::string(700, 'p') + ";lr>\r\n");
  const auto sent = call.hang_up();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].interface == kInside);
  CHECK(call.lab.count(WorkerCounter::sip_bye_impossible) == 1);
  CHECK(call.out(answer_to(sent[0].text, "200 OK")).empty());
  CHECK(call.card().step.state == CallState::ended);
}

TEST_CASE("a call that is not answered yet is only closed", "[dataplane][sip][hangup]") {
  SipScene scene;
  const Texts texts;
  const auto own = SipScene::text_of(scene.phone);
  REQUIRE(scene
              .out(texts.message("INVITE sip:bob@b.example SIP/2.0", texts.via(own), kAlice + ";tag=a", kBob,
                                 "4 INVITE", {}, "alice@" + own))
              .size() == 1);
  auto& worker = scene.lab.context(0);
  const auto card = card_of(worker);
  ask_to_hang_up(worker, card);
  scene.lab.pass_s(1);
  CHECK(scene.run().empty());
  CHECK(worker.calls.size() == 0);
  // A command for what is gone is stale.
  ask_to_hang_up(worker, card);
  scene.lab.pass_s(1);
  CHECK(scene.lab.count(WorkerCounter::command_done) == 1);
  CHECK(scene.lab.count(WorkerCounter::command_stale) == 1);
}

TEST_CASE("a call by TCP is hung up on its connection", "[dataplane][sip][stream][hangup]") {
  PipelineLab lab;
  lab.add_neighbor(kOutside, address("203.0.113.254"));
  const nat::Endpoint phone{lab.host_of(0), nat::Be16{5060}};
  const auto server = endpoint("198.51.100.7", 5060);
  TcpTalk talk(lab, {.interface = kInside, .self = phone, .peer = server},
               {.interface = kOutside, .self = server});
  const Texts texts{.transport = "TCP", .parameter = ";transport=tcp"};
  const auto own = SipScene::text_of(phone);
  talk.tell(talk.caller, texts.message("INVITE sip:bob@b.example SIP/2.0", texts.via(own), kAlice + ";tag=a",
                                       kBob, "4 INVITE", {}, "alice@" + own));
  auto answer = answer_to(talk.called.heard, "200 OK");
  answer.replace(answer.find(kBob + "\r\n"), kBob.size(), kBob + ";tag=b");
  answer.replace(answer.find("Content-Length"), 0, "Contact: <sip:bob@198.51.100.7;transport=tcp>\r\n");
  talk.tell(talk.called, answer);
  talk.called.heard.clear();
  talk.tell(talk.caller, texts.message("ACK sip:bob@198.51.100.7 SIP/2.0", texts.via(own, "2"),
                                       kAlice + ";tag=a", kBob + ";tag=b", "4 ACK", {}, "alice@" + own));
  talk.called.heard.clear();
  talk.caller.heard.clear();

  auto& worker = lab.context(0);
  ask_to_hang_up(worker, card_of(worker));
  lab.pass_s(1);
  talk.run();
  const auto external = SipScene::text_of(lab.mapping(nat::Protocol::tcp, phone).external);
  CHECK(first_line(talk.caller.heard) == "BYE sip:alice@" + own + ";transport=tcp SIP/2.0");
  CHECK(value_of(talk.caller.heard, "Via").starts_with("SIP/2.0/TCP 198.51.100.7:5060;branch="));
  CHECK(first_line(talk.called.heard) == "BYE sip:bob@198.51.100.7;transport=tcp SIP/2.0");
  CHECK(value_of(talk.called.heard, "Via").starts_with("SIP/2.0/TCP " + external + ";branch="));
  talk.acknowledge(talk.caller);
  talk.acknowledge(talk.called);
  const auto to_caller = answer_to(talk.caller.heard, "200 OK");
  const auto to_called = answer_to(talk.called.heard, "200 OK");
  talk.caller.heard.clear();
  talk.called.heard.clear();
  talk.tell(talk.caller, to_caller);
  talk.tell(talk.called, to_called);
  CHECK(talk.caller.heard.empty());
  CHECK(talk.called.heard.empty());
  CHECK(worker.calls.card(card_of(worker)).step.state == CallState::ended);
  CHECK(talk.caller.acknowledged == talk.caller.next);
  CHECK(talk.called.acknowledged == talk.called.next);
  CHECK(lab.count(WorkerCounter::sip_bye_answered) == 2);
  CHECK(lab.count(WorkerCounter::sip_bye_again) == 0);

  // The connection is as good as before.
  talk.tell(talk.caller, texts.message("OPTIONS sip:bob@b.example SIP/2.0", texts.via(own, "3"),
                                       kAlice + ";tag=c", kBob, "1 OPTIONS", {}, "alice@" + own));
  CHECK(first_line(talk.called.heard) == "OPTIONS sip:bob@b.example SIP/2.0");
  talk.close();
  CHECK(talk.called.saw_fin);
  CHECK(talk.caller.saw_fin);
  CHECK(lab.buffers_in_use() == 0);
}
