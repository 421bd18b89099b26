// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The commands of the control socket: one row a command, in table.cpp. Whatever is to be known of a command
// stands in its row: `help`, the options and the completion of pinholectl, and the check of parameters come
// from it. Invariant: a handler is called with parameters that were checked, and only while what it needs is
// there.

#include "control/access.hpp"
#include "control/error.hpp"
#include "control/model.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace pinhole::control {

using Json = nlohmann::ordered_json;

/// What the data plane has to be for a command to answer.
enum class Needs : std::uint8_t { nothing, dataplane };

enum class ArgumentType : std::uint8_t {
  text,      // a string
  flag,      // true or false
  offset,    // how many rows to leave out
  limit,     // how many rows to show, 1 to kMaxRows
  count,     // a number within the bounds of the argument
  protocol,  // "udp", "tcp", "icmp"
  endpoint,  // "192.0.2.1", "192.0.2.0/24", "192.0.2.1:5060"
};

/// Bounds the size of a reply: a row takes a few hundred bytes.
inline constexpr std::size_t kMaxRows = 1000;

struct Argument {
  std::string_view name;
  ArgumentType type = ArgumentType::text;
  std::string_view help;
  bool required = false;
  bool selects = false;   // narrows down what is shown: finding nothing is then worth telling
  std::size_t least = 0;  // of a count
  std::size_t most = 0;
};

struct Bounds {
  std::size_t least;
  std::size_t most;
};

/// What a number may be. \param argument of type offset, limit or count.
[[nodiscard]] Bounds bounds_of(const Argument& argument) noexcept;

/// Parameters by name, checked against the arguments of a command.
class Arguments {
 public:
  using Value = std::variant<std::string, bool, std::size_t, nat::Protocol, EndpointFilter>;

  /// \param params a JSON object.
  /// Errors: a parameter that the command does not take, of the wrong kind or out of range, or missing.
  [[nodiscard]] static Result<Arguments> bind(std::span<const Argument> arguments, const Json& params);

  template <typename T>
  [[nodiscard]] std::optional<T> get(std::string_view name) const {
    for (const auto& [key, value] : values_) {
      if (key == name) return std::get<T>(value);
    }
    return std::nullopt;
  }
  [[nodiscard]] std::string text(std::string_view name) const {
    return get<std::string>(name).value_or(std::string());
  }
  [[nodiscard]] bool flag(std::string_view name) const { return get<bool>(name).value_or(false); }
  /// From `offset` and `limit`.
  [[nodiscard]] Page page() const;

 private:
  std::vector<std::pair<std::string_view, Value>> values_;
};

using Handler = Result<Json> (*)(const Model& model, const Arguments& arguments);

struct Command {
  std::string_view name;  // of the JSON-RPC method; "config.show" is `pinholectl config show`
  std::string_view summary;
  Access access = Access::read;
  Needs needs = Needs::nothing;
  std::span<const Argument> arguments;
  Handler handler = nullptr;
};

/// Every command, in the order in which `help` shows them.
[[nodiscard]] std::span<const Command> commands() noexcept;
[[nodiscard]] const Command* find_command(std::string_view name) noexcept;

/// Carries out a method: the one place where a command is looked up, its parameters checked and its handler
/// called. \param granted to who asks
/// Errors: usage (no such command), forbidden, those of Arguments::bind(), unavailable, and the handler's
/// own.
[[nodiscard]] Result<Json> run_command(const Model& model, std::string_view method, const Json& params,
                                       Access granted = Access::write);

[[nodiscard]] std::string_view name(Access access) noexcept;
[[nodiscard]] std::string_view name(ArgumentType type) noexcept;

}  // namespace pinhole::control
