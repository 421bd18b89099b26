// SPDX-License-Identifier: BSD-3-Clause
// docs/operations.md says what the lists of counters say. When this fails after a change of a list, the row
// that it looked for is the one to put there.
#include "alg/counters.hpp"
#include "control/counters.hpp"
#include "dataplane/ipc/gateways.hpp"
#include "dataplane/stats.hpp"
#include "nat/counters.hpp"
#include "nat/drop_reason.hpp"

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>
#include <set>
#include <string>

namespace pinhole {

namespace {

/// Looks for the rows of a list, and for names that two lists share.
/// \param prefix  of the names in the manual
template <typename Enum>
void expect_rows(const std::string& manual, std::set<std::string>& names, const std::string& prefix = {}) {
  for (const auto& counter : nat::CounterTraits<Enum>::kInfo) {
    if (counter.name == "none") continue;  // of drop reasons: the packet lives
    INFO(counter.name);
    CHECK(names.insert(prefix + std::string(counter.name)).second);
    CHECK_THAT(manual, Catch::Contains(fmt::format("| `{}{}` | {} |", prefix, counter.name, counter.help)));
  }
}

}  // namespace

TEST_CASE("the operations manual has a row for every counter, and no two have one name", "[counters][docs]") {
  std::ifstream file{PINHOLE_SOURCE_DIR "/docs/operations.md"};
  REQUIRE(file);
  const std::string manual{std::istreambuf_iterator<char>{file}, {}};
  std::set<std::string> names;
  expect_rows<nat::DropReason>(manual, names);
  expect_rows<nat::Counter>(manual, names);
  expect_rows<alg::Counter>(manual, names);
  expect_rows<dataplane::WorkerCounter>(manual, names);
  expect_rows<ipc::GatewayCounter>(manual, names, "NAME_");
  expect_rows<control::ControlCounter>(manual, names);
}

}  // namespace pinhole
