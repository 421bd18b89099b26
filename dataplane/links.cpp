// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/links.hpp"

#include <algorithm>
#include <cstring>

#include "dataplane/ipc/layout.hpp"
#include "dataplane/ipc/nat_record.hpp"

#include <rte_ring_elem.h>
#include <rte_ring_peek_zc.h>

namespace pinhole::dataplane {

bool RouteZones::is_inside(nat::Ipv4Address address) const noexcept {
  const auto route = routes_.find(address);
  return route.kind == RouteKind::forward && route.zone == config::Zone::inside;
}

bool EventRing::push(ipc::Event& event) noexcept {
  event.abi_version = ipc::kAbiVersion;
  event.worker = worker_;
  event.sequence = sequence_++;  // counts lost events too: control sees the gap
  event.tsc = clock_.tsc();
  // Written in place: rte_ring_enqueue_elem() copies four bytes at a time.
  rte_ring_zc_data place;
  const bool sent = rte_ring_enqueue_zc_bulk_elem_start(ring_, sizeof event, 1, &place, nullptr) == 1;
  if (sent) {
    std::memcpy(place.ptr1, &event, sizeof event);
    rte_ring_enqueue_zc_finish(ring_, 1);
  }
  counters_.add(sent ? WorkerCounter::event_sent : WorkerCounter::event_lost);
  return sent;
}

void RuleEvents::note(std::string_view rule, const alg::Message& message) noexcept {
  if (!limit_.take(clock_.tsc())) return;
  ipc::Event event;
  event.type = ipc::EventType::rule;
  auto& told = event.rule;
  told = {};
  told.direction = message.direction;
  told.protocol = message.flow.protocol;
  told.inside = message.flow.inside;
  told.external = message.flow.external;
  told.remote = message.flow.remote;
  told.rule.assign(rule);
  const auto line_end = std::min(message.bytes.find_first_of("\r\n"), message.bytes.size());
  told.start.assign({message.bytes.data(), line_end});
  events_.push(event);
}

void RecordRing::put(const nat::Record& record) noexcept {
  ipc::NatRecord message{.abi_version = ipc::kAbiVersion,
                         .worker = worker_,
                         .sequence = sequence_++,  // counts lost records too: control sees the gap
                         .tsc = clock_.tsc(),
                         .record = record};
  const bool sent = rte_ring_enqueue_elem(ring_, &message, sizeof message) == 0;
  counters_.add(sent ? WorkerCounter::record_sent : WorkerCounter::record_lost);
}

bool PeerRings::send(const PeerMessage& message) noexcept {
  const auto to = message.is_answer ? message.asker : message.owner;
  return rte_ring_enqueue_elem(network_.rings[to].peers, const_cast<PeerMessage*>(&message),
                               sizeof message) == 0;
}

bool PeerRings::receive(PeerMessage& message) noexcept {
  return rte_ring_dequeue_elem(network_.rings[worker_].peers, &message, sizeof message) == 0;
}

}  // namespace pinhole::dataplane
