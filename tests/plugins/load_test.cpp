// SPDX-License-Identifier: BSD-3-Clause
// Plug-ins that are broken on purpose, and files that others may write: none gets in.
#include "dataplane/gateway/load.hpp"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "alg/ftp/ftp_gateway.hpp"
#include "alg/sip/sip_gateway.hpp"
#include "dataplane/gateway/built_in.hpp"

#include <catch2/catch.hpp>

using namespace pinhole;
using namespace pinhole::dataplane;

namespace {

namespace fs = std::filesystem;

/// A directory of our own, wherever the tree was built.
struct Folder {
  Folder() {
    std::string name = "/tmp/pinhole-plugins-XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string put(const std::string& plugin) const {
    const auto file = path / (plugin + ".so");
    fs::copy_file(fs::path(PINHOLE_PLUGINS) / (plugin + ".so"), file);
    REQUIRE(chmod(file.c_str(), 0755) == 0);
    return file.string();
  }

  fs::path path;
};

config::Config with(const std::vector<std::string>& files) {
  config::Config config;
  for (const auto& file : files) config.plugins.push_back({.file = file, .options = "x"});
  return config;
}

/// Why the last of the plug-ins cannot be had; empty: all can.
std::string refusal(const config::Config& config) {
  const auto loaded = load_plugins(config, built_in_gateways(config));
  if (loaded) return {};
  const auto key = "plugins[" + std::to_string(config.plugins.size() - 1) + "].file: ";
  CHECK(loaded.error().message.starts_with(key));
  CHECK(exit_status(loaded.error().code) == 2);
  return loaded.error().message.substr(key.size());
}

}  // namespace

TEST_CASE("plug-ins are loaded in the order of the configuration, behind what is built in",
          "[plugins][load]") {
  const Folder folder;
  auto config = with({folder.put("tftp"), folder.put("rtsp")});
  config.plugins[1].budget_us = 70;
  config.plugins[1].max_faults = 3;
  config.ftp.enabled = GENERATE(false, true);
  const auto loaded = load_plugins(config, built_in_gateways(config));
  REQUIRE(loaded.has_value());
  const auto first = config::first_plugin(config);
  REQUIRE(loaded->size() == first + 2);
  CHECK(loaded->at(ipc::kSipGateway).plugin == &alg::sip::gateway());
  CHECK(loaded->at(first - 1).plugin == (config.ftp.enabled ? &alg::ftp::gateway() : &alg::sip::gateway()));
  const auto& tftp = loaded->at(first);
  CHECK(std::string_view(tftp.plugin->name) == "tftp");
  CHECK(tftp.claims.size() == 1);
  CHECK(tftp.claims.front().port == 69);
  CHECK(tftp.options == "x");
  CHECK(tftp.file == config.plugins[0].file);
  const auto& rtsp = loaded->at(first + 1);
  CHECK(std::string_view(rtsp.plugin->name) == "rtsp");
  CHECK(rtsp.budget_us == 70);
  CHECK(rtsp.max_faults == 3);
}

TEST_CASE("a plug-in that breaks a rule is refused with what is wrong", "[plugins][load]") {
  struct Row {
    std::string plugin;
    std::string_view reason;
  };
  const Row row = GENERATE(
      Row{"no_query", "is no plug-in: it has no pinhole_plugin_query"},
      Row{"unwilling", "says that it cannot run with version 1.0 of the interface"},
      Row{"wrong_major", "is built for version 2.0 of the interface, and this is 1.0"},
      Row{"small_size", "its pinhole_plugin has 87 bytes, and version 1.0 has 88"},
      Row{"no_name", "its name is none"}, Row{"bad_name", "its name is none"},
      Row{"name_of_sip", "its name, \"sip\", is one of Pinhole's own"}, Row{"no_version", "has no version"},
      Row{"no_claims", "claims 0 ports, and 1 to 16 are allowed"},
      Row{"many_claims", "claims 17 ports, and 1 to 16 are allowed"},
      Row{"claim_of_icmp", "claims port 8 of protocol 1, which is neither a TCP nor a UDP port"},
      Row{"claim_of_nothing", "claims port 0 of protocol 17"},
      Row{"claim_of_sip", "claims TCP port 5060, which \"sip\" (sip.ports) has; leave one of the two out"},
      Row{"claim_twice", "claims UDP port 7777 twice"},
      Row{"many_counters", "has 33 counters, and 32 are allowed"},
      Row{"no_counter_name", "its counter 0 has no name"},
      Row{"bad_counter_name", "its counter 0 has no name"},
      Row{"same_counters", "has two counters named pings"},
      Row{"large_flow", "wants 65 bytes for a flow, and 64 are allowed"},
      Row{"no_init", "has no worker_init"}, Row{"no_inspect", "has no inspect"});
  DYNAMIC_SECTION(row.plugin) {
    const Folder folder;
    const auto file = folder.put(row.plugin);
    CHECK_THAT(refusal(with({file})), Catch::StartsWith(file + ": " + std::string(row.reason)));
  }
}

