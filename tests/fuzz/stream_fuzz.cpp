// SPDX-License-Identifier: BSD-3-Clause
// Any segments go through the stream engine, both ways, with a gateway that edits, drops and waits as the
// input says, and time between. Whatever comes: bytes that go out twice are the same, nobody is told of bytes
// that were not sent, no segment is larger than what was announced, and no memory is lost.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "alg/sip/framer.hpp"
#include "alg/stream/engine.hpp"

namespace {

using namespace pinhole;
using namespace pinhole::alg::stream;

void require(bool holds) {
  if (!holds) std::abort();
}

/// The input, taken from its front; zeros when it is used up.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  [[nodiscard]] bool empty() const { return at_ == size_; }
  std::uint8_t byte() { return at_ < size_ ? data_[at_++] : std::uint8_t{0}; }
  std::uint16_t word() { return static_cast<std::uint16_t>(byte() << 8U | byte()); }
  std::string text(std::size_t size) {
    size = std::min(size, size_ - at_);
    std::string text(reinterpret_cast<const char*>(data_ + at_), size);
    at_ += size;
    return text;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

class Host final : public StreamHost {
 public:
  static constexpr std::uint16_t kMss = 300;

  explicit Host(Input& input) : input_(input) {}

  Reading read(Side, std::string_view message) noexcept override {
    const auto choice = input_.byte();
    edits_.clear();
    if (choice % 8 == 1) return {alg::Verdict::drop, nullptr};
    if (choice % 8 == 2) return {alg::Verdict::wait, nullptr};
    for (unsigned left = choice % 8; left > 0; --left) {
      const std::size_t at = input_.word() % message.size();
      const std::size_t removed = std::min<std::size_t>(input_.byte() % 16, message.size() - at);
      static_cast<void>(edits_.replace(at, removed, std::string(input_.byte() % 40, 'x')));
    }
    return {alg::Verdict::forward, &edits_};
  }
  void send(Side from, const OutSegment& segment) noexcept override {
    require(segment.payload.size() <= kMss);
    Sequence at = segment.sequence;
    for (std::size_t i = 0; i < segment.payload.count; ++i) {
      note_sent(from, at, segment.payload.pieces[i]);
      at += static_cast<Sequence>(segment.payload.pieces[i].size());
    }
    std::array<std::byte, OutSegment::kMaxOptions> options;
    require(segment.write_options(options) <= options.size());
  }
  void note_sent(Side from, Sequence at, std::span<const std::byte> bytes) {
    auto& sent = sent_[static_cast<std::size_t>(from)];
    for (const std::byte byte : bytes) {
      const auto [known, fresh] = sent.emplace(at++, byte);
      require(fresh || known->second == byte);
    }
  }

 private:
  Input& input_;
  alg::EditList edits_;
  std::array<std::map<Sequence, std::byte>, 2> sent_;
};

/// What a side has said so far, so that most segments make sense.
struct Talker {
  Sequence next = 0;
  std::vector<std::byte> options;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint32_t kChunks = 96;
  static std::vector<std::byte> memory(ChunkPool::bytes_needed(kChunks));
  static std::vector<std::byte> scratch(Engine::kMaxMessage);
  const alg::sip::SipFramer framer;
  nat::CounterBlock<alg::Counter> counters;
  ChunkPool pool(kChunks, memory);
  Engine engine(framer, pool, scratch, counters);
  Input input(data, size);
  Host host(input);
  Stream stream;
  nat::Tick now = 1;
  std::array<Talker, 2> talkers;
  const auto take = [&](Side from, Sequence sequence, Sequence acknowledgement, std::uint8_t flags,
                        std::string payload) {
    std::vector<std::byte> options = {std::byte{2}, std::byte{4}, std::byte{Host::kMss >> 8U},
                                      std::byte{Host::kMss & 0xffU}};
    if ((flags & TcpFlags::kSyn) == 0) {
      options.clear();
      for (unsigned left = input.byte() % 12; left > 0; --left) options.push_back(std::byte{input.byte()});
    }
    Segment segment{sequence, acknowledgement, input.word(),
                    flags,    options,         std::as_bytes(std::span(payload))};
    const auto taken = engine.take(stream, from, segment, now, host);
    // Once a way passes unread its sender may say what it likes.
    if (taken.fate == Fate::forward && !stream.way(from).passing)
      host.note_sent(from, segment.sequence, segment.payload);
  };
  for (auto& talker : talkers) talker.next = static_cast<Sequence>(input.word()) << 16U;
  take(Side::inside, talkers[0].next++, 0, TcpFlags::kSyn, {});
  take(Side::outside, talkers[1].next++, talkers[0].next, TcpFlags::kSyn | TcpFlags::kAck, {});
  while (!input.empty()) {
    const auto choice = input.byte();
    const Side from = (choice & 1U) != 0 ? Side::inside : Side::outside;
    auto& talker = talkers[static_cast<std::size_t>(from)];
    const auto& other_way = stream.way(other(from));
    switch (choice >> 1U & 7U) {
      case 0:
        now += input.byte();
        engine.tick(stream, now, host);
        break;
      case 1:
        engine.resume(stream, (choice & 64U) != 0, now, host);
        break;
      case 2:  // anything at all
        take(from, talker.next + input.word() - 32768, input.word() * 65537U, input.byte(),
             input.text(input.byte()));
        break;
      case 3:  // again, or ahead, with bytes of its own
        take(from, talker.next + input.byte() - 128, other_way.out_sent, TcpFlags::kAck,
             input.text(input.byte()));
        break;
      case 4:
        take(from, talker.next, other_way.out_sent, TcpFlags::kAck | TcpFlags::kFin, {});
        break;
      default: {  // the next bytes, and an acknowledgement of some of what was sent
        const std::string text = input.text(input.byte());
        const auto begin = talker.next;
        talker.next += static_cast<Sequence>(text.size());
        const Sequence some = (other_way.out_sent - other_way.out_acked) / (1U + (choice >> 6U));
        take(from, begin, other_way.out_acked + some, TcpFlags::kAck, text);
      }
    }
    for (const auto& way : stream.ways) {
      require(!way.known || !after(way.out_acked, way.sent_end()));
      require(!way.known || way.passing || !after(way.answered, way.in_next + 1));
    }
  }
  engine.release(stream);
  require(pool.free() == kChunks);
  return 0;
}
