// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/validate.hpp"

#include "tests/dataplane/config_office.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <string>
#include <vector>

namespace pinhole::config {

TEST_CASE("the office that the cases change is valid", "[config][validate]") {
  expect({{"unchanged", [](Config&) {}, nullptr}});
}

TEST_CASE("interfaces have names, devices and zones of their own", "[config][validate]") {
  expect({
      {"a name twice", [](Config& c) { c.interfaces[1].name = "lan"; },
       "interfaces[1].name: \"lan\" is the name of interfaces[0] already; give each interface a name of its "
       "own"},
      {"a device twice", [](Config& c) { c.interfaces[1].device = "net_tap0"; },
       "interfaces[1].device: \"net_tap0\" is the device of interfaces[0] already; give each interface a "
       "device of "
       "its own"},
      {"a device twice with other arguments", [](Config& c) { c.interfaces[1].device = "net_tap0,iface=x"; },
       "interfaces[1].device: \"net_tap0\" is the device of interfaces[0] already; give each interface a "
       "device of "
       "its own"},
      {"nothing outside", [](Config& c) { c.interfaces[1].zone = Zone::inside; },
       "interfaces: none has the zone \"outside\"; set the zone of one of them to \"outside\""},
      {"nothing inside", [](Config& c) { c.interfaces[0].zone = Zone::outside; },
       "interfaces: none has the zone \"inside\"; set the zone of one of them to \"inside\""},
  });
}

TEST_CASE("interfaces have hosts' addresses in subnets that do not overlap",
          "[config][validate][rfc4787-req7]") {
  expect({
      {"the same subnet", [](Config& c) { c.interfaces[1].address = prefix("192.168.1.2/24"); },
       "interfaces[1].address: 192.168.1.0/24 overlaps 192.168.1.0/24 of interfaces[0]; give each interface "
       "a "
       "subnet of its own"},
      {"a subnet in a subnet", [](Config& c) { c.interfaces[1].address = prefix("192.168.1.130/25"); },
       "interfaces[1].address: 192.168.1.128/25 overlaps 192.168.1.0/24 of interfaces[0]; give each "
       "interface a "
       "subnet of its own"},
      {"a subnet around a subnet", [](Config& c) { c.interfaces[1].address = prefix("192.168.2.1/16"); },
       "interfaces[1].address: 192.168.0.0/16 overlaps 192.168.1.0/24 of interfaces[0]; give each interface "
       "a "
       "subnet of its own"},
      {"a subnet of one", [](Config& c) { c.interfaces[0].address = prefix("192.168.1.1/32"); },
       "interfaces[0].address: 192.168.1.1/32 is no subnet to live in; give a prefix length from 8 to 31"},
      {"everything", [](Config& c) { c.interfaces[0].address = prefix("192.168.1.1/0"); },
       "interfaces[0].address: 192.168.1.1/0 is no subnet to live in; give a prefix length from 8 to 31"},
      {"the name of the subnet", [](Config& c) { c.interfaces[0].address = prefix("192.168.1.0/24"); },
       "interfaces[0].address: 192.168.1.0/24 is not the address of a host; give an address between the "
       "first and "
       "the last of its subnet"},
      {"the broadcast address", [](Config& c) { c.interfaces[0].address = prefix("192.168.1.255/24"); },
       "interfaces[0].address: 192.168.1.255/24 is not the address of a host; give an address between the "
       "first and "
       "the last of its subnet"},
      {"a multicast address", [](Config& c) { c.interfaces[0].address = prefix("224.0.0.5/24"); },
       "interfaces[0].address: 224.0.0.5/24 is not the address of a host; give an address between the first "
       "and "
       "the last of its subnet"},
      {"loopback", [](Config& c) { c.interfaces[0].address = prefix("127.0.0.1/8"); },
       "interfaces[0].address: 127.0.0.1/8 is not the address of a host; give an address between the first "
       "and the "
       "last of its subnet"},
      {"a point-to-point link",
       [](Config& c) {
         c.interfaces[1].address = prefix("198.51.100.0/31");
         c.interfaces[1].gateway = address("198.51.100.1");
       },
       nullptr},
  });
}

TEST_CASE("the default gateway is one neighbour", "[config][validate]") {
  expect({
      {"in another subnet", [](Config& c) { c.interfaces[1].gateway = address("203.0.114.1"); },
       "interfaces[1].gateway: 203.0.114.1 is not a host of the subnet 203.0.113.0/24; give the router's "
       "address in "
       "that subnet"},
      {"the broadcast address", [](Config& c) { c.interfaces[1].gateway = address("203.0.113.255"); },
       "interfaces[1].gateway: 203.0.113.255 is not a host of the subnet 203.0.113.0/24; give the router's "
       "address "
       "in that subnet"},
      {"ourselves", [](Config& c) { c.interfaces[1].gateway = address("203.0.113.2"); },
       "interfaces[1].gateway: 203.0.113.2 is Pinhole's own address; give the router's address"},
      {"a second one", [](Config& c) { c.interfaces[0].gateway = address("192.168.1.254"); },
       "interfaces[1].gateway: interface \"lan\" has the default gateway already; keep one gateway and write "
       "routes "
       "for what lies behind the other"},
  });
}

TEST_CASE("routes lead to neighbours and do not contradict", "[config][validate]") {
  expect({
      {"bits after the prefix", [](Config& c) { c.routes[0].prefix = prefix("10.20.30.0/16"); },
       "routes[0].prefix: 10.20.30.0/16 has bits set after its prefix; write 10.20.0.0/16"},
      {"a prefix twice", [](Config& c) { c.routes.push_back(c.routes[0]); },
       "routes[1].prefix: 10.20.0.0/16 has routes[0] already; keep one of the two"},
      {"a second default", [](Config& c) { c.routes[0].prefix = prefix("0.0.0.0/0"); },
       "routes[0].prefix: interfaces[1].gateway is the default gateway already; keep one of the two"},
      {"a default without a gateway",
       [](Config& c) {
         c.interfaces[1].gateway.reset();
         c.routes.push_back({prefix("0.0.0.0/0"), address("203.0.113.1")});
       },
       nullptr},
      {"a subnet that is connected", [](Config& c) { c.routes[0].prefix = prefix("192.168.1.128/25"); },
       "routes[0].prefix: 192.168.1.128/25 lies in 192.168.1.0/24 of interfaces[0], which is reached without "
       "a "
       "router; remove the route or make that subnet smaller"},
      {"around a subnet that is connected", [](Config& c) { c.routes[0].prefix = prefix("192.168.0.0/16"); },
       nullptr},
      {"a router nowhere near", [](Config& c) { c.routes[0].via = address("172.16.0.1"); },
       "routes[0].via: 172.16.0.1 is not a host of any interface's subnet; give the address of a router that "
       "is a "
       "neighbour"},
      {"ourselves", [](Config& c) { c.routes[0].via = address("192.168.1.1"); },
       "routes[0].via: 192.168.1.1 is Pinhole's own address; give the router's address"},
  });
}

TEST_CASE("the CPUs fit the workers", "[config][validate]") {
  expect({
      {"too few", [](Config& c) { c.workers = {2, {1}, Idle::automatic}; },
       "workers.cpus: lists 1 CPUs for 2 workers; list one CPU for each worker, or none"},
      {"none", [](Config& c) { c.workers = {16, {}, Idle::automatic}; }, nullptr},
      {"shared by workers that yield", [](Config& c) { c.workers = {3, {0, 1, 1}, Idle::yield}; }, nullptr},
      {"shared by workers that spin", [](Config& c) { c.workers = {3, {0, 1, 1}, Idle::spin}; },
       "workers.cpus[2]: CPU 1 has a worker already, and workers.idle is \"spin\"; give each worker a CPU of "
       "its own, "
       "or set workers.idle to \"yield\""},
  });
}

TEST_CASE("DPDK's prefix can be part of a file name", "[config][validate]") {
  expect({
      {"a path", [](Config& c) { c.dpdk.file_prefix = "../x"; },
       "dpdk.file_prefix: found \"../x\"; allowed is letters, digits, '_' and '-'"},
      {"a plain word", [](Config& c) { c.dpdk.file_prefix = "lab_2-b"; }, nullptr},
  });
}

TEST_CASE("the pool holds addresses that only Pinhole can have", "[config][validate]") {
  expect({
      {"an inside address", [](Config& c) { c.nat.pool.push_back(address("192.168.1.9")); },
       "nat.pool[2]: 192.168.1.9 lies in the subnet 192.168.1.0/24 of the inside interface \"lan\"; give an "
       "address "
       "of the outside"},
      {"our own inside address", [](Config& c) { c.nat.pool.push_back(address("192.168.1.1")); },
       "nat.pool[2]: 192.168.1.1 lies in the subnet 192.168.1.0/24 of the inside interface \"lan\"; give an "
       "address "
       "of the outside"},
      {"an address twice", [](Config& c) { c.nat.pool.push_back(address("203.0.113.3")); },
       "nat.pool[2]: 203.0.113.3 is in the pool already; keep one of the two"},
      {"no host", [](Config& c) { c.nat.pool.push_back(address("0.0.0.0")); },
       "nat.pool[2]: 0.0.0.0 is not the address of a host; give an address that the outside network routes "
       "to "
       "Pinhole"},
      {"the broadcast address outside", [](Config& c) { c.nat.pool.push_back(address("203.0.113.255")); },
       "nat.pool[2]: 203.0.113.255 is not the address of a host of 203.0.113.0/24; give an address between "
       "the first "
       "and the last of that subnet"},
      {"the gateway", [](Config& c) { c.nat.pool.push_back(address("203.0.113.1")); },
       "nat.pool[2]: 203.0.113.1 is the address of a router; give an address that nobody else has"},
      {"an address that is routed to us", [](Config& c) { c.nat.pool.push_back(address("198.51.100.7")); },
       nullptr},
      {"a prefix that is routed to us", [](Config& c) { c.nat.pool.push_back(prefix("198.51.100.0/22")); },
       nullptr},
      {"a part of the outside subnet", [](Config& c) { c.nat.pool.push_back(prefix("203.0.113.128/25")); },
       nullptr},
      {"half a prefix", [](Config& c) { c.nat.pool.push_back(prefix("198.51.100.7/24")); },
       "nat.pool[2]: 198.51.100.7/24 has bits set after its prefix; write 198.51.100.0/24"},
      {"a prefix with an address that is listed",
       [](Config& c) { c.nat.pool.push_back(prefix("203.0.113.2/31")); },
       "nat.pool[2]: 203.0.113.2/31 holds nat.pool[0]; keep one of the two"},
      {"an address of a prefix that is listed",
       [](Config& c) { c.nat.pool = {prefix("198.51.100.0/24"), address("198.51.100.9")}; },
       "nat.pool[1]: 198.51.100.9 is in the pool already; keep one of the two"},
      {"a prefix with the gateway", [](Config& c) { c.nat.pool = {prefix("203.0.113.0/25")}; },
       "nat.pool[0]: 203.0.113.0/25 holds 203.0.113.1, the address of a router; give smaller prefixes that "
       "leave it out"},
      {"a prefix around the inside", [](Config& c) { c.nat.pool.push_back(prefix("192.168.0.0/16")); },
       "nat.pool[2]: 192.168.0.0/16 holds the subnet 192.168.1.0/24 of the inside interface \"lan\"; give an "
       "address of the outside"},
      {"loopback", [](Config& c) { c.nat.pool.push_back(prefix("126.0.0.0/7")); },
       "nat.pool[2]: 126.0.0.0/7 holds addresses that are of no host; give an address that the outside "
       "network routes to Pinhole"},
      {"as many addresses as have numbers",
       [](Config& c) { c.nat.pool = {prefix("100.64.0.0/17"), prefix("100.65.0.0/17")}; },
       "nat.pool: holds 65537 external addresses, those of outside interfaces counted in; give 65536 at "
       "most"},
  });
}

TEST_CASE("forwards lead from external endpoints to inside hosts, one to one", "[config][validate]") {
  const auto forward = [](const char* external, std::uint16_t port, const char* inside,
                          std::uint16_t inside_port) {
    return [=](Config& config) {
      config.nat.forwards.push_back(
          {nat::Protocol::udp, endpoint(external, port), endpoint(inside, inside_port)});
    };
  };
  expect({
      {"a second one", forward("203.0.113.3", 5061, "192.168.1.10", 5061), nullptr},
      {"behind a router", forward("203.0.113.3", 5061, "10.20.1.1", 5060), nullptr},
      {"the same endpoints of another protocol",
       [](Config& c) {
         c.nat.forwards.push_back(c.nat.forwards[0]);
         c.nat.forwards[1].protocol = nat::Protocol::tcp;
       },
       nullptr},
      {"from the address of the outside interface",
       [&](Config& c) {
         c.nat.pool = {address("203.0.113.3")};
         forward("203.0.113.2", 5060, "192.168.1.11", 5060)(c);
       },
       nullptr},
      {"without a pool",
       [&](Config& c) {
         c.nat.pool.clear();
         c.nat.forwards.clear();
         forward("203.0.113.2", 5060, "192.168.1.11", 5060)(c);
       },
       nullptr},
      {"from a strange address", forward("203.0.113.9", 5060, "192.168.1.11", 5060),
       "nat.forwards[1].external: 203.0.113.9 is not an external address; give an address of nat.pool or of "
       "an "
       "outside interface, such as 203.0.113.2"},
      {"from an inside address", forward("192.168.1.1", 5060, "192.168.1.11", 5060),
       "nat.forwards[1].external: 192.168.1.1 is not an external address; give an address of nat.pool or of "
       "an "
       "outside interface, such as 203.0.113.2"},
      {"to the outside", forward("203.0.113.3", 5061, "198.51.100.1", 5060),
       "nat.forwards[1].inside: 198.51.100.1 is not a host inside; give the address of a host in the subnet "
       "of an "
       "inside interface or behind a route through one"},
      {"to ourselves", forward("203.0.113.3", 5061, "192.168.1.1", 5060),
       "nat.forwards[1].inside: 192.168.1.1 is not a host inside; give the address of a host in the subnet "
       "of an "
       "inside interface or behind a route through one"},
      {"from an endpoint that is taken", forward("203.0.113.3", 5060, "192.168.1.11", 5060),
       "nat.forwards[1].external: 203.0.113.3:5060 belongs to nat.forwards[0] already; give each forward an "
       "external "
       "endpoint of its own"},
      {"to an endpoint that has one", forward("203.0.113.3", 5061, "192.168.1.10", 5060),
       "nat.forwards[1].inside: 192.168.1.10:5060 has the external endpoint 203.0.113.3:5060 already; give "
       "each "
       "forward an inside endpoint of its own"},
  });
}

TEST_CASE("static mappings lead from addresses and ports of ours to as many inside, and overlap nothing",
          "[config][validate][static]") {
  const auto whole = [](const char* first, std::uint8_t length = 32) {
    return EndpointRange{{address(first), length}, 0, 0xffff};
  };
  const auto ports = [](const char* host, std::uint16_t first, std::uint16_t last) {
    return EndpointRange{{address(host), 32}, first, last};
  };
  const auto mapping = [](const EndpointRange& external, const EndpointRange& inside,
                          Protocols protocol = Protocols::all) {
    return [=](Config& config) { config.nat.static_mappings.push_back({protocol, external, inside}); };
  };
  const auto both = [](const auto& first, const auto& second) {
    return [=](Config& config) {
      first(config);
      second(config);
    };
  };
  expect({
      {"a whole address of the outside subnet", mapping(whole("203.0.113.9"), whole("192.168.1.11")),
       nullptr},
      {"a block of addresses routed to us", mapping(whole("198.51.100.16", 28), whole("10.20.0.16", 28)),
       nullptr},
      {"a range of an address of the pool",
       mapping(ports("203.0.113.3", 10000, 10999), ports("192.168.1.11", 20000, 20999)), nullptr},
      {"beside a forward", mapping(ports("203.0.113.3", 5061, 5070), ports("192.168.1.10", 5061, 5070)),
       nullptr},
      {"UDP over a forward of UDP",
       mapping(ports("203.0.113.3", 5050, 5070), ports("192.168.1.11", 5050, 5070)),
       "nat.static_mappings[0].external: 203.0.113.3:5050-5070 overlaps nat.forwards[0].external; give each "
       "its "
       "own external endpoints"},
      {"TCP over a forward of UDP",
       mapping(ports("203.0.113.3", 5050, 5070), ports("192.168.1.11", 5050, 5070), Protocols::tcp), nullptr},
      {"the host of a forward", mapping(whole("203.0.113.9"), whole("192.168.1.10")),
       "nat.static_mappings[0].inside: 192.168.1.10 overlaps nat.forwards[0].inside; give each its own "
       "inside "
       "endpoints"},
      {"one in another",
       both(mapping(whole("198.51.100.16", 28), whole("10.20.0.16", 28)),
            mapping(whole("198.51.100.20"), whole("10.20.0.99"))),
       "nat.static_mappings[1].external: 198.51.100.20 overlaps nat.static_mappings[0].external; give each "
       "its own "
       "external endpoints"},
      {"one host twice",
       both(mapping(whole("198.51.100.16"), whole("10.20.0.16")),
            mapping(whole("198.51.100.20"), whole("10.20.0.16"))),
       "nat.static_mappings[1].inside: 10.20.0.16 overlaps nat.static_mappings[0].inside; give each its own "
       "inside "
       "endpoints"},
      {"ping for one host and UDP for another",
       both(mapping(whole("198.51.100.16"), whole("10.20.0.16"), Protocols::icmp),
            mapping(whole("198.51.100.16"), whole("10.20.0.17"), Protocols::udp)),
       nullptr},
      {"sizes that differ", mapping(whole("198.51.100.16", 28), whole("10.20.0.16", 29)),
       "nat.static_mappings[0].inside: 10.20.0.16/29 is not of the same size as 198.51.100.16/28; give as "
       "many "
       "addresses and ports inside as outside"},
      {"ranges that differ", mapping(ports("203.0.113.3", 1, 9), ports("192.168.1.11", 1, 8)),
       "nat.static_mappings[0].inside: 192.168.1.11:1-8 is not of the same size as 203.0.113.3:1-9; give as "
       "many "
       "addresses and ports inside as outside"},
      {"bits after the prefix", mapping(whole("198.51.100.17", 28), whole("10.20.0.16", 28)),
       "nat.static_mappings[0].external: 198.51.100.17/28 has bits set after its prefix; write "
       "198.51.100.16/28"},
      {"too many addresses", mapping(whole("198.51.0.0", 16), whole("10.20.0.0", 16)),
       "nat.static_mappings[0].external: 198.51.0.0/16 is too many addresses; give 1024 at most"},
      {"too many addresses in all",
       both(mapping(whole("198.51.0.0", 22), whole("10.20.0.0", 22)),
            mapping(whole("198.51.100.1"), whole("10.20.8.1"))),
       "nat.static_mappings[1].external: static mappings have 1025 addresses up to here; give 1024 in all at "
       "most"},
      {"ports of ICMP", mapping(ports("203.0.113.3", 1, 9), ports("192.168.1.11", 1, 9), Protocols::icmp),
       "nat.static_mappings[0].protocol: \"icmp\" has no ports; give whole addresses, or another protocol"},
      {"ports of a strange address", mapping(ports("203.0.113.9", 1, 9), ports("192.168.1.11", 1, 9)),
       "nat.static_mappings[0].external: 203.0.113.9 is not an external address; give an address of nat.pool "
       "or of "
       "an outside interface, such as 203.0.113.2"},
      {"our own address", mapping(whole("203.0.113.2"), whole("192.168.1.11")),
       "nat.static_mappings[0].external: 203.0.113.2 is Pinhole's own address; give an address that nobody "
       "else "
       "has, or ports of this one"},
      {"an address of the pool", mapping(whole("203.0.113.3"), whole("192.168.1.11")),
       "nat.static_mappings[0].external: 203.0.113.3 is in nat.pool, which other hosts share; take it out of "
       "the "
       "pool, or give ports of it"},
      {"the router", mapping(whole("203.0.113.1"), whole("192.168.1.11")),
       "nat.static_mappings[0].external: 203.0.113.1 cannot be an external address; give addresses that the "
       "outside "
       "network routes to Pinhole and nobody else has"},
      {"to the outside", mapping(whole("203.0.113.9"), whole("198.51.100.1")),
       "nat.static_mappings[0].inside: 198.51.100.1 is not a host inside; give addresses of hosts in the "
       "subnet of "
       "an inside interface or behind a route through one"},
      {"to ourselves", mapping(whole("203.0.113.9"), whole("192.168.1.1")),
       "nat.static_mappings[0].inside: 192.168.1.1 is not a host inside; give addresses of hosts in the "
       "subnet of "
       "an inside interface or behind a route through one"},
  });
}

TEST_CASE("exemptions and route mode name prefixes and interfaces of their side",
          "[config][validate][route]") {
  const auto route = [](const char* inside, const char* outside) {
    return [=](Config& c) { c.nat.route.push_back({inside, outside}); };
  };
  const auto opened = [](const char* host) {
    return [=](Config& c) {
      const EndpointRange range{{address(host), 32}, 0, 0xffff};
      c.nat.route = {{"lan", "wan"}, {"10.20.0.0/16", "wan"}};
      c.nat.static_mappings = {{Protocols::all, range, range}};
    };
  };
  expect({
      {"an exempt prefix", [](Config& c) { c.nat.exempt = {{.to = prefix("172.16.0.0/12"), .ports = {}}}; },
       nullptr},
      {"bits after an exempt prefix",
       [](Config& c) { c.nat.exempt = {{.to = prefix("172.16.0.1/12"), .ports = {}}}; },
       "nat.exempt[0].to: 172.16.0.1/12 has bits set after its prefix; write 172.16.0.0/12"},
      {"bits after the hosts of an exemption",
       [](Config& c) {
         c.nat.exempt = {{.from = prefix("10.20.0.1/16"), .to = prefix("172.16.0.0/12"), .ports = {}}};
       },
       "nat.exempt[0].from: 10.20.0.1/16 has bits set after its prefix; write 10.20.0.0/16"},
      {"two interfaces", route("lan", "wan"), nullptr},
      {"two prefixes", route("10.20.0.0/16", "172.16.0.0/12"), nullptr},
      {"an interface of the other side", route("wan", "wan"),
       "nat.route[0].inside: the interface \"wan\" is not on the inside; name an interface whose zone is "
       "\"inside\", "
       "or give a prefix"},
      {"nobody's name", route("lan", "wam"),
       "nat.route[0].outside: \"wam\" is neither an interface nor a prefix; name an interface whose zone is "
       "\"outside\", or give a prefix"},
      {"an address", route("10.20.0.1", "wan"),
       "nat.route[0].inside: \"10.20.0.1\" is neither an interface nor a prefix; name an interface whose "
       "zone is "
       "\"inside\", or give a prefix"},
      {"bits after a prefix", route("10.20.0.1/16", "wan"),
       "nat.route[0].inside: 10.20.0.1/16 has bits set after its prefix; write 10.20.0.0/16"},
      {"a host of the interface is opened", opened("192.168.1.20"), nullptr},
      {"a host of the prefix is opened", opened("10.20.3.4"), nullptr},
      {"a host outside is opened", opened("198.51.100.1"),
       "nat.static_mappings[0].external: 198.51.100.1 stands for itself, but is not in route mode; give an "
       "external "
       "address, or name the host's interface or prefix in nat.route"},
  });
}

TEST_CASE("limits and records of calls make sense", "[config][validate][calls]") {
  expect({
      {"calls a second with a burst",
       [](Config& c) {
         c.calls.limits.per_s = 10;
         c.calls.limits.burst = 50;
         c.calls.log.file = "/var/log/pinhole/calls.jsonl";
       },
       nullptr},
      {"a burst of nothing", [](Config& c) { c.calls.limits.burst = 50; },
       "calls.limits.burst: calls a second are not limited; set calls.limits.per_s"},
      {"a relative file", [](Config& c) { c.calls.log.file = "calls.jsonl"; },
       "calls.log.file: found \"calls.jsonl\"; allowed is the absolute path of a file such as "
       "\"/var/log/pinhole/calls.jsonl\""},
  });
}

TEST_CASE("records are written to somewhere that can be", "[config][validate][nat_log]") {
  expect({
      {"each mapping to a file",
       [](Config& c) {
         c.nat.log.mappings = true;
         c.nat.log.file = "/var/log/pinhole/nat.jsonl";
       },
       nullptr},
      {"blocks to a collector on this machine",
       [](Config& c) { c.nat.log.collector = endpoint("127.0.0.1", 4739); }, nullptr},
      {"each mapping to nowhere", [](Config& c) { c.nat.log.mappings = true; },
       "nat.log.mappings: each mapping is recorded, but nowhere; set nat.log.file or nat.log.collector"},
      {"a relative file", [](Config& c) { c.nat.log.file = "nat.jsonl"; },
       "nat.log.file: found \"nat.jsonl\"; allowed is the absolute path of a file such as "
       "\"/var/log/pinhole/nat.jsonl\""},
      {"a directory", [](Config& c) { c.nat.log.file = "/var/log/"; },
       "nat.log.file: found \"/var/log/\"; allowed is the absolute path of a file such as "
       "\"/var/log/pinhole/nat.jsonl\""},
      {"a group as the collector", [](Config& c) { c.nat.log.collector = endpoint("239.1.1.1", 4739); },
       "nat.log.collector: 239.1.1.1 is not the address of a host; give the address and port of an IPFIX "
       "collector"},
  });
}

TEST_CASE("records are wanted when anybody reads them", "[config][nat_log]") {
  NatLog log;
  CHECK_FALSE(log.wanted());
  log.file = "/var/log/nat.jsonl";
  CHECK(log.wanted());
  log = {};
  log.collector = endpoint("192.0.2.1", 4739);
  CHECK(log.wanted());
}

TEST_CASE("SIP ports are listed once and the socket is a path", "[config][validate]") {
  expect({
      {"an FTP port twice", [](Config& c) { c.ftp.ports = {21, 2121, 21}; },
       "ftp.ports[2]: 21 is listed already; keep one of the two"},
      {"a port of SIP and FTP", [](Config& c) { c.ftp.ports = {21, 5060}; },
       "ftp.ports[1]: 5060 is one of sip.ports; keep one of the two"},
      {"a port twice", [](Config& c) { c.sip.ports = {5060, 5070, 5060}; },
       "sip.ports[2]: 5060 is listed already; keep one of the two"},
      {"hosts both ways",
       [](Config& c) {
         c.sip.only = {prefix("10.0.0.0/8")};
         c.sip.exclude = {prefix("10.1.0.0/16"), prefix("10.9.9.9/8")};
       },
       "sip.exclude[1]: 10.0.0.0/8 is listed in sip.only; keep one of the two"},
      {"a name that ends with a space", [](Config& c) { c.sip.software_name = "Example "; },
       "sip.software_name: found \"Example \"; allowed is a text without a space at its ends such as "
       "\"Example SBC\""},
      {"a plug-in by a relative path", [](Config& c) { c.plugins = {{.file = "tftp.so", .options = ""}}; },
       "plugins[0].file: found \"tftp.so\"; allowed is the absolute path of a file such as "
       "\"/usr/lib/pinhole/plugins/tftp.so\""},
      {"a plug-in twice",
       [](Config& c) { c.plugins = {{.file = "/a.so", .options = ""}, {.file = "/a.so", .options = "x"}}; },
       "plugins[1].file: \"/a.so\" is listed already; keep one of the two"},
      {"a relative socket", [](Config& c) { c.control.socket = "control.sock"; },
       "control.socket: found \"control.sock\"; allowed is the absolute path of a file such as "
       "\"/run/pinhole/control.sock\""},
      {"a directory", [](Config& c) { c.control.socket = "/run/pinhole/"; },
       "control.socket: found \"/run/pinhole/\"; allowed is the absolute path of a file such as "
       "\"/run/pinhole/control.sock\""},
  });
}

TEST_CASE("the external addresses are the pool or the first outside interface's", "[config][validate]") {
  auto config = office();
  CHECK(external_addresses(config) == std::vector{address("203.0.113.2"), address("203.0.113.3")});
  // Prefixes need not be neighbours; the first and the last address of a subnet that we live in are nobody's.
  config.nat.pool = {prefix("198.51.100.6/31"), address("203.0.113.9"), prefix("203.0.113.252/30")};
  CHECK(external_addresses(config) == std::vector{address("198.51.100.6"), address("198.51.100.7"),
                                                  address("203.0.113.9"), address("203.0.113.252"),
                                                  address("203.0.113.253"), address("203.0.113.254")});
  config.nat.pool.clear();
  CHECK(external_addresses(config) == std::vector{address("203.0.113.2")});
  config.interfaces.pop_back();
  CHECK(external_addresses(config).empty());
}

}  // namespace pinhole::config
