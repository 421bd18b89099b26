// SPDX-License-Identifier: BSD-3-Clause
#include "control/capture/capture.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/control/nat_log/temporary_directory.hpp"
#include "tests/control/size_limit.hpp"

using namespace pinhole;
using namespace pinhole::control;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kHz = 1'000'000'000;
constexpr std::uint32_t kPacketBlock = 6;
constexpr std::uint32_t kInterfaceBlock = 1;

struct Block {
  std::uint32_t type = 0;
  std::string body;
  [[nodiscard]] std::uint32_t word(std::size_t at) const {
    std::uint32_t value = 0;
    std::memcpy(&value, body.data() + at, sizeof value);
    return value;
  }
};

/// The blocks of a file. A length that is not the same at both ends fails the test.
std::vector<Block> blocks_in(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::vector<Block> blocks;
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint32_t type = 0;
    std::uint32_t length = 0;
    std::uint32_t again = 0;
    REQUIRE(text.size() - at >= 12);
    std::memcpy(&type, &text[at], 4);
    std::memcpy(&length, &text[at + 4], 4);
    REQUIRE(length % 4 == 0);
    REQUIRE(length <= text.size() - at);
    std::memcpy(&again, &text[at + length - 4], 4);
    REQUIRE(again == length);
    blocks.push_back({type, text.substr(at + 8, length - 12)});
    at += length;
  }
  return blocks;
}

/// A data plane with two workers and three interfaces, of which two share a port by VLANs.
class Scene {
 public:
  Scene() {
    layout->worker_count = 2;
    layout->interface_count = 3;
    layout->tsc_hz = kHz;
    layout->capture = &wish;
    for (std::size_t i = 0; i < rings.size(); ++i) layout->workers[i].capture = rings[i].get();
    name(0, "lan", 4, 0);
    name(1, "voice", 4, 20);
    name(2, "wan", 5, 0);
    pass(0s);
  }

  void pass(std::chrono::seconds time) {
    now.steady += time;
    now.wall += time;
    tsc += static_cast<std::uint64_t>(time.count()) * kHz;
    clock.sample(tsc, now.wall);
  }

  void copy(unsigned worker, std::uint16_t port, bool sent, const std::vector<std::byte>& bytes,
            std::uint64_t later = 0) {
    const auto size = static_cast<std::uint32_t>(bytes.size());
    auto* const to = rings[worker]->claim(
        {.tsc = tsc + later, .frame_bytes = size, .copied_bytes = size, .port = port, .sent = sent});
    if (to == nullptr) return;
    std::memcpy(to, bytes.data(), size);
    rings[worker]->put();
  }

  [[nodiscard]] bool wants_copies() const { return wish.until_tsc > tsc; }
  [[nodiscard]] std::string path() const { return (directory.path() / "a.pcapng").string(); }
  [[nodiscard]] CaptureOrder order() const {
    CaptureOrder order;
    order.file = path();
    return order;
  }
  [[nodiscard]] std::vector<Block> packets() const {
    auto blocks = blocks_in(path());
    std::erase_if(blocks, [](const Block& block) { return block.type != kPacketBlock; });
    return blocks;
  }

  test::TemporaryDirectory directory;
  std::unique_ptr<ipc::Layout> layout = std::make_unique<ipc::Layout>();
  ipc::CaptureSwitch wish;
  std::array<std::unique_ptr<ipc::CaptureRing>, 2> rings{std::make_unique<ipc::CaptureRing>(),
                                                         std::make_unique<ipc::CaptureRing>()};
  Moment now{.wall = Time(1'700'000'000s), .steady = Steady(1000s)};
  std::uint64_t tsc = 1000 * kHz;
  DataplaneClock clock{0, kHz};
  Capture capture{*layout, clock};

 private:
  void name(std::size_t index, const char* name, std::uint16_t port, std::uint16_t vlan) {
    layout->interfaces[index].name.assign(name);
    layout->interfaces[index].port = port;
    layout->interfaces[index].vlan = vlan;
  }
};

std::vector<std::byte> some_frame(std::size_t size = 60) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i);
  return bytes;
}

std::vector<std::byte> tagged_frame(std::uint16_t vlan) {
  auto bytes = some_frame();
  bytes[12] = std::byte{0x81};
  bytes[13] = std::byte{0};
  bytes[14] = static_cast<std::byte>(vlan >> 8U);
  bytes[15] = static_cast<std::byte>(vlan);
  return bytes;
}

}  // namespace

