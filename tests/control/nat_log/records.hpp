// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// NAT records as workers put them on their rings.

#include <cstdint>

#include "dataplane/ipc/layout.hpp"
#include "dataplane/ipc/nat_record.hpp"

namespace pinhole::control::test {

inline nat::Endpoint endpoint(const char* address, std::uint16_t port = 0) {
  return {*nat::Ipv4Address::parse(address), nat::Be16{port}};
}

inline nat::Record mapping(nat::RecordType type = nat::RecordType::mapping_created) {
  return {.type = type,
          .protocol = nat::Protocol::tcp,
          .inside = endpoint("10.0.0.1", 4000),
          .external = endpoint("203.0.113.1", 40001)};
}

inline nat::Record block(nat::RecordType type = nat::RecordType::block_assigned) {
  return {.type = type,
          .inside = endpoint("10.0.0.1"),
          .external = endpoint("203.0.113.1", 1024),
          .last_port = 1535};
}

inline nat::Record refusal(nat::RecordType type, nat::DropReason reason) {
  return {.type = type,
          .protocol = nat::Protocol::udp,
          .reason = reason,
          .inside = endpoint("10.0.0.1", 4000),
          .external = endpoint("203.0.113.1")};
}

inline ipc::NatRecord sent(const nat::Record& record, std::uint32_t sequence = 0, std::uint16_t worker = 0,
                           std::uint64_t tsc = 0) {
  return {
      .abi_version = ipc::kAbiVersion, .worker = worker, .sequence = sequence, .tsc = tsc, .record = record};
}

}  // namespace pinhole::control::test
