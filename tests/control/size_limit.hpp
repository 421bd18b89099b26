// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A disk that is full, for a test.

#include <sys/resource.h>

#include <csignal>

#include <catch2/catch.hpp>

namespace pinhole::control::test {

/// Files of this process cannot grow beyond a size while this lives.
class SizeLimit {
 public:
  explicit SizeLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before_) == 0);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  SizeLimit(const SizeLimit&) = delete;
  SizeLimit& operator=(const SizeLimit&) = delete;
  ~SizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace pinhole::control::test
