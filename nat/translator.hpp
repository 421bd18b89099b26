// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The translator of one worker: its mappings, ports, filters and timers behind one door.
//
// Theory of operation. An inside endpoint has one external endpoint, whoever it speaks to (RFC 4787 REQ-1).
// The first packet from inside makes the mapping: the host's external address (REQ-2), a random port of this
// worker's blocks, checksum deltas. From then on a packet costs a look-up and one touch of the mapping's
// line, which stores the tick and counts. The timing wheel looks at a mapping when it could be idle, and
// frees what is. A media pinhole is a mapping made, or taken over, for a call: it lets anyone in and names
// its call. A TCP connection has a session besides, by mapping and remote: the mapping has the longest
// time-out of its sessions.
//
// What a translator does can be recorded: whose which block of ports is, on demand each mapping that takes a
// port, and now and then what was refused. Static mappings and untranslated ones make no record; the
// configuration says what they are.
//
// Invariant: a mapping that exists has a port taken (or reserved), an entry in the outbound and in the
// inbound index, and, unless it is permanent, a link in the wheel and a place in its host's count; a mapping
// that is freed has given all of them back. Owned by one worker, which alone calls it.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nat/counters.hpp"
#include "nat/drop_reason.hpp"
#include "nat/endpoint.hpp"
#include "nat/filter.hpp"
#include "nat/host_ports.hpp"
#include "nat/host_table.hpp"
#include "nat/inbound_index.hpp"
#include "nat/mapping.hpp"
#include "nat/mapping_table.hpp"
#include "nat/outbound_index.hpp"
#include "nat/ownership.hpp"
#include "nat/port_plan.hpp"
#include "nat/random.hpp"
#include "nat/record.hpp"
#include "nat/refusals.hpp"
#include "nat/session_table.hpp"
#include "nat/static_rules.hpp"
#include "nat/tcp_segment.hpp"
#include "nat/tcp_session.hpp"
#include "nat/tcp_state.hpp"
#include "nat/tick.hpp"
#include "nat/timeouts.hpp"
#include "nat/timer_wheel.hpp"

namespace pinhole::nat {

/// A choice for each protocol.
template <typename T>
struct ByProtocol {
  T udp{};
  T tcp{};
  T icmp{};

