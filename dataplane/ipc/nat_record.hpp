// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// NAT records on their way from a worker to control: one ring a worker beside that of events, because there
// may be very many of them, which must not push events of calls aside. A full ring loses the record and
// counts it (`record_lost`); control sees the hole in the numbers.

#include <cstdint>
#include <type_traits>

#include "nat/record.hpp"

namespace pinhole::ipc {

inline constexpr const char* kRecordRingName = "pinhole_record_%u";  // rte_ring of NatRecord, %u: worker

struct NatRecord {
  std::uint16_t abi_version = 0;
  std::uint16_t worker = 0;
  std::uint32_t sequence = 0;  // of this worker, without gaps unless records were lost
  std::uint64_t tsc = 0;       // when it happened
  nat::Record record;
  std::uint32_t reserved = 0;
};
static_assert(std::is_trivially_copyable_v<NatRecord>);
static_assert(sizeof(NatRecord) == 40, "rte_ring wants a multiple of four bytes");

}  // namespace pinhole::ipc
