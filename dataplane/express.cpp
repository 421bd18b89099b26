// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/express.hpp"

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <utility>

#include "dataplane/context.hpp"
#include "dataplane/mbuf_view.hpp"
#include "dataplane/source_check.hpp"
#include "nat/checksum.hpp"
#include "nat/headers.hpp"
#include "nat/packet.hpp"
#include "nat/rewrite.hpp"

namespace pinhole::dataplane {

namespace {

using nat::load;
using nat::MappingFlags;

/// So many packets take each step together, before the next so many do. A step reads the lines that the step
/// before it asked for, so this is the distance that hides the latency of memory; and no more lines may be on
/// their way at once than the core can wait for (about 20 on current ones): what is asked for beyond that is
/// silently not fetched.
constexpr unsigned kStride = 16;

/// Whether a mapping's remote is this one, an endpoint_word(). If it has none, it has no next hop either.
/// Its upper 16 bits do not count.
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

  nat::store(frame, hop.header_begin);
  nat::store(frame + sizeof(nat::EthernetHeader) - sizeof hop.header_end, hop.header_end);
  std::byte* const third_word = frame + kIp + offsetof(nat::Ipv4Header, ttl);
  const auto address_delta = kOutbound ? mapping.ip_delta : nat::inverse(mapping.ip_delta);
  nat::store(third_word, next_hop(load<std::uint32_t>(third_word), address_delta));
  nat::store(frame + kAddress, to.address.value.raw());
  nat::store(frame + kPort, to.port.raw());
  std::byte* const checksum = frame + kUdp + offsetof(nat::UdpHeader, checksum);
  const auto before = load<std::uint16_t>(checksum);
  nat::store(checksum, kOutbound ? nat::apply_udp(before, mapping.transport_delta)
                                 : nat::take_back_udp(before, mapping.transport_delta));
}

}  // namespace

/// What is known of a packet on its way through the steps.
struct Express::Flow {
  std::uint64_t endpoints[2];     // plain::read_endpoints(), the size being in that of the remote
  nat::OutboundIndex::Hash hash;  // outbound
  nat::InboundIndex::Slot slot;   // inbound
  unsigned owner;                 // of a packet that is to be handed over
  std::byte* frame;
  rte_mbuf* mbuf;         // nullptr: handed over
  nat::Mapping* mapping;  // that is probably its; when there is none, that of kAny, or inbound nullptr

  template <bool kOutbound>
  void read() noexcept {
    plain::read_endpoints<kOutbound ? 1 : 0>(frame, endpoints);
  }
  [[nodiscard]] std::uint64_t remote(bool outbound) const noexcept { return endpoints[outbound ? 1 : 0]; }
  [[nodiscard]] std::uint16_t udp_size(bool outbound) const noexcept {
    return plain::udp_size_in(remote(outbound));
  }
  /// Outbound.
  [[nodiscard]] nat::OutboundKey key() const noexcept { return nat::OutboundKey::from_word(endpoints[0]); }
  [[nodiscard]] nat::Endpoint destination() const noexcept { return nat::endpoint_of(endpoints[1]); }
};

/// Frames that go out by one port one after the other, not yet handed to the transmitter.
struct Express::Sent {
  rte_mbuf** begin;
  rte_mbuf** end = begin;
  unsigned port = 0;
  std::uint64_t bytes = 0;

  void add(unsigned to, rte_mbuf* mbuf, unsigned frame_bytes, Transmitter& transmitter) noexcept {
    if (to != port) [[unlikely]] {
      hand_over(transmitter);
      port = to;
    }
    *end++ = mbuf;
    bytes += frame_bytes;
  }
  void hand_over(Transmitter& transmitter) noexcept {
    transmitter.push(port, std::span(begin, std::exchange(end, begin)),
                     static_cast<std::uint32_t>(std::exchange(bytes, 0)));
  }
};

// What the steps need of the worker: by value what is read for each packet. Stores to frames may change
// anything as far as the compiler can tell, and what lies behind a reference would be read again each time.

struct Express::Finder {
  Finder(const Express& express, const WorkerContext& worker) noexcept
      : steering(worker.network.steering),
        own_worker(worker.index),
        alone(express.alone_),
        outbound(worker.translator.outbound()),
        inbound(worker.translator.inbound()) {}

