// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What the rewriters of headers and of SDP share: the way of the message, the host's answers, and the edits.
// Invariant: the first failure that forbids to send the message stays; after `wait` the work goes on, so that
// one inspection asks for everything that the message needs.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "alg/alg.hpp"
#include "alg/edit.hpp"
#include "alg/host.hpp"
#include "alg/sip/policy.hpp"
#include "alg/sip/unescaped.hpp"
#include "alg/sip/uri.hpp"

namespace pinhole::alg::sip {

enum class Outcome : std::uint8_t { fine, wait, no_port, untranslatable };

/// Where a signalling endpoint stands.
enum class Place : std::uint8_t {
  via,
  own_uri,  // by which a host tells where it is to be reached
  other_uri,
  party_uri,  // says who somebody is, of whom the sender may have heard from others
};

/// What stands for a signalling endpoint on the other side.
struct Counterpart {
  nat::Endpoint endpoint;
  bool portless = false;  // its host writes it without the port, when that is the default one
};

class Translator {
 public:
  /// \param unescaped room for look_through()
  Translator(const Message& message, Host& host, EditList& edits, const Policy& policy,
             Unescaped& unescaped) noexcept
      : message_(message), host_(host), edits_(edits), policy_(policy), unescaped_(unescaped) {}

  [[nodiscard]] std::string_view message() const noexcept { return message_.bytes; }
  [[nodiscard]] Direction direction() const noexcept { return message_.direction; }
  [[nodiscard]] const Flow& flow() const noexcept { return message_.flow; }
  [[nodiscard]] Host& host() noexcept { return host_; }
  [[nodiscard]] const Policy& policy() const noexcept { return policy_; }
  [[nodiscard]] Outcome outcome() const noexcept { return outcome_; }
  [[nodiscard]] std::ptrdiff_t growth() const noexcept { return edits_.growth(); }

  /// True when an address belongs to the realm that this message leaves: only these may be replaced.
  [[nodiscard]] bool is_ours(nat::Ipv4Address address) const noexcept {
    if (asked_ && asked_->address == address) return asked_->is_ours;
    const bool is_ours =
        direction() == Direction::outbound ? host_.is_inside(address) : host_.is_external(address);
    asked_ = {address, is_ours};
    return is_ours;
  }

  [[nodiscard]] bool is_inside(nat::Ipv4Address address) const noexcept { return host_.is_inside(address); }
  [[nodiscard]] bool is_external(nat::Ipv4Address address) const noexcept {
    return host_.is_external(address);
  }

  /// The endpoint on the other side that stands for one on this side.
  /// \return none when it is not ours or stands for nothing: the token stays as it is.
  [[nodiscard]] std::optional<nat::Endpoint> counterpart(nat::Protocol protocol,
                                                         nat::Endpoint endpoint) noexcept;

  /// The same for a signalling endpoint as it is written in a message.
  [[nodiscard]] std::optional<Counterpart> counterpart(nat::Protocol protocol, nat::Ipv4Address address,
                                                       const HostPort& port, std::uint16_t default_port,
                                                       Place place) noexcept;

  /// Notes what the host answered. \return true when it found something.
  [[nodiscard]] bool note(LookupState state) noexcept;

  /// Says whose word the signalling endpoints are that are named from now on.
  void take_for(Claim claim) noexcept { claim_ = claim; }
  [[nodiscard]] Claim claim() const noexcept { return claim_; }
  /// Somebody beyond, whose message it was, calls himself what is an endpoint of this side: where a message
  /// that leaves names that as its own it means him. Bounded; others are taken for ours.
  void note_other(nat::Endpoint endpoint) noexcept {
    if (other_count_ < others_.size()) others_[other_count_++] = endpoint;
  }

  /// Says by which rule the edits from now on are made.
  void use(Rule rule) noexcept { rule_ = rule; }
  [[nodiscard]] Rule rule() const noexcept { return rule_; }

  /// The message cannot be made right.
  void refuse() noexcept { outcome_ = Outcome::untranslatable; }
  /// True once the message cannot go on whatever follows: nothing more is to be asked or opened for it.
  [[nodiscard]] bool given_up() const noexcept { return outcome_ > Outcome::wait; }

  /// What is replaced from now on is seen in a text without its escapes, and written in the message.
  /// \param place of the URI that carries it: of somebody who was heard of, the text was as well
  /// \return that text, until the next call; empty when it is too long
  [[nodiscard]] std::string_view look_through(std::string_view escaped, Place place) noexcept;
  /// What is replaced from now on is seen in the message itself, as in the beginning.
  void look_at_message() noexcept { looks_through_ = through_party_ = false; }
  [[nodiscard]] bool looks_through() const noexcept { return looks_through_; }

  /// Replaces a view into the message; the same text again is no edit.
  void replace(std::string_view token, std::string_view text) noexcept;
  /// Inserts at a place in the message.
  void insert(const char* place, std::string_view text) noexcept;
  void replace_address(std::string_view token, nat::Ipv4Address address) noexcept;
  void replace_number(std::string_view token, std::uint32_t value) noexcept;
  /// Writes an endpoint over host[:port]. A port that was not written is added only if it is not the default.
  void replace_endpoint(const HostPort& token, Counterpart after, std::uint16_t default_port) noexcept;
  /// Writes only the port of host[:port].
  void replace_port(const HostPort& token, Counterpart after, std::uint16_t default_port) noexcept;

 private:
  // The last address that the host was asked about: one message mostly names one.
  struct Asked {
    nat::Ipv4Address address;
    bool is_ours = false;
  };

  [[nodiscard]] Claim claim_of(nat::Protocol protocol, nat::Endpoint endpoint, Place place) const noexcept;
  [[nodiscard]] bool is_of_other(nat::Endpoint endpoint, Place place) const noexcept;

  const Message& message_;
  Host& host_;
  EditList& edits_;
  const Policy& policy_;
  Unescaped& unescaped_;
  bool looks_through_ = false;
  bool through_party_ = false;  // looks through what a party's URI carries
  mutable std::optional<Asked> asked_;
  std::array<nat::Endpoint, 4> others_{};
  std::uint8_t other_count_ = 0;
  Outcome outcome_ = Outcome::fine;
  Rule rule_ = Rule::other;
  Claim claim_ = Claim::own;
};

}  // namespace pinhole::alg::sip
