// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/load.hpp"

#include "dataplane/config/render.hpp"

#include <catch2/catch.hpp>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace pinhole::config {

namespace {

/// Two interfaces, and room for more of the top level before the closing brace.
std::string document(const std::string& more = "") {
  return R"({"interfaces": [
    {"name": "lan", "device": "net_tap0", "zone": "inside", "address": "192.168.1.1/24"},
    {"name": "wan", "device": "net_tap1", "zone": "outside", "address": "203.0.113.2/24"}])" +
         (more.empty() ? "" : ", " + more) + "}";
}

/// The same with the first interface written by the case.
std::string with_interface(const std::string& keys) {
  return R"({"interfaces": [{)" + keys + R"(},
    {"name": "wan", "device": "net_tap1", "zone": "outside", "address": "203.0.113.2/24"}]})";
}

struct Refusal {
  const char* what;
  std::string text;
  ErrorCode code;
  const char* message;
};

void expect_refusals(const std::vector<Refusal>& cases) {
  for (const auto& row : cases) {
    DYNAMIC_SECTION(row.what) {
      const auto config = parse(row.text, "p.json");
      REQUIRE(config.has_error());
      CHECK(config.error().message == std::string{"p.json: "} + row.message);
      CHECK(config.error().code == row.code);
      CHECK(exit_status(config.error().code) == 2);
    }
  }
}