TEST_CASE("names and ports belong to the first plug-in that has them", "[plugins][load]") {
  const Folder folder;
  const auto right = folder.put("right");
  CHECK(refusal(with({right})).empty());
  fs::copy_file(right, folder.path / "again.so");
  CHECK_THAT(refusal(with({right, (folder.path / "again.so").string()})),
             Catch::Contains("there is a gateway named \"right\" already; keep one of the two"));
  CHECK_THAT(refusal(with({right, folder.put("claim_of_another")})),
             Catch::Contains("claims UDP port 7777, which \"right\" has; leave one of the two out"));
}

TEST_CASE("rules that ask what no gateway is told are refused with the name of the one that there is not",
          "[plugins][load]") {
  const Folder folder;
  auto config = with({folder.put("right")});
  config.ftp.enabled = false;
  for (const char* known : {"sip", "right"}) config.protection.rules.emplace_back().application = known;
  CHECK(load_plugins(config, built_in_gateways(config)).has_value());
  config.protection.rules.emplace_back().application = "ftp";
  const auto loaded = load_plugins(config, built_in_gateways(config));
  REQUIRE_FALSE(loaded.has_value());
  CHECK(loaded.error().message ==
        "protection.rules[2].application: there is no gateway \"ftp\"; load its "
        "plug-in, enable ftp, or name another");
  CHECK(exit_status(loaded.error().code) == 2);
}

TEST_CASE("the port of SIP over TCP is free when SIP is not looked for there", "[plugins][load]") {
  const Folder folder;
  auto config = with({folder.put("claim_of_sip")});
  config.sip.tcp = false;
  CHECK(refusal(config).empty());
  config.sip.ports = {5070, 7777};
  CHECK_THAT(refusal(config), Catch::Contains("claims UDP port 7777, which \"sip\" (sip.ports) has"));
}

TEST_CASE("a file that others could have written is not loaded", "[plugins][load]") {
  const Folder folder;
  const auto file = folder.put("right");
  const auto folder_text = folder.path.string();
  SECTION("nobody but the owner may write it") {
    CHECK(refusal(with({file})).empty());
  }
  SECTION("everybody may") {
    REQUIRE(chmod(file.c_str(), 0757) == 0);
    CHECK_THAT(refusal(with({file})),
               Catch::Contains(": it can be written by others than root; give it to root"));
  }
  SECTION("a group may") {
    REQUIRE(chmod(file.c_str(), 0775) == 0);
    CHECK_THAT(refusal(with({file})), Catch::Contains("it can be written by others"));
  }
  SECTION("others may put another in its place") {
    REQUIRE(chmod(folder_text.c_str(), 0777) == 0);
    CHECK_THAT(refusal(with({file})), Catch::Contains(folder_text + " can be written by others"));
  }
  SECTION("its directory keeps what is another's") {
    REQUIRE(chmod(folder_text.c_str(), 01777) == 0);
    CHECK(refusal(with({file})).empty());
  }
  SECTION("a link leads to it from where everybody may write") {
    const auto shared = folder.path / "shared";
    fs::create_directory(shared);
    REQUIRE(chmod(shared.c_str(), 0777) == 0);
    fs::copy_file(file, shared / "right.so");
    fs::create_symlink(shared / "right.so", folder.path / "link.so");
    CHECK_THAT(refusal(with({(folder.path / "link.so").string()})),
               Catch::Contains("can be written by others"));
  }
}

TEST_CASE("what is no shared object is refused", "[plugins][load]") {
  const Folder folder;
  CHECK_THAT(refusal(with({(folder.path / "none.so").string()})),
             Catch::Contains("No such file or directory"));
  CHECK_THAT(refusal(with({folder.path.string()})), Catch::Contains("is no file"));
  const auto text = folder.path / "text.so";
  fs::copy_file("/proc/self/comm", text);
  fs::permissions(text, fs::perms::owner_all);
  CHECK_THAT(refusal(with({text.string()})), Catch::Contains("cannot be loaded"));
}
