// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A plug-in of this tree's build, as a test has it: loaded from its shared object, with one worker.

#include <dlfcn.h>

#include <map>
#include <string>
#include <string_view>

#include "tests/support/fake_gateway_host.hpp"

#include <catch2/catch.hpp>

namespace pinhole::test {

[[nodiscard]] inline const pinhole_plugin* load_example(const std::string& name) {
  void* const handle = dlopen((PINHOLE_PLUGINS "/" + name + ".so").c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) FAIL(dlerror());
  const auto query = reinterpret_cast<pinhole_plugin_query_function>(dlsym(handle, PINHOLE_PLUGIN_QUERY));
  REQUIRE(query != nullptr);
  CHECK(query(PINHOLE_PLUGIN_MAJOR + 1, 0) == nullptr);
  return query(PINHOLE_PLUGIN_MAJOR, PINHOLE_PLUGIN_MINOR);
}

struct Loaded {
  explicit Loaded(const std::string& name, const char* options = "") : plugin(*load_example(name)) {
    REQUIRE(plugin.worker_init(host.table(), 0, options, &state) == 0);
  }
  ~Loaded() {
    if (plugin.worker_fini != nullptr) plugin.worker_fini(state);
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;

  /// A counter by its name.
  [[nodiscard]] std::uint64_t count(std::string_view name) {
    for (std::uint32_t i = 0; i < plugin.counter_count; ++i) {
      if (plugin.counters[i] == name) return host.counted[i];
    }
    FAIL("no counter " << name);
    return 0;
  }

  FakeGatewayHost host;
  const pinhole_plugin& plugin;
  void* state = nullptr;
};

}  // namespace pinhole::test
