// SPDX-License-Identifier: BSD-3-Clause
// The switch of the SIP gateway through the real pipeline: by configuration, and by the commands of control.
#include <catch2/catch.hpp>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/config/policy.hpp"
#include "dataplane/context.hpp"
#include "tests/support/pipeline_lab.hpp"
#include "tests/support/policy_talk.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::Endpoint;
using nat::Protocol;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
const Endpoint kProxy = endpoint("198.51.100.7", 5060);

std::string text_of(nat::Ipv4Address at) {
  return std::string(nat::EndpointText(at).view());
}
std::string text_of(Endpoint at) {
  return std::string(nat::EndpointText(at).view());
}

std::string invite(Endpoint phone, const std::string& call_id, const std::string& start, int cseq = 1,
                   const std::string& to_tag = {}) {
  const std::string host = text_of(phone.address);
  const std::string sdp = "v=0\r\no=- 1 1 IN IP4 " + host + "\r\ns=-\r\nc=IN IP4 " + host +
                          "\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
  return start + "\r\nVia: SIP/2.0/UDP " + text_of(phone) + ";branch=z9hG4bK" + std::to_string(cseq) +
         "\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>" + to_tag +
         "\r\nCall-ID: " + call_id + "\r\nCSeq: " + std::to_string(cseq) + " INVITE\r\nContact: <sip:alice@" +
         text_of(phone) +
         ">\r\nContent-Type: application/sdp\r\nContent-Length: " + std::to_string(sdp.size()) + "\r\n\r\n" +
         sdp;
}
std::string first_invite(Endpoint phone, const std::string& call_id) {
  return invite(phone, call_id, "INVITE sip:bob@example.com SIP/2.0");
}

FrameSpec datagram(Endpoint from, Endpoint to, const std::string& text) {
  FrameSpec spec{.source = from, .destination = to};
  spec.payload.resize(text.size());
  std::memcpy(spec.payload.data(), text.data(), text.size());
  return spec;
}

struct Scene {
  explicit Scene(config::Config config = lab_config()) : lab(std::move(config)) {}

  /// What becomes of a message: true when it leaves translated, false when it leaves as it came.
  bool is_translated(unsigned interface, Endpoint from, Endpoint to, const std::string& text) {
    const auto sent = lab.send(interface, datagram(from, to, text));
    REQUIRE(sent.size() == 1);
    const std::string out(reinterpret_cast<const char*>(sent[0].frame.data()) + 42,
                          sent[0].frame.size() - 42);
    CHECK((out == text || out.find("10.0.0.") == std::string::npos || interface == kOutside));
    return out != text;
  }
  bool is_translated(Endpoint phone, const std::string& call_id) {
    return is_translated(kInside, phone, kProxy, first_invite(phone, call_id));
  }

  void turn(const ipc::SwitchChange& change) { talk.turn(change); }

  PipelineLab lab;
  PolicyTalk talk{lab};
};

}  // namespace

TEST_CASE("the configuration says for whom SIP is read", "[dataplane][alg_switch][AC-24][rfc4787-req10a]") {
  struct Case {
    const char* what;
    void (*change)(config::Config& config, nat::Ipv4Address phone);
    bool translated;
  };
  const std::vector<Case> cases = {
      {"all", [](config::Config&, nat::Ipv4Address) {}, true},
      {"nobody", [](config::Config& c, nat::Ipv4Address) { c.sip.enabled = false; }, false},
      {"not inside", [](config::Config& c, nat::Ipv4Address) { c.interfaces[kInside].sip = false; }, false},
      {"not outside", [](config::Config& c, nat::Ipv4Address) { c.interfaces[kOutside].sip = false; }, false},
      {"not the phone", [](config::Config& c, nat::Ipv4Address phone) { c.sip.exclude = {{phone, 32}}; },
       false},
      {"not another",
       [](config::Config& c, nat::Ipv4Address) { c.sip.exclude = {{address("10.0.9.0"), 24}}; }, true},
      {"only the phone", [](config::Config& c, nat::Ipv4Address phone) { c.sip.only = {{phone, 32}}; }, true},
      {"only another", [](config::Config& c, nat::Ipv4Address) { c.sip.only = {{address("10.0.9.0"), 24}}; },
       false},
      {"only a subnet, but not the phone",
       [](config::Config& c, nat::Ipv4Address phone) {
         c.sip.only = {{address("10.0.0.0"), 24}};
         c.sip.exclude = {{phone, 32}};
       },
       false},
  };
  for (const auto& row : cases) {
    DYNAMIC_SECTION(row.what) {
      auto config = lab_config();
      const auto phone = address("10.0.0.16");
      row.change(config, phone);
      Scene scene(config);
      scene.lab.add_neighbor(kInside, phone);
      CHECK(scene.is_translated({phone, Be16{5060}}, "call") == row.translated);
      CHECK(scene.lab.count(ipc::kSipGateway, ipc::GatewayCounter::switched_off) == (row.translated ? 0 : 1));
      CHECK(scene.lab.count(WorkerCounter::call_live) == (row.translated ? 1 : 0));
      CHECK(scene.lab.drops().empty());
    }
  }
}

