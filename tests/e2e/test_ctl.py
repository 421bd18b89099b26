# SPDX-License-Identifier: BSD-3-Clause
"""The control socket and pinholectl, as a person and as a program meet them."""

import json
import re
import signal
import socket
import stat
import subprocess
import time
import unittest

from support.lab import INSIDE, OUTSIDE, PINHOLE, ROOT, Lab, build_directory, wait_for
from support.phone import Dialog, Phone

COUNTER_LISTS = ("nat/drop_reason.hpp", "nat/counters.hpp", "alg/counters.hpp", "dataplane/stats.hpp")


def counters_in_sources():
    """The names in the lists of counters, as the sources have them."""
    names = set()
    for path in COUNTER_LISTS:
        text = (ROOT / path).read_text(encoding="utf-8")
        names.update(re.findall(r"\bX\((\w+),\s*\"", text))
    return names - {"none", "name"}


class Ctl(unittest.TestCase):

    def test_commands(self):
        """ctl: every command prints a table for people and JSON for programs, during a call"""
        with Lab(workers=2) as lab:
            lab.start()
            with Phone(lab.inside, INSIDE, user="caller") as caller, \
                    Phone(lab.outside, OUTSIDE, user="answerer") as answerer:
                dialog = Dialog(self, caller, answerer, (OUTSIDE, 5060), 20000, 30000)
                external = dialog.invite().media[1]
                dialog.ring()
                dialog.accept()
                row = wait_for("the call", lambda: lab.ctl("calls")["calls"])[0]
                self.assertEqual((row["call_id"], row["direction"]), (dialog.call_id, "outbound"))
                self.assertEqual((row["inside"], row["remote"]), (f"{INSIDE}:5060", f"{OUTSIDE}:5060"))
                wait_for("the ACK in the ladder",
                         lambda: len(lab.ctl("call", row["id"][:6])["ladder"]) == 4)
                self._ladder(lab.ctl("call", row["id"][:6]))
                pinholes = lab.ctl("pinholes", "--call", row["id"])["pinholes"]
                self.assertEqual({hole["external"] for hole in pinholes},
                                 {f"{PINHOLE}:{external}", f"{PINHOLE}:{external + 1}"})
                for command in (["status"], ["workers"], ["mappings"], ["calls"], ["call", row["id"]], ["pinholes"],
                                ["registrations"], ["messages"], ["subscriber", INSIDE], ["stats"], ["config", "show"]):
                    self._both_ways(lab, command)
                self.assertIn(row["id"], lab.ctl_text("calls"))
                self.assertIn("200 OK", lab.ctl_text("call", row["id"]))
                dialog.hang_up()

    def _ladder(self, detail):
        self.assertEqual([(line["direction"], line["start"].split()[0], line["status"]) for line in detail["ladder"]],
                         [("outbound", "INVITE", None), ("inbound", "180", 180), ("inbound", "200", 200),
                          ("outbound", "ACK", None)])
        self.assertEqual(detail["ladder_missing"], 0)

    def _both_ways(self, lab, command):
        table = lab.ctl_run(*command, as_json=False)
        self.assertEqual((table.returncode, table.stderr), (0, ""), command)
        self.assertGreater(len(table.stdout.splitlines()), 0 if command in (["registrations"], ["messages"]) else 1, command)
        json.loads(lab.ctl_run(*command).stdout)
        self.assertEqual(lab.ctl_run(*command, "--help", as_json=False).returncode, 0, command)

    def test_stats(self):
        """ctl: stats shows every counter and every drop reason that the sources list"""
        with Lab() as lab:
            lab.start()
            self.assertEqual(counters_in_sources() - set(lab.counters()), set())

    def test_mistakes(self):
        """ctl: mistakes end with a status that is not 0 and say what to do"""
        with Lab() as lab:
            lab.start()
            for command, word in ((["call", "nobody"], "nobody"), (["clals"], "clals"),
                                  (["calls", "--limit", "none"], "limit")):
                result = lab.ctl_run(*command, as_json=False)
                self.assertNotEqual(result.returncode, 0, command)
                self.assertIn(word, result.stderr)
            wrong = lab.write_config(lab.changed_config(lambda config: config["workers"].update(cuont=1)),
                                     lab.directory / "wrong.json")
            result = lab.ctl_run("config", "check", wrong, as_json=False)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn("workers.cuont", result.stderr)
            self.assertEqual(lab.ctl_run("config", "check", lab.config_file, as_json=False).returncode, 0)

    def test_examples(self):
        """ctl: the examples of the documentation are valid configurations"""
        for path in sorted((ROOT / "docs/examples").glob("*.json")):
            result = subprocess.run([build_directory() / "control/pinholectl", "config", "check", path],
                                    capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, 0, f"{path.name}: {result.stderr}")

    def test_socket(self):
        """ctl: the socket is for its owner and group, and speaks JSON-RPC 2.0, one object a line"""
        with Lab() as lab:
            lab.start()
            path = lab.directory / "control.sock"
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o660)
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(5)
                client.connect(str(path))
                for number, (request, key) in enumerate((
                        ({"method": "status"}, "result"), ({"method": "nothing"}, "error"),
                        ({"method": "calls", "params": {"limit": 5}}, "result"))):
                    client.sendall(json.dumps({"jsonrpc": "2.0", "id": number, **request}).encode() + b"\n")
                    line = b""
                    while not line.endswith(b"\n") and (part := client.recv(65536)):
                        line += part
                    reply = json.loads(line)
                    self.assertEqual((reply["jsonrpc"], reply["id"]), ("2.0", number))
                    self.assertIn(key, reply)

    def test_watch(self):
        """ctl: watch goes on showing until it is interrupted"""
        with Lab() as lab:
            lab.start()
            command = [build_directory() / "control/pinholectl", "--socket", lab.directory / "control.sock", "watch"]
            watch = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True)
            time.sleep(3)
            self.assertIsNone(watch.poll(), "watch ended by itself")
            watch.send_signal(signal.SIGINT)
            output, _ = watch.communicate(timeout=5)
            self.assertGreater(len(output), 0)
