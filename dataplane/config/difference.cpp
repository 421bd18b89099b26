// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/difference.hpp"

#include "dataplane/config/render.hpp"
#include "dataplane/config/walk.hpp"

#include <nlohmann/json.hpp>

namespace pinhole::config {

namespace {

void compare(const nlohmann::ordered_json& one, const nlohmann::ordered_json& other, const std::string& path,
             std::vector<std::string>& paths) {
  if (one == other) return;
  if (one.is_object() && other.is_object()) {
    for (const auto& [key, value] : one.items()) {
      compare(value, other.at(key), join_path(path, key), paths);
    }
  } else if (one.is_array() && other.is_array() && one.size() == other.size()) {
    for (std::size_t i = 0; i < one.size(); ++i) compare(one[i], other[i], item_path(path, i), paths);
  } else {
    paths.push_back(path);
  }
}

bool is_within(std::string_view path, std::string_view section) {
  return path.starts_with(section) &&
         (path.size() == section.size() || path[section.size()] == '.' || path[section.size()] == '[');
}

}  // namespace

std::vector<std::string> differences(const Config& one, const Config& other) {
  std::vector<std::string> paths;
  compare(to_json(one), to_json(other), "", paths);
  return paths;
}

bool changes_at_run_time(std::string_view path) {
  if (is_within(path, "protection.sources_per_worker")) return false;
  // What workers read of `calls` are the limits and the time for ringing.
  for (const std::string_view key : {"calls.max_duration_s", "calls.answer_ack_s", "calls.media_inactivity_s",
                                     "calls.media_inactivity", "calls.hang_up"}) {
    if (path == key) return true;
  }
  for (const std::string_view section : {"protection", "sip.enabled", "sip.only", "sip.exclude"}) {
    if (is_within(path, section)) return true;
  }
  return (path.starts_with("interfaces[") && path.ends_with("].sip")) ||
         (path.starts_with("plugins[") && path.ends_with("].enabled"));
}

}  // namespace pinhole::config
