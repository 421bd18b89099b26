// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A server over the sample model, on a socket in a directory of its own, in a thread of its own; and a client
// that says exactly the bytes it is told to.

#include "control/commands/command.hpp"
#include "control/server/unix_server.hpp"
#include "tests/control/fake_model.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

namespace pinhole::control {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "pinhole-test-XXXXXX").native();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string operator/(std::string_view name) const { return (path_ / name).native(); }

 private:
  std::filesystem::path path_;
};

class TestServer {
 public:
  explicit TestServer(ServerOptions options = {}, FakeModel model = sample_model())
      : model_(std::move(model)) {
    options.path = path();
    auto server = UnixServer::open(context_, std::move(options),
                                   [this](const Client& client, std::string_view method, const Json& params) {
                                     return run_command(model_, method, params, client.access);
                                   });
    if (!server) throw std::runtime_error(server.error().message);
    server_ = *std::move(server);
    thread_ = std::thread([this] { context_.run(); });
  }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;
  ~TestServer() {
    stop();
    work_.reset();
    thread_.join();
  }

  [[nodiscard]] std::string path() const { return directory_ / "control.sock"; }
  [[nodiscard]] std::size_t connections() {
    return in_server([this] { return server_->connections(); });
  }
  /// Ends the server, and with it every connection.
  void stop() {
    in_server([this] {
      server_.reset();
      return 0;
    });
  }

 private:
  template <typename Function>
  std::invoke_result_t<Function> in_server(Function function) {
    std::promise<std::invoke_result_t<Function>> done;
    boost::asio::post(context_, [&] { done.set_value(function()); });
    return done.get_future().get();
  }

  TemporaryDirectory directory_;
  FakeModel model_;
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{context_.get_executor()};
  std::unique_ptr<UnixServer> server_;
  std::thread thread_;
};

class TestClient {
 public:
  /// \param patience for what is sent to be taken, and for a reply
  explicit TestClient(const std::string& path, std::chrono::milliseconds patience = std::chrono::seconds(10))
      : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
    const timeval limit{patience.count() / 1000, patience.count() % 1000 * 1000};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  TestClient(TestClient&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), connected_(other.connected_), received_(other.received_) {}
  TestClient& operator=(TestClient&&) = delete;
  ~TestClient() {
    if (socket_ >= 0) ::close(socket_);
  }

  [[nodiscard]] bool connected() const noexcept { return connected_; }
  /// \return false when the server has closed
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  /// \return how many bytes of replies go in, at most, before the server has to wait for this client
  [[nodiscard]] std::size_t socket_buffer() const {
    int bytes = 0;  // the server's socket has as large a one
    socklen_t size = sizeof bytes;
    ::getsockopt(socket_, SOL_SOCKET, SO_SNDBUF, &bytes, &size);
    return static_cast<std::size_t>(bytes);
  }
  /// \return whether the server has read all that was sent
  [[nodiscard]] bool is_all_taken() const {
    int waiting = 0;
    return ::ioctl(socket_, SIOCOUTQ, &waiting) == 0 && waiting == 0;
  }
  void finish_sending() { ::shutdown(socket_, SHUT_WR); }

  /// The next line without its newline; "<closed>" when the server closed first, "<silence>" when it said
  /// nothing.
  std::string line() {
    for (;;) {
      if (const auto end = received_.find('\n'); end != std::string::npos) {
        auto line = received_.substr(0, end);
        received_.erase(0, end + 1);
        return line;
      }
      char chunk[4096];
      const auto size = ::recv(socket_, chunk, sizeof chunk, 0);
      if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return "<silence>";
      if (size <= 0) return "<closed>";
      received_.append(chunk, static_cast<std::size_t>(size));
    }
  }

 private:
  int socket_;
  bool connected_ = false;
  std::string received_;
};

}  // namespace pinhole::control
