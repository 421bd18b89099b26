// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Events: what a worker tells control, one fixed-size message each, over one ring a worker (worker pushes,
// control pops). A full ring loses the event and counts it (`event_lost`); control then reads the cards
// again.

#include <cstdint>
#include <type_traits>

#include "alg/alg.hpp"
#include "alg/sip/summary.hpp"
#include "dataplane/ipc/ban.hpp"
#include "dataplane/ipc/call_state.hpp"
#include "dataplane/ipc/card.hpp"
#include "dataplane/ipc/gateways.hpp"
#include "dataplane/ipc/text.hpp"
#include "dataplane/ipc/why.hpp"
#include "nat/drop_reason.hpp"
#include "nat/endpoint.hpp"

namespace pinhole::ipc {

enum class EventType : std::uint8_t {
  sip_message,   // a SIP message of a call passed; with sip.why any, or was dropped (payload: sip)
  call_closed,   // the worker freed a call card and its pinholes (payload: closed)
  registration,  // a binding was granted, refreshed or ended (payload: registration)
  sip_why,       // what was done to a message that was told of before (payload: why)
  rule,          // a rule that logs decided about a message (payload: rule)
  guard,         // a limit was met, a source denied or banned (payload: guard)
  gateway,       // a gateway has something to say, or was stopped (payload: gateway)
};

/// In place of a card: what is told belongs to no call.
inline constexpr std::uint32_t kNoCard = ~std::uint32_t{0};

/// One line of a call's ladder, and what it did to the call; or a message of none.
struct SipMessageEvent {
  std::uint64_t call_hash = 0;
  std::uint32_t card = 0;  // index in the worker's call table; kNoCard: of no call, or dropped
  std::uint32_t card_generation = 0;
  alg::Direction direction = alg::Direction::outbound;
  alg::sip::Method method = alg::sip::Method::other;
  bool has_sdp = false;
  std::uint8_t edits = 0;                        // tokens replaced
  nat::DropReason drop = nat::DropReason::none;  // not none: it did not go on
  std::uint16_t status = 0;                      // 0: a request
  std::uint32_t cseq = 0;
  CallStep step;  // of the card after this message
  nat::Endpoint inside;
  nat::Endpoint external;
  nat::Endpoint remote;
  std::uint8_t why = 0;  // records of why that follow, as many as were not lost
  Text<62> start;        // "INVITE", "180 Ringing"
};

struct CallClosedEvent {
  std::uint64_t call_hash = 0;
  std::uint32_t card = 0;
  std::uint32_t card_generation = 0;
  EndReason reason = EndReason::none;
};

struct RegistrationEvent {
  std::uint32_t card = 0;
  std::uint32_t card_generation = 0;
  std::uint32_t expires_s = 0;  // 0: ended
};

struct SipWhyEvent {
  std::uint32_t card = 0;
  std::uint32_t card_generation = 0;
  std::uint32_t message = 0;  // sequence of the message's own event
  WhyPack records;
};

struct RuleEvent {
  alg::Direction direction = alg::Direction::outbound;
  nat::Protocol protocol = nat::Protocol::udp;
  nat::Endpoint inside;
  nat::Endpoint external;
  nat::Endpoint remote;
  Text<30> rule;   // its name
  Text<94> start;  // the first line of the message, whatever it is
};

enum class GatewayNews : std::uint8_t {
  said,     // `text` is the gateway's own
  stopped,  // it is shown nothing any more: it has had all the faults that it may have
};

struct GatewayEvent {
  std::uint8_t gateway = 0;  // its number in Layout::gateways
  GatewayNews news = GatewayNews::said;
  nat::Protocol protocol = nat::Protocol::udp;  // of the flow whose message was looked at
  nat::Endpoint inside;
  nat::Endpoint external;
  nat::Endpoint remote;
  Text<PINHOLE_MAX_EVENT> text;  // of `stopped`: what the last fault was
};

struct Event {
  Event() noexcept : sip{} {}

  std::uint16_t abi_version = 0;
  EventType type = EventType::sip_message;
  std::uint8_t worker = 0;
  std::uint32_t sequence = 0;  // of this worker, without gaps unless events were lost
  std::uint64_t tsc = 0;       // when it happened
  union {                      // by `type`
    SipMessageEvent sip;
    CallClosedEvent closed;
    RegistrationEvent registration;
    SipWhyEvent why;
    RuleEvent rule;
    GuardEvent guard;
    GatewayEvent gateway;
  };
};
static_assert(std::is_trivially_copyable_v<Event>);
static_assert(sizeof(Event) % 8 == 0 && sizeof(Event) <= 256);

}  // namespace pinhole::ipc
