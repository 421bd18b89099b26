// SPDX-License-Identifier: BSD-3-Clause
// Any text is read as a session description within its bounds, and rewriting it keeps the promises of edits.
// Bit 0 of the first byte chooses the direction, bit 1 the purpose.
#include "alg/sip/sdp_rewrite.hpp"
#include "tests/support/fake_alg_host.hpp"
#include "tests/support/sip_invariants.hpp"

#include <cstdint>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pinhole;
  if (size == 0) return 0;
  const std::vector<char> block(data + 1, data + size);
  const std::string_view text{block.data(), block.size()};
  alg::Message message;
  message.bytes = text;
  message.direction = (data[0] & 1U) != 0 ? alg::Direction::inbound : alg::Direction::outbound;
  message.flow.inside = {nat::Ipv4Address::from_host(0x0A000005), nat::Be16{5060}};
  message.flow.external = {nat::Ipv4Address::from_host(0xCB00710A), nat::Be16{10060}};
  const auto purpose =
      (data[0] & 2U) != 0 ? alg::sip::SdpPurpose::information : alg::sip::SdpPurpose::session;
  test::FakeAlgHost host;
  alg::EditList edits;
  const alg::sip::Policy policy;
  alg::sip::Translator translator(message, host, edits, policy);
  const auto opened = alg::sip::rewrite_sdp(text, purpose, translator);
  test::require(opened == host.opened.size());
  for (const auto& request : host.opened) {
    test::require(request.rtp.port.host() >= alg::sip::kFirstMediaPort);
    test::require(request.rtcp.port.host() >= alg::sip::kFirstMediaPort);
    test::require(host.is_inside(request.rtp.address) && host.is_inside(request.rtcp.address));
  }
  if (translator.outcome() == alg::sip::Outcome::fine) test::checked_apply(text, edits);
  return 0;
}
