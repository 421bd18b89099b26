// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/message.hpp"

#include <algorithm>
#include <bit>

#include "alg/sip/chars.hpp"
#include "alg/sip/header_name.hpp"
#include "alg/sip/scan.hpp"
#include "alg/sip/uri.hpp"
#include "alg/sip/values.hpp"

namespace pinhole::alg::sip {

using header_name::kLongestName;
using header_name::kNameLook;
using header_name::look_up_name;

namespace {

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

static_assert(MessageView::kMaxHeaders <= 256);

// What names a transaction and its dialog may stand once only, or two readers could take two for the
// message's own.
constexpr std::uint64_t kSingle = header_bit(HeaderId::from) | header_bit(HeaderId::to) |
                                  header_bit(HeaderId::call_id) | header_bit(HeaderId::cseq) |
                                  header_bit(HeaderId::content_length);
constexpr std::uint64_t kMandatory = header_bit(HeaderId::via) | header_bit(HeaderId::from) |
                                     header_bit(HeaderId::to) | header_bit(HeaderId::call_id) |
                                     header_bit(HeaderId::cseq);

constexpr std::size_t kStunHeaderSize = 20;
constexpr std::string_view kStunCookie = "\x21\x12\xA4\x42";  // RFC 8489 section 5

bool is_keepalive(std::string_view bytes) noexcept {
  if (!bytes.empty() && is(bytes.front(), chars::kAlpha)) return false;
  if (bytes.size() >= kStunHeaderSize && static_cast<unsigned char>(bytes[0]) < 4 &&
      slice(bytes, 4, 8) == kStunCookie) {
    return true;
  }
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return is(c, chars::kSpace) || c == '\0'; });
}

// "1800", or "1800;refresher=uac"
std::uint32_t seconds_of(std::string_view value) noexcept {
  if (value.empty()) return 0;
  const auto digits_end = skip(value, 0, chars::kDigit);
  const bool is_usual = digits_end == value.size() || value[digits_end] == ';';
  const auto end = is_usual ? digits_end : find_mark<';'>(value);
  return number(trim(slice(value, 0, end))).value_or(0);
}

constexpr std::string_view kUsualVersion = "SIP/2.0";

// "SIP/2.0", any version: an answer to an unknown one is the endpoints' matter.
bool is_sip_version(std::string_view text) noexcept {
  if (text == kUsualVersion) [[likely]]
    return true;
  if (text.size() < 7 || !equals(slice(text, 0, 4), "sip/")) return false;
  const auto dot = skip(text, 4, chars::kDigit);
  return dot > 4 && dot + 1 < text.size() && text[dot] == '.' &&
         skip(text, dot + 1, chars::kDigit) == text.size();
}

// Where the last word of a start line begins.
std::size_t last_word(std::string_view line) noexcept {
  auto begin = line.size();
  if (begin > kUsualVersion.size() && line.ends_with(kUsualVersion)) begin -= kUsualVersion.size();
  while (begin > 0 && !is(line[begin - 1], chars::kBlank)) --begin;
  return begin;
}

// "tag=1928301774" and nothing else, as most are; empty when it is something else.
std::string_view read_lone_tag(std::string_view params) noexcept {
  if (params.size() < 4 || !equals({params.data(), 4}, "tag=")) return {};
  const auto tag = slice(params, 4);
  return find_mark<';', '=', '"', '<', '>', ' ', '\t', '\r', '\n'>(tag) == tag.size() ? tag
                                                                                      : std::string_view{};
}

// Who a From or To says it is, and the tag.
void read_party(std::string_view value, std::string_view& uri, std::string_view& tag) noexcept {
  NameAddr address;
  if (!read_name_addr(value, address)) return;
  uri = address.uri;
  tag = read_lone_tag(address.params);
  if (!tag.empty() || address.params.empty()) return;
  ParamReader params(address.params);
  Param param;
  while (params.next(param)) {
    if (!equals(param.name, "tag")) continue;
    tag = param.value;
    return;
  }
}

// From behind first: a value of nothing but white space stands where it begins.
[[gnu::noinline]] std::string_view trim_value(std::string_view value) noexcept {
  while (!value.empty() && is_space(value.back())) value.remove_suffix(1);
  while (!value.empty() && is_space(value.front())) value.remove_prefix(1);
  return value;
}

// What stands between a colon and the line end, which can be looked at, without white space around.
[[gnu::always_inline]] inline std::string_view value_behind(const char* colon,
                                                            const char* line_end) noexcept {
  // Nearly every line is ": value\r\n"; the line end is as little part of a value as white space is.
  const bool is_usual =
      colon[1] == ' ' && is_visible(colon[2]) && line_end[-1] == '\r' && is_visible(line_end[-2]);
  if (is_usual) [[likely]]
    return {colon + 2, static_cast<std::size_t>(line_end - 1 - (colon + 2))};
  return trim_value({colon + 1, static_cast<std::size_t>(line_end - (colon + 1))});
}

