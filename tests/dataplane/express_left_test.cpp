// SPDX-License-Identifier: BSD-3-Clause
// Whole bursts are held to the regular path: packets of all kinds, those that the express path takes and
// those that it leaves, go through two labs, of which one takes nothing by the express path. What comes out
// must be the same frame by frame, and everything counted the same.
//
// What the translator draws for itself is written over before frames are compared: an external port by the
// number of the flow that has it, and the identification of fragments by nothing. What the express path takes
// may overtake what it leaves, of the same flow too; so the type of service of a packet says which of both it
// is, and order is asked for among those of one flow and type of service.
#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "dataplane/context.hpp"
#include "nat/headers.hpp"
#include "tests/dataplane/express_paths.hpp"
#include "tests/support/flows.hpp"
#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::Endpoint;
using nat::MappingFlags;
using nat::Protocol;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
constexpr std::size_t kIp = 14;
constexpr std::size_t kPlainHeaders = 42;
constexpr std::size_t kMtu = 1500;

// Types of service.
constexpr std::uint8_t kTaken = 0xb8;  // by the express path, or the first ones of a flow
constexpr std::uint8_t kLeft = 0x20;

enum class Kind : std::uint8_t {
  plain,
  padded,
  tcp,
  another_remote,
  options,
  last_hop,  // a TTL that ends here
  over_mtu,
  wrong_ip_checksum,
  udp_longer_than_frame,
  all_longer_than_frame,  // UDP's length and that of IP alike
  udp_below_header,
  ip_longer_than_udp,
  ip_shorter_than_udp,
  first_fragment,
  later_fragment,
  short_frame,
  kinds
};

struct Flow {
  Protocol protocol = Protocol::udp;
  Endpoint inside;
  Endpoint remote;
  unsigned worker = 0;
  bool is_media = false;
  std::uint16_t sequence = 0;  // of RTP; one burst fits the window of a meter, in whatever order
};
using Flows = std::vector<Flow>;

struct Arriving {
  unsigned flow = 0;
  unsigned interface = kInside;
  Kind kind = Kind::plain;
  std::uint16_t identification = 0;
  std::uint16_t by = 0;  // how much too long, or too short
  bool may_fragment = true;
  bool udp_checksum = true;
  Frame payload;

  [[nodiscard]] bool is_plain() const { return kind == Kind::plain || kind == Kind::padded; }
};

struct Burst {
  std::string name;
  std::vector<Arriving> packets;
  std::size_t known = 0;  // flows that there were before
  std::size_t flows = 0;  // and are afterwards
};

/// Which workers and interfaces a burst is about.
struct Arrival {
  const char* name;
  bool inside;
  bool outside;
  bool all_handed_over;  // whole, to worker 1; else hosts are anybody's
};

/// Draws flows and packets.
class Dealer {
 public:
  Dealer(std::uint32_t seed, unsigned workers) : random_(seed) {
    PipelineLab lab(lab_config(workers));
    for (unsigned worker = 0; worker < workers; ++worker) {
      for (unsigned host = 0; host < kHosts; ++host) hosts_.emplace_back(worker, lab.host_of(worker, host));
    }
    for (unsigned i = 0; i < workers * 14; ++i)
      add(i % 14 < 10 ? Protocol::udp : Protocol::tcp, i / 14, i % 14 < 4);
  }

  Burst burst(std::size_t size, const Arrival& arrival) {
    known_ = flows_.size();
    std::vector<Arriving> packets;
    unsigned answered = 0;
    while (packets.size() < size) {
      auto packet = draw(arrival);
      if (packet.kind == Kind::first_fragment) {
        packets.push_back(packet);
        packet.kind = Kind::later_fragment;  // never alone: it would wait
      } else if (may_be_answered(packet) && ++answered > kMostAnswers) {
        packet.kind = Kind::options;
      } else if (packet.is_plain() && packet.interface == kInside && below(3) == 0) {
        packet.flow = add(Protocol::udp, flows_[packet.flow].worker, false);

        if (below(2) == 0) packets.push_back(packet);
        packet.identification = ++identification_;
        packet.payload.push_back(std::byte{1});
      }
      packets.push_back(std::move(packet));
    }
    packets.resize(size);
    std::shuffle(packets.begin(), packets.end(), random_);
    return {.name = std::string{arrival.name} + ", a burst of " + std::to_string(size),
            .packets = std::move(packets),
            .known = known_,
            .flows = flows_.size()};
  }
  [[nodiscard]] const Flows& flows() const { return flows_; }

