// SPDX-License-Identifier: BSD-3-Clause
#include "nat/fragmentation.hpp"

#include <cassert>
#include <cstring>

#include "nat/checksum.hpp"
#include "nat/headers.hpp"

namespace pinhole::nat {

namespace {

constexpr std::byte kEndOfOptions{0};
constexpr std::byte kNoOperation{1};
constexpr std::byte kCopied{0x80};  // in an option's type: it is to be in all fragments

/// The header of fragments but the first. \return its size in bytes
std::size_t copy_header(std::byte* to, const std::byte* from, std::size_t size) noexcept {
  std::size_t copied = sizeof(Ipv4Header);
  std::memcpy(to, from, copied);
  for (std::size_t at = sizeof(Ipv4Header); at < size && from[at] != kEndOfOptions;) {
    if (from[at] == kNoOperation) {
      ++at;
      continue;
    }
    const std::size_t length = at + 1 < size ? std::to_integer<std::size_t>(from[at + 1]) : 0;
    if (length < 2 || at + length > size) break;  // what follows cannot be told apart
    if ((from[at] & kCopied) != std::byte{0}) {
      std::memcpy(to + copied, from + at, length);
      copied += length;
    }
    at += length;
  }
  while (copied % 4 != 0) to[copied++] = kEndOfOptions;
  auto& ip = header_at<Ipv4Header>(to, 0);
  ip.version_and_length = static_cast<std::uint8_t>(0x40U | copied / 4);
  return copied;
}

}  // namespace

Piece write_piece(std::span<std::byte> to, std::span<const std::byte> datagram, std::uint16_t from,
                  std::uint16_t mtu) noexcept {
  const auto& whole = header_at<Ipv4Header>(datagram.data(), 0);
  const std::size_t whole_header = whole.header_size();
  assert(to.size() >= mtu && mtu >= 68 && datagram.size() > whole_header + from);
  std::size_t header = whole_header;
  if (from == 0) {
    std::memcpy(to.data(), datagram.data(), header);
  } else {
    header = copy_header(to.data(), datagram.data(), header);
  }
  const std::size_t left = datagram.size() - whole_header - from;
  const std::size_t room = mtu - header;
  const bool is_last = left <= room;
  constexpr std::size_t kUnit = Ipv4Header::kFragmentUnit;
  const std::size_t size = is_last ? left : room / kUnit * kUnit;
  std::memcpy(to.data() + header, datagram.data() + whole_header + from, size);

  auto& ip = header_at<Ipv4Header>(to.data(), 0);
  const std::uint16_t field = whole.fragment.host();
  const std::uint16_t more = is_last ? field & Ipv4Header::kMoreFragments : Ipv4Header::kMoreFragments;
  const std::size_t offset = (field & Ipv4Header::kFragmentOffset) + from / kUnit;
  ip.fragment = Be16{static_cast<std::uint16_t>(more | offset)};
  ip.total_length = Be16{static_cast<std::uint16_t>(header + size)};
  ip.checksum = {};
  ip.checksum = Be16::from_raw(checksum(to.first(header)));
  return {static_cast<std::uint16_t>(header + size),
          is_last ? std::uint16_t{0} : static_cast<std::uint16_t>(from + size)};
}

}  // namespace pinhole::nat
