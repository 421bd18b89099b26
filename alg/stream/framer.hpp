// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What finds the ends of messages in a stream. A framer reads each byte once, as it comes: what it has to
// remember between two pieces it keeps in a FramerState, of which a stream has one for each direction. So a
// message that comes byte by byte costs no more than one that comes at once.

#include <cstdint>
#include <string_view>

namespace pinhole::alg::stream {

/// Begins as FramerState{} at each boundary. What is in it is the framer's alone, but for `begun`.
struct FramerState {
  std::uint32_t scanned = 0;  // bytes since the boundary
  std::uint32_t value = 0;
  std::uint8_t phase = 0;
  std::uint8_t matched = 0;
  std::uint8_t flags = 0;
  bool begun = false;  // it is certain that this is a message of the framer's protocol
};

struct Frame {
  enum class Kind : std::uint8_t {
    more,      // not known yet
    message,   // a message of `size` bytes begins at the boundary; not all of them may be there
    skip,      // `size` bytes that need not be read: keep-alives, or a message beyond the bounds
    not_mine,  // another protocol, or nothing that a boundary could be found in
  };
  Kind kind = Kind::more;
  std::uint32_t size = 0;
};

class Framer {
 public:
  /// Reads on. \param fresh  what follows the bytes that were read since the boundary; not empty
  /// \return what is at the boundary. Not called again before the next boundary unless it is `more`
  [[nodiscard]] virtual Frame feed(FramerState& state, std::string_view fresh) const noexcept = 0;

 protected:
  ~Framer() = default;
};

}  // namespace pinhole::alg::stream
