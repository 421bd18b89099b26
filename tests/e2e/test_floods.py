# SPDX-License-Identifier: BSD-3-Clause
"""Floods from outside on a server inside, while a trunk outside calls it: no call of the trunk fails."""

import unittest

from support.far import by_pcap
from support.flood import KINDS, SOURCES, Flood
from support.lab import INSIDE, PINHOLE, Lab, wait_for
from support.sipp import Sipp

ALONE = True  # floods take the CPUs of others
TRUNK = "203.0.113.11"
RATE = 25
HOLD_MS = 4000  # a hundred calls at a time
FLOOD_PACKETS = 5000
GROWTH_KIB = 4096  # of a process, over all floods


def with_server(config):
    """The server inside is reached by the address of Pinhole."""
    config["nat"] = {"forwards": [{"protocol": protocol, "external": f"{PINHOLE}:5060", "inside": f"{INSIDE}:5060"}
                                  for protocol in ("udp", "tcp")]}
    config["sip"] = {"calls_per_worker": 1024}


class Floods(unittest.TestCase):

    def _flooded(self, lab, kinds):
        with lab:
            lab.start()
            mac = next(row["mac"] for row in lab.ctl("status")["interfaces"] if row["name"] == "outside")
            Sipp(lab, lab.inside, "answerer", INSIDE, 5060, calls=100_000)
            trunk = Sipp(lab, lab.outside, "caller", TRUNK, 5060, remote=f"{PINHOLE}:5060", calls=100_000, rate=RATE,
                         hold_ms=HOLD_MS, limit=1000)
            wait_for("a hundred calls", lambda: lab.gauges()["calls"] >= RATE * HOLD_MS // 1000)
            before = {process: process.memory_kib() for process in (lab.dataplane, lab.control)}
            for kind in kinds:
                for sources in SOURCES:
                    enough = lab.counters()["rx_packets"] + FLOOD_PACKETS
                    flood = Flood(lab, lab.outside, kind, sources, PINHOLE, 5060, mac)
                    wait_for(f"{kind} from {sources} sources", lambda e=enough: lab.counters()["rx_packets"] > e, 30)
                    flood.stop()
            for process, memory in before.items():
                self.assertLess(process.memory_kib() - memory, GROWTH_KIB, process.name)
            wait_for("calls that began during the floods to end", lambda: trunk.statistics()["SuccessfulCall"] > 4 * RATE, 20)
            self.assertEqual(trunk.statistics()["FailedCall"], 0, trunk.errors())
            banned = [row["prefix"] for row in lab.ctl("ban", "list")["bans"]]
            self.assertEqual([prefix for prefix in banned if prefix.startswith(TRUNK)], [])

    def test_sip(self):
        """floods: INVITE, REGISTER, OPTIONS, what cannot be read and SYNs, from 1, 1,000 and 100,000 spoofed sources"""
        self._flooded(Lab(1, with_server), [kind for kind in KINDS if kind != "fragment"])

    def test_fragments(self):
        """floods: fragments without a first one, from 1, 1,000 and 100,000 spoofed sources"""
        self._flooded(Lab(1, by_pcap(with_server)), ["fragment"])
