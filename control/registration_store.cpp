// SPDX-License-Identifier: BSD-3-Clause
#include "control/registration_store.hpp"

#include <algorithm>
#include <chrono>

namespace pinhole::control {

void RegistrationStore::attach(const WorkerLink& link) noexcept {
  link_ = &link;
  bindings_.clear();
}

void RegistrationStore::on_event(const ipc::Event& event, Moment now) {
  if (link_ == nullptr || event.type != ipc::EventType::registration) return;
  const Key key{event.worker, event.registration.card};
  const auto card = link_->registration_card(key.first, key.second);
  if (card) take_in(key, *card, now);
}

void RegistrationStore::resync(std::uint32_t worker, Moment now) {
  if (link_ == nullptr) return;
  for (std::uint32_t index = 0; index < link_->registration_capacity(worker); ++index) {
    const auto card = link_->registration_card(worker, index);
    if (card) take_in({worker, index}, *card, now);
  }
}

void RegistrationStore::take_in(Key key, const ipc::RegistrationCard& card, Moment now) {
  if (!card.in_use || nat::reached(card.expires, link_->tick())) {
    bindings_.erase(key);
    return;
  }
  const auto left = card.expires - link_->tick();
  bindings_[key] = {.generation = card.generation,
                    .aor = std::string(card.aor.view()),
                    .inside = card.inside,
                    .external = card.external,
                    .registrar = card.registrar,
                    .expires = now.steady + std::chrono::milliseconds(1000 / nat::kTicksPerSecond) * left};
}

void RegistrationStore::run(Moment now) {
  std::erase_if(bindings_, [&](const auto& entry) { return entry.second.expires <= now.steady; });
}

Paged<RegistrationRow> RegistrationStore::rows(std::string_view aor, Page page, Moment now) const {
  Paged<RegistrationRow> rows;
  for (const auto& [key, binding] : bindings_) {
    if (binding.aor.find(aor) == std::string::npos) continue;
    if (rows.total++ < page.offset || rows.rows.size() == page.limit) continue;
    const auto left = std::chrono::duration_cast<std::chrono::seconds>(binding.expires - now.steady);
    rows.rows.push_back({.aor = binding.aor,
                         .worker = key.first,
                         .inside = binding.inside,
                         .external = binding.external,
                         .registrar = binding.registrar,
                         .expires_s = static_cast<std::uint32_t>(std::max<std::int64_t>(0, left.count()))});
  }
  return rows;
}

}  // namespace pinhole::control
