// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/untranslated.hpp"

namespace pinhole::dataplane {

namespace {

std::uint8_t bits_of(config::Protocols protocols) {
  const auto bit = [](nat::Protocol protocol) {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(protocol));
  };
  switch (protocols) {
    case config::Protocols::udp:
      return bit(nat::Protocol::udp);
    case config::Protocols::tcp:
      return bit(nat::Protocol::tcp);
    case config::Protocols::icmp:
      return bit(nat::Protocol::icmp);
    case config::Protocols::all:
      break;
  }
  return 0xff;
}

}  // namespace

Untranslated::Untranslated(const config::Config& config) {
  for (const auto& exempt : config.nat.exempt) {
    Rule rule;
    rule.inside = exempt.from;
    rule.remote = exempt.to;
    rule.protocols = bits_of(exempt.protocol);
    rule.first_port = exempt.ports.first;
    rule.last_port = exempt.ports.last;
    rules_.push_back(rule);
  }
  for (const auto& route : config.nat.route) {
    Rule rule;
    const auto side = [&](const std::string& text, nat::Prefix& prefix, std::uint8_t& interface) {
      if (const auto number = config::interface_number(config, text)) {
        interface = static_cast<std::uint8_t>(*number);
      } else if (const auto parsed = nat::Prefix::parse(text)) {
        prefix = *parsed;
      }
    };
    side(route.inside, rule.inside, rule.inside_interface);
    side(route.outside, rule.remote, rule.outside_interface);
    asks_inside_interface_ |= rule.inside_interface != kAnyInterface;
    rules_.push_back(rule);
  }
}

}  // namespace pinhole::dataplane
