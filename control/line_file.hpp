// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A file of lines that grows, is rotated by size, and outlives whatever happens to it: moved away by others
// (looked for once a second), truncated, unlinked, on a full disk. Invariant: what this puts into the file
// is whole lines, but for a process that is killed in the middle of one; the next then begins on a new line.
// What could not be written is the caller's to keep; after a failure nothing is tried for a second.

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "control/worker_link.hpp"

namespace pinhole::control {

class LineFile {
 public:
  static constexpr std::chrono::seconds kLookEvery{1};
  static constexpr std::chrono::seconds kTryAgain{1};

  /// \param max_bytes of a file before the next one is begun; 0: any number.
  /// \param files with the one being written: path, path.1, path.2, ...; 1 or more.
  LineFile(std::string path, std::uint64_t max_bytes, std::uint32_t files);
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;
  ~LineFile();

  /// Writes lines at the end of the file.
  /// \return how many bytes it took: whole lines from the first on.
  std::size_t write(std::string_view lines, Steady now);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// Why not everything is as it should be; empty: it is.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  /// How often something went wrong.
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }

 private:
  [[nodiscard]] bool is_open() const noexcept { return file_ >= 0; }
  void look(Steady now);
  bool open(Steady now);
  bool end_broken_line();
  void close() noexcept;
  [[nodiscard]] std::size_t room(Steady now) const noexcept;
  std::size_t append(std::string_view lines);
  void take_back(std::size_t bytes) const noexcept;
  void rotate(Steady now);
  void fail(const char* what);
  [[nodiscard]] std::string name(std::uint32_t number) const;

  std::string path_;
  std::uint64_t max_bytes_;
  std::uint32_t files_;
  int file_ = -1;
  bool is_regular_ = false;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  std::uint64_t size_ = 0;
  std::string problem_;
  std::uint64_t failures_ = 0;
  Steady looked_{};
  Steady try_at_{};
  Steady rotate_at_{};
};

}  // namespace pinhole::control
