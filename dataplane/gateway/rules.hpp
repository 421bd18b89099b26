// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Whether the rules of the configuration allow a command that a gateway has read.

#include <string_view>

#include "alg/alg.hpp"

namespace pinhole::dataplane {

struct WorkerContext;

struct Command {
  std::string_view application;  // the gateway's name
  std::string_view verb;
  std::string_view argument;
};

/// \param message  that the command is in
[[nodiscard]] bool is_allowed(const Command& command, const alg::Message& message,
                              WorkerContext& worker) noexcept;

}  // namespace pinhole::dataplane
