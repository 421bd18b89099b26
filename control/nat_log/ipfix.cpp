// SPDX-License-Identifier: BSD-3-Clause
#include "control/nat_log/ipfix.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

namespace pinhole::control {

namespace {

using nat::Be16;
using nat::Be32;
using Be64 = nat::BigEndian<std::uint64_t>;

// Source: RFC 7011 section 3.1.
struct MessageHeader {
  Be16 version;
  Be16 length;
  Be32 export_time_s;
  Be32 sequence;
  Be32 domain;
};
static_assert(sizeof(MessageHeader) == 16);

// Source: RFC 7011 section 3.3.2. Also the header of a template: its number and how many fields it has.
struct SetHeader {
  Be16 id;
  Be16 length;
};
static_assert(sizeof(SetHeader) == 4);

constexpr std::uint16_t kVersion = 10;
constexpr std::uint16_t kTemplateSet = 2;

// Source: the registry "IPFIX Information Elements", as RFC 8158 section 4.2 lists them.
struct Field {
  Be16 element;
  Be16 bytes;
};
static_assert(sizeof(Field) == 4);

constexpr Field kProtocolIdentifier{Be16{4}, Be16{1}};
constexpr Field kSourceTransportPort{Be16{7}, Be16{2}};
constexpr Field kSourceIpv4Address{Be16{8}, Be16{4}};
constexpr Field kPostNatSourceIpv4Address{Be16{225}, Be16{4}};
constexpr Field kPostNaptSourceTransportPort{Be16{227}, Be16{2}};
constexpr Field kNatEvent{Be16{230}, Be16{1}};
constexpr Field kObservationTimeMilliseconds{Be16{323}, Be16{8}};
constexpr Field kPortRangeStart{Be16{361}, Be16{2}};
constexpr Field kPortRangeEnd{Be16{362}, Be16{2}};
constexpr Field kNatQuotaExceededEvent{Be16{466}, Be16{4}};
constexpr Field kMaxEntriesPerUser{Be16{473}, Be16{4}};

// Source: RFC 8158 section 4.3.
enum class NatEvent : std::uint8_t {
  nat44_bib_create = 8,
  nat44_bib_delete = 9,
  ports_exhausted = 12,
  quota_exceeded = 13,
  port_block_allocation = 16,
  port_block_deallocation = 17,
};

constexpr std::uint32_t kMaximumEntriesPerUser = 3;  // natQuotaExceededEvent; RFC 8158 section 4.4

template <std::size_t Count>
constexpr std::size_t bytes_of(const std::array<Field, Count>& fields) {
  std::size_t bytes = 0;
  for (const auto& field : fields) bytes += field.bytes.host();
  return bytes;
}

/// A mapping that began or ended (RFC 8158 section 4.6.3).
struct BibData {
  Be64 time_ms;
  NatEvent event = NatEvent::nat44_bib_create;
  nat::Ipv4Address inside;
  nat::Ipv4Address external;
  std::uint8_t protocol = 0;
  Be16 inside_port;
  Be16 external_port;

  static constexpr std::uint16_t kTemplate = 256;
  static constexpr std::array kFields = {kObservationTimeMilliseconds, kNatEvent,
                                         kSourceIpv4Address,           kPostNatSourceIpv4Address,
                                         kProtocolIdentifier,          kSourceTransportPort,
                                         kPostNaptSourceTransportPort};
};
static_assert(sizeof(BibData) == bytes_of(BibData::kFields));

/// A block of ports that was given to a host or taken back (RFC 8158 section 4.6.10).
struct BlockData {
  Be64 time_ms;
  NatEvent event = NatEvent::port_block_allocation;
  nat::Ipv4Address inside;
  nat::Ipv4Address external;
  Be16 first_port;
  Be16 last_port;

