// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A TCP end in a test: sends a text in segments cut as chance has it, sends again what is not acknowledged,
// takes what comes in any order into a buffer of bounded size, and complains about what no TCP would do to
// it. What stands beyond its window or bears an older time than what it has taken it does not listen to (RFC
// 9293, RFC 7323). Time is a tick that is handed in; chance is the test's.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "alg/stream/segment.hpp"
#include "alg/stream/sequence.hpp"

namespace pinhole::test {

using alg::stream::after;
using alg::stream::before;
using alg::stream::Sequence;

/// A segment as bytes and numbers of its own.
struct Wire {
  Sequence sequence = 0;
  Sequence acknowledgement = 0;
  std::uint16_t window = 0;
  std::uint8_t flags = 0;
  std::vector<std::byte> options;
  std::string payload;
};

struct PeerConfig {
  Sequence first = 0;
  std::uint32_t buffer = 65535;  // bytes that it takes before its reader has read them
  std::uint32_t mss = 536;       // that it takes
  std::uint8_t scale = 0;
  std::uint32_t congestion = 4;  // segments on the way, at most
  bool slow_reader = false;
  bool sack = false;
  std::optional<std::uint32_t> clock;  // its timestamps begin there; none: it offers none
};

class TcpPeer {
 public:
  TcpPeer(const PeerConfig& config, std::string text, std::mt19937_64& chance)
      : config_(config),
        text_(std::move(text)),
        chance_(chance),
        una_(config.first),
        nxt_(config.first),
        high_(config.first + 1) {}

  /// What it has received, in order.
  [[nodiscard]] const std::string& received() const { return received_; }
  [[nodiscard]] bool sent_all() const { return una_ == end_of_text() + 1; }
  [[nodiscard]] bool saw_fin() const { return saw_fin_; }
  [[nodiscard]] bool was_reset() const { return reset_; }
  [[nodiscard]] const std::vector<std::string>& complaints() const { return complaints_; }
  /// Where it is, for who has to find out why it went no further.
  [[nodiscard]] std::string state() const {
    return "sent " + std::to_string(nxt_ - config_.first) + ", acknowledged " +
           std::to_string(una_ - config_.first) + " of " + std::to_string(text_.size() + 2) + ", window to " +
           std::to_string(edge_ - config_.first) + ", unread " + std::to_string(unread_);
  }
  /// Stops to answer at all.
  void fall_silent() { silent_ = true; }

  void connect(std::vector<Wire>& out) { out.push_back(syn()); }

  void take(const Wire& segment, unsigned now, std::vector<Wire>& out) {
    if (silent_) return;
    now_ = now;
    if ((segment.flags & 4U) != 0) {
      reset_ = true;
      return;
    }
    if ((segment.flags & 2U) != 0) return take_syn(segment, now, out);
    if (!established_) {
      if ((segment.flags & 16U) == 0 || segment.acknowledgement != config_.first + 1) return;
      established_ = true;
      una_ = nxt_ = config_.first + 1;
    }
    const bool brings = !segment.payload.empty() || (segment.flags & 1U) != 0;
    // Beyond its window it listens to nobody (RFC 9293 section 3.10.7.4).
    if (after(segment.sequence, promised_) || !is_timely(segment)) {
      if (brings) out.push_back(ack());
      return;
    }
    take_ack(segment, now);
    if (brings || segment.sequence != rcv_nxt_) {
      take_data(segment);
      out.push_back(ack());
    }
    send_some(now, out);
  }

