// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What SIP wants of the worker's own translator: the endpoints that stand for one another, and media
// pinholes. The worker's gateway asks for its own hosts here, and answers other workers out of it. Invariant:
// pinhole_live counts the mappings with kPinhole, so whoever frees one says so: close() does, and the worker
// reports what expired by mapping_expired(). Owned by one worker.

#include <atomic>
#include <cstdint>

#include "alg/host.hpp"
#include "dataplane/ipc/card.hpp"
#include "dataplane/media_meters.hpp"
#include "dataplane/stats.hpp"
#include "dataplane/steering.hpp"
#include "nat/endpoint.hpp"
#include "nat/mapping.hpp"
#include "nat/tick.hpp"
#include "nat/translator.hpp"

namespace pinhole::dataplane {

/// A mapping as it was when somebody took note of it.
struct MappingRef {
  nat::MappingIndex mapping = nat::kNoMapping;
  std::uint32_t generation = 0;

  friend constexpr bool operator==(MappingRef, MappingRef) noexcept = default;
};

[[nodiscard]] constexpr MappingRef ref_of(const ipc::PinholeRef& pinhole) noexcept {
  return {pinhole.mapping, pinhole.generation};
}

/// nat::Mapping::parent of what is no pinhole.
inline constexpr std::uint32_t kNobodysParent = ~std::uint32_t{0};

/// One port of a media stream. Without a `ref` it is open, but no pinhole: a static forward, or a mapping
/// that carries signalling.
struct MediaPort {
  nat::Endpoint external;
  MappingRef ref;
  bool fresh = false;                     // nothing stood for the inside endpoint before
  std::uint32_t former = kNobodysParent;  // the parent that had it as a pinhole before, and has it still
};

struct MediaPorts {
  alg::LookupState state = alg::LookupState::exhausted;
  MediaPort rtp;
  MediaPort rtcp;  // equals `rtp` when one port was asked for
};

/// How the host of a mapping writes its endpoint.
[[nodiscard]] constexpr alg::Portless portless(const nat::Mapping& mapping) noexcept {
  return {.in_uri = mapping.portless_uri, .in_via = mapping.portless_via};
}

class LocalEndpoints {
 public:
  LocalEndpoints(nat::Translator& translator, const Steering& steering,
                 nat::CounterBlock<WorkerCounter>& counters, MediaMeters& meters) noexcept
      : translator_(translator), steering_(steering), counters_(counters), meters_(meters) {}

  /// The external endpoint of a signalling endpoint of an own host; makes the mapping when there is none. A
  /// message that names an endpoint promises that it can be reached, so it refreshes the mapping and lets
  /// `remote` in, as a packet would.
  [[nodiscard]] alg::Lookup external_of(nat::Protocol protocol, nat::Endpoint inside, nat::Endpoint remote,
                                        nat::Tick now, nat::Realm realm = nat::Realm::translated,
                                        alg::Written written = alg::Written::anyhow) noexcept;
  /// The external endpoint of a signalling endpoint of an own host as it stands: nothing is made, refreshed
  /// or let in. \return none when nothing stands for it, or when what does carries no signalling
  [[nodiscard]] alg::Lookup find_external(nat::Protocol protocol, nat::Endpoint inside,
                                          nat::Realm realm) const noexcept;
  /// A message of an own host was read: from now on its mapping carries signalling.
  void note_signalling(nat::Protocol protocol, nat::Endpoint inside, nat::Realm realm) noexcept;
  /// Remembers how an own host wrote a signalling endpoint that has a mapping.
  void note_written(nat::Protocol protocol, nat::Endpoint inside, nat::Realm realm,
                    alg::Written written) noexcept;
  /// The external endpoint of a media endpoint of an own host that is no pinhole; makes the mapping when
  /// there is none. Nothing but the packets of its host lets others in or keeps it.
  [[nodiscard]] alg::Lookup candidate_of(nat::Protocol protocol, nat::Endpoint inside, nat::Tick now,
                                         nat::Realm realm = nat::Realm::translated) noexcept;
  /// The inside endpoint behind an external port that this worker owns.
  [[nodiscard]] alg::Lookup inside_of(nat::Protocol protocol, nat::Endpoint external) const noexcept;
  /// Ports for a stream of an own host. What is fresh is open when this returns; what was there before stays
  /// what it is until it is handed over: another parent's pinhole, or an ordinary mapping. \param parent see
  /// nat::Mapping
  [[nodiscard]] MediaPorts open_media(const alg::MediaRequest& request, std::uint32_t parent, nat::Tick now,
                                      nat::Realm realm = nat::Realm::translated) noexcept;

