// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The parts of validate(), each about one subject and in a file of its own, and what they all ask of a
// configuration. Only validate*.cpp include this.

#include "dataplane/config/error.hpp"
#include "dataplane/config/structs.hpp"
#include "nat/endpoint.hpp"

#include <string>
#include <string_view>

namespace pinhole::config {

[[nodiscard]] std::string text(nat::Ipv4Address address);
[[nodiscard]] std::string text(nat::Endpoint endpoint);
[[nodiscard]] std::string text(nat::Prefix prefix);
[[nodiscard]] std::string text(const EndpointRange& range);

[[nodiscard]] inline nat::Prefix subnet_of(nat::Prefix prefix) {
  return {prefix.first(), prefix.length};
}

/// Whether one host may have the address: not 0.0.0.0/8, loopback, multicast or reserved (RFC 6890).
[[nodiscard]] bool is_unicast(nat::Ipv4Address address);

/// Whether a file that lines are written to is none, or an absolute path. \param example of its name
[[nodiscard]] Result<void> check_lines_file(std::string_view key, const std::string& file,
                                            std::string_view example);

/// The interface whose subnet holds an address; nullptr when there is none.
[[nodiscard]] const Interface* connected(const Config& config, nat::Ipv4Address address);
[[nodiscard]] bool is_own_address(const Config& config, nat::Ipv4Address address);
/// The interface that packets to `address` leave by: the longest of connected, static and default routes.
[[nodiscard]] const Interface* way_out(const Config& config, nat::Ipv4Address address);

// Each returns the first contradiction of its subject, and relies on those before it.

[[nodiscard]] Result<void> check_network(const Config& config);          // validate_network.cpp
[[nodiscard]] Result<void> check_pool(const Config& config);             // validate_nat.cpp
[[nodiscard]] Result<void> check_ports(const Config& config);            // validate_nat.cpp
[[nodiscard]] Result<void> check_forwards(const Config& config);         // validate_nat.cpp
[[nodiscard]] Result<void> check_untranslated(const Config& config);     // validate_nat.cpp
[[nodiscard]] Result<void> check_static_mappings(const Config& config);  // validate_static.cpp
[[nodiscard]] Result<void> check_blocks(const Config& config);           // validate_blocks.cpp
[[nodiscard]] Result<void> check_nat_log(const Config& config);          // validate_nat.cpp
[[nodiscard]] Result<void> check_protection(const Config& config);       // validate_protection.cpp

}  // namespace pinhole::config
