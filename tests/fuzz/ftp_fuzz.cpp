// SPDX-License-Identifier: BSD-3-Clause
// Any conversation is cut into lines and read within its bounds, and opens nothing but the data connections
// that it may. Bit 0 of the first byte puts the server inside, bit 1 has nothing translated, bit 2 has rules
// forbid SITE, the upper four choose how large the pieces are that lines come in. A line of the rest that
// begins with '<' is one of the server, every other one of the client.
#include "alg/ftp/ftp_gateway.hpp"
#include "alg/ftp/line.hpp"
#include "tests/support/fake_gateway_host.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace pinhole;
using namespace pinhole::alg;

void require(bool condition) {
  if (!condition) std::abort();
}

/// A direction of the connection: what has come of it and has not been read.
struct Way {
  std::string held;
  pinhole_framing framing{};
};

void require_allowed(const test::FakeGatewayHost& host, std::uint8_t from,
                     const test::FakeGatewayHost::Shown& shown) {
  require(shown.verdict == PINHOLE_FORWARD || shown.verdict == PINHOLE_LEAVE);
  require(shown.expected.size() <= 1);
  for (const auto& each : shown.expected) {
    require(each.from != from);  // the other end connects
    require(each.inside.address == host.inside.address && each.remote.address == host.remote.address);
    require((from == PINHOLE_INSIDE ? each.inside.port : each.remote.port) >= 1024);
    require(each.protocol == PINHOLE_TCP && each.flags == (PINHOLE_ONCE | PINHOLE_CHILD));
  }
}

/// \return false when the connection is left alone
bool take(test::FakeGatewayHost& host, Way& way, std::uint8_t from, std::string_view fresh) {
  way.held += fresh;
  while (way.framing.scanned < way.held.size()) {
    const std::vector<char> piece(way.held.begin() + way.framing.scanned, way.held.end());
    const auto frame = ftp::gateway().frame(host.state(), &way.framing, piece.data(), piece.size());
    if (frame.kind == PINHOLE_FRAME_MORE) {
      way.framing.scanned += static_cast<std::uint32_t>(piece.size());
      require(way.framing.scanned < ftp::kMaxLine);
      break;
    }
    require(frame.length > 0 && frame.length <= ftp::kMaxLine && frame.length <= way.held.size());
    require(frame.kind == PINHOLE_FRAME_MESSAGE);
    const auto shown = host.show(from, std::string_view(way.held).substr(0, frame.length));
    require_allowed(host, from, shown);
    if (shown.verdict == PINHOLE_LEAVE) return false;
    way.held.erase(0, frame.length);
    way.framing = {};
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  test::FakeGatewayHost host(ftp::gateway());
  require(host.started());
  host.server = (data[0] & 1U) != 0 ? PINHOLE_INSIDE : PINHOLE_OUTSIDE;
  host.unchanged = (data[0] & 2U) != 0;
  if ((data[0] & 4U) != 0) {
    host.rule = [](std::string_view command, std::string_view) { return command != "SITE"; };
  }
  const std::size_t step = data[0] < 16 ? size : data[0] / 16U;
  std::array<Way, 2> ways;
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  while (!rest.empty()) {
    const bool is_server = rest.front() == '<';
    if (is_server) rest.remove_prefix(1);
    const auto end = rest.find('\n');
    auto line = end == std::string_view::npos ? rest : rest.substr(0, end + 1);
    rest.remove_prefix(line.size());
    const auto from = static_cast<std::uint8_t>(is_server ? host.server : 1 - host.server);
    for (; !line.empty(); line.remove_prefix(std::min(step, line.size()))) {
      if (!take(host, ways[from], from, line.substr(0, step))) return 0;
    }
  }
  return 0;
}