  void tick(unsigned now, std::vector<Wire>& out) {
    if (silent_ || reset_) return;
    now_ = now;
    if (!established_) {
      if (now >= timer_ + timeout_ && started_) {
        timer_ = now;
        out.push_back(syn());
      }
      return;
    }
    if (unread_ > 0 && (!config_.slow_reader || chance_() % 4 == 0)) {
      const bool was_closed = window_bytes() < config_.mss;
      unread_ -= std::min<std::uint32_t>(unread_, 1 + static_cast<std::uint32_t>(chance_() % config_.buffer));
      if (was_closed && window_bytes() >= std::min(config_.mss, config_.buffer / 2)) out.push_back(ack());
    }
    if (una_ != nxt_ && now >= timer_ + timeout_) {
      timer_ = now;
      timeout_ = std::min(timeout_ * 2, 40U);
      const Sequence high = nxt_;
      nxt_ = una_;
      send_one(true, out);
      nxt_ = alg::stream::later(nxt_, high);
      repeats_ = 0;
    } else if (una_ == nxt_ && edge_ == nxt_ && !sent_all() && now >= timer_ + timeout_) {
      timer_ = now;  // asks a closed window
      timeout_ = std::min(timeout_ * 2, 40U);
      send_one(true, out);
    }
    send_some(now, out);
  }

 private:
  [[nodiscard]] Sequence end_of_text() const {
    return config_.first + 1 + static_cast<Sequence>(text_.size());
  }
  [[nodiscard]] std::uint32_t window_bytes() const {
    std::uint32_t ahead = 0;
    for (const auto& [offset, piece] : ahead_) ahead += static_cast<std::uint32_t>(piece.size());
    const std::uint32_t used = unread_;
    static_cast<void>(ahead);
    return config_.buffer > used ? config_.buffer - used : 0;
  }
  [[nodiscard]] std::uint16_t window() {
    const std::uint32_t field = std::min(window_bytes() >> shift(), 0xffffU);
    const Sequence edge = rcv_nxt_ + (field << shift());
    if (!has_promised_ || after(edge, promised_)) promised_ = edge;
    has_promised_ = true;
    return static_cast<std::uint16_t>(field);
  }
  [[nodiscard]] unsigned shift() const { return scaled_ ? config_.scale : 0U; }

  [[nodiscard]] Wire syn() {
    started_ = true;
    Wire segment;
    segment.sequence = config_.first;
    segment.flags = 2;
    if (knows_other_) {
      segment.flags |= 16;
      segment.acknowledgement = rcv_nxt_;
    }
    segment.window = static_cast<std::uint16_t>(std::min(config_.buffer, 65535U));
    if (!has_promised_) promised_ = rcv_nxt_ + segment.window;
    has_promised_ = has_promised_ || knows_other_;
    const auto put = [&](std::initializer_list<unsigned> bytes) {
      for (const unsigned byte : bytes) segment.options.push_back(static_cast<std::byte>(byte));
    };
    put({2, 4, config_.mss >> 8U, config_.mss & 0xffU});
    if (config_.scale > 0) put({1, 3, 3, config_.scale});
    if (config_.sack) put({1, 1, 4, 2});
    if (config_.clock && (!knows_other_ || other_stamps_)) put_timestamps(segment);
    return segment;
  }

  [[nodiscard]] bool stamps() const { return config_.clock && other_stamps_; }
  void put_timestamps(Wire& segment) const {
    alg::stream::OutSegment stamped;
    stamped.timestamps = alg::stream::Timestamps{*config_.clock + now_ * 100, others_time_};
    std::array<std::byte, alg::stream::OutSegment::kMaxOptions> options;
    const std::size_t size = stamped.write_options(options);
    segment.options.insert(segment.options.end(), options.begin(), options.begin() + size);
  }
  /// PAWS (RFC 7323 section 5).
  [[nodiscard]] bool is_timely(const Wire& segment) {
    if (!stamps()) return true;
    auto options = segment.options;
    const auto timestamps = alg::stream::read_options(options).timestamps;
    if (!timestamps) {
      complaints_.push_back("a segment without a timestamp");
      return true;
    }
    if (before(timestamps->value, others_time_)) return false;
    if (!after(segment.sequence, rcv_nxt_)) others_time_ = timestamps->value;
    return true;
  }

