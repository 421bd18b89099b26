// SPDX-License-Identifier: BSD-3-Clause
// Calls of which several branches go through one inside address, and have one Call-ID, through the real
// pipeline: who is heard in the end, and for how long.
#include <catch2/catch.hpp>

#include <cctype>
#include <map>
#include <string>
#include <vector>

#include "tests/dataplane/sip_scene.hpp"
#include "tests/support/policy_talk.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;

namespace {

const nat::Endpoint kCallee = endpoint("198.51.100.9", 6000);
const nat::Endpoint kSecond = endpoint("198.51.100.10", 6000);  // who has accepted after him

/// What is said: a message of the caller's dialog, or nothing for a time.
struct Said {
  enum class Way { out, in, pause } way = Way::pause;
  std::string start = {};  // "INVITE", "180 Ringing"; "200 BYE" answers a BYE
  std::string branch = {};
  std::string to_tag = {};
  unsigned media = 0;  // port of the phone, when it comes from inside, else of the one that is called
  unsigned port = 5060;
  std::uint32_t cseq = 1;
  unsigned pause_s = 0;
  bool is_second = false;  // it names media at kSecond
};
Said out(const std::string& start, const std::string& branch, const std::string& to_tag = {},
         unsigned media = 0, unsigned port = 5060) {
  return {.way = Said::Way::out,
          .start = start,
          .branch = branch,
          .to_tag = to_tag,
          .media = media,
          .port = port};
}
Said in(const std::string& start, const std::string& branch, const std::string& to_tag = {},
        unsigned media = 0, unsigned port = 5060) {
  return {
      .way = Said::Way::in, .start = start, .branch = branch, .to_tag = to_tag, .media = media, .port = port};
}
Said second(Said said) {
  said.is_second = true;
  return said;
}
Said pause_s(unsigned seconds) {
  return {.pause_s = seconds};
}

class Forks : public SipScene {
 public:
  explicit Forks(const config::Config& config = lab_config(1)) : SipScene(config) {
    for (const auto port : {5070U, 5060U}) say(::out("OPTIONS", "hello", {}, 0, port));
  }

  void say(const std::vector<Said>& all) {
    for (const auto& said : all) say(said);
  }

  /// The port that the outside was told last for a port of the phone's media.
  [[nodiscard]] unsigned told(unsigned media) const { return told_.at(media); }

  void say(const Said& said) {
    if (said.way == Said::Way::pause) return lab.pass_s(said.pause_s);
    phone.port = nat::Be16{static_cast<std::uint16_t>(said.port)};
    const bool is_out = said.way == Said::Way::out;
    const auto sent = is_out ? SipScene::out(text(said)) : SipScene::in(text(said));
    INFO(said.start << ' ' << said.branch << ", dropped: " << Catch::Detail::stringify(lab.drops()));
    REQUIRE(sent.size() == 1);
    if (!is_out || said.media == 0) return;
    const auto at = sent[0].text.find("m=audio ");
    REQUIRE(at != std::string::npos);
    told_[said.media] = static_cast<unsigned>(std::stoul(sent[0].text.substr(at + 8)));
  }

  /// Media reaches the inside by a port.
  bool hears(unsigned told, nat::Endpoint from = kCallee) {
    const auto sent = lab.send(
        kOutside,
        {.source = from, .destination = {external().address, nat::Be16{static_cast<std::uint16_t>(told)}}});
    return sent.size() == 1 && sent[0].interface == kInside;
  }
  /// By which port media of the phone leaves.
  unsigned speaks(unsigned media) {
    const auto sent = lab.send(
        kInside,
        {.source = {phone.address, nat::Be16{static_cast<std::uint16_t>(media)}}, .destination = kCallee});
    return sent.size() == 1 ? SentText::of(sent[0]).source.port.host() : 0;
  }

