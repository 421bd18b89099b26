// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The guard of one worker: who may send how much, and who comes in no more. It judges SIP before it is
// translated (alg/sip/screen.hpp), and is asked of new flows and fragments from outside.
//
// What it believes. Over UDP anybody can send in anybody's name, and what a server answers goes to whoever
// was named. So what a source is refused proves nothing of it, until it gives back what only it can have got:
// the nonce of a challenge, the tag of an answer, the Call-ID of a request that inside sent to it; a TCP
// connection is such proof by itself. A source that has done so, and that was accepted (a 2xx, or an answer
// to inside), is known: it has limits of its own, apart from those of strangers, and is denied or banned only
// for what it provably did itself. A stranger is banned without proof, but not for long
// (control/ban_store.hpp). Who is on the allow list is neither limited nor banned. docs/protection.md says
// what risk remains.
//
// Owned by one worker; no lock, no memory but what it is given. Time is what tick() was told last.

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "alg/alg.hpp"
#include "alg/sip/message.hpp"
#include "alg/sip/screen.hpp"
#include "dataplane/alg_host.hpp"
#include "dataplane/guard/ban_table.hpp"
#include "dataplane/guard/evidence.hpp"
#include "dataplane/guard/keyed_buckets.hpp"
#include "dataplane/guard/source_table.hpp"
#include "dataplane/ipc/ban.hpp"
#include "dataplane/ipc/rates.hpp"
#include "dataplane/stats.hpp"
#include "dataplane/steering.hpp"
#include "dataplane/text_hash.hpp"
#include "nat/rate_limit.hpp"

namespace pinhole::dataplane {

struct GuardParts {
  std::uint32_t sources = 64;  // outside; a quarter as many inside
  std::span<ipc::BanSlot> bans;
  std::span<std::byte> memory;  // Guard::bytes_needed(sources)
  std::uint64_t seed = 0;
};

/// Which bans keep out a packet that is for a mapping. Of what stands open to anybody all do. What inside
/// asked somebody for, and the media of calls, are kept out by operators alone: the other bans can be
/// provoked by who forges addresses, and are not to cut whom inside speaks to.
[[nodiscard]] inline Bans bans_on(const nat::Mapping& mapping) noexcept {
  using nat::MappingFlags;
  const bool is_media = (mapping.flags & MappingFlags::kPinhole) != 0;
  const bool is_open =
      (mapping.flags & MappingFlags::kStatic) != 0 || mapping.filter == nat::Filter::endpoint_independent;
  return is_open && !is_media ? Bans::all : Bans::of_operators;
}

class Guard final : public alg::sip::Screen {
 public:
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t sources) noexcept {
    return SourceTable::bytes_needed(sources) + SourceTable::bytes_needed(inside_places(sources)) +
           2 * KeyedBuckets::bytes_needed(kSubscribers) + 2 * KeyedBuckets::bytes_needed(kServers);
  }
  /// \param steering  knows our own addresses; all of these outlive the guard
  Guard(const GuardParts& parts, const Steering& steering, EventSink& events,
        nat::CounterBlock<WorkerCounter>& counters) noexcept;
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  [[nodiscard]] alg::Answer judge(const alg::sip::MessageView& view,
                                  const alg::Message& message) noexcept override;
  [[nodiscard]] std::optional<alg::Answer> judge_unread(alg::sip::Defect defect,
                                                        const alg::Message& message) noexcept override;

  /// A message comes soon: fetches where to look for its ends, then what is remembered of its sender.
  void fetch_sets(nat::Ipv4Address inside, nat::Ipv4Address remote) const noexcept {
    inside_.fetch_set(inside);
    outside_.fetch_set(remote);
  }
  void fetch_sender(nat::Ipv4Address sender, alg::Direction direction) const noexcept {
    (direction == alg::Direction::outbound ? inside_ : outside_).fetch(sender);
  }

  /// Whether a source from outside is banned and not allowed; counts the hit.
  [[nodiscard]] bool is_banned(nat::Ipv4Address source, Bans which = Bans::all) noexcept {
    return bans_.holds(source, now_, which) && !is_allowed(source) && bans_.hits(source, now_, which);
  }
  /// Whether the one that a mapping speaks to is, so that none of its packets comes in.
  [[nodiscard]] bool keeps_out(const nat::Mapping& mapping) const noexcept {
    const auto source = mapping.remote.address;
    return bans_.holds(source, now_, bans_on(mapping)) && !is_allowed(source);
  }
  /// Another number whenever somebody may be kept out who was not before.
  [[nodiscard]] std::uint32_t strictness() const noexcept { return bans_.begun() + disallowed_; }
  /// Whether a SYN or a first packet may come in from outside.
  [[nodiscard]] bool admits_flow(nat::Ipv4Address source) noexcept;
  [[nodiscard]] bool admits_fragment(nat::Ipv4Address source) noexcept;

  /// The limits from now on; until then there are none. \param limits  outlive the guard, or the next call
  void use(const ipc::RateLimits& limits) noexcept {
    limits_ = &limits;
    ++disallowed_;
  }
  /// A rule of the policy bans who sent a message. It holds for sources outside alone.
  void ban_by_rule(std::string_view rule, const alg::Message& message) noexcept;

  /// What control orders, checked as all that comes by shared memory. \return false when it did nothing
  bool ban(const ipc::BanOrder& order, std::uint32_t seconds) noexcept;
  bool lift(const ipc::BanOrder& order) noexcept;
  bool allow(nat::Prefix prefix) noexcept;
  bool disallow(nat::Prefix prefix) noexcept;

