// SPDX-License-Identifier: BSD-3-Clause
#include "control/ctl/ask.hpp"

#include "control/ctl/client.hpp"
#include "control/ctl/render.hpp"
#include "control/ctl/table.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <cstdio>
#include <thread>

namespace pinhole::control {
namespace {

constexpr std::chrono::seconds kTimeout{10};

/// What a round came to: text for stdout, or a sentence for stderr.
struct Outcome {
  ExitStatus status = ExitStatus::ok;
  std::string text;
  std::string error;
};

ExitStatus status_of(int rpc_code) noexcept {
  switch (static_cast<RpcCode>(rpc_code)) {
    case RpcCode::forbidden:
    case RpcCode::busy:
      return ExitStatus::unreachable;
    case RpcCode::parse_error:
    case RpcCode::invalid_request:
    case RpcCode::method_not_found:
    case RpcCode::invalid_params:
      return ExitStatus::usage;
    case RpcCode::internal_error:
    case RpcCode::not_found:
    case RpcCode::unavailable:
      break;
  }
  return ExitStatus::failed;
}

Outcome failed(const Error& error) {
  return {
      error.code == ErrorCode::unavailable ? ExitStatus::unreachable : ExitStatus::usage, {}, error.message};
}

std::string text_of(const Query& query, const Json& result, bool as_json) {
  if (as_json) return json_text(result);
  try {
    return render(query.command->name, result);
  } catch (const Json::exception&) {
    return "pinholectl and control are not of one version; this is the reply as it came:\n" +
           json_text(result);
  }
}

Outcome ask_one(ControlClient& client, const Query& query, Json& result) {
  auto reply = client.call(query.command->name, query.params);
  if (!reply) return failed(reply.error());
  if (reply->failure) {
    return {status_of(reply->failure->code), {}, printable(reply->failure->message)};
  }
  result = std::move(reply->result);
  return {query.selects && is_empty_list(result) ? ExitStatus::failed : ExitStatus::ok, {}, {}};
}

void print(std::FILE* stream, std::string_view text) {
  static_cast<void>(std::fwrite(text.data(), 1, text.size(), stream));
  static_cast<void>(std::fflush(stream));
}

/// All queries of a round over one connection. For programs a round is one line: {"calls": {...}}.
Outcome ask_round(const Invocation& invocation) {
  auto client = ControlClient::connect(invocation.socket, kTimeout);
  if (!client) return failed(client.error());
  Outcome round;
  Json results = Json::object();
  for (const auto& query : invocation.queries) {
    Json result;
    const auto outcome = ask_one(*client, query, result);
    if (!outcome.error.empty()) return outcome;
    round.status = std::max(round.status, outcome.status);
    if (invocation.json) {
      results[std::string(query.command->name)] = std::move(result);
    } else {
      if (!round.text.empty()) round.text += '\n';
      round.text += text_of(query, result, false);
    }
  }
  if (invocation.json) round.text = results.dump(-1, ' ', true) + '\n';
  return round;
}

}  // namespace

ExitStatus ask_for(const Invocation& invocation, Json& result) {
  auto client = ControlClient::connect(invocation.socket, kTimeout);
  const auto outcome = client ? ask_one(*client, invocation.queries.front(), result) : failed(client.error());
  if (!outcome.error.empty()) print(stderr, fmt::format("pinholectl: {}\n", outcome.error));
  return outcome.status;
}

void print_result(const Invocation& invocation, const Json& result) {
  print(stdout, text_of(invocation.queries.front(), result, invocation.json));
}

ExitStatus ask(const Invocation& invocation) {
  Json result;
  const auto status = ask_for(invocation, result);
  if (!result.is_null()) print_result(invocation, result);
  return status;
}

ExitStatus watch(const Invocation& invocation) {
  const bool is_screen = ::isatty(STDOUT_FILENO) == 1 && !invocation.json;
  for (std::uint32_t round = 1;; ++round) {
    const auto outcome = ask_round(invocation);
    if (is_screen) print(stdout, "\x1b[H\x1b[2J");
    if (outcome.error.empty()) {
      print(stdout, outcome.text + (invocation.json || is_screen ? "" : "\n"));
    } else {
      print(stderr, fmt::format("pinholectl: {}\n", outcome.error));
    }
    // A mistake stays one; a control that is not there may come.
    if (outcome.status == ExitStatus::usage || round == invocation.rounds) return outcome.status;
    std::this_thread::sleep_for(invocation.interval);
  }
}

}  // namespace pinhole::control
