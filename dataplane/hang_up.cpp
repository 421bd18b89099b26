// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/hang_up.hpp"

#include <algorithm>
#include <charconv>

#include "alg/sip/bye.hpp"
#include "alg/sip/chars.hpp"
#include "alg/sip/line_builder.hpp"
#include "alg/sip/values.hpp"
#include "dataplane/context.hpp"
#include "dataplane/stream_carrier.hpp"

namespace pinhole::dataplane {

namespace {

using alg::Direction;
using alg::sip::HeaderId;
using ipc::CallState;
using nat::Protocol;

constexpr std::uint32_t kWalkBudget = 1024;  // calls a tick
constexpr std::string_view kCookie = "z9hG4bKph";

constexpr std::array kSides = {kInsideSide, kOutsideSide};

/// In which a side is spoken to.
constexpr Direction direction_to(std::size_t side) noexcept {
  return side == kInsideSide ? Direction::inbound : Direction::outbound;
}

bool any_waits(const Dialog& dialog) noexcept {
  return std::any_of(dialog.farewells.begin(), dialog.farewells.end(),
                     [](const Dialog::Farewell& farewell) { return farewell.waits; });
}

/// Whether time has something to do: TCP sees to it itself that what is sent arrives.
bool is_to_be_repeated(const Dialog& dialog, std::size_t side) noexcept {
  return dialog.farewells[side].waits && dialog.sides[side].protocol == Protocol::udp;
}

}  // namespace

HangUps::HangUps(WorkerContext& worker, std::uint64_t seed) noexcept
    : worker_(worker), key_{sip_hash("branch of a BYE", {seed, 0}), sip_hash("branch of a BYE", {seed, 1})} {
}

/// The cookie of RFC 3261 section 8.1.1.7, card and generation, and a keyed hash of them and the side.
HangUps::Branch HangUps::branch_of(CardIndex card, std::uint32_t generation,
                                   std::size_t side) const noexcept {
  const auto name = hex_digits(std::uint64_t{card} << 32U | generation);
  const auto hash = hex_digits(sip_hash({name.data(), name.size()}, {key_[0] ^ side, key_[1]}));
  Branch branch;
  auto end = std::copy(kCookie.begin(), kCookie.end(), branch.begin());
  end = std::copy(name.begin(), name.end(), end);
  std::copy(hash.begin(), hash.end(), end);
  return branch;
}

bool HangUps::hang_up(CardIndex card, std::uint32_t generation, ipc::EndReason reason) noexcept {
  auto& calls = worker_.calls;
  if (!calls.is_current(card, generation)) return false;
  switch (calls.card(card).step.state) {
    case CallState::inviting:
    case CallState::ringing:
      return worker_.host.close_call(card, generation, reason);
    case CallState::ending:
    case CallState::ended:
      return true;
    case CallState::answered:
    case CallState::confirmed:
      break;
  }
  const auto now = worker_.clock.tick();
  auto& dialog = worker_.dialogs[card];
  dialog.farewell_of = generation;
  dialog.farewells = {};
  dialog.tries = 0;
  dialog.again_at = now + kT1;
  calls.put_step(card, {CallState::ending, reason}, now);
  for (const auto side : kSides) {
    auto& farewell = dialog.farewells[side];
    farewell.cseq = dialog.sides[side].heard_cseq + 1;
    farewell.waits = say_bye(card, side);
    worker_.stats.worker.add(farewell.waits ? WorkerCounter::sip_bye_sent
                                            : WorkerCounter::sip_bye_impossible);
    if (farewell.waits) tell(card, direction_to(side), 0, farewell.cseq, "BYE by Pinhole");
  }
  // What nobody watches has no end by itself: whoever ignores a BYE may go on talking.
  if (!any_waits(dialog) || !worker_.dialogs.watch(card))
    calls.put_step(card, {CallState::ended, reason}, now);
  return true;
}

bool HangUps::say_bye(CardIndex card, std::size_t side) noexcept {
  const auto& dialog = worker_.dialogs[card];
  const auto& to = dialog.sides[side];
  if (!dialog.knows(side)) return false;
  const auto index = worker_.translator.find_outbound({to.inside, to.protocol, dialog.realm});
  if (index == nat::kNoMapping) return false;
  const auto source = side == kInsideSide ? to.remote : worker_.translator[index].external;
  const auto destination = destination_of(dialog, side);
  const auto branch = branch_of(card, dialog.farewell_of, side);
  std::array<char, OwnMessages::kMaxSize> room;
  const auto text = alg::sip::write_bye({.target = dialog.word(side, Dialog::target),
                                         .routes = dialog.word(side, Dialog::routes),
                                         .from = dialog.word(side, Dialog::peer),
                                         .to = dialog.word(side, Dialog::self),
                                         .call_id = dialog.word(side, Dialog::call_id),
                                         .cseq = dialog.farewells[side].cseq,
                                         .protocol = to.protocol,
                                         .sent_by = source,
                                         .branch = {branch.data(), branch.size()}},
                                        room);
  if (text.empty()) return false;
  if (to.protocol == Protocol::udp && side == kOutsideSide)
    worker_.translator.let_in(index, destination, worker_.clock.tick());
  if (to.protocol == Protocol::tcp) return send_by_stream(index, to.remote, side, text);
  worker_.own_messages.send(source, destination, direction_to(side), text);
  return true;
}

/// By the connection that the side has spoken on last.
bool HangUps::send_by_stream(nat::MappingIndex index, nat::Endpoint remote, std::size_t side,
                             std::string_view text) noexcept {
  const auto generation = worker_.translator[index].generation.load(std::memory_order_relaxed);
  auto* const entry = worker_.streams.find(index, generation, remote);
  if (entry == nullptr) return false;
  StreamCarrier carrier(*entry, worker_);
  const bool sent =
      engine_of(*entry, worker_)
          .inject(entry->stream, side_of(direction_to(side)), text, worker_.clock.tick(), carrier);
  worker_.streams.arm(*entry, alg::stream::Engine::wants_ticks(entry->stream));
  return sent;
}

/// Where the way of a BYE begins. Who is named must be on the side that is meant, and inside a host of this
/// worker; else, and for a name, it is from where the side has spoken last.
nat::Endpoint HangUps::destination_of(const Dialog& dialog, std::size_t side) const noexcept {
  const auto& to = dialog.sides[side];
  const auto next =
      alg::sip::next_hop_of(dialog.word(side, Dialog::routes), dialog.word(side, Dialog::target));
  const bool is_inside = next && worker_.zones.is_inside(next->address);
  if (side == kInsideSide) {
    const bool is_own = is_inside && worker_.network.steering.owner_of_inside(next->address) == worker_.index;
    return is_own ? *next : to.inside;
  }
  return next && !is_inside ? *next : to.remote;
}

bool HangUps::take_answer(const alg::sip::MessageView& view, const alg::Message& message) noexcept {
  constexpr std::size_t kNumber = 8;  // digits
  const auto via = alg::sip::ListReader(view.value(HeaderId::via)).next();
  const auto param = via ? alg::sip::find_param(*via, "branch") : std::nullopt;
  if (!param || param->value.size() != Branch{}.size() || !param->value.starts_with(kCookie)) return false;
  std::array<std::uint32_t, 2> numbers{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto digits =
        alg::sip::slice(param->value, kCookie.size() + i * kNumber, kCookie.size() + (i + 1) * kNumber);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), numbers[i], 16);
    if (error != std::errc{} || end != digits.data() + digits.size()) return false;
  }
  const auto [card, generation] = numbers;
  const auto side = speaker(message.direction);
  const auto branch = branch_of(card, generation, side);
  if (param->value != std::string_view(branch.data(), branch.size())) return false;

  if (view.status() < 200 || !worker_.calls.is_current(card, generation)) return true;
  auto& dialog = worker_.dialogs[card];
  auto& farewell = dialog.farewells[side];
  if (dialog.farewell_of != generation || !farewell.waits) return true;
  farewell.waits = false;
  worker_.stats.worker.add(WorkerCounter::sip_bye_answered);
  const auto step = worker_.calls.card(card).step;
  alg::sip::LineBuilder<62> start;
  start.number(view.status()).text(" ").text(view.summary().reason);
  if (!any_waits(dialog) && step.state == CallState::ending)
    worker_.calls.put_step(card, {CallState::ended, step.reason}, worker_.clock.tick());
  tell(card, message.direction, view.status(), farewell.cseq, start.view());
  return true;
}

