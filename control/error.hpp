// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// How control reports failure: the Result of the configuration, and the numbers by which JSON-RPC knows an
// error. Invariant: a handler returns an Error; only the boundary in server/protocol turns it into a number.

#include "dataplane/config/error.hpp"

namespace pinhole::control {

using config::Error;
using config::ErrorCode;
template <typename T>
using Result = config::Result<T>;

/// Source: JSON-RPC 2.0 section 5.1; -32000 to -32099 are for the server to define.
enum class RpcCode : int {
  parse_error = -32700,
  invalid_request = -32600,
  method_not_found = -32601,
  invalid_params = -32602,
  internal_error = -32603,
  not_found = -32001,    // what was named does not exist
  unavailable = -32002,  // the data plane is not there to be asked
  forbidden = -32003,    // the peer may not use the socket, or not give this command
  busy = -32004,         // too many connections
};

/// The number of an error that a command returned.
[[nodiscard]] constexpr RpcCode rpc_code(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::usage:
      return RpcCode::method_not_found;
    case ErrorCode::unknown_key:
    case ErrorCode::missing:
    case ErrorCode::type:
    case ErrorCode::range:
    case ErrorCode::conflict:
      return RpcCode::invalid_params;
    case ErrorCode::not_found:
      return RpcCode::not_found;
    case ErrorCode::unavailable:
      return RpcCode::unavailable;
    case ErrorCode::forbidden:
      return RpcCode::forbidden;
    case ErrorCode::file:
    case ErrorCode::syntax:
    case ErrorCode::device:
    case ErrorCode::memory:
    case ErrorCode::system:
    case ErrorCode::internal:
      break;
  }
  return RpcCode::internal_error;
}

}  // namespace pinhole::control
