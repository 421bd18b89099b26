// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The client's end of the control socket: one request, one reply, both within a time limit.

#include "control/error.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pinhole::control {

using Json = nlohmann::ordered_json;

/// An error that control replied with.
struct RpcFailure {
  int code = 0;
  std::string message;
};

/// What control replied: `failure`, or else `result`.
struct Reply {
  Json result;
  std::optional<RpcFailure> failure;
};

class ControlClient {
 public:
  /// Errors: unavailable, with a sentence that says how to reach control.
  [[nodiscard]] static Result<ControlClient> connect(const std::string& path,
                                                     std::chrono::milliseconds timeout);

  ControlClient(ControlClient&& other) noexcept;
  ControlClient& operator=(ControlClient&&) = delete;
  ~ControlClient();

  /// Sends a request and waits for its reply.
  /// Errors: unavailable, when the connection broke or control did not answer in time.
  [[nodiscard]] Result<Reply> call(std::string_view method, const Json& params);

 private:
  ControlClient(int socket, std::string path, std::chrono::milliseconds timeout) noexcept;
  Result<void> send(std::string_view line);
  Result<std::string> receive();

  int socket_;
  std::string path_;
  std::chrono::milliseconds timeout_;
  std::uint64_t next_id_ = 1;
  std::string received_;  // after the last line that was taken
};

}  // namespace pinhole::control
