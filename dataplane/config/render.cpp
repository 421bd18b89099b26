// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/render.hpp"

#include "dataplane/config/value.hpp"
#include "dataplane/config/walk.hpp"

namespace pinhole::config {

namespace {

template <typename T>
OrderedJson render(const T& value) {
  if constexpr (Object<T>) {
    OrderedJson object = OrderedJson::object();
    for_each_key<T>([&](const auto& key) { object[std::string{key.name}] = render(value.*key.member); });
    return object;
  } else if constexpr (kIsList<T>) {
    OrderedJson list = OrderedJson::array();
    for (const auto& item : value) list.push_back(render(item));
    return list;
  } else if constexpr (kIsOptional<T>) {
    return value ? render(*value) : OrderedJson{};
  } else {
    return Kind<T>::write(value);
  }
}

}  // namespace

nlohmann::ordered_json to_json(const Config& config) {
  return render(config);
}

}  // namespace pinhole::config
