// SPDX-License-Identifier: BSD-3-Clause
// Any datagram is parsed within its bounds, and every view that comes out lies in it.
#include "alg/sip/body.hpp"
#include "alg/sip/message.hpp"
#include "alg/sip/values.hpp"

#include <cstdint>
#include <cstdlib>
#include <vector>

namespace {

using namespace pinhole::alg::sip;

void require(bool condition) {
  if (!condition) std::abort();
}

class Within {
 public:
  explicit Within(std::string_view bytes) : bytes_(bytes) {}
  void check(std::string_view view) const {
    if (view.empty()) return;
    require(view.data() >= bytes_.data() && view.data() + view.size() <= bytes_.data() + bytes_.size());
  }

 private:
  std::string_view bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<char> block(data, data + size);
  const std::string_view bytes{block.data(), block.size()};
  MessageView view;
  if (view.parse(bytes) != ParseResult::message) return 0;
  const Within within(bytes);
  const auto summary = view.summary();
  for (const auto text :
       {summary.method_text, summary.reason, summary.call_id, summary.from_tag, summary.to_tag,
        summary.from_uri, summary.to_uri, view.request_uri(), view.body()}) {
    within.check(text);
  }
  require(!summary.call_id.empty());
  require(view.is_request() || (view.status() >= 100 && view.status() < 700));
  for (const auto& header : view.headers()) {
    within.check(header.value);
    ListReader items(header.value);
    while (const auto item = items.next()) {
      require(!item->empty());
      within.check(*item);
    }
  }
  const Within within_body(view.body());
  const Body body(view);
  std::size_t index = 0;
  for (const auto& part : body.parts()) {
    within_body.check(part.text);
    within.check(part.content_length);  // that of the message itself lies in its headers
    require(part.parent <= index && part.depth <= Body::kMaxDepth);
    ++index;
  }
  return 0;
}
