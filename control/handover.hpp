// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What control hands to itself when it starts anew because the data plane is gone: the calls that it knew,
// and the last status. It travels in a file without a name, whose number the environment tells, as CBOR:
// texts out of SIP messages need not be UTF-8. Invariant: whatever cannot be read is as if nothing had been
// handed over.

#include <optional>
#include <string>
#include <vector>

#include "control/call_store.hpp"
#include "control/error.hpp"
#include "control/model.hpp"

namespace pinhole::control {

struct Handover {
  Status status;
  std::vector<CallRecord> calls;
};

[[nodiscard]] std::vector<std::uint8_t> encode(const Handover& handover);
/// Errors: ErrorCode::syntax for what encode() did not write.
[[nodiscard]] Result<Handover> decode(const std::vector<std::uint8_t>& bytes);

/// Leaves it to the program that this process executes next.
/// \return the descriptor that has to stay open until then. Errors: ErrorCode::system.
[[nodiscard]] Result<int> leave(const Handover& handover);

/// What the program that executed this one left; none when it is the first. A second call finds nothing.
[[nodiscard]] std::optional<Handover> take();

}  // namespace pinhole::control