  const Steering& steering;
  unsigned own_worker;
  bool alone;
  nat::OutboundIndex outbound;
  nat::InboundIndex inbound;
};

struct Express::Sender {
  Sender(const Express& express, WorkerContext& worker, std::uint32_t time_us) noexcept
      : hops(express.hops_),
        transmitter(worker.transmitter),
        meters(worker.meters),
        mappings(worker.translator.mappings()),
        now(worker.clock.tick()),
        now_us(time_us) {}

  const HopTable& hops;
  Transmitter& transmitter;
  MediaMeters& meters;
  nat::Mapping* mappings;
  nat::Tick now;
  std::uint32_t now_us;  // for what is measured
};

Express::Express(const Network& network, bool measures)
    : alone_(network.steering.workers() == 1),
      by_arrival_(network.untranslated.asks_inside_interface() &&
                  std::ranges::count(network.interfaces, true, &Interface::inside) > 1),
      measures_(measures),
      hops_(network) {
  for (std::size_t i = 0; i < network.interfaces.size(); ++i) {
    const auto& interface = network.interfaces[i];
    const auto device = network.ports[interface.port].id;
    if (interface.vlan != 0 || network.only_interface[device] != i) continue;
    arrivals_[device] = {.head = plain::head_for(interface.mac.raw()),
                         .port = device,
                         .use = measures ? Use::measured : Use::forward,
                         .inside = interface.inside};
  }
}

/// Notes the next hop of a flow whose packets may take the express path from now on.
/// \param number  hop_out or hop_in of the mapping
void Express::try_to_admit(nat::HopNumber& number, const nat::Mapping& mapping, const nat::Endpoint& remote,
                           Hop hop, const WorkerContext& worker) noexcept {
  const bool may_pass = mapping.protocol == nat::Protocol::udp && mapping.realm == nat::Realm::translated &&
                        mapping.remote == remote && (mapping.flags & MappingFlags::kHasRemote) != 0 &&
                        (mapping.flags & MappingFlags::kRegular) == 0 &&
                        worker.ports.owner(mapping, remote.port, true) == kUnowned;
  if (may_pass) number = hops_.number_of(hop);
}

/// First step: whether a packet is plain, and of which flow. Its index line is being fetched afterwards; or
/// `owner` is the worker that it belongs to.
template <bool kOutbound>
[[gnu::always_inline]] inline Express::Found Express::recognise(Flow& flow, std::size_t size,
                                                                const plain::Head& head,
                                                                const Finder& finder) noexcept {
  if (size < plain::kPayload) [[unlikely]]
    return Found::nothing;
  flow.read<kOutbound>();
  if (!is_plain(flow.frame, size, flow.udp_size(kOutbound), head)) [[unlikely]]
    return Found::nothing;
  if constexpr (kOutbound) {
    if (!finder.alone) {
      flow.owner = finder.steering.owner_of_inside(flow.key().inside().address);
      if (flow.owner != finder.own_worker) return Found::elsewhere;
    }
    static_assert(static_cast<unsigned>(nat::Protocol::udp) == 0 &&
                  static_cast<unsigned>(nat::Realm::translated) == 0);
    flow.hash = finder.outbound.hash(flow.key().word());
    finder.outbound.prefetch(flow.hash);
  } else {
    const auto external = flow.destination();
    const std::uint32_t found = finder.steering.find(external.address);
    if (found == Steering::kNotOurs) [[unlikely]]
      return Found::nothing;
    const auto pool_index = static_cast<std::uint16_t>(found);
    const std::uint16_t port = external.port.host();
    if (!finder.alone) {
      flow.owner = finder.steering.owner_of_external(pool_index, nat::Protocol::udp, port);
      if (flow.owner != finder.own_worker) return Found::elsewhere;
    }
    flow.slot = nat::InboundIndex::slot_of({pool_index, port, nat::Protocol::udp});
    finder.inbound.prefetch(flow.slot);
  }
  return Found::flow;
}