  [[nodiscard]] constexpr const T& operator[](Protocol protocol) const noexcept {
    return protocol == Protocol::udp ? udp : protocol == Protocol::tcp ? tcp : icmp;
  }
  friend bool operator==(const ByProtocol&, const ByProtocol&) = default;
};

struct TranslatorConfig {
  unsigned worker = 0;
  unsigned workers = 1;
  std::span<const Ipv4Address> external;  // all external addresses by number, kept as a view; see Steering
  std::uint32_t pool_size = 0;            // mappings are made from so many of them, from the first on
  std::uint32_t mappings = 0;             // capacity, at least 1
  std::uint32_t tcp_sessions = 1024;      // capacity, at least 1
  std::uint32_t remotes = 0;              // that mappings remember besides their first; 0: half as many
  ByProtocol<Filter> filtering = {Filter::address_dependent, Filter::address_dependent,
                                  Filter::address_dependent};
  MediaFrom media_from = MediaFrom::anywhere;
  std::span<const Prefix> latch_from{};  // whom `latched` may latch on to, kept as a view; empty: anyone
  ByProtocol<bool> inbound_refresh{};  // whether any packet that is let in keeps its mapping (RFC 4787 REQ-6)
  StaticRules statics{};
  StaticRules openings{};  // of the untranslated realm: hosts that may be reached from outside
  Timeouts timeouts{};
  HostQuotas quotas{};
  std::uint32_t hosts = 0;  // that may have mappings at a time; 0: as many as there may well be
  PortPlan ports{};
  Subscribers subscribers{};      // of deterministic mode
  Tick port_rest = 0;             // before a port or block that was used is given to another host
  RandomKey key{};                // secret; may be the same for all workers
  RecordSink* records = nullptr;  // told of blocks and refusals; nullptr: nobody is
  bool mapping_records = false;   // and of each mapping that takes a port
};

/// What came of creating a mapping: `reason` is none, or why `index` is kNoMapping.
struct Created {
  MappingIndex index = kNoMapping;
  DropReason reason = DropReason::none;
};
struct CreatedPair {
  MappingIndex rtp = kNoMapping;
  MappingIndex rtcp = kNoMapping;  // equals `rtp` when one port was asked for
  DropReason reason = DropReason::none;
};

/// What may be known of a new flow before its mapping is made. It may have become wrong since: that changes
/// nothing but the time that making takes.
struct Foreseen {
  HostTable::Place host = HostTable::kNone;
  PortPool::Guess port;
};

/// Whether the call that a pinhole is taken from lives on, with the same port: both are heard then.
enum class Sharing : std::uint8_t { none, with_former };

enum class ForwardResult : std::uint8_t {
  added,
  reserved,  // the inside host is another worker's: its port is kept out of this worker's pool
  taken,     // the inside or the external endpoint has a forward already
  no_room,   // the table is full
  unknown,   // the external address is none of ours
};

class Translator {
 public:
  [[nodiscard]] static std::size_t bytes_needed(const TranslatorConfig& config) noexcept;
  /// \param memory   bytes_needed(), aligned to a cache line, the worker's alone to write
  /// \param inbound  shared by all workers, over all of `config.external`
  Translator(const TranslatorConfig& config, std::span<std::byte> memory, InboundIndex inbound,
             CounterBlock<Counter>& counters, Tick now) noexcept;
  Translator(const Translator&) = delete;
  Translator& operator=(const Translator&) = delete;

  // Looking up.

  [[nodiscard]] MappingIndex find_outbound(OutboundKey key) const noexcept { return table_.find(key); }
  [[nodiscard]] MappingIndex find_outbound(Protocol protocol, const Endpoint& inside) const noexcept {
    return table_.find(protocol, inside);
  }
  /// Up to kLookupBurst at once; see MappingTable::find_burst().
  void find_outbound(std::span<const OutboundKey> keys, std::span<MappingIndex> found) const noexcept {
    table_.find_burst(keys, found);
  }
  /// \param key  of an external port that this worker owns
  [[nodiscard]] MappingIndex find_inbound(InboundKey key) const noexcept { return inbound_.find(key); }
  /// Up to kLookupBurst at once; the mappings' lines are being fetched when it returns.
  void find_inbound(std::span<const InboundKey> keys, std::span<MappingIndex> found) const noexcept;
  // What look-ups that are spread over a burst go by.
  [[nodiscard]] const OutboundIndex& outbound() const noexcept { return table_.outbound(); }
  [[nodiscard]] const InboundIndex& inbound() const noexcept { return inbound_; }

  /// All mappings, by their index.
  [[nodiscard]] Mapping* mappings() noexcept { return table_.mappings(); }
  [[nodiscard]] Mapping& operator[](MappingIndex index) noexcept { return table_[index]; }
  [[nodiscard]] const Mapping& operator[](MappingIndex index) const noexcept { return table_[index]; }

  /// Fetches what create() will read for up to kLookupBurst new flows that it will be called for in this
  /// order. Nothing depends on it.
  void prefetch_new(std::span<const OutboundKey> keys) const noexcept;
  /// The same a few flows ahead of `make(std::size_t, const Foreseen&)`, which is called for each flow by its
  /// number, and may create() it with that: so what was fetched is still in the nearest cache.
  template <typename Make>
  void for_each_new(std::span<const OutboundKey> keys, Make&& make) noexcept;

  // Packets.