  void take_syn(const Wire& segment, unsigned now, std::vector<Wire>& out) {
    if (!knows_other_) {
      knows_other_ = true;
      rcv_nxt_ = segment.sequence + 1;
      auto options = segment.options;
      if (const auto timestamps = alg::stream::read_options(options).timestamps) {
        other_stamps_ = true;
        others_time_ = timestamps->value;
      }
      for (std::size_t at = 0; at + 1 < segment.options.size();) {
        const auto kind = std::to_integer<unsigned>(segment.options[at]);
        if (kind == 1) {
          ++at;
          continue;
        }
        if (kind == 2)
          mss_ = std::to_integer<unsigned>(segment.options[at + 2]) << 8U |
                 std::to_integer<unsigned>(segment.options[at + 3]);
        if (kind == 3) {
          other_scale_ = std::to_integer<unsigned>(segment.options[at + 2]);
          scaled_ = config_.scale > 0;
        }
        at += std::to_integer<unsigned>(segment.options[at + 1]);
      }
      if (!scaled_) other_scale_ = 0;
    }
    if ((segment.flags & 16U) == 0) {
      out.push_back(syn());
      timer_ = now;
      return;
    }
    if (!established_) {
      established_ = true;
      una_ = nxt_ = config_.first + 1;
      edge_ = una_ + segment.window;
    }
    out.push_back(ack());
    send_some(now, out);
  }

  /// What a block claims lies behind what the same segment acknowledges, and was sent.
  void check_sacks(const Wire& segment) {
    auto options = segment.options;
    const auto sacks = alg::stream::read_options(options).sacks;
    const auto number = [&](std::size_t at) {
      Sequence value = 0;
      for (std::size_t i = 0; i < 4; ++i) value = value << 8U | std::to_integer<Sequence>(sacks[at + i]);
      return value;
    };
    for (std::size_t at = 0; at + 8 <= sacks.size(); at += 8) {
      const Sequence begin = number(at);
      const Sequence end = number(at + 4);
      if (before(begin, segment.acknowledgement) || !before(begin, end) || after(end, high_))
        complaints_.push_back("a SACK block of what was acknowledged or not sent");
    }
  }

  void take_ack(const Wire& segment, unsigned now) {
    check_sacks(segment);
    if (after(segment.acknowledgement, high_ + (una_ == nxt_ ? 1 : 0)) &&
        after(segment.acknowledgement, nxt_)) {
      complaints_.push_back("an acknowledgement of what was not sent");
      return;
    }
    if (before(segment.acknowledgement, una_)) return;
    const Sequence edge = segment.acknowledgement + (std::uint32_t{segment.window} << other_scale_);
    if (after(segment.acknowledgement, una_)) {
      una_ = segment.acknowledgement;
      if (before(nxt_, una_)) nxt_ = una_;
      timer_ = now;
      timeout_ = 10;
      repeats_ = 0;
    } else if (segment.payload.empty() && una_ != nxt_ && edge == edge_ && ++repeats_ == 3) {
      lost_ = true;
    }
    edge_ = edge;
  }

  void take_data(const Wire& segment) {
    Sequence begin = segment.sequence;
    std::string payload = segment.payload;
    const Sequence end = begin + static_cast<Sequence>(payload.size());
    if ((segment.flags & 1U) != 0) fin_at_ = end, has_fin_ = true;
    // One byte more is a probe.
    if (has_promised_ && !payload.empty() && after(end, promised_ + 1))
      complaints_.push_back("bytes to " + std::to_string(end - promised_) + " beyond the window");
    if (payload.size() > config_.mss) complaints_.push_back("a segment above the size that was announced");
    if (after(end, promised_)) {
      if (!before(begin, promised_))
        payload.clear();
      else
        payload.resize(promised_ - begin);
    }
    if (before(begin, rcv_nxt_)) {
      const std::size_t known = rcv_nxt_ - begin;
      if (known > payload.size())
        payload.clear();
      else
        payload.erase(0, known);
      begin = rcv_nxt_;
    }
    if (!payload.empty()) {
      auto& piece = ahead_[begin - rcv_nxt_ + base_];
      if (piece.size() < payload.size()) piece = payload;
    }
    for (bool moved = true; moved;) {
      moved = false;
      for (auto it = ahead_.begin(); it != ahead_.end() && it->first <= base_;) {
        const std::uint64_t skip = base_ - it->first;
        if (skip < it->second.size()) {
          const std::string fresh = it->second.substr(skip);
          received_ += fresh;
          base_ += fresh.size();
          rcv_nxt_ += static_cast<Sequence>(fresh.size());
          unread_ += static_cast<std::uint32_t>(fresh.size());
          moved = true;
        }
        it = ahead_.erase(it);
      }
    }
    if (has_fin_ && rcv_nxt_ == fin_at_ && !saw_fin_) {
      saw_fin_ = true;
      ++rcv_nxt_;
    }
  }

