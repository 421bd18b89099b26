# SPDX-License-Identifier: BSD-3-Clause
"""SIP over TCP through real stacks: calls, cut messages, a network that loses and reorders, and what is not SIP."""

import unittest

from support import capture
from support.lab import INSIDE, OUTSIDE, PINHOLE, Lab, wait_for
from support.sipp import Sipp

CALLS = 40


class SipOverTcp(unittest.TestCase):

    def _calls(self, lab, transport, calls=CALLS, seconds=90):
        answerer = Sipp(lab, lab.outside, "answerer", OUTSIDE, 5060, calls=calls, media_port=30000, transport="t1")
        caller = Sipp(lab, lab.inside, "caller", INSIDE, 5060, remote=f"{OUTSIDE}:5060", calls=calls, rate=10,
                      hold_ms=500, transport=transport)
        caller.wait(seconds)
        caller.check(self, calls)
        answerer.wait(20)
        answerer.check(self, calls)

    def _are_translated(self, counters, calls=CALLS):
        self.assertEqual(counters["call_opened"], calls)
        self.assertGreaterEqual(counters["sip_edited"], 3 * calls, "INVITE, ACK and BYE of each call name the inside")
        self.assertEqual(counters["sip_not_sip"], 0)
        self.assertEqual(counters["stream_not_sip"], 0)
        self.assertEqual(counters["stream_given_up"], 0)

    def test_calls(self):
        """sip over tcp: calls over one connection, and over one for each; nothing of the inside is seen outside"""
        for transport in ("t1", "tn"):
            with self.subTest(transport=transport), Lab(workers=2) as lab:
                lab.start()
                link = capture.Capture(lab, lab.outside, "outside")
                self._calls(lab, transport)
                self.assertEqual(capture.problems(link.stop())[:5], [])
                self._are_translated(lab.counters())




