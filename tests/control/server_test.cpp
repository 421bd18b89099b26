// SPDX-License-Identifier: BSD-3-Clause
#include "control/server/unix_server.hpp"

#include "tests/control/test_server.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace pinhole::control;
using namespace std::chrono_literals;

namespace {

std::string request(int id, const std::string& method = "version") {
  return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"method":")" + method + "\"}\n";
}

std::string reply(int id) {
  return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"result":{"version":"0.1.0"}})";
}

/// Waits until the server has as many connections: it learns of an end after the client does.
bool comes_to(TestServer& server, std::size_t connections) {
  for (int attempt = 0; attempt < 500; ++attempt) {
    if (server.connections() == connections) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

Result<std::unique_ptr<UnixServer>> open(boost::asio::io_context& context, const std::string& path,
                                         const std::string& group = "") {
  ServerOptions options;
  options.path = path;
  options.group = group;
  return UnixServer::open(context, options,
                          [](const Client&, std::string_view, const Json&) { return Json(1); });
}

constexpr std::size_t kWaitingReplies =
    64UL * 1024 * 1024;  // bytes: the server takes all that these tests ask

/// A server that the group "nogroup" may read, in a directory that it may look into.
TestServer readable_server(std::size_t max_connections) {
  ServerOptions options;
  options.read_group = "nogroup";
  options.max_connections = max_connections;
  options.connection.waiting_reply_bytes = kWaitingReplies;
  return TestServer(options);
}

/// Runs this in a process of the user nobody, of the group "nogroup"; `wait` of it lasts for as long as
/// `meanwhile` takes here. \return whether it said yes
template <typename Function, typename Meanwhile>
bool as_nobody(const TestServer& server, Function&& function, Meanwhile&& meanwhile) {
  const auto path = server.path();
  REQUIRE(::chmod(std::filesystem::path(path).parent_path().c_str(), 0755) == 0);
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  const pid_t child = ::fork();
  char byte = 0;
  if (child == 0) {
    ::close(ends[0]);
    constexpr uid_t kNobody = 65534;
    const bool is_nobody = ::setgroups(0, nullptr) == 0 && ::setgid(kNobody) == 0 && ::setuid(kNobody) == 0;
    const auto wait = [&] { return ::write(ends[1], "x", 1) == 1 && ::read(ends[1], &byte, 1) == 0; };
    ::_exit(is_nobody && function(path, wait) ? 0 : 1);
  }
  ::close(ends[1]);
  if (::read(ends[0], &byte, 1) == 1) meanwhile();
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
template <typename Function>
bool as_nobody(const TestServer& server, Function&& function) {
  return as_nobody(server, [&](const std::string& path, const auto&) { return function(path); }, [] {});
}

bool is_answered(TestClient& client, int id) {
  return client.send(request(id)) && client.line() == reply(id);
}

bool is_refused_as_busy(TestClient& client) {
  return client.line().find("-32004") != std::string::npos && client.line() == "<closed>";
}

/// Asks for more than goes into its socket, and reads none of it. \return when the server has taken all of
/// it, so that replies wait
bool ask_without_reading(TestClient& client) {
  const auto question = request(1, "stats");
  if (!client.send(question)) return false;
  const auto reply_size = client.line().size() + 1;
  std::string questions;
  for (std::size_t asked = 0; asked <= client.socket_buffer(); asked += reply_size) questions += question;
  if (!client.send(questions)) return false;
  for (int attempt = 0; attempt < 10'000; ++attempt) {
    if (client.is_all_taken()) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

mode_t mode_of(const std::string& path) {
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777U;
}

}  // namespace

TEST_CASE("requests written at once are answered one after the other", "[control][server]") {
  TestServer server;
  TestClient client(server.path());
  REQUIRE(client.send(request(1) + request(2) + request(3, "nothing") + request(4)));
  CHECK(client.line() == reply(1));
  CHECK(client.line() == reply(2));
  CHECK(client.line().find("-32601") != std::string::npos);
  CHECK(client.line() == reply(4));
}

TEST_CASE("a request may be cut at any byte", "[control][server]") {
  TestServer server;
  TestClient client(server.path());
  const auto bytes = request(1) + request(2);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    INFO("cut after " << cut);
    REQUIRE(client.send(bytes.substr(0, cut)));
    std::this_thread::sleep_for(1ms);
    REQUIRE(client.send(bytes.substr(cut)));
    REQUIRE(client.line() == reply(1));
    REQUIRE(client.line() == reply(2));
  }
}

TEST_CASE("a client that sends its last still gets its replies", "[control][server]") {
  TestServer server;
  TestClient client(server.path());
  REQUIRE(client.send(request(1) + request(2) + "half a requ"));
  client.finish_sending();
  CHECK(client.line() == reply(1));
  CHECK(client.line() == reply(2));
  CHECK(client.line() == "<closed>");
  CHECK(comes_to(server, 0));
}

TEST_CASE("a mistake does not end the connection", "[control][server]") {
  TestServer server;
  TestClient client(server.path());
  REQUIRE(client.send("\n{\n[]\n" + request(1)));
  for (const char* code : {"-32700", "-32700", "-32600"})
    CHECK(client.line().find(code) != std::string::npos);
  CHECK(client.line() == reply(1));
}

TEST_CASE("a line that does not end is refused at its limit, and the connection closed",
          "[control][server]") {
  TestServer server;
  TestClient client(server.path());
  REQUIRE(client.send(request(1)));
  CHECK(client.line() == reply(1));
  client.send(std::string(4 * kMaxLineBytes, 'x'));
  const auto line = client.line();
  CHECK(line.find("-32600") != std::string::npos);
  CHECK(line.find("65536") != std::string::npos);
  CHECK(client.line() == "<closed>");
  CHECK(comes_to(server, 0));
}

TEST_CASE("a client that does not read its replies is closed, and what waits for it is bounded",
          "[control][server]") {
  ServerOptions options;
  options.connection.write_timeout = 300ms;
  options.connection.waiting_reply_bytes = 64 * 1024;
  TestServer server(options);
  TestClient slow(server.path());
  // The server stops to read when replies pile up: far less than all of this fits into the socket's buffers.
  bool taken = true;
  const auto many = request(1, "stats");
  for (int count = 0; count < 200'000 && taken; ++count) taken = slow.send(many);
  CHECK_FALSE(taken);
  CHECK(comes_to(server, 0));

  TestClient other(server.path());
  REQUIRE(other.send(request(2)));
  CHECK(other.line() == reply(2));
}

TEST_CASE("a client that pipelines and reads gets every reply", "[control][server]") {
  ServerOptions options;
  options.connection.waiting_reply_bytes = 1000;  // so that taking requests pauses again and again
  TestServer server(options);
  TestClient client(server.path());
  constexpr int kRequests = 2000;
  std::thread writer([&] {
    for (int id = 0; id < kRequests; ++id) client.send(request(id));
    client.finish_sending();
  });
  int good = 0;
  for (int id = 0; id < kRequests; ++id) good += client.line() == reply(id) ? 1 : 0;
  writer.join();
  CHECK(good == kRequests);
  CHECK(client.line() == "<closed>");
}

TEST_CASE("a client that says nothing is closed", "[control][server]") {
  ServerOptions options;
  options.connection.idle_timeout = 100ms;
  TestServer server(options);
  TestClient client(server.path());
  REQUIRE(client.send("{\"jsonrpc\""));
  CHECK(client.line() == "<closed>");
}

TEST_CASE("the client that was silent for the longest makes room for one more, and is told so",
          "[control][server]") {
  ServerOptions options;
  options.max_connections = 3;
  TestServer server(options);
  std::vector<TestClient> clients;
  for (int id = 0; id < 3; ++id) {
    auto& client = clients.emplace_back(server.path());
    REQUIRE(client.send(request(id)));
    REQUIRE(client.line() == reply(id));
  }
  REQUIRE(clients[0].send(request(7) + "{\"half a requ"));
  REQUIRE(clients[0].line() == reply(7));
  TestClient late(server.path());
  REQUIRE(late.send(request(9)));
  CHECK(late.line() == reply(9));
  CHECK(clients[1].line().find("-32004") != std::string::npos);
  CHECK(clients[1].line() == "<closed>");
  CHECK(server.connections() == 3);
  REQUIRE(clients[2].send(request(4)));
  CHECK(clients[2].line() == reply(4));
}

TEST_CASE("the process with the most connections makes room, however silent others are",
          "[control][server]") {
  ServerOptions options;
  options.max_connections = 4;
  TestServer server(options);
  const auto path = server.path();
  TestClient quiet(path);
  REQUIRE(quiet.send(request(1)));
  REQUIRE(quiet.line() == reply(1));
  const pid_t child = ::fork();
  if (child == 0) {
    // Takes all that is left and goes on: each of its connections pushes out another one of its own.
    std::vector<TestClient> many;
    for (int id = 0; id < 20; ++id) {
      auto& client = many.emplace_back(path);
      if (!client.send(request(id)) || client.line() != reply(id)) ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  REQUIRE(quiet.send(request(2)));
  CHECK(quiet.line() == reply(2));
}

TEST_CASE("a client that does not read keeps nobody out", "[control][server]") {
  ServerOptions options;
  options.max_connections = 2;
  options.connection.waiting_reply_bytes = kWaitingReplies;
  TestServer server(options);
  std::vector<TestClient> slow;
  for (int count = 0; count < 2; ++count) REQUIRE(ask_without_reading(slow.emplace_back(server.path())));
  TestClient late(server.path());
  REQUIRE(late.send(request(9)));
  CHECK(late.line() == reply(9));
  CHECK(server.connections() == 2);
}

TEST_CASE("who may only read pushes out nobody who may write, however idle, and is refused",
          "[control][server]") {
  if (::geteuid() != 0) return;  // only root can become somebody else
  auto server = readable_server(2);
  TestClient first(server.path());
  TestClient second(server.path());
  REQUIRE(is_answered(first, 1));
  REQUIRE(is_answered(second, 2));
  CHECK(as_nobody(server, [](const std::string& path) {
    TestClient reader(path);
    return is_refused_as_busy(reader);
  }));
  CHECK(is_answered(first, 3));
  CHECK(is_answered(second, 4));
}

TEST_CASE(
    "who may only read pushes out nobody who is being answered, and is refused; who may write is served",
    "[control][server]") {
  if (::geteuid() != 0) return;
  auto server = readable_server(2);
  const auto fill = [](const std::string& path, const auto& wait) {
    TestClient first(path);
    TestClient second(path);
    if (!ask_without_reading(first) || !ask_without_reading(second)) return false;
    TestClient late(path);
    return is_refused_as_busy(late) && wait();
  };
  bool is_served = false;
  CHECK(as_nobody(server, fill, [&] {
    TestClient writer(server.path());
    is_served = is_answered(writer, 9);
  }));
  CHECK(is_served);
}

TEST_CASE("of those who may only read one that is idle makes room for the next", "[control][server]") {
  if (::geteuid() != 0) return;
  auto server = readable_server(2);
  TestClient writer(server.path());
  REQUIRE(is_answered(writer, 1));
  CHECK(as_nobody(server, [](const std::string& path) {
    TestClient idle(path);
    if (!is_answered(idle, 2)) return false;
    TestClient late(path);
    return is_answered(late, 3) && is_refused_as_busy(idle);
  }));
  CHECK(is_answered(writer, 4));
}

TEST_CASE("the server ends while clients are connected", "[control][server]") {
  TestServer server;
  TestClient client(server.path());
  REQUIRE(client.send(request(1)));
  CHECK(client.line() == reply(1));
  server.stop();
  CHECK(client.line() == "<closed>");
  CHECK_FALSE(std::filesystem::exists(server.path()));
  CHECK_FALSE(TestClient(server.path()).connected());
}

TEST_CASE("the socket has mode 0660 whatever the umask, in a directory that is made", "[control][server]") {
  const TemporaryDirectory directory;
  const auto path = directory / "a/b/control.sock";
  {
    boost::asio::io_context context;
    ServerOptions options{.path = path, .group = {}, .read_group = "daemon", .connection = {}};
    const auto server = UnixServer::open(
        context, options, [](const Client&, std::string_view, const Json&) { return Json(1); });
    REQUIRE(server.has_value());
    CHECK(mode_of(path) == 0666);
  }
  for (const mode_t mask : {0000U, 0022U, 0077U}) {
    boost::asio::io_context context;
    const auto before = ::umask(mask);
    const auto server = open(context, path);
    ::umask(before);
    REQUIRE(server.has_value());
    CHECK(mode_of(path) == 0660);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("the socket belongs to the group of the configuration", "[control][server]") {
  const auto* const group = ::getgrnam("daemon");
  if (::geteuid() != 0 || group == nullptr) return;  // only root may give a file away
  const TemporaryDirectory directory;
  boost::asio::io_context context;
  const auto server = open(context, directory / "s", "daemon");
  REQUIRE(server.has_value());
  struct stat status{};
  REQUIRE(::stat((directory / "s").c_str(), &status) == 0);
  CHECK(status.st_gid == group->gr_gid);
}

TEST_CASE("what is at the socket's path is replaced only when nobody uses it", "[control][server]") {
  const TemporaryDirectory directory;
  const auto path = directory / "control.sock";
  boost::asio::io_context context;

  SECTION("a socket that a killed process left") {
    {
      const int left = ::socket(AF_UNIX, SOCK_STREAM, 0);
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      path.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
      REQUIRE(::bind(left, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
      ::close(left);
    }
    CHECK(open(context, path).has_value());
  }
  SECTION("a socket that is served") {
    const auto first = open(context, path);
    REQUIRE(first.has_value());
    const auto second = open(context, path);
    REQUIRE(second.has_error());
    CHECK(second.error().message ==
          "control.socket: another process serves " + path + "; stop it or choose another path");
    CHECK(TestClient(path).connected());
  }
  SECTION("a file that is no socket") {
    std::ofstream(path) << "precious";
    const auto server = open(context, path);
    REQUIRE(server.has_error());
    CHECK(server.error().message.find("is no socket") != std::string::npos);
    CHECK(std::filesystem::file_size(path) == 8);
  }
}

TEST_CASE("what cannot be served is one sentence that names the place", "[control][server]") {
  const TemporaryDirectory directory;
  boost::asio::io_context context;
  std::ofstream(directory / "file") << "x";
  struct Case {
    const char* name;
    std::string path;
    std::string group;
    const char* part;
  };
  const std::vector<Case> cases = {
      {"a long path", directory / std::string(200, 'x'), "", "control.socket: found"},
      {"no path", "", "", "control.socket: found"},
      {"a directory that cannot be made", directory / "file/s", "",
       "control.socket: cannot make the directory"},
      {"an unknown group", directory / "s", "no-such-group-here", "control.group: there is no group"},
  };
  for (const auto& [name, path, group, part] : cases) {
    DYNAMIC_SECTION(name) {
      const auto server = open(context, path, group);
      REQUIRE(server.has_error());
      CHECK(server.error().message.find(part) == 0);
      CHECK(std::count(server.error().message.begin(), server.error().message.end(), '\n') == 0);
    }
  }
}

TEST_CASE("root, the own user and the socket's group may write, another group may read",
          "[control][server]") {
  struct Case {
    const char* name;
    Peer peer;
    std::vector<gid_t> groups;
    std::optional<Access> access;
    std::optional<Access> without_read_group;
  };
  constexpr AccessRules kRules{.own_user = 500, .group = 600, .read_group = 700};
  constexpr AccessRules kOneGroup{.own_user = 500, .group = 600, .read_group = {}};
  const std::vector<Case> cases = {
      {"root", {1, 0, 0}, {}, Access::write, Access::write},
      {"the own user", {1, 500, 7}, {}, Access::write, Access::write},
      {"the group by primary group", {1, 501, 600}, {}, Access::write, Access::write},
      {"the group by membership", {1, 501, 7}, {7, 8, 600}, Access::write, Access::write},
      {"both groups", {1, 501, 700}, {600, 700}, Access::write, Access::write},
      {"the group that reads", {1, 501, 700}, {}, Access::read, {}},
      {"the group that reads by membership", {1, 501, 7}, {700}, Access::read, {}},
      {"somebody else", {1, 501, 7}, {7, 8}, {}, {}},
      {"somebody in the group root", {1, 501, 0}, {0}, {}, {}},
  };
  for (const auto& each : cases) {
    DYNAMIC_SECTION(each.name) {
      CHECK(access_of(each.peer, each.groups, kRules) == each.access);
      CHECK(access_of(each.peer, each.groups, kOneGroup) == each.without_read_group);
    }
  }
}

TEST_CASE("who may only read changes nothing", "[control][commands]") {
  const auto model = sample_model();
  for (const auto& command : commands()) {
    DYNAMIC_SECTION(command.name) {
      const auto result = run_command(model, command.name, Json::object(), Access::read);
      const bool forbidden = result.has_error() && result.error().code == ErrorCode::forbidden;
      CHECK(forbidden == (command.access == Access::write));
    }
  }
}

TEST_CASE("another user is refused even when the mode lets it connect", "[control][server]") {
  if (::geteuid() != 0) return;  // only root can become somebody else
  TestServer server;
  REQUIRE(::chmod(server.path().c_str(), 0777) == 0);
  CHECK(as_nobody(server, [](const std::string& path) {
    TestClient client(path);
    if (!client.connected()) return false;
    client.send(request(1));
    return client.line().find("-32003") != std::string::npos && client.line() == "<closed>";
  }));
}
