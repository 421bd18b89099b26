# SPDX-License-Identifier: BSD-3-Clause
"""What is measured of the media of calls: loss, jitter and gaps, in their records and on the control socket."""

import time
import unittest

from support.call_log import CallLog, with_call_log
from support.lab import INSIDE, OUTSIDE, Lab, wait_for
from support.media import Media
from support.rough import LossyWire
from support.sipp import MEDIA_STEP, RTP_PACKETS, Sipp

CALLS, HOLD_MS = 10, 6000
ALONE = True  # nothing but its wires may lose anything
RTP_BYTES = 20 + 8 + 12 + 160
NUMBERS = range(RTP_PACKETS)


def lost_inside(number):
    return number % 7 == 3


def lost_outside(number):
    return number % 10 == 5


def late_outside(number):
    return number % 10 == 8


def with_measuring(config):
    config["calls"] = {"measure": True}
    with_call_log(config)


class Measure(unittest.TestCase):
    """The phone inside plays RTP to an echo outside. What is lost inside is missing both ways, what is lost outside on
    the way back: neither the first nor the last packet."""

    OUT_LOST = sum(map(lost_inside, NUMBERS))
    IN_LOST = sum(lost_inside(number) or lost_outside(number) for number in NUMBERS)

    def _calls(self, lab, meanwhile=lambda: None):
        """Lets the calls talk, and returns their records."""
        LossyWire(lab, "inside", lost_inside)
        LossyWire(lab, "outside", lost_outside, late_outside)
        lab.start()
        Media(lab, lab.inside, INSIDE, 20000, CALLS, MEDIA_STEP)
        Media(lab, lab.outside, OUTSIDE, 30000, CALLS, MEDIA_STEP, echo=True)
        Sipp(lab, lab.outside, "answerer", OUTSIDE, 5060, calls=CALLS, media_port=30000)
        caller = Sipp(lab, lab.inside, "caller", INSIDE, 5060, remote=f"{OUTSIDE}:5060", calls=CALLS, rate=20,
                      hold_ms=HOLD_MS, media_port=20000, play=True)
        meanwhile()
        caller.wait(60)
        caller.check(self, CALLS)
        records = CallLog(lab).wait(CALLS, 20)
        self.assertEqual(len(records), CALLS)
        return records

    def _is_right(self, record):
        rtp, rtcp = record["media"]
        out, back = rtp["rtp_out"], rtp["rtp_in"]
        self.assertEqual((out["packets"], out["lost"]), (RTP_PACKETS - self.OUT_LOST, self.OUT_LOST), record)
        self.assertEqual((back["packets"], back["lost"]), (RTP_PACKETS - self.IN_LOST, self.IN_LOST), record)
        for row, lost, way in ((out, self.OUT_LOST, "out"), (back, self.IN_LOST, "in")):
            self.assertAlmostEqual(row["loss"], lost / RTP_PACKETS, places=6)
            self.assertEqual((row["repeated"], row["sources"]), (0, 1), record)
            self.assertEqual(rtp[f"packets_{way}"], row["packets"])
            self.assertEqual(rtp[f"bytes_{way}"], row["packets"] * RTP_BYTES)
            self.assertLessEqual(row["jitter_ms"], row["jitter_max_ms"])
        # Packets are 20 ms apart, and of ten one is lost and another one comes 50 ms late.
        self.assertGreater(back["jitter_max_ms"], 4, record)
        self.assertLess(back["jitter_max_ms"], 50, record)
        self.assertGreater(back["gap_max_ms"], 35, record)
        self.assertGreater(out["gap_max_ms"], 35, record)
        self.assertEqual((rtcp["rtp_out"], rtcp["rtp_in"], rtcp["bytes_out"], rtcp["bytes_in"]), (None, None, 0, 0))

    def _loss(self, workers):
        with Lab(workers, with_measuring) as lab:
            for record in self._calls(lab):
                self._is_right(record)
                self.assertEqual(lab.ctl("call", record["id"])["media"], record["media"])
            text = lab.ctl_text("call", record["id"])
            self.assertIn(f"{100 * self.OUT_LOST / RTP_PACKETS:.2f} %", text)
            self.assertIn(f"{100 * self.IN_LOST / RTP_PACKETS:.2f} %", text)
            self.assertGreater(lab.counters()["express"], CALLS * RTP_PACKETS, "measured media keeps its fast path")

    def test_one_worker(self):
        """measure: every packet that the wires lose is missing in the records, each way by itself, one worker"""
        self._loss(1)

    def test_two_workers(self):
        """measure: every packet that the wires lose is missing in the records, each way by itself, two workers"""
        self._loss(2)

    # [AC-28]
    def test_control_killed(self):
        """measure: control is killed and started again while media flows; nothing is missing in what was measured"""
        with Lab(2, with_measuring) as lab:
            def kill():
                wait_for("the calls", lambda: lab.gauges()["calls"] == CALLS)
                time.sleep(0.5)
                lab.control.kill()
                time.sleep(0.5)
                lab.start_control()
                lab.wait_up()
            for record in self._calls(lab, kill):
                self._is_right(record)
