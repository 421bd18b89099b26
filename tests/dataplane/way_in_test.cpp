// SPDX-License-Identifier: BSD-3-Clause
// Who gets in to whom, long after the last packet of that flow: requests of calls, subscriptions and
// registrations, to where the host inside said that they are to come.
#include <algorithm>
#include <catch2/catch.hpp>

#include "dataplane/targets.hpp"
#include "tests/dataplane/sip_scene.hpp"
#include "tests/dataplane/tcp_talk.hpp"

using namespace pinhole;
using namespace pinhole::test;
using nat::Be16;
using nat::Endpoint;
using nat::Protocol;

namespace {

constexpr unsigned kInside = SipScene::kInside;
constexpr unsigned kOutside = SipScene::kOutside;

std::string text_of(Endpoint endpoint) {
  return SipScene::text_of(endpoint);
}
std::string contact(Endpoint endpoint) {
  return "Contact: <sip:a@" + text_of(endpoint) + ">\r\n";
}
std::string route(const char* name, Endpoint proxy) {
  return std::string(name) + ": <sip:" + text_of(proxy) + ";lr>\r\n";
}

std::string with_body(const std::string& head, Endpoint media) {
  if (media.address.is_unspecified()) return head + "Content-Length: 0\r\n\r\n";
  const auto address = std::string(nat::EndpointText(media.address).view());
  const std::string body = "v=0\r\no=- 1 1 IN IP4 " + address + "\r\ns=-\r\nc=IN IP4 " + address +
                           "\r\nt=0 0\r\nm=audio " + std::to_string(media.port.host()) + " RTP/AVP 0\r\n";
  return head + "Content-Type: application/sdp\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

/// \param from  tag of the sender; empty: the caller's, to nobody's yet
std::string request(const std::string& method, Endpoint to, Endpoint via, const std::string& headers,
                    Endpoint media = {}, const std::string& from = "", const char* transport = "UDP") {
  const std::string own = from.empty() ? "1" : from;
  const std::string other = from.empty() ? "" : own == "1" ? ";tag=2" : ";tag=1";
  return with_body(method + " sip:a@" + text_of(to) + " SIP/2.0\r\nVia: SIP/2.0/" + transport + " " +
                       text_of(via) + ";rport;branch=z9hG4bK" + method + "\r\nFrom: <sip:" + own +
                       "@example.com>;tag=" + own + "\r\nTo: <sip:x@example.com>" + other +
                       "\r\nCall-ID: long@example.com\r\nCSeq: 1 " + method + "\r\n" + headers,
                   media);
}

/// The answer to a request that came, with what its receiver says of itself.
std::string answer(const std::string& request, const std::string& status, const std::string& headers,
                   Endpoint media = {}) {
  auto text = answer_to(request, status);
  text.erase(text.rfind("Content-Length"));
  for (const auto& record_route : values_of(request, "Record-Route"))
    text += "Record-Route: " + record_route + "\r\n";
  const auto tag = text.find("\r\n", text.find("\r\nTo: ") + 2);
  if (text.find(";tag=2") == std::string::npos) text.insert(tag, ";tag=2");
  return with_body(text + headers, media);
}

/// Media passes both ways, and nothing else does.
void talk_for_min(SipScene& scene, unsigned minutes, Endpoint phone, Endpoint peer) {
  const std::string packet(172, '\x80');
  const auto external = scene.lab.mapping(Protocol::udp, phone).external;
  for (unsigned i = 0; i < 4 * minutes; ++i) {
    scene.lab.pass_s(15);
    REQUIRE(scene.pass(kInside, {.source = phone, .destination = peer}, packet).size() == 1);
    REQUIRE(scene.pass(kOutside, {.source = peer, .destination = external}, packet).size() == 1);
  }
}

/// A host that speaks from one endpoint, and is spoken to at another.
struct Listener {
  const char* name;
  unsigned workers = 1;
  std::uint16_t port = 5060;  // that it speaks from
  bool is_proxy = false;      // the other endpoint is that of a phone behind it
  unsigned owner = 0;         // of the phone
};
const Listener kListeners[] = {
    {"a phone that sends from another port", 1, 53211},
    {"a phone that sends from another port, with two workers", 2, 53211},
    {"a phone behind a proxy", 1, 5060, true},
    {"a phone behind a proxy, of another worker", 2, 5060, true, 1},
    {"a phone behind a proxy of another worker", 2, 5060, true, 0},
};

struct Listening {
  explicit Listening(const Listener& row)
      : scene(row.workers, row.is_proxy && row.workers > 1 && row.owner == 0 ? 1 : 0) {
    scene.phone.port = Be16{row.port};
    target = {row.is_proxy ? scene.lab.host_of(row.owner, 1) : scene.phone.address, Be16{5060}};
    if (row.is_proxy) record_route = route("Record-Route", scene.phone);
  }
  [[nodiscard]] Endpoint external_target() { return scene.lab.mapping(Protocol::udp, target).external; }
  /// A request from outside: by the proxy, if there is one.
  std::vector<SentText> ask(const std::string& method, Endpoint external, Endpoint external_proxy) {
    const bool has_proxy = !record_route.empty();
    const auto text =
        request(method, external, scene.server, has_proxy ? route("Route", external_proxy) : "", {}, "2");
    return scene.pass(kOutside,
                      {.source = scene.server, .destination = has_proxy ? external_proxy : external}, text);
  }
  /// Whether what was asked has come to where it was to.
  [[nodiscard]] bool has_come(const std::vector<SentText>& sent, const std::string& method) const {
    return sent.size() == 1 && sent[0].destination == (record_route.empty() ? target : scene.phone) &&
           first_line(sent[0].text) == method + " sip:a@" + text_of(target) + " SIP/2.0";
  }

  SipScene scene;  // its phone is who speaks
  Endpoint target;
  std::string record_route;
};

}  // namespace

TEST_CASE("while a call lives its requests get to where its inside host is spoken to",
          "[dataplane][sip][AC-11][AC-12][AC-13]") {
  for (const auto& row : kListeners) {
    DYNAMIC_SECTION(row.name) {
      Listening side(row);
      auto& scene = side.scene;
      const Endpoint media{side.target.address, Be16{16400}};
      const Endpoint far_media{scene.server.address, Be16{30000}};
      const auto sent = scene.out(
          request("INVITE", scene.server, side.target, side.record_route + contact(side.target), media));
      REQUIRE(sent.size() == 1);
      const auto external = side.external_target();
      const auto external_proxy = scene.external();
      REQUIRE(scene.in(answer(sent[0].text, "200 OK", contact(scene.server), far_media)).size() == 1);
      REQUIRE(scene.out(request("ACK", scene.server, side.target, "", {}, "1")).size() == 1);
      talk_for_min(scene, 15, media, far_media);
      CHECK(side.has_come(side.ask("BYE", external, external_proxy), "BYE"));
      CHECK(scene.lab.drops().empty());
      scene.lab.pass_s(600);
      CHECK(side.ask("BYE", external, external_proxy).empty());
    }
  }
}

TEST_CASE("a peer gets to the TCP listener that a phone has named, while the call lives",
          "[dataplane][sip][AC-12][AC-23]") {
  PipelineLab lab;
  lab.add_neighbor(kOutside, address("203.0.113.254"));
  const Endpoint server = endpoint("198.51.100.7", 5060);
  const Endpoint phone{lab.host_of(0), Be16{49152}};
  const Endpoint listener{phone.address, Be16{5060}};
  TcpTalk talk(lab, {.interface = kInside, .self = phone, .peer = server},
               {.interface = kOutside, .self = server});
  const auto by_tcp = "Contact: <sip:a@" + text_of(listener) + ";transport=tcp>\r\n";
  talk.tell(talk.caller, request("INVITE", server, listener, by_tcp, {}, "", "TCP"));
  const auto external = lab.mapping(Protocol::tcp, listener).external;
  talk.tell(talk.called, answer(talk.called.heard, "200 OK", contact(server)));
  talk.tell(talk.caller, request("ACK", server, listener, "", {}, "1", "TCP"));
  lab.pass_s(1500);
  const auto calls_back = [&](const char* from) {
    return TcpTalk(lab, {.interface = kOutside, .self = endpoint(from, 33333), .peer = external},
                   {.interface = kInside, .self = listener})
        .open;
  };
  CHECK_FALSE(calls_back("198.51.100.8"));
  CHECK(calls_back("198.51.100.7"));
}

TEST_CASE("the callee past a proxy gets in while the call lives, once the phone has spoken to him",
          "[dataplane][sip][AC-12][AC-13]") {
  struct Row {
    const char* name;
    const char* acknowledged;  // where the ACK goes
    const char* hangs_up;
    bool gets_in;
  };
  const Row rows[] = {
      {"the callee", "198.51.100.30", "198.51.100.30", true},
      {"the proxy", "198.51.100.30", "198.51.100.7", true},
      {"somebody else", "198.51.100.30", "198.51.100.31", false},
      {"a callee who is spoken to through the proxy", "198.51.100.7", "198.51.100.30", false},
  };
  for (const auto& row : rows) {
    for (const std::uint16_t port : {std::uint16_t{5060}, std::uint16_t{53211}}) {
      DYNAMIC_SECTION(row.name << ", from port " << port) {
        SipScene scene;
        scene.phone.port = Be16{port};
        const Endpoint listener{scene.phone.address, Be16{5060}};
        const Endpoint callee = endpoint("198.51.100.30", 5060);
        const Endpoint media{scene.phone.address, Be16{16400}};
        const Endpoint far_media{callee.address, Be16{30000}};
        const auto sent = scene.out(request("INVITE", scene.server, listener, contact(listener), media));
        REQUIRE(sent.size() == 1);
        REQUIRE(scene.in(answer(sent[0].text, "200 OK", contact(callee), far_media)).size() == 1);
        const auto external = scene.lab.mapping(Protocol::udp, listener).external;
        const auto asks = [&](const std::string& method) {
          const auto from = endpoint(row.hangs_up, 5060);
          return scene
              .pass(kOutside, {.source = from, .destination = external},
                    request(method, external, from, "", {}, "2"))
              .size();
        };
        CHECK(asks("INFO") == (endpoint(row.hangs_up, 5060) == scene.server ? 1 : 0));
        REQUIRE(scene.out_to(endpoint(row.acknowledged, 5060), request("ACK", callee, listener, "", {}, "1"))
                    .size() == 1);
        CHECK(asks("INFO") == (row.gets_in ? 1 : 0));
        talk_for_min(scene, 15, media, far_media);
        CHECK(asks("BYE") == (row.gets_in ? 1 : 0));
      }
    }
  }
}

TEST_CASE("a caller past his proxy acknowledges a provisional response that asks for it",
          "[dataplane][sip][rfc3262][AC-12][AC-23]") {
  struct Row {
    const char* name;
    const char* status;
    const char* headers;
    bool has_tag;
    const char* caller;  // who sends the PRACK
    bool gets_in;
  };
  const char* const reliable = "Require: 100rel\r\nRSeq: 1\r\n";
  const Row rows[] = {
      {"reliable", "183 Session Progress", reliable, true, "198.51.100.30", true},
      {"somebody else", "183 Session Progress", reliable, true, "198.51.100.31", false},
      {"not reliable", "183 Session Progress", "", true, "198.51.100.30", false},
      {"without a tag there is no dialog", "183 Session Progress", reliable, false, "198.51.100.30", false},
      {"100 is never reliable", "100 Trying", reliable, true, "198.51.100.30", false},
      {"a refusal", "486 Busy Here", reliable, true, "198.51.100.30", false},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      SipScene scene;
      scene.out("\r\n\r\n");
      const auto external = scene.external();
      const auto sent = scene.in(request("INVITE", external, scene.server,
                                         "Require: 100rel\r\n" + contact(endpoint("198.51.100.30", 5060))));
      REQUIRE(sent.size() == 1);
      auto ringing = answer(sent[0].text, row.status, row.headers + contact(scene.phone));
      if (!row.has_tag) ringing.erase(ringing.find(";tag=2"), 6);
      REQUIRE(scene.out(ringing).size() == 1);
      const auto caller = endpoint(row.caller, 5060);
      const auto prack = request("PRACK", external, caller, "RAck: 1 1 INVITE\r\n", {}, "1");
      CHECK(scene.in_from(caller, prack).size() == (row.gets_in ? 1 : 0));
    }
  }
}

