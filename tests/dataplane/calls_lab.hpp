// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Workers without packets: translators, tables and gateway hosts as in the data plane, joined by queues
// instead of rings, under a clock that the test turns.

#include <catch2/catch.hpp>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/alg_host.hpp"
#include "dataplane/text_hash.hpp"
#include "tests/nat/table_memory.hpp"

namespace pinhole::dataplane {

inline constexpr nat::Ipv4Address kPoolAddress = nat::Ipv4Address::from_host(0xcb007101);  // 203.0.113.1
inline constexpr nat::Endpoint kProvider = {nat::Ipv4Address::from_host(0xc6336401), nat::Be16{5060}};

inline nat::Endpoint endpoint(nat::Ipv4Address address, unsigned port) {
  return {address, nat::Be16{static_cast<std::uint16_t>(port)}};
}

struct LabOptions {
  unsigned workers = 1;
  std::uint32_t calls = 64;
  std::uint32_t registrations = 64;
  std::uint32_t mappings = 1024;
  std::vector<config::PortForward> forwards = {};
  nat::MediaFrom media_from = nat::MediaFrom::anywhere;
  bool why = false;
  config::CallLimits limits = {};
};

class LabWorker final : public EventSink, public PeerLink, public Zones {
 public:
  LabWorker(unsigned index, const LabOptions& options, const Steering& steering, nat::InboundIndex inbound,
            const std::vector<const CallCounts*>& counts)
      : call_cards(options.calls),
        registration_cards(options.registrations),
        translator_config_({.worker = index,
                            .workers = options.workers,
                            .external = steering.addresses(),
                            .pool_size = steering.pool_size(),
                            .mappings = options.mappings,
                            .media_from = options.media_from,
                            .key = {7}}),
        translator_memory_(nat::Translator::bytes_needed(translator_config_)),
        call_memory_(CallTable::bytes_needed(options.calls)),
        dialog_memory_(DialogTable::bytes_needed(options.calls)),
        registration_memory_(RegistrationTable::bytes_needed(options.registrations)),
        translator(translator_config_, translator_memory_.span(), inbound, stats.nat, 1),
        meter_lines(options.mappings),
        meter_clocks(options.mappings),
        meters({.meters = meter_lines, .clocks = meter_clocks}),
        endpoints(translator, steering, stats.worker, meters),
        calls(call_cards, 11, call_memory_.span(), stats.worker),
        dialogs(options.calls, dialog_memory_.span()),
        limits(options.limits, counts, calls.counts()),
        registrations(registration_cards, 12, registration_memory_.span(), stats.worker),
        host({.worker = static_cast<std::uint8_t>(index),
              .zones = *this,
              .steering = steering,
              .endpoints = endpoints,
              .calls = calls,
              .dialogs = dialogs,
              .limits = limits,
              .registrations = registrations,
              .questions = questions,
              .events = *this,
              .peers = *this,
              .why = options.why}) {
    for (const auto& forward : options.forwards)
      static_cast<void>(translator.add_forward(forward.protocol, forward.external, forward.inside, 0, 1));
  }

  bool push(ipc::Event& event) noexcept override {
    events.push_back(event);
    return true;
  }
  bool send(const PeerMessage& message) noexcept override {
    if (ring_full) return false;
    sent.push_back(message);
    return true;
  }
  bool is_inside(nat::Ipv4Address address) const noexcept override { return (address.host() >> 24U) == 10; }

  std::vector<ipc::Shared<ipc::CallCard>> call_cards;
  std::vector<ipc::Shared<ipc::RegistrationCard>> registration_cards;
  WorkerStats stats;
  bool ring_full = false;
  std::deque<PeerMessage> sent;
  std::vector<ipc::Event> events;

 private:
  nat::TranslatorConfig translator_config_;
  nat::TableMemory translator_memory_;
  nat::TableMemory call_memory_;
  nat::TableMemory dialog_memory_;
  nat::TableMemory registration_memory_;

 public:
  nat::Translator translator;
  std::vector<ipc::MediaMeter> meter_lines;
  std::vector<alg::RtpClocks> meter_clocks;
  MediaMeters meters;
  LocalEndpoints endpoints;
  CallTable calls;
  DialogTable dialogs;
  CallLimits limits;
  RegistrationTable registrations;
  QuestionTable questions;
  AlgHost host;
};

/// What a test message asks for while it is "inspected".
struct TestMessage {
  nat::Endpoint phone;  // inside end of the flow
  alg::Direction direction = alg::Direction::outbound;
  alg::sip::Method method = alg::sip::Method::invite;
  std::uint16_t status = 0;
  std::string call_id = "call-1@phone";
  std::string to_tag = {};
  std::vector<alg::MediaRequest> media = {};
  std::vector<alg::sip::Binding> bindings = {};
  std::string from_tag = "caller";
  std::vector<ipc::MediaSource> sources = {};  // of a description from outside
  std::vector<std::uint8_t> rejected = {};     // sections
  bool held = false;
  alg::RtpClocks clocks = {};  // of every stream that is described
  std::uint32_t cseq = 1;
  std::uint32_t session_expires_s = 0;
  std::uint32_t expires_s = 0;
  nat::Endpoint peer = {};  // from where the requests of the dialog will come
};

struct Inspected {
  alg::Verdict verdict = alg::Verdict::forward;
  std::vector<alg::MediaLookup> media;
};

class Lab {
 public:
  explicit Lab(const LabOptions& options = {})
      : steering(options.workers, std::vector{kPoolAddress}, options.forwards),
        inbound_memory_(nat::InboundIndex::bytes_needed(steering.addresses().size())),
        inbound(steering.addresses().size(), inbound_memory_.span()) {
    for (unsigned i = 0; i < options.workers; ++i) {
      workers.push_back(std::make_unique<LabWorker>(i, options, steering, inbound, counts_));
      counts_.push_back(&workers.back()->calls.counts());
    }
  }

