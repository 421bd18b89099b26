// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gateway/rules.hpp"

#include "dataplane/context.hpp"

namespace pinhole::dataplane {

bool is_allowed(const Command& command, const alg::Message& message, WorkerContext& worker) noexcept {
  return worker.rules.allows({command.application, command.verb, command.argument}, message);
}

}  // namespace pinhole::dataplane