void HangUps::tick() noexcept {
  worker_.dialogs.walk(kWalkBudget, [this](std::uint32_t card) noexcept { return say_again(card); });
}

/// Says a BYE once more that is not answered, and ends the call when that was often enough.
/// \return whether it is to be looked at again
bool HangUps::say_again(CardIndex card) noexcept {
  auto& dialog = worker_.dialogs[card];
  if (!worker_.calls.is_current(card, dialog.farewell_of) || !any_waits(dialog)) return false;
  const auto now = worker_.clock.tick();
  if (!nat::reached(dialog.again_at, now)) return true;
  if (dialog.tries == kTries) {
    const auto step = worker_.calls.card(card).step;
    if (step.state == CallState::ending) worker_.calls.put_step(card, {CallState::ended, step.reason}, now);
    return false;
  }
  ++dialog.tries;
  dialog.again_at = now + (kT1 << dialog.tries);
  for (const auto side : kSides) {
    if (is_to_be_repeated(dialog, side) && say_bye(card, side))
      worker_.stats.worker.add(WorkerCounter::sip_bye_again);
  }
  return true;
}

void HangUps::tell(CardIndex card, Direction direction, std::uint16_t status, std::uint32_t cseq,
                   std::string_view start) noexcept {
  const auto& call = worker_.calls.card(card);
  ipc::Event event;
  event.type = ipc::EventType::sip_message;
  event.sip.call_hash = call.call_hash;
  event.sip.card = card;
  event.sip.card_generation = call.generation;
  event.sip.direction = direction;
  event.sip.method = alg::sip::Method::bye;
  event.sip.status = status;
  event.sip.cseq = cseq;
  event.sip.step = call.step;
  event.sip.inside = call.inside;
  event.sip.external = call.external;
  event.sip.remote = call.remote;
  event.sip.start.assign(start);
  worker_.events.push(event);
}

}  // namespace pinhole::dataplane
