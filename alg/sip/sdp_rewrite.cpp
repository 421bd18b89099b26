// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/sdp_rewrite.hpp"

#include <array>
#include <optional>

#include "alg/sip/chars.hpp"
#include "alg/sip/line_builder.hpp"
#include "alg/sip/sdp.hpp"

namespace pinhole::alg::sip {

namespace {

// What becomes of one media section.
enum class Fate : std::uint8_t {
  left,    // not ours, or not to be told: as it was
  hidden,  // ours, but rejected (port 0) or not to be opened: the address is replaced, the port stays
  mapped,  // both are replaced
};

struct Stream {
  Fate fate = Fate::left;
  std::uint8_t section = 0;
  std::optional<nat::Ipv4Address> address;  // before, that the section's port belongs to
  nat::Endpoint rtp_before;
  nat::Endpoint rtcp_before;
  nat::Endpoint rtp;
  nat::Endpoint rtcp;
};

constexpr nat::Endpoint next_port(nat::Endpoint endpoint) noexcept {
  if (endpoint.port.host() == 65535) return endpoint;
  return {endpoint.address, nat::Be16{static_cast<std::uint16_t>(endpoint.port.host() + 1)}};
}

class SdpRewriter {
 public:
  SdpRewriter(SdpPurpose purpose, Translator& translator) noexcept
      : translator_(translator),
        outbound_(translator.direction() == Direction::outbound),
        open_(purpose == SdpPurpose::session) {}

  void rewrite(std::string_view text) noexcept;
  [[nodiscard]] std::uint32_t opened() const noexcept { return opened_; }

 private:
  void describe(std::uint8_t index) noexcept;
  void resolve(const MediaSection& section, Stream& stream) noexcept;
  void resolve_outbound(const MediaSection& section, Stream& stream) noexcept;
  void resolve_inbound(const MediaSection& section, Stream& stream) noexcept;
  void expect(const MediaSection& section, std::uint8_t index) noexcept;
  void expect_candidates(const MediaSection& section, std::uint8_t index) noexcept;
  void open_learnt(const MediaSection& section, const Stream& stream) noexcept;
  [[nodiscard]] nat::Endpoint rtcp_of(const MediaSection& section, nat::Endpoint rtp) const noexcept;

  [[nodiscard]] nat::Ipv4Address address_after(nat::Ipv4Address before) const noexcept;
  [[nodiscard]] nat::Ipv4Address address_after(const Stream& stream) const noexcept;
  [[nodiscard]] bool minds_session_address(std::size_t index) const noexcept;

  void write_session() noexcept;
  void write_section(const MediaSection& section, const Stream& stream) noexcept;
  void write_connection(const SdpLine& line, const Stream& stream) noexcept;
  void write_attribute(const SdpLine& line, const Stream& stream) noexcept;
  void write_rtcp(const RtcpAttribute& rtcp, const Stream& stream) noexcept;
  void write_candidate(const Candidate& candidate, const Stream& stream) noexcept;
  void write_candidate_endpoint(nat::Protocol protocol, const SdpAddress& address, const SdpPort& port,
                                const Stream& stream) noexcept;
  void write_remote_candidates(std::string_view value) noexcept;
  void write_new_lines(std::size_t index) noexcept;
  void insert_lines(const char* place, std::string_view first, std::string_view second) noexcept;

