// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The worker as an application layer gateway sees it, and the keeper of the worker's calls and registrations.
//
// A message is one transaction. begin() says which message is looked at; the gateway asks and announces; then
// commit() writes the call and the registrations down and tells control, or abandon() or drop() take back
// what the message alone had opened; what other calls have changes hands with the commit, and mappings that
// were there before become pinholes with it; but those of other workers do when their owner is asked. So a
// message that has to wait is inspected again as if for the first time, a message that is dropped leaves
// nothing behind with this worker, and a retransmission finds all that the first one opened.
//
// Endpoints of own hosts and ports come from the worker's translator; those of others are asked for
// (dataplane/foreign.hpp), and the gateway is told to wait. Owned by one worker, which alone calls it.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "alg/alg.hpp"
#include "alg/edit.hpp"
#include "alg/host.hpp"
#include "dataplane/call_limits.hpp"
#include "dataplane/call_table.hpp"
#include "dataplane/dialog_table.hpp"
#include "dataplane/foreign.hpp"
#include "dataplane/ipc/event.hpp"
#include "dataplane/ipc/text.hpp"
#include "dataplane/local_endpoints.hpp"
#include "dataplane/negotiation.hpp"
#include "dataplane/registration_table.hpp"
#include "dataplane/stats.hpp"
#include "dataplane/steering.hpp"
#include "dataplane/targets.hpp"
#include "nat/drop_reason.hpp"
#include "nat/rate_limit.hpp"
#include "nat/tick.hpp"

namespace pinhole::dataplane {

/// Where events go. Implemented by the worker over its ring to control.
class EventSink {
 public:
  /// Stamps an event (version, worker, sequence, time) and sends it.
  /// \return false when it was lost: the sink has counted it, and control will read the cards.
  virtual bool push(ipc::Event& event) noexcept = 0;

 protected:
  ~EventSink() = default;
};

/// Which addresses lie on the inside. Implemented by the worker over its routes.
class Zones {
 public:
  [[nodiscard]] virtual bool is_inside(nat::Ipv4Address address) const noexcept = 0;

 protected:
  ~Zones() = default;
};

/// Which messages the gateway is for. Where it is switched off, calls that live are seen through.
enum class Concern : std::uint8_t { all, known_calls };

/// What an AlgHost works with; all of it outlives it.
struct AlgHostParts {
  std::uint8_t worker = 0;
  const Zones& zones;
  const Steering& steering;
  LocalEndpoints& endpoints;
  CallTable& calls;
  DialogTable& dialogs;
  CallLimits& limits;
  RegistrationTable& registrations;
  QuestionTable& questions;
  EventSink& events;
  PeerLink& peers;
  bool why = false;             // control is told what was done to each message
  bool tcp_own_host = true;     // on TCP a message speaks for the host that sends it, and for no other
  bool media_own_host = false;  // of media it does so anyhow
};

class AlgHost final : public alg::Host {
 public:
  explicit AlgHost(const AlgHostParts& parts) noexcept : parts_(parts) {}
  AlgHost(const AlgHost&) = delete;
  AlgHost& operator=(const AlgHost&) = delete;

  // One message: begin, inspect, then commit or abandon.

  /// A message comes after the one that begins next: what is kept of its call is fetched by then, as far as a
  /// look at its bytes tells.
  void foresee(std::string_view bytes) noexcept;
  /// \param message lives until commit() or abandon()
  /// \param realm of the message's mapping, and so of all that it opens
  /// \param concern which messages are the gateway's
  void begin(const alg::Message& message, nat::Tick now, nat::Realm realm = nat::Realm::translated,
             Concern concern = Concern::all) noexcept;
  /// The message goes on. To be called while its bytes are still as they were inspected: before the edits are
  /// applied, and after it is known that they fit.
  void commit(const alg::EditList& edits) noexcept;
  /// The message waits, or goes another way than through here.
  void abandon() noexcept;
  /// The message is dropped.
  void drop(nat::DropReason reason) noexcept;
  /// Whether the message that is looked at is the gateway's, as far as it was read.
  [[nodiscard]] bool is_concerned() const noexcept {
    return concern_ == Concern::all || (transaction_.card != kNoCard && !transaction_.opens);
  }
  /// After Verdict::wait: the answer that the message waits for; kNoTicket when nobody could be asked, or the
  /// message asks too much.
  [[nodiscard]] Ticket ticket() const noexcept { return transaction_.asks_too_much ? kNoTicket : ticket_; }

