// SPDX-License-Identifier: BSD-3-Clause
#include "control/commands/command.hpp"

#include "control/commands/encode.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace pinhole::control {
namespace {

constexpr std::size_t kMaxOffset = 0xffff'ffff;

Error wrong(const Argument& argument, ErrorCode code, const Json& found, std::string_view allowed) {
  return {code, fmt::format("{}: found {}; allowed is {}", argument.name,
                            found.dump(-1, ' ', false, Json::error_handler_t::replace), allowed)};
}

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

std::optional<EndpointFilter> parse_endpoint(std::string_view text) noexcept {
  EndpointFilter filter;
  const auto colon = text.find(':');
  if (colon != std::string_view::npos) {
    filter.port = parse_port(text.substr(colon + 1));
    if (!filter.port) return std::nullopt;
  }
  const auto prefix = nat::Prefix::parse(text.substr(0, colon));
  if (!prefix || (filter.port && prefix->length != 32)) return std::nullopt;
  filter.prefix = *prefix;
  return filter;
}

std::optional<nat::Protocol> parse_protocol(std::string_view text) noexcept {
  for (std::size_t index = 0; index < nat::kProtocols; ++index) {
    const auto protocol = static_cast<nat::Protocol>(index);
    if (nat::name(protocol) == text) return protocol;
  }
  return std::nullopt;
}

Result<Arguments::Value> bind_text(const Argument& argument, const Json& value) {
  const std::string_view kind = argument.type == ArgumentType::protocol ? R"("udp", "tcp" or "icmp")"
                                : argument.type == ArgumentType::endpoint
                                    ? "an address, address/length or address:port"
                                    : "a string";
  if (!value.is_string()) return wrong(argument, ErrorCode::type, value, kind);
  const auto& text = value.get_ref<const std::string&>();
  if (argument.type == ArgumentType::protocol) {
    if (const auto protocol = parse_protocol(text)) return Arguments::Value(*protocol);
    return wrong(argument, ErrorCode::range, value, kind);
  }
  if (argument.type == ArgumentType::endpoint) {
    if (const auto filter = parse_endpoint(text)) return Arguments::Value(*filter);
    return wrong(argument, ErrorCode::range, value, kind);
  }
  if (argument.required && text.empty())
    return wrong(argument, ErrorCode::range, value, "a string that is not empty");
  return Arguments::Value(text);
}

Result<Arguments::Value> bind_number(const Argument& argument, const Json& value) {
  const auto [least, most] = bounds_of(argument);
  const auto allowed = fmt::format("a whole number from {} to {}", least, most);
  if (!value.is_number_integer()) return wrong(argument, ErrorCode::type, value, allowed);
  // A negative number is not unsigned in this library, and so is refused here too.
  if (!value.is_number_unsigned() || value.get<std::size_t>() < least || value.get<std::size_t>() > most) {
    return wrong(argument, ErrorCode::range, value, allowed);
  }
  return Arguments::Value(value.get<std::size_t>());
}

Result<Arguments::Value> bind_one(const Argument& argument, const Json& value) {
  switch (argument.type) {
    case ArgumentType::flag:
      if (!value.is_boolean()) return wrong(argument, ErrorCode::type, value, "true or false");
      return Arguments::Value(value.get<bool>());
    case ArgumentType::offset:
    case ArgumentType::limit:
    case ArgumentType::count:
      return bind_number(argument, value);
    case ArgumentType::text:
    case ArgumentType::protocol:
    case ArgumentType::endpoint:
      break;
  }
  return bind_text(argument, value);
}

Error unknown_argument(std::string_view name, std::span<const Argument> arguments) {
  if (arguments.empty()) {
    return {ErrorCode::unknown_key, fmt::format("unknown parameter \"{}\"; this command takes none", name)};
  }
  std::vector<std::string_view> names;
  for (const auto& argument : arguments) names.push_back(argument.name);
  return {ErrorCode::unknown_key,
          fmt::format("unknown parameter \"{}\"; this command takes {}", name, fmt::join(names, ", "))};
}

}  // namespace

Bounds bounds_of(const Argument& argument) noexcept {
  switch (argument.type) {
    case ArgumentType::limit:
      return {1, kMaxRows};
    case ArgumentType::count:
      return {argument.least, argument.most};
    default:
      return {0, kMaxOffset};
  }
}

Result<Arguments> Arguments::bind(std::span<const Argument> arguments, const Json& params) {
  Arguments bound;
  for (const auto& [name, value] : params.items()) {
    const auto argument =
        std::find_if(arguments.begin(), arguments.end(), [&](const Argument& a) { return a.name == name; });
    if (argument == arguments.end()) return unknown_argument(name, arguments);
    auto one = bind_one(*argument, value);
    if (!one) return one.error();
    bound.values_.emplace_back(argument->name, *std::move(one));
  }
  for (const auto& argument : arguments) {
    if (argument.required && !params.contains(argument.name)) {
      return Error{ErrorCode::missing, fmt::format("{} is missing: {}", argument.name, argument.help)};
    }
  }
  return bound;
}

Page Arguments::page() const {
  Page page;
  page.offset = get<std::size_t>("offset").value_or(page.offset);
  page.limit = get<std::size_t>("limit").value_or(page.limit);
  return page;
}

const Command* find_command(std::string_view name) noexcept {
  const auto all = commands();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Command& c) { return c.name == name; });
  return found == all.end() ? nullptr : &*found;
}

Result<Json> run_command(const Model& model, std::string_view method, const Json& params, Access granted) {
  const Command* const command = find_command(method);
  if (command == nullptr) {
    return Error{ErrorCode::usage,
                 fmt::format("there is no method \"{}\"; \"help\" lists those there are", method)};
  }
  if (!permits(granted, command->access)) {
    return Error{ErrorCode::forbidden,
                 fmt::format("\"{}\" changes something, and this user may only read: use root, or join the "
                             "group of the configuration's control.group",
                             method)};
  }
  const auto arguments = Arguments::bind(command->arguments, params);
  if (!arguments) return arguments.error();
  if (command->needs == Needs::dataplane) {
    const auto status = model.status();
    if (status.dataplane != DataplaneState::up) {
      return Error{ErrorCode::unavailable,
                   fmt::format("the data plane is {} since {}; start pinhole-dataplane or see its log",
                               status.dataplane == DataplaneState::lost ? "lost" : "not there",
                               utc(status.dataplane_since))};
    }
  }
  return command->handler(model, *arguments);
}

std::string_view name(Access access) noexcept {
  return access == Access::read ? "read" : "write";
}

std::string_view name(ArgumentType type) noexcept {
  switch (type) {
    case ArgumentType::text:
      return "text";
    case ArgumentType::flag:
      return "flag";
    case ArgumentType::offset:
    case ArgumentType::limit:
    case ArgumentType::count:
      return "number";
    case ArgumentType::protocol:
      return "protocol";
    case ArgumentType::endpoint:
      return "endpoint";
  }
  return "text";
}

}  // namespace pinhole::control