class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view text) {
    std::string name = (std::filesystem::temp_directory_path() / "pinhole-config-XXXXXX").string();
    const int file = mkstemp(name.data());
    REQUIRE(file >= 0);
    close(file);
    path_ = name;
    std::ofstream{path_} << text;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

TEST_CASE("two interfaces are a configuration, and all else has its default", "[config][load]") {
  const auto config = parse(document(), "p.json");
  REQUIRE(config.has_value());
  REQUIRE(config->interfaces.size() == 2);
  CHECK(config->interfaces[0].name == "lan");
  CHECK(config->interfaces[0].device == "net_tap0");
  CHECK(config->interfaces[0].zone == Zone::inside);
  CHECK(config->interfaces[0].address == *nat::Prefix::parse("192.168.1.1/24"));
  CHECK(config->interfaces[0].mtu == 1500);
  CHECK(config->interfaces[1].zone == Zone::outside);
  CHECK_FALSE(config->interfaces[1].gateway);

  Config defaults;
  defaults.interfaces = config->interfaces;
  CHECK(*config == defaults);
}

TEST_CASE("every key reaches the member of its name", "[config][load]") {
  const auto config = parse(R"({
    "interfaces": [
      {"name": "lan", "device": "net_tap0", "zone": "inside", "address": "10.0.0.1/8", "vlan": 7, "mtu": 9000,
       "icmp": false},
      {"name": "wan", "device": "0000:03:00.1", "zone": "outside", "address": "198.51.100.2/25",
       "gateway": "198.51.100.1"}],
    "routes": [{"prefix": "172.16.0.0/12", "via": "10.0.0.9"}],
    "workers": {"count": 3, "cpus": [4, 5, 4], "idle": "yield"},
    "dpdk": {"file_prefix": "lab-1", "memory_mb": 128},
    "nat": {
      "pool": ["198.51.100.2", "198.51.100.3", "192.0.2.0/24"],
      "forwards": [{"protocol": "tcp", "external": "198.51.100.3:443", "inside": "10.0.0.5:8443"}],
      "filtering": {"tcp": "address_and_port_dependent", "icmp": "endpoint_independent"},
      "inbound_refresh": {"udp": true},
      "timeouts": {"udp_s": 11, "tcp_established_s": 12, "tcp_opening_s": 13, "tcp_closing_s": 16,
                   "icmp_s": 14, "media_s": 15},
      "quotas": {"udp": 21, "tcp": 22, "icmp": 23, "new_per_s": 24, "burst": 25},
      "ports": {"mode": "deterministic", "block_size": 1024, "blocks_per_host": 2,
                "subscribers": ["10.7.0.0/30", "10.1.2.3/32"], "rest_s": 26},
      "tcp": {"mss": 1300, "answer_unsolicited": false},
      "mappings_per_worker": 1024, "hosts_per_worker": 2048, "remotes_per_worker": 512,
      "tcp_sessions_per_worker": 2048,
      "log": {"mappings": true, "file": "/var/log/nat.jsonl", "file_mb": 16, "files": 3,
              "collector": "192.168.1.30:4739", "domain": 7, "template_s": 60}},
    "sip": {"enabled": false, "ports": [5060, 5070], "media_own_host": true, "malformed": "drop",
            "transparent": ["198.51.100.64/28"], "hide_parties": true, "hide_call_id": true,
            "hide_key": "000102030405060708090a0b0c0d0e0f", "asserted_identity": "strip",
            "software": "replace", "software_name": "Example SBC",
            "media_from": "signalled", "latch_from": ["198.51.100.0/24"], "why": true,
            "local_media": "direct", "only": ["10.0.0.0/9"],
            "exclude": ["10.1.0.0/16"], "ignore_df": true, "calls_per_worker": 16,
            "registrations_per_worker": 17},
    "ftp": {"enabled": false, "ports": [2121, 21], "data_timeout_s": 51, "keep_alive_s": 52},
    "calls": {"max_duration_s": 31, "ringing_s": 32, "answer_ack_s": 33, "media_inactivity_s": 34,
              "media_inactivity": "shut", "hang_up": false, "measure": true,
              "limits": {"total": 35, "per_host": 36, "per_server": 37, "per_s": 38, "burst": 39},
              "log": {"file": "/var/log/calls.jsonl", "file_mb": 40, "files": 41}},
    "icmp": {"errors_per_s": 0},
    "plugins": [{"file": "/lib/a.so"},
                {"file": "/lib/b.so", "options": "x=1", "enabled": false, "budget_us": 50, "max_faults": 51}],
    "control": {"socket": "/tmp/s", "group": "voice", "linger_s": 9}})",
                            "p.json");
  REQUIRE(config.has_value());

  Config expected;
  expected.interfaces = {
      {"lan", "net_tap0", Zone::inside, *nat::Prefix::parse("10.0.0.1/8"), std::nullopt, 7, 9000, false},
      {"wan", "0000:03:00.1", Zone::outside, *nat::Prefix::parse("198.51.100.2/25"),
       nat::Ipv4Address::parse("198.51.100.1"), 0, 1500}};
  expected.routes = {{*nat::Prefix::parse("172.16.0.0/12"), *nat::Ipv4Address::parse("10.0.0.9")}};
  expected.workers = {3, {4, 5, 4}, Idle::yield};
  expected.dpdk = {"lab-1", 128};
  expected.nat.pool = {*nat::Ipv4Address::parse("198.51.100.2"), *nat::Ipv4Address::parse("198.51.100.3"),
                       *nat::Prefix::parse("192.0.2.0/24")};
  expected.nat.forwards = {{nat::Protocol::tcp,
                            {*nat::Ipv4Address::parse("198.51.100.3"), nat::Be16{443}},
                            {*nat::Ipv4Address::parse("10.0.0.5"), nat::Be16{8443}}}};
  expected.nat.filtering = {nat::Filter::address_dependent, nat::Filter::address_and_port_dependent,
                            nat::Filter::endpoint_independent};
  expected.nat.inbound_refresh = {true, false, false};
  expected.nat.timeouts = {11, 12, 13, 16, 14, 15};
  expected.nat.quotas = {21, 22, 23, 24, 25};
  expected.nat.ports = {
      .mode = nat::PortMode::deterministic,
      .block_size = 1024,
      .blocks_per_host = 2,
      .subscribers = {*nat::Prefix::parse("10.7.0.0/30"), *nat::Prefix::parse("10.1.2.3/32")},
      .rest_s = 26};
  expected.nat.tcp = {.mss = {1300}, .answer_unsolicited = false};
  expected.nat.mappings_per_worker = 1024;
  expected.nat.hosts_per_worker = 2048;
  expected.nat.remotes_per_worker = 512;
  expected.nat.tcp_sessions_per_worker = 2048;
  expected.nat.log = {.mappings = true,
                      .file = "/var/log/nat.jsonl",
                      .file_mb = 16,
                      .files = 3,
                      .collector = nat::Endpoint{*nat::Ipv4Address::parse("192.168.1.30"), nat::Be16{4739}},
                      .domain = 7,
                      .template_s = 60};
  expected.sip = {.enabled = false,
                  .ports = {5060, 5070},
                  .media_own_host = true,
                  .malformed = alg::sip::Malformed::drop,
                  .transparent = {*nat::Prefix::parse("198.51.100.64/28")},
                  .hide_parties = true,
                  .hide_call_id = true,
                  .hide_key = "000102030405060708090a0b0c0d0e0f",
                  .asserted_identity = alg::sip::AssertedIdentity::strip,
                  .software = alg::sip::Software::replace,
                  .software_name = "Example SBC",
                  .only = {*nat::Prefix::parse("10.0.0.0/9")},
                  .exclude = {*nat::Prefix::parse("10.1.0.0/16")},
                  .ignore_df = true,
                  .media_from = nat::MediaFrom::signalled,
                  .latch_from = {*nat::Prefix::parse("198.51.100.0/24")},
                  .why = true,
                  .calls_per_worker = 16,
                  .registrations_per_worker = 17,
                  .local_media = alg::sip::LocalMedia::direct};
  expected.ftp = {.enabled = false, .ports = {2121, 21}, .data_timeout_s = 51, .keep_alive_s = 52};
  expected.calls = {.max_duration_s = 31,
                    .ringing_s = 32,
                    .answer_ack_s = 33,
                    .media_inactivity_s = 34,
                    .media_inactivity = Inactivity::shut,
                    .hang_up = false,
                    .measure = true,
                    .limits = {35, 36, 37, 38, 39},
                    .log = {"/var/log/calls.jsonl", 40, 41}};
  expected.icmp = {0};
  expected.plugins = {{.file = "/lib/a.so", .options = ""}, {"/lib/b.so", "x=1", false, 50, 51}};
  expected.control.socket = "/tmp/s";
  expected.control.group = "voice";
  expected.control.linger_s = 9;
  CHECK(*config == expected);
}

