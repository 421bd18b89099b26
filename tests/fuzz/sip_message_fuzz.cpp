// SPDX-License-Identifier: BSD-3-Clause
// Any datagram is parsed within its bounds, and every view that comes out lies in it. What is answered is
// answered by a message that can be read.
#include "alg/sip/body.hpp"
#include "alg/sip/message.hpp"
#include "alg/sip/refusal.hpp"
#include "alg/sip/values.hpp"

#include <array>
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

// The room is small enough that some answers do not fit.
void refuse(const MessageView& request, bool was_read) {
  std::array<char, 600> room;
  const auto text =
      write_refusal(request, {.status = 503, .retry_after_s = 9, .source = {}, .to_tag = "t"}, room);
  static_cast<void>(reply_port(request, {}));
  if (text.empty() || !was_read) return;
  require(text.data() == room.data() && text.size() <= room.size());
  MessageView response;
  require(response.parse(text) == ParseResult::message && response.status() == 503);
  require(response.summary().call_id == request.summary().call_id);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<char> block(data, data + size);
  const std::string_view bytes{block.data(), block.size()};
  const Within within(bytes);
  within.check(guess_call_id(bytes));
  MessageView view;
  const auto result = view.parse(bytes);
  refuse(view, result == ParseResult::message);
  if (result != ParseResult::message) return 0;
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
