// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The kinds of single values that a configuration is made of. Kind<T> says for a type what is allowed in
// words, which JSON is of this kind at all, and how one becomes the other. Invariant: read(write(x)) is x.

#include "dataplane/config/schema.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <charconv>
#include <concepts>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace pinhole::config {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

/// The words of an enum, specialised below; only what is listed may be written.
template <typename Enum>
struct Words;

template <typename Enum>
struct Word {
  std::string_view text;
  Enum value;
};

template <>
struct Words<Zone> {
  static constexpr std::array kAll = {Word{"inside", Zone::inside}, Word{"outside", Zone::outside}};
};
template <>
struct Words<Idle> {
  static constexpr std::array kAll = {Word{"auto", Idle::automatic}, Word{"spin", Idle::spin},
                                      Word{"yield", Idle::yield}};
};
template <>
struct Words<nat::Filter> {
  static constexpr std::array kAll = {
      Word{"endpoint_independent", nat::Filter::endpoint_independent},
      Word{"address_dependent", nat::Filter::address_dependent},
      Word{"address_and_port_dependent", nat::Filter::address_and_port_dependent}};
};
template <>
struct Words<nat::MediaFrom> {
  static constexpr std::array kAll = {Word{"signalled", nat::MediaFrom::signalled},
                                      Word{"latched", nat::MediaFrom::latched},
                                      Word{"anywhere", nat::MediaFrom::anywhere}};
};
template <>
struct Words<nat::PortMode> {
  static constexpr std::array kAll = {Word{"random", nat::PortMode::random},
                                      Word{"blocks", nat::PortMode::blocks},
                                      Word{"deterministic", nat::PortMode::deterministic}};
};
template <>
struct Words<alg::sip::Malformed> {
  static constexpr std::array kAll = {Word{"forward", alg::sip::Malformed::forward},
                                      Word{"drop", alg::sip::Malformed::drop}};
};
template <>
struct Words<alg::sip::Software> {
  static constexpr std::array kAll = {Word{"keep", alg::sip::Software::keep},
                                      Word{"replace", alg::sip::Software::replace},
                                      Word{"strip", alg::sip::Software::strip}};
};
template <>
struct Words<alg::sip::AssertedIdentity> {
  static constexpr std::array kAll = {Word{"keep", alg::sip::AssertedIdentity::keep},
                                      Word{"strip_outbound", alg::sip::AssertedIdentity::strip_outbound},
                                      Word{"strip_inbound", alg::sip::AssertedIdentity::strip_inbound},
                                      Word{"strip", alg::sip::AssertedIdentity::strip}};
};
template <>
struct Words<Protocols> {
  static constexpr std::array kAll = {Word{"all", Protocols::all}, Word{"udp", Protocols::udp},
                                      Word{"tcp", Protocols::tcp}, Word{"icmp", Protocols::icmp}};
};
template <>
struct Words<nat::StaticDirection> {
  static constexpr std::array kAll = {Word{"both", nat::StaticDirection::both},
                                      Word{"in", nat::StaticDirection::in},
                                      Word{"out", nat::StaticDirection::out}};
};
template <>
struct Words<alg::sip::LocalMedia> {
  static constexpr std::array kAll = {Word{"hairpin", alg::sip::LocalMedia::hairpin},
                                      Word{"direct", alg::sip::LocalMedia::direct}};
};
template <>
struct Words<alg::sip::RuleAction> {
  static constexpr std::array kAll = {
      Word{"pass", alg::sip::RuleAction::pass}, Word{"log", alg::sip::RuleAction::log},
      Word{"drop", alg::sip::RuleAction::drop}, Word{"refuse", alg::sip::RuleAction::refuse},
      Word{"ban", alg::sip::RuleAction::ban}};
};
template <>
struct Words<Direction> {
  static constexpr std::array kAll = {Word{"out", Direction::out}, Word{"in", Direction::in}};
};
template <>
struct Words<nat::Realm> {
  static constexpr std::array kAll = {Word{"nat", nat::Realm::translated},
                                      Word{"route", nat::Realm::untranslated}};
};
template <>
struct Words<MessageKind> {
  static constexpr std::array kAll = {Word{"request", MessageKind::request},
                                      Word{"response", MessageKind::response}};
};
template <>
struct Words<Unknown> {
  static constexpr std::array kAll = {Word{"pass", Unknown::pass}, Word{"log", Unknown::log},
                                      Word{"drop", Unknown::drop}};
};
template <>
struct Words<alg::sip::Method> {
  static constexpr std::array kAll = {Word{"INVITE", alg::sip::Method::invite},
                                      Word{"ACK", alg::sip::Method::ack},
                                      Word{"BYE", alg::sip::Method::bye},
                                      Word{"CANCEL", alg::sip::Method::cancel},
                                      Word{"REGISTER", alg::sip::Method::register_},
                                      Word{"OPTIONS", alg::sip::Method::options},
                                      Word{"PRACK", alg::sip::Method::prack},
                                      Word{"UPDATE", alg::sip::Method::update},
                                      Word{"INFO", alg::sip::Method::info},
                                      Word{"SUBSCRIBE", alg::sip::Method::subscribe},
                                      Word{"NOTIFY", alg::sip::Method::notify},
                                      Word{"REFER", alg::sip::Method::refer},
                                      Word{"MESSAGE", alg::sip::Method::message},
                                      Word{"PUBLISH", alg::sip::Method::publish},
                                      Word{"unknown", alg::sip::Method::other}};
};
template <>
struct Words<alg::sip::Defect> {
  static constexpr std::array kAll = {Word{"not_sip", alg::sip::Defect::not_sip},
                                      Word{"start_line", alg::sip::Defect::start_line},
                                      Word{"unterminated", alg::sip::Defect::unterminated},
                                      Word{"duplicate_header", alg::sip::Defect::duplicate_header},
                                      Word{"too_many_headers", alg::sip::Defect::too_many_headers},
                                      Word{"missing_header", alg::sip::Defect::missing_header},
                                      Word{"cseq", alg::sip::Defect::cseq},
                                      Word{"content_length", alg::sip::Defect::content_length},
                                      Word{"short_body", alg::sip::Defect::short_body}};
};
template <>
struct Words<OverLimit> {
  static constexpr std::array kAll = {Word{"drop", OverLimit::drop}, Word{"refuse", OverLimit::refuse}};
};
template <>
struct Words<Inactivity> {
  static constexpr std::array kAll = {Word{"end", Inactivity::end}, Word{"shut", Inactivity::shut}};
};
template <>
struct Words<nat::Protocol> {
  // ICMP has no ports to forward.
  static constexpr std::array kAll = {Word{"udp", nat::Protocol::udp}, Word{"tcp", nat::Protocol::tcp}};
};

