// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// How start-up, files and commands report failure: a Result<T> is a T or an Error, handed up to the one
// boundary that answers or exits. An Error's message is one sentence for a person: the place, what was found
// there and the mend. It is never used on the packet path.
//
// Result has the interface of boost::system::result, which Debian 12's Boost (1.74) does not have yet; where
// Boost is 1.78 or later the class below can be replaced by an alias.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace pinhole::config {

enum class ErrorCode : std::uint8_t {
  usage,        // the command line
  file,         // a file that is missing or cannot be read
  syntax,       // a file that is not JSON
  unknown_key,  // a key that no part of the configuration has
  missing,      // a key that has no default is absent
  type,         // a value of the wrong kind
  range,        // a value of the right kind that is out of range
  conflict,     // values that contradict each other
  device,       // a device that does not exist or cannot be used
  memory,       // hugepages or memory that the configuration needs and the machine has not
  unavailable,  // the other process, or what it should have made, is not there
  not_found,    // a command names something that does not exist
  forbidden,    // a command that who gives it may not give
  system,       // the operating system refused
  internal,     // a bug
};

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;

  friend bool operator==(const Error&, const Error&) = default;
};

/// What a process that ends with this error returns: 2 for what a person can mend before starting it again,
/// 1 for everything else.
[[nodiscard]] constexpr int exit_status(ErrorCode code) noexcept {
  return code <= ErrorCode::memory ? 2 : 1;
}

/// A T, or the Error that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  template <typename U = T>
    requires(std::is_convertible_v<U, T> && !std::is_same_v<std::remove_cvref_t<U>, Error> &&
             !std::is_same_v<std::remove_cvref_t<U>, Result>)
  // NOLINTNEXTLINE(google-explicit-constructor): `return value;` is the point.
  Result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor): `return Error{…};` is the point.
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  [[nodiscard]] bool has_error() const noexcept { return state_.index() == 1; }
  explicit operator bool() const noexcept { return has_value(); }

  /// Errors: throws std::logic_error when there is no value; asking without looking first is a bug.
  [[nodiscard]] const T& value() const& {
    expect_value();
    return std::get<0>(state_);
  }
  [[nodiscard]] T& value() & {
    expect_value();
    return std::get<0>(state_);
  }
  [[nodiscard]] T&& value() && {
    expect_value();
    return std::get<0>(std::move(state_));
  }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] T&& operator*() && { return std::move(*this).value(); }
  [[nodiscard]] const T* operator->() const { return &value(); }
  [[nodiscard]] T* operator->() { return &value(); }

  [[nodiscard]] const Error& error() const& { return std::get<1>(state_); }
  [[nodiscard]] Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  void expect_value() const {
    if (has_error()) throw std::logic_error(std::get<1>(state_).message);
  }
  std::variant<T, Error> state_;
};

/// Success, or the Error that says why not. `return {};` is success.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): `return Error{…};` is the point.
  Result(Error error) : error_(std::move(error)), failed_(true) {}

  [[nodiscard]] bool has_value() const noexcept { return !failed_; }
  [[nodiscard]] bool has_error() const noexcept { return failed_; }
  explicit operator bool() const noexcept { return has_value(); }
  void value() const {
    if (failed_) throw std::logic_error(error_.message);
  }

  /// What went wrong; asked for only after has_error().
  [[nodiscard]] const Error& error() const& noexcept { return error_; }
  [[nodiscard]] Error&& error() && noexcept { return std::move(error_); }

 private:
  Error error_;
  bool failed_ = false;
};

/// "nat.pool[2]: found "x"; allowed is an IPv4 address"
/// \param path the place in the document; empty for the document itself.
[[nodiscard]] Error config_error(ErrorCode code, std::string_view path, std::string_view found,
                                 std::string_view allowed);

/// "nat.pool[2]: lies inside 192.0.2.0/24; take another address": where "found; allowed" does not say it.
[[nodiscard]] Error config_conflict(std::string_view path, std::string_view problem, std::string_view mend);

}  // namespace pinhole::config
