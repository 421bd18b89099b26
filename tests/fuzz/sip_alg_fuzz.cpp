// SPDX-License-Identifier: BSD-3-Clause
// Any datagram goes out and comes in again through a whole gateway. Whatever is not forwarded has no edits; a
// message that is sent again is translated alike; and what comes back and goes out once more is what went out
// first, so that tokens are restored to what they stood for: by default, and with every policy.
#include "tests/support/sip_bench.hpp"
#include "tests/support/sip_invariants.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

namespace {

using namespace pinhole;

using test::checked_pass;

void go_round(const std::string& message, const alg::sip::Policy& policy) {
  {
    test::SipBench bench(policy);
    static_cast<void>(checked_pass(bench, alg::Direction::inbound, message));
  }
  test::SipBench bench(policy);
  const auto out = checked_pass(bench, alg::Direction::outbound, message);
  test::require(checked_pass(bench, alg::Direction::outbound, message) == out);
  if (!out || message.find("203.0.113.") != std::string::npos) return;
  const auto in = checked_pass(bench, alg::Direction::inbound, *out);
  if (!in) return;
  // Two phones behind one address need a c= each on the way in, which stays when it goes out again.
  const auto line_count = [](const std::string& text) { return std::count(text.begin(), text.end(), '\n'); };
  if (line_count(*in) != line_count(*out)) return;
  const auto again = checked_pass(bench, alg::Direction::outbound, *in);
  test::require(!again || again == out);
  bench.host.waits = true;
  static_cast<void>(checked_pass(bench, alg::Direction::outbound, message));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string message(reinterpret_cast<const char*>(data), size);
  go_round(message, {});
  alg::sip::Policy strict;
  strict.malformed = alg::sip::Malformed::drop;
  strict.hide_parties = strict.hide_call_id = true;
  strict.asserted_identity = alg::sip::AssertedIdentity::strip_inbound;
  go_round(message, strict);
  return 0;
}
