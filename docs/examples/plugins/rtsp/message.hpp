// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What a message of RTSP says, as views of its bytes: the start line, headers, and the transports of the
// header of that name (RFC 2326 section 12.39, RFC 7826 section 18.54).

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "text.hpp"

namespace rtsp {

struct StartLine {
  std::string_view method;   // empty: an answer
  std::string_view uri;      // of a request
  std::uint16_t status = 0;  // of an answer; 0: not read
};
[[nodiscard]] StartLine start_line(std::string_view message) noexcept;

struct Header {
  std::string_view name;
  std::string_view value;  // with the lines that continue it
};

/// Goes through the headers of a message.
class Headers {
 public:
  explicit Headers(std::string_view message) noexcept;
  /// \return false at the end
  [[nodiscard]] bool next(Header& header) noexcept;

 private:
  [[nodiscard]] std::string_view line() noexcept;

  std::string_view rest_;
};

/// "5000-5001", or "5000".
struct Ports {
  std::string_view text;  // where it stands; empty: it is not there
  std::uint16_t first = 0;
  std::uint16_t last = 0;  // equals `first` when there is only one

  [[nodiscard]] bool present() const noexcept { return !text.empty(); }
};

/// One of `"192.0.2.5:5000"/"192.0.2.5:5001"`, without the quotes; of ":5000" the address is 0.
struct Place {
  std::string_view text;
  std::uint32_t address = 0;
  std::uint16_t port = 0;
};

/// What a transport says of one side: by ports and an address (RFC 2326), or by places (RFC 7826).
struct Side {
  Ports ports;
  std::string_view address;  // "192.0.2.5"; empty: it is not there
  Place places[2];
  std::size_t place_count = 0;

  [[nodiscard]] bool says_ports() const noexcept { return ports.present() || place_count > 0; }
  /// The port for RTP, with `which` 1 that for RTCP; 0 when there is none.
  [[nodiscard]] std::uint16_t port(std::size_t which) const noexcept;
  /// \return 0 when none is said
  [[nodiscard]] std::uint32_t said_address() const noexcept;
};

struct Transport {
  bool is_datagrams = false;    // RTP over UDP, from one to one
  bool is_interleaved = false;  // within the connection
  Side client;
  Side server;
};
/// Reads one of the transports that a header lists with commas between.
[[nodiscard]] Transport read_transport(std::string_view text) noexcept;

}  // namespace rtsp