  // alg::Host, for the gateway.

  [[nodiscard]] bool is_inside(nat::Ipv4Address address) const noexcept override;
  [[nodiscard]] bool is_external(nat::Ipv4Address address) const noexcept override;
  [[nodiscard]] alg::Lookup external_of(nat::Protocol protocol, nat::Endpoint inside,
                                        alg::Written written = alg::Written::anyhow,
                                        alg::Claim claim = alg::Claim::own) noexcept override;
  [[nodiscard]] alg::Lookup candidate_of(nat::Protocol protocol, nat::Endpoint inside) noexcept override;
  [[nodiscard]] alg::Lookup inside_of(nat::Protocol protocol, nat::Endpoint external) noexcept override;
  [[nodiscard]] alg::Lookup own_inside_of(nat::Protocol protocol, nat::Endpoint external) noexcept override;
  [[nodiscard]] alg::Welcome announce(const alg::sip::Summary& summary) noexcept override;
  void describe(const alg::MediaStream& stream) noexcept override;
  [[nodiscard]] alg::MediaLookup open_media(const alg::MediaRequest& request) noexcept override;
  void expect_media_from(std::uint8_t section, nat::Endpoint rtp, nat::Endpoint rtcp) noexcept override;
  void expect_signalling_from(nat::Endpoint remote) noexcept override;
  void expect_requests_at(nat::Protocol protocol, nat::Endpoint inside) noexcept override;
  void tell_dialog(const alg::sip::DialogFacts& facts) noexcept override;
  void grant(const alg::sip::Binding& binding) noexcept override;

  // Commands of control, messages of other workers, time.

  /// Closes a call and its pinholes. \param reason none: the one on its card
  /// \return false when that call is gone already
  bool close_call(CardIndex card, std::uint32_t generation, ipc::EndReason reason) noexcept;
  /// Keeps a call and its pinholes until `until`, however silent. \return false when that call is gone
  /// already
  bool keep_call(CardIndex card, std::uint32_t generation, nat::Tick until) noexcept;
  /// Lets nobody in to the media ports of a call until media is agreed on anew, but whom the ports' host
  /// sends to. \return false when that call is gone already
  bool shut_call(CardIndex card, std::uint32_t generation) noexcept;
  /// Takes a message of another worker: answers a question, or notes an answer.
  /// \return the ticket whose waiting messages are to be inspected again; kNoTicket: none
  Ticket take(PeerMessage message, nat::Tick now) noexcept;
  /// Closes calls and registrations that are overdue, and forgets old questions. To be called every turn or
  /// tick.
  /// \param budget places looked at in each table, at most
  void tick(nat::Tick now, std::uint32_t budget) noexcept;

 private:
  static constexpr std::size_t kMaxBindings = 16;  // inside contacts in one 2xx to REGISTER
  static constexpr std::size_t kMaxAnswers = ipc::kMaxPinholes;
  static constexpr std::size_t kMaxOthers = 1 + alg::sip::DialogFacts::kMaxRoutes;  // Contact and proxies
  /// What one message may ask other workers, so that none takes all of the question table: a description of
  /// as many ports as a call may have, each with a candidate or an endpoint in a header.
  static constexpr std::size_t kMaxQuestions = 2 * ipc::kMaxPinholes;

  /// Messages of no call, and dropped ones, that control is told of with sip.why; a flood is not.
  static constexpr std::uint32_t kOthersPerSecond = 500;

  static constexpr std::size_t kLongestForeseen = 126;
  /// A Call-ID and its hash. Whether a message that comes has it shows when that was read.
  struct Foreseen {
    ipc::Text<kLongestForeseen> call_id;
    std::uint64_t hash = 0;
  };

  /// The clocks that a description names for the stream of an m= line.
  struct SectionClocks {
    std::uint8_t section;
    alg::RtpClocks clocks;
  };

