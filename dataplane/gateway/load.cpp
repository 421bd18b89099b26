// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gateway/load.hpp"

#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "alg/plugin.h"
#include "dataplane/ipc/gateways.hpp"

#include <fmt/format.h>

namespace pinhole::dataplane {

namespace {

using config::Error;
using config::ErrorCode;
using config::Result;

/// The structure as the first minor version has it.
constexpr std::size_t kLeastSize = offsetof(pinhole_plugin, inspect) + sizeof(pinhole_plugin::inspect);
static_assert(PINHOLE_PLUGIN_MINOR == 0 && kLeastSize == sizeof(pinhole_plugin));

/// Modules of counters.
constexpr std::array<std::string_view, 6> kOwnNames = {"drop", "nat", "alg", "worker", "control", "gateway"};

bool is_word(const char* text, std::size_t longest, bool hyphens) {
  const auto length = strnlen(text, longest + 1);
  if (length == 0 || length > longest || text[0] < 'a' || text[0] > 'z') return false;
  return std::all_of(text, text + length, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || (hyphens && c == '-');
  });
}

std::string text_of(const pinhole_claim& claim) {
  return fmt::format("{} port {}", claim.protocol == PINHOLE_TCP ? "TCP" : "UDP", claim.port);
}

bool is_same(const pinhole_claim& one, const pinhole_claim& other) {
  return one.protocol == other.protocol && one.port == other.port;
}

/// One plug-in of the configuration on its way to a gateway.
class Loading {
 public:
  Loading(const config::Config& config, std::size_t number, std::span<const GatewaySpec> taken)
      : plugin_(config.plugins[number]), number_(number), taken_(taken) {}

  Result<GatewaySpec> run() {
    if (auto safe = check_file(); !safe) return safe.error();
    const auto found = query();
    if (!found) return found.error();
    const auto& plugin = **found;
    for (const auto check : {&Loading::check_version, &Loading::check_name, &Loading::check_claims,
                             &Loading::check_counters, &Loading::check_rest}) {
      if (auto result = (this->*check)(plugin); !result) return result.error();
    }
    return GatewaySpec{.plugin = &plugin,
                       .claims = {plugin.claims, plugin.claims + plugin.claim_count},
                       .options = plugin_.options,
                       .budget_us = plugin_.budget_us,
                       .max_faults = plugin_.max_faults,
                       .file = plugin_.file};
  }

 private:
  [[nodiscard]] Error wrong(ErrorCode code, std::string_view what) const {
    return {code, fmt::format("plugins[{}].file: {}: {}", number_, plugin_.file, what)};
  }
  /// It breaks a rule of alg/plugin.h, which only its author can mend.
  [[nodiscard]] Error broken(std::string_view what) const {
    return wrong(ErrorCode::file,
                 fmt::format("{}; it has to be built anew by who wrote it, or left out", what));
  }

