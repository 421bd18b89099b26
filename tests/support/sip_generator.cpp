// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/sip_generator.hpp"

#include <cctype>
#include <iterator>
#include <utility>

namespace pinhole::test {

namespace {

// Where nothing may be replaced.
constexpr const char* kDecoy = "10.99.0.5:5060";

nat::Ipv4Address host(std::uint32_t number) {
  return nat::Ipv4Address::from_host(0x0A000000U + number);
}

}  // namespace

std::uint32_t SipGenerator::below(std::uint32_t count) {
  if (!chosen_) return static_cast<std::uint32_t>(random_() % count);
  if (choices_.size() < 2) return count - 1;
  const auto choice = static_cast<std::uint32_t>(choices_[0] | choices_[1] << 8U);
  choices_ = choices_.subspan(2);
  return choice % count;
}

void SipGenerator::shuffle(std::vector<Template>& list) {
  for (std::size_t left = list.size(); left > 1; --left) {
    std::swap(list[left - 1], list[below(static_cast<std::uint32_t>(left))]);
  }
}

std::string SipGenerator::pick(std::initializer_list<const char*> choices) {
  return *std::next(choices.begin(), below(static_cast<std::uint32_t>(choices.size())));
}

std::string SipGenerator::odd_case(std::string_view text) {
  std::string odd(text);
  if (!chance(40)) return odd;
  for (auto& c : odd) {
    if (chance(50))
      c = static_cast<char>(std::isupper(static_cast<unsigned char>(c)) ? std::tolower(c) : std::toupper(c));
  }
  return odd;
}

std::string SipGenerator::space() {
  if (chance(70)) return {};
  return some_space();
}

std::string SipGenerator::some_space() {
  if (chance(60)) return " ";
  return pick({"\t", "  ", " \t ", "\r\n ", " \r\n\t", "\r\n  \t "});
}

std::string SipGenerator::token(std::size_t size) {
  constexpr std::string_view kCharacters = "abcXYZ0189-.!%*_+`'~";
  std::string text(1, 'k');
  while (text.size() < size) text += kCharacters[below(kCharacters.size())];
  return text;
}

std::string SipGenerator::quoted() {
  std::string text = "\"";
  const auto parts = below(5);
  for (std::uint32_t i = 0; i < parts; ++i) {
    text += pick({"A. Bell", ", ", "<sip:x@10.99.0.5:5060>", "\\\"", "\\\\", ";tag=1", "\xC3\xA9\xE5\xA4\xA7",
                  "=", "?", "10.99.0.5", "SIP/2.0/UDP 10.99.0.7:5060"});
  }
  return text + "\"";
}

nat::Ipv4Address SipGenerator::inside_address() {
  return host(1 + below(9));
}

// Few ports for many hosts, so that hosts share them; within a range of 1000, so that no two external
// endpoints of tests/support/fake_alg_host.hpp fall together.
Named SipGenerator::signalling(nat::Protocol protocol) {
  constexpr std::uint16_t kPorts[] = {5060, 5061, 5062, 5070, 5080, 5999};
  return {protocol, {inside_address(), nat::Be16{kPorts[below(std::size(kPorts))]}}};
}

Named SipGenerator::media(nat::Ipv4Address address) {
  return {nat::Protocol::udp, {address, nat::Be16{static_cast<std::uint16_t>(20000 + 2 * below(400))}}};
}

void SipGenerator::port_of(Template& out, const Named& named, std::uint16_t default_port, Place place) {
  bool writes = true;
  if (named.endpoint.port.host() == default_port) {
    const auto key = std::tuple{place == Place::via, named.protocol, named.endpoint};
    writes = writes_default_port_.insert({key, place == Place::other_uri || chance(60)}).first->second;
  }
  if (writes) {
    out.text(":");
    out.port(named);
  } else {
    out.port_unless(named, default_port);
  }
}

void SipGenerator::header(Template& out, std::string_view name, const Template& value,
                          std::string_view compact) {
  const auto written = !compact.empty() && chance(30) ? compact : name;
  out.text(odd_case(written) + (chance(15) ? pick({" ", "\t", "  "}) : "") + ":" + space());
  out.append(value);
  out.text((chance(10) ? pick({" ", "\t"}) : "") + "\r\n");
}

void SipGenerator::header(Template& out, std::string_view name, std::string_view value,
                          std::string_view compact) {
  Template text;
  text.text(value);
  header(out, name, text, compact);
}

void SipGenerator::via_value(Template& out) {
  const auto transport = pick({"UDP", "UDP", "TCP", "TLS", "SCTP", "WS"});
  const auto protocol = transport == "UDP" ? nat::Protocol::udp : nat::Protocol::tcp;
  out.text(odd_case("SIP") + space() + "/" + space() + "2.0" + space() + "/" + space() + odd_case(transport) +
           some_space());
  const auto named = signalling(protocol);
  const bool ours = chance(70);
  if (ours) {
    out.address(named);
    port_of(out, named, transport == "TLS" ? 5061 : 5060, Place::via);
  } else {
    out.text(pick({"proxy.example.com", "198.51.100.9:5070", "[2001:db8::9:1]", "[2001:db8::9]:5062",
                   "host_1.example"}));
  }
  const auto param = [&](std::string_view text) { out.text(space() + ";" + space() + std::string(text)); };
  const bool received = ours && chance(30);
  if (received) {
    // The one that answers go to need not be the one that was written.
    const auto from = signalling(protocol);
    param(odd_case("received") + "=");
    out.address(from);
    param(odd_case("rport") + "=");
    out.port(from);
  } else if (chance(30)) {
    param("rport");
  } else if (!ours && chance(30)) {
    param("received=198.51.100.77");
  }
  param(odd_case("branch") + space() + "=" + space() + "z9hG4bK" + token(1 + below(12)) +
        (chance(20) ? "10.99.0.5" : ""));
  if (chance(15)) param("ttl=16");
  if (chance(15)) param("maddr=224.0.1.75");
  if (chance(15)) param("keep");
  if (chance(25)) param("x = " + quoted());
}

void SipGenerator::uri(Template& out, bool bracketed, bool headers, Place place) {
  const auto transport = pick({"", "", "udp", "tcp", "tls"});
  const bool secure = bracketed && chance(15);
  out.text(odd_case(secure ? "sips" : "sip") + ":");
  if (chance(80)) {
    out.text(pick({"alice", "+1-555-0100", "a%40b", "a.b_c~d", "1_unusual", "(x)&=+$"}));
    if (bracketed && chance(20)) out.text(pick({";x=10.99.0.5", "?y", "/z", ",w"}));
    if (chance(10)) out.text(":secret");
    out.text("@");
  }
  const bool tcp = secure || (bracketed && (transport == "tcp" || transport == "tls"));
  const auto named = signalling(tcp ? nat::Protocol::tcp : nat::Protocol::udp);
  const std::uint16_t default_port = secure || (bracketed && transport == "tls") ? 5061 : 5060;
  const auto form = below(10);
  if (form < 6) {
    out.address(named);
    port_of(out, named, default_port, place);
  } else if (form < 7 && bracketed) {
    // maddr says where to send: the port of the URI is its port.
    out.text("pbx.example.com");
    port_of(out, named, default_port, place);
    out.text(";maddr=");
    out.address(named);
  } else {
    out.text(pick(
        {"example.com", "pbx.example.com:5080", "[2001:db8::5]:5060", "198.51.100.9", "198.51.100.9:6060"}));
  }
  if (!bracketed) return;
  if (!transport.empty()) out.text(";" + odd_case("transport") + "=" + odd_case(transport));
  if (chance(30)) out.text(pick({";lr", ";ob", ";user=phone", ";x=%2C", ";method=INVITE", ";cause=486"}));
  if (headers && chance(15)) escaped_headers(out);
}

// Of headers in a URI in a header in a URI nobody is told.
void SipGenerator::escaped_headers(Template& out) {
  const std::pair<const char*, Place> kinds[] = {{"Route", Place::other_uri},
                                                 {"Service-Route", Place::other_uri},
                                                 {"Record-Route", Place::own_uri},
                                                 {"Contact", Place::own_uri}};
  const auto count = 1 + below(3);
  for (std::uint32_t i = 0; i < count; ++i) {
    out.text(i == 0 ? "?" : "&");
    if (chance(40)) {
      out.text(pick({"subject=call%20me", "Replaces=k1%4010.99.0.5%3Bto-tag%3D1%3Bfrom-tag%3D2",
                     "Subject=sip%3Ax%4010.99.0.5", "x="}));
      continue;
    }
    const auto& [header_name, place] = kinds[below(std::size(kinds))];
    Template value;
    name_addr(value, place, false);
    out.text(odd_case(header_name) + "=");
    out.append(value.escaped());
  }
}

void SipGenerator::name_addr(Template& out, Place place, bool headers) {
  const bool bracketed = chance(85);
  if (bracketed) {
    if (chance(40)) out.text(chance(50) ? quoted() + space() : token(4) + " " + token(3) + some_space());
    out.text("<");
    uri(out, true, headers, place);
    out.text(">");
  } else {
    uri(out, false, false, place);
  }
  if (chance(30)) out.text(space() + ";" + space() + pick({"q=0.5", "expires=3600", "x", "reg-id=1"}));
  if (chance(15)) out.text(";+sip.instance=" + quoted());
}

void SipGenerator::list_header(std::vector<Template>& headers, std::string_view name,
                               std::string_view compact, std::uint32_t count,
                               const std::function<void(Template&)>& value) {
  Template line;
  bool begun = false;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (begun) line.text(space() + "," + space());
    value(line);
    begun = true;
    if (i + 1 == count || chance(50)) {
      Template whole;
      header(whole, name, line, compact);
      headers.push_back(std::move(whole));
      line = {};
      begun = false;
    }
  }
}

