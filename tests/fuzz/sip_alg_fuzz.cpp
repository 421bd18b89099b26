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

bool names_length(std::string_view line) {
  return begins_with(line, "content-length") || begins_with(line, "l:") || begins_with(line, "l ") ||
         begins_with(line, "l\t");
}

/// Calls `each(line)` for what stands between these characters.
template <typename Each>
void for_each_line(std::string_view text, std::string_view ends, Each&& each) {
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of(ends), text.size());
    each(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

/// What a message says, without what one that came back may have more or less of: two streams behind one
/// address need a c= each on the way in, which stays when it goes out again; what a policy takes out on the
/// way in does not go out; and the length is another then.
std::string essence(std::string_view text) {
  alg::sip::MessageView view;
  if (view.parse(text) != alg::sip::ParseResult::message) return std::string(text);
  const auto begin =
      view.body().empty() ? text.size() : static_cast<std::size_t>(view.body().data() - text.data());
  std::string kept;
  bool leaves_out = false;
  for_each_line(text.substr(0, begin), "\n", [&](std::string_view line) {
    if (line.empty() || (line.front() != ' ' && line.front() != '\t')) {  // else the line before goes on
      leaves_out = names_length(line) || begins_with(line, "p-asserted-identity");
    }
    if (!leaves_out) kept.append(line).append("\n");
  });
  // A line of a description ends with LF, CR or both. The body ends where its length says, in a line or not;
  // what comes behind it is no part of the message. Its parts may have lengths of their own.
  for_each_line(view.body(), "\r\n", [&](std::string_view line) {
    if (!line.empty() && !begins_with(line, "c=") && !names_length(line)) kept.append(line).append("\n");
  });
  return kept.append(text.substr(begin + view.body().size()));
}

void require_same_outside(test::SipBench& bench, const std::string& out) {
  const auto in = checked_pass(bench, Direction::inbound, out);
  if (!in) return;
  const auto again = checked_pass(bench, Direction::outbound, *in);
  if (!again || again == out) return;
  test::require(essence(*again) == essence(out));
  // After that, nothing changes any more.
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
