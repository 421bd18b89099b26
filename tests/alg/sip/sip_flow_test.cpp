// SPDX-License-Identifier: BSD-3-Clause
// Whole flows of messages and single headers and attributes, from tests/vectors/sip (its README says what the
// files are): NN-out.before is what a phone sent and NN-out.after what has to leave, NN-in.before is what
// came from outside and NN-in.after what the phone has to get.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/sip_bench.hpp"
#include "tests/support/sip_flows.hpp"
#include "tests/support/sip_vectors.hpp"

namespace pinhole::alg::sip {

namespace {

using namespace test::flows;

void check_flow(const fs::path& flow) {
  std::string name;
  test::SipBench bench(policy_of(flow, name));
  make_known(flow, bench);
  const auto list = steps(flow);
  REQUIRE_FALSE(list.empty());
  for (const auto& step : list) {
    CAPTURE(step.name);
    const auto passed = bench.pass(step.direction, step.before);
    CHECK(passed.answer.verdict == Verdict::forward);
    CHECK(passed.text == step.after);
    CHECK((passed.edits == 0) == (step.before == step.after));
  }
}

void check_flows(std::initializer_list<const char*> names) {
  for (const char* const name : names) {
    DYNAMIC_SECTION(name) {
      check_flow(test::vector_folder(name));
    }
  }
}

// The lines of a message in which an inside address may not be seen outside.
std::string without_identity(const std::string& text) {
  std::string kept;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size() - 1) + 1;
    const auto line = text.substr(at, end - at);
    bool identity = false;
    for (const char* name : {"From:", "To:", "Call-ID:", "f:", "t:", "i:", "Subject:", "Authorization:"}) {
      identity = identity || line.starts_with(name);
    }
    if (!identity) kept += line;
    at = end;
  }
  return kept;
}

}  // namespace

TEST_CASE("whole flows are translated as written down", "[alg][sip][AC-02][AC-03][AC-06][AC-10][AC-15]") {
  REQUIRE(flows().size() >= 30);
  for (const auto& flow : flows()) {
    DYNAMIC_SECTION(name_of(flow)) {
      check_flow(flow);
    }
  }
}

// Parts of the same, by what they show.
TEST_CASE("a Via is translated in every position and form, and rport and received with it",
          "[alg][sip][AC-02][AC-11][rfc3261][rfc3581][rfc6314]") {
  check_flows({"headers/via", "folded-vias", "compact"});
}

TEST_CASE("route sets are translated wherever they stand", "[alg][sip][AC-02][AC-12][rfc3327][rfc3608]") {
  check_flows({"headers/record-route", "headers/route", "headers/path", "headers/service-route"});
}

TEST_CASE("where a transfer goes to and who asked for it is translated",
          "[alg][sip][AC-14][rfc3515][rfc3892]") {
  check_flows({"headers/refer-to", "headers/referred-by"});
}

TEST_CASE("identities that are URIs of hosts are translated", "[alg][sip][rfc3325][rfc5876]") {
  check_flows({"headers/p-asserted-identity", "headers/p-preferred-identity"});
}

TEST_CASE("what names a dialog or a reliable answer stays",
          "[alg][sip][AC-15][rfc3262][rfc3891][rfc3911][rfc4538]") {
  check_flows({"extensions/rfc3262-prack", "extensions/rfc3891-replaces", "headers/never-touched"});
}

TEST_CASE("timers of sessions pass as they are", "[alg][sip][AC-13][rfc4028]") {
  check_flows({"extensions/rfc4028-timer"});
}

TEST_CASE("parameters of outbound and bulk registrations stay beside the address",
          "[alg][sip][rfc5626][rfc5923][rfc6140][rfc6223]") {
  check_flows({"extensions/rfc5626-outbound", "extensions/rfc6140-gin"});
}

TEST_CASE("messages, presence and events pass with their bodies as they are",
          "[alg][sip][rfc3428][rfc3863][rfc3903][rfc4235][rfc6665]") {
  check_flows({"extensions/rfc3428-message", "extensions/rfc3903-publish", "extensions/rfc6665-events"});
}

TEST_CASE("signed identities, privacy and history pass",
          "[alg][sip][rfc3323][rfc7044][rfc8224][rfc8225][rfc8226]") {
  check_flows({"extensions/rfc8224-identity", "extensions/rfc3323-privacy"});
}

TEST_CASE("each attribute of a description is translated or stays",
          "[alg][sip][AC-09][rfc3264][rfc3362][rfc3551][rfc3605]"
          "[rfc4568][rfc5761][rfc5764][rfc8843][rfc8866]") {
  check_flows({"bodies/sdp-connection", "bodies/sdp-media", "bodies/sdp-rtcp", "bodies/sdp-untouched",
               "bodies/sdp-image", "bodies/sdp-bundle", "bodies/sdp-hold", "hold"});
}

TEST_CASE("by policy what leaves tells nothing of the software inside, and nothing else changes",
          "[alg][sip][hiding]") {
  check_flows({"policies/software-replace", "policies/software-strip"});
}

TEST_CASE("what leaves and comes back is what was sent, and the other way round",
          "[alg][sip][AC-02][AC-03][AC-10]") {
  for (const auto& flow : flows()) {
    DYNAMIC_SECTION(name_of(flow)) {
      std::string name;
      test::SipBench bench(policy_of(flow, name, test::direct_media()));
      make_known(flow, bench);
      for (const auto& step : steps(flow)) {
        CAPTURE(step.name);
        REQUIRE(bench.pass(step.direction, step.before).text == step.after);
        const auto back = bench.pass(opposite(step.direction), step.after);
        CHECK(back.text == step.back);
        // And there again: a message that goes round and round does not change any more.
        CHECK(bench.pass(step.direction, back.text).text == step.after);
      }
    }
  }
}

