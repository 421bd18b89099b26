// SPDX-License-Identifier: BSD-3-Clause
#include "control/ctl/completion.hpp"

#include "control/commands/command.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

namespace pinhole::control {
namespace {

constexpr std::string_view kFrame =
    R"(# bash completion of pinholectl; load it with: source <(pinholectl completion bash)
_pinholectl() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} command="" words="" at
  for ((at = 1; at < COMP_CWORD; at++)); do
    case ${{COMP_WORDS[at]}} in
      {options_with_value}) ((at++)) ;;
      -*) ;;
      *) command+="${{command:+ }}${{COMP_WORDS[at]}}" ;;
    esac
  done
  case $previous in
    --socket) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --protocol) COMPREPLY=($(compgen -W "udp tcp icmp" -- "$word")); return ;;
    {options_with_value}) return ;;
  esac
  case $command in
{cases}    "config check") COMPREPLY=($(compgen -f -- "$word")); return ;;
  esac
  COMPREPLY=($(compgen -W "$words --help --json --socket" -- "$word"))
}}
complete -F _pinholectl pinholectl
)";

/// Ids can be completed only by asking.
constexpr std::string_view kCallIds =
    "$(pinholectl calls --all --limit 1000 2>/dev/null | grep -oE '^[0-9a-f]{16}')";

/// The gateways that there are, too.
constexpr std::string_view kAlgNames = "$(pinholectl alg show 2>/dev/null | grep -oE '^[a-z0-9_-]+')";

constexpr std::string_view kFiles = R"($(compgen -f -- "$word"))";

std::string spaced(std::string_view dotted) {
  std::string out(dotted);
  std::replace(out.begin(), out.end(), '.', ' ');
  return out;
}

std::string first_word(std::string_view dotted) {
  return std::string(dotted.substr(0, dotted.find('.')));
}

/// Addresses are nobody's to guess.
std::string word_of(const Argument& argument) {
  if (!argument.required) return fmt::format("--{}", argument.name);
  if (argument.name == "file") return std::string(kFiles);
  if (argument.name == "name") return std::string(kAlgNames);
  return argument.name == "id" ? std::string(kCallIds) : std::string();
}

std::string words_of(const Command& command) {
  std::string words;
  for (const auto& argument : command.arguments) {
    const auto word = word_of(argument);
    if (!word.empty() && !words.empty()) words += ' ';
    words += word;
  }
  return words;
}

std::string one_case(std::string_view line, std::string_view words) {
  return fmt::format("    \"{}\") words=\"{}\" ;;\n", line, words);
}

}  // namespace

std::string bash_completion() {
  std::set<std::string> with_value = {"--socket", "--interval", "--rounds"};
  std::vector<std::string> top;
  std::vector<std::string> watchable;
  std::string cases;
  for (const auto& command : commands()) {
    for (const auto& argument : command.arguments) {
      if (argument.type != ArgumentType::flag && !argument.required) {
        with_value.insert(fmt::format("--{}", argument.name));
      }
    }
    if (command.name == "help") continue;
    const auto word = first_word(command.name);
    if (std::find(top.begin(), top.end(), word) == top.end()) top.push_back(word);
    cases += one_case(spaced(command.name), words_of(command));
    if (command.access == Access::read && command.name != "version" && command.name != "config.show") {
      watchable.push_back(word);
      cases += one_case("watch " + word, words_of(command));
    }
  }
  cases += one_case("", fmt::format("{} watch completion help --version", fmt::join(top, " ")));
  cases += one_case("help", fmt::format("{} watch completion", fmt::join(top, " ")));
  cases += one_case("config", "check show");
  cases += one_case("sip", "show on off");
  cases += one_case("alg", "show on off");
  cases += one_case("ban", "list add lift");
  cases += one_case("allow", "list add remove");
  cases += one_case("capture", "start stop status " + words_of(*find_command("capture.start")));
  cases += one_case("watch", fmt::format("{} --interval --rounds", fmt::join(watchable, " ")));
  cases += one_case("completion", "bash");
  return fmt::format(kFrame, fmt::arg("options_with_value", fmt::format("{}", fmt::join(with_value, "|"))),
                     fmt::arg("cases", cases));
}

}  // namespace pinhole::control
