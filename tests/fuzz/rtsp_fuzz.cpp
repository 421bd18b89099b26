// SPDX-License-Identifier: BSD-3-Clause
// Any conversation is cut into messages and read within its bounds by the plug-in of docs/examples, and opens
// nothing but ports of its own inside host. Bit 0 of the first byte puts the server inside, bit 1 has nothing
// translated, the upper four choose how large the pieces are that it comes in. What begins with '<' up to the
// next zero byte is of the server, everything else up to one of the client.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "alg/plugin.h"
#include "tests/support/fake_gateway_host.hpp"

extern "C" const pinhole_plugin* pinhole_plugin_query(std::uint16_t host_major, std::uint16_t host_minor);

namespace {

using pinhole::test::FakeGatewayHost;

void require(bool condition) {
  if (!condition) std::abort();
}

/// A direction of the connection: what has come of it and has not been read.
struct Way {
  std::string held;
  std::size_t framed = 0;  // of `held`
  pinhole_framing framing{};
  bool is_left = false;
};

void show(FakeGatewayHost& host, std::uint8_t from, std::string_view message) {
  const auto shown = host.show(from, message);
  require(shown.verdict == PINHOLE_FORWARD);
  if (host.unchanged) require(shown.text == message);
  for (const auto& each : shown.expected) {
    require(each.from == PINHOLE_OUTSIDE && each.protocol == PINHOLE_UDP && each.flags == PINHOLE_CHILD);
    require(each.inside.address == host.inside.address && each.inside.port >= 1024);
    require(each.remote.address != 0);
  }
}

/// Takes what is whole off the beginning. \return false when more has to come
bool cut(const pinhole_plugin& plugin, FakeGatewayHost& host, Way& way, std::uint8_t from) {
  const std::string_view fresh = std::string_view(way.held).substr(way.framed);
  if (fresh.empty() || way.is_left) return false;
  const auto frame = plugin.frame(host.state(), &way.framing, fresh.data(), fresh.size());
  way.framing.scanned += static_cast<std::uint32_t>(fresh.size());
  way.framed = way.held.size();
  require(way.framing.begun <= 1);
  if (frame.kind == PINHOLE_FRAME_MORE) return false;
  if (frame.kind == PINHOLE_FRAME_NOT_MINE) {
    way.is_left = true;
    return false;
  }
  require(frame.kind == PINHOLE_FRAME_MESSAGE || frame.kind == PINHOLE_FRAME_SKIP);
  require(frame.length > 0);
  // The rest of what is skipped, or of a body, is not waited for: what follows is read as if it were there.
  const auto length = std::min<std::size_t>(frame.length, way.held.size());
  if (frame.kind == PINHOLE_FRAME_MESSAGE) {
    require(frame.length <= 65535);
    show(host, from, std::string_view(way.held).substr(0, length));
  }
  way.held.erase(0, length);
  way.framed = 0;
  way.framing = {};
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto& plugin = *pinhole_plugin_query(PINHOLE_PLUGIN_MAJOR, PINHOLE_PLUGIN_MINOR);
  FakeGatewayHost host(plugin);
  host.server = (data[0] & 1U) != 0 ? PINHOLE_INSIDE : PINHOLE_OUTSIDE;
  host.unchanged = (data[0] & 2U) != 0;
  const std::size_t piece = data[0] < 16 ? size : data[0] / 16U;
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::array<Way, 2> ways;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\0'), rest.size());
    auto said = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const bool is_server = said.starts_with('<');
    if (is_server) said.remove_prefix(1);
    const auto from = static_cast<std::uint8_t>(is_server ? host.server : 1 - host.server);
    auto& way = ways[from];
    for (std::size_t at = 0; at < said.size(); at += piece) {
      way.held += said.substr(at, piece);
      while (cut(plugin, host, way, from)) {
      }
    }
  }
  return 0;
}
