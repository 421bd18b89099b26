// SPDX-License-Identifier: BSD-3-Clause
#include "control/ctl/capture.hpp"

#include "control/ctl/ask.hpp"

#include <fmt/format.h>

#include <signal.h>
#include <time.h>

#include <cstdio>
#include <string>
#include <utility>

namespace pinhole::control {
namespace {

constexpr timespec kAskEvery{0, 300'000'000};

/// The signals by which people end what they wait for; blocked, so that they wait too.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

/// Empty for null.
std::string text_of(const Json& row, const char* key) {
  const auto& value = row.at(key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

Invocation with(const Invocation& invocation, std::string_view command) {
  Invocation other = invocation;
  other.queries = {Query{find_command(command)}};
  return other;
}

}  // namespace

ExitStatus capture(const Invocation& invocation) {
  const sigset_t signals = block_signals();
  Json row;
  if (const auto begun = ask_for(invocation, row); begun != ExitStatus::ok) return begun;
  const auto file = text_of(row, "file");
  bool is_told = false;
  while (text_of(row, "state") != "ended") {
    if (text_of(row, "state") == "running" && !std::exchange(is_told, true) && !invocation.json) {
      fmt::print(stderr, "capturing into {}; Ctrl-C ends it\n", file);
    }
    const bool is_interrupted = sigtimedwait(&signals, nullptr, &kAskEvery) > 0;
    const auto next = with(invocation, is_interrupted ? "capture.stop" : "capture.status");
    if (const auto asked = ask_for(next, row); asked != ExitStatus::ok) return asked;
    if (text_of(row, "file") != file) {
      fmt::print(
          stderr,
          "pinholectl: the capture ended with control or the data plane that made it; the file holds what "
          "was written until then\n");
      return ExitStatus::failed;
    }
  }
  print_result(with(invocation, "capture.status"), row);
  const auto by = text_of(row, "ended_by");
  return by == "file" || by == "refused" ? ExitStatus::failed : ExitStatus::ok;
}

}  // namespace pinhole::control
