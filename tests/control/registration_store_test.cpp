// SPDX-License-Identifier: BSD-3-Clause
#include "control/registration_store.hpp"

#include <chrono>
#include <string>

#include "tests/control/fake_link.hpp"

#include <catch2/catch.hpp>

namespace pinhole::control {

namespace {

using namespace std::chrono_literals;

struct Scene {
  Scene() { store.attach(link); }

  void grant(std::uint32_t worker, std::uint32_t index, const char* aor, std::uint32_t seconds) {
    auto& card = link.registrations[worker][index];
    ++card.generation;
    card.in_use = true;
    card.aor.assign(aor);
    card.inside = {nat::Ipv4Address::from_host(0x0a000005), nat::Be16{5060}};
    card.expires = link.now_tick + nat::ticks_from_s(seconds);
  }
  void tell(std::uint32_t worker, std::uint32_t index) {
    ipc::Event event;
    event.type = ipc::EventType::registration;
    event.worker = static_cast<std::uint8_t>(worker);
    event.registration.card = index;
    store.on_event(event, link.moment);
  }
  Paged<RegistrationRow> rows(const char* aor = "", Page page = {}) {
    return store.rows(aor, page, link.moment);
  }

  test::FakeLink link{2, 4};
  RegistrationStore store;
};

TEST_CASE("a binding is there from its event until it is ended", "[control][registration_store]") {
  Scene scene;
  scene.grant(1, 2, "sip:alice@in", 600);
  scene.tell(1, 2);
  auto rows = scene.rows();
  REQUIRE(rows.rows.size() == 1);
  CHECK(rows.rows[0].aor == "sip:alice@in");
  CHECK(rows.rows[0].worker == 1);
  CHECK(rows.rows[0].expires_s == 600);
  CHECK(rows.rows[0].inside.port.host() == 5060);

  scene.link.registrations[1][2].in_use = false;
  scene.tell(1, 2);
  CHECK(scene.store.size() == 0);
}

TEST_CASE("a binding that is refreshed lasts longer", "[control][registration_store]") {
  Scene scene;
  scene.grant(0, 0, "sip:alice@in", 60);
  scene.tell(0, 0);
  scene.link.pass(50s);
  scene.grant(0, 0, "sip:alice@in", 60);
  scene.tell(0, 0);
  scene.link.pass(50s);
  scene.store.run(scene.link.moment);
  REQUIRE(scene.store.size() == 1);
  CHECK(scene.rows().rows[0].expires_s == 10);
}

TEST_CASE("a binding that runs out goes although nobody says so", "[control][registration_store]") {
  Scene scene;
  scene.grant(0, 0, "sip:alice@in", 60);
  scene.tell(0, 0);
  scene.link.pass(59s);
  scene.store.run(scene.link.moment);
  CHECK(scene.store.size() == 1);
  scene.link.pass(1s);
  scene.store.run(scene.link.moment);
  CHECK(scene.store.size() == 0);
}

TEST_CASE("a resync takes in what is on the cards and drops what is not",
          "[control][registration_store][resync]") {
  Scene scene;
  scene.grant(0, 0, "sip:gone@in", 600);
  scene.tell(0, 0);
  scene.grant(1, 0, "sip:other-worker@in", 600);
  scene.tell(1, 0);
  scene.link.registrations[0][0].in_use = false;
  scene.link.registrations[1][0].in_use = false;
  scene.grant(0, 1, "sip:found@in", 600);
  scene.grant(0, 2, "sip:over@in", 0);
  scene.store.resync(0, scene.link.moment);
  const auto rows = scene.rows();
  REQUIRE(rows.total == 2);
  CHECK(rows.rows[0].aor == "sip:found@in");
  CHECK(rows.rows[1].aor == "sip:other-worker@in");
}

TEST_CASE("bindings are listed by part of the address of record, in pages", "[control][registration_store]") {
  Scene scene;
  const char* aors[] = {"sip:a1@in", "sip:b1@in", "sip:a2@in", "sip:a3@in"};
  for (std::uint32_t i = 0; i < 4; ++i) {
    scene.grant(0, i, aors[i], 600);
    scene.tell(0, i);
  }
  const auto page = scene.rows("sip:a", {.offset = 1, .limit = 1});
  CHECK(page.total == 3);
  REQUIRE(page.rows.size() == 1);
  CHECK(page.rows[0].aor == "sip:a2@in");
}

TEST_CASE("bindings of an earlier data plane are forgotten", "[control][registration_store]") {
  Scene scene;
  scene.grant(0, 0, "sip:alice@in", 600);
  scene.tell(0, 0);
  const test::FakeLink fresh(1, 4);
  scene.store.attach(fresh);
  CHECK(scene.store.size() == 0);
}

}  // namespace

}  // namespace pinhole::control
