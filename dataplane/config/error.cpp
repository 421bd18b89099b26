// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/error.hpp"

#include <fmt/format.h>

namespace pinhole::config {

Error config_error(ErrorCode code, std::string_view path, std::string_view found, std::string_view allowed) {
  return {code, fmt::format("{}{}found {}; allowed is {}", path, path.empty() ? "" : ": ", found, allowed)};
}

Error config_conflict(std::string_view path, std::string_view problem, std::string_view mend) {
  return {ErrorCode::conflict, fmt::format("{}: {}; {}", path, problem, mend)};
}

}  // namespace pinhole::config
