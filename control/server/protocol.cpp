// SPDX-License-Identifier: BSD-3-Clause
#include "control/server/protocol.hpp"

#include "control/log.hpp"

#include <fmt/format.h>

#include <exception>

namespace pinhole::control {
namespace {

struct RpcError {
  RpcCode code = RpcCode::internal_error;
  std::string message;
};

// Text out of a SIP message may be anything; what is not UTF-8 is shown as U+FFFD.
std::string to_line(const Json& document) {
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string reply(const Json& id, const RpcError& error) {
  Json document = {{"jsonrpc", "2.0"}, {"id", id}};
  document["error"] = {{"code", static_cast<int>(error.code)}, {"message", error.message}};
  return to_line(document);
}

// The parser needs no stack for depth, but what is built from it would be copied and freed level by level.
bool is_too_deep(std::string_view text) noexcept {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\') ++at;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return true;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return false;
}

Result<Json> parse(std::string_view line) {
  try {
    return Json::parse(line);
  } catch (const Json::parse_error& error) {
    return Error{ErrorCode::syntax, fmt::format("the line is not JSON in UTF-8: byte {}", error.byte)};
  } catch (const Json::exception&) {  // a number that no double can hold
    return Error{ErrorCode::syntax, "the line is not JSON in UTF-8: a number is out of range"};
  }
}

bool is_id(const Json& value) {
  return value.is_null() || value.is_string() || value.is_number();
}

// What is wrong with the envelope of a request; empty: nothing.
std::string envelope_error(const Json& request) {
  const auto version = request.find("jsonrpc");
  if (version == request.end() || *version != "2.0") {
    return R"("jsonrpc" has to be "2.0")";
  }
  const auto method = request.find("method");
  if (method == request.end() || !method->is_string()) return R"("method" has to be a string)";
  const auto id = request.find("id");
  if (id != request.end() && !is_id(*id)) return R"("id" has to be a string, a number or null)";
  const auto params = request.find("params");
  if (params != request.end() && !params->is_structured()) return R"("params" has to be an object)";
  return {};
}

Result<Json> carry_out(const Json& request, const Call& call) {
  const auto params = request.value("params", Json::object());
  if (!params.is_object()) {
    return Error{ErrorCode::type, R"(parameters are given by name: make "params" an object)"};
  }
  const auto& method = request.at("method").get_ref<const std::string&>();
  try {
    return call(method, params);
  } catch (const std::exception& bug) {
    log_error("command_failed", {{"method", method}, {"what", bug.what()}});
    return Error{ErrorCode::internal, "the command failed inside control; its log says more"};
  }
}

}  // namespace

std::string answer(std::string_view line, const Call& call) {
  if (line.size() > kMaxLineBytes) {
    return error_line(RpcCode::invalid_request,
                      fmt::format("a request is one line of at most {} bytes", kMaxLineBytes));
  }
  if (is_too_deep(line)) {
    return error_line(RpcCode::invalid_request,
                      fmt::format("a request is nested at most {} levels deep", kMaxDepth));
  }
  const auto request = parse(line);
  if (!request) return error_line(RpcCode::parse_error, request.error().message);
  if (request->is_array()) {
    return error_line(RpcCode::invalid_request, "batches are not taken: send one request a line");
  }
  if (!request->is_object()) return error_line(RpcCode::invalid_request, "a request is a JSON object");

  const bool is_notification = !request->contains("id");
  const Json given_id = is_notification ? Json(nullptr) : request->at("id");
  const Json id = is_id(given_id) ? given_id : Json(nullptr);
  if (const auto wrong = envelope_error(*request); !wrong.empty()) {
    return reply(id, {RpcCode::invalid_request, wrong});
  }
  auto result = carry_out(*request, call);
  if (is_notification) return {};
  if (!result) return reply(id, {rpc_code(result.error().code), result.error().message});
  Json document = {{"jsonrpc", "2.0"}, {"id", id}};
  document["result"] = *std::move(result);
  return to_line(document);
}

std::string error_line(RpcCode code, std::string_view message) {
  return reply(nullptr, {code, std::string(message)});
}

}  // namespace pinhole::control
