// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What control counts of itself, in the same form as the workers' counters.

#include "nat/counters.hpp"

namespace pinhole::control {

#define PINHOLE_CONTROL_COUNTERS(X)                                                                      \
  X(event_received, "events taken from the workers")                                                     \
  X(event_gap, "events that workers counted in their sequence and that never came")                      \
  X(event_refused, "events of another ABI version, skipped")                                             \
  X(resync, "times that all cards of a worker were read")                                                \
  X(call_found, "calls found on a card that no event had told of")                                       \
  X(call_lost, "calls that ended without anybody having said why")                                       \
  X(call_ended, "calls that Pinhole ended")                                                              \
  X(call_media_shut, "times that the media of a call was shut because it had been silent")               \
  X(call_record_written, "lines written to calls.log.file")                                              \
  X(call_record_unwritten, "records of calls that are lost because calls.log.file could not be written") \
  X(call_log_failed, "times that calls.log.file could not be opened, written or rotated")                \
  X(command_sent, "commands handed to workers")                                                          \
  X(command_again, "times that a command was due again because the worker had not followed it")          \
  X(command_ring_full, "times that a command had to wait because the ring was full")                     \
  X(record_received, "NAT records taken from the workers")                                               \
  X(record_gap, "NAT records that workers counted in their sequence and that never came")                \
  X(record_refused, "NAT records of another ABI version or without sense, skipped")                      \
  X(record_written, "lines written to nat.log.file")                                                     \
  X(record_unwritten, "NAT records that are lost for nat.log.file because it could not be written")      \
  X(record_exported, "NAT records sent to nat.log.collector")                                            \
  X(record_unsent, "NAT records that are lost for nat.log.collector because they could not be sent")     \
  X(nat_log_failed, "times that nat.log.file could not be opened, written or rotated")

enum class ControlCounter : std::uint8_t { PINHOLE_CONTROL_COUNTERS(PINHOLE_COUNTER_ENUMERATOR) };

}  // namespace pinhole::control

template <>
struct pinhole::nat::CounterTraits<pinhole::control::ControlCounter> {
  static constexpr std::array kInfo = {PINHOLE_CONTROL_COUNTERS(PINHOLE_COUNTER_INFO)};
};

namespace pinhole::control {

using ControlCounters = nat::CounterBlock<ControlCounter>;

}  // namespace pinhole::control
