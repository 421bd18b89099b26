// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// From the rows of the model to JSON: the names, units and order of every key that the socket shows. What is
// not known or does not apply is null, so that every row of a list has the same keys.

#include "control/model.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace pinhole::control {

using Json = nlohmann::ordered_json;

/// "2026-01-31T23:59:59.123Z"
[[nodiscard]] std::string utc(Time time);

[[nodiscard]] Json encode(const Status& status);
[[nodiscard]] Json encode(const CaptureRow& row);
/// Of SIP, whose name goes without saying.
[[nodiscard]] Json encode(const AlgRow& row);
[[nodiscard]] Json encode_named(const AlgRow& row);
[[nodiscard]] Json encode(const GatewayRow& row);
[[nodiscard]] Json encode(const WorkerRow& row);
[[nodiscard]] Json encode(const MappingRow& row);
/// \param now for the duration of a call that has not ended
[[nodiscard]] Json encode(const CallRow& row, Time now);
[[nodiscard]] Json encode(const CallDetail& detail, Time now, bool why);
[[nodiscard]] Json encode(const MessageRow& message, bool why);
/// The same in an answer and in a record of a call (docs/operations.md).
[[nodiscard]] Json encode(const MediaRecord& media);
[[nodiscard]] Json encode(const PinholeRow& row);
[[nodiscard]] Json encode(const RegistrationRow& row);
/// \param now for what is left of it
[[nodiscard]] Json encode(const BanRow& row, Time now);
[[nodiscard]] Json encode(const AllowRow& row);
[[nodiscard]] Json encode(const CounterRow& row);
[[nodiscard]] Json encode(const RuleRow& row);
[[nodiscard]] Json encode(const ReloadRow& row);

}  // namespace pinhole::control