  /// Once a tick: notes the time, and takes out bans that are over.
  void tick(nat::Tick now) noexcept;

 private:
  static constexpr std::uint32_t kSubscribers = 8192;
  static constexpr std::uint32_t kServers = 1024;
  static constexpr std::uint32_t kLimitKinds = static_cast<std::uint32_t>(ipc::LimitKind::malformed) + 1;
  static constexpr std::uint32_t kNews = static_cast<std::uint32_t>(ipc::GuardNews::banned) + 1;
  static constexpr std::uint32_t inside_places(std::uint32_t sources) noexcept { return sources / 4 + 1; }

  /// One message, and what is known of it so far.
  struct Case {
    const alg::Message& message;
    bool is_request;
    const alg::sip::Summary& summary;
    Evidence evidence;
    nat::Ipv4Address sender;
    nat::Ipv4Address receiver;
    bool from_inside;
    bool allowed;
    Source* source = nullptr;  // the sender, when it is remembered
    bool proven = false;       // by this message, to be of its sender
  };
  /// What a limit counts, and where.
  struct Measure {
    ipc::LimitKind kind;
    const ipc::ClassRates& rates;
    Bucket Source::* bucket;
    Bucket& all_unknown;
  };

  Guard(const GuardParts& parts, const Steering& steering, nat::Carver memory, EventSink& events,
        nat::CounterBlock<WorkerCounter>& counters) noexcept;
  [[nodiscard]] alg::Answer judge_case(Case& message) noexcept;
  [[nodiscard]] bool is_allowed(nat::Ipv4Address address) const noexcept;
  [[nodiscard]] std::optional<std::string_view> scanner_of(const Case& message) const noexcept;
  void look_for_proof(Case& message) noexcept;
  void note_request(Case& message) noexcept;
  void learn_of_receiver(const Case& message) noexcept;
  void note_answer(const Case& message, Source& receiver) noexcept;
  void count_refusal(Source& source, nat::Ipv4Address address) noexcept;
  void count_failure(const Case& message, Source& receiver) noexcept;
  void count_missing(const Case& message, Source& receiver) noexcept;
  [[nodiscard]] std::optional<ipc::LimitKind> measure(Case& message) noexcept;
  [[nodiscard]] std::optional<ipc::LimitKind> measure_source(Case& message) noexcept;
  [[nodiscard]] std::optional<ipc::LimitKind> measure_target(const Case& message) noexcept;
  [[nodiscard]] std::optional<ipc::LimitKind> measure_class(const Measure& what, nat::Ipv4Address address,
                                                            Source*& source) noexcept;
  [[nodiscard]] bool admits(const Measure& what, nat::Ipv4Address source) noexcept;
  /// \return whether there was a token; tells when there was none, or hardly one
  [[nodiscard]] bool fits(Taken taken, ipc::LimitKind kind, nat::Ipv4Address address,
                          std::string_view detail = {}) noexcept {
    if (taken == Taken::fine) [[likely]]
      return true;
    return warn(taken, kind, address, detail);
  }
  [[gnu::cold, gnu::noinline]] bool warn(Taken taken, ipc::LimitKind kind, nat::Ipv4Address address,
                                         std::string_view detail) noexcept;
  [[nodiscard]] alg::Answer turn_down(const Case& message, ipc::LimitKind kind) const noexcept;
  /// \param server  that the source sent to \param proven  the source is who it says
  void ban_source(nat::Ipv4Address address, nat::Ipv4Address server, const Source* source,
                  ipc::BanReason reason, bool proven, std::string_view detail) noexcept;
  void tell(ipc::GuardEvent event, std::string_view detail) noexcept;
  [[nodiscard]] std::uint32_t short_hash_of(std::string_view text) const noexcept {
    return text.empty() ? 0 : static_cast<std::uint32_t>(hash_of_(text));
  }

  /// Bans without proof that a worker imposes: whoever fakes a hundred thousand scanners fills no table.
  static constexpr std::uint32_t kUnprovenPerSecond = 10;
  static constexpr std::uint32_t kUnprovenBurst = 100;
  static constexpr ipc::RateLimits kNoLimits{};

  const ipc::RateLimits* limits_ = &kNoLimits;
  const Steering& steering_;
  EventSink& events_;
  nat::CounterBlock<WorkerCounter>& counters_;
  std::uint64_t seed_;
  SecretHash hash_of_;
  nat::Tick now_ = 0;
  BanTable bans_;
  SourceTable outside_;
  SourceTable inside_;
  KeyedBuckets known_subscribers_;
  KeyedBuckets unknown_subscribers_;
  KeyedBuckets known_servers_;
  KeyedBuckets unknown_servers_;
  Bucket unknown_sources_;
  Bucket unknown_flows_;
  Bucket unknown_fragments_;
  Bucket unknown_malformed_;
  nat::RateLimit unproven_bans_{kUnprovenPerSecond, kUnprovenBurst, nat::kTicksPerSecond};
  std::array<std::array<nat::Tick, kLimitKinds>, kNews> told_{};  // until when a piece of news is old
  std::array<nat::Prefix, ipc::RateLimits::kMaxAllowed> allowed_{};
  std::uint8_t allowed_count_ = 0;  // at run time, besides those of the configuration
  std::uint32_t disallowed_ = 0;    // how often either list may have got shorter
};

}  // namespace pinhole::dataplane
