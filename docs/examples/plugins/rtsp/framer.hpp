// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Where messages of RTSP end on a connection (RFC 2326 section 4, RFC 7826 section 5): a start line that
// names the version, header lines, the empty line, and as many bytes as Content-Length says. Between messages
// there may be line ends, and packets of media: '$', a channel, a length of two bytes, and so many bytes.
// Invariant: each byte is looked at once.

#include <string_view>

#include <pinhole/plugin.h>

namespace rtsp {

/// \param fresh  what follows the bytes of this message that were given before; not empty
[[nodiscard]] pinhole_frame feed(pinhole_framing& framing, std::string_view fresh) noexcept;

}  // namespace rtsp