 private:
  std::string text(const Said& said) {
    const bool is_out = said.way == Said::Way::out;
    const auto own = text_of(phone);
    const bool is_response = std::isdigit(static_cast<unsigned char>(said.start[0])) != 0;
    const auto method = !is_response ? said.start : said.start.ends_with(" BYE") ? "BYE" : "INVITE";
    std::string text = is_response ? "SIP/2.0 " + said.start : said.start + " sip:b@example.com SIP/2.0";
    text += "\r\nVia: SIP/2.0/UDP proxy.example.com;branch=z9hG4bK" + said.branch +
            "\r\nFrom: <sip:a@example.com>;tag=caller\r\nTo: <sip:b@example.com>" +
            (said.to_tag.empty() ? "" : ";tag=" + said.to_tag) +
            "\r\nCall-ID: " + (said.branch == "hello" ? "hello" : "forked") +
            "\r\nCSeq: " + std::to_string(said.cseq) + " " + method + "\r\nContact: <sip:x@" +
            (is_out ? own : text_of(server)) + ">\r\n";
    std::string sdp;
    if (said.media != 0) {
      const auto host = is_out ? phone.address : said.is_second ? kSecond.address : kCallee.address;
      sdp = "v=0\r\no=- 1 1 IN IP4 " + std::string(nat::EndpointText(host).view()) + "\r\ns=-\r\nc=IN IP4 " +
            std::string(nat::EndpointText(host).view()) + "\r\nt=0 0\r\nm=audio " +
            std::to_string(said.media) + " RTP/AVP 0\r\n";
      text += "Content-Type: application/sdp\r\n";
    }
    return text + "Content-Length: " + std::to_string(sdp.size()) + "\r\n\r\n" + sdp;
  }

  std::map<unsigned, unsigned> told_;
};

}  // namespace

TEST_CASE("a branch that fails or is cancelled does not end the call that another one answers",
          "[sip][forks][AC-19][rfc3261]") {
  struct Row {
    const char* name;
    std::vector<Said> said;
  };
  constexpr unsigned kOther = 5070;
  const Row rows[] = {
      {"a proxy inside tries the next gateway",
       {out("INVITE", "1", "", 4000), in("180 Ringing", "1", "a"), out("CANCEL", "1"),
        in("487 Request Terminated", "1", "a"), out("ACK", "1", "a"), out("INVITE", "2", "", 4000),
        in("180 Ringing", "2", "b"), pause_s(40), in("200 OK", "2", "b", 6000), out("ACK", "3", "b")}},
      {"a proxy inside tries the next gateway after a refusal",
       {out("INVITE", "1", "", 4000), in("100 Trying", "1"), in("503 Service Unavailable", "1", "a"),
        out("ACK", "1", "a"), out("INVITE", "2", "", 4000), in("180 Ringing", "2", "b"), pause_s(40),
        in("200 OK", "2", "b", 6000), out("ACK", "3", "b")}},
      {"a proxy inside forks, and one is busy while the other rings",
       {out("INVITE", "1", "", 4000), out("INVITE", "2", "", 4000), in("100 Trying", "1"),
        in("180 Ringing", "2", "b"), in("486 Busy Here", "1", "a"), out("ACK", "1", "a"), pause_s(40),
        in("200 OK", "2", "b", 6000), out("ACK", "3", "b")}},
      {"a proxy inside forks, and one is busy before the other is heard of",
       {out("INVITE", "1", "", 4000), out("INVITE", "2", "", 4000), in("486 Busy Here", "1", "a"),
        out("ACK", "1", "a"), in("100 Trying", "2"), pause_s(40), in("200 OK", "2", "b", 6000),
        out("ACK", "3", "b")}},
      {"a proxy outside forks to two phones of one address, and one is busy",
       {in("INVITE", "1", "", 6000), out("180 Ringing", "1", "a"), in("INVITE", "2", "", 6000, kOther),
        out("486 Busy Here", "2", "b", 0, kOther), in("ACK", "2", "b", 0, kOther), pause_s(40),
        out("200 OK", "1", "a", 4000), in("ACK", "3", "a")}},
      {"a proxy outside cancels, and tries the same phone again",
       {in("INVITE", "1", "", 6000), out("180 Ringing", "1", "a"), in("CANCEL", "1"),
        out("487 Request Terminated", "1", "a"), in("ACK", "1", "a"), pause_s(4), in("INVITE", "2", "", 6000),
        out("180 Ringing", "2", "b"), pause_s(40), out("200 OK", "2", "b", 4000), in("ACK", "3", "b")}},
      {"a proxy outside tries a phone again that has refused",
       {in("INVITE", "1", "", 6000), out("486 Busy Here", "1", "a"), in("ACK", "1", "a"),
        in("INVITE", "2", "", 6000), out("180 Ringing", "2", "b"), pause_s(40), out("200 OK", "2", "b", 4000),
        in("ACK", "3", "b")}},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      Forks forks;
      forks.say(row.said);
      for (unsigned passed_s = 0; passed_s <= 60; passed_s += 10) {
        INFO(passed_s << " s after the answer");
        CHECK(forks.hears(forks.told(4000)));
        CHECK(forks.speaks(4000) == forks.told(4000));
        forks.lab.pass_s(10);
      }
      CHECK(forks.lab.count(WorkerCounter::call_live) == 1);
      CHECK(forks.lab.count(WorkerCounter::call_opened) == 1);
    }
  }
}

