// SPDX-License-Identifier: BSD-3-Clause
#include "control/nat_log/udp_sender.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace pinhole::control {

UdpSender::~UdpSender() {
  close();
}

bool UdpSender::send(std::span<const std::byte> datagram, Steady now) {
  if (socket_ < 0 && !open(now)) return false;
  auto count = ::send(socket_, datagram.data(), datagram.size(), MSG_NOSIGNAL);
  if (count < 0 && errno == ECONNREFUSED) {
    // The answer to an earlier datagram, told in place of sending this one.
    fail(errno, now);
    count = ::send(socket_, datagram.data(), datagram.size(), MSG_NOSIGNAL);
  }
  if (count == static_cast<ssize_t>(datagram.size())) {
    if (!problem_.empty() && now - failed_at_ >= kCalm) problem_.clear();
    return true;
  }
  fail(errno, now);
  return false;
}

bool UdpSender::open(Steady now) {
  if (now < try_at_) return false;
  socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ >= 0) {
    // Many records come at once; more than the system allows for all asks for a right that root has.
    if (::setsockopt(socket_, SOL_SOCKET, SO_SNDBUFFORCE, &kBuffer_bytes, sizeof kBuffer_bytes) != 0) {
      ::setsockopt(socket_, SOL_SOCKET, SO_SNDBUF, &kBuffer_bytes, sizeof kBuffer_bytes);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = peer_.port.raw();
    address.sin_addr.s_addr = peer_.address.value.raw();
    // Connected, so that the system tells when nobody listens there.
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
  }
  fail(errno, now);
  close();
  try_at_ = now + kTryAgain;
  return false;
}

void UdpSender::close() noexcept {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

void UdpSender::fail(int error, Steady now) {
  problem_ = std::strerror(error);
  failed_at_ = now;
  ++failures_;
}

}  // namespace pinhole::control
