// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The rules of the administrator as workers read them: plain data of fixed size, offsets instead of pointers,
// so that it lies in shared memory as it is. It is made of the configuration; alg/sip/rules.hpp says whether
// one is sound, and asks it of messages.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "nat/endpoint.hpp"

namespace pinhole::alg::sip {

enum class RuleAction : std::uint8_t {
  pass,
  log,  // and pass
  drop,
  refuse,  // a request is answered, the rest dropped
  ban,     // drop, and let nothing more in from its source
};

/// A text of the set.
struct TextRef {
  std::uint16_t begin = 0;
  std::uint16_t size = 0;
};

/// Some of the prefixes or patterns of the set.
struct ListRef {
  std::uint16_t begin = 0;
  std::uint16_t size = 0;

  [[nodiscard]] constexpr bool empty() const noexcept { return size == 0; }
};

/// All that a rule asks for must hold; what it does not ask for always does. An empty list asks for nothing.
struct MessageRule {
  static constexpr std::uint32_t kAny = ~std::uint32_t{0};
  static constexpr std::uint8_t kRequests = 1;
  static constexpr std::uint8_t kResponses = 2;

  std::uint64_t identity = 0;  // of its name and text: the same in the next set if nothing of it changed
  std::uint64_t present = 0;   // a bit for each of the set's headers
  std::uint64_t absent = 0;
  std::uint32_t methods = kAny;     // a bit for each Method
  std::uint32_t message_above = 0;  // bytes; 0 asks for nothing, here and below
  std::uint32_t header_above = 0;   // bytes of all header lines
  std::uint32_t uri_above = 0;      // bytes of the Request-URI
  std::uint32_t headers_above = 0;  // how many
  std::uint32_t vias_above = 0;
  std::uint32_t max_forwards_below = 0;
  std::uint16_t interfaces = 0;  // a bit for each by which a message comes in or goes out; none: any
  std::uint16_t defects = 0;     // a bit for each Defect; none: any message, readable or not
  std::uint8_t directions = 3;   // a bit for each Direction
  std::uint8_t realms = 3;       // a bit for each nat::Realm
  std::uint8_t transports = 7;   // a bit for each nat::Protocol
  std::uint8_t kinds = kRequests | kResponses;
  RuleAction action = RuleAction::pass;
  std::uint16_t status = 0;  // of the answer to what is refused
  std::uint16_t retry_after_s = 0;
  TextRef name{};
  ListRef sources{};  // prefixes
  ListRef destinations{};
  ListRef content_types{};  // patterns, and so on
  ListRef codecs{};
  ListRef request_uris{};
  ListRef from_uris{};
  ListRef to_uris{};
  ListRef domains{};
  ListRef user_agents{};
  TextRef application{};  // whose commands it is asked of; empty: SIP, and what follows asks for nothing
  ListRef commands{};
  ListRef arguments{};
};

struct RuleSet {
  static constexpr std::size_t kMaxRules = 128;
  static constexpr std::size_t kMaxHeaders = 64;  // that rules ask for by name
  static constexpr std::size_t kMaxPrefixes = 512;
  static constexpr std::size_t kMaxPatterns = 512;
  static constexpr std::size_t kMaxPattern = 64;  // bytes
  static constexpr std::size_t kMaxText = 24576;

  std::uint16_t rule_count = 0;
  std::uint16_t header_count = 0;
  std::uint16_t prefix_count = 0;
  std::uint16_t pattern_count = 0;
  std::uint16_t text_size = 0;
  std::array<MessageRule, kMaxRules> rules{};
  std::array<TextRef, kMaxHeaders> headers{};  // in lower case, not in their compact form
  std::array<nat::Prefix, kMaxPrefixes> prefixes{};
  std::array<TextRef, kMaxPatterns> patterns{};
  std::array<char, kMaxText> text{};

  [[nodiscard]] std::string_view view(TextRef ref) const noexcept {
    return {text.data() + ref.begin, ref.size};
  }
};
static_assert(std::is_trivially_copyable_v<RuleSet>);

/// How many messages each rule of a set has decided about. Thread: written by one worker, read by anyone.
class RuleHits {
 public:
  void add(std::size_t rule) noexcept { set(rule, read(rule) + 1); }
  void set(std::size_t rule, std::uint64_t hits) noexcept {
    hits_[rule].store(hits, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t read(std::size_t rule) const noexcept {
    return hits_[rule].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint64_t>, RuleSet::kMaxRules> hits_{};
};

}  // namespace pinhole::alg::sip
