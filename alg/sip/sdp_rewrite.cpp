// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/sdp_rewrite.hpp"

#include <optional>

#include "alg/sip/chars.hpp"
#include "alg/sip/line_builder.hpp"
#include "alg/sip/sdp.hpp"

namespace pinhole::alg::sip {

namespace {

class SdpRewriter {
 public:
  SdpRewriter(SdpPurpose purpose, const SessionDescription& description, Translator& translator) noexcept
      : translator_(translator), description_(description), streams_(purpose, description, translator) {}

  void rewrite() noexcept;
  [[nodiscard]] std::uint32_t opened() const noexcept { return streams_.opened(); }

 private:
  [[nodiscard]] bool minds_session_address(std::size_t index) const noexcept;
  [[nodiscard]] nat::Ipv4Address session_address_after() noexcept;

  void write_media(const MediaSection& section, const Stream& stream) noexcept;
  void write_note(const SdpNote& note) noexcept;
  void write_attribute(const SdpNote& note, const Stream* stream) noexcept;
  void write_origin(const SdpAddress& origin) noexcept;
  void write_connection(const SdpAddress& connection, const Stream* stream, Rule rule) noexcept;
  void write_rtcp(const RtcpAttribute& rtcp, const Stream* stream) noexcept;
  void write_candidate(const Candidate& candidate, const Stream* stream) noexcept;
  void write_candidate_endpoint(const Candidate& candidate, const SdpAddress& address, const SdpPort& port,
                                const Stream* stream) noexcept;
  void write_remote_candidates(std::string_view value) noexcept;
  void write_path(std::string_view value, const Stream& stream) noexcept;
  void write_alternative(const Alternative& alternative, const Stream* stream) noexcept;
  void write_new_lines(std::size_t index) noexcept;
  void insert_lines(const char* place, std::string_view line_end, std::string_view first,
                    std::string_view second) noexcept;

