// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What a translator tells of its mappings, for those who must be able to say later which inside host was
// behind an external endpoint at some time (RFC 6888 REQ-12, REQ-14; RFC 8158). A record is a plain value.
// The remote is not in it, on purpose (REQ-12).

#include <cstdint>
#include <type_traits>

#include "nat/drop_reason.hpp"
#include "nat/endpoint.hpp"

namespace pinhole::nat {

enum class RecordType : std::uint8_t {
  mapping_created,
  mapping_freed,
  block_assigned,   // ports of an external address that are now a host's alone, for every protocol
  block_released,   // and no longer; they rest before they are assigned again
  ports_exhausted,  // a new mapping was refused for want of a port or a block
  quota_exceeded,   // a new mapping was refused because its host has what it may have
};

/// Shape: what a type has no use for is zero.
struct Record {
  RecordType type = RecordType::mapping_created;
  Protocol protocol = Protocol::udp;     // of mappings and refusals; blocks are for all protocols
  DropReason reason = DropReason::none;  // of refusals: what the packet was dropped for
  Endpoint inside;                       // of blocks: port 0
  Endpoint external;                     // of blocks: the first port; of refusals: the address, if known
  std::uint16_t last_port = 0;           // of blocks

  friend bool operator==(const Record&, const Record&) = default;
};
static_assert(std::is_trivially_copyable_v<Record> && sizeof(Record) <= 20);

/// Where records go. Thread: the worker's.
class RecordSink {
 public:
  /// Never waits; a record that finds no room is lost and counted by the sink.
  virtual void put(const Record& record) noexcept = 0;

 protected:
  ~RecordSink() = default;
};

}  // namespace pinhole::nat