TEST_CASE("while a branch lives, the offer and who is expected stay as they are", "[sip][forks][AC-19]") {
  auto config = lab_config(1);
  config.sip.media_from = nat::MediaFrom::signalled;
  Forks forks(config);
  SECTION("of a call out: early media of one goes on when another is busy") {
    forks.say({out("INVITE", "1", "", 4000), out("INVITE", "2", "", 4000),
               in("183 Session Progress", "2", "b", 6000), in("486 Busy Here", "1", "a")});
    CHECK(forks.hears(forks.told(4000)));
    forks.say(pause_s(10));
    CHECK(forks.hears(forks.told(4000)));
  }
  SECTION("of a call in: the caller is heard by who answers") {
    forks.say({in("INVITE", "1", "", 6000), out("180 Ringing", "1", "a"), in("INVITE", "2", "", 6000, 5070),
               out("486 Busy Here", "2", "b", 0, 5070), out("200 OK", "1", "a", 4000)});
    CHECK(forks.hears(forks.told(4000)));
  }
}

TEST_CASE("a call ends with the last of its branches", "[sip][forks][AC-19]") {
  Forks forks;
  forks.say({out("INVITE", "1", "", 4000), out("INVITE", "2", "", 4000), in("180 Ringing", "1", "a"),
             in("180 Ringing", "2", "b"), in("486 Busy Here", "1", "a")});
  CHECK(forks.lab.count(WorkerCounter::call_active) == 1);
  forks.say(in("480 Temporarily Unavailable", "2", "b"));
  CHECK(forks.lab.count(WorkerCounter::call_active) == 0);
  forks.say(out("INVITE", "2", "", 4000));  // that comes late
  CHECK(forks.lab.count(WorkerCounter::call_active) == 0);
  forks.say(pause_s(40));
  CHECK(forks.lab.count(WorkerCounter::call_live) == 0);
}

TEST_CASE("a call that comes back to the inside address that it came from is two calls",
          "[sip][forks][AC-17]") {
  const auto port = GENERATE(5060U, 5070U);  // of the one that is called
  DYNAMIC_SECTION("to port " << port) {
    Forks forks;
    forks.say({out("INVITE", "1", "", 4000), in("100 Trying", "1"), in("INVITE", "2", "", 6000, port),
               out("180 Ringing", "2", "b", 0, port), in("180 Ringing", "1", "b"), pause_s(3),
               out("200 OK", "2", "b", 4010, port), pause_s(6), in("200 OK", "1", "b", 6000),
               out("ACK", "3", "b"), in("ACK", "4", "b", 0, port)});
    for (unsigned passed_s = 0; passed_s <= 60; passed_s += 10) {
      INFO(passed_s << " s after the answer");
      for (const auto media : {4000U, 4010U}) {
        CHECK(forks.hears(forks.told(media)));
        CHECK(forks.speaks(media) == forks.told(media));
      }
      forks.lab.pass_s(10);
    }
    CHECK(forks.lab.count(WorkerCounter::call_active) == 2);
    forks.say({out("BYE", "5", "b"), in("BYE", "6", "b", 0, port), out("200 BYE", "6", "b", 0, port),
               in("200 BYE", "5", "b")});
    CHECK(forks.lab.count(WorkerCounter::call_active) == 0);
  }
}

