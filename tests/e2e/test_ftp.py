# SPDX-License-Identifier: BSD-3-Clause
"""FTP: vsftpd, curl and lftp, and control connections by hand, with the client on either side."""

import contextlib
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from support.ftp import MODES, PORT, Control, Vsftpd, curl, digest_of, endpoint, numbers, receive, write_file
from support.lab import INSIDE, OUTSIDE, PINHOLE, Lab, one_and_two_workers, side_by_side, wait_for

STRANGER = "203.0.113.12"
SIZES = {"nothing": 0, "byte": 1, "megabyte": 1 << 20}
GIGABYTE = 1 << 30
FIFTY = 50
CURL_PORT_FAILED = 30  # curl(1)


def with_forward(config):
    config["nat"] = config.get("nat", {}) | {
        "forwards": [{"protocol": "tcp", "external": f"{PINHOLE}:{PORT}", "inside": f"{INSIDE}:{PORT}"}]}


def with_changes(*, timeouts=None, rules=None, **ftp):
    def change(config):
        config["ftp"] = ftp
        if timeouts:
            config["nat"] = {"timeouts": timeouts}
        if rules:
            config["protection"] = {"rules": rules}
        with_forward(config)
    return change


class Scene:
    """A client on one side, a server on the other."""

    def __init__(self, lab, server_inside, **options):
        self.lab, self.server_inside = lab, server_inside
        self.client = lab.outside if server_inside else lab.inside
        self.client_address = OUTSIDE if server_inside else INSIDE
        self.target = PINHOLE if server_inside else OUTSIDE
        self.server = Vsftpd(lab, lab.inside if server_inside else lab.outside, INSIDE if server_inside else OUTSIDE,
                             **options)

    def url(self, name=""):
        return f"ftp://{self.target}/files/{name}"

    def control(self):
        return Control(self.client, self.client_address, self.target)


@contextlib.contextmanager
def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="pinhole-ftp-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


