// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What must hold of every list of edits, whatever the message was. For fuzz targets: a breach aborts.

#include <cstdlib>
#include <string>
#include <string_view>

#include "alg/edit.hpp"

namespace pinhole::test {

inline void require(bool condition) {
  if (!condition) std::abort();
}

/// Applies the edits, and checks that the result has the right size, that the bytes outside of edits are the
/// same, and that a buffer which is too small is left alone.
inline std::string checked_apply(std::string_view before, const alg::EditList& edits) {
  const auto size = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(before.size()) + edits.growth());
  std::string buffer(before);
  if (size > before.size()) {
    buffer.resize(size - 1);
    const auto refused = buffer;
    require(!edits.apply(buffer, before.size()).has_value());
    require(buffer == refused);
    buffer.resize(size);
  }
  require(edits.apply(buffer, before.size()) == size);
  buffer.resize(size);

  std::size_t from = 0;
  std::size_t to = 0;
  for (const auto& edit : edits.edits()) {
    const auto kept = edit.offset - from;
    require(before.substr(from, kept) == std::string_view(buffer).substr(to, kept));
    require(std::string_view(buffer).substr(to + kept, edit.text_size) == edits.text(edit));
    from = edit.offset + edit.removed;
    to += kept + edit.text_size;
  }
  require(before.substr(from) == std::string_view(buffer).substr(to));
  return buffer;
}

}  // namespace pinhole::test
