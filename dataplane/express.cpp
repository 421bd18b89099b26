// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/express.hpp"

#include <algorithm>
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
  std::uint64_t ends[2];         // endpoint_word() of source and destination
  nat::MappingTable::Hash hash;  // outbound
  std::uint64_t place;           // inbound: the slot
  std::byte* frame;

  [[nodiscard]] std::uint64_t remote(bool outbound) const noexcept { return ends[outbound ? 1 : 0]; }
  [[nodiscard]] std::uint64_t ours(bool outbound) const noexcept { return ends[outbound ? 0 : 1]; }
  // Outbound:
  [[nodiscard]] nat::OutboundKey key() const noexcept { return nat::OutboundKey::from_word(ends[0]); }
  [[nodiscard]] nat::Endpoint destination() const noexcept { return nat::endpoint_of(ends[1]); }
};

/// Frames that go out by one port one after the other, not yet handed to the transmitter.
struct Express::Sent {
  unsigned port = 0;
  unsigned size = 0;
  std::uint64_t bytes = 0;
  std::uint32_t now_us = 0;  // for what is measured
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

bool Express::may_pass(const nat::Mapping& mapping, const nat::Endpoint& remote,
                       const WorkerContext& worker) const noexcept {
  return mapping.protocol == nat::Protocol::udp && mapping.realm == nat::Realm::translated &&
         mapping.remote == remote && (mapping.flags & MappingFlags::kHasRemote) != 0 &&
         (mapping.flags & MappingFlags::kRegular) == 0 &&
         worker.ports.owner(mapping, remote.port, true) == kUnowned;
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
    flow.hash = table.hash(flow.ours(true));
    table.prefetch(flow.hash);
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
template <bool kOutbound, bool kMeasured>
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
  if constexpr (kMeasured) {
    constexpr std::size_t kHeaders = plain::kPayload - plain::kIp;
    if ((mapping.flags & MappingFlags::kPinhole) != 0) {
      worker.meters.count(index, kOutbound, {flow.frame + plain::kPayload, ip_size - kHeaders}, ip_size,
                          sent.now_us);
    }
  }
  rewrite<kOutbound>(flow.frame, mapping, hop);
  const auto frame_size = static_cast<std::uint16_t>(plain::kIp + ip_size);
  if (mbuf->data_len != frame_size) [[unlikely]]
    resize(mbuf, frame_size);  // Ethernet padding stays behind
  sent.add(hop.port, mbuf, frame_size, worker.transmitter);
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
  if (!network.untranslated.empty() || network.steering.pool_index(destination.address)) return false;
  const auto route = network.routes.find(destination.address);
  if (route.kind != RouteKind::forward || route.zone == config::Zone::inside) return false;
  hop.next_hop = route.next_hop;
  hop.interface = route.interface;
  return wrong_source(source.address, true, network) == nat::DropReason::none;
}

/// A packet of a flow that had no mapping when it was looked for: makes it, and the packet takes it.
/// \param certain  that it has none now
/// \param guess    of the port that it may get
template <bool kMeasured>
Express::First Express::open(rte_mbuf* mbuf, const Flow& flow, bool certain,
                             const nat::PortPool::Guess& guess, WorkerContext& worker, Sent& sent) noexcept {
  auto index = certain ? nat::kNoMapping : worker.translator.find_outbound(flow.key());
  if (index == nat::kNoMapping) {
    const auto inside = flow.key().inside();
    const auto remote = flow.destination();
    Hop hop;
    if (!is_ordinary(inside, remote, worker.network, hop) ||
        worker.gateways.expectations.await_from_inside(nat::Protocol::udp)) [[unlikely]]
      return First::left;
    const auto created = worker.translator.create(nat::Protocol::udp, inside, remote, worker.clock.tick(),
                                                  nat::Realm::translated, guess);
    if (created.index == nat::kNoMapping) {
      worker.slow_path.refused(mbuf, nat::parse(frame_of(mbuf), 0), worker.network.only_interface[mbuf->port],
                               created.reason);
      return First::refused;
    }
    index = created.index;
    admit_outbound(worker.translator[index], remote, hop, worker);
  }
  return finish<true, kMeasured>(mbuf, flow, index, worker, sent) ? First::sent : First::left;
}

/// A burst on its way through the steps.
/// \tparam kWay that of every packet, which all came in by `arrival`; or `regular`: each says where it came
/// from
template <Express::Way kWay, bool kMeasured>
class Express::Pass {
 public:
  Pass(Express& express, Burst& burst, const Arrival& arrival, WorkerContext& worker) noexcept
      : express_(express), burst_(burst), arrival_(arrival), worker_(worker), size_(burst.size) {
    if constexpr (kMeasured) sent_.now_us = worker.meters.time_us(worker.clock.tsc());
  }