 private:
  static constexpr unsigned kHosts = 3;         // a worker
  static constexpr unsigned kMostAnswers = 16;  // of a burst: ICMP errors are limited

  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }

  static bool may_be_answered(const Arriving& packet) {
    return packet.kind == Kind::last_hop || packet.kind == Kind::over_mtu;
  }

  unsigned add(Protocol protocol, unsigned worker, bool is_media) {
    const auto number = static_cast<std::uint16_t>(flows_.size());
    const auto& [owner, host] = hosts_[worker * kHosts + number % kHosts];
    flows_.push_back({.protocol = protocol,
                      .inside = {host, Be16{static_cast<std::uint16_t>(20'000 + number)}},
                      .remote = {nat::Ipv4Address::from_host(0xc6120000U + number), Be16{4000}},
                      .worker = owner,
                      .is_media = is_media});
    return number;
  }

  Arriving draw(const Arrival& arrival) {
    Arriving packet;
    // Every other one is plain.
    packet.kind = below(2) == 0 ? Kind::plain : static_cast<Kind>(below(static_cast<unsigned>(Kind::kinds)));
    if (packet.kind == Kind::later_fragment) packet.kind = Kind::first_fragment;
    const bool both = arrival.inside && arrival.outside;
    packet.interface = (both ? below(2) == 0 : arrival.inside) ? kInside : kOutside;
    packet.flow = flow_for(packet.kind, arrival.all_handed_over);
    packet.identification = ++identification_;
    packet.by = static_cast<std::uint16_t>(below(1000));
    packet.may_fragment = below(2) == 0;
    packet.udp_checksum = below(8) != 0;
    packet.payload.resize(packet.kind == Kind::over_mtu ? kMtu - 27 + below(100) : 12 + below(300));
    for (auto& byte : packet.payload) byte = static_cast<std::byte>(random_());
    packet.payload[0] = std::byte{0x80};  // RTP
    packet.payload[1] = std::byte{8};
    nat::store(packet.payload.data() + 2, Be16{flows_[packet.flow].sequence++});
    nat::store(packet.payload.data() + 8, nat::Be32{packet.flow});
    return packet;
  }
  unsigned flow_for(Kind kind, bool all_handed_over) {
    for (;;) {
      const auto number = below(static_cast<unsigned>(known_));
      const auto& flow = flows_[number];
      if (all_handed_over && flow.worker != 1) continue;
      if ((flow.protocol == Protocol::tcp) != (kind == Kind::tcp)) continue;
      if (kind == Kind::another_remote && flow.is_media) continue;  // it would change hands
      return number;
    }
  }

  std::mt19937 random_;
  std::vector<std::pair<unsigned, nat::Ipv4Address>> hosts_;
  Flows flows_;
  std::size_t known_ = 0;  // of them, before the burst
  std::uint16_t identification_ = 0;
};

nat::Ipv4Header& ip_of(Frame& frame, std::size_t at = kIp) {
  return nat::header_at<nat::Ipv4Header>(frame.data(), at);
}
nat::UdpHeader& udp_of(Frame& frame, std::size_t at = kIp + 20) {
  return nat::header_at<nat::UdpHeader>(frame.data(), at);
}
void add_to(Be16& field, int difference) {
  field = Be16{static_cast<std::uint16_t>(field.host() + difference)};
}
void set_ip_length(Frame& frame, unsigned length) {
  auto& ip = ip_of(frame);
  ip.total_length = Be16{static_cast<std::uint16_t>(length)};
  ip.checksum = Be16{0};
  ip.checksum = Be16{checksum_by_the_book(frame.data() + kIp, sizeof ip)};
}

/// Makes a plain frame one of its kind, as far as its FrameSpec has not.
void spoil(Frame& frame, const Arriving& packet) {
  const auto by = packet.by;
  const auto length = ip_of(frame).total_length.host();
  switch (packet.kind) {
    case Kind::wrong_ip_checksum:
      add_to(ip_of(frame).checksum, 1 + by);
      break;
    case Kind::udp_longer_than_frame:
      add_to(udp_of(frame).length, 1 + by);
      break;
    case Kind::all_longer_than_frame:
      add_to(udp_of(frame).length, 1 + by);
      set_ip_length(frame, length + 1U + by);
      break;
    case Kind::udp_below_header:
      udp_of(frame).length = Be16{static_cast<std::uint16_t>(by % 8)};
      if (packet.may_fragment) set_ip_length(frame, 20U + by % 8);
      break;
    case Kind::ip_longer_than_udp:
      frame.push_back(std::byte{0});
      set_ip_length(frame, length + 1U);
      break;
    case Kind::ip_shorter_than_udp:
      set_ip_length(frame, length - 1U);
      break;
    case Kind::short_frame:
      frame.resize(1 + by % (kPlainHeaders - 1));
      break;
    case Kind::first_fragment:
    case Kind::later_fragment:
      frame = cut(frame, {16})[packet.kind == Kind::first_fragment ? 0 : 1];
      break;
    default:
      break;
  }
}

using Group = std::tuple<unsigned, unsigned, std::uint32_t, std::uint32_t>;  // interface, service, addresses
using Groups = std::map<Group, std::vector<Frame>>;
using Counts = std::map<std::string, std::uint64_t>;

/// One of the two labs.
class Side {
 public:
  Side(config::Config config, bool express, const Flows& flows)
      : express_(express), flows_(flows), lab_(std::move(config)) {}

  /// A flow sees packets both ways.
  void establish(const Flow& flow) {
    REQUIRE(lab_.steering().owner_of_inside(flow.inside.address) == flow.worker);
    lab_.add_neighbor(kInside, flow.inside.address);
    auto spec = outward(flow.protocol, flow.inside, flow.remote);
    spec.tcp_flags = nat::TcpHeader::kSyn;
    REQUIRE(lab_.send(kInside, spec, flow.worker).size() == 1);
    auto& mapping = answer(flow);
    if (!flow.is_media) return;
    mapping.flags |= MappingFlags::kPinhole | MappingFlags::kRefreshIn;
    lab_.context(flow.worker).meters.begin(index_of(flow));
  }

  Groups pass(const Burst& burst) {
    const auto before = lab_.count(WorkerCounter::express);
    for (const auto& packet : burst.packets) lab_.receive_frame(packet.interface, frame_of(packet));
    auto sent = lab_.run();
    const auto by_express = lab_.count(WorkerCounter::express) - before;
    while (answered_ < burst.flows) answer(flows_[answered_]);
    if (express_) {
      CHECK(by_express <= plain_ones(burst, false));
      CHECK(by_express >= plain_ones(burst, true));
    } else {
      CHECK(by_express == 0);
    }
    Groups groups;
    for (auto& each : sent) {
      if (each.interface == kOutside) forget_what_was_drawn(each.frame);
      const auto& ip = ip_of(each.frame);
      groups[{each.interface, ip.type_of_service, ip.source.host(), ip.destination.host()}].push_back(
          std::move(each.frame));
    }
    lab_.pass_s(1);  // and ICMP errors may be sent again
    return groups;
  }

  /// All that is counted but what is of the express path itself, or of time.
  Counts counts() {
    Counts counts;
    add_counts<nat::DropReason>(counts, &PipelineLab::dropped);
    add_counts<WorkerCounter>(counts, &PipelineLab::count);
    add_counts<nat::Counter>(counts, &PipelineLab::count);
    for (const auto* const own :
         {"express", "hop_live", "hop_reclaimed", "arp_request_out", "turns_busy", "turns_idle"})
      counts.erase(own);
    counts["buffers in use"] = lab_.buffers_in_use();
    for (std::size_t i = 0; i < answered_; ++i) {
      const auto& mapping = lab_.mapping(flows_[i].protocol, flows_[i].inside);
      const auto name = "flow " + std::to_string(i);
      counts[name + " out"] = mapping.packets_out;
      counts[name + " in"] = mapping.packets_in;
      counts[name + " bytes"] = mapping.bytes;
      const auto& meters = lab_.context(flows_[i].worker).meters;
      if (!meters.on()) continue;
      const auto& [out, in] = meters[index_of(flows_[i])];
      for (const auto* const meter : {&out, &in}) {
        const auto way = name + (meter == &out ? " measured out " : " measured in ");
        counts[way + "bytes"] = meter->bytes;
        counts[way + "packets"] = meter->packets;
        counts[way + "lost"] = meter->lost;
        counts[way + "repeated"] = meter->repeated;
      }
    }
    return counts;
  }

 private:
  nat::MappingIndex index_of(const Flow& flow) {
    return lab_.context(flow.worker).translator.find_outbound(flow.protocol, flow.inside);
  }
  /// Of flows in their order, when they have a mapping: notes it, and a packet comes in.
  nat::Mapping& answer(const Flow& flow) {
    const auto index = index_of(flow);
    REQUIRE(index != nat::kNoMapping);
    auto& mapping = lab_.context(flow.worker).translator[index];
    if (!express_) nat::keep_to_regular_path(mapping, MappingFlags::kRegular);
    const std::pair port{nat::ip_protocol(flow.protocol), mapping.external.port.host()};
    REQUIRE(flow_at_.emplace(port, static_cast<std::uint16_t>(answered_++)).second);
    auto spec = inward(flow.protocol, flow.remote, mapping.external);
    spec.tcp_flags = nat::TcpHeader::kSyn | nat::TcpHeader::kAck;
    REQUIRE(lab_.send(kOutside, spec, flow.worker).size() == 1);
    return mapping;
  }

  Frame frame_of(const Arriving& packet) {
    const auto& flow = flows_[packet.flow];
    auto remote = flow.remote;
    if (packet.kind == Kind::another_remote) remote.port = Be16{4001};
    auto spec = packet.interface == kInside
                    ? outward(flow.protocol, flow.inside, remote)
                    : inward(flow.protocol, remote, lab_.mapping(flow.protocol, flow.inside).external);
    spec.type_of_service = packet.is_plain() ? kTaken : kLeft;
    spec.identification = packet.identification;
    spec.udp_checksum = packet.udp_checksum;
    spec.payload = packet.payload;
    if (packet.kind == Kind::options) spec.ip_option_words = static_cast<std::uint8_t>(1 + packet.by % 10);
    if (packet.kind == Kind::last_hop) spec.ttl = static_cast<std::uint8_t>(packet.by % 2);
    if (packet.kind == Kind::padded) spec.padding = 1U + packet.by % 20;
    if (packet.kind == Kind::over_mtu && !packet.may_fragment) spec.fragment = nat::Ipv4Header::kDontFragment;
    auto frame = make_frame(spec);
    spoil(frame, packet);
    const auto own = lab_.own_mac(packet.interface);
    std::copy_n(reinterpret_cast<const std::byte*>(own.bytes.data()),
                std::min(own.bytes.size(), frame.size()), frame.begin());
    return frame;
  }

  /// Those that the express path takes as packets of established flows. \param found  and finds for certain
  std::uint64_t plain_ones(const Burst& burst, bool found) {
    return static_cast<std::uint64_t>(std::ranges::count_if(burst.packets, [&](const Arriving& packet) {
      if (!packet.is_plain() || packet.flow >= burst.known) return false;
      const auto& flow = flows_[packet.flow];
      const auto& table = lab_.context(flow.worker).translator.table();
      return !found || packet.interface == kOutside || !is_misjudged(flow.inside, table);
    }));
  }

  /// In a frame that leaves outside.
  void forget_what_was_drawn(Frame& frame) {
    auto& ip = ip_of(frame);
    const auto l4 = kIp + ip.header_size();
    if (ip.protocol == nat::kIpProtocolIcmp) {  // an error about a packet to an external port
      REQUIRE(checksums_right(frame));
      nat::header_at<nat::IcmpHeader>(frame.data(), l4).checksum = Be16{0};
      const auto quoted = l4 + sizeof(nat::IcmpHeader);
      const auto& about = ip_of(frame, quoted);
      return forget_port(frame, about.protocol, quoted + about.header_size(), false);
    }
    const auto part =
        ip.fragment.host() & (nat::Ipv4Header::kMoreFragments | nat::Ipv4Header::kFragmentOffset);
    if (part != 0) ip.identification = ip.checksum = Be16{0};
    if ((part & nat::Ipv4Header::kFragmentOffset) == 0) forget_port(frame, ip.protocol, l4, true);
  }
  /// The port is written over by the number of its flow, and taken out of the checksum.
  void forget_port(Frame& frame, std::uint8_t protocol, std::size_t l4, bool source) {
    const bool is_udp = protocol == nat::kIpProtocolUdp;
    auto& udp = udp_of(frame, l4);
    auto& port = source ? udp.source_port : udp.destination_port;
    auto& checksum = is_udp ? udp.checksum : nat::header_at<nat::TcpHeader>(frame.data(), l4).checksum;
    const auto flow = flow_at_.find({protocol, port.host()});
    REQUIRE(flow != flow_at_.end());
    constexpr unsigned kModulus = 0xffff;
    if (!is_udp || checksum != Be16{0}) {
      const unsigned others = (2 * kModulus - checksum.host() - port.host()) % kModulus;
      checksum = Be16{static_cast<std::uint16_t>(1 + others)};
    }
    port = Be16{flow->second};
  }

  template <typename Counter>
  void add_counts(Counts& counts, std::uint64_t (PipelineLab::*read)(Counter) const) const {
    const auto& info = nat::CounterTraits<Counter>::kInfo;
    for (std::size_t i = 0; i < info.size(); ++i)
      counts[std::string{info[i].name}] = (lab_.*read)(static_cast<Counter>(i));
  }

  bool express_;
  const Flows& flows_;
  PipelineLab lab_;
  std::map<std::pair<std::uint8_t, std::uint16_t>, std::uint16_t> flow_at_;  // by protocol and external port
  std::size_t answered_ = 0;
};

struct Result {
  Groups sent;
  Counts counts;
};

/// Labs cannot live beside each other: what goes through the second one was drawn for the first.
std::vector<Result> run(config::Config config, bool express, const Dealer& dealer, std::size_t established,
                        const std::vector<Burst>& bursts) {
  if (!express) keep_first_packets_regular(config);
  Side side(std::move(config), express, dealer.flows());
  for (std::size_t i = 0; i < established; ++i) side.establish(dealer.flows()[i]);
  std::vector<Result> results;
  for (const auto& burst : bursts) {
    INFO(burst.name);
    auto sent = side.pass(burst);
    results.push_back({std::move(sent), side.counts()});
  }
  return results;
}

void check_bursts(std::uint32_t seed, unsigned workers, bool measures, const std::vector<Arrival>& arrivals) {
  auto config = lab_config(workers);
  config.calls.measure = measures;
  config.icmp.errors_per_s = 100'000;
  Dealer dealer(seed, workers);
  const auto established = dealer.flows().size();
  std::vector<Burst> bursts;
  for (const auto& arrival : arrivals) {
    for (const std::size_t size : {1U, 15U, 16U, 17U, 31U, 32U, 33U, 47U, 48U, 49U, 63U, 64U})
      bursts.push_back(dealer.burst(size, arrival));
  }
  const auto express = run(config, true, dealer, established, bursts);
  const auto regular = run(config, false, dealer, established, bursts);
  for (std::size_t i = 0; i < bursts.size(); ++i) {
    INFO(bursts[i].name);
    for (const auto& [name, count] : express[i].counts) {
      const auto other = regular[i].counts.at(name);
      if (count != other) UNSCOPED_INFO(name << ": express " << count << ", regular " << other);
    }
    const bool counted_the_same = express[i].counts == regular[i].counts;
    REQUIRE(counted_the_same);
    const bool sent_the_same = express[i].sent == regular[i].sent;
    REQUIRE(sent_the_same);
  }
}

}  // namespace

TEST_CASE(
    "what the express path leaves of a burst is untouched and in order, and all comes out as by the "
    "regular path alone",
    "[dataplane][express]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  const Arrival from_inside{"from inside", true, false, false};
  const Arrival from_outside{"from outside", false, true, false};
  for (const bool measures : {false, true}) {
    DYNAMIC_SECTION((measures ? "measured" : "not measured")) {
      SECTION("one worker") {
        check_bursts(seed, 1, measures, {from_inside, from_outside});
      }
      SECTION("two workers, of which one hands over what belongs to the other") {
        const Arrival from_both{"from both", true, true, false};
        const Arrival all_handed_over{"all handed over", true, true, true};
        check_bursts(seed, 2, measures, {from_inside, from_outside, from_both, all_handed_over});
      }
    }
  }
}
