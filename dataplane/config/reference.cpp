// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/reference.hpp"

#include "dataplane/config/value.hpp"
#include "dataplane/config/walk.hpp"

namespace pinhole::config {

namespace {

template <typename T>
std::string allowed(Bounds bounds, Bounds each) {
  if constexpr (HasShorthand<T>) {
    return allowed<typename Schema<T>::Shorthand>({}, {}) + ", or an object";
  } else if constexpr (Object<T>) {
    return "an object";
  } else if constexpr (kIsList<T>) {
    using Item = typename T::value_type;
    const auto least = bounds.min == 0 ? std::string{"up"} : std::to_string(bounds.min);
    const auto what = Object<Item> ? "objects" : fmt::format("items, each {}", allowed<Item>(each, {}));
    return fmt::format("a list of {} to {} {}", least, bounds.max, what);
  } else if constexpr (kIsOptional<T>) {
    return allowed<typename T::value_type>(bounds, each) + ", or null";
  } else {
    return Kind<T>::allowed(bounds);
  }
}

template <typename T>
std::string fallback(const T& value) {
  if constexpr (HasShorthand<T>) {
    return fallback(value.*std::get<0>(Schema<T>::kKeys).member);  // its keys have one default
  } else if constexpr (Object<T>) {
    return {};
  } else if constexpr (kIsList<T>) {
    OrderedJson list = OrderedJson::array();
    if constexpr (!Object<typename T::value_type>) {
      for (const auto& item : value) list.push_back(Kind<typename T::value_type>::write(item));
    }
    return list.dump();
  } else if constexpr (kIsOptional<T>) {
    return value ? fallback(*value) : "null";
  } else {
    return Kind<T>::write(value).dump();
  }
}

/// \param defaults  of the section: one type may stand in several places, with other values
template <Object T>
void add_keys(const std::string& path, const T& defaults, std::vector<KeyReference>& rows) {
  for_each_key<T>([&](const auto& key) {
    using Value = std::remove_cvref_t<decltype(defaults.*key.member)>;
    const auto place = join_path(path, key.name);
    rows.push_back({place, allowed<Value>(key.bounds, key.each),
                    key.required ? std::string{} : fallback(defaults.*key.member), key.help, key.required});
    if constexpr (Object<Value>) {
      add_keys<Value>(place, defaults.*key.member, rows);
    } else if constexpr (kIsList<Value>) {
      if constexpr (Object<typename Value::value_type>) {
        add_keys<typename Value::value_type>(place + "[]", {}, rows);
      }
    }
  });
}

}  // namespace

std::vector<KeyReference> key_reference() {
  std::vector<KeyReference> rows;
  add_keys<Config>("", {}, rows);
  return rows;
}

}  // namespace pinhole::config
