// SPDX-License-Identifier: BSD-3-Clause
// What control is told of messages, through the whole worker.
#include <catch2/catch.hpp>

#include <rte_ring_elem.h>

#include "dataplane/ipc/event.hpp"
#include "tests/dataplane/sip_scene.hpp"

using namespace pinhole;
using namespace pinhole::test;

namespace {

// All bytes of all events that wait for control, one after the other.
std::string take_events() {
  std::string all;
  ipc::Event event;
  while (rte_ring_dequeue_elem(rte_ring_lookup("pinhole_event_0"), &event, sizeof event) == 0)
    all.append(reinterpret_cast<const char*>(&event), sizeof event);
  return all;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the keys of media are told to nobody, whatever becomes of the message",
          "[dataplane][why][rfc4568][AC-25]") {
  struct Case {
    const char* name;
    bool is_whole;
  };
  const auto row = GENERATE(Case{"translated", true}, Case{"cannot be read and is dropped", false});
  CAPTURE(row.name);
  auto config = lab_config(1);
  config.sip.why = true;
  config.sip.malformed = alg::sip::Malformed::drop;
  SipScene scene(config);
  const auto own = SipScene::text_of(scene.phone);
  const std::string host(nat::EndpointText(scene.phone.address).view());
  const std::string key = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
  const std::string body =
      "v=0\r\no=- 1 1 IN IP4 " + host + "\r\ns=-\r\nc=IN IP4 " + host +
      "\r\nt=0 0\r\nm=audio 40000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + key +
      "|2^20|1:32\r\nk=clear:" + key + "\r\n";
  const auto length = std::to_string(body.size() + (row.is_whole ? 0 : 1));
  const auto sent =
      scene.out("INVITE sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/UDP " + own +
                ";branch=z9hG4bK1\r\nFrom: <sip:alice@a.example>;tag=a\r\nTo: <sip:bob@b.example>\r\n"
                "Call-ID: talk\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@" +
                own + ">\r\nContent-Type: application/sdp\r\nContent-Length: " + length + "\r\n\r\n" + body);
  REQUIRE(sent.size() == (row.is_whole ? 1 : 0));
  if (row.is_whole) CHECK(holds(sent[0].text, "inline:" + key + "|2^20|1:32\r\nk=clear:" + key));
  const auto told = take_events();
  CHECK(holds(told, row.is_whole ? own : "INVITE sip:bob@b.example"));  // somebody is told of the message
  CHECK_FALSE(holds(told, key));
}
