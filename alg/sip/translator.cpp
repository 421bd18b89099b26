// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/translator.hpp"

#include <algorithm>
#include <cstdint>

#include "alg/sip/chars.hpp"
#include "alg/sip/line_builder.hpp"

namespace pinhole::alg::sip {

namespace {

// What the host is to remember of an endpoint that leaves.
Written written(const HostPort& token, std::uint16_t default_port, Place place) noexcept {
  const bool is_listener = place == Place::via || place == Place::own_uri;
  if (!is_listener || token.port_or(default_port) != default_port) return Written::anyhow;
  if (place == Place::via) return token.port.empty() ? Written::in_via_without_port : Written::in_via;
  return token.port.empty() ? Written::in_uri_without_port : Written::in_uri;
}

// host[:port] as one piece, and the part behind the host.
std::string_view whole(const HostPort& token) noexcept {
  const auto* const end =
      token.port.empty() ? token.host.data() + token.host.size() : token.port.data() + token.port.size();
  return {token.host.data(), static_cast<std::size_t>(end - token.host.data())};
}
std::string_view behind_host(const HostPort& token) noexcept {
  const auto all = whole(token);
  return {all.data() + token.host.size(), all.size() - token.host.size()};
}

// "host:port" with nothing else in it: one piece to replace. "host : port" is two.
bool is_one_piece(const HostPort& token) noexcept {
  return token.port.empty() || token.host.data() + token.host.size() + 1 == token.port.data();
}

// In words and without a call, which would need everything else saved: texts are short, and mostly differ at
// once.
bool are_same(std::string_view one, std::string_view other) noexcept {
  if (one.size() != other.size()) return false;
  using Word = std::uint64_t;
  std::size_t i = 0;
  for (; i + sizeof(Word) <= one.size(); i += sizeof(Word)) {
    if (chars_detail::load<Word>(one.data() + i) != chars_detail::load<Word>(other.data() + i)) return false;
  }
  for (; i < one.size(); ++i) {
    if (one[i] != other[i]) return false;
  }
  return true;
}

bool leaves_port_out(Counterpart after, std::uint16_t default_port) noexcept {
  return after.portless && after.endpoint.port.host() == default_port;
}

}  // namespace

std::optional<nat::Endpoint> Translator::counterpart(nat::Protocol protocol,
                                                     nat::Endpoint endpoint) noexcept {
  if (given_up() || !is_ours(endpoint.address)) return std::nullopt;
  const auto lookup = direction() == Direction::outbound ? host_.external_of(protocol, endpoint)
                                                         : host_.inside_of(protocol, endpoint);
  if (!note(lookup.state)) return std::nullopt;
  return lookup.endpoint;
}

std::optional<Counterpart> Translator::counterpart(nat::Protocol protocol, nat::Ipv4Address address,
                                                   const HostPort& port, std::uint16_t default_port,
                                                   Place place) noexcept {
  if (given_up() || !is_ours(address)) return std::nullopt;
  const nat::Endpoint before{address, nat::Be16{port.port_or(default_port)}};
  if (is_of_other(before, place)) return std::nullopt;
  const bool leaves = direction() == Direction::outbound;
  const auto claim = claim_of(protocol, before, place);
  const auto lookup = leaves ? host_.external_of(protocol, before, written(port, default_port, place), claim)
                             : host_.inside_of(protocol, before);
  if (!note(lookup.state)) return std::nullopt;
  if (leaves && place == Place::own_uri && claim == Claim::own) host_.expect_requests_at(protocol, before);
  return Counterpart{lookup.endpoint, place == Place::via ? lookup.portless.in_via : lookup.portless.in_uri};
}

// What a sender repeats it has written itself where it names itself: a proxy, in Record-Route. Who it is that
// somebody speaks for is the sender's word of its own host alone.
Claim Translator::claim_of(nat::Protocol protocol, nat::Endpoint endpoint, Place place) const noexcept {
  if (place == Place::party_uri || through_party_)
    return endpoint.address == flow().inside.address ? claim_ : Claim::echoed;
  const bool names_sender =
      place == Place::own_uri && protocol == flow().protocol && endpoint == flow().inside;
  return names_sender ? Claim::own : claim_;
}

// Who sends a message is never taken for somebody else.
bool Translator::is_of_other(nat::Endpoint endpoint, Place place) const noexcept {
  if (other_count_ == 0 || place != Place::own_uri || endpoint == flow().inside) return false;
  const auto end = others_.begin() + other_count_;
  return std::find(others_.begin(), end, endpoint) != end;
}

bool Translator::note(LookupState state) noexcept {
  switch (state) {
    case LookupState::found:
      return true;
    case LookupState::none:
      return false;
    case LookupState::wait:
      outcome_ = std::max(outcome_, Outcome::wait);
      return false;
    case LookupState::exhausted:
      outcome_ = std::max(outcome_, Outcome::no_port);
      return false;
  }
  return false;
}

std::string_view Translator::look_through(std::string_view escaped, Place place) noexcept {
  looks_through_ = true;
  through_party_ = place == Place::party_uri;
  unescaped_.read(escaped);
  return unescaped_.view();
}

void Translator::replace(std::string_view token, std::string_view text) noexcept {
  if (are_same(token, text)) return;
  if (looks_through_) [[unlikely]]
    token = unescaped_.origin(token);
  const auto offset = static_cast<std::size_t>(token.data() - message_.bytes.data());
  if (!edits_.replace(offset, token.size(), text, rule_)) refuse();
}

void Translator::insert(const char* place, std::string_view text) noexcept {
  replace({place, 0}, text);
}

void Translator::replace_address(std::string_view token, nat::Ipv4Address address) noexcept {
  replace(token, nat::EndpointText(address).view());
}

void Translator::replace_number(std::string_view token, std::uint32_t value) noexcept {
  replace(token, LineBuilder<10>().number(value).view());
}

void Translator::replace_endpoint(const HostPort& token, Counterpart after,
                                  std::uint16_t default_port) noexcept {
  if (leaves_port_out(after, default_port)) {
    replace(whole(token), nat::EndpointText(after.endpoint.address).view());
  } else if (after.endpoint.port.host() == token.port_or(default_port)) {
    replace_address(token.host, after.endpoint.address);
  } else if (is_one_piece(token)) {
    replace(whole(token), nat::EndpointText(after.endpoint).view());
  } else {
    replace_address(token.host, after.endpoint.address);
    replace_number(token.port, after.endpoint.port.host());
  }
}

void Translator::replace_port(const HostPort& token, Counterpart after, std::uint16_t default_port) noexcept {
  const auto port = after.endpoint.port.host();
  if (leaves_port_out(after, default_port)) {
    if (!token.port.empty()) replace(behind_host(token), {});
  } else if (token.port.empty()) {
    if (port == default_port) return;
    insert(token.host.data() + token.host.size(), LineBuilder<6>().text(":").number(port).view());
  } else {
    replace_number(token.port, port);
  }
}

}  // namespace pinhole::alg::sip
