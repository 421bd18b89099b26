// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A SIP message taken apart without a copy. Invariant: every view points into the bytes that were parsed, so
// that a view is also a place to edit. One pass, linear in the size of the message, bounded in memory: of the
// headers only those that Pinhole reads are noted.

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <string_view>

#include "alg/sip/summary.hpp"

namespace pinhole::alg::sip {

/// The headers that Pinhole reads, whichever way they are written (RFC 3261 section 7.3.3, compact forms).
enum class HeaderId : std::uint8_t {
  other,
  via,
  from,
  to,
  call_id,
  cseq,
  contact,
  record_route,
  route,
  path,
  service_route,
  refer_to,
  referred_by,
  reply_to,
  p_asserted_identity,
  p_preferred_identity,
  p_associated_uri,
  p_called_party_id,
  p_served_user,
  remote_party_id,
  diversion,
  history_info,
  also,
  alert_info,
  call_info,
  error_info,
  warning,
  replaces,
  join,
  target_dialog,
  in_reply_to,
  event,
  user_agent,
  server,
  identity,
  expires,
  session_expires,
  content_type,
  content_encoding,
  rseq,
  content_length,
};
inline constexpr std::size_t kHeaderIds = static_cast<std::size_t>(HeaderId::content_length) + 1;

/// Headers as a set: a bit for each kind.
using HeaderSet = std::uint64_t;
[[nodiscard]] constexpr HeaderSet header_bit(HeaderId id) noexcept {
  return HeaderSet{1} << static_cast<unsigned>(id);
}
static_assert(kHeaderIds <= 64);

/// \param name as written, without white space.
[[nodiscard]] HeaderId header_id(std::string_view name) noexcept;

struct Header {
  HeaderId id = HeaderId::other;
  std::string_view value;  // without white space around; a folded value has line ends inside
};

/// Reads header lines up to the empty line, in a message or in a part of a multipart body.
/// Cost: a look at each byte for line ends, 64 at a time, and one at each name.
class HeaderReader {
 public:
  /// \param text begins with the first header line.
  explicit HeaderReader(std::string_view text) noexcept
      : begin_(text.data()), at_(begin_), end_(begin_ + text.size()) {}

  /// \return false at the empty line, or at the end of the text when there is none.
  [[nodiscard]] bool next(Header& header) noexcept;
  /// How much of the text has been read: whole headers.
  [[nodiscard]] std::size_t offset() const noexcept { return static_cast<std::size_t>(at_ - begin_); }
  /// True once the empty line has been read.
  [[nodiscard]] bool terminated() const noexcept { return terminated_; }
  /// Once terminated: what follows the empty line.
  [[nodiscard]] std::string_view rest() const noexcept { return {at_, static_cast<std::size_t>(end_ - at_)}; }

 private:
  friend class MessageView;
  [[gnu::always_inline]] inline bool read(bool wants_others, Header& header) noexcept;

  const char* begin_;
  const char* at_;
  const char* end_;
  bool terminated_ = false;
};

/// The Call-ID of a message that nobody has read yet, as its lines look at their beginnings: something to
/// fetch by, and not to rely on. \return empty when none of them looks like one
[[nodiscard]] std::string_view guess_call_id(std::string_view bytes) noexcept;

enum class ParseResult : std::uint8_t {
  message,
  keepalive,  // empty, line ends, zero bytes, or STUN
  not_sip,    // does not begin like SIP
  malformed,  // begins like SIP, but cannot be read as a whole, or lacks what identifies it
};

class MessageView {
 public:
  static constexpr std::size_t kMaxHeaders = 160;

  /// Reads a datagram.
  /// Source: RFC 3261 sections 7 and 18.3; lines may end with LF alone, which endpoints accept.
  [[nodiscard]] ParseResult parse(std::string_view bytes) noexcept;

  /// Why parse() said `not_sip` or `malformed`.
  [[nodiscard]] Defect defect() const noexcept { return defect_; }

  [[nodiscard]] bool is_request() const noexcept { return status_ == 0; }
  /// Of a response: the method that it answers.
  [[nodiscard]] Method method() const noexcept { return method_; }
  [[nodiscard]] std::uint16_t status() const noexcept { return status_; }
  [[nodiscard]] std::string_view request_uri() const noexcept { return request_uri_; }
  [[nodiscard]] std::span<const Header> headers() const noexcept { return {noted(), header_count_}; }
  [[nodiscard]] bool has_any(HeaderSet kinds) const noexcept { return (present_ & kinds) != 0; }
  /// The value of the first header of a kind; empty when there is none.
  [[nodiscard]] std::string_view value(HeaderId id) const noexcept;
  /// The body: Content-Length bytes, or all that follows the headers when there is no such header.
  [[nodiscard]] std::string_view body() const noexcept { return body_; }

  /// Of a message that was read. `has_sdp` is for the caller to say.
  [[nodiscard]] const Summary& summary() const noexcept { return summary_; }

 private:
  [[nodiscard]] Defect parse_start_line(std::string_view line) noexcept;
  [[nodiscard]] Defect parse_rest(std::string_view text) noexcept;
  [[nodiscard]] Defect note_headers(std::string_view text, std::string_view& rest) noexcept;
  [[nodiscard]] Defect parse_identity() noexcept;
  [[nodiscard]] Defect parse_body(std::string_view rest) noexcept;
  void summarise() noexcept;

  [[nodiscard]] const Header* noted() const noexcept {
    return std::launder(reinterpret_cast<const Header*>(headers_.data()));
  }

  // Room for headers, which nobody clears before a message is read: that would cost as much as reading a
  // small one.
  // One more than is noted: the header in hand is read where it will stay.
  alignas(Header) std::array<std::byte, (kMaxHeaders + 1) * sizeof(Header)> headers_;
  std::array<std::uint8_t, kHeaderIds> first_;  // of each kind that is present, in headers_
  std::size_t header_count_ = 0;
  HeaderSet present_ = 0;
  Method method_ = Method::other;
  Defect defect_ = Defect::none;
  std::uint16_t status_ = 0;
  std::uint32_t cseq_ = 0;
  std::string_view method_text_;
  std::string_view request_uri_;
  std::string_view reason_;
  std::string_view body_;
  Summary summary_;
};

}  // namespace pinhole::alg::sip
