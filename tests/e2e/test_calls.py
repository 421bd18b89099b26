# SPDX-License-Identifier: BSD-3-Clause
"""Many calls at once, with media both ways, through one, two and three workers."""

import collections
import unittest

from support import capture
from support.lab import OUTSIDE, PINHOLE, Lab
from support.media import Media
from support.sipp import MEDIA_STEP, RTP_PACKETS, Sipp

CALLS = 200
RATE = 20
HOLD_MS = 3000
CALLER_MEDIA = 20000
ANSWERER_MEDIA = 30000
CALLERS = [f"10.77.0.{host}" for host in (10, 11, 12, 13, 14)]  # every worker owns one of them at least
SHARE = CALLS // len(CALLERS)


class Calls(unittest.TestCase):

    def _two_hundred_calls(self, workers):
        with Lab(workers) as lab:
            lab.start()
            link = capture.Capture(lab, lab.outside, "outside")
            hears = [Media(lab, lab.inside, address, CALLER_MEDIA, SHARE, MEDIA_STEP) for address in CALLERS]
            echoes = Media(lab, lab.outside, OUTSIDE, ANSWERER_MEDIA, CALLS, MEDIA_STEP, echo=True)
            answerer = Sipp(lab, lab.outside, "answerer", OUTSIDE, 5060, calls=CALLS, media_port=ANSWERER_MEDIA)
            callers = [Sipp(lab, lab.inside, "caller", address, 5060, remote=f"{OUTSIDE}:5060", calls=SHARE,
                            rate=RATE // len(CALLERS), hold_ms=HOLD_MS, media_port=CALLER_MEDIA, play=True)
                       for address in CALLERS]
            for caller in callers:
                caller.wait(60)
                caller.check(self, SHARE)
            answerer.wait(10)
            answerer.check(self, CALLS)
            counters, rows = lab.counters(), lab.ctl("workers")["workers"]
            for heard in hears:
                self._media_arrived(heard.stop(), CALLER_MEDIA, SHARE)
            outside = echoes.stop()
            self._media_arrived(outside, ANSWERER_MEDIA, CALLS)
            for port, row in outside.items():
                self.assertEqual(len(row["senders"]), 1, f"{port} heard {row['senders']}")
            captured = link.stop()
            self.assertEqual(capture.problems(captured)[:5], [])
            self._each_call_had_ports_of_its_own(captured)
            self.assertEqual(counters["call_opened"], CALLS)
            self.assertEqual(counters["event_lost"], 0)
            self.assertEqual([row["worker"] for row in rows if row["translated_out"] > 0], list(range(workers)))

    def _media_arrived(self, heard, first, calls):
        """Every packet of every call, at the port of its own."""
        wrong = {port: heard.get(port, {}).get("packets", 0)
                 for port in range(first, first + calls * MEDIA_STEP, MEDIA_STEP)
                 if heard.get(port, {}).get("packets") != RTP_PACKETS}
        self.assertEqual(wrong, {}, f"RTP packets heard, by port: {RTP_PACKETS} were sent to each")

    def _each_call_had_ports_of_its_own(self, captured):
        """An external port may serve a call only after the call before it is over."""
        used = collections.defaultdict(dict)
        for packet in capture.packets(captured):
            if packet.source == PINHOLE and packet.target_port >= ANSWERER_MEDIA:
                first, _ = used[packet.source_port].get(packet.target_port, (packet.time, None))
                used[packet.source_port][packet.target_port] = (first, packet.time)
        self.assertEqual(sum(map(len, used.values())), CALLS)
        self.assertEqual([port for port in used if port % 2], [], "RTP from odd ports")
        for port, calls in used.items():
            spans = sorted(calls.values())
            for (_, end), (begin, _) in zip(spans, spans[1:]):
                self.assertLess(end, begin, f"two calls shared the external port {port}")

    # [AC-09]
    def test_one_worker(self):
        """calls: 200 calls with RTP through one worker; nothing fails, is repeated, is lost or leaks"""
        self._two_hundred_calls(1)

    # [AC-09]
    def test_two_workers(self):
        """calls: 200 calls with RTP through two workers; nothing fails, is repeated, is lost or leaks"""
        self._two_hundred_calls(2)

    # [AC-09]
    def test_three_workers(self):
        """calls: 200 calls with RTP through three workers; nothing fails, is repeated, is lost or leaks"""
        self._two_hundred_calls(3)
