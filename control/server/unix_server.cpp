// SPDX-License-Identifier: BSD-3-Clause
#include "control/server/unix_server.hpp"

#include "control/log.hpp"

#include <fmt/format.h>

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

namespace pinhole::control {
namespace {

constexpr mode_t kSocketMode = 0660;
constexpr mode_t kOpenSocketMode = 0666;  // who connects is then told apart by the kernel's word alone
constexpr int kBacklog = 64;
// After accept() failed for want of descriptors or memory: trying at once would spin.
constexpr std::chrono::seconds kAcceptPause{1};

/// Owns a descriptor until it is handed on.
class Descriptor {
 public:
  explicit Descriptor(int descriptor) noexcept : descriptor_(descriptor) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] int get() const noexcept { return descriptor_; }
  [[nodiscard]] int release() noexcept { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

Error system_error(std::string_view what, const std::string& path) {
  return {ErrorCode::system, fmt::format("control.socket: cannot {} {}: {}", what, path,
                                         std::generic_category().message(errno))};
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Error{ErrorCode::range,
                 fmt::format("control.socket: found \"{}\"; allowed is a path of 1 to {} bytes", path,
                             sizeof address.sun_path - 1)};
  }
  path.copy(address.sun_path, path.size());
  return address;
}

/// \param key of the configuration
Result<gid_t> group_id(std::string_view key, const std::string& name) {
  // Thread: start-up has one thread, so the static buffer of getgrnam() is ours.
  const group* const entry = ::getgrnam(name.c_str());
  if (entry == nullptr) {
    return Error{
        ErrorCode::conflict,
        fmt::format("{}: there is no group \"{}\"; make it (groupadd {}) or name another", key, name, name)};
  }
  return entry->gr_gid;
}

Result<AccessRules> rules_of(const ServerOptions& options) {
  AccessRules rules{.own_user = ::geteuid(), .group = ::getegid(), .read_group = {}};
  if (!options.group.empty()) {
    const auto group = group_id("control.group", options.group);
    if (!group) return group.error();
    rules.group = *group;
  }
  if (!options.read_group.empty()) {
    const auto group = group_id("control.read_group", options.read_group);
    if (!group) return group.error();
    rules.read_group = *group;
  }
  return rules;
}

Result<void> make_directory(const std::string& path) {
  const auto directory = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!directory.empty()) std::filesystem::create_directories(directory, error);
  if (error) {
    return Error{ErrorCode::system, fmt::format("control.socket: cannot make the directory {}: {}",
                                                directory.native(), error.message())};
  }
  return {};
}

/// Removes what a control that was killed left behind, and nothing else.
Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return system_error("look at", path);
  }
  if (!S_ISSOCK(status.st_mode)) {
    return Error{
        ErrorCode::conflict,
        fmt::format("control.socket: {} is there and is no socket; remove it or choose another path", path)};
  }
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (probe.get() < 0) return system_error("probe", path);
  const int connected = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (connected == 0 || errno != ECONNREFUSED) {
    return Error{
        ErrorCode::conflict,
        fmt::format("control.socket: another process serves {}; stop it or choose another path", path)};
  }
  if (::unlink(path.c_str()) != 0) return system_error("remove the stale", path);
  return {};
}

Result<int> listen_on(const std::string& path, const sockaddr_un& address, const AccessRules& rules) {
  Descriptor listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (listener.get() < 0) return system_error("make a socket for", path);
  // On Linux the file takes its mode from the socket's, so it is never open to others, not for a moment.
  if (::fchmod(listener.get(), S_IRUSR | S_IWUSR) != 0) return system_error("set the mode of", path);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return system_error("bind", path);
  }
  const mode_t mode = rules.read_group ? kOpenSocketMode : kSocketMode;
  if (::chown(path.c_str(), static_cast<uid_t>(-1), rules.group) != 0 || ::chmod(path.c_str(), mode) != 0) {
    const auto error = system_error("set group and mode of", path);
    ::unlink(path.c_str());
    return error;
  }
  if (::listen(listener.get(), kBacklog) != 0) {
    const auto error = system_error("listen on", path);
    ::unlink(path.c_str());
    return error;
  }
  return listener.release();
}

std::optional<Peer> peer_of(int socket) noexcept {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  return Peer{credentials.pid, credentials.uid, credentials.gid};
}

/// The groups of the peer as it connected; nothing is looked up in a directory service.
std::vector<gid_t> groups_of(int socket) {
  std::vector<gid_t> groups(64);
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    const int result = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
    if (result != 0 && errno != ERANGE) size = 0;
    groups.resize(size / sizeof(gid_t));  // ERANGE: as many as there are, for the second attempt
    if (result == 0 || groups.empty()) return groups;
  }
  return {};
}

/// Says why, as far as that goes in without waiting. The socket closes when it goes out of scope.
void refuse(int socket, RpcCode code, std::string_view why) {
  say_last(socket, error_line(code, why));
}

}  // namespace

