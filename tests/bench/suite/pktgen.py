# SPDX-License-Identifier: BSD-3-Clause
"""Pktgen-DPDK as the generator: the witness that users know. It is no part of Pinhole; docs/benchmarks.md says how to
install it.

It wants a terminal, so it runs under script(1), and it may listen on every address, so device and Pktgen run in a network
namespace of their own (the abstract sockets of memif are the namespace's, too).
"""

import contextlib
import json
import pathlib
import shlex
import shutil
import subprocess
import tempfile

from devices import MACS, ROOT, BenchError, Process, memif

SCRIPT = ROOT / "scripts/pktgen/nat.lua"
WARM_UP_S = 3
# Pktgen makes flows by random bits of the source port, and ports above 32768 are all it has.
MOST_FLOW_BITS = 15


@contextlib.contextmanager
def namespace(name):
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield ("ip", "netns", "exec", name)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def command_of(program, socket, cpu):
    # The first lcore is Pktgen's own, and each port wants one more; here they share a CPU.
    return [program, f"--lcores=0@{cpu},1@{cpu},2@{cpu}", "--in-memory", "--no-pci", "--no-telemetry", "-m", 256,
            *(f"--vdev={memif('client', number, socket)}" for number in (0, 1)), "--", "-m", "1.0", "-m", "2.1",
            "-f", SCRIPT]


def run(device, socket, options, flows, kind):
    """One row. `kind` is nat, where only port 0 can send, or swap."""
    program = shutil.which(options.pktgen)
    if program is None:
        raise BenchError(f"there is no {options.pktgen}; docs/benchmarks.md says how to install Pktgen-DPDK")
    flow_bits = max(0, min(MOST_FLOW_BITS, (flows - 1).bit_length()))
    with tempfile.TemporaryDirectory() as directory, namespace(socket) as prefix:
        figures = pathlib.Path(directory) / "figures.json"
        environment = {"PKTGEN_JSON": figures, "PKTGEN_SIZE": options.frame_bytes, "PKTGEN_FLOW_BITS": flow_bits,
                       "PKTGEN_SECONDS": max(2, options.seconds), "PKTGEN_WARM_UP": WARM_UP_S,
                       "PKTGEN_RATE": options.rate, "PKTGEN_QUIT": "no", "PKTGEN_INSIDE_MAC": MACS[0],
                       "PKTGEN_OUTSIDE_MAC": MACS[1], "TERM": "xterm",
                       "PKTGEN_DIRECTION": "both" if kind == "swap" and options.direction == "both" else "out"}
        with device(socket, flows, options.cpus[0], prefix) as running:
            # taskset, since Pktgen's timer would otherwise take the CPU of the device.
            inner = shlex.join(map(str, command_of(program, socket, options.cpus[1])))
            generator = Process(["taskset", "-c", options.cpus[1], "script", "-qec", inner, "/dev/null"],
                                pathlib.Path(directory) / "log", prefix,
                                {name: str(value) for name, value in environment.items()})
            try:
                generator.wait_for("figures", figures.exists, 60 + WARM_UP_S + options.seconds)
            finally:
                running.stop()
                generator.stop()
        report = json.loads(figures.read_text(encoding="utf-8"))
    if "error" in report:
        raise BenchError(f"pktgen: {report['error']}")
    return {"flood_pps": report["inside"]["received_pps"] + report["outside"]["received_pps"],
            "sent_pps": report["inside"]["sent_pps"] + report["outside"]["sent_pps"], "report": report}
