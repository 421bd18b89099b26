// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What a row of the schema is, and the bounds that another part of the house has set.

#include <cstdint>
#include <string_view>
#include <tuple>
#include <utility>

#include "nat/ownership.hpp"

namespace pinhole::config {

/// Both ends are allowed. For a number its value, for a text its length in bytes, for a list its length.
struct Bounds {
  std::uint64_t min = 0;
  std::uint64_t max = ~std::uint64_t{0};
};

template <typename Owner, typename Value>
struct Key {
  std::string_view name;
  Value Owner::* member;
  std::string_view help;
  Bounds bounds{};
  Bounds each{};  // lists: the bounds of each item
  bool required = false;
  bool secret = false;  // a text that is not shown to whoever asks for the configuration
};

/// Specialised for each struct of the configuration: kKeys is a tuple of Key.
template <typename T>
struct Schema;

template <typename T>
concept Object = requires { Schema<T>::kKeys; };

/// An object that may also be written as one value of this type, which all its keys then have.
template <typename T>
concept HasShorthand = requires { typename Schema<T>::Shorthand; };

template <Object T, typename Function>
constexpr void for_each_key(Function&& function) {
  std::apply([&](const auto&... key) { (function(key), ...); }, Schema<T>::kKeys);
}

// Bounds that another part of the house has set.
inline constexpr std::uint64_t kMaxInterfaces = 16;  // ipc::Layout
inline constexpr std::uint64_t kMaxWorkers = nat::kMaxWorkers;
inline constexpr std::uint64_t kMaxInterfaceName = 30;  // ipc::InterfaceShare
inline constexpr std::uint64_t kMaxDevice = 62;         // ipc::InterfaceShare
inline constexpr std::uint64_t kMaxSocketPath = 107;    // sockaddr_un, with its terminator
inline constexpr std::uint64_t kMaxLogPath = 1024;
inline constexpr std::uint64_t kMaxSipPorts = 16;     // 2 * this: ipc::kMaxShownClaims
inline constexpr std::uint64_t kMaxPlugins = 15;      // ipc::kMaxGateways, with those that are built in
inline constexpr std::uint64_t kMaxPluginFile = 254;  // ipc::GatewayShare
inline constexpr std::uint64_t kMaxRuleName = 30;     // ipc::RuleEvent
inline constexpr std::uint64_t kMaxMessageRules =
    120;  // alg::sip::RuleSet, without those of protection.unknown
inline constexpr std::uint64_t kMaxGatewayName = 31;  // PINHOLE_MAX_NAME
inline constexpr std::string_view kUnknownRules =
    "unknown.";  // how the names of those of protection.unknown begin
inline constexpr std::uint64_t kMaxCpu = 1023;
inline constexpr std::uint64_t kMaxStaticMappings = 256;
inline constexpr std::uint64_t kMaxUntranslated = 64;       // of exempt and of route
inline constexpr std::uint64_t kMaxStaticAddresses = 1024;  // whole ones, of all static mappings together
inline constexpr std::uint64_t kMaxTransparent = 64;        // each is compared with every message
inline constexpr std::uint64_t kHideKeyDigits = 32;         // alg::sip::HostTokens::Key
inline constexpr std::uint64_t kMaxSoftwareName = 60;       // a message has room for many (alg::EditList)
inline constexpr std::uint64_t kMaxRate = 10'000'000;
inline constexpr std::uint64_t kMaxHarvest = 40;      // dataplane/guard/source_table.hpp counts in 64 bits
inline constexpr std::uint64_t kMaxScanners = 32;     // ipc::RateLimits
inline constexpr std::uint64_t kMaxScannerText = 30;  // ipc::RateLimits
inline constexpr std::uint64_t kMaxAllowed = 64;      // ipc::RateLimits
inline constexpr std::uint64_t kWeekSeconds = 7 * 24 * 3600;

}  // namespace pinhole::config