template <typename T>
struct Kind;

template <>
struct Kind<bool> {
  static std::string allowed(Bounds) { return "true or false"; }
  static bool matches(const Json& json) { return json.is_boolean(); }
  static std::optional<bool> read(const Json& json, Bounds) { return json.get<bool>(); }
  static OrderedJson write(bool value) { return value; }
};

template <std::unsigned_integral T>
struct Kind<T> {
  static std::uint64_t max(Bounds bounds) {
    return std::min<std::uint64_t>(bounds.max, std::numeric_limits<T>::max());
  }
  static std::string allowed(Bounds bounds) {
    return fmt::format("a whole number from {} to {}", bounds.min, max(bounds));
  }
  static bool matches(const Json& json) { return json.is_number_integer(); }
  static std::optional<T> read(const Json& json, Bounds bounds) {
    if (!json.is_number_unsigned()) return std::nullopt;  // negative
    const auto value = json.get<std::uint64_t>();
    if (value < bounds.min || value > max(bounds)) return std::nullopt;
    return static_cast<T>(value);
  }
  static OrderedJson write(T value) { return value; }
};

template <>
struct Kind<std::string> {
  static std::string allowed(Bounds bounds) {
    return fmt::format("a text of {} to {} printable characters", bounds.min, bounds.max);
  }
  static bool matches(const Json& json) { return json.is_string(); }
  static std::optional<std::string> read(const Json& json, Bounds bounds) {
    const auto& text = json.get_ref<const std::string&>();
    if (text.size() < bounds.min || text.size() > bounds.max) return std::nullopt;
    for (const char character : text) {
      // Texts end up in paths, in device arguments and on terminals.
      if (character < ' ' || character > '~') return std::nullopt;
    }
    return text;
  }
  static OrderedJson write(const std::string& value) { return value; }
};

