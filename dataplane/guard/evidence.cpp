// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/guard/evidence.hpp"

#include <algorithm>

#include "alg/sip/chars.hpp"
#include "alg/sip/scan.hpp"
#include "alg/sip/uri.hpp"
#include "alg/sip/values.hpp"

namespace pinhole::dataplane {

namespace {

namespace sip = alg::sip;

/// A server may read any of them.
std::string_view* place_of_agent(Evidence& evidence) noexcept {
  for (auto& place : evidence.user_agents) {
    if (place.empty()) return &place;
  }
  evidence.too_many_agents = true;
  return nullptr;
}

std::string_view* place_of(std::string_view name, Evidence& evidence) noexcept {
  if (sip::equals(name, "user-agent")) return place_of_agent(evidence);
  if (sip::equals(name, "authorization") || sip::equals(name, "proxy-authorization")) {
    return &evidence.credentials;
  }
  if (sip::equals(name, "www-authenticate") || sip::equals(name, "proxy-authenticate")) {
    return &evidence.challenge;
  }
  return nullptr;
}

}  // namespace

Evidence read_evidence(std::string_view message) noexcept {
  Evidence evidence;
  auto end = sip::find_mark<'\n'>(message);  // of the start line
  while (end < message.size()) {
    const auto begin = end + 1;
    end = sip::find_mark<'\n'>(message, begin);
    const auto line = sip::slice(message, begin, end);
    if (sip::trim(line).empty()) break;
    // Most names are told apart by their first letter.
    const char first = sip::lower(line.front());
    if (first != 'u' && first != 'a' && first != 'p' && first != 'w') continue;
    const auto colon = std::min(line.find(':'), line.size());
    auto* const place = place_of(sip::trim(sip::slice(line, 0, colon)), evidence);
    if (place != nullptr && place->empty())
      *place = sip::trim(sip::slice(line, std::min(colon + 1, line.size())));
  }
  return evidence;
}

std::string_view digest_param(std::string_view value, std::string_view lower_case_name) noexcept {
  const auto scheme_end = sip::skip_to(value, 0, sip::chars::kBlank);
  sip::ListReader params(sip::slice(value, scheme_end));
  while (const auto param = params.next()) {
    const auto mark = param->find('=');
    if (mark == std::string_view::npos) continue;
    if (!sip::equals(sip::trim(sip::slice(*param, 0, mark)), lower_case_name)) continue;
    auto text = sip::trim(sip::slice(*param, mark + 1));
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"')
      text = sip::slice(text, 1, text.size() - 1);
    return text;
  }
  return {};
}

std::uint64_t AnyCase::bit_of(char first, char second) noexcept {
  const auto mixed = static_cast<unsigned char>(first) * 7U + static_cast<unsigned char>(second);
  return std::uint64_t{1} << (mixed % 64);
}

AnyCase::AnyCase(std::string_view text) noexcept : size_(std::min(text.size(), kMostBytes)) {
  for (std::size_t i = 0; i < size_; ++i) {
    lower_[i] = sip::lower(text[i]);
    if (i > 0) pairs_ |= bit_of(lower_[i - 1], lower_[i]);
  }
}

bool AnyCase::contains(std::string_view part) const noexcept {
  const auto size = part.size();
  if (size == 0) return true;
  if (size > size_) return false;
  const auto lower_at = [&](std::size_t i) noexcept { return sip::lower(part[i]); };
  if (size > 1 && ((pairs_ & bit_of(lower_at(0), lower_at(1))) == 0 ||
                   (pairs_ & bit_of(lower_at(size - 2), lower_at(size - 1))) == 0)) {
    return false;
  }
  const std::string_view text(lower_.data(), size_);
  const auto found = std::search(text.begin(), text.end(), part.begin(), part.end(),
                                 [](char a, char b) noexcept { return a == sip::lower(b); });
  return found != text.end();
}

std::string_view subscriber_of(std::string_view uri) noexcept {
  if (uri.starts_with("sip:")) [[likely]]
    return sip::without_tail(sip::slice(uri, 4));
  const auto bare = sip::without_params(uri);
  const auto colon = bare.find(':');
  return colon == std::string_view::npos ? bare : sip::slice(bare, colon + 1);
}

}  // namespace pinhole::dataplane
