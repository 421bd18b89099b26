# SPDX-License-Identifier: BSD-3-Clause
"""The TFTP plug-in of docs/examples, against Debian's server and two clients, with filtering by address and port."""

import hashlib
import os
import time
import unittest

from support.lab import INSIDE, OUTSIDE, PINHOLE, LabError, one_and_two_workers, wait_for
from support.plugins import plugin, strict, use

PORT = 69


class Server:
    """tftpd-hpa, in a folder of its own."""

    def __init__(self, namespace, address, folder):
        folder.mkdir()
        folder.chmod(0o777)
        self.folder = folder
        self.popen = namespace.start("in.tftpd", "--foreground", "--create", "--permissive", "--secure", "--user",
                                     "nobody", "--address", f"{address}:{PORT}", folder)
        self._namespace = namespace
        wait_for("the TFTP server", self._listens)

    def _listens(self):
        if self.popen.poll() is not None:
            raise LabError(f"in.tftpd ended with {self.popen.returncode}")
        return f":{PORT} " in self._namespace.run("ss", "-lun").stdout

    def close(self):
        self.popen.terminate()
        self.popen.wait(5)


def digest(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def get(namespace, server, name, file, seconds=5):
    """By curl. Returns its exit status."""
    return namespace.run("curl", "--silent", "--max-time", seconds, "--output", file, f"tftp://{server}/{name}",
                         check=False).returncode


def put(namespace, server, file, name):
    """By tftp-hpa, which is told on its command line."""
    return namespace.run("tftp", "-m", "binary", server, "-c", "put", file, name, check=False)


def configure(config):
    strict(config)
    config["nat"]["forwards"] = [{"protocol": "udp", "external": f"{PINHOLE}:{PORT}", "inside": f"{INSIDE}:{PORT}"}]
    use(config, "tftp", budget_us=50000)


class Tftp(unittest.TestCase):

    def test_both_ways(self):
        """tftp: files both ways, server outside or inside behind a forward; without the plug-in no answer comes in"""
        with one_and_two_workers(configure) as labs:
            for lab in labs:
                with self.subTest(workers=lab.workers):
                    outside = lab.own(Server(lab.outside, OUTSIDE, lab.directory / "outside"))
                    inside = lab.own(Server(lab.inside, INSIDE, lab.directory / "inside"))
                    for client, server, address in ((lab.inside, outside, OUTSIDE), (lab.outside, inside, PINHOLE)):
                        self.transfer(lab, client, server, address)
                    counters = plugin(lab, "tftp")["counters"]
                    self.assertEqual((counters["read_request"], counters["write_request"]), (2, 2))
                    self.assertEqual(counters["no_room"], 0)
            lab = labs[0]
            for name, works in (("off", False), ("on", True)):
                lab.ctl("alg", name, "tftp")
                status = get(lab.inside, OUTSIDE, "large", lab.directory / name, seconds=5 if works else 1)
                self.assertEqual(status == 0, works)

    def transfer(self, lab, client, server, address):
        file = lab.directory / f"file-{time.monotonic_ns()}"
        large = server.folder / "large"
        large.write_bytes(os.urandom(20_001))
        self.assertEqual(get(client, address, "large", file), 0)
        self.assertEqual(digest(file), digest(large))
        sent = put(client, address, file, "sent")
        self.assertNotIn("Timeout", sent.stdout + sent.stderr)
        wait_for("the file", lambda: (server.folder / "sent").exists() and digest(server.folder / "sent") == digest(file))


if __name__ == "__main__":
    unittest.main()