class Ftp(unittest.TestCase):

    # [rfc959][rfc2428]
    def test_files(self):
        """ftp: files of 0 bytes to 1 MB up and down by PORT, EPRT, PASV and EPSV, the server on either side"""
        with folder() as here, one_and_two_workers(with_forward) as labs:
            digests = {name: write_file(here / name, size) for name, size in SIZES.items()}
            names = ",".join(SIZES)
            for lab in labs:
                for scene in (Scene(lab, False), Scene(lab, True)):
                    for mode, options in MODES.items():
                        with self.subTest(workers=lab.workers, server_inside=scene.server_inside, mode=mode):
                            curl(scene.client, *options, "-T", f"{here}/{{{names}}}", scene.url())
                            self.assertEqual({name: digest_of(scene.server.files / name) for name in SIZES}, digests)
                            curl(scene.client, *options, "-o", f"{here}/{mode}-#1", scene.url(f"{{{names}}}"))
                            self.assertEqual({name: digest_of(here / f"{mode}-{name}") for name in SIZES}, digests)
                            for name in SIZES:
                                (scene.server.files / name).unlink()
                                (here / f"{mode}-{name}").unlink()

    def test_route_mode(self):
        """ftp: where nothing is translated data connections are let in as announced, the server on either side"""
        def routed(config):
            config["nat"] = {
                "route": [{"inside": "inside", "outside": "outside"}],
                "static_mappings": [{"protocol": "tcp", "external": f"{INSIDE}:{PORT}", "inside": f"{INSIDE}:{PORT}"}]}
        with Lab(configure=routed) as lab, folder() as here:
            lab.start()
            lab.outside.run("ip", "route", "add", "10.77.0.0/24", "via", PINHOLE)
            for scene in (Scene(lab, False), Scene(lab, True)):
                scene.target = scene.server.address
                (scene.server.files / "file").write_bytes(b"contents")
                for mode, options in MODES.items():
                    with self.subTest(server_inside=scene.server_inside, mode=mode):
                        curl(scene.client, *options, "-o", here / "file", scene.url("file"))
                        self.assertEqual((here / "file").read_bytes(), b"contents")

    def test_fifty_at_once(self):
        """ftp: 50 transfers at once, up by lftp and down by curl, active and passive, with 1 and 2 workers"""
        with one_and_two_workers(with_forward) as labs:
            for lab in labs:
                for server_inside, passive, mode in ((False, "off", "EPSV"), (True, "on", "EPRT")):
                    with self.subTest(workers=lab.workers, server_inside=server_inside), folder() as here:
                        self._transfer_fifty(Scene(lab, server_inside), passive, mode, here)

    def _transfer_fifty(self, scene, passive, mode, here):
        (here / "up").mkdir()
        (here / "down").mkdir()
        names = [f"file{number:02}" for number in range(FIFTY)]
        digests = {name: write_file(here / "up" / name, 100_000 + number) for number, name in enumerate(names)}
        scene.client.run("lftp", "-c", f"set ftp:passive-mode {passive}; set ftp:prefer-epsv no; set net:timeout 5; "
                         f"set net:reconnect-interval-base 1; open ftp://{scene.target}; "
                         f"mirror -R --parallel=30 {here}/up files/many")
        many = scene.server.files / "many"
        self.assertEqual({name: digest_of(many / name) for name in names}, digests)
        # vsftpd accepts 32 at a time: they begin one group after another, and last until all have begun.
        curls = []
        for first in range(0, FIFTY, 10):
            curls.append(scene.client.start(
                "curl", "-sS", *MODES[mode], "-Z", "--limit-rate", "50k", "-o", f"{here}/down/file#1",
                scene.url(f"many/file[{first:02}-{first + 9:02}]"), stderr=subprocess.DEVNULL))
            time.sleep(0.1)
        wait_for("all to go on at once", lambda: scene.lab.counters()["stream_live"] >= FIFTY)
        self.assertEqual([process.wait(30) for process in curls], [0] * len(curls))
        self.assertEqual({name: digest_of(here / "down" / name) for name in names}, digests)

    def test_gigabyte(self):
        """ftp: a gigabyte down to a client inside, and one up to a server inside"""
        with Lab(workers=2, configure=with_forward) as lab:
            lab.start()
            for server_inside, mode in ((False, "EPSV"), (True, "PASV")):
                scene = Scene(lab, server_inside)
                file = scene.server.files / "large"
                with self.subTest(server_inside=server_inside), folder() as here:
                    digest = write_file(here / "large" if server_inside else file, GIGABYTE)
                    if server_inside:
                        curl(scene.client, *MODES[mode], "-T", here / "large", scene.url())
                        self.assertEqual(digest_of(file), digest)
                    else:
                        words = " ".join(MODES[mode])
                        got = scene.client.run("bash", "-c", f"curl -sS {words} {scene.url('large')} | sha256sum")
                        self.assertEqual(got.stdout.split()[0], digest)
                scene.server.close()

    def _fetch_active(self, scene, control, mode, data=b"contents"):
        """Has a file sent to a port that listens, and returns what came."""
        (scene.server.files / "file").write_bytes(data)
        with scene.client.socket(socket.SOCK_STREAM, scene.client_address) as listener:
            listener.listen()
            port = listener.getsockname()[1]
            words = {"PORT": f"PORT {numbers(scene.client_address, port)}",
                     "EPRT": f"EPRT |1|{scene.client_address}|{port}|"}[mode]
            control(words)
            connection, _ = listener.accept()
            with connection:
                return receive(connection)

    def test_cut_anywhere(self):
        """ftp: commands in single bytes, many in one segment, in any case, with LF alone and with Telnet's commands"""
        with one_and_two_workers(with_forward) as labs:
            for lab in labs:
                for scene in (Scene(lab, False), Scene(lab, True)):
                    with self.subTest(workers=lab.workers, server_inside=scene.server_inside), \
                            scene.control() as control:
                        control.send("USER anonymous\r\nPASS guest\r\nTYPE I\r\nCWD files\r\nPASV\r\n")
                        codes = [control.reply()[:3] for _ in range(4)]
                        self.assertEqual(codes, ["230", "230", "200", "250"])
                        target = endpoint(control.reply())
                        self.assertEqual(target[0], scene.target)

                        def by_bytes(words):
                            for byte in f"{words}\r\n":
                                control.send(byte)
                                time.sleep(0.002)
                            self.assertEqual(control.reply()[:3], "200")
                            self.assertEqual(control.ask("RETR file")[:3], "150")

                        self.assertEqual(self._fetch_active(scene, by_bytes, "PORT"), b"contents")
                        self.assertEqual(control.reply()[:3], "226")

                        def at_once(words):
                            control.send(b"NOOP\r\n" + words.lower().encode() + b"\nRETR file\r\nNOOP\r\n")
                            self.assertEqual([control.reply()[:3] for _ in range(3)], ["200", "200", "150"])

                        self.assertEqual(self._fetch_active(scene, at_once, "EPRT"), b"contents")
                        self.assertEqual([control.reply()[:3] for _ in range(2)], ["226", "200"])

    # [AC-29]
    def test_idle_control(self):
        """ftp: a control connection that is idle for longer than its time-out during a transfer answers afterwards"""
        idle, short = 7, {"tcp_established_s": 3, "tcp_opening_s": 3, "tcp_closing_s": 3}
        size = 8 << 20
        with contextlib.ExitStack() as stack:
            labs = stack.enter_context(side_by_side(
                Lab(1, with_changes(timeouts=short, keep_alive_s=1)), Lab(1, with_changes(timeouts=short, enabled=False))))
            talks = []
            for lab, server_inside in ((labs[0], False), (labs[0], True), (labs[1], False)):
                scene = Scene(lab, server_inside)
                write_file(scene.server.files / "file", size)
                control = stack.enter_context(scene.control()).login()
                data = stack.enter_context(scene.client.socket(socket.SOCK_STREAM, scene.client_address))
                data.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                data.connect(control.passive())
                self.assertEqual(control.ask("RETR file")[:3], "150")
                talks.append([control, data, 0])
            end = time.monotonic() + idle
            while time.monotonic() < end:
                for talk in talks:
                    talk[2] += len(talk[1].recv(65536))
                time.sleep(0.1)
            for number, (control, data, come) in enumerate(talks):
                self.assertEqual(come + len(receive(data)), size)
                if number < 2:
                    self.assertEqual(control.reply()[:3], "226")
                    self.assertEqual(control.ask("NOOP")[:3], "200")
                else:
                    # Nobody knows that the data is the control connection's.
                    with self.assertRaises((TimeoutError, ConnectionError)):
                        control.reply(timeout=2)
            # Others on the path were shown that the control connections live.
            self.assertGreater(labs[0].counters()["stream_keep_alive"], 0)
            self.assertEqual(labs[1].counters()["stream_keep_alive"], 0)

    # [rfc2577]
    def test_bounce(self):
        """ftp: endpoints of somebody else and ports of services are refused, in commands and in replies"""
        with Lab(configure=with_forward) as lab:
            lab.start()
            for scene in (Scene(lab, False), Scene(lab, True)):
                with self.subTest(server_inside=scene.server_inside), scene.control() as control:
                    control.login()
                    for words in (f"PORT {numbers(STRANGER, 4000)}", f"PORT {numbers(scene.client_address, 22)}",
                                  f"EPRT |1|{STRANGER}|4000|", f"EPRT |1|{scene.client_address}|22|",
                                  "LPRT 4,4,10,77,0,10,2,15,160"):
                        self.assertEqual(control.ask(words)[:3], "500", words)
                    # Answers stay in order.
                    control.send(f"NOOP\r\nPORT {numbers(STRANGER, 4000)}\r\nPWD\r\n")
                    self.assertEqual([control.reply()[:3] for _ in range(3)], ["200", "500", "257"])
                scene.server.close()
            with lab.outside.socket(socket.SOCK_STREAM, OUTSIDE, PORT) as listener:
                listener.listen()
                with Spoken(listener, [b"220 here\r\n", f"227 ({numbers(STRANGER, 4000)})\r\n".encode(),
                                       f"227 ({numbers(OUTSIDE, 25)})\r\n".encode(),
                                       f"227 ({numbers(OUTSIDE, 4000)})\r\n".encode()]), \
                        Control(lab.inside, INSIDE, OUTSIDE) as control:
                    self.assertEqual([control.ask("PASV")[:3] for _ in range(3)], ["500", "500", "227"])

    def test_one_connection(self):
        """ftp: the way of a data connection is for one, of the right peer, and closed when used or after its time"""
        with Lab(configure=with_changes(data_timeout_s=2)) as lab:
            lab.start()
            scene = Scene(lab, True)
            (scene.server.files / "file").write_bytes(b"contents")
            with scene.control() as control:
                control.login()
                target = control.passive()
                self.assertFalse(self._connects(lab, STRANGER, target))
                with lab.outside.socket(socket.SOCK_STREAM, OUTSIDE) as data:
                    data.connect(target)
                    self.assertFalse(self._connects(lab, OUTSIDE, target))
                    self.assertFalse(self._connects(lab, STRANGER, target))
                    self.assertEqual(control.ask("RETR file")[:3], "150")
                    self.assertEqual(receive(data), b"contents")
                self.assertEqual(control.reply()[:3], "226")
                self.assertFalse(self._connects(lab, OUTSIDE, target))
                target = control.passive()
                time.sleep(3.5)
                self.assertFalse(self._connects(lab, OUTSIDE, target))
                # What has ended has closed what was announced.
                target = control.passive()
            time.sleep(0.5)
            self.assertFalse(self._connects(lab, OUTSIDE, target))

    def test_refused_by_the_client(self):
        """ftp: a server whose data connection was refused by the client comes in again, and not beside one"""
        with Lab() as lab:
            lab.start()
            with lab.outside.socket(socket.SOCK_STREAM, OUTSIDE, PORT) as listener, \
                    lab.inside.socket(socket.SOCK_STREAM, INSIDE) as client:
                listener.listen()
                client.connect((OUTSIDE, PORT))
                with listener.accept()[0] as server:
                    server.sendall(b"220 here\r\n")
                    self.assertEqual(client.recv(100), b"220 here\r\n")
                    client.sendall(f"PORT {numbers(INSIDE, 4000)}\r\n".encode())
                    *address, high, low = server.recv(100).decode().split()[1].split(",")
                    target = (".".join(address), int(high) * 256 + int(low))
                    self.assertFalse(self._connects(lab, OUTSIDE, target))
                    with lab.inside.socket(socket.SOCK_STREAM, INSIDE, 4000) as data:
                        data.listen()
                        self.assertTrue(self._connects(lab, OUTSIDE, target))
                        self.assertFalse(self._connects(lab, OUTSIDE, target))

    def _connects(self, lab, address, target):
        with lab.outside.socket(socket.SOCK_STREAM, address) as caller:
            caller.settimeout(0.6)
            try:
                caller.connect(target)
            except (ConnectionError, TimeoutError):
                return False
            return True

    def test_restart(self):
        """ftp: control connections from before the data plane was killed are reset, however it goes on, and new ones work"""
        with side_by_side(*(Lab(1, with_forward) for _ in range(2))) as labs:
            scenes = [Scene(lab, server_inside) for lab, server_inside in zip(labs, (False, True))]
            old = [scene.control().login() for scene in scenes]
            for lab in labs:
                lab.dataplane.kill()
                lab.start_dataplane()
            for lab in labs:
                lab.wait_up()
            for scene, control in zip(scenes, old):
                with self.subTest(server_inside=scene.server_inside), control:
                    with self.assertRaises(ConnectionResetError):
                        control.ask("NOOP")
                    self.assertGreater(scene.lab.counters()["drop_stream_unread"], 0)
                    with scene.control().login() as new:
                        self.assertTrue(new.ask("NOOP").startswith("200"))

    def test_rules(self):
        """ftp: commands are denied by rule, with their hits, in order with others, and after a reload no more"""
        rules = [{"name": "no-site", "application": "ftp", "action": "drop", "commands": ["SITE", "DELE"]},
                 {"name": "programs", "application": "ftp", "action": "log", "commands": ["STOR"], "arguments": ["*.exe"]},
                 {"name": "uploads", "application": "ftp", "action": "refuse", "direction": "in", "commands": ["STO?"]}]
        with Lab(configure=with_changes(rules=rules)) as lab:
            lab.start()
            for scene in (Scene(lab, False), Scene(lab, True)):
                with scene.control() as control:
                    control.login()
                    control.send("NOOP\r\nSITE HELP\r\ndele x\r\nPWD\r\n")
                    self.assertEqual([control.reply()[:3] for _ in range(4)], ["200", "500", "500", "257"])
                    # Without a data connection a server says so, if it hears of the command at all.
                    self.assertEqual(control.ask("STOR a.exe")[:3], "425")
                    self.assertEqual(control.ask("STOR a.txt")[:3], "500" if scene.server_inside else "425")
                    hits = {row["name"]: row["hits"] for row in lab.ctl("rules")["rules"]}
                    done = 2 if scene.server_inside else 1
                    self.assertEqual(hits, {"no-site": 2 * done, "programs": done, "uploads": done - 1})
            line = wait_for("the line of the rule that logs",
                            lambda: [each for each in lab.control.log_text().splitlines() if "rule_matched" in each])[0]
            self.assertIn('start="STOR a.exe"', line)
            with scene.control() as control:
                control.login()
                lab.write_config(lab.changed_config(lambda config: config["protection"].update(rules=rules[1:])))
                self.assertEqual(lab.ctl("reload")["changed"], ["protection.rules"])
                self.assertEqual(control.ask("DELE x")[:3], "550")

    # [rfc4217]
    def test_tls(self):
        """ftp: a connection that is encrypted is left alone: passive mode works with servers outside, active mode with servers inside"""
        with Lab(configure=with_forward) as lab:
            lab.start()
            outside, inside = Scene(lab, False, tls=True), Scene(lab, True, tls=True)
            for scene in (outside, inside):
                (scene.server.files / "file").write_bytes(b"contents")

            def fetches(scene, passive):
                result = scene.client.run(
                    "lftp", "-c", f"set ssl:verify-certificate no; set ftp:ssl-force yes; set ftp:ssl-protect-data yes; "
                    f"set ftp:passive-mode {passive}; set ftp:auto-passive-mode no; set net:timeout 2; "
                    f"set net:max-retries 1; open ftp://{scene.target}; cat files/file", check=False)
                return result.returncode == 0 and result.stdout == "contents"

            # lftp tries the other mode when one fails, and curl cannot do active mode with TLS.
            self.assertTrue(fetches(outside, "on"))
            self.assertTrue(fetches(inside, "off"))
            tls = ("-k", "--ssl-reqd", "-m", "4")
            self.assertEqual(curl(outside.client, *tls, outside.url("file")).stdout, "contents")
            # A server does not believe an inside address.
            refused = curl(outside.client, *tls, *MODES["PORT"], outside.url("file"), check=False)
            self.assertEqual(refused.returncode, CURL_PORT_FAILED)
            self.assertNotEqual(curl(inside.client, *tls, inside.url("file"), check=False).returncode, 0)


class Spoken(threading.Thread):
    """A server that says what it is told, a part for each line that it hears."""

    def __init__(self, listener, parts):
        super().__init__()
        self._listener, self._parts = listener, parts

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.join()

    def run(self):
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(5)
            for number, part in enumerate(self._parts):
                if number > 0:
                    connection.recv(100)
                connection.sendall(part)
            connection.recv(100)
