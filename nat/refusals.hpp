// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Records of new mappings that were refused (RFC 6888 REQ-11: notify somebody). Of each reason one a second
// at most, so that a flood of refusals is no flood of records: the counters have the number, a record says
// that it happens and to whom, for example. Owned by one worker.

#include <array>
#include <cstddef>
#include <cstdint>

#include "nat/drop_reason.hpp"
#include "nat/endpoint.hpp"
#include "nat/record.hpp"
#include "nat/tick.hpp"

namespace pinhole::nat {

class Refusals {
 public:
  /// \param sink  nullptr: nobody is told
  explicit Refusals(RecordSink* sink) noexcept : sink_(sink) {}

  [[nodiscard]] bool wanted() const noexcept { return sink_ != nullptr; }
  /// Precondition: wanted(). \param external  the address that the host has, if it has one
  void tell(DropReason reason, Protocol protocol, Endpoint inside, Ipv4Address external, Tick now) noexcept {
    for (std::size_t i = 0; i < kTold.size(); ++i) {
      if (kTold[i].reason != reason) continue;
      Told& told = told_[i];
      if (told.ever && now - told.last < kTicksPerSecond) return;
      told = {.last = now, .ever = true};
      sink_->put({.type = kTold[i].type,
                  .protocol = protocol,
                  .reason = reason,
                  .inside = inside,
                  .external = {external, {}}});
    }
  }

 private:
  struct Kind {
    DropReason reason;
    RecordType type;
  };
  static constexpr std::array kTold = {Kind{DropReason::drop_no_port, RecordType::ports_exhausted},
                                       Kind{DropReason::drop_no_block, RecordType::ports_exhausted},
                                       Kind{DropReason::drop_block_limit, RecordType::quota_exceeded},
                                       Kind{DropReason::drop_quota_mappings, RecordType::quota_exceeded},
                                       Kind{DropReason::drop_quota_rate, RecordType::quota_exceeded}};
  struct Told {
    Tick last = 0;
    bool ever = false;
  };

  RecordSink* sink_;
  std::array<Told, kTold.size()> told_{};
};

}  // namespace pinhole::nat
