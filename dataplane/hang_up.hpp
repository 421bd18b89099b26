// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Ends calls that live, when control asks for it: an answered call with a BYE to each side in the name of the
// other one (RFC 3261 section 15), so that no phone hangs on a call that Pinhole has given up; one that is
// not answered yet is closed. Answers are taken here and go no further (dataplane/own_message.hpp); by UDP a
// BYE that nobody has answered is sent again a few times.
//
// Invariant: whatever becomes of the BYEs, the call ends, and its card is closed like that of any call that
// has ended.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "alg/alg.hpp"
#include "alg/sip/message.hpp"
#include "dataplane/call_table.hpp"
#include "dataplane/dialog_table.hpp"
#include "dataplane/ipc/call_state.hpp"
#include "dataplane/text_hash.hpp"
#include "nat/tick.hpp"

namespace pinhole::dataplane {

struct WorkerContext;

class HangUps {
 public:
  /// T1 of RFC 3261 section 17.1.1.1, and how often a BYE is sent again: by then a phone that lives has
  /// answered.
  static constexpr nat::Tick kT1 = nat::kTicksPerSecond / 2;
  static constexpr std::uint8_t kTries = 4;

  /// \param seed  secret, and of this worker alone
  HangUps(WorkerContext& worker, std::uint64_t seed) noexcept;

  /// Ends a call. \return false when it is gone already
  bool hang_up(CardIndex card, std::uint32_t generation, ipc::EndReason reason) noexcept;
  /// Takes a response to a BYE. \return whether it is to one that was sent here
  [[nodiscard]] bool take_answer(const alg::sip::MessageView& view, const alg::Message& message) noexcept;
  /// Once a tick: what is to be sent again.
  void tick() noexcept;

 private:
  /// Of a BYE: where its answer belongs, which nobody else can have made up.
  using Branch = std::array<char, 41>;
  [[nodiscard]] Branch branch_of(CardIndex card, std::uint32_t generation, std::size_t side) const noexcept;

  /// \return false when that is not possible
  [[nodiscard]] bool say_bye(CardIndex card, std::size_t side) noexcept;
  [[nodiscard]] bool send_by_stream(nat::MappingIndex index, nat::Endpoint remote, std::size_t side,
                                    std::string_view text) noexcept;
  [[nodiscard]] bool say_again(CardIndex card) noexcept;
  [[nodiscard]] nat::Endpoint destination_of(const Dialog& dialog, std::size_t side) const noexcept;
  /// Tells control of a message of a BYE's transaction. \param start  of its line
  void tell(CardIndex card, alg::Direction direction, std::uint16_t status, std::uint32_t cseq,
            std::string_view start) noexcept;

  WorkerContext& worker_;
  SipHashKey key_;
};

}  // namespace pinhole::dataplane
