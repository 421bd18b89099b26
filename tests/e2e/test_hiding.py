# SPDX-License-Identifier: BSD-3-Clause
"""Topology hiding: what the outside is told of the inside by whole calls each way, and that each side has its own back."""

import collections
import re
import unittest

from support import capture
from support.lab import INSIDE, OUTSIDE, PINHOLE, Lab
from support.sipp import SCENARIOS, Sipp

CALLS = 5
SIP = 5060
INSIDE_PHONE, OUTSIDE_PHONE = "Inside-Phone/7.3", "Outside-Phone/9"
NAME = "Office"
KEY = "000102030405060708090a0b0c0d0e0f"
CALL_ID_WITH_HOST = ("-cid_str", "%u-%p@%s")  # SIPp puts its address there
# What stands outside in place of the inside's software.
SOFTWARE = {"keep": {INSIDE_PHONE}, "replace": {NAME}, "strip": set()}


def scenario(name, software):
    """One of tests/e2e/sipp that says what it is made by, and who it is by its address."""
    text = (SCENARIOS / f"{name}.xml").read_text(encoding="utf-8")
    kind = "User-Agent" if name == "caller" else "Server"
    text = text.replace("Contact:", f"{kind}: {software}\n      Contact:")
    return text.replace("@voice.example>;tag=", "@[local_ip]>;tag=")


def with_sip(**keys):
    def change(config):
        config["nat"] = {"forwards": [{"protocol": "udp", "external": f"{PINHOLE}:{SIP}", "inside": f"{INSIDE}:{SIP}"}]}
        config["sip"] = {"hide_key": KEY, "software_name": NAME, **keys}
    return change


def values(payload, *names):
    """What a message says in headers of these names."""
    pattern = rf"(?m)^(?:{'|'.join(names)}): *([^\r\n]*)"
    return re.findall(pattern, payload.split(b"\r\n\r\n")[0].decode())


def messages(captured):
    return [packet for packet in capture.packets(captured) if packet.protocol == capture.UDP and b"SIP/2.0" in packet.payload]


class Hiding(unittest.TestCase):

    def _calls(self, lab, caller, answerer, target):
        """Calls from one side to the other. Returns the SIP of both links and all that was on the outside one."""
        (calls, calls_from, says), (answers, answers_at, is_called) = caller, answerer
        links = [capture.Capture(lab, lab.inside, f"inside-{target}"), capture.Capture(lab, lab.outside, f"outside-{target}")]
        called = Sipp(lab, answers, "answerer", answers_at, SIP, calls=CALLS, text=scenario("answerer", is_called))
        calling = Sipp(lab, calls, "caller", calls_from, SIP, remote=f"{target}:{SIP}", calls=CALLS, hold_ms=200,
                       text=scenario("caller", says), more=CALL_ID_WITH_HOST)
        for sipp in (calling, called):
            sipp.wait(30)
            sipp.check(self, CALLS)
        inside, outside = capture.stop_all(links)
        return messages(inside), messages(outside), outside

    def _each_call_has_one_name(self, seen):
        """Both ways, in requests and in answers: a Call-ID and a From. Returns all of them."""
        named = collections.defaultdict(set)
        for packet in seen:
            [call_id], [sender] = values(packet.payload, "Call-ID"), values(packet.payload, "From")
            named[call_id].add(sender)
        self.assertEqual(len(named), CALLS)
        for call_id, senders in named.items():
            self.assertEqual(len(senders), 1, call_id)
        return [*named, *(sender for senders in named.values() for sender in senders)]

    def _software(self, seen, source):
        return {value for packet in seen if packet.source == source
                for value in values(packet.payload, "User-Agent", "Server")}

    def _both_ways(self, lab, software, hidden):
        inside_peer = (lab.inside, INSIDE, INSIDE_PHONE)
        outside_peer = (lab.outside, OUTSIDE, OUTSIDE_PHONE)

        inside, outside, frames = self._calls(lab, inside_peer, outside_peer, OUTSIDE)
        for text in self._each_call_has_one_name(inside):
            self.assertIn(INSIDE, text, "who is inside is to have his own back")
        for text in self._each_call_has_one_name(outside):
            self.assertEqual((INSIDE in text, ".invalid" in text), (not hidden, hidden), text)
        self._is_hidden(frames, inside, outside, software, hidden)

        inside, outside, frames = self._calls(lab, outside_peer, inside_peer, PINHOLE)
        self.assertEqual(self._each_call_has_one_name(inside), self._each_call_has_one_name(outside))
        self._is_hidden(frames, inside, outside, software, hidden)

    def _is_hidden(self, frames, inside, outside, software, hidden):
        if hidden:
            self.assertEqual(capture.problems(frames)[:5], [])
        self.assertEqual(self._software(outside, PINHOLE), SOFTWARE[software])
        said = b"".join(packet.payload for packet in outside)
        self.assertEqual(INSIDE_PHONE.encode() in said, software == "keep")
        self.assertEqual(self._software(inside, OUTSIDE), {OUTSIDE_PHONE}, "what comes in passes as it is")

    def test_whole_calls(self):
        """hiding: calls each way; outside sees neither software nor hosts of the inside, and each side has its own back"""
        # That nothing is hidden by default shows that these calls tell what there is to hide.
        for software, hidden in (("keep", False), ("replace", True), ("strip", True)):
            with self.subTest(software=software), Lab(workers=2, configure=with_sip(
                    software=software, hide_call_id=hidden, hide_parties=hidden)) as lab:
                lab.start()
                self._both_ways(lab, software, hidden)