  static constexpr std::uint16_t kTemplate = 257;
  static constexpr std::array kFields = {kObservationTimeMilliseconds, kNatEvent,       kSourceIpv4Address,
                                         kPostNatSourceIpv4Address,    kPortRangeStart, kPortRangeEnd};
};
static_assert(sizeof(BlockData) == bytes_of(BlockData::kFields));

/// No port was free for a host (RFC 8158 section 4.6.6, and who it was).
struct PortsExhaustedData {
  Be64 time_ms;
  NatEvent event = NatEvent::ports_exhausted;
  nat::Ipv4Address inside;
  nat::Ipv4Address external;
  std::uint8_t protocol = 0;

  static constexpr std::uint16_t kTemplate = 258;
  static constexpr std::array kFields = {kObservationTimeMilliseconds, kNatEvent, kSourceIpv4Address,
                                         kPostNatSourceIpv4Address, kProtocolIdentifier};
};
static_assert(sizeof(PortsExhaustedData) == bytes_of(PortsExhaustedData::kFields));

/// A host has as many mappings as it may (RFC 8158 section 4.6.7.3).
struct QuotaData {
  Be64 time_ms;
  NatEvent event = NatEvent::quota_exceeded;
  Be32 quota_event;
  Be32 max_entries;
  nat::Ipv4Address inside;