TEST_CASE("a subscription keeps the way in to where it is to be notified",
          "[dataplane][sip][rfc6665][AC-11]") {
  struct Row {
    const char* name;
    const char* status;
    std::uint32_t expires_s;
    bool is_other_number;  // the answer is to another request
    bool keeps;
  };
  const Row rows[] = {
      {"granted", "200 OK", 3600, false, true},
      {"granted for less", "200 OK", 60, false, false},
      {"refused", "403 Forbidden", 3600, false, false},
      {"another one granted", "200 OK", 3600, true, false},
  };
  for (const auto& listener : kListeners) {
    for (const auto& row : rows) {
      DYNAMIC_SECTION(listener.name << ", " << row.name) {
        Listening side(listener);
        auto& scene = side.scene;
        const std::string event = "Event: presence\r\nExpires: 86400\r\n";
        const auto sent = scene.out(request("SUBSCRIBE", scene.server, side.target,
                                            side.record_route + contact(side.target) + event));
        REQUIRE(sent.size() == 1);
        const auto external = side.external_target();
        const auto external_proxy = scene.external();
        auto heard = sent[0].text;
        if (row.is_other_number) heard.replace(heard.find("CSeq: 1"), 7, "CSeq: 2");
        const auto expires = "Expires: " + std::to_string(row.expires_s) + "\r\n";
        REQUIRE(scene.in(answer(heard, row.status, contact(scene.server) + expires)).size() == 1);
        CHECK(side.has_come(side.ask("NOTIFY", external, external_proxy), "NOTIFY"));
        scene.lab.pass_s(1500);
        CHECK(side.has_come(side.ask("NOTIFY", external, external_proxy), "NOTIFY") == row.keeps);
        scene.lab.pass_s(3600);
        CHECK_FALSE(side.has_come(side.ask("NOTIFY", external, external_proxy), "NOTIFY"));
      }
    }
  }
}

