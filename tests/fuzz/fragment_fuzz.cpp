// SPDX-License-Identifier: BSD-3-Clause
// Whatever fragments come in whatever order, each comes out exactly once; what passes has the ports of the
// last first fragment of its datagram, first fragments always pass, and nothing stays when time is up. What
// is put together is one datagram without a hole or an overlap. Eight bytes of the input are one fragment,
// for both tables.
#include "nat/fragment.hpp"
#include "nat/reassembly.hpp"
#include "tests/nat/table_memory.hpp"

#include <cstdint>
#include <cstdlib>
#include <map>
#include <vector>

namespace {

using namespace pinhole::nat;

constexpr FragmentLimits kLimits{.datagrams = 12,
                                 .datagrams_of_source = 6,
                                 .waiting = 10,
                                 .waiting_of_source = 6,
                                 .waiting_of_datagram = 4};

/// What libFuzzer reports as a crash.
void require(bool condition) {
  if (!condition) std::abort();
}

struct Given {
  unsigned key = 0;
  bool first = false;
  bool is_out = false;
};

class Run {
 public:
  void take(const std::uint8_t* bytes) {
    now_ += bytes[0] >> 3U;
    const unsigned key = bytes[1] & 0x1fU;  // four sources, two sides, four numbers
    const DatagramKey datagram{Ipv4Address::from_host(0x0a000000U + (key & 3U)),
                               Ipv4Address::from_host(0xc6336401U),
                               Be16{static_cast<std::uint16_t>(key >> 3U)}, Protocol::udp, (key & 4U) != 0};
    const bool is_first = (bytes[0] & 1U) != 0;
    const auto begin = static_cast<std::uint16_t>(is_first ? 0 : 1U + bytes[2] + (bytes[3] & 0x1fU) * 256U);
    const auto end = static_cast<std::uint16_t>(begin + 1U + bytes[4]);
    const FragmentRange range{begin, end, (bytes[0] & 2U) != 0};
    given_.push_back({key, is_first, false});
    void* const packet = reinterpret_cast<void*>(given_.size());
    const auto pass = [this](void* out, const FragmentFlow& flow) noexcept { passed(out, flow); };
    const auto drop = [this](void* out, DropReason reason) noexcept { dropped(out, reason); };
    if (is_first) {
      const Be16 port{static_cast<std::uint16_t>(bytes[5] | 0x100U)};
      ports_[key] = port;
      table_.take_first(datagram, range, {port, {}, bytes[6], {}}, packet, now_, pass, drop);
    } else {
      table_.take_later(datagram, range, packet, now_, pass, drop);
    }
    if ((bytes[0] & 4U) != 0) expire(1U + bytes[7]);
    require(table_.waiting() == given_.size() - out_ && table_.waiting() <= kLimits.waiting);
    require(table_.datagrams() <= kLimits.datagrams);
  }
  void finish() {
    now_ += FragmentTable::kRemember;
    expire(1000);
    require(out_ == given_.size() && table_.datagrams() == 0);
  }

 private:
  void expire(std::uint32_t budget) {
    table_.expire(now_, budget, [this](void* packet, DropReason reason) noexcept {
      require(reason == DropReason::drop_fragment_timeout);
      require(!give_back(packet).first);
    });
  }
  Given& give_back(void* packet) {
    const auto number = reinterpret_cast<std::uintptr_t>(packet);
    require(number >= 1 && number <= given_.size() && !given_[number - 1].is_out);
    given_[number - 1].is_out = true;
    ++out_;
    return given_[number - 1];
  }
  void passed(void* packet, const FragmentFlow& flow) {
    const Given& given = give_back(packet);
    require(ports_.contains(given.key) && flow.source_port == ports_[given.key]);
  }
  void dropped(void* packet, DropReason reason) {
    require(reason == DropReason::drop_fragment_overlap || reason == DropReason::drop_fragment_overflow);
    require(!give_back(packet).first);  // a first fragment always passes
  }