  static constexpr std::uint16_t kTemplate = 259;
  static constexpr std::array kFields = {kObservationTimeMilliseconds, kNatEvent, kNatQuotaExceededEvent,
                                         kMaxEntriesPerUser, kSourceIpv4Address};
};
static_assert(sizeof(QuotaData) == bytes_of(QuotaData::kFields));

std::uint8_t iana_number(nat::Protocol protocol) noexcept {
  constexpr std::array<std::uint8_t, nat::kProtocols> kNumbers = {17, 6, 1};
  return kNumbers[static_cast<std::size_t>(protocol) % kNumbers.size()];
}

template <typename T>
std::byte* put(std::byte* to, const T& value) noexcept {
  static_assert(std::is_trivially_copyable_v<T> && alignof(T) == 1);
  std::memcpy(to, &value, sizeof value);
  return to + sizeof value;
}

template <typename Data>
std::byte* put_template(std::byte* to) noexcept {
  to = put(to, SetHeader{.id = Be16{Data::kTemplate}, .length = Be16{Data::kFields.size()}});
  for (const auto& field : Data::kFields) to = put(to, field);
  return to;
}

template <typename... Data>
constexpr std::size_t templates_bytes() {
  return ((sizeof(SetHeader) + Data::kFields.size() * sizeof(Field)) + ...);
}
constexpr std::size_t kTemplateMessage_bytes =
    sizeof(MessageHeader) + sizeof(SetHeader) +
    templates_bytes<BibData, BlockData, PortsExhaustedData, QuotaData>();
static_assert(kTemplateMessage_bytes <= IpfixExporter::kMaxMessage_bytes);

}  // namespace

IpfixExporter::IpfixExporter(const IpfixOptions& options, Send send, ControlCounters& counters)
    : options_(options), send_(std::move(send)), counters_(counters), sequence_(options.sequence) {
  begin_message();
}

void IpfixExporter::add(const nat::Record& record, Time happened, Moment now) {
  const auto since_epoch = std::chrono::floor<std::chrono::milliseconds>(happened.time_since_epoch());
  const Be64 time_ms{static_cast<std::uint64_t>(since_epoch.count())};
  switch (record.type) {
    case nat::RecordType::mapping_created:
    case nat::RecordType::mapping_freed:
      return append(
          BibData{.time_ms = time_ms,
                  .event = record.type == nat::RecordType::mapping_created ? NatEvent::nat44_bib_create
                                                                           : NatEvent::nat44_bib_delete,
                  .inside = record.inside.address,
                  .external = record.external.address,
                  .protocol = iana_number(record.protocol),
                  .inside_port = record.inside.port,
                  .external_port = record.external.port},
          now);
    case nat::RecordType::block_assigned:
    case nat::RecordType::block_released:
      return append(BlockData{.time_ms = time_ms,
                              .event = record.type == nat::RecordType::block_assigned
                                           ? NatEvent::port_block_allocation
                                           : NatEvent::port_block_deallocation,
                              .inside = record.inside.address,
                              .external = record.external.address,
                              .first_port = record.external.port,
                              .last_port = Be16{record.last_port}},
                    now);
    case nat::RecordType::ports_exhausted:
      return append(PortsExhaustedData{.time_ms = time_ms,
                                       .inside = record.inside.address,
                                       .external = record.external.address,
                                       .protocol = iana_number(record.protocol)},
                    now);
    case nat::RecordType::quota_exceeded: {
      if (record.reason == nat::DropReason::drop_quota_rate) return;
      const auto quota = record.reason == nat::DropReason::drop_block_limit
                             ? options_.ports
                             : options_.quotas[static_cast<std::size_t>(record.protocol)];
      return append(QuotaData{.time_ms = time_ms,
                              .quota_event = Be32{kMaximumEntriesPerUser},
                              .max_entries = Be32{quota},
                              .inside = record.inside.address},
                    now);
    }
  }
}

void IpfixExporter::flush(Moment now) {
  send_templates_when_due(now);
  if (records_ == 0) return;
  end_set();
  const bool sent = send(std::span(message_).first(size_), now);
  counters_.add(sent ? ControlCounter::record_exported : ControlCounter::record_unsent, records_);
  sequence_ += records_;
  begin_message();
}

template <typename Data>
void IpfixExporter::append(const Data& data, Moment now) {
  const auto needs = [&] { return sizeof data + (set_ == Data::kTemplate ? 0 : sizeof(SetHeader)); };
  if (size_ + needs() > message_.size()) flush(now);
  if (set_ != Data::kTemplate) {
    end_set();
    set_ = Data::kTemplate;
    set_begin_ = size_;
    size_ += sizeof(SetHeader);
  }
  put(message_.data() + size_, data);
  size_ += sizeof data;
  ++records_;
}

void IpfixExporter::begin_message() noexcept {
  size_ = sizeof(MessageHeader);
  set_begin_ = 0;
  set_ = 0;
  records_ = 0;
}

void IpfixExporter::end_set() noexcept {
  if (set_begin_ == 0) return;
  put(message_.data() + set_begin_,
      SetHeader{.id = Be16{set_}, .length = Be16{static_cast<std::uint16_t>(size_ - set_begin_)}});
}

/// \param message with room for its header.
bool IpfixExporter::send(std::span<std::byte> message, Moment now) {
  const auto since_epoch = std::chrono::floor<std::chrono::seconds>(now.wall.time_since_epoch());
  put(message.data(), MessageHeader{.version = Be16{kVersion},
                                    .length = Be16{static_cast<std::uint16_t>(message.size())},
                                    .export_time_s = Be32{static_cast<std::uint32_t>(since_epoch.count())},
                                    .sequence = Be32{sequence_},
                                    .domain = Be32{options_.domain}});
  const bool sent = send_(message, now.steady);
  // A collector that refused a message, or could not be reached, may have been started anew meanwhile.
  templates_lost_ |= !sent;
  return sent;
}

void IpfixExporter::send_templates_when_due(Moment now) {
  const Steady::duration every = options_.templates_every;
  const auto wait = templates_lost_ ? std::min<Steady::duration>(kTemplatesAgain, every) : every;
  if (templates_sent_ && now.steady - templates_at_ < wait) return;
  templates_sent_ = true;
  templates_at_ = now.steady;
  templates_lost_ = false;
  std::array<std::byte, kTemplateMessage_bytes> message{};
  auto* end = message.data() + sizeof(MessageHeader);
  end =
      put(end, SetHeader{.id = Be16{kTemplateSet},
                         .length = Be16{static_cast<std::uint16_t>(message.size() - sizeof(MessageHeader))}});
  end = put_template<BibData>(end);
  end = put_template<BlockData>(end);
  end = put_template<PortsExhaustedData>(end);
  put_template<QuotaData>(end);
  send(message, now);
}

}  // namespace pinhole::control
