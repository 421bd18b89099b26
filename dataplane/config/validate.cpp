// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/validate.hpp"

#include "dataplane/config/schema_key.hpp"
#include "dataplane/config/validate_parts.hpp"
#include "dataplane/config/walk.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <string_view>

namespace pinhole::config {

namespace {

Result<void> check_workers(const Config& config) {
  const auto& workers = config.workers;
  if (!workers.cpus.empty() && workers.cpus.size() != workers.count) {
    return config_conflict("workers.cpus",
                           fmt::format("lists {} CPUs for {} workers", workers.cpus.size(), workers.count),
                           "list one CPU for each worker, or none");
  }
  for (std::size_t i = 0; i < workers.cpus.size(); ++i) {
    const auto before = workers.cpus.begin() + static_cast<std::ptrdiff_t>(i);
    if (workers.idle != Idle::spin || std::find(workers.cpus.begin(), before, workers.cpus[i]) == before)
      continue;
    return config_conflict(
        item_path("workers.cpus", i),
        fmt::format("CPU {} has a worker already, and workers.idle is \"spin\"", workers.cpus[i]),
        "give each worker a CPU of its own, or set workers.idle to \"yield\"");
  }
  return {};
}

Result<void> check_dpdk(const Config& config) {
  const auto& prefix = config.dpdk.file_prefix;
  const bool plain = std::all_of(prefix.begin(), prefix.end(), [](unsigned char character) {
    return std::isalnum(character) != 0 || character == '_' || character == '-';
  });
  if (!plain) {
    return config_error(ErrorCode::range, "dpdk.file_prefix", fmt::format("\"{}\"", prefix),
                        "letters, digits, '_' and '-'");
  }
  return {};
}

Result<void> check_sip(const Config& config) {
  const auto& ports = config.sip.ports;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const auto here = ports.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(ports.begin(), here, ports[i]) == here) continue;
    return config_conflict(item_path("sip.ports", i), fmt::format("{} is listed already", ports[i]),
                           "keep one of the two");
  }
  const auto& key = config.sip.hide_key;
  const bool whole = key.empty() || key.size() == kHideKeyDigits;
  if (!whole || key.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
    return config_error(ErrorCode::range, "sip.hide_key", fmt::format("{} characters", key.size()),
                        "32 hexadecimal digits, or nothing");
  }
  const auto& name = config.sip.software_name;
  if (name.front() == ' ' || name.back() == ' ') {
    return config_error(ErrorCode::range, "sip.software_name", fmt::format("\"{}\"", name),
                        "a text without a space at its ends such as \"Example SBC\"");
  }
  for (std::size_t i = 0; i < config.sip.exclude.size(); ++i) {
    const auto hosts = subnet_of(config.sip.exclude[i]);
    const auto is_same = [&](nat::Prefix other) { return subnet_of(other) == hosts; };
    if (std::ranges::none_of(config.sip.only, is_same)) continue;
    return config_conflict(item_path("sip.exclude", i), fmt::format("{} is listed in sip.only", text(hosts)),
                           "keep one of the two");
  }
  return {};
}

Result<void> check_ftp(const Config& config) {
  const auto& ports = config.ftp.ports;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const auto here = ports.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(ports.begin(), here, ports[i]) != here) {
      return config_conflict(item_path("ftp.ports", i), fmt::format("{} is listed already", ports[i]),
                             "keep one of the two");
    }
    if (!config.ftp.enabled || std::ranges::find(config.sip.ports, ports[i]) == config.sip.ports.end())
      continue;
    return config_conflict(item_path("ftp.ports", i), fmt::format("{} is one of sip.ports", ports[i]),
                           "keep one of the two");
  }
  return {};
}

Result<void> check_calls(const Config& config) {
  const auto& limits = config.calls.limits;
  if (limits.burst != 0 && limits.per_s == 0) {
    return config_conflict("calls.limits.burst", "calls a second are not limited", "set calls.limits.per_s");
  }
  return check_lines_file("calls.log.file", config.calls.log.file, "calls.jsonl");
}

Result<void> check_plugins(const Config& config) {
  const auto& plugins = config.plugins;
  for (std::size_t i = 0; i < plugins.size(); ++i) {
    const auto& file = plugins[i].file;
    const auto key = fmt::format("plugins[{}].file", i);
    if (file.front() != '/' || file.back() == '/') {
      return config_error(ErrorCode::range, key, fmt::format("\"{}\"", file),
                          "the absolute path of a file such as \"/usr/lib/pinhole/plugins/tftp.so\"");
    }
    const auto here = plugins.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find_if(plugins.begin(), here, [&](const auto& each) { return each.file == file; }) == here)
      continue;
    return config_conflict(key, fmt::format("\"{}\" is listed already", file), "keep one of the two");
  }
  return {};
}

Result<void> check_control(const Config& config) {
  const auto& socket = config.control.socket;
  if (socket.front() != '/' || socket.back() == '/') {
    return config_error(ErrorCode::range, "control.socket", fmt::format("\"{}\"", socket),
                        "the absolute path of a file such as \"/run/pinhole/control.sock\"");
  }
  const auto& store = config.control.store;
  if (!store.empty() && (store.front() != '/' || store.back() == '/')) {
    return config_error(ErrorCode::range, "control.store", fmt::format("\"{}\"", store),
                        "the absolute path of a file such as \"/var/lib/pinhole/state.db\", or nothing");
  }
  return {};
}

}  // namespace

Result<void> check_lines_file(std::string_view key, const std::string& file, std::string_view example) {
  if (file.empty() || (file.front() == '/' && file.back() != '/')) return {};
  return config_error(ErrorCode::range, std::string(key), fmt::format("\"{}\"", file),
                      fmt::format("the absolute path of a file such as \"/var/log/pinhole/{}\"", example));
}

Result<void> validate(const Config& config) {
  // Later checks rely on earlier ones: addresses before what is looked up in them.
  constexpr std::array kChecks = {check_network, check_workers,    check_dpdk,         check_pool,
                                  check_ports,   check_forwards,   check_untranslated, check_static_mappings,
                                  check_blocks,  check_nat_log,    check_sip,          check_ftp,
                                  check_calls,   check_protection, check_plugins,      check_control};
  for (const auto check : kChecks) {
    if (auto result = check(config); !result) return result;
  }
  return {};
}

std::vector<nat::Ipv4Address> external_addresses(const Config& config) {
  std::vector<nat::Ipv4Address> all;
  for (const auto& [prefix] : config.nat.pool) {
    for (std::uint64_t i = 0; i < prefix.size(); ++i) {
      const auto address = nat::Ipv4Address::from_host(prefix.first().host() + static_cast<std::uint32_t>(i));
      const auto* const interface = connected(config, address);
      if (interface == nullptr || interface->address.has_host(address)) all.push_back(address);
    }
  }
  if (!config.nat.pool.empty()) return all;
  for (const auto& interface : config.interfaces) {
    if (interface.zone == Zone::outside) return {interface.address.address};
  }
  return {};
}

}  // namespace pinhole::config
