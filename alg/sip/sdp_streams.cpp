// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/sdp_streams.hpp"

#include <algorithm>

namespace pinhole::alg::sip {

namespace {

nat::Endpoint shifted(nat::Endpoint endpoint, unsigned by) noexcept {
  return {endpoint.address, nat::Be16{static_cast<std::uint16_t>(endpoint.port.host() + by)}};
}

bool is_unspecified(const Stream& stream) noexcept {
  return stream.address && stream.address->is_unspecified();
}

}  // namespace

SdpStreams::SdpStreams(SdpPurpose purpose, const SessionDescription& description,
                       Translator& translator) noexcept
    : translator_(translator),
      description_(description),
      purpose_(purpose),
      outbound_(translator.direction() == Direction::outbound),
      restores_all_(translator.policy().local_media == LocalMedia::direct) {
}

void SdpStreams::resolve() noexcept {
  for (const auto& section : description_.media) {
    auto* const stream = streams_.add();
    if (stream == nullptr) return;
    stream->section = static_cast<std::uint8_t>(streams_.size() - 1);
    const auto& connection = connection_of(section);
    if (connection.address) stream->address = connection.address->value;
    if (section.transport == Transport::tcp) stream->protocol = nat::Protocol::tcp;
    resolve_one(section, *stream);
    describe(section, *stream);
    if (!outbound_ && purpose_ == SdpPurpose::session) expect(section, *stream);
  }
  if (!outbound_ && purpose_ != SdpPurpose::information) expect_candidates();
}

void SdpStreams::describe(const MediaSection& section, const Stream& stream) noexcept {
  if (purpose_ != SdpPurpose::session || translator_.given_up()) return;
  const bool rejected = section.line.port.value == 0 && !section.bundle_only;
  // What is put back to inside endpoints goes from host to host, and is never heard of.
  const bool passes_by = !outbound_ && stream.fate == Fate::mapped;
  const bool held = passes_by || is_unspecified(stream) || section.direction != StreamDirection::sendrecv;
  translator_.host().describe({.section = stream.section,
                               .rejected = rejected,
                               .held = held && !rejected,  // a=inactive often goes with port 0
                               .nowhere = held && !rejected && names_nothing(section, stream),
                               .clocks = section.clocks});
}

void SdpStreams::resolve_one(const MediaSection& section, Stream& stream) noexcept {
  if (translator_.given_up()) return;
  if (purpose_ == SdpPurpose::trickle || names_nothing(section, stream))
    return resolve_without_default(section, stream);
  if (!stream.address) return;
  stream.rtp_before = {*stream.address, nat::Be16{section.line.port.value}};
  if (section.line.port.value == 0) {
    // Rejected, or carried by another stream; and yet its attributes may name one of ours.
    if (outbound_ && is_ours(*stream.address)) stream.fate = Fate::hidden;
  } else if (is_ours(*stream.address)) {
    find_rtcp(section, stream);
    if (outbound_) {
      resolve_outbound(section, stream);
    } else {
      resolve_inbound(section, stream);
    }
  } else if (outbound_ && purpose_ == SdpPurpose::session) {
    open_learnt(section, stream);
  }
  stream.moves_candidates = stream.fate != Fate::left;
}

// A default of no address, or of one that is never translated, cannot contradict a candidate that is: while a
// stream is held by c=0.0.0.0, or its candidates are still to come. What else it names goes with them.
void SdpStreams::resolve_without_default(const MediaSection& section, Stream& stream) noexcept {
  stream.moves_candidates = true;
  if (purpose_ != SdpPurpose::session || !section.rtcp || !section.rtcp->address) return;
  const nat::Endpoint rtcp{section.rtcp->address->value, nat::Be16{section.rtcp->port.value}};
  if (section.rtcp->port.value < kFirstMediaPort || !is_ours(rtcp.address)) return;
  if (!outbound_) {
    stream.rtcp_before = rtcp;
    stream.rtcp = counterpart(stream.protocol, rtcp).value_or(rtcp);  // what is another's stays as it is
    stream.has_rtcp = true;
    return;
  }
  const auto lookup = translator_.host().open_media(
      {.rtp = rtcp, .rtcp = rtcp, .section = stream.section, .protocol = stream.protocol});
  if (!translator_.note(lookup.state)) return;
  stream.rtcp_before = rtcp;
  stream.rtcp = lookup.rtp;
  stream.has_rtcp = true;
}

void SdpStreams::resolve_outbound(const MediaSection& section, Stream& stream) noexcept {
  stream.fate = Fate::hidden;
  const bool may_open = purpose_ == SdpPurpose::session && section.line.port.value >= kFirstMediaPort &&
                        section.transport != Transport::unknown;
  if (!may_open) return;
  if (stream.protocol == nat::Protocol::udp || !section.connects) return open(section, stream);
  // Nobody connects to it: what it connects from is translated, and no more.
  const auto target = counterpart(nat::Protocol::tcp, stream.rtp_before);
  if (!target) return;
  stream.fate = Fate::mapped;
  stream.rtp = stream.rtcp = *target;
  stream.rtcp_before = stream.rtp_before;
  stream.has_rtcp = true;
}

void SdpStreams::open(const MediaSection& section, Stream& stream) noexcept {
  const auto lookup = translator_.host().open_media({.rtp = stream.rtp_before,
                                                     .rtcp = stream.rtcp_before,
                                                     .section = stream.section,
                                                     .protocol = stream.protocol});
  if (!translator_.note(lookup.state)) return;
  stream.fate = Fate::mapped;
  stream.has_rtcp = true;
  stream.rtp = lookup.rtp;
  stream.rtcp = lookup.rtcp;
  ++opened_;
  if (section.line.port_count > 1) open_further_ports(section, stream);
}

// A stream with several ports takes them one after the other, RTP and RTCP in turn (RFC 8866 section 5.14).
// The other side counts on from the first one, so it may be told of as many as follow that outside, too.
void SdpStreams::open_further_ports(const MediaSection& section, Stream& stream) noexcept {
  const unsigned step = stream.rtcp_before == stream.rtp_before ? 1 : 2;
  const bool in_turn = step == 1 || stream.rtcp_before == next_port(stream.rtp_before);
  const bool kept = step == 1 || stream.rtcp == next_port(stream.rtp);
  if (!in_turn || !kept) return;
  const unsigned wanted = std::min<unsigned>(section.line.port_count, kMaxPairs);
  while (stream.port_count < wanted) {
    const unsigned distance = stream.port_count * step;
    if (stream.rtp_before.port.host() + distance + step > 0x10000) return;
    const auto lookup = translator_.host().open_media({.rtp = shifted(stream.rtp_before, distance),
                                                       .rtcp = shifted(stream.rtcp_before, distance),
                                                       .section = stream.section,
                                                       .protocol = stream.protocol,
                                                       .follows = true});
    if (lookup.state == LookupState::wait) (void)translator_.note(lookup.state);
    const bool in_line = lookup.state == LookupState::found && lookup.rtp == shifted(stream.rtp, distance) &&
                         lookup.rtcp == shifted(stream.rtcp, distance);
    if (!in_line) return;
    ++stream.port_count;
  }
}

void SdpStreams::resolve_inbound(const MediaSection& section, Stream& stream) noexcept {
  if (purpose_ != SdpPurpose::session) return;  // its port was not translated on the way out
  const auto rtp = counterpart(stream.protocol, stream.rtp_before);
  if (!rtp) return;
  stream.fate = Fate::mapped;
  stream.has_rtcp = true;
  stream.port_count = section.line.port_count;
  stream.rtp = *rtp;
  stream.rtcp = *rtp;
  if (stream.rtcp_before == stream.rtp_before) return;
  // What is another's stays as it is; nobody has to be told of a next port.
  const auto otherwise = section.rtcp ? stream.rtcp_before : next_port(*rtp);
  stream.rtcp = counterpart(stream.protocol, stream.rtcp_before).value_or(otherwise);
}

// A phone that learnt its external endpoint by STUN announces that: nothing is replaced, but the media has to
// be let in all the same (requirement AC-05).
void SdpStreams::open_learnt(const MediaSection& section, const Stream& stream) noexcept {
  auto& host = translator_.host();
  if (!host.is_external(*stream.address) || section.transport == Transport::unknown) return;
  const auto rtp = host.inside_of(stream.protocol, stream.rtp_before);
  if (!translator_.note(rtp.state) || rtp.endpoint.address != translator_.flow().inside.address) return;
  if (rtp.endpoint.port.host() < kFirstMediaPort) return;
  auto rtcp_inside = rtp.endpoint;
  auto external = next_port(stream.rtp_before);
  if (section.rtcp) {
    const auto& written = *section.rtcp;
    external = {written.address ? written.address->value : *stream.address, nat::Be16{written.port.value}};
  }
  const bool has_own = section.has_rtcp && !(section.rtcp && section.rtcp->foreign);
  if (has_own && host.is_external(external.address)) {
    const auto rtcp = host.inside_of(stream.protocol, external);
    const bool found = translator_.note(rtcp.state);
    const bool usable = found && rtcp.endpoint.address == rtp.endpoint.address &&
                        rtcp.endpoint.port.host() >= kFirstMediaPort;
    if (usable) rtcp_inside = rtcp.endpoint;
  }
  const auto lookup = host.open_media(
      {.rtp = rtp.endpoint, .rtcp = rtcp_inside, .section = stream.section, .protocol = stream.protocol});
  if (translator_.note(lookup.state)) ++opened_;
}

// Where the remote end wants its media; it may be one of ours, for a call between two hosts of the inside.
void SdpStreams::expect(const MediaSection& section, const Stream& stream) noexcept {
  const bool nowhere = !stream.address || stream.address->is_unspecified();
  if (section.line.port.value == 0 || nowhere || translator_.given_up()) return;
  const nat::Endpoint rtp{*stream.address, nat::Be16{section.line.port.value}};
  nat::Endpoint rtcp = rtp;
  if (section.rtcp && !section.rtcp->foreign) {
    const auto& written = *section.rtcp;
    rtcp = {written.address ? written.address->value : rtp.address, nat::Be16{written.port.value}};
  } else if (section.has_rtcp) {
    rtcp = next_port(rtp);
  }
  translator_.host().expect_media_from(stream.section, rtp, rtcp);
}

void SdpStreams::expect_candidates() noexcept {
  for (const auto& note : description_.notes) {
    if (note.section == SdpNote::kNoSection || translator_.given_up()) continue;
    if (note.kind == SdpNote::Kind::alternative) {
      if (const auto alternative = parse_alternative(note.value)) expect_from(note.section, *alternative);
    }
    if (note.kind != SdpNote::Kind::candidate) continue;
    const auto candidate = parse_candidate(note.value);
    if (!candidate || !candidate->address) continue;
    const nat::Endpoint endpoint{candidate->address->value, nat::Be16{candidate->port.value}};
    translator_.host().expect_media_from(note.section, endpoint, endpoint);
  }
}

void SdpStreams::expect_from(std::uint8_t section, const Alternative& alternative) noexcept {
  if (alternative.port.value == 0 || alternative.address.value.is_unspecified()) return;
  const auto [rtp, rtcp] = endpoints_of(alternative, description_.media[section]);
  translator_.host().expect_media_from(section, rtp, rtcp);
}

MediaEndpoints SdpStreams::endpoints_of(const Alternative& alternative,
                                        const MediaSection& section) const noexcept {
  const nat::Endpoint rtp{alternative.address.value, nat::Be16{alternative.port.value}};
  if (alternative.rtcp_port) return {rtp, {rtp.address, nat::Be16{alternative.rtcp_port->value}}};
  return {rtp, section.has_rtcp ? next_port(rtp) : rtp};
}

// Where RTCP goes before, with RTP known; to the same endpoint when it has none that is usable.
void SdpStreams::find_rtcp(const MediaSection& section, Stream& stream) noexcept {
  stream.rtcp_before = stream.rtp_before;
  if (!section.has_rtcp) return;
  if (!section.rtcp) {
    stream.rtcp_before = next_port(stream.rtp_before);
    return;
  }
  const auto& written = *section.rtcp;
  const auto address = written.address ? written.address->value : stream.rtp_before.address;
  const bool usable = !written.foreign && written.port.value >= kFirstMediaPort && is_ours(address);
  if (usable) stream.rtcp_before = {address, nat::Be16{written.port.value}};
}

bool SdpStreams::is_ours(nat::Ipv4Address address) noexcept {
  if (asked_ != address) {
    asked_ = address;
    asked_is_ours_ = translator_.is_ours(address);
  }
  return asked_is_ours_;
}

// The receiver's own endpoints are put back to it anyhow; those of another host only where media of local
// calls are to go from host to host, and only its media: the description may be anybody's, and would send the
// receiver to whatever else the inside has mappings for.
bool SdpStreams::may_be_told(const Lookup& counterpart) const noexcept {
  return outbound_ || (restores_all_ && counterpart.is_pinhole) ||
         counterpart.endpoint.address == translator_.flow().inside.address;
}

std::optional<nat::Endpoint> SdpStreams::counterpart(nat::Protocol protocol,
                                                     nat::Endpoint endpoint) noexcept {
  if (purpose_ == SdpPurpose::information || endpoint.port.host() < kFirstMediaPort) return std::nullopt;
  if (translator_.given_up() || !is_ours(endpoint.address)) return std::nullopt;
  for (const auto& known : known_) {
    if (known.before == endpoint && known.protocol == protocol) return known.after;
  }
  auto& host = translator_.host();
  const auto lookup = outbound_ ? host.candidate_of(protocol, endpoint) : host.inside_of(protocol, endpoint);
  std::optional<nat::Endpoint> after;
  if (translator_.note(lookup.state) && may_be_told(lookup)) after = lookup.endpoint;
  (void)known_.add(protocol, endpoint, after);
  return after;
}

// A candidate is reached through the mapping that the phone's own checks open, so that it needs no pinhole;
// but one of TCP that waits for connections makes no checks (RFC 6544 section 4.5).
std::optional<nat::Endpoint> SdpStreams::candidate_after(const Candidate& candidate, nat::Endpoint endpoint,
                                                         const Stream* stream) noexcept {
  if (candidate.connects) return std::nullopt;
  const bool is_tcp = candidate.protocol == nat::Protocol::tcp;
  const bool same_protocol = stream != nullptr && candidate.protocol == stream->protocol;
  if (same_protocol && stream->fate == Fate::mapped && endpoint == stream->rtp_before) return stream->rtp;
  if (same_protocol && stream->has_rtcp && endpoint == stream->rtcp_before) return stream->rtcp;
  const bool opens = is_tcp && outbound_ && stream != nullptr && purpose_ != SdpPurpose::information &&
                     endpoint.port.host() >= kFirstMediaPort && !translator_.given_up() &&
                     endpoint.address == translator_.flow().inside.address;
  if (!opens) return counterpart(candidate.protocol, endpoint);
  const auto lookup = translator_.host().open_media(
      {.rtp = endpoint, .rtcp = endpoint, .section = stream->section, .protocol = nat::Protocol::tcp});
  if (!translator_.note(lookup.state)) return std::nullopt;
  return lookup.rtp;
}

// No checks open a way to an alternative, and media comes to it at once when the other side takes it. Who
// prefers IPv6 has its only IPv4 endpoint here.
std::optional<MediaEndpoints> SdpStreams::alternative_after(const Alternative& alternative,
                                                            const Stream* stream) noexcept {
  if (stream == nullptr || translator_.given_up()) return std::nullopt;
  const auto& section = description_.media[stream->section];
  const auto [rtp, rtcp] = endpoints_of(alternative, section);
  const bool is_default = stream->fate == Fate::mapped && rtp == stream->rtp_before;
  if (is_default && rtcp == stream->rtcp_before) return MediaEndpoints{stream->rtp, stream->rtcp};
  const bool connects = stream->protocol == nat::Protocol::tcp && section.connects;
  if (!outbound_ || connects) {
    const auto after = counterpart(stream->protocol, rtp);
    if (!after) return std::nullopt;
    if (rtcp == rtp) return MediaEndpoints{*after, *after};
    return MediaEndpoints{*after, counterpart(stream->protocol, rtcp).value_or(next_port(*after))};
  }
  const bool may_open = purpose_ == SdpPurpose::session && section.transport != Transport::unknown &&
                        section.line.port.value != 0 && rtp.port.host() >= kFirstMediaPort &&
                        rtcp.port.host() >= kFirstMediaPort && is_ours(rtp.address);
  if (!may_open) return std::nullopt;
  const auto lookup = translator_.host().open_media(
      {.rtp = rtp, .rtcp = rtcp, .section = stream->section, .protocol = stream->protocol});
  if (!translator_.note(lookup.state)) return std::nullopt;
  ++opened_;
  return MediaEndpoints{lookup.rtp, lookup.rtcp};
}

// The attribute does not say of which protocol they are.
std::optional<nat::Endpoint> SdpStreams::remote_candidate_after(nat::Endpoint endpoint) noexcept {
  const auto udp = counterpart(nat::Protocol::udp, endpoint);
  return udp || outbound_ ? udp : counterpart(nat::Protocol::tcp, endpoint);
}

nat::Ipv4Address SdpStreams::address_after(nat::Ipv4Address before) noexcept {
  for (const auto& stream : streams_) {
    if (stream.fate == Fate::mapped && stream.rtp_before.address == before) return stream.rtp.address;
  }
  return outbound_ ? hidden(before) : before;
}

// Where nothing is translated, an inside endpoint stands for itself.
nat::Ipv4Address SdpStreams::hidden(nat::Ipv4Address before) noexcept {
  const auto& flow = translator_.flow();
  const bool translated = flow.inside.address != flow.external.address;
  return translated && is_ours(before) ? flow.external.address : before;
}

nat::Ipv4Address SdpStreams::address_after(const Stream& stream) noexcept {
  if (stream.fate == Fate::mapped) return stream.rtp.address;
  // Inbound, a stream that is left is that of another host: its address stays with its port.
  return outbound_ ? address_after(*stream.address) : *stream.address;
}

}  // namespace pinhole::alg::sip
