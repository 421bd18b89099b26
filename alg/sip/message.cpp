// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/message.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>

#include "alg/sip/chars.hpp"
#include "alg/sip/uri.hpp"
#include "alg/sip/values.hpp"

namespace pinhole::alg::sip {

namespace {

// A name of up to 24 bytes as words, so that it is compared with three of them.
constexpr std::size_t kLongestName = 24;
using NameWords = std::array<std::uint64_t, kLongestName / 8>;

constexpr std::uint64_t kLowerCase = 0x2020202020202020U;  // what a letter has when it is a small one

// The bytes of a word that belong to a text of so many bytes.
constexpr std::uint64_t bytes_mask(std::size_t size) noexcept {
  return size >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * size)) - 1;
}

struct HeaderName {
  std::string_view name;  // lower case
  HeaderId id;
};

constexpr HeaderName kHeaderNames[] = {
    {"via", HeaderId::via},
    {"v", HeaderId::via},
    {"from", HeaderId::from},
    {"f", HeaderId::from},
    {"to", HeaderId::to},
    {"t", HeaderId::to},
    {"call-id", HeaderId::call_id},
    {"i", HeaderId::call_id},
    {"cseq", HeaderId::cseq},
    {"contact", HeaderId::contact},
    {"m", HeaderId::contact},
    {"record-route", HeaderId::record_route},
    {"route", HeaderId::route},
    {"path", HeaderId::path},
    {"service-route", HeaderId::service_route},
    {"refer-to", HeaderId::refer_to},
    {"r", HeaderId::refer_to},
    {"referred-by", HeaderId::referred_by},
    {"b", HeaderId::referred_by},
    {"reply-to", HeaderId::reply_to},
    {"p-asserted-identity", HeaderId::p_asserted_identity},
    {"p-preferred-identity", HeaderId::p_preferred_identity},
    {"p-associated-uri", HeaderId::p_associated_uri},
    {"p-called-party-id", HeaderId::p_called_party_id},
    {"p-served-user", HeaderId::p_served_user},
    {"remote-party-id", HeaderId::remote_party_id},
    {"diversion", HeaderId::diversion},
    {"history-info", HeaderId::history_info},
    {"also", HeaderId::also},
    {"alert-info", HeaderId::alert_info},
    {"call-info", HeaderId::call_info},
    {"error-info", HeaderId::error_info},
    {"warning", HeaderId::warning},
    {"replaces", HeaderId::replaces},
    {"join", HeaderId::join},
    {"target-dialog", HeaderId::target_dialog},
    {"in-reply-to", HeaderId::in_reply_to},
    {"user-agent", HeaderId::user_agent},
    {"server", HeaderId::server},
    {"identity", HeaderId::identity},
    {"y", HeaderId::identity},
    {"expires", HeaderId::expires},
    {"session-expires", HeaderId::session_expires},
    {"content-type", HeaderId::content_type},
    {"c", HeaderId::content_type},
    {"content-encoding", HeaderId::content_encoding},
    {"e", HeaderId::content_encoding},
    {"content-length", HeaderId::content_length},
    {"x", HeaderId::session_expires},
    {"l", HeaderId::content_length},
};

// A name as it is compared: of a letter either case is right, of another character only itself.
struct NamePattern {
  NameWords words{};
  NameWords masks{};
  std::size_t size = 0;
  HeaderId id = HeaderId::other;

  constexpr NamePattern() noexcept = default;
  constexpr explicit NamePattern(const HeaderName& name) noexcept : size(name.name.size()), id(name.id) {
    for (std::size_t i = 0; i < size; ++i) {
      const auto c = static_cast<unsigned char>(name.name[i]);
      const std::uint64_t mask = c >= 'a' && c <= 'z' ? 0xdfU : 0xffU;
      words[i / 8] |= std::uint64_t{c} << (8 * (i % 8));
      masks[i / 8] |= mask << (8 * (i % 8));
    }
  }
  [[nodiscard]] constexpr bool fits(const NameWords& name, std::size_t name_size) const noexcept {
    const auto difference = ((name[0] ^ words[0]) & masks[0]) | ((name[1] ^ words[1]) & masks[1]) |
                            ((name[2] ^ words[2]) & masks[2]);
    return difference == 0 && size == name_size;
  }
};