  /// Whether a packet from `remote` may come in through a mapping.
  [[nodiscard]] bool admits(MappingIndex index, Endpoint remote, Tick now) const noexcept {
    const Mapping& mapping = table_[index];
    return nat::admits(mapping, remote) || admits_by_table(index, remote, now);
  }
  /// Whether a packet to `remote` may go out through a mapping: always, but for a static one that is for
  /// answers alone.
  [[nodiscard]] bool lets_out(MappingIndex index, Endpoint remote, Tick now) const noexcept {
    return (table_[index].flags & MappingFlags::kRegular) == 0 || answers_may_go(index, remote, now);
  }
  /// Fetches what touch_tcp_…() will need.
  void prefetch_session(MappingIndex index, Endpoint remote) const noexcept {
    sessions_.prefetch(index, remote);
  }
  /// Accounts for a packet from inside, of any protocol but TCP, or a later fragment. It refreshes the
  /// mapping (RFC 4787 REQ-6) and lets the remote in.
  void touch_outbound(MappingIndex index, Endpoint remote, std::uint32_t ip_bytes, Tick now) noexcept {
    Mapping& mapping = table_[index];
    count_outbound(mapping, ip_bytes, now);
    if (mapping.remote != remote || (mapping.flags & MappingFlags::kHasRemote) == 0) [[unlikely]]
      note_remote(index, remote, now);
  }
  /// The part of touch_outbound() that is left for a packet to `mapping.remote`, which is not TCP.
  static void count_outbound(Mapping& mapping, std::uint32_t ip_bytes, Tick now) noexcept {
    mapping.last_seen = now;
    ++mapping.packets_out;
    mapping.bytes += ip_bytes;
  }
  /// The part of touch_inbound() that is left for a packet from `mapping.remote`, which is not TCP.
  static void count_inbound(Mapping& mapping, std::uint32_t ip_bytes, Tick now) noexcept {
    mapping.last_seen = (mapping.flags & MappingFlags::kRefreshIn) != 0 ? now : mapping.last_seen;
    ++mapping.packets_in;
    mapping.bytes += ip_bytes;
  }
  /// The same for TCP. A RST refreshes nothing but by the change that it makes (RFC 7857 section 7.1).
  /// \return why the segment must not pass: no session was free for a new connection. Nothing has changed
  /// then
  [[nodiscard]] DropReason touch_tcp_outbound(MappingIndex index, const Endpoint& remote,
                                              std::uint32_t ip_bytes, const TcpSegment& segment,
                                              Tick now) noexcept;
  /// Lets a remote in without a packet, because an ALG announced the mapping to it.
  void let_in(MappingIndex index, Endpoint remote, Tick now) noexcept {
    table_[index].last_seen = now;
    note_remote(index, remote, now);
  }
  /// Accounts for a packet from outside that was admitted, of any protocol but TCP. Only media is refreshed
  /// by it unless the configuration has it otherwise: whoever knows a port could keep it open for ever (RFC
  /// 4787 REQ-6 and section 12; RFC 7857 section 7).
  void touch_inbound(MappingIndex index, Endpoint remote, std::uint32_t ip_bytes, Tick now) noexcept {
    Mapping& mapping = table_[index];
    count_inbound(mapping, ip_bytes, now);
    const bool is_pinhole = (mapping.flags & MappingFlags::kPinhole) != 0;
    if (is_pinhole && (mapping.remote != remote || (mapping.flags & MappingFlags::kLatching) != 0)) {
      hear(index, remote, now);
    } else if ((mapping.flags & MappingFlags::kHasRemote) == 0) {
      set_remote(mapping, remote);
    }
    if ((mapping.flags & MappingFlags::kRegular) != 0) [[unlikely]]
      note_caller(index, remote, now);
  }
  /// The same for TCP. A connection in which inside has taken part is refreshed by either side.
  [[nodiscard]] DropReason touch_tcp_inbound(MappingIndex index, const Endpoint& remote,
                                             std::uint32_t ip_bytes, const TcpSegment& segment,
                                             Tick now) noexcept;
  /// Whether nothing of a connection may pass unread from here on; forgotten when another one begins on its
  /// endpoints, and when it goes on after its time-out.
  void watch(MappingIndex index, Endpoint remote, bool watched) noexcept;
  /// The session of a connection; nullptr when there is none, or none that lives.
  [[nodiscard]] const TcpSession* session(MappingIndex index, Endpoint remote, Tick now) const noexcept;

