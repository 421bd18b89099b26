// SPDX-License-Identifier: BSD-3-Clause
// What a gateway may ask of the host (alg/plugin.h).
#include <algorithm>

#include "dataplane/context.hpp"
#include "dataplane/gateway/inspection.hpp"
#include "dataplane/gateway/rules.hpp"

namespace pinhole::dataplane {

namespace {

using nat::Endpoint;
using nat::MappingIndex;

constexpr std::uint16_t kFirstPort = 1024;  // below are the ports of services
constexpr std::uint32_t kMaxWait = 3600;
constexpr std::uint32_t kMaxKeep = 86400;

Endpoint endpoint_from(const pinhole_endpoint& plain) noexcept {
  return {nat::Ipv4Address::from_host(plain.address), nat::Be16{plain.port}};
}

std::optional<nat::Protocol> protocol_from(std::uint8_t number) noexcept {
  if (number == PINHOLE_TCP) return nat::Protocol::tcp;
  if (number == PINHOLE_UDP) return nat::Protocol::udp;
  return std::nullopt;
}

/// Of a context that is of no inspection under way there is nothing to be asked.
Inspection* inspection_of(pinhole_context* context) noexcept {
  return context == nullptr ? nullptr : context->inspection;
}

/// Whether there is a text where an argument says so.
bool is_text(const char* text, std::size_t length) noexcept {
  return text != nullptr || length == 0;
}

std::string_view view(const char* text, std::size_t length) noexcept {
  return length == 0 ? std::string_view{} : std::string_view{text, length};
}

int call_replace(pinhole_context* context, size_t offset, size_t removed, const char* text, size_t length) {
  Inspection* const inspection = inspection_of(context);
  return inspection == nullptr ? PINHOLE_FAULT : inspection->replace(offset, removed, text, length);
}
int call_reserve(pinhole_context* context, uint8_t protocol, uint16_t port, unsigned count,
                 pinhole_endpoint* external) {
  Inspection* const inspection = inspection_of(context);
  return inspection == nullptr ? PINHOLE_FAULT : inspection->reserve(protocol, port, count, external);
}
int call_expect(pinhole_context* context, const pinhole_expectation* expectation) {
  Inspection* const inspection = inspection_of(context);
  return inspection == nullptr ? PINHOLE_FAULT : inspection->expect(expectation);
}
int call_allows(pinhole_context* context, const char* command, size_t command_length, const char* argument,
                size_t argument_length) {
  Inspection* const inspection = inspection_of(context);
  if (inspection == nullptr) return 0;
  if (!is_text(command, command_length) || !is_text(argument, argument_length)) {
    inspection->fault();
    return 0;
  }
  return inspection->allows(view(command, command_length), view(argument, argument_length));
}
int call_keep(pinhole_context* context, uint32_t seconds) {
  Inspection* const inspection = inspection_of(context);
  return inspection == nullptr ? PINHOLE_FAULT : inspection->keep(seconds);
}
int call_count(pinhole_context* context, uint32_t counter, uint32_t by) {
  Inspection* const inspection = inspection_of(context);
  return inspection == nullptr ? PINHOLE_FAULT : inspection->count(counter, by);
}
int call_event(pinhole_context* context, const char* text, size_t length) {
  Inspection* const inspection = inspection_of(context);
  if (inspection == nullptr) return PINHOLE_FAULT;
  return is_text(text, length) ? inspection->event(view(text, length)) : inspection->fault();
}

alg::sip::Voice& call_voice(pinhole_context& context) noexcept {
  return context.inspection->voice();
}

constexpr pinhole_host table_of(std::size_t size) noexcept {
  return {.size = static_cast<std::uint32_t>(size),
          .major = PINHOLE_PLUGIN_MAJOR,
          .minor = PINHOLE_PLUGIN_MINOR,
          .replace = call_replace,
          .reserve = call_reserve,
          .expect = call_expect,
          .allows = call_allows,
          .keep = call_keep,
          .count = call_count,
          .event = call_event};
}

}  // namespace

const pinhole_host& gateway_host() noexcept {
  static constexpr pinhole_host kHost = table_of(sizeof(pinhole_host));
  return kHost;
}

alg::sip::VoiceHost voice_host(alg::sip::SipAlg& alg) noexcept {
  return {.table = table_of(sizeof(alg::sip::VoiceHost)), .alg = &alg, .voice = call_voice};
}

alg::sip::Voice& Inspection::voice() noexcept {
  const auto concern = message_->judged ? Concern::all : Concern::known_calls;
  worker_.host.begin(*message_, worker_.clock.tick(), message_->realm, concern);
  return voice_.emplace(*message_, worker_.host, worker_.edits);
}

int Inspection::fault() noexcept {
  faulted_ = true;
  return PINHOLE_FAULT;
}

int Inspection::replace(std::size_t offset, std::size_t removed, const char* text,
                        std::size_t length) noexcept {
  if (message_ == nullptr) return PINHOLE_REFUSED;
  const std::size_t size = message_->bytes.size();
  if (!is_text(text, length) || offset > size || removed > size - offset) return fault();
  auto& edits = worker_.edits;
  if (!edits.has_room(length)) return PINHOLE_FULL;
  return edits.replace(offset, removed, view(text, length)) ? PINHOLE_OK : fault();
}

/// All ports are of the message's own inside host, which is this worker's.
bool Inspection::stand_for(nat::Protocol protocol, Endpoint inside, unsigned count,
                           std::array<MappingIndex, 2>& found) noexcept {
  if (made_count_ + count > kMaxMade) return false;
  auto& translator = worker_.translator;
  const auto realm = message_->realm;
  std::array<bool, 2> was_there{};
  for (unsigned i = 0; i < count; ++i) {
    const Endpoint each{inside.address, nat::Be16{static_cast<std::uint16_t>(inside.port.host() + i)}};
    was_there[i] = translator.find_outbound({each, protocol, realm}) != nat::kNoMapping;
  }
  const auto created = translator.create_expected(protocol, inside, count, worker_.clock.tick(), realm);
  if (created.rtp == nat::kNoMapping) return false;
  found = {created.rtp, created.rtcp};
  for (unsigned i = 0; i < count; ++i) {
    translator[found[i]].last_seen = worker_.clock.tick();  // who is told of it may come soon
    if (was_there[i]) continue;
    made_[made_count_++] = {found[i], translator[found[i]].generation.load(std::memory_order_relaxed)};
  }
  return true;
}

int Inspection::reserve(std::uint8_t protocol, std::uint16_t port, unsigned count,
                        pinhole_endpoint* external) noexcept {
  if (message_ == nullptr) return PINHOLE_REFUSED;
  const auto known = protocol_from(protocol);
  if (!known || count < 1 || count > 2 || external == nullptr) return fault();
  if (port < kFirstPort || port + count - 1 > 0xffff) return PINHOLE_REFUSED;
  std::array<MappingIndex, 2> found{};
  const std::size_t made_before = made_count_;
  if (!stand_for(*known, {message_->flow.inside.address, nat::Be16{port}}, count, found)) return PINHOLE_FULL;
  auto& translator = worker_.translator;
  const Endpoint first = translator[found[0]].external;
  if (count == 2) {
    const Endpoint second = translator[found[1]].external;
    const bool in_line = second.address == first.address && second.port.host() == first.port.host() + 1 &&
                         ((port & 1U) != 0 || (first.port.host() & 1U) == 0);
    if (!in_line) {
      for (; made_count_ > made_before; --made_count_) {
        const auto made = made_[made_count_ - 1];
        static_cast<void>(translator.close(made.mapping, made.generation));
      }
      return PINHOLE_FULL;
    }
  }
  *external = {first.address.host(), first.port.host(), 0};
  return PINHOLE_OK;
}

bool Inspection::may_be_remote(nat::Ipv4Address address) const noexcept {
  return !nat::is_martian(address) && !address.is_unspecified() && !worker_.zones.is_inside(address);
}

int Inspection::expect(const pinhole_expectation* expectation) noexcept {
  if (message_ == nullptr || flow_ == nullptr) return PINHOLE_REFUSED;
  if (expectation == nullptr || expectation->size < sizeof(pinhole_expectation)) return fault();
  const auto protocol = protocol_from(expectation->protocol);
  const bool is_sound = protocol && expectation->from <= PINHOLE_OUTSIDE &&
                        (expectation->flags & ~(PINHOLE_ONCE | PINHOLE_CHILD)) == 0 &&
                        expectation->seconds >= 1 && expectation->seconds <= kMaxWait;
  if (!is_sound) return fault();
  const Announcement what{.protocol = *protocol,
                          .realm = message_->realm,
                          .from_outside = expectation->from == PINHOLE_OUTSIDE,
                          .once = (expectation->flags & PINHOLE_ONCE) != 0,
                          .child = (expectation->flags & PINHOLE_CHILD) != 0,
                          .inside = endpoint_from(expectation->inside),
                          .remote = endpoint_from(expectation->remote),
                          .seconds = expectation->seconds};
  if (what.inside.address != message_->flow.inside.address || !may_be_remote(what.remote.address) ||
      (what.from_outside && what.inside.port.host() < kFirstPort))
    return PINHOLE_REFUSED;
  const bool has_room = announced_count_ < kMaxAnnounced &&
                        worker_.gateways.expectations.has_room(*flow_, what, announced_count_ + 1);
  std::array<MappingIndex, 2> found{nat::kNoMapping, nat::kNoMapping};
  if (!has_room || (what.from_outside && !stand_for(*protocol, what.inside, 1, found))) {
    worker_.stats.worker.add(WorkerCounter::expectation_full);
    return PINHOLE_FULL;
  }
  announced_[announced_count_++] = {what, found[0]};
  return PINHOLE_OK;
}

int Inspection::allows(std::string_view command, std::string_view argument) noexcept {
  if (message_ == nullptr) return 0;
  return is_allowed({gateway_->name(), command, argument}, *message_, worker_) ? 1 : 0;
}

int Inspection::keep(std::uint32_t seconds) noexcept {
  if (message_ == nullptr || flow_ == nullptr) return PINHOLE_REFUSED;
  keep_ = nat::ticks_from_s(std::min(seconds, kMaxKeep));
  return PINHOLE_OK;
}

int Inspection::count(std::uint32_t counter, std::uint32_t by) noexcept {
  if (message_ == nullptr) return PINHOLE_REFUSED;
  if (counter >= gateway_->spec().plugin->counter_count) return fault();
  auto& value = gateway_->stats().own[counter];
  value.store(value.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  return PINHOLE_OK;
}

int Inspection::event(std::string_view text) noexcept {
  if (message_ == nullptr) return PINHOLE_REFUSED;
  return gateway_->say(text, message_->flow) ? PINHOLE_OK : PINHOLE_FULL;
}

}  // namespace pinhole::dataplane
