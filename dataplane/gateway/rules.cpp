// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gateway/rules.hpp"

namespace pinhole::dataplane {

bool is_allowed(const Command& /*command*/, const alg::Message& /*message*/,
                WorkerContext& /*worker*/) noexcept {
  return true;
}

}  // namespace pinhole::dataplane
