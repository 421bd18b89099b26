// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The SIP gateway: translates what a message says about where to send, and opens what SDP announces. It holds
// no state of a call; the same inside endpoint has the same mapping, so retransmissions, forks and later
// offers agree by construction.

#include "alg/alg.hpp"
#include "alg/counters.hpp"
#include "alg/sip/message.hpp"
#include "nat/counters.hpp"

namespace pinhole::alg::sip {

class Translator;

class SipAlg final : public Alg {
 public:
  /// \param counters written by this object's worker; outlives it.
  explicit SipAlg(nat::CounterBlock<Counter>& counters) noexcept : counters_(counters) {}

  /// What is not SIP is forwarded untouched. What begins like SIP but cannot be read is dropped: it cannot be
  /// translated without guessing. With `wait` and `drop` the list of edits is empty.
  Answer inspect(const Message& message, Host& host, EditList& edits) noexcept override;

 private:
  Answer translate(const MessageView& view, const Message& message, Host& host, EditList& edits) noexcept;

  nat::CounterBlock<Counter>& counters_;
};

}  // namespace pinhole::alg::sip
