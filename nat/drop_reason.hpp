// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Every way in which Pinhole drops a packet. It is one list for the whole product, in the module that all
// others see, because a packet dies once wherever it dies. `none` is not counted: it means that the packet
// lives.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "nat/counters.hpp"

namespace pinhole::nat {

#define PINHOLE_DROP_REASONS(X)                                                                         \
  X(none, "not dropped")                                                                                \
  X(drop_truncated, "a header or length field runs past the end of the frame")                          \
  X(drop_not_ip, "an EtherType other than IPv4 and ARP, or an unknown VLAN")                            \
  X(drop_bad_ip_header, "IPv4 version, header length or total length is wrong")                         \
  X(drop_bad_ip_checksum, "the IPv4 header checksum is wrong")                                          \
  X(drop_bad_ip_options, "IPv4 options whose lengths lead nowhere")                                     \
  X(drop_source_route, "an IPv4 option that prescribes the way")                                        \
  X(drop_fragment, "a fragment of what is only read whole: an ICMP error, or for our own addresses")    \
  X(drop_fragment_malformed, "a fragment of impossible size or place in its datagram")                  \
  X(drop_fragment_tiny, "a first fragment without the whole transport header")                          \
  X(drop_fragment_overlap, "a fragment that overlaps or repeats another one of its datagram")           \
  X(drop_fragment_timeout, "a fragment whose first one did not come in time")                           \
  X(drop_fragment_overflow, "a fragment that had to wait for the first one, and no place to wait")      \
  X(drop_bad_udp_checksum, "a UDP checksum that is wrong, where the payload had to be read")            \
  X(drop_bad_udp_length, "a UDP length below its header or beyond its datagram")                        \
  X(drop_bad_tcp_checksum, "a TCP checksum that is wrong, where the payload had to be read")            \
  X(drop_bad_tcp_header, "a TCP header length below a header or beyond its segment")                    \
  X(drop_bad_tcp_flags, "TCP flags without SYN, RST and ACK, or SYN with FIN or RST")                   \
  X(drop_port_zero, "TCP or UDP to port 0, or TCP from it")                                             \
  X(drop_unsupported_protocol, "an IP protocol that is not translated")                                 \
  X(drop_unsupported_icmp, "an ICMP type that is not translated")                                       \
  X(drop_martian_source,                                                                                \
    "from an address that no host has: in 0.0.0.0/8, loopback, multicast, reserved, or a broadcast")    \
  X(drop_martian_destination, "to an address that is on no wire: in 0.0.0.0/8, loopback or reserved")   \
  X(drop_multicast, "to a multicast address")                                                           \
  X(drop_broadcast, "to the broadcast address of the link or of a subnet")                              \
  X(drop_land, "to the address that it comes from")                                                     \
  X(drop_spoofed_own, "from the wire, with an address of our own as its source")                        \
  X(drop_spoofed_inside, "from outside, with a source that is reached by an inside interface")          \
  X(drop_spoofed_outside, "from inside, with a source that is not reached by an inside interface")      \
  X(drop_not_for_us, "the frame's destination MAC address is not ours")                                 \
  X(drop_ttl_expired, "the TTL ran out")                                                                \
  X(drop_no_route, "no route to the destination")                                                       \
  X(drop_no_mapping,                                                                                    \
    "from outside, to an external port that stands for nobody, or a later fragment of nobody")          \
  X(drop_filtered, "from outside, to a mapping whose filter does not admit the sender")                 \
  X(drop_media_source, "from outside, to a media pinhole, and not from where its call's media comes")   \
  X(drop_static_direction, "from inside, where a static mapping lets only outside begin")               \
  X(drop_no_port, "no free external port for a new mapping")                                            \
  X(drop_no_block, "no free block of external ports for a new mapping of an inside host")               \
  X(drop_block_limit, "a new mapping of an inside host whose blocks of ports are used up")              \
  X(drop_not_subscriber, "a new mapping of an inside host that nat.ports.subscribers does not list")    \
  X(drop_table_full, "no free mapping")                                                                 \
  X(drop_host_table_full, "no free place for another inside host")                                      \
  X(drop_quota_mappings, "a new mapping of an inside host that has as many as it may")                  \
  X(drop_quota_rate, "a new mapping of an inside host that makes more a second than it may")            \
  X(drop_session_table_full, "no free place for the state of a new TCP connection")                     \
  X(drop_icmp_error_no_mapping, "an ICMP error about a packet that belongs to no mapping")              \
  X(drop_icmp_error_checksum, "an ICMP error with a wrong checksum, its own or that of what it quotes") \
  X(drop_not_translatable, "between two zones, but of a kind that makes no mapping")                    \
  X(drop_too_big, "larger than the MTU of the way out, and not to be fragmented")                       \
  X(drop_handoff_full, "the ring to the worker that owns the flow was full")                            \
  X(drop_neighbor_queue_full, "too many packets wait for the neighbour's MAC address")                  \
  X(drop_neighbor_unresolved, "the neighbour did not answer ARP in time")                               \
  X(drop_tx_full, "the transmit queue of the port was full")                                            \
  X(drop_icmp_rate, "an ICMP answer over its rate limit")                                               \
  X(drop_icmp_policy, "an ICMP answer that the configuration keeps from its interface")                 \
  X(drop_for_own_address, "for one of our own addresses, and nothing here answers it")                  \
  X(drop_no_mbuf, "no packet buffer was free")                                                          \
  X(drop_sip_malformed, "a SIP message that cannot be translated without guessing")                     \
  X(drop_sip_no_port, "a SIP message whose media got no external ports")                                \
  X(drop_sip_too_big, "a SIP message that would be larger than 65,535 bytes after translation")         \
  X(drop_sip_fragment_timeout, "a fragment of a SIP message of which others did not come in time")      \
  X(drop_sip_fragment_overflow, "a fragment of a SIP message that found no place to wait for others")   \
  X(drop_sip_parked_full, "a SIP message that had to wait for another worker, and no place to wait")    \
  X(drop_sip_parked_timeout, "a SIP message that waited for another worker for too long")               \
  X(drop_sip_refused, "a SIP request that the policy refuses, answered in the name of who it was for")  \
  X(drop_sip_rule, "a message on a SIP port that a rule of the policy drops")                           \
  X(drop_banned, "from a source that is banned")                                                        \
  X(drop_sip_scanner, "a SIP request that names a scanner as its User-Agent")                           \
  X(drop_sip_denied, "a SIP request of a source that servers have refused too often, for a while")      \
  X(drop_sip_rate, "a SIP message over a limit of protection")                                          \
  X(drop_malformed_rate, "a SIP message that cannot be read, of a source that sends too many")          \
  X(drop_flow_rate, "a SYN or a first packet from outside, of a source that sends too many, or of all") \
  X(drop_fragment_rate, "a fragment from outside, of a source that sends too many, or of all")          \
  X(drop_sip_own, "a SIP message that ends here: of a request that was refused, or a BYE of Pinhole's") \
  X(drop_call_limit, "a SIP request that would begin a call over a limit, answered with 503")           \
  X(drop_stream_overlap,                                                                                \
    "a TCP segment with other bytes than those that it says to send again, for a gateway")              \
  X(drop_stream_full, "a TCP segment for a gateway that found no room; it is sent again")               \
  X(drop_stream_unread,                                                                                 \
    "a TCP segment of a connection that a gateway must read, and has not from its SYN on")              \
  X(drop_stream_broken, "a TCP segment of a connection for a gateway that was given up")                \
  X(drop_gateway, "a message that its gateway dropped")                                                 \
  X(drop_gateway_too_big, "a datagram that would be over 65,535 bytes as its gateway edited it")

enum class DropReason : std::uint8_t { PINHOLE_DROP_REASONS(PINHOLE_COUNTER_ENUMERATOR) };
template <>
struct CounterTraits<DropReason> {
  static constexpr std::array kInfo = {PINHOLE_DROP_REASONS(PINHOLE_COUNTER_INFO)};
};

/// The name of its counter; that of the last for what is none.
[[nodiscard]] constexpr std::string_view name(DropReason reason) noexcept {
  const auto& all = CounterTraits<DropReason>::kInfo;
  return all[std::min(static_cast<std::size_t>(reason), all.size() - 1)].name;
}

}  // namespace pinhole::nat
