// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// SIP messages that Pinhole itself sends, in the name of one end to the other, and what comes back for them,
// which ends here: nobody else knows what it is about.
//
// A request that the policy refuses is answered where it came from, by UDP with a datagram, by TCP on its
// connection; no state is kept of it. The ACK of a refused INVITE is known by the To tag, which is a keyed
// hash of the request. The answers to BYEs (dataplane/hang_up.hpp) are known by their branch.
//
// Invariant: answers are bounded in number, so that nobody has Pinhole send in place of dropping.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "alg/alg.hpp"
#include "alg/sip/message.hpp"
#include "alg/sip/screen.hpp"
#include "dataplane/burst.hpp"
#include "dataplane/text_hash.hpp"
#include "nat/endpoint.hpp"
#include "nat/rate_limit.hpp"

namespace pinhole::dataplane {

struct WorkerContext;

/// Sixteen hexadecimal digits.
[[nodiscard]] std::array<char, 16> hex_digits(std::uint64_t value) noexcept;

class OwnMessages final : public alg::sip::Screen {
 public:
  /// Of a message: fits any buffer, with its headers.
  static constexpr std::size_t kMaxSize = 1900;
  /// Requests that a worker answers a second, and in a row after a pause: what is above is dropped.
  static constexpr std::uint32_t kRefusalsPerSecond = 1000;
  static constexpr std::uint32_t kRefusalBurst = 100;

  /// \param seed  secret, and of this worker alone
  OwnMessages(WorkerContext& worker, std::uint64_t seed, std::uint64_t tsc_hz) noexcept;

  /// Takes what ends here.
  [[nodiscard]] alg::Answer judge(const alg::sip::MessageView& view,
                                  const alg::Message& message) noexcept override;
  [[nodiscard]] std::optional<alg::Answer> judge_unread(alg::sip::Defect defect,
                                                        const alg::Message& message) noexcept override;

  /// The response to a request that is refused. \param answer  the verdict
  /// \return the text, good until the next one is asked for; empty when none is to be sent
  [[nodiscard]] std::string_view answer_to(const alg::Message& request, const alg::Answer& answer) noexcept;
  /// Sends it, to a request that came by UDP.
  void refuse(const alg::Message& request, const alg::Answer& answer) noexcept;

  /// Sends a message by UDP. Both endpoints are as its receiver knows them.
  void send(nat::Endpoint source, nat::Endpoint destination, alg::Direction direction,
            std::string_view text) noexcept;

 private:
  [[nodiscard]] std::array<char, 18> tag_for(const alg::sip::Summary& request) const noexcept;
  [[nodiscard]] bool is_ack_of_refusal(const alg::sip::MessageView& view) const noexcept;
  [[nodiscard]] std::string_view write(const alg::sip::MessageView& view, const alg::Message& request,
                                       const alg::Answer& answer) noexcept;

  WorkerContext& worker_;
  SipHashKey key_;
  nat::RateLimit limit_;
  std::array<char, kMaxSize> text_;
};

}  // namespace pinhole::dataplane