[[gnu::noinline]] Header read_unusual_header(std::string_view line) noexcept {
  const auto colon = find_mark<':'>(line);
  if (colon == line.size()) return {HeaderId::other, trim(line)};
  return {header_id(trim(slice(line, 0, colon))), trim(slice(line, colon + 1))};
}

// The place of a line's end; `end` when there is none.
[[gnu::always_inline]] inline const char* find_line_end(const char* line, const char* end) noexcept {
  for (; end - line >= std::ptrdiff_t{kScanBlock}; line += kScanBlock) {
    const auto marks = marks_in<'\n'>(line, kScanBlock);
    if (marks != 0) return line + std::countr_zero(marks);
  }
  return line + find_mark<'\n'>({line, static_cast<std::size_t>(end - line)});
}

// The same of a line that goes on below, wherever the next one begins with a blank.
[[gnu::noinline]] const char* find_folded_end(const char* line_end, const char* end) noexcept {
  while (end - line_end > 1 && is_blank(line_end[1])) line_end = find_line_end(line_end + 1, end);
  return line_end;
}

bool is_empty_line(const char* line, const char* line_end) noexcept {
  return line == line_end || (line_end == line + 1 && *line == '\r');
}

// \param readable_end of the text that the line is part of
// \param wants_others false: of what is none of ours the value is not asked for
[[gnu::always_inline]] inline void read_header(const char* line, const char* line_end,
                                               const char* readable_end, bool wants_others,
                                               Header& header) noexcept {
  if (readable_end - line >= std::ptrdiff_t{kNameLook}) [[likely]] {
    // Nearly every name ends here.
    const auto colons = static_cast<std::uint32_t>(scan_detail::marks_in_32<':'>(line));
    const auto size = static_cast<std::size_t>(std::countr_zero(colons));
    if (size <= kLongestName) [[likely]] {
      const char* const colon = line + size;
      const auto id = look_up_name(line, size);
      header.id = id;
      // A name that is known has neither the end of the line in it nor white space behind it.
      if (id != HeaderId::other) {
        header.value = value_behind(colon, line_end);
        return;
      }
      if (size > 0 && colon < line_end && !is_space(colon[-1])) [[likely]] {
        if (wants_others) header.value = value_behind(colon, line_end);
        return;
      }
    }
  }
  header = read_unusual_header({line, static_cast<std::size_t>(line_end - line)});
}

}  // namespace

HeaderId header_id(std::string_view name) noexcept {
  const bool may_be_known =
      !name.empty() && name.size() <= kLongestName && find_mark<':'>(name) == name.size();
  if (!may_be_known) return HeaderId::other;
  std::array<char, kNameLook> with_colon{};
  *std::copy(name.begin(), name.end(), with_colon.begin()) = ':';
  return look_up_name(with_colon.data(), name.size());
}

// One place for the lines that nearly all are, and one for the others: a line may be the empty one, the first
// one may begin with white space, and those that do behind it go on with it.
inline bool HeaderReader::read(bool wants_others, Header& header) noexcept {
  if (terminated_ || at_ == end_) return false;
  const char* const line = at_;
  const char* line_end = find_line_end(line, end_);
  const bool is_usual = line_end < end_ - 1 && !is_space(*line) && !is_blank(line_end[1]);
  if (!is_usual) [[unlikely]] {
    if (is_empty_line(line, line_end)) {
      terminated_ = line_end != end_;
      at_ = terminated_ ? line_end + 1 : end_;
      return false;
    }
    line_end = find_folded_end(line_end, end_);
    if (line_end == end_) {
      at_ = end_;
      return false;
    }
  }
  at_ = line_end + 1;
  read_header(line, line_end, end_, wants_others, header);
  return true;
}

bool HeaderReader::next(Header& header) noexcept {
  return read(true, header);
}

std::string_view guess_call_id(std::string_view bytes) noexcept {
  constexpr std::size_t kName = 8;  // with the colon
  for (std::size_t at = 0; at < bytes.size(); at += kScanBlock) {
    const auto* const block = bytes.data() + at;
    for (auto ends = marks_in<'\n'>(block, bytes.size() - at); ends != 0; ends &= ends - 1) {
      const auto* const line = block + std::countr_zero(ends) + 1;
      const auto rest = static_cast<std::size_t>(bytes.data() + bytes.size() - line);
      if (rest < kName) return {};
      const char first = static_cast<char>(*line | 0x20);  // of a letter the small one
      const bool is_short = first == 'i' && line[1] == ':';
      if (!is_short && (first != 'c' || !equals({line, kName}, "call-id:"))) continue;
      const auto size = find_mark<'\n'>({line, rest});
      const char* const colon = line + (is_short ? 1 : kName - 1);
      if (size == rest) return trim_value({colon + 1, static_cast<std::size_t>(line + size - (colon + 1))});
      return value_behind(colon, line + size);
    }
  }
  return {};
}

