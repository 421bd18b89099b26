// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The SIP gateway: translates what a message says about where to send, and opens what SDP announces. It holds
// no state of a call; the same inside endpoint has the same mapping, so retransmissions, forks and later
// offers agree by construction.

#include <span>

#include "alg/alg.hpp"
#include "alg/counters.hpp"
#include "alg/host.hpp"
#include "alg/sip/hiding.hpp"
#include "alg/sip/message.hpp"
#include "alg/sip/policy.hpp"
#include "alg/sip/screen.hpp"
#include "alg/sip/unescaped.hpp"
#include "nat/counters.hpp"

namespace pinhole::alg::sip {

class SipAlg {
 public:
  /// \param counters written by this object's worker; outlives it.
  /// \param screens  asked in this order; they outlive the gateway
  explicit SipAlg(nat::CounterBlock<Counter>& counters, const Policy& policy = {},
                  std::span<Screen* const> screens = {}) noexcept
      : counters_(counters), policy_(policy), screens_(screens) {}

  /// What is not SIP is forwarded untouched, and so is what begins like SIP but cannot be read, unless the
  /// policy says to drop it. With `wait` and `drop` the list of edits is empty. What the host was told by
  /// announce() lives until the next message is inspected.
  /// Errors: what cannot be read is forwarded untouched or dropped with a reason, by the policy.
  /// Thread: the worker that owns the flow.
  Answer inspect(const Message& message, Host& host, EditList& edits) noexcept;

 private:
  Answer translate(const MessageView& view, const Message& message, Host& host, EditList& edits) noexcept;

  [[nodiscard]] bool is_transparent(nat::Ipv4Address peer) const noexcept;
  [[nodiscard]] Answer unread(Defect defect, const Message& message) noexcept;
  [[nodiscard]] Answer judge(const MessageView& view, const Message& message) noexcept;

  nat::CounterBlock<Counter>& counters_;
  Policy policy_;
  std::span<Screen* const> screens_;
  InsideCallId call_id_;
  Unescaped unescaped_;
};

}  // namespace pinhole::alg::sip
