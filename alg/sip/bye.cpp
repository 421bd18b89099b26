// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/bye.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "alg/sip/scan.hpp"
#include "alg/sip/text_writer.hpp"
#include "alg/sip/values.hpp"

namespace pinhole::alg::sip {

namespace {

struct FirstRoute {
  std::string_view uri;
  std::string_view rest;  // the items behind it
  bool is_loose = true;
};

FirstRoute first_route(std::string_view routes) noexcept {
  const auto item = ListReader(routes).next();
  const auto address = item ? parse_name_addr(*item) : std::nullopt;
  const auto uri = address ? parse_uri(address->uri) : std::nullopt;
  if (!uri) return {};
  auto rest = trim(slice(routes, static_cast<std::size_t>(item->data() - routes.data()) + item->size()));
  if (!rest.empty()) rest = trim(slice(rest, 1));  // the comma
  return {address->uri, rest, find_param(uri->params, "lr").has_value()};
}

/// Whether one of eight bytes is below a space, or DEL: no byte borrows from the next unless one is.
bool may_hold_control(const char* at) noexcept {
  constexpr std::uint64_t kEach = 0x0101010101010101U;
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, at, sizeof bytes);
  const std::uint64_t low = (bytes - kEach * 0x20) & ~bytes;
  const std::uint64_t from_del = bytes ^ kEach * 0x7f;
  return ((low | ((from_del - kEach) & ~from_del)) & kEach * 0x80) != 0;
}

}  // namespace

bool is_one_line(std::string_view text) noexcept {
  const auto is_control = [](char c) noexcept {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  };
  std::size_t at = 0;
  for (; text.size() - at >= 8; at += 8) {
    if (!may_hold_control(text.data() + at)) continue;
    if (std::any_of(text.data() + at, text.data() + at + 8, is_control)) return false;
  }
  return std::none_of(text.begin() + static_cast<std::ptrdiff_t>(at), text.end(), is_control);
}

bool is_one_word(std::string_view text) noexcept {
  return is_one_line(text) && find_mark<' ', '\t', '<', '>', '"'>(text) == text.size();
}

std::string_view write_bye(const Bye& bye, std::span<char> to) noexcept {
  TextWriter out(to);
  const auto first = first_route(bye.routes);
  // A strict router finds itself in the request line, and the target at the end of the way.
  const bool is_strict = !first.uri.empty() && !first.is_loose;
  out.text("BYE ").text(is_strict ? first.uri : bye.target).text(" SIP/2.0\r\n");
  out.text(bye.protocol == nat::Protocol::tcp ? "Via: SIP/2.0/TCP " : "Via: SIP/2.0/UDP ");
  out.endpoint(bye.sent_by).text(";branch=").text(bye.branch).text("\r\n");
  if (is_strict) {
    out.text("Route: ").text(first.rest).text(first.rest.empty() ? "<" : ", <");
    out.text(bye.target).text(">\r\n");
  } else if (!bye.routes.empty()) {
    out.text("Route: ").text(bye.routes).text("\r\n");
  }
  out.text("Max-Forwards: 70\r\nFrom: ").text(bye.from).text("\r\nTo: ").text(bye.to);
  out.text("\r\nCall-ID: ").text(bye.call_id).text("\r\nCSeq: ").number(bye.cseq);
  out.text(" BYE\r\nContent-Length: 0\r\n\r\n");
  return out.view();
}

std::optional<nat::Endpoint> next_hop_of(std::string_view routes, std::string_view target) noexcept {
  const auto first = first_route(routes);
  const auto uri = parse_uri(first.uri.empty() ? target : first.uri);
  if (!uri || !uri->host_port.address) return std::nullopt;
  const auto port = uri->host_port.port_or(uri->default_port);
  if (port == 0) return std::nullopt;
  return nat::Endpoint{*uri->host_port.address, nat::Be16{port}};
}

}  // namespace pinhole::alg::sip
