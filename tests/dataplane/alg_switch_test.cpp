// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipc/alg_switch.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace pinhole::ipc {

namespace {

nat::Prefix prefix(const std::string& text) {
  return *nat::Prefix::parse(text);
}
nat::Ipv4Address address(const std::string& text) {
  return *nat::Ipv4Address::parse(text);
}
SwitchChange hosts(const std::string& text, bool on) {
  return {.scope = SwitchScope::hosts, .on = on, .hosts = prefix(text)};
}
AlgSwitch after(const std::vector<SwitchChange>& changes) {
  AlgSwitch sip;
  for (const auto& change : changes) sip = sip.after(change).value();
  return sip;
}
constexpr std::uint16_t kLan = AlgSwitch::bit_of(0);
constexpr std::uint16_t kWan = AlgSwitch::bit_of(1);

}  // namespace

TEST_CASE("a switch that nobody has turned is on", "[ipc][alg_switch][AC-24]") {
  const AlgSwitch sip;
  CHECK(sip.is_on_for_all());
  CHECK(sip.is_on(address("10.0.0.1"), kLan | kWan));
}

TEST_CASE("the switch for all, of an interface and of hosts each turn the gateway off",
          "[ipc][alg_switch][AC-24]") {
  struct Case {
    const char* what;
    std::vector<SwitchChange> changes;
    std::string host;
    std::uint16_t interfaces;
    bool on;
  };
  const SwitchChange off{.scope = SwitchScope::all, .on = false};
  const SwitchChange wan_off{.scope = SwitchScope::interface, .on = false, .interface = 1};
  const SwitchChange wan_on{.scope = SwitchScope::interface, .on = true, .interface = 1};
  const std::vector<Case> cases = {
      {"all off", {off}, "10.0.0.1", kLan, false},
      {"all off, the host on", {off, hosts("10.0.0.1/32", true)}, "10.0.0.1", kLan, false},
      {"an interface off", {wan_off}, "10.0.0.1", kLan | kWan, false},
      {"another interface off", {wan_off}, "10.0.0.1", kLan, true},
      {"an interface off and on", {wan_off, wan_on}, "10.0.0.1", kLan | kWan, true},
      {"the host off", {hosts("10.0.0.1/32", false)}, "10.0.0.1", kLan, false},
      {"another host off", {hosts("10.0.0.1/32", false)}, "10.0.0.2", kLan, true},
      {"a subnet off", {hosts("10.0.0.9/24", false)}, "10.0.0.200", kLan, false},
      {"a subnet off, the host on",
       {hosts("10.0.0.0/24", false), hosts("10.0.0.1/32", true)},
       "10.0.0.1",
       kLan,
       true},
      {"the same the other way round",
       {hosts("10.0.0.1/32", false), hosts("10.0.0.0/24", true)},
       "10.0.0.1",
       kLan,
       false},
      {"only a subnet", {hosts("0.0.0.0/0", false), hosts("10.0.0.0/24", true)}, "10.0.1.1", kLan, false},
      {"only a subnet, the host in it",
       {hosts("0.0.0.0/0", false), hosts("10.0.0.0/24", true)},
       "10.0.0.1",
       kLan,
       true},
      {"a host off and on",
       {hosts("10.0.0.1/32", false), hosts("10.0.0.1/32", true)},
       "10.0.0.1",
       kLan,
       true},
  };
  for (const auto& row : cases) {
    DYNAMIC_SECTION(row.what) {
      CHECK(after(row.changes).is_on(address(row.host), row.interfaces) == row.on);
    }
  }
}

TEST_CASE("a rule that says nothing new is not kept, and there are so many at most",
          "[ipc][alg_switch][AC-24]") {
  CHECK(after({hosts("10.0.0.1/32", true)}).rules().empty());
  CHECK(after({hosts("10.0.0.1/32", false), hosts("10.0.0.1/32", true)}) == AlgSwitch{});
  AlgSwitch sip;
  for (std::uint32_t i = 0; i < AlgSwitch::kMaxRules; ++i) {
    sip = sip.after({.scope = SwitchScope::hosts,
                     .on = false,
                     .hosts = {nat::Ipv4Address::from_host(0x0a000000U + i), 32}})
              .value();
  }
  CHECK_FALSE(sip.after(hosts("10.9.9.9/32", false)));
  CHECK(sip.after(hosts("10.0.0.5/32", false)) == sip);
  CHECK(sip.after(hosts("10.0.0.5/32", true))->rules().size() == AlgSwitch::kMaxRules - 1);
  CHECK(sip.after({.scope = SwitchScope::all, .on = false}));
}

TEST_CASE("the longest prefix counts, whatever was said in whatever order", "[ipc][alg_switch][AC-24]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200; ++round) {
    AlgSwitch sip;
    std::map<std::pair<unsigned, std::uint32_t>, bool> said;  // by length and address: what is true of it
    const auto truth = [&](nat::Ipv4Address host) {
      for (auto it = said.rbegin(); it != said.rend(); ++it) {
        const nat::Prefix of{nat::Ipv4Address::from_host(it->first.second),
                             static_cast<std::uint8_t>(it->first.first)};
        if (of.contains(host)) return it->second;
      }
      return true;
    };
    for (int i = 0; i < 12; ++i) {
      const auto length = static_cast<std::uint8_t>(28 + random() % 5);
      const nat::Prefix of{
          nat::Ipv4Address::from_host(0x0a000000U + static_cast<std::uint32_t>(random() % 32)), length};
      const bool on = random() % 2 == 0;
      // What says nothing new is not kept, so that it does not hold when what is around it changes: it is as
      // if it had been taken back.
      said.erase({length, of.first().host()});
      bool around = true;
      for (const auto& [key, value] : said) {
        if (key.first < length &&
            nat::Prefix{nat::Ipv4Address::from_host(key.second), static_cast<std::uint8_t>(key.first)}
                .contains(of.address))
          around = value;
      }
      if (around != on) said[{length, of.first().host()}] = on;
      sip = sip.after({.scope = SwitchScope::hosts, .on = on, .hosts = of}).value();
    }
    for (std::uint32_t host = 0; host < 32; ++host) {
      const auto at = nat::Ipv4Address::from_host(0x0a000000U + host);
      REQUIRE(sip.is_on(at, kLan) == truth(at));
    }
  }
}

}  // namespace pinhole::ipc