TEST_CASE("comments are allowed and null stands for no gateway", "[config][load]") {
  const auto config = parse("// one line\n" + document(R"("routes": [] /* none */)"), "p.json");
  CHECK(config.has_value());
  const auto with_null = parse(with_interface(R"("name": "lan", "device": "net_tap0", "zone": "inside",
    "address": "192.168.1.1/24", "gateway": null)"),
                               "p.json");
  REQUIRE(with_null.has_value());
  CHECK_FALSE(with_null->interfaces[0].gateway);
}

TEST_CASE("broken JSON is refused with its line and column", "[config][load]") {
  const std::string look = "; look there for a missing or surplus quote, comma or bracket";
  const std::vector<std::tuple<const char*, std::string, std::string>> cases = {
      {"nothing at all", "",
       "line 1, column 1: this is not JSON: unexpected end of input; expected '[', '{', or a literal"},
      {"a trailing comma", "{\n  \"a\": 1,\n}",
       "line 3, column 1: this is not JSON: unexpected '}'; expected string literal"},
      {"no quotes", "{\n  sip: {}\n}",
       "line 2, column 3: this is not JSON: invalid literal; expected string literal"},
      {"no end", "{\"sip\": {}",
       "line 1, column 11: this is not JSON: unexpected end of input; expected '}'"},
      {"something after the end", "{}\n{}",
       "line 2, column 1: this is not JSON: unexpected '{'; expected end of input"},
      {"a number without end", "{\"icmp\": 1e999}",
       "line 1, column 14: this is not JSON: number overflow parsing '1e999'"},
      {"an open comment", "{ /* ",
       "line 1, column 6: this is not JSON: invalid comment; missing closing '*/'; expected string literal"},
  };
  for (const auto& [what, text, message] : cases) {
    DYNAMIC_SECTION(what) {
      const auto config = parse(text, "p.json");
      REQUIRE(config.has_error());
      CHECK(config.error().message == "p.json: " + message + look);
      CHECK(config.error().code == ErrorCode::syntax);
    }
  }
}

TEST_CASE("a document nested beyond reason is refused before it costs anything", "[config][load]") {
  const auto config = parse(std::string(100000, '['), "p.json");
  REQUIRE(config.has_error());
  CHECK(config.error().code == ErrorCode::syntax);
  CHECK(config.error().message.ends_with(
      "found more than 32 objects and lists inside each other; this is no configuration"));
}

TEST_CASE("a key that is written twice is refused", "[config][load]") {
  expect_refusals({
      {"at the top", document(R"("sip": {}, "nat": {}, "sip": {})"), ErrorCode::conflict,
       "sip: is written twice; keep one of the two"},
      {"in an item of a list", R"({"interfaces": [{"name": "a"}, {"mtu": 1, "mtu": 2}]})",
       ErrorCode::conflict, "interfaces[1].mtu: is written twice; keep one of the two"},
  });
}

