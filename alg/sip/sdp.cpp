// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/sdp.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "alg/sip/chars.hpp"

namespace pinhole::alg::sip {

namespace {

using Kind = SdpNote::Kind;

std::optional<SdpPort> parse_port(std::string_view token) noexcept {
  const auto value = port_number(token);
  if (!value) return std::nullopt;
  return SdpPort{token, *value};
}

// \param address none yet \return false: it is no IPv4 address, and `address` is still none
[[gnu::always_inline]] inline bool read_ip4(std::string_view token,
                                            std::optional<SdpAddress>& address) noexcept {
  nat::Ipv4Address value;
  const auto size = nat::Ipv4Address::read(token, value);
  if (size == 0 || size != token.size()) return false;
  address.emplace(SdpAddress{token, value});
  return true;
}

std::optional<SdpAddress> parse_ip4(std::string_view token) noexcept {
  std::optional<SdpAddress> address;
  (void)read_ip4(token, address);
  return address;
}

// Network type, address type and address: "IN IP4 192.0.2.1".
// \param address none yet; stays so for another kind of address \return whether it is an IPv6 one
bool read_typed_address(WordReader& words, std::optional<SdpAddress>& address) noexcept {
  if (!equals(words.next(), "in")) return false;
  const auto type = words.next();
  if (equals(type, "ip6")) return true;
  if (!equals(type, "ip4")) return false;
  const auto word = words.next();
  (void)read_ip4(slice(word, 0, std::min(word.find('/'), word.size())), address);
  return false;
}

// Not inlined: it is rare.
[[gnu::noinline]] bool read_unusual_connection(std::string_view value,
                                               std::optional<SdpAddress>& address) noexcept {
  WordReader words(value);
  return read_typed_address(words, address);
}

// The same of a text that begins there.
bool read_connection(std::string_view value, std::optional<SdpAddress>& address) noexcept {
  constexpr std::string_view kUsual = "IN IP4 ";
  if (value.starts_with(kUsual) && read_ip4(slice(value, kUsual.size()), address)) return false;
  return read_unusual_connection(value, address);
}

void read_origin(std::string_view value, std::optional<SdpAddress>& address) noexcept {
  WordReader words(value);
  for (int word = 0; word < 3; ++word) (void)words.next();  // user name, session id, version
  (void)read_connection(words.rest(), address);
}

[[gnu::always_inline]] inline bool take(std::string_view& value, std::string_view prefix) noexcept {
  if (!value.starts_with(prefix)) return false;
  value.remove_prefix(prefix.size());
  return true;
}

Transport transport_of(std::string_view protocol) noexcept {
  const auto begins = [protocol](std::string_view name) noexcept {
    return protocol.size() >= name.size() && equals(slice(protocol, 0, name.size()), name);
  };
  if (begins("tcp")) return Transport::tcp;
  // Of transports of their own Pinhole knows nothing; DTLS/SCTP and UDP/DTLS/SCTP ride on UDP.
  if (begins("sctp") || begins("dccp")) return Transport::unknown;
  return Transport::udp;
}

bool is_rtp(std::string_view protocol) noexcept {
  for (std::size_t i = 0; i + 4 <= protocol.size(); ++i) {
    if (equals(slice(protocol, i, i + 4), "rtp/")) return true;
  }
  return false;
}

// parse_media() in place. \param line a fresh one \return false: parse_media() would give none
bool read_media(std::string_view value, MediaLine& line) noexcept {
  WordReader words(value);
  line.kind = words.next();
  const auto ports = words.next();
  std::uint32_t port = 0;
  std::size_t slash = 0;
  for (; slash < ports.size() && is(ports[slash], chars::kDigit); ++slash) {
    port = port * 10 + static_cast<std::uint32_t>(ports[slash] - '0');
    if (port > 65535) return false;
  }
  line.protocol = words.next();
  if (slash == 0 || line.protocol.empty()) return false;
  line.port = {slice(ports, 0, slash), static_cast<std::uint16_t>(port)};
  line.port_count_token = slice(ports, slash);
  if (line.port_count_token.empty()) return true;
  const auto count = port_number(slice(line.port_count_token, 1));
  if (line.port_count_token.front() != '/' || !count) return false;
  line.port_count = *count;
  return true;
}

// Whether a value of rtpmap may be about a type whose clock it gives: those have two digits at least.
bool may_be_dynamic(std::string_view value) noexcept {
  return value.size() >= 2 && is(value[1], chars::kDigit);
}

// Puts a description together, line by line.
class SdpParser {
 public:
  explicit SdpParser(SessionDescription& description) noexcept : description_(description) {}

