// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A session description taken apart without a copy: only what says where media goes. Views point into the
// message, so that they are places to edit. One pass over the lines notes all that will be looked at again,
// within bounds. Source: RFC 8866, RFC 3605 (a=rtcp), RFC 8839 and 6544 (candidates), RFC 4145 (a=setup),
// RFC 4975 and 6714 (MSRP), RFC 6947 (a=altc), RFC 4570 (a=source-filter).

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "alg/rtp_clocks.hpp"
#include "alg/sip/bounded_list.hpp"
#include "alg/sip/chars.hpp"
#include "alg/sip/scan.hpp"
#include "nat/endpoint.hpp"

namespace pinhole::alg::sip {

/// One line "t=value" with what ends it: CRLF, LF, CR, or the end of the text. The value's end is found when
/// it is asked for: most lines are told by how they begin.
class SdpLine {
 public:
  /// \param whole  at least "t="; no CR or LF but those that end it
  explicit SdpLine(std::string_view whole) noexcept : whole_(whole) {}

  [[nodiscard]] char type() const noexcept { return whole_[0]; }
  /// Behind the "=": the value, and what ends the line.
  [[nodiscard]] std::string_view rest() const noexcept { return slice(whole_, 2); }
  [[nodiscard]] std::string_view value() const noexcept { return slice(whole_, 2, value_end()); }
  [[nodiscard]] std::string_view line_end() const noexcept { return slice(whole_, value_end()); }
  [[nodiscard]] const char* end() const noexcept { return whole_.data() + whole_.size(); }

 private:
  [[nodiscard]] std::size_t value_end() const noexcept {
    auto end = whole_.size();
    if (whole_[end - 1] == '\n') --end;
    if (whole_[end - 1] == '\r') --end;
    return end;
  }

  std::string_view whole_;
};

namespace sdp_detail {

// The last bytes of the line ends in a block.
inline std::uint64_t line_ends_in(const char* text, std::size_t size) noexcept {
  const auto feeds = marks_in<'\n'>(text, size);
  auto before_feeds = feeds >> 1U;
  if (size > kScanBlock && text[kScanBlock] == '\n') before_feeds |= std::uint64_t{1} << (kScanBlock - 1);
  return feeds | (marks_in<'\r'>(text, size) & ~before_feeds);
}

// What is shorter than "t=" has something else, or nothing, where "=" would be.
inline bool is_line(std::string_view whole) noexcept {
  return whole.size() >= 2 && whole[1] == '=';
}

}  // namespace sdp_detail

/// Goes through the lines of the form "t=value"; others are passed over. Lines may end with CRLF, with LF
/// alone, which readers should take, or with CR alone, which no value may hold (RFC 8866 sections 5 and 9).
/// \param read  is called for each, and returns false to end it \return false when that did
template <typename Read>
[[nodiscard]] inline bool for_each_line(std::string_view text, const Read& read) noexcept {
  std::size_t begin = 0;
  for (std::size_t block = 0; block < text.size(); block += kScanBlock) {
    auto ends = sdp_detail::line_ends_in(text.data() + block, text.size() - block);
    for (; ends != 0; ends &= ends - 1) {
      const auto end = block + static_cast<std::size_t>(std::countr_zero(ends)) + 1;
      const auto whole = slice(text, begin, end);
      begin = end;
      if (sdp_detail::is_line(whole) && !read(SdpLine(whole))) return false;
    }
  }
  const auto last = slice(text, begin);
  return !sdp_detail::is_line(last) || read(SdpLine(last));
}

/// Cuts a value at its spaces.
class WordReader {
 public:
  explicit WordReader(std::string_view value) noexcept : value_(value), blanks_(value) {}
  /// What has not been read yet, without the blank behind the last word.
  [[nodiscard]] std::string_view rest() const noexcept { return slice(value_, at_); }
  /// \return the next word; empty at the end.
  [[nodiscard]] std::string_view next() noexcept {
    for (;;) {
      const auto begin = at_;
      const auto end = blanks_.next();
      at_ = std::min(end + 1, value_.size());
      if (end > begin) return slice(value_, begin, end);
      if (end == value_.size()) return {};
    }
  }