/// Third step: a packet whose mapping says so is rewritten and sent. \return whether it was
template <bool kOutbound, bool kMeasured>
[[gnu::always_inline]] inline bool Express::finish(const Flow& flow, const Sender& sender,
                                                   Sent& sent) noexcept {
  if (!kOutbound && flow.mapping == nullptr) [[unlikely]]
    return false;
  if (kOutbound && nat::key_word(*flow.mapping) != flow.key().word()) [[unlikely]]
    return false;
  if (!speaks_to(*flow.mapping, flow.remote(kOutbound))) [[unlikely]]
    return false;
  return send<kOutbound, kMeasured>(flow, sender, sent);
}

/// The same where the mapping is known to be that of the flow and its remote.
template <bool kOutbound, bool kMeasured>
[[gnu::always_inline]] inline bool Express::send(const Flow& flow, const Sender& sender,
                                                 Sent& sent) noexcept {
  nat::Mapping& mapping = *flow.mapping;
  const ReadyHop& hop = sender.hops[kOutbound ? mapping.hop_out : mapping.hop_in];
  const std::uint32_t ip_size = flow.udp_size(kOutbound) + std::uint32_t{sizeof(nat::Ipv4Header)};
  if (ip_size > hop.mtu) [[unlikely]]
    return false;
  if constexpr (kOutbound) {
    nat::Translator::count_outbound(mapping, ip_size, sender.now);
  } else {
    nat::Translator::count_inbound(mapping, ip_size, sender.now);
  }
  if constexpr (kMeasured) {
    constexpr std::size_t kHeaders = plain::kPayload - plain::kIp;
    if ((mapping.flags & MappingFlags::kPinhole) != 0) {
      sender.meters.count(static_cast<nat::MappingIndex>(&mapping - sender.mappings), kOutbound,
                          {flow.frame + plain::kPayload, ip_size - kHeaders},
                          static_cast<std::uint16_t>(ip_size), sender.now_us);
    }
  }
  rewrite<kOutbound>(flow.frame, mapping, hop);
  const auto frame_size = static_cast<std::uint32_t>(plain::kIp) + ip_size;
  if (flow.mbuf->data_len != frame_size) [[unlikely]]
    resize(flow.mbuf, static_cast<std::uint16_t>(frame_size));  // Ethernet padding stays behind
  sent.add(hop.port, flow.mbuf, frame_size, sender.transmitter);
  return true;
}

/// Whether there is nothing about the first packet of a flow that the regular path has to see to; it goes by
/// this hop then.
/// \param hop  written field by field, and only read so: whoever loads together what was stored apart waits
[[gnu::always_inline]] inline bool Express::is_ordinary(const nat::Endpoint& source,
                                                        const nat::Endpoint& destination,
                                                        const Network& network, Hop& hop) noexcept {
  if (destination.port == nat::Be16{} || nat::is_martian(source.address) ||
      nat::is_martian(destination.address)) {
    return false;
  }
  if (!network.untranslated.empty() || network.steering.is_external(destination.address)) return false;
  const auto route = network.routes.find(destination.address);
  if (route.kind != RouteKind::forward || route.zone == config::Zone::inside) return false;
  hop.next_hop = route.next_hop;
  hop.interface = route.interface;
  return wrong_source(source.address, true, network) == nat::DropReason::none;
}

/// A packet of a flow that had no mapping when it was looked for: makes it, and the packet takes it.
/// \param certain  that it has none now
/// \param foreseen  what is known of it already
template <bool kMeasured>
Express::First Express::open(Flow& flow, bool certain, const nat::Foreseen& foreseen, WorkerContext& worker,
                             const Sender& sender, Sent& sent) noexcept {
  if (!certain) {
    const auto known = worker.translator.find_outbound(flow.key());
    if (known != nat::kNoMapping) {
      flow.mapping = sender.mappings + known;
      return finish<true, kMeasured>(flow, sender, sent) ? First::sent : First::left;
    }
  }
  const auto inside = flow.key().inside();
  const auto remote = flow.destination();
  Hop hop;
  if (!is_ordinary(inside, remote, worker.network, hop) ||
      worker.gateways.expectations.await_from_inside(nat::Protocol::udp)) [[unlikely]]
    return First::left;
  const auto created = worker.translator.create(nat::Protocol::udp, inside, remote, sender.now,
                                                nat::Realm::translated, foreseen);
  if (created.index == nat::kNoMapping) {
    worker.slow_path.refused(flow.mbuf, nat::parse(frame_of(flow.mbuf), 0),
                             worker.network.only_interface[flow.mbuf->port], created.reason);
    return First::refused;
  }
  flow.mapping = sender.mappings + created.index;
  admit_outbound(*flow.mapping, remote, hop, worker);
  return send<true, kMeasured>(flow, sender, sent) ? First::sent : First::left;
}

