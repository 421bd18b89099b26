// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/dialog_table.hpp"

#include <algorithm>
#include <new>

#include "alg/sip/bye.hpp"
#include "alg/sip/chars.hpp"

namespace pinhole::dataplane {

namespace {

constexpr std::uint32_t kCseqLimit = (1U << 31U) - 1;

using alg::sip::Method;

bool accepts(const alg::sip::Summary& message) noexcept {
  return message.status >= 200 && message.status < 300;
}

/// Writes down a word of a side.
void put(Dialog& dialog, std::size_t side, Dialog::Word word,
         std::initializer_list<std::string_view> pieces) noexcept {
  const bool fits = std::all_of(pieces.begin(), pieces.end(), alg::sip::is_one_line) &&
                    dialog.words.set(side * Dialog::kWords + word, pieces);
  if (!fits) dialog.sides[side].lacks_words = true;
}
void add(Dialog& dialog, std::size_t side, Dialog::Word word, std::string_view piece) noexcept {
  const bool fits = alg::sip::is_one_line(piece) && dialog.words.append(side * Dialog::kWords + word, piece);
  if (!fits) dialog.sides[side].lacks_words = true;
}

void put_party(Dialog& dialog, std::size_t side, Dialog::Word word, std::string_view uri,
               std::string_view tag) noexcept {
  put(dialog, side, word, {"<", uri, tag.empty() ? ">" : ">;tag=", tag});
}
std::string_view tag_of(std::string_view party) noexcept {
  constexpr std::string_view kMark = ">;tag=";
  const auto at = party.rfind(kMark);
  return at == std::string_view::npos ? std::string_view() : alg::sip::slice(party, at + kMark.size());
}

void put_target(Dialog& dialog, std::size_t side, std::string_view contact) noexcept {
  if (contact.empty()) return;
  if (!alg::sip::is_one_word(contact)) contact = {};
  put(dialog, side, Dialog::target, {contact});
}

void put_call_id(Dialog& dialog, std::size_t side, std::string_view call_id) noexcept {
  put(dialog, side, Dialog::call_id, {});
  if (dialog.word(side, Dialog::call_id) != call_id) put(dialog, side, Dialog::call_id, {call_id});
}

}  // namespace

void DialogTable::open(std::uint32_t card) noexcept {
  ::new (&dialogs_[card]) Dialog;  // its words are written before they are read
}

bool DialogTable::watch(std::uint32_t card) noexcept {
  if (watched_count_ == watched_.size()) return false;
  watched_[watched_count_++] = card;
  return true;
}

void DialogTable::note(std::uint32_t card, const DialogMessage& message) noexcept {
  auto& dialog = dialogs_[card];
  const auto& summary = message.summary;
  const auto from = speaker(message.direction);
  auto& sender = dialog.sides[from];
  sender.inside = message.flow.inside;
  sender.remote = message.flow.remote;
  sender.protocol = message.flow.protocol;
  sender.spoke = true;
  dialog.realm = message.realm;
  // ACK and CANCEL have the number of the request that they are about.
  if (summary.is_request() && summary.method != Method::ack && summary.method != Method::cancel) {
    auto& heard = dialog.sides[other_side(from)].heard_cseq;
    // A number that RFC 3261 section 8.1.1.5 does not have leaves none for a BYE.
    if (summary.cseq < kCseqLimit) heard = std::max(heard, summary.cseq);
  }
  if (message.facts == nullptr) return;
  if (dialog.established) return refresh(dialog, message);
  if (summary.method != Method::invite) return;
  if (summary.is_request() && summary.to_tag.empty()) return invite(dialog, message);
  if (dialog.invited && accepts(summary) && from != dialog.calling) establish(dialog, message);
}

/// The first INVITE of a dialog, or one that is tried again.
void DialogTable::invite(Dialog& dialog, const DialogMessage& message) noexcept {
  const auto& summary = message.summary;
  const auto& facts = *message.facts;
  const auto side = speaker(message.direction);
  // The same one again says the same.
  if (dialog.invited && dialog.calling == side && dialog.invited_cseq == summary.cseq) return;
  dialog.invited = true;
  dialog.invited_cseq = summary.cseq;
  dialog.calling = static_cast<std::uint8_t>(side);
  dialog.calling_routes = facts.route_count;
  dialog.sides[side].lacks_words = facts.too_many_routes;
  put_call_id(dialog, side, facts.call_id);
  put_party(dialog, side, Dialog::self, summary.from_uri, summary.from_tag);
  put_party(dialog, side, Dialog::peer, summary.to_uri, {});
  put_target(dialog, side, facts.contact);
  put(dialog, side, Dialog::routes, {});
  for (std::size_t i = 0; i < facts.route_count; ++i) {
    if (i > 0) add(dialog, side, Dialog::routes, ", ");
    add(dialog, side, Dialog::routes, facts.routes[i]);
  }
}

/// The 2xx that makes the dialog. Of several, by forks, it is the first.
void DialogTable::establish(Dialog& dialog, const DialogMessage& message) noexcept {
  const auto& summary = message.summary;
  const auto& facts = *message.facts;
  const auto side = speaker(message.direction);
  if (tag_of(dialog.word(other_side(side), Dialog::self)) != summary.from_tag) return;
  dialog.established = true;
  dialog.sides[side].lacks_words = facts.too_many_routes;
  put_call_id(dialog, side, facts.call_id);
  put_party(dialog, side, Dialog::self, summary.to_uri, summary.to_tag);
  put_party(dialog, side, Dialog::peer, summary.from_uri, summary.from_tag);
  put_target(dialog, side, facts.contact);
  if (!summary.to_tag.empty()) {
    add(dialog, other_side(side), Dialog::peer, ";tag=");
    add(dialog, other_side(side), Dialog::peer, summary.to_tag);
  }
  put(dialog, side, Dialog::routes, {});
  const int own = facts.route_count - dialog.calling_routes;
  for (int i = own - 1; i >= 0; --i) {
    add(dialog, side, Dialog::routes, facts.routes[static_cast<std::size_t>(i)]);
    if (i > 0) add(dialog, side, Dialog::routes, ", ");
  }
}

/// Within the dialog, either side may say that it is to be found somewhere else (RFC 3261 section 12.2).
void DialogTable::refresh(Dialog& dialog, const DialogMessage& message) noexcept {
  const auto& summary = message.summary;
  const auto side = speaker(message.direction);
  const bool is_request = summary.is_request();
  const auto own = tag_of(dialog.word(side, Dialog::self));
  const auto others = tag_of(dialog.word(side, Dialog::peer));
  const bool is_of_dialog = (is_request ? summary.from_tag : summary.to_tag) == own &&
                            (is_request ? summary.to_tag : summary.from_tag) == others;
  if (is_of_dialog && (is_request || accepts(summary))) put_target(dialog, side, message.facts->contact);
}

}  // namespace pinhole::dataplane
