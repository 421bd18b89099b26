// SPDX-License-Identifier: BSD-3-Clause
// Random messages and random edits through a gateway, by TCP cut anywhere: each end hears what an oracle
// says.
#include <catch2/catch.hpp>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/dataplane/gateway_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;

namespace {

/// What is to be done to a message: at most a few edits, from its end to its beginning, and the answer.
struct Plan {
  struct Edit {
    std::size_t offset;
    std::size_t removed;
    std::string text;
  };
  std::vector<Edit> edits;
  int answer = PINHOLE_FORWARD;
};

/// A plan that depends on nothing but the message, so that the oracle has the same.
Plan plan_for(const std::string& message, std::uint64_t seed) {
  std::mt19937_64 random(seed ^ std::hash<std::string>{}(message));
  const auto below = [&](std::size_t end) { return static_cast<std::size_t>(random() % end); };
  Plan plan;
  if (below(12) == 0) plan.answer = PINHOLE_DROP;
  if (below(40) == 0) plan.answer = 99;  // a fault: it goes on as it came
  if (below(100) == 0) plan.answer = PINHOLE_LEAVE;
  std::size_t end = message.size();
  for (std::size_t left = below(4); left > 0 && end > 0; --left) {
    const std::size_t offset = below(end);
    plan.edits.push_back(
        {offset, below(end - offset), std::string(below(40), static_cast<char>('A' + below(26)))});
    end = offset;
  }
  return plan;
}

/// What becomes of a message.
std::string outcome(const std::string& message, std::uint64_t seed) {
  const auto plan = plan_for(message, seed);
  if (plan.answer == PINHOLE_DROP) return {};
  if (plan.answer != PINHOLE_FORWARD && plan.answer != PINHOLE_LEAVE) return message;
  std::string text = message;
  for (const auto& edit : plan.edits) text.replace(edit.offset, edit.removed, edit.text);
  return text;
}

std::string random_line(std::mt19937_64& random) {
  std::string line;
  for (std::size_t size = random() % (random() % 8 == 0 ? 3000 : 60); size > 0; --size)
    line += static_cast<char>('a' + random() % 26);
  return line + (random() % 2 == 0 ? "\r\n" : "\n");
}

}  // namespace

TEST_CASE("random lines, edited at random and cut anywhere, arrive as the gateway has made them",
          "[dataplane][gateway][random]") {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    CAPTURE(seed);
    GatewayScene scene(lab_config(), [](auto& spec) { spec.max_faults = 1'000'000; });
    std::string expected[2];    // of what was shown
    std::size_t shown[2] = {};  // bytes
    TestGateway::read = [&](pinhole_context* context, const pinhole_message& message) {
      const std::string text(message.bytes, message.length);
      CHECK(text.find('\n') == text.size() - 1);
      expected[message.from] += outcome(text, seed);
      shown[message.from] += text.size();
      const auto plan = plan_for({message.bytes, message.length}, seed);
      for (const auto& edit : plan.edits) {
        CHECK(TestGateway::host->replace(context, edit.offset, edit.removed, edit.text.data(),
                                         edit.text.size()) == PINHOLE_OK);
      }
      return plan.answer;
    };
    std::mt19937_64 random(seed);
    auto talk = scene.connect();
    REQUIRE(talk.open);
    std::string said[2];  // and not sent yet
    std::string all[2];
    for (int i = 0; i < 60; ++i) {
      const unsigned side = random() % 2;
      for (std::size_t lines = 1 + random() % 4; lines > 0; --lines) {
        const auto line = random_line(random);
        said[side] += line;
        all[side] += line;
      }
      TcpEnd& end = side == 0 ? talk.caller : talk.called;
      while (!said[side].empty() && (random() % 6 != 0 || i > 55)) {
        const auto size = std::min<std::size_t>(said[side].size(), 1 + random() % 1400);
        const auto piece = said[side].substr(0, size);
        said[side].erase(0, size);
        talk.tell(end, piece);
        if (random() % 5 == 0) {  // it is said again
          talk.say_again(end, piece);
          talk.run();
        }
      }
    }
    for (const unsigned side : {0U, 1U}) {
      TcpEnd& end = side == 0 ? talk.caller : talk.called;
      for (std::size_t at = 0; at < said[side].size(); at += 1000)
        talk.tell(end, said[side].substr(at, 1000));
    }
    talk.close();
    // What follows is what the gateway has left alone.
    CHECK(talk.called.heard == expected[0] + all[0].substr(shown[0]));
    CHECK(talk.caller.heard == expected[1] + all[1].substr(shown[1]));
    CHECK(talk.called.saw_fin);
    CHECK(talk.caller.saw_fin);
    CHECK(talk.caller.acknowledged == talk.caller.next);
    scene.lab.pass_s(10);
    CHECK(scene.lab.context(0).streams.size() == 0);
    CHECK(scene.lab.context(0).gateways.flows.size() == 0);
    CHECK(scene.lab.buffers_in_use() == 0);
  }
}
