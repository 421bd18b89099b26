// SPDX-License-Identifier: BSD-3-Clause
#include "message.hpp"

#include <algorithm>

namespace rtsp {

namespace {

Ports read_ports(std::string_view text) noexcept {
  auto rest = text;
  const auto first = number_of<std::uint16_t>(cut(rest, '-'));
  const auto last = rest.empty() ? first : number_of<std::uint16_t>(rest);
  if (!first || !last || *first == 0 || *last == 0) return {};
  return {text, *first, *last};
}

void read_places(std::string_view text, Side& side) noexcept {
  while (!text.empty() && side.place_count < std::size(side.places)) {
    auto quoted = cut(text, '/');
    if (quoted.size() < 2 || quoted.front() != '"' || quoted.back() != '"') return;
    quoted.remove_prefix(1);
    quoted.remove_suffix(1);
    auto port_text = quoted;
    const auto address_text = cut(port_text, ':');
    const auto address = address_text.empty() ? 0 : address_of(address_text);
    const auto port = number_of<std::uint16_t>(port_text);
    if (!address || !port || *port == 0) return;
    side.places[side.place_count++] = {quoted, *address, *port};
  }
}

void read_parameter(std::string_view text, Transport& transport) noexcept {
  auto value = text;
  const auto name = trimmed(cut(value, '='));
  value = trimmed(value);
  if (equals(name, "multicast")) transport.is_datagrams = false;
  if (equals(name, "client_port")) transport.client.ports = read_ports(value);
  if (equals(name, "server_port")) transport.server.ports = read_ports(value);
  if (equals(name, "destination")) transport.client.address = value;
  if (equals(name, "source")) transport.server.address = value;
  if (equals(name, "dest_addr")) read_places(value, transport.client);
  if (equals(name, "src_addr")) read_places(value, transport.server);
}

}  // namespace

StartLine start_line(std::string_view message) noexcept {
  auto words = message;
  words = cut(words, '\n');
  const auto first = cut(words, ' ');
  const auto second = trimmed(cut(words, ' '));
  if (first.size() >= 5 && equals({first.data(), 5}, "rtsp/")) {
    return {{}, {}, number_of<std::uint16_t>(second).value_or(0)};
  }
  return {first, second, 0};
}

Headers::Headers(std::string_view message) noexcept : rest_(message) {
  static_cast<void>(line());
}

std::string_view Headers::line() noexcept {
  const auto end = std::min(rest_.find('\n'), rest_.size());
  const std::string_view found(rest_.data(), end);
  rest_.remove_prefix(std::min(end + 1, rest_.size()));
  return found;
}

bool Headers::next(Header& header) noexcept {
  auto whole = line();
  if (trimmed(whole).empty()) return false;
  while (!rest_.empty() && is_blank(rest_.front())) {
    const auto more = line();
    whole = {whole.data(), static_cast<std::size_t>(more.data() + more.size() - whole.data())};
  }
  const auto colon = std::min(whole.find(':'), whole.size());
  header.name = trimmed({whole.data(), colon});
  whole.remove_prefix(std::min(colon + 1, whole.size()));
  header.value = trimmed(whole);
  return true;
}

std::uint16_t Side::port(std::size_t which) const noexcept {
  if (place_count > 0) return which < place_count ? places[which].port : std::uint16_t{0};
  if (which == 0) return ports.first;
  return ports.last == ports.first ? std::uint16_t{0} : ports.last;
}

std::uint32_t Side::said_address() const noexcept {
  if (place_count > 0) return places[0].address;
  return address_of(address).value_or(0);
}

Transport read_transport(std::string_view text) noexcept {
  Transport transport;
  auto protocol = trimmed(cut(text, ';'));
  const auto media = cut(protocol, '/');
  const auto profile = cut(protocol, '/');
  const bool is_rtp = equals(media, "rtp") && !profile.empty();
  transport.is_interleaved = is_rtp && equals(protocol, "tcp");
  transport.is_datagrams = is_rtp && (protocol.empty() || equals(protocol, "udp"));
  while (!text.empty()) read_parameter(cut(text, ';'), transport);
  return transport;
}

}  // namespace rtsp