 private:
  std::string_view value_;
  MarkScanner<' ', '\t'> blanks_;
  std::size_t at_ = 0;  // where the next word begins, at the earliest
};

/// An IPv4 address where it is written.
struct SdpAddress {
  std::string_view token;
  nat::Ipv4Address value;
};

/// A port where it is written.
struct SdpPort {
  std::string_view token;
  std::uint16_t value = 0;
};

/// Of c=: "IN IP4 192.0.2.1", a TTL after a slash passed over.
/// \return none for another kind of address.
[[nodiscard]] std::optional<SdpAddress> parse_connection(std::string_view value) noexcept;
/// Of o=.
[[nodiscard]] std::optional<SdpAddress> parse_origin(std::string_view value) noexcept;

/// "audio 4000/2 RTP/AVP 0"
struct MediaLine {
  std::string_view kind;
  SdpPort port;
  std::string_view port_count_token;  // "/2"; empty when it is not written
  std::uint16_t port_count = 1;
  std::string_view protocol;
};
[[nodiscard]] std::optional<MediaLine> parse_media(std::string_view value) noexcept;

/// "53020" or "53020 IN IP4 192.0.2.1", after "rtcp:". `address` is set when one is written, `foreign` when
/// it is not an IPv4 one.
struct RtcpAttribute {
  SdpPort port;
  std::optional<SdpAddress> address;
  bool foreign = false;
};
[[nodiscard]] std::optional<RtcpAttribute> parse_rtcp(std::string_view value) noexcept;

/// After "candidate:". `related` is raddr and rport.
struct Candidate {
  nat::Protocol protocol = nat::Protocol::udp;
  bool connects = false;  // a TCP one that is active: nobody connects to it (RFC 6544 section 4.5)
  std::optional<SdpAddress> address;
  SdpPort port;
  std::optional<SdpAddress> related_address;
  SdpPort related_port;
};
[[nodiscard]] std::optional<Candidate> parse_candidate(std::string_view value) noexcept;

/// After "altc:", an alternative to c= and m= (RFC 6947 section 4.1): "2 IP4 192.0.2.1 45678/45680".
struct Alternative {
  SdpAddress address;
  SdpPort port;
  std::optional<SdpPort> rtcp_port;
};
/// \return none for another kind of address.
[[nodiscard]] std::optional<Alternative> parse_alternative(std::string_view value) noexcept;

/// The destination after "source-filter:", where its sender wants media (RFC 4570 section 3):
/// " incl IN IP4 192.0.2.1 198.51.100.1".
/// \return none for another kind of address.
[[nodiscard]] std::optional<SdpAddress> parse_filter_destination(std::string_view value) noexcept;

/// After "rtpmap:", what the clock of a payload type is: "96 opus/48000/2".
/// \param clocks  to be added to; what cannot be read is passed over
void read_rtpmap(std::string_view value, RtpClocks& clocks) noexcept;

/// An MSRP URI of a=path (RFC 4975 section 9): "msrp://alice@192.0.2.1:2855/s8723;tcp".
struct MsrpUri {
  std::optional<SdpAddress> address;  // none for a name or IPv6
  SdpPort port;                       // its token is empty when it is not written
};
inline constexpr std::uint16_t kMsrpPort = 2855;
[[nodiscard]] std::optional<MsrpUri> parse_msrp_uri(std::string_view word) noexcept;

/// Which way a stream goes, as its sender sees it (RFC 8866 section 6.7).
enum class StreamDirection : std::uint8_t { sendrecv, sendonly, recvonly, inactive };

/// What carries a stream, as the third word of m= says it.
enum class Transport : std::uint8_t { udp, tcp, unknown };

/// A c= line, as far as it matters where media goes.
struct Connection {
  std::optional<SdpAddress> address;  // when it is an IPv4 one
  bool is_ip6 = false;
};

/// An m= line and what stands below it, up to the next.
struct MediaSection {
  MediaLine line;
  std::string_view line_end;          // of the m= line
  const char* after_title = nullptr;  // where a c= line has its place: after m= and i=
  const char* after_lines = nullptr;  // after the last line, where an attribute may be added
  StreamDirection direction = StreamDirection::sendrecv;
  Transport transport = Transport::udp;
  // At a port of its own, if nothing else is said. RTP over TCP has one connection; with a=rtcp-mux-only
  // there is one port (RFC 8858).
  bool has_rtcp = false;
  bool bundle_only = false;     // port 0 rejects nothing (RFC 8843 section 6)
  bool connects = false;        // a=setup:active: nobody connects to it (RFC 4145 section 4)
  bool is_anchored = false;     // a=msrp-cema: a=path is a name, c= and m= say where to (RFC 6714)
  bool has_connection = false;  // a c= of its own, of whatever kind
  Connection connection;        // its first c=
  std::optional<RtcpAttribute> rtcp;
  RtpClocks clocks;  // of a=rtpmap
};

/// A line that names addresses: what is to be looked at when the description is rewritten.
struct SdpNote {
  enum class Kind : std::uint8_t {
    origin,
    connection,
    rtcp,
    candidate,
    remote_candidates,
    path,
    alternative,
    source_filter
  };

  Kind kind = Kind::connection;
  std::uint8_t section = 0;           // index of its m= line, or kNoSection
  std::string_view value;             // of an attribute: after the colon
  std::optional<SdpAddress> address;  // of o= and c=

  static constexpr std::uint8_t kNoSection = 0xFF;  // before the first m=
};

struct SessionDescription {
  static constexpr std::size_t kMaxMedia = 32;
  static constexpr std::size_t kMaxNotes = 256;

  bool has_connection = false;
  Connection connection;                                  // the first c= of the session
  StreamDirection direction = StreamDirection::sendrecv;  // of sections that do not say
  bool connects = false;                                  // a=setup:active, of the same
  BoundedList<MediaSection, kMaxMedia> media;
  BoundedList<SdpNote, kMaxNotes> notes;  // in the order of the lines
};

/// Reads a description; an m= line that cannot be read counts as one with port 0, which nothing is opened
/// for.
/// \return false when there are more than kMaxMedia sections or kMaxNotes lines with addresses.
[[nodiscard]] bool parse_sdp(std::string_view text, SessionDescription& description) noexcept;

}  // namespace pinhole::alg::sip
