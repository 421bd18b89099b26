// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Datagrams in the stage inspect. A message that comes in fragments is put together to
// be shown, and one that outgrows the MTU as it is edited is cut again (dataplane/large_message.hpp).

#include "alg/alg.hpp"
#include "dataplane/burst.hpp"
#include "dataplane/context.hpp"

namespace pinhole::dataplane {

/// \param place  of a UDP packet on the port of a gateway \param owner  whose
/// \param interfaces  by which it comes in and goes out, a bit each
/// \return whether the packet goes on in the burst; otherwise it was taken
bool inspect_datagram(Burst& burst, unsigned place, alg::Direction direction, PortOwner owner,
                      std::uint16_t interfaces, WorkerContext& worker) noexcept;

}  // namespace pinhole::dataplane
