# SPDX-License-Identifier: BSD-3-Clause
"""iperf3 between two hosts inside and two outside, all pairs and both directions at once.

The amount is bounded, and the rate of UDP is one at which a lost packet is a fault and not a busy machine.
"""

import json
import subprocess
import unittest

from support import capture
from support.lab import INSIDE, INSIDE2, OUTSIDE, OUTSIDE2, Lab

ALONE = True  # it is as fast as it can be
STREAM_BYTES = 16 << 20
UDP_SECONDS = 2
UDP_PACKETS = 2500  # 4 Mbit/s of 400 bytes for that long
FIRST_PORT = 5201
# One packet in 32, by its identification: tcpdump keeps up with that.
SAMPLE = "tcp and ip[5] & 31 == 0"


class Iperf:
    """One server and its client: a server of iperf3 serves one test at a time."""

    def __init__(self, lab, server, client, port, reverse, arguments):
        (server_side, self.server_address), (client_side, client_address) = server, client
        self.name = f"{client_address} {'from' if reverse else 'to'} {self.server_address}"
        self._client_side = client_side
        self._arguments = ["-J", "-c", self.server_address, "-p", port, "-B", client_address, *arguments]
        if reverse:
            self._arguments.append("-R")
        self._server = server_side.start("iperf3", "-s", "-1", "--forceflush", "-B", self.server_address, "-p", port,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._client = None
        lab.own(self)
        while "listening" not in (line := self._server.stdout.readline()):
            if not line:
                raise AssertionError(f"the server of {self.name} ended")

    def begin(self):
        self._client = self._client_side.start("iperf3", *self._arguments, stdout=subprocess.PIPE, text=True)

    def figures(self):
        """What the client measured, once both have ended."""
        figures = json.loads(self._client.communicate(timeout=30)[0])
        if "error" in figures:
            raise AssertionError(f"{self.name}: {figures['error']}")
        self._server.communicate(timeout=10)
        return figures["end"]

    def close(self):
        for process in (self._client, self._server):
            if process and process.poll() is None:
                process.kill()
                process.communicate(timeout=10)


class Transfers(unittest.TestCase):

    def everybody(self, lab, *arguments):
        """Figures of each client host with each server, forward and reverse, as (name, reverse, figures)."""
        inside = ((lab.inside, INSIDE), (lab.inside2, INSIDE2))
        outside = ((lab.outside, OUTSIDE), (lab.outside2, OUTSIDE2))
        pairs = [(server, client, reverse) for server in outside for client in inside for reverse in (False, True)]
        runs = [Iperf(lab, server, client, FIRST_PORT + number, reverse, arguments)
                for number, (server, client, reverse) in enumerate(pairs)]
        for run in runs:
            run.begin()
        return [(run.name, reverse, run.figures()) for run, (_, _, reverse) in zip(runs, pairs)]

    def assert_nothing_dropped(self, lab, but=()):
        drops = {name for name, count in lab.counters().items() if name.startswith("drop_") and count}
        self.assertLessEqual(drops, set(but), lab.counters())

    def _tcp(self, workers):
        with Lab(workers=workers, hosts=2) as lab:
            lab.start()
            links = [capture.Capture(lab, namespace, name, SAMPLE)
                     for namespace, name in ((lab.outside, "outside"), (lab.outside2, "outside2"))]
            results = self.everybody(lab, "-n", STREAM_BYTES, "--repeating-payload")
            for name, reverse, figures in results:
                sent, received = figures["sum_sent"], figures["sum_received"]
                self.assertGreaterEqual(sent["bytes"], STREAM_BYTES, name)
                # A receiver that is told of the end does not wait for what is still on its way to it.
                self.assertGreaterEqual(received["bytes"], STREAM_BYTES if reverse else STREAM_BYTES // 2, name)
            packets = lab.counters()["translated_out"] + lab.counters()["translated_in"]
            again = sum(figures["sum_sent"]["retransmits"] for _, _, figures in results)
            self.assertGreater(packets, len(results) * STREAM_BYTES // 1500)
            self.assertLess(again * 100, packets)
            # TCP sends as fast as queues allow: one that is full for a moment is how it finds out.
            self.assertLess(lab.counters()["drop_tx_full"] * 100, packets)
            self.assert_nothing_dropped(lab, but=["drop_tx_full"])
            for link in links:
                captured = link.stop()
                self.assertGreater(len(captured), 100)
                self.assertEqual(capture.problems(captured)[:5], [])

    def test_tcp_one_worker(self):
        """transfers: eight TCP streams of 16 MiB both ways between two hosts a side, one worker"""
        self._tcp(1)

    def test_tcp_two_workers(self):
        """transfers: eight TCP streams of 16 MiB both ways between two hosts a side, two workers"""
        self._tcp(2)

    def overflowed(self, lab):
        """Datagrams that a socket of a host had no room for: those did arrive."""
        total = 0
        for namespace in (lab.inside, lab.inside2, lab.outside, lab.outside2):
            names, values = [line.split() for line in namespace.run("cat", "/proc/net/snmp").stdout.splitlines()
                             if line.startswith("Udp:")]
            total += int(values[names.index("RcvbufErrors")])
        return total

    def _udp(self, workers):
        with Lab(workers=workers, hosts=2) as lab:
            lab.start()
            results = self.everybody(lab, "-u", "-b", "4M", "-l", 400, "-t", UDP_SECONDS)
            for name, _, figures in results:
                self.assertGreater(figures["sum_received"]["packets"], UDP_PACKETS * 9 // 10, name)
            lost = sum(figures["sum_received"]["lost_packets"] for _, _, figures in results)
            self.assertLessEqual(lost, self.overflowed(lab))
            self.assert_nothing_dropped(lab)

    def test_udp_one_worker(self):
        """transfers: eight UDP streams both ways between two hosts a side lose nothing, one worker"""
        self._udp(1)

    def test_udp_two_workers(self):
        """transfers: eight UDP streams both ways between two hosts a side lose nothing, two workers"""
        self._udp(2)
