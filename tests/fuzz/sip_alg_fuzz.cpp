// SPDX-License-Identifier: BSD-3-Clause
// Any datagram goes out and comes in again through a whole gateway. Whatever is not forwarded has no edits; a
// message that is sent again is translated alike; and what comes back and goes out once more is what went out
// first, so that tokens are restored to what they stood for: by default, and with every policy. What it
// repeats of others makes no mapping.
#include "alg/sip/unescaped.hpp"
#include "tests/support/sip_bench.hpp"
#include "tests/support/sip_invariants.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace {

using namespace pinhole;

using alg::Direction;
using test::checked_pass;

// What names endpoints of the outside is put back to those that it never came from.
bool names_external_endpoints(const std::string& message) {
  static alg::sip::Unescaped unescaped;
  unescaped.read(message);
  return unescaped.view().find("203.0.113.") != std::string_view::npos;
}

/// A message may differ when it goes out for the second time: two streams behind one address need a c= each
/// on the way in, which stays, and a policy takes identities out on the way in. After that nothing changes
/// any more.
void require_same_outside(test::SipBench& bench, const std::string& out) {
  const auto in = checked_pass(bench, Direction::inbound, out);
  if (!in) return;
  const auto again = checked_pass(bench, Direction::outbound, *in);
  if (!again || again == out) return;
  const auto back = checked_pass(bench, Direction::inbound, *again);
  if (!back) return;
  const auto third = checked_pass(bench, Direction::outbound, *back);
  test::require(!third || third == again);
}

void go_round(const std::string& message, const alg::sip::Policy& policy, bool knows_repeated) {
  {
    test::SipBench bench(policy);
    static_cast<void>(checked_pass(bench, Direction::inbound, message));
  }
  test::SipBench bench(policy);
  bench.host.knows_repeated = knows_repeated;
  const auto out = checked_pass(bench, Direction::outbound, message);
  test::require(checked_pass(bench, Direction::outbound, message) == out);
  if (!out || names_external_endpoints(message)) return;
  require_same_outside(bench, *out);
  bench.host.waits = true;
  static_cast<void>(checked_pass(bench, Direction::outbound, message));
}

/// Over a host that knows what the message repeats, and over one to which it is new.
void go_round_both_ways(const std::string& message, const alg::sip::Policy& policy) {
  test::require(!test::echoes_make_mappings(message, policy));
  for (const bool knows_repeated : {true, false}) go_round(message, policy, knows_repeated);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string message(reinterpret_cast<const char*>(data), size);
  go_round_both_ways(message, {});
  alg::sip::Policy strict;
  strict.malformed = alg::sip::Malformed::drop;
  strict.hide_parties = strict.hide_call_id = true;
  strict.asserted_identity = alg::sip::AssertedIdentity::strip_inbound;
  go_round_both_ways(message, strict);
  return 0;
}
