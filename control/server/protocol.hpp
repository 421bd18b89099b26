// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// JSON-RPC 2.0, one object a line: from the text of a request to the text of its reply. Invariant: whatever
// the line holds, it gets one reply (or none, for a valid notification), the reply is one line, and it is
// valid UTF-8. Nothing here knows of sockets or of commands.

#include "control/error.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace pinhole::control {

/// Keys keep the order in which they are written, so that people find them where the documents say.
using Json = nlohmann::ordered_json;

/// Carries out a method. `params` is an object, empty when the request had none.
using Call = std::function<Result<Json>(std::string_view method, const Json& params)>;

/// A line without its newline may be this long.
inline constexpr std::size_t kMaxLineBytes = 64UL * 1024;
/// Objects and arrays may lie this deep in one another.
inline constexpr std::size_t kMaxDepth = 16;

/// Answers one line.
/// \return the reply without its newline; empty for a notification, which is carried out but not answered.
/// Errors: as a reply. An exception out of `call` is a bug: it is logged and answered as an internal error.
[[nodiscard]] std::string answer(std::string_view line, const Call& call);

/// A reply to nobody's request: why a connection is refused or closed.
[[nodiscard]] std::string error_line(RpcCode code, std::string_view message);

}  // namespace pinhole::control
