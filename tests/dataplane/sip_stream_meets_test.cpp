// SPDX-License-Identifier: BSD-3-Clause
// SIP over TCP where more than one connection of one worker matters: messages that wait for another worker,
// phones inside that speak with each other, and calls that come in by a connection of their own.
#include <catch2/catch.hpp>

#include <string>

#include "dataplane/context.hpp"
#include "tests/dataplane/tcp_talk.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::DropReason;
using nat::Endpoint;
using nat::Protocol;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
const Endpoint kProxy = endpoint("198.51.100.7", 5060);

std::string text_of(Endpoint endpoint) {
  return std::string(nat::EndpointText(endpoint).view());
}

/// A request or response between a phone and its proxy. \param phone   as the reader knows it
/// \param method  of a response
std::string message(const std::string& start, Endpoint phone, const std::string& more = {},
                    const std::string& body = {}, const std::string& method = {}) {
  return start + "\r\nVia: SIP/2.0/TCP " + text_of(phone) +
         ";branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=1\r\n"
         "To: <sip:b@example.com>;tag=2\r\nCall-ID: meets\r\nCSeq: 1 " +
         (method.empty() ? start.substr(0, start.find(' ')) : method) + "\r\n" + more +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// What the proxy asks of a phone; it names two hosts. \param phone  and `other` as the reader knows them
std::string refer(Endpoint phone, Endpoint other) {
  return "REFER sip:a@" + text_of(phone) +
         ";transport=tcp SIP/2.0\r\nVia: SIP/2.0/TCP proxy.example.com;branch=z9hG4bK2\r\nMax-Forwards: "
         "70\r\n"
         "From: <sip:b@example.com>;tag=2\r\nTo: <sip:a@example.com>;tag=1\r\nCall-ID: meets\r\n"
         "CSeq: 2 REFER\r\nRefer-To: <sip:c@" +
         text_of(other) + ";transport=tcp>\r\nContent-Length: 0\r\n\r\n";
}

TcpEnd phone_at(Endpoint self, Endpoint peer) {
  return {.interface = kInside, .self = self, .peer = peer};
}
TcpEnd proxy_at(Endpoint self) {
  return {.interface = kOutside, .self = self};
}

/// Two workers with a phone each, and their connections with the proxy.
struct Scene {
  explicit Scene(const config::Config& config = lab_config(2)) : lab(config) {
    lab.add_neighbor(kOutside, address("203.0.113.254"));
  }
  [[nodiscard]] Endpoint external(Endpoint inside) { return lab.mapping(Protocol::tcp, inside).external; }

  PipelineLab lab;
  Endpoint alice_at{lab.host_of(0), Be16{5060}};
  Endpoint bob_at{lab.host_of(1), Be16{5060}};
  TcpTalk alice{lab, phone_at(alice_at, kProxy), proxy_at(kProxy)};
  TcpTalk bob{lab, phone_at(bob_at, kProxy), proxy_at(kProxy)};
};

}  // namespace

