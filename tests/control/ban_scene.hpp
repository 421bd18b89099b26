// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A store of bans with a file of its own, two workers, and somebody to ban.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "control/ban_store.hpp"
#include "tests/control/fake_link.hpp"
#include "tests/control/nat_log/temporary_directory.hpp"

namespace pinhole::control::test {

inline nat::Prefix prefix(const char* text) {
  return nat::Prefix::parse(text).value();
}
inline const nat::Prefix kStranger = prefix("198.51.100.66");

struct Scene {
  explicit Scene(const config::Protection& with = {}) : protection(with) { start(); }

  /// Control begins, or begins again.
  void start() {
    store.reset();  // which has the file to itself
    store = std::make_unique<BanStore>(protection, file(), link.moment);
  }
  void attach() { store->attach(link, 2, link.moment); }
  [[nodiscard]] std::string file() const { return (directory.path() / "deep/state.db").string(); }

  void banned(ipc::BanReason reason = ipc::BanReason::failed_auth, bool proven = true,
              const char* detail = "alice") {
    ipc::Event event;
    event.type = ipc::EventType::guard;
    event.guard = {
        .news = ipc::GuardNews::banned, .reason = reason, .proven = proven, .source = kStranger.address};
    event.guard.detail.assign(detail);
    store->on_event(event, link.moment);
    store->run(link.moment);
  }
  void pass(std::chrono::seconds time) {
    link.pass(time);
    store->run(link.moment);
  }
  [[nodiscard]] std::vector<BanRow> rows() const { return store->rows({}, link.moment).rows; }
  /// For how long the last ban of each worker was ordered; 0: none was.
  std::uint32_t ordered_s() {
    const auto sent = link.take(ipc::CommandType::ban);
    return sent.empty() ? 0 : sent.back().command.seconds;
  }

  config::Protection protection;
  TemporaryDirectory directory;
  FakeLink link{2, 1};
  std::unique_ptr<BanStore> store;
};

inline BanOrderRow order(nat::Prefix wanted, std::uint32_t for_s = 60) {
  return {.prefix = wanted, .seconds = for_s, .note = {}};
}

}  // namespace pinhole::control::test
