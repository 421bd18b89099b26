// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The EAL can be started once in a process, and what was measured before is left in its memory; so what needs
// another configuration is measured by a process of its own.

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <fmt/format.h>

namespace pinhole::bench {

/// What `measure` returns, in a child. \param what  it is, for the error
template <typename Measure>
auto in_own_process(const std::string& what, Measure&& measure) {
  using Result = std::invoke_result_t<Measure>;
  static_assert(std::is_trivially_copyable_v<Result>);
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) throw std::runtime_error("no pipe");
  std::fflush(stdout);  // before a child inherits what is buffered
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("no process");
  if (child == 0) {
    int status = 1;
    try {
      const Result result = measure();
      if (write(ends[1], &result, sizeof result) == static_cast<ssize_t>(sizeof result)) status = 0;
    } catch (const std::exception& error) {
      fmt::print(stderr, "{}: {}\n", what, error.what());
    }
    std::exit(status);
  }
  close(ends[1]);
  Result result;
  const bool whole = read(ends[0], &result, sizeof result) == static_cast<ssize_t>(sizeof result);
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!whole || status != 0) throw std::runtime_error(what + " could not be measured");
  return result;
}

}  // namespace pinhole::bench