  /// What the message in hand has done so far.
  struct Transaction {
    alg::sip::Summary summary;
    bool announced = false;
    bool opens = false;     // a card is to be opened
    bool has_refs = false;  // refs were copied from the card, or begun
    std::uint64_t call_hash = 0;
    CardIndex card = kNoCard;  // that the message belongs to; when `opens`, the one that will be opened
    std::uint8_t ref_count = 0;
    std::uint32_t in_use = 0;  // a bit for each ref that the message names
    std::uint32_t opened = 0;  // and for each that is new with it
    std::uint8_t fresh_count = 0;
    std::uint8_t evicted_count = 0;
    std::uint8_t answer_count = 0;
    std::uint8_t question_count = 0;
    bool asks_too_much = false;
    std::uint8_t binding_count = 0;
    bool described = false;      // by a session description
    bool held = false;           // see MediaMessage
    bool has_stream = false;     // one that is not rejected
    std::uint32_t rejected = 0;  // see MediaMessage
    std::uint32_t nowhere = 0;   // see MediaMessage
    std::uint8_t source_count = 0;
    bool has_facts = false;
    alg::sip::DialogFacts facts;
    nat::Endpoint peer;         // that expect_signalling_from() was told; unspecified: none
    Targets targets;            // that expect_requests_at() was told
    bool knows_others = false;  // whom the other side of the call has named
    std::uint8_t other_count = 0;
    std::array<nat::Endpoint, kMaxOthers> others;
    std::array<ipc::PinholeRef, ipc::kMaxPinholes> refs;
    std::array<MappingRef, ipc::kMaxPinholes> fresh;         // to be closed when abandoned
    std::array<ipc::PinholeRef, ipc::kMaxPinholes> evicted;  // to be closed when committed
    std::array<Ticket, kMaxAnswers> answers;                 // to be forgotten when committed
    std::array<Ticket, kMaxQuestions> questions;             // asked or answered, each once
    std::array<alg::sip::Binding, kMaxBindings> bindings;
    std::array<ipc::MediaSource, ipc::kMaxSources> sources;
    std::uint8_t clocks_count = 0;
    std::array<SectionClocks, ipc::kMaxPinholes> clocks;  // while media is measured
  };