  // Making and ending mappings.

  /// A mapping for an inside endpoint that has none, made by a packet to `remote`.
  /// An untranslated one stands for itself and takes no port.
  /// \param foreseen  of for_each_new()
  [[nodiscard]] Created create(Protocol protocol, const Endpoint& inside, const Endpoint& remote, Tick now,
                               Realm realm = Realm::translated, const Foreseen& foreseen = {}) noexcept {
    return realm == Realm::translated && statics_.empty()
               ? create_dynamic(protocol, inside, remote, now, foreseen)
               : create_by_rule(protocol, inside, remote, now, realm, foreseen);
  }
  /// A mapping for an external endpoint that has none, made by a packet from outside: where a static mapping
  /// says so. The last quarter of the table is not for this, so that a scan of a whole address leaves room
  /// for flows from inside.
  [[nodiscard]] Created create_inbound(Protocol protocol, Endpoint external, Tick now,
                                       Realm realm = Realm::translated) noexcept;
  /// Media pinholes for a call. An inside endpoint that has a mapping keeps it as it is until hand_over(), so
  /// that whoever gives up what he asked for has only to close what is new.
  /// What is missing gets an even port and the next one; when no pair is free, two ports of the right parity.
  /// All or nothing.
  /// \param inside_rtcp  equals `inside_rtp` when there is no RTCP
  /// \param parent       index of the call
  /// \param follows      what is missing gets the ports after that of the inside port before `inside_rtp`, if
  ///                     these can be had
  [[nodiscard]] CreatedPair create_pair(Endpoint inside_rtp, Endpoint inside_rtcp, std::uint32_t parent,
                                        Tick now, Realm realm = Realm::translated,
                                        bool follows = false) noexcept;
  /// A mapping becomes a pinhole of `parent`, or is refreshed as one. An ordinary one is turned into a
  /// pinhole, and whom it lets in it goes on to. One of another call gets a new generation, so that the end
  /// of that call no longer closes it, and expects nobody yet, unless both calls share it. A static one is
  /// left as it is.
  void hand_over(MappingIndex index, std::uint32_t parent, Sharing sharing, Tick now) noexcept;
  /// What create_pair() does, for one port of a stream over TCP, which is timed like any connection; its end
  /// is the call's.
  [[nodiscard]] Created create_tcp_pinhole(const Endpoint& inside, Tick now,
                                           Realm realm = Realm::translated) noexcept;
  /// Mappings for what a gateway announces of an own host: they let in nobody but whom the gateway expects
  /// (Filter::expected). What there is already stays as it is, and what a rule describes is as the rule says.
  /// All or nothing. \param count  1, or 2: `first` gets an even port and its next port the one behind, as
  /// create_pair() has it
  [[nodiscard]] CreatedPair create_expected(Protocol protocol, Endpoint first, unsigned count, Tick now,
                                            Realm realm) noexcept;
  /// From now on nothing begins from outside through a mapping but what a gateway expects. What the
  /// configuration describes, and what SIP has opened, stays as it is.
  void make_strict(MappingIndex index) noexcept;
  /// How long a mapping may be idle as it is now.
  [[nodiscard]] Tick timeout_of(MappingIndex index) const noexcept {
    return timeouts_[table_[index].timeout_class];
  }
  /// A mapping, and with TCP its connection with `remote`, was as good as used at `seen`.
  void refresh(MappingIndex index, Endpoint remote, Tick seen, Tick now) noexcept;
  /// Says where the media of a pinhole comes from; without a remote, that this is not known yet.
  /// \param anew  the call's parties have agreed on this: who latched before has to do so again
  void expect_media(MappingIndex index, Endpoint remote, bool anew, Tick now) noexcept;
  /// Keeps the port of a pinhole, and lets nobody in by what is known. It gets a new generation.
  void shut_media(MappingIndex index) noexcept;
  /// A static forward; to be told to every worker, so that each keeps the port out of its pool. The mapping
  /// is made by the owner of the inside host, is permanent, and admits everyone.
  /// \param flags  MappingFlags beyond kStatic: kSip
  [[nodiscard]] ForwardResult add_forward(Protocol protocol, Endpoint external, Endpoint inside,
                                          std::uint8_t flags, Tick now) noexcept;
  /// Lets a remote in until `tick`, however long nothing is sent to it.
  void promise_remote(MappingIndex index, Endpoint remote, Tick tick, Tick now) noexcept;
  /// Keeps a mapping until `tick` at least, idle or not. A mapping that is static stays anyhow.
  void keep(MappingIndex index, Tick tick) noexcept;
  /// Ends a mapping before its time. Static ones, and those of another generation, are left alone.
  /// \return whether it was closed
  bool close(MappingIndex index, std::uint32_t generation) noexcept;
  /// Frees what has been idle for too long. \param on_expired `void(MappingIndex, const Mapping&)`, noexcept,
  /// is called just before each is freed. \param budget steps of the wheel
  /// \return how much of the budget was used; all of it: there is more to do
  template <typename OnExpired>
  std::uint32_t expire(Tick now, std::uint32_t budget, OnExpired&& on_expired) noexcept {
    const auto visit = [&](MappingIndex index) noexcept -> std::optional<Tick> {
      const Tick deadline = deadline_of(table_[index], timeouts_);
      if (!reached(deadline, now)) return deadline;
      on_expired(index, static_cast<const Mapping&>(table_[index]));
      end(index);
      counters_.add(Counter::mapping_expired);
      return std::nullopt;
    };
    return wheel_.advance(now, budget, visit,
                          [this](MappingIndex next) noexcept { table_.prefetch_mapping(next); });
  }

