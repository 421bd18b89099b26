// SPDX-License-Identifier: BSD-3-Clause
// The stage look_up of dataplane/pipeline.hpp.
#include <array>
#include <span>

#include "dataplane/pipeline.hpp"

namespace pinhole::dataplane {

namespace {

using nat::DropReason;
using nat::kNoMapping;

static_assert(kBurst <= nat::kLookupBurst);

nat::MappingIndex make_mapping(const nat::Packet& packet, WorkerContext& worker,
                               DropReason& reason) noexcept {
  const auto created =
      worker.translator.create(packet.protocol, packet.source, packet.destination, worker.clock.tick());
  reason = created.reason;
  return created.index;
}

void look_up_outbound(Burst& burst, WorkerContext& worker) noexcept {
  std::array<nat::OutboundKey, kBurst> keys;
  std::array<nat::MappingIndex, kBurst> found;
  const unsigned size = burst.outbound.size();
  for (unsigned i = 0; i < size; ++i) {
    const auto& packet = burst.packets[burst.outbound[i]];
    keys[i] = {packet.source, packet.protocol};
  }
  worker.translator.find_outbound(std::span(keys).first(size), std::span(found).first(size));

  for (unsigned i = 0; i < size; ++i) burst.mappings[burst.outbound[i]] = found[i];
  burst.outbound.keep_if([&](unsigned place) noexcept {
    auto& mapping = burst.mappings[place];
    if (mapping != kNoMapping) [[likely]]
      return true;
    // A packet before this one in the burst may have made the mapping since.
    const auto& packet = burst.packets[place];
    mapping = worker.translator.find_outbound(packet.protocol, packet.source);
    if (mapping != kNoMapping) return true;
    DropReason reason{};
    mapping = make_mapping(packet, worker, reason);
    if (mapping != kNoMapping) return true;
    worker.transmitter.drop(burst.mbufs[place], reason);
    return false;
  });
}

void look_up_inbound(Burst& burst, WorkerContext& worker) noexcept {
  std::array<nat::InboundKey, kBurst> keys;
  std::array<nat::MappingIndex, kBurst> found;
  const unsigned size = burst.inbound.size();
  for (unsigned i = 0; i < size; ++i) {
    const unsigned place = burst.inbound[i];
    const auto& packet = burst.packets[place];
    keys[i] = {burst.pool_index[place], packet.destination.port.host(), packet.protocol};
  }
  worker.translator.find_inbound(std::span(keys).first(size), std::span(found).first(size));

  for (unsigned i = 0; i < size; ++i) burst.mappings[burst.inbound[i]] = found[i];
  burst.inbound.keep_if([&](unsigned place) noexcept {
    const auto mapping = burst.mappings[place];
    const auto& packet = burst.packets[place];
    if (mapping == kNoMapping) {
      // Silence: an answer would tell a scanner that somebody is here.
      worker.transmitter.drop(burst.mbufs[place], DropReason::drop_no_mapping);
      return false;
    }
    if (worker.translator.admits(mapping, packet.source, worker.clock.tick())) [[likely]]
      return true;
    worker.transmitter.drop(burst.mbufs[place], DropReason::drop_filtered);
    return false;
  });
}

}  // namespace

void look_up(Burst& burst, WorkerContext& worker) noexcept {
  if (burst.outbound.size() > 0) look_up_outbound(burst, worker);
  if (burst.inbound.size() > 0) look_up_inbound(burst, worker);
}

}  // namespace pinhole::dataplane
