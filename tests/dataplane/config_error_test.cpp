// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/error.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <stdexcept>
#include <string>

namespace pinhole::config {

TEST_CASE("a result holds a value or an error", "[config][error]") {
  const Result<std::string> good = "value";
  CHECK(good.has_value());
  CHECK_FALSE(good.has_error());
  CHECK(good);
  CHECK(*good == "value");
  CHECK(good->size() == 5);

  const Result<std::string> bad = Error{ErrorCode::range, "too long"};
  CHECK_FALSE(bad);
  CHECK(bad.has_error());
  CHECK(bad.error() == Error{ErrorCode::range, "too long"});
}

TEST_CASE("a value that may only be moved can be taken out of a result", "[config][error]") {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  const std::unique_ptr<int> taken = *std::move(result);
  CHECK(*taken == 7);
}

TEST_CASE("asking a failed result for its value is a bug that throws", "[config][error]") {
  const Result<int> bad = Error{ErrorCode::file, "a.json: cannot be opened"};
  CHECK_THROWS_WITH(bad.value(), "a.json: cannot be opened");
  CHECK_THROWS_AS(*bad, std::logic_error);
  const Result<void> also_bad = Error{ErrorCode::file, "b.json: cannot be opened"};
  CHECK_THROWS_WITH(also_bad.value(), "b.json: cannot be opened");
}

TEST_CASE("a result without a value is success until told otherwise", "[config][error]") {
  Result<void> result;
  CHECK(result);
  CHECK_NOTHROW(result.value());
  result = Error{ErrorCode::device, "no port"};
  CHECK(result.has_error());
  CHECK(result.error().message == "no port");
}

TEST_CASE("what a person can mend ends with status 2 and all else with 1", "[config][error]") {
  for (const auto code :
       {ErrorCode::usage, ErrorCode::file, ErrorCode::syntax, ErrorCode::unknown_key, ErrorCode::missing,
        ErrorCode::type, ErrorCode::range, ErrorCode::conflict, ErrorCode::device, ErrorCode::memory}) {
    CHECK(exit_status(code) == 2);
  }
  for (const auto code :
       {ErrorCode::unavailable, ErrorCode::not_found, ErrorCode::system, ErrorCode::internal}) {
    CHECK(exit_status(code) == 1);
  }
}

TEST_CASE("errors of the configuration name the place, what is wrong and the mend", "[config][error]") {
  CHECK(config_error(ErrorCode::range, "nat.pool[2]", "7", "an address").message ==
        "nat.pool[2]: found 7; allowed is an address");
  CHECK(config_error(ErrorCode::type, "", "7", "an object").message == "found 7; allowed is an object");
  CHECK(config_conflict("nat.pool[2]", "is taken", "take another").message ==
        "nat.pool[2]: is taken; take another");
  CHECK(config_conflict("nat.pool[2]", "is taken", "take another").code == ErrorCode::conflict);
}

}  // namespace pinhole::config
