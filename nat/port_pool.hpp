// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The external ports that a worker hands out one by one: for each address of the pool and each protocol the
// set (nat/port_set.hpp) of those blocks that the worker owns (nat/ownership.hpp), one word a block.
//
// A port that was used rests before anybody gets it again (RFC 6888 REQ-8): late packets of the former host's
// peers must not reach the next one. Rest takes two more bits a port and no queue that could overflow: a
// sweep comes by each word once in `rest` ticks and moves its ports on, from fresh to rested to free. So a
// port rests for one round at least and for two at most; a sweep that is late makes it longer, never shorter.
//
// Invariant: a port is free, taken, resting or reserved; reserved ports (static forwards) are never handed
// out. Owned by one worker.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nat/endpoint.hpp"
#include "nat/memory.hpp"
#include "nat/ownership.hpp"
#include "nat/port_set.hpp"
#include "nat/random.hpp"
#include "nat/tick.hpp"

namespace pinhole::nat {

class PortPool {
  /// The blocks of an address that owner_of_block() gives to this worker.
  struct Share {
    PortSet::Shape shape;
    std::uint32_t low_words = 0;
  };
  /// Where the ports of an address and protocol are.
  struct Set {
    std::uint64_t* memory = nullptr;
    const Share* share = nullptr;
  };

 public:
  /// \param pool_size  external addresses, 0..65536
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t pool_size,
                                                          unsigned workers) noexcept {
    return carved_bytes<std::uint64_t>(pool_size * kProtocols * memory_per_set(workers));
  }
  /// \param rest  ticks for which a port rests; 0: none
  PortPool(std::uint32_t pool_size, unsigned worker, unsigned workers, const Random& random,
           std::span<std::byte> memory, Tick rest = 0) noexcept;

