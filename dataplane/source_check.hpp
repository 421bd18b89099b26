// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Whether a packet may have the source that it says. A source that is reached by the other side is forged or
// misrouted, and what answers it would leave by that side (RFC 2827, RFC 3704); one of our own was never sent
// by anybody else. Asked of what comes by the wire, where no mapping vouches for it: the flows of a mapping
// were looked at when it was made.

#include "dataplane/network.hpp"
#include "nat/drop_reason.hpp"

namespace pinhole::dataplane {

/// \return why the packet must not pass; none when it may. Cost: a look-up of a route and one of an address
[[nodiscard]] inline nat::DropReason wrong_source(nat::Ipv4Address source, bool from_inside,
                                                  const Network& network) noexcept {
  const auto route = network.routes.find(source);
  if (route.kind == RouteKind::local || network.steering.is_external(source)) {
    return nat::DropReason::drop_spoofed_own;
  }
  if (route.kind == RouteKind::broadcast) return nat::DropReason::drop_martian_source;
  const bool lies_inside = route.kind == RouteKind::forward && route.zone == config::Zone::inside;
  if (lies_inside == from_inside) return nat::DropReason::none;
  return from_inside ? nat::DropReason::drop_spoofed_outside : nat::DropReason::drop_spoofed_inside;
}

}  // namespace pinhole::dataplane