// A perfect hash of the names above by their first eight bytes and their size: the factor under which no two
// meet is found when this is compiled.
constexpr std::size_t kNamePlaces = 256;
constexpr std::size_t place_of(std::uint64_t first_word, std::size_t size, std::uint64_t factor) noexcept {
  const auto key = (first_word | kLowerCase) & bytes_mask(size);
  return static_cast<std::size_t>((key + size) * factor >> 56U);
}

constexpr bool is_perfect(std::uint64_t factor) noexcept {
  std::array<bool, kNamePlaces> taken{};
  for (const auto& name : kHeaderNames) {
    const auto place = place_of(NamePattern(name).words[0], name.name.size(), factor);
    if (taken[place]) return false;
    taken[place] = true;
  }
  return true;
}

consteval std::uint64_t perfect_factor() {
  std::uint64_t factor = 0x9e3779b97f4a7c15U;  // 2^64 / golden ratio
  while (!is_perfect(factor))
    factor = factor * 0xd1342543de82ef95U + 1;  // Steele and Vigna, a random sequence
  return factor;
}
constexpr std::uint64_t kNameFactor = perfect_factor();
static_assert(is_perfect(kNameFactor));

struct NameTable {
  std::array<std::uint8_t, kNamePlaces> places{};  // 0 is nobody's
  std::array<NamePattern, std::size(kHeaderNames) + 1> patterns{};
};
consteval NameTable make_name_table() {
  NameTable table;
  std::uint8_t next = 1;
  for (const auto& name : kHeaderNames) {
    table.patterns[next] = NamePattern(name);
    table.places[place_of(table.patterns[next].words[0], name.name.size(), kNameFactor)] = next;
    ++next;
  }
  return table;
}
constexpr NameTable kNameTable = make_name_table();

[[gnu::always_inline]] inline HeaderId look_up_name(const NameWords& name, std::size_t size) noexcept {
  const auto& pattern = kNameTable.patterns[kNameTable.places[place_of(name[0], size, kNameFactor)]];
  return pattern.fits(name, size) ? pattern.id : HeaderId::other;
}

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

// "1800;refresher=uac"
std::uint32_t seconds_of(std::string_view value) noexcept {
  if (value.empty()) return 0;
  return number(trim(slice(value, 0, std::min(value.find(';'), value.size())))).value_or(0);
}

// "SIP/2.0", any version: an answer to an unknown one is the endpoints' matter.
bool is_sip_version(std::string_view text) noexcept {
  if (text.size() < 7 || !equals(slice(text, 0, 4), "sip/")) return false;
  const auto dot = skip(text, 4, chars::kDigit);
  return dot > 4 && dot + 1 < text.size() && text[dot] == '.' &&
         skip(text, dot + 1, chars::kDigit) == text.size();
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

// What stands between a colon and the end of its line, without white space around.
std::string_view value_behind(const char* colon, const char* end) noexcept {
  // The colon is no white space, so that it ends the look from behind.
  while (is(end[-1], chars::kSpace)) --end;
  const char* begin = colon + 1;
  while (begin < end && is(*begin, chars::kSpace)) ++begin;
  return {begin, static_cast<std::size_t>(end - begin)};
}

[[gnu::noinline]] Header read_unusual_header(std::string_view line) noexcept {
  const auto colon = find_mark<':'>(line);
  if (colon == line.size()) return {HeaderId::other, trim(line)};
  return {header_id(trim(slice(line, 0, colon))), trim(slice(line, colon + 1))};
}

// \param readable_end of the text that the line is part of
[[gnu::always_inline]] inline void read_header(std::string_view line, const char* readable_end,
                                               Header& header) noexcept {
  constexpr std::ptrdiff_t kLook = 32;
  if (readable_end - line.data() >= kLook) [[likely]] {
    // Nearly every name ends here, and its words are there to be loaded.
    const auto colons = scan_detail::marks_in_32<':'>(line.data());
    const auto colon = static_cast<std::size_t>(std::countr_zero(colons));
    if (colon <= kLongestName) [[likely]] {
      using chars_detail::load;
      const NameWords words = {load<std::uint64_t>(line.data()), load<std::uint64_t>(line.data() + 8),
                               load<std::uint64_t>(line.data() + 16)};
      header.id = look_up_name(words, colon);
      // A name that is known has neither the end of the line in it nor white space behind it.
      const bool is_usual = header.id != HeaderId::other ||
                            (colon > 0 && colon < line.size() && !is(line[colon - 1], chars::kSpace));
      if (is_usual) [[likely]] {
        header.value = value_behind(line.data() + colon, line.data() + line.size());
        return;
      }
    }
  }
  header = read_unusual_header(line);
}

}  // namespace

