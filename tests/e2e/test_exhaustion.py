# SPDX-License-Identifier: BSD-3-Clause
"""Where a host has all that it may have: what is new is refused at once with ICMP 3/13, what lives goes on."""

import contextlib
import errno
import os
import select
import socket
import unittest

from support.lab import INSIDE, INSIDE2, OUTSIDE, OUTSIDE2, one_and_two_workers, wait_for

QUOTA = 5
PING_QUOTA = 2
TABLE = 64  # the smallest
BURST = 10
BLOCK = 64  # the smallest


class TcpFlows:
    """Connections of hosts inside to one server outside."""

    def __init__(self, lab, stack):
        self._stack = stack
        self._server = stack.enter_context(lab.outside.socket(socket.SOCK_STREAM, OUTSIDE, 7000))
        self._server.listen(100)

    def open(self, inside):
        """Raises what connect() says when it is refused."""
        client = self._stack.enter_context(inside[0].socket(socket.SOCK_STREAM, inside[1]))
        client.connect(self._server.getsockname())
        return client, self._stack.enter_context(self._server.accept()[0])

    def talk(self, flow):
        client, server = flow
        for sender, receiver in ((client, server), (server, client)):
            data = os.urandom(8)
            sender.sendall(data)
            if receiver.recv(100) != data:
                raise AssertionError("what was sent did not arrive")


class UdpFlows:
    """Sockets of hosts inside that ask one server outside."""

    def __init__(self, lab, stack):
        self._stack = stack
        self._server = stack.enter_context(lab.outside2.socket(address=OUTSIDE2, port=7000))

    def open(self, inside):
        """Raises what the socket says when its datagram is refused."""
        client = self._stack.enter_context(inside[0].socket(address=inside[1]))
        client.connect(self._server.getsockname())
        self.talk(client)
        return client

    def talk(self, client):
        data = os.urandom(8)
        client.send(data)
        readable, _, _ = select.select([client, self._server], [], [], 2.0)
        if client in readable:
            client.recv(100)  # an error
        got, peer = self._server.recvfrom(100)
        self._server.sendto(got, peer)
        if client.recv(100) != data:
            raise AssertionError("what was sent did not come back")


class Exhaustion(unittest.TestCase):

    def assert_refused(self, flows, inside):
        with self.assertRaises(OSError) as refused:
            flows.open(inside)
        self.assertEqual(refused.exception.errno, errno.EHOSTUNREACH, refused.exception)

    def ping(self, inside, identifier):
        return inside[0].run("ping", "-n", "-c", 1, "-W", "2", "-e", identifier, "-I", inside[1], OUTSIDE,
                             check=False).stdout

    # [rfc5508-req8][rfc6888-req4]
    def test_quotas(self):
        """exhaustion: a host with its quota is refused by connect(), its flows live, and so does everybody else"""
        def quotas(config):
            config["nat"] = {"quotas": {"tcp": QUOTA, "udp": QUOTA, "icmp": PING_QUOTA},
                             "timeouts": {"tcp_opening_s": 1, "tcp_closing_s": 1}}
        with one_and_two_workers(quotas, hosts=2) as labs, contextlib.ExitStack() as stack:
            for lab in labs:
                first, second = (lab.inside, INSIDE), (lab.inside2, INSIDE2)
                before = lab.counters()["drop_quota_mappings"]
                for flows in (TcpFlows(lab, stack), UdpFlows(lab, stack)):
                    live = [flows.open(first) for _ in range(QUOTA)]
                    self.assert_refused(flows, first)
                    self.assert_refused(flows, first)
                    for flow in live:
                        flows.talk(flow)
                    flows.talk(flows.open(second))
                    if isinstance(flows, TcpFlows):
                        ended = live.pop()
                        for end in ended:
                            end.close()
                        wait_for("room", lambda lab=lab: lab.counters()["mapping_live"] == QUOTA)
                        live.append(flows.open(first))
                        self.assert_refused(flows, first)
                    for flow in live:
                        flows.talk(flow)
                self.assertEqual(lab.counters()["drop_quota_mappings"] - before, 5)
                for identifier in (1, 2):
                    self.assertIn("1 received", self.ping(first, identifier))
                self.assertIn("Packet filtered", self.ping(first, 3))
                self.assertIn("1 received", self.ping(first, 1))
                self.assertIn("1 received", self.ping(second, 3))
                self.assertEqual(lab.counters()["icmp_error_out"], 6)

    # [rfc6888-req5]
    def test_rate(self):
        """exhaustion: a host that opens too much at once is refused, and may open again a moment later"""
        def rate(config):
            config["nat"] = {"quotas": {"new_per_s": 1, "burst": BURST}}
        with one_and_two_workers(rate, hosts=2) as labs, contextlib.ExitStack() as stack:
            for lab in labs:
                first, second = (lab.inside, INSIDE), (lab.inside2, INSIDE2)
                flows = UdpFlows(lab, stack)
                live = [flows.open(first) for _ in range(BURST)]
                with self.assertRaises(OSError):
                    for _ in range(BURST):
                        live.append(flows.open(first))
                for flow in live:
                    flows.talk(flow)
                flows.talk(flows.open(second))

                def opened():
                    with contextlib.suppress(OSError):
                        return flows.open(first)
                flows.talk(wait_for("another mapping", opened, interval=0.3))
                self.assertGreater(lab.counters()["drop_quota_rate"], 0)

    def test_table(self):
        """exhaustion: a full table refuses new flows of all hosts of its worker, and every live one goes on"""
        def small(config):
            config["nat"] = {"mappings_per_worker": TABLE}
        with one_and_two_workers(small, hosts=2) as labs, contextlib.ExitStack() as stack:
            for lab in labs:
                flows = UdpFlows(lab, stack)
                for inside in ((lab.inside, INSIDE), (lab.inside2, INSIDE2)):
                    live = []
                    with self.assertRaises(OSError) as refused:
                        for _ in range(TABLE + 1):
                            live.append(flows.open(inside))
                    self.assertEqual(refused.exception.errno, errno.EHOSTUNREACH)
                    for flow in live:
                        flows.talk(flow)
                counters = lab.counters()
                self.assertEqual(counters["drop_table_full"], 2)
                self.assertEqual(counters["mapping_live"], TABLE * lab.workers)

    # [rfc6888-req11]
    def test_ports(self):
        """exhaustion: a host whose block of ports is used up is refused, its flows live, and so does everybody else"""
        def blocks(config):
            config["sip"] = {"enabled": False}  # which keeps ports for media
            config["nat"] = {"ports": {"mode": "blocks", "block_size": BLOCK, "blocks_per_host": 1}}
        with one_and_two_workers(blocks, hosts=2) as labs, contextlib.ExitStack() as stack:
            for lab in labs:
                first, second = (lab.inside, INSIDE), (lab.inside2, INSIDE2)
                for flows in (UdpFlows(lab, stack), TcpFlows(lab, stack)):
                    live = [flows.open(first) for _ in range(BLOCK)]
                    self.assert_refused(flows, first)
                    for flow in live:
                        flows.talk(flow)
                    flows.talk(flows.open(second))
                self.assertEqual(lab.counters()["drop_block_limit"], 2)
