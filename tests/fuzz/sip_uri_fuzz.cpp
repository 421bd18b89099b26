// SPDX-License-Identifier: BSD-3-Clause
// Any text is read as a URI, an address, a Via, a CSeq and parameters within its bounds; a host and port that
// come out are the ones written.
#include "alg/sip/chars.hpp"
#include "alg/sip/uri.hpp"
#include "alg/sip/values.hpp"

#include <cstdint>
#include <cstdlib>
#include <vector>

namespace {

using namespace pinhole::alg::sip;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_within(std::string_view bytes, std::string_view view) {
  if (view.empty()) return;
  require(view.data() >= bytes.data() && view.data() + view.size() <= bytes.data() + bytes.size());
}

void check_host_port(std::string_view bytes, const HostPort& host_port) {
  require(!host_port.host.empty());
  check_within(bytes, host_port.host);
  check_within(bytes, host_port.port);
  require(host_port.port.empty() || port_number(host_port.port).has_value());
  require(host_port.address == pinhole::nat::Ipv4Address::parse(host_port.host));
}

void check_uri(std::string_view bytes, std::string_view text) {
  const auto uri = parse_uri(text);
  check_within(bytes, without_params(text));
  if (!uri) return;
  check_within(bytes, uri->user);
  check_within(bytes, uri->params);
  if (uri->scheme != Scheme::other) check_host_port(bytes, uri->host_port);
}

void check_params(std::string_view bytes, std::string_view params) {
  ParamReader reader(params);
  Param param;
  while (reader.next(param)) {
    check_within(bytes, param.name);
    check_within(bytes, param.value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<char> block(data, data + size);
  const std::string_view bytes{block.data(), block.size()};
  check_uri(bytes, bytes);
  ListReader items(bytes);
  while (const auto item = items.next()) {
    check_within(bytes, *item);
    if (const auto address = parse_name_addr(*item)) {
      check_uri(bytes, address->uri);
      check_params(bytes, address->params);
    }
    if (const auto via = parse_via(*item)) {
      check_host_port(bytes, via->sent_by);
      for (const auto text : {via->received, via->rport, via->maddr}) check_within(bytes, text);
    }
  }
  if (const auto cseq = parse_cseq(bytes)) check_within(bytes, cseq->method);
  return 0;
}
