// SPDX-License-Identifier: BSD-3-Clause
// Any text is read as a session description within its bounds, and rewriting it keeps the promises of edits:
// the same again gives the same, what is opened may be opened, and no inside address is left where a
// description says where to send. Bit 0 of the first byte chooses the direction, bits 1 and 2 the purpose,
// bit 3 the policy for local media.
#include "alg/sip/sdp_rewrite.hpp"
#include "tests/support/fake_alg_host.hpp"
#include "tests/support/sip_invariants.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace {

using namespace pinhole;
using alg::sip::SdpPurpose;

struct Rewritten {
  alg::sip::Outcome outcome;
  std::string text;
};

Rewritten rewrite(const alg::Message& message, SdpPurpose purpose, const alg::sip::Policy& policy,
                  test::FakeAlgHost& host) {
  static alg::sip::Unescaped unescaped;  // of headers in URIs, which a description has not
  alg::EditList edits;
  alg::sip::Translator translator(message, host, edits, policy, unescaped);
  const auto before = host.opened.size();
  const auto opened = alg::sip::rewrite_sdp(message.bytes, purpose, translator);
  test::require(opened <= host.opened.size() - before);
  if (translator.outcome() != alg::sip::Outcome::fine) return {translator.outcome(), {}};
  return {translator.outcome(), test::checked_apply(message.bytes, edits)};
}

void require_nothing_left(std::string_view text, const test::FakeAlgHost& host) {
  alg::sip::SessionDescription description;
  if (!alg::sip::parse_sdp(text, description)) return;  // a line that was added may be one too many
  for (const auto& note : description.notes) {
    std::optional<alg::sip::SdpAddress> address;
    if (note.kind == alg::sip::SdpNote::Kind::origin) address = alg::sip::parse_origin(note.value);
    if (note.kind == alg::sip::SdpNote::Kind::connection) address = alg::sip::parse_connection(note.value);
    if (note.kind == alg::sip::SdpNote::Kind::source_filter)
      address = alg::sip::parse_filter_destination(note.value);
    if (note.kind == alg::sip::SdpNote::Kind::alternative) {
      if (const auto alternative = alg::sip::parse_alternative(note.value)) address = alternative->address;
    }
    test::require(!address || !host.is_inside(address->value));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::vector<char> block(data + 1, data + size);
  alg::Message message;
  message.bytes = {block.data(), block.size()};
  message.direction = (data[0] & 1U) != 0 ? alg::Direction::inbound : alg::Direction::outbound;
  message.flow.inside = {nat::Ipv4Address::from_host(0x0A000005), nat::Be16{5060}};
  message.flow.external = {nat::Ipv4Address::from_host(0xCB00710A), nat::Be16{10060}};
  auto purpose = SdpPurpose::session;
  if ((data[0] & 2U) != 0) purpose = SdpPurpose::information;
  if ((data[0] & 4U) != 0) purpose = SdpPurpose::trickle;
  alg::sip::Policy policy;
  if ((data[0] & 8U) != 0) policy.local_media = alg::sip::LocalMedia::direct;

  test::FakeAlgHost host;
  const auto first = rewrite(message, purpose, policy, host);
  for (const auto& request : host.opened) {
    test::require(request.rtp.port.host() >= alg::sip::kFirstMediaPort);
    test::require(request.rtcp.port.host() >= alg::sip::kFirstMediaPort);
    test::require(host.is_inside(request.rtp.address) && host.is_inside(request.rtcp.address));
  }
  if (message.direction == alg::Direction::inbound) test::require(host.opened.empty());
  const auto again = rewrite(message, purpose, policy, host);
  test::require(again.outcome == first.outcome && again.text == first.text);
  if (first.outcome == alg::sip::Outcome::fine && message.direction == alg::Direction::outbound)
    require_nothing_left(first.text, host);
  return 0;
}
