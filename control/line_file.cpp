// SPDX-License-Identifier: BSD-3-Clause
#include "control/line_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace pinhole::control {

namespace {

constexpr mode_t kMode = 0640;  // who was behind an address is not for everybody

/// The first lines, so many as fit into `limit` bytes, but one at least.
std::string_view some_lines(std::string_view lines, std::size_t limit) noexcept {
  if (lines.size() <= limit) return lines;
  auto end = limit == 0 ? std::string_view::npos : lines.rfind('\n', limit - 1);
  if (end == std::string_view::npos) end = lines.find('\n', limit);
  return lines.substr(0, end == std::string_view::npos ? lines.size() : end + 1);
}

}  // namespace

LineFile::LineFile(std::string path, std::uint64_t max_bytes, std::uint32_t files)
    : path_(std::move(path)), max_bytes_(max_bytes), files_(files) {
}

LineFile::~LineFile() {
  close();
}

std::size_t LineFile::write(std::string_view lines, Steady now) {
  if (now < try_at_) return 0;
  look(now);
  std::size_t taken = 0;
  while (taken < lines.size()) {
    if (!is_open() && !open(now)) break;
    const auto limit = room(now);
    const auto chunk = some_lines(lines.substr(taken), limit);
    if (chunk.size() > limit && size_ != 0) {
      rotate(now);
      continue;
    }
    const auto written = append(chunk);
    taken += written;
    if (written < chunk.size()) {
      fail("cannot be written");
      close();
      try_at_ = now + kTryAgain;
      break;
    }
    // What cannot be rotated stays a problem until it can be.
    if (now >= rotate_at_) problem_.clear();
  }
  return taken;
}

void LineFile::look(Steady now) {
  if (!is_open() || now - looked_ < kLookEvery) return;
  looked_ = now;
  struct stat there{};
  if (::stat(path_.c_str(), &there) != 0 || there.st_dev != device_ || there.st_ino != inode_) {
    close();
    return;
  }
  size_ = static_cast<std::uint64_t>(there.st_size);  // smaller when somebody truncated it
}

bool LineFile::open(Steady now) {
  // Without O_NONBLOCK a pipe that nobody reads would hold the process.
  file_ = ::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, kMode);
  struct stat here{};
  if (is_open() && ::fstat(file_, &here) == 0) {
    is_regular_ = S_ISREG(here.st_mode);
    device_ = here.st_dev;
    inode_ = here.st_ino;
    size_ = static_cast<std::uint64_t>(here.st_size);
    looked_ = now;
    const bool fits = is_regular_ || S_ISCHR(here.st_mode);
    if (fits && end_broken_line()) return true;
    if (!fits) errno = EINVAL;
  }
  fail("cannot be opened");
  close();
  try_at_ = now + kTryAgain;
  return false;
}

/// A process that was killed while it wrote, or a disk that was full, may have left half a line.
bool LineFile::end_broken_line() {
  if (!is_regular_ || size_ == 0) return true;
  char last = '\n';
  if (::pread(file_, &last, 1, static_cast<off_t>(size_ - 1)) != 1) return false;
  if (last == '\n') return true;
  if (::write(file_, "\n", 1) != 1) return false;
  ++size_;
  return true;
}

void LineFile::close() noexcept {
  if (is_open()) ::close(file_);
  file_ = -1;
}

/// How many bytes to write at a time.
std::size_t LineFile::room(Steady now) const noexcept {
  if (!is_regular_ || max_bytes_ == 0 || now < rotate_at_) return std::numeric_limits<std::size_t>::max();
  return size_ < max_bytes_ ? static_cast<std::size_t>(max_bytes_ - size_) : 0;
}

/// \return how many bytes were written: whole lines. When that is not all of them, errno says why.
std::size_t LineFile::append(std::string_view lines) {
  std::size_t written = 0;
  int error = 0;
  while (written < lines.size() && error == 0) {
    const auto count = ::write(file_, lines.data() + written, lines.size() - written);
    if (count >= 0) {
      written += static_cast<std::size_t>(count);
      size_ += static_cast<std::size_t>(count);
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (written == lines.size()) return written;
  const auto end = lines.substr(0, written).rfind('\n');
  const auto whole = end == std::string_view::npos ? 0 : end + 1;
  if (is_regular_ && whole < written) take_back(written - whole);
  errno = error;
  return whole;
}

/// Removes the last bytes that were written. Where that fails, the next one to open the file ends the line.
void LineFile::take_back(std::size_t bytes) const noexcept {
  // Somebody may have truncated the file since the last look: it must not grow by that.
  struct stat here{};
  if (::fstat(file_, &here) != 0 || here.st_size < static_cast<off_t>(bytes)) return;
  static_cast<void>(::ftruncate(file_, here.st_size - static_cast<off_t>(bytes)) == 0);
}

void LineFile::rotate(Steady now) {
  // The names up to the first that is free move up by one; the last one is overwritten.
  std::uint32_t free = 1;
  struct stat ignored{};
  while (free + 1 < files_ && ::lstat(name(free).c_str(), &ignored) == 0) ++free;
  bool moved = true;
  if (files_ == 1) {
    moved = ::unlink(path_.c_str()) == 0 || errno == ENOENT;
  } else {
    for (auto number = free; number > 0 && moved; --number) {
      moved = ::rename(name(number - 1).c_str(), name(number).c_str()) == 0 || errno == ENOENT;
    }
  }
  if (moved) {
    close();
    return;
  }
  // Too large a file is better than a line that is lost.
  fail("cannot be rotated");
  rotate_at_ = now + kTryAgain;
}

void LineFile::fail(const char* what) {
  problem_ = fmt::format("{}: {}", what, std::strerror(errno));
  ++failures_;
}

std::string LineFile::name(std::uint32_t number) const {
  return number == 0 ? path_ : fmt::format("{}.{}", path_, number);
}

}  // namespace pinhole::control
