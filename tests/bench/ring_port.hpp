// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A port without a wire: what is put on `rx` is received, what is transmitted lies on `tx`. Benchmarks give
// it to the appliance as the device net_ring_NAME.

#include <cstdint>
#include <stdexcept>
#include <string>

#include <rte_eth_ring.h>
#include <rte_ring.h>

namespace pinhole::bench {

struct RingPort {
  rte_ring* rx = nullptr;
  rte_ring* tx = nullptr;
  std::uint16_t id = 0;
};

/// \param size frames that each ring holds, a power of two
inline RingPort make_ring_port(const std::string& name, unsigned size) {
  RingPort port;
  const unsigned flags = RING_F_SP_ENQ | RING_F_SC_DEQ;
  port.rx = rte_ring_create((name + "_rx").c_str(), size, SOCKET_ID_ANY, flags);
  port.tx = rte_ring_create((name + "_tx").c_str(), size, SOCKET_ID_ANY, flags);
  const int id =
      port.rx != nullptr && port.tx != nullptr
          ? rte_eth_from_rings(name.c_str(), &port.rx, 1, &port.tx, 1, static_cast<unsigned>(SOCKET_ID_ANY))
          : -1;
  if (id < 0) throw std::runtime_error("net_ring port " + name + " was not made");
  port.id = static_cast<std::uint16_t>(id);
  return port;
}

}  // namespace pinhole::bench