  TableMemory memory_{FragmentTable::bytes_needed(kLimits)};
  DatagramIds ids_{0, 1, 7};
  FragmentTable table_{kLimits, 7, ids_, memory_.span()};
  Tick now_ = ~Tick{0} - 100;
  std::vector<Given> given_;
  std::size_t out_ = 0;
  std::map<unsigned, Be16> ports_;
};

constexpr ReassemblyLimits kReassemblyLimits{
    .datagrams = 6, .datagrams_of_source = 4, .pieces = 16, .pieces_of_source = 12, .pieces_of_datagram = 8};

class ReassemblyRun {
 public:
  void take(const std::uint8_t* bytes) {
    now_ += bytes[0] >> 3U;
    const unsigned key = bytes[1] & 0xfU;  // four sources, two sides, two numbers
    const ReassemblyKey datagram{{Ipv4Address::from_host(0x0a000000U + (key & 3U)), Be16{5060}},
                                 {Ipv4Address::from_host(0xc6336401U), Be16{5060}},
                                 Be16{static_cast<std::uint16_t>(key >> 3U)},
                                 (key & 4U) != 0};
    // Small numbers, so that pieces meet; now and then the largest.
    const auto begin = static_cast<std::uint16_t>((bytes[2] & 0xfU) + ((bytes[2] & 0x80U) != 0 ? 8170U : 0U));
    const auto end = static_cast<std::uint16_t>(begin + 1U + (bytes[3] & 7U));
    given_.push_back({key, {begin, end, (bytes[0] & 2U) != 0}, false});
    std::uint16_t seen = 0;
    bool last = false;
    const bool is_whole = table_.take(
        datagram, given_.back().range, reinterpret_cast<void*>(given_.size()), now_,
        [&](void* packet) noexcept {
          const Given& piece = give_back(packet);
          require(piece.key == key && !last && piece.range.begin == seen);
          seen = piece.range.end;
          last = piece.range.is_last;
        },
        [this](void* packet, DropReason reason) noexcept {
          require(reason == DropReason::drop_fragment_overlap ||
                  reason == DropReason::drop_sip_fragment_overflow);
          static_cast<void>(give_back(packet));
        });
    require(is_whole == last);
    if ((bytes[0] & 4U) != 0) expire(1U + bytes[7]);
    require(table_.pieces() == given_.size() - out_ && table_.pieces() <= kReassemblyLimits.pieces);
    require(table_.datagrams() <= kReassemblyLimits.datagrams);
    require((table_.datagrams() == 0) == (table_.pieces() == 0));
  }
  void finish() {
    now_ += Reassembly::kLifetime;
    expire(1000);
    require(out_ == given_.size() && table_.datagrams() == 0);
  }

 private:
  struct Given {
    unsigned key = 0;
    FragmentRange range;
    bool is_out = false;
  };
  void expire(std::uint32_t budget) {
    table_.expire(now_, budget, [this](void* packet, DropReason reason) noexcept {
      require(reason == DropReason::drop_sip_fragment_timeout);
      static_cast<void>(give_back(packet));
    });
  }
  const Given& give_back(void* packet) {
    const auto number = reinterpret_cast<std::uintptr_t>(packet);
    require(number >= 1 && number <= given_.size() && !given_[number - 1].is_out);
    given_[number - 1].is_out = true;
    ++out_;
    return given_[number - 1];
  }

  TableMemory memory_{Reassembly::bytes_needed(kReassemblyLimits)};
  Reassembly table_{kReassemblyLimits, 7, memory_.span()};
  Tick now_ = ~Tick{0} - 100;
  std::vector<Given> given_;
  std::size_t out_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Run run;
  ReassemblyRun reassembly;
  for (; size >= 8; data += 8, size -= 8) {
    run.take(data);
    reassembly.take(data);
  }
  run.finish();
  reassembly.finish();
  return 0;
}
