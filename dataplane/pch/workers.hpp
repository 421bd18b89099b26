// SPDX-License-Identifier: BSD-3-Clause
// What all files of the way of a packet include, compiled once where they are compiled with sanitizers. Each
// file includes what it uses all the same: builds without this have to work, and the one that is installed is
// one.
#include "dataplane/context.hpp"