// What a transaction is told apart by; none of it may change.
void SipGenerator::identity(std::vector<Template>& headers) {
  const auto one = [&](std::string_view name, const std::string& value, std::string_view compact = {}) {
    Template line;
    header(line, name, value, compact);
    headers.push_back(std::move(line));
  };
  one("From",
      (chance(50) ? quoted() : "") + "<sip:alice@10.99.0.5:5060>" + space() + ";" + space() + "tag" +
          space() + "=" + space() + token(6),
      "f");
  one("To", "<sip:bob@10.99.0.6>" + (request_ ? "" : ";tag=" + token(5)), "t");
  one("Call-ID", token(10) + "@10.99.0.5", "i");
  one("CSeq", std::to_string(below(1U << 31U)) + some_space() + method_);
}

void SipGenerator::decoys(std::vector<Template>& headers) {
  const std::string sip = std::string("<sip:x@") + kDecoy + ">";
  const std::pair<const char*, std::string> all[] = {
      {"Max-Forwards", std::to_string(below(256))},
      {"Subject", "call " + sip},
      {"User-Agent", std::string("phone/1.0 (") + kDecoy + ")"},
      {"Authorization", std::string("Digest username=\"a\", uri=\"sip:bob@") + kDecoy + "\", response=\"0\""},
      {"X-Via", std::string("SIP/2.0/UDP ") + kDecoy},
      {"Contacts", sip},
      {"Supported", "100rel , replaces,timer"},
      {"Date", "Sat, 13 Nov 2010 23:29:00 GMT"},
      {"Warning", "399 10.99.0.5 " + quoted()},
      {"Replaces", "k1@10.99.0.5;to-tag=1;from-tag=2"},
      {"In-Reply-To", "k2@10.99.0.5 , k3@10.99.0.6"},
      {"UnknownHeaderWithUnusualValue", ";;,,;;,;"},
  };
  for (const auto& [name, value] : all) {
    if (!chance(30)) continue;
    Template line;
    header(line, name, value);
    headers.push_back(std::move(line));
  }
}

