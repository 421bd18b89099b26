// SPDX-License-Identifier: BSD-3-Clause
#include "control/nat_log/nat_log.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/control/nat_log/records.hpp"
#include "tests/control/nat_log/temporary_directory.hpp"
#include "tests/control/plain_ring.hpp"

#include <catch2/catch.hpp>

namespace pinhole::control {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr std::uint64_t kHz = 1'000'000'000;
constexpr unsigned kRingSize = 32768;

/// A UDP socket on the loopback that hears what is sent to it.
class Collector {
 public:
  Collector() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const bool is_bound = bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                          getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    REQUIRE(is_bound);
    endpoint_ = {nat::Ipv4Address::from_host(INADDR_LOOPBACK), nat::Be16{ntohs(address.sin_port)}};
  }
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;
  ~Collector() { stop(); }

  void stop() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  [[nodiscard]] nat::Endpoint endpoint() const { return endpoint_; }
  /// The sizes of the messages that have arrived.
  std::vector<std::size_t> take() const {
    std::vector<std::size_t> sizes;
    std::array<char, 2000> message{};
    for (ssize_t size = 0; (size = recv(socket_, message.data(), message.size(), 0)) >= 0;) {
      sizes.push_back(static_cast<std::size_t>(size));
    }
    return sizes;
  }

 private:
  int socket_;
  nat::Endpoint endpoint_;
};

constexpr std::size_t kTemplates_bytes = 128;
constexpr std::size_t bytes_of_mappings(std::size_t count) {
  return 16 + 4 + 22 * count;
}

struct Scene {
  explicit Scene(std::size_t workers = 1) {
    for (std::size_t i = 0; i < workers; ++i) {
      rings.push_back(std::make_unique<test::PlainRing<ipc::NatRecord>>(kRingSize));
    }
    config.log.file = path;
    clock.sample(100 * kHz, now.wall);
  }

  NatLog& open() {
    log = std::make_unique<NatLog>(config, counters);
    std::vector<rte_ring*> all;
    for (const auto& ring : rings) all.push_back(ring->get());
    log->attach(all, now.wall - 100s, now);
    return *log;
  }
  void push(std::uint32_t sequence, std::uint16_t worker = 0) {
    REQUIRE(rings[worker]->push(test::sent(test::mapping(), sequence, worker, 99 * kHz)));
  }
  bool drain() { return log->drain(clock, now); }
  void pass(std::chrono::milliseconds time) {
    now.wall += time;
    now.steady += time;
  }
  [[nodiscard]] std::vector<std::string> lines() const {
    std::vector<std::string> all;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) all.push_back(line);
    return all;
  }
  /// "event number" of each line of a worker; the number is that of the record, or how many were lost.
  [[nodiscard]] std::vector<std::string> told(std::uint32_t worker = 0) const {
    std::vector<std::string> texts;
    for (const auto& line : lines()) {
      if (value(line, "worker") != std::to_string(worker)) continue;
      const auto count = value(line, "count");
      texts.push_back(value(line, "event") + " " + (count.empty() ? value(line, "sequence") : count));
    }
    return texts;
  }
  /// Of a key, without quotes; empty when the line has no such key.
  static std::string value(const std::string& line, const std::string& key) {
    const auto begin = line.find("\"" + key + "\":");
    if (begin == std::string::npos) return {};
    const auto from = begin + key.size() + 3;
    auto text = line.substr(from, line.find_first_of(",}", from) - from);
    std::erase(text, '"');
    return text;
  }

  test::TemporaryDirectory directory;
  fs::path path = directory.path() / "nat.jsonl";
  config::Nat config;
  ControlCounters counters;
  std::vector<std::unique_ptr<test::PlainRing<ipc::NatRecord>>> rings;
  DataplaneClock clock{0, kHz};
  Moment now{.wall = Time(1'700'000'000s), .steady = Steady(1h)};
  std::unique_ptr<NatLog> log;
};

TEST_CASE("records become lines with the time when they happened", "[control][nat_log]") {
  Scene scene;
  scene.open();
  scene.push(0);
  CHECK_FALSE(scene.drain());
  const auto lines = scene.lines();
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == R"({"time":"2023-11-14T22:13:20.000Z","event":"dataplane_attached",)"
                    R"("started":"2023-11-14T22:11:40.000Z"})");
  CHECK(lines[1] == R"({"time":"2023-11-14T22:13:19.000Z","event":"mapping_created","protocol":"tcp",)"
                    R"("inside":"10.0.0.1:4000","external":"203.0.113.1:40001","worker":0,"sequence":0})");
  CHECK(scene.counters.read(ControlCounter::record_received) == 1);
  CHECK(scene.counters.read(ControlCounter::record_written) == 2);
}

