// SPDX-License-Identifier: BSD-3-Clause
#include "nat/tcp_state.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace pinhole::nat;

namespace {

constexpr std::uint8_t kFin = TcpHeader::kFin;
constexpr std::uint8_t kSyn = TcpHeader::kSyn;
constexpr std::uint8_t kRst = TcpHeader::kRst;
constexpr std::uint8_t kAck = TcpHeader::kAck;
constexpr std::uint8_t kPsh = TcpHeader::kPsh;

constexpr std::array<const char*, kTcpStates> kStateNames = {
    "none",        "syn_out", "syn_in", "crossed", "answered_in", "answered_out",
    "established", "fin_out", "fin_in", "closing", "reset_out",   "reset_in"};
constexpr std::array<const char*, kTcpEvents> kEventNames = {
    "syn_out", "syn_ack_out", "ack_out", "fin_out", "rst_out",
    "syn_in",  "syn_ack_in",  "ack_in",  "fin_in",  "rst_in"};

TcpState after(const std::vector<TcpEvent>& events) {
  TcpState state = TcpState::none;
  for (const TcpEvent event : events) state = next_state(state, event);
  return state;
}

}  // namespace

TEST_CASE("a segment speaks by its strongest flag", "[nat][tcp_state]") {
  struct Case {
    std::uint8_t flags;
    TcpEvent outbound;
    TcpEvent inbound;
  };
  for (const Case& row : {Case{kSyn, TcpEvent::syn_out, TcpEvent::syn_in},
                          {kSyn | kAck, TcpEvent::syn_ack_out, TcpEvent::syn_ack_in},
                          {kAck, TcpEvent::ack_out, TcpEvent::ack_in},
                          {kAck | kPsh, TcpEvent::ack_out, TcpEvent::ack_in},
                          {0, TcpEvent::ack_out, TcpEvent::ack_in},
                          {kFin | kAck, TcpEvent::fin_out, TcpEvent::fin_in},
                          {kRst | kAck, TcpEvent::rst_out, TcpEvent::rst_in},
                          {kRst | kFin | kSyn, TcpEvent::rst_out, TcpEvent::rst_in}}) {
    DYNAMIC_SECTION("flags " << int{row.flags}) {
      CHECK(tcp_event(row.flags, true) == row.outbound);
      CHECK(tcp_event(row.flags, false) == row.inbound);
    }
  }
}

TEST_CASE("every state says what each event makes of it", "[nat][tcp_state][rfc5382-req2][rfc7857-2]") {
  // Written from what the sides have said, not from the table: a second telling of the same.
  using State = TcpState;
  using Event = TcpEvent;
  const auto expected = [](State state, Event event) {
    const bool is_out = event < Event::syn_in;
    const bool opens = state == State::syn_out || state == State::syn_in || state == State::crossed ||
                       state == State::answered_in || state == State::answered_out;
    const bool was_reset = state == State::reset_out || state == State::reset_in;
    switch (event) {
      case Event::rst_out:
      case Event::rst_in:
        if (opens) return State::closing;
        if (counts_as_established(state)) return is_out ? State::reset_out : State::reset_in;
        return state;
      case Event::syn_out:
        if (state == State::syn_in) return State::crossed;
        return opens || state == State::established ? state : State::syn_out;
      case Event::syn_in:
        if (state == State::syn_out) return State::crossed;
        return state == State::none || state == State::closing || was_reset ? State::syn_in : state;
      case Event::syn_ack_out:
      case Event::ack_out:
        if (state == State::none || state == State::crossed) return State::answered_out;
        if (state == State::syn_in && event == Event::syn_ack_out) return State::answered_out;
        if (state == State::answered_in) return State::established;
        return state == State::reset_out && event == Event::ack_out ? State::established : state;
      case Event::syn_ack_in:
      case Event::ack_in:
        if (state == State::crossed) return State::answered_in;
        if (state == State::syn_out && event == Event::syn_ack_in) return State::answered_in;
        if (state == State::answered_out) return State::established;
        return state == State::reset_in && event == Event::ack_in ? State::established : state;
      case Event::fin_out:
        if (state == State::answered_in || state == State::established) return State::fin_out;
        return state == State::fin_out || state == State::syn_in || was_reset ? state : State::closing;
      case Event::fin_in:
        if (state == State::answered_in || state == State::answered_out || state == State::established)
          return State::fin_in;
        return state == State::fin_in || state == State::none || state == State::syn_out || was_reset
                   ? state
                   : State::closing;
    }
    return State::none;
  };
  for (std::size_t state = 0; state < kTcpStates; ++state) {
    for (std::size_t event = 0; event < kTcpEvents; ++event) {
      DYNAMIC_SECTION(kStateNames[state] << " and " << kEventNames[event]) {
        const auto from = static_cast<TcpState>(state);
        const auto by = static_cast<TcpEvent>(event);
        CHECK(kStateNames[static_cast<std::size_t>(next_state(from, by))] ==
              std::string{kStateNames[static_cast<std::size_t>(expected(from, by))]});
      }
    }
  }
}

