# SPDX-License-Identifier: BSD-3-Clause
"""TCP connections in all their states, end to end: idle, half closed, reset, opened from both sides at once.

Time-outs are scaled down; tests that wait do so with one worker and with two at the same time.
"""

import errno
import os
import select
import signal
import socket
import struct
import time
import unittest

from support import capture
from support.lab import (INSIDE, INSIDE2, OUTSIDE, OUTSIDE2, PINHOLE, Lab, one_and_two_workers, side_by_side,
                         wait_for)

TRANSITORY_S = 3
ESTABLISHED_S = 12
LONGER_S = 1  # than a time-out: what is to have expired by then has
SYN, RST, PUSH, ACK = 2, 4, 8, 16
CROSSING_PORT = 7100
OUT_OF_WINDOW = 1 << 30


def scaled(config):
    config["nat"] = {"timeouts": {"tcp_opening_s": TRANSITORY_S, "tcp_closing_s": TRANSITORY_S,
                                  "tcp_established_s": ESTABLISHED_S}}


class Connection:
    """A TCP connection from a host inside to one outside, with both of its ends."""

    def __init__(self, lab, namespace, address, port):
        self._lab = lab
        self.port = port
        with lab.outside.socket(socket.SOCK_STREAM, OUTSIDE, port) as listener:
            listener.listen()
            self.client = namespace.socket(socket.SOCK_STREAM, address)
            self.client.connect((OUTSIDE, port))
            self.server, self.external = listener.accept()
        self.server.settimeout(2.0)
        lab.own(self)

    def close(self):
        self.client.close()
        self.server.close()

    def send(self, sender, receiver):
        data = os.urandom(8)
        sender.sendall(data)
        got = receiver.recv(100)
        if got != data:
            raise AssertionError(f"sent {data}, received {got}")

    def both_ways(self):
        self.send(self.client, self.server)
        self.send(self.server, self.client)

    def reset_from_outside(self, offset):
        """Injects a reset whose number is `offset` from what the client waits for."""
        with self._lab.outside.socket(socket.SOCK_RAW, OUTSIDE, protocol=socket.IPPROTO_TCP) as raw:
            self.client.sendall(b"where are you")
            self.server.recv(100)
            segment = b""
            while segment[:4] != struct.pack(">HH", self.external[1], self.port) or segment[13] & PUSH == 0:
                segment = raw.recv(2000)[20:]
            number = int.from_bytes(segment[8:12], "big") + offset & 0xFFFFFFFF
            reset = struct.pack(">HHIIBBHHH", self.port, self.external[1], number, 0, 0x50, RST, 0, 0, 0)
            pseudo = socket.inet_aton(OUTSIDE) + socket.inet_aton(PINHOLE) + struct.pack(">HH", capture.TCP, len(reset))
            checksum = ~capture.ones_sum(pseudo + reset) & 0xFFFF
            raw.sendto(reset[:16] + struct.pack(">H", checksum) + reset[18:], (PINHOLE, 0))


class Crossing:
    """A host inside and one outside that connect to each other, once connect() was called on both.

    The external endpoint of the inside one is known from a connection of the same port to somebody else outside.
    """

    def __init__(self, lab, inside, outside, witness):
        self.address = outside[1]
        lab.own(self)
        with witness[0].socket(socket.SOCK_STREAM, witness[1], 7000) as listener:
            listener.listen()
            first = inside[0].socket(socket.SOCK_STREAM, inside[1])
            first.connect((witness[1], 7000))
            second, self._external = listener.accept()
        self.client = inside[0].socket(socket.SOCK_STREAM, inside[1], first.getsockname()[1])
        self.server = outside[0].socket(socket.SOCK_STREAM, self.address, CROSSING_PORT)
        self._sockets = first, second, self.client, self.server
        # So that neither SYN has to wait for ARP.
        outside[0].run("ping", "-n", "-c", "1", "-W", "2", "-I", self.address, PINHOLE)

    def close(self):
        for each in self._sockets:
            each.close()

    def connect(self):
        """Sends both SYNs."""
        for end, target in ((self.client, (self.address, CROSSING_PORT)), (self.server, self._external)):
            end.setblocking(False)
            error = end.connect_ex(target)
            if error != errno.EINPROGRESS:
                raise AssertionError(f"connecting to {target}: {os.strerror(error)}")
            end.settimeout(5.0)

    def both_ways(self):
        for sender, receiver in ((self.client, self.server), (self.server, self.client)):
            # Waits for the connection, too.
            select.select([], [sender], [], 5.0)
            data = os.urandom(8)
            sender.sendall(data)
            if receiver.recv(100) != data:
                raise AssertionError("what was sent did not arrive")


