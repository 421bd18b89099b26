// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/refusal.hpp"

#include <algorithm>
#include <array>

#include "alg/sip/text_writer.hpp"
#include "alg/sip/values.hpp"

namespace pinhole::alg::sip {

namespace {

struct Phrase {
  std::uint16_t status;
  std::string_view text;
};
/// Source: RFC 3261 section 21, RFC 3329, RFC 6665.
constexpr std::array kPhrases = {
    Phrase{400, "Bad Request"},
    Phrase{401, "Unauthorized"},
    Phrase{403, "Forbidden"},
    Phrase{404, "Not Found"},
    Phrase{405, "Method Not Allowed"},
    Phrase{406, "Not Acceptable"},
    Phrase{408, "Request Timeout"},
    Phrase{413, "Request Entity Too Large"},
    Phrase{414, "Request-URI Too Long"},
    Phrase{415, "Unsupported Media Type"},
    Phrase{416, "Unsupported URI Scheme"},
    Phrase{420, "Bad Extension"},
    Phrase{480, "Temporarily Unavailable"},
    Phrase{481, "Call/Transaction Does Not Exist"},
    Phrase{482, "Loop Detected"},
    Phrase{483, "Too Many Hops"},
    Phrase{486, "Busy Here"},
    Phrase{488, "Not Acceptable Here"},
    Phrase{489, "Bad Event"},
    Phrase{500, "Server Internal Error"},
    Phrase{501, "Not Implemented"},
    Phrase{503, "Service Unavailable"},
    Phrase{513, "Message Too Large"},
    Phrase{600, "Busy Everywhere"},
    Phrase{603, "Decline"},
    Phrase{606, "Not Acceptable"},
};

std::string_view phrase_of(std::uint16_t status) noexcept {
  const auto found = std::find_if(kPhrases.begin(), kPhrases.end(),
                                  [&](const Phrase& phrase) { return phrase.status == status; });
  return found == kPhrases.end() ? std::string_view("Refused") : found->text;
}

/// Where a Via asks for the port that it comes from: the end of rport without a value, in the item; 0: it
/// does not.
std::size_t open_rport(std::string_view item) noexcept {
  ParamReader params(item);  // what stands before the parameters is one that has another name
  Param param;
  while (params.next(param)) {
    if (!equals(param.name, "rport")) continue;
    const auto end = static_cast<std::size_t>(param.name.data() - item.data()) + param.name.size();
    const auto rest = trim(slice(item, end));
    if (rest.empty() || rest.front() == ';') return end;
  }
  return 0;
}

/// The first Via, with where its request came from (RFC 3261 section 18.2.1, RFC 3581 section 4).
void write_first_via(std::string_view value, std::string_view item, const Via& via, nat::Endpoint source,
                     TextWriter& out) noexcept {
  const auto rport = open_rport(item);
  const bool differs = via.sent_by.address != source.address;
  out.text("Via: ");
  const auto begin = static_cast<std::size_t>(item.data() - value.data());
  if (rport > 0) {
    out.text(slice(value, begin, begin + rport)).text("=").number(source.port.host());
  }
  out.text(slice(value, begin + rport, begin + item.size()));
  if ((differs || rport > 0) && via.received.empty()) out.text(";received=").address(source.address);
  out.text(slice(value, begin + item.size())).text("\r\n");
}

bool has_tag(std::string_view party) noexcept {
  const auto address = parse_name_addr(party);
  return address && find_param(address->params, "tag").has_value();
}

}  // namespace

std::string_view write_refusal(const MessageView& request, const Refusal& refusal,
                               std::span<char> to) noexcept {
  const auto from = request.value(HeaderId::from);
  const auto to_party = request.value(HeaderId::to);
  const auto call_id = request.value(HeaderId::call_id);
  const auto cseq = request.value(HeaderId::cseq);
  const bool is_answerable = request.is_request() && !request.request_uri().empty() &&
                             request.method() != Method::ack && refusal.status >= 300 &&
                             refusal.status <= 699 && !from.empty() && !to_party.empty() &&
                             !call_id.empty() && !cseq.empty();
  const auto first = ListReader(request.value(HeaderId::via)).next();
  const auto via = first ? parse_via(*first) : std::nullopt;
  if (!is_answerable || !via) return {};

  TextWriter out(to);
  out.text("SIP/2.0 ").number(refusal.status).text(" ").text(phrase_of(refusal.status)).text("\r\n");
  bool is_first = true;
  for (const auto& header : request.headers()) {
    if (header.id != HeaderId::via) continue;
    if (is_first) {
      write_first_via(header.value, *first, *via, refusal.source, out);
    } else {
      out.text("Via: ").text(header.value).text("\r\n");
    }
    is_first = false;
  }
  out.text("From: ").text(from).text("\r\nTo: ").text(to_party);
  if (!has_tag(to_party)) out.text(";tag=").text(refusal.to_tag);
  out.text("\r\nCall-ID: ").text(call_id).text("\r\nCSeq: ").text(cseq).text("\r\n");
  if (refusal.retry_after_s > 0) out.text("Retry-After: ").number(refusal.retry_after_s).text("\r\n");
  out.text("Content-Length: 0\r\n\r\n");
  return out.view();
}

std::optional<nat::Be16> reply_port(const MessageView& request, nat::Be16 source) noexcept {
  const auto first = ListReader(request.value(HeaderId::via)).next();
  const auto via = first ? parse_via(*first) : std::nullopt;
  if (!via) return std::nullopt;
  if (open_rport(*first) > 0 || !via->rport.empty()) return source;
  const auto port = via->sent_by.port_or(via->default_port);
  return port == 0 ? source : nat::Be16{port};
}

}  // namespace pinhole::alg::sip
