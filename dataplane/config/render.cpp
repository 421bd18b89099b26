// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/render.hpp"

#include "dataplane/config/value.hpp"
#include "dataplane/config/walk.hpp"

#include <cstdint>
#include <string>
#include <type_traits>

namespace pinhole::config {

namespace {

enum class Secrets : std::uint8_t { written, hidden };

template <typename T>
OrderedJson render(const T& value, Secrets secrets) {
  if constexpr (Object<T>) {
    OrderedJson object = OrderedJson::object();
    for_each_key<T>([&](const auto& key) {
      const auto& member = value.*key.member;
      auto& place = object[std::string{key.name}];
      if (!key.secret || secrets == Secrets::written) {
        place = render(member, secrets);
      } else if (member != std::remove_cvref_t<decltype(member)>{}) {
        place = "set";
      }
    });
    return object;
  } else if constexpr (kIsList<T>) {
    OrderedJson list = OrderedJson::array();
    for (const auto& item : value) list.push_back(render(item, secrets));
    return list;
  } else if constexpr (kIsOptional<T>) {
    return value ? render(*value, secrets) : OrderedJson{};
  } else {
    return Kind<T>::write(value);
  }
}

}  // namespace

nlohmann::ordered_json to_json(const Config& config) {
  return render(config, Secrets::written);
}

nlohmann::ordered_json shown(const Config& config) {
  return render(config, Secrets::hidden);
}

}  // namespace pinhole::config
