// SPDX-License-Identifier: BSD-3-Clause
#include "control/server/connection.hpp"

#include "control/log.hpp"

#include <fmt/format.h>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include <sys/socket.h>

namespace pinhole::control {

using boost::system::error_code;

void say_last(int socket, std::string_view line) {
  std::string bytes(line);
  bytes += '\n';
  static_cast<void>(::send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
}

Connection::Connection(Socket socket, ConnectionLimits limits, Call call, Closed closed)
    : socket_(std::move(socket)),
      deadline_(socket_.get_executor()),
      limits_(limits),
      call_(std::move(call)),
      closed_(std::move(closed)) {
}

void Connection::start() {
  set_deadline(limits_.idle_timeout);
  watch_deadline();
  read();
}

void Connection::close() {
  if (!socket_.is_open()) return;
  error_code ignored;
  socket_.close(ignored);
  deadline_.cancel();
  closed_(*this);
}

void Connection::dismiss(std::string_view last_line) {
  if (replies_.empty()) say_last(socket_.native_handle(), last_line);
  close();
}

void Connection::read() {
  input_ = Input::reading;
  socket_.async_read_some(boost::asio::buffer(chunk_),
                          [self = shared_from_this()](error_code error, std::size_t size) {
                            if (!self->socket_.is_open()) return;
                            self->at_end_ = static_cast<bool>(error);
                            self->lines_.append({self->chunk_.data(), size});
                            self->take_next();
                          });
}

// One request a turn of the event loop, so that a client that pipelines does not keep control from its
// events.
void Connection::take_next() {
  if (!socket_.is_open()) return;
  if (reply_bytes_ > limits_.waiting_reply_bytes) {
    input_ = Input::paused;
    return;
  }
  input_ = Input::taking;
  if (const auto line = lines_.next()) {
    silent_since_ = std::chrono::steady_clock::now();
    send(answer(*line, call_));
    if (replies_.empty()) set_deadline(limits_.idle_timeout);
    boost::asio::post(socket_.get_executor(), [self = shared_from_this()] { self->take_next(); });
  } else if (lines_.is_too_long()) {
    // Where the next request would begin cannot be known.
    send(error_line(RpcCode::invalid_request,
                    fmt::format("a request is one line of at most {} bytes", kMaxLineBytes)));
    finish();
  } else if (at_end_) {
    finish();
  } else {
    read();
  }
}

void Connection::finish() {
  input_ = Input::finished;
  if (replies_.empty()) close();
}

void Connection::send(std::string reply) {
  if (reply.empty() || !socket_.is_open()) return;
  reply += '\n';
  reply_bytes_ += reply.size();
  replies_.push_back(std::move(reply));
  if (replies_.size() == 1) write();
}

void Connection::write() {
  set_deadline(limits_.write_timeout);
  boost::asio::async_write(socket_, boost::asio::buffer(replies_.front()),
                           [self = shared_from_this()](error_code error, std::size_t) {
                             if (!self->socket_.is_open()) return;
                             if (error) return self->close();
                             self->on_written();
                           });
}

void Connection::on_written() {
  reply_bytes_ -= replies_.front().size();
  replies_.pop_front();
  if (!replies_.empty()) {
    write();
  } else {
    set_deadline(limits_.idle_timeout);
  }
  if (input_ == Input::paused && reply_bytes_ <= limits_.waiting_reply_bytes) take_next();
  if (input_ == Input::finished && replies_.empty()) close();
}

void Connection::set_deadline(std::chrono::milliseconds from_now) {
  deadline_.expires_after(from_now);
}

void Connection::watch_deadline() {
  deadline_.async_wait([self = shared_from_this()](error_code) {
    if (!self->socket_.is_open()) return;
    if (self->deadline_.expiry() > boost::asio::steady_timer::clock_type::now())
      return self->watch_deadline();
    log_warning("client_closed", {{"reason", self->replies_.empty() ? "idle" : "does not read its replies"}});
    self->close();
  });
}

}  // namespace pinhole::control
