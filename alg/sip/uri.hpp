// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// URIs and the host[:port] that addresses stand in. Views point into the message.

#include <cstdint>
#include <optional>
#include <string_view>

#include "nat/endpoint.hpp"

namespace pinhole::alg::sip {

inline constexpr std::uint16_t kSipPort = 5060;
inline constexpr std::uint16_t kSipsPort = 5061;  // sips: and TLS

/// host[:port] as written.
struct HostPort {
  std::string_view host;                    // an IPv6 reference with its brackets
  std::string_view port;                    // digits; empty when absent
  std::uint16_t number = 0;                 // of the port; means something when that is written
  std::optional<nat::Ipv4Address> address;  // when the host is an IPv4 address

  /// The port that is meant: the one written, or the default.
  [[nodiscard]] std::uint16_t port_or(std::uint16_t default_port) const noexcept {
    return port.empty() ? default_port : number;
  }
};

/// Reads host[:port] at the beginning of a text; white space may stand around the colon (sent-by of Via).
/// \param end set to the place after it.
[[nodiscard]] std::optional<HostPort> parse_host_port(std::string_view text, std::size_t& end) noexcept;

/// The same in place: values of this size are dearer to hand over than to make. \param token a fresh one
/// \return the place after it; 0: there is none
[[nodiscard]] std::size_t read_host_port(std::string_view text, HostPort& token) noexcept;

enum class Scheme : std::uint8_t { sip, sips, other };

struct Uri {
  Scheme scheme = Scheme::other;
  std::string_view user;                        // with its password, as written; empty when absent
  HostPort host_port;                           // of sip and sips only
  std::string_view params;                      // after the first ";", without headers
  std::string_view maddr;                       // of the parameters; empty when absent
  std::string_view headers;                     // after "?"
  nat::Protocol protocol = nat::Protocol::udp;  // tcp for sips and for transport=tcp, tls and the like
  std::uint16_t default_port = kSipPort;
};

/// \return none when it is no URI, or a sip or sips one that breaks the grammar of RFC 3261 section 19.1.
[[nodiscard]] std::optional<Uri> parse_uri(std::string_view text) noexcept;

/// parse_uri() in place and in two steps, for whom the first one may be enough: all but protocol,
/// default_port and maddr, which come of the parameters of a sip or sips URI. \param uri a fresh one
/// \return false: parse_uri() would give none
[[nodiscard]] bool take_uri_apart(std::string_view text, Uri& uri) noexcept;
void read_params(Uri& uri) noexcept;

/// What is behind the scheme of a sip or sips URI, up to its parameters and headers: "alice@example.com".
[[nodiscard]] std::string_view without_tail(std::string_view behind_scheme) noexcept;

/// A URI up to its parameters and headers: "sip:alice@example.com".
[[nodiscard]] std::string_view without_params(std::string_view uri) noexcept;

}  // namespace pinhole::alg::sip