  /// A free port of an external address, or none. For UDP and TCP it keeps the parity of the inside port if
  /// that can be (RFC 4787 REQ-4) and its range (REQ-3a): a port from 1024 on never gets one below, a port
  /// below 1024 gets one above only when no other is left. Port 0 is never given. ICMP identifiers are any.
  /// Cost: bounded; some 20 words are read when nearly all ports are taken.
  [[nodiscard]] std::optional<std::uint16_t> take(Protocol protocol, std::uint16_t pool_index,
                                                  std::uint16_t inside_port) noexcept {
    return take(protocol, pool_index, inside_port, {});
  }
  /// What take() will probably choose when it is called for the n-th time from now, the first one 0; n is
  /// below kAhead. Written in place: whoever loads as one what was stored in parts waits.
  struct Guess {
    PortSet::Place place;
    std::uint32_t pool_index = 0;
    std::uint32_t draw = 0;  // draw_number(n)
    std::uint16_t port = 0;  // of `place`
    Set set;                 // of the address
  };
  [[nodiscard]] std::uint32_t draw_number(std::size_t n) const noexcept {
    return static_cast<std::uint32_t>(next_draw_ + n) % kAhead;
  }
  /// Fetches what guess() will read. \param guess  with its address and draw
  void prefetch(Protocol protocol, Guess& guess) const noexcept {
    const Set set = set_of(protocol, static_cast<std::uint16_t>(guess.pool_index));
    guess.set.memory = set.memory;
    guess.set.share = set.share;
    const Ports ports = ports_of(set);
    ports.free.prefetch(protocol == Protocol::icmp ? 0 : ports.low_words, ports.free.words(),
                        draws_[guess.draw]);
  }
  /// \param guess  that prefetch() has seen
  void guess(Protocol protocol, std::uint16_t inside_port, Guess& guess) const noexcept {
    const Ports ports = ports_of(guess.set);
    const PortSet::Place place = choose(ports, protocol, inside_port, draws_[guess.draw]);
    guess.place.word = place.word;
    guess.place.bit = place.bit;
    guess.port = ports.free.port_at(place);
  }
  /// take(), which need not choose again when the time of the guess has come and its port is still free.
  /// \param guess  guess() for the same protocol and inside port
  [[nodiscard]] std::optional<std::uint16_t> take(Protocol protocol, std::uint16_t pool_index,
                                                  std::uint16_t inside_port, const Guess& guess) noexcept {
    const bool good = guess.place && guess.draw == next_draw_ && guess.pool_index == pool_index;
    const std::uint32_t port = good ? take_guessed(protocol, inside_port, guess)
                                    : take_or_none(ports_of(protocol, pool_index), protocol, inside_port);
    return port == kNoPort ? std::nullopt : std::optional(static_cast<std::uint16_t>(port));
  }
  static constexpr unsigned kAhead = 64;
  /// An even port from 1024 on, with the next one taken too (RTP and its RTCP), or none.
  [[nodiscard]] std::optional<std::uint16_t> take_pair(std::uint16_t pool_index,
                                                       Protocol protocol = Protocol::udp) noexcept;
  /// Takes exactly this port. \return false when it is taken, reserved or another worker's
  [[nodiscard]] bool take_exactly(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept;
  /// Takes a port out of the pool for good. Nothing happens when it is not of this pool and worker.
  void reserve(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept;
  /// Gives back a port that take(), take_pair() or take_exactly() gave; it rests now.
  void give_back(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept;
  /// Gives back a port that was taken and never used; it is free at once.
  void put_back(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept;

  /// Moves the sweep on. \param budget  words to pass at most, so that the time taken is bounded
  void sweep(Tick now, std::uint32_t budget) noexcept;

  /// An address that has room (has_room()), or none.
  /// \param at     the first to be looked at; the one behind the last that was, afterwards
  /// \param tries  how many addresses are looked at, at most
  [[nodiscard]] std::optional<std::uint16_t> find_room(Protocol protocol, std::uint32_t& at,
                                                       std::uint32_t tries) const noexcept;
  /// Whether an address has any free port from 1024 on (any identifier). Cost: some 30 words at worst.
  [[nodiscard]] bool has_room(Protocol protocol, std::uint16_t pool_index) const noexcept;

  /// Ports handed out now; the same port of two protocols counts twice.
  [[nodiscard]] std::uint32_t in_use() const noexcept { return in_use_; }
  /// Ports that rest now, counted alike.
  [[nodiscard]] std::uint32_t resting() const noexcept { return resting_; }

 private:
  /// The ports of one block that rest, a bit each.
  struct Resting {
    std::uint64_t fresh;   // given back since the sweep came by
    std::uint64_t rested;  // given back before that
  };
  /// One address and protocol.
  struct Ports {
    PortSet free;
    Resting* resting;
    std::uint32_t low_words;  // how many lie below port 1024
  };

  [[nodiscard]] static constexpr std::uint32_t max_words(unsigned workers) noexcept {
    return (kPortBlocks + workers - 1) / workers;
  }
  [[nodiscard]] static constexpr std::size_t memory_per_set(unsigned workers) noexcept {
    return PortSet::memory_needed(max_words(workers)) +
           max_words(workers) * (sizeof(Resting) / sizeof(std::uint64_t));
  }

  static constexpr std::uint32_t kNoPort = 0x10000;

  // Nothing here divides: each new mapping comes by, and the number of workers is no constant.

  [[nodiscard]] Set set_of(Protocol protocol, std::uint16_t pool_index) const noexcept {
    // pool_index % workers_, exact for 16 bits.
    const auto turn = pool_index - static_cast<std::uint32_t>(pool_index * reciprocal_ >> 32U) * workers_;
    return {.memory = memory_.data() +
                      (pool_index * kProtocols + static_cast<std::size_t>(protocol)) * memory_per_set_,
            .share = &shares_[turn]};
  }
  [[nodiscard]] Ports ports_of(Set set) const noexcept {
    return {.free = PortSet(set.memory, capacity_, set.share->shape),
            .resting = reinterpret_cast<Resting*>(set.memory + resting_at_),
            .low_words = set.share->low_words};
  }
  [[nodiscard]] Ports ports_of(Protocol protocol, std::uint16_t pool_index) const noexcept {
    return ports_of(set_of(protocol, pool_index));
  }
  [[nodiscard]] static PortSet::Place choose(const Ports& ports, Protocol protocol, std::uint16_t inside_port,
                                             Draw draw) noexcept {
    const PortSet& free = ports.free;
    // ICMP has no parity; this bit is of no use to anything else.
    if (protocol == Protocol::icmp) return free.choose_like((draw >> 8U & 1U) != 0, 0, free.words(), draw);
    const bool odd = (inside_port & 1U) != 0;
    if (inside_port < kLowPorts) {
      const PortSet::Place low = free.choose_like(odd, 0, ports.low_words, draw);
      if (low) return low;
      // A recommendation is not worth a flow: without a low port a low one may have a high one. The other way
      // would give any user a port that peers may trust as privileged.
    }
    return free.choose_like(odd, ports.low_words, free.words(), draw);
  }
  [[nodiscard]] std::uint32_t take_or_none(const Ports& ports, Protocol protocol,
                                           std::uint16_t inside_port) noexcept;
  [[nodiscard]] std::uint32_t take_guessed(Protocol protocol, std::uint16_t inside_port,
                                           const Guess& guess) noexcept;
  [[nodiscard]] std::uint32_t take_another(Protocol protocol, std::uint16_t inside_port,
                                           const Guess& guess) noexcept;
  void draw_again() noexcept {
    draws_[next_draw_] = random_.next();
    next_draw_ = (next_draw_ + 1) % kAhead;
  }
  void age(std::uint64_t word_number) noexcept;

  std::uint32_t pool_size_;
  unsigned workers_;
  std::uint64_t reciprocal_;                 // 2^32 / workers, rounded up
  std::array<Share, kMaxWorkers> shares_{};  // by the number of the address, modulo the workers
  std::uint32_t capacity_;                   // words of a set, at most
  std::size_t resting_at_;                   // behind the words of a set
  std::size_t memory_per_set_;
  std::uint32_t in_use_ = 0;
  std::uint32_t resting_ = 0;
  Tick
      rest_;  // of a round; 2 more than asked for, because a visit may be late in its tick and the next early
  Tick swept_at_ = 0;             // the tick that `sweep_left_` is of
  std::uint64_t sweep_left_ = 0;  // words that the sweep may still pass in that tick
  std::uint64_t sweep_debt_ = 0;  // what is left of a word when the words of a tick are no whole number
  std::uint64_t sweep_next_ = 0;  // number of the next word
  Random random_;
  std::array<Draw, kAhead> draws_;  // those that take() will use next, from next_draw_ on, round and round
  unsigned next_draw_ = 0;
  std::span<std::uint64_t> memory_;
};

// In the header, because each new mapping comes by.

inline std::uint32_t PortPool::take_or_none(const Ports& ports, Protocol protocol,
                                            std::uint16_t inside_port) noexcept {
  const PortSet::Place place = choose(ports, protocol, inside_port, draws_[next_draw_]);
  draw_again();
  if (!place) return kNoPort;
  ports.free.take(place);
  ++in_use_;
  return ports.free.port_at(place);
}

inline std::uint32_t PortPool::take_guessed(Protocol protocol, std::uint16_t inside_port,
                                            const Guess& guess) noexcept {
  const Ports ports = ports_of(guess.set);
  if (!ports.free.is_free(guess.place)) [[unlikely]]
    return take_another(protocol, inside_port, guess);
  draw_again();
  ports.free.take(guess.place);
  ++in_use_;
  return guess.port;
}

}  // namespace pinhole::nat
