// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// From a file to a Config. The file is JSON, with // and /* */ comments. Nothing is guessed: a key that is
// not known, a value of another kind or out of range, a key written twice are each refused with the path in
// the document, what was found and what is allowed. Schema.hpp holds the table that this is checked against.

#include "dataplane/config/error.hpp"
#include "dataplane/config/structs.hpp"

#include <string>
#include <string_view>

namespace pinhole::config {

/// A file larger than this is not a configuration.
inline constexpr std::size_t kMaxFileBytes = 1U << 20U;

/// Reads, parses and validates a file: what it returns can be run, as far as that can be told without the
/// machine. Errors: one sentence that starts with the file's name.
[[nodiscard]] Result<Config> load(const std::string& path);

/// Reads the text of a configuration; validate() then says whether its parts fit each other.
/// \param name what errors call the text: the file's name.
[[nodiscard]] Result<Config> parse(std::string_view text, std::string_view name);

}  // namespace pinhole::config
