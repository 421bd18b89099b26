// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Where requests get to a host inside, by its own words: its Contact, and the Record-Routes of the proxies
// inside. Mostly that is the endpoint that it speaks from, and then nothing is noted here. But a phone may
// listen on another port than it sends from, and behind a proxy its Contact is another host's. For nothing is
// sent from there, the mapping of such an endpoint lives by what is noted here, with the call or the
// subscription that it was named for.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nat/endpoint.hpp"

namespace pinhole::dataplane {

struct Target {
  nat::Endpoint inside;
  nat::Protocol protocol = nat::Protocol::udp;

  friend constexpr bool operator==(Target, Target) noexcept = default;
};

/// Some of them, each once; of more than there is room for, those that were named last.
class Targets {
 public:
  static constexpr std::size_t kMost = 4;  // a Contact and three proxies

  constexpr void add(Target target) noexcept {
    const auto known = view();
    if (std::find(known.begin(), known.end(), target) != known.end()) return;
    if (count_ == kMost) std::copy(targets_.begin() + 1, targets_.end(), targets_.begin());
    targets_[count_ == kMost ? kMost - 1 : count_++] = target;
  }
  constexpr void clear() noexcept { count_ = 0; }
  [[nodiscard]] constexpr std::span<const Target> view() const noexcept {
    return std::span(targets_).first(count_);
  }

 private:
  std::array<Target, kMost> targets_{};
  std::uint8_t count_ = 0;
};

/// What a SUBSCRIBE or REFER from inside said.
struct Subscribing {
  Targets targets;         // that it named
  nat::Ipv4Address asked;  // whom it went to
};

/// It, until it is answered: the answer, which says for how long, does not repeat it. Bounded: of two that
/// meet in one place the later one stays. Owned by one worker.
class SubscribeTable {
 public:
  struct Key {
    std::uint64_t call_hash = 0;
    std::uint64_t tag_hash = 0;  // of who subscribes
    std::uint32_t cseq = 0;
    nat::Ipv4Address inside;  // host of the signalling flow

    friend constexpr bool operator==(const Key&, const Key&) noexcept = default;
  };

  void note(const Key& key, const Subscribing& noted) noexcept { place_of(key) = {key, noted, true}; }
  /// \return what was noted, and is forgotten now; nothing, and an unspecified address, when it was never
  [[nodiscard]] Subscribing take(const Key& key) noexcept {
    auto& entry = place_of(key);
    if (!entry.waits || entry.key != key) return {};
    entry.waits = false;
    return entry.noted;
  }

 private:
  static constexpr std::size_t kPlaces = 256;

  struct Entry {
    Key key;
    Subscribing noted;
    bool waits = false;
  };

  [[nodiscard]] Entry& place_of(const Key& key) noexcept {
    return entries_[(key.call_hash + key.cseq) % kPlaces];
  }

  std::array<Entry, kPlaces> entries_{};
};

}  // namespace pinhole::dataplane
