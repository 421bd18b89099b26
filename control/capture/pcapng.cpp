// SPDX-License-Identifier: BSD-3-Clause
#include "control/capture/pcapng.hpp"

#include <cstring>

namespace pinhole::control::pcapng {

namespace {

enum class BlockType : std::uint32_t { interface = 1, packet = 6, section = 0x0a0d0d0a };

// Of the options that blocks carry.
constexpr std::uint16_t kEndOfOptions = 0;
constexpr std::uint16_t kSectionApplication = 4;
constexpr std::uint16_t kInterfaceName = 2;
constexpr std::uint16_t kInterfaceDescription = 3;
constexpr std::uint16_t kInterfaceTimeUnit = 9;
constexpr std::uint16_t kPacketFlags = 2;

constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr std::uint64_t kUnknownLength = ~std::uint64_t{0};
constexpr std::uint16_t kLinkEthernet = 1;
constexpr char kNanoseconds = 9;  // 10 to the minus ninth of a second
constexpr std::uint32_t kReceived = 1;
constexpr std::uint32_t kSent = 2;

template <typename T>
void append(std::string& out, T value) {
  const std::size_t at = out.size();
  out.resize(at + sizeof value);
  std::memcpy(&out[at], &value, sizeof value);
}

/// Bytes up to the next multiple of four.
void append_padded(std::string& out, std::string_view bytes) {
  out += bytes;
  out.append((4 - bytes.size() % 4) % 4, '\0');
}

void append_option(std::string& out, std::uint16_t code, std::string_view value) {
  append(out, code);
  append(out, static_cast<std::uint16_t>(value.size()));
  append_padded(out, value);
}

/// A block around what is appended to it; its length stands before and behind.
class Block {
 public:
  Block(std::string& out, BlockType type) : out_(out), begin_(out.size()) {
    append(out_, type);
    append(out_, std::uint32_t{0});
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() {
    append(out_, std::uint32_t{kEndOfOptions});
    const auto length = static_cast<std::uint32_t>(out_.size() - begin_ + sizeof(std::uint32_t));
    append(out_, length);
    std::memcpy(&out_[begin_ + sizeof(BlockType)], &length, sizeof length);
  }

 private:
  std::string& out_;
  std::size_t begin_;
};

std::string_view text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

void append_section(std::string& out, std::string_view application) {
  const Block block(out, BlockType::section);
  append(out, kByteOrderMagic);
  append(out, std::uint16_t{1});  // the version of the format, 1.0
  append(out, std::uint16_t{0});
  append(out, kUnknownLength);
  append_option(out, kSectionApplication, application);
}

void append_interface(std::string& out, std::string_view name, std::string_view description) {
  const Block block(out, BlockType::interface);
  append(out, kLinkEthernet);
  append(out, std::uint16_t{0});
  append(out, std::uint32_t{0});  // no limit to the bytes of a packet
  append_option(out, kInterfaceName, name);
  append_option(out, kInterfaceDescription, description);
  append_option(out, kInterfaceTimeUnit, {&kNanoseconds, 1});
}

void append_packet(std::string& out, const Packet& packet) {
  const Block block(out, BlockType::packet);
  append(out, packet.interface);
  append(out, static_cast<std::uint32_t>(packet.time_ns >> 32U));
  append(out, static_cast<std::uint32_t>(packet.time_ns));
  append(out, static_cast<std::uint32_t>(packet.bytes.size()));
  append(out, packet.frame_bytes);
  append_padded(out, text(packet.bytes));
  std::string flags;
  append(flags, packet.sent ? kSent : kReceived);
  append_option(out, kPacketFlags, flags);
}

}  // namespace pinhole::control::pcapng