template <typename Enum>
  requires std::is_enum_v<Enum>
struct Kind<Enum> {
  static std::string allowed(Bounds) {
    std::string text;
    for (const auto& word : Words<Enum>::kAll) {
      if (!text.empty()) text += &word == &Words<Enum>::kAll.back() ? " or " : ", ";
      text += fmt::format("\"{}\"", word.text);
    }
    return text;
  }
  static bool matches(const Json& json) { return json.is_string(); }
  static std::optional<Enum> read(const Json& json, Bounds) {
    const auto& text = json.get_ref<const std::string&>();
    for (const auto& word : Words<Enum>::kAll) {
      if (word.text == text) return word.value;
    }
    return std::nullopt;
  }
  static OrderedJson write(Enum value) {
    for (const auto& word : Words<Enum>::kAll) {
      if (word.value == value) return std::string{word.text};
    }
    return nullptr;
  }
};

template <>
struct Kind<Mss> {
  static std::string allowed(Bounds bounds) {
    return fmt::format("\"auto\", \"off\" or a whole number from {} to {}", bounds.min, bounds.max);
  }
  static bool matches(const Json& json) { return json.is_string() || json.is_number_integer(); }
  static std::optional<Mss> read(const Json& json, Bounds bounds) {
    if (json.is_string()) {
      const auto& word = json.get_ref<const std::string&>();
      if (word == "auto") return Mss{Mss::kAuto};
      if (word == "off") return Mss{Mss::kOff};
      return std::nullopt;
    }
    const auto bytes = Kind<std::uint16_t>::read(json, bounds);
    if (!bytes) return std::nullopt;
    return Mss{*bytes};
  }
  static OrderedJson write(const Mss& value) {
    if (value.bytes == Mss::kAuto) return "auto";
    if (value.bytes == Mss::kOff) return "off";
    return value.bytes;
  }
};

template <>
struct Kind<nat::Ipv4Address> {
  static std::string allowed(Bounds) { return "an IPv4 address such as \"192.0.2.1\""; }
  static bool matches(const Json& json) { return json.is_string(); }
  static std::optional<nat::Ipv4Address> read(const Json& json, Bounds) {
    return nat::Ipv4Address::parse(json.get_ref<const std::string&>());
  }
  static OrderedJson write(nat::Ipv4Address value) { return std::string{nat::EndpointText{value}.view()}; }
};

template <>
struct Kind<nat::Prefix> {
  static std::string allowed(Bounds) {
    return "an IPv4 address and the length of its prefix such as \"192.0.2.1/24\"";
  }
  static bool matches(const Json& json) { return json.is_string(); }
  static std::optional<nat::Prefix> read(const Json& json, Bounds) {
    const auto& text = json.get_ref<const std::string&>();
    // The length is never guessed: an address without one is a forgotten one more often than a host.
    if (text.find('/') == std::string::npos) return std::nullopt;
    return nat::Prefix::parse(text);
  }
  static OrderedJson write(nat::Prefix value) {
    return fmt::format("{}/{}", nat::EndpointText{value.address}.view(), value.length);
  }
};

