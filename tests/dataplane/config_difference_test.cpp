// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/difference.hpp"

#include "tests/dataplane/config_office.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace pinhole::config {

TEST_CASE("two configurations differ in the keys whose values differ", "[config][difference]") {
  const auto before = office();
  CHECK(differences(before, before).empty());
  auto after = before;
  after.sip.enabled = !before.sip.enabled;
  after.interfaces[1].sip = false;
  after.nat.timeouts.udp_s = 60;
  after.ftp.enabled = !before.ftp.enabled;
  after.nat.route.push_back({"inside", "outside"});
  after.protection.unknown.route.malformed = Unknown::log;
  after.protection.rules.emplace_back();
  CHECK(differences(before, after) ==
        std::vector<std::string>{"interfaces[1].sip", "nat.route", "nat.timeouts.udp_s", "sip.enabled",
                                 "ftp.enabled", "protection.rules", "protection.unknown.route.malformed"});
}

TEST_CASE("rules and the switches of gateways change at run time, and nothing else", "[config][difference]") {
  for (const char* path : {"protection", "protection.rules", "protection.rules[3].name",
                           "protection.unknown.nat.methods", "sip.enabled", "sip.only", "sip.only[0]",
                           "sip.exclude[1]", "interfaces[0].sip", "plugins[1].enabled"}) {
    CHECK(changes_at_run_time(path));
  }
  for (const char* path : {"protections", "sip", "sip.ports", "sip.only_some", "interfaces", "interfaces[0]",
                           "interfaces[0].mtu", "nat.pool[0]", "control.socket", "plugins", "plugins[0].file",
                           "ftp", "ftp.enabled", "ftp.ports[0]", "ftp.data_timeout_s"}) {
    CHECK_FALSE(changes_at_run_time(path));
  }
}

}  // namespace pinhole::config
