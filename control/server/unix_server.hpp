// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The control socket. Invariant: nobody is heard but root, the user that control runs as, and the members of
// the socket's group: the file's mode keeps others from connecting, and the kernel's word on who connected
// (SO_PEERCRED) is checked as well, because a mode can be changed by mistake.

#include "control/error.hpp"
#include "control/server/connection.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <set>
#include <span>
#include <string>

namespace pinhole::control {

struct ServerOptions {
  std::string path;
  std::string group;  // of the socket; empty: the group that control runs as
  std::size_t max_connections = 64;
  ConnectionLimits connection;
};

/// Who is at the other end of a connection.
struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

/// \param groups the supplementary groups of the peer
[[nodiscard]] bool may_connect(const Peer& peer, std::span<const gid_t> groups, uid_t own_user,
                               gid_t socket_group) noexcept;

class UnixServer {
 public:
  /// Makes the directory and the socket (mode 0660), and listens. A socket that nobody listens on any more is
  /// replaced; one that is in use, or a file that is no socket, is an error.
  [[nodiscard]] static Result<std::unique_ptr<UnixServer>> open(boost::asio::io_context& context,
                                                                ServerOptions options, Call call);
  UnixServer(const UnixServer&) = delete;
  UnixServer& operator=(const UnixServer&) = delete;
  /// Closes every connection and removes the socket.
  ~UnixServer();

  [[nodiscard]] std::size_t connections() const noexcept { return connections_.size(); }

 private:
  using Protocol = boost::asio::local::stream_protocol;

  UnixServer(boost::asio::io_context& context, ServerOptions options, Call call, int listener, gid_t group);
  void accept();
  void admit(Protocol::socket socket);

  ServerOptions options_;
  Call call_;
  gid_t group_;
  Protocol::acceptor acceptor_;
  boost::asio::steady_timer retry_;
  std::set<std::shared_ptr<Connection>, std::owner_less<>> connections_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);  // handlers hold it weakly
};

}  // namespace pinhole::control