TEST_CASE("a plug-in that the configuration turns off is the one that is off, whatever is built in",
          "[dataplane][alg_switch]") {
  const bool with_ftp = GENERATE(true, false);
  auto config = lab_config();
  config.ftp.enabled = with_ftp;
  config.plugins = {{.file = "/a.so", .options = ""}, {.file = "/b.so", .options = "", .enabled = false}};
  const auto image = std::make_unique<ipc::PolicyImage>();
  REQUIRE(config::write_policy(config, *image).has_value());
  const std::size_t first = with_ftp ? 2 : 1;
  for (std::size_t gateway = 0; gateway < first + 2; ++gateway)
    CHECK(image->switches[gateway].is_on_for_all() == (gateway != first + 1));
}

TEST_CASE("what is not read passes whatever it is, in fragments too", "[dataplane][alg_switch][AC-24]") {
  auto config = lab_config();
  config.sip.enabled = false;
  Scene scene(config);
  const Endpoint phone{scene.lab.host_of(0), Be16{5060}};
  CHECK_FALSE(scene.is_translated(kInside, phone, kProxy, "INVITE sip:bob@example.com SIP/2.0\r\nbroken"));
  const auto whole = datagram(phone, kProxy, first_invite(phone, "call") + std::string(3000, 'x'));
  const auto pieces = cut(make_frame(whole), {1480, 2960});
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    auto piece = pieces[i];
    const auto own = scene.lab.own_mac(kInside);
    std::memcpy(piece.data(), own.bytes.data(), own.bytes.size());
    scene.lab.receive_frame(kInside, piece);
    CHECK(scene.lab.run().size() == 1);  // none waits for another
  }
  CHECK(scene.lab.drops().empty());
}

TEST_CASE("the switch is turned at run time for all workers, and calls that live are seen through",
          "[dataplane][alg_switch][AC-24]") {
  auto config = lab_config(2);
  Scene scene(config);
  const Endpoint phone{scene.lab.host_of(0), Be16{5060}};
  const Endpoint other{scene.lab.host_of(1), Be16{5060}};
  struct Turn {
    const char* what;
    ipc::SwitchChange off;
    bool other_is_off;
  };
  for (const Turn& row :
       {Turn{"for all", {.scope = ipc::SwitchScope::all}, true},
        Turn{"of the interface outside", {.scope = ipc::SwitchScope::interface, .interface = kOutside}, true},
        Turn{"of the phone", {.scope = ipc::SwitchScope::hosts, .hosts = {phone.address, 32}}, false}}) {
    DYNAMIC_SECTION("the switch " << row.what) {
      CHECK(scene.is_translated(phone, "living"));
      CHECK(scene.lab.count(WorkerCounter::pinhole_live) == 2);
      auto change = row.off;
      change.on = false;
      scene.turn(change);
      CHECK_FALSE(scene.is_translated(phone, "new"));
      CHECK(scene.is_translated(other, "of another") != row.other_is_off);
      CHECK(scene.lab.count(ipc::kSipGateway, ipc::GatewayCounter::switched_off) > 0);

      // The call that lives: its media pass, its answer and its next offer are translated, and its pinholes
      // are there.
      const Endpoint media{phone.address, Be16{4000}};
      const Endpoint peer = endpoint("198.51.100.9", 6000);
      CHECK(scene.is_translated(kInside, media, peer, std::string(172, '\x80')) == false);
      const auto media_outside = scene.lab.mapping(Protocol::udp, media).external;
      CHECK(scene.is_translated(kOutside, peer, media_outside, std::string(172, '\x80')) == false);
      const auto external = scene.lab.mapping(Protocol::udp, phone).external;
      CHECK(scene.is_translated(kOutside, kProxy, external,
                                invite(external, "living", "SIP/2.0 200 OK", 1, ";tag=2")));
      CHECK(scene.is_translated(kInside, phone, kProxy,
                                invite(phone, "living", "INVITE sip:bob@example.com SIP/2.0", 2, ";tag=2")));
      CHECK(scene.lab.count(WorkerCounter::pinhole_live) == (row.other_is_off ? 2 : 4));
      // What is not of that call is let pass even if it is broken.
      CHECK_FALSE(
          scene.is_translated(kInside, phone, kProxy, "INVITE sip:bob@example.com SIP/2.0\r\nbroken"));

      change.on = true;
      scene.turn(change);
      CHECK(scene.is_translated(phone, "new again"));
      CHECK(scene.lab.drops().empty());
    }
  }
}

