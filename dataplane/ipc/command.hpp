// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Commands: what control asks of a worker, over one ring a worker (control pushes, the worker pops on its
// tick). A command names a card by index and generation, so that one which comes too late does nothing. A
// control process that died in the middle of a push leaves a message whose two sequence numbers differ: the
// worker counts and skips it (`command_refused`).

#include <cstdint>
#include <type_traits>

#include "dataplane/ipc/ban.hpp"
#include "dataplane/ipc/call_state.hpp"

namespace pinhole::ipc {

enum class CommandType : std::uint8_t {
  close_call,  // close the pinholes of a call and free its card
  shut_media,  // let nobody in to the media ports of a call, which it keeps, until media is agreed on anew
  keep_call,   // the call lives: its pinholes may be idle for `seconds` from now
  announce_policy,  // a policy of `generation` will come (dataplane/ipc/policy.hpp)
  prepare_policy,   // it has been written to `slot`
  commit_policy,    // use it
  ban,              // nobody of `ban` comes in for `seconds` from now
  lift_ban,         // `ban` is over
  allow,            // hosts of `ban` are not to be banned or limited
  disallow,         // they are like any others again
  hang_up,          // end a call for `reason`: with a BYE to each side if it was answered, else close it
};

struct Command {
  std::uint32_t sequence = 0;
  std::uint16_t abi_version = 0;
  CommandType type = CommandType::close_call;
  std::uint8_t slot = 0;
  EndReason reason = EndReason::none;  // of hang_up, and of close_call: none closes only what has ended
  std::uint32_t card = 0;
  std::uint32_t card_generation = 0;
  std::uint32_t seconds = 0;
  std::uint32_t generation = 0;
  BanOrder ban{};
  std::uint32_t sequence_again = 0;  // equals `sequence` in a whole message
};
static_assert(std::is_trivially_copyable_v<Command>);
static_assert(sizeof(Command) == 40);

}  // namespace pinhole::ipc