TEST_CASE("who notifies gets in, also where another one was subscribed to",
          "[dataplane][sip][rfc6665][rfc3515][AC-12][AC-23]") {
  const Endpoint notifier = endpoint("198.51.100.30", 5060);
  const Endpoint proxy = endpoint("198.51.100.40", 5060);
  const Endpoint far_proxy = endpoint("198.51.100.41", 5060);
  const Endpoint another = endpoint("198.51.100.8", 5060);
  const std::string hour = "Expires: 3600\r\n";
  const std::string by_proxy = route("Record-Route", far_proxy) + route("Record-Route", proxy);
  struct Row {
    const char* name;
    std::string method;
    const char* status;
    std::string expires;  // of the answer
    std::string routes;   // that proxies outside have put in
    Endpoint notifies;
    unsigned for_s;              // it gets in for; 0: not at all
    const char* broken = "";     // what of the answer is not of the request...
    const char* other = "";      // ... and what there is instead
    bool is_from_other = false;  // it comes from whom the phone has spoken to, but not subscribed to
    bool in_dialog = false;      // there is one already
  };
  const Row rows[] = {
      {"the notifier", "SUBSCRIBE", "200 OK", hour, "", notifier, 3600},
      {"for less", "SUBSCRIBE", "200 OK", "Expires: 900\r\n", "", notifier, 900},
      {"once, where nothing is granted", "SUBSCRIBE", "200 OK", "Expires: 0\r\n", "", notifier, 20},
      {"somebody else", "SUBSCRIBE", "200 OK", hour, "", another, 0},
      {"the proxy next to us", "SUBSCRIBE", "200 OK", hour, by_proxy, proxy, 3600},
      {"a proxy beyond", "SUBSCRIBE", "200 OK", hour, by_proxy, far_proxy, 0},
      {"the notifier past the proxy", "SUBSCRIBE", "200 OK", hour, by_proxy, notifier, 0},
      {"refused", "SUBSCRIBE", "403 Forbidden", hour, "", notifier, 0},
      {"an answer to another request", "SUBSCRIBE", "200 OK", hour, "", notifier, 0, "CSeq: 1", "CSeq: 2"},
      {"to another subscriber", "SUBSCRIBE", "200 OK", hour, "", notifier, 0, ";tag=1", ";tag=3"},
      {"of another call", "SUBSCRIBE", "200 OK", hour, "", notifier, 0, "long@", "other@"},
      {"from another host", "SUBSCRIBE", "200 OK", hour, "", notifier, 0, "", "", true},
      {"who was referred", "REFER", "202 Accepted", "", "", notifier, 180},
      {"an answer to another REFER", "REFER", "202 Accepted", "", "", notifier, 0, "CSeq: 1", "CSeq: 2"},
      {"who refuses to be", "REFER", "603 Decline", "", "", notifier, 0},
      {"whom a refresh names", "SUBSCRIBE", "200 OK", hour, "", notifier, 0, "", "", false, true},
      {"whom an answer within a dialog names", "REFER", "202 Accepted", "", "", notifier, 0, "", "", false,
       true},
      {"of another kind", "OPTIONS", "200 OK", hour, "", notifier, 0},
  };
  for (const auto& listener : kListeners) {
    for (const auto& row : rows) {
      DYNAMIC_SECTION(listener.name << ", " << row.name) {
        Listening side(listener);
        auto& scene = side.scene;
        const auto server = scene.server;
        static_cast<void>(scene.out_to(endpoint("198.51.100.9", 5060), "\r\n\r\n"));
        const auto sent = scene.out(request(row.method, server, side.target,
                                            side.record_route + contact(side.target) + "Expires: 86400\r\n",
                                            {}, row.in_dialog ? "1" : ""));
        REQUIRE(sent.size() == 1);
        const auto external = side.external_target();
        const auto external_proxy = scene.external();
        auto heard = sent[0].text;
        const std::string broken = row.broken;
        if (!broken.empty()) heard.replace(heard.find(broken), broken.size(), row.other);
        // What a proxy outside has put in comes before that of one inside.
        heard.insert(heard.find(side.record_route.empty() ? "Via: " : "Record-Route: "), row.routes);
        const auto say = [&](Endpoint by, Endpoint of) {
          return scene.in_from(by, answer(heard, row.status, contact(of) + row.expires)).size();
        };
        REQUIRE(say(row.is_from_other ? endpoint("198.51.100.9", 5060) : server, notifier) == 1);
        REQUIRE(say(server, another) == 1);  // the answer again, which lets in nobody more
        const auto gets_in = [&](Endpoint by) {
          scene.server = by;
          return side.has_come(side.ask("NOTIFY", external, external_proxy), "NOTIFY");
        };
        CHECK(gets_in(server));
        CHECK(gets_in(row.notifies) == (row.for_s > 0));
        CHECK_FALSE(gets_in(another));
        scene.lab.pass_s(row.for_s);
        CHECK(gets_in(row.notifies) == (row.for_s > 0));
        scene.lab.pass_s(400);
        CHECK_FALSE(gets_in(row.notifies));
      }
    }
  }
}

