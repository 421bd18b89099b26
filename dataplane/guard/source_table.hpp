// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Who sends: the sources of one side that a worker remembers, with their buckets and what they did. Memory is
// constant. The table is cut into sets of sixteen, and an address belongs to one of them.
//
// Fairness. A source is known once it has shown by traffic both ways that it is who it says. A new one only
// ever takes the place of one that is not known, the one that was silent longest; of a set, fourteen places
// at most are for known ones, so a new source always finds one. A known source gives its place up only to
// another that has just become known, and only when it has been silent for an hour. So whoever fakes
// addresses, however many, pushes out nobody but others like him.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/guard/bucket.hpp"
#include "dataplane/ipc/rates.hpp"
#include "nat/endpoint.hpp"
#include "nat/memory.hpp"
#include "nat/prefetch.hpp"
#include "nat/tick.hpp"

namespace pinhole::dataplane {

/// Counts within a time that begins with the first thing counted.
class Tally {
 public:
  /// \return how many there have been within `within`, this one counted in
  std::uint16_t add(nat::Tick within, nat::Tick now) noexcept {
    if (count_ == 0 || nat::reached(began_ + within, now)) {
      began_ = now;
      count_ = 0;
    }
    if (count_ < 0xffff) ++count_;
    return count_;
  }
  void clear() noexcept { count_ = 0; }

 private:
  nat::Tick began_ = 0;
  std::uint16_t count_ = 0;
};

struct Source {
  static constexpr std::size_t kIssued = 4;

  Bucket all;
  std::array<Bucket, ipc::kMethods> methods;
  Bucket flows;
  Bucket fragments;
  Bucket malformed;

  // What was sent to it that nobody else can know, as hashes, the newest last: who gives one back has got it.
  std::array<std::uint32_t, kIssued> issued{};
  std::uint8_t next_issued = 0;
  bool known = false;
  bool both_ways = false;           // it gave something back, or it speaks TCP
  bool accepted = false;            // a server said yes to it
  bool sent_credentials = false;    // in its last request, and there was no answer yet
  bool credentials_proven = false;  // they were for a nonce that it was given
  bool denied = false;              // until `denied_until`

  Tally refusals;
  Tally failures;           // of authentication
  Tally missing;            // how many `not_found` are, in their time
  std::uint64_t asked = 0;  // for addresses that nobody has: a bit for the hash of each
  nat::Tick denied_until = 0;
  std::uint32_t refused_tag = 0;  // of the last refusal that nobody has acknowledged yet, as a hash
  std::uint32_t counted_tag = 0;  // of the last one that was counted without that

  void issue(std::uint32_t hash) noexcept {
    if (gives_back(hash)) return;
    issued[next_issued] = hash;
    next_issued = static_cast<std::uint8_t>((next_issued + 1) % kIssued);
  }
  [[nodiscard]] bool gives_back(std::uint32_t hash) const noexcept {
    for (const auto each : issued) {
      if (each == hash && each != 0) return true;
    }
    return false;
  }
};
static_assert(sizeof(Source) <= 256);

class SourceTable {
 public:
  static constexpr std::size_t kWays = 16;
  static constexpr std::size_t kMostKnown = 14;
  static constexpr nat::Tick kKnownSilence = nat::ticks_from_s(3600);
  /// A known source that has been silent for so long is known no more: its address may be somebody else's.
  static constexpr nat::Tick kKnownFor = nat::ticks_from_s(24 * 3600);

  [[nodiscard]] static constexpr std::uint32_t sets_of(std::uint32_t capacity) noexcept {
    return static_cast<std::uint32_t>((capacity + kWays - 1) / kWays);
  }
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t capacity) noexcept {
    return nat::carved_bytes<Set>(sets_of(capacity)) + nat::carved_bytes<Source>(sets_of(capacity) * kWays);
  }
  /// \param capacity  at least 1; rounded up to whole sets
  SourceTable(std::uint32_t capacity, std::uint64_t seed, nat::Carver& memory) noexcept;
  SourceTable(const SourceTable&) = delete;
  SourceTable& operator=(const SourceTable&) = delete;

  /// \return nullptr when it is not remembered. Cost: a line, and the lines of the source.
  [[nodiscard]] Source* find(nat::Ipv4Address address, nat::Tick now) noexcept;
  /// Fetches what find() reads first; called some messages before it.
  void fetch_set(nat::Ipv4Address address) const noexcept {
    const auto& set = sets_[set_of(address)];
    nat::prefetch(&set.addresses);
    nat::prefetch(&set.seen);
  }
  /// Fetches a source, if it is in the table.
  void fetch(nat::Ipv4Address address) const noexcept;
  /// One that is not in the table: a fresh one.
  Source& add(nat::Ipv4Address address, nat::Tick now) noexcept;
  /// It has shown that it is who it says. \return false when its set is full of others that have, and are not
  /// silent
  bool make_known(Source& source, nat::Tick now) noexcept;

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint32_t known() const noexcept { return known_; }

 private:
  struct Set {
    std::array<nat::Ipv4Address, kWays> addresses{};  // unspecified: free
    std::array<nat::Tick, kWays> seen{};
  };

  [[nodiscard]] std::size_t set_of(nat::Ipv4Address address) const noexcept {
    // A finaliser of MurmurHash3: the seed keeps strangers from aiming at a set.
    std::uint64_t hash = address.value.raw() ^ seed_;
    hash = (hash ^ hash >> 33U) * 0xff51afd7ed558ccdU;
    hash = (hash ^ hash >> 33U) * 0xc4ceb9fe1a85ec53U;
    return static_cast<std::size_t>((hash >> 32U) * sets_.size() >> 32U);
  }
  /// \return its place in a set; kWays when it is not there
  [[nodiscard]] static std::size_t way_of(const Set& set, nat::Ipv4Address address) noexcept;
  /// The place of a set that was silent longest among those for which `may(source)` is true.
  /// \return kWays when there is none
  template <typename May>
  [[nodiscard]] std::size_t most_silent(std::size_t set, nat::Tick now, May&& may) const noexcept;
  void forget_known(Source& source) noexcept;

  std::uint64_t seed_;
  std::span<Set> sets_;
  std::span<Source> sources_;  // kWays of each set, in its order
  std::uint32_t size_ = 0;
  std::uint32_t known_ = 0;
};

}  // namespace pinhole::dataplane
