// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/uri.hpp"

#include <catch2/catch.hpp>

namespace pinhole::alg::sip {

TEST_CASE("a URI is taken apart by its grammar", "[alg][uri]") {
  struct Row {
    const char* text;
    Scheme scheme;
    const char* user;
    const char* host;
    const char* port;
    const char* params;
    bool is_address;
  };
  const Row rows[] = {
      {"sip:10.0.0.5", Scheme::sip, "", "10.0.0.5", "", "", true},
      {"sip:10.0.0.5:5070", Scheme::sip, "", "10.0.0.5", "5070", "", true},
      {"SIP:alice@10.0.0.5", Scheme::sip, "alice", "10.0.0.5", "", "", true},
      {"sips:alice@example.com", Scheme::sips, "alice", "example.com", "", "", false},
      {"sip:alice:secret@10.0.0.5:5062;lr", Scheme::sip, "alice:secret", "10.0.0.5", "5062", "lr", true},
      {"sip:a;day=1?x@10.0.0.5;ob?h=v", Scheme::sip, "a;day=1?x", "10.0.0.5", "", "ob", true},
      {"sip:[2001:db8::1]:5060;lr", Scheme::sip, "", "[2001:db8::1]", "5060", "lr", false},
      {"sip:10.0.0.5?Replaces=a%40b", Scheme::sip, "", "10.0.0.5", "", "", true},
      {"sip:10.0.0.05", Scheme::sip, "", "10.0.0.05", "", "", false},
      {"sip:10.0.0.5.", Scheme::sip, "", "10.0.0.5.", "", "", false},
      {"sip:10.0.0.5x", Scheme::sip, "", "10.0.0.5x", "", "", false},
      {"tel:+15551234;phone-context=x", Scheme::other, "+15551234", "", "", "", false},
      {"urn:service:sos", Scheme::other, "service:sos", "", "", "", false},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.text) {
      const auto uri = parse_uri(row.text);
      REQUIRE(uri.has_value());
      CHECK(uri->scheme == row.scheme);
      CHECK(uri->user == row.user);
      CHECK(uri->host_port.host == row.host);
      CHECK(uri->host_port.port == row.port);
      CHECK(uri->params == row.params);
      CHECK(uri->host_port.address.has_value() == row.is_address);
    }
  }
}

TEST_CASE("what is no URI is not read as one", "[alg][uri]") {
  for (const char* text :
       {"", "sip", ":", ":x", "sip:", "sip:@", "sip:alice@", "sip:10.0.0.5:", "sip:10.0.0.5:x",
        "sip:10.0.0.5:65536", "sip:[2001:db8::1", "sip:10.0.0.5 ;lr", "sip:10.0.0.5/x"}) {
    DYNAMIC_SECTION("\"" << text << "\"") {
      CHECK_FALSE(parse_uri(text).has_value());
    }
  }
}

TEST_CASE("an absent port means the default of scheme and transport", "[alg][uri][AC-10]") {
  struct Row {
    const char* text;
    std::uint16_t port;
    nat::Protocol protocol;
  };
  const Row rows[] = {
      {"sip:10.0.0.5", 5060, nat::Protocol::udp},
      {"sip:10.0.0.5:5080", 5080, nat::Protocol::udp},
      {"sip:10.0.0.5;transport=UDP", 5060, nat::Protocol::udp},
      {"sip:10.0.0.5;transport=tcp", 5060, nat::Protocol::tcp},
      {"sip:10.0.0.5;lr;Transport=TLS", 5061, nat::Protocol::tcp},
      {"sips:10.0.0.5", 5061, nat::Protocol::tcp},
      {"sips:10.0.0.5:5060", 5060, nat::Protocol::tcp},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.text) {
      const auto uri = parse_uri(row.text);
      REQUIRE(uri.has_value());
      CHECK(uri->host_port.port_or(uri->default_port) == row.port);
      CHECK(uri->protocol == row.protocol);
    }
  }
}

TEST_CASE("an address of record is a URI without parameters", "[alg][uri]") {
  CHECK(without_params("sip:alice@example.com;user=phone") == "sip:alice@example.com");
  CHECK(without_params("sip:a;b@example.com:5070?x=y") == "sip:a;b@example.com:5070");
  CHECK(without_params("tel:+1555;ext=2") == "tel:+1555");
  CHECK(without_params("nonsense") == "nonsense");
  CHECK(without_params("SIPS:a?b@c@d;e@f?g") == "SIPS:a?b@c@d");
}

}  // namespace pinhole::alg::sip
