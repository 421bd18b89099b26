// SPDX-License-Identifier: BSD-3-Clause
// What most files here include that need no server, compiled once. Each file includes what it uses all the
// same: builds without this (meson configure -Db_pch=false) have to work.
#include "control/log.hpp"
#include "control/model.hpp"
#include "control/worker_link.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>
