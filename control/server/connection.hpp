// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// One client of the control socket. Invariant: what a client can make control hold is bounded. Requests are
// taken one after the other; none is taken while more replies wait than Limits allows, a reply that the
// client does not take in time closes the connection, and so does silence. It lives as long as one of its
// operations is under way.

#include "control/server/line_buffer.hpp"
#include "control/server/protocol.hpp"

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace pinhole::control {

struct ConnectionLimits {
  std::size_t waiting_reply_bytes = 1024UL * 1024;  // no further request is taken above this
  std::chrono::milliseconds write_timeout = std::chrono::seconds(10);  // for a client to take one reply
  std::chrono::milliseconds idle_timeout = std::chrono::minutes(10);   // between requests
};

/// Writes a line to a socket that is closed then, as far as that goes in without waiting.
void say_last(int socket, std::string_view line);

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::local::stream_protocol::socket;
  using Closed = std::function<void(const Connection&)>;

  Connection(Socket socket, ConnectionLimits limits, Call call, Closed closed);

  /// Begins to serve. The object has to be owned by a shared_ptr.
  void start();
  /// Closes at once; replies that wait are lost.
  void close();
  /// Closes with a last word, if nothing else is being written and it goes in without waiting.
  void dismiss(std::string_view last_line);

  /// Whether it waits for its client, and the client for nothing. A request that is not whole is none.
  [[nodiscard]] bool is_idle() const noexcept { return input_ == Input::reading && replies_.empty(); }
  /// Since when there was no whole request.
  [[nodiscard]] std::chrono::steady_clock::time_point silent_since() const noexcept { return silent_since_; }

 private:
  enum class Input : std::uint8_t {
    reading,   // waits for bytes
    taking,    // a whole line may be in the buffer; take_next() is on its way
    paused,    // too many replies wait; on_written() goes on
    finished,  // no request will be taken any more; closes when every reply is written
  };

  void read();
  void take_next();
  void finish();
  void send(std::string reply);
  void write();
  void on_written();
  void watch_deadline();
  void set_deadline(std::chrono::milliseconds from_now);

  Socket socket_;
  boost::asio::steady_timer deadline_;
  ConnectionLimits limits_;
  Call call_;
  Closed closed_;
  LineBuffer lines_{kMaxLineBytes};
  std::array<char, 4096> chunk_{};
  std::deque<std::string> replies_;  // the first is being written
  std::size_t reply_bytes_ = 0;
  Input input_ = Input::reading;
  std::chrono::steady_clock::time_point silent_since_ = std::chrono::steady_clock::now();
  bool at_end_ = false;  // the client sends no more
};

}  // namespace pinhole::control