TEST_CASE("one side of a call that comes back is refused, and the other one goes on elsewhere",
          "[sip][forks][AC-19]") {
  Forks forks;
  forks.say({out("INVITE", "1", "", 4000), in("INVITE", "2", "", 6000), out("486 Busy Here", "2", "b"),
             in("ACK", "2", "b"), in("180 Ringing", "1", "c"), pause_s(40), in("200 OK", "1", "c", 6000),
             out("ACK", "3", "c"), pause_s(40)});
  CHECK(forks.hears(forks.told(4000)));
  CHECK(forks.speaks(4000) == forks.told(4000));
}

TEST_CASE("two forks answer, and the end of the one that is not taken leaves the other",
          "[sip][forks][AC-19][rfc3261]") {
  struct Row {
    const char* name;
    std::vector<Said> said;
  };
  constexpr unsigned kOther = 5070;
  const Row rows[] = {
      {"of a call out",
       {out("INVITE", "1", "", 4000), in("200 OK", "1", "a", 6000), out("ACK", "2", "a"),
        in("200 OK", "1", "b", 6000), out("ACK", "3", "b"), out("BYE", "4", "b"), in("200 BYE", "4", "b")}},
      {"of a call in, to two phones of one address",
       {in("INVITE", "1", "", 6000), in("INVITE", "2", "", 6000, kOther), out("200 OK", "1", "a", 4000),
        out("200 OK", "2", "b", 4010, kOther), in("ACK", "3", "a"), in("ACK", "4", "b", 0, kOther),
        in("BYE", "5", "b", 0, kOther), out("200 BYE", "5", "b", 0, kOther)}},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      Forks forks;
      forks.say(row.said);
      for (unsigned passed_s = 0; passed_s <= 60; passed_s += 10) {
        INFO(passed_s << " s later");
        CHECK(forks.hears(forks.told(4000)));
        CHECK(forks.speaks(4000) == forks.told(4000));
        forks.lab.pass_s(10);
      }
      CHECK(forks.lab.count(WorkerCounter::call_active) == 1);
      forks.say({out("BYE", "6", "a"), in("200 BYE", "6", "a")});
      CHECK(forks.lab.count(WorkerCounter::call_active) == 0);
    }
  }
}

