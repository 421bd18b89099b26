# SPDX-License-Identifier: BSD-3-Clause
"""Fragments and path MTUs between real stacks: both ways, in every order, with one worker and with two."""

import itertools
import os
import socket
import struct
import threading
import unittest

from support import capture
from support.far import FAR, FarNetwork, by_pcap
from support.lab import INSIDE, OUTSIDE, PINHOLE, Lab, wait_for

IP_MTU_DISCOVER, IP_MTU = 10, 14
PMTUDISC_DONT, PMTUDISC_DO = 0, 2


def udp_fragments(source, target, payload, identification, cuts):
    """The fragments of a UDP datagram as IPv4 packets; the kernel fills in their header checksums."""
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(target[0])
    udp = struct.pack(">HHHH", source[1], target[1], 8 + len(payload), 0) + payload
    total = capture.ones_sum(addresses + struct.pack(">HH", capture.UDP, len(udp)) + udp)
    udp = udp[:6] + struct.pack(">H", (~total & 0xFFFF) or 0xFFFF) + udp[8:]
    ends = [*cuts, len(udp)]
    for begin, end in zip([0, *cuts], ends):
        more = 0x2000 if end < len(udp) else 0
        yield struct.pack(">BBHHHBBH", 0x45, 0, 20 + end - begin, identification, more | begin // 8, 64, capture.UDP,
                          0) + addresses + udp[begin:end]


def fragments_of(captured):
    """(source, identification) of each fragment among frames."""
    for _, frame in captured:
        if frame[12:14] == b"\x08\x00" and int.from_bytes(frame[20:22], "big") & 0x3FFF:
            yield socket.inet_ntoa(frame[26:30]), int.from_bytes(frame[18:20], "big")


class Fragments(unittest.TestCase):

    def test_pings(self):
        """fragments: pings of 4,000 and 20,000 bytes pass and are answered, with one worker and with two"""
        for workers in (1, 2):
            with Lab(workers=workers, configure=by_pcap()) as lab:
                lab.start()
                for size in (4000, 20000):
                    result = lab.inside.run("ping", "-n", "-c", "5", "-i", "0.2", "-W", "2", "-s", size, OUTSIDE,
                                            check=False)
                    self.assertIn(" 0% packet loss", result.stdout, result.stdout)
                wait_for("nothing to wait", lambda: lab.counters()["fragment_waiting"] == 0)

    # [rfc4787-req14]
    def test_udp(self):
        """fragments: datagrams of 8 kB pass whole both ways from several hosts, and their numbers differ outside"""
        for workers in (1, 2):
            with Lab(workers=workers, configure=by_pcap()) as lab:
                lab.start()
                link = capture.Capture(lab, lab.outside, "outside", "udp")
                with lab.outside.socket(address=OUTSIDE, port=4000) as server:
                    for host in range(10, 20):
                        with lab.inside.socket(address=f"10.77.0.{host}") as client:
                            for size in (1473, 4000, 8000):
                                data = os.urandom(size)
                                client.sendto(data, (OUTSIDE, 4000))
                                got, sender = server.recvfrom(10000)
                                self.assertEqual(got, data)
                                self.assertEqual(sender[0], PINHOLE)
                                server.sendto(data[::-1], sender)
                                self.assertEqual(client.recv(10000), data[::-1])
                numbers = {number for source, number in fragments_of(link.stop()) if source == PINHOLE}
                self.assertEqual(len(numbers), 30)

    # [rfc4787-req14]
    def test_orders(self):
        """fragments: three of a datagram arrive whole in each of their orders, both ways"""
        for workers in (1, 2):
            with Lab(workers=workers, configure=by_pcap()) as lab:
                lab.start()
                with lab.inside.socket(address=INSIDE, port=4000) as client, \
                        lab.outside.socket(address=OUTSIDE, port=4000) as server, \
                        lab.inside.socket(socket.SOCK_RAW, protocol=socket.IPPROTO_RAW) as from_inside, \
                        lab.outside.socket(socket.SOCK_RAW, protocol=socket.IPPROTO_RAW) as from_outside:
                    client.sendto(b"hello", (OUTSIDE, 4000))
                    external = server.recvfrom(100)[1]
                    ways = ((from_inside, server, (INSIDE, 4000), (OUTSIDE, 4000)),
                            (from_outside, client, (OUTSIDE, 4000), external))
                    for number, order in enumerate(itertools.permutations(range(3)), 1000):
                        for raw, receiver, source, target in ways:
                            data = os.urandom(3000)
                            pieces = list(udp_fragments(source, target, data, number, (1000, 2000)))
                            for which in order:
                                raw.sendto(pieces[which], (target[0], 0))
                            self.assertEqual(receiver.recv(4000), data, order)

    def test_flood(self):
        """fragments: a flood without first fragments shuts nobody out, and nothing of it stays"""
        with Lab(workers=2, configure=by_pcap()) as lab:
            lab.start()
            before = lab.gauges()["mbufs"]
            with lab.inside.socket(address=INSIDE, port=4000) as client, \
                    lab.outside.socket(address=OUTSIDE, port=4000) as server, \
                    lab.outside.socket(socket.SOCK_RAW, protocol=socket.IPPROTO_RAW) as flood:
                client.sendto(b"hello", (OUTSIDE, 4000))
                external = server.recvfrom(100)[1]
                for number in range(5000):
                    piece = list(udp_fragments(("203.0.113.13", 9), external, bytes(200), number, (104,)))[1]
                    flood.sendto(piece, (external[0], 0))
                    if number % 500 == 0:
                        data = os.urandom(4000)
                        server.sendto(data, external)
                        self.assertEqual(client.recv(5000), data)
            wait_for("the flood to be dropped", lambda: lab.counters()["fragment_waiting"] == 0)
            counters = lab.counters()
            self.assertGreater(counters["drop_fragment_overflow"] + counters["drop_fragment_timeout"], 4000)
            wait_for("all buffers to be free", lambda: lab.gauges()["mbufs"] <= before + 64)


