// SPDX-License-Identifier: BSD-3-Clause
// Any datagram goes out and comes in again through a whole gateway. Whatever is not forwarded has no edits; a
// message that is sent again is translated alike; and what comes back and goes out once more is what went out
// first, so that tokens are restored to what they stood for: by default, and with every policy. What it
// repeats of others makes no mapping.
#include "alg/sip/unescaped.hpp"
#include "tests/support/sip_bench.hpp"
#include "tests/support/sip_invariants.hpp"

#include <algorithm>
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

bool begins_with(std::string_view line, std::string_view name) {
  return line.size() >= name.size() && std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) {
           return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b);
         });
}

/// How many lines begin like this; a line ends with LF, CR or both.
std::size_t count_lines(std::string_view text, std::string_view beginning) {
  std::size_t count = 0;
  while (!text.empty()) {
    count += begins_with(text, beginning) ? 1 : 0;
    text.remove_prefix(std::min(text.find_first_of("\r\n"), text.size() - 1) + 1);
  }
  return count;
}

/// Whether a message that came in has got or lost a line that stays so when it goes out again: two streams
/// behind one address need a c= each, and a policy takes identities out.
bool has_other_lines(std::string_view in, std::string_view out) {
  return count_lines(in, "c=") != count_lines(out, "c=") ||
         count_lines(in, "p-asserted-identity") != count_lines(out, "p-asserted-identity");
}

/// What comes back goes out as it did, or differs once by such a line and not after that.
void require_same_outside(test::SipBench& bench, const std::string& out) {
  const auto in = checked_pass(bench, Direction::inbound, out);
  if (!in) return;
  const auto again = checked_pass(bench, Direction::outbound, *in);
  if (!again || again == out) return;
  test::require(has_other_lines(*in, out));
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
  strict.software = alg::sip::Software::strip;
  go_round_both_ways(message, strict);
  alg::sip::Policy named;
  named.software = alg::sip::Software::replace;
  named.software_name = "Example SBC 1.0";
  go_round_both_ways(message, named);
  return 0;
}