  void run() noexcept {
    each(0, [this](unsigned place) noexcept { fetch(place); });
    for (unsigned begin = 0; begin < size_ + 2 * kStride; begin += kStride) {
      each(begin + kStride, [this](unsigned place) noexcept { fetch(place); });
      each(begin, [this](unsigned place) noexcept { recognise(place); });
      if (begin < kStride) continue;
      if (further_next_ < further_end_) [[unlikely]]
        guess_further();
      each(begin - kStride, [this](unsigned place) noexcept { guess(place); });
      if (begin < 2 * kStride) continue;
      each(begin - 2 * kStride, [this](unsigned place) noexcept { finish(place); });
    }
    if (first_count_ > 0) [[unlikely]]
      open_flows();
    close();
  }

 private:
  static constexpr bool kMixed = kWay == Way::regular;
  static constexpr bool kOutbound = kWay == Way::outbound;

  /// Calls step(place) for each packet of the stride that begins at `begin`, which may lie behind the burst.
  template <typename Step>
  [[gnu::always_inline]] void each(unsigned begin, Step&& step) noexcept {
    const unsigned end = std::min(begin + kStride, size_);
    for (unsigned place = begin; place < end; ++place) step(place);
  }
  [[nodiscard, gnu::always_inline]] bool is_outbound(unsigned place) const noexcept {
    return kMixed ? ways_[place] == Way::outbound : kOutbound;
  }

  [[gnu::always_inline]] void fetch(unsigned place) noexcept {
    flows_[place].frame = bytes_of(burst_.mbufs[place]);
    nat::prefetch(flows_[place].frame);
  }
  [[gnu::always_inline]] void recognise(unsigned place) noexcept {
    const Found found = kMixed ? find_by_arrival(place) : find(place);
    if (found == Found::flow) [[likely]]
      return;
    Flow& flow = flows_[place];
    if (found == Found::elsewhere && !kMixed) hand_over(place, static_cast<unsigned>(flow.place));
    flow.ends[0] = flow.ends[1] = kNobody;
    flow.hash = {};
    flow.place = 0;
  }
  [[nodiscard, gnu::always_inline]] Found find(unsigned place) noexcept {
    const std::size_t frame_size = burst_.mbufs[place]->data_len;
    bytes_ += frame_size;
    return express_.recognise<kOutbound>(flows_[place], frame_size, arrival_, worker_);
  }
  [[nodiscard, gnu::always_inline]] Found find_by_arrival(unsigned place) noexcept {
    const rte_mbuf* const mbuf = burst_.mbufs[place];
    const bool known = mbuf->port < express_.arrivals_.size();  // and not a mark
    const Arrival& arrival = express_.arrivals_[known ? mbuf->port : 0];
    ways_[place] = arrival.inside ? Way::outbound : Way::inbound;
    if (!known || arrival.use == Use::none) return Found::nothing;
    return arrival.inside ? express_.recognise<true>(flows_[place], mbuf->data_len, arrival, worker_)
                          : express_.recognise<false>(flows_[place], mbuf->data_len, arrival, worker_);
  }
  void hand_over(unsigned place, unsigned owner) noexcept {
    rte_mbuf* const mbuf = std::exchange(burst_.mbufs[place], nullptr);
    mbuf->port = arrival_.port;
    worker_.handoff.add(owner, mbuf);
    ++handed_over_;
  }