  [[nodiscard]] bool may_name(nat::Ipv4Address inside) const noexcept;
  [[nodiscard]] bool may_open(nat::Endpoint inside) const noexcept;
  [[nodiscard]] bool is_own_host_only() const noexcept;
  [[nodiscard]] bool may_open_media(nat::Endpoint inside) const noexcept;
  void open_call() noexcept;
  [[nodiscard]] bool others_name(nat::Endpoint endpoint) noexcept;
  void read_others() noexcept;
  void step_call() noexcept;
  void turn_to_fork() noexcept;
  void renew_refs() noexcept;
  [[nodiscard]] CallKey call_key() const noexcept;
  [[nodiscard]] std::uint64_t hash_of(std::string_view call_id) const noexcept;
  void open_on_commit() noexcept;
  [[nodiscard]] bool may_begin() noexcept;
  void fetch_media() const noexcept;
  [[nodiscard]] alg::Lookup ask_endpoint(PeerMessageType type, unsigned owner, nat::Protocol protocol,
                                         nat::Endpoint endpoint, alg::Written written = alg::Written::anyhow,
                                         alg::Claim claim = alg::Claim::own) noexcept;
  void note_written(alg::Written written) noexcept;
  [[nodiscard]] PeerMessage question_to(unsigned owner, PeerMessageType type) const noexcept;
  [[nodiscard]] const PeerMessage* ask(PeerMessage& question) noexcept;
  [[nodiscard]] bool may_ask(Ticket ticket) noexcept;
  void note_question(Ticket ticket) noexcept;
  [[nodiscard]] alg::MediaLookup open_ports(unsigned owner, const alg::MediaRequest& request) noexcept;
  [[nodiscard]] nat::Tick promised_until() const noexcept;
  [[nodiscard]] bool use_answer(Ticket ticket) noexcept;
  [[nodiscard]] std::uint8_t next_description() const noexcept;
  [[nodiscard]] bool note_port(ipc::PinholeRef& pinhole, const MediaPort& port) noexcept;
  void load_refs() noexcept;
  static void name_again(ipc::PinholeRef& known, const ipc::PinholeRef& named, bool in_this_message) noexcept;
  [[nodiscard]] bool add_ref(const ipc::PinholeRef& added) noexcept;
  void take_over() noexcept;
  void take_over_foreign(const ipc::PinholeRef& pinhole) noexcept;
  [[nodiscard]] std::uint16_t leg() const noexcept;
  [[nodiscard]] MediaMessage media_message() const noexcept;
  void settle_media() noexcept;
  void settle_targets() noexcept;
  void settle_peer() noexcept;
  void update(CardIndex card, ipc::PinholeRef& pinhole, const ipc::Negotiation& state) noexcept;
  void expect_nobody(ipc::PinholeRef& pinhole) noexcept;
  void shut(CardIndex card, ipc::PinholeRef& pinhole) noexcept;
  void tell(const ipc::PinholeRef& pinhole, nat::Endpoint remote, bool anew) noexcept;
  void tell_clocks(const ipc::PinholeRef& pinhole) noexcept;
  [[nodiscard]] bool is_current_heir(const ipc::PinholeRef& pinhole) const noexcept;
  [[nodiscard]] bool give_back(CardIndex from, const ipc::PinholeRef& pinhole) noexcept;
  void pass_heir_on(CardIndex from, const ipc::PinholeRef& pinhole) noexcept;
  [[nodiscard]] bool is_lent(const ipc::PinholeRef& pinhole) const noexcept;
  [[nodiscard]] bool may_tell_more() noexcept;
  void describe_message(ipc::SipMessageEvent& told) const noexcept;
  void tell_dropped(nat::DropReason reason) noexcept;
  void tell_message(const alg::EditList& edits) noexcept;
  [[nodiscard]] std::size_t count_why(const alg::EditList& edits) const noexcept;
  void tell_why(const alg::EditList& edits, std::uint32_t message) noexcept;
  void close_pinhole(const ipc::PinholeRef& pinhole) noexcept;
  void keep_pinhole(const ipc::PinholeRef& pinhole, nat::Tick until) noexcept;
  /// Whether a pinhole is known to be closed.
  [[nodiscard]] bool is_gone(const ipc::PinholeRef& pinhole) const noexcept {
    if (pinhole.worker == parts_.worker) return !parts_.endpoints.is_open(ref_of(pinhole));
    return pinhole.mapping == nat::kNoMapping;
  }
  [[nodiscard]] bool media_live(CardIndex card) noexcept;
  void look_after(CardIndex card) noexcept;
  void keep_way_in(CardIndex card) noexcept;
  void close_leaving(CardIndex card) noexcept;
  void apply(const alg::sip::Binding& binding) noexcept;
  void withdraw(const alg::sip::Binding& binding) noexcept;
  void end_unlisted() noexcept;
  void keep_registrar() noexcept;
  void keep_way(Target way, nat::Tick until) noexcept;
  void end_registration(CardIndex card) noexcept;
  void expire_registration(CardIndex card) noexcept;
  void keep_subscription() noexcept;
  void keep_signalling(nat::Protocol protocol, nat::Endpoint inside, nat::Endpoint remote,
                       nat::Tick until) noexcept;
  void tell_registration(CardIndex card, std::uint32_t expires_s) noexcept;
  void take_word(const PeerMessage& message) noexcept;
  void release(const PeerMessage& unused) noexcept;

  AlgHostParts parts_;
  const alg::Message* message_ = nullptr;
  nat::Tick now_ = 0;
  nat::Realm realm_ = nat::Realm::translated;
  Concern concern_ = Concern::all;
  Ticket ticket_ = kNoTicket;
  std::array<Foreseen, 2> foreseen_;
  unsigned last_foreseen_ = 0;
  nat::RateLimit others_told_{kOthersPerSecond, kOthersPerSecond, nat::kTicksPerSecond};
  SubscribeTable subscribes_;
  Transaction transaction_;
};

}  // namespace pinhole::dataplane