  [[nodiscard]] Wire ack(bool with_sacks = true) {
    Wire segment;
    segment.sequence = nxt_;
    segment.acknowledgement = rcv_nxt_;
    segment.flags = 16;
    segment.window = window();
    if (stamps()) put_timestamps(segment);
    if (config_.sack && with_sacks && !ahead_.empty()) {
      const auto& [offset, piece] = *ahead_.begin();
      const Sequence begin = rcv_nxt_ + static_cast<Sequence>(offset - base_);
      segment.options.insert(segment.options.end(),
                             {std::byte{1}, std::byte{1}, std::byte{5}, std::byte{10}});
      for (const Sequence edge : {begin, begin + static_cast<Sequence>(piece.size())}) {
        for (int i = 3; i >= 0; --i) segment.options.push_back(static_cast<std::byte>(edge >> (8 * i)));
      }
    }
    return segment;
  }

  /// \param probe  one byte at least, whatever the window
  void send_one(bool probe, std::vector<Wire>& out) {
    Wire segment = ack(false);
    segment.sequence = nxt_;
    std::uint32_t room = after(edge_, nxt_) ? edge_ - nxt_ : 0;
    if (probe) room = std::max(room, 1U);
    const Sequence left = before(nxt_, end_of_text()) ? end_of_text() - nxt_ : 0;
    const std::uint32_t most = std::min({room, left, std::min(mss_, 1460U)});
    const std::uint32_t size = most == 0            ? 0
                               : chance_() % 3 == 0 ? 1 + static_cast<std::uint32_t>(chance_() % most)
                                                    : most;
    segment.payload = text_.substr(nxt_ - config_.first - 1, size);
    nxt_ += size;
    if (nxt_ == end_of_text()) {
      segment.flags |= 1;
      ++nxt_;
    }
    if (after(nxt_, high_)) high_ = nxt_;
    if (segment.payload.empty() && (segment.flags & 1U) == 0) return;
    out.push_back(segment);
  }

  void send_some(unsigned now, std::vector<Wire>& out) {
    if (lost_) {
      lost_ = false;
      const Sequence high = nxt_;
      nxt_ = una_;
      send_one(true, out);
      nxt_ = alg::stream::later(nxt_, high);
    }
    while (established_ && before(nxt_, end_of_text() + 1) &&
           nxt_ - una_ < config_.congestion * std::min(mss_, 1460U)) {
      if (before(nxt_, end_of_text()) && !before(nxt_, edge_)) break;
      if (una_ == nxt_) timer_ = now;
      send_one(false, out);
    }
  }

  PeerConfig config_;
  std::string text_;
  std::mt19937_64& chance_;
  Sequence una_, nxt_, high_ = 0, rcv_nxt_ = 0, edge_ = 0, promised_ = 0, fin_at_ = 0;
  std::uint32_t mss_ = 536, other_scale_ = 0, unread_ = 0;
  bool established_ = false, knows_other_ = false, has_promised_ = false, has_fin_ = false, saw_fin_ = false;
  bool reset_ = false, silent_ = false, lost_ = false, scaled_ = false, started_ = false;
  bool other_stamps_ = false;
  std::uint32_t others_time_ = 0;  // the latest that it has taken
  unsigned now_ = 0, timer_ = 0, timeout_ = 10, repeats_ = 0;
  std::string received_;
  std::uint64_t base_ = 0;
  std::map<std::uint64_t, std::string> ahead_;
  std::vector<std::string> complaints_;
};

}  // namespace pinhole::test
