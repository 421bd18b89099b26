// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/sdp.hpp"

#include <algorithm>

#include "alg/sip/chars.hpp"

namespace pinhole::alg::sip {

namespace {

std::optional<SdpPort> parse_port(std::string_view token) noexcept {
  const auto value = port_number(token);
  if (!value) return std::nullopt;
  return SdpPort{token, *value};
}

std::optional<SdpAddress> parse_ip4(std::string_view token) noexcept {
  const auto value = nat::Ipv4Address::parse(token);
  if (!value) return std::nullopt;
  return SdpAddress{token, *value};
}

// The address after "IN IP4".
std::optional<SdpAddress> parse_typed_address(WordReader& words) noexcept {
  if (!equals(words.next(), "in") || !equals(words.next(), "ip4")) return std::nullopt;
  const auto word = words.next();
  return parse_ip4(slice(word, 0, std::min(word.find('/'), word.size())));
}

std::optional<StreamDirection> parse_direction(std::string_view name) noexcept {
  if (name == "sendrecv") return StreamDirection::sendrecv;
  if (name == "sendonly") return StreamDirection::sendonly;
  if (name == "recvonly") return StreamDirection::recvonly;
  if (name == "inactive") return StreamDirection::inactive;
  return std::nullopt;
}

void read_section_attribute(const SdpLine& line, MediaSection& section) noexcept {
  if (const auto direction = parse_direction(line.value)) {
    section.direction = *direction;
  } else if (line.value == "bundle-only") {
    section.bundle_only = true;
  } else if (!section.rtcp) {
    if (const auto value = attribute(line, "rtcp")) section.rtcp = parse_rtcp(*value);
  }
}

void read_section_line(const SdpLine& line, MediaSection& section) noexcept {
  section.after_lines = line.end;
  if (line.type == 'i' && line.begin == section.after_title) {
    section.after_title = line.end;
  } else if (line.type == 'c' && !section.has_connection) {
    section.has_connection = true;
    section.connection = parse_connection(line.value);
  } else if (line.type == 'a') {
    read_section_attribute(line, section);
  }
}

}  // namespace

std::optional<SdpLine> SdpLineReader::next() noexcept {
  while (!rest_.empty()) {
    const auto end = std::min(rest_.find('\n'), rest_.size());
    const auto after = std::min(end + 1, rest_.size());
    auto text = slice(rest_, 0, end);
    const char* const begin = rest_.data();
    rest_ = slice(rest_, after);
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
    if (text.size() >= 2 && text[1] == '=') return SdpLine{text[0], slice(text, 2), begin, rest_.data()};
  }
  return std::nullopt;
}

std::string_view WordReader::next() noexcept {
  const auto begin = skip(rest_, 0, chars::kBlank);
  const auto end = skip_to(rest_, begin, chars::kBlank);
  const auto word = slice(rest_, begin, end);
  rest_ = slice(rest_, end);
  return word;
}

std::optional<SdpAddress> parse_connection(std::string_view value) noexcept {
  WordReader words(value);
  return parse_typed_address(words);
}

std::optional<SdpAddress> parse_origin(std::string_view value) noexcept {
  WordReader words(value);
  for (int word = 0; word < 3; ++word) (void)words.next();  // user name, session id, version
  return parse_typed_address(words);
}

std::optional<MediaLine> parse_media(std::string_view value) noexcept {
  WordReader words(value);
  MediaLine line;
  line.kind = words.next();
  const auto ports = words.next();
  const auto slash = std::min(ports.find('/'), ports.size());
  const auto port = parse_port(slice(ports, 0, slash));
  const auto count =
      slash == ports.size() ? std::optional<std::uint16_t>{1} : port_number(slice(ports, slash + 1));
  line.protocol = words.next();
  if (!port || !count || line.protocol.empty()) return std::nullopt;
  line.port = *port;
  line.port_count = *count;
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
    result.address = parse_typed_address(words);
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
  if (equals(transport, "tcp")) result.protocol = nat::Protocol::tcp;
  result.address = parse_ip4(address);
  result.port = *port;
  // "typ host", then pairs of a name and a value.
  for (auto name = words.next(); !name.empty(); name = words.next()) {
    const auto text = words.next();
    if (equals(name, "raddr")) result.related_address = parse_ip4(text);
    if (equals(name, "rport")) result.related_port = parse_port(text).value_or(SdpPort{});
  }
  return result;
}

std::optional<std::string_view> attribute(const SdpLine& line, std::string_view name) noexcept {
  if (line.type != 'a' || line.value.size() <= name.size() || line.value[name.size()] != ':' ||
      slice(line.value, 0, name.size()) != name) {
    return std::nullopt;
  }
  return slice(line.value, name.size() + 1);
}

bool MediaSection::is_rtp() const noexcept {
  return line.protocol.find("RTP/") != std::string_view::npos;
}

bool MediaSection::is_tcp() const noexcept {
  return line.protocol.size() >= 3 && equals(slice(line.protocol, 0, 3), "tcp");
}

bool parse_sdp(std::string_view text, SessionDescription& description) noexcept {
  description.session = text;
  description.connection.reset();
  description.direction = StreamDirection::sendrecv;
  description.section_count = 0;
  MediaSection* section = nullptr;
  SdpLineReader lines(text);
  while (const auto line = lines.next()) {
    if (line->type == 'm') {
      if (description.section_count == SessionDescription::kMaxMedia) return false;
      auto& before = section != nullptr ? section->text : description.session;
      before = {before.data(), static_cast<std::size_t>(line->begin - before.data())};
      section = &description.sections[description.section_count++];
      *section = {};
      section->direction = description.direction;
      section->text = {line->begin, static_cast<std::size_t>(text.data() + text.size() - line->begin)};
      section->line = parse_media(line->value).value_or(MediaLine{});
      section->after_title = section->after_lines = line->end;
    } else if (section != nullptr) {
      read_section_line(*line, *section);
    } else if (line->type == 'c' && !description.connection) {
      description.connection = parse_connection(line->value);
    } else if (line->type == 'a') {
      description.direction = parse_direction(line->value).value_or(description.direction);
    }
  }
  return true;
}

}  // namespace pinhole::alg::sip
