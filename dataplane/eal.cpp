// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/eal.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>
#include <thread>

#include "dataplane/hugepages.hpp"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include <fmt/format.h>

namespace pinhole::dataplane {

namespace {

using config::Error;
using config::ErrorCode;

/// Where DPDK's log goes: a ring of its last bytes, written by stdio through a cookie.
class LogTail {
 public:
  [[nodiscard]] std::FILE* open() {
    cookie_io_functions_t functions{};
    functions.write = [](void* cookie, const char* bytes, std::size_t size) -> ssize_t {
      static_cast<LogTail*>(cookie)->append({bytes, size});
      return static_cast<ssize_t>(size);
    };
    std::FILE* const stream = fopencookie(this, "w", functions);
    if (stream != nullptr) std::setvbuf(stream, nullptr, _IOLBF, 1024);
    return stream;
  }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  static constexpr std::size_t kKept = 4096;
  void append(std::string_view bytes) {
    text_ += bytes;
    if (text_.size() > kKept) text_.erase(0, text_.size() - kKept);
  }
  std::string text_;
};

LogTail& log_tail() {
  static LogTail tail;
  return tail;
}

std::string last_line_of(const std::string& text) {
  const auto end = text.find_last_not_of('\n');
  if (end == std::string::npos) return {};
  const auto before = text.find_last_of('\n', end);
  const auto begin = before == std::string::npos ? 0 : before + 1;
  return text.substr(begin, end + 1 - begin);
}

/// While it lives, what is written to stderr goes to a file in memory: the EAL writes some of its complaints
/// there whatever its log is set to.
class StderrCapture {
 public:
  /// \param into gets what was written; null: nothing is captured
  explicit StderrCapture(std::string* into) : into_(into) {
    if (into_ == nullptr) return;
    file_ = memfd_create("stderr", MFD_CLOEXEC);
    saved_ = dup(STDERR_FILENO);
    if (file_ >= 0 && saved_ >= 0) dup2(file_, STDERR_FILENO);
  }
  ~StderrCapture() {
    if (into_ == nullptr) return;
    if (file_ >= 0 && saved_ >= 0) {
      std::fflush(stderr);
      dup2(saved_, STDERR_FILENO);
      std::array<char, 4096> text;
      const auto size = pread(file_, text.data(), text.size(), 0);
      if (size > 0) into_->append(text.data(), static_cast<std::size_t>(size));
    }
    if (saved_ >= 0) close(saved_);
    if (file_ >= 0) close(file_);
  }
  StderrCapture(const StderrCapture&) = delete;
  StderrCapture& operator=(const StderrCapture&) = delete;

 private:
  std::string* into_;
  int file_ = -1;
  int saved_ = -1;
};

bool is_pci_address(const std::string& device) {
  const auto name = device.substr(0, device.find(','));
  return name.find(':') != std::string::npos && name.find('.') != std::string::npos;
}

}  // namespace

std::vector<unsigned> worker_cpus(const config::Workers& workers, unsigned cpu_count) {
  if (!workers.cpus.empty()) return workers.cpus;
  std::vector<unsigned> cpus;
  for (unsigned worker = 0; worker < workers.count; ++worker) cpus.push_back((worker + 1) % cpu_count);
  return cpus;
}

bool yields_when_idle(const config::Workers& workers, unsigned cpu_count) {
  if (workers.idle != config::Idle::automatic) return workers.idle == config::Idle::yield;
  const auto cpus = worker_cpus(workers, cpu_count);
  // CPU 0 serves main, control and the kernel, so a worker there shares it.
  const std::set<unsigned> distinct(cpus.begin(), cpus.end());
  return distinct.size() < cpus.size() || distinct.contains(0);
}

std::vector<std::string> eal_arguments(const config::Config& config, unsigned cpu_count) {
  std::string lcores = "0@0";
  const auto cpus = worker_cpus(config.workers, cpu_count);
  for (unsigned worker = 0; worker < cpus.size(); ++worker) {
    lcores += fmt::format(",{}@{}", worker + 1, cpus[worker]);
  }
  std::vector<std::string> arguments = {"pinhole-dataplane",
                                        "--proc-type=primary",
                                        "--file-prefix=" + config.dpdk.file_prefix,
                                        "--lcores=" + lcores,
                                        "-m",
                                        std::to_string(config.dpdk.memory_mb),
                                        "--no-telemetry"};
  bool any_pci = false;
  for (const auto& interface : config.interfaces) {
    if (!is_pci_address(interface.device)) continue;
    arguments.insert(arguments.end(), {"-a", interface.device});
    any_pci = true;
  }
  if (!any_pci) arguments.emplace_back("--no-pci");
  return arguments;
}

config::Result<void> start_eal(const config::Config& config, bool verbose) {
  if (auto checked = check_hugepages(config.dpdk.memory_mb, config.dpdk.file_prefix); !checked)
    return checked;
  if (!verbose) {
    if (std::FILE* const stream = log_tail().open(); stream != nullptr) rte_openlog_stream(stream);
  }
  const unsigned cpu_count = std::max(1U, std::thread::hardware_concurrency());
  for (const unsigned cpu : worker_cpus(config.workers, cpu_count)) {
    if (cpu >= cpu_count) {
      return Error{
          ErrorCode::device,
          fmt::format("workers.cpus: there is no CPU {}; this machine has CPUs 0 to {}", cpu, cpu_count - 1)};
    }
  }
  auto arguments = eal_arguments(config, cpu_count);
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  std::string said;
  int started = 0;
  {
    const StderrCapture capture(verbose ? nullptr : &said);
    started = rte_eal_init(static_cast<int>(argv.size()), argv.data());
  }
  if (started >= 0) return {};
  said += log_tail().text();
  if (said.find("another primary process") != std::string::npos) {
    return Error{ErrorCode::device,
                 fmt::format("dpdk.file_prefix: another data plane runs with prefix '{}'; stop it or choose "
                             "another prefix",
                             config.dpdk.file_prefix)};
  }
  return Error{ErrorCode::device, fmt::format("dpdk: the EAL did not start: {} ({}); --log-level debug shows "
                                              "its whole log",
                                              rte_strerror(rte_errno), last_line_of(said))};
}

}  // namespace pinhole::dataplane