TEST_CASE("a capture file has an interface for each of Pinhole's, and packets in the order of time",
          "[control][capture][AC-25]") {
  Scene scene;
  REQUIRE(scene.capture.start(scene.order(), nullptr, scene.now));
  CHECK(scene.wants_copies());
  CHECK(scene.capture.row(scene.now).state == "starting");
  scene.wish.state = ipc::CaptureState::on;
  CHECK(scene.capture.row(scene.now).state == "running");
  scene.copy(0, 5, true, some_frame(61), 1'500);
  scene.copy(1, 4, false, some_frame(60), 500);
  scene.copy(1, 4, false, tagged_frame(20), 2'000);
  scene.capture.drain(scene.now);
  scene.capture.stop(scene.now);
  CHECK_FALSE(scene.wants_copies());

  const auto blocks = blocks_in(scene.path());
  REQUIRE(blocks.size() == 7);
  CHECK(blocks[0].word(0) == 0x1a2b3c4d);
  for (std::size_t i = 1; i <= 3; ++i) CHECK(blocks[i].type == kInterfaceBlock);
  CHECK(blocks[3].body.find("wan") != std::string::npos);
  struct Row {
    std::uint32_t interface;
    std::uint32_t bytes;
    std::uint32_t direction;
    std::uint64_t nanoseconds;
  };
  const std::array<Row, 3> rows = {Row{0, 60, 1, 500}, Row{2, 61, 2, 1'500}, Row{1, 60, 1, 2'000}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& block = blocks[4 + i];
    CHECK(block.type == kPacketBlock);
    CHECK(block.word(0) == rows[i].interface);
    const auto time = std::uint64_t{block.word(4)} << 32U | block.word(8);
    // The clock counts in floating point.
    CHECK(time + 1 - (1'700'000'000'000'000'000 + rows[i].nanoseconds) <= 2);
    CHECK(block.word(12) == rows[i].bytes);
    CHECK(block.word(16) == rows[i].bytes);
    CHECK(block.body[20 + 11] == 11);
    CHECK(block.word(20 + (rows[i].bytes + 3) / 4 * 4 + 4) == rows[i].direction);
  }
  const auto row = scene.capture.row(scene.now);
  CHECK(row.state == "ended");
  CHECK(row.ended_by == "stopped");
  CHECK(row.packets == 3);
  CHECK(row.bytes == std::filesystem::file_size(scene.path()));
}

TEST_CASE("a capture ends by its time, its packets, its size and when nobody attends it",
          "[control][capture][AC-25]") {
  Scene scene;
  auto order = scene.order();
  const auto run = [&] {
    scene.copy(0, 4, false, some_frame(1000));
    scene.copy(1, 5, true, some_frame(1000));
    scene.capture.run(scene.now);
  };
  SECTION("time") {
    order.seconds = 5;
    REQUIRE(scene.capture.start(order, nullptr, scene.now));
    scene.pass(4s);
    run();
    CHECK(scene.wants_copies());
    scene.pass(1s);
    run();
    CHECK(scene.capture.row(scene.now).ended_by == "seconds");
    CHECK(scene.packets().size() == 4);
  }
  SECTION("packets") {
    order.packets = 3;
    REQUIRE(scene.capture.start(order, nullptr, scene.now));
    run();
    run();
    CHECK(scene.capture.row(scene.now).ended_by == "packets");
    CHECK(scene.packets().size() == 3);
  }
  SECTION("size") {
    order.megabytes = 1;
    REQUIRE(scene.capture.start(order, nullptr, scene.now));
    for (int i = 0; i < 1000 && scene.wants_copies(); ++i) run();
    CHECK(scene.capture.row(scene.now).ended_by == "mb");
    CHECK(std::filesystem::file_size(scene.path()) <= 1'000'000);
    CHECK(std::filesystem::file_size(scene.path()) > 990'000);
    CHECK(scene.packets().size() == scene.capture.row(scene.now).packets);
  }
  SECTION("nobody attends it") {
    order.attended = true;
    REQUIRE(scene.capture.start(order, nullptr, scene.now));
    scene.pass(10s);
    scene.capture.run(scene.now);
    CHECK(scene.capture.row(scene.now).state == "starting");
    scene.pass(10s);
    scene.capture.run(scene.now);
    CHECK(scene.wants_copies());
    scene.pass(1s);
    scene.capture.run(scene.now);
    CHECK(scene.capture.row(scene.now).ended_by == "unattended");
  }
  SECTION("the data plane has no memory for it") {
    REQUIRE(scene.capture.start(order, nullptr, scene.now));
    scene.wish.state = ipc::CaptureState::refused;
    scene.capture.run(scene.now);
    CHECK(scene.capture.row(scene.now).ended_by == "refused");
  }
  CHECK_FALSE(scene.wants_copies());
}

TEST_CASE("copies are wanted only for a little while at a time, and not after control was killed",
          "[control][capture][AC-25]") {
  Scene scene;
  REQUIRE(scene.capture.start(scene.order(), nullptr, scene.now));
  scene.pass(1s);
  scene.capture.run(scene.now);
  scene.pass(2s);
  CHECK_FALSE(scene.wants_copies());
  scene.wish.until_tsc = scene.tsc + 100 * kHz;
  const Capture next(*scene.layout, scene.clock);
  CHECK_FALSE(scene.wants_copies());
}

TEST_CASE("a capture needs a file that is not there, and there is one at a time",
          "[control][capture][AC-25]") {
  Scene scene;
  auto order = scene.order();
  SECTION("one that is") {
    std::ofstream(scene.path()) << "mine";
    CHECK(scene.capture.start(order, nullptr, scene.now).error().code == ErrorCode::conflict);
    CHECK(std::filesystem::file_size(scene.path()) == 4);
  }
  SECTION("a link") {
    std::filesystem::create_symlink("/nonexistent/x", scene.path());
    CHECK(scene.capture.start(order, nullptr, scene.now).error().code == ErrorCode::conflict);
  }
  SECTION("a name that is not whole") {
    order.file = "a.pcapng";
    CHECK(scene.capture.start(order, nullptr, scene.now).error().code == ErrorCode::range);
  }
  SECTION("a folder that is not there") {
    order.file = "/nonexistent/a.pcapng";
    CHECK(scene.capture.start(order, nullptr, scene.now).error().code == ErrorCode::range);
  }
  SECTION("a second capture") {
    REQUIRE(scene.capture.start(order, nullptr, scene.now));
    struct stat about{};
    REQUIRE(::stat(scene.path().c_str(), &about) == 0);
    CHECK((about.st_mode & 0777U) == 0600);
    order.file += "2";
    CHECK(scene.capture.start(order, nullptr, scene.now).error().code == ErrorCode::conflict);
    CHECK_FALSE(std::filesystem::exists(order.file));
  }
  SECTION("a data plane that cannot") {
    scene.layout->capture = nullptr;
    CHECK(scene.capture.start(order, nullptr, scene.now).error().code == ErrorCode::unavailable);
    CHECK_FALSE(std::filesystem::exists(order.file));
  }
}

TEST_CASE("the filter is looked after when the packet that made a flow is there already",
          "[control][capture][AC-25]") {
  Scene scene;
  bool flow_is_known = false;
  const auto refresh = [&](CaptureFilter& filter) {
    if (flow_is_known) filter.want(nat::Ipv4Address::parse("10.11.12.13").value());
  };
  REQUIRE(scene.capture.start(scene.order(), refresh, scene.now));
  auto frame = some_frame();
  frame[12] = std::byte{8};
  frame[13] = std::byte{0};
  frame[14] = std::byte{0x45};
  const std::array<std::byte, 4> address{std::byte{10}, std::byte{11}, std::byte{12}, std::byte{13}};
  std::memcpy(&frame[26], address.data(), address.size());
  scene.copy(0, 4, false, frame);
  scene.copy(0, 4, false, some_frame());
  scene.capture.drain(scene.now);
  flow_is_known = true;
  scene.capture.run(scene.now);
  scene.capture.stop(scene.now);
  CHECK(scene.packets().size() == 1);
}

TEST_CASE("a capture of some interfaces leaves the others out", "[control][capture][AC-25]") {
  Scene scene;
  auto order = scene.order();
  order.interfaces = {"wan", "voice"};
  REQUIRE(scene.capture.start(order, nullptr, scene.now));
  scene.copy(0, 4, false, some_frame());
  scene.copy(0, 4, false, tagged_frame(20));
  scene.copy(0, 5, false, some_frame());
  scene.copy(0, 9, false, some_frame());
  scene.capture.stop(scene.now);
  const auto packets = scene.packets();
  REQUIRE(packets.size() == 2);
  CHECK(packets[0].word(0) == 1);
  CHECK(packets[1].word(0) == 2);
}

TEST_CASE("what the last capture had copied is not in the next, and lost copies are its own",
          "[control][capture][AC-25]") {
  Scene scene;
  for (int i = 0; i < 3000; ++i) scene.copy(0, 4, false, some_frame(1000));
  CHECK(scene.rings[0]->lost() > 0);
  scene.pass(1s);
  auto order = scene.order();
  REQUIRE(scene.capture.start(order, nullptr, scene.now));
  CHECK(scene.capture.row(scene.now).lost == 0);
  for (int i = 0; i < 3000; ++i) scene.copy(0, 4, false, some_frame(1000));
  scene.capture.stop(scene.now);
  const auto row = scene.capture.row(scene.now);
  CHECK(row.packets + row.lost == 3000);
  CHECK(row.lost > 0);
}

TEST_CASE("a disk that is full ends the capture, with a file that can be read", "[control][capture][AC-25]") {
  Scene scene;
  {
    const test::SizeLimit limit(4096);
    REQUIRE(scene.capture.start(scene.order(), nullptr, scene.now));
    for (int i = 0; i < 10; ++i) scene.copy(0, 4, false, some_frame(1000));
    scene.capture.run(scene.now);
  }
  CHECK(scene.capture.row(scene.now).ended_by == "file");
  CHECK(scene.packets().empty());
}