TEST_CASE("an unknown key is refused with the key that was meant", "[config][load]") {
  expect_refusals({
      {"one letter more", document(R"("nat": {"pools": []})"), ErrorCode::unknown_key,
       "nat.pools: unknown key; did you mean nat.pool?"},
      {"one letter wrong in a list", with_interface(R"("nane": "lan")"), ErrorCode::unknown_key,
       "interfaces[0].nane: unknown key; did you mean interfaces[0].name?"},
      {"two letters swapped", document(R"("wrokers": {})"), ErrorCode::unknown_key,
       "wrokers: unknown key; did you mean workers?"},
      {"the right key in the wrong section", document(R"("nat": {"media_s": 60})"), ErrorCode::unknown_key,
       "nat.media_s: unknown key; did you mean nat.timeouts.media_s?"},
      {"nothing like it", document(R"("icmp": {"tunnel": "tls"})"), ErrorCode::unknown_key,
       "icmp.tunnel: unknown key; icmp knows errors_per_s"},
      {"nothing like it at the top", document(R"("wlan": 1)"), ErrorCode::unknown_key,
       "wlan: unknown key; known here are interfaces, routes, workers, dpdk, nat, sip, ftp, calls, icmp, "
       "protection, plugins, control"},
      {"not fit for a terminal", document("\"control\": {\"\\u001b[2J\xC3\xA9\": 1}"), ErrorCode::unknown_key,
       "control.?[2J??: unknown key; control knows socket, group, read_group, linger_s, store"},
      {"very long", document(R"("icmp": {")" + std::string(50, 'x') + R"(": 1})"), ErrorCode::unknown_key,
       "icmp.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: unknown key; icmp knows errors_per_s"},
  });
}

TEST_CASE("a required key that is missing is named with what it is for", "[config][load]") {
  expect_refusals({
      {"interfaces", "{}", ErrorCode::missing,
       "interfaces: missing; it has no default: the ports of the appliance: one inside and one outside at "
       "least"},
      {"a device", with_interface(R"("name": "lan", "zone": "inside", "address": "192.168.1.1/24")"),
       ErrorCode::missing,
       "interfaces[0].device: missing; it has no default: the PCI address of a NIC bound to a DPDK driver "
       "(\"0000:03:00.0\") or a DPDK virtual device with its arguments (\"net_af_packet0,iface=eth1\"); "
       "unique"},
      {"a zone", with_interface(R"("name": "lan", "device": "net_tap0", "address": "192.168.1.1/24")"),
       ErrorCode::missing,
       "interfaces[0].zone: missing; it has no default: the side that the interface is on; traffic between "
       "the two "
       "sides is translated"},
      {"a next hop", document(R"("routes": [{"prefix": "10.0.0.0/8"}])"), ErrorCode::missing,
       "routes[0].via: missing; it has no default: the next hop, in the subnet of an interface"},
  });
}

TEST_CASE("a value of another kind is refused with what is allowed", "[config][load]") {
  expect_refusals({
      {"a list for the document", "[]", ErrorCode::type, "found a list of 0 items; allowed is an object"},
      {"a text for an object", document(R"("nat": "on")"), ErrorCode::type,
       "nat: found \"on\"; allowed is an object"},
      {"an object for a list", document(R"("nat": {"pool": {}})"), ErrorCode::type,
       "nat.pool: found an object; allowed is a list of up to 256 items"},
      {"a text for a number", document(R"("workers": {"count": "two"})"), ErrorCode::type,
       "workers.count: found \"two\"; allowed is a whole number from 1 to 16"},
      {"a fraction for a number", document(R"("workers": {"count": 1.5})"), ErrorCode::type,
       "workers.count: found 1.5; allowed is a whole number from 1 to 16"},
      {"a number for true", document(R"("sip": {"enabled": 1})"), ErrorCode::type,
       "sip.enabled: found 1; allowed is true or false"},
      {"a number for a text", document(R"("control": {"group": 1000})"), ErrorCode::type,
       "control.group: found 1000; allowed is a text of 0 to 32 printable characters"},
      {"null for a number", document(R"("control": {"linger_s": null})"), ErrorCode::type,
       "control.linger_s: found null; allowed is a whole number from 0 to 30"},
      {"a number for an address", document(R"("nat": {"pool": ["203.0.113.2", 7]})"), ErrorCode::type,
       "nat.pool[1]: found 7; allowed is an IPv4 address or a prefix such as \"192.0.2.1\" or "
       "\"192.0.2.64/27\""},
      {"a list for a word", document(R"("workers": {"idle": ["spin"]})"), ErrorCode::type,
       "workers.idle: found a list of 1 item; allowed is \"auto\", \"spin\" or \"yield\""},
  });
}