TEST_CASE("records go to the file and to the collector", "[control][nat_log][rfc6888-req10]") {
  Scene scene(2);
  const Collector collector;
  scene.config.log.collector = collector.endpoint();
  scene.open();
  scene.push(0, 0);
  scene.push(0, 1);
  scene.push(1, 1);
  scene.drain();
  CHECK(scene.told(0) == std::vector<std::string>{"mapping_created 0"});
  CHECK(scene.told(1) == std::vector<std::string>{"mapping_created 0", "mapping_created 1"});
  auto sizes = collector.take();
  REQUIRE(sizes.size() == 3);
  CHECK(sizes[0] == kTemplates_bytes);
  std::sort(sizes.begin(), sizes.end());
  CHECK(sizes == std::vector<std::size_t>{bytes_of_mappings(1), bytes_of_mappings(2), kTemplates_bytes});
  const auto status = scene.log->status();
  REQUIRE(status.has_value());
  CHECK(status->file == scene.path);
  CHECK(status->collector == collector.endpoint());
  CHECK(status->received == 3);
  CHECK(status->written == 4);
  CHECK(status->exported == 3);
  CHECK(status->file_problem.empty());
  CHECK(status->collector_problem.empty());
}

TEST_CASE("what workers lost stands in the file where it is missing", "[control][nat_log]") {
  Scene scene;
  scene.open();
  for (const std::uint32_t sequence : {5U, 6U, 16U, 17U}) scene.push(sequence);
  scene.drain();
  CHECK(scene.told() == std::vector<std::string>{"mapping_created 5", "mapping_created 6", "records_lost 9",
                                                 "mapping_created 16", "mapping_created 17"});
  CHECK(scene.log->status()->lost == 9);
}

TEST_CASE("a drain is bounded, and every worker has its turn", "[control][nat_log]") {
  Scene scene(2);
  scene.open();
  for (std::uint32_t i = 0; i < kRingSize - 1; ++i) {
    scene.push(i, 0);
    scene.push(i, 1);
  }
  CHECK(scene.drain());
  CHECK(scene.counters.read(ControlCounter::record_received) == NatLog::kRecordsPerDrain);
  CHECK(scene.drain());
  CHECK(scene.told(0).size() == NatLog::kRecordsPerDrain);
  CHECK(scene.told(1).size() == NatLog::kRecordsPerDrain);
  while (scene.drain()) {
  }
  CHECK(scene.counters.read(ControlCounter::record_received) == 2 * (kRingSize - 1));
  CHECK(scene.told(0).size() == kRingSize - 1);
}

TEST_CASE("what control was killed over is written by the next control", "[control][nat_log]") {
  Scene scene;
  scene.open();
  scene.push(0);
  scene.drain();
  scene.push(1);
  scene.push(2);
  scene.open();
  scene.push(3);
  scene.drain();
  CHECK(scene.told() == std::vector<std::string>{"mapping_created 0", "mapping_created 1",
                                                 "mapping_created 2", "mapping_created 3"});
  CHECK(scene.lines().size() == 6);  // and twice where records come from
}

