# SPDX-License-Identifier: BSD-3-Clause
"""What the end-to-end tests and the demo share: the lab, peers, captures and the runner."""
