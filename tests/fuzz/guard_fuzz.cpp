// SPDX-License-Identifier: BSD-3-Clause
// Any messages of any sources, in any order and with any time in between, before a guard: it has a verdict on
// each, what it is sure of stays so (who is allowed is let in, who is banned is not), and its tables stay
// within their bounds. The first byte of each piece says what comes.
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/dataplane/guard/guard_lab.hpp"
#include "tests/support/sip_invariants.hpp"

namespace {

using namespace pinhole;
using alg::Direction;
using test::require;

/// Takes pieces off the front of the input.
class Pieces {
 public:
  explicit Pieces(std::string_view rest) : rest_(rest) {}
  [[nodiscard]] bool more() const { return !rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  /// Up to 1020 bytes.
  std::string text() {
    const auto size = std::min<std::size_t>(std::size_t{byte()} * 4, rest_.size());
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }

 private:
  std::string_view rest_;
};

nat::Ipv4Address source_of(std::uint8_t number) {
  return nat::Ipv4Address::from_host(0xc6336400U + number % 40);
}

ipc::RateLimits small_limits() {
  auto limits = test::no_limits();
  const ipc::Rate rate{10, 20};
  limits.sources = limits.subscribers = limits.servers = {rate, rate, rate};
  limits.flows = limits.fragments = limits.malformed = {rate, rate, rate};
  limits.inside = rate;
  limits.methods.fill(rate);
  limits.refuses = true;
  limits.allowed[0] = {source_of(7), 32};
  limits.allowed_count = 1;
  return limits;
}

void judge(test::GuardLab& lab, std::uint8_t kind, Pieces& input) {
  const auto source = source_of(input.byte());
  const auto direction = (kind & 1U) != 0 ? Direction::inbound : Direction::outbound;
  const auto protocol = (kind & 2U) != 0 ? nat::Protocol::tcp : nat::Protocol::udp;
  const bool is_banned = lab.guard().is_banned(source);
  const auto text = input.text();
  alg::sip::MessageView view;
  // No screen is asked of keep-alives.
  if (view.parse(text) == alg::sip::ParseResult::keepalive) return;
  const auto answer = lab.judge(text, direction, source, protocol, (kind & 4U) != 0);
  const bool comes_in = direction == Direction::inbound && (kind & 4U) == 0;
  require(!is_banned || !comes_in || answer.reason == nat::DropReason::drop_banned);
  require(answer.verdict != alg::Verdict::wait);
  require((answer.verdict == alg::Verdict::forward) == (answer.reason == nat::DropReason::none));
  require(answer.verdict != alg::Verdict::refuse || answer.status == 503);
  require(source != source_of(7) || answer.reason != nat::DropReason::drop_banned);
}

void order(test::GuardLab& lab, std::uint8_t kind, Pieces& input) {
  const nat::Prefix prefix{source_of(input.byte()), static_cast<std::uint8_t>((kind & 1U) != 0 ? 32 : 28)};
  const nat::Prefix subnet{prefix.first(), prefix.length};
  const ipc::BanOrder ban{.prefix = subnet, .reason = static_cast<ipc::BanReason>(kind >> 1U & 3U)};
  if ((kind & 8U) != 0) {
    static_cast<void>(lab.guard().lift(ban));
  } else {
    static_cast<void>(lab.guard().ban(ban, input.byte()));
  }
  require(!lab.guard().is_banned(source_of(7)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::GuardLab lab(small_limits(), 16);
  Pieces input({reinterpret_cast<const char*>(data), size});
  while (input.more()) {
    const auto kind = input.byte();
    switch (kind >> 5U) {
      case 0:
        lab.pass_ticks(input.byte());
        break;
      case 1:
        order(lab, kind, input);
        break;
      case 2:
        static_cast<void>(lab.guard().admits_flow(source_of(input.byte())));
        static_cast<void>(lab.guard().admits_fragment(source_of(input.byte())));
        break;
      default:
        judge(lab, kind, input);
        break;
    }
  }
  lab.pass_ticks(1);
  require(lab.count(dataplane::WorkerCounter::source_live) <= 16);
  require(lab.count(dataplane::WorkerCounter::source_known) <= dataplane::SourceTable::kMostKnown);
  return 0;
}
