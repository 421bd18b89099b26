// SPDX-License-Identifier: BSD-3-Clause
// Copies of frames for control: only while they are wanted, whole, of both sides and of every worker.
#include "dataplane/capture_tap.hpp"

#include <catch2/catch.hpp>

#include <vector>

#include "tests/support/pipeline_lab.hpp"

#include <rte_cycles.h>
#include <rte_memzone.h>

using namespace pinhole;
using namespace pinhole::test;

namespace {

struct Copy {
  unsigned worker = 0;
  bool sent = false;
  std::uint16_t port = 0;
  Frame frame;
};

const ipc::Layout& layout() {
  return *static_cast<const ipc::Layout*>(rte_memzone_lookup(ipc::kLayoutName)->addr);
}

std::vector<Copy> copies() {
  std::vector<Copy> copies;
  for (unsigned worker = 0; worker < layout().worker_count; ++worker) {
    layout().workers[worker].capture->drain([&](const ipc::CapturedFrame& frame) {
      CHECK(frame.header.frame_bytes == frame.bytes.size());
      copies.push_back(
          {worker, frame.header.sent, frame.header.port, {frame.bytes.begin(), frame.bytes.end()}});
    });
  }
  return copies;
}

void want_for_s(int seconds) {
  const auto now = static_cast<std::int64_t>(rte_rdtsc());
  const auto time = seconds * static_cast<std::int64_t>(rte_get_tsc_hz());
  layout().capture->until_tsc = static_cast<std::uint64_t>(now + time);
}

FrameSpec packet_from(nat::Ipv4Address host) {
  return {.source = {host, nat::Be16{4000}}};
}

bool are_copied() {
  return layout().capture->state == ipc::CaptureState::on;
}

}  // namespace

TEST_CASE("frames are copied as they came and as they left, only while control wants it",
          "[dataplane][capture][AC-25]") {
  for (const unsigned workers : {1U, 2U}) {
    DYNAMIC_SECTION(workers << " workers") {
      PipelineLab lab(lab_config(workers));
      const unsigned owner = workers - 1;
      const auto spec = packet_from(lab.host_of(owner));
      REQUIRE(lab.send(PipelineLab::kInside, spec).size() == 1);
      lab.beat();
      CHECK(copies().empty());

      want_for_s(100);
      lab.beat();
      CHECK(are_copied());
      const auto sent = lab.send(PipelineLab::kInside, spec);  // received by worker 0
      REQUIRE(sent.size() == 1);
      const auto seen = copies();
      REQUIRE(seen.size() == 2);
      const auto& received = seen.front().sent ? seen.back() : seen.front();
      const auto& left = seen.front().sent ? seen.front() : seen.back();
      CHECK_FALSE(received.sent);
      CHECK(received.worker == 0);
      CHECK(received.port == layout().interfaces[PipelineLab::kInside].port);
      CHECK(left.sent);
      CHECK(left.worker == owner);
      CHECK(left.port == layout().interfaces[PipelineLab::kOutside].port);
      CHECK(left.frame == sent.front().frame);
      CHECK(received.frame != left.frame);

      layout().capture->until_tsc = 0;
      lab.beat();
      CHECK_FALSE(are_copied());
      REQUIRE(lab.send(PipelineLab::kInside, spec).size() == 1);
      CHECK(copies().empty());
      lab.beat();  // frees what was taken away
      want_for_s(100);
      lab.beat();
      REQUIRE(lab.send(PipelineLab::kInside, spec).size() == 1);
      CHECK(copies().size() == 2);
      layout().capture->until_tsc = 0;
      lab.beat();
    }
  }
}

TEST_CASE("copying ends by itself when control does not ask for more", "[dataplane][capture][AC-25]") {
  PipelineLab lab;
  want_for_s(100);
  lab.beat();
  CHECK(are_copied());
  want_for_s(-1);
  lab.beat();
  CHECK_FALSE(are_copied());
  REQUIRE(lab.send(PipelineLab::kInside, packet_from(lab.host_of(0))).size() == 1);
  CHECK(copies().empty());
}

TEST_CASE("a frame goes on when there is no room for its copy", "[dataplane][capture][AC-25]") {
  PipelineLab lab;
  const auto spec = packet_from(lab.host_of(0));
  want_for_s(100);
  lab.beat();
  const auto& ring = *layout().workers[0].capture;
  for (int sent = 0; ring.lost() == 0 && sent < 100'000; ++sent) {
    REQUIRE(lab.send(PipelineLab::kInside, spec).size() == 1);
  }
  CHECK(ring.lost() > 0);
  REQUIRE(lab.send(PipelineLab::kInside, spec).size() == 1);
  layout().capture->until_tsc = 0;
  lab.beat();
}