  LabWorker& operator[](unsigned worker) { return *workers[worker]; }

  /// The n-th host of 10.0.0.0/8 that a worker owns.
  nat::Ipv4Address host_of(unsigned worker, unsigned n = 0) const {
    for (std::uint32_t address = 0x0a000001;; ++address) {
      const auto host = nat::Ipv4Address::from_host(address);
      if (steering.owner_of_inside(host) == worker && n-- == 0) return host;
    }
  }
  nat::Endpoint phone_of(unsigned worker, unsigned n = 0) const { return endpoint(host_of(worker, n), 5060); }

  /// A message as the worker's pipeline and the gateway would treat it; what must wait or has no port is
  /// abandoned.
  Inspected inspect(unsigned worker, const TestMessage& test) {
    auto& at = *workers[worker];
    auto index = at.translator.find_outbound(nat::Protocol::udp, test.phone);
    if (index == nat::kNoMapping)
      index = at.translator.create(nat::Protocol::udp, test.phone, kProvider, now).index;
    REQUIRE(index != nat::kNoMapping);
    at.translator[index].flags |= nat::MappingFlags::kSip;
    at.translator.let_in(index, kProvider, now);
    const alg::Message message{
        "abc", test.direction, {nat::Protocol::udp, test.phone, at.translator[index].external, kProvider}};
    at.host.begin(message, now);
    const auto welcome = at.host.announce({.method = test.method,
                                           .status = test.status,
                                           .cseq = test.cseq,
                                           .has_sdp = !test.media.empty(),
                                           .session_expires_s = test.session_expires_s,
                                           .expires_s = test.expires_s,
                                           .method_text = "INVITE",
                                           .reason = "OK",
                                           .branch = {},
                                           .call_id = test.call_id,
                                           .from_tag = test.from_tag,
                                           .to_tag = test.to_tag,
                                           .from_uri = "sip:alice@example.com",
                                           .to_uri = "sip:bob@example.com;user=phone"});
    REQUIRE(welcome != alg::Welcome::none);
    if (welcome == alg::Welcome::too_many) {
      at.host.abandon();
      return {.verdict = alg::Verdict::refuse, .media = {}};
    }
    for (const auto& binding : test.bindings) at.host.grant(binding);
    if (!test.peer.address.is_unspecified()) at.host.expect_signalling_from(test.peer);
    for (const auto& request : test.media)
      at.host.describe({.section = request.section, .held = test.held, .clocks = test.clocks});
    for (const auto section : test.rejected) at.host.describe({.section = section, .rejected = true});
    for (const auto& source : test.sources) {
      at.host.describe({.section = source.section, .held = test.held, .clocks = test.clocks});
      at.host.expect_media_from(source.section, source.rtp, source.rtcp);
    }
    Inspected result;
    for (const auto& request : test.media) {
      result.media.push_back(at.host.open_media(request));
      if (result.media.back().state == alg::LookupState::wait) result.verdict = alg::Verdict::wait;
      if (result.media.back().state == alg::LookupState::exhausted) {
        result.verdict = alg::Verdict::drop;
        break;
      }
    }
    if (result.verdict == alg::Verdict::forward) {
      alg::EditList edits;
      for (std::size_t i = 0; i < 3; ++i) REQUIRE(edits.replace(i, 1, "x", alg::Rule::via));
      at.host.commit(edits);
    } else {
      at.host.abandon();
    }
    return result;
  }

  /// Delivers what the workers have sent to each other, answers included.
  /// \return the tickets that became ready
  std::vector<Ticket> deliver() {
    std::vector<Ticket> ready;
    for (bool again = true; again;) {
      again = false;
      for (auto& worker : workers) {
        while (!worker->sent.empty()) {
          const auto message = worker->sent.front();
          worker->sent.pop_front();
          auto& to = *workers[message.is_answer ? message.asker : message.owner];
          if (const auto ticket = to.host.take(message, now); ticket != kNoTicket) ready.push_back(ticket);
          again = true;
        }
      }
    }
    return ready;
  }

  /// Lets time pass as the workers see it, a second at a time.
  void pass_s(unsigned seconds) {
    for (unsigned i = 0; i < seconds; ++i) {
      now += nat::ticks_from_s(1);
      for (auto& worker : workers) {
        worker->translator.expire(now, 1U << 20U,
                                  [&](nat::MappingIndex, const nat::Mapping& mapping) noexcept {
                                    worker->endpoints.mapping_expired(mapping);
                                  });
        worker->host.tick(now, 1024);
      }
      deliver();
    }
  }

  nat::Tick now = 100;
  Steering steering;

 private:
  nat::TableMemory inbound_memory_;
  std::vector<const CallCounts*> counts_;

 public:
  nat::InboundIndex inbound;
  std::vector<std::unique_ptr<LabWorker>> workers;
};

}  // namespace pinhole::dataplane
