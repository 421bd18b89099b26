// SPDX-License-Identifier: BSD-3-Clause
// What most tests here include, compiled once. Each test includes what it uses all the same: builds without
// this (meson configure -Db_pch=false) have to work.
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "dataplane/context.hpp"
#include "tests/support/pipeline_lab.hpp"
