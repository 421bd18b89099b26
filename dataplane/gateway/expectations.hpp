// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Flows that gateways have announced: who is let in, who is known again, and which flow keeps which alive.
//
// Theory of operation. An expectation waits, runs, or both. While it waits, the flow that it describes is let
// in (from outside) or known again (from inside). When that has come it runs: of UDP nobody but who came is
// let in by it any more, of TCP the connection itself is (nat/translator.hpp), so that with `once` no second
// one is; but a SYN makes no connection, and who was refused may come again until he says more than that.
// A child that runs, and of TCP is a connection, keeps its parent alive by being used; that is seen between
// bursts, by when the child's mapping or session was last used, so that its packets pay nothing. When the
// parent ends, its children end: what waits is forgotten, a port that stands for UDP is closed, and a TCP
// connection that runs is let finish.
//
// Invariant: nobody is let in beyond what an expectation says, for longer than it says; places are bounded,
// in all, for each flow, for each pair of hosts and for each inside host. Owned by one worker.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/gateway/flow_table.hpp"
#include "dataplane/local_endpoints.hpp"
#include "dataplane/stats.hpp"
#include "nat/endpoint.hpp"
#include "nat/hash_chains.hpp"
#include "nat/memory.hpp"
#include "nat/packet.hpp"
#include "nat/tick.hpp"
#include "nat/translator.hpp"

namespace pinhole::dataplane {

/// What a message announces.
struct Announcement {
  nat::Protocol protocol = nat::Protocol::udp;  // or TCP
  nat::Realm realm = nat::Realm::translated;
  bool from_outside = false;
  bool once = false;          // TCP: for one connection
  bool child = false;         // it keeps the flow of the message alive, and ends with it
  nat::Endpoint inside;       // port 0, from inside: any
  nat::Endpoint remote;       // port 0: any
  std::uint32_t seconds = 0;  // until somebody has come

  [[nodiscard]] bool has_ends_of(const Announcement& other) const noexcept {
    return protocol == other.protocol && realm == other.realm && from_outside == other.from_outside &&
           inside == other.inside && remote == other.remote;
  }
};

class Expectations {
 public:
  /// That one flow may have announced at a time, and all flows between two hosts: these are looked through.
  static constexpr std::uint16_t kPerFlow = 64;
  static constexpr std::uint32_t kPerPair = 256;  // kPerFlow, where anybody may be the client
  /// Places are enough for so many inside hosts, whatever each announces.
  static constexpr std::uint32_t kHostsAtLeast = 4;

  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t places) noexcept {
    return nat::carved_bytes<Expectation>(places) + nat::carved_bytes<std::uint32_t>(places) +
           nat::carved_bytes<std::uint16_t>(places) + nat::HashChains::bytes_needed(places);
  }
  /// \param places  1 to 65536
  Expectations(std::uint32_t places, std::uint64_t seed, nat::Carver& memory, nat::Translator& translator,
               FlowTable& flows, nat::CounterBlock<WorkerCounter>& counters) noexcept;
  Expectations(const Expectations&) = delete;
  Expectations& operator=(const Expectations&) = delete;

  /// Whether a flow may announce so many more, the last of them this one.
  [[nodiscard]] bool has_room(const GatewayFlow& flow, const Announcement& what,
                              std::size_t more) const noexcept {
    return more <= places_.size() - size_ && flow.announced + more <= kPerFlow &&
           of_hosts_[host_slot(what.inside.address)] + more <= places_.size() / kHostsAtLeast &&
           count_of_pair(what) + more <= (flow.server == PINHOLE_INSIDE ? kPerFlow : kPerPair);
  }
  /// From now on a flow is waited for. One with the same ends is waited for anew; who came for it before
  /// stays. \param flow  that announces it; has_room() \param mapping  from outside: of its inside endpoint
  void announce(const Announcement& announcement, GatewayFlow& flow, nat::MappingIndex mapping,
                nat::Tick now) noexcept;