  [[nodiscard]] bool parse(std::string_view text) noexcept;

 private:
  [[nodiscard]] bool read_line(SdpLine line) noexcept;
  [[nodiscard]] bool read_other(SdpLine line) noexcept;
  [[nodiscard]] bool begin_section(SdpLine line) noexcept;
  void end_section() noexcept;
  [[nodiscard]] bool read_origin_line(SdpLine line) noexcept;
  [[nodiscard]] bool read_connection_line(SdpLine line) noexcept;
  void read_title(SdpLine line) noexcept;
  [[nodiscard]] bool read_attribute(SdpLine line) noexcept;
  [[nodiscard]] bool read_known_attribute(SdpLine line) noexcept;
  [[nodiscard]] bool read_rtcp(std::string_view value) noexcept;
  void read_flag(std::string_view value) noexcept;
  [[nodiscard]] SdpNote* add_note(Kind kind, std::string_view value) noexcept;
  [[nodiscard]] bool note(Kind kind, std::string_view value) noexcept {
    return add_note(kind, value) != nullptr;
  }

  SessionDescription& description_;
  MediaSection* section_ = nullptr;  // the last one that was begun
  const char* lines_end_ = nullptr;  // behind the last line that was read
};

bool SdpParser::parse(std::string_view text) noexcept {
  description_.has_connection = false;
  description_.connection = {};
  description_.direction = StreamDirection::sendrecv;
  description_.connects = false;
  description_.media.clear();
  description_.notes.clear();
  const bool fits = for_each_line(text, [this](SdpLine line) noexcept {
    if (!read_line(line)) return false;
    lines_end_ = line.end();
    return true;
  });
  end_section();
  return fits;
}

// Most lines are rtpmap, fmtp and their like.
[[gnu::always_inline]] inline bool SdpParser::read_line(SdpLine line) noexcept {
  return line.type() == 'a' ? read_attribute(line) : read_other(line);
}

[[gnu::always_inline]] inline bool SdpParser::read_other(SdpLine line) noexcept {
  switch (line.type()) {
    case 'm':
      return begin_section(line);
    case 'c':
      return read_connection_line(line);
    case 'o':
      return read_origin_line(line);
    case 'i':
      read_title(line);
      return true;
    default:
      return true;
  }
}

void SdpParser::end_section() noexcept {
  if (section_ != nullptr) section_->after_lines = lines_end_;
}

bool SdpParser::begin_section(SdpLine line) noexcept {
  end_section();
  section_ = description_.media.add();
  if (section_ == nullptr) return false;
  if (!read_media(line.value(), section_->line)) section_->line = {};
  section_->transport = transport_of(section_->line.protocol);
  section_->has_rtcp = section_->transport != Transport::tcp && is_rtp(section_->line.protocol);
  section_->line_end = line.line_end();
  section_->after_title = line.end();
  section_->direction = description_.direction;
  section_->connects = description_.connects;
  return true;
}

void SdpParser::read_title(SdpLine line) noexcept {
  if (section_ != nullptr && section_->after_title == lines_end_) section_->after_title = line.end();
}

bool SdpParser::read_origin_line(SdpLine line) noexcept {
  if (section_ != nullptr) return true;
  auto* const noted = add_note(Kind::origin, line.value());
  if (noted == nullptr) return false;
  read_origin(noted->value, noted->address);
  return true;
}

bool SdpParser::read_connection_line(SdpLine line) noexcept {
  auto* const noted = add_note(Kind::connection, line.value());
  if (noted == nullptr) return false;
  const bool is_ip6 = read_connection(noted->value, noted->address);
  bool& seen = section_ != nullptr ? section_->has_connection : description_.has_connection;
  if (seen) return true;
  seen = true;
  (section_ != nullptr ? section_->connection : description_.connection) = {noted->address, is_ip6};
  return true;
}

// What ends the line is in no name and no number.
[[gnu::always_inline]] inline bool SdpParser::read_attribute(SdpLine line) noexcept {
  auto rest = line.rest();
  if (take(rest, "rtpmap:")) {
    if (section_ != nullptr && may_be_dynamic(rest)) read_rtpmap(rest, section_->clocks);
    return true;
  }
  return rest.empty() || rest.front() == 'f' || read_known_attribute(line);
}

// Attributes are told by their first letters.
bool SdpParser::read_known_attribute(SdpLine line) noexcept {
  auto value = line.value();
  if (value.size() < 5) return true;
  switch (value.front()) {
    case 'a':
      return !take(value, "altc:") || note(Kind::alternative, value);
    case 'c':
      return !take(value, "candidate:") || note(Kind::candidate, value);
    case 'r':
      if (value[1] == 't' && take(value, "rtcp:")) return read_rtcp(value);
      if (value[1] == 'e' && take(value, "remote-candidates:")) return note(Kind::remote_candidates, value);
      break;
    case 'p':
      return !take(value, "path:") || note(Kind::path, value);
    case 's':
      if (take(value, "source-filter:")) return note(Kind::source_filter, value);
      break;
    default:
      break;
  }
  read_flag(value);
  return true;
}

// Not inlined, so that of most attributes little is to be saved and restored.
[[gnu::noinline]] bool SdpParser::read_rtcp(std::string_view value) noexcept {
  if (section_ != nullptr && !section_->rtcp) section_->rtcp = parse_rtcp(value);
  return note(Kind::rtcp, value);
}

void SdpParser::read_flag(std::string_view value) noexcept {
  auto& direction = section_ != nullptr ? section_->direction : description_.direction;
  switch (value.front()) {
    case 's':
      if (value == "sendrecv") direction = StreamDirection::sendrecv;
      if (value == "sendonly") direction = StreamDirection::sendonly;
      if (take(value, "setup:"))
        (section_ != nullptr ? section_->connects : description_.connects) = value == "active";
      break;
    case 'r':
      if (value == "recvonly") direction = StreamDirection::recvonly;
      if (value == "rtcp-mux-only" && section_ != nullptr) section_->has_rtcp = false;
      break;
    case 'i':
      if (value == "inactive") direction = StreamDirection::inactive;
      break;
    case 'b':
      if (value == "bundle-only" && section_ != nullptr) section_->bundle_only = true;
      break;
    case 'm':
      if (value == "msrp-cema" && section_ != nullptr) section_->is_anchored = true;
      break;
    default:
      break;
  }
}

// \return without an address; nullptr when there are too many
[[gnu::noinline]] SdpNote* SdpParser::add_note(Kind kind, std::string_view value) noexcept {
  const auto section = section_ != nullptr ? description_.media.size() - 1 : std::size_t{SdpNote::kNoSection};
  return description_.notes.add(kind, static_cast<std::uint8_t>(section), value, std::nullopt);
}

}  // namespace

std::optional<SdpAddress> parse_connection(std::string_view value) noexcept {
  std::optional<SdpAddress> address;
  (void)read_connection(value, address);
  return address;
}

std::optional<SdpAddress> parse_origin(std::string_view value) noexcept {
  std::optional<SdpAddress> address;
  read_origin(value, address);
  return address;
}

std::optional<MediaLine> parse_media(std::string_view value) noexcept {
  std::optional<MediaLine> line(std::in_place);
  if (!read_media(value, *line)) line.reset();
  return line;
}

std::optional<RtcpAttribute> parse_rtcp(std::string_view value) noexcept {
  WordReader words(value);
  const auto port = parse_port(words.next());
  if (!port) return std::nullopt;
  RtcpAttribute result;
  result.port = *port;
  WordReader probe = words;
  if (!probe.next().empty()) {
    (void)read_typed_address(words, result.address);
    result.foreign = !result.address;
  }
  return result;
}

std::optional<Candidate> parse_candidate(std::string_view value) noexcept {
  WordReader words(value);
  (void)words.next();  // foundation
  (void)words.next();  // component
  const auto transport = words.next();
  (void)words.next();  // priority
  const auto address = words.next();
  const auto port = parse_port(words.next());
  if (!port) return std::nullopt;
  Candidate result;
  if (transport.size() >= 3 && equals(slice(transport, 0, 3), "tcp")) result.protocol = nat::Protocol::tcp;
  result.address = parse_ip4(address);
  result.port = *port;
  // "typ host", then pairs of a name and a value.
  for (auto name = words.next(); !name.empty(); name = words.next()) {
    const auto text = words.next();
    if (equals(name, "raddr")) result.related_address = parse_ip4(text);
    if (equals(name, "rport")) result.related_port = parse_port(text).value_or(SdpPort{});
    if (equals(name, "tcptype")) result.connects = equals(text, "active");
  }
  return result;
}

std::optional<Alternative> parse_alternative(std::string_view value) noexcept {
  WordReader words(value);
  (void)words.next();  // its number
  if (!equals(words.next(), "ip4")) return std::nullopt;
  const auto address = parse_ip4(words.next());
  const auto ports = words.next();
  const auto slash = std::min(ports.find('/'), ports.size());
  const auto port = parse_port(slice(ports, 0, slash));
  if (!address || !port) return std::nullopt;
  Alternative result{.address = *address, .port = *port, .rtcp_port = {}};
  if (slash < ports.size()) result.rtcp_port = parse_port(slice(ports, slash + 1));
  return result;
}

std::optional<SdpAddress> parse_filter_destination(std::string_view value) noexcept {
  WordReader words(value);
  (void)words.next();  // incl or excl
  std::optional<SdpAddress> address;
  (void)read_typed_address(words, address);
  return address;
}

namespace {

// \param encoding  " opus/48000/2"
[[gnu::noinline]] void read_clock(std::string_view encoding, std::uint32_t type, RtpClocks& clocks) noexcept {
  const auto slash = encoding.find('/');
  if (slash == std::string_view::npos) return;
  std::uint32_t rate = 0;
  for (const char digit : slice(encoding, slash + 1)) {
    if (digit < '0' || digit > '9' || rate > 1'000'000) break;
    rate = rate * 10 + static_cast<std::uint32_t>(digit - '0');
  }
  clocks.set(type, rtp_clock_of(rate));
}

}  // namespace

void read_rtpmap(std::string_view value, RtpClocks& clocks) noexcept {
  std::uint32_t type = 0;
  std::size_t end = 0;
  for (; end < value.size() && is(value[end], chars::kDigit) && type < RtpClocks::kEnd; ++end)
    type = type * 10 + static_cast<unsigned>(value[end] - '0');
  const bool is_dynamic = type >= RtpClocks::kFirst && type < RtpClocks::kEnd;
  if (!is_dynamic || end == value.size() || value[end] != ' ') return;
  read_clock(slice(value, end), type, clocks);
}

std::optional<MsrpUri> parse_msrp_uri(std::string_view word) noexcept {
  const auto colon = word.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  const auto scheme = slice(word, 0, colon);
  if (!equals(scheme, "msrp") && !equals(scheme, "msrps")) return std::nullopt;
  auto authority = slice(word, colon + 3);
  authority = slice(authority, 0, std::min(authority.find_first_of("/;"), authority.size()));
  const auto at = authority.rfind('@');
  if (at != std::string_view::npos) authority = slice(authority, at + 1);
  MsrpUri uri;
  const auto end = skip(authority, 0, chars::kHost);
  uri.address = parse_ip4(slice(authority, 0, end));
  uri.port.value = kMsrpPort;
  if (end < authority.size() && authority[end] == ':') {
    const auto port = parse_port(slice(authority, end + 1));
    if (!port) return std::nullopt;
    uri.port = *port;
  }
  return uri;
}

bool parse_sdp(std::string_view text, SessionDescription& description) noexcept {
  return SdpParser(description).parse(text);
}

}  // namespace pinhole::alg::sip