TEST_CASE("a connection moves through its states as RFC 5382 has it", "[nat][tcp_state][rfc5382-req5]") {
  using enum TcpEvent;
  struct Case {
    std::string story;
    std::vector<TcpEvent> events;
    TcpState state;
    bool lives_long;
  };
  const std::vector<Case> cases = {
      {"nothing yet", {}, TcpState::none, false},
      {"a SYN alone", {syn_out}, TcpState::syn_out, false},
      {"answered, not confirmed", {syn_out, syn_ack_in}, TcpState::answered_in, false},
      {"opened from inside", {syn_out, syn_ack_in, ack_out}, TcpState::established, true},
      {"opened from outside", {syn_in, syn_ack_out, ack_in}, TcpState::established, true},
      {"a flood of SYNs that a server answers", {syn_in, syn_ack_out, syn_in}, TcpState::answered_out, false},
      {"opened from both sides", {syn_out, syn_in, syn_ack_out, syn_ack_in}, TcpState::established, true},
      {"opened from both sides, and both answers are plain",
       {syn_in, syn_out, ack_in, ack_out},
       TcpState::established,
       true},
      {"older than its mapping", {ack_out, ack_in}, TcpState::established, true},
      {"refused", {syn_out, rst_in}, TcpState::closing, false},
      {"half closed from inside", {syn_out, syn_ack_in, ack_out, fin_out, ack_in}, TcpState::fin_out, true},
      {"half closed from outside", {syn_out, syn_ack_in, ack_out, fin_in, ack_out}, TcpState::fin_in, true},
      {"closed from inside",
       {syn_out, syn_ack_in, ack_out, fin_out, ack_in, fin_in, ack_out},
       TcpState::closing,
       false},
      {"closed from outside",
       {syn_out, syn_ack_in, ack_out, fin_in, fin_out, ack_in},
       TcpState::closing,
       false},
      {"a FIN sent again", {syn_out, syn_ack_in, ack_out, fin_out, fin_out}, TcpState::fin_out, true},
      {"reset", {syn_out, syn_ack_in, ack_out, rst_out}, TcpState::reset_out, false},
      {"reset, and segments that crossed it",
       {syn_out, syn_ack_in, ack_out, rst_in, ack_out},
       TcpState::reset_in,
       false},
      {"reset by somebody else, and its alleged sender speaks",
       {syn_out, syn_ack_in, ack_out, rst_in, ack_in},
       TcpState::established,
       true},
      {"opened again", {syn_out, syn_ack_in, ack_out, fin_out, fin_in, syn_out}, TcpState::syn_out, false},
      {"a stray SYN in between", {syn_out, syn_ack_in, ack_out, syn_in}, TcpState::established, true},
      {"never established", {syn_out, fin_out}, TcpState::closing, false},
  };
  for (const Case& row : cases) {
    DYNAMIC_SECTION(row.story) {
      const TcpState state = after(row.events);
      CHECK(state == row.state);
      CHECK(counts_as_established(state) == row.lives_long);
      CHECK((timeout_class_of(state) == TimeoutClass::tcp_established) == row.lives_long);
    }
  }
}
