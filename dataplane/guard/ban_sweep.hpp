// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Makes a new ban hold on the express path (dataplane/express.hpp), which asks nobody: whenever somebody may
// be kept out who was not before, all mappings of the worker are gone through, a few a turn, and those of who
// is banned forget their hop for what comes in. Their packets take the regular path from then on, which asks.
// One whose ban is over, or who is allowed, needs nothing: the regular path lets his next packet in, and back
// to the express path.
//
// Invariant: a mapping is looked at after every ban that began since its hop was noted, at the latest when
// all have been gone through once. Owned by one worker.

#include <cstdint>

#include "dataplane/guard/guard.hpp"
#include "nat/translator.hpp"

namespace pinhole::dataplane {

class BanSweep {
 public:
  /// Once a turn. \param budget  mappings looked at, at most. Cost: a comparison, while there is no new ban.
  void run(const Guard& guard, nat::Translator& translator, std::uint32_t budget) noexcept {
    if (seen_ != guard.strictness()) [[unlikely]]
      begin(guard, translator);
    if (left_ > 0) [[unlikely]]
      go_on(guard, translator, budget);
  }

 private:
  void begin(const Guard& guard, const nat::Translator& translator) noexcept;
  void go_on(const Guard& guard, nat::Translator& translator, std::uint32_t budget) noexcept;

  std::uint32_t seen_ = 0;      // of Guard::strictness()
  nat::MappingIndex next_ = 0;  // goes round, so that bans without end keep nobody from being looked at
  nat::MappingIndex end_ = 0;   // behind those that there were when it began: new ones were asked about
  nat::MappingIndex left_ = 0;  // until all have been gone through
};

}  // namespace pinhole::dataplane