class Tcp(unittest.TestCase):

    def connections(self, labs, port):
        """One of each inside host in each lab: with two workers these hosts have different owners."""
        return [Connection(lab, namespace, address, port + number)
                for lab in labs
                for number, (namespace, address) in enumerate(((lab.inside, INSIDE), (lab.inside2, INSIDE2)))]

    def assert_live(self, labs, mappings):
        """That each lab has so many for each of its two inside hosts."""
        for lab in labs:
            self.assertEqual(lab.counters()["mapping_live"], 2 * mappings)

    def wait_live(self, labs, mappings, timeout=3):
        """Waits until each lab has no more than so many, which expire when the worker gets its turn."""
        for lab in labs:
            wait_for(f"{mappings} mappings of each host",
                     lambda: lab.counters()["mapping_live"] <= 2 * mappings, timeout)
        self.assert_live(labs, mappings)

    # [rfc5382-req5]
    def test_idle(self):
        """TCP: connections outlive the transitory time, half closed too; closed ones and forgotten ones do not"""
        with one_and_two_workers(scaled, hosts=2) as labs:
            idle, half, closed = (self.connections(labs, port) for port in (7000, 7010, 7020))
            for each in idle:
                each.both_ways()
            for each in half:
                each.client.shutdown(socket.SHUT_WR)
                self.assertEqual(each.server.recv(100), b"")
                each.send(each.server, each.client)
            for each in closed:
                each.close()
            self.assert_live(labs, 3)
            time.sleep(TRANSITORY_S + LONGER_S)
            self.wait_live(labs, 2)
            for each in half:
                each.send(each.server, each.client)
                each.server.close()
                self.assertEqual(each.client.recv(100), b"")
            for each in idle:
                each.both_ways()
            time.sleep(TRANSITORY_S + LONGER_S)
            self.wait_live(labs, 1)
            time.sleep(ESTABLISHED_S - TRANSITORY_S)
            self.wait_live(labs, 0)
            for each in idle:
                each.client.settimeout(0.1)
                each.server.sendall(b"nobody knows the way any more")
                with self.assertRaises(TimeoutError):
                    each.client.recv(100)

    # [rfc7857-2.2]
    def test_resets(self):
        """TCP: a reset from outside ends what it fits; one out of window changes nothing, one nearby is forgiven"""
        with one_and_two_workers(scaled, hosts=2) as labs:
            out, near, fits = (self.connections(labs, port) for port in (7000, 7010, 7020))
            for each in out:
                each.reset_from_outside(OUT_OF_WINDOW)
            for each in near:  # in the window, where the client asks whether it was meant (RFC 5961)
                each.reset_from_outside(100)
                each.both_ways()
            for each in fits:
                each.reset_from_outside(0)
                with self.assertRaises(ConnectionResetError):
                    each.client.recv(100)
            for lab in labs:
                self.assertEqual(lab.counters()["tcp_reset_ignored"], 2)
            self.assert_live(labs, 3)
            time.sleep(TRANSITORY_S + LONGER_S)
            self.wait_live(labs, 2)
            for each in out + near:
                each.both_ways()

    # [rfc5382-req2]
    def test_open_from_both_sides(self):
        """TCP: two hosts open a connection to each other at the same time, with each of two filterings"""
        def of(filtering):
            def configure(config):
                scaled(config)
                config["nat"]["filtering"] = filtering
            return configure
        independent, dependent = of("endpoint_independent"), of("address_dependent")
        with side_by_side(Lab(1, independent, 2), Lab(2, independent, 2), Lab(1, dependent, 2),
                          Lab(2, dependent, 2)) as labs:
            crossings = [Crossing(lab, *hosts) for lab in labs
                         for hosts in (((lab.inside, INSIDE), (lab.outside, OUTSIDE), (lab.outside2, OUTSIDE2)),
                                       ((lab.inside2, INSIDE2), (lab.outside2, OUTSIDE2), (lab.outside, OUTSIDE)))]
            links = [capture.Capture(lab, namespace, name, f"tcp port {CROSSING_PORT}")
                     for lab in labs for namespace, name in ((lab.outside, "outside"), (lab.outside2, "outside2"))]
            try:
                for lab in labs:
                    lab.dataplane.popen.send_signal(signal.SIGSTOP)
                for crossing in crossings:
                    crossing.connect()
                time.sleep(0.1)
            finally:
                for lab in labs:
                    lab.dataplane.popen.send_signal(signal.SIGCONT)
            for crossing in crossings:
                crossing.both_ways()
            time.sleep(TRANSITORY_S + LONGER_S)
            for crossing in crossings:
                crossing.both_ways()
            for number, (crossing, captured) in enumerate(zip(crossings, capture.stop_all(links))):
                flags = {(packet.source, packet.raw[33] & (SYN | ACK)) for packet in capture.packets(captured)}
                self.assertLessEqual({(PINHOLE, SYN), (crossing.address, SYN)}, flags)
                if number < len(crossings) // 2:  # otherwise one SYN may come before it is let in
                    self.assertLessEqual({(PINHOLE, SYN | ACK), (crossing.address, SYN | ACK)}, flags)
