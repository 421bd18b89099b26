// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A message that a gateway is shown, and what becomes of it. A gateway knows nothing of packets, DPDK or
// workers. It sees one whole message, asks its host, and lists what is to be replaced. It keeps no state of
// its own between messages: what lives longer lives with the host.

#include <cstdint>
#include <string_view>

#include "nat/drop_reason.hpp"
#include "nat/endpoint.hpp"
#include "nat/mapping.hpp"

namespace pinhole::alg {

/// Outbound is from the inside zone to the outside zone.
enum class Direction : std::uint8_t { outbound, inbound };

/// Where an inside host writes a signalling endpoint of its own without the port, because it is the default
/// one.
struct Portless {
  bool in_uri = false;
  bool in_via = false;

  friend constexpr bool operator==(Portless, Portless) noexcept = default;
};

/// The flow that carries a message. Outbound its source is `inside`, shown outside as `external`.
struct Flow {
  nat::Protocol protocol = nat::Protocol::udp;
  nat::Endpoint inside;
  nat::Endpoint external;
  nat::Endpoint remote;
  Portless portless = {};  // how `inside` was last written
};

/// One whole message: a datagram, or a message cut out of a stream. `bytes` lives until inspect() returns.
struct Message {
  std::string_view bytes;
  Direction direction = Direction::outbound;
  Flow flow;
  bool again = false;  // it was inspected before, and has waited since
  // Not where the gateway is switched off and only sees calls through: limits and rules are not asked then.
  bool judged = true;
  nat::Realm realm = nat::Realm::translated;
  std::uint16_t interfaces = 0;  // a bit for each that it comes in or goes out by
};

enum class Verdict : std::uint8_t {
  forward,  // apply the edits (there may be none) and send it on
  drop,     // Answer::reason says why
  wait,     // the host answered `wait`: park the message, and inspect it again when the answer is there
  refuse,   // a request: drop it, and answer it with Answer::status in the name of who it was for
};

struct Answer {
  Verdict verdict = Verdict::forward;
  nat::DropReason reason = nat::DropReason::none;
  bool recognised = false;          // the message was of the gateway's protocol
  std::uint16_t status = 0;         // with `refuse`: of the response
  std::uint16_t retry_after_s = 0;  // with `refuse`: 0: the response does not say
};

}  // namespace pinhole::alg
