// SPDX-License-Identifier: BSD-3-Clause
#include "control/nat_log/json_lines.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>

#include <fmt/chrono.h>

namespace pinhole::control {

namespace {

constexpr std::array<std::string_view, 6> kTypes = {"mapping_created", "mapping_freed",   "block_assigned",
                                                    "block_released",  "ports_exhausted", "quota_exceeded"};
static_assert(kTypes.size() == static_cast<std::size_t>(nat::RecordType::quota_exceeded) + 1);

}  // namespace

std::string_view name(nat::RecordType type) noexcept {
  return kTypes[std::min(static_cast<std::size_t>(type), kTypes.size() - 1)];
}

void JsonLines::add(const ipc::NatRecord& from, Time happened) {
  const auto& record = from.record;
  begin(happened, name(record.type));
  const auto append_protocol = [&] {
    append(R"(,"protocol":")");
    append(nat::name(record.protocol));
    append("\"");
  };
  switch (record.type) {
    case nat::RecordType::mapping_created:
    case nat::RecordType::mapping_freed:
      append_protocol();
      append("inside", record.inside);
      append("external", record.external);
      break;
    case nat::RecordType::block_assigned:
    case nat::RecordType::block_released:
      append("inside", record.inside.address);
      append("external", record.external.address);
      append("first_port", record.external.port.host());
      append("last_port", record.last_port);
      break;
    case nat::RecordType::ports_exhausted:
    case nat::RecordType::quota_exceeded:
      append_protocol();
      append("inside", record.inside);
      if (record.external.address.is_unspecified()) {
        append(R"(,"external":null)");
      } else {
        append("external", record.external.address);
      }
      append(R"(,"reason":")");
      append(nat::name(record.reason));
      append("\"");
      break;
  }
  append("worker", from.worker);
  append("sequence", from.sequence);
  append("}\n");
}

void JsonLines::add_lost(Time now, std::uint32_t worker, std::uint64_t count) {
  begin(now, "records_lost");
  append("worker", worker);
  append("count", count);
  append("}\n");
}

void JsonLines::add_attached(Time now, Time started) {
  begin(now, "dataplane_attached");
  append(R"(,"started":")");
  append(started);
  append("\"}\n");
}

void JsonLines::drop(std::size_t bytes) {
  const auto left = text_.size() - bytes;
  std::copy(text_.data() + bytes, text_.data() + text_.size(), text_.data());
  text_.resize(left);
}

void JsonLines::begin(Time time, std::string_view event) {
  append(R"({"time":")");
  append(time);
  append(R"(","event":")");
  append(event);
  append("\"");
}

void JsonLines::append(std::string_view key, std::uint64_t number) {
  append(",\"");
  append(key);
  append("\":");
  const fmt::format_int digits(number);
  append(std::string_view(digits.data(), digits.size()));
}

void JsonLines::append(std::string_view key, nat::Endpoint endpoint) {
  append(",\"");
  append(key);
  append("\":\"");
  append(nat::EndpointText(endpoint).view());
  append("\"");
}

void JsonLines::append(std::string_view key, nat::Ipv4Address address) {
  append(",\"");
  append(key);
  append("\":\"");
  append(nat::EndpointText(address).view());
  append("\"");
}

void JsonLines::append(Time time) {
  const auto since_epoch = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
  const auto whole = std::chrono::floor<std::chrono::seconds>(since_epoch);
  // The calendar costs more than all the rest, and most records share their second with the one before.
  if (whole.count() != second_) {
    second_ = whole.count();
    date_time_.clear();
    fmt::format_to(std::back_inserter(date_time_), "{:%Y-%m-%dT%H:%M:%S}",
                   fmt::gmtime(static_cast<std::time_t>(second_)));
  }
  append(std::string_view(date_time_.data(), date_time_.size()));
  const auto millisecond = static_cast<unsigned>((since_epoch - whole).count());
  const auto digit = [](unsigned value) { return static_cast<char>('0' + value % 10); };
  const std::array<char, 5> fraction = {'.', digit(millisecond / 100), digit(millisecond / 10),
                                        digit(millisecond), 'Z'};
  append(std::string_view(fraction.data(), fraction.size()));
}

}  // namespace pinhole::control