  /// To be called before the first packet of a burst is asked about.
  void next_burst() noexcept { ++burst_; }
  /// Whether a packet from outside may come in because it was announced; whoever asks for the first one of a
  /// flow has let it in. Its mapping's filter admits it no further, or is Filter::expected.
  [[nodiscard]] bool lets_in(nat::MappingIndex index, const nat::Packet& packet, nat::Tick now) noexcept;
  /// Whether anybody is waited for, or let in by packets.
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  /// Whether a flow that begins inside may be one that is waited for, and has to be told of. Of UDP from a
  /// port that is known it need not: tick() finds it.
  [[nodiscard]] bool await_from_inside(nat::Protocol protocol) const noexcept {
    return from_inside_[static_cast<std::size_t>(protocol)] > 0;
  }
  /// A flow has begun inside.
  void begun_inside(nat::MappingIndex index, nat::Endpoint remote, nat::Tick now) noexcept;

  /// Once a tick: what did not come in time, children that have ended, parents that they keep alive.
  void tick(nat::Tick now) noexcept;

 private:
  struct Expectation {
    Announcement what;
    nat::Endpoint peer;  // while it runs or knocks: who came
    FlowRef parent;
    MappingRef mapping;  // of the inside endpoint; from inside: of the flow that came
    nat::Tick deadline = 0;
    nat::Tick seen = 0;       // when the flow that came was last used
    std::uint32_t burst = 0;  // with which it came
    bool waits = false;
    bool runs = false;
    bool keeps = false;   // counts among its parent's children: it runs, and is more than a SYN
    bool knocks = false;  // for one connection, and who came has sent nothing but a SYN yet
    std::uint32_t live_at = 0;
    std::uint32_t next_free = 0;
  };

  /// Of the flow that came.
  enum class Life : std::uint8_t { over, knocks, lives };
  /// \param used  when it was last used, as far as it lives
  [[nodiscard]] Life life_of(const Expectation& each, nat::Tick& used, nat::Tick now) const noexcept;
  /// Whether a mapping is still the one that it was.
  [[nodiscard]] bool is_current(const MappingRef& ref) const noexcept;
  [[nodiscard]] bool meet(nat::MappingIndex index, nat::Endpoint remote, nat::Tick now) noexcept;
  [[nodiscard]] bool may_come_again(const Expectation& each, nat::Endpoint remote,
                                    nat::Tick now) const noexcept;
  void connected(nat::MappingIndex index, nat::Endpoint remote) noexcept;
  [[nodiscard]] Expectation* find(const Announcement& announcement) noexcept;
  [[nodiscard]] std::size_t count_of_pair(const Announcement& announcement) const noexcept;
  void came(Expectation& each, nat::MappingIndex index, nat::Endpoint remote, nat::Tick now) noexcept;
  void look_for(Expectation& each, nat::Tick now) noexcept;
  void visit(Expectation& each, nat::Tick now) noexcept;
  void end_with_parent(Expectation& each) noexcept;
  void set_waits(Expectation& each, bool waits) noexcept;
  void set_keeps(Expectation& each, bool keeps) noexcept;
  void remove(Expectation& each) noexcept;
  [[nodiscard]] static std::uint64_t hash_of(nat::Protocol protocol, nat::Ipv4Address inside,
                                             nat::Ipv4Address remote) noexcept {
    return std::uint64_t{inside.host()} << 32U ^ remote.host() ^
           std::uint64_t{static_cast<unsigned>(protocol)} << 63U;
  }
  [[nodiscard]] std::size_t host_slot(nat::Ipv4Address inside) const noexcept {
    return ((inside.host() ^ seed_) * 0x9e3779b97f4a7c15U >> 32U) % of_hosts_.size();  // 2^64 / golden ratio
  }
  [[nodiscard]] static std::uint64_t hash_of(const Announcement& what) noexcept {
    return hash_of(what.protocol, what.inside.address, what.remote.address);
  }

  nat::Translator& translator_;
  FlowTable& flows_;
  nat::CounterBlock<WorkerCounter>& counters_;
  std::span<Expectation> places_;
  std::span<std::uint32_t> live_;
  std::span<std::uint16_t> of_hosts_;  // what inside hosts have; few share a slot, and its part then
  nat::HashChains index_;
  std::uint64_t seed_;
  std::uint32_t size_ = 0;
  std::uint32_t first_free_ = 0;
  std::array<std::uint32_t, nat::kProtocols> from_inside_{};  // that wait and have to be told
  std::uint32_t walker_ = 0;
  std::uint32_t burst_ = 0;
};

}  // namespace pinhole::dataplane