TEST_CASE("a message over TCP waits for the worker of a host that it names, and what follows waits with it",
          "[dataplane][sip][stream][AC-07]") {
  const auto stands = GENERATE(false, true);  // the other worker, until all has come
  INFO("the other worker " << (stands ? "stands" : "turns"));
  const std::string alive = "\r\n\r\n";
  SECTION("inbound") {
    // What alice may not name herself she is not told of, either: she would send it back as it is.
    const auto own_host = GENERATE(false, true);
    CAPTURE(own_host);
    auto config = lab_config(2);
    config.sip.tcp_own_host = own_host;
    Scene scene(config);
    auto& talk = scene.alice;
    const auto alice = scene.external(scene.alice_at);
    const auto first = refer(alice, scene.external(scene.bob_at));
    const auto second = message("OPTIONS sip:a@" + text_of(alice) + ";transport=tcp SIP/2.0", kProxy);
    scene.lab.stand(1, stands);
    talk.say(talk.called, first + second);
    if (stands) talk.run();
    talk.say(talk.called, alive + second);
    if (stands) {
      talk.run();
      CHECK(talk.caller.heard.empty());
      CHECK(talk.called.acknowledged == talk.called.next - first.size() - 2 * second.size() - alive.size());
      // The other way goes on, and what is sent again is not read again.
      talk.tell(talk.caller, alive);
      CHECK(talk.called.heard == alive);
      talk.say_again(talk.called, first + second + alive + second);
      talk.run();
      scene.lab.stand(1, false);
    }
    talk.run();
    talk.acknowledge(talk.caller);
    const auto second_inside =
        message("OPTIONS sip:a@" + text_of(scene.alice_at) + ";transport=tcp SIP/2.0", kProxy);
    const auto bob = own_host ? scene.external(scene.bob_at) : scene.bob_at;
    CHECK(talk.caller.heard == refer(scene.alice_at, bob) + second_inside + alive + second_inside);
    CHECK(talk.called.acknowledged == talk.called.next);
    CHECK(scene.lab.count(WorkerCounter::parked) == 1);
    CHECK(scene.lab.drops().empty());
    CHECK(scene.lab.buffers_in_use() == 0);
  }
  SECTION("outbound, where a connection may speak for other hosts") {
    auto config = lab_config(2);
    config.sip.tcp_own_host = false;
    Scene scene(config);
    auto& talk = scene.alice;
    const auto named = [&](Endpoint alice, Endpoint bob) {
      return message("OPTIONS sip:x@example.com SIP/2.0", alice,
                     "Record-Route: <sip:" + text_of(bob) + ";transport=tcp;lr>\r\n");
    };
    const Endpoint bob{scene.bob_at.address, Be16{5070}};  // nobody has sent from there yet
    scene.lab.stand(1, stands);
    talk.say(talk.caller, named(scene.alice_at, bob));
    talk.say(talk.caller, named(scene.alice_at, bob) + alive);
    talk.run();
    CHECK(talk.called.heard.empty() == stands);
    scene.lab.stand(1, false);
    talk.run();
    talk.acknowledge(talk.called);
    const auto outside = named(scene.external(scene.alice_at), scene.external(bob));
    CHECK(talk.called.heard == outside + outside + alive);
    CHECK(talk.caller.acknowledged == talk.caller.next);
    CHECK(scene.lab.count(WorkerCounter::parked) == 1);
    CHECK(scene.lab.drops().empty());
    CHECK(scene.lab.buffers_in_use() == 0);
  }
}

TEST_CASE("a message over TCP that waits in vain is left out, and what follows goes on",
          "[dataplane][sip][stream][AC-07]") {
  Scene scene;
  auto& talk = scene.alice;
  const auto alice = scene.external(scene.alice_at);
  scene.lab.stand(1, true);
  talk.say(talk.called, refer(alice, scene.external(scene.bob_at)));
  talk.say(talk.called, message("OPTIONS sip:a@" + text_of(alice) + ";transport=tcp SIP/2.0", kProxy));
  talk.run();
  CHECK(talk.caller.heard.empty());
  scene.lab.pass_s(3);
  talk.run();
  talk.acknowledge(talk.caller);
  CHECK(talk.caller.heard ==
        message("OPTIONS sip:a@" + text_of(scene.alice_at) + ";transport=tcp SIP/2.0", kProxy));
  CHECK(talk.called.acknowledged == talk.called.next);
  CHECK(scene.lab.dropped(DropReason::drop_sip_parked_timeout) == 1);
  // The answer that comes after all is nobody's.
  scene.lab.stand(1, false);
  talk.run();
  talk.tell(talk.called, "\r\n\r\n");
  CHECK(talk.called.acknowledged == talk.called.next);
  CHECK(scene.lab.buffers_in_use() == 0);
}

TEST_CASE("a connection that ends while a message of it waits is forgotten when the answer comes",
          "[dataplane][sip][stream]") {
  Scene scene;
  auto& talk = scene.alice;
  const auto first = refer(scene.external(scene.alice_at), scene.external(scene.bob_at));
  scene.lab.stand(1, true);
  talk.say(talk.called, first);
  talk.run();
  talk.say(talk.called, "", nat::TcpHeader::kRst | nat::TcpHeader::kAck);
  talk.run();
  CHECK(talk.caller.saw_reset);
  CHECK(scene.lab.context(0).streams.size() == 1);
  scene.lab.stand(1, false);
  talk.run();
  scene.lab.pass_s(600);
  CHECK(scene.lab.context(0).streams.size() == 0);
  const auto& chunks = scene.lab.context(0).streams.chunks(dataplane::kSipOwner);
  CHECK(chunks.free() == chunks.size());
  CHECK(scene.lab.buffers_in_use() == 0);
}

