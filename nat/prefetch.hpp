// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Asking for a cache line ahead of its use. GCC takes a function that does nothing but __builtin_prefetch()
// for one without effect, and leaves calls of it out; so this is an instruction that it may not judge.

namespace pinhole::nat {

/// Fetches the line of an address into all caches. Any address will do, one that is not mapped too.
/// Cores wait for about 20 lines at once and drop what is asked for beyond that.
[[gnu::always_inline]] inline void prefetch(const void* address) noexcept {
#if defined(__x86_64__)
  asm volatile("prefetcht0 %0" : : "m"(*static_cast<const volatile char*>(address)));
#else
  __builtin_prefetch(address);
#endif
}

}  // namespace pinhole::nat
