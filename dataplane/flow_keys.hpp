// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What the mapping of a packet in a burst is found by, once classify() has sorted it.

#include "dataplane/burst.hpp"
#include "nat/inbound_index.hpp"
#include "nat/mapping_table.hpp"
#include "nat/translator.hpp"

namespace pinhole::dataplane {

[[nodiscard]] inline nat::OutboundKey outbound_key(const Burst& burst, unsigned place) noexcept {
  const auto& packet = burst.packets[place];
  return {packet.source, packet.protocol, burst.realms[place]};
}
/// Of a packet that is translated.
[[nodiscard]] inline nat::InboundKey inbound_key(const Burst& burst, unsigned place) noexcept {
  const auto& packet = burst.packets[place];
  return {burst.pool_index[place], packet.destination.port.host(), packet.protocol};
}
/// The mapping that a packet from outside is for, or kNoMapping. Where nothing is translated, the host inside
/// is named by its own endpoint.
[[nodiscard]] inline nat::MappingIndex find_inbound(const Burst& burst, unsigned place,
                                                    const nat::Translator& translator) noexcept {
  const auto& packet = burst.packets[place];
  if (burst.realms[place] == nat::Realm::translated) [[likely]]
    return translator.find_inbound(inbound_key(burst, place));
  return translator.find_outbound({packet.destination, packet.protocol, nat::Realm::untranslated});
}

}  // namespace pinhole::dataplane
