// SPDX-License-Identifier: BSD-3-Clause
// pinhole-control: keeps what lives longer than a packet, and answers on the control socket.

#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "control/commands/command.hpp"
#include "control/error.hpp"
#include "control/handover.hpp"
#include "control/log.hpp"
#include "control/runtime.hpp"
#include "control/server/unix_server.hpp"
#include "control/stall_watch.hpp"
#include "dataplane/config/command_line.hpp"
#include "dataplane/config/load.hpp"

#include <fmt/format.h>
#include <boost/asio/io_context.hpp>

namespace pinhole::control {

namespace {

constexpr config::Program kProgram{
    "pinhole-control",
    "Keeps calls and registrations, and answers on the control socket, until SIGTERM or SIGINT."};

/// Signals wait while nobody handles them: before start-up is through, and while the process starts anew.
void hold_signals(bool hold) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &signals, nullptr);
}

/// The file of this program, as far as that can be told: the one that an upgrade put in its place, if any.
std::string own_file() {
  std::error_code ignored;
  std::string file = std::filesystem::read_symlink("/proc/self/exe", ignored).string();
  constexpr std::string_view kDeleted = " (deleted)";
  if (file.ends_with(kDeleted)) file.resize(file.size() - kDeleted.size());
  return file;
}

/// Executes this program again with the same arguments. Everything that is of the old data plane (memory,
/// locks, threads) goes with the old program image. Returns only when that was not possible.
Error start_anew(const Handover& handover, char** argv) {
  // Boost's sockets, and DPDK's files, are not closed by exec unless they are told to.
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  if (const auto left = leave(handover); !left) {
    log_warning("handover_failed", {{"reason", left.error().message}});
  }
  execv(own_file().c_str(), argv);
  execv("/proc/self/exe", argv);
  return {ErrorCode::system, "control cannot start itself anew, and ends; start it again"};
}

Level level_of(config::LogLevel level) noexcept {
  return level_from(config::name(level)).value_or(Level::info);
}

/// Who changed what, or tried to, is in the log.
void note_change(const Client& client, std::string_view method, const Json& params, bool done) {
  const Command* const command = find_command(method);
  if (command == nullptr || command->access == Access::read) return;
  log_info("command", {{"method", method},
                       {"params", params.dump(-1, ' ', true, Json::error_handler_t::replace)},
                       {"uid", client.peer.uid},
                       {"pid", client.peer.pid},
                       {"done", done}});
}

/// What one program image does. \return whether the next one is to follow.
Result<bool> serve(config::Config config, const config::CommandLine& line, Handover& handover) {
  boost::asio::io_context context;
  const ServerOptions options{.path = config.control.socket,
                              .group = config.control.group,
                              .read_group = config.control.read_group,
                              .max_connections = 64,
                              .connection = {}};
  auto runtime = std::make_unique<Runtime>(context, std::move(config), line.config_path, take());
  auto server = UnixServer::open(
      context, options, [&](const Client& client, std::string_view method, const Json& params) {
        auto result = watched(method, [&] { return run_command(*runtime, method, params, client.access); });
        note_change(client, method, params, result.has_value());
        return result;
      });
  if (!server) return server.error();
  runtime->start();
  hold_signals(false);
  context.run();
  hold_signals(true);

  server->reset();
  const auto outcome = runtime->outcome();
  if (outcome == Runtime::Outcome::anew) {
    handover = runtime->handover();
    // Its destructor could wait for ever for what died with the data plane; exec will end all of it.
    static_cast<void>(runtime.release());
    return true;
  }
  if (runtime->is_attaching()) std::_Exit(EXIT_SUCCESS);
  if (outcome == Runtime::Outcome::failed) return runtime->error();
  log_info("control_stopped");
  return false;
}

/// The one boundary where errors end: a sentence on stderr and an exit status.
int run(int argc, char** argv) {
  const auto line = config::parse_command_line(kProgram, argc, argv);
  if (!line) return config::report(kProgram, line.error());
  if (!line->answer.empty()) {
    fmt::print("{}", line->answer);
    return EXIT_SUCCESS;
  }
  auto config = config::load(line->config_path);
  if (!config) return config::report(kProgram, config.error());
  if (line->check) return EXIT_SUCCESS;

  hold_signals(true);
  log().set_level(level_of(line->log_level));
  // A program that was executed by way of /proc/self/exe is called `exe`.
  // A limit on the size of files is an error to be told, not a reason to die.
  std::signal(SIGXFSZ, SIG_IGN);
  prctl(PR_SET_NAME, kProgram.name.data());
  Handover handover;
  const auto again = serve(std::move(*config), *line, handover);
  if (!again) return config::report(kProgram, again.error());
  return *again ? config::report(kProgram, start_anew(handover, argv)) : EXIT_SUCCESS;
}

}  // namespace

}  // namespace pinhole::control

int main(int argc, char** argv) {
  try {
    return pinhole::control::run(argc, argv);
  } catch (const std::exception& bug) {
    fmt::print(stderr, "pinhole-control: failed inside: {}\n", bug.what());
    return EXIT_FAILURE;
  }
}
