// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// NAT records as IPFIX over UDP (RFC 7011), by the templates of RFC 8158. Invariant: a message has at most
// kMaxMessage_bytes, so that nobody fragments it (RFC 7011 section 10.3.3); every data record counts in the
// sequence numbers whether or not its message could be sent, so that a collector sees what it did not get.
// Remotes are in no record (RFC 6888 REQ-12).

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "control/counters.hpp"
#include "control/worker_link.hpp"
#include "nat/byte_order.hpp"
#include "nat/record.hpp"

namespace pinhole::control {

struct IpfixOptions {
  std::uint32_t domain = 0;  // observation domain
  std::chrono::seconds templates_every{600};
  /// Mappings that a host may have, by protocol; told with a quota that was exceeded.
  std::array<std::uint32_t, nat::kProtocols> quotas{};
  std::uint32_t ports = 0;     // that a host may have in blocks; told when these are used up
  std::uint32_t sequence = 0;  // of the first data record
};

class IpfixExporter {
 public:
  static constexpr std::size_t kMaxMessage_bytes = 1400;
  /// Templates are sent again when a message could not be, but not more often than this.
  static constexpr std::chrono::seconds kTemplatesAgain{1};

  /// \return whether the message was sent.
  using Send = std::function<bool(std::span<const std::byte> message, Steady now)>;

  /// The counters outlive the exporter.
  IpfixExporter(const IpfixOptions& options, Send send, ControlCounters& counters);

  /// Puts a record into the message that is being filled; sends that one when it is full. A record for which
  /// RFC 8158 has no event (a rate that was exceeded) is left out.
  void add(const nat::Record& record, Time happened, Moment now);
  /// Sends what has been added, and the templates when they are due. To be called now and then.
  void flush(Moment now);

 private:
  template <typename Data>
  void append(const Data& data, Moment now);
  void begin_message() noexcept;
  void end_set() noexcept;
  bool send(std::span<std::byte> message, Moment now);
  void send_templates_when_due(Moment now);

  IpfixOptions options_;
  Send send_;
  ControlCounters& counters_;
  std::array<std::byte, kMaxMessage_bytes> message_{};
  std::size_t size_ = 0;        // of the message so far, with its header
  std::size_t set_begin_ = 0;   // of the set that is open; 0: none is
  std::uint16_t set_ = 0;       // its template
  std::uint32_t records_ = 0;   // data records in the message
  std::uint32_t sequence_;      // data records in all messages before
  bool templates_lost_ = true;  // as far as is known, the collector has none
  bool templates_sent_ = false;
  Steady templates_at_{};  // when they were sent last
};

}  // namespace pinhole::control
