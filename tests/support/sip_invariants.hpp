// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What must hold of every list of edits and of every message, whatever it was. For fuzz targets: a breach
// aborts.

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "alg/edit.hpp"
#include "alg/sip/body_rewrite.hpp"
#include "alg/sip/header_rewrite.hpp"
#include "alg/sip/unescaped.hpp"
#include "tests/support/sip_bench.hpp"

namespace pinhole::test {

inline void require(bool condition) {
  if (!condition) std::abort();
}

/// Applies the edits, and checks that the result has the right size, that the bytes outside of edits are the
/// same, and that a buffer which is too small is left alone.
inline std::string checked_apply(std::string_view before, const alg::EditList& edits) {
  const auto size = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(before.size()) + edits.growth());
  std::string buffer(before);
  if (size > before.size()) {
    buffer.resize(size - 1);
    const auto refused = buffer;
    require(!edits.apply(buffer, before.size()).has_value());
    require(buffer == refused);
    buffer.resize(size);
  }
  require(edits.apply(buffer, before.size()) == size);
  buffer.resize(size);

  std::size_t from = 0;
  std::size_t to = 0;
  for (const auto& edit : edits.edits()) {
    const auto kept = edit.offset - from;
    require(before.substr(from, kept) == std::string_view(buffer).substr(to, kept));
    require(std::string_view(buffer).substr(to + kept, edit.text_size) == edits.text(edit));
    from = edit.offset + edit.removed;
    to += kept + edit.text_size;
  }
  require(before.substr(from) == std::string_view(buffer).substr(to));
  return buffer;
}

/// Passes a message through a gateway, from a block of its own so that a read past its end is seen.
/// \return what goes on; none when nothing does: then there are no edits, and a drop has its reason.
inline std::optional<std::string> checked_pass(SipBench& bench, alg::Direction direction,
                                               std::string_view text) {
  const std::vector<char> block(text.begin(), text.end());
  const std::string_view bytes{block.data(), block.size()};
  alg::EditList edits;
  const auto answer = bench.alg.inspect({bytes, direction, bench.flow}, bench.host, edits);
  require(answer.verdict == alg::Verdict::forward || edits.empty());
  require((answer.verdict == alg::Verdict::drop) == (answer.reason != nat::DropReason::none));
  if (answer.verdict != alg::Verdict::forward) return std::nullopt;
  return checked_apply(bytes, edits);
}

/// Whether what a message repeats and quotes of others, looked at alone, makes a mapping.
inline bool echoes_make_mappings(std::string_view text, const alg::sip::Policy& policy) {
  static alg::sip::Unescaped unescaped;
  alg::sip::MessageView view;
  if (view.parse(text) != alg::sip::ParseResult::message) return false;
  SipBench bench(policy);
  alg::EditList edits;
  const alg::Message message{text, alg::Direction::outbound, bench.flow};
  alg::sip::Translator translator(message, bench.host, edits, policy, unescaped);
  const alg::sip::Body body(view);
  const auto before = bench.host.mappings();
  alg::sip::rewrite_echoes(view, translator);
  alg::sip::BodyRewriter(body, translator).rewrite_quoted();
  return bench.host.mappings() != before;
}

}  // namespace pinhole::test
