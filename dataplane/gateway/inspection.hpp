// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// One inspection at a time: a message that a gateway is shown, and what it asks of the host meanwhile
// (pinhole_host of alg/plugin.h). Edits are listed, announcements noted, and mappings made for what is
// reserved; all of it is taken back unless the message goes on. SIP asks the worker's AlgHost instead, whose
// transaction is part of the inspection. Invariant: a gateway that has broken a rule while it looked at a
// message has not looked at it. Owned by one worker.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "alg/alg.hpp"
#include "alg/plugin.h"
#include "alg/sip/sip_gateway.hpp"
#include "dataplane/gateway/expectations.hpp"
#include "dataplane/gateway/flow_table.hpp"
#include "dataplane/gateway/gateway.hpp"
#include "dataplane/local_endpoints.hpp"

namespace pinhole::dataplane {
class Inspection;
struct WorkerContext;
}  // namespace pinhole::dataplane

/// What a gateway is given in place of it.
struct pinhole_context {
  pinhole::dataplane::Inspection* inspection = nullptr;
};

namespace pinhole::dataplane {

/// The functions that a gateway may call.
[[nodiscard]] const pinhole_host& gateway_host() noexcept;
/// And those that SIP may. \param alg  of the worker
[[nodiscard]] alg::sip::VoiceHost voice_host(alg::sip::SipAlg& alg) noexcept;

class Inspection {
 public:
  enum class Verdict : std::uint8_t {
    forward,  // with the worker's edits; commit(), abandon() or drop() has to follow
    leave,    // the same, and the gateway leaves the flow alone from here
    unread,   // it is none of the gateway's: it goes on as it came
    drop,     // Outcome::answer says why
    wait,     // AlgHost::ticket() says for what: park it, and show it again
    refuse,   // drop it, and answer it as Outcome::answer says
  };
  struct Outcome {
    Verdict verdict = Verdict::forward;
    alg::Answer answer{.reason = nat::DropReason::drop_gateway};  // of `drop` and `refuse`
  };

  explicit Inspection(WorkerContext& worker) noexcept;
  Inspection(const Inspection&) = delete;
  Inspection& operator=(const Inspection&) = delete;

  /// Shows a message to its gateway. What it did beside the edits is taken back unless the verdict is
  /// `forward` or `leave`.
  /// \param flow  nullptr: the gateway keeps none \param mapping  of the message
  [[nodiscard]] Outcome show(Gateway& gateway, GatewayFlow* flow, nat::Mapping& mapping,
                             const alg::Message& message) noexcept;
  /// What it has decided beside the edits comes true, because the message goes on, or is taken back, because
  /// it waits, goes on as it came, or is dropped. One of the three is called, once.
  void commit() noexcept;
  void abandon() noexcept;
  void drop(nat::DropReason reason) noexcept;

  /// What SIP may ask about the message that it is shown.
  [[nodiscard]] alg::sip::Voice& voice() noexcept;

  // What pinhole_host says, with its answers.

  [[nodiscard]] int replace(std::size_t offset, std::size_t removed, const char* text,
                            std::size_t length) noexcept;
  [[nodiscard]] int reserve(std::uint8_t protocol, std::uint16_t port, unsigned count,
                            pinhole_endpoint* external) noexcept;
  [[nodiscard]] int expect(const pinhole_expectation* expectation) noexcept;
  [[nodiscard]] int allows(std::string_view command, std::string_view argument) noexcept;
  [[nodiscard]] int keep(std::uint32_t seconds) noexcept;
  [[nodiscard]] int count(std::uint32_t counter, std::uint32_t by) noexcept;
  [[nodiscard]] int event(std::string_view text) noexcept;
  /// \return PINHOLE_FAULT
  int fault() noexcept;

 private:
  static constexpr std::size_t kMaxAnnounced = 32;  // by a message
  static constexpr std::size_t kMaxMade = 64;       // mappings

  struct Announced {
    Announcement what;
    nat::MappingIndex mapping = nat::kNoMapping;
  };

  /// The mappings of ports of the message's inside host; makes those that there are not.
  /// \return false when that is not possible
  [[nodiscard]] bool stand_for(nat::Protocol protocol, nat::Endpoint inside, unsigned count,
                               std::array<nat::MappingIndex, 2>& found) noexcept;
  [[nodiscard]] bool may_be_remote(nat::Ipv4Address address) const noexcept;
  [[nodiscard]] Outcome settle(int answer) noexcept;
  [[nodiscard]] Outcome settle_voice(nat::Mapping& mapping) noexcept;

  WorkerContext& worker_;
  pinhole_context context_;
  Gateway* gateway_ = nullptr;
  GatewayFlow* flow_ = nullptr;
  const alg::Message* message_ = nullptr;  // while the gateway is shown it
  std::optional<alg::sip::Voice> voice_;   // when it was asked for
  bool faulted_ = false;
  nat::Tick keep_ = 0;
  std::array<Announced, kMaxAnnounced> announced_;
  std::size_t announced_count_ = 0;
  std::array<MappingRef, kMaxMade> made_;
  std::size_t made_count_ = 0;
};

}  // namespace pinhole::dataplane
