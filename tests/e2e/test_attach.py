# SPDX-License-Identifier: BSD-3-Clause
"""Control beside a data plane without packets that comes, freezes, dies and comes back."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from support.lab import build_directory

CONTROL = build_directory() / "control/pinhole-control"
FAKE = build_directory() / "tests/control/fake_dataplane"
WAIT_S = 20.0


def eventually(what, condition, within=WAIT_S):
    """Waits until condition() is true; returns how long that took."""
    begin = time.monotonic()
    while time.monotonic() - begin < within:
        if condition():
            return time.monotonic() - begin
        time.sleep(0.02)
    raise AssertionError(f"not within {within} s: {what}")


class Attach(unittest.TestCase):
    def setUp(self):
        self.prefix = f"pinhole-attach-{os.getpid()}"
        self.directory = tempfile.TemporaryDirectory(prefix="pinhole-attach-", dir="/dev/shm")
        self.environment = dict(os.environ, RUNTIME_DIRECTORY=self.directory.name)
        self.socket = os.path.join(self.directory.name, "control.sock")
        self.config = os.path.join(self.directory.name, "pinhole.json")
        self.nat_log = os.path.join(self.directory.name, "nat.jsonl")
        with open(self.config, "w", encoding="utf-8") as file:
            json.dump(
                {
                    "interfaces": [
                        {"name": "in", "device": "net_ring0", "zone": "inside", "address": "10.0.0.1/24"},
                        {"name": "out", "device": "net_ring1", "zone": "outside", "address": "203.0.113.1/24"},
                    ],
                    "dpdk": {"file_prefix": self.prefix, "memory_mb": 64},
                    "nat": {"log": {"mappings": True, "file": self.nat_log}},
                    "control": {"socket": self.socket, "linger_s": 1, "store": ""},
                },
                file,
            )
        self.log = open(os.path.join(self.directory.name, "control.log"), "wb")
        self.processes = []

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        self.log.close()
        self.directory.cleanup()
        for name in os.listdir("/dev/hugepages"):
            if name.startswith(self.prefix + "map_"):
                os.unlink(os.path.join("/dev/hugepages", name))

    def start_control(self):
        process = subprocess.Popen([CONTROL, "--config", self.config], stderr=self.log, env=self.environment)
        self.processes.append(process)
        return process

    def start_fake(self, *arguments):
        process = subprocess.Popen([FAKE, self.prefix, *arguments], stdout=subprocess.PIPE, env=self.environment)
        self.processes.append(process)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        return process

    def ask(self, method, **params):
        """The result of a command, or None while the socket cannot be had."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(WAIT_S)
                client.connect(self.socket)
                client.sendall(json.dumps(request).encode() + b"\n")
                return json.loads(client.makefile().readline()).get("result")
        except (FileNotFoundError, ConnectionError, ValueError):
            return None

    def dataplane_is(self, state):
        status = self.ask("status")
        return status is not None and status["dataplane"]["state"] == state

    def calls(self, **params):
        result = self.ask("calls", **params)
        return {} if result is None else {row["call_id"]: row for row in result["calls"]}

    def test_the_whole_life(self):
        """attach: control follows a data plane that comes, freezes, dies and comes back"""
        control = self.start_control()
        eventually("control serves before there is a data plane", lambda: self.dataplane_is("starting"))

        fake = self.start_fake()
        eventually("control attaches", lambda: self.dataplane_is("up"))
        self.assertIn("talking@fake", self.calls())
        self.assertEqual(len(self.ask("pinholes")["pinholes"]), 1)
        self.assertEqual(len(self.ask("registrations")["registrations"]), 1)

        # The call that is over is closed after its linger, the other one is kept.
        eventually("the ended call is closed by command", lambda: self.counter("call_closed") == 1)
        eventually("its end is a record", lambda: self.ended("over@fake") == "bye")
        self.assertGreaterEqual(self.counter("command_done"), 1)

        # Killed, control takes nothing with it, and has the call back afterwards.
        control.kill()
        control.wait()
        control = self.start_control()
        eventually("control is back", lambda: self.dataplane_is("up"))
        self.assertIn("talking@fake", self.calls())

        # A data plane that hangs is lost, and back when it goes on.
        fake.send_signal(signal.SIGSTOP)
        self.assertLess(eventually("the silence is told", lambda: self.dataplane_is("lost")), 2.0)
        fake.send_signal(signal.SIGCONT)
        eventually("the heart beats again", lambda: self.dataplane_is("up"))

        # A data plane that dies is lost at once; what was known of it can still be read.
        fake.kill()
        self.assertLess(eventually("the end is told", lambda: self.dataplane_is("lost")), 2.0)
        self.assertIsNone(control.poll())
        self.assertIn("talking@fake", self.calls())

        # The next one starts beside control, and control finds it.
        self.start_fake()
        eventually("control attaches again", lambda: self.dataplane_is("up"))
        self.assertIn("talking@fake", self.calls())
        self.assertEqual(self.ended("talking@fake"), "lost")
        self.assertIsNone(control.poll())

        control.send_signal(signal.SIGTERM)
        self.assertEqual(control.wait(WAIT_S), 0)
        self.assertFalse(os.path.exists(self.socket))

    def test_another_abi_version_is_refused(self):
        """attach: a data plane of another ABI version is refused in one sentence"""
        self.start_fake("999")
        control = subprocess.Popen([CONTROL, "--config", self.config, "--log-level", "error"],
                                   stderr=subprocess.PIPE, env=self.environment)
        self.processes.append(control)
        _, said = control.communicate(timeout=WAIT_S)
        self.assertEqual(control.returncode, 2)
        self.assertEqual(said.count(b"\n"), 1, said)
        self.assertIn(b"ABI version 999", said)

    def test_nat_records(self):
        """attach: control is killed twice while NAT records come; every one is in the log, or told as lost there"""
        total, per_ms = 60000, 12
        self.start_fake("0", str(total), str(per_ms))
        for records in (total // 4, total // 2):
            control = self.start_control()
            eventually("records are written", lambda: self.lines() > records)
            control.kill()
            control.wait()
        control = self.start_control()
        eventually("the last record is written", lambda: total - 1 in self.sequences())

        sequences = self.sequences()
        missing = sorted(set(range(total)) - set(sequences))
        self.assertEqual(missing, [], "a ring of 65,536 holds what comes while control is away")
        # A kill between writing a burst and taking it off the ring is seen as lines that stand twice.
        self.assertLessEqual(len(sequences), total + 2 * 2048)
        self.assertEqual(self.events().count("dataplane_attached"), 3)

    def lines(self):
        try:
            with open(self.nat_log, "rb") as file:
                return file.read().count(b"\n")
        except FileNotFoundError:
            return 0

    def records(self):
        """The whole lines of the log; the half line that a killed control may leave is no record."""
        with open(self.nat_log, encoding="utf-8") as file:
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue

    def sequences(self):
        return [record["sequence"] for record in self.records() if "sequence" in record]

    def events(self):
        return [record["event"] for record in self.records()]

    def counter(self, name):
        result = self.ask("stats")
        return next(row["total"] for row in result["counters"] if row["name"] == name) if result else None

    def ended(self, call_id):
        """The reason of the ended call of this Call-ID."""
        result = self.ask("calls", all=True)
        for row in result["calls"] if result else []:
            if row["call_id"] == call_id and row["state"] == "ended":
                return row["end_reason"]
        return None
