// SPDX-License-Identifier: BSD-3-Clause
// The work of the gateway grows with the size of a message and not faster, whatever is in it. Work is
// counted, not timed: the alg library that this program links is compiled to count the basic blocks that it
// enters, and the functions of the C library that it calls on bytes are counted by their bytes.
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "tests/support/sip_bench.hpp"

namespace {

std::uint64_t work = 0;

// So many bytes of a vectorised function count as a basic block.
constexpr std::size_t kBytesAStep = 16;

void count_bytes(std::size_t size) {
  work += 1 + size / kBytesAStep;
}

}  // namespace

extern "C" {

// Called at each basic block of the library.
void __sanitizer_cov_trace_pc() {  // NOLINT(bugprone-reserved-identifier)
  ++work;
}

// The linker lets the library call these (-Wl,--wrap).
// NOLINTBEGIN(bugprone-reserved-identifier)
void* __real_memchr(const void* text, int c, std::size_t size);
void* __real_memmove(void* to, const void* from, std::size_t size);
int __real_memcmp(const void* a, const void* b, std::size_t size);

void* __wrap_memchr(const void* text, int c, std::size_t size) {
  auto* const found = __real_memchr(text, c, size);
  count_bytes(found == nullptr
                  ? size
                  : static_cast<std::size_t>(static_cast<char*>(found) - static_cast<const char*>(text)));
  return found;
}
void* __wrap_memmove(void* to, const void* from, std::size_t size) {
  count_bytes(size);
  return __real_memmove(to, from, size);
}
int __wrap_memcmp(const void* a, const void* b, std::size_t size) {
  count_bytes(size);
  return __real_memcmp(a, b, size);
}
// NOLINTEND(bugprone-reserved-identifier)

}  // extern "C"

