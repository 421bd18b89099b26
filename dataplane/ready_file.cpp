// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ready_file.hpp"

#include <fcntl.h>

#include "dataplane/ipc/layout.hpp"

namespace pinhole::dataplane {

bool lock_ready_file(const std::string& directory) {
  // Never closed: that would give the lock up.
  const int file = open((directory + "/" + ipc::kReadyFile).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return false;
  flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return fcntl(file, F_SETLK, &lock) == 0;
}

}  // namespace pinhole::dataplane