  [[gnu::always_inline]] void guess(unsigned place) noexcept {
    const Flow& flow = flows_[place];
    if (!is_outbound(place)) {
      mappings_[place] = worker_.translator.guess_inbound(flow.place);
      if constexpr (kMeasured) worker_.meters.prefetch(mappings_[place], false);
      return;
    }
    const auto& table = worker_.translator.table();
    const auto guess = table.guess(flow.hash);
    if (guess != nat::kNoMapping) [[likely]] {
      table.prefetch_mapping(guess);
      if constexpr (kMeasured) worker_.meters.prefetch(guess, true);
      mappings_[place] = guess;
      return;
    }
    mappings_[place] = kAny;
    if (table.lies_further(flow.hash)) {
      further_[further_end_++] = static_cast<std::uint8_t>(place);
    } else {
      unknown_ |= std::uint64_t{1} << place;
    }
  }
  void guess_further() noexcept {
    for (; further_next_ < further_end_; ++further_next_) {
      const unsigned place = further_[further_next_];
      const auto guess = worker_.translator.guess_outbound_further(flows_[place].hash);
      if (guess != nat::kNoMapping) mappings_[place] = guess;
    }
  }

  [[gnu::always_inline]] void finish(unsigned place) noexcept {
    rte_mbuf* const mbuf = burst_.mbufs[place];
    const bool outbound = is_outbound(place);
    const bool done =
        outbound ? express_.finish<true, kMeasured>(mbuf, flows_[place], mappings_[place], worker_, sent_)
                 : express_.finish<false, kMeasured>(mbuf, flows_[place], mappings_[place], worker_, sent_);
    if (done) [[likely]] {
      if constexpr (kMixed) ++count_[outbound ? 1 : 0];
    } else if (mbuf != nullptr) {
      const Flow& flow = flows_[place];
      if (outbound && flow.ends[0] != kNobody && !has_key(mappings_[place], flow)) {
        firsts_[first_count_++] = {static_cast<std::uint8_t>(place), static_cast<std::uint8_t>(left_)};
      }
      burst_.mbufs[left_++] = mbuf;
    }
  }
  [[nodiscard]] bool has_key(nat::MappingIndex index, const Flow& flow) const noexcept {
    return nat::key_word(worker_.translator[index]) == flow.ours(true);
  }

  /// Whether the flow of a packet had no mapping, and no packet before this one in the burst can have made
  /// it.
  [[nodiscard]] bool is_still_unknown(unsigned place) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << flows_[place].hash.rest % 64;
    const bool unknown = (unknown_ >> place & 1U) != 0 && (made_ & bit) == 0;
    made_ |= bit;
    return unknown;
  }

  /// The first packets of flows, together: they need more lines than others, and wait less for them so.
  [[gnu::noinline]] void open_flows() noexcept {
    std::array<nat::OutboundKey, kBurst> keys;
    for (unsigned i = 0; i < first_count_; ++i) keys[i] = flows_[firsts_[i].place].key();
    worker_.translator.for_each_new(
        std::span(keys).first(first_count_),
        [this](std::size_t i, const nat::PortPool::Guess& guess) noexcept {
          const auto [place, left] = firsts_[i];
          auto*& mbuf = burst_.mbufs[left];
          if (!kMixed) mbuf->port = arrival_.port;
          const First became =
              express_.open<kMeasured>(mbuf, flows_[place], is_still_unknown(place), guess, worker_, sent_);
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
  std::array<nat::MappingIndex, kBurst> mappings_;
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
  std::uint64_t made_ = 0;     // a bit for the hashes of flows that were opened
  unsigned opened_ = 0;
  unsigned refused_ = 0;
  std::array<unsigned, 2> count_{};  // inbound, outbound; without those opened
  std::uint64_t bytes_ = 0;
  std::uint16_t left_ = 0;
  unsigned handed_over_ = 0;
  Sent sent_;
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
