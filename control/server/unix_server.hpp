// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The control socket. Invariant: nobody is heard but root, the user that control runs as, the members of the
// socket's group, and those of the group that may read. Who it is, is the kernel's word (SO_PEERCRED); the
// file's mode keeps others from connecting, as far as it can: it knows one group.

#include "control/access.hpp"
#include "control/error.hpp"
#include "control/server/connection.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pinhole::control {

struct ServerOptions {
  std::string path;
  std::string group;       // of the socket; empty: the group that control runs as
  std::string read_group;  // whose members may read; empty: none
  // When there are as many, the one that was silent for the longest makes room for the next.
  std::size_t max_connections = 64;
  ConnectionLimits connection;
};

/// Who is at the other end of a connection.
struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

/// Who may do what.
struct AccessRules {
  uid_t own_user = 0;
  gid_t group = 0;
  std::optional<gid_t> read_group;
};

/// \param groups the supplementary groups of the peer \return none: nothing at all
[[nodiscard]] std::optional<Access> access_of(const Peer& peer, std::span<const gid_t> groups,
                                              const AccessRules& rules) noexcept;

/// Who asks for a method to be carried out.
struct Client {
  Peer peer;
  Access access = Access::read;
};

/// Carries out a method for a client, as Call does.
using ClientCall =
    std::function<Result<Json>(const Client& client, std::string_view method, const Json& params)>;

class UnixServer {
 public:
  /// Makes the directory and the socket, and listens. Its mode is 0660, or 0666 when a second group may read.
  /// A socket that nobody listens on any more is replaced; one that is in use, or a file that is no socket,
  /// is an error.
  [[nodiscard]] static Result<std::unique_ptr<UnixServer>> open(boost::asio::io_context& context,
                                                                ServerOptions options, ClientCall call);
  UnixServer(const UnixServer&) = delete;
  UnixServer& operator=(const UnixServer&) = delete;
  /// Closes every connection and removes the socket.
  ~UnixServer();

  [[nodiscard]] std::size_t connections() const noexcept { return connections_.size(); }

 private:
  using Protocol = boost::asio::local::stream_protocol;

  /// A connection, and who is at its other end.
  struct Served {
    std::shared_ptr<Connection> connection;
    Client client;
  };

  UnixServer(boost::asio::io_context& context, ServerOptions options, ClientCall call, int listener,
             const AccessRules& rules);
  void accept();
  void admit(Protocol::socket socket);
  [[nodiscard]] bool make_room(const Client& newcomer);

  ServerOptions options_;
  ClientCall call_;
  AccessRules rules_;
  Protocol::acceptor acceptor_;
  boost::asio::steady_timer retry_;
  std::vector<Served> connections_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);  // handlers hold it weakly
};

}  // namespace pinhole::control
