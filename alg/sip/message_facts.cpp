// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/message_facts.hpp"

#include <algorithm>
#include <bitset>

#include "alg/sip/body.hpp"
#include "alg/sip/chars.hpp"
#include "alg/sip/glob.hpp"
#include "alg/sip/scan.hpp"
#include "alg/sip/sdp.hpp"
#include "alg/sip/uri.hpp"
#include "alg/sip/values.hpp"

namespace pinhole::alg::sip {

namespace {

struct CompactName {
  char letter;
  std::string_view name;
};
// IANA's registry of SIP header fields, compact forms.
constexpr CompactName kCompactNames[] = {
    {'a', "accept-contact"},
    {'b', "referred-by"},
    {'c', "content-type"},
    {'d', "request-disposition"},
    {'e', "content-encoding"},
    {'f', "from"},
    {'i', "call-id"},
    {'j', "reject-contact"},
    {'k', "supported"},
    {'l', "content-length"},
    {'m', "contact"},
    {'n', "identity-info"},
    {'o', "event"},
    {'r', "refer-to"},
    {'s', "subject"},
    {'t', "to"},
    {'u', "allow-events"},
    {'v', "via"},
    {'x', "session-expires"},
    {'y', "identity"},
};

std::string_view full_name(std::string_view name) noexcept {
  if (name.size() != 1) return name;
  for (const auto& compact : kCompactNames) {
    if (compact.letter == lower(name[0])) return compact.name;
  }
  return name;
}

struct StaticCodec {
  std::uint8_t type;
  std::string_view name;
};
// RFC 3551 section 6: payload types that mean a codec without an a=rtpmap.
constexpr StaticCodec kStaticCodecs[] = {
    {0, "PCMU"},  {3, "GSM"},   {4, "G723"},  {5, "DVI4"},  {6, "DVI4"},   {7, "LPC"},
    {8, "PCMA"},  {9, "G722"},  {10, "L16"},  {11, "L16"},  {12, "QCELP"}, {13, "CN"},
    {14, "MPA"},  {15, "G728"}, {16, "DVI4"}, {17, "DVI4"}, {18, "G729"},  {25, "CelB"},
    {26, "JPEG"}, {28, "nv"},   {31, "H261"}, {32, "MPV"},  {33, "MP2T"},  {34, "H263"},
};

std::string_view codec_of_type(std::uint32_t type) noexcept {
  for (const auto& codec : kStaticCodecs) {
    if (codec.type == type) return codec.name;
  }
  return {};
}

/// "a=rtpmap:96 opus/48000/2": the name, without the rest.
std::string_view codec_of_attribute(std::string_view attribute) noexcept {
  constexpr std::string_view kRtpmap = "rtpmap:";
  if (attribute.size() < kRtpmap.size() || !equals(slice(attribute, 0, kRtpmap.size()), kRtpmap)) return {};
  WordReader words(slice(attribute, kRtpmap.size()));
  static_cast<void>(words.next());  // the payload type
  const auto encoding = words.next();
  return slice(encoding, 0, std::min(encoding.find('/'), encoding.size()));
}

}  // namespace

std::string_view MessageFacts::domain() const noexcept {
  if (!view_.is_request()) return {};
  Uri uri;
  return take_uri_apart(view_.request_uri(), uri) ? uri.host_port.host : std::string_view{};
}

std::string_view MessageFacts::content_type() const noexcept {
  const auto value = view_.value(HeaderId::content_type);
  return trim(slice(value, 0, std::min(value.find(';'), value.size())));
}

HeaderFacts MessageFacts::read_headers() const noexcept {
  HeaderFacts facts;
  const auto begin = skip(bytes_, 0, chars::kLineEnd);
  const auto line_end = find_mark<'\n'>(bytes_, begin);
  const auto text = slice(bytes_, std::min(line_end + 1, bytes_.size()));
  HeaderReader reader(text);
  Header header;
  for (std::size_t at = 0; reader.next(header); at = reader.offset()) {
    const auto line = slice(text, at, reader.offset());
    const auto name = full_name(trim(slice(line, 0, std::min(line.find(':'), line.size()))));
    ++facts.count;
    facts.bytes = static_cast<std::uint32_t>(reader.offset());
    for (std::size_t i = 0; i < set_.header_count; ++i) {
      if (equals(name, set_.view(set_.headers[i]))) facts.named |= std::uint64_t{1} << i;
    }
    if (header.id == HeaderId::via) {
      ListReader values(header.value);
      while (values.next()) ++facts.vias;
    } else if (facts.user_agent.empty() && equals(name, "user-agent")) {
      facts.user_agent = header.value;
    } else if (!facts.max_forwards && equals(name, "max-forwards")) {
      facts.max_forwards = number(header.value);
    }
  }
  return facts;
}

void CodecNames::add(std::string_view name) noexcept {
  if (name.empty() || too_many) return;
  const auto is_known = [name](std::string_view known) noexcept { return equals(known, name); };
  if (std::any_of(names.begin(), names.end(), is_known)) return;
  too_many = names.add(name) == nullptr;
}

void MessageFacts::read_codecs(CodecNames& codecs) const noexcept {
  const Body body(view_);
  std::bitset<128> types;  // that were named: a line may say one again and again
  const auto read_line = [&](SdpLine line) noexcept {
    if (line.type() == 'a') codecs.add(codec_of_attribute(line.value()));
    if (line.type() != 'm') return true;
    WordReader words(line.value());
    for (int i = 0; i < 3; ++i) static_cast<void>(words.next());  // media, port, protocol
    for (auto word = words.next(); !word.empty(); word = words.next()) {
      const auto type = number(word, 127);
      if (!type || types[*type]) continue;
      types.set(*type);
      codecs.add(codec_of_type(*type));
    }
    return true;
  };
  for (const auto& part : body.parts()) {
    if (part.kind != BodyKind::description || part.is_quoted) continue;
    static_cast<void>(for_each_line(part.text, read_line));
  }
}

bool MessageFacts::names_codec(ListRef patterns) noexcept {
  if (!codecs_) read_codecs(codecs_.emplace());
  if (codecs_->too_many) return true;
  for (std::size_t i = 0; i < patterns.size; ++i) {
    const auto pattern = set_.view(set_.patterns[patterns.begin + i]);
    const auto fits = [pattern](std::string_view codec) noexcept { return fits_glob(codec, pattern); };
    if (std::any_of(codecs_->names.begin(), codecs_->names.end(), fits)) return true;
  }
  return false;
}

}  // namespace pinhole::alg::sip
