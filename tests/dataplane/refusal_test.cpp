// SPDX-License-Identifier: BSD-3-Clause
// Requests that the policy refuses, seen on the wire: who sent one gets an answer in the name of who it was
// for, and that one never hears of it.
#include <catch2/catch.hpp>

#include "tests/dataplane/sip_scene.hpp"
#include "tests/dataplane/tcp_talk.hpp"

using namespace pinhole;
using namespace pinhole::test;
using alg::sip::Method;
using dataplane::WorkerCounter;
using nat::DropReason;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;

/// \param to  with its tag, if it has one
std::string request(const std::string& method, const std::string& via, const std::string& to = "<sip:b@c>") {
  return method + " sip:b@198.51.100.7 SIP/2.0\r\nVia: " + via +
         ";branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: " + to +
         "\r\nCall-ID: refused\r\nCSeq: 3 " + method + "\r\nContent-Length: 0\r\n\r\n";
}

}  // namespace

TEST_CASE("a refused request by UDP is answered where it came from, in the name of who it was for",
          "[dataplane][sip][refusal]") {
  for (const unsigned owner : {0U, 1U}) {
    DYNAMIC_SECTION("worker " << owner) {
      SipScene scene(2, owner);
      RefusingScreen screen(scene.lab.context(owner));
      const auto own = SipScene::text_of(scene.phone);
      CHECK(scene.out(request("OPTIONS", "SIP/2.0/UDP " + own)).size() == 1);
      screen.refused = Method::invite;

      SECTION("from inside") {
        const auto sent = scene.out(request("INVITE", "SIP/2.0/UDP " + own + ";rport"));
        REQUIRE(sent.size() == 1);
        CHECK(sent[0].interface == kInside);
        CHECK(sent[0].source == scene.server);
        CHECK(sent[0].destination == scene.phone);
        CHECK(first_line(sent[0].text) == "SIP/2.0 503 Service Unavailable");
        CHECK(value_of(sent[0].text, "Retry-After") == "7");
        CHECK(value_of(sent[0].text, "Via") ==
              "SIP/2.0/UDP " + own + ";rport=5060;branch=z9hG4bK1;received=" +
                  std::string(nat::EndpointText(scene.phone.address).view()));
      }
      SECTION("from outside") {
        const auto sent = scene.in(request("INVITE", "SIP/2.0/UDP 198.51.100.7:5999"));
        REQUIRE(sent.size() == 1);
        CHECK(sent[0].interface == kOutside);
        CHECK(sent[0].source == scene.external());
        CHECK(sent[0].destination == endpoint("198.51.100.7", 5999));
        CHECK(value_of(sent[0].text, "Via") == "SIP/2.0/UDP 198.51.100.7:5999;branch=z9hG4bK1");
      }
      CHECK(scene.lab.count(WorkerCounter::sip_refused) == 1);
      CHECK(scene.lab.dropped(DropReason::drop_sip_refused) == 1);
      CHECK(scene.lab.context(owner).calls.size() == 0);
      CHECK(scene.lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("the ACK of a refused INVITE ends here, and that of another goes on", "[dataplane][sip][refusal]") {
  SipScene scene;
  RefusingScreen screen(scene.lab.context(0));
  screen.refused = Method::invite;
  const auto via = "SIP/2.0/UDP " + SipScene::text_of(scene.phone);
  const auto first = scene.out(request("INVITE", via));
  REQUIRE(first.size() == 1);
  const auto to = value_of(first[0].text, "To");
  CHECK(to.starts_with("<sip:b@c>;tag="));
  // Sent again, it gets the same answer.
  const auto again = scene.out(request("INVITE", via));
  REQUIRE(again.size() == 1);
  CHECK(again[0].text == first[0].text);

  screen.refused = Method::other;
  CHECK(scene.out(request("ACK", via, to)).empty());
  CHECK(scene.lab.dropped(DropReason::drop_sip_own) == 1);
  auto forged = to;
  forged.back() = forged.back() == '0' ? '1' : '0';
  CHECK(scene.out(request("ACK", via, forged)).size() == 1);
  CHECK(scene.out(request("ACK", via, "<sip:b@c>;tag=ph")).size() == 1);
  CHECK(scene.out(request("ACK", via)).size() == 1);
  CHECK(scene.lab.dropped(DropReason::drop_sip_own) == 1);
}

TEST_CASE("what cannot be answered is only dropped", "[dataplane][sip][refusal]") {
  SipScene scene;
  RefusingScreen screen(scene.lab.context(0));
  screen.refused = Method::ack;
  CHECK(scene.out(request("ACK", "SIP/2.0/UDP 10.0.0.5")).empty());
  screen.refused = Method::invite;
  CHECK(scene.out(request("INVITE", "nonsense")).empty());
  CHECK(scene.out(request("INVITE", "SIP/2.0/UDP 10.0.0.5;x=" + std::string(1780, 'x'))).empty());
  CHECK(scene.lab.count(WorkerCounter::sip_refused) == 0);
  CHECK(scene.lab.dropped(DropReason::drop_sip_refused) == 3);
  CHECK(scene.lab.buffers_in_use() == 0);
}

TEST_CASE("so many refusals a second and no more", "[dataplane][sip][refusal]") {
  SipScene scene;
  RefusingScreen screen(scene.lab.context(0));
  screen.refused = Method::invite;
  const auto text = request("INVITE", "SIP/2.0/UDP " + SipScene::text_of(scene.phone));
  std::size_t sent = 0;
  // All of them in one turn, whose time stands.
  constexpr unsigned kRequests = 3 * dataplane::OwnMessages::kRefusalBurst;
  for (unsigned i = 0; i < kRequests; ++i) {
    FrameSpec spec{.source = scene.phone, .destination = scene.server};
    spec.payload.resize(text.size());
    std::memcpy(spec.payload.data(), text.data(), text.size());
    scene.lab.receive(kInside, spec);
  }
  sent = scene.run().size();
  CHECK(sent >= dataplane::OwnMessages::kRefusalBurst);
  CHECK(sent < kRequests);
  CHECK(scene.lab.count(WorkerCounter::sip_refused) == sent);
  CHECK(scene.lab.dropped(DropReason::drop_sip_refused) == kRequests);
}

TEST_CASE("a refused request by TCP is answered on its connection, which goes on",
          "[dataplane][sip][stream][refusal]") {
  PipelineLab lab;
  lab.add_neighbor(kOutside, address("203.0.113.254"));
  RefusingScreen screen(lab.context(0));
  const nat::Endpoint phone{lab.host_of(0), nat::Be16{5060}};
  const auto server = endpoint("198.51.100.7", 5060);
  TcpTalk talk(lab, {.interface = kInside, .self = phone, .peer = server},
               {.interface = kOutside, .self = server});
  const auto via = "SIP/2.0/TCP " + SipScene::text_of(phone);
  screen.refused = Method::invite;
  talk.tell(talk.caller, request("INVITE", via));
  CHECK(talk.called.heard.empty());
  CHECK(first_line(talk.caller.heard) == "SIP/2.0 503 Service Unavailable");
  CHECK(value_of(talk.caller.heard, "Via") == via + ";branch=z9hG4bK1");
  CHECK(talk.caller.acknowledged == talk.caller.next);
  talk.acknowledge(talk.caller);

  // The ACK ends here; what follows arrives, either way.
  talk.tell(talk.caller, request("ACK", via, value_of(talk.caller.heard, "To")));
  CHECK(talk.called.heard.empty());
  talk.caller.heard.clear();
  talk.tell(talk.caller, request("OPTIONS", via));
  CHECK(first_line(talk.called.heard) == "OPTIONS sip:b@198.51.100.7 SIP/2.0");
  const auto answer = answer_to(talk.called.heard, "200 OK");
  talk.tell(talk.called, answer);
  CHECK(first_line(talk.caller.heard) == "SIP/2.0 200 OK");
  CHECK(talk.called.acknowledged == talk.called.next);

  // From outside: the answer goes out.
  talk.called.heard.clear();
  talk.caller.heard.clear();
  talk.tell(talk.called, request("INVITE", "SIP/2.0/TCP 198.51.100.7"));
  CHECK(talk.caller.heard.empty());
  CHECK(first_line(talk.called.heard) == "SIP/2.0 503 Service Unavailable");
  talk.acknowledge(talk.called);
  talk.close();
  CHECK(talk.caller.saw_fin);
  CHECK(talk.called.saw_fin);
  CHECK(lab.count(WorkerCounter::sip_refused) == 2);
  lab.pass_s(10);  // it may still be asked for its last bytes until then
  const auto& chunks = lab.context(0).streams.chunks(dataplane::kSipOwner);
  CHECK(chunks.free() == chunks.size());
  CHECK(lab.buffers_in_use() == 0);
}
