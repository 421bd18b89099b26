// SPDX-License-Identifier: BSD-3-Clause
// Says in one sentence that the CPU is too old for the instructions that everything else here was built for,
// instead of ending by an illegal one. It runs before any other initialiser, and this file alone is built for
// the oldest CPU of the architecture. PINHOLE_MARCH is what the rest was built for (meson's option march).

#include <unistd.h>

#include <string_view>

namespace {

#if defined(__x86_64__)
constexpr std::string_view kMarch = PINHOLE_MARCH;

/// Only the levels of the psABI can be asked for; what was built for one CPU by name is not checked.
bool cpu_suffices() {
  __builtin_cpu_init();
  if (kMarch == "x86-64-v2") return __builtin_cpu_supports("x86-64-v2") != 0;
  if (kMarch == "x86-64-v3") return __builtin_cpu_supports("x86-64-v3") != 0;
  if (kMarch == "x86-64-v4") return __builtin_cpu_supports("x86-64-v4") != 0;
  return true;
}

[[gnu::constructor(101)]] void check_cpu() {
  if (cpu_suffices()) return;
  constexpr std::string_view kSentence = "this program was built for CPUs of level " PINHOLE_MARCH
                                         ", which this one is not: build it with an older one, as in "
                                         "'meson setup -Dmarch=x86-64-v2 build'\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, kSentence.data(), kSentence.size());
  constexpr int kCannotRun = 1;
  _exit(kCannotRun);
}
#endif

}  // namespace
