// SPDX-License-Identifier: BSD-3-Clause
#include "control/commands/command.hpp"

#include "control/commands/encode.hpp"
#include "tests/control/fake_model.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <vector>

using namespace pinhole;
using namespace pinhole::control;

namespace {

Json run(const FakeModel& model, std::string_view method, const char* params = "{}") {
  auto result = run_command(model, method, Json::parse(params));
  INFO((result ? "" : result.error().message));
  REQUIRE(result.has_value());
  return *std::move(result);
}

Error fail(const FakeModel& model, std::string_view method, const char* params = "{}") {
  const auto result = run_command(model, method, Json::parse(params));
  REQUIRE(result.has_error());
  return result.error();
}

/// One value of every row, in order.
std::vector<std::string> column(const Json& list, const char* key) {
  std::vector<std::string> values;
  for (const auto& row : list)
    values.push_back(row.at(key).is_string() ? row.at(key).get<std::string>() : row.at(key).dump());
  return values;
}

Json needed_params(std::string_view command) {
  const auto [name, value] = needed_parameter(command);
  return name.empty() ? Json::object() : Json{{std::string(name), value}};
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("the switch of the SIP gateway is turned for all, an interface or hosts",
          "[control][commands][alg_switch][AC-24]") {
  const auto model = sample_model();
  struct Case {
    const char* method;
    const char* params;
    bool on;
    const char* interface;
    const char* hosts;  // nullptr: none
  };
  for (const Case& row : {Case{"sip.off", "{}", false, "", nullptr}, Case{"sip.on", "{}", true, "", nullptr},
                          Case{"sip.off", R"({"interface": "wan"})", false, "wan", nullptr},
                          Case{"sip.off", R"({"prefix": "10.0.0.0/25"})", false, "", "10.0.0.0/25"},
                          Case{"sip.on", R"({"prefix": "10.0.0.5"})", true, "", "10.0.0.5/32"}}) {
    INFO(row.method << " " << row.params);
    CHECK(find_command(row.method)->access == Access::write);
    static_cast<void>(run(model, row.method, row.params));
    REQUIRE(model.turns.last.has_value());
    CHECK(model.turns.last->on == row.on);
    CHECK(model.turns.last->interface == row.interface);
    CHECK(model.turns.last->hosts.has_value() == (row.hosts != nullptr));
    if (row.hosts != nullptr)
      CHECK(*model.turns.last->hosts == pinhole::nat::Prefix::parse(row.hosts).value());
  }
  model.turns.last.reset();
  CHECK(fail(model, "sip.off", R"({"prefix": "10.0.0.5:5060"})").code == ErrorCode::range);
  CHECK(fail(model, "sip.off", R"({"prefix": "10.0.0.5", "interface": "lan"})").code == ErrorCode::conflict);
  CHECK_FALSE(model.turns.last.has_value());
}

TEST_CASE("each gateway has a switch, by its name", "[control][commands][AC-24]") {
  const auto model = sample_model();
  CHECK(column(run(model, "alg.show").at("algs"), "name") == Texts{"sip", "tftp"});
  const auto off = run(model, "alg.off", R"({"name": "tftp", "prefix": "10.0.0.0/25"})");
  CHECK(off.at("name") == "tftp");
  REQUIRE(model.turns.last.has_value());
  CHECK(model.turns.last->alg == "tftp");
  CHECK_FALSE(model.turns.last->on);
  CHECK(*model.turns.last->hosts == pinhole::nat::Prefix::parse("10.0.0.0/25").value());
  static_cast<void>(run(model, "sip.on"));
  CHECK(model.turns.last->alg == "sip");
  CHECK(fail(model, "alg.on", "{}").code == ErrorCode::missing);
  CHECK(find_command("alg.on")->access == Access::write);
}

TEST_CASE("plug-ins are shown with what they have counted, all or one", "[control][commands][plugins]") {
  const auto model = sample_model();
  const auto plugins = run(model, "plugins").at("plugins");
  CHECK(column(plugins, "name") == Texts{"tftp"});
  CHECK(plugins[0].at("claims") == Json::parse(R"([{"protocol": "udp", "port": 69}])"));
  CHECK(run(model, "plugins", R"({"name": "tftp"})").at("plugins") == plugins);
  CHECK(fail(model, "plugins", R"({"name": "ftp"})").code == ErrorCode::not_found);
}

TEST_CASE("rules are shown in their order with what they have decided", "[control][commands][rules]") {
  auto model = sample_model();
  const auto rules = run(model, "rules").at("rules");
  CHECK(column(rules, "name") == Texts{"scanners", "no-site", "unknown.nat.methods"});
  CHECK(column(rules, "application") == Texts{"sip", "ftp", "sip"});
  CHECK(column(rules, "action") == Texts{"drop", "drop", "log"});
  CHECK(column(rules, "hits") == Texts{"17", "3", "0"});
  CHECK(column(rules, "per_worker") == Texts{"[12,5]", "[1,2]", "[0,0]"});
  model.rule_rows.reset();
  CHECK(fail(model, "rules").code == ErrorCode::unavailable);
}

TEST_CASE("the configuration is read again, or it is said why not", "[control][commands][rules]") {
  const auto model = sample_model();
  CHECK(find_command("reload")->access == Access::write);
  const auto result = run(model, "reload");
  CHECK(result.at("changed") == Json{"protection.rules", "sip.enabled"});
  CHECK(result.at("generation") == 5);
  CHECK(result.at("settled") == true);
  model.turns.reload_error = Error{ErrorCode::conflict, "nat.pool: ..."};
  CHECK(fail(model, "reload").code == ErrorCode::conflict);
}

TEST_CASE("a call is hung up by the beginning of its name", "[control][commands][hangup]") {
  auto model = sample_model();
  CHECK(find_command("hangup")->access == Access::write);
  const auto answer = run(model, "hangup", R"({"id": "1-4242"})");
  CHECK(answer.at("id") == "3f2a91c04de85b76");
  CHECK(answer.at("state") == "confirmed");
  CHECK(model.turns.hung_up == "3f2a91c04de85b76");
  CHECK(fail(model, "hangup", R"({"id": "nobody"})").code == ErrorCode::not_found);
  CHECK(fail(model, "hangup", R"({"id": "3f"})").code == ErrorCode::conflict);    // two begin so
  CHECK(fail(model, "hangup", R"({"id": "3f77"})").code == ErrorCode::conflict);  // it is over
  CHECK(fail(model, "hangup", "{}").code == ErrorCode::missing);
}

TEST_CASE("bans and allowed sources are ordered by address or subnet", "[control][commands][bans]") {
  const auto model = sample_model();
  const auto host = pinhole::nat::Prefix::parse("198.51.100.66").value();
  const auto subnet = pinhole::nat::Prefix::parse("198.51.100.0/24").value();
  static_cast<void>(run(model, "ban.add", R"({"prefix": "198.51.100.66"})"));
  CHECK(model.turns.banned->prefix == host);
  CHECK(model.turns.banned->seconds == 3600);
  CHECK(model.turns.banned->note.empty());
  static_cast<void>(
      run(model, "ban.add", R"({"prefix": "198.51.100.0/24", "seconds": 60, "note": "ticket 7"})"));
  CHECK(model.turns.banned->prefix == subnet);
  CHECK(model.turns.banned->seconds == 60);
  CHECK(model.turns.banned->note == "ticket 7");
  static_cast<void>(run(model, "ban.lift", R"({"prefix": "198.51.100.66"})"));
  CHECK(model.turns.lifted == host);
  static_cast<void>(run(model, "allow.add", R"({"prefix": "198.51.100.0/24"})"));
  CHECK(model.turns.allowed == subnet);
  static_cast<void>(run(model, "allow.remove", R"({"prefix": "198.51.100.66"})"));
  CHECK(model.turns.disallowed == host);
  for (const char* method : {"ban.add", "ban.lift", "allow.add", "allow.remove"}) {
    INFO(method);
    CHECK(fail(model, method, "{}").code == ErrorCode::missing);
    CHECK(fail(model, method, R"({"prefix": "nobody"})").code == ErrorCode::range);
    CHECK(fail(model, method, R"({"prefix": "198.51.100.66:5060"})").code == ErrorCode::range);
  }
  CHECK(fail(model, "ban.add", R"({"prefix": "198.51.100.66", "seconds": 0})").code == ErrorCode::range);
  const auto with_note = [](std::size_t bytes) {
    return R"({"prefix": "198.51.100.66", "note": ")" + std::string(bytes, 'n') + "\"}";
  };
  static_cast<void>(run(model, "ban.add", with_note(200).c_str()));
  CHECK(model.turns.banned->note.size() == 200);
  CHECK(fail(model, "ban.add", with_note(201).c_str()).message ==
        "note: found 201 bytes; allowed is up to 200");
}

TEST_CASE("a capture is ordered with its limits and one filter", "[control][commands][capture][AC-25]") {
  const auto model = sample_model();
  SECTION("nothing but a file") {
    static_cast<void>(run(model, "capture.start", R"({"file": "/tmp/a"})"));
    const auto& order = *model.turns.ordered;
    CHECK(order.file == "/tmp/a");
    CHECK(order.seconds == 60);
    CHECK(order.packets == 0);
    CHECK(order.megabytes == 100);
    CHECK_FALSE(order.host.has_value());
    CHECK(order.call.empty());
    CHECK(order.interfaces.empty());
    CHECK_FALSE(order.attended);
  }
  SECTION("everything") {
    static_cast<void>(run(model, "capture.start",
                          R"({"file": "/tmp/a", "seconds": 3600, "packets": 7, "mb": 5, "call": "1-4242",
                              "interface": "lan,wan", "attended": true})"));
    const auto& order = *model.turns.ordered;
    CHECK(order.seconds == 3600);
    CHECK(order.packets == 7);
    CHECK(order.megabytes == 5);
    CHECK(order.call == "3f2a91c04de85b76");
    CHECK(order.interfaces == std::vector<std::string>{"lan", "wan"});
    CHECK(order.attended);
  }
  SECTION("a host") {
    static_cast<void>(run(model, "capture.start", R"({"file": "/tmp/a", "host": "10.0.0.5"})"));
    CHECK(model.turns.ordered->host == pinhole::nat::Ipv4Address::parse("10.0.0.5"));
  }
  struct Case {
    const char* params;
    ErrorCode code;
  };
  for (const Case& row :
       {Case{"{}", ErrorCode::missing}, Case{R"({"file": ""})", ErrorCode::range},
        Case{R"({"file": "/a", "seconds": 0})", ErrorCode::range},
        Case{R"({"file": "/a", "seconds": 3601})", ErrorCode::range},
        Case{R"({"file": "/a", "mb": 0})", ErrorCode::range},
        Case{R"({"file": "/a", "packets": "many"})", ErrorCode::type},
        Case{R"({"file": "/a", "host": "10.0.0.0/24"})", ErrorCode::range},
        Case{R"({"file": "/a", "host": "10.0.0.5:5060"})", ErrorCode::range},
        Case{R"({"file": "/a", "call": "nobody"})", ErrorCode::not_found},
        Case{R"({"file": "/a", "call": "3f2a", "host": "10.0.0.5"})", ErrorCode::conflict}}) {
    INFO(row.params);
    model.turns.ordered.reset();
    CHECK(fail(model, "capture.start", row.params).code == row.code);
    CHECK_FALSE(model.turns.ordered.has_value());
  }
}

TEST_CASE("every command has a name, a sentence and a handler, and its arguments too",
          "[control][commands]") {
  std::set<std::string_view> names;
  for (const auto& command : commands()) {
    INFO(command.name);
    CHECK(names.insert(command.name).second);
    CHECK_FALSE(command.summary.empty());
    CHECK(command.handler != nullptr);
    CHECK(find_command(command.name) == &command);
    for (const auto& argument : command.arguments) {
      INFO(argument.name);
      CHECK_FALSE(argument.help.empty());
      CHECK(std::all_of(argument.name.begin(), argument.name.end(),
                        [](unsigned char c) { return std::islower(c) != 0 || c == '_'; }));
    }
  }
  CHECK(find_command("calls ") == nullptr);
}

TEST_CASE("every command that needs no parameter answers over the sample model", "[control][commands]") {
  const auto model = sample_model();
  for (const auto& command : commands()) {
    if (!needed_parameter(command.name).name.empty()) continue;
    DYNAMIC_SECTION(command.name) {
      CHECK(run(model, command.name).is_object());
    }
  }
}

TEST_CASE("commands that need the data plane say that it is gone, the others answer", "[control][commands]") {
  auto model = sample_model();
  for (const auto state : {DataplaneState::starting, DataplaneState::lost}) {
    model.now.dataplane = state;
    for (const auto& command : commands()) {
      INFO(command.name);
      const auto result = run_command(model, command.name, needed_params(command.name));
      if (command.needs == Needs::nothing) {
        CHECK(result.has_value());
      } else {
        REQUIRE(result.has_error());
        CHECK(result.error().code == ErrorCode::unavailable);
        CHECK(result.error().message.find("start pinhole-dataplane") != std::string::npos);
      }
    }
  }
}

TEST_CASE("parameters are checked before a command runs", "[control][commands]") {
  const auto model = sample_model();
  struct Case {
    const char* method;
    const char* params;
    ErrorCode code;
    const char* message;
  };
  const std::vector<Case> cases = {
      {"nothing", "{}", ErrorCode::usage, "there is no method \"nothing\"; \"help\" lists those there are"},
      {"status", R"({"x":1})", ErrorCode::unknown_key, "unknown parameter \"x\"; this command takes none"},
      {"registrations", R"({"aors":"x"})", ErrorCode::unknown_key,
       "unknown parameter \"aors\"; this command takes aor, offset, limit"},
      {"call", "{}", ErrorCode::missing, "id is missing: the call's id or Call-ID, or the beginning of one"},
      {"call", R"({"id":""})", ErrorCode::range, "id: found \"\"; allowed is a string that is not empty"},
      {"call", R"({"id":7})", ErrorCode::type, "id: found 7; allowed is a string"},
      {"calls", R"({"all":"yes"})", ErrorCode::type, "all: found \"yes\"; allowed is true or false"},
      {"calls", R"({"limit":0})", ErrorCode::range,
       "limit: found 0; allowed is a whole number from 1 to 1000"},
      {"calls", R"({"limit":1001})", ErrorCode::range,
       "limit: found 1001; allowed is a whole number from 1 to 1000"},
      {"calls", R"({"limit":1.5})", ErrorCode::type,
       "limit: found 1.5; allowed is a whole number from 1 to 1000"},
      {"calls", R"({"offset":-1})", ErrorCode::range,
       "offset: found -1; allowed is a whole number from 0 to 4294967295"},
      {"mappings", R"({"protocol":"sctp"})", ErrorCode::range,
       "protocol: found \"sctp\"; allowed is \"udp\", \"tcp\" or \"icmp\""},
      {"mappings", R"({"protocol":17})", ErrorCode::type,
       "protocol: found 17; allowed is \"udp\", \"tcp\" or \"icmp\""},
      {"mappings", R"({"inside":"10.0.0.256"})", ErrorCode::range,
       "inside: found \"10.0.0.256\"; allowed is an address, address/length or address:port"},
      {"mappings", R"({"inside":"10.0.0.0/24:5060"})", ErrorCode::range,
       "inside: found \"10.0.0.0/24:5060\"; allowed is an address, address/length or address:port"},
      {"mappings", R"({"inside":"10.0.0.1:65536"})", ErrorCode::range,
       "inside: found \"10.0.0.1:65536\"; allowed is an address, address/length or address:port"},
      {"mappings", R"({"inside":"10.0.0.1:"})", ErrorCode::range,
       "inside: found \"10.0.0.1:\"; allowed is an address, address/length or address:port"},
  };
  for (const auto& [method, params, code, message] : cases) {
    DYNAMIC_SECTION(method << " " << params) {
      const auto error = fail(model, method, params);
      CHECK(error.code == code);
      CHECK(error.message == message);
    }
  }
}

TEST_CASE("mappings are found by inside, external, remote and protocol",
          "[control][commands][rfc6888-req10]") {
  const auto model = sample_model();
  struct Case {
    const char* params;
    Texts inside;
  };
  const std::vector<Case> cases = {
      {"{}", {"10.0.0.5:5060", "10.0.0.7:50123", "10.0.0.10:5060"}},
      {R"({"inside":"10.0.0.5"})", {"10.0.0.5:5060"}},
      {R"({"inside":"10.0.0.5:5061"})", {}},
      {R"({"inside":"10.0.0.0/29"})", {"10.0.0.5:5060", "10.0.0.7:50123"}},
      {R"({"inside":"0.0.0.0/0"})", {"10.0.0.5:5060", "10.0.0.7:50123", "10.0.0.10:5060"}},
      {R"({"external":"198.51.100.1:5060"})", {"10.0.0.10:5060"}},
      {R"({"remote":"192.0.2.0/24"})", {"10.0.0.7:50123"}},
      {R"({"remote":"0.0.0.0/0"})", {"10.0.0.5:5060", "10.0.0.7:50123"}},
      {R"({"protocol":"tcp"})", {"10.0.0.7:50123"}},
      {R"({"protocol":"icmp"})", {}},
      {R"({"protocol":"udp","inside":"10.0.0.10"})", {"10.0.0.10:5060"}},
  };
  for (const auto& [params, inside] : cases) {
    DYNAMIC_SECTION(params) {
      const auto result = run(model, "mappings", params);
      CHECK(column(result["mappings"], "inside") == inside);
      CHECK(result["total"] == inside.size());
    }
  }
}

TEST_CASE("a page is a part of the list, and the total is of all", "[control][commands]") {
  const auto model = sample_model();
  const auto middle = run(model, "mappings", R"({"offset":1,"limit":1})");
  CHECK(column(middle["mappings"], "inside") == Texts{"10.0.0.7:50123"});
  CHECK(middle["total"] == 3);
  CHECK(middle["offset"] == 1);
  CHECK(run(model, "mappings", R"({"offset":9})")["mappings"].empty());
}

TEST_CASE("calls are the live ones unless all are asked for", "[control][commands]") {
  const auto model = sample_model();
  CHECK(column(run(model, "calls")["calls"], "id") == Texts{"3f2a91c04de85b76"});
  CHECK(column(run(model, "calls", R"({"all":true})")["calls"], "id") ==
        Texts{"3f2a91c04de85b76", "3f77000000000001"});
  CHECK(run(model, "calls", R"({"party":"carol"})")["total"] == 0);
  CHECK(run(model, "calls", R"({"party":"bob@","inside":"10.0.0.5"})")["total"] == 1);
}

TEST_CASE("a call is named by a beginning that only it has", "[control][commands]") {
  const auto model = sample_model();
  struct Case {
    const char* id;
    const char* found;
  };
  const std::vector<Case> cases = {
      {"3f2a91c04de85b76", "3f2a91c04de85b76"},
      {"3f2", "3f2a91c04de85b76"},
      {"3f7", "3f77000000000001"},
      {"2-4242", "3f77000000000001"},
      {"1-4242@10.0.0.5", "3f2a91c04de85b76"},
  };
  for (const auto& [id, found] : cases) {
    DYNAMIC_SECTION(id) {
      const auto result = run_command(model, "call", {{"id", id}});
      REQUIRE(result.has_value());
      CHECK(result->at("call").at("id") == found);
    }
  }
  CHECK(fail(model, "call", R"({"id":"4"})").code == ErrorCode::not_found);
  const auto several = fail(model, "call", R"({"id":"3f"})");
  CHECK(several.code == ErrorCode::conflict);
  CHECK(several.message ==
        "several calls begin with \"3f\": 3f2a91c04de85b76, 3f77000000000001; give more of the id");
}

TEST_CASE("of very many calls with one beginning only some are named", "[control][commands]") {
  FakeModel model;
  for (int count = 0; count < 9; ++count) {
    auto detail = sample_call();
    detail.call.id = "aa0000000000000" + std::to_string(count);
    model.call_details.push_back(detail);
  }
  const auto error = fail(model, "call", R"({"id":"aa"})");
  CHECK(error.message.find("aa00000000000004 and more; give more of the id") != std::string::npos);
  CHECK(error.message.find("aa00000000000005") == std::string::npos);
}

TEST_CASE("a call is shown with its ladder and its pinholes", "[control][commands]") {
  const auto result = run(sample_model(), "call", R"({"id":"3f2a"})");
  CHECK(result["call"]["state"] == "confirmed");
  CHECK(result["call"]["end_reason"].is_null());
  CHECK(result["call"]["duration_s"] == 62);
  CHECK(result["from_tag"] == "a1");
  CHECK(column(result["ladder"], "start") == Texts{"INVITE", "180 Ringing", "200 OK", "ACK"});
  CHECK(column(result["ladder"], "offset_ms") == Texts{"0", "12", "3000", "3020"});
  CHECK(column(result["ladder"], "status") == Texts{"null", "180", "200", "null"});
  CHECK(column(result["ladder"], "direction") == Texts{"outbound", "inbound", "inbound", "outbound"});
  CHECK(column(result["pinholes"], "external") == Texts{"198.51.100.1:30000", "198.51.100.1:30001"});
}

TEST_CASE("what was done to each message is shown when it is asked for", "[control][commands][AC-25]") {
  auto model = sample_model();
  auto& line = model.call_details[0].ladder[0];
  line.why_told = 3;
  line.why = {
      {.kind = ipc::WhyKind::edit, .rule = alg::Rule::via, .before = "10.0.0.5", .after = "192.0.2.1"},
      {.kind = ipc::WhyKind::opened, .before = "10.0.0.5:4000", .after = "192.0.2.1:5000"}};
  CHECK_FALSE(run(model, "call", R"({"id":"3f2a"})")["ladder"][0].contains("why"));
  const auto first = run(model, "call", R"({"id":"3f2a","why":true})")["ladder"][0];
  CHECK(column(first["why"], "kind") == Texts{"edit", "opened"});
  CHECK(column(first["why"], "rule") == Texts{"Via", "null"});
  CHECK(column(first["why"], "after") == Texts{"192.0.2.1", "192.0.2.1:5000"});
  CHECK(first["why_lost"] == 1);
}

TEST_CASE("pinholes are of all calls or of one", "[control][commands]") {
  const auto model = sample_model();
  CHECK(run(model, "pinholes")["total"] == 2);
  CHECK(run(model, "pinholes", R"({"call":"3f2"})")["total"] == 2);
  CHECK(run(model, "pinholes", R"({"call":"3f7"})")["total"] == 0);
  CHECK(fail(model, "pinholes", R"({"call":"zz"})").code == ErrorCode::not_found);
}

TEST_CASE("stats are all counters, or the drops, or those that counted, or those of a name",
          "[control][commands]") {
  const auto model = sample_model();
  const auto names = [&](const char* params) {
    return column(run(model, "stats", params)["counters"], "name");
  };
  CHECK(names("{}") == Texts{"drop_no_mapping", "drop_ttl_expired", "mapping_created", "event_received"});
  CHECK(names(R"({"drops":true})") == Texts{"drop_no_mapping", "drop_ttl_expired"});
  CHECK(names(R"({"drops":true,"nonzero":true})") == Texts{"drop_no_mapping"});
  CHECK(names(R"({"drops":false,"name":"event"})") == Texts{"event_received"});
}

TEST_CASE("help shows the whole table or one command", "[control][commands]") {
  const auto model = sample_model();
  CHECK(run(model, "help")["commands"].size() == commands().size());
  const auto one = run(model, "help", R"({"command":"call"})")["commands"];
  REQUIRE(one.size() == 1);
  CHECK(one[0]["access"] == "read");
  CHECK(one[0]["arguments"][0]["name"] == "id");
  CHECK(one[0]["arguments"][0]["required"] == true);
  CHECK(fail(model, "help", R"({"command":"clals"})").code == ErrorCode::not_found);
}

TEST_CASE("status shows of the data plane what is known of it", "[control][commands]") {
  auto model = sample_model();
  CHECK(run(model, "status")["dataplane"] == Json::parse(R"({
      "state": "up", "since": "2026-01-02T01:00:46.006Z", "pid": 790, "started": "2026-01-02T01:00:44.006Z",
      "uptime_s": 7401, "abi_version": 1, "workers": 2, "plan_differs": false})"));
  model.now.plan_differs = true;
  CHECK(run(model, "status")["dataplane"]["plan_differs"] == true);
  model.now.dataplane = DataplaneState::lost;
  CHECK(run(model, "status")["dataplane"]["uptime_s"].is_null());
  CHECK(run(model, "status")["dataplane"]["pid"] == 790);
  model.now.dataplane = DataplaneState::starting;
  CHECK(run(model, "status")["dataplane"]["pid"].is_null());
  CHECK(run(model, "status")["dataplane"]["plan_differs"].is_null());
}

TEST_CASE("the configuration is shown as the document that it is", "[control][commands]") {
  CHECK(run(sample_model(), "config.show") == Json::parse(R"({"config": {"interfaces": []}})"));
}

TEST_CASE("times are in UTC with milliseconds, before 1970 too", "[control][commands]") {
  CHECK(utc(at_ms(0)) == "2026-01-02T03:04:05.006Z");
  CHECK(utc(Time(std::chrono::milliseconds(-1))) == "1969-12-31T23:59:59.999Z");
}
