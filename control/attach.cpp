// SPDX-License-Identifier: BSD-3-Clause
#include "control/attach.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "control/log.hpp"
#include "dataplane/ipc/nat_record.hpp"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_memzone.h>
#include <rte_ring.h>

#include <fmt/format.h>

namespace pinhole::control {

namespace {

constexpr std::chrono::milliseconds kLookAgain{50};
constexpr std::size_t kMaxPath = 4096;

/// DPDK's log as lines of ours.
class DpdkLog {
 public:
  void open() {
    cookie_io_functions_t functions{};
    functions.write = [](void* cookie, const char* bytes, std::size_t size) -> ssize_t {
      static_cast<DpdkLog*>(cookie)->append({bytes, size});
      return static_cast<ssize_t>(size);
    };
    std::FILE* const stream = fopencookie(this, "w", functions);
    if (stream != nullptr) rte_openlog_stream(stream);
  }

 private:
  void append(std::string_view bytes) {
    for (const char byte : bytes) {
      if (byte != '\n') {
        line_ += byte;
      } else if (!line_.empty()) {
        log_warning("dpdk", {{"text", line_}});
        line_.clear();
      }
    }
  }
  std::string line_;
};

/// "0,1,4": the CPUs that this process may run on, all of them one lcore's.
std::string allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return "0";
  std::string cpus;
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus += fmt::format("{}{}", cpus.empty() ? "" : ",", cpu);
  }
  return cpus;
}

Result<void> start_eal(const std::string& file_prefix) {
  static DpdkLog dpdk_log;
  dpdk_log.open();
  std::array<std::string, 7> arguments = {"pinhole-control",
                                          "--proc-type=secondary",
                                          "--file-prefix=" + file_prefix,
                                          "--no-pci",
                                          "--no-telemetry",
                                          "--log-level=warning",
                                          fmt::format("--lcores=0@({})", allowed_cpus())};
  std::array<char*, arguments.size()> argv{};
  for (std::size_t i = 0; i < argv.size(); ++i) argv[i] = arguments[i].data();
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) >= 0) return {};
  return Error{ErrorCode::unavailable,
               fmt::format("the data plane's memory could not be attached: {}", rte_strerror(rte_errno))};
}

/// The data plane writes the layout while control may look on already.
bool is_written(const ipc::Layout& layout) noexcept {
  return layout.magic != 0 && layout.abi_version != 0;
}

Result<std::vector<rte_ring*>> find_rings(const char* format, std::uint32_t workers) {
  std::vector<rte_ring*> rings;
  for (std::uint32_t worker = 0; worker < workers; ++worker) {
    std::array<char, RTE_RING_NAMESIZE> name{};
    std::snprintf(name.data(), name.size(), format, worker);
    rings.push_back(rte_ring_lookup(name.data()));
    if (rings.back() == nullptr) {
      return Error{ErrorCode::unavailable, fmt::format("the data plane has no ring {}", name.data())};
    }
  }
  return rings;
}

/// The process that has a write lock on a file.
std::optional<pid_t> holder_of_lock(const char* path) noexcept {
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool locked = fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  ::close(file);
  if (!locked) return std::nullopt;
  return lock.l_pid;
}

}  // namespace

std::string primary_config_path(const std::string& file_prefix) {
  // As DPDK chooses it: what the service manager says, else root's processes meet in /var/run and a user's in
  // the directory of the session.
  const char* directory = std::getenv("RUNTIME_DIRECTORY");
  if (directory == nullptr && getuid() == 0) directory = "/var/run";
  if (directory == nullptr) directory = std::getenv("XDG_RUNTIME_DIR");
  if (directory == nullptr) directory = "/tmp";
  return fmt::format("{}/dpdk/{}/config", directory, file_prefix);
}

std::optional<Primary> find_primary(const std::string& config_path) noexcept {
  // A primary holds a write lock on a part of the file for as long as it lives.
  const auto pid = holder_of_lock(config_path.c_str());
  if (!pid) return std::nullopt;
  std::array<char, kMaxPath> path{};
  const auto slash = config_path.rfind('/') + 1;
  std::snprintf(path.data(), path.size(), "%.*s%s", static_cast<int>(slash), config_path.c_str(),
                ipc::kReadyFile);
  return Primary{.pid = *pid, .ready = holder_of_lock(path.data()) == pid};
}

Result<void> check_layout(const ipc::Layout& layout) {
  if (layout.magic == ipc::kMagic && layout.abi_version == ipc::kAbiVersion) return {};
  return Error{
      ErrorCode::conflict,
      fmt::format("dpdk.file_prefix: the data plane there speaks ABI version {} and this control speaks "
                  "{}; start the data plane and control of the same release",
                  layout.abi_version, ipc::kAbiVersion)};
}

Result<Attachment> attach(const std::string& file_prefix, const Primary& primary,
                          const std::atomic<bool>& stop) {
  if (auto started = start_eal(file_prefix); !started) return started.error();
  const std::string config_path = primary_config_path(file_prefix);
  Attachment attachment;
  while (attachment.layout == nullptr || !attachment.layout->ready.load(std::memory_order_acquire)) {
    const auto holder = find_primary(config_path);
    if (stop || !holder || holder->pid != primary.pid) {
      return Error{ErrorCode::unavailable, "the data plane went away before it was ready"};
    }
    if (attachment.layout == nullptr) {
      const rte_memzone* const zone = rte_memzone_lookup(ipc::kLayoutName);
      if (zone != nullptr) attachment.layout = static_cast<const ipc::Layout*>(zone->addr);
    }
    // A layout of another version has its `ready` elsewhere.
    if (attachment.layout != nullptr && is_written(*attachment.layout)) {
      if (auto checked = check_layout(*attachment.layout); !checked) return checked.error();
    }
    std::this_thread::sleep_for(kLookAgain);
  }
  if (auto checked = check_layout(*attachment.layout); !checked) return checked.error();
  const auto workers = attachment.layout->worker_count;
  auto events = find_rings(ipc::kEventRingName, workers);
  if (!events) return events.error();
  auto commands = find_rings(ipc::kCommandRingName, workers);
  if (!commands) return commands.error();
  attachment.events = std::move(*events);
  attachment.commands = std::move(*commands);
  // The data plane may have been started with a configuration without nat.log.
  if (auto records = find_rings(ipc::kRecordRingName, workers)) attachment.records = std::move(*records);
  return attachment;
}

void detach() noexcept {
  rte_eal_cleanup();
}

}  // namespace pinhole::control
