// SPDX-License-Identifier: BSD-3-Clause
#include "control/server/protocol.hpp"

#include "control/server/line_buffer.hpp"

#include <catch2/catch.hpp>

#include <stdexcept>
#include <string>
#include <vector>

using namespace pinhole::control;

namespace {

/// Answers {"method": ..., "params": ...}; some methods fail in their own way.
Result<Json> echo(std::string_view method, const Json& params) {
  if (method == "missing") return Error{ErrorCode::not_found, "no such thing"};
  if (method == "unknown") return Error{ErrorCode::usage, "no such method"};
  if (method == "wrong") return Error{ErrorCode::range, "limit: found 0; allowed is 1"};
  if (method == "down") return Error{ErrorCode::unavailable, "the data plane is lost"};
  if (method == "broken") throw std::runtime_error("a bug");
  if (method == "noise") return Json{{"text", "caf\xe9 \x1b[2J"}};
  return Json{{"method", method}, {"params", params}};
}

Json ask(const std::string& line) {
  const auto reply = answer(line, echo);
  REQUIRE(reply.find('\n') == std::string::npos);
  return Json::parse(reply);
}

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

}  // namespace

TEST_CASE("a request is answered with its result and its id", "[control][protocol]") {
  struct Case {
    const char* id;
    const char* line;
  };
  const std::vector<Case> cases = {
      {"7", R"({"jsonrpc":"2.0","id":7,"method":"m"})"},
      {R"("seven")", R"({"jsonrpc":"2.0","id":"seven","method":"m","params":{}})"},
      {"null", R"({"jsonrpc":"2.0","id":null,"method":"m"})"},
      {"-1.5", R"(  {"method":"m", "jsonrpc":"2.0", "id":-1.5, "later": true}  )"},
      {"18446744073709551615", "{\"jsonrpc\":\"2.0\",\"id\":18446744073709551615,\"method\":\"m\"}\r"},
  };
  for (const auto& [id, line] : cases) {
    DYNAMIC_SECTION(line) {
      const auto reply = ask(line);
      CHECK(reply.at("jsonrpc") == "2.0");
      CHECK(reply.at("id") == Json::parse(id));
      CHECK(reply.at("result") == Json::parse(R"({"method":"m","params":{}})"));
      CHECK_FALSE(reply.contains("error"));
    }
  }
}

TEST_CASE("parameters reach the method as they were sent", "[control][protocol]") {
  const auto reply =
      ask(R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"a":[1,"\u00e9"],"b":{"c":null}}})");
  CHECK(reply["result"]["params"] == Json::parse(R"({"a":[1,"\u00e9"],"b":{"c":null}})"));
}

