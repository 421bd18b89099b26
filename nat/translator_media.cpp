// SPDX-License-Identifier: BSD-3-Clause
// Media pinholes of calls: the part of the translator that takes ports by twos.
#include <algorithm>
#include <array>
#include <span>

#include "nat/translator.hpp"

namespace pinhole::nat {

namespace {

// What HostPorts::take() is asked to be like when media needs a parity: RTP is even, RTCP odd (RFC 3550
// section 11).
constexpr std::uint16_t kLikeRtp = 1024;
constexpr std::uint16_t kLikeRtcp = 1025;

}  // namespace

CreatedPair Translator::create_pair(Endpoint inside_rtp, Endpoint inside_rtcp, std::uint32_t parent, Tick now,
                                    Realm realm, bool follows) noexcept {
  const std::array<Endpoint, 2> both = {inside_rtp, inside_rtcp};
  std::array<Media, 2> media_of_both;
  const std::size_t sides = inside_rtp == inside_rtcp ? 1 : 2;
  const std::span inside = std::span(both).first(sides);
  const std::span media = std::span(media_of_both).first(sides);
  const DropReason reason = make_media(inside, media, realm, follows, now);
  if (reason != DropReason::none) return {.reason = reason};
  for (const Media& side : media) {
    if (!side.is_new) continue;
    hand_over(side.index, parent, Sharing::none, now);
    start(side.index);
    record(RecordType::mapping_created, table_[side.index]);
  }
  return {.rtp = media.front().index, .rtcp = media.back().index};
}

CreatedPair Translator::create_expected(Protocol protocol, Endpoint first, unsigned count, Tick now,
                                        Realm realm) noexcept {
  const Endpoint second = {first.address, Be16{static_cast<std::uint16_t>(first.port.host() + 1)}};
  const std::array<Endpoint, 2> both = {first, second};
  std::array<Media, 2> media_of_both;
  for (Media& side : media_of_both) side.protocol = protocol;
  const std::span inside = std::span(both).first(count);
  const std::span media = std::span(media_of_both).first(count);
  const DropReason reason = make_media(inside, media, realm, false, now);
  if (reason != DropReason::none) return {.reason = reason};
  for (std::size_t i = 0; i < count; ++i) {
    if (!media[i].is_new) continue;
    Mapping& mapping = table_[media[i].index];
    const auto rule = statics(realm).external_of(protocol, inside[i]);
    if (rule && rule->direction != StaticDirection::out) mapping.filter = Filter::endpoint_independent;
    if (rule && rule->direction == StaticDirection::in) mapping.flags |= MappingFlags::kRegular;
    make_strict(media[i].index);
    if (protocol == Protocol::udp && mapping.filter == Filter::expected)
      mapping.flags |= MappingFlags::kRefreshIn;
    start(media[i].index);
    record(RecordType::mapping_created, mapping);
  }
  return {.rtp = media.front().index, .rtcp = media.back().index};
}

void Translator::make_strict(MappingIndex index) noexcept {
  Mapping& mapping = table_[index];
  constexpr std::uint8_t kOthers = MappingFlags::kStatic | MappingFlags::kPinhole | MappingFlags::kSip;
  const auto rule = statics(mapping.realm).external_of(mapping.protocol, mapping.inside);
  if ((mapping.flags & kOthers) != 0 || (rule && rule->direction != StaticDirection::out)) return;
  mapping.filter = Filter::expected;
}

/// What there is not yet of each side is made, all or nothing; it is to be started.
DropReason Translator::make_media(std::span<const Endpoint> inside, std::span<Media> media, Realm realm,
                                  bool follows, Tick now) noexcept {
  DropReason reason = prepare_media(inside, media, realm, now);
  const bool in_line = reason == DropReason::none && follows && take_following_ports(inside, media, realm);
  if (reason == DropReason::none && !in_line) reason = take_media_ports(inside, media, now);
  if (reason == DropReason::none) reason = insert_media(inside, media, realm, now);
  if (reason != DropReason::none) take_back(inside, media);
  return reason;
}

/// Finds out what there is of each side and what is missing, and brings hosts in that are new.
DropReason Translator::prepare_media(std::span<const Endpoint> inside, std::span<Media> media, Realm realm,
                                     Tick now) noexcept {
  std::uint32_t missing = 0;
  for (std::size_t i = 0; i < inside.size(); ++i) {
    Media& side = media[i];
    side.index = table_.find({inside[i], side.protocol, realm});
    side.is_new = side.index == kNoMapping;
    if (!side.is_new) continue;
    ++missing;
    if (realm == Realm::untranslated) {
      side.port = inside[i].port.host();
      side.takes = Takes::state;
    } else if (const auto rule = statics_.external_of(side.protocol, inside[i])) {
      side.pool_index = rule->pool_index;
      side.port = rule->endpoint.port.host();
      side.takes = Takes::state;
    }
    // Two of one host are asked for as two with the second one.
    const bool is_second = i == 1 && media[0].is_new && inside[0].address == inside[1].address;
    const DropReason reason = enter_media(inside[i], side, is_second ? 2 : 1, now);
    if (reason != DropReason::none) return refuse(reason, side.protocol, inside[i], now).reason;
  }
  // Before anything is taken: a block would have to rest.
  return table_.capacity() - table_.size() < missing ? DropReason::drop_table_full : DropReason::none;
}

/// Brings the host of a new side in, and gives it an external address if that side needs one.
DropReason Translator::enter_media(Endpoint inside, Media& side, std::uint32_t count, Tick now) noexcept {
  side.host = hosts_.find(inside.address);
  const DropReason reason = hosts_.ask_for_media(side.host, count, side.takes);
  if (reason != DropReason::none) return reason;
  if (side.takes == Takes::state) {
    if (side.host == HostTable::kNone) side.host = hosts_.add(inside.address, now);
    return DropReason::none;
  }
  if (side.host == HostTable::kNone || !hosts_.has_address(side.host)) {
    const HostPorts::Entry entry = ports_.enter(side.host, inside.address, side.protocol, now);
    if (entry.reason != DropReason::none) return entry.reason;
    side.host = entry.host;
  }
  side.pool_index = hosts_.pool_index(side.host);
  return DropReason::none;
}

/// Takes ports for what is new: those of one host together, else each beside the one that exists.
DropReason Translator::take_media_ports(std::span<const Endpoint> inside, std::span<Media> media,
                                        Tick now) noexcept {
  Media& rtp = media.front();
  Media& rtcp = media.back();
  const bool is_pair = media.size() == 2;
  if (is_pair && rtp.wants_port() && rtcp.wants_port() && rtp.host == rtcp.host) {
    if (const auto even = ports_.take_pair(rtp.host, rtp.protocol)) {
      rtp.port = *even;
      rtcp.port = static_cast<std::uint16_t>(*even + 1);
      return DropReason::none;
    }
  }
  const auto take = [&](Media& wanted, const Media& other, int distance, std::uint16_t like) noexcept {
    if (is_pair && !other.is_new && table_[other.index].pool_index == wanted.pool_index) {
      const auto beside = static_cast<std::uint16_t>(table_[other.index].external.port.host() + distance);
      if ((beside & 1U) == (like & 1U) && ports_.take_exactly(wanted.host, wanted.protocol, beside)) {
        wanted.port = beside;
        return DropReason::none;
      }
    }
    const auto [port, reason] = ports_.take(wanted.host, wanted.protocol, like);
    if (reason == DropReason::none) wanted.port = port;
    return reason;
  };
  DropReason reason = DropReason::none;
  if (rtp.wants_port()) {
    reason = take(rtp, rtcp, -1, is_pair ? kLikeRtp : inside.front().port.host());
    if (reason != DropReason::none) return refuse(reason, rtp.protocol, inside.front(), now).reason;
  }
  if (is_pair && rtcp.wants_port()) {
    reason = take(rtcp, rtp, 1, kLikeRtcp);
    if (reason != DropReason::none) return refuse(reason, rtcp.protocol, inside.back(), now).reason;
  }
  return DropReason::none;
}

/// Takes the ports after that of the inside port before, all or none.
bool Translator::take_following_ports(std::span<const Endpoint> inside, std::span<Media> media,
                                      Realm realm) noexcept {
  const auto port = inside.front().port.host();
  const Endpoint before = {inside.front().address, Be16{static_cast<std::uint16_t>(port - 1)}};
  const MappingIndex index = table_.find({before, Protocol::udp, realm});
  if (port == 0 || index == kNoMapping) return false;
  const Mapping& mapping = table_[index];
  const std::size_t first = mapping.external.port.host() + 1U;
  std::size_t taken = 0;
  for (; taken < media.size(); ++taken) {
    Media& side = media[taken];
    const std::size_t wanted = first + taken;
    const bool has = side.wants_port() && side.host == media.front().host && wanted <= 0xFFFF &&
                     side.pool_index == mapping.pool_index &&
                     ports_.take_exactly(side.host, side.protocol, static_cast<std::uint16_t>(wanted));
    if (!has) break;
    side.port = static_cast<std::uint16_t>(wanted);
  }
  if (taken == media.size()) return true;
  for (Media& side : media.first(taken)) {
    ports_.put_back(side.host, side.protocol, *side.port);
    side.port.reset();
  }
  return false;
}

DropReason Translator::insert_media(std::span<const Endpoint> inside, std::span<Media> media, Realm realm,
                                    Tick now) noexcept {
  for (std::size_t i = 0; i < inside.size(); ++i) {
    Media& side = media[i];
    if (!side.is_new) continue;
    side.index = insert({inside[i], side.protocol, realm}, side.pool_index, *side.port, now);
    if (side.index == kNoMapping) return DropReason::drop_table_full;
    hosts_.count(side.host, side.protocol, side.takes);
  }
  return DropReason::none;
}

/// Undoes what was done for a pair that could not be completed.
void Translator::take_back(std::span<const Endpoint> inside, std::span<const Media> media) noexcept {
  for (const Media& side : media) {
    if (side.index == kNoMapping && side.port && side.wants_port())
      ports_.put_back(side.host, side.protocol, *side.port);
  }
  for (const Media& side : media) {
    if (side.is_new && side.index != kNoMapping) free_mapping(side.index);
  }
  for (const Endpoint& endpoint : inside) {  // the last mapping of a host has taken it out already
    const HostTable::Place host = hosts_.find(endpoint.address);
    if (host != HostTable::kNone) hosts_.remove_if_idle(host);
  }
}

void Translator::hand_over(MappingIndex index, std::uint32_t parent, Sharing sharing, Tick now) noexcept {
  Mapping& mapping = table_[index];
  if (is_static(mapping)) return;
  const bool is_pinhole = (mapping.flags & MappingFlags::kPinhole) != 0;
  if (!is_pinhole) {
    mapping.flags |= MappingFlags::kPinhole;
    listen(mapping);
  }
  if (mapping.protocol == Protocol::tcp) return;  // timed like any connection, and of no call
  if (!is_pinhole) {
    mapping.flags |= MappingFlags::kRefreshIn;
    mapping.timeout_class = TimeoutClass::media;
  } else if (mapping.parent != parent) {
    table_.renew(index);
    if (sharing == Sharing::none) forget_remote(mapping);
    listen(mapping);
  }
  mapping.parent = parent;
  mapping.last_seen = now;
  // A pinhole only lives longer by this, which the wheel is told when it asks.
  if (!is_pinhole) wheel_.set(index, deadline_of(mapping, timeouts_));
}

Created Translator::create_tcp_pinhole(const Endpoint& inside, Tick now, Realm realm) noexcept {
  const MappingIndex known = table_.find({inside, Protocol::tcp, realm});
  if (known != kNoMapping) return {.index = known};
  const Created created = create(Protocol::tcp, inside, {}, now, realm);
  if (created.index != kNoMapping) hand_over(created.index, 0, Sharing::none, now);
  return created;
}

/// A pinhole begins to take packets in, by the policy.
void Translator::listen(Mapping& mapping) noexcept {
  mapping.filter =
      media_from_ == MediaFrom::anywhere ? Filter::endpoint_independent : Filter::address_dependent;
  mapping.flags &= static_cast<std::uint8_t>(~MappingFlags::kLatched);
  mapping.hop_in = kNoHop;  // the next packet is to be heard
  if (media_from_ == MediaFrom::latched) mapping.flags |= MappingFlags::kLatching;
}

void Translator::expect_media(MappingIndex index, Endpoint remote, bool anew, Tick now) noexcept {
  Mapping& mapping = table_[index];
  if ((mapping.flags & MappingFlags::kPinhole) == 0 || is_static(mapping)) return;
  if (anew) listen(mapping);  // it may have been shut
  if (media_from_ == MediaFrom::anywhere || remote.address.is_unspecified()) return;
  if (anew && (mapping.remote.address != remote.address || (mapping.flags & MappingFlags::kHasRemote) == 0)) {
    set_remote(mapping, remote);
  } else {
    note_remote(index, remote, now);
  }
}

void Translator::shut_media(MappingIndex index) noexcept {
  Mapping& mapping = table_[index];
  if (is_static(mapping)) return;
  table_.renew(index);  // what is remembered of remotes dies with the generation
  mapping.filter = Filter::address_dependent;
  mapping.flags &= static_cast<std::uint8_t>(~(MappingFlags::kLatching | MappingFlags::kLatched));
  forget_remote(mapping);
}

bool Translator::may_latch(const Mapping& mapping, Endpoint remote) const noexcept {
  return (mapping.flags & MappingFlags::kLatching) != 0 &&
         (latch_from_.empty() || std::ranges::any_of(latch_from_, [remote](const Prefix& prefix) {
            return prefix.contains(remote.address);
          }));
}

/// A pinhole was reached by another than before, or by the first one. Whoever is named takes the place of one
/// who only was the first.
void Translator::hear(MappingIndex index, Endpoint remote, Tick now) noexcept {
  Mapping& mapping = table_[index];
  if (mapping.filter == Filter::endpoint_independent) return set_remote(mapping, remote);
  const std::uint8_t before = mapping.flags;
  mapping.flags &= static_cast<std::uint8_t>(~(MappingFlags::kLatching | MappingFlags::kLatched));
  const bool admitted = nat::admits(mapping, remote) || admits_by_table(index, remote, now);
  if (!admitted && (before & MappingFlags::kLatching) == 0) {
    mapping.flags = before;  // let in with the burst of the first one, who has it to himself since
    return;
  }
  const bool leaves_one_behind = (before & MappingFlags::kHasRemote) != 0 &&
                                 (before & MappingFlags::kLatched) == 0 &&
                                 mapping.remote.address != remote.address;
  if (leaves_one_behind)
    remotes_.remember(index, generation_of(index), seen_by(mapping.filter, mapping.remote), now);
  // One who latched may change his port.
  const bool same_host = (before & MappingFlags::kLatched) != 0 && mapping.remote.address == remote.address;
  if (!admitted || same_host) mapping.flags |= MappingFlags::kLatched;
  set_remote(mapping, remote);
}

}  // namespace pinhole::nat