  /// Moves ports that rest on; to be called each turn. \param budget  words of the port pool, or blocks
  void rest_ports(Tick now, std::uint32_t budget) noexcept { ports_.rest(now, budget); }

  // What others read.

  [[nodiscard]] const HostTable& hosts() const noexcept { return hosts_; }
  [[nodiscard]] const MappingTable& table() const noexcept { return table_; }
  [[nodiscard]] std::uint32_t ports_in_use() const noexcept { return ports_.in_use(); }

 private:
  enum class Opener : std::uint8_t { inside, outside };  // who sent the packet that makes a mapping

  struct Media {  // one side of create_pair(): what there is already, and the port for what there is not
    MappingIndex index = kNoMapping;
    HostTable::Place host = HostTable::kNone;  // of what is new
    std::optional<std::uint16_t> port;
    std::uint16_t pool_index = 0;
    bool is_new = false;
    Protocol protocol = Protocol::udp;
    Takes takes = Takes::port;  // state: its port is that of a static mapping, or its own

    [[nodiscard]] bool wants_port() const noexcept { return is_new && takes == Takes::port; }
  };

  Translator(const TranslatorConfig& config, Carver memory, Random random, InboundIndex inbound,
             CounterBlock<Counter>& counters, Tick now) noexcept;
  /// The next hops were for the former remote.
  static void set_remote(Mapping& mapping, Endpoint remote) noexcept {
    mapping.remote = remote;
    mapping.flags |= MappingFlags::kHasRemote;
    mapping.hop_out = kNoHop;
    mapping.hop_in = kNoHop;
  }
  static void forget_remote(Mapping& mapping) noexcept {
    mapping.flags &= static_cast<std::uint8_t>(~MappingFlags::kHasRemote);
    mapping.hop_in = mapping.hop_out = kNoHop;
  }
  // Steps of prefetch_new(): each reads what the one before it asked for.
  static constexpr std::size_t kNewSteps = 4;
  template <std::size_t kStep>
  void fetch_for_new(OutboundKey key, std::size_t unmade, Foreseen& foreseen) const noexcept;

