// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/message.hpp"

#include <algorithm>
#include <iterator>

#include "alg/sip/chars.hpp"
#include "alg/sip/uri.hpp"
#include "alg/sip/values.hpp"

namespace pinhole::alg::sip {

namespace {

struct HeaderName {
  std::string_view name;  // lower case
  HeaderId id;
};

constexpr HeaderName kHeaderNames[] = {
    {"via", HeaderId::via},
    {"from", HeaderId::from},
    {"to", HeaderId::to},
    {"call-id", HeaderId::call_id},
    {"cseq", HeaderId::cseq},
    {"contact", HeaderId::contact},
    {"record-route", HeaderId::record_route},
    {"route", HeaderId::route},
    {"path", HeaderId::path},
    {"service-route", HeaderId::service_route},
    {"refer-to", HeaderId::refer_to},
    {"referred-by", HeaderId::referred_by},
    {"reply-to", HeaderId::reply_to},
    {"p-asserted-identity", HeaderId::p_asserted_identity},
    {"p-preferred-identity", HeaderId::p_preferred_identity},
    {"remote-party-id", HeaderId::remote_party_id},
    {"diversion", HeaderId::diversion},
    {"expires", HeaderId::expires},
    {"session-expires", HeaderId::session_expires},
    {"content-type", HeaderId::content_type},
    {"content-encoding", HeaderId::content_encoding},
    {"content-length", HeaderId::content_length},
};

constexpr HeaderName kCompactNames[] = {
    {"v", HeaderId::via},
    {"f", HeaderId::from},
    {"t", HeaderId::to},
    {"i", HeaderId::call_id},
    {"m", HeaderId::contact},
    {"r", HeaderId::refer_to},
    {"b", HeaderId::referred_by},
    {"c", HeaderId::content_type},
    {"e", HeaderId::content_encoding},
    {"x", HeaderId::session_expires},
    {"l", HeaderId::content_length},
};

struct MethodName {
  std::string_view name;
  Method method;
};

constexpr MethodName kMethodNames[] = {
    {"INVITE", Method::invite},
    {"ACK", Method::ack},
    {"BYE", Method::bye},
    {"CANCEL", Method::cancel},
    {"REGISTER", Method::register_},
    {"OPTIONS", Method::options},
    {"PRACK", Method::prack},
    {"UPDATE", Method::update},
    {"INFO", Method::info},
    {"SUBSCRIBE", Method::subscribe},
    {"NOTIFY", Method::notify},
    {"REFER", Method::refer},
    {"MESSAGE", Method::message},
    {"PUBLISH", Method::publish},
};

// Methods are case-sensitive (RFC 3261 section 7.1).
Method method_of(std::string_view text) noexcept {
  for (const auto& entry : kMethodNames) {
    if (entry.name == text) return entry.method;
  }
  return Method::other;
}

constexpr std::uint32_t bit(HeaderId id) noexcept {
  return 1U << static_cast<unsigned>(id);
}

// What names a transaction and its dialog may stand once only, or two readers could take two for the
// message's own.
constexpr std::uint32_t kSingle = bit(HeaderId::from) | bit(HeaderId::to) | bit(HeaderId::call_id) |
                                  bit(HeaderId::cseq) | bit(HeaderId::content_length);
constexpr std::uint32_t kMandatory = bit(HeaderId::via) | bit(HeaderId::from) | bit(HeaderId::to) |
                                     bit(HeaderId::call_id) | bit(HeaderId::cseq);

constexpr std::size_t kStunHeaderSize = 20;
constexpr std::string_view kStunCookie = "\x21\x12\xA4\x42";  // RFC 8489 section 5

bool is_keepalive(std::string_view bytes) noexcept {
  if (bytes.size() >= kStunHeaderSize && static_cast<unsigned char>(bytes[0]) < 4 &&
      slice(bytes, 4, 8) == kStunCookie) {
    return true;
  }
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return is(c, chars::kSpace) || c == '\0'; });
}

// "1800;refresher=uac"
std::uint32_t seconds_of(std::string_view value) noexcept {
  return number(trim(slice(value, 0, std::min(value.find(';'), value.size())))).value_or(0);
}

// "SIP/2.0", any version: an answer to an unknown one is the endpoints' matter.
bool is_sip_version(std::string_view text) noexcept {
  if (text.size() < 7 || !equals(slice(text, 0, 4), "sip/")) return false;
  const auto dot = skip(text, 4, chars::kDigit);
  return dot > 4 && dot + 1 < text.size() && text[dot] == '.' &&
         skip(text, dot + 1, chars::kDigit) == text.size();
}

std::string_view tag_of(std::string_view value) noexcept {
  const auto address = parse_name_addr(value);
  if (!address) return {};
  const auto tag = find_param(address->params, "tag");
  return tag ? tag->value : std::string_view{};
}

std::string_view address_of(std::string_view value) noexcept {
  const auto address = parse_name_addr(value);
  return address ? without_params(address->uri) : std::string_view{};
}

}  // namespace

HeaderId header_id(std::string_view name) noexcept {
  const auto find = [name](const auto& names) {
    for (const auto& entry : names) {
      if (equals(name, entry.name)) return entry.id;
    }
    return HeaderId::other;
  };
  return name.size() == 1 ? find(kCompactNames) : find(kHeaderNames);
}

