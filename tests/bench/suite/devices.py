# SPDX-License-Identifier: BSD-3-Clause
"""What stands between the two ports of a generator in `scripts/bench wire`: Pinhole, or dpdk-testpmd as the yardstick.

Both serve two ports of shared memory (net_memif); the sockets are abstract, so they need no file and no clean-up.
A device is a context manager: what it started is ended by process id.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("PINHOLE_BUILD", ROOT / "build"))
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")  # of the device, inside and outside
MAPPINGS_PER_ADDRESS = 32_768  # half of the ports, since parity and ranges are kept


class BenchError(Exception):
    """One sentence for people."""


def memif(role, number, socket):
    """A port of shared memory, one socket each. The device text of a configuration holds 62 characters."""
    mac = f",mac={MACS[number]}" if role == "server" else ""
    return f"net_memif{number},role={role},socket={socket}{number}{mac}"


class Process:
    """A process with its output in a file. Its standard input is open and says nothing."""

    def __init__(self, command, log, prefix=(), environment=None):
        self.name = pathlib.Path(str(command[0])).name
        self.log = pathlib.Path(log)
        with open(log, "wb") as output:
            self._child = subprocess.Popen([str(word) for word in (*prefix, *command)], stdin=subprocess.PIPE,
                                           stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                                           env={**os.environ, **(environment or {})})

    def stop(self):
        if self._child.poll() is None:
            self._child.stdin.close()
            self._child.terminate()
        return self.wait(10)

    def wait(self, seconds):
        """Its exit status; it is killed when it takes too long."""
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self._child.kill()
            return self._child.wait()

    def said(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, what, condition, seconds):
        deadline = time.monotonic() + seconds
        while not condition():
            if self._child.poll() is not None or time.monotonic() > deadline:
                last = self.said().strip().splitlines()[-1:] or ["it said nothing"]
                raise BenchError(f"{self.name}: no {what}: {last[0]}")
            time.sleep(0.05)


def pinhole_config(socket, flows, cpu, directory):
    """The configuration of the run: hosts of 10.0.0.0/8 behind a router inside, the internet behind one outside."""
    addresses = flows // MAPPINGS_PER_ADDRESS + 4
    mappings = flows + flows // 32 + 1000
    return {
        "interfaces": [
            {"name": "inside", "zone": "inside", "address": "192.168.0.1/24", "device": memif("server", 0, socket)},
            {"name": "outside", "zone": "outside", "address": "203.0.113.2/24", "gateway": "203.0.113.1",
             "device": memif("server", 1, socket)},
        ],
        "routes": [{"prefix": "10.0.0.0/8", "via": "192.168.0.2"}],
        "workers": {"count": 1, "cpus": [cpu], "idle": "spin"},
        "dpdk": {"file_prefix": socket, "memory_mb": 256 + mappings * 160 // (1 << 20) + addresses},
        "nat": {"mappings_per_worker": mappings,
                "pool": [f"198.18.{i // 256}.{i % 256}" for i in range(1, addresses + 1)]},
        "control": {"socket": f"{directory}/control.sock", "store": ""},
    }


@contextlib.contextmanager
def pinhole(socket, flows, cpu, prefix=()):
    """Its context yields the process. It is to be stopped before its generator goes: see --stay of pinhole-gen."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="pinhole-bench-"))
    device = None
    try:
        config = directory / "config.json"
        config.write_text(json.dumps(pinhole_config(socket, flows, cpu, directory)), encoding="utf-8")
        device = Process([BUILD / "dataplane/pinhole-dataplane", "--config", config], directory / "log", prefix)
        device.wait_for("start", lambda: "event=ready" in device.said(), 60)
        yield device
    finally:
        if device:
            device.stop()
        shutil.rmtree(directory)
        shutil.rmtree(f"/run/dpdk/{socket}", ignore_errors=True)
        for page in pathlib.Path("/dev/hugepages").glob(f"{socket}map_*"):
            page.unlink()


@contextlib.contextmanager
def testpmd(socket, _flows, cpu, prefix=()):
    """Addresses and ports swapped, everything else kept: the least that a device can do with a packet."""
    program = shutil.which("dpdk-testpmd")
    if program is None:
        raise BenchError("dpdk-testpmd is not installed; scripts/setup --bench installs Debian's package dpdk-dev")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="pinhole-bench-"))
    device = None
    try:
        # Two lcores of one CPU: the first only waits.
        command = ["stdbuf", "-oL", program, f"--lcores=0@{cpu},1@{cpu}", "--in-memory", "--no-pci", "--no-telemetry", "-m", 192,
                   *(f"--vdev={memif('server', number, socket)}" for number in (0, 1)), "--",
                   "--forward-mode=5tswap", "--auto-start", "--burst=64", "--nb-cores=1",
                   "--total-num-mbufs=16384", "--disable-link-check", "--no-lsc-interrupt"]
        device = Process(command, directory / "log", prefix)
        device.wait_for("start", lambda: "Press enter to exit" in device.said(), 60)
        yield device
    finally:
        if device:
            device.stop()
        shutil.rmtree(directory)
