# SPDX-License-Identifier: BSD-3-Clause
"""Either process may die: the other goes on, and the pair finds together again."""

import time
import unittest

from support.lab import INSIDE, OUTSIDE, Lab, wait_for
from support.media import Media
from support.phone import Dialog, Phone
from support.sipp import MEDIA_STEP, RTP_PACKETS, Sipp

CALLS = 40


class Restart(unittest.TestCase):

    def test_control(self):
        """restart: control is killed during calls; media and new calls go on; it lists every live call again"""
        with Lab(workers=2) as lab:
            lab.start()
            hears = Media(lab, lab.inside, INSIDE, 20000, CALLS, MEDIA_STEP)
            echoes = Media(lab, lab.outside, OUTSIDE, 30000, CALLS, MEDIA_STEP, echo=True)
            answerer = Sipp(lab, lab.outside, "answerer", OUTSIDE, 5060, calls=CALLS, media_port=30000)
            caller = Sipp(lab, lab.inside, "caller", INSIDE, 5060, remote=f"{OUTSIDE}:5060", calls=CALLS, rate=20,
                          hold_ms=9000, media_port=20000, play=True)
            known = wait_for("the first calls", lambda: self._live(lab, 10))
            lab.control.kill()
            self.assertIsNone(lab.dataplane_state())
            time.sleep(3)
            lab.start_control()
            lab.wait_up(5)
            back = wait_for("every live call", lambda: self._live(lab, CALLS), 3)
            self.assertEqual(known - back, set(), "the same call has the same id after a restart")
            states = {row["state"] for row in lab.ctl("calls", "--limit", CALLS)["calls"]}
            self.assertEqual(states, {"confirmed"})
            caller.wait(30)
            answerer.wait(10)
            caller.check(self, CALLS)
            answerer.check(self, CALLS)
            for heard in (hears.stop(), echoes.stop()):
                self.assertEqual([row["packets"] for row in heard.values()], [RTP_PACKETS] * CALLS)
            wait_for("the media ports to shut", lambda: lab.gauges()["pinholes"] == 0, 10)

    @staticmethod
    def _live(lab, count):
        """The ids of the live calls, when there are that many."""
        rows = lab.ctl("calls", "--limit", 1000)["calls"]
        return {row["id"] for row in rows} if len(rows) >= count else None

    def test_dataplane(self):
        """restart: the data plane is killed; control says so within 2 s, and both are a pair again by themselves"""
        with Lab() as lab:
            lab.start()
            self._call(lab)
            lab.dataplane.kill()
            began = time.monotonic()
            wait_for("control to notice", lambda: lab.dataplane_state() == "lost", 2)
            self.assertLess(time.monotonic() - began, 2.0)
            self.assertIn("lost", lab.ctl_text("status"))
            reply = lab.ctl_run("mappings")
            self.assertNotEqual(reply.returncode, 0)
            control = lab.control.pid
            lab.start_dataplane()
            lab.wait_up(15)
            self.assertTrue(lab.control.alive())
            self.assertEqual(lab.control.pid, control)
            self._call(lab)

    def _call(self, lab):
        with Phone(lab.inside, INSIDE, user="caller") as caller, \
                Phone(lab.outside, OUTSIDE, user="answerer") as answerer:
            dialog = Dialog(self, caller, answerer, (OUTSIDE, 5060), 20000, 30000)
            dialog.invite()
            dialog.accept()
            wait_for("the call to be listed", lambda: self._live(lab, 1), 3)
            dialog.hang_up()
            wait_for("the call to end", lambda: not lab.ctl("calls")["calls"], 12)