class PathMtu(unittest.TestCase):

    def assert_learnt(self, namespace, address, mtu):
        """That the routing cache of a host has the MTU of the way to an address."""
        self.assertRegex(namespace.run("ip", "route", "get", address).stdout, rf"\bmtu {mtu}\b")

    @staticmethod
    def transfer(client_side, server_side, address, size=400_000):
        """A TCP connection that carries `size` bytes each way."""
        data, failures = os.urandom(size), []

        def serve(server):
            connection, _ = server.accept()
            with connection:
                connection.settimeout(20)
                got = b""
                while len(got) < size and (part := connection.recv(65536)):
                    got += part
                if got != data:
                    failures.append("what was sent did not arrive")
                connection.sendall(got)

        with server_side.socket(socket.SOCK_STREAM, address, 7000) as server:
            server.listen()
            server.settimeout(20)
            thread = threading.Thread(target=serve, args=(server,))
            thread.start()
            with client_side.socket(socket.SOCK_STREAM) as client:
                client.settimeout(20)
                client.connect((address, 7000))
                client.sendall(data)
                got = b""
                while len(got) < size and (part := client.recv(65536)):
                    got += part
            thread.join(30)
        return failures + ([] if got == data else ["what came back differs"])

    # [rfc4787-req13a]
    def test_own_link(self):
        """path MTU: over a smaller link of ours, TCP finds its size and datagrams that allow it are fragmented"""
        for side in (0, 1):
            def smaller(config, side=side):
                config["interfaces"][side]["mtu"] = 1400
                config["nat"] = {"tcp": {"mss": "off"}}  # so that TCP has to find it
            with Lab(workers=2, configure=by_pcap(smaller)) as lab:
                lab.start()
                with lab.outside.socket(address=OUTSIDE, port=4000) as server, \
                        lab.inside.socket(address=INSIDE) as client:
                    for each in (server, client):
                        each.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DONT)
                    for size in (1400, 1472, 5000):
                        data = os.urandom(size)
                        client.sendto(data, (OUTSIDE, 4000))
                        got, sender = server.recvfrom(6000)
                        self.assertEqual(got, data)
                        server.sendto(data, sender)
                        self.assertEqual(client.recv(6000), data)
                self.assertGreater(lab.counters()["fragment_out"], 0)
                # Only now: the MTU that TCP learns is what the stacks would fragment to by themselves.
                self.assertEqual(self.transfer(lab.inside, lab.outside, OUTSIDE), [])
                self.assertGreater(lab.counters()["drop_too_big"], 0)
                if side == 0:
                    self.assert_learnt(lab.outside, PINHOLE, 1400)
                else:
                    self.assert_learnt(lab.inside, OUTSIDE, 1400)

    # [rfc4787-req13]
    def test_sender_learns(self):
        """path MTU: who must not be fragmented is told the MTU, inside and outside"""
        for side in (0, 1):
            def smaller(config, side=side):
                config["interfaces"][side]["mtu"] = 1400
            with Lab(configure=by_pcap(smaller)) as lab:
                lab.start()
                with lab.outside.socket(address=OUTSIDE, port=4000) as server, \
                        lab.inside.socket(address=INSIDE) as client:
                    client.connect((OUTSIDE, 4000))
                    client.send(b"hello")
                    server.connect(server.recvfrom(100)[1])
                    sender, receiver = (server, client) if side == 0 else (client, server)
                    sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)
                    self.assertEqual(sender.getsockopt(socket.IPPROTO_IP, IP_MTU), 1500)
                    sender.send(bytes(1450))
                    wait_for("the sender to learn", lambda: sender.getsockopt(socket.IPPROTO_IP, IP_MTU) == 1400)
                    try:
                        sender.send(bytes(1372))
                    except OSError:  # what was learnt is told once
                        sender.send(bytes(1372))
                    self.assertEqual(receiver.recv(2000), bytes(1372))

    def test_behind_a_router(self):
        """path MTU: over a narrow link between routers outside, TCP finds its size and datagrams pass, both ways"""
        for workers in (1, 2):
            with Lab(workers=workers, configure=by_pcap()) as lab:
                lab.start()
                far = FarNetwork(lab, 1300)
                self.assertEqual(self.transfer(lab.inside, far.host, FAR), [])
                self.assert_learnt(lab.inside, FAR, 1300)
                self.assert_learnt(far.host, PINHOLE, 1300)
                for namespace in (lab.inside, far.host):
                    namespace.run("ip", "route", "flush", "cache")
                with far.host.socket(address=FAR, port=4000) as server, \
                        lab.inside.socket(address="10.77.0.11") as client:
                    client.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)
                    client.connect((FAR, 4000))
                    client.send(bytes(1400))
                    wait_for("the sender to learn", lambda: client.getsockopt(socket.IPPROTO_IP, IP_MTU) == 1300)
                    # What may be fragmented is, by the router behind us, or by its sender and by the router again.
                    client.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DONT)
                    data = os.urandom(6000)
                    try:
                        client.send(data)
                    except OSError:  # what was learnt is told once
                        client.send(data)
                    got, sender = server.recvfrom(8000)
                    self.assertEqual(got, data)
                    server.sendto(data[::-1], sender)
                    self.assertEqual(client.recv(8000), data[::-1])


if __name__ == "__main__":
    unittest.main()
