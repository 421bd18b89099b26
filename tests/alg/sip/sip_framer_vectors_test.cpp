// SPDX-License-Identifier: BSD-3-Clause
// Every message of tests/vectors/sip, and random ones, come over TCP cut at every byte: the framer finds the
// same end each time, so that the gateway is handed the same message as by a datagram.
//
// Left out by name: messages without Content-Length, which have no body over TCP (RFC 3261 section 18.3), and
// ltgtruri of RFC 4475, whose Request-URI is none: what begins so is no SIP to the framer, and passes unread.
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "alg/sip/framer.hpp"
#include "alg/sip/message.hpp"
#include "tests/support/sip_generator.hpp"
#include "tests/support/sip_vectors.hpp"

namespace pinhole::alg::sip {

namespace {

using stream::Frame;
using stream::FramerState;

/// The bytes of a message that is whole by its own words; 0 when it is none, or has no Content-Length.
std::size_t whole_size(std::string_view bytes) {
  MessageView view;
  if (view.parse(bytes) != ParseResult::message || view.value(HeaderId::content_length).empty()) return 0;
  const auto end = bytes.find("\r\n\r\n");
  return end == std::string_view::npos ? 0 : end + 4 + view.body().size();
}

/// What the framer says of a stream that comes in pieces of these sizes, and then as a whole.
Frame frame_of(std::string_view stream, std::size_t first, std::size_t piece) {
  const SipFramer framer;
  FramerState state;
  Frame frame;
  for (std::size_t at = 0; at < stream.size() && frame.kind == Frame::Kind::more;) {
    const auto size = std::min(at == 0 ? first : piece, stream.size() - at);
    frame = framer.feed(state, stream.substr(at, size));
    at += size;
  }
  return frame;
}

void check_cuts(const std::string& bytes) {
  const auto size = whole_size(bytes);
  // Another message follows at once: its bytes are not this one's.
  const auto stream = bytes.substr(0, size) + bytes;
  for (std::size_t cut = 1; cut <= size; ++cut) {
    INFO("cut at " << cut);
    const auto frame = frame_of(stream, cut, stream.size());
    REQUIRE(frame.kind == Frame::Kind::message);
    REQUIRE(frame.size == size);
  }
  const auto byte_by_byte = frame_of(stream, 1, 1);
  REQUIRE(byte_by_byte.kind == Frame::Kind::message);
  REQUIRE(byte_by_byte.size == size);
}

}  // namespace

TEST_CASE("a message of the vectors that is cut at any byte of a stream is the same message",
          "[alg][sip][stream][AC-07][rfc3261]") {
  std::size_t checked = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(test::vector_folder())) {
    const auto& path = entry.path();
    if (path.extension() != ".before" && path.extension() != ".after" && path.extension() != ".sip") continue;
    const auto bytes = test::file_bytes(path);
    if (whole_size(bytes) == 0 || path.stem() == "ltgtruri") continue;
    INFO(path);
    check_cuts(bytes);
    ++checked;
  }
  CHECK(checked > 150);
}

TEST_CASE("a random valid message that is cut at any byte of a stream is the same message",
          "[alg][sip][stream][property][AC-07][rfc3261]") {
  std::size_t checked = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const auto message = test::SipGenerator(seed).message();
    const auto bytes = message.render([](const test::Named& named) { return named.endpoint; });
    if (whole_size(bytes) == 0) continue;
    INFO("seed " << seed << "\n" << bytes);
    check_cuts(bytes);
    ++checked;
  }
  CHECK(checked > 150);
}

}  // namespace pinhole::alg::sip
