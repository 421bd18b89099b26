// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/hugepages.hpp"

#include <mntent.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <vector>

#include <fmt/format.h>

namespace pinhole::dataplane {

namespace {

namespace fs = std::filesystem;
using config::Error;
using config::ErrorCode;

constexpr std::uint64_t kDefaultPage = 2U << 20U;

std::vector<std::string> hugetlbfs_mounts() {
  std::vector<std::string> mounts;
  std::FILE* const table = setmntent("/proc/self/mounts", "r");
  if (table == nullptr) return mounts;
  while (const mntent* const entry = getmntent(table)) {
    if (std::string_view(entry->mnt_type) == "hugetlbfs") mounts.emplace_back(entry->mnt_dir);
  }
  endmntent(table);
  return mounts;
}

/// Bytes in hugepages of every size that nobody uses.
std::uint64_t free_hugepage_bytes() {
  std::uint64_t bytes = 0;
  std::error_code ignored;
  for (const auto& size : fs::directory_iterator("/sys/kernel/mm/hugepages", ignored)) {
    unsigned long long page_kb = 0;
    if (std::sscanf(size.path().filename().c_str(), "hugepages-%llukB", &page_kb) != 1) continue;
    std::uint64_t pages = 0;
    std::ifstream(size.path() / "free_hugepages") >> pages;
    bytes += pages * page_kb * 1024;
  }
  return bytes;
}

/// Pages of 2 MB that are reserved now, in use or not: what vm.nr_hugepages counts.
std::uint64_t reserved_default_pages() {
  std::uint64_t pages = 0;
  std::ifstream("/proc/sys/vm/nr_hugepages") >> pages;
  return pages;
}

/// Bytes in files that an earlier process with this prefix left behind.
std::uint64_t left_behind_bytes(const std::vector<std::string>& mounts, const std::string& file_prefix) {
  std::uint64_t bytes = 0;
  std::error_code ignored;
  for (const auto& mount : mounts) {
    for (const auto& file : fs::directory_iterator(mount, ignored)) {
      if (file.path().filename().string().starts_with(file_prefix + "map_")) {
        const auto size = file.file_size(ignored);
        if (!ignored) bytes += size;
      }
    }
  }
  return bytes;
}

}  // namespace

config::Result<void> check_hugepages(unsigned memory_mb, const std::string& file_prefix) {
  const auto mounts = hugetlbfs_mounts();
  if (mounts.empty()) {
    return Error{ErrorCode::memory,
                 "dpdk.memory_mb: hugetlbfs is not mounted; mount it with 'mkdir -p /dev/hugepages && "
                 "mount -t hugetlbfs none /dev/hugepages'"};
  }
  const std::uint64_t wanted = std::uint64_t{memory_mb} << 20U;
  const std::uint64_t available = free_hugepage_bytes() + left_behind_bytes(mounts, file_prefix);
  if (available >= wanted) return {};
  const std::uint64_t missing_pages = (wanted - available + kDefaultPage - 1) / kDefaultPage;
  return Error{
      ErrorCode::memory,
      fmt::format("dpdk.memory_mb: {} MB of hugepages are needed and {} MB are free; reserve more with "
                  "'sysctl vm.nr_hugepages={}' or lower dpdk.memory_mb",
                  memory_mb, available >> 20U, reserved_default_pages() + missing_pages)};
}

}  // namespace pinhole::dataplane
