// SPDX-License-Identifier: BSD-3-Clause
// The bytes choose a valid message: exactly the tokens of ours are replaced in it, out and back in, over
// whole messages and over a gateway that has seen others before. The last four bytes break it in one place:
// then it is refused or passed as a whole, and nothing is opened that was not asked for.
#include "tests/support/sip_bench.hpp"
#include "tests/support/sip_generator.hpp"
#include "tests/support/sip_invariants.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace pinhole;

constexpr std::size_t kBreak = 4;
// Each is an edit at most, and there is one for each of two lengths.
constexpr std::size_t kMaxNamed = alg::EditList::kMaxEdits - 2;

bool is_within_bounds(const test::Template& message) {
  std::vector<test::Named> named;
  message.collect(named);
  return named.size() <= kMaxNamed;
}

void check_valid(const test::Template& message, const std::string& inside, test::SipBench& bench) {
  const auto out = test::checked_pass(bench, alg::Direction::outbound, inside);
  test::require(out.has_value());
  test::require(*out == message.render([&bench](const test::Named& named) {
    return bench.host.external_of(named.protocol, named.endpoint).endpoint;
  }));
  test::require(out->find("10.0.0.") == std::string::npos);
  test::require(test::checked_pass(bench, alg::Direction::inbound, *out) == inside);
  test::require(test::checked_pass(bench, alg::Direction::outbound, inside) == out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < kBreak) return 0;
  const std::span<const std::uint8_t> bytes{data, size};
  const auto broken = bytes.last(kBreak);
  test::SipBench bench(test::direct_media());
  std::string inside;
  // Two messages: the choices of the first end where those of the second begin.
  const auto choices = bytes.first(size - kBreak);
  for (const auto part : {choices.first(choices.size() / 2), choices.subspan(choices.size() / 2)}) {
    const auto message = test::SipGenerator(part).message();
    if (!is_within_bounds(message)) return 0;
    inside = message.render([](const test::Named& named) { return named.endpoint; });
    test::require(!test::echoes_make_mappings(inside, test::direct_media()));
    test::SipBench fresh(test::direct_media());
    fresh.host.knows_repeated = true;
    check_valid(message, inside, fresh);
    test::require(test::checked_pass(bench, alg::Direction::outbound, inside).has_value());
  }

  const auto place = static_cast<std::size_t>(broken[0] | broken[1] << 8U) % inside.size();
  if ((broken[3] & 1U) != 0) {
    inside[place] = static_cast<char>(broken[2]);
  } else {
    inside.erase(place, broken[2]);
  }
  for (const auto direction : {alg::Direction::outbound, alg::Direction::inbound}) {
    const auto passed = test::checked_pass(bench, direction, inside);
    test::require(test::checked_pass(bench, direction, inside) == passed);
  }
  for (const auto& request : bench.host.opened) {
    test::require(bench.host.is_inside(request.rtp.address) && request.rtp.port.host() >= 1024);
  }
  return 0;
}
