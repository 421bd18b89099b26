// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/hiding.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "alg/sip/chars.hpp"
#include "alg/sip/scan.hpp"
#include "alg/sip/values.hpp"

namespace pinhole::alg::sip {

namespace {

// The host of "word@host" or "word@host:port"; empty when there is none. What does not fit may not depend on
// the size of the host: it is another one on the other side.
std::string_view host_of_call_id(std::string_view call_id) noexcept {
  const auto at = find_mark<'@'>(call_id);
  if (at == call_id.size()) return {};
  const auto host = slice(call_id, at + 1, find_mark<':'>(call_id, at + 1));
  return call_id.size() - host.size() <= InsideCallId::kMaxRest ? host : std::string_view{};
}

// Who is meant by an inside address or by the name of one.
std::optional<HiddenHost> read_host(std::string_view text, const Translator& translator) noexcept {
  const auto address = nat::Ipv4Address::parse(text);
  const auto host = address ? HiddenHost{*address} : translator.policy().tokens.read_name(text);
  return host && translator.is_inside(host->address) ? host : std::nullopt;
}

/// A host as it is written in an identifier.
class HostName {
 public:
  HostName(HiddenHost host, const HostTokens& tokens) noexcept {
    if (host.steps == 0) {
      set(nat::EndpointText(host.address).view());
    } else {
      set(tokens.name_of(host).view());
    }
  }
  [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), size_}; }

 private:
  void set(std::string_view text) noexcept {
    std::copy(text.begin(), text.end(), text_.begin());
    size_ = text.size();
  }

  std::array<char, HostTokens::kNameSize> text_;
  std::size_t size_ = 0;
};

void hide_host(std::string_view text, Translator& translator) noexcept {
  const auto host = read_host(text, translator);
  if (!host) return;
  const HostName after(host->beyond(translator.direction()), translator.policy().tokens);
  translator.replace(text, after.view());
}

}  // namespace

void hide_party(std::string_view value, Translator& translator) noexcept {
  const auto party = parse_name_addr(value);
  const auto uri = party ? parse_uri(party->uri) : std::nullopt;
  if (uri && uri->scheme != Scheme::other) hide_host(uri->host_port.host, translator);
}

void hide_warning_agents(std::string_view value, Translator& translator) noexcept {
  ListReader items(value);
  while (const auto item = items.next()) {
    const auto code_end = skip(*item, 0, chars::kDigit);
    const auto begin = skip(*item, code_end, chars::kSpace);
    std::size_t size = 0;
    // Without a space the digits of a code and those that a token begins with are not to be told apart.
    const auto agent = begin > code_end ? parse_host_port(slice(*item, begin), size) : std::nullopt;
    if (agent) hide_host(agent->host, translator);
  }
}

void hide_call_id(std::string_view value, Translator& translator) noexcept {
  hide_host(host_of_call_id(trim(value)), translator);
}

void hide_dialog(std::string_view value, Translator& translator) noexcept {
  hide_call_id(slice(value, 0, find_mark<';'>(value)), translator);
}

void hide_event(std::string_view value, Translator& translator) noexcept {
  const auto call_id = find_param(slice(value, find_mark<';'>(value)), "call-id");
  if (!call_id) return;
  const auto text = call_id->value;
  const bool is_quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
  hide_call_id(is_quoted ? slice(text, 1, text.size() - 1) : text, translator);
}

void hide_call_ids(std::string_view value, Translator& translator) noexcept {
  for (std::size_t begin = 0; begin < value.size();) {
    const auto end = find_mark<','>(value, begin);
    hide_call_id(slice(value, begin, end), translator);
    begin = end + 1;
  }
}

void hide_software(std::string_view value, Translator& translator) noexcept {
  const auto& policy = translator.policy();
  if (value.empty() || !policy.hides_software(translator.direction())) return;
  translator.replace(value, policy.software == Software::replace ? policy.software_name : std::string_view{});
}

namespace {

// The steps of tokens that stand beside addresses begin with the first: what would come back as an address
// cannot be told from one.
bool pass_beside(std::string_view text, std::optional<HiddenHost> host,
                 HostTokenText (HostTokens::*token_of)(HiddenHost) const noexcept,
                 Translator& translator) noexcept {
  if (!host || !translator.is_inside(host->address)) return false;
  const auto after = host->beyond(translator.direction());
  if (after.steps != 0) {
    translator.replace(text, (translator.policy().tokens.*token_of)(after).view());
  } else if (translator.direction() == Direction::inbound) {
    translator.replace_address(text, after.address);
  } else {
    translator.refuse();
  }
  return true;
}

}  // namespace

bool pass_name(std::string_view token, Translator& translator) noexcept {
  return pass_beside(token, translator.policy().tokens.read_name(token), &HostTokens::name_of, translator);
}

bool pass_ipv6(std::string_view token, Translator& translator) noexcept {
  return pass_beside(token, translator.policy().tokens.read_ipv6(token), &HostTokens::ipv6_of, translator);
}

std::string_view InsideCallId::of(std::string_view call_id, const Translator& translator) noexcept {
  if (!translator.policy().hide_call_id || translator.direction() == Direction::outbound) return call_id;
  const auto host = host_of_call_id(call_id);
  const auto hidden = read_host(host, translator);
  if (!hidden) return call_id;
  const HostName inside(hidden->beyond(Direction::inbound), translator.policy().tokens);
  char* to = std::copy(call_id.data(), host.data(), text_.data());
  to = std::copy(inside.view().begin(), inside.view().end(), to);
  to = std::copy(host.data() + host.size(), call_id.data() + call_id.size(), to);
  return {text_.data(), static_cast<std::size_t>(to - text_.data())};
}

}  // namespace pinhole::alg::sip