HeaderId header_id(std::string_view name) noexcept {
  if (name.size() > kLongestName || name.empty()) return HeaderId::other;
  NameWords words{};
  std::memcpy(words.data(), name.data(), name.size());
  return look_up_name(words, name.size());
}

inline bool HeaderReader::read(Header& header) noexcept {
  if (terminated_ || offset_ == text_.size()) return false;
  const auto begin = offset_;
  auto end = line_ends_.next();
  if (end == begin || (end == begin + 1 && text_[begin] == '\r')) {
    offset_ = std::min(end + 1, text_.size());
    terminated_ = end < text_.size();
    return false;
  }
  while (end + 1 < text_.size() && is(text_[end + 1], chars::kBlank)) end = line_ends_.next();
  if (end == text_.size()) {
    offset_ = end;
    return false;
  }
  offset_ = end + 1;
  read_header(slice(text_, begin, end), text_.data() + text_.size(), header);
  return true;
}

bool HeaderReader::next(Header& header) noexcept {
  return read(header);
}

std::string_view guess_call_id(std::string_view bytes) noexcept {
  constexpr std::size_t kName = 8;  // with the colon
  MarkScanner<'\n'> line_ends(bytes);
  auto end = line_ends.next();
  while (bytes.size() - end > kName) {
    const auto* const line = bytes.data() + end + 1;
    end = line_ends.next();
    const char first = lower(*line);
    if (first == 'c' && equals({line, kName}, "call-id:"))
      return value_behind(line + kName - 1, bytes.data() + end);
    if (first == 'i' && line[1] == ':') return value_behind(line + 1, bytes.data() + end);
  }
  return {};
}

ParseResult MessageView::parse(std::string_view bytes) noexcept {
  if (is_keepalive(bytes)) return ParseResult::keepalive;
  const auto begin = skip(bytes, 0, chars::kLineEnd);
  const auto line_end = find_mark<'\n'>(bytes, begin);
  defect_ = parse_start_line(trim(slice(bytes, begin, line_end)));
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
  const auto first_end = skip_to(line, 0, chars::kBlank);
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
  if (first.empty() || skip(first, 0, chars::kToken) != first.size()) return Defect::not_sip;
  auto last = line.size();
  while (last > second && !is(line[last - 1], chars::kBlank)) --last;
  if (last <= second || !is_sip_version(slice(line, last))) return Defect::not_sip;
  method_text_ = first;
  method_ = method_of(first);
  request_uri_ = trim(slice(line, second, last));
  reason_ = {};
  return Defect::none;
}

// Reads each header to where it stays if it is one of ours, else the next one takes its place.
Defect MessageView::note_headers(std::string_view text, std::string_view& rest) noexcept {
  HeaderReader reader(text);  // nobody else sees it: it stays in registers
  auto* const noted = std::launder(reinterpret_cast<Header*>(headers_.data()));
  HeaderSet present = 0;
  HeaderSet repeated = 0;
  std::size_t count = 0;
  bool fits = true;
  while (reader.read(noted[count])) {
    const auto id = noted[count].id;
    if (id == HeaderId::other) continue;
    fits = count < kMaxHeaders;
    if (!fits) break;
    const auto mark = header_bit(id);
    if ((present & mark) == 0) first_[static_cast<std::size_t>(id)] = static_cast<std::uint8_t>(count);
    repeated |= present & mark;
    present |= mark;
    ++count;
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
}

}  // namespace pinhole::alg::sip
