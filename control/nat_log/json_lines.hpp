// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// NAT records as text: one JSON object a line. Invariant: what is held is whole lines, oldest first. Written
// by hand and not by a JSON library, because there may be hundreds of thousands a second; no value needs
// escaping.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "control/model.hpp"
#include "dataplane/ipc/nat_record.hpp"

#include <fmt/format.h>

namespace pinhole::control {

/// "mapping_created", "block_assigned", ...
[[nodiscard]] std::string_view name(nat::RecordType type) noexcept;

class JsonLines {
 public:
  /// Shape: docs/operations.md. Cost: no memory from the heap once the buffer has grown.
  void add(const ipc::NatRecord& record, Time happened);
  /// So many records of a worker are in no line.
  void add_lost(Time now, std::uint32_t worker, std::uint64_t count);
  /// Records come from another data plane than before; what was not freed ended with the last one.
  void add_attached(Time now, Time started);

  [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), text_.size()}; }
  /// Forgets the first lines. \param bytes whole lines.
  void drop(std::size_t bytes);

 private:
  void begin(Time time, std::string_view event);
  void append(std::string_view text) { text_.append(text.data(), text.data() + text.size()); }
  void append(std::string_view key, std::uint64_t number);
  void append(std::string_view key, nat::Endpoint endpoint);
  void append(std::string_view key, nat::Ipv4Address address);
  void append(Time time);

  fmt::memory_buffer text_;
  std::int64_t second_ = -1;      // that `date_time_` shows
  fmt::memory_buffer date_time_;  // "2026-01-02T03:04:05"
};

}  // namespace pinhole::control
