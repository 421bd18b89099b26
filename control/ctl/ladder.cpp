// SPDX-License-Identifier: BSD-3-Clause
#include "control/ctl/ladder.hpp"

#include "control/ctl/table.hpp"

#include <fmt/format.h>

#include <string_view>

namespace pinhole::control {
namespace {

using Json = nlohmann::ordered_json;

// Columns: the time, then three lanes with a gap on either side of the middle one.
constexpr std::size_t kTimeWidth = 14;
constexpr std::size_t kLeftGap = 32;
constexpr std::size_t kRightGap = 26;
constexpr std::size_t kNameWidth = 24;  // of what stands above a lane

const std::string& text(const Json& row, const char* key) {
  return row.at(key).get_ref<const std::string&>();
}

std::string repeated(std::string_view what, std::size_t times) {
  std::string out;
  for (std::size_t count = 0; count < times; ++count) out += what;
  return out;
}

/// One arrow between two lanes with its label: "── INVITE ───────▶".
std::string arrow(std::string_view label, std::size_t width, bool to_the_right) {
  constexpr std::size_t kFixed = 5;  // two dashes, two spaces and the head
  const auto shown = fit(printable(label), width - kFixed);
  const auto rest = repeated("─", width - kFixed - width_of(shown));
  return to_the_right ? fmt::format("── {} {}▶", shown, rest) : fmt::format("◀{} {} ──", rest, shown);
}

}  // namespace

std::string edits_text(const Json& line) {
  const auto edits = line.at("edits").get<std::uint64_t>();
  if (edits == 0) return "untouched";
  return fmt::format("{} {}", edits, edits == 1 ? "edit" : "edits");
}

namespace {

std::string names(std::string_view inside, std::string_view middle, std::string_view outside) {
  // Each name is centred over its lane; the lanes are kLeftGap and kRightGap apart.
  std::string out(kTimeWidth - kNameWidth / 2, ' ');
  out += centred(printable(inside), kNameWidth);
  out += std::string(kLeftGap + 1 - kNameWidth, ' ');
  out += centred(printable(middle), kNameWidth);
  out += std::string(kRightGap + 1 - kNameWidth, ' ');
  out += centred(printable(outside), kNameWidth);
  out.erase(out.find_last_not_of(' ') + 1);
  return out + '\n';
}

std::string draw(const Json& line, const Json& first) {
  const bool is_outbound = text(line, "direction") == "outbound";
  const auto label = text(line, "start") + (line.at("has_sdp").get<bool>() ? " (SDP)" : "");
  const auto time =
      fmt::format("{:+.3f} s", static_cast<double>(line.at("offset_ms").get<std::int64_t>()) / 1000);
  auto out =
      fmt::format("{:>{}}  │{}│{}│  CSeq {}", time, kTimeWidth - 2, arrow(label, kLeftGap, is_outbound),
                  arrow(edits_text(line), kRightGap, is_outbound), line.at("cseq").get<std::uint64_t>());
  // A call may be carried by more than one pair of endpoints; the ladder names those that are not its own.
  if (line.at("inside") != first.at("inside")) out += ", inside " + text(line, "inside");
  if (line.at("remote") != first.at("remote")) out += ", outside " + text(line, "remote");
  return out + '\n';
}

}  // namespace

std::string explain(const Json& line) {
  if (!line.contains("why")) return {};
  std::string out;
  const auto add = [&out](std::string_view text) {
    out += fmt::format("{:{}}{}\n", "", kTimeWidth + 2, text);
  };
  for (const auto& record : line.at("why")) {
    const auto before = printable(text(record, "before"));
    const auto after = printable(text(record, "after"));
    const auto& kind = text(record, "kind");
    if (kind == "edit") {
      add(fmt::format("{}: {} → {}", text(record, "rule"), before, after));
    } else if (kind == "expected") {
      add(fmt::format("media from {}, RTCP from {}", before, after));
    } else {
      add(fmt::format("pinhole {}: {} ↔ {}", kind, before, after));
    }
  }
  if (const auto lost = line.at("why_lost").get<std::uint64_t>(); lost > 0)
    add(fmt::format("{} {} lost", lost, lost == 1 ? "record" : "records"));
  return out;
}

std::string draw_ladder(const Json& detail) {
  const auto& ladder = detail.at("ladder");
  if (ladder.empty()) return {};
  const auto& first = ladder.front();
  auto out = names("inside", "pinhole", "outside");
  out += names(text(first, "inside"), text(first, "external"), text(first, "remote"));
  if (const auto missing = detail.at("ladder_missing").get<std::uint64_t>(); missing > 0) {
    out += fmt::format("{:>{}}  ({} more that are not kept)\n", "…", kTimeWidth - 2, missing);
  }
  for (const auto& line : ladder) out += draw(line, first) + explain(line);
  return out;
}

}  // namespace pinhole::control