TEST_CASE("a registrar gets in by the way that it takes, for as long as it has granted",
          "[dataplane][sip][rfc3327][AC-01][AC-11]") {
  struct Row {
    const char* name;
    std::uint32_t expires_s;
    bool reaches;  // after 25 minutes
  };
  const Row rows[] = {{"an hour", 3600, true}, {"a minute", 60, false}, {"nothing", 0, false}};
  for (const auto& listener : kListeners) {
    for (const auto& row : rows) {
      DYNAMIC_SECTION(listener.name << ", " << row.name) {
        Listening side(listener);
        auto& scene = side.scene;
        const Endpoint proxy{scene.phone.address, Be16{5080}};  // where the Path leads to
        const bool has_path = listener.is_proxy;
        const auto path = has_path ? route("Path", proxy) : std::string();
        const auto sent =
            scene.out(request("REGISTER", scene.server, side.target, path + contact(side.target)));
        REQUIRE(sent.size() == 1);
        const auto bound = side.external_target();
        const auto source = scene.external();
        const auto by = has_path ? scene.lab.mapping(Protocol::udp, proxy).external : source;
        const auto granted = (has_path ? route("Path", by) : std::string()) + "Contact: <sip:a@" +
                             text_of(bound) + ">;expires=" + std::to_string(row.expires_s) + "\r\n";
        REQUIRE(scene.in(answer(sent[0].text, "200 OK", granted)).size() == 1);
        const auto reaches = [&](Endpoint to, Endpoint inside) {
          const auto call =
              request("INVITE", bound, scene.server, has_path ? route("Route", by) : std::string());
          const auto heard = scene.pass(kOutside, {.source = scene.server, .destination = to}, call);
          return heard.size() == 1 && heard[0].destination == inside &&
                 first_line(heard[0].text) == "INVITE sip:a@" + text_of(side.target) + " SIP/2.0";
        };
        scene.lab.pass_s(1500);
        CHECK(reaches(source, scene.phone) == row.reaches);
        CHECK(reaches(by, has_path ? proxy : scene.phone) == row.reaches);
        scene.lab.pass_s(3600);
        CHECK_FALSE(reaches(source, scene.phone));
      }
    }
  }
}

