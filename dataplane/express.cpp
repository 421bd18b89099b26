// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/express.hpp"

#include <cstddef>

#include "dataplane/context.hpp"
#include "dataplane/mbuf_view.hpp"
#include "nat/checksum.hpp"
#include "nat/headers.hpp"
#include "nat/rewrite.hpp"

#include <rte_prefetch.h>

namespace pinhole::dataplane {

namespace {

using nat::load;
using nat::MappingFlags;

// A plain frame, by offsets.
constexpr std::size_t kIp = sizeof(nat::EthernetHeader);
constexpr std::size_t kUdp = kIp + sizeof(nat::Ipv4Header);
constexpr std::size_t kPayload = kUdp + sizeof(nat::UdpHeader);

// How many packets lie between the steps of one packet. A step reads the line that the step before it asked
// for, so the distance is what hides the latency of memory; and no more lines may be on their way at once
// than the core can wait for (about 20 on current ones): what is asked for beyond that is silently not
// fetched.
constexpr unsigned kMbufToFrame = 6;
constexpr unsigned kFrameToIndex = 6;
constexpr unsigned kIndexToMapping = 8;
constexpr unsigned kMappingToEnd = 8;
constexpr unsigned kFurther = kMappingToEnd / 2;  // of a second index line

constexpr std::uint64_t kLow48 = 0xffff'ffff'ffffU;

/// A mask or value of eight bytes of a frame, written as the two that are looked at.
constexpr std::uint64_t at_byte(unsigned byte, std::uint64_t raw) noexcept {
  return raw << (8 * byte);
}

// What makes a frame plain, as far as it is the same for all: eight bytes from 8 on (EtherType, IP version
// and header length), eight bytes from 16 on (fragment, protocol).
constexpr std::uint64_t kTypeMask = at_byte(4, 0xffffff);
constexpr std::uint64_t kType =
    at_byte(4, nat::Be16{nat::kEtherTypeIpv4}.raw()) | at_byte(6, nat::Ipv4Header::kVersionNoOptions);
constexpr std::uint64_t kProtocolMask =
    at_byte(4, nat::Be16{nat::Ipv4Header::kMoreFragments | nat::Ipv4Header::kFragmentOffset}.raw()) |
    at_byte(7, 0xff);
constexpr std::uint64_t kProtocol = at_byte(7, nat::kIpProtocolUdp);
constexpr std::uint64_t kTtlAboveOne = at_byte(6, 0xfe);
static_assert(kIp + offsetof(nat::Ipv4Header, total_length) == 16);
static_assert(kIp + offsetof(nat::Ipv4Header, fragment) == 16 + 4);
static_assert(kIp + offsetof(nat::Ipv4Header, ttl) == 16 + 6);
static_assert(kIp + offsetof(nat::Ipv4Header, protocol) == 16 + 7);

/// What a plain frame says, as few words.
struct Plain {
  std::uint32_t source;
  std::uint32_t destination;
  std::uint32_t ports;  // source in the low half
  std::uint16_t ip_size;