bool HeaderReader::next(Header& header) noexcept {
  if (terminated_ || offset_ == text_.size()) return false;
  const auto begin = offset_;
  auto end = text_.find('\n', begin);
  if (end == std::string_view::npos) {
    offset_ = text_.size();
    return false;
  }
  offset_ = end + 1;
  if (end == begin || (end == begin + 1 && text_[begin] == '\r')) {
    terminated_ = true;
    return false;
  }
  while (offset_ < text_.size() && is(text_[offset_], chars::kBlank)) {
    end = text_.find('\n', offset_);
    if (end == std::string_view::npos) {
      offset_ = text_.size();
      return false;
    }
    offset_ = end + 1;
  }
  const auto line = slice(text_, begin, end);
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) {
    header = {HeaderId::other, trim(line)};
  } else {
    header = {header_id(trim(slice(line, 0, colon))), trim(slice(line, colon + 1))};
  }
  return true;
}

ParseResult MessageView::parse(std::string_view bytes) noexcept {
  if (is_keepalive(bytes)) return ParseResult::keepalive;
  const auto begin = skip(bytes, 0, chars::kLineEnd);
  const auto line_end = std::min(bytes.find('\n', begin), bytes.size());
  const auto result = parse_start_line(trim(slice(bytes, begin, line_end)));
  if (result != ParseResult::message) return result;
  if (line_end == bytes.size()) return ParseResult::malformed;

  HeaderReader reader(slice(bytes, line_end + 1));
  Header header;
  while (reader.next(header)) {
    if (header.id != HeaderId::other && !note_header(header)) return ParseResult::malformed;
  }
  const bool whole = reader.terminated() && parse_identity() && parse_body(reader.rest());
  return whole ? ParseResult::message : ParseResult::malformed;
}

ParseResult MessageView::parse_start_line(std::string_view line) noexcept {
  header_count_ = 0;
  present_ = 0;
  status_ = 0;
  const auto first_end = skip_to(line, 0, chars::kBlank);
  const auto first = slice(line, 0, first_end);
  const auto second = skip(line, first_end, chars::kBlank);
  if (is_sip_version(first)) {
    const auto second_end = skip_to(line, second, chars::kBlank);
    const auto status = number(slice(line, second, second_end), 699);
    if (!status || *status < 100) return ParseResult::malformed;
    status_ = static_cast<std::uint16_t>(*status);
    reason_ = trim(slice(line, second_end));
    return ParseResult::message;
  }
  if (first.empty() || skip(first, 0, chars::kToken) != first.size()) return ParseResult::not_sip;
  auto last = line.size();
  while (last > second && !is(line[last - 1], chars::kBlank)) --last;
  if (last <= second || !is_sip_version(slice(line, last))) return ParseResult::not_sip;
  method_text_ = first;
  method_ = method_of(first);
  request_uri_ = trim(slice(line, second, last));
  reason_ = {};
  return ParseResult::message;
}

bool MessageView::note_header(const Header& header) noexcept {
  if ((present_ & bit(header.id) & kSingle) != 0 || header_count_ == kMaxHeaders) return false;
  present_ |= bit(header.id);
  headers_[header_count_++] = header;
  return true;
}

bool MessageView::parse_identity() noexcept {
  if ((present_ & kMandatory) != kMandatory || value(HeaderId::call_id).empty()) return false;
  const auto cseq = parse_cseq(value(HeaderId::cseq));
  if (!cseq) return false;
  cseq_ = cseq->number;
  if (!is_request()) {
    method_text_ = cseq->method;
    method_ = method_of(cseq->method);
  }
  return true;
}

bool MessageView::parse_body(std::string_view rest) noexcept {
  body_ = rest;
  if ((present_ & bit(HeaderId::content_length)) == 0) return true;
  // A datagram that ends before its Content-Length is an error; what follows it is to be ignored (RFC
  // 3261 18.3).
  const auto length = number(value(HeaderId::content_length));
  if (!length || *length > rest.size()) return false;
  body_ = slice(rest, 0, *length);
  return true;
}

std::string_view MessageView::value(HeaderId id) const noexcept {
  if ((present_ & bit(id)) == 0) return {};
  const auto all = headers();
  return std::find_if(all.begin(), all.end(), [id](const Header& header) { return header.id == id; })->value;
}

Summary MessageView::summary() const noexcept {
  Summary summary;
  summary.method = method_;
  summary.status = status_;
  summary.cseq = cseq_;
  summary.method_text = method_text_;
  summary.reason = reason_;
  summary.call_id = value(HeaderId::call_id);
  summary.from_tag = tag_of(value(HeaderId::from));
  summary.to_tag = tag_of(value(HeaderId::to));
  summary.from_uri = address_of(value(HeaderId::from));
  summary.to_uri = address_of(value(HeaderId::to));
  summary.session_expires_s = seconds_of(value(HeaderId::session_expires));
  summary.expires_s = seconds_of(value(HeaderId::expires));
  return summary;
}

}  // namespace pinhole::alg::sip
