// SPDX-License-Identifier: BSD-3-Clause
// The pinholectl that is installed, against a server over the sample model: what it prints and what it exits
// with.
#include "control/ctl/client.hpp"
#include "tests/control/test_server.hpp"

#include <catch2/catch.hpp>

#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace pinhole::control;

namespace {

struct Run {
  int status = -1;
  std::string output;  // of stdout
  std::string errors;  // of stderr
};

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Runs pinholectl with a shell's words. \param environment "NAME=value ..." before the command
Run ctl(const std::string& words, const std::string& environment = "") {
  const char* const program = std::getenv("PINHOLECTL");
  REQUIRE(program != nullptr);
  const TemporaryDirectory directory;
  const auto line = environment + " " + program + " " + words + " >" + (directory / "out") + " 2>" +
                    (directory / "err") + " </dev/null";
  const int status = std::system(line.c_str());
  REQUIRE(WIFEXITED(status));
  return {WEXITSTATUS(status), contents(directory / "out"), contents(directory / "err")};
}

std::size_t lines_in(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("pinholectl exits with what came of the command", "[control][ctl]") {
  TestServer server;
  const std::string socket = "--socket SOCKET ";  // a path of its own in every run
  struct Case {
    std::string words;
    int status;
    const char* output;  // a part of what is printed, on stderr when the status is not 0 or 1 with output
  };
  const std::vector<Case> cases = {
      {socket + "status", 0, "data plane  up for"},
      {"status --socket SOCKET", 0, "data plane  up for"},
      {socket + "workers", 0, "HANDED OFF"},
      {socket + "mappings --protocol tcp --limit 5", 0, "10.0.0.7:50123"},
      {socket + "mappings --inside 10.9.9.9", 1, "no mappings"},
      {socket + "calls", 0, "3f2a91c04de85b76"},
      {socket + "calls --all", 0, "2 calls"},
      {socket + "calls --party carol", 1, "no calls"},
      {socket + "call 3f2a", 0, "INVITE (SDP)"},
      {socket + "call 3f2a --json", 0, "\"ladder_missing\": 0"},
      {socket + "pinholes --call 3f2a", 0, "2 pinholes"},
      {socket + "registrations", 0, "1 registration"},
      {socket + "subscriber 10.0.0.5", 0, "198.51.100.2"},
      {socket + "subscriber 198.51.100.2:3600 --json", 0, "\"inside\": \"10.0.0.5\""},
      {socket + "subscriber 10.0.9.9", 1, "10.0.9.9 is not in nat.ports.subscribers"},
      {socket + "subscriber 10.0.0.0/24", 2, "endpoint: found a subnet"},
      {socket + "subscriber", 2, "ENDPOINT"},
      {socket + "stats --drops --nonzero", 0, "drop_no_mapping"},
      {socket + "capture status", 0, "/tmp/call.pcapng: 412 packets written"},
      {socket + "capture start /tmp/a --seconds 5", 0, "0 not (ring full); starting"},
      {socket + "capture stop", 0, "0 not (ring full); ended: stopped"},
      {socket + "capture", 2, "FILE"},
      {socket + "capture /tmp/a --seconds 3601", 2, "--seconds"},
      {socket + "capture /tmp/a --packets 0", 2, "--packets"},
      {socket + "capture /tmp/a stop", 2, "stop"},
      {socket + "capture /tmp/a --call nobody", 1, "pinholectl: no call has an id"},
      {socket + "ban list", 0, "friendly-scanner"},
      {socket + "ban add 198.51.100.66 --seconds 600", 0, "198.51.100.66/32 is banned for 10 min"},
      {socket + "ban add 198.51.100.66 --seconds 0", 2, "--seconds"},
      {socket + "ban add", 2, "PREFIX"},
      {socket + "ban lift 198.51.100.66", 0, "2 bans"},
      {socket + "allow list", 0, "configuration"},
      {socket + "allow add 192.0.2.0/24", 0, "operator"},
      {socket + "allow remove 192.0.2.1:5060", 2, "prefix: found a port"},
      {socket + "config show", 0, "\"interfaces\": []"},
      {socket + "version", 0, "pinhole-control 0.1.0"},
      {socket + "--json calls", 0, "\"total\": 1"},
      {socket + "call nobody", 1, "pinholectl: no call has an id or Call-ID that begins with \"nobody\""},
      {socket + "call 3f", 2, "pinholectl: several calls begin with \"3f\""},
      {socket + "mappings --inside 10.0.0.999", 2, "pinholectl: inside: found \"10.0.0.999\"; allowed is"},
      {socket + "mappings --protocol sctp", 2, "--protocol"},
      {socket + "mappings --limit 0", 2, "--limit"},
      {socket + "mappings --limit 1001", 2, "--limit"},
      {socket + "mappings --limit x", 2, "--limit"},
      {socket + "call", 2, "ID"},
      {socket + "clals", 2, "clals"},
      {socket + "calls --al", 2, "--al"},
      {socket + "calls status", 2, "pinholectl: "},
      {socket + "watch version", 2, "version"},
      {"", 2, "pinholectl: "},
      {"--socket /nonexistent/s status", 3, "pinholectl: control is not reachable: there is no socket"},
      {"--socket /etc/passwd status", 3, "pinholectl: control is not reachable: nobody listens"},
      {"--socket /" + std::string(200, 'x') + " status", 2, "pinholectl: --socket: found"},
      {"--help", 0, "Exit status: 0 done"},
      {"help", 0, "Exit status: 0 done"},
      {"help mappings", 0, "--inside"},
      {"help config check", 0, "FILE"},
      {"help clals", 2, "clals"},
      {"--version", 0, "pinholectl 0.1.0"},
      {"completion bash", 0, "complete -F _pinholectl pinholectl"},
      {"completion fish", 2, "bash"},
  };
  for (const auto& [words, status, output] : cases) {
    DYNAMIC_SECTION("pinholectl " << words << ";") {
      auto line = words;
      if (const auto at = line.find("SOCKET"); at != std::string::npos) line.replace(at, 6, server.path());
      const auto run = ctl(line);
      CHECK(run.status == status);
      INFO(run.output << run.errors);
      CHECK((run.output + run.errors).find(output) != std::string::npos);
      // What is right goes to stdout alone, and a mistake is one line on stderr.
      CHECK(lines_in(run.errors) == (run.output.empty() ? 1 : 0));
    }
  }
}

TEST_CASE("every command of pinholectl has a help that names its options", "[control][ctl]") {
  for (const auto& command : commands()) {
    if (command.name == "help") continue;
    auto words = std::string(command.name);
    std::replace(words.begin(), words.end(), '.', ' ');
    for (const auto& line : {words + " --help", "help " + words}) {
      DYNAMIC_SECTION(line) {
        const auto run = ctl(line);
        CHECK(run.status == 0);
        CHECK(run.output.find(std::string(command.summary)) != std::string::npos);
        for (const auto& argument : command.arguments) {
          std::string option = "--" + std::string(argument.name);
          if (argument.required) {
            option = argument.name;
            std::ranges::transform(option, option.begin(),
                                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
          }
          CHECK(run.output.find(option) != std::string::npos);
        }
      }
    }
  }
  for (const auto* own : {"config --help", "config check --help", "watch --help", "watch calls --help",
                          "completion --help", "help --help"}) {
    DYNAMIC_SECTION(own) {
      CHECK(ctl(own).status == 0);
    }
  }
}

TEST_CASE("the socket may be named by the environment", "[control][ctl]") {
  TestServer server;
  CHECK(ctl("version", "PINHOLE_SOCKET=" + server.path()).status == 0);
  CHECK(ctl("version --socket /nonexistent/s", "PINHOLE_SOCKET=" + server.path()).status == 3);
}

TEST_CASE("a server that closes or says nonsense is not reachable", "[control][ctl]") {
  ServerOptions options;
  options.max_connections = 0;
  TestServer server(options);
  const auto run = ctl("status --socket " + server.path());
  CHECK(run.status == 3);
  CHECK(run.errors == "pinholectl: too many clients are connected; try again later\n");
}

TEST_CASE("a server that takes no connections is given up after a while", "[control][ctl]") {
  constexpr auto kPatience = std::chrono::milliseconds(100);
  const TemporaryDirectory directory;
  const std::string path = directory / "control.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listener, 0) == 0);
  const auto waits = ControlClient::connect(path, kPatience);
  REQUIRE(waits);
  const auto is_behind = ControlClient::connect(path, kPatience);
  REQUIRE_FALSE(is_behind);
  CHECK(is_behind.error().message.find("takes no connections") != std::string::npos);
  ::close(listener);
}

TEST_CASE("with --json every result is the one that control replied", "[control][ctl]") {
  TestServer server;
  const auto model = sample_model();
  for (const auto& command : commands()) {
    if (command.name == "help") continue;
    auto words = std::string(command.name);
    std::replace(words.begin(), words.end(), '.', ' ');
    const auto [name, value] = needed_parameter(command.name);
    const auto params = name.empty() ? Json::object() : Json{{std::string(name), value}};
    if (!name.empty()) words += " " + std::string(value);
    DYNAMIC_SECTION(words) {
      const auto run = ctl(words + " --json --socket " + server.path());
      CHECK(run.status == 0);
      CHECK(Json::parse(run.output) == *run_command(model, command.name, params));
    }
  }
}

TEST_CASE("watch shows rounds until it has shown enough", "[control][ctl]") {
  TestServer server;
  const auto socket = "--socket " + server.path();
  SECTION("a command with its options") {
    const auto run = ctl("watch --interval 1 --rounds 2 mappings --protocol tcp " + socket);
    CHECK(run.status == 0);
    const auto first = run.output.find("1 mapping\n");
    REQUIRE(first != std::string::npos);
    CHECK(run.output.find("1 mapping\n", first + 1) != std::string::npos);
    CHECK(run.output.find('\x1b') == std::string::npos);  // not a terminal
  }
  SECTION("status and calls when nothing is named") {
    const auto run = ctl("watch --rounds 1 " + socket);
    CHECK(run.output.find("data plane  up") != std::string::npos);
    CHECK(run.output.find("1 call\n") != std::string::npos);
  }
  SECTION("one line of JSON a round") {
    const auto run = ctl("watch --rounds 1 --json " + socket);
    CHECK(lines_in(run.output) == 1);
    const auto round = Json::parse(run.output);
    CHECK(round.at("status").at("version") == "0.1.0");
    CHECK(round.at("calls").at("total") == 1);
  }
  SECTION("a control that is not there is waited for") {
    const auto run = ctl("watch --rounds 2 --interval 1 --socket /nonexistent/s");
    CHECK(run.status == 3);
    CHECK(lines_in(run.errors) == 2);
  }
}

TEST_CASE("a configuration file is checked without control", "[control][ctl]") {
  const TemporaryDirectory directory;
  const auto path = directory / "pinhole.json";
  SECTION("a good one") {
    std::ofstream(path) << R"({"interfaces": [
      {"name": "lan", "device": "net_ring0", "zone": "inside", "address": "10.0.0.1/24"},
      {"name": "wan", "device": "net_ring1", "zone": "outside", "address": "198.51.100.1/29"}]})";
    const auto run = ctl("config check " + path);
    CHECK(run.status == 0);
    CHECK(run.output == path + ": fine\n");
    CHECK(Json::parse(ctl("config check --json " + path).output).at("valid") == true);
  }
  SECTION("one with a mistake") {
    std::ofstream(path) << R"({"interfaces": [
      {"name": "lan", "device": "net_ring0", "zone": "inside", "address": "10.0.0.1/24"},
      {"name": "wan", "device": "net_ring1", "zone": "outside", "address": "198.51.100.1/29"}], "nat": {"poool": []}})";
    const auto run = ctl("config check " + path);
    CHECK(run.status == 2);
    CHECK(run.errors.find("nat.poool") != std::string::npos);
    CHECK(lines_in(run.errors) == 1);
    const auto json = ctl("config check --json " + path);
    CHECK(json.status == 2);
    CHECK(Json::parse(json.output).at("valid") == false);
  }
  SECTION("none") {
    CHECK(ctl("config check " + path).status == 2);
  }
}