  /// Fetches what open_media() will read of an endpoint that has a pinhole.
  void fetch(nat::OutboundKey key, MappingRef pinhole) const noexcept {
    const auto& table = translator_.table();
    table.outbound().prefetch(table.outbound().hash(key.word()));
    table.prefetch_mapping(pinhole.mapping);
  }
  /// Whether a pinhole is still whose it was. Until it is handed over or shut again, the ref from before it
  /// was shut means it too (dataplane/foreign.hpp).
  [[nodiscard]] bool is_open(MappingRef pinhole) const noexcept {
    if (!translator_.table().is_live(pinhole.mapping)) return false;
    constexpr std::uint32_t kStep = 2;  // from one generation to the next
    const auto generation = current(pinhole.mapping).generation;
    return generation == pinhole.generation ||
           (generation == pinhole.generation + kStep && translator_[pinhole.mapping].was_shut);
  }
  /// Keeps a pinhole until `tick` at least; nothing happens when it is gone, or none yet.
  void keep(MappingRef pinhole, nat::Tick tick) noexcept;
  void close(MappingRef pinhole) noexcept;
  /// How often close() has freed a mapping: whoever holds indexes of mappings sees by it whether one is gone.
  [[nodiscard]] std::uint32_t closings() const noexcept { return closings_; }
  /// Says where a pinhole's media comes from; see nat::Translator.
  void expect_media(MappingRef pinhole, nat::Endpoint remote, bool anew, nat::Tick now) noexcept {
    if (is_open(pinhole)) translator_.expect_media(pinhole.mapping, remote, anew, now);
  }
  /// Whether what goes through pinholes is measured.
  [[nodiscard]] bool measures() const noexcept { return meters_.on(); }
  /// Says by which clocks a pinhole's media goes.
  void note_clocks(MappingRef pinhole, const alg::RtpClocks& clocks) noexcept {
    if (is_open(pinhole)) meters_.note_clocks(pinhole.mapping, clocks);
  }
  /// Shuts a pinhole whose port is to be kept. \return its ref from now on
  [[nodiscard]] MappingRef shut(MappingRef pinhole) noexcept;
  /// Gives what open_media() answered to a call: an ordinary mapping becomes its pinhole, unless it carries
  /// signalling by now, and that of another call changes hands. \return its ref from now on; none when it is
  /// gone
  [[nodiscard]] MappingRef hand_over(MappingRef port, std::uint32_t parent, nat::Sharing sharing,
                                     nat::Tick now) noexcept;
  /// The call that a pinhole belongs to; kNobodysParent when it is none.
  [[nodiscard]] std::uint32_t parent_of(nat::MappingIndex index) const noexcept;
  /// Keeps the way in from `remote` to a signalling endpoint until `tick` at least, however idle; from nobody
  /// (an unspecified address), until `tick` at most.
  void keep_signalling(nat::Protocol protocol, nat::Endpoint inside, nat::Endpoint remote, nat::Tick tick,
                       nat::Tick now) noexcept;
  /// The translator is about to free a mapping that was idle.
  void mapping_expired(const nat::Mapping& mapping) noexcept;

 private:
  /// What stood for an inside endpoint before media was opened for it.
  struct Before {
    nat::MappingIndex index = nat::kNoMapping;
    std::uint32_t parent = kNobodysParent;  // of a pinhole
    bool is_signalling = false;
  };

  [[nodiscard]] Before before(nat::Endpoint inside, nat::Realm realm,
                              nat::Protocol protocol = nat::Protocol::udp) const noexcept;
  [[nodiscard]] MediaPorts open_tcp(nat::Endpoint inside, nat::Tick now, nat::Realm realm) noexcept;
  [[nodiscard]] MediaPorts open_beside_signalling(const alg::MediaRequest& request, std::uint32_t parent,
                                                  nat::Tick now, nat::Realm realm) noexcept;
  [[nodiscard]] MediaPort opened(nat::MappingIndex index, const Before& before) noexcept;
  void count_pinhole(nat::MappingIndex index) noexcept;
  [[nodiscard]] MappingRef current(nat::MappingIndex index) const noexcept {
    return {index, translator_[index].generation.load(std::memory_order_relaxed)};
  }
  void show_live() noexcept;

  nat::Translator& translator_;
  const Steering& steering_;
  nat::CounterBlock<WorkerCounter>& counters_;
  MediaMeters& meters_;
  std::uint64_t pinholes_live_ = 0;
  std::uint32_t closings_ = 0;
};

}  // namespace pinhole::dataplane