TEST_CASE("a value out of range is refused with the range", "[config][load]") {
  expect_refusals({
      {"no workers", document(R"("workers": {"count": 0})"), ErrorCode::range,
       "workers.count: found 0; allowed is a whole number from 1 to 16"},
      {"too many workers", document(R"("workers": {"count": 17})"), ErrorCode::range,
       "workers.count: found 17; allowed is a whole number from 1 to 16"},
      {"a negative number", document(R"("workers": {"count": -1})"), ErrorCode::range,
       "workers.count: found -1; allowed is a whole number from 1 to 16"},
      {"more than the type holds", document(R"("nat": {"timeouts": {"udp_s": 4294967596}})"),
       ErrorCode::range, "nat.timeouts.udp_s: found 4294967596; allowed is a whole number from 1 to 604800"},
      {"a VLAN",
       with_interface(R"("name": "lan", "device": "d", "zone": "inside", "address": "192.168.1.1/24",
        "vlan": 4095)"),
       ErrorCode::range, "interfaces[0].vlan: found 4095; allowed is a whole number from 0 to 4094"},
      {"a small MTU", with_interface(R"("name": "lan", "device": "d", "zone": "inside",
        "address": "192.168.1.1/24", "mtu": 575)"),
       ErrorCode::range, "interfaces[0].mtu: found 575; allowed is a whole number from 576 to 9216"},
      {"a large MTU", with_interface(R"("name": "lan", "device": "d", "zone": "inside",
        "address": "192.168.1.1/24", "mtu": 9217)"),
       ErrorCode::range, "interfaces[0].mtu: found 9217; allowed is a whole number from 576 to 9216"},
      {"a SIP port of zero", document(R"("sip": {"ports": [5060, 0]})"), ErrorCode::range,
       "sip.ports[1]: found 0; allowed is a whole number from 1 to 65535"},
      {"no SIP ports", document(R"("sip": {"ports": []})"), ErrorCode::range,
       "sip.ports: found a list of 0 items; allowed is a list of 1 to 16 items"},
      {"one interface", R"({"interfaces": [{}]})", ErrorCode::range,
       "interfaces: found a list of 1 item; allowed is a list of 2 to 16 items"},
      {"a small segment", document(R"("nat": {"tcp": {"mss": 535}})"), ErrorCode::range,
       "nat.tcp.mss: found 535; allowed is \"auto\", \"off\" or a whole number from 536 to 9176"},
      {"a large segment", document(R"("nat": {"tcp": {"mss": 9177}})"), ErrorCode::range,
       "nat.tcp.mss: found 9177; allowed is \"auto\", \"off\" or a whole number from 536 to 9176"},
      {"another word for segments", document(R"("nat": {"tcp": {"mss": "1460"}})"), ErrorCode::range,
       "nat.tcp.mss: found \"1460\"; allowed is \"auto\", \"off\" or a whole number from 536 to 9176"},
      {"another word", with_interface(R"("name": "lan", "device": "d", "zone": "dmz")"), ErrorCode::range,
       "interfaces[0].zone: found \"dmz\"; allowed is \"inside\" or \"outside\""},
      {"half an address", document(R"("nat": {"pool": ["203.0.113.2", "203.0.113"]})"), ErrorCode::range,
       "nat.pool[1]: found \"203.0.113\"; allowed is an IPv4 address or a prefix such as \"192.0.2.1\" or "
       "\"192.0.2.64/27\""},
      {"a prefix without a length", document(R"("routes": [{"prefix": "10.0.0.0"}])"), ErrorCode::range,
       "routes[0].prefix: found \"10.0.0.0\"; allowed is an IPv4 address and the length of its prefix such "
       "as "
       "\"192.0.2.1/24\""},
      {"a prefix too long", document(R"("routes": [{"prefix": "10.0.0.0/33"}])"), ErrorCode::range,
       "routes[0].prefix: found \"10.0.0.0/33\"; allowed is an IPv4 address and the length of its prefix "
       "such as "
       "\"192.0.2.1/24\""},
      {"an endpoint without a port", document(R"("nat": {"forwards": [{"external": "203.0.113.2"}]})"),
       ErrorCode::range,
       "nat.forwards[0].external: found \"203.0.113.2\"; allowed is an IPv4 address and a port from 1 to "
       "65535 such "
       "as \"192.0.2.1:5060\""},
      {"a port of zero", document(R"("nat": {"forwards": [{"external": "203.0.113.2:0"}]})"),
       ErrorCode::range,
       "nat.forwards[0].external: found \"203.0.113.2:0\"; allowed is an IPv4 address and a port from 1 to "
       "65535 "
       "such as \"192.0.2.1:5060\""},
      {"a port too large", document(R"("nat": {"forwards": [{"external": "203.0.113.2:65536"}]})"),
       ErrorCode::range,
       "nat.forwards[0].external: found \"203.0.113.2:65536\"; allowed is an IPv4 address and a port from 1 "
       "to 65535 "
       "such as \"192.0.2.1:5060\""},
      {"something after a port", document(R"("nat": {"forwards": [{"external": "203.0.113.2:5060 "}]})"),
       ErrorCode::range,
       "nat.forwards[0].external: found \"203.0.113.2:5060 \"; allowed is an IPv4 address and a port from 1 "
       "to 65535 "
       "such as \"192.0.2.1:5060\""},
      {"ports the wrong way round",
       document(R"("nat": {"static_mappings": [{"external": "203.0.113.2:9-8"}]})"), ErrorCode::range,
       "nat.static_mappings[0].external: found \"203.0.113.2:9-8\"; allowed is an IPv4 address with a port, "
       "with a "
       "range of ports, alone, or with the length of a prefix, such as \"192.0.2.1:5060\", "
       "\"192.0.2.1:10000-10999\", \"192.0.2.1\" or \"192.0.2.16/28\""},
      {"a range of ports of a prefix",
       document(R"("nat": {"static_mappings": [{"external": "203.0.113.0/28:9"}]})"), ErrorCode::range,
       "nat.static_mappings[0].external: found \"203.0.113.0/28:9\"; allowed is an IPv4 address with a port, "
       "with a "
       "range of ports, alone, or with the length of a prefix, such as \"192.0.2.1:5060\", "
       "\"192.0.2.1:10000-10999\", \"192.0.2.1\" or \"192.0.2.16/28\""},
      {"a protocol that is not forwarded", document(R"("nat": {"forwards": [{"protocol": "icmp"}]})"),
       ErrorCode::range, "nat.forwards[0].protocol: found \"icmp\"; allowed is \"udp\" or \"tcp\""},
      {"a text without letters", with_interface(R"("name": "")"), ErrorCode::range,
       "interfaces[0].name: found \"\"; allowed is a text of 1 to 30 printable characters"},
      {"a text with a line break", with_interface(R"("name": "a\nb")"), ErrorCode::range,
       "interfaces[0].name: found \"a\\nb\"; allowed is a text of 1 to 30 printable characters"},
      {"a long text", document(R"("control": {"socket": "/)" + std::string(107, 'x') + "\"}"),
       ErrorCode::range,
       "control.socket: found a text of 108 characters; allowed is a text of 2 to 107 printable characters"},
  });
}

