// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The pcapng format, as far as a capture needs it: blocks as bytes in this machine's order, which the format
// allows. Nothing is kept. Source: draft-ietf-opsawg-pcapng.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pinhole::control::pcapng {

struct Packet {
  std::uint32_t interface = 0;  // in the order in which interfaces were written
  std::uint64_t time_ns = 0;    // since 1970
  std::uint32_t frame_bytes = 0;
  bool sent = false;
  std::span<const std::byte> bytes;  // of the frame, its first
};

/// The block that begins a file. \param application that writes it.
void append_section(std::string& out, std::string_view application);

/// An Ethernet interface, with times in nanoseconds.
void append_interface(std::string& out, std::string_view name, std::string_view description);

void append_packet(std::string& out, const Packet& packet);

}  // namespace pinhole::control::pcapng
