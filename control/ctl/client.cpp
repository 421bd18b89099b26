// SPDX-License-Identifier: BSD-3-Clause
#include "control/ctl/client.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace pinhole::control {
namespace {

using Clock = std::chrono::steady_clock;

// More than any reply of control; a server that sends more is none of ours.
constexpr std::size_t kMaxReplyBytes = 64UL * 1024 * 1024;

Error unavailable(std::string_view what, const std::string& path) {
  return {ErrorCode::unavailable, fmt::format("{} ({})", what, path)};
}

Error unreachable(int cause, const std::string& path) {
  switch (cause) {
    case ENOENT:
      return unavailable(
          "control is not reachable: there is no socket; start pinhole-control or give --socket", path);
    case ECONNREFUSED:
      return unavailable("control is not reachable: nobody listens on the socket; start pinhole-control",
                         path);
    case EACCES:
    case EPERM:
      return unavailable(
          "control is not reachable: permission denied; be root or join the group of the socket", path);
    case EAGAIN:
      return unavailable("control is not reachable: it takes no connections; look at its log", path);
    default:
      return unavailable(fmt::format("control is not reachable: {}", std::generic_category().message(cause)),
                         path);
  }
}

/// \return false when `deadline` passed first.
bool wait_for(int socket, short what, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return false;
    pollfd entry{socket, what, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(left.count()));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return true;  // the operation itself will say what is wrong
  }
}

}  // namespace

Result<ControlClient> ControlClient::connect(const std::string& path, std::chrono::milliseconds timeout) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Error{ErrorCode::usage, fmt::format("--socket: found \"{}\"; allowed is a path of 1 to {} bytes",
                                               path, sizeof address.sun_path - 1)};
  }
  path.copy(static_cast<char*>(address.sun_path), path.size());
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return unreachable(errno, path);
  ControlClient client(socket, path, timeout);
  // A control that takes no connections lets them wait in a queue, and those behind it for ever.
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const timeval patience{.tv_sec = seconds.count(),
                         .tv_usec = std::chrono::microseconds(timeout - seconds).count()};
  static_cast<void>(::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience));
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return unreachable(errno, path);
  }
  return client;
}

ControlClient::ControlClient(int socket, std::string path, std::chrono::milliseconds timeout) noexcept
    : socket_(socket), path_(std::move(path)), timeout_(timeout) {
}

ControlClient::ControlClient(ControlClient&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      path_(std::move(other.path_)),
      timeout_(other.timeout_),
      next_id_(other.next_id_),
      received_(std::move(other.received_)) {
}

ControlClient::~ControlClient() {
  if (socket_ >= 0) ::close(socket_);
}

Result<Reply> ControlClient::call(std::string_view method, const Json& params) {
  const Json request = {{"jsonrpc", "2.0"}, {"id", next_id_++}, {"method", method}, {"params", params}};
  // A refused client may be told why before its request is read: what there is to read is read all the same.
  const auto sent = send(request.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n');
  const auto line = receive();
  if (!line) return sent ? line.error() : sent.error();
  const auto reply = Json::parse(*line, nullptr, false);
  if (reply.is_object() && reply.contains("result")) return Reply{reply["result"], std::nullopt};
  if (reply.is_object() && reply.contains("error") && reply["error"].is_object()) {
    const auto& error = reply["error"];
    return Reply{nullptr,
                 RpcFailure{error.value("code", 0), error.value("message", std::string("no message"))}};
  }
  return unavailable("what answers on the socket is not pinhole-control", path_);
}

Result<void> ControlClient::send(std::string_view line) {
  const auto deadline = Clock::now() + timeout_;
  while (!line.empty()) {
    if (!wait_for(socket_, POLLOUT, deadline)) return unavailable("control takes no request", path_);
    const auto sent = ::send(socket_, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return unavailable(
          fmt::format("control closed the connection: {}", std::generic_category().message(errno)), path_);
    }
    line.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<std::string> ControlClient::receive() {
  const auto deadline = Clock::now() + timeout_;
  std::size_t searched = 0;
  for (;;) {
    if (const auto end = received_.find('\n', searched); end != std::string::npos) {
      auto line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    searched = received_.size();
    if (searched > kMaxReplyBytes) return unavailable("the reply of control is too long", path_);
    if (!wait_for(socket_, POLLIN, deadline)) {
      return unavailable(fmt::format("control did not answer within {} s",
                                     std::chrono::duration_cast<std::chrono::seconds>(timeout_).count()),
                         path_);
    }
    std::array<char, 65536> chunk;
    const auto size = ::recv(socket_, chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (size > 0) {
      received_.append(chunk.data(), static_cast<std::size_t>(size));
    } else if (size == 0 || (errno != EINTR && errno != EAGAIN)) {
      return unavailable("control closed the connection before it answered", path_);
    }
  }
}

}  // namespace pinhole::control