TEST_CASE("two forks answer, the one that answered first is ended, and the call goes on as the other",
          "[sip][forks][AC-19][rfc3261]") {
  constexpr unsigned kOther = 5070;
  struct Row {
    const char* name;
    std::vector<Said> said;
    std::vector<Said> end;
    unsigned media = 4000;  // of the phone, in the dialog that goes on
    nat::Endpoint peer = kSecond;
  };
  const std::vector<Said> both = {out("INVITE", "1", "", 4000), in("200 OK", "1", "a", 6000),
                                  out("ACK", "2", "a"), second(in("200 OK", "1", "b", 6000)),
                                  out("ACK", "3", "b")};
  const auto then = [](std::vector<Said> said, const std::vector<Said>& more) {
    said.insert(said.end(), more.begin(), more.end());
    return said;
  };
  const std::vector<Said> second_ends = {out("BYE", "9", "b"), in("200 BYE", "9", "b")};
  const std::vector<Said> inside = {in("INVITE", "1", "", 6000),   in("INVITE", "2", "", 6000, kOther),
                                    out("200 OK", "1", "a", 4000), out("200 OK", "2", "b", 4010, kOther),
                                    in("ACK", "3", "a"),           in("ACK", "4", "b", 0, kOther)};
  const std::vector<Said> inside_ends = {in("BYE", "9", "b", 0, kOther), out("200 BYE", "9", "b", 0, kOther)};
  const Row rows[] = {
      {"of a call out", then(both, {out("BYE", "4", "a"), in("200 BYE", "4", "a")}), second_ends},
      {"which ends itself", then(both, {in("BYE", "4", "a"), out("200 BYE", "4", "a")}), second_ends},
      {"the other one ends the call",
       then(both, {out("BYE", "4", "a"), in("200 BYE", "4", "a")}),
       {in("BYE", "9", "b"), out("200 BYE", "9", "b")}},
      {"its acceptance comes again",
       then(both, {out("BYE", "4", "a"), in("200 OK", "1", "a", 6000), in("200 BYE", "4", "a"),
                   out("ACK", "2", "a")}),
       second_ends},
      {"a BYE that is challenged",
       then(both,
            {out("BYE", "4", "a"), in("401 BYE", "4", "a"), out("BYE", "5", "a"), in("200 BYE", "5", "a")}),
       second_ends},
      {"and acknowledged after that",
       {out("INVITE", "1", "", 4000), in("200 OK", "1", "a", 6000), second(in("200 OK", "1", "b", 6000)),
        out("ACK", "2", "a"), out("BYE", "4", "a"), in("200 BYE", "4", "a"), out("ACK", "3", "b")},
       second_ends},
      {"which was never acknowledged",
       {out("INVITE", "1", "", 4000), in("200 OK", "1", "a", 6000), second(in("200 OK", "1", "b", 6000)),
        out("ACK", "3", "b")},
       second_ends},
      {"which was acknowledged later",
       {out("INVITE", "1", "", 4000), in("200 OK", "1", "a", 6000), second(in("200 OK", "1", "b", 6000)),
        out("ACK", "3", "b"), out("ACK", "2", "a"), out("BYE", "4", "a"), in("200 BYE", "4", "a")},
       second_ends},
      {"of three",
       then(both, {in("200 OK", "1", "c", 6000), out("ACK", "5", "c"), out("BYE", "4", "a"),
                   out("BYE", "6", "c"), in("200 BYE", "4", "a"), in("200 BYE", "6", "c")}),
       second_ends},
      {"one after the other",
       {out("INVITE", "1", "", 4000), in("200 OK", "1", "c", 6000), out("ACK", "2", "c"),
        in("200 OK", "1", "a", 6000), out("ACK", "3", "a"), out("BYE", "4", "c"), in("200 BYE", "4", "c"),
        second(in("200 OK", "1", "b", 6000)), out("ACK", "5", "b"), out("BYE", "6", "a"),
        in("200 BYE", "6", "a")},
       second_ends},
      {"and offers anew",
       then(both, {out("BYE", "4", "a"), in("200 BYE", "4", "a"), out("INVITE", "5", "b", 4000),
                   second(in("200 OK", "5", "b", 6000)), out("ACK", "6", "b")}),
       second_ends},
      {"of a call in, to two phones of one address",
       then(inside, {in("BYE", "5", "a"), out("200 BYE", "5", "a")}), inside_ends, 4010, kCallee},
      {"of a call in, by the phone", then(inside, {out("BYE", "5", "a"), in("200 BYE", "5", "a")}),
       inside_ends, 4010, kCallee},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      auto config = lab_config(1);
      config.sip.media_from = nat::MediaFrom::signalled;
      Forks forks(config);
      forks.say(row.said);
      for (unsigned passed_s = 0; passed_s <= 60; passed_s += 10) {
        INFO(passed_s << " s later");
        CHECK(forks.hears(forks.told(row.media), row.peer));
        CHECK(forks.speaks(row.media) == forks.told(row.media));
        forks.lab.pass_s(10);
      }
      CHECK(forks.lab.count(WorkerCounter::call_active) == 1);
      forks.say(row.end);
      CHECK(forks.lab.count(WorkerCounter::call_active) == 0);
      forks.say(pause_s(40));
      CHECK(forks.lab.count(WorkerCounter::call_live) == 0);
      CHECK_FALSE(forks.hears(forks.told(row.media), row.peer));
    }
  }
}