  /// Whoever can write the file, or put another in its place, could do all that the data plane may.
  Result<void> check_file() {
    const std::unique_ptr<char, void (*)(void*)> path(realpath(plugin_.file.c_str(), nullptr), std::free);
    if (!path)
      return wrong(ErrorCode::file,
                   fmt::format("{}; give the file that is to be loaded", std::strerror(errno)));
    path_ = path.get();
    for (std::filesystem::path place = path_;; place = place.parent_path()) {
      if (auto safe = check_place(place.string()); !safe) return safe;
      if (place == place.root_path()) return {};
    }
  }
  Result<void> check_place(const std::string& place) const {
    struct stat found{};
    if (stat(place.c_str(), &found) != 0) return wrong(ErrorCode::file, std::strerror(errno));
    const bool is_file = place == path_;
    if (is_file && !S_ISREG(found.st_mode)) return wrong(ErrorCode::file, "is no file; give a shared object");
    // Of a directory with the sticky bit nobody takes out what is another's.
    const bool is_shared =
        (found.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (is_file || (found.st_mode & S_ISVTX) == 0);
    if ((found.st_uid == 0 || found.st_uid == geteuid()) && !is_shared) return {};
    return wrong(ErrorCode::file,
                 fmt::format("{} can be written by others than root; give it to root with chown, and "
                             "take the right from others with chmod go-w",
                             is_file ? "it" : place));
  }

  Result<const pinhole_plugin*> query() {
    void* const object = dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (object == nullptr) {
      return wrong(ErrorCode::file,
                   fmt::format("cannot be loaded: {}; give a shared object for this machine", dlerror()));
    }
    void* const symbol = dlsym(object, PINHOLE_PLUGIN_QUERY);
    if (symbol == nullptr) return broken("is no plug-in: it has no " PINHOLE_PLUGIN_QUERY);
    const auto* const plugin =
        reinterpret_cast<pinhole_plugin_query_function>(symbol)(PINHOLE_PLUGIN_MAJOR, PINHOLE_PLUGIN_MINOR);
    if (plugin == nullptr) {
      return broken(fmt::format("says that it cannot run with version {}.{} of the interface",
                                PINHOLE_PLUGIN_MAJOR, PINHOLE_PLUGIN_MINOR));
    }
    return plugin;
  }

  Result<void> check_version(const pinhole_plugin& plugin) {
    // The first fields are where they are in every version.
    if (plugin.major != PINHOLE_PLUGIN_MAJOR) {
      return broken(fmt::format("is built for version {}.{} of the interface, and this is {}.{}",
                                plugin.major, plugin.minor, PINHOLE_PLUGIN_MAJOR, PINHOLE_PLUGIN_MINOR));
    }
    if (plugin.size < kLeastSize) {
      return broken(fmt::format("its pinhole_plugin has {} bytes, and version {}.{} has {}", plugin.size,
                                plugin.major, plugin.minor, kLeastSize));
    }
    return {};
  }

  Result<void> check_name(const pinhole_plugin& plugin) {
    if (plugin.name == nullptr || !is_word(plugin.name, PINHOLE_MAX_NAME, true)) {
      return broken(
          fmt::format("its name is none: a letter first, small letters, digits, '_' and '-', {} at most",
                      PINHOLE_MAX_NAME));
    }
    if (plugin.version == nullptr) return broken("has no version");
    if (std::ranges::find(kOwnNames, plugin.name) != kOwnNames.end()) return own_name(plugin);
    const auto is_same = [&](const GatewaySpec& other) {
      return std::strcmp(other.plugin->name, plugin.name) == 0;
    };
    const auto other = std::ranges::find_if(taken_, is_same);
    if (other == taken_.end()) return {};
    if (other->file.empty()) return own_name(plugin);
    return wrong(ErrorCode::conflict,
                 fmt::format("there is a gateway named \"{}\" already; keep one of the two", plugin.name));
  }

  [[nodiscard]] Error own_name(const pinhole_plugin& plugin) const {
    return broken(fmt::format("its name, \"{}\", is one of Pinhole's own", plugin.name));
  }

  Result<void> check_claims(const pinhole_plugin& plugin) {
    if (plugin.claim_count == 0 || plugin.claim_count > PINHOLE_MAX_CLAIMS || plugin.claims == nullptr) {
      return broken(
          fmt::format("claims {} ports, and 1 to {} are allowed", plugin.claim_count, PINHOLE_MAX_CLAIMS));
    }
    const std::span claims(plugin.claims, plugin.claim_count);
    for (std::size_t i = 0; i < claims.size(); ++i) {
      const auto& claim = claims[i];
      if ((claim.protocol != PINHOLE_TCP && claim.protocol != PINHOLE_UDP) || claim.port == 0) {
        return broken(fmt::format("claims port {} of protocol {}, which is neither a TCP nor a UDP port",
                                  claim.port, claim.protocol));
      }
      const auto is_it = [&](const pinhole_claim& other) { return is_same(claim, other); };
      if (std::any_of(claims.begin(), claims.begin() + static_cast<std::ptrdiff_t>(i), is_it))
        return broken(fmt::format("claims {} twice", text_of(claim)));
      for (const auto& other : taken_) {
        if (std::ranges::any_of(other.claims, is_it)) return taken(claim, other);
      }
    }
    return {};
  }
  [[nodiscard]] Error taken(const pinhole_claim& claim, const GatewaySpec& other) const {
    // Which ports are of a gateway that is built in the configuration says.
    const std::string where =
        other.file.empty() ? fmt::format(" ({}.ports)", other.plugin->name) : std::string{};
    return wrong(ErrorCode::conflict, fmt::format("claims {}, which \"{}\"{} has; leave one of the two out",
                                                  text_of(claim), other.plugin->name, where));
  }

  Result<void> check_counters(const pinhole_plugin& plugin) {
    const auto count = plugin.counter_count;
    if (count > PINHOLE_MAX_COUNTERS || (count > 0 && plugin.counters == nullptr))
      return broken(fmt::format("has {} counters, and {} are allowed", count, PINHOLE_MAX_COUNTERS));
    for (std::uint32_t i = 0; i < count; ++i) {
      const char* const name = plugin.counters[i];
      if (name == nullptr || !is_word(name, kMaxCounterName, false)) {
        return broken(fmt::format(
            "its counter {} has no name: a letter first, small letters, digits and '_', {} at most", i,
            kMaxCounterName));
      }
      for (std::uint32_t before = 0; before < i; ++before) {
        if (std::strcmp(plugin.counters[before], name) == 0)
          return broken(fmt::format("has two counters named {}", name));
      }
    }
    return {};
  }

  Result<void> check_rest(const pinhole_plugin& plugin) {
    if (plugin.flow_bytes > PINHOLE_MAX_FLOW) {
      return broken(
          fmt::format("wants {} bytes for a flow, and {} are allowed", plugin.flow_bytes, PINHOLE_MAX_FLOW));
    }
    if (plugin.worker_init == nullptr) return broken("has no worker_init");
    if (plugin.inspect == nullptr) return broken("has no inspect");
    return {};
  }

  static constexpr std::size_t kMaxCounterName = 62;  // ipc::GatewayShare

  const config::Plugin& plugin_;
  std::size_t number_;
  std::span<const GatewaySpec> taken_;
  std::string path_;  // without links
};

}  // namespace

Result<std::vector<GatewaySpec>> load_plugins(const config::Config& config,
                                              std::vector<GatewaySpec> gateways) {
  for (std::size_t i = 0; i < config.plugins.size(); ++i) {
    auto loaded = Loading(config, i, gateways).run();
    if (!loaded) return loaded.error();
    gateways.push_back(std::move(*loaded));
  }
  const auto& rules = config.protection.rules;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto& asked = rules[i].application;
    const auto is_asked = [&](const GatewaySpec& spec) { return asked == spec.plugin->name; };
    if (std::ranges::any_of(gateways, is_asked)) continue;
    return config::Error{config::ErrorCode::conflict,
                         fmt::format("protection.rules[{}].application: there is no gateway \"{}\"; load its "
                                     "plug-in, enable ftp, or name another",
                                     i, asked)};
  }
  return gateways;
}

}  // namespace pinhole::dataplane
