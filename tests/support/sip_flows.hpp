// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The flows of tests/vectors/sip (its README says what the files are), for tests of the SIP gateway.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "tests/support/sip_bench.hpp"
#include "tests/support/sip_vectors.hpp"

namespace pinhole::test::flows {

namespace fs = std::filesystem;
using alg::Direction;
using alg::sip::Policy;
using alg::sip::Software;

struct Step {
  std::string name;
  Direction direction;
  std::string before;
  std::string after;
  std::string back;  // what comes of `after` on the way back
};

inline Direction opposite(Direction direction) {
  return direction == Direction::outbound ? Direction::inbound : Direction::outbound;
}

inline std::vector<fs::path> flows() {
  std::set<fs::path> folders;
  for (const auto& entry : fs::recursive_directory_iterator(vector_folder())) {
    if (entry.path().extension() == ".before") folders.insert(entry.path().parent_path());
  }
  return {folders.begin(), folders.end()};
}

inline std::string name_of(const fs::path& flow) {
  return flow.lexically_relative(vector_folder()).string();
}

inline std::vector<Step> steps(const fs::path& flow) {
  std::vector<Step> list;
  for (const auto& entry : fs::directory_iterator(flow)) {
    auto path = entry.path();
    if (path.extension() != ".before") continue;
    Step step;
    step.name = path.stem();
    step.direction = step.name.ends_with("-out") ? Direction::outbound : Direction::inbound;
    step.before = file_bytes(path);
    step.after = file_bytes(path.replace_extension(".after"));
    step.back = fs::exists(path.replace_extension(".back")) ? file_bytes(path) : step.before;
    list.push_back(std::move(step));
  }
  std::sort(list.begin(), list.end(), [](const Step& a, const Step& b) { return a.name < b.name; });
  return list;
}

// What the administrator has decided: "software replace Example SBC", a line each. `name` is for what the
// policy views.
inline Policy policy_of(const fs::path& flow, std::string& name, Policy policy = {}) {
  std::ifstream file(flow / "policy");
  for (std::string word; file >> word;) {
    if (word == "software") {
      file >> word;
      policy.software = word == "strip" ? Software::strip : Software::replace;
      std::getline(file >> std::ws, name);
      policy.software_name = name;
    } else {
      policy.hide_parties |= word == "hide_parties";
      policy.hide_call_id |= word == "hide_call_id";
    }
  }
  return policy;
}

// What was mapped before the flow began: "udp 10.0.0.6:5060", a line each.
inline void make_known(const fs::path& flow, SipBench& bench) {
  std::ifstream known(flow / "known");
  for (std::string protocol, inside; known >> protocol >> inside;)
    bench.know(inside, protocol == "tcp" ? nat::Protocol::tcp : nat::Protocol::udp);
}

}  // namespace pinhole::test::flows
