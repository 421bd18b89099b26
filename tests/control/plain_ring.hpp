// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// An rte_ring in ordinary memory, as the data plane makes them for events and commands.

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include <rte_ring.h>
#include <rte_ring_elem.h>

namespace pinhole::control::test {

template <typename Element>
class PlainRing {
 public:
  /// \param count a power of two; one place less can be used.
  explicit PlainRing(unsigned count) {
    const auto bytes = static_cast<std::size_t>(rte_ring_get_memsize_elem(sizeof(Element), count));
    memory_.reset(std::aligned_alloc(
        RTE_CACHE_LINE_SIZE, (bytes + RTE_CACHE_LINE_SIZE - 1) / RTE_CACHE_LINE_SIZE * RTE_CACHE_LINE_SIZE));
    if (!memory_ || rte_ring_init(get(), "test", count, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0) {
      throw std::bad_alloc();
    }
  }
  [[nodiscard]] rte_ring* get() const noexcept { return static_cast<rte_ring*>(memory_.get()); }

  bool push(Element element) { return rte_ring_sp_enqueue_elem(get(), &element, sizeof element) == 0; }
  bool pop(Element& element) { return rte_ring_sc_dequeue_elem(get(), &element, sizeof element) == 0; }

 private:
  struct Free {
    void operator()(void* memory) const noexcept { std::free(memory); }
  };
  std::unique_ptr<void, Free> memory_;
};

}  // namespace pinhole::control::test
