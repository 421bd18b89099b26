# SPDX-License-Identifier: BSD-3-Clause
"""What the configuration says of single hosts: hairpins, static mappings, exemptions and route mode."""

import hashlib
import os
import socket
import threading
import unittest

from support import capture
from support.lab import FAR_AWAY, INSIDE, OUTSIDE, PINHOLE, Lab
from support.media import Media
from support.sipp import MEDIA_STEP, RTP_PACKETS, Sipp

WHOLE = "203.0.113.50"  # nobody's on the link but Pinhole's
HOST = "10.77.0.11"
STRANGER = "203.0.113.12"
CALLS = 20


def transfer(test, server_side, server, client_side, client, target, size=2_000_000):
    """Sends `size` bytes over TCP and gets their digest back. Returns whom the server saw."""
    data, seen = os.urandom(size // 2).hex().encode(), []
    with server_side.socket(socket.SOCK_STREAM, *server) as listener:
        listener.listen()
        listener.settimeout(20)

        def serve():
            connection, peer = listener.accept()
            seen.append(peer)
            with connection:
                connection.settimeout(20)
                digest = hashlib.sha256()
                while part := connection.recv(65536):
                    digest.update(part)
                connection.sendall(digest.digest())

        thread = threading.Thread(target=serve)
        thread.start()
        with client_side.socket(socket.SOCK_STREAM, *client) as caller:
            caller.settimeout(20)
            caller.connect(target)
            caller.sendall(data)
            caller.shutdown(socket.SHUT_WR)
            answer = b""
            while part := caller.recv(100):
                answer += part
        thread.join()
    test.assertEqual(answer, hashlib.sha256(data).digest())
    return seen[0]


class Static(unittest.TestCase):

    def ask(self, server_side, server, client_side, client, target):
        """A datagram there and back. Returns whom the server saw."""
        with server_side.socket(address=server[0], port=server[1]) as listener, \
                client_side.socket(address=client[0], port=client[1]) as caller:
            caller.sendto(b"question", target)
            data, sender = listener.recvfrom(100)
            self.assertEqual(data, b"question")
            listener.sendto(b"answer", sender)
            self.assertEqual(caller.recvfrom(100), (b"answer", target))
            return sender

    def silent(self, server_side, server, client_side, client, target):
        """A datagram that must not arrive."""
        with server_side.socket(address=server[0], port=server[1]) as listener, \
                client_side.socket(address=client[0], port=client[1]) as caller:
            listener.settimeout(0.5)
            caller.sendto(b"question", target)
            with self.assertRaises(TimeoutError):
                listener.recvfrom(100)

    def ping(self, namespace, target, source):
        result = namespace.run("ping", "-n", "-c", 3, "-i", "0.2", "-W", "2", "-I", source, target, check=False)
        self.assertIn(" 0% packet loss", result.stdout, result.stdout)

    # --- hairpins

    def _hairpins(self, workers):
        hosts = [f"10.77.0.{number}" for number in range(11, 15)]

        def forwards(config):
            config["nat"] = {
                "pool": [PINHOLE],
                "forwards": [{"protocol": protocol, "external": f"{PINHOLE}:{7000 + number}", "inside": f"{host}:70"}
                             for number, host in enumerate(hosts) for protocol in ("udp", "tcp")],
                "static_mappings": [{"external": WHOLE, "inside": "10.77.0.15"}]}
        with Lab(workers=workers, configure=forwards) as lab:
            lab.start()
            link = capture.Capture(lab, lab.outside, "outside")
            for number, host in enumerate(hosts):
                target = (PINHOLE, 7000 + number)
                seen = self.ask(lab.inside, (host, 70), lab.inside, (INSIDE, 5000 + number), target)
                self.assertEqual(seen[0], PINHOLE)
                seen = transfer(self, lab.inside, (host, 70), lab.inside, (INSIDE, 6000 + number), target)
                self.assertEqual(seen[0], PINHOLE)
            # A port where nobody listens: the error of the host comes back all the way.
            with lab.inside.socket(address=INSIDE) as client:
                client.connect((PINHOLE, 7000))
                client.send(b"nobody is there")
                with self.assertRaises(ConnectionRefusedError):
                    client.recv(100)
            self.ping(lab.inside, WHOLE, INSIDE)
            self.ping(lab.inside, WHOLE, hosts[2])
            self.assertEqual([packet for packet in capture.packets(link.stop())][:3], [], "it left the inside")
            self.assertGreater(lab.counters()["hairpinned"], 1000)

    # [rfc4787-req9][rfc5382-req8][rfc5508-req7]
    def test_hairpin_one_worker(self):
        """static: UDP, TCP, errors and pings between hosts inside by external addresses, one worker"""
        self._hairpins(1)

    # [rfc4787-req9][rfc5382-req8][rfc5508-req7]
    def test_hairpin_two_workers(self):
        """static: UDP, TCP, errors and pings between hosts inside by external addresses, two workers"""
        self._hairpins(2)

    # --- static mappings

    def test_mappings(self):
        """static: a whole address and a range of ports, both ways, one way in, one way out"""
        def mappings(config):
            config["nat"] = {"pool": [PINHOLE], "static_mappings": [
                {"external": WHOLE, "inside": HOST},
                {"external": "203.0.113.51", "inside": "10.77.0.12", "direction": "in"},
                {"external": "203.0.113.52", "inside": "10.77.0.13", "direction": "out"},
                {"external": f"{PINHOLE}:8000-8099", "inside": "10.77.0.14:9000-9099"}]}
        with Lab(workers=2, configure=mappings) as lab:
            lab.start()
            link = capture.Capture(lab, lab.outside, "outside")
            seen = self.ask(lab.inside, (HOST, 4567), lab.outside, (STRANGER, 99), (WHOLE, 4567))
            self.assertEqual(seen, (STRANGER, 99))
            seen = self.ask(lab.outside, (OUTSIDE, 99), lab.inside, (HOST, 4568), (OUTSIDE, 99))
            self.assertEqual(seen, (WHOLE, 4568))
            self.assertEqual(transfer(self, lab.outside, (OUTSIDE, 98), lab.inside, (HOST, 4569), (OUTSIDE, 98)),
                             (WHOLE, 4569))
            transfer(self, lab.inside, (HOST, 80), lab.outside, (STRANGER, 0), (WHOLE, 80))
            self.ping(lab.outside, WHOLE, STRANGER)
            self.ping(lab.inside, OUTSIDE, HOST)

            self.ask(lab.inside, ("10.77.0.12", 80), lab.outside, (STRANGER, 99), ("203.0.113.51", 80))
            with lab.inside.socket(address="10.77.0.12", port=81) as client:
                client.connect((OUTSIDE, 99))
                client.send(b"may I")
                with self.assertRaises(OSError):  # ICMP 3/13
                    client.recv(100)
            self.silent(lab.inside, ("10.77.0.13", 80), lab.outside, (STRANGER, 99), ("203.0.113.52", 80))
            seen = self.ask(lab.outside, (OUTSIDE, 99), lab.inside, ("10.77.0.13", 80), (OUTSIDE, 99))
            self.assertEqual(seen, ("203.0.113.52", 80))
            for number in (0, 1, 57, 99):
                self.ask(lab.inside, ("10.77.0.14", 9000 + number), lab.outside, (STRANGER, 99), (PINHOLE, 8000 + number))
                self.assertEqual(self.ask(lab.outside, (OUTSIDE, 99), lab.inside, ("10.77.0.14", 9000 + number),
                                          (OUTSIDE, 99)), (PINHOLE, 8000 + number))
            self.assertEqual(capture.problems(link.stop())[:5], [])

    # --- nothing translated

    # [rfc6888-req6]
    def test_exempt(self):
        """static: towards an exempt prefix the inside shows itself, and from the same port translated to others"""
        def exempt(config):
            config["nat"] = {"exempt": [{"to": f"{FAR_AWAY}/32"}]}
        with Lab(workers=2, configure=exempt) as lab:
            lab.outside.run("ip", "route", "add", "10.77.0.0/24", "via", PINHOLE)
            lab.start()
            for host in (INSIDE, HOST, "10.77.0.12"):
                seen = self.ask(lab.outside, (FAR_AWAY, 99), lab.inside, (host, 5000), (FAR_AWAY, 99))
                self.assertEqual(seen, (host, 5000))
                seen = self.ask(lab.outside, (OUTSIDE, 99), lab.inside, (host, 5000), (OUTSIDE, 99))
                self.assertEqual(seen[0], PINHOLE)
                seen = transfer(self, lab.outside, (FAR_AWAY, 98), lab.inside, (host, 5001), (FAR_AWAY, 98))
                self.assertEqual(seen, (host, 5001))
                self.ping(lab.inside, FAR_AWAY, host)

    def _routed(self, config):
        config["nat"] = {"route": [{"inside": "inside", "outside": "outside"}],
                         "static_mappings": [{"protocol": "tcp", "external": f"{HOST}:80", "inside": f"{HOST}:80"}]}

    def test_route_mode(self):
        """static: in route mode flows from inside pass as they are, unsolicited ones do not, but to what is open"""
        with Lab(workers=2, configure=self._routed) as lab:
            lab.outside.run("ip", "route", "add", "10.77.0.0/24", "via", PINHOLE)
            lab.start()
            for host in (INSIDE, HOST):
                seen = self.ask(lab.outside, (OUTSIDE, 99), lab.inside, (host, 5000), (OUTSIDE, 99))
                self.assertEqual(seen, (host, 5000))
                transfer(self, lab.outside, (OUTSIDE, 98), lab.inside, (host, 5001), (OUTSIDE, 98))
                self.ping(lab.inside, OUTSIDE, host)
                self.silent(lab.inside, (host, 5002), lab.outside, (STRANGER, 99), (host, 5002))
                self.silent(lab.inside, (host, 5000), lab.outside, (STRANGER, 99), (host, 5000))
            refused = lab.outside.run("ping", "-n", "-c", 1, "-W", "1", INSIDE, check=False)
            self.assertIn(" 100% packet loss", refused.stdout)
            transfer(self, lab.inside, (HOST, 80), lab.outside, (STRANGER, 0), (HOST, 80))
            # An error from outside reaches the host as it is.
            with lab.inside.socket(address=INSIDE) as client:
                client.connect((OUTSIDE, 9))
                client.send(b"nobody is there")
                with self.assertRaises(ConnectionRefusedError):
                    client.recv(100)
            counters = lab.counters()
            self.assertGreaterEqual(counters["drop_no_mapping"], 3)
            self.assertGreaterEqual(counters["drop_filtered"], 2)
            self.assertEqual(counters["port_in_use"], 0)

    def test_calls_in_route_mode(self):
        """static: calls through route mode: nothing in them changes, and their media passes both ways"""
        with Lab(workers=2, configure=self._routed) as lab:
            lab.outside.run("ip", "route", "add", "10.77.0.0/24", "via", PINHOLE)
            lab.start()
            outside = capture.Capture(lab, lab.outside, "outside", "udp port 5060")
            inside = capture.Capture(lab, lab.inside, "inside", "udp port 5060")
            hears = Media(lab, lab.inside, INSIDE, 20000, CALLS, MEDIA_STEP)
            echoes = Media(lab, lab.outside, OUTSIDE, 30000, CALLS, MEDIA_STEP, echo=True)
            answerer = Sipp(lab, lab.outside, "answerer", OUTSIDE, 5060, calls=CALLS, media_port=30000)
            caller = Sipp(lab, lab.inside, "caller", INSIDE, 5060, remote=f"{OUTSIDE}:5060", calls=CALLS,
                          hold_ms=2700, media_port=20000, play=True)
            caller.wait(30)
            answerer.wait(10)
            caller.check(self, CALLS)
            answerer.check(self, CALLS)
            for heard in (hears.stop(), echoes.stop()):
                self.assertEqual([row["packets"] for row in heard.values()], [RTP_PACKETS] * CALLS)
            messages = [sorted((packet.source, packet.target, packet.payload) for packet in capture.packets(link.stop()))
                        for link in (inside, outside)]
            self.assertGreater(len(messages[0]), 5 * CALLS)
            self.assertEqual(messages[0], messages[1], "a message changed on its way")
            counters = lab.counters()
            self.assertEqual(counters["call_opened"], CALLS)
            self.assertEqual(counters["pinhole_opened"], 2 * CALLS)
            self.assertEqual(counters["port_in_use"], 0)
