/* SPDX-License-Identifier: BSD-3-Clause */
/* Where an installed Pinhole has it, for plug-ins that are built within this tree. */
#include "alg/plugin.h"
