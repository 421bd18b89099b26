# SPDX-License-Identifier: BSD-3-Clause
"""The control socket under clients that mean no good: they get an error or are closed, and nobody else notices."""

import contextlib
import grp
import json
import os
import pwd
import socket
import subprocess
import threading
import time
import unittest

from support.lab import INSIDE, OUTSIDE, Lab, build_directory, wait_for
from support.phone import Dialog, Phone

CONNECTIONS = 1000
SLOW_READERS = 70  # more than there may be connections
ANSWER_S = 2.0  # by which pinholectl is answered, on a machine that is busy
READERS = "daemon"  # a group of every Debian


def request(method, number=1, **params):
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"


class Client:
    """A connection that sends any bytes."""

    def __init__(self, path, timeout=5):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """Returns whether all of it was taken."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def line(self):
        """The next line as JSON; None when the connection was closed instead."""
        line = b""
        while not line.endswith(b"\n"):
            try:
                part = self.socket.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return json.loads(line) if line else None
            line += part
        return json.loads(line)


class ControlSocket(unittest.TestCase):

    def test_malice(self):
        """control socket: what no client should send is answered or closed, while calls and other clients go on"""
        with Lab() as lab:
            lab.start()
            path = lab.directory / "control.sock"
            with Phone(lab.inside, INSIDE, user="caller") as caller, \
                    Phone(lab.outside, OUTSIDE, user="answerer") as answerer:
                dialog = Dialog(self, caller, answerer, (OUTSIDE, 5060), 20000, 30000)
                dialog.invite()
                dialog.accept()
                wait_for("the call", lambda: lab.ctl("calls")["calls"])
                for name, data, code, closed in (
                        ("no JSON", b"{\n", -32700, False),
                        ("no UTF-8", b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}\n', -32700, False),
                        ("a zero byte", b"\0\n", -32700, False),
                        ("too deep", b"[" * 5000 + b"\n", -32600, False),
                        ("a batch", b"[" + request("status").strip() + b"]\n", -32600, False),
                        ("too long", b"x" * 70000 + b"\n", -32600, True),
                        ("too long and without an end", b'{"jsonrpc":"' + b"a" * 100000, -32600, True),
                        ("a number that is none", b'{"jsonrpc":"2.0","id":1e99999,"method":"status"}\n', -32700, False)):
                    with self.subTest(name), Client(path) as client:
                        client.send(data)
                        self.assertEqual(client.line()["error"]["code"], code)
                        if closed:
                            self.assertIsNone(client.line())
                        else:
                            client.send(request("status"))
                            self.assertIn("result", client.line())
                self._in_a_crowd(lab, path)
                self._beside_slow_readers(lab, path)
                self.assertEqual(len(lab.ctl("calls")["calls"]), 1)
                dialog.hang_up()
                wait_for("the end of the call", lambda: not lab.ctl("calls")["calls"])

    def _answered(self, lab):
        begun = time.monotonic()
        self.assertEqual(lab.ctl("status")["dataplane"]["state"], "up")
        self.assertLess(time.monotonic() - begun, ANSWER_S)

    def _in_a_crowd(self, lab, path):
        """A thousand connections, each with half a request, leave room for one more."""
        with contextlib.ExitStack() as stack:
            for number in range(CONNECTIONS):
                client = wait_for("a connection", lambda: self._connected(path), 10, 0.01)
                stack.enter_context(client)
                client.send(request("status", number)[:-20])
                if number % 100 == 0:
                    self._answered(lab)
            self._answered(lab)
        self.assertIn("others wait for its place", lab.control.log_text())

    @staticmethod
    def _connected(path):
        """A connection; None while the backlog of the socket is full."""
        try:
            return Client(path)
        except BlockingIOError:
            return None

    def _beside_slow_readers(self, lab, path):
        """Who asks for much and reads nothing keeps nobody else from being answered."""
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(wait_for("a connection", lambda: self._connected(path), 10, 0.01))
                       for _ in range(SLOW_READERS)]
            for client in clients:
                client.socket.settimeout(0.2)
            many = request("stats") * 400

            def ask(client):
                while client.send(many):
                    pass

            threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
            for thread in threads:
                thread.start()
            self._answered(lab)
            for thread in threads:
                thread.join()
            self._answered(lab)

    def test_groups(self):
        """control socket: a member of the group that reads is shown everything and changes nothing, others nothing"""

        def let_read(config):
            config["control"]["read_group"] = READERS

        nobody = pwd.getpwnam("nobody")
        readers = grp.getgrnam(READERS).gr_gid
        with Lab(configure=let_read) as lab:
            lab.directory.chmod(0o755)
            lab.start()
            for group, command, status, words in (
                    (readers, ["status"], 0, ""),
                    (readers, ["calls"], 0, ""),
                    (readers, ["sip", "off"], None, "this user may only read"),
                    (nobody.pw_gid, ["status"], None, "may not use the control socket")):
                def become(group=group):
                    os.setgroups([])
                    os.setgid(group)
                    os.setuid(nobody.pw_uid)

                result = subprocess.run(
                    [build_directory() / "control/pinholectl", "--socket", lab.directory / "control.sock", *command],
                    capture_output=True, text=True, check=False, preexec_fn=become)
                with self.subTest(command=command, group=group):
                    if status is None:
                        self.assertNotEqual(result.returncode, 0)
                    else:
                        self.assertEqual(result.returncode, status, result.stderr)
                    self.assertIn(words, result.stderr)
            self.assertTrue(lab.ctl("sip", "show")["on"])
