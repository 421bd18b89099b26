// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cctype>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/sip_generator.hpp"

namespace pinhole::test {

std::string Template::render(const Rename& rename) const {
  std::string text;
  for (const auto& piece : pieces_) {
    switch (piece.kind) {
      case Kind::text:
        text += piece.text;
        break;
      case Kind::address:
        text += nat::EndpointText(rename(piece.named).address).view();
        break;
      case Kind::port:
        text += std::to_string(rename(piece.named).port.host());
        break;
      case Kind::optional_port:
        if (const auto port = rename(piece.named).port.host(); port != piece.default_port)
          text.append(":").append(std::to_string(port));
        break;
      case Kind::length:
        text += std::to_string(piece.body.front().render(rename).size());
        break;
    }
  }
  return text;
}

// Unreserved characters and those of hnv-unreserved that need no escape (RFC 3261 section 25.1).
Template Template::escaped() const {
  constexpr std::string_view kPlain = "-_.!~*'()[]/?:+$";
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  Template result = *this;
  for (auto& piece : result.pieces_) {
    std::string text;
    for (const char c : piece.text) {
      const auto byte = static_cast<unsigned char>(c);
      if (std::isalnum(byte) != 0 || kPlain.find(c) != std::string_view::npos) {
        text += c;
      } else {
        text.append({'%', kDigits[byte >> 4U], kDigits[byte & 15U]});
      }
    }
    piece.text = std::move(text);
  }
  return result;
}

void Template::collect(std::vector<Named>& named) const {
  for (const auto& piece : pieces_) {
    if (piece.kind != Kind::text && piece.kind != Kind::length) named.push_back(piece.named);
  }
}

namespace {

nat::Endpoint next_port(nat::Endpoint endpoint) {
  endpoint.port = nat::Be16{static_cast<std::uint16_t>(endpoint.port.host() + 1)};
  return endpoint;
}

}  // namespace

std::vector<SipGenerator::Stream> SipGenerator::streams(nat::Ipv4Address session_address) {
  std::vector<Stream> list(1 + below(4));
  for (auto& stream : list) {
    const auto form = below(10);
    stream.kind = form < 6   ? Stream::Kind::rtp
                  : form < 7 ? Stream::Kind::udp
                  : form < 8 ? Stream::Kind::tcp
                             : Stream::Kind::foreign;
    stream.own_connection = chance(40);
    stream.rtp = media(stream.own_connection ? inside_address() : session_address);
    if (stream.kind == Stream::Kind::tcp) stream.rtp.protocol = nat::Protocol::tcp;
    stream.rtcp = {nat::Protocol::udp, next_port(stream.rtp.endpoint)};
  }
  return list;
}

Template SipGenerator::description() {
  end_ = chance(85) ? "\r\n" : "\n";
  const auto session_address = inside_address();
  const auto list = streams(session_address);
  // What o= and the session's c= are put back by.
  const auto ours = std::find_if(list.begin(), list.end(),
                                 [](const Stream& stream) { return stream.kind != Stream::Kind::foreign; });
  const auto shared = std::find_if(list.begin(), list.end(), [](const Stream& stream) {
    return stream.kind != Stream::Kind::foreign && !stream.own_connection;
  });
  Template out;
  const auto line = [&](std::string_view text) { out.text(std::string(text) + end_); };
  line("v=0");
  out.text("o=" + pick({"-", "alice", "10.99.0.5"}) + " " + std::to_string(below(1U << 31U)) + " 1 IN IP4 ");
  if (ours != list.end() && chance(70)) {
    out.address(ours->rtp);
  } else {
    out.text("pc.example.com");
  }
  line("");
  line("s=" + pick({"-", " ", "call of 10.99.0.5", "c=IN IP4 10.99.0.5"}));
  if (chance(20)) line("i=m=audio 20000 RTP/AVP 0 at 10.99.0.5");
  if (shared != list.end()) {
    out.text("c=IN IP4 ");
    out.address(shared->rtp);
    line("");
  }
  if (chance(20)) line("b=AS:64");
  line("t=0 0");
  if (chance(30))
    line("a=" + pick({"ice-lite", "group:BUNDLE 1 2", "x-note:10.99.0.5 20000",
                      "tool:candidate:1 1 UDP 1 10.99.0.5 1"}));
  for (const auto& stream : list) section(out, stream);
  if (chance(15)) line("m=video 0 RTP/AVP 31");
  return out;
}

void SipGenerator::section(Template& out, const Stream& stream) {
  const auto line = [&](std::string_view text) { out.text(std::string(text) + end_); };
  if (stream.kind == Stream::Kind::foreign) {
    line("m=audio 20000 RTP/AVP 0");
    const auto connection = pick(
        {"c=IN IP4 198.51.100.9", "c=IN IP6 2001:db8::5", "c=IN IP4 media.example.com", "c=IN IP4 0.0.0.0"});
    line(connection);
    // Who prefers IPv6 has his only IPv4 endpoint there.
    if (connection.find("IP6") != std::string::npos && chance(60)) alternatives(out, stream);
    if (chance(30)) line("a=candidate:1 1 UDP 2130706431 198.51.100.9 20000 typ host");
    return;
  }
  out.text("m=" + (stream.kind == Stream::Kind::rtp ? pick({"audio ", "video ", "text "})
                                                    : pick({"image ", "application "})));
  out.port(stream.rtp);
  bool is_msrp = false;
  switch (stream.kind) {
    case Stream::Kind::rtp:
      line(pick({" RTP/AVP 0 8", " RTP/SAVP 0", " RTP/AVPF 96", " UDP/TLS/RTP/SAVPF 111"}));
      break;
    case Stream::Kind::udp:
      line(pick({" udptl t38", " UDP/BFCP *", " udp wb"}));
      break;
    default:
      is_msrp = chance(50);
      line(is_msrp ? " TCP/MSRP *" : pick({" TCP t38", " TCP/BFCP *"}));
  }
  if (chance(20)) line("i=c=IN IP4 10.99.0.5");
  if (stream.own_connection) {
    out.text("c=IN IP4 ");
    out.address(stream.rtp);
    line("");
  }
  std::vector<std::string> attributes{
      "a=sendrecv",
      "a=rtpmap:0 PCMU/8000",
      "a=x-note:10.99.0.5 20000",
      "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7",
      "a=ptime:20",
      "a=fingerprint:sha-256 4A:AD:B9:B1",
      "a=mid:1",
      "k=clear:10.99.0.5"};
  for (const auto& attribute : attributes) {
    if (chance(25)) line(attribute);
  }
  if (stream.kind == Stream::Kind::tcp && chance(50))
    line(pick({"a=setup:active", "a=setup:passive", "a=setup:actpass"}));
  if (is_msrp) msrp_path(out, stream);
  if (chance(20)) alternatives(out, stream);
  if (stream.kind != Stream::Kind::rtp) return;
  auto rtcp = stream.rtcp;
  if (chance(30)) {
    rtcp.endpoint.port = nat::Be16{static_cast<std::uint16_t>(20801 + 2 * below(90))};
    const bool addressed = chance(50);
    if (addressed && chance(50)) rtcp.endpoint.address = inside_address();
    out.text("a=rtcp:");
    out.port(rtcp);
    if (addressed) {
      out.text(" IN IP4 ");
      out.address(rtcp);
    }
    line("");
  }
  if (chance(30)) candidates(out, stream.rtp, rtcp);
}

// Where the first URI has the endpoint of the stream, or is one that both sides take for a name (RFC 6714).
void SipGenerator::msrp_path(Template& out, const Stream& stream) {
  const auto line = [&](std::string_view text) { out.text(std::string(text) + end_); };
  if (chance(20)) {
    line("a=path:msrp://10.99.0.5:20000/s8723;tcp");
    line("a=msrp-cema");
    return;
  }
  const auto uri = [&](const Named& named) {
    out.text(odd_case("msrp") + "://" + pick({"", "", "alice@"}));
    out.endpoint(named);
    out.text("/");
    out.text(token(4) + ";tcp");
  };
  out.text("a=path:");
  if (chance(20)) out.text("msrp://relay.example.com:2855/r;tcp ");
  uri(stream.rtp);
  if (chance(20)) {
    out.text(" ");
    auto other = media(inside_address());
    other.protocol = nat::Protocol::tcp;
    uri(other);
  }
  line("");
}

// Of IPv6 and of IPv4, the endpoint of the stream or another one, with a port of RTCP or without (RFC 6947).
void SipGenerator::alternatives(Template& out, const Stream& stream) {
  if (chance(50)) out.text(std::string("a=altc:1 IP6 2001:db8::5 20000") + end_);
  auto rtp = stream.rtp;
  if (stream.kind == Stream::Kind::foreign || chance(40)) rtp.endpoint = media(inside_address()).endpoint;
  out.text("a=altc:2 IP4 ");
  out.address(rtp);
  out.text(" ");
  out.port(rtp);
  if (stream.kind == Stream::Kind::rtp && chance(30)) {
    out.text("/");
    out.port({rtp.protocol, next_port(rtp.endpoint)});
  }
  out.text(end_);
}

void SipGenerator::candidates(Template& out, const Named& rtp, const Named& rtcp) {
  const auto candidate = [&](std::string_view head, const Named& named, std::string_view tail) {
    out.text("a=candidate:" + std::string(head) + " ");
    out.address(named);
    out.text(" ");
    out.port(named);
    out.text(std::string(tail) + end_);
  };
  candidate("1 1 UDP 2130706431", rtp, " typ host");
  candidate("1 2 UDP 2130706430", rtcp, " typ host generation 0");
  if (chance(40)) candidate("2 1 udp 2130706175", media(inside_address()), " typ host");
  if (chance(30)) {
    auto tcp = media(inside_address());
    tcp.protocol = nat::Protocol::tcp;
    candidate("3 1 TCP 1518280447", tcp, " typ host tcptype passive");
  }
  if (chance(40)) {
    out.text("a=candidate:4 1 UDP 1694498815 198.51.100.77 61000 typ srflx raddr ");
    out.address(rtp);
    out.text(" rport ");
    out.port(rtp);
    out.text(end_);
  }
  if (chance(30)) out.text(std::string("a=candidate:5 1 UDP 2113939711 2001:db8::5 20000 typ host") + end_);
  if (chance(30))
    out.text(std::string("a=candidate:6 1 UDP 2113937151 9b36eaac-bb2e.local 20000 typ host") + end_);
  if (chance(30)) {
    out.text(std::string("a=candidate:7 1 UDP 16777215 198.51.100.78 61002 typ relay raddr 0.0.0.0 rport 0") +
             end_);
  }
  if (chance(30)) out.text(std::string("a=end-of-candidates") + end_);
}

// What a NOTIFY tells of the message that a REFER has led to (RFC 3420): all of it is repeated.
Template SipGenerator::fragment() {
  Template out;
  if (chance(70)) {
    out.text(pick({"SIP/2.0 100 Trying\r\n", "SIP/2.0 200 OK\r\n", "SIP/2.0 603 Decline\r\n"}));
  } else {
    out.text("INVITE ");
    uri(out, true, false, Place::other_uri);
    out.text(" SIP/2.0\r\n");
  }
  std::vector<Template> headers;
  const auto via = [this](Template& line) { via_value(line); };
  const auto own = [this](Template& line) { name_addr(line, Place::own_uri); };
  const auto other = [this](Template& line) { name_addr(line, Place::other_uri); };
  if (chance(40)) list_header(headers, "Via", "v", 1 + below(2), via);
  if (chance(40)) list_header(headers, "Contact", "m", 1 + below(2), own);
  for (const char* const name : {"Route", "P-Asserted-Identity"}) {
    if (chance(25)) list_header(headers, name, "", 1, other);
  }
  shuffle(headers);
  for (const auto& each : headers) out.append(each);
  if (chance(50)) out.text("\r\n");
  return out;
}

Template SipGenerator::multipart(const Template& part, std::string_view part_type, std::string& type) {
  const std::string boundary = pick({"boundary42", "7a9cbec02ceef655", "'()+_,-./:=?", "a b"});
  const bool quote = boundary.find_first_of(" ()/:=?,") != std::string::npos || chance(30);
  type = odd_case("multipart/" + pick({"mixed", "alternative", "related"})) + space() + ";" + space() +
         odd_case("boundary") + "=" + (quote ? "\"" + boundary + "\"" : boundary);
  Template out;
  const auto delimiter = [&] { out.text("--" + boundary + (chance(10) ? " \t" : "") + "\r\n"); };
  const auto plain = [&] {
    delimiter();
    out.text("Content-Type: text/plain\r\n\r\nc=IN IP4 10.99.0.5\r\nm=audio 20000 RTP/AVP 0\r\n");
  };
  if (chance(20)) out.text("preamble of 10.99.0.5\r\n");
  if (chance(40)) plain();
  delimiter();
  std::vector<Template> headers;
  const auto one = [&](std::string_view name, std::string_view value, std::string_view compact = {}) {
    Template line;
    header(line, name, value, compact);
    headers.push_back(std::move(line));
  };
  one("Content-Type", part_type, "c");
  if (chance(40)) one("Content-Disposition", "session;handling=optional");
  if (chance(40)) {
    Template length;
    Template line;
    length.length_of(part);
    header(line, "Content-Length", length);
    headers.push_back(std::move(line));
  }
  shuffle(headers);
  for (const auto& each : headers) out.append(each);
  out.text("\r\n");
  out.append(part);
  out.text("\r\n");
  if (chance(40)) plain();
  out.text("--" + boundary + "--\r\n");
  if (chance(20)) out.text("epilogue of 10.99.0.5\r\n");
  return out;
}

}  // namespace pinhole::test
