// SPDX-License-Identifier: BSD-3-Clause
// The stream engine between two TCP ends and a network that loses, repeats and reorders, against a plain
// reference: what arrives is the concatenation of what the gateway made of each message.
#include <catch2/catch.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "alg/sip/framer.hpp"
#include "alg/stream/engine.hpp"
#include "tests/alg/stream/tcp_peer.hpp"

namespace pinhole::test {

namespace {

using namespace alg::stream;
using alg::EditList;
using alg::Verdict;

std::size_t hash_of(std::string_view text) {
  std::size_t hash = 14695981039346656037U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return hash;
}

/// What the gateway of the test does to a message: the same each time that it sees the same bytes.
struct Change {
  Verdict verdict = Verdict::forward;
  EditList edits;
};
void decide(std::string_view message, Change& change) {
  std::mt19937_64 chance(hash_of(message));
  change.edits.clear();
  change.verdict = chance() % 12 == 0 ? Verdict::drop : Verdict::forward;
  if (change.verdict == Verdict::drop || chance() % 3 == 0) return;
  std::size_t at = 0;
  for (std::size_t count = chance() % 24; count > 0; --count) {
    at += 1 + chance() % (message.size() / 8 + 1);
    const std::size_t removed = chance() % 20;
    if (at + removed > message.size()) break;
    const std::string text(chance() % 30, static_cast<char>('a' + chance() % 26));
    static_cast<void>(change.edits.replace(at, removed, text));
    at += removed;
  }
  if (chance() % 4 == 0) static_cast<void>(change.edits.replace(message.size(), 0, "behind it"));
}
std::string made_of(const std::string& message) {
  Change change;
  decide(message, change);
  if (change.verdict == Verdict::drop) return {};
  std::string made = message;
  made.resize(message.size() + 8192);
  made.resize(change.edits.apply(made, message.size()).value());
  return made;
}

std::string random_text(std::mt19937_64& chance, std::size_t size) {
  std::string text(size, '\0');
  for (auto& c : text) c = static_cast<char>(chance());
  return text;
}

/// A stream of messages and keep-alives, and what is to arrive of it.
struct Talk {
  std::string sent;
  std::string arrives;

  void add(const std::string& message, const std::string& made) {
    sent += message;
    arrives += made;
  }
};
Talk random_talk(std::mt19937_64& chance, std::size_t messages, std::size_t largest, bool ends_otherwise) {
  Talk talk;
  for (std::size_t i = 0; i < messages; ++i) {
    if (chance() % 5 == 0) talk.add("\r\n\r\n", "\r\n\r\n");
    const std::string body = random_text(chance, chance() % 4 == 0 ? chance() % largest : chance() % 900);
    const std::string head = chance() % 2 == 0 ? "MESSAGE sip:a@b SIP/2.0\r\n" : "SIP/2.0 200 OK\r\n";
    const std::string name = chance() % 2 == 0 ? "Content-Length: " : "l :\r\n ";
    const std::string message = head + "X-Number: " + std::to_string(i) + "\r\n" + name +
                                std::to_string(body.size()) + "\r\n\r\n" + body;
    talk.add(message, made_of(message));
  }
  if (ends_otherwise) {
    const std::string rest = "\x16\x03\x01" + random_text(chance, 1 + chance() % 20000);
    talk.add(rest, rest);
  }
  return talk;
}

struct Weather {
  unsigned lost = 0;  // of a hundred segments
  unsigned repeated = 0;
  unsigned delay = 0;  // ticks at most; different delays reorder
};

/// Two ends, the engine, and the wires between them.
class Connection final : public StreamHost {
 public:
  static constexpr std::uint32_t kChunks = 512;

  Connection(const PeerConfig& inside, const PeerConfig& outside, const Talk& out, const Talk& in,
             Weather weather, std::mt19937_64& chance)
      : peers_{TcpPeer(inside, out.sent, chance), TcpPeer(outside, in.sent, chance)},
        expected_{in.arrives, out.arrives},
        first_{outside.first + 1, inside.first + 1},
        weather_(weather),
        chance_(chance),
        pool_memory_(ChunkPool::bytes_needed(kChunks)),
        scratch_(Engine::kMaxMessage),
        pool_(kChunks, pool_memory_),
        engine_(framer_, pool_, scratch_, counters_) {}