ParseResult MessageView::parse(std::string_view bytes) noexcept {
  if (is_keepalive(bytes)) return ParseResult::keepalive;
  const auto begin = skip(bytes, 0, chars::kLineEnd);
  const auto line_end = find_mark<'\n'>(bytes, begin);
  const auto line = slice(bytes, begin, line_end);
  defect_ = parse_start_line(trim(line.ends_with('\r') ? slice(line, 0, line.size() - 1) : line));
  if (defect_ == Defect::none) {
    defect_ = line_end == bytes.size() ? Defect::unterminated : parse_rest(slice(bytes, line_end + 1));
  }
  if (defect_ == Defect::none) [[likely]] {
    summarise();
    return ParseResult::message;
  }
  return defect_ == Defect::not_sip ? ParseResult::not_sip : ParseResult::malformed;
}

// What follows the start line.
Defect MessageView::parse_rest(std::string_view text) noexcept {
  std::string_view rest;
  auto defect = note_headers(text, rest);
  if (defect == Defect::none) defect = parse_identity();
  return defect == Defect::none ? parse_body(rest) : defect;
}

Defect MessageView::parse_start_line(std::string_view line) noexcept {
  header_count_ = 0;
  present_ = 0;
  status_ = 0;
  const auto first_end = find_mark<' ', '\t'>(line);
  const auto first = slice(line, 0, first_end);
  const auto second = skip(line, first_end, chars::kBlank);
  if (is_sip_version(first)) {
    const auto second_end = skip_to(line, second, chars::kBlank);
    const auto status = number(slice(line, second, second_end), 699);
    if (!status || *status < 100) return Defect::start_line;
    status_ = static_cast<std::uint16_t>(*status);
    reason_ = trim(slice(line, second_end));
    return Defect::none;
  }
  method_ = method_of(first);
  const bool is_token =
      method_ != Method::other || (!first.empty() && skip(first, 0, chars::kToken) == first.size());
  const auto last = last_word(line);
  if (!is_token || last <= second || !is_sip_version(slice(line, last))) return Defect::not_sip;
  method_text_ = first;
  request_uri_ = trim(slice(line, second, last));
  reason_ = {};
  return Defect::none;
}

// Reads each header to where it stays if it is one of ours, else the next one takes its place.
Defect MessageView::note_headers(std::string_view text, std::string_view& rest) noexcept {
  HeaderReader reader(text);  // nobody else sees it: it stays in registers
  auto* header = std::launder(reinterpret_cast<Header*>(headers_.data()));
  HeaderSet present = 0;
  HeaderSet repeated = 0;
  std::size_t count = 0;
  bool fits = true;
  while (reader.read(false, *header)) {
    const auto id = header->id;
    if (id == HeaderId::other) continue;
    fits = count < kMaxHeaders;
    if (!fits) break;
    const auto mark = header_bit(id);
    if ((present & mark) == 0) first_[static_cast<std::size_t>(id)] = static_cast<std::uint8_t>(count);
    repeated |= present & mark;
    present |= mark;
    ++count;
    ++header;
  }
  present_ = present;
  header_count_ = count;
  if (!fits) return Defect::too_many_headers;
  if ((repeated & kSingle) != 0) return Defect::duplicate_header;
  rest = reader.rest();
  return reader.terminated() ? Defect::none : Defect::unterminated;
}

Defect MessageView::parse_identity() noexcept {
  if ((present_ & kMandatory) != kMandatory || value(HeaderId::call_id).empty())
    return Defect::missing_header;
  const auto cseq = parse_cseq(value(HeaderId::cseq));
  if (!cseq) return Defect::cseq;
  cseq_ = cseq->number;
  if (!is_request()) {
    method_text_ = cseq->method;
    method_ = method_of(cseq->method);
  }
  return Defect::none;
}

Defect MessageView::parse_body(std::string_view rest) noexcept {
  body_ = rest;
  if ((present_ & header_bit(HeaderId::content_length)) == 0) return Defect::none;
  // A datagram that ends before its Content-Length is an error; what follows it is to be ignored (RFC
  // 3261 18.3).
  const auto length = number(value(HeaderId::content_length));
  if (!length) return Defect::content_length;
  if (*length > rest.size()) return Defect::short_body;
  body_ = slice(rest, 0, *length);
  return Defect::none;
}

std::string_view MessageView::value(HeaderId id) const noexcept {
  if ((present_ & header_bit(id)) == 0) return {};
  return noted()[first_[static_cast<std::size_t>(id)]].value;
}

void MessageView::summarise() noexcept {
  summary_ = {};
  summary_.method = method_;
  summary_.status = status_;
  summary_.cseq = cseq_;
  summary_.method_text = method_text_;
  summary_.reason = reason_;
  summary_.call_id = value(HeaderId::call_id);
  read_party(value(HeaderId::from), summary_.from_uri, summary_.from_tag);
  read_party(value(HeaderId::to), summary_.to_uri, summary_.to_tag);
  summary_.session_expires_s = seconds_of(value(HeaderId::session_expires));
  summary_.expires_s = seconds_of(value(HeaderId::expires));
  summary_.is_reliable = status_ > 100 && status_ < 200 && has_any(header_bit(HeaderId::rseq));
}

}  // namespace pinhole::alg::sip