void SipGenerator::start_line(Template& out) {
  request_ = chance(60);
  method_ = pick({"INVITE", "INVITE", "ACK", "PRACK", "UPDATE", "BYE", "REGISTER", "OPTIONS", "SUBSCRIBE",
                  "NOTIFY", "REFER", "MESSAGE", "INFO", "PUBLISH", "CANCEL", "NEW-METHOD.1"});
  if (request_) {
    out.text(method_ + " ");
    uri(out, true, false, Place::other_uri);
    out.text(" SIP/2.0\r\n");
  } else {
    refused_ = chance(20);
    const auto status =
        refused_ ? pick({"302 Moved", "486 Busy Here", "603 Decline"})
                 : pick({"100 Trying", "180 Ringing", "183 ", "200 OK", "200 = 2**3 * 5**2 \xD0\xBD"});
    out.text("SIP/2.0 " + status + "\r\n");
  }
}

void SipGenerator::finish(Template& out, std::vector<Template>& headers, const Template& body,
                          std::string_view type) {
  Template line;
  if (!type.empty()) {
    header(line, "Content-Type", type, "c");
    headers.push_back(line);
  }
  if (chance(80)) {
    Template length;
    length.length_of(body);
    line = {};
    header(line, "Content-Length", length, "l");
    headers.push_back(line);
  }
  shuffle(headers);
  for (const auto& each : headers) out.append(each);
  out.text("\r\n");
  out.append(body);
}

