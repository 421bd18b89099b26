// SPDX-License-Identifier: BSD-3-Clause
#include "control/call_log.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <catch2/catch.hpp>

namespace pinhole::control {

namespace {

const Steady kStart{std::chrono::hours(1)};

class Directory {
 public:
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "call_log_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

nat::Endpoint endpoint(std::uint32_t address, std::uint16_t port) {
  return {nat::Ipv4Address::from_host(address), nat::Be16{port}};
}

CallRecord call() {
  CallRecord call;
  call.hash = 0xab;
  call.step = {ipc::CallState::ended, ipc::EndReason::bye};
  call.outbound = true;
  call.call_id = "a\"b@phone";
  call.from_uri = "sip:\xff@in";  // not UTF-8
  call.to_uri = "sip:bob@out";
  call.inside = endpoint(0x0a000005, 5060);
  call.external = endpoint(0xcb007101, 40000);
  call.remote = endpoint(0xc6336401, 5060);
  call.started = Time(std::chrono::milliseconds(1'767'323'045'006));
  call.answered = call.started + std::chrono::seconds(2);
  call.ended = call.started + std::chrono::seconds(5);
  call.ended_by = EndedBy::outside;
  call.media.push_back({.inside = endpoint(0x0a000005, 4000),
                        .external = endpoint(0xcb007101, 50000),
                        .remote = endpoint(0xc6336405, 7000),
                        .protocol = nat::Protocol::udp,
                        .is_rtcp = false,
                        .before = {},
                        .usage = {.packets_out = 3, .packets_in = 2, .bytes = 1000, .measured = {}}});
  return call;
}

}  // namespace

TEST_CASE("the record of a call is one line of JSON", "[control][call_log]") {
  CHECK(
      call_line(call()) ==
      R"({"id":"00000000000000ab","call_id":"a\"b@phone","from":"sip:�@in","to":"sip:bob@out",)"
      R"("direction":"outbound","started":"2026-01-02T03:04:05.006Z","answered":"2026-01-02T03:04:07.006Z",)"
      R"("ended":"2026-01-02T03:04:10.006Z","reason":"bye","ended_by":"outside","inside":"10.0.0.5:5060",)"
      R"("external":"203.0.113.1:40000","remote":"198.51.100.1:5060","media":[{"protocol":"udp",)"
      R"("rtcp":false,"inside":"10.0.0.5:4000","external":"203.0.113.1:50000",)"
      R"("remote":"198.51.100.5:7000","packets_out":3,"packets_in":2,"bytes":1000,)"
      R"("bytes_out":null,"bytes_in":null,"rtp_out":null,"rtp_in":null}]})"
      "\n");
  auto unanswered = call();
  unanswered.answered.reset();
  unanswered.ended_by = EndedBy::unknown;
  unanswered.media[0].remote.reset();
  const auto line = call_line(unanswered);
  CHECK_THAT(line, Catch::Contains(R"("answered":null)"));
  CHECK_THAT(line, Catch::Contains(R"("ended_by":null)"));
  CHECK_THAT(line, Catch::Contains(R"("remote":null)"));
}

TEST_CASE("a record has what was measured, each way by itself", "[control][call_log][rtp]") {
  auto measured = call();
  auto& usage = measured.media[0].usage;
  usage.measured = Measured{.bytes_out = 600,
                            .bytes_in = 400,
                            .rtp_out = RtpRow{.packets = 3,
                                              .lost = 1,
                                              .repeated = 2,
                                              .sources = 1,
                                              .jitter_us = 1250,
                                              .jitter_max_us = 3000,
                                              .gap_max_us = 61'003},
                            .rtp_in = RtpRow{}};
  CHECK_THAT(call_line(measured),
             Catch::Contains(R"("bytes":1000,"bytes_out":600,"bytes_in":400,"rtp_out":{"packets":3,"lost":1,)"
                             R"("loss":0.25,"repeated":2,"sources":1,"jitter_ms":1.25,"jitter_max_ms":3.0,)"
                             R"("gap_max_ms":61.003},"rtp_in":{"packets":0,"lost":0,"loss":0.0,"repeated":0,)"
                             R"("sources":0,"jitter_ms":0.0,"jitter_max_ms":0.0,"gap_max_ms":0.0}}]})"));
  usage.measured->rtp_out.reset();
  usage.measured->rtp_in->packets = 2;
  usage.measured->rtp_in->lost = 1;
  CHECK_THAT(call_line(measured),
             Catch::Contains(R"("rtp_out":null,"rtp_in":{"packets":2,"lost":1,"loss":0.333333,)"));
}

TEST_CASE("records are appended to the file, and kept while it cannot be written", "[control][call_log]") {
  const Directory directory;
  ControlCounters counters;
  const auto path = directory.file("later/calls.jsonl");
  CallLog log({.file = path, .file_mb = 1, .files = 2}, counters);
  log.add(call());
  log.write(kStart);
  CHECK(counters.read(ControlCounter::call_record_written) == 0);
  CHECK(counters.read(ControlCounter::call_log_failed) == 1);
  std::filesystem::create_directory(directory.file("later"));
  log.add(call());
  log.write(kStart + LineFile::kTryAgain);
  CHECK(text_of(path) == call_line(call()) + call_line(call()));
  CHECK(counters.read(ControlCounter::call_record_written) == 2);
}

TEST_CASE("what cannot be written is bounded, and counted as lost", "[control][call_log]") {
  const Directory directory;
  ControlCounters counters;
  CallLog log({.file = directory.file("none/calls.jsonl"), .file_mb = 1, .files = 2}, counters);
  auto large = call();
  large.call_id.assign(std::size_t{1} << 20U, 'x');
  for (int i = 0; i < 20; ++i) log.add(large);
  const auto refused = counters.read(ControlCounter::call_record_unwritten);
  CHECK(refused == 4);
  log.close(kStart);
  CHECK(counters.read(ControlCounter::call_record_unwritten) == 20);
}

TEST_CASE("without a file nothing is kept", "[control][call_log]") {
  ControlCounters counters;
  CallLog log({}, counters);
  log.add(call());
  log.write(kStart);
  log.close(kStart);
  CHECK(counters.read(ControlCounter::call_record_written) == 0);
  CHECK(counters.read(ControlCounter::call_record_unwritten) == 0);
}

}  // namespace pinhole::control