namespace pinhole::alg::sip {

namespace {

constexpr std::size_t kSmall = 4000;
constexpr std::size_t kTimes = 16;  // 64,000 bytes: what a datagram holds
// More than 16 by what is rounded and by blocks that small messages do not fill; a quadratic step would be
// 256.
constexpr std::uint64_t kMayGrow = 20;

std::string repeated(std::string_view unit, std::size_t size) {
  std::string text;
  while (text.size() + unit.size() <= size) text += unit;
  return text;
}

std::string message(std::string_view headers, std::string_view body = {}) {
  std::string text =
      "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK1\r\nFrom: "
      "<sip:a@example.com>;tag=a\r\nTo: <sip:b@example.com>\r\nCall-ID: work\r\nCSeq: 1 INVITE\r\n";
  text += headers;
  text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  return text + std::string(body);
}

std::string header(std::string_view name, std::string_view value) {
  return std::string(name).append(": ").append(value).append("\r\n");
}

std::string in_quotes(std::string_view text) {
  return std::string(1, '"').append(text).append(1, '"');
}

std::string sdp(std::string_view lines) {
  return "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\nm=audio 40000 RTP/AVP "
         "0\r\n" +
         std::string(lines);
}

std::string with_description(std::string_view description) {
  return message("Content-Type: application/sdp\r\n", description);
}

std::string with_parts(std::string_view parts) {
  return message("Content-Type: multipart/mixed;boundary=b\r\n", parts);
}

std::string with_fragment(std::string_view headers) {
  return message("Content-Type: message/sipfrag\r\n", std::string("SIP/2.0 200 OK\r\n").append(headers));
}

// A part of a multipart that holds another one, and so on.
std::string nested(std::size_t size) {
  std::string text;
  for (std::size_t depth = 0; text.size() < size; ++depth) {
    const auto outer = depth == 0 ? std::string("b") : std::to_string(depth - 1);
    text += "--" + outer + "\r\nContent-Type: multipart/mixed;boundary=" + std::to_string(depth) + "\r\n\r\n";
  }
  return text;
}

struct Shape {
  const char* name;
  std::function<std::string(std::size_t)> make;  // about so many bytes
};

// Each repeats what one of the loops of the gateway could come back to.
const Shape kShapes[] = {
    {"headers that are not read", [](std::size_t n) { return message(repeated("X-A: b\r\n", n)); }},
    {"headers of one character", [](std::size_t n) { return message(repeated("x:\r\n", n)); }},
    {"lines without a colon", [](std::size_t n) { return message(repeated("x\r\n", n)); }},
    {"a folded header", [](std::size_t n) { return message("Subject: a\r\n" + repeated(" b\r\n", n)); }},
    {"a folded Contact",
     [](std::size_t n) { return message("Contact: <sip:a@10.0.0.5:5060>\r\n" + repeated(" ;b\r\n", n)); }},
    {"white space", [](std::size_t n) { return message("Contact:" + repeated(" \t", n) + "<sip:a@b>\r\n"); }},
    {"white space before a colon",
     [](std::size_t n) { return message("Contact" + repeated(" ", n) + ": <sip:a@b>\r\n"); }},
    {"commas", [](std::size_t n) { return message(header("Contact", repeated(",", n))); }},
    {"quotes", [](std::size_t n) { return message(header("Contact", repeated("\"", n))); }},
    {"escapes in a quoted string",
     [](std::size_t n) { return message(header("Contact", in_quotes(repeated("\\\"", n)))); }},
    {"opened brackets", [](std::size_t n) { return message(header("Contact", repeated("<", n))); }},
    {"opened brackets in a list",
     [](std::size_t n) { return message(header("Contact", repeated("<,", n))); }},
    {"colons", [](std::size_t n) { return message(header("Contact", "<sip" + repeated(":", n) + ">")); }},
    {"at signs", [](std::size_t n) { return message(header("Contact", "<sip:" + repeated("@", n) + ">")); }},
    {"parameters of a URI",
     [](std::size_t n) {
       return message(header("Contact", "<sip:a@10.0.0.5:5060" + repeated(";a=b", n) + ">"));
     }},
    {"parameters of a Via",
     [](std::size_t n) { return message(header("Via", "SIP/2.0/UDP 10.0.0.5:5060" + repeated(";a=b", n))); }},
    {"values of Via",
     [](std::size_t n) { return message(header("Via", repeated("SIP/2.0/UDP 10.0.0.5:5060,", n))); }},
    {"values of Via that are not ours",
     [](std::size_t n) { return message(header("Via", repeated("SIP/2.0/UDP a,", n))); }},
    {"values of Contact",
     [](std::size_t n) { return message(header("Contact", repeated("<sip:a@10.0.0.5:5060>,", n))); }},
    {"values of Contact that are not ours",
     [](std::size_t n) { return message(header("Contact", repeated("<sip:a@b>;c,", n))); }},
    {"values of Route that are not ours",
     [](std::size_t n) { return message(repeated("Route: <sip:a@b;lr>\r\n", n)); }},
    {"digits of an address",
     [](std::size_t n) { return message(header("Contact", "<sip:a@" + repeated("10.", n) + ">")); }},
    {"digits of a port",
     [](std::size_t n) { return message(header("Contact", "<sip:a@10.0.0.5:" + repeated("0", n) + ">")); }},
    {"a reference that does not end",
     [](std::size_t n) { return message(header("Contact", "<sip:a@[" + repeated(":[", n) + ">")); }},
    {"tags", [](std::size_t n) { return message(header("Contact", "<sip:a@b>" + repeated(";tag", n))); }},
    {"line ends before the message", [](std::size_t n) { return repeated("\r\n", n) + message(""); }},
    {"line ends alone", [](std::size_t n) { return repeated("\r\n", n); }},
    {"no line end", [](std::size_t n) { return "INVITE sip:" + repeated("a", n); }},
    {"a method that does not end", [](std::size_t n) { return repeated("A", n); }},
    {"spaces in the request line",
     [](std::size_t n) { return "INVITE" + repeated(" ", n) + "sip:a SIP/2.0\r\n\r\n"; }},
    {"a body that is not read",
     [](std::size_t n) { return message("", repeated("c=IN IP4 10.0.0.5\r\n", n)); }},
    {"connection lines",
     [](std::size_t n) { return with_description(sdp(repeated("c=IN IP4 10.0.0.5\r\n", n))); }},
    {"media",
     [](std::size_t n) { return with_description(sdp(repeated("m=audio 40000 RTP/AVP 0\r\n", n))); }},
    {"candidates",
     [](std::size_t n) {
       return with_description(sdp(repeated("a=candidate:1 1 UDP 1 10.0.0.5 40000 typ host\r\n", n)));
     }},
    {"candidates that are not ours",
     [](std::size_t n) {
       return with_description(sdp(repeated("a=candidate:1 1 UDP 1 192.0.2.5 40000 typ host\r\n", n)));
     }},
    {"words of a candidate",
     [](std::size_t n) {
       return with_description(sdp("a=candidate:1 1 UDP 1 10.0.0.5 40000" + repeated(" raddr", n) + "\r\n"));
     }},
    {"rtcp attributes", [](std::size_t n) { return with_description(sdp(repeated("a=rtcp:40001\r\n", n))); }},
    {"attributes", [](std::size_t n) { return with_description(sdp(repeated("a=b\r\n", n))); }},
    {"titles", [](std::size_t n) { return with_description(sdp(repeated("i=b\r\n", n))); }},
    {"lines of nothing", [](std::size_t n) { return with_description(sdp(repeated("\n", n))); }},
    {"lines of CR", [](std::size_t n) { return with_description(sdp(repeated("\r", n))); }},
    {"parts", [](std::size_t n) { return with_parts(repeated("--b\r\n\r\n\r\n", n)); }},
    {"parts with descriptions",
     [](std::size_t n) {
       return with_parts(repeated("--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n", n));
     }},
    {"delimiters", [](std::size_t n) { return with_parts(repeated("--b\r\n", n)); }},
    {"near delimiters", [](std::size_t n) { return with_parts("--b\r\n" + repeated("--a\r\n", n)); }},
    {"headers of a part", [](std::size_t n) { return with_parts("--b\r\n" + repeated("X: y\r\n", n)); }},
    {"dashes", [](std::size_t n) { return with_parts(repeated("-", n)); }},
    {"multiparts in multiparts", [](std::size_t n) { return with_parts(nested(n)); }},
    {"multiparts side by side",
     [](std::size_t n) {
       return with_parts(
           repeated("--b\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n--c\r\n\r\n--c--\r\n", n));
     }},
    {"a fragment of a message",
     [](std::size_t n) { return with_fragment(repeated("Contact: <sip:a@10.0.0.5:5060>\r\n", n)); }},
    {"a fragment of a message that is not ours",
     [](std::size_t n) { return with_fragment(repeated("Contact: <sip:a@b>\r\n", n)); }},
    {"fragments of messages",
     [](std::size_t n) {
       return with_parts(repeated("--b\r\nContent-Type: message/sipfrag\r\n\r\nSIP/2.0 100 Trying\r\n", n));
     }},
    {"paths of MSRP",
     [](std::size_t n) {
       return with_description(sdp(repeated("a=path:msrp://10.0.0.5:40000/x;tcp\r\n", n)));
     }},
    {"URIs of a path",
     [](std::size_t n) {
       return with_description(sdp("a=path:" + repeated("msrp://10.0.0.5:40000/x;tcp ", n) + "\r\n"));
     }},
    {"URIs of a path that are not ours",
     [](std::size_t n) {
       return with_description(sdp("a=path:" + repeated("msrp://a/x;tcp ", n) + "\r\n"));
     }},
    {"headers in a URI",
     [](std::size_t n) {
       return message(
           header("Refer-To", "<sip:a@b?" + repeated("Route=%3Csip:a%4010.0.0.5:5060%3E&", n) + ">"));
     }},
    {"headers in a URI that are not ours",
     [](std::size_t n) {
       return message(header("Refer-To", "<sip:a@b?" + repeated("Route=%3Csip:a%40b%3E&", n) + ">"));
     }},
    {"a header in a URI",
     [](std::size_t n) {
       return message(header("Refer-To", "<sip:a@b?Route=" + repeated("%3Csip:a%40b%3E,", n) + ">"));
     }},
    {"escapes in a header of a URI",
     [](std::size_t n) {
       return message(header("Refer-To", "<sip:a@b?Replaces=" + repeated("%40", n) + ">"));
     }},
    {"headers in the URIs of a list",
     [](std::size_t n) {
       return message(header("Refer-To", repeated("<sip:a@b?Replaces=x%4010.0.0.5>,", n)));
     }},
    {"agents of Warning",
     [](std::size_t n) { return message(header("Warning", repeated("399 10.0.0.5:5060 \"a\",", n))); }},
    {"agents of Warning that are not ours",
     [](std::size_t n) { return message(header("Warning", repeated("399 a \"b\",", n))); }},
    {"values of Replaces",
     [](std::size_t n) { return message(repeated("Replaces: a@10.0.0.5;to-tag=1;from-tag=2\r\n", n)); }},
    {"parameters of Replaces",
     [](std::size_t n) { return message(header("Replaces", "a@10.0.0.5" + repeated(";a=b", n))); }},
    {"at signs in Replaces", [](std::size_t n) { return message(header("Replaces", repeated("@", n))); }},
    {"values of In-Reply-To",
     [](std::size_t n) { return message(header("In-Reply-To", repeated("a@10.0.0.5,", n))); }},
    {"values of In-Reply-To that are not ours",
     [](std::size_t n) { return message(header("In-Reply-To", repeated("a@b,", n))); }},
    {"tokens that are not ours",
     [](std::size_t n) {
       return message(header("In-Reply-To", repeated("a@0b1f6c2e8a94d7e3.invalid,", n)));
     }},
    {"parameters of Content-Type",
     [](std::size_t n) {
       return message(header("Content-Type", "multipart/mixed" + repeated(";a", n)), "--b\r\n");
     }},
};

// Without what is hidden by policy, and with all of it.
const bool kHides[] = {false, true};

std::uint64_t work_of(Direction direction, const std::string& bytes, bool hides) {
  Policy policy;
  policy.hide_parties = policy.hide_call_id = hides;
  policy.tokens = HostTokens({1, 2, 3, 4});
  test::SipBench bench(policy);
  EditList edits;
  const auto before = work;
  const auto answer = bench.alg.inspect({bytes, direction, bench.flow}, bench.host, edits);
  std::string buffer(bytes);
  buffer.resize(bytes.size() + EditList::kMaxText);
  if (answer.verdict == Verdict::forward) REQUIRE(edits.apply(buffer, bytes.size()).has_value());
  return work - before;
}

}  // namespace

TEST_CASE("sixteen times the bytes are sixteen times the work, whatever the bytes are", "[alg][sip][AC-22]") {
  for (const auto& shape : kShapes) {
    for (const auto direction : {Direction::outbound, Direction::inbound}) {
      for (const bool hides : kHides) {
        DYNAMIC_SECTION(shape.name << (direction == Direction::outbound ? ", out" : ", in")
                                   << (hides ? ", hiding" : "")) {
          const auto small = work_of(direction, shape.make(kSmall), hides);
          const auto large = work_of(direction, shape.make(kSmall * kTimes), hides);
          CAPTURE(small, large);
          CHECK(small > 0);
          CHECK(large <= kMayGrow * small);
        }
      }
    }
  }
}

TEST_CASE("no byte of a message costs more than a few steps", "[alg][sip][AC-22]") {
  std::uint64_t worst = 0;
  for (const auto& shape : kShapes) {
    const auto bytes = shape.make(kSmall * kTimes);
    for (const bool hides : kHides) {
      const auto steps = work_of(Direction::outbound, bytes, hides) / bytes.size();
      INFO(shape.name << (hides ? ", hiding: " : ": ") << steps << " steps a byte");
      CHECK(steps <= 64);
      worst = std::max(worst, steps);
    }
  }
  CHECK(worst > 0);  // that something was counted
}

}  // namespace pinhole::alg::sip
