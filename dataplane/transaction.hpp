// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace pinhole::dataplane {

/// What a gateway has decided beside the edits of a message: it comes true when the message goes on, and is
/// taken back when it does not. One of the two is called, once.
class Transaction {
 public:
  virtual void commit() noexcept = 0;
  virtual void abandon() noexcept = 0;

 protected:
  ~Transaction() = default;
};

}  // namespace pinhole::dataplane
