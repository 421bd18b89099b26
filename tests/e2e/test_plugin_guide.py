# SPDX-License-Identifier: BSD-3-Clause
"""docs/plugins.md, followed to the letter: its code is built outside the tree, by its commands, loaded and used."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import unittest

from support.lab import INSIDE, OUTSIDE, PINHOLE, ROOT, Lab, build_directory, side_by_side
from support.plugins import plugin, strict

LANGUAGES = ("c", "cpp")


def blocks():
    """For each language the source and the command that builds it, which follows it."""
    text = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    found = {}
    for language, source, command in re.findall(r"```(c|cpp)\n(.*?)```.*?```sh\n(.*?)```", text, re.S):
        found[language] = (source, command)
    return found


class Guide(unittest.TestCase):

    def setUp(self):
        # Root's alone, wherever the tree lies.
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.installed = self.folder / "installed"
        self.run_command("meson", "install", "-C", build_directory(), "--tags", "devel", "--no-rebuild", "--destdir",
                         self.installed)
        found = next(self.installed.rglob("pinhole.pc"))
        self.environment = dict(os.environ, PKG_CONFIG_PATH=str(found.parent),
                                PKG_CONFIG_SYSROOT_DIR=str(self.installed))

    def run_command(self, *command, **options):
        result = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, timeout=120, **options)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertNotIn("warning", result.stderr)
        return result.stdout

    def build_page(self, language):
        source, command = blocks()[language]
        place = self.folder / language
        place.mkdir()
        name = re.match(r"(?:/\*|//) (\S+)", source).group(1)
        (place / name).write_text(source, encoding="utf-8")
        self.run_command("sh", "-e", "-c", command, cwd=place, env=self.environment)
        return place / "callback.so"

    def build_examples(self):
        place = self.folder / "examples"
        shutil.copytree(ROOT / "docs/examples/plugins", place)
        self.run_command("make", cwd=place / "tftp", env=self.environment)
        self.run_command("meson", "setup", "build", cwd=place / "rtsp", env=self.environment)
        self.run_command("ninja", "-C", "build", cwd=place / "rtsp", env=self.environment)
        return [place / "tftp/tftp.so", place / "rtsp/build/rtsp.so"]

    def call_back(self, lab):
        """The protocol of the page, with a client inside."""
        with lab.outside.socket(socket.SOCK_STREAM, OUTSIDE, 4000) as listener, \
                lab.inside.socket(socket.SOCK_STREAM, INSIDE) as client, \
                lab.inside.socket(address=INSIDE, port=5000) as ear, lab.outside.socket(address=OUTSIDE) as mouth:
            listener.listen()
            client.connect((OUTSIDE, 4000))
            server, _ = listener.accept()
            with server:
                server.settimeout(2.0)
                client.sendall(f"CALLBACK {INSIDE}".encode())
                client.sendall(b" 5000\r\nCALLBACK 10.9.9.9 5000\r\n")
                lines = server.makefile("r", encoding="ascii", newline="\n")
                word, address, port = lines.readline().split()
                self.assertEqual((word, address), ("CALLBACK", PINHOLE))
                self.assertEqual(lines.readline(), "CALLBACK 10.9.9.9 5000\r\n")
                mouth.sendto(b"here I am", (address, int(port)))
                self.assertEqual(ear.recv(100), b"here I am")
        self.assertEqual(plugin(lab, "callback")["counters"]["callback"], 1)

    def test_page(self):
        """plug-ins: what docs/plugins.md tells, in C and in C++, builds outside the tree, loads and works"""
        files = {language: [self.build_page(language)] for language in LANGUAGES}
        files["c"] += self.build_examples()

        def loading(language):
            def configure(config):
                strict(config)
                config["plugins"] = [{"file": str(file), "budget_us": 50000} for file in files[language]]
            return Lab(configure=configure)

        with side_by_side(*(loading(language) for language in LANGUAGES)) as labs:
            for lab in labs:
                self.call_back(lab)
            self.assertEqual([row["name"] for row in labs[0].ctl("plugins")["plugins"]], ["sip", "ftp", "callback", "tftp", "rtsp"])


if __name__ == "__main__":
    unittest.main()