TEST_CASE("what is not a dialog that lives keeps no call", "[sip][forks][AC-19][AC-23]") {
  struct Row {
    const char* name;
    std::vector<Said> said;
    unsigned media = 4000;  // of the phone; 0: it has named none
  };
  const auto after_both = [](const Said& late) {
    return std::vector<Said>{out("INVITE", "1", "", 4000), in("200 OK", "1", "a", 6000),
                             out("ACK", "2", "a"),         in("200 OK", "1", "b", 6000),
                             out("ACK", "3", "b"),         out("BYE", "4", "a"),
                             in("200 BYE", "4", "a"),      out("BYE", "5", "b"),
                             in("200 BYE", "5", "b"),      late};
  };
  const Row rows[] = {
      {"nobody has acknowledged the other one",
       {out("INVITE", "1", "", 4000), in("200 OK", "1", "a", 6000), out("ACK", "2", "a"),
        in("200 OK", "1", "b", 6000), out("BYE", "4", "a"), in("200 BYE", "4", "a")}},
      {"the other one was ended before",
       {out("INVITE", "1", "", 4000), in("200 OK", "1", "a", 6000), out("ACK", "2", "a"),
        in("200 OK", "1", "b", 6000), out("ACK", "3", "b"), out("BYE", "4", "b"),
        in("200 OK", "1", "b", 6000), out("ACK", "3", "b"), in("200 BYE", "4", "b"), out("BYE", "5", "a"),
        in("200 BYE", "5", "a")}},
      {"the other one was acknowledged, but has never accepted",
       {out("INVITE", "1", "", 4000), in("200 OK", "1", "a", 6000), out("ACK", "2", "a"),
        out("ACK", "3", "b"), out("BYE", "4", "a"), in("200 BYE", "4", "a")}},
      {"who has accepted acknowledges it himself",
       {out("INVITE", "1", "", 4000), in("200 OK", "1", "a", 6000), out("ACK", "2", "a"),
        in("200 OK", "1", "b", 6000), in("ACK", "3", "b"), out("BYE", "4", "a"), in("200 BYE", "4", "a")}},
      {"and once more after the end",
       {out("INVITE", "1", "", 4000), in("200 OK", "1", "a", 6000), out("ACK", "2", "a"),
        in("200 OK", "1", "b", 6000), out("BYE", "4", "a"), in("200 BYE", "4", "a"), in("ACK", "3", "b")}},
      {"who was called accepts twice, and acknowledges one himself",
       {out("INVITE", "1", "", 4000), in("200 OK", "9", "z", 6000), in("200 OK", "1", "a", 6000),
        out("ACK", "2", "a"), in("ACK", "3", "z"), out("BYE", "4", "a"), in("200 BYE", "4", "a")}},
      {"who has called accepts and acknowledges it himself",
       {in("INVITE", "1", "", 6000), in("200 OK", "1", "z"), in("ACK", "2", "z"),
        out("486 Busy Here", "1", "a"), in("ACK", "1", "a")},
       0},
      {"who has called accepts before the phone does",
       {in("INVITE", "1", "", 6000), in("200 OK", "1", "z"), in("ACK", "2", "z"),
        out("200 OK", "1", "a", 4000), in("ACK", "3", "a"), out("BYE", "4", "a"), in("200 BYE", "4", "a")}},
      {"both were ended, and a late response comes", after_both(in("100 Trying", "1"))},
      {"both were ended, and the INVITE is sent again", after_both(out("INVITE", "1", "", 4000))},
      {"both were ended, and a late CANCEL comes", after_both(out("CANCEL", "1"))},
      {"both were ended, and the second accepts again", after_both(in("200 OK", "1", "b", 6000))},
      {"both were ended, and the second is acknowledged again", after_both(out("ACK", "3", "b"))},
      {"the other one has refused",
       {out("INVITE", "1", "", 4000), in("200 OK", "1", "a", 6000), out("ACK", "2", "a"),
        in("486 Busy Here", "1", "b"), out("ACK", "1", "b"), out("BYE", "4", "a"), in("200 BYE", "4", "a")}},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      Forks forks;
      forks.say(row.said);
      CHECK(forks.lab.count(WorkerCounter::call_active) == 0);
      forks.say(pause_s(40));
      CHECK(forks.lab.count(WorkerCounter::call_live) == 0);
      if (row.media != 0) CHECK_FALSE(forks.hears(forks.told(row.media)));
    }
  }
}

