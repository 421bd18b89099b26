// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/load.hpp"

#include "dataplane/config/json_text.hpp"
#include "dataplane/config/reference.hpp"
#include "dataplane/config/validate.hpp"
#include "dataplane/config/value.hpp"
#include "dataplane/config/walk.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <vector>

namespace pinhole::config {

namespace {

/// What stands in the document, short enough for a sentence.
std::string found_text(const Json& json) {
  constexpr std::size_t kMaxText = 60;
  if (json.is_object()) return "an object";
  if (json.is_array()) return "a list of " + items(json.size());
  if (json.is_string() && json.get_ref<const std::string&>().size() > kMaxText) {
    return fmt::format("a text of {} characters", json.get_ref<const std::string&>().size());
  }
  return json.dump(-1, ' ', /*ensure_ascii=*/true);
}

/// Levenshtein's distance: how many letters to put in, take out or change.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const auto changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, changed});
    }
  }
  return row[b.size()];
}

/// The key of the schema, in whatever section, that has this name; empty when there is none.
std::string path_elsewhere(std::string_view name) {
  for (const auto& row : key_reference()) {
    const auto dot = row.path.rfind('.');
    const auto last = std::string_view{row.path}.substr(dot == std::string::npos ? 0 : dot + 1);
    if (last == name) return row.path;
  }
  return {};
}

Error unknown_key(std::string_view path, std::string_view name, const std::vector<std::string_view>& known) {
  constexpr std::size_t kMaxName = 40;  // what is longer is no typing error
  const auto place = join_path(path, name.substr(0, kMaxName));
  if (name.size() <= kMaxName) {
    const auto nearest = std::min_element(
        known.begin(), known.end(), [name](auto a, auto b) { return distance(name, a) < distance(name, b); });
    if (nearest != known.end() && distance(name, *nearest) <= 1 + nearest->size() / 4) {
      return {ErrorCode::unknown_key,
              fmt::format("{}: unknown key; did you mean {}?", place, join_path(path, *nearest))};
    }
    if (const auto elsewhere = path_elsewhere(name); !elsewhere.empty()) {
      return {ErrorCode::unknown_key, fmt::format("{}: unknown key; did you mean {}?", place, elsewhere)};
    }
  }
  return {ErrorCode::unknown_key, fmt::format("{}: unknown key; {} {}", place,
                                              path.empty() ? "known here are" : fmt::format("{} knows", path),
                                              fmt::join(known, ", "))};
}

template <typename T>
Result<void> read(const Json& json, const std::string& path, Bounds bounds, Bounds each, T& value);

/// One value for all keys of an object.
template <HasShorthand T>
Result<void> read_shorthand(const Json& json, const std::string& path, T& value) {
  typename Schema<T>::Shorthand one{};
  if (auto result = read(json, path, {}, {}, one); !result) return result;
  for_each_key<T>([&](const auto& key) { value.*key.member = one; });
  return {};
}

template <Object T>
Result<void> read_object(const Json& json, const std::string& path, T& value) {
  if (!json.is_object()) return config_error(ErrorCode::type, path, found_text(json), "an object");
  std::vector<std::string_view> known;
  for_each_key<T>([&](const auto& key) { known.push_back(key.name); });
  for (const auto& [name, ignored] : json.items()) {
    if (std::find(known.begin(), known.end(), name) == known.end()) return unknown_key(path, name, known);
  }
  Result<void> result;
  for_each_key<T>([&](const auto& key) {
    if (!result) return;
    const auto place = join_path(path, key.name);
    if (const auto found = json.find(key.name); found != json.end()) {
      result = read(*found, place, key.bounds, key.each, value.*key.member);
    } else if (key.required) {
      result = Error{ErrorCode::missing, fmt::format("{}: missing; it has no default: {}", place, key.help)};
    }
  });
  return result;
}

template <typename T>
Result<void> read_list(const Json& json, const std::string& path, Bounds bounds, Bounds each,
                       std::vector<T>& list) {
  const auto allowed = bounds.min == 0 ? "a list of up to " + items(bounds.max)
                                       : fmt::format("a list of {} to {} items", bounds.min, bounds.max);
  if (!json.is_array()) return config_error(ErrorCode::type, path, found_text(json), allowed);
  if (json.size() < bounds.min || json.size() > bounds.max) {
    return config_error(ErrorCode::range, path, found_text(json), allowed);
  }
  list.clear();
  for (const auto& item : json) {
    list.emplace_back();
    if (auto result = read(item, item_path(path, list.size() - 1), each, {}, list.back()); !result) {
      return result;
    }
  }
  return {};
}

template <typename T>
Result<void> read(const Json& json, const std::string& path, Bounds bounds, Bounds each, T& value) {
  if constexpr (HasShorthand<T>) {
    if (!json.is_object()) return read_shorthand(json, path, value);
  }
  if constexpr (Object<T>) {
    return read_object(json, path, value);
  } else if constexpr (kIsList<T>) {
    return read_list(json, path, bounds, each, value);
  } else if constexpr (kIsOptional<T>) {
    if (json.is_null()) {
      value.reset();
      return {};
    }
    return read(json, path, bounds, each, value.emplace());
  } else {
    if (!Kind<T>::matches(json)) {
      return config_error(ErrorCode::type, path, found_text(json), Kind<T>::allowed(bounds));
    }
    const auto parsed = Kind<T>::read(json, bounds);
    if (!parsed) return config_error(ErrorCode::range, path, found_text(json), Kind<T>::allowed(bounds));
    value = *parsed;
    return {};
  }
}

Error in_file(std::string_view name, const Error& error) {
  return {error.code, fmt::format("{}: {}", name, error.message)};
}

Result<std::string> read_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return Error{ErrorCode::file, "is a directory; name a configuration file"};
  }
  std::ifstream file{path, std::ios::binary};
  if (!file) {
    return Error{ErrorCode::file,
                 fmt::format("cannot be opened ({}); name a configuration file that exists and can be read",
                             std::strerror(errno))};
  }
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (file.bad()) return Error{ErrorCode::file, "cannot be read; check the file and its disk"};
  if (text.size() > kMaxFileBytes) {
    return Error{ErrorCode::file,
                 fmt::format("is larger than {} bytes; name a configuration file", kMaxFileBytes)};
  }
  return text;
}

}  // namespace

Result<Config> parse(std::string_view text, std::string_view name) {
  const auto document = parse_json(text);
  if (!document) return in_file(name, document.error());
  Config config;
  if (const auto result = read(*document, "", {}, {}, config); !result) return in_file(name, result.error());
  return config;
}

Result<Config> load(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return in_file(path, text.error());
  auto config = parse(*text, path);
  if (!config) return config;
  if (const auto valid = validate(*config); !valid) return in_file(path, valid.error());
  return config;
}

}  // namespace pinhole::config
