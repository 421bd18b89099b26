// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What the tests need that hold the express path to the regular path: how a lab is kept to the regular path,
// and which flows the express path does not find.

#include "dataplane/config/structs.hpp"
#include "nat/mapping_table.hpp"

namespace pinhole::test {

/// A rule about a prefix that nobody sends to: where anything is left untranslated, every first packet has to
/// be asked about. (What follows a first packet: nat::keep_to_regular_path().)
inline void keep_first_packets_regular(config::Config& config) {
  config::Exempt exempt;
  exempt.to = *nat::Prefix::parse("192.0.2.77/32");
  config.nat.exempt.push_back(exempt);
}

/// Whether the express path takes another flow's mapping for that of this one, because their tags in the
/// index are equal: then it leaves the packet to the regular path. Whoever draws the key of the index, it
/// happens to one flow in thousands. A flow that fares so once does so for as long as both live.
[[nodiscard]] inline bool is_misjudged(const nat::Endpoint& inside, const nat::MappingTable& table) {
  const auto& index = table.outbound();
  const auto hash = index.hash(nat::key_word(nat::Protocol::udp, inside));
  auto guess = index.guess(hash);
  if (guess == nat::kNoMapping && index.lies_further(hash)) guess = index.guess_further(hash);
  const auto found = table.find(nat::Protocol::udp, inside);
  return found != nat::kNoMapping && guess != nat::kNoMapping && guess != found;
}

}  // namespace pinhole::test
