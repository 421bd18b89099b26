// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/local_endpoints.hpp"

namespace pinhole::dataplane {

namespace {

using nat::MappingFlags;

bool has(const nat::Mapping& mapping, std::uint8_t flag) noexcept {
  return (mapping.flags & flag) != 0;
}

/// From now on SIP is looked for in its packets. A pinhole stays what it is: media, and its call's.
void mark_signalling(nat::Mapping& mapping) noexcept {
  if (!has(mapping, MappingFlags::kPinhole)) nat::keep_to_regular_path(mapping, MappingFlags::kSip);
}

/// The call that a mapping belongs to; kNobodysParent when it is no pinhole of one.
std::uint32_t parent_in(const nat::Mapping& mapping) noexcept {
  const bool has_parent = has(mapping, MappingFlags::kPinhole) && mapping.protocol == nat::Protocol::udp;
  return has_parent ? mapping.parent : kNobodysParent;
}

void remember(nat::Mapping& mapping, alg::Written written) noexcept {
  switch (written) {
    case alg::Written::anyhow:
      break;
    case alg::Written::in_uri:
    case alg::Written::in_uri_without_port:
      mapping.portless_uri = written == alg::Written::in_uri_without_port;
      break;
    case alg::Written::in_via:
    case alg::Written::in_via_without_port:
      mapping.portless_via = written == alg::Written::in_via_without_port;
      break;
  }
}

}  // namespace

alg::Lookup LocalEndpoints::external_of(nat::Protocol protocol, nat::Endpoint inside, nat::Endpoint remote,
                                        nat::Tick now, nat::Realm realm, alg::Written written) noexcept {
  auto index = translator_.find_outbound({inside, protocol, realm});
  if (index == nat::kNoMapping) {
    index = translator_.create(protocol, inside, remote, now, realm).index;
    if (index == nat::kNoMapping) return {alg::LookupState::exhausted, {}, {}};
  } else {
    translator_.let_in(index, remote, now);
  }
  auto& mapping = translator_[index];
  mark_signalling(mapping);
  remember(mapping, written);
  return {alg::LookupState::found, mapping.external, {}};
}

alg::Lookup LocalEndpoints::find_external(nat::Protocol protocol, nat::Endpoint inside,
                                          nat::Realm realm) const noexcept {
  const auto index = translator_.find_outbound({inside, protocol, realm});
  if (index == nat::kNoMapping || !has(translator_[index], MappingFlags::kSip)) return {};
  return {alg::LookupState::found, translator_[index].external, {}};
}

void LocalEndpoints::note_signalling(nat::Protocol protocol, nat::Endpoint inside,
                                     nat::Realm realm) noexcept {
  const auto index = translator_.find_outbound({inside, protocol, realm});
  if (index != nat::kNoMapping) mark_signalling(translator_[index]);
}

void LocalEndpoints::note_written(nat::Protocol protocol, nat::Endpoint inside, nat::Realm realm,
                                  alg::Written written) noexcept {
  const auto index = translator_.find_outbound({inside, protocol, realm});
  if (index != nat::kNoMapping) remember(translator_[index], written);
}

alg::Lookup LocalEndpoints::candidate_of(nat::Protocol protocol, nat::Endpoint inside, nat::Tick now,
                                         nat::Realm realm) noexcept {
  auto index = translator_.find_outbound({inside, protocol, realm});
  if (index == nat::kNoMapping) index = translator_.create(protocol, inside, {}, now, realm).index;
  if (index == nat::kNoMapping) return {alg::LookupState::exhausted, {}};
  return {alg::LookupState::found, translator_[index].external};
}

alg::Lookup LocalEndpoints::inside_of(nat::Protocol protocol, nat::Endpoint external) const noexcept {
  const auto pool_index = steering_.pool_index(external.address);
  if (!pool_index) return {};
  const auto index = translator_.find_inbound({*pool_index, external.port.host(), protocol});
  if (index == nat::kNoMapping) return {};
  const auto& mapping = translator_[index];
  // What the configuration forwards becomes no pinhole when media is announced on it, and is open to all
  // anyhow.
  const bool is_forward = has(mapping, MappingFlags::kStatic) && !has(mapping, MappingFlags::kSip);
  const bool is_pinhole = has(mapping, MappingFlags::kPinhole) || is_forward;
  return {alg::LookupState::found, mapping.inside, portless(mapping), is_pinhole};
}

MediaPorts LocalEndpoints::open_media(const alg::MediaRequest& request, std::uint32_t parent, nat::Tick now,
                                      nat::Realm realm) noexcept {
  if (request.protocol == nat::Protocol::tcp) return open_tcp(request.rtp, now, realm);
  const Before rtp = before(request.rtp, realm);
  const Before rtcp = before(request.rtcp, realm);
  if (rtp.is_signalling || rtcp.is_signalling) return open_beside_signalling(request, parent, now, realm);
  const bool is_known = rtp.index != nat::kNoMapping && rtcp.index != nat::kNoMapping;
  const auto pair =
      is_known ? nat::CreatedPair{.rtp = rtp.index, .rtcp = rtcp.index}
               : translator_.create_pair(request.rtp, request.rtcp, parent, now, realm, request.follows);
  if (pair.rtp == nat::kNoMapping) return {};
  MediaPorts ports{alg::LookupState::found, opened(pair.rtp, rtp), {}};
  ports.rtcp = pair.rtcp == pair.rtp ? ports.rtp : opened(pair.rtcp, rtcp);
  return ports;
}

/// Media announced on an endpoint that carries signalling goes through the mapping that is there, which no
/// call may open to strangers or close. The other one of the pair, if there is one, is opened by itself.
MediaPorts LocalEndpoints::open_beside_signalling(const alg::MediaRequest& request, std::uint32_t parent,
                                                  nat::Tick now, nat::Realm realm) noexcept {
  MediaPorts ports{alg::LookupState::found, {}, {}};
  const auto open_one = [&](nat::Endpoint inside, MediaPort& port) noexcept {
    const Before was = before(inside, realm);
    if (was.is_signalling) {
      port.external = translator_[was.index].external;
      return true;
    }
    const auto single = translator_.create_pair(inside, inside, parent, now, realm);
    if (single.rtp == nat::kNoMapping) return false;
    port = opened(single.rtp, was);
    return true;
  };
  if (!open_one(request.rtp, ports.rtp)) return {};
  if (request.rtcp == request.rtp) {
    ports.rtcp = ports.rtp;
  } else if (!open_one(request.rtcp, ports.rtcp)) {
    if (ports.rtp.fresh) close(ports.rtp.ref);
    return {};
  }
  return ports;
}

/// A stream over TCP has one port, which carries no RTCP of its own.
MediaPorts LocalEndpoints::open_tcp(nat::Endpoint inside, nat::Tick now, nat::Realm realm) noexcept {
  const Before was = before(inside, realm, nat::Protocol::tcp);
  MediaPorts ports{alg::LookupState::found, {}, {}};
  if (was.is_signalling) {
    ports.rtp.external = translator_[was.index].external;
  } else {
    const auto created = translator_.create_tcp_pinhole(inside, now, realm);
    if (created.index == nat::kNoMapping) return {};
    ports.rtp = opened(created.index, was);
  }
  ports.rtcp = ports.rtp;
  return ports;
}

LocalEndpoints::Before LocalEndpoints::before(nat::Endpoint inside, nat::Realm realm,
                                              nat::Protocol protocol) const noexcept {
  const auto index = translator_.find_outbound({inside, protocol, realm});
  if (index == nat::kNoMapping) return {};
  const auto& mapping = translator_[index];
  return {index, parent_in(mapping), has(mapping, MappingFlags::kSip)};
}

std::uint32_t LocalEndpoints::parent_of(nat::MappingIndex index) const noexcept {
  return translator_.table().is_live(index) ? parent_in(translator_[index]) : kNobodysParent;
}

MediaPort LocalEndpoints::opened(nat::MappingIndex index, const Before& before) noexcept {
  const auto& mapping = translator_[index];
  if (has(mapping, MappingFlags::kStatic)) return {mapping.external, {}, false};
  const bool is_fresh = before.index == nat::kNoMapping;
  if (is_fresh) count_pinhole(index);
  return {mapping.external, current(index), is_fresh, before.parent};
}

void LocalEndpoints::count_pinhole(nat::MappingIndex index) noexcept {
  meters_.begin(index);
  ++pinholes_live_;
  counters_.add(WorkerCounter::pinhole_opened);
  show_live();
}

void LocalEndpoints::keep(MappingRef pinhole, nat::Tick tick) noexcept {
  if (!is_open(pinhole) || !has(translator_[pinhole.mapping], MappingFlags::kPinhole)) return;
  if (nat::reached(tick, translator_[pinhole.mapping].keep_until)) return;
  translator_.keep(pinhole.mapping, tick);
}

void LocalEndpoints::close(MappingRef pinhole) noexcept {
  if (!is_open(pinhole)) return;
  const bool was_pinhole = has(translator_[pinhole.mapping], MappingFlags::kPinhole);
  if (!translator_.close(pinhole.mapping, current(pinhole.mapping).generation)) return;
  ++closings_;
  if (!was_pinhole) return;
  --pinholes_live_;
  show_live();
}

MappingRef LocalEndpoints::shut(MappingRef pinhole) noexcept {
  if (!is_open(pinhole)) return pinhole;
  translator_.shut_media(pinhole.mapping);
  translator_[pinhole.mapping].was_shut = true;
  return current(pinhole.mapping);
}

MappingRef LocalEndpoints::hand_over(MappingRef port, std::uint32_t parent, nat::Sharing sharing,
                                     nat::Tick now) noexcept {
  if (!is_open(port)) return {};
  const auto& mapping = translator_[port.mapping];
  const bool was_pinhole = has(mapping, MappingFlags::kPinhole);
  if (!was_pinhole && has(mapping, MappingFlags::kSip)) return port;
  const bool changes_hands = was_pinhole && sharing == nat::Sharing::none && parent_in(mapping) != parent;
  translator_.hand_over(port.mapping, parent, sharing, now);
  if (changes_hands) meters_.pass_on(port.mapping);
  if (!was_pinhole && has(mapping, MappingFlags::kPinhole)) count_pinhole(port.mapping);
  return current(port.mapping);
}

void LocalEndpoints::keep_signalling(nat::Protocol protocol, nat::Endpoint inside, nat::Endpoint remote,
                                     nat::Tick tick, nat::Tick now) noexcept {
  // Whether the registrar is one towards which nothing is translated is not known here.
  for (const auto realm : {nat::Realm::translated, nat::Realm::untranslated}) {
    const auto index = translator_.find_outbound({inside, protocol, realm});
    if (index == nat::kNoMapping) continue;
    auto& mapping = translator_[index];
    mark_signalling(mapping);
    if (remote.address.is_unspecified()) {
      if (!nat::reached(mapping.keep_until, tick)) translator_.keep(index, tick);
    } else {
      if (!nat::reached(tick, mapping.keep_until)) translator_.keep(index, tick);
      translator_.promise_remote(index, remote, tick, now);
    }
  }
}

void LocalEndpoints::mapping_expired(const nat::Mapping& mapping) noexcept {
  if (!has(mapping, MappingFlags::kPinhole)) return;
  --pinholes_live_;
  show_live();
}

void LocalEndpoints::show_live() noexcept {
  counters_.set(WorkerCounter::pinhole_live, pinholes_live_);
}

}  // namespace pinhole::dataplane
