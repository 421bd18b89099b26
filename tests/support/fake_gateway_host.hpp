// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A host of a gateway of alg/plugin.h, on one screen: a flow, and what its gateway has asked for. Port P of
// the inside host is seen outside as P + 10000 of the flow's external address.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "alg/edit.hpp"
#include "alg/plugin.h"

namespace pinhole::test {

class FakeGatewayHost {
 public:
  struct Shown {
    int verdict = PINHOLE_FORWARD;
    std::string text;  // with its edits
    std::vector<pinhole_expectation> expected;
  };

  // What a test may set.
  std::uint8_t protocol = PINHOLE_TCP;
  std::uint8_t server = PINHOLE_OUTSIDE;
  bool unchanged = false;
  pinhole_endpoint inside{0x0A000005, 40000, 0};    // 10.0.0.5
  pinhole_endpoint external{0xCB007102, 40001, 0};  // 203.0.113.2
  pinhole_endpoint remote{0xC6336407, 21, 0};       // 198.51.100.7
  std::uint32_t reserved_address = 0;               // of reserve(); 0: that of `external`
  int reserve_answer = PINHOLE_OK;
  int expect_answer = PINHOLE_OK;
  int replace_answer = PINHOLE_OK;
  std::function<bool(std::string_view command, std::string_view argument)> rule;

  // What a test may read.
  std::array<std::uint32_t, PINHOLE_MAX_COUNTERS> counted{};
  std::vector<std::string> events;
  std::vector<std::string> judged;  // "COMMAND argument"

  explicit FakeGatewayHost(const pinhole_plugin& gateway, const char* options = "") : gateway_(gateway) {
    started_ = gateway_.worker_init(&kTable, 0, options, &state_) == 0;
  }
  FakeGatewayHost(const FakeGatewayHost&) = delete;
  FakeGatewayHost& operator=(const FakeGatewayHost&) = delete;
  ~FakeGatewayHost() {
    if (started_ && gateway_.worker_fini != nullptr) gateway_.worker_fini(state_);
  }

  [[nodiscard]] bool started() const { return started_; }
  [[nodiscard]] void* state() const { return state_; }

  Shown show(std::uint8_t from, std::string_view bytes) {
    const std::vector<char> exact(bytes.begin(), bytes.end());  // a sanitizer sees what reads past its end
    edits_.clear();
    expected_.clear();
    const pinhole_message message{.size = sizeof(pinhole_message),
                                  .protocol = protocol,
                                  .from = from,
                                  .server = server,
                                  .unchanged = static_cast<std::uint8_t>(unchanged ? 1 : 0),
                                  .bytes = exact.data(),
                                  .length = exact.size(),
                                  .inside = inside,
                                  .external = unchanged ? inside : external,
                                  .remote = remote,
                                  .flow = flow_.data()};
    message_ = &message;
    Shown shown{.verdict = gateway_.inspect(state_, reinterpret_cast<pinhole_context*>(this), &message),
                .text = std::string(bytes),
                .expected = expected_};
    message_ = nullptr;
    std::string buffer(bytes);
    buffer.resize(bytes.size() + alg::EditList::kMaxText);
    const auto size = edits_.apply({buffer.data(), buffer.size()}, bytes.size());
    if (!size) std::abort();
    shown.text = buffer.substr(0, *size);
    return shown;
  }

 private:
  static FakeGatewayHost& of(pinhole_context* context) {
    return *reinterpret_cast<FakeGatewayHost*>(context);
  }

  static int replace(pinhole_context* context, std::size_t offset, std::size_t removed, const char* text,
                     std::size_t length) {
    auto& host = of(context);
    if (offset > host.message_->length || removed > host.message_->length - offset) return PINHOLE_FAULT;
    if (host.replace_answer != PINHOLE_OK) return host.replace_answer;
    return host.edits_.replace(offset, removed, {text, length}) ? PINHOLE_OK : PINHOLE_FULL;
  }
  static int reserve(pinhole_context* context, std::uint8_t, std::uint16_t port, unsigned count,
                     pinhole_endpoint* found) {
    auto& host = of(context);
    if (count < 1 || count > 2) return PINHOLE_FAULT;
    if (port < 1024) return PINHOLE_REFUSED;
    if (host.reserve_answer != PINHOLE_OK) return host.reserve_answer;
    *found = {host.reserved_address != 0 ? host.reserved_address : host.message_->external.address,
              static_cast<std::uint16_t>(host.unchanged ? port : port + 10000), 0};
    return PINHOLE_OK;
  }
  static int expect(pinhole_context* context, const pinhole_expectation* expectation) {
    auto& host = of(context);
    if (expectation->size < sizeof *expectation || expectation->seconds == 0 || expectation->seconds > 3600)
      return PINHOLE_FAULT;
    const bool is_inside = expectation->inside.address == host.message_->inside.address;
    const bool is_open = expectation->from == PINHOLE_OUTSIDE;
    if (!is_inside || (is_open && expectation->inside.port < 1024)) return PINHOLE_REFUSED;
    if (host.expect_answer == PINHOLE_OK) host.expected_.push_back(*expectation);
    return host.expect_answer;
  }
  static int allows(pinhole_context* context, const char* command, std::size_t command_length,
                    const char* argument, std::size_t argument_length) {
    auto& host = of(context);
    const std::string_view name(command, command_length);
    const std::string_view rest(argument, argument_length);
    host.judged.push_back(std::string(name) + " " + std::string(rest));
    return !host.rule || host.rule(name, rest) ? 1 : 0;
  }
  static int keep(pinhole_context*, std::uint32_t seconds) {
    return seconds <= 86400 ? PINHOLE_OK : PINHOLE_FAULT;
  }
  static int count(pinhole_context* context, std::uint32_t counter, std::uint32_t by) {
    auto& host = of(context);
    if (counter >= host.gateway_.counter_count) return PINHOLE_FAULT;
    host.counted[counter] += by;
    return PINHOLE_OK;
  }
  static int event(pinhole_context* context, const char* text, std::size_t length) {
    of(context).events.emplace_back(text, length);
    return PINHOLE_OK;
  }

  static constexpr pinhole_host kTable{.size = sizeof(pinhole_host),
                                       .major = PINHOLE_PLUGIN_MAJOR,
                                       .minor = PINHOLE_PLUGIN_MINOR,
                                       .replace = replace,
                                       .reserve = reserve,
                                       .expect = expect,
                                       .allows = allows,
                                       .keep = keep,
                                       .count = count,
                                       .event = event};

  const pinhole_plugin& gateway_;
  void* state_ = nullptr;
  bool started_ = false;
  alignas(8) std::array<unsigned char, PINHOLE_MAX_FLOW> flow_{};
  const pinhole_message* message_ = nullptr;
  alg::EditList edits_;
  std::vector<pinhole_expectation> expected_;
};

}  // namespace pinhole::test
