// SPDX-License-Identifier: BSD-3-Clause
// Workers write no cache line in common: each of three is given traffic alone, the memory of all is compared
// with what it was before, and no line may have been changed by two of them.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/worker.hpp"
#include "nat/headers.hpp"
#include "tests/support/pipeline_lab.hpp"

#include <rte_memzone.h>

using namespace pinhole;
using namespace pinhole::test;
using nat::Be16;
using nat::Endpoint;
using nat::Protocol;

namespace {

constexpr unsigned kWorkers = 3;
constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
constexpr std::size_t kLine = 64;
const Endpoint kServer = endpoint("198.51.100.7", 4000);

struct Region {
  std::string name;
  const std::byte* begin;
  std::size_t size;
};
struct Line {
  std::uintptr_t number;
  std::string where;

  friend bool operator<(const Line& a, const Line& b) { return a.number < b.number; }
};

/// What the appliance has reserved, the rings, the workers and their contexts, which is all that a worker
/// writes, but for packets and what drivers keep. The pool of packets is left out: a packet is of the worker
/// that has it, and of the pool's caches, one for each thread, there is but one here. A line that is written
/// with what it held is not seen.
std::vector<Region> regions(PipelineLab& lab) {
  std::vector<Region> all;
  rte_memzone_walk(
      [](const rte_memzone* zone, void* list) {
        const std::string name = static_cast<const char*>(zone->name);
        if (name.starts_with("MP_")) return;
        static_cast<std::vector<Region>*>(list)->push_back(
            {name, static_cast<const std::byte*>(zone->addr), zone->len});
      },
      &all);
  const auto add = [&](const std::string& name, const auto& object) {
    all.push_back({name, reinterpret_cast<const std::byte*>(&object), sizeof object});
  };
  for (unsigned worker = 0; worker < kWorkers; ++worker) {
    add("context " + std::to_string(worker), lab.context(worker));
    add("worker " + std::to_string(worker), lab.worker(worker));
  }
  add("network", lab.network());
  return all;
}

/// The lines that a worker changes in a turn.
std::set<Line> written(PipelineLab& lab, unsigned worker) {
  const auto all = regions(lab);
  std::vector<std::vector<std::byte>> before;
  for (const auto& region : all) before.emplace_back(region.begin, region.begin + region.size);
  lab.turn(worker);
  std::set<Line> lines;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& region = all[i];
    for (std::size_t at = 0; at < region.size; ++at) {
      if (before[i][at] == region.begin[at]) continue;
      const auto line = reinterpret_cast<std::uintptr_t>(region.begin + at) / kLine;
      lines.insert({line, region.name});
      at = (line + 1) * kLine - reinterpret_cast<std::uintptr_t>(region.begin) - 1;
    }
  }
  return lines;
}

/// Gives each worker in turn a burst that it owns, and looks at what it writes.
/// \param put  `void(unsigned worker)`: puts a burst on the wire
template <typename Put>
void check_no_line_is_shared(PipelineLab& lab, Put&& put) {
  std::map<Line, unsigned> writer;
  for (unsigned worker = 0; worker < kWorkers; ++worker) {
    put(worker);
    const auto lines = written(lab, worker);
    CHECK(lines.size() >= 3);  // at the least its context, its counters and a mapping
    for (const auto& line : lines) {
      const auto [known, fresh] = writer.emplace(line, worker);
      INFO("line " << line.number << " of " << line.where << ", workers " << known->second << " and "
                   << worker);
      CHECK(fresh);
    }
    lab.run();
  }
}

/// A lab in which each worker has flows that packets went through both ways.
struct Scene {
  static constexpr unsigned kFlows = 16;  // of each worker

  Scene() : lab(lab_config(kWorkers)) {
    for (unsigned worker = 0; worker < kWorkers; ++worker) {
      const auto host = lab.host_of(worker);
      for (unsigned n = 0; n < kFlows; ++n) {
        auto& flow = flows[worker][n];
        flow.inside = {host, Be16{static_cast<std::uint16_t>(20000 + n)}};
        lab.send(kInside, {.source = flow.inside, .destination = kServer}, worker);
        flow.external = lab.mapping(Protocol::udp, flow.inside).external;
        lab.send(kOutside, {.source = kServer, .destination = flow.external}, worker);
        const auto& mapping = lab.mapping(Protocol::udp, flow.inside);
        INFO("worker " << worker << ", flow " << n << " by port " << flow.external.port.host()
                       << ", dropped: " << Catch::Detail::stringify(lab.drops()));
        REQUIRE(mapping.hop_out != nat::kNoHop);
        REQUIRE(mapping.hop_in != nat::kNoHop);
      }
    }
  }

  /// Flows that the flow table takes for another one at first, for they have its tag in the same line: their
  /// packets from inside take the regular path.
  [[nodiscard]] unsigned with_tag_of_another() {
    unsigned count = 0;
    for (unsigned worker = 0; worker < kWorkers; ++worker) {
      const auto& translator = lab.context(worker).translator;
      for (const auto& flow : flows[worker]) {
        const auto& mapping = lab.mapping(Protocol::udp, flow.inside);
        const auto guess = translator.outbound().guess(translator.outbound().hash(nat::key_word(mapping)));
        if (guess == nat::kNoMapping || &translator[guess] != &mapping) ++count;
      }
    }
    return count;
  }

  struct Flow {
    Endpoint inside;
    Endpoint external;
  };
  PipelineLab lab;
  Flow flows[kWorkers][kFlows];
};

}  // namespace

TEST_CASE("three workers write no cache line in common for packets of established flows", "[workers]") {
  Scene scene;
  using dataplane::WorkerCounter;
  constexpr unsigned kEachWay = kWorkers * Scene::kFlows;
  const auto forwarded = [&](WorkerCounter counter) { return scene.lab.count(counter); };
  const auto out = forwarded(WorkerCounter::translated_out);
  const auto in = forwarded(WorkerCounter::translated_in);
  const auto express = forwarded(WorkerCounter::express);
  check_no_line_is_shared(scene.lab, [&](unsigned worker) {
    for (const auto& flow : scene.flows[worker]) {
      scene.lab.receive(kInside, {.source = flow.inside, .destination = kServer}, worker);
      scene.lab.receive(kOutside, {.source = kServer, .destination = flow.external}, worker);
    }
  });
  INFO("dropped: " << Catch::Detail::stringify(scene.lab.drops()));
  CHECK(forwarded(WorkerCounter::translated_out) == out + kEachWay);
  CHECK(forwarded(WorkerCounter::translated_in) == in + kEachWay);
  CHECK(forwarded(WorkerCounter::express) == express + 2 * kEachWay - scene.with_tag_of_another());
}

TEST_CASE("three workers write no cache line in common for the first packets of flows", "[workers]") {
  Scene scene;
  const auto made = scene.lab.count(nat::Counter::mapping_created);
  check_no_line_is_shared(scene.lab, [&](unsigned worker) {
    for (unsigned n = 0; n < Scene::kFlows; ++n) {
      for (const auto protocol : {nat::kIpProtocolUdp, nat::kIpProtocolTcp}) {
        FrameSpec first{
            .protocol = protocol, .source = scene.flows[worker][0].inside, .destination = kServer};
        first.source.port = Be16{static_cast<std::uint16_t>(30000 + n)};
        first.tcp_flags = nat::TcpHeader::kSyn;
        scene.lab.receive(kInside, first, worker);
      }
    }
  });
  CHECK(scene.lab.count(nat::Counter::mapping_created) == made + 2 * kWorkers * Scene::kFlows);
}
