// SPDX-License-Identifier: BSD-3-Clause
#include "control/nat_log/udp_sender.hpp"

#include <chrono>
#include <vector>

#include "tests/control/nat_log/collector.hpp"

#include <catch2/catch.hpp>

namespace pinhole::control {

namespace {

using namespace std::chrono_literals;
using test::Collector;
using Sizes = std::vector<std::size_t>;

const std::vector<std::byte> kSmall(10);
const std::vector<std::byte> kTooLarge(65536);  // for UDP: an error that does not pass by itself

TEST_CASE("a peer that refuses is told apart from one that is silent", "[control][nat_log][udp_sender]") {
  Collector collector;
  UdpSender sender(collector.endpoint());
  CHECK(sender.send(kSmall, Steady(1h)) == Delivery::sent);
  CHECK(collector.take() == Sizes{10});
  collector.stop();
  CHECK(sender.send(kSmall, Steady(1h)) == Delivery::sent);
  const Collector again(collector.endpoint().port);
  CHECK(sender.send(kSmall, Steady(1h)) == Delivery::sent_again);
  CHECK(sender.problem() == "Connection refused");
  CHECK(again.take() == Sizes{10});
}

TEST_CASE("a socket that fails is given up, and a second later there is another",
          "[control][nat_log][udp_sender]") {
  const Collector collector;
  UdpSender sender(collector.endpoint());
  const Steady begun(1h);
  CHECK(sender.send(kTooLarge, begun) == Delivery::not_sent);
  CHECK(sender.problem() == "Message too long");
  CHECK(sender.send(kSmall, begun + UdpSender::kTryAgain - 1ms) == Delivery::not_sent);
  CHECK(sender.send(kSmall, begun + UdpSender::kTryAgain) == Delivery::sent);
  CHECK(collector.take() == Sizes{10});
}

}  // namespace

}  // namespace pinhole::control
