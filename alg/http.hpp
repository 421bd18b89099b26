// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// How requests of HTTP begin, so that what a browser was made to send is not taken for a gateway's protocol.

#include <array>
#include <string_view>

namespace pinhole::alg {

/// Methods of HTTP that neither SIP nor FTP has. OPTIONS is the one that HTTP and SIP share.
inline constexpr std::array<std::string_view, 9> kHttpMethods = {"GET",     "HEAD",  "POST",  "PUT", "DELETE",
                                                                 "CONNECT", "TRACE", "PATCH", "PRI"};

}  // namespace pinhole::alg