TEST_CASE("while the gateway is off, a message of no call that lives leaves no trace",
          "[dataplane][alg_switch][AC-24]") {
  Scene scene(lab_config(2));
  auto& lab = scene.lab;
  const Endpoint phone{lab.host_of(0), Be16{5060}};
  const Endpoint stranger{lab.host_of(0, 1), Be16{5060}};
  CHECK(scene.is_translated(phone, "living"));
  const auto& media = lab.mapping(Protocol::udp, {phone.address, Be16{4000}});
  const auto generation = media.generation.load();
  const auto parent = media.parent;
  scene.turn({.scope = ipc::SwitchScope::all, .on = false});
  const auto live = lab.count(nat::Counter::mapping_live);
  const auto pinholes = lab.count(WorkerCounter::pinhole_live);

  // It names the media of the call that lives, its own port, and hosts of both workers.
  for (const Endpoint named :
       {phone, Endpoint{lab.host_of(0, 2), Be16{5070}}, Endpoint{lab.host_of(1), Be16{5070}}}) {
    CHECK_FALSE(scene.is_translated(kInside, phone, kProxy, first_invite(named, "new")));
    CHECK_FALSE(scene.is_translated(kInside, phone, kProxy, invite(named, "other", "SIP/2.0 200 OK")));
  }
  CHECK(lab.count(nat::Counter::mapping_live) == live);
  CHECK(lab.count(WorkerCounter::pinhole_live) == pinholes);
  CHECK(lab.count(WorkerCounter::call_live) == 1);
  const auto& after = lab.mapping(Protocol::udp, {phone.address, Be16{4000}});
  CHECK(after.generation.load() == generation);
  CHECK(after.parent == parent);

  // The first packet of a host makes its mapping, as any packet does.
  CHECK_FALSE(scene.is_translated(kInside, stranger, kProxy, first_invite(stranger, "of a stranger")));
  CHECK(lab.count(nat::Counter::mapping_live) == live + 1);
  CHECK((lab.mapping(Protocol::udp, stranger).flags &
         (nat::MappingFlags::kSip | nat::MappingFlags::kPinhole)) == 0);
  CHECK(lab.count(WorkerCounter::pinhole_live) == pinholes);
  CHECK(lab.drops().empty());

  // The call that lives is translated on, and may open what it needs.
  CHECK(scene.is_translated(kInside, phone, kProxy,
                            invite(phone, "living", "INVITE sip:bob@example.com SIP/2.0", 2, ";tag=2")));
}

TEST_CASE("a change that was not prepared, or is not the last one, is not taken",
          "[dataplane][alg_switch][AC-24]") {
  Scene scene;
  const ipc::SwitchChange off{.scope = ipc::SwitchScope::all, .on = false};
  const auto card = [] { return PolicyTalk::card(); };
  const auto slot = scene.talk.write([&](ipc::PolicyImage& image) {
    image.switches[ipc::kSipGateway] = image.switches[ipc::kSipGateway].after(off).value();
  });
  scene.talk.tell(0, {.type = ipc::CommandType::commit_policy, .generation = 1});
  scene.lab.pass_s(1);
  CHECK(card().generation == 0);
  scene.talk.tell(0, {.type = ipc::CommandType::prepare_policy, .slot = slot, .generation = 5});
  scene.talk.tell(0, {.type = ipc::CommandType::prepare_policy, .slot = slot, .generation = 6});
  scene.talk.tell(0, {.type = ipc::CommandType::commit_policy, .generation = 5});
  scene.lab.pass_s(1);
  CHECK(card().generation == 0);
  CHECK(scene.lab.context(0).policy.gateway(ipc::kSipGateway).on());
  scene.talk.tell(0, {.type = ipc::CommandType::commit_policy, .generation = 6});
  scene.lab.pass_s(1);
  CHECK(card().generation == 6);
  CHECK(card().prepared == 0);
  CHECK_FALSE(scene.lab.context(0).policy.gateway(ipc::kSipGateway).on());
  CHECK(scene.lab.count(WorkerCounter::command_stale) == 2);
  CHECK(scene.lab.count(WorkerCounter::command_done) == 3);
}

TEST_CASE("a policy that is damaged, in use or nowhere is refused, and the one in use stays",
          "[dataplane][policy]") {
  Scene scene;
  const auto card = [] { return PolicyTalk::card(); };
  auto slot = scene.talk.write([](ipc::PolicyImage&) {});
  SECTION("damaged") {
    PolicyTalk::image(slot).rules.rule_count = 60000;
  }
  SECTION("with limits that are damaged") {
    PolicyTalk::image(slot).rates.warn_percent = 200;
  }
  SECTION("in use") {
    slot = card().slot;
  }
  SECTION("nowhere") {
    slot = 200;
  }
  scene.talk.tell(0, {.type = ipc::CommandType::prepare_policy, .slot = slot, .generation = 3});
  scene.talk.tell(0, {.type = ipc::CommandType::commit_policy, .generation = 3});
  scene.lab.pass_s(1);
  CHECK(card().refused == 3);
  CHECK(card().prepared == 0);
  CHECK(card().generation == 0);
  CHECK(scene.lab.context(0).policy.gateway(ipc::kSipGateway).on());
}
