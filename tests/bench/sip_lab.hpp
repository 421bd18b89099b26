// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// One worker between two ring ports, and phones inside that send SIP messages to a proxy outside, in the
// thread of the benchmark. Only the turns of the worker are timed. What comes out is compared byte for byte
// with what has to come out, and its checksums are computed in full.

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dataplane/appliance.hpp"
#include "dataplane/gateway/built_in.hpp"
#include "dataplane/ipc/event.hpp"
#include "dataplane/ipc/layout.hpp"
#include "tests/bench/flows.hpp"
#include "tests/bench/ring_port.hpp"
#include "tests/bench/sip_messages.hpp"

#include <rte_cycles.h>
#include <rte_ring_elem.h>

#include <fmt/format.h>
#include <fmt/printf.h>

namespace pinhole::bench {

inline constexpr unsigned kPhones = 1024;  // each sends one message of a batch
inline constexpr nat::Endpoint kProxy{kRemote.address, nat::Be16{5060}};
inline constexpr std::uint16_t kSipMtu = 4000;  // so that the largest message is one packet
inline constexpr std::uint32_t kMostCalls = 32'768;

/// Every bucket is asked, and none is ever empty: the rates are beyond what is sent.
inline config::Limits wide_limits() {
  constexpr config::Rate kWide{.per_s = 1'000'000, .burst = 1'000'000};
  config::Limits limits;
  limits.sources.known = limits.inside = limits.subscribers.known = limits.servers.known = kWide;
  for (auto* const method : {&limits.methods.invite, &limits.methods.ack, &limits.methods.register_})
    *method = kWide;
  return limits;
}

/// \param calls  that the tables have room for
inline config::Config sip_config(std::uint32_t calls, const std::string& file_prefix) {
  auto config = config_for(4 * calls, file_prefix);
  for (auto& interface : config.interfaces) interface.mtu = kSipMtu;
  config.sip.calls_per_worker = calls;
  config.protection.limits = wide_limits();
  config.dpdk.memory_mb += 64 + calls * 2 / 1024;
  return config;
}

class SipLab {
 public:
  /// The EAL is up. \param config  of sip_config()
  explicit SipLab(const config::Config& config)
      : inside_(make_ring_port("inside", 2 * kPhones)), outside_(make_ring_port("outside", 2 * kPhones)) {
    auto built = dataplane::Appliance::build(config, "sip_bench", dataplane::built_in_gateways(config));
    if (!built) throw std::runtime_error(built.error().message);
    appliance_ = std::move(*built);
    events_ = rte_ring_lookup(fmt::sprintf(ipc::kEventRingName, 0U).c_str());
    mbufs_.resize(kPhones);
    if (events_ == nullptr || rte_pktmbuf_alloc_bulk(appliance_->packets(), mbufs_.data(), kPhones) != 0) {
      throw std::runtime_error("too few mbufs, or no ring of events");
    }
  }

  /// Sends the n-th call's message of each phone. \return cycles spent in the worker's turns
  std::uint64_t send(const SipMessage& message, unsigned call) {
    hear_neighbors();
    std::unordered_map<const rte_mbuf*, unsigned> phones;
    const auto& mac = appliance_->network().interfaces[0].mac;
    for (unsigned phone = 0; phone < kPhones; ++phone) {
      const auto marks = inside_marks(phone, call);
      write(mbufs_[phone], mac, marks.signalling, render(message, marks));
      phones[mbufs_[phone]] = phone;
    }
    const auto cycles = take_through();
    for (const rte_mbuf* const mbuf : mbufs_) {
      check(mbuf, message, inside_marks(phones.at(mbuf), call));
    }
    drain_events();
    return cycles;
  }

