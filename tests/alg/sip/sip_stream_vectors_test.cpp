// SPDX-License-Identifier: BSD-3-Clause
// The flows of tests/vectors/sip over TCP, from the bytes that come to the bytes that leave: stream engine,
// framer and gateway together. However a stream is cut, what leaves is what leaves for datagrams.
//
// Left out: messages without Content-Length, and datagrams that are longer than it says, since over TCP
// another message begins there.
#include <catch2/catch.hpp>

#include <string>
#include <string_view>

#include "alg/sip/message.hpp"
#include "tests/alg/stream/speaker.hpp"
#include "tests/support/sip_bench.hpp"
#include "tests/support/sip_flows.hpp"

namespace pinhole::alg::sip {

namespace {

using namespace test::flows;
using stream::Side;

bool is_whole(std::string_view bytes) {
  MessageView view;
  if (view.parse(bytes) != ParseResult::message || view.value(HeaderId::content_length).empty()) return false;
  const auto end = bytes.find("\r\n\r\n");
  return end != std::string_view::npos && end + 4 + view.body().size() == bytes.size();
}

/// A side that speaks through the gateway of a bench.
class Talk {
 public:
  Talk(test::SipBench& bench, Direction direction)
      : speaker_(direction == Direction::outbound ? Side::inside : Side::outside) {
    speaker_.reads = [this, &bench, direction](std::string_view message) {
      edits_.clear();
      const auto answer = bench.alg.inspect({message, direction, bench.flow}, bench.host, edits_);
      return stream::Reading{answer.verdict, &edits_};
    };
  }

  /// What arrives of a text that comes as a first piece, and then in pieces of one size.
  std::string arrives(const std::string& text, std::size_t first, std::size_t piece) {
    speaker_.open();
    for (std::size_t at = 0; at < text.size();) {
      const auto part = text.substr(at, at == 0 ? first : piece);
      if (speaker_.say(static_cast<std::uint32_t>(at), part).fate == stream::Fate::drop) return "(dropped)";
      speaker_.acknowledge(static_cast<std::uint32_t>(speaker_.arrived.size()));
      at += part.size();
    }
    return speaker_.arrived;
  }

 private:
  EditList edits_;
  test::Speaker speaker_;
};

}  // namespace

TEST_CASE("messages of the vectors leave a stream as they leave as datagrams, wherever it was cut",
          "[alg][sip][stream][AC-07][rfc3261]") {
  std::size_t checked = 0;
  std::size_t edited = 0;
  for (const auto& flow : flows()) {
    std::string name;
    test::SipBench bench(policy_of(flow, name));
    make_known(flow, bench);
    for (const auto& step : steps(flow)) {
      INFO(name_of(flow) << " " << step.name);
      // What its messages before have mapped, the flow knows.
      REQUIRE(bench.pass(step.direction, step.before).text == step.after);
      if (!is_whole(step.before)) continue;
      ++checked;
      edited += step.after != step.before ? 1 : 0;
      Talk talk(bench, step.direction);
      for (std::size_t cut = 1; cut <= step.before.size(); ++cut) {
        INFO("cut at " << cut);
        REQUIRE(talk.arrives(step.before, cut, step.before.size()) == step.after);
      }
      REQUIRE(talk.arrives(step.before, 1, 1) == step.after);
      const auto two = step.before + step.before;
      for (std::size_t cut = step.before.size() - 40; cut <= two.size(); ++cut) {
        INFO("two, cut at " << cut);
        REQUIRE(talk.arrives(two, cut, two.size()) == step.after + step.after);
      }
      REQUIRE(talk.arrives(two, 1, 1) == step.after + step.after);
      // Keep-alives before it, so that it crosses what the engine holds bytes in.
      const std::string alive(stream::ChunkPool::kBytes - 200, '\n');
      for (const std::size_t piece : {std::size_t{100000}, std::size_t{1460}})
        REQUIRE(talk.arrives(alive + step.before, piece, piece) == alive + step.after);
    }
  }
  CHECK(checked > 60);
  CHECK(edited > 30);
}

}  // namespace pinhole::alg::sip
