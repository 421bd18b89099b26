// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// SIP as a gateway of alg/plugin.h: it has a name, claims, a state on each worker, frame() and inspect(),
// like any other. It asks more than that interface has: endpoints of other hosts and workers, calls,
// registrations, media. For that its host gives it a longer table, which begins with the one that all
// gateways get. What is behind the beginning is C++, and changes with the two sides: it is for gateways that
// are built with their host.

#include "alg/alg.hpp"
#include "alg/edit.hpp"
#include "alg/host.hpp"
#include "alg/plugin.h"
#include "alg/sip/sip_alg.hpp"

namespace pinhole::alg::sip {

/// One inspection, with what SIP may ask and has to say during it. Lives until inspect() returns.
struct Voice {
  const Message& message;
  Host& host;
  EditList& edits;
  Answer answer = {};  // why PINHOLE_DROP was said, and what else is to be done about the message
};

/// The table that SIP is given. One for each worker; outlives the gateway's state.
struct VoiceHost {
  pinhole_host table;  // first: its `size` says that there is more
  SipAlg* alg = nullptr;
  Voice& (*voice)(pinhole_context& context) noexcept = nullptr;
};

/// Its claims are the ports of SIP, 5060 by UDP and TCP. It keeps nothing of flows, takes no options, and its
/// counters are those of alg/counters.hpp.
[[nodiscard]] const pinhole_plugin& gateway() noexcept;

}  // namespace pinhole::alg::sip
