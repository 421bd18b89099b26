// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The values of SIP headers: comma lists, parameters, name-addr and addr-spec, Via, CSeq. White space may
// stand wherever the grammar lets it, folded lines included. Views point into the message.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "alg/sip/chars.hpp"
#include "alg/sip/scan.hpp"
#include "alg/sip/uri.hpp"

namespace pinhole::alg::sip {

/// Cuts a text at its `kMark`s; those in quoted strings and angle brackets do not count.
template <char kMark>
class PieceReader {
 public:
  explicit PieceReader(std::string_view text) noexcept : text_(text), marks_(text) {}
  /// \return the next piece that is not empty, without white space around; none at the end.
  [[nodiscard]] std::optional<std::string_view> next() noexcept {
    while (begin_ < text_.size()) {
      const auto end = piece_end();
      const auto piece = trim(slice(text_, begin_, end));
      begin_ = end + 1;
      if (!piece.empty()) return piece;
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] std::size_t piece_end() noexcept {
    bool in_brackets = false;
    for (auto at = marks_.next(); at < text_.size(); at = marks_.next()) {
      const char c = text_[at];
      if (in_brackets) {
        in_brackets = c != '>';
      } else if (c == kMark) {
        return at;
      } else if (c == '"') {
        marks_.skip_quoted();
      } else {
        in_brackets = c == '<';
      }
    }
    return text_.size();
  }

  std::string_view text_;
  MarkScanner<kMark, '"', '\\', '<', '>'> marks_;
  std::size_t begin_ = 0;
};

/// Cuts a header value at its commas.
using ListReader = PieceReader<','>;

struct Param {
  std::string_view name;
  std::string_view value;  // a quoted string keeps its quotes; empty when there is no "="
};

/// Reads `name [= value]` separated by semicolons; those in quoted strings and angle brackets do not count.
class ParamReader {
 public:
  explicit ParamReader(std::string_view params) noexcept : text_(params), marks_(params) {}
  /// \return false at the end. Inlined, so that whoever loops keeps the reader in registers.
  [[nodiscard, gnu::always_inline]] inline bool next(Param& param) noexcept {
    while (begin_ < text_.size()) {
      const auto [equals_sign, end] = find_ends();
      const auto begin = begin_;
      begin_ = end + 1;
      if (equals_sign < end) {
        param = {trim(slice(text_, begin, equals_sign)), trim(slice(text_, equals_sign + 1, end))};
        return true;
      }
      const auto name = trim(slice(text_, begin, end));
      if (name.empty()) continue;
      param = {name, {name.data() + name.size(), 0}};
      return true;
    }
    return false;
  }

 private:
  struct Ends {
    std::size_t name;  // where the first "=" stands; that of the parameter when there is none
    std::size_t param;
  };
  [[nodiscard]] Ends find_ends() noexcept {
    bool in_brackets = false;
    auto name_end = text_.size();
    for (auto at = marks_.next(); at < text_.size(); at = marks_.next()) {
      const char c = text_[at];
      if (c == '=') {
        name_end = std::min(name_end, at);
      } else if (in_brackets) {
        in_brackets = c != '>';
      } else if (c == ';') {
        return {std::min(name_end, at), at};
      } else if (c == '"') {
        marks_.skip_quoted();
      } else {
        in_brackets = c == '<';
      }
    }
    return {name_end, text_.size()};
  }

  std::string_view text_;
  MarkScanner<';', '=', '"', '\\', '<', '>'> marks_;
  std::size_t begin_ = 0;
};

/// \param lower_case_name of the parameter.
[[nodiscard]] std::optional<Param> find_param(std::string_view params,
                                              std::string_view lower_case_name) noexcept;

/// One item of Contact, Route and their like.
struct NameAddr {
  std::string_view uri;
  std::string_view params;  // of the header, after the first ";"
};

/// Source: RFC 3261 section 20.10: without angle brackets every parameter belongs to the header.
/// \return none when no URI can be told ("*" is none too).
[[nodiscard]] std::optional<NameAddr> parse_name_addr(std::string_view item) noexcept;
/// The same in place. \param address a fresh one \return false: parse_name_addr() would give none
[[nodiscard]] bool read_name_addr(std::string_view item, NameAddr& address) noexcept;

/// The URI of the first item of a list of them; empty when none can be told.
[[nodiscard]] std::string_view first_uri(std::string_view list) noexcept;

/// One item of Via.
struct Via {
  nat::Protocol protocol = nat::Protocol::udp;
  std::uint16_t default_port = kSipPort;
  HostPort sent_by;
  std::string_view received;
  std::string_view rport;  // its value; empty when it has none or is absent
  std::string_view maddr;
};

[[nodiscard]] std::optional<Via> parse_via(std::string_view item) noexcept;
/// The same in place. \param via a fresh one \return false: parse_via() would give none
[[nodiscard]] bool read_via(std::string_view item, Via& via) noexcept;

struct CSeq {
  std::uint32_t number = 0;
  std::string_view method;
};

[[nodiscard]] std::optional<CSeq> parse_cseq(std::string_view value) noexcept;

}  // namespace pinhole::alg::sip
