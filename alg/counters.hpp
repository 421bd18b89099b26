// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Counters of the application layer gateways.

#include "nat/counters.hpp"

namespace pinhole::alg {

#define PINHOLE_ALG_COUNTERS(X)                                                                  \
  X(sip_request, "SIP requests inspected")                                                       \
  X(sip_response, "SIP responses inspected")                                                     \
  X(sip_untouched, "SIP messages forwarded bit for bit")                                         \
  X(sip_not_sip, "datagrams on a SIP port that are not SIP, forwarded")                          \
  X(sip_keepalive, "keep-alives on a SIP port (CRLF, empty, STUN), forwarded")                   \
  X(sip_malformed, "messages that begin like SIP and cannot be read, forwarded untouched")       \
  X(sip_transparent, "datagrams of transparent peers, forwarded without a look")                 \
  X(sip_identity_broken, "messages whose Identity signature was broken by an edit")              \
  X(sip_media_opened, "media streams for which pinholes were opened")                            \
  X(stream_not_mine, "TCP connections on a gateway's port that carry something else, forwarded") \
  X(stream_not_whole, "TCP connections whose message did not end in time, forwarded unread")     \
  X(stream_reordered, "TCP segments on a gateway's port that came before their turn")            \
  X(stream_sent_again, "TCP segments that were sent again on Pinhole's own account")             \
  X(stream_given_up, "TCP connections that were reset, because an end answered nothing any more")

enum class Counter : std::uint8_t { PINHOLE_ALG_COUNTERS(PINHOLE_COUNTER_ENUMERATOR) };

}  // namespace pinhole::alg

template <>
struct pinhole::nat::CounterTraits<pinhole::alg::Counter> {
  static constexpr std::array kInfo = {PINHOLE_ALG_COUNTERS(PINHOLE_COUNTER_INFO)};
};
