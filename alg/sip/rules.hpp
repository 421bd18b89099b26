// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Asks the rules of the administrator of each message: the first that matches decides. Invariant: a set was
// found sound before it is used, and does not change while it is.

#include <cstddef>
#include <optional>
#include <string_view>

#include "alg/sip/rule_set.hpp"
#include "alg/sip/screen.hpp"

namespace pinhole::alg::sip {

/// Whether every offset, count and enumerator of a set is within its bounds, whoever wrote it.
[[nodiscard]] bool is_sound(const RuleSet& set) noexcept;

/// The hits of a set that follows another: a rule that is the same in both goes on counting.
void carry_over(const RuleSet& from, const RuleHits& hits, const RuleSet& to, RuleHits& next) noexcept;

/// Who sees to what a rule asks for besides its verdict.
class RuleHost {
 public:
  /// Writes the message down.
  virtual void note(std::string_view rule, const Message& message) noexcept = 0;
  /// Lets nothing more in from who sent the message.
  virtual void ban(std::string_view rule, const Message& message) noexcept = 0;

 protected:
  ~RuleHost() = default;
};

/// What a client of another application than SIP asks its server for.
struct AppCommand {
  std::string_view application;  // the name of its gateway
  std::string_view name;
  std::string_view argument;
};

class Rules final : public Screen {
 public:
  /// Without rules. \param host  outlives the screen
  explicit Rules(RuleHost& host) noexcept : host_(host) {}

  /// From now on. \param set  sound; it and `hits` outlive the screen, or the next call
  void use(const RuleSet& set, RuleHits& hits) noexcept {
    set_ = &set;
    hits_ = &hits;
  }

  /// Cost: a branch when there are no rules. What a rule asks for is looked up from the cheap to the dear;
  /// headers and the body are read once a message, when the first rule asks for them.
  [[nodiscard]] Answer judge(const MessageView& view, const Message& message) noexcept override;
  /// Only rules that ask for nothing of what is in a message can match.
  [[nodiscard]] std::optional<Answer> judge_unread(Defect defect, const Message& message) noexcept override;
  /// Whether a command may reach its server. Only rules for its application are asked; what a rule does
  /// besides is done as for SIP. \param flow  that carries it; its bytes are not read
  [[nodiscard]] bool allows(const AppCommand& command, const Message& flow) noexcept;

 private:
  [[nodiscard]] Answer act(std::size_t rule, bool is_answerable, const Message& message) noexcept;

  const RuleSet* set_ = nullptr;
  RuleHits* hits_ = nullptr;
  RuleHost& host_;
};

}  // namespace pinhole::alg::sip
