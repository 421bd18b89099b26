# SPDX-License-Identifier: BSD-3-Clause
"""What real stacks see of refusals: connections that nobody waits for, hosts that are gone, segments that would
not fit."""

import errno
import socket
import threading
import time
import unittest

from support.lab import INSIDE, OUTSIDE, PINHOLE, Lab, wait_for

IP_RECVERR = 11
STRANGER = "203.0.113.13"
NOBODY_OUTSIDE = "203.0.113.99"
NOBODY_INSIDE = "10.77.0.99"
HELD_S = 6  # RFC 5382 REQ-4


def tcp(namespace, address, port=0):
    made = namespace.socket(socket.SOCK_STREAM, address, port)
    made.settimeout(20)
    return made


class Unsolicited(unittest.TestCase):

    # [rfc5382-req4]
    def test_refused(self):
        """unsolicited: who connects to an external port of nobody is refused, after six seconds of silence"""
        with Lab(workers=2) as lab:
            lab.start()
            with tcp(lab.outside, OUTSIDE) as client:
                began = time.monotonic()
                self.assertRaises(ConnectionRefusedError, client.connect, (PINHOLE, 4321))
                self.assertTrue(HELD_S <= time.monotonic() - began < HELD_S + 3, time.monotonic() - began)
            counters = lab.counters()
            self.assertEqual(counters["icmp_error_out"], 1)
            self.assertEqual(counters["syn_held"], 0)

    # [rfc5382-req2]
    def test_simultaneous_open(self):
        """unsolicited: SYNs that cross become a connection, and the early one is never refused"""
        with Lab(workers=2) as lab:
            lab.start()
            # The inside host gets its external endpoint by speaking to somebody else.
            with tcp(lab.outside, OUTSIDE, 7000) as elsewhere, tcp(lab.inside, INSIDE, 4000) as first:
                elsewhere.listen()
                first.connect((OUTSIDE, 7000))
                external = self._external(lab, f"{INSIDE}:4000")
                outside = tcp(lab.outside, STRANGER, 7001)
                with outside:
                    result = []
                    connecting = threading.Thread(target=lambda: result.append(outside.connect_ex(external)))
                    connecting.start()
                    wait_for("the early SYN to be held", lambda: lab.counters()["syn_held"] == 1)
                    with tcp(lab.inside, INSIDE, 4000) as inside:
                        inside.connect((STRANGER, 7001))
                        connecting.join(20)
                        self.assertEqual(result, [0])
                        for sender, receiver in ((inside, outside), (outside, inside)):
                            sender.sendall(b"crossed")
                            self.assertEqual(receiver.recv(100), b"crossed")
                        wait_for("the held SYN to be forgotten", lambda: lab.counters()["syn_held"] == 0)
                        inside.sendall(b"still here")
                        self.assertEqual(outside.recv(100), b"still here")
            self.assertEqual(lab.counters()["icmp_error_out"], 0)

    @staticmethod
    def _external(lab, inside):
        rows = [row for row in lab.ctl("mappings")["mappings"] if row["inside"] == inside]
        host, port = rows[0]["external"].rsplit(":", 1)
        return host, int(port)

    def test_host_unreachable(self):
        """unsolicited: both sides are told when the other end of the last link does not answer ARP"""
        def forward(config):
            config["nat"] = {"forwards": [
                {"protocol": "udp", "external": f"{PINHOLE}:6000", "inside": f"{NOBODY_INSIDE}:6000"}]}
        with Lab(workers=2, configure=forward) as lab:
            lab.start()
            for namespace, target in ((lab.inside, (NOBODY_OUTSIDE, 6000)), (lab.outside, (PINHOLE, 6000))):
                with namespace.socket() as asker:
                    asker.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
                    asker.connect(target)
                    asker.settimeout(10)
                    asker.send(b"anybody?")
                    with self.assertRaises(OSError) as raised:
                        asker.recv(100)
                    self.assertEqual(raised.exception.errno, errno.EHOSTUNREACH, raised.exception)

    # [rfc6691]
    def test_segment_size(self):
        """unsolicited: both hosts hear of the smaller MTU in their SYNs, and a large transfer needs no complaint"""
        def narrow(config):
            config["interfaces"][1]["mtu"] = 1400
        with Lab(workers=2, configure=narrow) as lab:
            lab.start()
            with tcp(lab.outside, OUTSIDE, 7000) as server, tcp(lab.inside, INSIDE) as client:
                server.listen()
                client.connect((OUTSIDE, 7000))
                served, _ = server.accept()
                with served:
                    served.settimeout(20)
                    for end in (client, served):
                        # Timestamps take 12 of the 1360 bytes that fit.
                        self.assertLessEqual(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), 1360)
                        self.assertGreaterEqual(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), 1340)
                    data = bytes(range(256)) * 4096
                    for sender, receiver in ((client, served), (served, client)):
                        sending = threading.Thread(target=sender.sendall, args=(data,))
                        sending.start()
                        got = bytearray()
                        while len(got) < len(data) and (part := receiver.recv(65536)):
                            got += part
                        sending.join(20)
                        self.assertEqual(bytes(got), data)
            self.assertEqual(lab.counters()["drop_too_big"], 0)
