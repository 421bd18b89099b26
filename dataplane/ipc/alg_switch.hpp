// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The switch of a gateway (RFC 4787 REQ-10, RFC 5382 REQ-6): for all, by interface, and by inside host.
// Workers ask it of each message. Switches are part of the policy (dataplane/ipc/policy.hpp), which says how
// they are turned while calls and connections live.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>

#include "nat/endpoint.hpp"

namespace pinhole::ipc {

/// For the inside hosts of a prefix. The longest prefix that holds a host counts.
struct SwitchRule {
  nat::Prefix hosts;
  bool on = true;

  friend constexpr bool operator==(SwitchRule, SwitchRule) noexcept = default;
};

enum class SwitchScope : std::uint8_t { all, interface, hosts };

/// One turn of the switch.
struct SwitchChange {
  SwitchScope scope = SwitchScope::all;
  bool on = true;
  std::uint8_t interface = 0;  // its number, with SwitchScope::interface
  std::uint8_t reserved = 0;
  nat::Prefix hosts{};  // with SwitchScope::hosts
};
static_assert(std::is_trivially_copyable_v<SwitchChange>);

class AlgSwitch {
 public:
  static constexpr std::size_t kMaxRules = 64;

  /// A message between an inside host and the outside, by two interfaces. What is turned around has one.
  [[nodiscard]] bool is_on(nat::Ipv4Address host, std::uint16_t interfaces) const noexcept {
    if (is_on_for_all()) [[likely]]
      return true;
    return on_ && (interfaces & interfaces_off_) == 0 && is_on_for(host);
  }
  [[nodiscard]] bool is_on_for_all() const noexcept {
    return on_ && interfaces_off_ == 0 && rule_count_ == 0;
  }
  [[nodiscard]] static constexpr std::uint16_t bit_of(std::uint8_t interface) noexcept {
    return static_cast<std::uint16_t>(1U << interface);
  }

  [[nodiscard]] bool on() const noexcept { return on_; }
  [[nodiscard]] bool on_interface(std::uint8_t interface) const noexcept {
    return (interfaces_off_ & bit_of(interface)) == 0;
  }
  /// The longest prefixes first, those of a length by address.
  [[nodiscard]] std::span<const SwitchRule> rules() const noexcept { return {rules_.data(), rule_count_}; }

  /// The switch after a change. A rule that says nothing new is not kept. \return none: too many rules
  [[nodiscard]] std::optional<AlgSwitch> after(const SwitchChange& change) const noexcept {
    AlgSwitch next = *this;
    switch (change.scope) {
      case SwitchScope::all:
        next.on_ = change.on;
        break;
      case SwitchScope::interface:
        next.interfaces_off_ =
            static_cast<std::uint16_t>(change.on ? interfaces_off_ & ~bit_of(change.interface)
                                                 : interfaces_off_ | bit_of(change.interface));
        break;
      case SwitchScope::hosts:
        if (!next.set({{change.hosts.first(), change.hosts.length}, change.on})) return std::nullopt;
        break;
    }
    return next;
  }

  /// Whether it may be asked, whoever wrote it.
  [[nodiscard]] bool is_sound() const noexcept {
    return rule_count_ <= kMaxRules &&
           std::ranges::all_of(rules(), [](const SwitchRule& rule) { return rule.hosts.length <= 32; });
  }

  friend bool operator==(const AlgSwitch& a, const AlgSwitch& b) noexcept {
    return a.on_ == b.on_ && a.interfaces_off_ == b.interfaces_off_ &&
           std::ranges::equal(a.rules(), b.rules());
  }

 private:
  [[nodiscard]] bool is_on_for(nat::Ipv4Address host) const noexcept {
    for (const auto& rule : rules()) {
      if (rule.hosts.contains(host)) return rule.on;
    }
    return true;
  }
  /// What would be true of a prefix if it had no rule of its own.
  [[nodiscard]] bool is_on_around(nat::Prefix hosts) const noexcept {
    for (const auto& rule : rules()) {
      if (rule.hosts.length < hosts.length && rule.hosts.contains(hosts.address)) return rule.on;
    }
    return true;
  }
  [[nodiscard]] bool set(const SwitchRule& rule) noexcept {
    auto* const begin = rules_.data();
    auto* const end = std::remove_if(begin, begin + rule_count_,
                                     [&](const SwitchRule& each) { return each.hosts == rule.hosts; });
    rule_count_ = static_cast<std::uint8_t>(end - begin);
    if (is_on_around(rule.hosts) == rule.on) return true;
    if (rule_count_ == kMaxRules) return false;
    auto* const place = std::find_if(begin, end, [&](const SwitchRule& each) {
      if (each.hosts.length != rule.hosts.length) return each.hosts.length < rule.hosts.length;
      return each.hosts.address.host() > rule.hosts.address.host();
    });
    std::move_backward(place, end, end + 1);
    *place = rule;
    ++rule_count_;
    return true;
  }

  bool on_ = true;
  std::uint8_t rule_count_ = 0;
  std::uint16_t interfaces_off_ = 0;  // a bit each
  std::array<SwitchRule, kMaxRules> rules_{};
};

}  // namespace pinhole::ipc