  [[nodiscard]] std::uint64_t source_word() const noexcept {
    return source | std::uint64_t{ports & 0xffffU} << 32U;
  }
  [[nodiscard]] std::uint64_t destination_word() const noexcept {
    return destination | std::uint64_t{ports >> 16U} << 32U;
  }
};

/// \param size of the frame \param mac MacAddress::raw() of the port \return whether it is plain
[[gnu::always_inline]] inline bool read_plain(const std::byte* frame, std::size_t size, std::uint64_t mac,
                                              Plain& plain) noexcept {
  if (size < kPayload) [[unlikely]]
    return false;
  const auto middle = load<std::uint64_t>(frame + 16);
  plain.source = load<std::uint32_t>(frame + kIp + offsetof(nat::Ipv4Header, source));
  plain.destination = load<std::uint32_t>(frame + kIp + offsetof(nat::Ipv4Header, destination));
  plain.ports = load<std::uint32_t>(frame + kUdp);
  const std::uint64_t sum = std::uint64_t{load<std::uint32_t>(frame + kIp)} +
                            load<std::uint32_t>(frame + kIp + 4) + load<std::uint32_t>(frame + kIp + 8) +
                            plain.source + plain.destination;
  plain.ip_size = __builtin_bswap16(static_cast<std::uint16_t>(middle));
  const std::size_t udp_size = load<nat::Be16>(frame + kUdp + offsetof(nat::UdpHeader, length)).host();
  // The answers are nearly always the same, so that branches on them are free.
  const std::uint64_t other = ((load<std::uint64_t>(frame) ^ mac) & kLow48) |
                              ((load<std::uint64_t>(frame + 8) ^ kType) & kTypeMask) |
                              ((middle ^ kProtocol) & kProtocolMask);
  if (other != 0) return false;
  if ((middle & kTtlAboveOne) == 0) return false;
  // A sum that folds to 0xffff is a multiple of it; the compiler makes that a multiplication.
  if (sum % 0xffffU != 0) return false;
  constexpr std::size_t kHeaders = sizeof(nat::Ipv4Header) + sizeof(nat::UdpHeader);
  return plain.ip_size - kHeaders <= size - kPayload && udp_size + sizeof(nat::Ipv4Header) == plain.ip_size;
}

/// The remote endpoint of a mapping with its flags, as they lie beside each other, against what they must be.
bool is_established(const nat::Mapping& mapping, std::uint64_t remote) noexcept {
  static_assert(offsetof(nat::Mapping, remote) == 8 && offsetof(nat::Mapping, flags) == 14);
  constexpr std::uint64_t kAsked =
      std::uint64_t{MappingFlags::kHasRemote | MappingFlags::kRegular | MappingFlags::kSip} << 48U;
  constexpr std::uint64_t kAnswer = std::uint64_t{MappingFlags::kHasRemote} << 48U;
  const auto word = load<std::uint64_t>(reinterpret_cast<const std::byte*>(&mapping) + 8);
  return ((word ^ (remote | kAnswer)) & (kLow48 | kAsked)) == 0;
}

template <bool kOutbound>
void rewrite(std::byte* frame, const nat::Mapping& mapping, const ReadyHop& hop) noexcept {
  using namespace nat::rewrite_detail;
  constexpr std::size_t kAddress =
      kIp + (kOutbound ? offsetof(nat::Ipv4Header, source) : offsetof(nat::Ipv4Header, destination));
  constexpr std::size_t kPort =
      kUdp + (kOutbound ? offsetof(nat::UdpHeader, source_port) : offsetof(nat::UdpHeader, destination_port));
  const auto& to = kOutbound ? mapping.external : mapping.inside;
  const auto change = [](std::uint16_t delta) noexcept { return kOutbound ? delta : nat::inverse(delta); };

  nat::store(frame, hop.header_begin);
  nat::store(frame + sizeof(nat::EthernetHeader) - sizeof hop.header_end, hop.header_end);
  std::byte* const third_word = frame + kIp + offsetof(nat::Ipv4Header, ttl);
  nat::store(third_word, next_hop(load<std::uint32_t>(third_word), change(mapping.ip_delta)));
  nat::store(frame + kAddress, to.address.value.raw());
  nat::store(frame + kPort, to.port.raw());
  std::byte* const checksum = frame + kUdp + offsetof(nat::UdpHeader, checksum);
  nat::store(checksum, nat::apply_udp(load<std::uint16_t>(checksum), change(mapping.transport_delta)));
}

}  // namespace

/// What was found out about the packets of a burst, by their place.
struct Express::Flows {
  std::array<Way, kBurst> ways;
  std::array<std::uint16_t, kBurst> ip_sizes;
  std::array<std::uint64_t, kBurst> remotes;       // endpoint_word()
  std::array<std::uint64_t, kBurst> keys;          // outbound: key_word()
  std::array<std::uint64_t, kBurst> index_places;  // outbound: the hash; inbound: the slot
  std::array<nat::MappingIndex, kBurst> mappings;
};

Express::Express(const Network& network) : alone_(network.steering.workers() == 1), hops_(network) {
  for (std::size_t i = 0; i < network.interfaces.size(); ++i) {
    const auto& interface = network.interfaces[i];
    const auto device = network.ports[interface.port].id;
    if (interface.vlan != 0 || network.only_interface[device] != i) continue;
    arrivals_[device] = {interface.mac.raw(), interface.inside};
  }
}

bool Express::may_pass(const nat::Mapping& mapping, nat::Endpoint remote,
                       const WorkerContext& worker) const noexcept {
  return mapping.protocol == nat::Protocol::udp && mapping.realm == nat::Realm::translated &&
         mapping.remote == remote && (mapping.flags & MappingFlags::kHasRemote) != 0 &&
         (mapping.flags & MappingFlags::kRegular) == 0 && !worker.sip_ports.concern(mapping, remote.port);
}

/// First step: whether a packet is plain, and of which flow. Its index line is being fetched afterwards.
[[gnu::always_inline]] inline Express::Way Express::recognise(const rte_mbuf* mbuf, unsigned place,
                                                              const Arrival& arrival, Way way,
                                                              const WorkerContext& worker,
                                                              Flows& flows) const noexcept {
  const auto& steering = worker.network.steering;
  Plain plain;
  if (!read_plain(rte_pktmbuf_mtod(mbuf, const std::byte*), mbuf->data_len, arrival.mac, plain)) {
    return Way::regular;
  }
  flows.ip_sizes[place] = plain.ip_size;
  if (way == Way::outbound) {
    if (!alone_ && steering.owner_of_inside({nat::Be32::from_raw(plain.source)}) != worker.index) {
      return Way::regular;
    }
    static_assert(static_cast<unsigned>(nat::Protocol::udp) == 0 &&
                  static_cast<unsigned>(nat::Realm::translated) == 0);
    const auto& table = worker.translator.table();
    const auto hash = table.hash(plain.source_word());
    table.prefetch(hash);
    flows.keys[place] = plain.source_word();
    flows.remotes[place] = plain.destination_word();
    flows.index_places[place] = hash;
    return Way::outbound;
  }
  const auto pool_index = steering.pool_index({nat::Be32::from_raw(plain.destination)});
  if (!pool_index) return Way::regular;
  const std::uint16_t port = __builtin_bswap16(static_cast<std::uint16_t>(plain.ports >> 16U));
  if (!alone_ && steering.owner_of_external(*pool_index, nat::Protocol::udp, port) != worker.index) {
    return Way::regular;
  }
  const auto slot = nat::InboundIndex::slot_of({*pool_index, port, nat::Protocol::udp});
  worker.translator.prefetch_inbound(slot);
  flows.remotes[place] = plain.source_word();
  flows.index_places[place] = slot;
  return Way::inbound;
}

/// Third step: a packet whose mapping says so is rewritten and sent. \return whether it was
template <bool kOutbound>
[[gnu::always_inline]] inline bool Express::finish(rte_mbuf* mbuf, unsigned place, const Flows& flows,
                                                   WorkerContext& worker) noexcept {
  const auto index = flows.mappings[place];
  if (index == nat::kNoMapping) [[unlikely]]
    return false;
  nat::Mapping& mapping = worker.translator[index];
  if (kOutbound && nat::key_word(mapping) != flows.keys[place]) return false;
  if (!is_established(mapping, flows.remotes[place])) return false;
  const ReadyHop& hop = hops_[kOutbound ? mapping.hop_out : mapping.hop_in];
  const std::uint16_t ip_size = flows.ip_sizes[place];
  if (ip_size > hop.mtu) return false;
  const auto now = worker.clock.tick();
  if constexpr (kOutbound) {
    nat::Translator::count_outbound(mapping, ip_size, now);
  } else {
    nat::Translator::count_inbound(mapping, ip_size, now);
  }
  rewrite<kOutbound>(bytes_of(mbuf), mapping, hop);
  const auto frame_size = static_cast<std::uint16_t>(kIp + ip_size);
  if (mbuf->data_len != frame_size) [[unlikely]]
    resize(mbuf, frame_size);  // Ethernet padding stays behind
  worker.transmitter.push(hop.port, mbuf);
  return true;
}

/// \tparam kWay that of every packet, which all came in by `port`; or `regular`: each says where it came from
template <Express::Way kWay>
void Express::forward_as(Burst& burst, const Arrival& arrival, WorkerContext& worker) noexcept {
  constexpr bool kMixed = kWay == Way::regular;
  Flows flows;
  const unsigned size = burst.size;
  std::array<unsigned, 2> sent{};  // inbound, outbound
  std::uint64_t bytes = 0;
  std::uint16_t left = 0;
  // The few whose index line was full: they look further when their next line is there.
  std::array<std::uint8_t, kBurst> further;
  unsigned further_end = 0;
  unsigned further_next = 0;
  for (unsigned i = 0; i < kMbufToFrame + kFrameToIndex && i < size; ++i) rte_prefetch0(burst.mbufs[i]);
  for (unsigned i = 0; i < kFrameToIndex && i < size; ++i) rte_prefetch0(bytes_of(burst.mbufs[i]));
  for (unsigned step = 0; step < size + kIndexToMapping + kMappingToEnd; ++step) {
    if (step < size) {
      if (step + kMbufToFrame + kFrameToIndex < size) {
        rte_prefetch0(burst.mbufs[step + kMbufToFrame + kFrameToIndex]);
      }
      if (step + kFrameToIndex < size) rte_prefetch0(bytes_of(burst.mbufs[step + kFrameToIndex]));
      const rte_mbuf* const mbuf = burst.mbufs[step];
      if constexpr (kMixed) {
        const bool known = mbuf->port < arrivals_.size();
        const Arrival& its = arrivals_[known ? mbuf->port : 0];
        flows.ways[step] =
            !known ? Way::regular
                   : recognise(mbuf, step, its, its.inside ? Way::outbound : Way::inbound, worker, flows);
      } else {
        bytes += mbuf->data_len;
        flows.ways[step] = recognise(mbuf, step, arrival, kWay, worker, flows);
      }
    }
    if (step >= kIndexToMapping && step - kIndexToMapping < size) {
      // Second step: which mapping. Its line is being fetched afterwards.
      const unsigned place = step - kIndexToMapping;
      const auto way = flows.ways[place];
      const auto index_place = flows.index_places[place];
      auto& mapping = flows.mappings[place];
      mapping = way == Way::outbound  ? worker.translator.guess_outbound(index_place)
                : way == Way::inbound ? worker.translator.guess_inbound(index_place)
                                      : nat::kNoMapping;
      if (mapping == nat::kNoMapping && way == Way::outbound &&
          worker.translator.table().lies_further(index_place)) {
        further[further_end++] = static_cast<std::uint8_t>(place);
      }
    }
    if (further_next < further_end && further[further_next] + kIndexToMapping + kFurther <= step)
        [[unlikely]] {
      const unsigned place = further[further_next++];
      flows.mappings[place] = worker.translator.guess_outbound_further(flows.index_places[place]);
    }
    if (step < kIndexToMapping + kMappingToEnd) continue;
    const unsigned place = step - kIndexToMapping - kMappingToEnd;
    rte_mbuf* const mbuf = burst.mbufs[place];
    const bool outbound = kMixed ? flows.ways[place] == Way::outbound : kWay == Way::outbound;
    const bool done =
        outbound ? finish<true>(mbuf, place, flows, worker) : finish<false>(mbuf, place, flows, worker);
    if (done) [[likely]] {
      ++sent[outbound ? 1 : 0];
    } else {
      burst.mbufs[left++] = mbuf;
    }
  }
  burst.size = left;
  worker.stats.worker.add(WorkerCounter::rx_bytes, bytes);
  worker.stats.worker.add(WorkerCounter::translated_in, sent[0]);
  worker.stats.worker.add(WorkerCounter::translated_out, sent[1]);
  worker.stats.worker.add(WorkerCounter::express, sent[0] + sent[1]);
}

void Express::forward_received(Burst& burst, std::uint16_t port, WorkerContext& worker) noexcept {
  const Arrival& arrival = arrivals_[port];
  if (arrival.inside) {
    forward_as<Way::outbound>(burst, arrival, worker);
  } else {
    forward_as<Way::inbound>(burst, arrival, worker);
  }
  for (unsigned i = 0; i < burst.size; ++i) burst.mbufs[i]->port = port;  // not every driver says so
}

void Express::forward_handed_over(Burst& burst, WorkerContext& worker) noexcept {
  forward_as<Way::regular>(burst, arrivals_[0], worker);
}

}  // namespace pinhole::dataplane
