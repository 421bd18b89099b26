// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/invite_branches.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

using namespace pinhole;
using namespace pinhole::dataplane;

namespace {

alg::sip::Summary invite(std::string_view branch, std::uint16_t status = 0, std::uint32_t cseq = 1) {
  alg::sip::Summary summary;
  summary.method = alg::sip::Method::invite;
  summary.status = status;
  summary.cseq = cseq;
  summary.branch = branch;
  return summary;
}

}  // namespace

TEST_CASE("a branch is open until its final response, and others count once they were heard of",
          "[dataplane][invite_branches][AC-19][rfc3261]") {
  InviteBranches branches;
  CHECK(branches.note(invite("z9hG4bK1")).open);
  branches.note(invite("z9hG4bK2"));
  CHECK_FALSE(branches.note(invite("z9hG4bK1", 100)).others);  // the other one may have got lost
  CHECK(branches.note(invite("z9hG4bK2", 486)).others);
  CHECK_FALSE(branches.note(invite("z9hG4bK2")).open);  // sent again
  CHECK_FALSE(branches.note(invite("z9hG4bK2", 486)).open);
  CHECK(branches.note(invite("z9hG4bK1", 180)).open);
  CHECK_FALSE(branches.note(invite("z9hG4bK9", 200)).open);  // nobody has sent that
  const auto last = branches.note(invite("z9hG4bK1", 487));
  CHECK(last.open);
  CHECK_FALSE(last.others);
}

TEST_CASE("a client without branches, or with one for all, may try again as it likes",
          "[dataplane][invite_branches][rfc3261]") {
  InviteBranches branches;
  branches.note(invite(""));
  branches.note(invite("", 407));
  CHECK(branches.note(invite("")).open);
  branches.note(invite("z9hG4bK1"));
  branches.note(invite("z9hG4bK1", 407));
  CHECK(branches.note(invite("z9hG4bK1", 0, 2)).open);
}

TEST_CASE("of more branches than there is room for those that are over make room",
          "[dataplane][invite_branches]") {
  InviteBranches branches;
  for (std::size_t i = 0; i < 2 * InviteBranches::kMax; ++i) {
    const auto name = "z9hG4bK" + std::to_string(i);
    branches.note(invite(name));
    CHECK_FALSE(branches.note(invite(name, 100)).others);
    branches.note(invite(name, 480));
  }
  for (std::size_t i = 0; i < 2 * InviteBranches::kMax; ++i) {
    const auto name = "z9hG4bKx" + std::to_string(i);
    branches.note(invite(name));
    CHECK(branches.note(invite(name, 100)).open);
  }
  // Of those that are not noted nothing is known but that they are not the last.
  CHECK(branches.note(invite("z9hG4bKx15", 480)).others);
  CHECK(branches.note(invite("z9hG4bKx15")).open);
}