  Reading read(Side, std::string_view message) noexcept override {
    if (waits && chance_() % 6 == 0 && waiting_ == 0) {
      waiting_ = 1 + static_cast<unsigned>(chance_() % 3);
      return {Verdict::wait, nullptr};
    }
    decide(message, change_);
    return {change_.verdict, &change_.edits};
  }
  void send(Side from, const OutSegment& segment) noexcept override {
    Wire wire;
    wire.sequence = segment.sequence;
    wire.acknowledgement = segment.acknowledgement;
    wire.window = segment.window;
    wire.flags = segment.flags;
    std::array<std::byte, OutSegment::kMaxOptions> options;
    const std::size_t size = segment.write_options(options);
    wire.options.assign(options.begin(), options.begin() + static_cast<std::ptrdiff_t>(size));
    for (std::size_t i = 0; i < segment.payload.count; ++i) {
      const auto piece = segment.payload.pieces[i];
      wire.payload.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    }
    put_on_wire(other(from), wire, false);
  }

  /// \return ticks until both ends were done, or the limit
  unsigned run(unsigned limit) {
    std::vector<Wire> sent;
    peers_[0].connect(sent);
    leave(Side::inside, sent);
    for (now_ = 1; now_ < limit && !done(); ++now_) {
      for (std::size_t turns = wires_.size(); turns > 0; --turns) deliver_one();
      if (waiting_ > 0 && --waiting_ == 0) engine_.resume(stream_, false, now_, *this);
      engine_.tick(stream_, now_, *this);
      if (injects && chance_() % 8 == 0) inject(chance_() % 2 == 0 ? Side::inside : Side::outside);
      for (const Side side : {Side::inside, Side::outside}) {
        std::vector<Wire> out;
        peer(side).tick(now_, out);
        leave(side, out);
      }
    }
    return now_;
  }
  [[nodiscard]] TcpPeer& peer(Side side) { return peers_[static_cast<std::size_t>(side)]; }
  [[nodiscard]] const std::string& expected(Side side) const {
    return expected_[static_cast<std::size_t>(side)];
  }
  [[nodiscard]] Stream& stream() { return stream_; }
  [[nodiscard]] Engine& engine() { return engine_; }
  [[nodiscard]] const ChunkPool& pool() const { return pool_; }
  [[nodiscard]] bool done() {
    return peers_[0].sent_all() && peers_[1].sent_all() && peers_[0].saw_fin() && peers_[1].saw_fin();
  }

  bool waits = false;
  bool injects = false;
  unsigned injected = 0;
  unsigned dropped = 0;
  /// Segments, old ones and repetitions too, with a byte that is not the receiver's at that number.
  unsigned foreign = 0;

 private:
  struct Flying {
    unsigned at = 0;
    Side to = Side::inside;
    bool to_engine = false;
    Wire wire;
  };

  /// A message of the engine's own: from then on it is part of what has to arrive.
  void inject(Side from) {
    const std::string message = "BYE sip:a@b SIP/2.0\r\nX-Own: " + std::to_string(injected) + "\r\n\r\n" +
                                random_text(chance_, chance_() % 600);
    const auto to = static_cast<std::size_t>(other(from));
    const auto place = stream_.way(from).out_end - first_[to];
    // What goes out already goes out behind it in the reference.
    auto& all = expected_[to];
    const bool known = stream_.way(from).known;
    if (known) all.insert(place, message);
    if (engine_.inject(stream_, from, message, now_, *this)) {
      // The gateway of the test leaves the first character of a message as it is.
      const auto behind = place + message.size();
      INFO("behind it: " << (behind == all.size() ? 0 : int{all[behind]}) << " " << all.substr(behind, 60));
      CHECK((behind == all.size() || std::string_view("MSB\r").find(all[behind]) != std::string_view::npos));
      ++injected;
    } else if (known) {
      all.erase(place, message.size());
    }
  }