TEST_CASE("both ends of a range are allowed", "[config][load]") {
  for (const char* text :
       {R"("workers": {"count": 1})", R"("workers": {"count": 16})", R"("nat": {"timeouts": {"udp_s": 1}})",
        R"("nat": {"timeouts": {"udp_s": 604800}})", R"("sip": {"ports": [1, 65535]})",
        R"("control": {"linger_s": 30})"}) {
    DYNAMIC_SECTION(text) {
      CHECK(parse(document(text), "p.json").has_value());
    }
  }
}

TEST_CASE("a file is read, parsed and validated, and errors begin with its name", "[config][load]") {
  SECTION("a good file") {
    const TemporaryFile file{document()};
    CHECK(load(file.path()).has_value());
  }
  SECTION("a file that is not there") {
    const auto config = load("/nonexistent/pinhole.json");
    REQUIRE(config.has_error());
    CHECK(
        config.error() ==
        Error{ErrorCode::file,
              "/nonexistent/pinhole.json: cannot be opened (No such file or directory); name a configuration "
              "file that exists and can be read"});
  }
  SECTION("a directory") {
    const auto config = load("/tmp");
    REQUIRE(config.has_error());
    CHECK(config.error() == Error{ErrorCode::file, "/tmp: is a directory; name a configuration file"});
  }
  SECTION("a file too large") {
    const TemporaryFile file{std::string(kMaxFileBytes + 1, ' ')};
    const auto config = load(file.path());
    REQUIRE(config.has_error());
    CHECK(config.error() == Error{ErrorCode::file, file.path() + ": is larger than 1048576 bytes; name a "
                                                                 "configuration file"});
  }
  SECTION("a contradiction") {
    const TemporaryFile file{document(R"("sip": {"ports": [5060, 5060]})")};
    const auto config = load(file.path());
    REQUIRE(config.has_error());
    CHECK(config.error() ==
          Error{ErrorCode::conflict,
                file.path() + ": sip.ports[1]: 5060 is listed already; keep one of the two"});
  }
}

