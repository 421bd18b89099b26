// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The schema as rows of text: what docs/operations.md shows, and what an error looks through to say which key
// was meant.

#include <string>
#include <string_view>
#include <vector>

namespace pinhole::config {

struct KeyReference {
  std::string path;      // "nat.timeouts.udp_s", "interfaces[].mtu"
  std::string allowed;   // in words, with bounds
  std::string fallback;  // the default as JSON; empty where there is none: objects, required keys
  std::string_view help;
  bool required = false;
};

/// Every key of the configuration in the order of the schema, each section before what is in it.
[[nodiscard]] std::vector<KeyReference> key_reference();

}  // namespace pinhole::config
