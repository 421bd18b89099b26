// SPDX-License-Identifier: BSD-3-Clause
// What it costs to measure the media of calls (calls.measure): packets of RTP that go out through pinholes,
// in random order of the streams, through the whole worker loop, with measuring off and on. The two are
// processes of their own, which alternate; in each a figure is the median of its batches. What was measured
// is checked: no packet of a stream may be missing, and none counted as lost.
#include <algorithm>
#include <array>
#include <random>

#include "dataplane/eal.hpp"
#include "tests/bench/own_process.hpp"
#include "tests/bench/rows.hpp"
#include "tests/bench/state_lab.hpp"

namespace pinhole::bench {

namespace {

constexpr std::array<std::uint32_t, 2> kStreams = {1'000, 65'536};
constexpr unsigned kRounds = 3;
constexpr unsigned kBatches = 600;
constexpr std::uint32_t kSamples = 160;  // 20 ms of G.711

/// The streams of one process.
class Streams {
 public:
  Streams(StateLab& lab, std::uint32_t count) : lab_(lab), sequences_(count) {
    lab_.grow(0, count);
    for (std::uint32_t stream = 0; stream < count; ++stream) {
      auto& worker = lab_.context();
      const auto index = worker.translator.find_outbound(nat::Protocol::udp, inside_endpoint(stream));
      worker.translator[index].flags |= nat::MappingFlags::kPinhole | nat::MappingFlags::kRefreshIn;
      worker.meters.begin(index);
    }
  }

  double cycles_a_packet() {
    std::vector<double> batches;
    std::vector<std::uint32_t> flows(StateLab::kBatch);
    for (unsigned batch = 0; batch < kBatches; ++batch) {
      for (auto& flow : flows) flow = static_cast<std::uint32_t>(random_() % sequences_.size());
      const auto cycles =
          lab_.send(flows, [this](rte_mbuf* mbuf, std::uint32_t stream) { write_rtp(mbuf, stream); });
      batches.push_back(static_cast<double>(cycles) / StateLab::kBatch);
    }
    return median(batches);
  }

  /// Errors: throws when a stream was measured wrong.
  void check() {
    for (std::uint32_t stream = 0; stream < sequences_.size(); ++stream) {
      const auto& worker = lab_.context();
      const auto index = worker.translator.find_outbound(nat::Protocol::udp, inside_endpoint(stream));
      const auto& meter = worker.meters[index].out;
      if (meter.packets != sequences_[stream] || meter.lost != 0 || meter.repeated != 0)
        throw std::runtime_error(fmt::format("stream {} was measured wrong", stream));
    }
  }

 private:
  /// The next packet of a stream, over what write_frame() wrote.
  void write_rtp(rte_mbuf* mbuf, std::uint32_t stream) {
    const std::uint32_t sequence = sequences_[stream]++;
    std::byte* const frame = dataplane::bytes_of(mbuf);
    std::byte* const rtp = frame + kPayload;
    rtp[0] = std::byte{0x80};
    rtp[1] = std::byte{8};
    nat::store(rtp + 2, nat::Be16{static_cast<std::uint16_t>(sequence)});
    nat::store(rtp + 4, nat::Be32{sequence * kSamples});
    nat::store(rtp + 8, nat::Be32{stream});
    auto& udp = nat::header_at<nat::UdpHeader>(frame, kPayload - sizeof(nat::UdpHeader));
    const std::span<const std::byte> datagram(reinterpret_cast<const std::byte*>(&udp),
                                              kFrameSize - kPayload + sizeof udp);
    udp.checksum = {};
    udp.checksum = nat::Be16::from_raw(
        nat::transport_checksum(nat::Protocol::udp, inside_endpoint(stream).address, kRemote.address,
                                datagram, offsetof(nat::UdpHeader, checksum)));
  }

  StateLab& lab_;
  std::vector<std::uint32_t> sequences_;  // the next of each stream
  std::mt19937 random_{20'261'127};
};

double cycles_of(std::uint32_t streams, bool measures) {
  auto config = config_for(streams, "pinhole_media_bench");
  config.calls.measure = measures;
  config.dpdk.memory_mb += 16 + streams / 4096;
  if (const auto started = dataplane::start_eal(config, false); !started) {
    throw std::runtime_error(started.error().message);
  }
  StateLab lab(config);
  Streams all(lab, streams);
  const double cycles = all.cycles_a_packet();
  if (measures) all.check();
  return cycles;
}

std::vector<Row> measure() {
  std::vector<Row> rows;
  for (const auto streams : kStreams) {
    std::array<std::vector<double>, 2> cycles;
    for (unsigned round = 0; round < kRounds; ++round) {
      for (const bool measures : {false, true}) {
        cycles[measures ? 1 : 0].push_back(
            in_own_process(fmt::format("{} streams", streams), [&] { return cycles_of(streams, measures); }));
      }
    }
    const double off = median(cycles[0]);
    const double on = median(cycles[1]);
    rows.push_back({fmt::format("{} streams, measuring off", streams), off, "cycles a packet", {}});
    rows.push_back({fmt::format("{} streams, measuring on", streams), on, "cycles a packet", {}});
    rows.push_back({fmt::format("{} streams, what measuring costs", streams), on - off, "cycles", {}});
  }
  return rows;
}

}  // namespace

}  // namespace pinhole::bench

int main(int argc, char** argv) {
  return pinhole::bench::run_benchmark("media", argc, argv, pinhole::bench::measure);
}