TEST_CASE("what is rendered is read back as the same configuration", "[config][render]") {
  const std::vector<std::pair<const char*, std::string>> cases = {
      {"all defaults", document()},
      {"everything set", document(R"(
        "routes": [{"prefix": "172.16.0.0/12", "via": "192.168.1.9"}, {"prefix": "0.0.0.0/0", "via": "203.0.113.1"}],
        "workers": {"count": 2, "cpus": [1, 1], "idle": "spin"},
        "dpdk": {"file_prefix": "x", "memory_mb": 64},
        "nat": {"pool": ["203.0.113.9"], "filtering": "endpoint_independent",
                "forwards": [{"protocol": "tcp", "external": "203.0.113.9:1", "inside": "192.168.1.3:65535"},
                             {"external": "203.0.113.9:1", "inside": "192.168.1.3:65535"}],
                "static_mappings": [{"external": "198.51.100.16/28", "inside": "192.168.1.16/28"},
                                    {"protocol": "icmp", "external": "198.51.100.1", "inside": "192.168.1.1",
                                     "direction": "out"},
                                    {"protocol": "tcp", "external": "203.0.113.9:80", "inside": "192.168.1.4:8080"},
                                    {"protocol": "udp", "external": "203.0.113.9:1-65535", "direction": "in",
                                     "inside": "192.168.1.5:1-65535"}],
                "exempt": [{"to": "10.0.0.0/8"},
                           {"from": "192.168.1.0/25", "to": "0.0.0.0/0", "protocol": "udp", "ports": "53"}],
                "route": [{"inside": "lan", "outside": "198.51.100.0/24"}],
                "timeouts": {"udp_s": 1}, "tcp": {"mss": "off"}},
        "sip": {"enabled": false, "ports": [1, 2, 3]}, "control": {"group": "a \"quoted\\ group"})")},
      {"no pool", document(R"("nat": {"pool": []})")},
  };
  for (const auto& [what, text] : cases) {
    DYNAMIC_SECTION(what) {
      const auto config = parse(text, "p.json");
      REQUIRE(config.has_value());
      const auto again = parse(to_json(*config).dump(), "again");
      REQUIRE(again.has_value());
      CHECK(*again == *config);
    }
  }
}

TEST_CASE("one value stands for all protocols", "[config][load][rfc4787-req8]") {
  const auto config = parse(
      document(R"("nat": {"filtering": "address_and_port_dependent", "inbound_refresh": true})"), "p.json");
  REQUIRE(config.has_value());
  const auto filter = nat::Filter::address_and_port_dependent;
  CHECK(config->nat.filtering == Filtering{filter, filter, filter});
  CHECK(config->nat.inbound_refresh == InboundRefresh{true, true, true});
  const auto wrong = parse(document(R"("nat": {"filtering": "none"})"), "p.json");
  REQUIRE(wrong.has_error());
  CHECK(wrong.error().message.find("nat.filtering") != std::string::npos);
}

TEST_CASE("rendering writes every default in the order of the schema", "[config][render]") {
  const auto config = parse(document(), "p.json");
  REQUIRE(config.has_value());
  CHECK(
      to_json(*config).dump() ==
      R"({"interfaces":[{"name":"lan","device":"net_tap0","zone":"inside","address":"192.168.1.1/24",)"
      R"("gateway":null,"vlan":0,"mtu":1500,"icmp":true,"sip":true},{"name":"wan","device":"net_tap1","zone":"outside",)"
      R"("address":"203.0.113.2/24","gateway":null,"vlan":0,"mtu":1500,"icmp":true,"sip":true}],"routes":[],)"
      R"("workers":{"count":1,"cpus":[],"idle":"auto"},"dpdk":{"file_prefix":"pinhole","memory_mb":512},)"
      R"("nat":{"pool":[],"forwards":[],"static_mappings":[],"exempt":[],"route":[],"filtering":{"udp":"address_dependent",)"
      R"("tcp":"address_dependent","icmp":"address_dependent"},"inbound_refresh":{"udp":false,"tcp":false,)"
      R"("icmp":false},"timeouts":{"udp_s":300,)"
      R"("tcp_established_s":7440,"tcp_opening_s":240,"tcp_closing_s":240,"icmp_s":60,"media_s":120},)"
      R"("quotas":{"udp":8192,"tcp":8192,"icmp":1024,"new_per_s":1000,"burst":4000},"ports":{"mode":"random",)"
      R"("block_size":512,"blocks_per_host":4,"subscribers":[],"rest_s":120},)"
      R"("tcp":{"mss":"auto","answer_unsolicited":true},)"
      R"("mappings_per_worker":65536,"hosts_per_worker":0,"remotes_per_worker":0,"tcp_sessions_per_worker":65536,)"
      R"("log":{"mappings":false,"file":"","file_mb":64,"files":8,"collector":null,"domain":0,"template_s":600}},)"
      R"("sip":{"enabled":true,"ports":[5060],"tcp":true,"tcp_own_host":true,"media_own_host":false,"streams_per_worker":1024,"malformed":"forward","transparent":[],"hide_parties":false,"hide_call_id":false,"hide_key":"","asserted_identity":"keep","software":"keep","software_name":"SIP","only":[],"exclude":[],"ignore_df":false,"media_from":"latched","latch_from":[],"why":false,"calls_per_worker":8192,)"
      R"("registrations_per_worker":16384,"local_media":"hairpin"},)"
      R"("ftp":{"enabled":true,"ports":[21],"data_timeout_s":30,"keep_alive_s":60},"calls":{"max_duration_s":43200,"ringing_s":180,"answer_ack_s":32,)"
      R"("media_inactivity_s":120,"media_inactivity":"end","hang_up":true,"measure":false,"limits":{"total":0,"per_host":0,"per_server":0,)"
      R"("per_s":0,"burst":0},"log":{"file":"","file_mb":64,"files":8}},"icmp":{"errors_per_s":100},)"
      R"("protection":)"
      R"({"enabled":true,"sources_per_worker":16384,"limits":{"over":"drop","retry_after_s":10,)"
      R"("warn_percent":80,"sources":{"known":{"per_s":2000,"burst":20000},"unknown":{"per_s":50,)"
      R"("burst":500},"all_unknown":{"per_s":1000,"burst":5000}},"inside":{"per_s":5000,"burst":50000},)"
      R"("methods":{"invite":{"per_s":500,"burst":5000},"ack":{"per_s":0,"burst":1},"bye":{"per_s":0,)"
      R"("burst":1},"cancel":{"per_s":0,"burst":1},"register":{"per_s":500,"burst":5000},)"
      R"("options":{"per_s":500,"burst":5000},"prack":{"per_s":0,"burst":1},"update":{"per_s":0,)"
      R"("burst":1},"info":{"per_s":0,"burst":1},"subscribe":{"per_s":500,"burst":5000},)"
      R"("notify":{"per_s":0,"burst":1},"refer":{"per_s":0,"burst":1},"message":{"per_s":500,)"
      R"("burst":5000},"publish":{"per_s":500,"burst":5000},"unknown":{"per_s":10,"burst":100}},)"
      R"("subscribers":{"known":{"per_s":2000,"burst":20000},"unknown":{"per_s":20,"burst":200}},)"
      R"("servers":{"known":{"per_s":5000,"burst":50000},"unknown":{"per_s":500,"burst":5000}},)"
      R"("flows":{"known":{"per_s":2000,"burst":10000},"unknown":{"per_s":500,"burst":2000},)"
      R"("all_unknown":{"per_s":2000,"burst":2000}},"fragments":{"known":{"per_s":10000,)"
      R"("burst":40000},"unknown":{"per_s":5000,"burst":20000},"all_unknown":{"per_s":50000,)"
      R"("burst":100000}},"malformed":{"known":{"per_s":10,"burst":100},"unknown":{"per_s":5,)"
      R"("burst":50},"all_unknown":{"per_s":100,"burst":500}}},"screen":{"statuses":[403,404,410,484,)"
      R"(604],"refused":20,"deny_s":60,"failed_auth":5,"not_found":10,"within_s":60,)"
      R"("user_agents":["friendly-scanner","sipvicious","sundayddr","sip-scan","sipsak","sipcli","iWar",)"
      R"("SIVuS","VaxSIPUserAgent","pplsip","smap"]},"bans":{"first_s":300,"factor":4,"longest_s":86400,)"
      R"("forget_s":604800,"escalate_unproven":false},"allow":[],"rules":[],)"
      R"("unknown":{"nat":{"methods":"pass","not_sip":"pass","malformed":null},)"
      R"("route":{"methods":"pass","not_sip":"pass","malformed":null}}},"plugins":[],)"
      R"("control":{"socket":"/run/pinhole/control.sock","group":"","read_group":"","linger_s":4,)"
      R"("store":"/var/lib/pinhole/state.db"}})");
}

TEST_CASE("a secret is not shown, but whether it is set", "[config][render][AC-15]") {
  constexpr const char* kKey = "000102030405060708090a0b0c0d0e0f";
  auto config = parse(document(), "p.json");
  REQUIRE(config.has_value());
  CHECK(shown(*config)["sip"]["hide_key"].is_null());
  auto rest = to_json(*config);
  config->sip.hide_key = kKey;
  CHECK(shown(*config)["sip"]["hide_key"] == "set");
  CHECK(shown(*config).dump().find(kKey) == std::string::npos);
  CHECK(to_json(*config)["sip"]["hide_key"] == kKey);
  rest["sip"]["hide_key"] = "set";
  CHECK(shown(*config) == rest);
}

}  // namespace pinhole::config
