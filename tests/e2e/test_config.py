# SPDX-License-Identifier: BSD-3-Clause
"""A person's mistakes: each ends the process with status 2 and one sentence that names the place and the mend."""

import pathlib
import re
import subprocess
import unittest

from support.lab import Lab, build_directory

FREE_HUGEPAGES = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
RESERVED_HUGEPAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")


def unknown_key(config):
    config["workers"]["cuont"] = 2


def out_of_range(config):
    config["interfaces"][1]["mtu"] = 40


def overlapping(config):
    config["interfaces"][1]["address"] = "10.77.0.2/16"
    del config["interfaces"][1]["gateway"]


def no_such_port(config):
    config["interfaces"][0]["device"] = "net_af_packet0,iface=nowhere0,qpairs=1"


def too_much_memory(config):
    config["dpdk"]["memory_mb"] = 2 * int(FREE_HUGEPAGES.read_text(encoding="ascii")) + 1024


class Config(unittest.TestCase):
    """What each sentence must hold: the place in the document or the file, and a word of the mend."""

    def _sentence(self, lab, program, path):
        process = lab.gateway.start(build_directory() / program, "--config", path, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, text=True)
        try:
            _, errors = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.fail(f"{program} started with a wrong configuration")
        self.assertEqual(process.returncode, 2, errors)
        self.assertEqual(len(errors.splitlines()), 1, errors)
        return errors.strip()

    def _refused(self, program, expected, *, change=None, text=None, missing=False):
        with Lab() as lab:
            path = lab.directory / "wrong.json"
            if change:
                lab.write_config(lab.changed_config(change), path)
            elif not missing:
                path.write_text(text, encoding="utf-8")
            sentence = self._sentence(lab, program, path)
            for words in expected:
                self.assertIn(words, sentence)
            return sentence

    BOTH = "dataplane/pinhole-dataplane", "control/pinhole-control"

    def test_missing_file(self):
        """config: a missing file is named by both processes"""
        for program in self.BOTH:
            self._refused(program, ["wrong.json", "name a configuration file that exists"], missing=True)

    def test_broken_json(self):
        """config: broken JSON is reported with its line by both processes"""
        for program in self.BOTH:
            self._refused(program, ["wrong.json", "line 3"], text="{\n  \"workers\": {\n    \"count\": ,\n  }\n}\n")

    def test_unknown_key(self):
        """config: an unknown key is named with its path and the nearest known key by both processes"""
        for program in self.BOTH:
            self._refused(program, ["workers.cuont", "count"], change=unknown_key)

    def test_out_of_range(self):
        """config: a value out of range is named with its path and the range by both processes"""
        for program in self.BOTH:
            self._refused(program, ["interfaces[1].mtu", "40", "576", "9216"], change=out_of_range)

    def test_overlapping_subnets(self):
        """config: overlapping subnets are both named by both processes"""
        for program in self.BOTH:
            self._refused(program, ["interfaces[1].address", "interfaces[0]"], change=overlapping)

    def test_no_such_port(self):
        """config: a port that does not exist is named by the data plane"""
        self._refused("dataplane/pinhole-dataplane", ["interfaces[0].device", "nowhere0"], change=no_such_port)

    def test_too_few_hugepages(self):
        """config: too few hugepages are told by the data plane, with how many there must be"""
        sentence = self._refused("dataplane/pinhole-dataplane", ["dpdk.memory_mb", "hugepages"],
                                 change=too_much_memory)
        asked_for = int(re.search(r"vm\.nr_hugepages=(\d+)", sentence).group(1))
        reserved = int(RESERVED_HUGEPAGES.read_text(encoding="ascii"))
        self.assertGreater(asked_for, reserved + 256)