namespace {

std::string description(Endpoint media) {
  return "v=0\r\nc=IN IP4 " + std::string(nat::EndpointText(media.address).view()) + "\r\nm=audio " +
         std::to_string(media.port.host()) + " RTP/AVP 0\r\n";
}

/// \param caller  and `called` and `media` as the reader knows them
std::string invite(Endpoint caller, Endpoint called, Endpoint media) {
  return message(
      "INVITE sip:b@" + text_of(called) + ";transport=tcp SIP/2.0", caller,
      "Contact: <sip:a@" + text_of(caller) + ";transport=tcp>\r\n" + "Content-Type: application/sdp\r\n",
      description(media));
}
std::string answer(Endpoint caller, Endpoint called, Endpoint media) {
  return message(
      "SIP/2.0 200 OK", caller,
      "Contact: <sip:b@" + text_of(called) + ";transport=tcp>\r\n" + "Content-Type: application/sdp\r\n",
      description(media), "INVITE");
}

}  // namespace

TEST_CASE("a phone inside calls another over TCP by its external endpoint, and media hairpins",
          "[dataplane][sip][stream][hairpin][rfc5382-req8][AC-07]") {
  for (const unsigned owner : {0U, 1U}) {
    DYNAMIC_SECTION("from a host of worker 0 to one of worker " << owner) {
      auto config = lab_config(2);
      config.nat.filtering.tcp = nat::Filter::endpoint_independent;
      Scene scene(config);
      auto& lab = scene.lab;
      const Endpoint bob{lab.host_of(owner, 5), Be16{5060}};
      TcpTalk registered(lab, phone_at(bob, kProxy), proxy_at(kProxy));
      const Endpoint bob_outside = scene.external(bob);
      const Endpoint alice = scene.alice_at;
      const Endpoint alice_media{alice.address, Be16{40010}};
      const Endpoint bob_media{bob.address, Be16{40020}};
      TcpTalk talk(lab, phone_at(alice, bob_outside), {.interface = kInside, .self = bob});
      REQUIRE(talk.open);
      const Endpoint alice_outside = scene.external(alice);
      CHECK(talk.called.peer == alice_outside);

      const auto media_outside = [&lab](Endpoint media) {
        return lab.mapping(Protocol::udp, media).external;
      };
      talk.tell(talk.caller, invite(alice, bob_outside, alice_media));
      // On the way in each end has its own endpoint back. Over TCP it may not name that of the other one.
      CHECK(talk.called.heard == invite(alice_outside, bob, media_outside(alice_media)));
      talk.tell(talk.called, answer(alice_outside, bob, bob_media));
      CHECK(talk.caller.heard == answer(alice, bob_outside, media_outside(bob_media)));
      for (const auto* const end : {&talk.caller, &talk.called}) CHECK(end->acknowledged == end->next);
      CHECK(lab.drops().empty());
      CHECK(lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("a registered phone is called over TCP by a connection of its own for as long as was granted",
          "[dataplane][sip][stream][AC-01][AC-17]") {
  struct Row {
    const char* contact;
    std::uint16_t from;     // where the phone's connection comes from
    std::uint16_t listens;  // where it wants to be called
  };
  for (const auto& row : {Row{"the port that it registers from", 5060, 5060},
                          {"another port, as phones have it", 49152, 5060},
                          {"a port that no SIP is looked for on", 49152, 40555}}) {
    DYNAMIC_SECTION(row.contact) {
      PipelineLab lab(lab_config(2));
      lab.add_neighbor(kOutside, address("203.0.113.254"));
      const Endpoint from{lab.host_of(1), Be16{row.from}};
      const Endpoint listens{from.address, Be16{row.listens}};
      TcpTalk talk(lab, phone_at(from, kProxy), proxy_at(kProxy));
      const auto contact = [](Endpoint at) {
        return "Contact: <sip:b@" + text_of(at) + ";transport=tcp>;expires=3600\r\n";
      };
      talk.tell(talk.caller, message("REGISTER sip:example.com SIP/2.0", from, contact(listens)));
      const auto outside = [&lab](Endpoint inside) { return lab.mapping(Protocol::tcp, inside).external; };
      CHECK(talk.called.heard ==
            message("REGISTER sip:example.com SIP/2.0", outside(from), contact(outside(listens))));
      talk.tell(talk.called,
                message("SIP/2.0 200 OK", outside(from), contact(outside(listens)), "", "REGISTER"));
      talk.close();
      CHECK(talk.caller.saw_fin);

      lab.pass_s(3000);
      const TcpEnd proxy{
          .interface = kOutside, .self = {kProxy.address, Be16{33333}}, .peer = outside(listens)};
      const TcpEnd phone{.interface = kInside, .self = listens};
      TcpTalk call(lab, proxy, phone);
      REQUIRE(call.open);
      const Endpoint media = endpoint("198.51.100.7", 30000);
      call.tell(call.caller, invite(proxy.self, outside(listens), media));
      CHECK(call.called.heard == invite(proxy.self, listens, media));
      const Endpoint phone_media{from.address, Be16{40020}};
      call.tell(call.called, answer(proxy.self, listens, phone_media));
      CHECK(call.caller.heard ==
            answer(proxy.self, outside(listens), lab.mapping(Protocol::udp, phone_media).external));
      call.tell(call.caller,
                message("BYE sip:b@" + text_of(proxy.peer) + ";transport=tcp SIP/2.0", proxy.self));
      call.tell(call.called, message("SIP/2.0 200 OK", proxy.self, "", "", "BYE"));
      CHECK(lab.drops().empty());

      // Whoever is not the registrar is not let in, and nobody is when the time is up.
      const TcpEnd stranger{
          .interface = kOutside, .self = endpoint("198.51.100.8", 5060), .peer = proxy.peer};
      CHECK_FALSE(TcpTalk(lab, stranger, phone).open);
      call.close();
      lab.pass_s(1200);
      CHECK_FALSE(TcpTalk(lab, proxy, phone).open);
      CHECK(lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("what a phone tells of its dialogs over TCP leads to it, and comes back as it was",
          "[dataplane][sip][stream][AC-02][rfc4235]") {
  struct Row {
    const char* name;
    const char* contact;  // parameters of its Contact; none stand in dialog-info
    Protocol listens;
  };
  const auto row = GENERATE(Row{"listens by TCP", ";transport=tcp", Protocol::tcp},
                            Row{"leaves its transport out", "", Protocol::udp});
  const unsigned owner = GENERATE(0U, 1U);
  DYNAMIC_SECTION("the phone of worker " << owner << ' ' << row.name) {
    PipelineLab lab(lab_config(2));
    lab.add_neighbor(kOutside, address("203.0.113.254"));
    const Endpoint from{lab.host_of(owner), Be16{49152}};
    const Endpoint listens{from.address, Be16{5060}};
    TcpTalk talk(lab, phone_at(from, kProxy), proxy_at(kProxy));
    const auto uri = [](Endpoint at) { return "sip:b@" + text_of(at); };
    const auto notify = [&](const std::string& to, Endpoint sender, Endpoint named,
                            const std::string& contact) {
      return message("NOTIFY " + to + " SIP/2.0", sender,
                     contact + "Content-Type: application/dialog-info+xml\r\n",
                     "<target uri=\"" + uri(named) + "\"/>");
    };
    const auto contact = [&](Endpoint at) { return "Contact: <" + uri(at) + row.contact + ">\r\n"; };
    talk.tell(talk.caller, notify("sip:c@example.com", from, listens, contact(listens)));
    const auto outside = lab.mapping(row.listens, listens).external;
    CHECK(talk.called.heard ==
          notify("sip:c@example.com", lab.mapping(Protocol::tcp, from).external, outside, contact(outside)));
    talk.tell(talk.called, notify(uri(outside) + row.contact, kProxy, outside, ""));
    CHECK(talk.caller.heard == notify(uri(listens) + row.contact, kProxy, listens, ""));
  }
}