/// A burst on its way through the steps.
/// \tparam kWay that of every packet, which all came in by `arrival`; or `regular`: each says where it came
/// from
template <Express::Way kWay, bool kMeasured>
class Express::Pass {
 public:
  Pass(Express& express, Burst& burst, const Arrival& arrival, WorkerContext& worker) noexcept
      : express_(express), burst_(burst), arrival_(arrival), worker_(worker), size_(burst.size) {
    if constexpr (kMeasured) now_us_ = worker.meters.time_us(worker.clock.tsc());
  }

  void run() noexcept {
    fetch(0);
    for (unsigned begin = 0; begin < size_ + 2 * kStride; begin += kStride) {
      fetch(begin + kStride);
      recognise(begin);
      if (begin < kStride) continue;
      if (further_next_ < further_end_) [[unlikely]]
        guess_further();
      guess(begin - kStride);
      if (begin < 2 * kStride) continue;
      finish(begin - 2 * kStride);
    }
    if (first_count_ > 0) [[unlikely]]
      open_flows();
    close();
  }

 private:
  static constexpr bool kMixed = kWay == Way::regular;
  static constexpr bool kOutbound = kWay == Way::outbound;

  // The steps, each for the stride that begins at `begin`, which may lie behind the burst.

  template <typename Step>
  [[gnu::always_inline]] void each(unsigned begin, Step&& step) noexcept {
    if (begin >= size_) return;
    const Flow* const end = &flows_[0] + std::min(begin + kStride, size_);
    for (Flow* flow = &flows_[begin]; flow != end; ++flow) step(*flow);
  }
  [[gnu::always_inline]] void fetch(unsigned begin) noexcept {
    if (begin >= size_) return;
    rte_mbuf** mbuf = &burst_.mbufs[begin];
    each(begin, [&mbuf](Flow& flow) noexcept {
      flow.mbuf = *mbuf++;
      flow.frame = bytes_of(flow.mbuf);
      nat::prefetch(flow.frame);
    });
  }
  [[gnu::always_inline]] void recognise(unsigned begin) noexcept {
    const Finder finder(express_, worker_);
    const plain::Head& head = arrival_.head;
    std::uint64_t bytes = 0;
    each(begin, [&](Flow& flow) noexcept {
      Found found = Found::nothing;
      if constexpr (kMixed) {
        found = recognise_by_arrival(flow, finder);
      } else {
        const std::size_t frame_size = flow.mbuf->data_len;
        bytes += frame_size;
        found = Express::recognise<kOutbound>(flow, frame_size, head, finder);
      }
      if (found != Found::flow) [[unlikely]]
        leave(flow, found);
    });
    bytes_ += bytes;
  }
  [[gnu::always_inline]] void guess(unsigned begin) noexcept {
    const nat::OutboundIndex outbound = worker_.translator.outbound();
    const nat::InboundIndex inbound = worker_.translator.inbound();
    nat::Mapping* const mappings = worker_.translator.mappings();
    each(begin, [&](Flow& flow) noexcept {
      const bool is_out = is_outbound(flow);
      const auto found = is_out ? outbound.guess(flow.hash) : inbound.find(flow.slot);
      if (found == nat::kNoMapping) [[unlikely]] {
        flow.mapping = is_out ? &mappings[kAny] : nullptr;
        if (is_out) note_unknown(flow);
        return;
      }
      flow.mapping = &mappings[found];
      nat::prefetch(flow.mapping);
      if constexpr (kMeasured) worker_.meters.prefetch(found, is_out);
    });
  }
  [[gnu::always_inline]] void finish(unsigned begin) noexcept {
    const Sender sender(express_, worker_, now_us_);
    Sent sent = sent_;
    each(begin, [&](Flow& flow) noexcept {
      const bool is_out = is_outbound(flow);
      const bool done = is_out ? Express::finish<true, kMeasured>(flow, sender, sent)
                               : Express::finish<false, kMeasured>(flow, sender, sent);
      if constexpr (kMixed) count_[is_out ? 1 : 0] += done ? 1 : 0;
      if (!done) [[unlikely]]
        keep(flow);
    });
    sent_ = sent;
  }