TEST_CASE("of a fork that has named nobody anyone is heard", "[sip][forks][AC-09][AC-19]") {
  Forks forks;
  forks.say({out("INVITE", "1", "", 4000), in("200 OK", "1", "a", 6000), out("ACK", "2", "a"),
             in("200 OK", "1", "b"), out("ACK", "3", "b")});
  CHECK(forks.hears(forks.told(4000)));
  CHECK_FALSE(forks.hears(forks.told(4000), kSecond));
  forks.say({out("BYE", "4", "a"), in("200 BYE", "4", "a")});
  CHECK(forks.hears(forks.told(4000), kSecond));
}

TEST_CASE("before the first is ended the other ones are not expected", "[sip][forks][AC-19][AC-23]") {
  auto config = lab_config(1);
  config.sip.media_from = nat::MediaFrom::signalled;
  Forks forks(config);
  forks.say({out("INVITE", "1", "", 4000), in("200 OK", "1", "a", 6000), out("ACK", "2", "a"),
             second(in("200 OK", "1", "b", 6000)), out("ACK", "3", "b")});
  CHECK(forks.hears(forks.told(4000)));
  CHECK_FALSE(forks.hears(forks.told(4000), kSecond));
  forks.say(out("BYE", "4", "a"));
  CHECK_FALSE(forks.hears(forks.told(4000)));
  CHECK(forks.hears(forks.told(4000), kSecond));
}

TEST_CASE("the gateway that accepted, of several, gets in with its BYE after hours",
          "[sip][forks][AC-13][AC-19]") {
  Forks forks;
  forks.say({out("INVITE", "1", "", 4000), in("503 Service Unavailable", "1", "a"), out("ACK", "1", "a")});
  forks.server = endpoint("198.51.100.8", 5060);
  forks.say({out("INVITE", "2", "", 4000), in("200 OK", "2", "b", 6000), out("ACK", "3", "b")});
  for (unsigned passed_s = 0; passed_s < 2 * 3600; passed_s += 60) {
    REQUIRE(forks.hears(forks.told(4000)));
    REQUIRE(forks.speaks(4000) == forks.told(4000));
    forks.lab.pass_s(60);
  }
  forks.say({in("BYE", "4", "b"), out("200 BYE", "4", "b")});
  CHECK(forks.lab.count(WorkerCounter::call_active) == 0);
}

TEST_CASE("who has refused a call does not bring it back by himself", "[sip][forks][AC-19][AC-23]") {
  const std::string branch = GENERATE("1", "9");
  INFO("an acceptance on branch " << branch);
  Forks forks;
  forks.say({out("INVITE", "1", "", 4000), in("180 Ringing", "1", "a"),
             in("487 Request Terminated", "1", "a"), out("ACK", "1", "a"), in("200 OK", branch, "a", 6000),
             in("ACK", "1", "a")});
  forks.lab.pass_s(60);
  CHECK(forks.lab.count(WorkerCounter::call_active) == 0);
  CHECK_FALSE(forks.hears(forks.told(4000)));
}

TEST_CASE("a call that is tried again is not closed by who has seen it end", "[sip][forks][AC-18]") {
  struct Row {
    const char* name;
    bool is_tried_again;
    ipc::EndReason reason;
    bool stays;
  };
  const Row rows[] = {
      {"ended", false, ipc::EndReason::none, false},
      {"tried again", true, ipc::EndReason::none, true},
      {"tried again, and to be closed all the same", true, ipc::EndReason::no_answer, false},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      Forks forks;
      forks.say({out("INVITE", "1", "", 4000), in("407 Proxy Authentication Required", "1", "a"),
                 out("ACK", "1", "a")});
      const auto told = forks.told(4000);
      if (row.is_tried_again) forks.say({out("INVITE", "2", "", 4000)});
      const auto& calls = forks.lab.context(0).calls;
      std::uint32_t card = 0;
      while (!calls.card(card).in_use) ++card;
      PolicyTalk(forks.lab).tell(0, {.type = ipc::CommandType::close_call,
                                     .reason = row.reason,
                                     .card = card,
                                     .card_generation = calls.card(card).generation});
      forks.lab.pass_s(1);
      CHECK(forks.lab.count(row.stays ? WorkerCounter::command_stale : WorkerCounter::command_done) == 1);
      CHECK(forks.lab.count(WorkerCounter::call_live) == (row.stays ? 1 : 0));
      CHECK(forks.hears(told) == row.stays);
    }
  }
}
