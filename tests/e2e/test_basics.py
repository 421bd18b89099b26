# SPDX-License-Identifier: BSD-3-Clause
"""What a router and a translator do before any call: ARP, echo, errors, TCP and UDP through."""

import hashlib
import os
import re
import socket
import threading
import unittest

from support import capture
from support.lab import FAR_AWAY, INSIDE, INSIDE_GATEWAY, OUTSIDE, PINHOLE, Lab, wait_for

IP_RECVTTL = 12


def mac_of(namespace, interface):
    return re.search(r"link/ether (\S+)", namespace.run("ip", "link", "show", interface).stdout).group(1)


def tcp_echo(server, counts):
    """Serves one connection: sends back the digest of all that came."""
    connection, peer = server.accept()
    counts["peer"] = peer
    with connection:
        digest = hashlib.sha256()
        while data := connection.recv(65536):
            digest.update(data)
        connection.sendall(digest.digest())
        connection.sendall(counts["answer"])


class Basics(unittest.TestCase):

    def ping(self, namespace, target, *options, count=3):
        return namespace.run("ping", "-n", "-c", count, "-i", "0.2", "-W", "2", *options, target, check=False)

    def assert_answered(self, namespace, target, *options):
        result = self.ping(namespace, target, *options)
        self.assertIn(" 0% packet loss", result.stdout, result.stdout)

    def test_ping(self):
        """basics: echo requests pass, in all sizes, and behind the default gateway; nothing leaks"""
        with Lab() as lab:
            lab.start()
            link = capture.Capture(lab, lab.outside, "outside")
            self.assert_answered(lab.inside, OUTSIDE)
            self.assert_answered(lab.inside, FAR_AWAY)
            for size in (0, 1, 57, 1472):
                self.assert_answered(lab.inside, OUTSIDE, "-s", str(size))
            for host in (11, 15, 20):
                self.assert_answered(lab.inside, OUTSIDE, "-I", f"10.77.0.{host}")
            captured = link.stop()
            self.assertEqual(capture.problems(captured), [])
            self.assertIn(PINHOLE, {packet.source for packet in capture.packets(captured)})

    def test_own_addresses(self):
        """basics: own addresses answer ARP and echo on their side, and nobody else's address does"""
        with Lab() as lab:
            lab.start()
            self.assert_answered(lab.inside, INSIDE_GATEWAY)
            self.assert_answered(lab.outside, PINHOLE)
            for namespace, address, interface in ((lab.inside, INSIDE_GATEWAY, "inside0"),
                                                  (lab.outside, PINHOLE, "outside0")):
                neighbour = namespace.run("ip", "neighbour", "show", address).stdout
                self.assertIn(mac_of(lab.gateway, interface), neighbour)
            self.ping(lab.inside, "10.77.0.99", count=1)
            self.assertNotIn("lladdr", lab.inside.run("ip", "neighbour", "show", "10.77.0.99").stdout)

    def test_icmp_errors(self):
        """basics: time exceeded, port and net unreachable and too big reach the sender inside"""
        def without_gateway(config):
            del config["interfaces"][1]["gateway"]
            config["interfaces"][1]["mtu"] = 1400
        with Lab(configure=without_gateway) as lab:
            lab.start()
            self.assertIn(f"From {INSIDE_GATEWAY} icmp_seq=1 Time to live exceeded",
                          self.ping(lab.inside, OUTSIDE, "-t", "1", count=1).stdout)
            self.assertIn(f"From {INSIDE_GATEWAY} icmp_seq=1 Destination Net Unreachable",
                          self.ping(lab.inside, FAR_AWAY, count=1).stdout)
            self.assertRegex(self.ping(lab.inside, OUTSIDE, "-M", "do", "-s", "1450", count=1).stdout,
                             r"From 10\.77\.0\.1 icmp_seq=1 Frag needed and DF set \(mtu = 1400\)")
            with lab.inside.socket(address=INSIDE) as client:
                client.connect((OUTSIDE, 9))
                client.send(b"nobody is there")
                with self.assertRaises(ConnectionRefusedError):
                    client.recv(100)

    def test_icmp_rate(self):
        """basics: ICMP errors are held to their rate, and every packet that got none is counted all the same"""
        with Lab() as lab:
            lab.start()
            self.ping(lab.inside, INSIDE_GATEWAY, count=1)  # so that the kernel has nothing to wait for
            with lab.inside.socket(address=INSIDE) as client:
                client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
                for _ in range(1000):
                    client.sendto(b"not far", (OUTSIDE, 9))
            wait_for("the packets to be counted", lambda: lab.counters()["drop_ttl_expired"] == 1000, 5)
            # 20 at once and 100 a second after that (icmp.errors_per_s), for the second at most that this takes.
            # The answer to the ping counts: it was a moment ago, out of the same bucket.
            answered = lab.counters()["icmp_error_out"] + lab.counters()["echo_answered"]
            self.assertGreaterEqual(answered, 20)
            self.assertLess(answered, 200)

    def test_tcp(self):
        """basics: TCP connections pass both ways whole, 4 MB up and 950 kB down, ten at once"""
        with Lab(workers=2) as lab:
            lab.start()
            link = capture.Capture(lab, lab.outside, "outside", "tcp")
            failures = []

            def transfer(number):
                data, counts = os.urandom(200_000).hex().encode(), {"answer": bytes(range(32, 127)) * 1000}
                with lab.outside.socket(socket.SOCK_STREAM, OUTSIDE, 7000 + number) as server:
                    server.listen()
                    server.settimeout(20)
                    thread = threading.Thread(target=tcp_echo, args=(server, counts))
                    thread.start()
                    with lab.inside.socket(socket.SOCK_STREAM, f"10.77.0.{10 + number}") as client:
                        client.settimeout(20)
                        client.connect((OUTSIDE, 7000 + number))
                        client.sendall(data)
                        client.shutdown(socket.SHUT_WR)
                        answer = b""
                        while part := client.recv(65536):
                            answer += part
                    thread.join()
                if answer != hashlib.sha256(data).digest() + counts["answer"]:
                    failures.append(number)
                if counts["peer"][0] != PINHOLE:
                    failures.append(counts["peer"])

            threads = [threading.Thread(target=transfer, args=(number,)) for number in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            self.assertEqual(failures, [])
            self.assertEqual(capture.problems(link.stop())[:5], [])

    def test_udp(self):
        """basics: UDP of every size passes; one inside socket keeps one external endpoint; TTL falls by one"""
        with Lab() as lab:
            lab.start()
            with lab.inside.socket(address=INSIDE, port=4000) as client, \
                    lab.outside.socket(address=OUTSIDE, port=4000) as first, \
                    lab.outside.socket(address="203.0.113.11", port=4001) as second:
                first.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
                senders = set()
                for size in (0, 1, 2, 3, 17, 18, 19, 100, 555, 1471, 1472):
                    data = os.urandom(size)
                    client.sendto(data, (OUTSIDE, 4000))
                    got, ancillary, _, sender = first.recvmsg(2000, 100)
                    self.assertEqual(got, data)
                    self.assertEqual(int.from_bytes(ancillary[0][2], "little"), 63)
                    senders.add(sender)
                    first.sendto(data[::-1], sender)
                    self.assertEqual(client.recvfrom(2000), (data[::-1], (OUTSIDE, 4000)))
                client.sendto(b"to another", ("203.0.113.11", 4001))
                senders.add(second.recvfrom(2000)[1])
                self.assertEqual(len(senders), 1, senders)
                address, port = senders.pop()
                self.assertEqual(address, PINHOLE)
                self.assertEqual(port % 2, 0, "the parity of the port was not kept")

    def test_forward(self):
        """basics: static forwards let UDP and TCP in, from anyone, to the one port inside"""
        def forwards(config):
            config["nat"] = {"forwards": [
                {"protocol": "udp", "external": f"{PINHOLE}:8000", "inside": f"{INSIDE}:80"},
                {"protocol": "tcp", "external": f"{PINHOLE}:8000", "inside": f"{INSIDE}:81"}]}
        with Lab(workers=2, configure=forwards) as lab:
            lab.start()
            with lab.inside.socket(address=INSIDE, port=80) as server, \
                    lab.outside.socket(address="203.0.113.12") as client:
                client.sendto(b"hello", (PINHOLE, 8000))
                data, sender = server.recvfrom(100)
                self.assertEqual((data, sender), (b"hello", client.getsockname()))
                server.sendto(b"welcome", sender)
                self.assertEqual(client.recvfrom(100), (b"welcome", (PINHOLE, 8000)))
            counts = {"answer": b"done"}
            with lab.inside.socket(socket.SOCK_STREAM, INSIDE, 81) as server:
                server.listen()
                server.settimeout(10)
                thread = threading.Thread(target=tcp_echo, args=(server, counts))
                thread.start()
                with lab.outside.socket(socket.SOCK_STREAM, "203.0.113.12") as client:
                    client.settimeout(10)
                    client.connect((PINHOLE, 8000))
                    client.shutdown(socket.SHUT_WR)
                    answer = b""
                    while part := client.recv(100):
                        answer += part
                thread.join()
            self.assertEqual(answer, hashlib.sha256().digest() + b"done")