  void leave(Side from, const std::vector<Wire>& out) {
    for (const auto& wire : out) put_on_wire(from, wire, true);
  }
  /// Whether a segment has bytes that tell what is spoken, of which some are held. When they do not all come
  /// within two seconds nothing is read (kBeginningLimit), and a loss after another takes longer than that.
  [[nodiscard]] bool is_beginning(Side from, const Wire& wire) const {
    constexpr std::uint32_t kTelling = 32;
    const Sequence first = first_[static_cast<std::size_t>(other(from))];
    return !wire.payload.empty() && wire.sequence - first < kTelling && stream_.way(from).in_next != first;
  }
  /// \param side  where it goes, or comes from when it goes to the engine
  void put_on_wire(Side side, const Wire& wire, bool to_engine) {
    if (!to_engine && !wire.payload.empty()) {
      const auto at = wire.sequence - first_[static_cast<std::size_t>(side)];
      const auto& all = expected(side);
      if (at > all.size() || all.compare(at, wire.payload.size(), wire.payload) != 0) ++foreign;
    }
    if (chance_() % 100 < weather_.lost && !(to_engine && is_beginning(side, wire))) return;
    for (unsigned copies = chance_() % 100 < weather_.repeated ? 2 : 1; copies > 0; --copies) {
      wires_.push_back({now_ + (weather_.delay == 0 ? 0 : static_cast<unsigned>(chance_() % weather_.delay)),
                        side, to_engine, wire});
    }
  }
  void deliver_one() {
    Flying flying = wires_.front();
    wires_.pop_front();
    if (flying.at > now_) {
      wires_.push_back(flying);
      return;
    }
    if (!flying.to_engine) {
      std::vector<Wire> out;
      peer(flying.to).take(flying.wire, now_, out);
      leave(flying.to, out);
      return;
    }
    Wire& wire = flying.wire;
    Segment segment{wire.sequence, wire.acknowledgement, wire.window,
                    wire.flags,    wire.options,         std::as_bytes(std::span(wire.payload))};
    const auto taken = engine_.take(stream_, flying.to, segment, now_, *this);
    if (taken.fate == Fate::drop) ++dropped;
    if (taken.fate != Fate::forward) return;
    Wire on = wire;
    on.sequence = segment.sequence;
    on.acknowledgement = segment.acknowledgement;
    on.window = segment.window;
    on.flags = segment.flags;
    on.payload.resize(segment.payload.size());
    put_on_wire(other(flying.to), on, false);
  }