std::optional<Access> access_of(const Peer& peer, std::span<const gid_t> groups,
                                const AccessRules& rules) noexcept {
  const auto is_in = [&](gid_t group) {
    return peer.gid == group || std::find(groups.begin(), groups.end(), group) != groups.end();
  };
  if (peer.uid == 0 || peer.uid == rules.own_user || is_in(rules.group)) return Access::write;
  if (rules.read_group && is_in(*rules.read_group)) return Access::read;
  return std::nullopt;
}

Result<std::unique_ptr<UnixServer>> UnixServer::open(boost::asio::io_context& context, ServerOptions options,
                                                     ClientCall call) {
  const auto address = address_of(options.path);
  if (!address) return address.error();
  const auto rules = rules_of(options);
  if (!rules) return rules.error();
  if (const auto made = make_directory(options.path); !made) return made.error();
  if (const auto removed = remove_stale(options.path, *address); !removed) return removed.error();
  const auto listener = listen_on(options.path, *address, *rules);
  if (!listener) return listener.error();
  std::unique_ptr<UnixServer> server(
      new UnixServer(context, std::move(options), std::move(call), *listener, *rules));
  server->accept();
  return server;
}

UnixServer::UnixServer(boost::asio::io_context& context, ServerOptions options, ClientCall call, int listener,
                       const AccessRules& rules)
    : options_(std::move(options)),
      call_(std::move(call)),
      rules_(rules),
      acceptor_(context, Protocol(), listener),
      retry_(context) {
}

UnixServer::~UnixServer() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  retry_.cancel();
  for (const auto& served : std::exchange(connections_, {})) served.connection->close();
  ::unlink(options_.path.c_str());
}

// A handler that was queued before the acceptor closed runs when `this` is gone: it asks `alive` first.
void UnixServer::accept() {
  const std::weak_ptr<const bool> alive = alive_;
  acceptor_.async_accept([this, alive](boost::system::error_code error, Protocol::socket socket) {
    if (alive.expired() || error == boost::asio::error::operation_aborted) return;
    if (!error) {
      admit(std::move(socket));
      return accept();
    }
    log_warning("accept_failed", {{"error", error.message()}});
    retry_.expires_after(kAcceptPause);
    retry_.async_wait([this, alive](boost::system::error_code stopped) {
      if (!alive.expired() && !stopped) accept();
    });
  });
}

void UnixServer::admit(Protocol::socket socket) {
  const int descriptor = socket.native_handle();
  const auto peer = peer_of(descriptor);
  const auto access = peer ? access_of(*peer, groups_of(descriptor), rules_) : std::nullopt;
  if (!access) {
    if (peer) log_warning("client_refused", {{"uid", peer->uid}, {"pid", peer->pid}});
    return refuse(descriptor, RpcCode::forbidden,
                  "this user may not use the control socket; use root or join the group of the socket");
  }
  if (connections_.size() >= options_.max_connections && !make_room({*peer, *access})) {
    log_warning("too_many_clients", {{"limit", options_.max_connections}, {"pid", peer->pid}});
    return refuse(descriptor, RpcCode::busy, "too many clients are connected; try again later");
  }
  auto connection = std::make_shared<Connection>(
      std::move(socket), options_.connection,
      [this, client = Client{*peer, *access}](std::string_view method, const Json& params) {
        return call_(client, method, params);
      },
      [this](const Connection& closed) {
        std::erase_if(connections_, [&](const Served& s) { return s.connection.get() == &closed; });
      });
  connections_.push_back({connection, {*peer, *access}});
  connection->start();
}

/// Closes a connection for one that comes: an idle one if there is any, of those who may only read before
/// those who may write, of the user and the process that have the most, the one that was silent for the
/// longest. So a client that takes all there are, or leaves them behind, keeps nobody else out. Who may only
/// read pushes nobody out who may write, and nobody who is being answered. \return false when none may go
bool UnixServer::make_room(const Client& newcomer) {
  std::map<uid_t, std::size_t> of_user;
  std::map<pid_t, std::size_t> of_process;
  for (const auto& served : connections_) {
    ++of_user[served.client.peer.uid];
    ++of_process[served.client.peer.pid];
  }
  const bool may_write = newcomer.access == Access::write;
  const auto may_go = [&](const Served& served) {
    const bool is_reader = served.client.access == Access::read;
    if (!may_write && !is_reader) return false;
    const bool has_more = of_process[served.client.peer.pid] > 1;
    return served.connection->is_idle() || (may_write && (is_reader || has_more));
  };
  const auto rank = [&](const Served& served) {
    return std::tuple(served.connection->is_idle(), served.client.access == Access::read,
                      of_user[served.client.peer.uid], of_process[served.client.peer.pid],
                      -served.connection->silent_since().time_since_epoch());
  };
  const Served* victim = nullptr;
  for (const auto& served : connections_) {
    if (may_go(served) && (victim == nullptr || rank(served) > rank(*victim))) victim = &served;
  }
  if (victim == nullptr) return false;
  const auto connection = victim->connection;  // closing it takes it out of the list
  log_warning("client_closed", {{"reason", "others wait for its place"}, {"pid", victim->client.peer.pid}});
  connection->dismiss(error_line(RpcCode::busy, "too many clients are connected, and this one was silent"));
  return true;
}

}  // namespace pinhole::control