Template SipGenerator::message() {
  Template out;
  start_line(out);
  std::vector<Template> headers;
  identity(headers);
  decoys(headers);
  const auto via = [this](Template& line) { via_value(line); };
  const auto own = [this](Template& line) { name_addr(line, Place::own_uri); };
  const auto other = [this](Template& line) { name_addr(line, Place::other_uri); };
  list_header(headers, "Via", "v", 1 + below(4), via);
  list_header(headers, "Contact", "m", below(4), own);
  for (const char* const name : {"Record-Route", "Path"}) {
    if (chance(25)) list_header(headers, name, "", 1 + below(3), own);
  }
  const std::pair<const char*, const char*> others[] = {{"Route", ""},
                                                        {"Service-Route", ""},
                                                        {"Refer-To", "r"},
                                                        {"Referred-By", "b"},
                                                        {"Reply-To", ""},
                                                        {"P-Asserted-Identity", ""},
                                                        {"P-Preferred-Identity", ""},
                                                        {"Remote-Party-ID", ""},
                                                        {"History-Info", ""},
                                                        {"Diversion", ""}};
  for (const auto& [header_name, compact] : others) {
    const bool single = *compact != '\0' || std::string_view(header_name) == "Reply-To";
    if (chance(25)) list_header(headers, header_name, compact, single ? 1 : 1 + below(3), other);
  }
  const bool may_offer =
      !refused_ && (method_ == "INVITE" || method_ == "ACK" || method_ == "PRACK" || method_ == "UPDATE");
  Template body;
  std::string type;
  const bool offers = may_offer && chance(70);
  if (offers || chance(method_ == "NOTIFY" ? 60 : 10)) {
    body = offers ? description() : fragment();
    const auto part_type =
        offers ? "application/sdp" : pick({"message/sipfrag", "message/sipfrag;version=2.0"});
    type = odd_case(part_type);
    if (chance(30)) body = multipart(body, part_type, type);
  } else if (chance(30)) {
    type = "text/plain; charset=utf-8";
    body.text(std::string("see sip:") + kDecoy + "\r\nc=IN IP4 10.99.0.5\r\n\r\n");
  }
  finish(out, headers, body, type);
  return out;
}

}  // namespace pinhole::test