TEST_CASE("the registrar's way in to a host is that host's own, whoever else has its address of record",
          "[dataplane][sip][AC-01][AC-17]") {
  struct Row {
    const char* name;
    const char* params;  // of its Contact; null: it names all
    std::uint32_t granted_s;
    bool reaches;  // after 25 minutes
  };
  const Row rows[] = {
      {"registers for an hour", "", 3600, true},
      {"registers for a minute", "", 60, false},
      {"withdraws its contact", ";expires=0", 0, false},
      {"withdraws all", nullptr, 0, false},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION("another host " << row.name) {
      SipScene scene;
      const auto source_of = [&](unsigned host) { return Endpoint{scene.lab.host_of(0, host), Be16{53211}}; };
      const auto listener_of = [&](unsigned host) {
        return Endpoint{scene.lab.host_of(0, host), Be16{5060}};
      };
      const auto external = [&](Endpoint inside) {
        return scene.lab.mapping(Protocol::udp, inside).external;
      };
      std::vector<std::pair<unsigned, std::uint32_t>> bound;  // hosts, as the registrar lists them
      const auto registers = [&](unsigned host, const char* params) {
        scene.phone = source_of(host);
        const auto contact = params == nullptr
                                 ? std::string("Contact: *\r\nExpires: 0\r\n")
                                 : "Contact: <sip:a@" + text_of(listener_of(host)) + ">" + params + "\r\n";
        const auto sent = scene.out(request("REGISTER", scene.server, listener_of(host), contact));
        REQUIRE(sent.size() == 1);
        std::string listed;
        for (const auto& [other, expires_s] : bound) {
          listed += "Contact: <sip:a@" + text_of(external(listener_of(other))) +
                    ">;expires=" + std::to_string(expires_s) + "\r\n";
        }
        REQUIRE(scene.in(answer(sent[0].text, "200 OK", listed)).size() == 1);
      };
      const auto reaches = [&](Endpoint inside, Endpoint to) {
        const auto heard = scene.pass(kOutside, {.source = scene.server, .destination = to},
                                      request("OPTIONS", to, scene.server, ""));
        return heard.size() == 1 && heard[0].destination == inside;
      };
      bound = {{0, 3600}};
      registers(0, "");
      bound.emplace_back(1, 60);
      registers(1, "");
      bound.pop_back();
      if (row.granted_s > 0) bound.emplace_back(1, row.granted_s);
      registers(1, row.params);
      const auto first = external(source_of(0));
      const auto other = external(source_of(1));
      CHECK(reaches(source_of(1), other));
      scene.lab.pass_s(1500);
      CHECK(reaches(source_of(0), first));
      CHECK(reaches(source_of(1), other) == row.reaches);
      scene.lab.pass_s(3600);
      CHECK_FALSE(reaches(source_of(0), first));
    }
  }
}