TEST_CASE("bash completes commands, options and call ids", "[control][ctl]") {
  if (std::system("bash -c true") != 0) return;
  TestServer server;
  const TemporaryDirectory directory;
  REQUIRE(std::system((std::string("ln -s \"$PINHOLECTL\" ") + (directory / "pinholectl")).c_str()) == 0);
  struct Case {
    const char* words;  // the last one is completed
    const char* expected;
  };
  const std::vector<Case> cases = {
      {"pinholectl sta", "status stats"},
      {"pinholectl --json config ''", "check show --help --json --socket"},
      {"pinholectl --socket x mappings --in", "--inside"},
      {"pinholectl mappings --protocol ''", "udp tcp icmp"},
      {"pinholectl mappings --limit ''", ""},
      {"pinholectl capture --se", "--seconds"},
      {"pinholectl capture sta", "start status"},
      {"pinholectl capture /proc/self/exe", "/proc/self/exe"},
      {"pinholectl watch mapp", "mappings"},
      {"pinholectl call 3f2", "3f2a91c04de85b76"},
  };
  for (const auto& [words, expected] : cases) {
    DYNAMIC_SECTION(words) {
      std::ofstream(directory / "try") << "source <(pinholectl completion bash)\nCOMP_WORDS=(" << words
                                       << ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_pinholectl\n"
                                       << "echo \"${COMPREPLY[*]}\"\n";
      const auto line = "PINHOLE_SOCKET=" + server.path() + " PATH=" + (directory / "") + ":$PATH bash " +
                        (directory / "try") + " >" + (directory / "out");
      CHECK(std::system(line.c_str()) == 0);
      CHECK(contents(directory / "out") == std::string(expected) + "\n");
    }
  }
}