  [[nodiscard]] unsigned place_of(const Flow& flow) const noexcept {
    return static_cast<unsigned>(&flow - flows_.data());
  }
  [[nodiscard, gnu::always_inline]] bool is_outbound(const Flow& flow) const noexcept {
    return kMixed ? ways_[place_of(flow)] == Way::outbound : kOutbound;
  }
  [[nodiscard, gnu::always_inline]] Found recognise_by_arrival(Flow& flow, const Finder& finder) noexcept {
    const rte_mbuf& mbuf = *flow.mbuf;
    const bool known = mbuf.port < express_.arrivals_.size();  // and not a mark
    const Arrival& arrival = express_.arrivals_[known ? mbuf.port : 0];
    ways_[place_of(flow)] = arrival.inside ? Way::outbound : Way::inbound;
    if (!known || arrival.use == Use::none) return Found::nothing;
    return arrival.inside ? Express::recognise<true>(flow, mbuf.data_len, arrival.head, finder)
                          : Express::recognise<false>(flow, mbuf.data_len, arrival.head, finder);
  }
  /// What is another worker's is handed over. That and what is not plain is looked up all the same, and finds
  /// nothing.
  [[gnu::noinline]] void leave(Flow& flow, Found found) noexcept {
    if (found == Found::elsewhere && !kMixed) {
      flow.mbuf->port = arrival_.port;
      worker_.handoff.add(flow.owner, std::exchange(flow.mbuf, nullptr));
      ++handed_over_;
    }
    flow.endpoints[0] = flow.endpoints[1] = kNobody;
    flow.hash = {.home = 0, .rest = 1};
    flow.slot = 0;
  }

  /// A packet from inside whose line has nothing like it.
  void note_unknown(const Flow& flow) noexcept {
    const unsigned place = place_of(flow);
    if (worker_.translator.outbound().lies_further(flow.hash)) {
      further_[further_end_++] = static_cast<std::uint8_t>(place);
    } else {
      unknown_ |= std::uint64_t{1} << place;
    }
  }
  void guess_further() noexcept {
    for (; further_next_ < further_end_; ++further_next_) {
      Flow& flow = flows_[further_[further_next_]];
      const auto guess = worker_.translator.outbound().guess_further(flow.hash);
      if (guess == nat::kNoMapping) continue;
      flow.mapping = &worker_.translator[guess];
      nat::prefetch(flow.mapping);
    }
  }

  /// A packet that the express path does not take stays in the burst.
  void keep(const Flow& flow) noexcept {
    if (flow.mbuf == nullptr) return;
    const bool is_first = is_outbound(flow) && flow.endpoints[0] != kNobody &&
                          nat::key_word(*flow.mapping) != flow.key().word();
    if (is_first) {
      firsts_[first_count_++] = {static_cast<std::uint8_t>(place_of(flow)), static_cast<std::uint8_t>(left_)};
    }
    burst_.mbufs[left_++] = flow.mbuf;
  }

  /// A bit for each hash that an opened flow may have; enough of them that two new flows of a burst rarely
  /// share one.
  using Made = std::bitset<1024>;
  /// Whether the flow of a packet had no mapping, and no packet before this one in the burst can have made
  /// it.
  [[nodiscard]] bool is_still_unknown(unsigned place, Made& made) const noexcept {
    const std::size_t bit = flows_[place].hash.rest / 2 % made.size();  // the last one is the same in all
    const bool unknown = (unknown_ >> place & 1U) != 0 && !made[bit];
    made[bit] = true;
    return unknown;
  }

