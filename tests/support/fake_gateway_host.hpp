// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The host table of alg/plugin.h for tests of gateways: it notes what it is asked, gives external ports out
// by a rule that a test can know beforehand, and applies edits.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "alg/plugin.h"

namespace pinhole::test {

/// An address from its four bytes, in host byte order.
[[nodiscard]] constexpr std::uint32_t ipv4(unsigned a, unsigned b, unsigned c, unsigned d) noexcept {
  return a << 24U | b << 16U | c << 8U | d;
}

class FakeGatewayHost {
 public:
  static constexpr std::uint32_t kInside = ipv4(10, 77, 0, 10);
  static constexpr std::uint32_t kExternal = ipv4(203, 0, 113, 2);
  static constexpr std::uint32_t kRemote = ipv4(203, 0, 113, 10);
  /// External ports are those of the inside host and so much; even ones stay even.
  static constexpr std::uint16_t kShift = 20000;

  struct Edit {
    std::size_t offset = 0;
    std::size_t removed = 0;
    std::string text;
  };
  struct Reserved {
    std::uint8_t protocol = 0;
    std::uint16_t port = 0;
    unsigned count = 0;

    friend bool operator==(const Reserved&, const Reserved&) = default;
  };

  // What it answers.
  std::uint16_t shift = kShift;  // 0 in route mode
  int reserve_result = PINHOLE_OK;
  int expect_result = PINHOLE_OK;
  std::vector<std::string> forbidden;  // commands

  // What it was asked since the last inspection began.
  std::vector<Edit> edits;
  std::vector<Reserved> reserved;
  std::vector<pinhole_expectation> expectations;
  std::vector<std::pair<std::string, std::string>> asked;  // of allows()
  std::vector<std::string> events;
  std::uint32_t kept_s = 0;
  std::map<std::uint32_t, std::uint64_t> counted;  // never forgotten

  [[nodiscard]] const pinhole_host* table() const noexcept { return &kTable; }

  /// A message of the flow between the inside host's port and the remote's.
  [[nodiscard]] static pinhole_message message(std::uint8_t protocol, std::uint8_t from, std::uint8_t server,
                                               std::string_view bytes, std::uint16_t inside_port,
                                               std::uint16_t remote_port) {
    return {.size = sizeof(pinhole_message),
            .protocol = protocol,
            .from = from,
            .server = server,
            .unchanged = 0,
            .bytes = bytes.data(),
            .length = bytes.size(),
            .inside = {kInside, inside_port, 0},
            .external = {kExternal, static_cast<std::uint16_t>(inside_port + kShift), 0},
            .remote = {kRemote, remote_port, 0},
            .flow = nullptr};
  }

  /// Shows a message to a gateway. \return its answer; `edits` and the rest say what it did
  int inspect(const pinhole_plugin& plugin, void* state, const pinhole_message& message) {
    edits.clear();
    reserved.clear();
    expectations.clear();
    asked.clear();
    events.clear();
    length_ = message.length;
    inside_ = message.inside;
    return plugin.inspect(state, reinterpret_cast<pinhole_context*>(this), &message);
  }

  /// The bytes of the message that was shown last, edited.
  [[nodiscard]] std::string edited(std::string_view bytes) const {
    auto sorted = edits;
    std::ranges::sort(sorted, {}, &Edit::offset);
    std::string out(bytes);
    for (auto edit = sorted.rbegin(); edit != sorted.rend(); ++edit) {
      out.replace(edit->offset, edit->removed, edit->text);
    }
    return out;
  }

 private:
  static FakeGatewayHost& of(pinhole_context* context) {
    return *reinterpret_cast<FakeGatewayHost*>(context);
  }

  static int replace(pinhole_context* context, std::size_t offset, std::size_t removed, const char* text,
                     std::size_t length) {
    auto& host = of(context);
    if (offset > host.length_ || removed > host.length_ - offset) return PINHOLE_FAULT;
    for (const auto& edit : host.edits) {
      if (offset < edit.offset + edit.removed && edit.offset < offset + removed) return PINHOLE_FAULT;
    }
    host.edits.push_back({offset, removed, std::string(text, length)});
    return PINHOLE_OK;
  }

  static int reserve(pinhole_context* context, std::uint8_t protocol, std::uint16_t port, unsigned count,
                     pinhole_endpoint* external) {
    auto& host = of(context);
    if (count < 1 || count > 2 || (count == 2 && port % 2 != 0)) return PINHOLE_FAULT;
    if (port < 1024) return PINHOLE_REFUSED;
    if (host.reserve_result != PINHOLE_OK) return host.reserve_result;
    host.reserved.push_back({protocol, port, count});
    *external = {kExternal, static_cast<std::uint16_t>(port + host.shift), 0};
    return PINHOLE_OK;
  }

  static int expect(pinhole_context* context, const pinhole_expectation* expectation) {
    auto& host = of(context);
    if (expectation->size != sizeof(pinhole_expectation) || expectation->seconds < 1 ||
        expectation->seconds > 3600 || expectation->unused != 0) {
      return PINHOLE_FAULT;
    }
    if (expectation->inside.address != host.inside_.address) return PINHOLE_REFUSED;
    if (expectation->from == PINHOLE_OUTSIDE && expectation->inside.port < 1024) return PINHOLE_REFUSED;
    if (host.expect_result != PINHOLE_OK) return host.expect_result;
    host.expectations.push_back(*expectation);
    return PINHOLE_OK;
  }

  static int allows(pinhole_context* context, const char* command, std::size_t command_length,
                    const char* argument, std::size_t argument_length) {
    auto& host = of(context);
    host.asked.emplace_back(std::string(command, command_length), std::string(argument, argument_length));
    return std::ranges::find(host.forbidden, host.asked.back().first) == host.forbidden.end() ? 1 : 0;
  }

  static int keep(pinhole_context* context, std::uint32_t seconds) {
    of(context).kept_s = seconds;
    return PINHOLE_OK;
  }

  static int count(pinhole_context* context, std::uint32_t counter, std::uint32_t by) {
    of(context).counted[counter] += by;
    return PINHOLE_OK;
  }

  static int event(pinhole_context* context, const char* text, std::size_t length) {
    of(context).events.emplace_back(text, std::min<std::size_t>(length, PINHOLE_MAX_EVENT));
    return PINHOLE_OK;
  }

  static constexpr pinhole_host kTable = {.size = sizeof(pinhole_host),
                                          .major = PINHOLE_PLUGIN_MAJOR,
                                          .minor = PINHOLE_PLUGIN_MINOR,
                                          .replace = replace,
                                          .reserve = reserve,
                                          .expect = expect,
                                          .allows = allows,
                                          .keep = keep,
                                          .count = count,
                                          .event = event};

  std::size_t length_ = 0;
  pinhole_endpoint inside_{};
};

}  // namespace pinhole::test
