// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// IPv4 addresses, prefixes and endpoints: the value types that the whole house speaks.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "nat/byte_order.hpp"

namespace pinhole::nat {

/// The protocols that are translated; the value is an index, not the IANA number.
enum class Protocol : std::uint8_t { udp, tcp, icmp };
inline constexpr std::size_t kProtocols = 3;

[[nodiscard]] std::string_view name(Protocol protocol) noexcept;

struct Ipv4Address {
  Be32 value;

  /// Shape: dotted quad, four decimal octets without leading zeros, nothing before or after.
  [[nodiscard]] static std::optional<Ipv4Address> parse(std::string_view text) noexcept;
  /// Reads one at the beginning of a text; what follows is not looked at.
  /// \return its size, as far as three digits of the last octet go; 0: there is none, and `address` is as it
  /// was
  [[nodiscard]] static std::size_t read(std::string_view text, Ipv4Address& address) noexcept;
  [[nodiscard]] static constexpr Ipv4Address from_host(std::uint32_t host) noexcept { return {Be32{host}}; }
  [[nodiscard]] constexpr std::uint32_t host() const noexcept { return value.host(); }
  [[nodiscard]] constexpr bool is_unspecified() const noexcept { return value.raw() == 0; }

  friend constexpr bool operator==(Ipv4Address, Ipv4Address) noexcept = default;
  friend constexpr auto operator<=>(Ipv4Address, Ipv4Address) noexcept = default;
};

struct Prefix {
  Ipv4Address address;  // host bits may be set: an interface address with its prefix length is one of these
  std::uint8_t length = 32;

  /// Shape: "192.0.2.0/24"; without "/n" the length is 32.
  [[nodiscard]] static std::optional<Prefix> parse(std::string_view text) noexcept;
  [[nodiscard]] constexpr std::uint32_t mask() const noexcept {
    return length == 0 ? 0U : ~0U << (32U - length);
  }
  [[nodiscard]] constexpr bool contains(Ipv4Address other) const noexcept {
    return ((address.host() ^ other.host()) & mask()) == 0;
  }
  [[nodiscard]] constexpr bool overlaps(Prefix other) const noexcept {
    return length <= other.length ? contains(other.address) : other.contains(address);
  }
  /// The first and the last address with these leading bits.
  [[nodiscard]] constexpr Ipv4Address first() const noexcept {
    return Ipv4Address::from_host(address.host() & mask());
  }
  [[nodiscard]] constexpr Ipv4Address last() const noexcept {
    return Ipv4Address::from_host(address.host() | ~mask());
  }
  /// How many addresses it holds.
  [[nodiscard]] constexpr std::uint64_t size() const noexcept { return std::uint64_t{1} << (32U - length); }
  /// Whether a host of this subnet may have the address: the first and the last one name the subnet and
  /// everybody in it (RFC 1122 section 3.2.1.3); with two addresses or fewer both are hosts (RFC 3021).
  [[nodiscard]] constexpr bool has_host(Ipv4Address other) const noexcept {
    return contains(other) && (length >= 31 || (other != first() && other != last()));
  }
  friend constexpr bool operator==(Prefix, Prefix) noexcept = default;
};

/// An address with a port; for ICMP queries the port is the identifier.
struct Endpoint {
  Ipv4Address address;
  Be16 port;

  friend constexpr bool operator==(Endpoint, Endpoint) noexcept = default;
  friend constexpr auto operator<=>(Endpoint, Endpoint) noexcept = default;
};
static_assert(sizeof(Endpoint) == 6 && alignof(Endpoint) == 1);

/// Text of an address or endpoint without the heap; view() is valid as long as the object.
class EndpointText {
 public:
  explicit EndpointText(Ipv4Address address) noexcept;
  explicit EndpointText(Endpoint endpoint) noexcept;
  [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), size_}; }

 private:
  void append(Ipv4Address address) noexcept;
  void append(Be16 port) noexcept;
  std::array<char, 24> text_;  // "255.255.255.255:65535" is 21
  std::uint8_t size_ = 0;
};

}  // namespace pinhole::nat
