# SPDX-License-Identifier: BSD-3-Clause
"""The data plane between ports of shared memory (net_memif), with pinhole-gen at both ends.

Function, not speed: a low pace at which nothing may be lost, damaged, sent twice or given another mapping.
"""

import json
import subprocess
import unittest

from support.lab import INSIDE, INSIDE_GATEWAY, OUTSIDE, PINHOLE, Lab, build_directory, wait_for

ALONE = True  # what generates its packets never waits


def memif(role, number, lab):
    return f"net_memif{number},role={role},id={number},socket={lab}"


class Wire(unittest.TestCase):

    def lab(self, mappings):
        """A lab whose gateway has memif ports instead of veth pairs; sockets are abstract, so its namespace holds
        them."""
        def configure(config):
            for number, interface in enumerate(config["interfaces"]):
                interface["device"] = memif("server", number, "wire")
            config["routes"] = [{"prefix": "10.0.0.0/16", "via": INSIDE}]
            config["nat"] = {"mappings_per_worker": mappings}
        return Lab(configure=configure)

    def generate(self, lab, *arguments):
        """Runs pinhole-gen. Returns its exit status, its figures and what it said.

        The data plane ends before the generator leaves: DPDK's memif driver may crash whoever polls meanwhile.
        """
        figures = lab.directory / "figures.json"
        command = [build_directory() / "tests/bench/gen/pinhole-gen", "--inside", memif("client", 0, "wire"),
                   "--outside", memif("client", 1, "wire"), "--inside-own", INSIDE, "--inside-gateway", INSIDE_GATEWAY,
                   "--outside-own", OUTSIDE, "--outside-gateway", PINHOLE, "--no-huge", "--memory-mb", 64, "--cpu", 0,
                   "--json", figures, "--warm-up-pps", 4000, "--stay", *arguments]
        with lab.gateway.start(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as generator:
            try:
                wait_for("the figures of pinhole-gen", lambda: figures.exists() or generator.poll() is not None, 60)
                counters = lab.counters()
                self.assertEqual(lab.dataplane.stop(), 0)
                said = generator.communicate(timeout=20)[0]
            finally:
                generator.kill()
        return generator.returncode, json.loads(figures.read_text(encoding="utf-8")), said, counters

    def pass_both_ways(self, size):
        with self.lab(4096) as lab:
            lab.start()
            status, figures, said, counters = self.generate(lab, "--flows", 1000, "--seconds", 1, "--frame-bytes",
                                                            size, 4000)
            self.assertEqual(status, 0, said)
            (step,) = figures["steps"]
            for direction in ("outbound", "inbound"):
                result = step[direction]
                self.assertGreater(result["received"], 1000)
                self.assertEqual(result["received"], result["sent"])
                self.assertEqual(sum(result["faults"].values()), 0)
            self.assertEqual(counters["mapping_live"], 1000)

    def test_small_frames(self):
        """wire: 1,000 flows pass both ways over memif in 65-byte frames, every packet whole and once"""
        self.pass_both_ways(65)

    def test_large_frames(self):
        """wire: 1,000 flows pass both ways over memif in 1,518-byte frames, every packet whole and once"""
        self.pass_both_ways(1518)

    def test_generator_sees_refusal(self):
        """wire: pinhole-gen ends with 2 and one sentence when flows get no mapping"""
        with self.lab(64) as lab:
            lab.start()
            status, figures, said, _ = self.generate(lab, "--flows", 200, "--seconds", 1, 1000)
            self.assertEqual(status, 2, said)
            self.assertRegex(figures["error"], "got no mapping|not a packet of the generator")
            self.assertEqual(said.count("\n"), 1, said)