  /// The first packets of flows, together: they need more lines than others, and wait less for them so.
  [[gnu::noinline]] void open_flows() noexcept {
    std::array<nat::OutboundKey, kBurst> keys;
    for (unsigned i = 0; i < first_count_; ++i) keys[i] = flows_[firsts_[i].place].key();
    const Sender sender(express_, worker_, now_us_);
    Made made;
    worker_.translator.for_each_new(std::span(keys).first(first_count_),
                                    [&, this](std::size_t i, const nat::Foreseen& foreseen) noexcept {
                                      const auto [place, left] = firsts_[i];
                                      auto*& mbuf = burst_.mbufs[left];
                                      if (!kMixed) mbuf->port = arrival_.port;
                                      const First became = express_.open<kMeasured>(
                                          flows_[place], is_still_unknown(place, made), foreseen, worker_,
                                          sender, sent_);
                                      if (became == First::left) return;
                                      ++(became == First::sent ? opened_ : refused_);
                                      mbuf = nullptr;
                                    });
    const auto begin = burst_.mbufs.begin();
    left_ = static_cast<std::uint16_t>(std::remove(begin, begin + left_, nullptr) - begin);
  }
  void close() noexcept {
    sent_.hand_over(worker_.transmitter);
    burst_.size = left_;
    if (handed_over_ > 0) worker_.handoff.flush();
    if constexpr (!kMixed) {
      count_[kOutbound ? 1 : 0] = size_ - left_ - handed_over_ - opened_ - refused_;
    }
    auto& counters = worker_.stats.worker;
    counters.add(WorkerCounter::rx_bytes, bytes_);
    counters.add(WorkerCounter::translated_in, count_[0]);
    counters.add(WorkerCounter::translated_out, count_[1] + opened_);
    counters.add(WorkerCounter::express, count_[0] + count_[1]);
  }

  Express& express_;
  Burst& burst_;
  const Arrival& arrival_;
  WorkerContext& worker_;
  unsigned size_;

  std::array<Flow, kBurst> flows_;
  std::array<Way, kBurst> ways_;  // kMixed
  // The few whose index line was full: they look further when their next line is there.
  std::array<std::uint8_t, kBurst> further_;
  unsigned further_next_ = 0;
  unsigned further_end_ = 0;
  // Those without a mapping: where they are in the burst, and among what is left.
  struct FirstPacket {
    std::uint8_t place;
    std::uint8_t left;
  };
  std::array<FirstPacket, kBurst> firsts_;
  unsigned first_count_ = 0;
  std::uint64_t unknown_ = 0;  // a bit for each place
  unsigned opened_ = 0;
  unsigned refused_ = 0;
  std::array<unsigned, 2> count_{};  // inbound, outbound; without those opened
  std::uint64_t bytes_ = 0;
  std::uint16_t left_ = 0;
  unsigned handed_over_ = 0;
  std::uint32_t now_us_ = 0;
  std::array<rte_mbuf*, kBurst> to_send_;
  Sent sent_{.begin = to_send_.data()};
};

template <bool kMeasured>
void Express::forward(Burst& burst, const Arrival& arrival, WorkerContext& worker) noexcept {
  if (arrival.inside) {
    Pass<Way::outbound, kMeasured>(*this, burst, arrival, worker).run();
  } else {
    Pass<Way::inbound, kMeasured>(*this, burst, arrival, worker).run();
  }
}

void Express::forward_received(Burst& burst, std::uint16_t port, WorkerContext& worker) noexcept {
  const Arrival& arrival = arrivals_[port];
  switch (arrival.use) {
    case Use::none: {
      std::uint64_t bytes = 0;
      for (unsigned i = 0; i < burst.size; ++i) bytes += burst.mbufs[i]->data_len;
      worker.stats.worker.add(WorkerCounter::rx_bytes, bytes);
      break;
    }
    case Use::forward:
      forward<false>(burst, arrival, worker);
      break;
    case Use::measured:
      forward<true>(burst, arrival, worker);
      break;
  }
  for (unsigned i = 0; i < burst.size; ++i) burst.mbufs[i]->port = port;  // not every driver says so
}

void Express::forward_handed_over(Burst& burst, WorkerContext& worker) noexcept {
  if (measures_) {
    Pass<Way::regular, true>(*this, burst, arrivals_[0], worker).run();
  } else {
    Pass<Way::regular, false>(*this, burst, arrivals_[0], worker).run();
  }
}

}  // namespace pinhole::dataplane