  Translator& translator_;
  bool outbound_;
  bool open_;
  std::uint32_t opened_ = 0;
  SessionDescription description_;
  std::array<Stream, SessionDescription::kMaxMedia> streams_;
  nat::Ipv4Address session_address_;  // after; means something when there is a session c= only
};

void SdpRewriter::rewrite(std::string_view text) noexcept {
  if (!parse_sdp(text, description_)) {
    translator_.refuse();
    return;
  }
  const auto media = description_.media();
  for (std::uint8_t i = 0; i < media.size(); ++i) {
    describe(i);
    resolve(media[i], streams_[i]);
    if (!outbound_ && open_) expect(media[i], i);
  }
  write_session();
  for (std::size_t i = 0; i < media.size(); ++i) {
    write_section(media[i], streams_[i]);
    write_new_lines(i);
  }
}

void SdpRewriter::describe(std::uint8_t index) noexcept {
  const auto& section = description_.sections[index];
  auto& stream = streams_[index];
  stream.section = index;
  const auto& connection = section.has_connection ? section.connection : description_.connection;
  if (connection) stream.address = connection->value;
  if (!open_ || translator_.given_up()) return;
  const bool nowhere = stream.address && stream.address->is_unspecified();
  translator_.host().describe({.section = index,
                               .rejected = section.line.port.value == 0 && !section.bundle_only,
                               .held = nowhere || section.direction != StreamDirection::sendrecv});
}

void SdpRewriter::resolve(const MediaSection& section, Stream& stream) noexcept {
  if (!stream.address || translator_.given_up()) return;
  if (section.line.port.value == 0) {
    // Rejected, and yet its attributes may name one of ours.
    if (outbound_ && translator_.is_ours(*stream.address)) stream.fate = Fate::hidden;
    return;
  }
  stream.rtp_before = {*stream.address, nat::Be16{section.line.port.value}};
  if (!translator_.is_ours(*stream.address)) {
    if (outbound_ && open_) open_learnt(section, stream);
    return;
  }
  stream.rtcp_before = rtcp_of(section, stream.rtp_before);
  if (outbound_) {
    resolve_outbound(section, stream);
  } else {
    resolve_inbound(section, stream);
  }
}

void SdpRewriter::resolve_outbound(const MediaSection& section, Stream& stream) noexcept {
  stream.fate = Fate::hidden;
  if (!open_ || section.line.port.value < kFirstMediaPort) return;
  if (section.is_tcp()) {
    const auto target = translator_.counterpart(nat::Protocol::tcp, stream.rtp_before);
    if (!target) return;
    stream.rtp = stream.rtcp = *target;
  } else {
    const auto lookup = translator_.host().open_media(
        {.rtp = stream.rtp_before, .rtcp = stream.rtcp_before, .section = stream.section});
    if (!translator_.note(lookup.state)) return;
    stream.rtp = lookup.rtp;
    stream.rtcp = lookup.rtcp;
    ++opened_;
  }
  stream.fate = Fate::mapped;
}

void SdpRewriter::resolve_inbound(const MediaSection& section, Stream& stream) noexcept {
  if (!open_) return;  // its port was not translated on the way out
  const auto protocol = section.is_tcp() ? nat::Protocol::tcp : nat::Protocol::udp;
  const auto rtp = translator_.counterpart(protocol, stream.rtp_before);
  if (!rtp) return;
  stream.fate = Fate::mapped;
  stream.rtp = *rtp;
  stream.rtcp = *rtp;
  if (stream.rtcp_before == stream.rtp_before) return;
  stream.rtcp = translator_.counterpart(protocol, stream.rtcp_before).value_or(next_port(*rtp));
}

// Where the remote end wants its media; it may be one of ours, for a call between two hosts of the inside.
void SdpRewriter::expect(const MediaSection& section, std::uint8_t index) noexcept {
  const auto& stream = streams_[index];
  if (section.line.port.value == 0 || translator_.given_up()) return;
  if (stream.address && !stream.address->is_unspecified()) {
    const nat::Endpoint rtp{*stream.address, nat::Be16{section.line.port.value}};
    nat::Endpoint rtcp = rtp;
    if (section.rtcp && !section.rtcp->foreign) {
      const auto& written = *section.rtcp;
      rtcp = {written.address ? written.address->value : rtp.address, nat::Be16{written.port.value}};
    } else if (section.is_rtp() && !section.is_tcp()) {
      rtcp = next_port(rtp);
    }
    translator_.host().expect_media_from(index, rtp, rtcp);
  }
  expect_candidates(section, index);
}

void SdpRewriter::expect_candidates(const MediaSection& section, std::uint8_t index) noexcept {
  SdpLineReader lines(section.text);
  while (const auto line = lines.next()) {
    const auto text = line->type == 'a' ? attribute(*line, "candidate") : std::nullopt;
    const auto candidate = text ? parse_candidate(*text) : std::nullopt;
    if (!candidate || !candidate->address) continue;
    const nat::Endpoint endpoint{candidate->address->value, nat::Be16{candidate->port.value}};
    translator_.host().expect_media_from(index, endpoint, endpoint);
  }
}

// A phone that learnt its external endpoint by STUN announces that: nothing is replaced, but the media has to
// be let in all the same (requirement AC-05).
void SdpRewriter::open_learnt(const MediaSection& section, const Stream& stream) noexcept {
  auto& host = translator_.host();
  if (section.is_tcp() || !host.is_external(*stream.address)) return;
  const auto rtp = host.inside_of(nat::Protocol::udp, stream.rtp_before);
  if (!translator_.note(rtp.state) || rtp.endpoint.address != translator_.flow().inside.address) return;
  if (rtp.endpoint.port.host() < kFirstMediaPort) return;
  auto rtcp_inside = rtp.endpoint;
  if (section.is_rtp()) {
    const auto external = section.rtcp && !section.rtcp->address
                              ? nat::Endpoint{*stream.address, nat::Be16{section.rtcp->port.value}}
                              : next_port(stream.rtp_before);
    const auto rtcp = host.inside_of(nat::Protocol::udp, external);
    const bool found = translator_.note(rtcp.state);
    if (found && rtcp.endpoint.address == rtp.endpoint.address) rtcp_inside = rtcp.endpoint;
  }
  const auto lookup = host.open_media({.rtp = rtp.endpoint, .rtcp = rtcp_inside, .section = stream.section});
  if (translator_.note(lookup.state)) ++opened_;
}

nat::Endpoint SdpRewriter::rtcp_of(const MediaSection& section, nat::Endpoint rtp) const noexcept {
  if (!section.is_rtp() || section.is_tcp()) return rtp;
  if (!section.rtcp) return next_port(rtp);
  const auto& written = *section.rtcp;
  const auto address = written.address ? written.address->value : rtp.address;
  const bool usable =
      !written.foreign && written.port.value >= kFirstMediaPort && translator_.is_ours(address);
  return usable ? nat::Endpoint{address, nat::Be16{written.port.value}} : rtp;
}

// The address that stands for one of ours where no port goes with it: that of its media, else that of the
// signalling.
nat::Ipv4Address SdpRewriter::address_after(nat::Ipv4Address before) const noexcept {
  for (std::size_t i = 0; i < description_.section_count; ++i) {
    const auto& stream = streams_[i];
    if (stream.fate == Fate::mapped && stream.rtp_before.address == before) return stream.rtp.address;
  }
  return outbound_ && translator_.is_ours(before) ? translator_.flow().external.address : before;
}

nat::Ipv4Address SdpRewriter::address_after(const Stream& stream) const noexcept {
  return stream.fate == Fate::mapped ? stream.rtp.address : address_after(*stream.address);
}

// True for a section whose address is that of the session.
bool SdpRewriter::minds_session_address(std::size_t index) const noexcept {
  const auto& section = description_.sections[index];
  return !section.has_connection && section.line.port.value != 0;
}

void SdpRewriter::write_session() noexcept {
  SdpLineReader lines(description_.session);
  while (const auto line = lines.next()) {
    if (line->type != 'o') continue;
    const auto origin = parse_origin(line->value);
    if (!origin) continue;
    // Outbound by the flow, not by the media, so that it is the same for as long as the session lives.
    const auto after = outbound_ && translator_.is_ours(origin->value) ? translator_.flow().external.address
                                                                       : address_after(origin->value);
    translator_.use(Rule::sdp_origin);
    translator_.replace_address(origin->token, after);
  }
  if (!description_.connection) return;
  session_address_ = address_after(description_.connection->value);
  for (std::size_t i = 0; i < description_.section_count; ++i) {
    if (!minds_session_address(i)) continue;
    session_address_ = address_after(streams_[i]);
    break;
  }
  translator_.use(Rule::sdp_connection);
  translator_.replace_address(description_.connection->token, session_address_);
}

void SdpRewriter::write_section(const MediaSection& section, const Stream& stream) noexcept {
  if (stream.fate == Fate::mapped) {
    translator_.use(Rule::sdp_media);
    translator_.replace_number(section.line.port.token, stream.rtp.port.host());
  }
  SdpLineReader lines(section.text);
  while (const auto line = lines.next()) {
    if (line->type == 'c') write_connection(*line, stream);
    if (line->type == 'a') write_attribute(*line, stream);
  }
}

void SdpRewriter::write_connection(const SdpLine& line, const Stream& stream) noexcept {
  const auto connection = parse_connection(line.value);
  if (!connection) return;
  const bool own = stream.fate != Fate::left && connection->value == *stream.address;
  translator_.use(Rule::sdp_connection);
  translator_.replace_address(connection->token,
                              own ? address_after(stream) : address_after(connection->value));
}

void SdpRewriter::write_attribute(const SdpLine& line, const Stream& stream) noexcept {
  if (const auto remote = attribute(line, "remote-candidates")) {
    if (!outbound_) write_remote_candidates(*remote);
    return;
  }
  if (stream.fate == Fate::left) return;
  if (const auto value = attribute(line, "rtcp")) {
    if (const auto rtcp = parse_rtcp(*value)) write_rtcp(*rtcp, stream);
  } else if (const auto text = attribute(line, "candidate")) {
    if (const auto candidate = parse_candidate(*text)) write_candidate(*candidate, stream);
  }
}

void SdpRewriter::write_rtcp(const RtcpAttribute& rtcp, const Stream& stream) noexcept {
  translator_.use(Rule::sdp_rtcp);
  const auto before = rtcp.address ? rtcp.address->value : *stream.address;
  const bool mapped =
      stream.fate == Fate::mapped && stream.rtcp_before == nat::Endpoint{before, nat::Be16{rtcp.port.value}};
  if (!mapped) {
    if (rtcp.address) translator_.replace_address(rtcp.address->token, address_after(before));
    return;
  }
  if (rtcp.address) {
    translator_.replace_number(rtcp.port.token, stream.rtcp.port.host());
    translator_.replace_address(rtcp.address->token, stream.rtcp.address);
  } else if (stream.rtcp.address == stream.rtp.address) {
    translator_.replace_number(rtcp.port.token, stream.rtcp.port.host());
  } else {
    translator_.replace(rtcp.port.token, LineBuilder<32>()
                                             .number(stream.rtcp.port.host())
                                             .text(" IN IP4 ")
                                             .address(stream.rtcp.address)
                                             .view());
  }
}

// The default candidate is the endpoint of c= and m=; since that is replaced, every candidate of ours is, or
// the peer would find a mismatch (RFC 8445 section 5.4). A candidate is reached through the mapping that the
// phone's own checks open, so that it needs no pinhole.
void SdpRewriter::write_candidate(const Candidate& candidate, const Stream& stream) noexcept {
  translator_.use(Rule::sdp_candidate);
  if (candidate.address) {
    write_candidate_endpoint(candidate.protocol, *candidate.address, candidate.port, stream);
  }
  if (candidate.related_address && !candidate.related_port.token.empty()) {
    write_candidate_endpoint(candidate.protocol, *candidate.related_address, candidate.related_port, stream);
  }
}

void SdpRewriter::write_candidate_endpoint(nat::Protocol protocol, const SdpAddress& address,
                                           const SdpPort& port, const Stream& stream) noexcept {
  if (!translator_.is_ours(address.value)) return;
  const nat::Endpoint before{address.value, nat::Be16{port.value}};
  std::optional<nat::Endpoint> after;
  if (stream.fate == Fate::mapped && protocol == nat::Protocol::udp && before == stream.rtp_before) {
    after = stream.rtp;
  } else if (stream.fate == Fate::mapped && protocol == nat::Protocol::udp && before == stream.rtcp_before) {
    after = stream.rtcp;
  } else if (open_ && port.value >= kFirstMediaPort) {
    after = translator_.counterpart(protocol, before);
  }
  translator_.replace_address(address.token, after ? after->address : address_after(address.value));
  if (after) translator_.replace_number(port.token, after->port.host());
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
    const auto after = translator_.counterpart(nat::Protocol::udp, {*address, nat::Be16{*port}});
    if (!after) continue;
    translator_.replace_address(address_text, after->address);
    translator_.replace_number(port_text, after->port.host());
  }
}

// Lines that the original did without: c= where a stream got another address than the session, a=rtcp where
// RTCP did not get the port after RTP (RFC 3605).
void SdpRewriter::write_new_lines(std::size_t index) noexcept {
  const auto& section = description_.sections[index];
  const auto& stream = streams_[index];
  LineBuilder<40> connection;
  if (description_.connection && minds_session_address(index) && address_after(stream) != session_address_) {
    connection.text("c=IN IP4 ").address(address_after(stream));
  }
  LineBuilder<48> rtcp;
  const bool says_rtcp = section.rtcp.has_value() || section.line.protocol.empty();
  if (stream.fate == Fate::mapped && !says_rtcp && stream.rtcp_before != stream.rtp_before &&
      stream.rtcp != next_port(stream.rtp)) {
    rtcp.text("a=rtcp:").number(stream.rtcp.port.host());
    if (stream.rtcp.address != stream.rtp.address) rtcp.text(" IN IP4 ").address(stream.rtcp.address);
  }
  translator_.use(rtcp.view().empty() ? Rule::sdp_connection : Rule::sdp_rtcp);
  if (section.after_title == section.after_lines) {
    insert_lines(section.after_title, connection.view(), rtcp.view());
  } else {
    insert_lines(section.after_title, connection.view(), {});
    insert_lines(section.after_lines, rtcp.view(), {});
  }
}

// \param place the beginning of a line, or the end of a description whose last line has no line end.
void SdpRewriter::insert_lines(const char* place, std::string_view first, std::string_view second) noexcept {
  LineBuilder<96> lines;
  const bool line_start = place[-1] == '\n';
  for (const auto line : {first, second}) {
    if (line.empty()) continue;
    if (!line_start) lines.text("\r\n");
    lines.text(line);
    if (line_start) lines.text("\r\n");
  }
  translator_.insert(place, lines.view());
}

}  // namespace

std::uint32_t rewrite_sdp(std::string_view sdp, SdpPurpose purpose, Translator& translator) noexcept {
  SdpRewriter rewriter(purpose, translator);
  rewriter.rewrite(sdp);
  return rewriter.opened();
}

}  // namespace pinhole::alg::sip