  /// What a phone writes into its messages.
  [[nodiscard]] static SipMarks inside_marks(unsigned phone, unsigned call) {
    const auto host = nat::Ipv4Address::from_host(0x0A000100U + phone);
    return {.signalling = {host, nat::Be16{5060}},
            .media = {host, nat::Be16{static_cast<std::uint16_t>(20'000 + 2 * (call % 8192))}},
            .call = call * kPhones + phone};
  }

 private:
  static constexpr std::size_t kIp = sizeof(nat::EthernetHeader);
  static constexpr std::size_t kUdp = kIp + sizeof(nat::Ipv4Header);

  /// They are never silent for so long that they are asked for among the messages.
  void hear_neighbors() {
    auto& neighbors = *appliance_->network().neighbors;
    const auto now = context().clock.tick();
    const auto nobody_waits = [](void*) noexcept {};
    neighbors.learn(0, kInsideNeighbor, kInsideMac, true, now, nobody_waits);
    neighbors.learn(1, kOutsideNeighbor, kOutsideMac, true, now, nobody_waits);
  }

  [[nodiscard]] dataplane::WorkerContext& context() { return appliance_->context(0); }

  static void write(rte_mbuf* mbuf, const nat::MacAddress& to, nat::Endpoint source, std::string_view text) {
    write_frame(mbuf, to, source, kProxy, 0);
    dataplane::resize(mbuf, static_cast<std::uint16_t>(kPayload + text.size()));
    std::byte* const frame = dataplane::bytes_of(mbuf);
    std::memcpy(frame + kPayload, text.data(), text.size());
    auto& ip = nat::header_at<nat::Ipv4Header>(frame, kIp);
    ip.total_length = nat::Be16{static_cast<std::uint16_t>(mbuf->data_len - kIp)};
    ip.checksum = {};
    ip.checksum = nat::Be16::from_raw(nat::checksum({frame + kIp, sizeof ip}));
    auto& udp = nat::header_at<nat::UdpHeader>(frame, kUdp);
    udp.length = nat::Be16{static_cast<std::uint16_t>(mbuf->data_len - kUdp)};
    udp.checksum = nat::Be16::from_raw(udp_checksum(frame, source, mbuf->data_len));
  }

  static std::uint16_t udp_checksum(const std::byte* frame, nat::Endpoint source, std::uint16_t size) {
    return nat::transport_checksum(nat::Protocol::udp, source.address, kProxy.address,
                                   {frame + kUdp, size - kUdp}, offsetof(nat::UdpHeader, checksum));
  }

  std::uint64_t take_through() {
    auto** const mbufs = reinterpret_cast<void**>(mbufs_.data());
    if (rte_ring_enqueue_bulk(inside_.rx, mbufs, kPhones, nullptr) != kPhones) {
      throw std::runtime_error("receive ring full");
    }
    auto& worker = *appliance_->workers()[0];
    const std::uint64_t begin = rte_rdtsc_precise();
    while (!rte_ring_empty(inside_.rx)) worker.turn();
    const std::uint64_t end = rte_rdtsc_precise();
    if (rte_ring_dequeue_bulk(outside_.tx, mbufs, kPhones, nullptr) != kPhones) {
      throw std::runtime_error("messages were lost on the way: " + drops());
    }
    return end - begin;
  }

  nat::Endpoint external(nat::Endpoint inside) {
    const auto& table = context().translator.table();
    const auto index = table.find(nat::Protocol::udp, inside);
    if (index == nat::kNoMapping) throw std::runtime_error("an endpoint got no mapping");
    return table[index].external;
  }

  void check(const rte_mbuf* mbuf, const SipMessage& message, SipMarks marks) {
    marks.signalling = external(marks.signalling);
    if (message.has_media) marks.media = external(marks.media);
    const auto expected = render(message, marks);
    const std::byte* const frame = rte_pktmbuf_mtod(mbuf, const std::byte*);
    const auto& ip = nat::header_at<nat::Ipv4Header>(frame, kIp);
    const auto& udp = nat::header_at<nat::UdpHeader>(frame, kUdp);
    const std::string_view text(reinterpret_cast<const char*>(frame) + kPayload, mbuf->data_len - kPayload);
    if (text != expected) {
      throw std::runtime_error(
          fmt::format("{} came out wrong:\n{}\nand not\n{}", message.name, text, expected));
    }
    const bool sound = ip.source == marks.signalling.address && udp.source_port == marks.signalling.port &&
                       ip.total_length == nat::Be16{static_cast<std::uint16_t>(mbuf->data_len - kIp)} &&
                       udp.length == nat::Be16{static_cast<std::uint16_t>(mbuf->data_len - kUdp)} &&
                       nat::checksum({frame + kIp, sizeof ip}) == 0 &&
                       udp.checksum.raw() == udp_checksum(frame, marks.signalling, mbuf->data_len);
    if (!sound) throw std::runtime_error(fmt::format("{} came out with wrong headers", message.name));
  }

  /// Control would read them: a ring that is full is cheaper than one that is not.
  void drain_events() {
    ipc::Event event;
    while (rte_ring_dequeue_elem(events_, &event, sizeof event) == 0) ++seen_events_;
    if (context().stats.worker.read(dataplane::WorkerCounter::event_lost) != 0) {
      throw std::runtime_error("events were lost");
    }
  }

  /// The drop reasons that are not zero.
  std::string drops() {
    std::string text;
    const auto& info = nat::CounterTraits<nat::DropReason>::kInfo;
    for (std::size_t i = 0; i < info.size(); ++i) {
      const auto count = context().stats.drops.read(static_cast<nat::DropReason>(i));
      if (count > 0) text += fmt::format("{} {} ", info[i].name, count);
    }
    return text;
  }

  RingPort inside_;
  RingPort outside_;
  std::unique_ptr<dataplane::Appliance> appliance_;
  rte_ring* events_ = nullptr;
  std::uint64_t seen_events_ = 0;
  std::vector<rte_mbuf*> mbufs_;
};

}  // namespace pinhole::bench
