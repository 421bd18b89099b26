// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The keys of the section "nat".

#include "dataplane/config/schema_key.hpp"
#include "dataplane/config/structs.hpp"
#include "nat/port_plan.hpp"

#include <tuple>

namespace pinhole::config {

template <>
struct Schema<PortForward> {
  static constexpr std::tuple kKeys{
      Key{.name = "protocol", .member = &PortForward::protocol, .help = "the protocol that is let in"},
      Key{.name = "external",
          .member = &PortForward::external,
          .help = "where packets arrive: an address of nat.pool or of an outside interface, and a port",
          .required = true},
      Key{.name = "inside",
          .member = &PortForward::inside,
          .help = "where they go: a host inside and its port",
          .required = true},
  };
};

template <>
struct Schema<StaticMapping> {
  static constexpr std::tuple kKeys{
      Key{.name = "protocol",
          .member = &StaticMapping::protocol,
          .help = "what is mapped; ICMP (its echo identifiers) with whole addresses only"},
      Key{.name = "external",
          .member = &StaticMapping::external,
          .help = "seen from outside: ports of an address of nat.pool or of an outside interface; or an "
                  "address or block of addresses that nobody else has, all of it",
          .required = true},
      Key{.name = "inside",
          .member = &StaticMapping::inside,
          .help = "the hosts inside, as many addresses and ports as external",
          .required = true},
      Key{.name = "direction",
          .member = &StaticMapping::direction,
          .help = "who may begin: both sides; in: outside alone, inside only answers; out: inside alone, "
                  "outside only answers"},
  };
};

template <>
struct Schema<Exempt> {
  static constexpr std::tuple kKeys{
      Key{.name = "from", .member = &Exempt::from, .help = "the hosts inside"},
      Key{.name = "to",
          .member = &Exempt::to,
          .help = "the destinations outside; their hosts must know the way back to the inside",
          .required = true},
      Key{.name = "protocol", .member = &Exempt::protocol, .help = "what is exempt"},
      Key{.name = "ports", .member = &Exempt::ports, .help = "the destination ports; pings have port 0"},
  };
};

template <>
struct Schema<RouteMode> {
  static constexpr std::tuple kKeys{
      Key{.name = "inside",
          .member = &RouteMode::inside,
          .help = "the name of an inside interface, or a prefix such as \"192.0.2.0/24\"",
          .bounds = {1, kMaxInterfaceName},
          .required = true},
      Key{.name = "outside",
          .member = &RouteMode::outside,
          .help = "the name of an outside interface, or a prefix such as \"192.0.2.0/24\"",
          .bounds = {1, kMaxInterfaceName},
          .required = true},
  };
};

template <>
struct Schema<Timeouts> {
  static constexpr std::tuple kKeys{
      Key{.name = "udp_s",
          .member = &Timeouts::udp_s,
          .help = "an idle UDP mapping, in seconds (RFC 4787 REQ-5: 120 at least, 300 or more recommended)",
          .bounds = {1, kWeekSeconds}},
      Key{.name = "tcp_established_s",
          .member = &Timeouts::tcp_established_s,
          .help = "an idle established TCP session, in seconds (RFC 5382 REQ-5: 7440 at least)",
          .bounds = {1, kWeekSeconds}},
      Key{.name = "tcp_opening_s",
          .member = &Timeouts::tcp_opening_s,
          .help = "a TCP session that is not established yet, in seconds (RFC 5382 REQ-5: 240 at least; RFC "
                  "7857 section 2.1 allows less)",
          .bounds = {1, kWeekSeconds}},
      Key{.name = "tcp_closing_s",
          .member = &Timeouts::tcp_closing_s,
          .help =
              "a TCP session that both sides have ended or one has reset, in seconds (RFC 5382 REQ-5, RFC "
              "7857 section 2.2: 240 at least)",
          .bounds = {1, kWeekSeconds}},
      Key{.name = "icmp_s",
          .member = &Timeouts::icmp_s,
          .help = "an idle ICMP query, in seconds (RFC 5508 REQ-2: 60 at least)",
          .bounds = {1, kWeekSeconds}},
      Key{.name = "media_s",
          .member = &Timeouts::media_s,
          .help = "an idle RTP or RTCP pinhole that no live call keeps open, in seconds",
          .bounds = {1, kWeekSeconds}},
  };
};

template <>
struct Schema<Quotas> {
  static constexpr std::tuple kKeys{
      Key{.name = "udp",
          .member = &Quotas::udp,
          .help = "UDP mappings at a time, those of static mappings, exemptions and route mode among them; "
                  "media of calls may go over it by 16; 0: as many as are counted, 65535",
          .bounds = {0, 16777216}},
      Key{.name = "tcp",
          .member = &Quotas::tcp,
          .help = "TCP mappings at a time, counted alike; 0: 65535",
          .bounds = {0, 16777216}},
      Key{.name = "icmp",
          .member = &Quotas::icmp,
          .help = "ICMP queries at a time, counted alike; 0: 65535",
          .bounds = {0, 16777216}},
      Key{.name = "new_per_s",
          .member = &Quotas::new_per_s,
          .help = "new mappings a second of all protocols, media of calls apart; 0: no limit",
          .bounds = {0, 1000000}},
      Key{.name = "burst",
          .member = &Quotas::burst,
          .help = "new mappings that may come at once after a pause",
          .bounds = {1, 16777216}},
  };
};

template <>
struct Schema<Ports> {
  static constexpr std::tuple kKeys{
      Key{.name = "mode",
          .member = &Ports::mode,
          .help = "which ports a host gets: any of its external address; those of blocks that are its alone "
                  "while it needs them (RFC 6888 REQ-14); or those of one block that follow from its number "
                  "among the subscribers (RFC 7422)"},
      Key{.name = "block_size",
          .member = &Ports::block_size,
          .help = "the ports of a block, of each protocol; a power of two; not for mode random",
          .bounds = {nat::kPortBlock, nat::kMaxPortBlock}},
      Key{.name = "blocks_per_host",
          .member = &Ports::blocks_per_host,
          .help = "how many blocks a host may have at a time, in mode blocks",
          .bounds = {1, 8}},
      Key{.name = "subscribers",
          .member = &Ports::subscribers,
          .help =
              "the inside hosts of mode deterministic, numbered in this order from 0; others get no ports",
          .bounds = {0, 256}},
      Key{.name = "rest_s",
          .member = &Ports::rest_s,
          .help = "a port that was used is given to nobody for so many seconds at least and twice as many at "
                  "most (RFC 6888 REQ-8: 120 at least), a block of ports for just so many; 0: it is free at "
                  "once",
          .bounds = {0, 3600}},
  };
};

template <>
struct Schema<Filtering> {
  using Shorthand = nat::Filter;
  static constexpr std::tuple kKeys{
      Key{.name = "udp", .member = &Filtering::udp, .help = "for UDP (RFC 4787 REQ-8)"},
      Key{.name = "tcp", .member = &Filtering::tcp, .help = "for TCP (RFC 5382 REQ-3)"},
      Key{.name = "icmp", .member = &Filtering::icmp, .help = "for echo replies; an identifier has no port"},
  };
};

template <>
struct Schema<InboundRefresh> {
  using Shorthand = bool;
  static constexpr std::tuple kKeys{
      Key{.name = "udp", .member = &InboundRefresh::udp, .help = "for UDP"},
      Key{.name = "tcp",
          .member = &InboundRefresh::tcp,
          .help = "for TCP outside of connections; those that inside takes part in are kept by both sides"},
      Key{.name = "icmp", .member = &InboundRefresh::icmp, .help = "for echo replies"},
  };
};

template <>
struct Schema<Tcp> {
  static constexpr std::tuple kKeys{
      Key{.name = "mss",
          .member = &Tcp::mss,
          .help =
              "the largest segment that SYNs may announce, in bytes; larger ones are lowered to it; auto: "
              "what fits the MTUs of both interfaces",
          .bounds = {536, 9176}},
      Key{.name = "answer_unsolicited",
          .member = &Tcp::answer_unsolicited,
          .help =
              "whether a SYN from outside that nobody asked for is answered, six seconds later, with ICMP "
              "3/3 (RFC 5382 REQ-4); false: never"},
  };
};

template <>
struct Schema<NatLog> {
  static constexpr std::tuple kKeys{
      Key{.name = "mappings",
          .member = &NatLog::mappings,
          .help = "a record when a mapping begins and one when it ends, besides those of port blocks and of "
                  "refusals; without port blocks nothing else says who was behind an address"},
      Key{.name = "file",
          .member = &NatLog::file,
          .help = "where control writes records, one JSON object a line: an absolute path; empty: nowhere",
          .bounds = {0, kMaxLogPath}},
      Key{.name = "file_mb",
          .member = &NatLog::file_mb,
          .help = "a file that is so large, in MiB, is renamed to file.1, file.1 to file.2 and so on; 0: "
                  "never, for those who rotate it themselves",
          .bounds = {0, 1048576}},
      Key{.name = "files",
          .member = &NatLog::files,
          .help = "how many files are kept, the one being written counted in; the oldest is removed",
          .bounds = {1, 10000}},
      Key{.name = "collector",
          .member = &NatLog::collector,
          .help = "where control sends records as IPFIX over UDP (RFC 7011, RFC 8158)"},
      Key{.name = "domain",
          .member = &NatLog::domain,
          .help = "the observation domain that IPFIX messages carry",
          .bounds = {0, 4294967295}},
      Key{.name = "template_s",
          .member = &NatLog::template_s,
          .help = "how often the templates of IPFIX are sent again, in seconds (RFC 7011 section 8.4)",
          .bounds = {1, 86400}},
  };
};

template <>
struct Schema<Nat> {
  static constexpr std::tuple kKeys{
      Key{.name = "pool",
          .member = &Nat::pool,
          .help = "the external addresses that inside hosts share, one by one or by prefix, all addresses of "
                  "which are used; empty: the address of the first outside interface",
          .bounds = {0, 256}},
      Key{.name = "forwards",
          .member = &Nat::forwards,
          .help = "external endpoints that always stand for an inside endpoint",
          .bounds = {0, 1024}},
      Key{.name = "static_mappings",
          .member = &Nat::static_mappings,
          .help = "ranges of ports and whole addresses that stand for hosts inside; mappings are made as "
                  "packets come, always the same",
          .bounds = {0, kMaxStaticMappings}},
      Key{.name = "exempt",
          .member = &Nat::exempt,
          .help = "destinations towards which nothing is translated",
          .bounds = {0, kMaxUntranslated}},
      Key{.name = "route",
          .member = &Nat::route,
          .help = "route mode: interfaces or prefixes between which nothing is translated, only tracked and "
                  "filtered; a static mapping whose two sides are equal opens a host to the outside",
          .bounds = {0, kMaxUntranslated}},
      Key{.name = "filtering",
          .member = &Nat::filtering,
          .help = "who may send to a mapping from outside (RFC 4787 section 5): anybody, the remote "
                  "addresses that "
                  "the inside host talks to, or these with their ports; one word for all protocols, or an "
                  "object"},
      Key{.name = "inbound_refresh",
          .member = &Nat::inbound_refresh,
          .help = "whether packets from outside keep an idle mapping (RFC 4787 REQ-6, RFC 7857 section 7): "
                  "true or "
                  "false for all protocols, or an object; media of calls is always kept by both sides"},
      Key{.name = "timeouts", .member = &Nat::timeouts, .help = "how long what is idle lives"},
      Key{.name = "quotas",
          .member = &Nat::quotas,
          .help = "what each inside host may have of the mappings (RFC 6888 REQ-4, REQ-5)"},
      Key{.name = "ports", .member = &Nat::ports, .help = "how external ports are given out"},
      Key{.name = "tcp", .member = &Nat::tcp, .help = "TCP connections as they open"},
      Key{.name = "mappings_per_worker",
          .member = &Nat::mappings_per_worker,
          .help = "the size of each worker's table of mappings; a mapping takes 64 bytes",
          .bounds = {64, 16777216}},
      Key{.name = "hosts_per_worker",
          .member = &Nat::hosts_per_worker,
          .help = "how many inside hosts may have mappings at a time, for each worker; 0: as many as "
                  "mappings_per_worker up to 65536, beyond that a sixteenth of them if that is more; a host "
                  "takes 56 bytes",
          .bounds = {0, 16777216}},
      Key{.name = "remotes_per_worker",
          .member = &Nat::remotes_per_worker,
          .help =
              "how many remotes mappings remember besides the first that each speaks to, for each worker; "
              "beyond that the one that was silent longest is forgotten and not let in until it is sent "
              "to again; 0: half as many as mappings_per_worker; a remote takes 16 bytes",
          .bounds = {0, 16777216}},
      Key{.name = "tcp_sessions_per_worker",
          .member = &Nat::tcp_sessions_per_worker,
          .help = "the size of each worker's table of TCP connections; a connection takes 43 bytes",
          .bounds = {64, 16777216}},
      Key{.name = "log",
          .member = &Nat::log,
          .help = "records of who had which external endpoint when (RFC 6888 REQ-12, RFC 8158)"},
  };
};

}  // namespace pinhole::config
