// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A plug-in of this tree's build, as a test has it: loaded from its shared object, with one worker and one
// flow between 10.77.0.10 inside and 203.0.113.10, where 203.0.113.2 stands for the inside host.

#include <dlfcn.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/support/fake_gateway_host.hpp"

#include <catch2/catch.hpp>

namespace pinhole::test {

inline constexpr std::uint32_t kInside = 0x0A4D000A;
inline constexpr std::uint32_t kExternal = 0xCB007102;
inline constexpr std::uint32_t kRemote = 0xCB00710A;

[[nodiscard]] inline const pinhole_plugin& load_example(const std::string& name) {
  void* const handle = dlopen((PINHOLE_PLUGINS "/" + name + ".so").c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) FAIL(dlerror());
  const auto query = reinterpret_cast<pinhole_plugin_query_function>(dlsym(handle, PINHOLE_PLUGIN_QUERY));
  REQUIRE(query != nullptr);
  CHECK(query(PINHOLE_PLUGIN_MAJOR + 1, 0) == nullptr);
  return *query(PINHOLE_PLUGIN_MAJOR, PINHOLE_PLUGIN_MINOR);
}

struct Loaded {
  /// \param server  the side that it is on
  Loaded(const std::string& name, std::uint8_t protocol, std::uint8_t server, const char* options = "")
      : plugin(load_example(name)), host(plugin, options) {
    REQUIRE(host.started());
    const auto port = plugin.claims[0].port;
    host.protocol = protocol;
    host.server = server;
    host.inside = {kInside, server == PINHOLE_INSIDE ? port : std::uint16_t{40000}, 0};
    host.external = {kExternal, 50000, 0};
    host.remote = {kRemote, server == PINHOLE_OUTSIDE ? port : std::uint16_t{45000}, 0};
  }

  /// A counter by its name.
  [[nodiscard]] std::uint64_t count(std::string_view name) const {
    for (std::uint32_t i = 0; i < plugin.counter_count; ++i) {
      if (plugin.counters[i] == name) return host.counted[i];
    }
    FAIL("no counter " << name);
    return 0;
  }

  const pinhole_plugin& plugin;
  FakeGatewayHost host;
};

}  // namespace pinhole::test
