// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The FTP gateway (RFC 959, RFC 2428), written against alg/plugin.h as a plug-in is. It reads control
// connections line by line, puts external endpoints into PORT, EPRT and the replies 227 and 229, and
// announces the data connection that follows from each.
//
// Invariant: a data connection is announced between the two ends of its control connection only, and to
// ports from 1024 on, and none by what a browser was made to send; what says otherwise reaches nobody. A
// command that is not to be carried out goes on as one that no server knows, so that the server answers it in
// its turn and answers stay in order.

#include <cstdint>

#include "alg/plugin.h"

namespace pinhole::alg::ftp {

/// Places of its counters in pinhole_plugin::counters.
enum class Counter : std::uint32_t {
  commands,        // lines of clients
  replies,         // lines of servers
  active,          // data connections that were announced by PORT or EPRT
  passive,         // and by replies 227 or 229
  refused,         // endpoints that were not their sender's, of a port below 1024, or of who speaks HTTP
  denied,          // commands that a rule forbids
  exhausted,       // data connections for which there was no port or no place
  unreadable,      // commands that cannot be told, replies whose endpoint cannot be found, too long lines
  unasked,         // replies 227 and 229 to nothing
  left_encrypted,  // connections that are left alone since they are encrypted
  left_other,      // connections that are no FTP
};
inline constexpr std::uint32_t kCounters = 11;

/// Its claim is port 21. Options: "data_timeout_s=30", for how long a data connection may take to come.
[[nodiscard]] const pinhole_plugin& gateway() noexcept;

}  // namespace pinhole::alg::ftp
