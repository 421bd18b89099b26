// SPDX-License-Identifier: BSD-3-Clause
// Calls with networks that are numbered like the inside, through the real pipeline: what the other side has
// said of itself goes back to it as it was, also where a host inside has the same address.
#include <catch2/catch.hpp>

#include <string>
#include <utility>

#include "tests/dataplane/sip_scene.hpp"

using namespace pinhole;
using namespace pinhole::test;

namespace {

class Alike : public SipScene {
 public:
  Alike() {
    namesake = {lab.host_of(0, 1), nat::Be16{5060}};
    const auto phone_of_test = phone;
    phone = namesake;
    REQUIRE(out(message("OPTIONS sip:example.com", "OPTIONS", "", "", "hello")).size() == 1);
    phone = phone_of_test;
    REQUIRE(out(message("OPTIONS sip:example.com", "OPTIONS", "", "", "hello")).size() == 1);
  }

  /// \param headers  and a Content-Length
  static std::string message(const std::string& start, const std::string& method, const std::string& to_tag,
                             const std::string& headers, const std::string& call_id = "alike") {
    const bool is_response = start.starts_with("SIP/2.0");
    return start + (is_response ? "" : " SIP/2.0") + "\r\nVia: SIP/2.0/UDP proxy.example.com;branch=z9hG4bK" +
           method + "\r\nFrom: <sip:a@example.com>;tag=a\r\nTo: <sip:b@example.com>" +
           (to_tag.empty() ? "" : ";tag=" + to_tag) + "\r\nCall-ID: " + call_id + "\r\nCSeq: 1 " + method +
           "\r\n" + headers + "Content-Length: 0\r\n\r\n";
  }
  static std::string contact(nat::Endpoint endpoint) {
    return "Contact: <sip:x@" + text_of(endpoint) + ">\r\n";
  }
  static std::string route(const char* name, nat::Endpoint endpoint) {
    return std::string(name) + ": <sip:" + text_of(endpoint) + ";lr>\r\n";
  }
  nat::Endpoint external_namesake() { return lab.mapping(nat::Protocol::udp, namesake).external; }

  nat::Endpoint namesake;  // who is inside, and has an address that somebody outside has as well
};

}  // namespace

TEST_CASE("what a caller outside has said of himself comes back to him as it was",
          "[dataplane][sip][AC-02][rfc3261]") {
  Alike scene;
  const auto his = scene.namesake;
  const auto record_route = Alike::route("Record-Route", his);
  const auto heard = scene.in(Alike::message("INVITE sip:a@" + SipScene::text_of(scene.external()), "INVITE",
                                             "", record_route + Alike::contact(his)));
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].text.find(record_route + Alike::contact(his)) != std::string::npos);
  const auto answer =
      scene.out(Alike::message("SIP/2.0 200 OK", "INVITE", "b", record_route + Alike::contact(scene.phone)));
  REQUIRE(answer.size() == 1);
  CHECK(answer[0].text.find(record_route + Alike::contact(scene.external())) != std::string::npos);
  REQUIRE(
      scene.in(Alike::message("ACK sip:a@" + SipScene::text_of(scene.external()), "ACK", "b", "")).size() ==
      1);
  const auto bye = "BYE sip:x@" + SipScene::text_of(his);
  auto text = Alike::message(bye, "BYE", "a", Alike::route("Route", his));
  text.replace(text.find("tag=a"), 5, "tag=b");
  const auto sent = scene.out(text);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].text == text);
}

TEST_CASE("what a callee outside has said of himself comes back to him as it was",
          "[dataplane][sip][AC-02][rfc3261]") {
  Alike scene;
  const bool is_inside = GENERATE(false, true);  // the callee, who is known outside as what stands for him
  const auto callee = is_inside ? scene.external_namesake() : scene.namesake;
  REQUIRE(scene.out(Alike::message("INVITE sip:b@example.com", "INVITE", "", Alike::contact(scene.phone)))
              .size() == 1);
  const auto heard = scene.in(Alike::message("SIP/2.0 200 OK", "INVITE", "b",
                                             Alike::route("Record-Route", callee) + Alike::contact(callee)));
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].text.find(Alike::route("Record-Route", scene.namesake) + Alike::contact(scene.namesake)) !=
        std::string::npos);
  for (const std::string method : {"ACK", "BYE"}) {
    const auto say = [&](nat::Endpoint to) {
      return Alike::message(method + " sip:x@" + SipScene::text_of(to), method, "b",
                            Alike::route("Route", to));
    };
    const auto sent = scene.out(say(scene.namesake));
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].text == say(callee));
  }
}

TEST_CASE("what the other side of one call is called says nothing of another call",
          "[dataplane][sip][AC-02][rfc3261]") {
  Alike scene;
  const auto say = [&](const std::string& call_id, nat::Endpoint to) {
    return Alike::message("ACK sip:x@" + SipScene::text_of(to), "ACK", "b", "", call_id);
  };
  for (const auto& [call_id, callee] :
       {std::pair{"alike", scene.namesake}, std::pair{"second", scene.server}}) {
    const auto invite =
        Alike::message("INVITE sip:b@example.com", "INVITE", "", Alike::contact(scene.phone), call_id);
    REQUIRE(scene.out(invite).size() == 1);
    const auto ok = Alike::message("SIP/2.0 200 OK", "INVITE", "b", Alike::contact(callee), call_id);
    REQUIRE(scene.in(ok).size() == 1);
  }
  for (int again = 0; again < 2; ++again) {
    CHECK(scene.out(say("alike", scene.namesake)).at(0).text == say("alike", scene.namesake));
    CHECK(scene.out(say("second", scene.namesake)).at(0).text == say("second", scene.external_namesake()));
  }
}

TEST_CASE("a proxy inside passes on what a caller outside has said of himself",
          "[dataplane][sip][AC-02][AC-23][rfc3261]") {
  Alike scene;
  const auto his = Alike::route("Record-Route", scene.namesake) + Alike::contact(scene.namesake);
  auto text = Alike::message("INVITE sip:b@example.com", "INVITE", "", his);
  text.insert(text.find("From: "), "Via: SIP/2.0/UDP " + SipScene::text_of(scene.namesake) +
                                       ";received=192.0.2.77;rport=40001;branch=z9hG4bKhis\r\n");
  const auto stranger = endpoint("198.51.100.66", 5060);
  const auto sent = scene.out_to(stranger, text);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].text == text);
  const auto options = Alike::message("OPTIONS sip:x@" + SipScene::text_of(scene.external_namesake()),
                                      "OPTIONS", "", "", "stranger");
  CHECK(
      scene.pass(SipScene::kOutside, {.source = stranger, .destination = scene.external_namesake()}, options)
          .empty());
}
