// SPDX-License-Identifier: BSD-3-Clause
// Any bytes on the control socket, cut into lines as the server cuts them, are each answered with one line of
// JSON that is a reply, over the commands and a model with one of everything.
#include "control/commands/command.hpp"
#include "control/ctl/render.hpp"
#include "control/server/line_buffer.hpp"
#include "control/server/protocol.hpp"
#include "tests/control/fake_model.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace pinhole::control;

namespace {

/// What libFuzzer reports as a crash.
void require(bool condition) {
  if (!condition) std::abort();
}

const FakeModel& model() {
  static const FakeModel instance = sample_model();
  return instance;
}

/// Runs the command, and draws what it answers as pinholectl would.
Result<Json> run_and_render(std::string_view method, const Json& params) {
  auto result = run_command(model(), method, params);
  if (result) require(!render(method, *result).empty());
  return result;
}

void check(std::string_view line) {
  const auto text = answer(line, run_and_render);
  if (text.empty()) return;  // a notification
  require(text.find('\n') == std::string::npos);
  const auto reply = Json::parse(text, nullptr, false);
  require(reply.is_object() && reply.value("jsonrpc", "") == "2.0" && reply.contains("id"));
  require(reply.contains("result") != reply.contains("error"));
  if (!reply.contains("error")) return;
  const auto& error = reply["error"];
  require(error.at("code").is_number_integer() && error.at("message").is_string());
  // Nothing that a client sends may be a bug of ours.
  require(error.at("code") != static_cast<int>(RpcCode::internal_error));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  LineBuffer lines(kMaxLineBytes);
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (!rest.empty()) {
    const auto chunk = rest.substr(0, 37);
    rest.remove_prefix(chunk.size());
    lines.append(chunk);
    while (const auto line = lines.next()) check(*line);
    if (lines.is_too_long()) return 0;
  }
  return 0;
}
