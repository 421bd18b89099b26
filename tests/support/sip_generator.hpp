// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Random valid SIP messages, and what has to become of them. A message is made as a list of pieces: text that
// must survive, and tokens that name an endpoint of the inside. Rendered by the endpoints themselves it is
// the message as the inside sees it; rendered by their external endpoints it is what the outside has to see.
// That is a model of the gateway which shares no code with it.
//
// Tokens are of 10.0.0.1 to 10.0.0.9, in signalling and media ports that several hosts share. What looks like
// an address and stands where nothing may be replaced is of 10.99.0.0/16.
//
// Not made, since it is not put back exactly (docs/sip-alg.md says why):
// * an endpoint that has its port in one URI (or Via) of a message and not in another one, or that has none
//   and is in no Contact, Record-Route or Path; white space around the colon before a port;
// * an address in o= or of a session's c= that is not that of its media; `maddr` of a Via that is another
// host;
// * descriptions in methods and refusals that carry no offer, or in fragments of messages; streams with
//   several ports;
// * in headers that a URI carries: addresses that are escaped themselves; parties, which are looked up
//   before the message may have made a mapping for them.

#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "nat/endpoint.hpp"

namespace pinhole::test {

/// What a token names.
struct Named {
  nat::Protocol protocol = nat::Protocol::udp;
  nat::Endpoint endpoint;
};

/// The endpoint that stands in the message for one of the inside.
using Rename = std::function<nat::Endpoint(const Named&)>;

/// A message whose endpoints can be renamed.
class Template {
 public:
  void text(std::string_view text) { pieces_.push_back({Kind::text, std::string(text), {}, {}}); }
  void address(Named named) { pieces_.push_back({Kind::address, {}, named, {}}); }
  void port(Named named) { pieces_.push_back({Kind::port, {}, named, {}}); }
  void endpoint(Named named) {
    address(named);
    text(":");
    port(named);
  }
  /// ":" and the port, unless it is the default.
  void port_unless(Named named, std::uint16_t default_port) {
    pieces_.push_back({Kind::optional_port, {}, named, {}, default_port});
  }
  /// The length of another template, as it is rendered.
  void length_of(const Template& body) { pieces_.push_back({Kind::length, {}, {}, {body}}); }
  void append(const Template& other) {
    pieces_.insert(pieces_.end(), other.pieces_.begin(), other.pieces_.end());
  }
  /// The same as the value of a header that a URI carries (RFC 3261 section 25.1): its texts are escaped.
  [[nodiscard]] Template escaped() const;

  [[nodiscard]] std::string render(const Rename& rename) const;
  /// Everything that is named, in order.
  void collect(std::vector<Named>& named) const;

 private:
  enum class Kind : std::uint8_t { text, address, port, optional_port, length };
  struct Piece {
    Kind kind;
    std::string text;
    Named named;
    std::vector<Template> body;      // of `length`: one
    std::uint16_t default_port = 0;  // of `optional_port`
  };
  std::vector<Piece> pieces_;
};

class SipGenerator {
 public:
  explicit SipGenerator(std::uint64_t seed) : random_(seed) {}
  /// Makes its choices by these bytes, two each, and the plainest one when there are no more: for fuzz
  /// targets.
  explicit SipGenerator(std::span<const std::uint8_t> choices) : choices_(choices), chosen_(true) {}

  /// A request or a response of the inside.
  [[nodiscard]] Template message();

 private:
  // Chance.
  [[nodiscard]] std::uint32_t below(std::uint32_t count);
  [[nodiscard]] bool chance(std::uint32_t percent) { return below(100) < percent; }
  [[nodiscard]] std::string pick(std::initializer_list<const char*> choices);
  [[nodiscard]] std::string odd_case(std::string_view text);
  [[nodiscard]] std::string space();       // SWS: none, blanks, or a fold
  [[nodiscard]] std::string some_space();  // LWS: at least one
  [[nodiscard]] std::string token(std::size_t size);
  [[nodiscard]] std::string quoted();
  [[nodiscard]] Named signalling(nat::Protocol protocol);
  // An endpoint is written in one way in all URIs of a message, and in one way in all Vias.
  enum class Place : std::uint8_t { via, own_uri, other_uri };
  void port_of(Template& out, const Named& named, std::uint16_t default_port, Place place);
  [[nodiscard]] Named media(nat::Ipv4Address address);
  [[nodiscard]] nat::Ipv4Address inside_address();

  // Headers.
  void start_line(Template& out);
  void header(Template& out, std::string_view name, const Template& value, std::string_view compact = {});
  void header(Template& out, std::string_view name, std::string_view value, std::string_view compact = {});
  void via_value(Template& out);
  void uri(Template& out, bool bracketed, bool headers, Place place);
  void escaped_headers(Template& out);
  void name_addr(Template& out, Place place, bool headers = true);
  void list_header(std::vector<Template>& headers, std::string_view name, std::string_view compact,
                   std::uint32_t count, const std::function<void(Template&)>& value);
  void identity(std::vector<Template>& headers);
  void decoys(std::vector<Template>& headers);
  void finish(Template& out, std::vector<Template>& headers, const Template& body, std::string_view type);

  // Bodies, in sip_generator_body.cpp.
  struct Stream {
    enum class Kind : std::uint8_t { rtp, udp, tcp, foreign } kind = Kind::rtp;
    bool own_connection = false;
    Named rtp;
    Named rtcp;
  };
  [[nodiscard]] std::vector<Stream> streams(nat::Ipv4Address session_address);
  [[nodiscard]] Template description();
  void section(Template& out, const Stream& stream);
  void msrp_path(Template& out, const Stream& stream);
  void alternatives(Template& out, const Stream& stream);
  void candidates(Template& out, const Named& rtp, const Named& rtcp);
  [[nodiscard]] Template fragment();
  [[nodiscard]] Template multipart(const Template& part, std::string_view part_type, std::string& type);

  void shuffle(std::vector<Template>& list);

  std::mt19937_64 random_;
  // By whether it is in a Via, protocol and endpoint.
  std::map<std::tuple<bool, nat::Protocol, nat::Endpoint>, bool> writes_default_port_;
  std::span<const std::uint8_t> choices_;
  bool chosen_ = false;
  bool request_ = true;
  bool refused_ = false;  // a response of 300 or above
  std::string method_;
  const char* end_ = "\r\n";  // of the lines of a description
};

}  // namespace pinhole::test