  std::array<TcpPeer, 2> peers_;
  std::array<std::string, 2> expected_;
  std::array<Sequence, 2> first_;  // of the bytes that a side gets
  Weather weather_;
  std::mt19937_64& chance_;
  alg::sip::SipFramer framer_;
  nat::CounterBlock<alg::Counter> counters_;
  std::vector<std::byte> pool_memory_;
  std::vector<std::byte> scratch_;
  ChunkPool pool_;
  Engine engine_;
  Stream stream_;
  Change change_;
  std::deque<Flying> wires_;
  unsigned now_ = 0;
  unsigned waiting_ = 0;
};

/// The first place where two texts differ; for a message that a person can read.
std::size_t first_difference(const std::string& a, const std::string& b) {
  std::size_t at = 0;
  while (at < a.size() && at < b.size() && a[at] == b[at]) ++at;
  return at;
}

void check(Connection& connection, unsigned limit) {
  const unsigned ticks = connection.run(limit);
  CHECK(connection.foreign == 0);
  for (const Side side : {Side::inside, Side::outside}) {
    INFO((side == Side::inside ? "inside" : "outside"));
    auto& peer = connection.peer(side);
    const auto& received = peer.received();
    const auto& expected = connection.expected(side);

    CHECK(peer.complaints() == std::vector<std::string>{});
    INFO("received " << received.size() << " of " << expected.size() << ", the same up to "
                     << first_difference(received, expected));
    CHECK((received == expected));
    CHECK_FALSE(peer.was_reset());
  }
  const auto told = [&](Side side) {
    auto& peer = connection.peer(side);
    return std::to_string(peer.sent_all()) + std::to_string(peer.saw_fin()) + " " + peer.state();
  };
  INFO("inside " << told(Side::inside) << ", outside " << told(Side::outside));
  CHECK(ticks < limit);
  connection.engine().release(connection.stream());
  CHECK(connection.pool().free() == Connection::kChunks);
}

PeerConfig random_peer(std::mt19937_64& chance) {
  constexpr std::array<std::uint32_t, 5> kMss = {100, 536, 1000, 1460, 8960};
  constexpr std::array<std::uint32_t, 4> kBuffers = {700, 4000, 65535, 400000};
  PeerConfig config;
  config.first = chance() % 2 == 0 ? static_cast<Sequence>(chance())
                                   : 0xffffffffU - static_cast<Sequence>(chance() % 3000);
  config.mss = kMss[chance() % kMss.size()];
  config.buffer = std::max(kBuffers[chance() % kBuffers.size()], 2 * config.mss);
  config.scale = static_cast<std::uint8_t>(chance() % 2 == 0 ? 0 : 1 + chance() % 8);
  if (config.scale == 0) config.buffer = std::min(config.buffer, 65535U);
  config.congestion = 1 + static_cast<std::uint32_t>(chance() % 16);
  config.slow_reader = chance() % 3 == 0;
  config.sack = chance() % 2 == 0;
  if (chance() % 3 != 0) config.clock = static_cast<std::uint32_t>(chance());
  return config;
}

}  // namespace

TEST_CASE("what arrives is what was made of each message, whatever the network does",
          "[alg][stream][AC-06][AC-07]") {
  const char* const given = std::getenv("PINHOLE_SEED");
  const std::uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  const unsigned rounds = given != nullptr ? 1 : 100;
  for (unsigned round = 0; round < rounds; ++round) {
    const std::uint64_t seed = first + round;
    INFO("PINHOLE_SEED=" << seed);
    std::mt19937_64 chance(seed);
    const bool otherwise = chance() % 5 == 0;
    const std::size_t largest = chance() % 4 == 0 ? 60000 : 5000;
    const auto out = random_talk(chance, chance() % 12, largest, otherwise);
    // From there on the other way is not read either.
    const auto in = random_talk(chance, otherwise ? 0 : chance() % 12, largest, false);
    const Weather weather{static_cast<unsigned>(chance() % 3 == 0 ? 0 : chance() % 12),
                          static_cast<unsigned>(chance() % 12), static_cast<unsigned>(chance() % 5)};
    Connection connection(random_peer(chance), random_peer(chance), out, in, weather, chance);
    connection.waits = chance() % 2 == 0;
    check(connection, 20000);
  }
}

TEST_CASE("messages of the engine's own arrive between those of a side, whatever the network does",
          "[alg][stream]") {
  const char* const given = std::getenv("PINHOLE_SEED");
  const std::uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  const unsigned rounds = given != nullptr ? 1 : 60;
  unsigned injected = 0;
  for (unsigned round = 0; round < rounds; ++round) {
    const std::uint64_t seed = first + round;
    INFO("PINHOLE_SEED=" << seed);
    std::mt19937_64 chance(seed);
    const auto out = random_talk(chance, 1 + chance() % 12, 5000, false);
    const auto in = random_talk(chance, 1 + chance() % 12, 5000, false);
    const Weather weather{static_cast<unsigned>(chance() % 3 == 0 ? 0 : chance() % 12),
                          static_cast<unsigned>(chance() % 12), static_cast<unsigned>(chance() % 5)};
    Connection connection(random_peer(chance), random_peer(chance), out, in, weather, chance);
    connection.waits = chance() % 2 == 0;
    connection.injects = true;
    check(connection, 20000);
    injected += connection.injected;
  }
  if (given == nullptr) CHECK(injected > rounds);
}

}  // namespace pinhole::test
