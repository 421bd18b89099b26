// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Somebody who takes IPFIX messages.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "nat/endpoint.hpp"

#include <catch2/catch.hpp>

namespace pinhole::control::test {

/// A UDP socket on the loopback that hears what is sent to it.
class Collector {
 public:
  /// \param port 0: any that is free.
  explicit Collector(nat::Be16 port = {}) : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = port.raw();
    socklen_t size = sizeof address;
    const bool is_bound = bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                          getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    REQUIRE(is_bound);
    endpoint_ = {nat::Ipv4Address::from_host(INADDR_LOOPBACK), nat::Be16{ntohs(address.sin_port)}};
  }
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;
  ~Collector() { stop(); }

  void stop() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  [[nodiscard]] nat::Endpoint endpoint() const { return endpoint_; }
  /// The next message that has arrived; empty: none has.
  [[nodiscard]] std::string next() const {
    std::array<char, 2000> message{};
    const auto size = recv(socket_, message.data(), message.size(), 0);
    return size < 0 ? std::string{} : std::string(message.data(), static_cast<std::size_t>(size));
  }
  /// The sizes of the messages that have arrived.
  [[nodiscard]] std::vector<std::size_t> take() const {
    std::vector<std::size_t> sizes;
    for (auto size = next().size(); size > 0; size = next().size()) sizes.push_back(size);
    return sizes;
  }

 private:
  int socket_;
  nat::Endpoint endpoint_;
};

}  // namespace pinhole::control::test