TEST_CASE("a message that is sent again is translated alike", "[alg][sip][AC-13]") {
  for (const auto& flow : flows()) {
    DYNAMIC_SECTION(name_of(flow)) {
      std::string name;
      test::SipBench bench(policy_of(flow, name));
      make_known(flow, bench);
      for (int time = 0; time < 2; ++time) {
        for (const auto& step : steps(flow)) {
          CAPTURE(step.name, time);
          CHECK(bench.pass(step.direction, step.before).text == step.after);
        }
      }
    }
  }
}

TEST_CASE("of a description of two hosts the receiver's own stream is put back, and the other one left whole",
          "[alg][sip][AC-09][rfc4787-req9]") {
  const auto message = [](std::string_view connection, std::string_view media) {
    return test::with_sdp(
        {"INVITE sip:alice@example.com SIP/2.0", "Via: SIP/2.0/UDP proxy.example.com;branch=z9hG4bK1",
         "From: <sip:bob@example.com>;tag=b", "To: <sip:alice@example.com>", "Call-ID: two",
         "CSeq: 1 INVITE"},
        std::string("v=0\r\no=- 1 1 IN IP4 pc.example.com\r\ns=-\r\n")
            .append(connection)
            .append("t=0 0\r\n")
            .append(media));
  };
  test::SipBench bench;  // local media by hairpin
  static_cast<void>(bench.out(message("",
                                      "m=audio 40000 RTP/AVP 0\r\nc=IN IP4 10.0.0.5\r\n"
                                      "m=video 40002 RTP/AVP 31\r\nc=IN IP4 10.0.0.6\r\n")));
  CHECK(bench
            .in(message("",
                        "m=audio 45000 RTP/AVP 0\r\nc=IN IP4 203.0.113.10\r\n"
                        "m=video 46002 RTP/AVP 31\r\nc=IN IP4 203.0.113.10\r\n"))
            .text == message("",
                             "m=audio 40000 RTP/AVP 0\r\nc=IN IP4 10.0.0.5\r\n"
                             "m=video 46002 RTP/AVP 31\r\nc=IN IP4 203.0.113.10\r\n"));
  // By the c= of the session, too: the stream that is put back, or the one that is left, needs one of its
  // own.
  const auto shared = bench.in(
      message("c=IN IP4 203.0.113.10\r\n", "m=audio 45000 RTP/AVP 0\r\nm=video 46002 RTP/AVP 31\r\n"));
  const auto audio = shared.text.find("m=audio 40000 RTP/AVP 0\r\n");
  const auto video = shared.text.find("m=video 46002 RTP/AVP 31\r\n");
  REQUIRE(audio != std::string::npos);
  REQUIRE(video != std::string::npos);
  CAPTURE(shared.text);
  CHECK(shared.text.find("c=IN IP4 203.0.113.10\r\n", video) != std::string::npos);
}

TEST_CASE("no inside address leaves", "[alg][sip][AC-02]") {
  for (const auto& flow : flows()) {
    if (flow.filename() == "multipart") continue;  // has a part of plain text
    DYNAMIC_SECTION(name_of(flow)) {
      std::string name;
      test::SipBench bench(policy_of(flow, name));
      make_known(flow, bench);
      for (const auto& step : steps(flow)) {
        const auto passed = bench.pass(step.direction, step.before);
        if (step.direction == Direction::inbound) continue;
        CAPTURE(step.name);
        auto visible = without_identity(passed.text);
        for (const char* told : {"\"Edge, the \\\"first\\\" <sip:10.0.0.5>\"", "Replaces=x%4010.0.0.5"}) {
          if (const auto at = visible.find(told); at != std::string::npos) {
            visible.erase(at, std::string_view(told).size());
          }
        }
        CHECK(visible.find("10.0.0.") == std::string::npos);
      }
    }
  }
}

TEST_CASE("a message cut anywhere is refused or passed, never half translated", "[alg][sip][AC-16][AC-22]") {
  for (const auto& flow : flows()) {
    DYNAMIC_SECTION(name_of(flow)) {
      std::string name;
      test::SipBench bench(policy_of(flow, name));
      make_known(flow, bench);
      for (const auto& step : steps(flow)) {
        const bool has_length = step.before.find("ontent-Length:") != std::string::npos ||
                                step.before.find("\r\nl: ") != std::string::npos;
        const auto body = step.before.find("\r\n\r\n") + 4;
        for (std::size_t size = 0; size < step.before.size(); ++size) {
          // A copy of its own, so that a read past the end is seen.
          const std::vector<char> cut(step.before.begin(),
                                      step.before.begin() + static_cast<std::ptrdiff_t>(size));
          const auto passed = bench.pass(step.direction, {cut.data(), cut.size()});
          INFO(step.name << " cut at " << size);
          if (size < body || has_length) {
            const bool whole_or_nothing = passed.edits == 0;
            CHECK(whole_or_nothing);
          } else {
            // Without a length a shorter body is a body: its lines must be translated all the same.
            CHECK(passed.answer.verdict == Verdict::forward);
            const auto head = step.after.substr(0, step.after.find("\r\n\r\n") + 4);
            CHECK(passed.text.starts_with(head));
          }
        }
        static_cast<void>(bench.pass(step.direction, step.before));
      }
    }
  }
}

}  // namespace pinhole::alg::sip