TEST_CASE("a file that cannot be written does not keep records from the collector", "[control][nat_log]") {
  Scene scene;
  const Collector collector;
  scene.config.log.collector = collector.endpoint();
  scene.config.log.file = scene.directory.path() / "later" / "nat.jsonl";
  scene.path = scene.config.log.file;
  scene.open();
  scene.push(0);
  scene.drain();
  CHECK(collector.take() == std::vector<std::size_t>{kTemplates_bytes, bytes_of_mappings(1)});
  CHECK(scene.log->status()->file_problem == "cannot be opened: No such file or directory");
  CHECK(scene.counters.read(ControlCounter::nat_log_failed) == 1);

  // What waited is written as soon as it can be.
  fs::create_directory(scene.path.parent_path());
  scene.pass(1s);
  scene.drain();
  CHECK(scene.told() == std::vector<std::string>{"mapping_created 0"});
  CHECK(scene.log->status()->file_problem.empty());
  CHECK(scene.counters.read(ControlCounter::record_unwritten) == 0);
}

TEST_CASE("of what waits for the file too much is lost, counted and told", "[control][nat_log]") {
  Scene scene;
  scene.config.log.file = scene.directory.path() / "later" / "nat.jsonl";
  scene.path = scene.config.log.file;
  scene.open();
  std::uint32_t sequence = 0;
  while (scene.counters.read(ControlCounter::record_unwritten) == 0) {
    for (std::size_t i = 0; i < NatLog::kRecordsPerDrain; ++i) scene.push(sequence++);
    scene.drain();
  }
  const auto lost = scene.counters.read(ControlCounter::record_unwritten);
  fs::create_directory(scene.path.parent_path());
  scene.pass(1s);
  scene.drain();
  scene.push(sequence);
  scene.drain();
  const auto told = scene.told();
  REQUIRE(told.size() == sequence - lost + 2);
  CHECK(told[told.size() - 3] == "mapping_created " + std::to_string(sequence - lost - 1));
  CHECK(told[told.size() - 2] == "records_lost " + std::to_string(lost));
  CHECK(told.back() == "mapping_created " + std::to_string(sequence));
  CHECK(scene.log->status()->unwritten == lost);
}

TEST_CASE("what still waits at the end is counted as lost", "[control][nat_log]") {
  Scene scene;
  scene.config.log.file = scene.directory.path() / "never" / "nat.jsonl";
  scene.open();
  scene.push(0);
  scene.drain();
  scene.log->close(scene.now);
  CHECK(scene.counters.read(ControlCounter::record_unwritten) == 2);
}

TEST_CASE("a collector that is not there is told, and found again", "[control][nat_log]") {
  Scene scene;
  nat::Endpoint nobody;
  {
    const Collector gone;
    nobody = gone.endpoint();
  }
  scene.config.log.collector = nobody;
  scene.open();
  for (std::uint32_t i = 0; i < 10; ++i) {
    scene.push(i);
    scene.drain();
  }
  CHECK(scene.log->status()->collector_problem == "Connection refused");
  CHECK(scene.told().size() == 10);
  const auto& counters = scene.counters;
  CHECK(counters.read(ControlCounter::record_exported) + counters.read(ControlCounter::record_unsent) == 10);
}

TEST_CASE("a network without a way to the collector loses records, counted, and nothing else",
          "[control][nat_log]") {
  Scene scene;
  scene.config.log.collector = test::endpoint("255.255.255.255", 4739);  // not without asking
  scene.open();
  scene.push(0);
  scene.drain();
  scene.push(1);
  scene.drain();
  CHECK(scene.counters.read(ControlCounter::record_unsent) == 2);
  CHECK_FALSE(scene.log->status()->collector_problem.empty());
  CHECK(scene.told().size() == 2);
}

TEST_CASE("a log that nobody wants does nothing", "[control][nat_log]") {
  Scene scene;
  scene.config.log.file.clear();
  scene.rings.clear();
  scene.open();
  CHECK_FALSE(scene.drain());
  CHECK_FALSE(scene.log->status());
  scene.log->close(scene.now);
  CHECK_FALSE(fs::exists(scene.path));
}

TEST_CASE("a data plane without records is no reason to fail", "[control][nat_log]") {
  Scene scene;
  scene.rings.clear();
  scene.open();
  CHECK_FALSE(scene.drain());
  CHECK(scene.log->status()->written == 0);
}

}  // namespace

}  // namespace pinhole::control
