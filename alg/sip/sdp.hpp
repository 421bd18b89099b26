// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A session description taken apart without a copy: only what says where media goes. Views point into the
// message, so that they are places to edit. Source: RFC 8866, RFC 3605 (a=rtcp), RFC 8839 (candidates).

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "nat/endpoint.hpp"

namespace pinhole::alg::sip {

/// One line "t=value".
struct SdpLine {
  char type = 0;
  std::string_view value;  // without its line end
  const char* begin = nullptr;
  const char* end = nullptr;  // after the line end
};

class SdpLineReader {
 public:
  explicit SdpLineReader(std::string_view text) noexcept : rest_(text) {}
  /// \return the next line of the form "t=value"; others are passed over.
  [[nodiscard]] std::optional<SdpLine> next() noexcept;

 private:
  std::string_view rest_;
};

/// Cuts a value at its spaces.
class WordReader {
 public:
  explicit WordReader(std::string_view value) noexcept : rest_(value) {}
  /// \return the next word; empty at the end.
  [[nodiscard]] std::string_view next() noexcept;

 private:
  std::string_view rest_;
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
  std::optional<SdpAddress> address;
  SdpPort port;
  std::optional<SdpAddress> related_address;
  SdpPort related_port;
};
[[nodiscard]] std::optional<Candidate> parse_candidate(std::string_view value) noexcept;

/// The value of "a=name:value"; none when the attribute has another name.
[[nodiscard]] std::optional<std::string_view> attribute(const SdpLine& line, std::string_view name) noexcept;

/// Which way a stream goes, as its sender sees it (RFC 8866 section 6.7).
enum class StreamDirection : std::uint8_t { sendrecv, sendonly, recvonly, inactive };

/// An m= line and all up to the next.
struct MediaSection {
  std::string_view text;
  MediaLine line;
  const char* after_title = nullptr;  // where a c= line has its place: after m= and i=
  const char* after_lines = nullptr;  // after the last line, where an attribute may be added
  StreamDirection direction = StreamDirection::sendrecv;
  bool bundle_only = false;              // port 0 rejects nothing (RFC 8843 section 6)
  bool has_connection = false;           // a c= of its own, of whatever kind
  std::optional<SdpAddress> connection;  // its first c=
  std::optional<RtcpAttribute> rtcp;

  [[nodiscard]] bool is_rtp() const noexcept;
  [[nodiscard]] bool is_tcp() const noexcept;
};

struct SessionDescription {
  static constexpr std::size_t kMaxMedia = 32;

  std::string_view session;  // all before the first m=
  std::optional<SdpAddress> connection;
  StreamDirection direction = StreamDirection::sendrecv;  // of sections that do not say
  std::array<MediaSection, kMaxMedia> sections;
  std::size_t section_count = 0;

  [[nodiscard]] std::span<const MediaSection> media() const noexcept {
    return {sections.data(), section_count};
  }
};

/// Reads a description; an m= line that cannot be read counts as one with port 0, which nothing is opened
/// for.
/// \return false when there are more than kMaxMedia sections.
[[nodiscard]] bool parse_sdp(std::string_view text, SessionDescription& description) noexcept;

}  // namespace pinhole::alg::sip