  [[nodiscard]] Created create_by_rule(Protocol protocol, const Endpoint& inside, const Endpoint& remote,
                                       Tick now, Realm realm, const Foreseen& foreseen) noexcept;
  [[nodiscard]] Created create_static(OutboundKey key, const StaticTarget& rule, std::uint16_t port,
                                      Opener opener, Tick now) noexcept;
  [[nodiscard]] Created create_fixed(OutboundKey key, std::uint16_t pool_index, std::uint16_t port,
                                     Opener opener, Tick now) noexcept;
  [[nodiscard]] const StaticRules& statics(Realm realm) const noexcept {
    return realm == Realm::translated ? statics_ : openings_;
  }
  [[nodiscard]] bool is_for_answers(const Mapping& mapping) const noexcept;
  [[nodiscard]] bool answers_may_go(MappingIndex index, Endpoint remote, Tick now) const noexcept;
  void note_caller(MappingIndex index, Endpoint remote, Tick now) noexcept;
  void note_remote(MappingIndex index, Endpoint remote, Tick now) noexcept;
  [[nodiscard]] bool admits_by_table(MappingIndex index, Endpoint remote, Tick now) const noexcept;
  [[nodiscard]] std::uint32_t generation_of(MappingIndex index) const noexcept {
    return table_[index].generation.load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool is_over(const TcpSession& session, Tick now) const noexcept {
    return now - session.last_seen >= timeouts_[timeout_class_of(session.state())];
  }
  [[nodiscard]] TcpSession* begin_session(MappingIndex index, Endpoint remote, Tick now) noexcept;
  [[nodiscard]] bool advance_session(TcpSession& session, const TcpSegment& segment, TcpSide from,
                                     Tick now) noexcept;
  void count_connection(MappingIndex index, TcpState before, TcpState after) noexcept;
  [[nodiscard]] TimeoutClass longest_of(const Mapping& mapping, TcpState changed) const noexcept;
  [[nodiscard]] MappingIndex insert(OutboundKey key, std::uint16_t pool_index, std::uint16_t port,
                                    Tick now) noexcept;
  void start(MappingIndex index) noexcept;
  void end(MappingIndex index) noexcept;
  [[nodiscard]] static bool is_static(const Mapping& mapping) noexcept {
    return (mapping.flags & MappingFlags::kStatic) != 0;
  }
  [[nodiscard]] bool takes_port(const Mapping& mapping) const noexcept;
  void free_mapping(MappingIndex index) noexcept;
  void leave(const Mapping& mapping) noexcept;
  [[nodiscard]] Created create_dynamic(Protocol protocol, const Endpoint& inside, const Endpoint& remote,
                                       Tick now, const Foreseen& foreseen) noexcept;
  [[nodiscard]] Created refuse(DropReason reason, Protocol protocol, Endpoint inside, Tick now) noexcept;
  [[nodiscard]] DropReason make_media(std::span<const Endpoint> inside, std::span<Media> media, Realm realm,
                                      bool follows, Tick now) noexcept;
  [[nodiscard]] DropReason prepare_media(std::span<const Endpoint> inside, std::span<Media> media,
                                         Realm realm, Tick now) noexcept;
  [[nodiscard]] DropReason enter_media(Endpoint inside, Media& side, std::uint32_t count, Tick now) noexcept;
  [[nodiscard]] DropReason insert_media(std::span<const Endpoint> inside, std::span<Media> media, Realm realm,
                                        Tick now) noexcept;
  [[nodiscard]] DropReason take_media_ports(std::span<const Endpoint> inside, std::span<Media> media,
                                            Tick now) noexcept;
  [[nodiscard]] bool take_following_ports(std::span<const Endpoint> inside, std::span<Media> media,
                                          Realm realm) noexcept;
  void take_back(std::span<const Endpoint> inside, std::span<const Media> media) noexcept;
  void record(RecordType type, const Mapping& mapping) noexcept;
  void listen(Mapping& mapping) noexcept;
  void hear(MappingIndex index, Endpoint remote, Tick now) noexcept;
  [[nodiscard]] bool may_latch(const Mapping& mapping, Endpoint remote) const noexcept;
  void show_gauges() noexcept;

  std::span<const Ipv4Address> external_;
  std::uint32_t pool_size_;
  unsigned worker_;
  unsigned workers_;
  ByProtocol<Filter> filtering_;
  MediaFrom media_from_;
  std::span<const Prefix> latch_from_;
  ByProtocol<bool> inbound_refresh_;
  StaticRules statics_;
  StaticRules openings_;
  Timeouts timeouts_;
  MappingTable table_;
  InboundIndex inbound_;
  HostTable hosts_;
  HostPorts ports_;
  RemoteTable remotes_;
  SessionTable sessions_;
  TimerWheel wheel_;
  CounterBlock<Counter>& counters_;
  RecordSink* mapping_records_;
  Refusals refusals_;
};

/// \param unmade  how many of the flows before this one are still to be made; any may turn out to take no
///                port
/// \param foreseen  grows from step to step
template <std::size_t kStep>
[[gnu::always_inline]] inline void Translator::fetch_for_new(OutboundKey key, std::size_t unmade,
                                                             Foreseen& foreseen) const noexcept {
  const Endpoint inside = key.inside();
  const Protocol protocol = key.protocol();
  if constexpr (kStep == 0) {
    hosts_.prefetch(inside.address);
  } else if constexpr (kStep == 1) {
    foreseen.host = hosts_.guess(inside.address);
  } else if constexpr (kStep == 2) {
    foreseen.port.draw = ports_.draw_number(unmade);
    foreseen.port.pool_index = ports_.pool_index_of(inside.address, foreseen.host);
    ports_.prefetch(protocol, foreseen.port);
  } else {
    ports_.guess(protocol, inside.port.host(), foreseen.port);
    if (foreseen.port.place)
      inbound_.prefetch(
          InboundKey{static_cast<std::uint16_t>(foreseen.port.pool_index), foreseen.port.port, protocol});
  }
}

template <typename Make>
void Translator::for_each_new(std::span<const OutboundKey> keys, Make&& make) noexcept {
  // Making one takes about as long as a line does to come.
  constexpr std::size_t kAhead = 3;
  // Those between the first step and the last; guesses are made for all flows or for none.
  std::array<Foreseen, std::bit_ceil(kNewSteps * kAhead + 1)> under_way;
  const auto foreseen_of = [&under_way](std::size_t i) noexcept -> Foreseen& {
    return under_way[i % under_way.size()];
  };
  const std::size_t size = std::min(keys.size(), kLookupBurst);
  for (std::size_t at = 0; at < size + kNewSteps * kAhead; ++at) {
    const std::size_t made = at < kNewSteps * kAhead ? 0 : at - kNewSteps * kAhead;
    const auto step = [&]<std::size_t kStep>() noexcept {
      const std::size_t i = at - kStep * kAhead;
      if (i < size) fetch_for_new<kStep>(keys[i], i - made, foreseen_of(i));
    };
    step.template operator()<0>();
    step.template operator()<1>();
    step.template operator()<2>();
    step.template operator()<3>();
    if (at < kNewSteps * kAhead) continue;
    const std::size_t i = at - kNewSteps * kAhead;
    make(i, foreseen_of(i));
  }
}

}  // namespace pinhole::nat