  Translator& translator_;
  const SessionDescription& description_;
  SdpStreams streams_;
  nat::Ipv4Address session_address_;  // after; means something when there is a session c= only
};

void SdpRewriter::rewrite() noexcept {
  streams_.resolve();
  if (description_.connection.address) session_address_ = session_address_after();
  const auto* note = description_.notes.begin();
  const auto* const end = description_.notes.end();
  for (; note != end && note->section == SdpNote::kNoSection; ++note) write_note(*note);
  for (std::size_t i = 0; i < description_.media.size(); ++i) {
    write_media(description_.media[i], streams_[i]);
    for (; note != end && note->section == i; ++note) write_note(*note);
    write_new_lines(i);
  }
}

// True for a section whose address is that of the session.
bool SdpRewriter::minds_session_address(std::size_t index) const noexcept {
  const auto& section = description_.media[index];
  return !section.has_connection && section.line.port.value != 0;
}

nat::Ipv4Address SdpRewriter::session_address_after() noexcept {
  for (std::size_t i = 0; i < description_.media.size(); ++i) {
    if (minds_session_address(i)) return streams_.address_after(streams_[i]);
  }
  return streams_.address_after(description_.connection.address->value);
}

void SdpRewriter::write_media(const MediaSection& section, const Stream& stream) noexcept {
  if (stream.fate != Fate::mapped) return;
  translator_.use(Rule::sdp_media);
  const auto& line = section.line;
  if (line.port_count <= 1 || stream.port_count == line.port_count) {
    translator_.replace_number(line.port.token, stream.rtp.port.host());
    return;
  }
  LineBuilder<16> ports;
  ports.number(stream.rtp.port.host());
  if (stream.port_count > 1) ports.text("/").number(stream.port_count);
  translator_.replace({line.port.token.data(), line.port.token.size() + line.port_count_token.size()},
                      ports.view());
}

void SdpRewriter::write_note(const SdpNote& note) noexcept {
  const auto* const stream = note.section == SdpNote::kNoSection ? nullptr : &streams_[note.section];
  switch (note.kind) {
    case SdpNote::Kind::origin:
      if (note.address) write_origin(*note.address);
      return;
    case SdpNote::Kind::connection:
      if (note.address) write_connection(*note.address, stream, Rule::sdp_connection);
      return;
    default:
      return write_attribute(note, stream);
  }
}

// Not inlined: o= and c= are in every description, and need no room on the stack.
[[gnu::noinline]] void SdpRewriter::write_attribute(const SdpNote& note, const Stream* stream) noexcept {
  switch (note.kind) {
    case SdpNote::Kind::origin:
    case SdpNote::Kind::connection:
      return;  // no attributes
    case SdpNote::Kind::rtcp:
      if (const auto rtcp = parse_rtcp(note.value)) write_rtcp(*rtcp, stream);
      return;
    case SdpNote::Kind::candidate:
      if (stream == nullptr || !stream->moves_candidates) return;
      if (const auto candidate = parse_candidate(note.value)) write_candidate(*candidate, stream);
      return;
    case SdpNote::Kind::path:
      if (stream != nullptr && stream->fate != Fate::left) write_path(note.value, *stream);
      return;
    case SdpNote::Kind::remote_candidates:
      return write_remote_candidates(note.value);
    case SdpNote::Kind::alternative:
      if (const auto alternative = parse_alternative(note.value)) write_alternative(*alternative, stream);
      return;
    case SdpNote::Kind::source_filter:
      // It has to name the address of c=, or it filters something else (RFC 4570 section 3).
      if (const auto to = parse_filter_destination(note.value))
        write_connection(*to, stream, Rule::sdp_source_filter);
      return;
  }
}

// Outbound by the flow, not by the media, so that it is the same for as long as the session lives.
void SdpRewriter::write_origin(const SdpAddress& origin) noexcept {
  translator_.use(Rule::sdp_origin);
  translator_.replace_address(origin.token, streams_.outbound() ? streams_.hidden(origin.value)
                                                                : streams_.address_after(origin.value));
}

void SdpRewriter::write_connection(const SdpAddress& connection, const Stream* stream, Rule rule) noexcept {
  // A stream of another host that stays outside keeps its address with its port.
  if (!streams_.outbound() && stream != nullptr && stream->fate == Fate::left) return;
  translator_.use(rule);
  const bool own = stream != nullptr && stream->fate != Fate::left && connection.value == *stream->address;
  const auto& session = description_.connection.address;
  auto after = streams_.address_after(connection.value);
  if (own) after = streams_.address_after(*stream);
  if (stream == nullptr && session && session->value == connection.value) after = session_address_;
  translator_.replace_address(connection.token, after);
}

void SdpRewriter::write_rtcp(const RtcpAttribute& rtcp, const Stream* stream) noexcept {
  translator_.use(Rule::sdp_rtcp);
  const auto before = rtcp.address ? rtcp.address->value : stream != nullptr ? stream->address : std::nullopt;
  if (!before) return;
  const bool mapped = stream != nullptr && stream->has_rtcp &&
                      stream->rtcp_before == nat::Endpoint{*before, nat::Be16{rtcp.port.value}};
  if (!mapped) {
    const bool goes = rtcp.address && (stream == nullptr || stream->moves_candidates);
    if (goes) translator_.replace_address(rtcp.address->token, streams_.address_after(*before));
    return;
  }
  if (rtcp.address) {
    translator_.replace_number(rtcp.port.token, stream->rtcp.port.host());
    translator_.replace_address(rtcp.address->token, stream->rtcp.address);
  } else if (stream->rtcp.address == stream->rtp.address) {
    translator_.replace_number(rtcp.port.token, stream->rtcp.port.host());
  } else {
    translator_.replace(rtcp.port.token, LineBuilder<32>()
                                             .number(stream->rtcp.port.host())
                                             .text(" IN IP4 ")
                                             .address(stream->rtcp.address)
                                             .view());
  }
}

// The default candidate is the endpoint of c= and m=; since that is replaced, every candidate of ours is, or
// the peer would find a mismatch (RFC 8445 section 5.4).
void SdpRewriter::write_candidate(const Candidate& candidate, const Stream* stream) noexcept {
  translator_.use(Rule::sdp_candidate);
  if (candidate.address) write_candidate_endpoint(candidate, *candidate.address, candidate.port, stream);
  if (!candidate.related_address) return;
  const auto& related = *candidate.related_address;
  if (!candidate.related_port.token.empty()) {
    write_candidate_endpoint(candidate, related, candidate.related_port, stream);
  } else if (streams_.is_ours(related.value)) {
    translator_.replace_address(related.token, streams_.address_after(related.value));
  }
}

void SdpRewriter::write_candidate_endpoint(const Candidate& candidate, const SdpAddress& address,
                                           const SdpPort& port, const Stream* stream) noexcept {
  if (!streams_.is_ours(address.value)) return;
  const auto after = streams_.candidate_after(candidate, {address.value, nat::Be16{port.value}}, stream);
  if (after) {
    translator_.replace_address(address.token, after->address);
    translator_.replace_number(port.token, after->port.host());
  } else if (translator_.direction() == Direction::outbound || candidate.connects) {
    // On the way in, a port that stays is that of another host, and so is its address; one that connects has
    // none.
    translator_.replace_address(address.token, streams_.address_after(address.value));
  }
}

// "1 192.0.2.1 45664 2 192.0.2.1 45665": the candidates of the side that receives this (RFC 8839
// section 5.2).
void SdpRewriter::write_remote_candidates(std::string_view value) noexcept {
  translator_.use(Rule::sdp_remote_candidates);
  WordReader words(value);
  while (!words.next().empty()) {
    const auto address_text = words.next();
    const auto port_text = words.next();
    const auto address = nat::Ipv4Address::parse(address_text);
    const auto port = port_number(port_text);
    if (!address || !port) continue;
    const auto after = streams_.remote_candidate_after({*address, nat::Be16{*port}});
    if (!after) continue;
    translator_.replace_address(address_text, after->address);
    translator_.replace_number(port_text, after->port.host());
  }
}

// Without CEMA the first URI says where to connect to, and has to agree with c= and m= (RFC 4975 section 8.1,
// RFC 6714 section 4).
void SdpRewriter::write_path(std::string_view value, const Stream& stream) noexcept {
  if (description_.media[stream.section].is_anchored) return;
  translator_.use(Rule::sdp_path);
  WordReader words(value);
  for (auto word = words.next(); !word.empty(); word = words.next()) {
    const auto uri = parse_msrp_uri(word);
    if (!uri || !uri->address || !streams_.is_ours(uri->address->value)) continue;
    const nat::Endpoint before{uri->address->value, nat::Be16{uri->port.value}};
    const bool is_default = stream.fate == Fate::mapped && before == stream.rtp_before;
    const auto after = is_default ? stream.rtp : streams_.counterpart(nat::Protocol::tcp, before);
    if (!after && translator_.direction() == Direction::inbound) continue;  // that of another host
    const auto& host = uri->address->token;
    translator_.replace_address(host, after ? after->address : streams_.address_after(before.address));
    if (!after || after->port == before.port) continue;
    if (uri->port.token.empty()) {
      translator_.insert(host.data() + host.size(),
                         LineBuilder<6>().text(":").number(after->port.host()).view());
    } else {
      translator_.replace_number(uri->port.token, after->port.host());
    }
  }
}

// An alternative to c= and m=, which has to agree with them where it is the same endpoint (RFC 6947
// section 4.2).
void SdpRewriter::write_alternative(const Alternative& alternative, const Stream* stream) noexcept {
  if (!streams_.is_ours(alternative.address.value)) return;
  translator_.use(Rule::sdp_alternative);
  const auto after = streams_.alternative_after(alternative, stream);
  if (!after) {
    // On the way in, a port that stays is that of another host, and so is its address.
    if (streams_.outbound())
      translator_.replace_address(alternative.address.token,
                                  streams_.address_after(alternative.address.value));
    return;
  }
  translator_.replace_address(alternative.address.token, after->rtp.address);
  const auto& port = alternative.port.token;
  translator_.replace_number(port, after->rtp.port.host());
  if (alternative.rtcp_port) {
    translator_.replace_number(alternative.rtcp_port->token, after->rtcp.port.host());
  } else if (after->rtcp != after->rtp && after->rtcp != next_port(after->rtp)) {
    translator_.insert(port.data() + port.size(),
                       LineBuilder<6>().text("/").number(after->rtcp.port.host()).view());
  }
}

// Lines that the original did without: c= where a stream got another address than the session, a=rtcp where
// RTCP did not get the port after RTP (RFC 3605).
void SdpRewriter::write_new_lines(std::size_t index) noexcept {
  const auto& section = description_.media[index];
  const auto& stream = streams_[index];
  LineBuilder<40> connection;
  if (description_.connection.address && minds_session_address(index) &&
      streams_.address_after(stream) != session_address_) {
    connection.text("c=IN IP4 ").address(streams_.address_after(stream));
  }
  LineBuilder<48> rtcp;
  const bool says_rtcp = section.rtcp.has_value() || section.line.protocol.empty();
  if (stream.fate == Fate::mapped && !says_rtcp && stream.rtcp_before != stream.rtp_before &&
      stream.rtcp != next_port(stream.rtp)) {
    rtcp.text("a=rtcp:").number(stream.rtcp.port.host());
    if (stream.rtcp.address != stream.rtp.address) rtcp.text(" IN IP4 ").address(stream.rtcp.address);
  }
  translator_.use(rtcp.view().empty() ? Rule::sdp_connection : Rule::sdp_rtcp);
  if (connection.view().empty() && rtcp.view().empty()) return;
  if (section.after_title == section.after_lines) {
    insert_lines(section.after_title, section.line_end, connection.view(), rtcp.view());
  } else {
    insert_lines(section.after_title, section.line_end, connection.view(), {});
    insert_lines(section.after_lines, section.line_end, rtcp.view(), {});
  }
}

// \param place the beginning of a line, or the end of a description whose last line has no line end.
void SdpRewriter::insert_lines(const char* place, std::string_view line_end, std::string_view first,
                               std::string_view second) noexcept {
  if (first.empty() && second.empty()) return;
  LineBuilder<96> lines;
  const bool line_start = is(place[-1], chars::kLineEnd);
  if (line_end.empty()) line_end = "\r\n";
  for (const auto line : {first, second}) {
    if (line.empty()) continue;
    if (!line_start) lines.text(line_end);
    lines.text(line);
    if (line_start) lines.text(line_end);
  }
  translator_.insert(place, lines.view());
}

}  // namespace

std::uint32_t rewrite_sdp(std::string_view sdp, SdpPurpose purpose, Translator& translator) noexcept {
  SessionDescription description;
  if (!parse_sdp(sdp, description)) {
    translator.refuse();
    return 0;
  }
  SdpRewriter rewriter(purpose, description, translator);
  rewriter.rewrite();
  return rewriter.opened();
}

}  // namespace pinhole::alg::sip
