# SPDX-License-Identifier: BSD-3-Clause
"""SIPVicious, as whoever scans the Internet runs it."""

import os
import subprocess

from support.lab import OUTSIDE, LabError


def scan(lab, tool, *arguments, timeout=60):
    """What a tool of SIPVicious says when it is done. It sends from the main address of the outside."""
    command = lab.outside.command(tool, "-x", OUTSIDE, *arguments)
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
                                cwd=lab.directory, env=dict(os.environ, HOME=str(lab.directory)))
    except subprocess.TimeoutExpired as late:
        raise LabError(f"{tool} did not end within {timeout} s: {late.stdout}") from None
    return result.stdout + result.stderr
