// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The table of every key of the configuration: its name, the member it fills, its bounds and its help.
// Loading, rendering, the unknown-key hints, the reference in the docs and the tests all walk this table, so
// that a key added here is added everywhere. Invariant: a key is named as the member it fills.

#include "dataplane/config/schema_key.hpp"
#include "dataplane/config/schema_nat.hpp"
#include "dataplane/config/schema_protection.hpp"
#include "dataplane/config/structs.hpp"

#include <tuple>

namespace pinhole::config {

template <>
struct Schema<Interface> {
  static constexpr std::tuple kKeys{
      Key{.name = "name",
          .member = &Interface::name,
          .help = "what people and counters call it; unique",
          .bounds = {1, kMaxInterfaceName},
          .required = true},
      Key{.name = "device",
          .member = &Interface::device,
          .help =
              "the PCI address of a NIC bound to a DPDK driver (\"0000:03:00.0\") or a DPDK virtual device "
              "with its arguments (\"net_af_packet0,iface=eth1\"); unique",
          .bounds = {1, kMaxDevice},
          .required = true},
      Key{.name = "zone",
          .member = &Interface::zone,
          .help = "the side that the interface is on; traffic between the two sides is translated",
          .required = true},
      Key{.name = "address",
          .member = &Interface::address,
          .help = "Pinhole's own address on the interface, with the length of its subnet",
          .required = true},
      Key{.name = "gateway",
          .member = &Interface::gateway,
          .help = "the default gateway, in the subnet of the interface; one interface at most has one"},
      Key{.name = "vlan",
          .member = &Interface::vlan,
          .help = "the VLAN (802.1Q) that frames carry; 0: untagged",
          .bounds = {0, 4094}},
      Key{.name = "mtu",
          .member = &Interface::mtu,
          .help = "the largest IP packet, in bytes",
          .bounds = {576, 9216}},
      Key{.name = "icmp",
          .member = &Interface::icmp,
          .help = "whether Pinhole itself sends ICMP to this side: errors, and answers to pings of its own "
                  "addresses (RFC 5508 REQ-9); that of others passes anyhow"},
      Key{.name = "sip",
          .member = &Interface::sip,
          .help = "whether SIP is read and translated that comes in or goes out by the interface"},
  };
};

template <>
struct Schema<Route> {
  static constexpr std::tuple kKeys{
      Key{.name = "prefix", .member = &Route::prefix, .help = "the destinations", .required = true},
      Key{.name = "via",
          .member = &Route::via,
          .help = "the next hop, in the subnet of an interface",
          .required = true},
  };
};

template <>
struct Schema<Workers> {
  static constexpr std::tuple kKeys{
      Key{.name = "count",
          .member = &Workers::count,
          .help = "how many workers forward packets",
          .bounds = {1, kMaxWorkers}},
      Key{.name = "cpus",
          .member = &Workers::cpus,
          .help =
              "the CPU of each worker in order, as many as workers; may repeat, for labs; empty: CPUs 1, 2 "
              "and so on, CPU 0 serves everything else",
          .bounds = {0, kMaxWorkers},
          .each = {0, kMaxCpu}},
      Key{.name = "idle",
          .member = &Workers::idle,
          .help =
              "what a worker without packets does; auto: spin when every worker has a CPU of its own, yield "
              "otherwise"},
  };
};

template <>
struct Schema<Dpdk> {
  static constexpr std::tuple kKeys{
      Key{.name = "file_prefix",
          .member = &Dpdk::file_prefix,
          .help =
              "the name under which DPDK shares its memory; the same for both processes, different for each "
              "Pinhole on a machine; letters, digits, '_' and '-'",
          .bounds = {1, 32}},
      Key{.name = "memory_mb",
          .member = &Dpdk::memory_mb,
          .help = "hugepage memory to take, in MiB",
          .bounds = {64, 1048576}},
  };
};

template <>
struct Schema<Sip> {
  static constexpr std::tuple kKeys{
      Key{.name = "enabled",
          .member = &Sip::enabled,
          .help = "read and translate SIP; false: SIP is forwarded like any other traffic; this and the "
                  "three like it can be changed at run time (pinholectl sip)"},
      Key{.name = "ports",
          .member = &Sip::ports,
          .help = "the ports where SIP is looked for",
          .bounds = {1, kMaxSipPorts},
          .each = {1, 65535}},
      Key{.name = "tcp",
          .member = &Sip::tcp,
          .help = "look for SIP on TCP too; false: TCP on these ports is forwarded like any other traffic"},
      Key{.name = "tcp_own_host",
          .member = &Sip::tcp_own_host,
          .help = "on TCP, translate and open endpoints of the host that sends a message only; false: of any "
                  "host inside"},
      Key{.name = "media_own_host",
          .member = &Sip::media_own_host,
          .help = "open media ports of the host that sends a message only; false: of any host inside, as it "
                  "takes with a server inside whose phones or media gateways have the media themselves"},
      Key{.name = "streams_per_worker",
          .member = &Sip::streams_per_worker,
          .help =
              "how many TCP connections each worker reads at a time for SIP, and as many for all other "
              "gateways; those above it pass unread, but of FTP they are dropped; a connection takes 3.4 KB",
          .bounds = {1, 1048576}},
      Key{.name = "malformed",
          .member = &Sip::malformed,
          .help = "what becomes of a message that begins like SIP and cannot be read; forward: it goes on "
                  "untouched"},
      Key{.name = "transparent",
          .member = &Sip::transparent,
          .help = "peers outside whose SIP messages are not touched, either way: they see to NAT themselves",
          .bounds = {0, kMaxTransparent}},
      Key{.name = "hide_parties",
          .member = &Sip::hide_parties,
          .help = "inside addresses as hosts of From, To and Warning leave as tokens, and come back as they "
                  "were"},
      Key{.name = "hide_call_id",
          .member = &Sip::hide_call_id,
          .help = "inside addresses as hosts of Call-IDs leave as tokens, wherever a message names a "
                  "Call-ID, and come "
                  "back as they were"},
      Key{.name = "hide_key",
          .member = &Sip::hide_key,
          .help = "the secret that tokens are made with, 32 hexadecimal digits; empty: drawn at start, and "
                  "dialogs with tokens do not outlive the data plane; config.show says \"set\" or null",
          .bounds = {0, kHideKeyDigits},
          .secret = true},
      Key{.name = "asserted_identity",
          .member = &Sip::asserted_identity,
          .help = "where P-Asserted-Identity is taken out because the other side is not trusted (RFC 3325)"},
      Key{.name = "software",
          .member = &Sip::software,
          .help =
              "what becomes of User-Agent and Server in what leaves, which tell what software runs inside; "
              "replace: sip.software_name stands there; strip: they are taken out"},
      Key{.name = "software_name",
          .member = &Sip::software_name,
          .help = "the text that stands for all software inside",
          .bounds = {1, kMaxSoftwareName}},
      Key{.name = "only",
          .member = &Sip::only,
          .help = "the inside hosts whose SIP is read and translated; empty: all",
          .bounds = {0, 24}},
      Key{.name = "exclude",
          .member = &Sip::exclude,
          .help = "inside hosts whose SIP is forwarded like any other traffic; of two prefixes that hold a "
                  "host the longer one counts",
          .bounds = {0, 24}},
      Key{.name = "ignore_df",
          .member = &Sip::ignore_df,
          .help =
              "what becomes of a message that may not be fragmented (DF) and outgrows the MTU when it is "
              "translated; false: its sender is told a smaller MTU by ICMP; true: it goes on in fragments"},
      Key{.name = "media_from",
          .member = &Sip::media_from,
          .help =
              "whose packets media ports take; signalled: from the addresses that the descriptions of the "
              "call "
              "name; latched: and from the first to come in while nobody else has; anywhere: from anyone"},
      Key{.name = "latch_from",
          .member = &Sip::latch_from,
          .help = "subnets whose hosts may be the first to come in; empty: any",
          .bounds = {0, 16}},
      Key{.name = "why",
          .member = &Sip::why,
          .help =
              "tell control what was done to each SIP message, for pinholectl call ID --why and pinholectl "
              "messages"},
      Key{.name = "calls_per_worker",
          .member = &Sip::calls_per_worker,
          .help = "the size of each worker's table of calls",
          .bounds = {1, 1048576}},
      Key{.name = "registrations_per_worker",
          .member = &Sip::registrations_per_worker,
          .help = "the size of each worker's table of registrations",
          .bounds = {1, 1048576}},
      Key{.name = "local_media",
          .member = &Sip::local_media,
          .help = "the way of media between two inside hosts that call each other through a server outside: "
                  "hairpin, through Pinhole; direct, from host to host"},
  };
};

template <>
struct Schema<Ftp> {
  static constexpr std::tuple kKeys{
      Key{.name = "enabled",
          .member = &Ftp::enabled,
          .help = "read and translate FTP; false: FTP is forwarded like any other traffic"},
      Key{.name = "ports",
          .member = &Ftp::ports,
          .help = "the ports of FTP servers; none of them is one of sip.ports",
          .bounds = {1, 16},
          .each = {1, 65535}},
      Key{.name = "data_timeout_s",
          .member = &Ftp::data_timeout_s,
          .help = "how long the way of an announced data connection is kept open for it to come, in seconds",
          .bounds = {1, 3600}},
      Key{.name = "keep_alive_s",
          .member = &Ftp::keep_alive_s,
          .help = "how often both ends of a silent control connection are sent TCP keep-alives while data is "
                  "transferred, in seconds, so that others on the path keep it, too; 0: never",
          .bounds = {0, 86400}},
  };
};

template <>
struct Schema<CallLimits> {
  static constexpr std::tuple kKeys{
      Key{.name = "total",
          .member = &CallLimits::total,
          .help = "how many calls there may be at a time; 0: any number",
          .bounds = {0, 1048576}},
      Key{.name = "per_host",
          .member = &CallLimits::per_host,
          .help = "how many calls an inside host may have at a time; 0: any number",
          .bounds = {0, 1048576}},
      Key{.name = "per_server",
          .member = &CallLimits::per_server,
          .help = "how many calls may go through a server outside, by its address, at a time; 0: any number",
          .bounds = {0, 1048576}},
      Key{.name = "per_s",
          .member = &CallLimits::per_s,
          .help = "how many calls may begin a second; 0: any number",
          .bounds = {0, 1000000}},
      Key{.name = "burst",
          .member = &CallLimits::burst,
          .help = "how many may begin at once after a time without calls; 0: as many as per_s",
          .bounds = {0, 1000000}},
  };
};

template <>
struct Schema<CallLog> {
  static constexpr std::tuple kKeys{
      Key{.name = "file",
          .member = &CallLog::file,
          .help = "where control writes a record of every call when it is over, one JSON object a line: an "
                  "absolute path; empty: nowhere",
          .bounds = {0, kMaxLogPath}},
      Key{.name = "file_mb",
          .member = &CallLog::file_mb,
          .help = "a file that is so large, in MiB, is renamed to file.1, file.1 to file.2 and so on; 0: "
                  "never, for those who rotate it themselves",
          .bounds = {0, 1048576}},
      Key{.name = "files",
          .member = &CallLog::files,
          .help = "how many files are kept, the one being written counted in; the oldest is removed",
          .bounds = {1, 10000}},
  };
};

template <>
struct Schema<Calls> {
  static constexpr std::tuple kKeys{
      Key{.name = "max_duration_s",
          .member = &Calls::max_duration_s,
          .help = "how long a call may last from its answer, in seconds; 0: any time",
          .bounds = {0, kWeekSeconds}},
      Key{.name = "ringing_s",
          .member = &Calls::ringing_s,
          .help = "how long a call may wait for its answer after the last message, in seconds (timer C, RFC "
                  "3261 section 16.6)",
          .bounds = {1, 3600}},
      Key{.name = "answer_ack_s",
          .member = &Calls::answer_ack_s,
          .help = "how long an answer may wait for its ACK, in seconds (RFC 3261 section 13.3.1.4)",
          .bounds = {1, 3600}},
      Key{.name = "media_inactivity_s",
          .member = &Calls::media_inactivity_s,
          .help = "how long an answered call may go on without media and messages, in seconds, unless it is "
                  "held or has a session timer; 0: any time",
          .bounds = {0, 86400}},
      Key{.name = "media_inactivity",
          .member = &Calls::media_inactivity,
          .help = "what happens then; end: the call ends; shut: its media is let through no more, until "
                  "media is agreed on anew"},
      Key{.name = "hang_up",
          .member = &Calls::hang_up,
          .help = "tell both sides of an answered call that Pinhole ends, by BYE"},
      Key{.name = "measure",
          .member = &Calls::measure,
          .help =
              "measure loss, jitter and gaps of the media of calls, for their records; takes 144 bytes of "
              "dpdk.memory_mb for each of nat.mappings_per_worker"},
      Key{.name = "limits", .member = &Calls::limits, .help = "how many calls there may be"},
      Key{.name = "log", .member = &Calls::log, .help = "the records of calls"},
  };
};

template <>
struct Schema<Icmp> {
  static constexpr std::tuple kKeys{
      Key{.name = "errors_per_s",
          .member = &Icmp::errors_per_s,
          .help = "how many ICMP errors (time exceeded, unreachable) each worker sends a second; 0: none",
          .bounds = {0, 100000}},
  };
};

template <>
struct Schema<Plugin> {
  static constexpr std::tuple kKeys{
      Key{.name = "file",
          .member = &Plugin::file,
          .help = "the shared object: an absolute path; neither it nor a directory above it may be writable "
                  "for others than root",
          .bounds = {2, kMaxPluginFile},
          .required = true},
      Key{.name = "options",
          .member = &Plugin::options,
          .help = "a text that the plug-in reads when it starts; its documentation tells what",
          .bounds = {0, 1024}},
      Key{.name = "enabled",
          .member = &Plugin::enabled,
          .help = "show it messages; false: its ports are like any others; can be changed at run time "
                  "(pinholectl alg)"},
      Key{.name = "budget_us",
          .member = &Plugin::budget_us,
          .help = "how long one call of the plug-in may take, in microseconds; a longer one is a fault",
          .bounds = {1, 1000000}},
      Key{.name = "max_faults",
          .member = &Plugin::max_faults,
          .help = "after so many faults on a worker the plug-in is shown nothing more there",
          .bounds = {1, 1000000}},
  };
};

template <>
struct Schema<Control> {
  static constexpr std::tuple kKeys{
      Key{.name = "socket",
          .member = &Control::socket,
          .help = "the Unix socket that pinholectl talks to: an absolute path",
          .bounds = {2, kMaxSocketPath}},
      Key{.name = "group",
          .member = &Control::group,
          .help = "the group whose members may use the socket; empty: the group that control runs as",
          .bounds = {0, 32}},
      Key{.name = "read_group",
          .member = &Control::read_group,
          .help = "a group whose members may use the socket for commands that only show; empty: none",
          .bounds = {0, 32}},
      Key{.name = "linger_s",
          .member = &Control::linger_s,
          .help = "how long a call's media ports stay open after its end, in seconds",
          .bounds = {0, 30}},
      Key{.name = "store",
          .member = &Control::store,
          .help =
              "where bans and allowed sources are kept over a restart: the absolute path of a file; empty: "
              "nowhere",
          .bounds = {0, kMaxLogPath}},
  };
};

template <>
struct Schema<Config> {
  static constexpr std::tuple kKeys{
      Key{.name = "interfaces",
          .member = &Config::interfaces,
          .help = "the ports of the appliance: one inside and one outside at least",
          .bounds = {2, kMaxInterfaces},
          .required = true},
      Key{.name = "routes",
          .member = &Config::routes,
          .help = "what is reached through a router other than the default gateway",
          .bounds = {0, 256}},
      Key{.name = "workers", .member = &Config::workers, .help = "the threads that forward packets"},
      Key{.name = "dpdk", .member = &Config::dpdk, .help = "what both processes share through DPDK"},
      Key{.name = "nat", .member = &Config::nat, .help = "address and port translation"},
      Key{.name = "sip", .member = &Config::sip, .help = "the SIP application layer gateway"},
      Key{.name = "ftp", .member = &Config::ftp, .help = "the FTP application layer gateway"},
      Key{.name = "calls",
          .member = &Config::calls,
          .help = "how long calls may live, how many there may be, and their records"},
      Key{.name = "icmp", .member = &Config::icmp, .help = "ICMP that Pinhole itself sends"},
      Key{.name = "protection",
          .member = &Config::protection,
          .help = "limits and bans against floods, scans and guessing of passwords, and rules for messages"},
      Key{.name = "plugins",
          .member = &Config::plugins,
          .help = "gateways for other protocols, which are loaded at start (docs/plugins.md)",
          .bounds = {0, kMaxPlugins}},
      Key{.name = "control", .member = &Config::control, .help = "the control process"},
  };
};

}  // namespace pinhole::config
