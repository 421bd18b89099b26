// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What the stream engine asks of the worker, for one connection: to have a message read by its gateway, and
// to send a segment in the name of a side.

#include "alg/stream/engine.hpp"
#include "dataplane/context.hpp"

namespace pinhole::dataplane {

[[nodiscard]] constexpr alg::stream::Side side_of(alg::Direction direction) noexcept {
  return direction == alg::Direction::outbound ? alg::stream::Side::inside : alg::stream::Side::outside;
}

/// The engine of who reads a connection: it knows where messages end.
[[nodiscard]] inline alg::stream::Engine& engine_of(const StreamEntry& entry,
                                                    WorkerContext& worker) noexcept {
  return worker.gateways.of(entry.owner).engine();
}

class StreamCarrier final : public alg::stream::StreamHost {
 public:
  StreamCarrier(StreamEntry& entry, WorkerContext& worker) noexcept : entry_(entry), worker_(worker) {}

  [[nodiscard]] alg::stream::Reading read(alg::stream::Side from, std::string_view message) noexcept override;
  void send(alg::stream::Side from, const alg::stream::OutSegment& segment) noexcept override;

  /// Translates a packet as `from` sent it, and gives it to the transmitter. Takes it.
  void send_on(rte_mbuf* mbuf, const nat::Packet& packet, alg::stream::Side from, Hop hop) noexcept;

 private:
  [[nodiscard]] std::optional<Hop> hop_from(alg::stream::Side from) const noexcept;
  [[nodiscard]] bool is_unread(const Gateway& gateway) const noexcept;
  [[nodiscard]] bool park(nat::Tick& until) noexcept;
  void refuse(alg::stream::Side from, const alg::Message& message, const alg::Answer& answer) noexcept;

  StreamEntry& entry_;
  WorkerContext& worker_;
};

}  // namespace pinhole::dataplane
