// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Offer and answer (RFC 3264, RFC 6337): what the descriptions of a call make of its pinholes and of whom
// they expect media from. What an offer wants is open at once, beside what was agreed on before; what is not
// wanted any more goes when the answer has been given, and what was offered in vain when it was refused. Pure
// functions over what lies on the call's card.

#include <array>
#include <cstdint>
#include <span>

#include "alg/alg.hpp"
#include "alg/sip/summary.hpp"
#include "dataplane/ipc/card.hpp"
#include "nat/endpoint.hpp"

namespace pinhole::dataplane {

/// What one message says of a call's media.
struct MediaMessage {
  alg::Direction direction = alg::Direction::outbound;
  alg::sip::Method method = alg::sip::Method::other;
  std::uint16_t status = 0;  // 0: a request
  std::uint32_t cseq = 0;
  std::uint16_t leg = 0;  // which remote party it is from or for
  bool described = false;
  bool held = false;                               // of the description: some stream is not to go both ways
  std::uint32_t rejected = 0;                      // of the description: a bit for each section without media
  std::uint32_t nowhere = 0;                       // and for each that is held and names no endpoint
  std::span<const ipc::MediaSource> sources = {};  // of a description from outside
};

/// In the masks of sections. \param section index of an m= line
[[nodiscard]] constexpr std::uint32_t bit_of(unsigned section) noexcept {
  return section < 32 ? 1U << section : 0;
}

/// Whether a message may change what negotiate() keeps.
[[nodiscard]] bool concerns_media(const MediaMessage& message, const ipc::Negotiation& state) noexcept;

/// Takes a message into account. The pinholes that its description names have got their number already:
/// `state.descriptions + 1`.
void negotiate(const MediaMessage& message, ipc::Negotiation& state,
               std::span<ipc::PinholeRef> pinholes) noexcept;

/// Notes an answer from outside in the dialog of another fork than the one that the call is: nobody is
/// expected by it until that is chosen.
void note_fork(const MediaMessage& message, ipc::Negotiation& state) noexcept;

/// A fork that the call turns to.
struct ChosenFork {
  std::uint16_t leg = 0;
  std::uint8_t description = 0;  // number of the last one from inside in its dialog; 0: none
  bool is_remote = false;        // it is an end outside
};
/// What was agreed on with another fork holds from now on. An end outside of which no answer was noted may
/// send from anywhere that the policy admits.
void choose_fork(const ChosenFork& fork, ipc::Negotiation& state,
                 std::span<ipc::PinholeRef> pinholes) noexcept;

/// Where a pinhole's media comes from: no address twice, the default first.
struct Expected {
  std::array<nat::Endpoint, ipc::kMaxSources> remotes;
  std::size_t size = 0;
  std::uint32_t hash = 0;  // of the set of addresses; none of the small values that PinholeRef::told has
};
[[nodiscard]] Expected expected_by(const ipc::PinholeRef& pinhole, const ipc::Negotiation& state) noexcept;

/// No offer waits for its answer.
[[nodiscard]] constexpr bool is_settled(const ipc::Negotiation& state) noexcept {
  return !state.offers[0].open && !state.offers[1].open;
}

}  // namespace pinhole::dataplane
