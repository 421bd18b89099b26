// SPDX-License-Identifier: BSD-3-Clause
#include "control/ctl/options.hpp"

#include "control/ctl/table.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <deque>
#include <iostream>
#include <utility>

namespace pinhole::control {
namespace {

/// An option of a command, and what was written for it.
struct Given {
  const Argument* argument = nullptr;
  CLI::Option* option = nullptr;
  std::string text;
  bool flag = false;
};

/// A command of the table, at one place of the command line (by itself, or under watch).
struct Leaf {
  CLI::App* app = nullptr;
  const Command* command = nullptr;
  std::deque<Given> given;
};

std::string upper(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return out;
}

void add_argument(Leaf& leaf, const Argument& argument) {
  auto& given = leaf.given.emplace_back();
  given.argument = &argument;
  const auto option = fmt::format("--{}", argument.name);
  const std::string help(argument.help);
  if (argument.type == ArgumentType::flag) {
    given.option = leaf.app->add_flag(option, given.flag, help);
    return;
  }
  given.option = leaf.app->add_option(argument.required ? upper(argument.name) : option, given.text, help);
  given.option->required(argument.required)->type_name(upper(name(argument.type)));
  switch (argument.type) {
    case ArgumentType::offset:
    case ArgumentType::limit:
    case ArgumentType::count:
      given.option->check(CLI::Range(bounds_of(argument).least, bounds_of(argument).most));
      break;
    case ArgumentType::protocol:
      given.option->check(CLI::IsMember({"udp", "tcp", "icmp"}));
      break;
    case ArgumentType::text:
    case ArgumentType::endpoint:
    case ArgumentType::flag:
      break;
  }
}

CLI::App* find_subcommand(CLI::App& parent, const std::string& name) {
  const auto found = parent.get_subcommands([&](const CLI::App* app) { return app->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

/// The subcommand of that name; made, with the ones it lies under, when there is none.
CLI::App* subcommand(CLI::App& parent, std::string_view dotted, const std::string& summary) {
  CLI::App* at = &parent;
  while (true) {
    const auto dot = dotted.find('.');
    const std::string part(dotted.substr(0, dot));
    auto* const known = find_subcommand(*at, part);
    const bool is_last = dot == std::string_view::npos;
    auto* const next = known != nullptr ? known : at->add_subcommand(part, is_last ? summary : "");
    if (is_last) return next;
    next->require_subcommand(1);
    at = next;
    dotted.remove_prefix(dot + 1);
  }
}

Query query_of(const Leaf& leaf) {
  Query query{leaf.command, Json::object(), false};
  for (const auto& given : leaf.given) {
    if (given.option->count() == 0) continue;
    const std::string key(given.argument->name);
    query.selects = query.selects || given.argument->selects;
    if (given.argument->type == ArgumentType::flag) {
      query.params[key] = given.flag;
    } else if (name(given.argument->type) == name(ArgumentType::count)) {
      std::size_t number = 0;
      std::from_chars(given.text.data(), given.text.data() + given.text.size(), number);
      query.params[key] = number;
    } else {
      query.params[key] = given.text;
    }
  }
  return query;
}

/// pinholectl's own `help` replaces that of control; watching what never changes is of no use, and nobody
/// wants to change something again and again.
bool is_offered(const Command& command, bool under_watch) {
  if (command.name == "help") return false;
  if (command.access == Access::write) return !under_watch;
  return !under_watch || (command.name != "version" && command.name != "config.show");
}

class CommandLine {
 public:
  CommandLine() : app_("Shows what Pinhole does: calls, pinholes, mappings, counters.", "pinholectl") {
    app_.fallthrough();
    app_.require_subcommand(1);
    app_.set_version_flag("--version", "pinholectl " PINHOLE_VERSION);
    app_.add_option("--socket", invocation_.socket, "the control socket")
        ->envname("PINHOLE_SOCKET")
        ->type_name("PATH")
        ->capture_default_str();
    app_.add_flag("--json", invocation_.json, "print the result as JSON, for programs");
    app_.footer(
        "Exit status: 0 done; 1 the command failed or nothing was found; 2 a mistake in the command line or "
        "the "
        "configuration; 3 control is not reachable.");
    add_leaves(app_, false);
    add_capture();
    add_own();
  }

  Parsed parse(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::Success& asked) {  // --help, --version
      return {std::nullopt, static_cast<ExitStatus>(app_.exit(asked))};
    } catch (const CLI::ParseError& mistake) {
      std::cerr << "pinholectl: " << explain(mistake) << "; --help tells what is allowed\n";
      return {std::nullopt, ExitStatus::usage};
    }
    if (help_->parsed()) return print_help();
    if (captures() && capturing_file_->count() == 0) {
      std::cerr << "pinholectl: FILE is required; --help tells what is allowed\n";
      return {std::nullopt, ExitStatus::usage};
    }
    choose();
    return {std::move(invocation_), ExitStatus::ok};
  }

 private:
  void add_leaves(CLI::App& parent, bool under_watch) {
    for (const auto& command : commands()) {
      if (!is_offered(command, under_watch)) continue;
      auto& leaf = leaves_.emplace_back();
      leaf.command = &command;
      leaf.app = subcommand(parent, command.name, std::string(command.summary));
      for (const auto& argument : command.arguments) add_argument(leaf, argument);
    }
  }

  /// `capture FILE` stands beside `capture start FILE`, which does not wait for the end.
  void add_capture() {
    capture_ = subcommand(app_, "capture", "");
    capture_->description("copy packets of both sides into a pcapng file, until it ends or Ctrl-C");
    capture_->require_subcommand(0, 1);
    capturing_.app = capture_;
    capturing_.command = find_command("capture.start");
    for (const auto& argument : capturing_.command->arguments) {
      if (argument.name == "attended") continue;
      add_argument(capturing_, argument);
      if (!argument.required) continue;
      // Not of `capture stop` and its like.
      capturing_file_ = capturing_.given.back().option->required(false);
      for (auto* const other : capture_->get_subcommands({})) other->excludes(capturing_file_);
    }
  }

  [[nodiscard]] bool captures() const { return capture_->parsed() && capture_->get_subcommands().empty(); }

  void add_own() {
    auto* const config = subcommand(app_, "config", "");
    config->description("the configuration in force, or the check of a file");
    check_ = config->add_subcommand("check", "check a configuration file, without asking control");
    check_->add_option("FILE", invocation_.file, "the file to check")->required()->type_name("PATH");

    watch_ = app_.add_subcommand("watch", "show a command again and again; without one, status and calls");
    watch_->require_subcommand(0, 1);
    watch_->add_option("--interval", interval_, "seconds from one round to the next")
        ->check(CLI::Range(1U, 3600U))
        ->type_name("NUMBER")
        ->capture_default_str();
    watch_->add_option("--rounds", rounds_, "stop after so many rounds")
        ->check(CLI::Range(1U, 1'000'000'000U))
        ->type_name("NUMBER");
    add_leaves(*watch_, true);

    completion_ = app_.add_subcommand("completion", "print a script that completes command lines");
    completion_->add_option("SHELL", shell_, "bash")
        ->required()
        ->check(CLI::IsMember({"bash"}))
        ->type_name("TEXT");

    help_ = app_.add_subcommand("help", "tell about pinholectl or one of its commands");
    help_->add_option("COMMAND", help_on_, "the command to tell about")->type_name("TEXT");
  }

  /// The parser complains first of the command that is missing, not of the word that is none.
  [[nodiscard]] std::string explain(const CLI::ParseError& mistake) const {
    const auto unknown = app_.remaining(true);
    if (dynamic_cast<const CLI::RequiredError*>(&mistake) == nullptr || unknown.empty())
      return mistake.what();
    return fmt::format("\"{}\" is not known", printable(unknown.front()));
  }

  Parsed print_help() {
    CLI::App* at = &app_;
    std::string before;
    for (const auto& part : help_on_) {
      before += at->get_name() + ' ';
      at = find_subcommand(*at, part);
      if (at == nullptr) {
        std::cerr << "pinholectl: there is no command \"" << part << "\"; --help lists those there are\n";
        return {std::nullopt, ExitStatus::usage};
      }
    }
    before.erase(before.find_last_not_of(' ') + 1);
    std::cout << at->help(before);
    return {std::nullopt, ExitStatus::ok};
  }

  void choose() {
    for (const auto& leaf : leaves_) {
      if (leaf.app->parsed()) invocation_.queries.push_back(query_of(leaf));
    }
    if (captures()) {
      invocation_.action = Invocation::Action::capture;
      invocation_.queries = {query_of(capturing_)};
      invocation_.queries.front().params["attended"] = true;
    } else if (watch_->parsed()) {
      invocation_.action = Invocation::Action::watch;
      invocation_.interval = std::chrono::seconds(interval_);
      if (rounds_ > 0) invocation_.rounds = rounds_;
      if (invocation_.queries.empty()) {
        invocation_.queries = {Query{find_command("status")}, Query{find_command("calls")}};
      }
    } else if (check_->parsed()) {
      invocation_.action = Invocation::Action::check_config;
    } else if (completion_->parsed()) {
      invocation_.action = Invocation::Action::complete;
    }
  }

  CLI::App app_;
  Invocation invocation_;
  std::deque<Leaf> leaves_;
  Leaf capturing_;
  CLI::App* capture_ = nullptr;
  CLI::Option* capturing_file_ = nullptr;
  CLI::App* check_ = nullptr;
  CLI::App* watch_ = nullptr;
  CLI::App* completion_ = nullptr;
  CLI::App* help_ = nullptr;
  std::uint32_t interval_ = 2;
  std::uint32_t rounds_ = 0;
  std::string shell_;
  std::vector<std::string> help_on_;
};

}  // namespace

Parsed parse_command_line(int argc, const char* const* argv) {
  return CommandLine().parse(argc, argv);
}

}  // namespace pinhole::control