TEST_CASE("a mistake is answered with the number that JSON-RPC gives it", "[control][protocol]") {
  struct Case {
    const char* name;
    std::string line;
    int code;
    const char* id;
  };
  const auto with_method = [](const char* method) {
    return std::string(R"({"jsonrpc":"2.0","id":3,"method":")") + method + "\"}";
  };
  const std::vector<Case> cases = {
      {"nothing", "", -32700, "null"},
      {"half a request", R"({"jsonrpc":"2.0","id":1,"meth)", -32700, "null"},
      {"two requests on a line", R"({"jsonrpc":"2.0","id":1,"method":"m"}{})", -32700, "null"},
      {"a comment", R"({"jsonrpc":"2.0",/**/"id":1,"method":"m"})", -32700, "null"},
      {"not UTF-8", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", -32700, "null"},
      {"an overlong form of UTF-8", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xc0\xaf\"}", -32700, "null"},
      {"half a surrogate pair", R"({"jsonrpc":"2.0","id":1,"method":"\ud800"})", -32700, "null"},
      {"a NUL", std::string("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\0b\"}", 39), -32700, "null"},
      {"a number that is too large", R"({"jsonrpc":"2.0","id":1e999,"method":"m"})", -32700, "null"},
      {"a number", "42", -32600, "null"},
      {"a batch", R"([{"jsonrpc":"2.0","id":1,"method":"m"}])", -32600, "null"},
      {"an empty batch", "[]", -32600, "null"},
      {"nested too deep", nested(17), -32600, "null"},
      {"very deep", nested(30'000), -32600, "null"},
      {"never closed", std::string(60'000, '{'), -32600, "null"},
      {"no version", R"({"id":5,"method":"m"})", -32600, "5"},
      {"another version", R"({"jsonrpc":"1.0","id":5,"method":"m"})", -32600, "5"},
      {"a version that is a number", R"({"jsonrpc":2.0,"id":5,"method":"m"})", -32600, "5"},
      {"no method", R"({"jsonrpc":"2.0","id":"x"})", -32600, "\"x\""},
      {"a method that is no string", R"({"jsonrpc":"2.0","id":5,"method":1})", -32600, "5"},
      {"an id that is an object", R"({"jsonrpc":"2.0","id":{},"method":"m"})", -32600, "null"},
      {"an id that is a boolean", R"({"jsonrpc":"2.0","id":true,"method":"m"})", -32600, "null"},
      {"params that are a string", R"({"jsonrpc":"2.0","id":5,"method":"m","params":"x"})", -32600, "5"},
      {"params by position", R"({"jsonrpc":"2.0","id":5,"method":"m","params":[1]})", -32602, "5"},
      {"an unknown method", with_method("unknown"), -32601, "3"},
      {"a wrong parameter", with_method("wrong"), -32602, "3"},
      {"what is not found", with_method("missing"), -32001, "3"},
      {"no data plane", with_method("down"), -32002, "3"},
      {"a bug", with_method("broken"), -32603, "3"},
      {"a long line", std::string(kMaxLineBytes + 1, ' '), -32600, "null"},
  };
  for (const auto& [name, line, code, id] : cases) {
    DYNAMIC_SECTION(name) {
      const auto reply = ask(line);
      CHECK(reply.at("jsonrpc") == "2.0");
      CHECK(reply.at("error").at("code") == code);
      CHECK_FALSE(reply.at("error").at("message").get<std::string>().empty());
      CHECK(reply.at("id") == Json::parse(id));
      CHECK_FALSE(reply.contains("result"));
    }
  }
}

TEST_CASE("brackets inside strings do not count as depth", "[control][protocol]") {
  const auto text = std::string(100, '[') + "\\\"" + std::string(100, '{');
  const auto reply = ask(R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"t":")" + text + "\"}}");
  CHECK(reply.contains("result"));
}

TEST_CASE("a notification is carried out and not answered", "[control][protocol]") {
  int calls = 0;
  const auto count = [&](std::string_view, const Json&) -> Result<Json> {
    ++calls;
    return Error{ErrorCode::not_found, "nobody hears this"};
  };
  CHECK(answer(R"({"jsonrpc":"2.0","method":"m"})", count).empty());
  CHECK(calls == 1);
  CHECK_FALSE(answer(R"({"jsonrpc":"2.0"})", count).empty());  // not a valid notification
  CHECK(calls == 1);
}

TEST_CASE("text from the network that is not UTF-8 does not break a reply", "[control][protocol]") {
  const auto reply = ask(R"({"jsonrpc":"2.0","id":1,"method":"noise"})");
  CHECK(reply["result"]["text"] == "caf\xef\xbf\xbd \x1b[2J");
}

TEST_CASE("lines come out whole however the bytes come in", "[control][line_buffer]") {
  const std::string stream = "one\n\ntwo two\nthr";
  for (std::size_t step = 1; step <= stream.size(); ++step) {
    LineBuffer buffer(100);
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      buffer.append(std::string_view(stream).substr(at, step));
      while (const auto line = buffer.next()) lines.push_back(*line);
    }
    INFO("in steps of " << step);
    CHECK(lines == std::vector<std::string>{"one", "", "two two"});
    CHECK_FALSE(buffer.is_too_long());
  }
}

TEST_CASE("a line is too long from its first byte above the limit", "[control][line_buffer]") {
  LineBuffer buffer(4);
  buffer.append("1234\n1234");
  CHECK(buffer.next() == "1234");
  CHECK_FALSE(buffer.next().has_value());
  CHECK_FALSE(buffer.is_too_long());
  buffer.append("5");
  CHECK_FALSE(buffer.next().has_value());
  CHECK(buffer.is_too_long());
}