template <>
struct Kind<PoolItem> {
  static std::string allowed(Bounds) {
    return "an IPv4 address or a prefix such as \"192.0.2.1\" or \"192.0.2.64/27\"";
  }
  static bool matches(const Json& json) { return json.is_string(); }
  static std::optional<PoolItem> read(const Json& json, Bounds) {
    const auto prefix = nat::Prefix::parse(json.get_ref<const std::string&>());
    if (!prefix) return std::nullopt;
    return PoolItem{*prefix};
  }
  static OrderedJson write(const PoolItem& value) {
    const auto& prefix = value.prefix;
    return prefix.length == 32 ? Kind<nat::Ipv4Address>::write(prefix.address)
                               : Kind<nat::Prefix>::write(prefix);
  }
};

template <>
struct Kind<nat::Endpoint> {
  static std::string allowed(Bounds) {
    return "an IPv4 address and a port from 1 to 65535 such as \"192.0.2.1:5060\"";
  }
  static bool matches(const Json& json) { return json.is_string(); }
  static std::optional<nat::Endpoint> read(const Json& json, Bounds) {
    const std::string_view text = json.get_ref<const std::string&>();
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto address = nat::Ipv4Address::parse(text.substr(0, colon));
    const auto digits = text.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    const bool whole = error == std::errc{} && end == digits.data() + digits.size() && port != 0;
    if (!address || !whole) return std::nullopt;
    return nat::Endpoint{*address, nat::Be16{port}};
  }
  static OrderedJson write(nat::Endpoint value) { return std::string{nat::EndpointText{value}.view()}; }
};

template <>
struct Kind<PortRange> {
  static std::string allowed(Bounds) { return "a port such as \"53\" or a range such as \"1-1023\""; }
  static bool matches(const Json& json) { return json.is_string(); }
  static std::optional<PortRange> read(const Json& json, Bounds) {
    const std::string_view text = json.get_ref<const std::string&>();
    const auto dash = text.find('-');
    const auto first = port(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : port(text.substr(dash + 1));
    if (!first || !last || *first > *last) return std::nullopt;
    return PortRange{*first, *last};
  }
  static OrderedJson write(const PortRange& value) {
    return value.first == value.last ? fmt::format("{}", value.first)
                                     : fmt::format("{}-{}", value.first, value.last);
  }
  /// 0 to 65535 in digits.
  static std::optional<std::uint16_t> port(std::string_view digits) {
    std::uint16_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return number;
  }
};

template <>
struct Kind<EndpointRange> {
  static std::string allowed(Bounds) {
    return "an IPv4 address with a port, with a range of ports, alone, or with the length of a prefix, such "
           "as "
           "\"192.0.2.1:5060\", \"192.0.2.1:10000-10999\", \"192.0.2.1\" or \"192.0.2.16/28\"";
  }
  static bool matches(const Json& json) { return json.is_string(); }
  static std::optional<EndpointRange> read(const Json& json, Bounds) {
    const std::string_view text = json.get_ref<const std::string&>();
    EndpointRange range;
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) {
      const auto prefix = nat::Prefix::parse(text);
      if (!prefix) return std::nullopt;
      range.prefix = *prefix;
      return range;
    }
    const auto address = nat::Ipv4Address::parse(text.substr(0, colon));
    const auto ports = text.substr(colon + 1);
    const auto dash = ports.find('-');
    const auto first = port(ports.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : port(ports.substr(dash + 1));
    if (!address || !first || !last || *first > *last) return std::nullopt;
    return EndpointRange{{*address, 32}, *first, *last};
  }
  static OrderedJson write(const EndpointRange& value) {
    const nat::EndpointText address{value.prefix.address};
    if (value.whole()) {
      return value.prefix.length == 32 ? std::string{address.view()}
                                       : fmt::format("{}/{}", address.view(), value.prefix.length);
    }
    if (value.first_port == value.last_port) return fmt::format("{}:{}", address.view(), value.first_port);
    return fmt::format("{}:{}-{}", address.view(), value.first_port, value.last_port);
  }

 private:
  static std::optional<std::uint16_t> port(std::string_view digits) {
    const auto number = Kind<PortRange>::port(digits);
    return number && *number != 0 ? number : std::nullopt;
  }
};

}  // namespace pinhole::config
