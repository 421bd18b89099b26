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

}  // namespace

TEST_CASE("a segment speaks by its strongest flag", "[nat][tcp_state]") {
  struct Case {
    std::uint8_t flags;
    TcpEvent outbound;
    TcpEvent inbound;
  };
  for (const Case& row : {Case{kSyn, TcpEvent::syn_out, TcpEvent::syn_in},
                          {kSyn | kAck, TcpEvent::ack_out, TcpEvent::ack_in},
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

TEST_CASE("a connection moves through its states as RFC 5382 has it", "[nat][tcp_state][rfc5382-req5]") {
  using enum TcpEvent;
  struct Case {
    std::string story;
    std::vector<TcpEvent> events;
    TcpState state;
    TimeoutClass timeout_class;
  };
  const std::vector<Case> cases = {
      {"nothing yet", {}, TcpState::none, TimeoutClass::tcp_transitory},
      {"a SYN alone", {syn_out}, TcpState::syn_out, TimeoutClass::tcp_transitory},
      {"answered from inside",
       {syn_out, ack_in, ack_out},
       TcpState::established,
       TimeoutClass::tcp_established},
      {"answered from outside",
       {syn_in, ack_out, ack_in},
       TcpState::established,
       TimeoutClass::tcp_established},
      {"a SYN and more from the same side",
       {syn_out, ack_out},
       TcpState::syn_out,
       TimeoutClass::tcp_transitory},
      {"SYNs from outside establish nothing",
       {syn_in, ack_in},
       TcpState::syn_in,
       TimeoutClass::tcp_transitory},
      {"opened from both sides",
       {syn_out, syn_in, ack_out},
       TcpState::established,
       TimeoutClass::tcp_established},
      {"older than its mapping", {ack_out, ack_in}, TcpState::established, TimeoutClass::tcp_established},
      {"refused", {syn_out, rst_in}, TcpState::reset, TimeoutClass::tcp_transitory},
      {"half closed from inside",
       {syn_out, ack_in, fin_out, ack_in},
       TcpState::fin_out,
       TimeoutClass::tcp_established},
      {"half closed from outside",
       {syn_out, ack_in, fin_in, ack_out},
       TcpState::fin_in,
       TimeoutClass::tcp_established},
      {"closed from inside",
       {syn_out, ack_in, fin_out, fin_in, ack_out},
       TcpState::closing,
       TimeoutClass::tcp_transitory},
      {"closed from outside",
       {syn_out, ack_in, fin_in, fin_out, ack_in},
       TcpState::closing,
       TimeoutClass::tcp_transitory},
      {"a FIN sent again",
       {syn_out, ack_in, fin_out, fin_out},
       TcpState::fin_out,
       TimeoutClass::tcp_established},
      {"reset", {syn_out, ack_in, rst_out}, TcpState::reset, TimeoutClass::tcp_transitory},
      {"reset, and late segments",
       {syn_out, ack_in, rst_in, ack_out, ack_in},
       TcpState::reset,
       TimeoutClass::tcp_transitory},
      {"opened again",
       {syn_out, ack_in, fin_out, fin_in, syn_out, ack_in},
       TcpState::established,
       TimeoutClass::tcp_established},
      {"a stray SYN in between",
       {syn_out, ack_in, syn_in},
       TcpState::established,
       TimeoutClass::tcp_established},
      {"never established", {syn_out, fin_out}, TcpState::closing, TimeoutClass::tcp_transitory},
  };
  for (const Case& row : cases) {
    DYNAMIC_SECTION(row.story) {
      TcpState state = TcpState::none;
      for (const TcpEvent event : row.events) state = next_state(state, event);
      CHECK(state == row.state);
      CHECK(timeout_class_of(state) == row.timeout_class);
    }
  }
}
