// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/express.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

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

/// So many packets take each step together, before the next so many do. A step reads the lines that the step
/// before it asked for, so this is the distance that hides the latency of memory; and no more lines may be on
/// their way at once than the core can wait for (about 20 on current ones): what is asked for beyond that is
/// silently not fetched.
constexpr unsigned kStride = 12;

/// Whether a mapping's remote is this one, an endpoint_word(). If it has none, it has no next hop either.
bool speaks_to(const nat::Mapping& mapping, std::uint64_t remote) noexcept {
  static_assert(offsetof(nat::Mapping, remote) == 8);
  const auto word = load<std::uint64_t>(reinterpret_cast<const std::byte*>(&mapping) + 8);
  return (word ^ remote) << 16U == 0;
}
/// A mapping for a packet from inside that has none: its key is another one, or it is free and without a hop.
constexpr nat::MappingIndex kAny = 0;
/// What no mapping has as an endpoint: nobody speaks to the broadcast address through a translator.
constexpr std::uint64_t kNobody = 0xffff'ffff'ffffU;

template <bool kOutbound>
void rewrite(std::byte* frame, const nat::Mapping& mapping, const ReadyHop& hop) noexcept {
  using namespace nat::rewrite_detail;
  using plain::kIp;
  using plain::kUdp;
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

/// What is known of a packet on its way through the steps.
struct Express::Flow {
  std::uint64_t ends[2];  // endpoint_word() of source and destination
  std::uint64_t place;    // outbound: the hash; inbound: the slot
  std::byte* frame;

  [[nodiscard]] std::uint64_t remote(bool outbound) const noexcept { return ends[outbound ? 1 : 0]; }
  [[nodiscard]] std::uint64_t ours(bool outbound) const noexcept { return ends[outbound ? 0 : 1]; }
};

/// Frames that go out by one port one after the other, not yet handed to the transmitter.
struct Express::Sent {
  unsigned port = 0;
  unsigned size = 0;
  std::uint64_t bytes = 0;
  std::array<rte_mbuf*, kBurst> mbufs;

  void add(unsigned to, rte_mbuf* mbuf, std::uint16_t frame_bytes, Transmitter& transmitter) noexcept {
    if (to != port) [[unlikely]] {
      hand_over(transmitter);
      port = to;
    }
    mbufs[size++] = mbuf;
    bytes += frame_bytes;
  }
  void hand_over(Transmitter& transmitter) noexcept {
    transmitter.push(port, std::span(mbufs).first(std::exchange(size, 0)),
                     static_cast<std::uint32_t>(std::exchange(bytes, 0)));
  }
};

Express::Express(const Network& network) : alone_(network.steering.workers() == 1), hops_(network) {
  for (std::size_t i = 0; i < network.interfaces.size(); ++i) {
    const auto& interface = network.interfaces[i];
    const auto device = network.ports[interface.port].id;
    if (interface.vlan != 0 || network.only_interface[device] != i) continue;
    arrivals_[device] = {.head = plain::head_for(interface.mac.raw()),
                         .port = device,
                         .usable = true,
                         .inside = interface.inside};
  }
}

bool Express::may_pass(const nat::Mapping& mapping, nat::Endpoint remote,
                       const WorkerContext& worker) const noexcept {
  return mapping.protocol == nat::Protocol::udp && mapping.realm == nat::Realm::translated &&
         mapping.remote == remote && (mapping.flags & MappingFlags::kHasRemote) != 0 &&
         (mapping.flags & MappingFlags::kRegular) == 0 && !worker.sip_ports.concern(mapping, remote.port);
}

/// First step: whether a packet is plain, and of which flow. Its index line is being fetched afterwards; or
/// `place` is the worker that owns it.
template <bool kOutbound>
[[gnu::always_inline]] inline Express::Found Express::recognise(Flow& flow, std::size_t size,
                                                                const Arrival& arrival,
                                                                const WorkerContext& worker) const noexcept {
  if (!is_plain(flow.frame, size, arrival.head)) [[unlikely]]
    return Found::nothing;
  read_endpoints(flow.frame, flow.ends);
  const auto& steering = worker.network.steering;
  const auto address = load<nat::Ipv4Address>(
      flow.frame + plain::kIp +
      (kOutbound ? offsetof(nat::Ipv4Header, source) : offsetof(nat::Ipv4Header, destination)));
  if constexpr (kOutbound) {
    if (!alone_) {
      flow.place = steering.owner_of_inside(address);
      if (flow.place != worker.index) return Found::elsewhere;
    }
    static_assert(static_cast<unsigned>(nat::Protocol::udp) == 0 &&
                  static_cast<unsigned>(nat::Realm::translated) == 0);
    const auto& table = worker.translator.table();
    flow.place = table.hash(flow.ours(true));
    table.prefetch(flow.place);
  } else {
    const auto pool_index = steering.pool_index(address);
    if (!pool_index) return Found::nothing;
    const std::uint16_t port =
        load<nat::Be16>(flow.frame + plain::kUdp + offsetof(nat::UdpHeader, destination_port)).host();
    if (!alone_) {
      flow.place = steering.owner_of_external(*pool_index, nat::Protocol::udp, port);
      if (flow.place != worker.index) return Found::elsewhere;
    }
    flow.place = nat::InboundIndex::slot_of({*pool_index, port, nat::Protocol::udp});
    worker.translator.prefetch_inbound(flow.place);
  }
  return Found::flow;
}

/// Third step: a packet whose mapping says so is rewritten and sent. \return whether it was
template <bool kOutbound>
[[gnu::always_inline]] inline bool Express::finish(rte_mbuf* mbuf, const Flow& flow, nat::MappingIndex index,
                                                   WorkerContext& worker, Sent& sent) const noexcept {
  if (!kOutbound && index == nat::kNoMapping) [[unlikely]]
    return false;
  nat::Mapping& mapping = worker.translator[index];
  if (kOutbound && nat::key_word(mapping) != flow.ours(true)) [[unlikely]]
    return false;
  if (!speaks_to(mapping, flow.remote(kOutbound))) [[unlikely]]
    return false;
  const ReadyHop& hop = hops_[kOutbound ? mapping.hop_out : mapping.hop_in];
  const std::uint16_t ip_size = plain::ip_size_of(flow.frame);
  if (ip_size > hop.mtu) [[unlikely]]
    return false;
  const auto now = worker.clock.tick();
  if constexpr (kOutbound) {
    nat::Translator::count_outbound(mapping, ip_size, now);
  } else {
    nat::Translator::count_inbound(mapping, ip_size, now);
  }
  rewrite<kOutbound>(flow.frame, mapping, hop);
  const auto frame_size = static_cast<std::uint16_t>(plain::kIp + ip_size);
  if (mbuf->data_len != frame_size) [[unlikely]]
    resize(mbuf, frame_size);  // Ethernet padding stays behind
  sent.add(hop.port, mbuf, frame_size, worker.transmitter);
  return true;
}

/// \tparam kWay that of every packet, which all came in by `arrival`; or `regular`: each says where it came
/// from
template <Express::Way kWay>
void Express::forward_as(Burst& burst, const Arrival& arrival, WorkerContext& worker) noexcept {
  constexpr bool kMixed = kWay == Way::regular;
  const unsigned size = burst.size;
  std::array<Flow, kBurst> flows;
  std::array<nat::MappingIndex, kBurst> mappings;
  std::array<Way, kBurst> ways;  // kMixed
  const auto is_outbound = [&](unsigned place) noexcept {
    return kMixed ? ways[place] == Way::outbound : kWay == Way::outbound;
  };
  // The few whose index line was full: they look further when their next line is there.
  std::array<std::uint8_t, kBurst> further;
  unsigned further_next = 0;
  unsigned further_end = 0;
  std::array<unsigned, 2> count{};  // inbound, outbound
  std::uint64_t bytes = 0;
  std::uint16_t left = 0;
  unsigned handed_over = 0;
  Sent sent;

  // Calls step(place) for each packet of the stride that begins at `begin`, which may lie behind the burst.
  const auto each = [size](unsigned begin, auto&& step) noexcept __attribute__((always_inline)) {
    const unsigned end = std::min(begin + kStride, size);
    for (unsigned place = begin; place < end; ++place) step(place);
  };
  const auto fetch = [&](unsigned place) noexcept {
    flows[place].frame = bytes_of(burst.mbufs[place]);
    nat::prefetch(flows[place].frame);
  };
  const auto recognise_one = [&](unsigned place) noexcept __attribute__((always_inline)) {
    Flow& flow = flows[place];
    rte_mbuf* const mbuf = burst.mbufs[place];
    const std::size_t frame_size = mbuf->data_len;
    auto found = Found::nothing;
    if constexpr (kMixed) {
      const Arrival& its = arrivals_[mbuf->port < arrivals_.size() ? mbuf->port : 0];
      ways[place] = its.inside ? Way::outbound : Way::inbound;
      if (its.usable && mbuf->port < arrivals_.size()) {
        found = its.inside ? recognise<true>(flow, frame_size, its, worker)
                           : recognise<false>(flow, frame_size, its, worker);
      }
    } else {
      bytes += frame_size;
      found = recognise < kWay == Way::outbound > (flow, frame_size, arrival, worker);
      if (found == Found::elsewhere) [[unlikely]] {
        mbuf->port = arrival.port;
        worker.handoff.add(static_cast<unsigned>(flow.place), mbuf);
        burst.mbufs[place] = nullptr;
        ++handed_over;
      }
    }
    if (found != Found::flow) [[unlikely]] {
      flow.ends[0] = flow.ends[1] = kNobody;
      flow.place = 0;
    }
  };
  const auto guess_one = [&](unsigned place) noexcept __attribute__((always_inline)) {
    const auto where = flows[place].place;
    if (!is_outbound(place)) {
      mappings[place] = worker.translator.guess_inbound(where);
      return;
    }
    const auto guess = worker.translator.table().guess(where);
    if (guess != nat::kNoMapping) [[likely]] {
      worker.translator.table().prefetch_mapping(guess);
      mappings[place] = guess;
      return;
    }
    mappings[place] = kAny;
    if (worker.translator.table().lies_further(where))
      further[further_end++] = static_cast<std::uint8_t>(place);
  };
  const auto finish_one = [&](unsigned place) noexcept __attribute__((always_inline)) {
    rte_mbuf* const mbuf = burst.mbufs[place];
    const bool outbound = is_outbound(place);
    const bool done = outbound ? finish<true>(mbuf, flows[place], mappings[place], worker, sent)
                               : finish<false>(mbuf, flows[place], mappings[place], worker, sent);
    if (done) [[likely]] {
      if constexpr (kMixed) ++count[outbound ? 1 : 0];
    } else if (mbuf != nullptr) {
      burst.mbufs[left++] = mbuf;
    }
  };

  each(0, fetch);
  for (unsigned begin = 0; begin < size + 2 * kStride; begin += kStride) {
    each(begin + kStride, fetch);
    each(begin, recognise_one);
    if (begin < kStride) continue;
    for (; further_next < further_end; ++further_next) {
      const unsigned place = further[further_next];
      const auto guess = worker.translator.guess_outbound_further(flows[place].place);
      if (guess != nat::kNoMapping) mappings[place] = guess;
    }
    each(begin - kStride, guess_one);
    if (begin < 2 * kStride) continue;
    each(begin - 2 * kStride, finish_one);
  }
  sent.hand_over(worker.transmitter);
  burst.size = left;
  if constexpr (!kMixed) count[kWay == Way::outbound ? 1 : 0] = size - left - handed_over;
  if (handed_over > 0) worker.handoff.flush();
  auto& counters = worker.stats.worker;
  counters.add(WorkerCounter::rx_bytes, bytes);
  counters.add(WorkerCounter::translated_in, count[0]);
  counters.add(WorkerCounter::translated_out, count[1]);
  counters.add(WorkerCounter::express, count[0] + count[1]);
}

void Express::forward_received(Burst& burst, std::uint16_t port, WorkerContext& worker) noexcept {
  const Arrival& arrival = arrivals_[port];
  if (!arrival.usable) {
    std::uint64_t bytes = 0;
    for (unsigned i = 0; i < burst.size; ++i) bytes += burst.mbufs[i]->data_len;
    worker.stats.worker.add(WorkerCounter::rx_bytes, bytes);
  } else if (arrival.inside) {
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