TEST_CASE("a contact that is withdrawn leaves the way in to other lines and subscriptions",
          "[dataplane][sip][AC-01][AC-11]") {
  struct Row {
    const char* name;
    const char* method;  // of what else comes from where the contact is; null: nothing does
    std::uint32_t granted_s;
    bool reaches;  // after 25 minutes
  };
  const Row rows[] = {
      {"a line that listens elsewhere", "REGISTER", 3600, true},
      {"a line that listens elsewhere, until before", "REGISTER", 60, false},
      {"a line that listens elsewhere, for a while", "REGISTER", 600, false},
      {"a subscription", "SUBSCRIBE", 3600, true},
      {"a subscription, until before", "SUBSCRIBE", 60, false},
      {"a subscription, for a while", "SUBSCRIBE", 600, false},
      {"nothing", nullptr, 0, false},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      SipScene scene;
      const Endpoint other{scene.phone.address, Be16{5080}};
      // By a line that is called as the message says it is from.
      const auto tells = [&](const std::string& line, const std::string& method, Endpoint listens,
                             std::uint32_t expires_s) {
        auto text = request(method, scene.server, listens, contact(listens) + "Event: presence\r\n");
        const std::string to = "To: <sip:x@";
        text.replace(text.find(to), to.size(), "To: <sip:" + line + "@");
        const auto sent = scene.out(text);
        REQUIRE(sent.size() == 1);
        const auto bound = contact(scene.lab.mapping(Protocol::udp, listens).external);
        const auto expires = "Expires: " + std::to_string(expires_s) + "\r\n";
        REQUIRE(scene.in(answer(sent[0].text, "200 OK", bound + expires)).size() == 1);
      };
      tells("x", "REGISTER", scene.phone, 3600);
      if (row.method != nullptr) tells("y", row.method, other, row.granted_s);
      scene.lab.pass_s(120);
      tells("x", "REGISTER", scene.phone, 0);
      const auto external = scene.external();
      const auto ask = request("OPTIONS", external, scene.server, "");
      CHECK(scene.pass(kOutside, {.source = scene.server, .destination = external}, ask).size() == 1);
      scene.lab.pass_s(1500);
      const auto heard = scene.pass(kOutside, {.source = scene.server, .destination = external}, ask);
      CHECK(heard.size() == (row.reaches ? 1 : 0));
      if (row.reaches) CHECK(heard[0].destination == scene.phone);
      scene.lab.pass_s(3600);
      CHECK(scene.pass(kOutside, {.source = scene.server, .destination = external}, ask).empty());
    }
  }
}

TEST_CASE("of the endpoints that requests get to, the last ones that were named are kept",
          "[dataplane][sip]") {
  const auto target = [](unsigned n) {
    return dataplane::Target{{address("10.0.0.1"), Be16{std::uint16_t(n)}}, Protocol::udp};
  };
  dataplane::Targets targets;
  CHECK(targets.view().empty());
  for (const unsigned n : {1U, 2U, 1U, 3U, 4U, 2U}) targets.add(target(n));
  CHECK(std::ranges::equal(targets.view(), std::vector{target(1), target(2), target(3), target(4)}));
  targets.add(target(5));
  CHECK(std::ranges::equal(targets.view(), std::vector{target(2), target(3), target(4), target(5)}));
}
