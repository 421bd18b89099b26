# SPDX-License-Identifier: BSD-3-Clause
"""Either process may die: the other goes on, and the pair finds together again."""

import datetime
import os
import random
import time
import unittest

from support.lab import INSIDE, OUTSIDE, Lab, wait_for
from support.media import Media
from support.phone import Dialog, Phone
from support.sipp import MEDIA_STEP, RTP_PACKETS, Sipp
from test_registrations import IDLE_S, REGISTRAR, SILENCE_S, Site, short

CALLS = 40
KILLS = 50
BANNED, ALLOWED = "198.51.100.66", "198.51.100.67"
LONG_CALLS = 20  # live through all kills
TICKS = datetime.timedelta(milliseconds=250)  # workers write moments down in tenths of a second
GRANTED_S = 60  # to phones that register: longer than the test needs
SHORT_CALLS = 1000  # begin and end all the time; more than there is time for


class Restart(unittest.TestCase):

    # [AC-28]
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

    # [AC-28]
    def test_kills(self):
        """restart: control is killed at 50 random moments while calls begin and end; each time it has all that live"""
        seed = int(os.environ.get("PINHOLE_SEED") or random.SystemRandom().getrandbits(32))
        chance = random.Random(seed)
        with self.subTest(f"PINHOLE_SEED={seed}"), Lab(workers=2) as lab:
            lab.start()
            Sipp(lab, lab.outside, "answerer", OUTSIDE, 5060, calls=LONG_CALLS + SHORT_CALLS)
            steady = Sipp(lab, lab.inside, "caller", "10.77.0.12", 5060, remote=f"{OUTSIDE}:5060", calls=LONG_CALLS,
                          rate=LONG_CALLS, hold_ms=600_000, media_port=20000)
            lab.ctl("ban", "add", BANNED, "--seconds", 3600, "--note", "kept")
            lab.ctl("allow", "add", ALLOWED)
            bans, allowed = self._bans(lab), lab.ctl("allow", "list")
            known = self._facts(wait_for("the long calls", lambda: self._confirmed(lab, LONG_CALLS)))
            busy = Sipp(lab, lab.inside, "caller", "10.77.0.11", 5060, remote=f"{OUTSIDE}:5060", calls=SHORT_CALLS,
                        rate=15, hold_ms=500, media_port=40000)
            for kill in range(KILLS):
                time.sleep(chance.uniform(0, 0.4))
                lab.control.kill()
                time.sleep(chance.uniform(0, 0.2))
                lab.start_control()
                lab.wait_up(10)
                self.assertEqual((self._bans(lab)[0], lab.ctl("allow", "list")), (bans[0], allowed), f"after kill {kill}")
                self.assertLess(abs(self._bans(lab)[1] - bans[1]), TICKS, f"after kill {kill}")
                rows = lab.ctl("calls", "--limit", 1000)["calls"]
                again = self._facts(row for row in rows if row["inside"].startswith("10.77.0.12:"))
                self.assertEqual(again.keys(), known.keys(), f"after kill {kill}")
                for call, facts in again.items():
                    self.assertEqual(facts[0], known[call][0], f"after kill {kill}")
                    for moment, before in zip(facts[1], known[call][1]):
                        self.assertLess(abs(moment - before), TICKS, f"after kill {kill}")
            self.assertTrue(busy.running())
            busy.stop()
            self.assertEqual(busy.statistics()["FailedCall"], 0, busy.errors())
            self.assertEqual(steady.statistics()["FailedCall"], 0, steady.errors())
            wait_for("the short calls to be over and the long ones to be left",
                     lambda: len(lab.ctl("calls", "--limit", 1000)["calls"]) == LONG_CALLS == lab.gauges()["calls"])
            wait_for("the ports of the short calls to shut", lambda: lab.gauges()["pinholes"] == 2 * LONG_CALLS)

    @staticmethod
    def _bans(lab):
        """What there is to say of the only ban, and its end."""
        (row,) = lab.ctl("ban", "list")["bans"]
        return ([row[name] for name in ("prefix", "reason", "level", "detail")],
                datetime.datetime.fromisoformat(row["until"].replace("Z", "+00:00")))

    @staticmethod
    def _facts(rows):
        """What control must say of a call again, whenever it is asked, and its moments, by the call's id."""
        return {row["id"]: ([row[name] for name in ("call_id", "state", "inside", "external", "remote", "pinholes")],
                            [datetime.datetime.fromisoformat(row[name].replace("Z", "+00:00"))
                             for name in ("started", "answered")]) for row in rows}

    @staticmethod
    def _confirmed(lab, count):
        """The live calls, when there are that many and all are confirmed."""
        rows = lab.ctl("calls", "--limit", 1000)["calls"]
        return rows if len(rows) == count and all(row["state"] == "confirmed" for row in rows) else None

    # [AC-01][AC-28]
    def test_registrations(self):
        """restart: registered phones are called while control is gone and after it, for as long as was granted"""
        with Lab(workers=2, configure=short) as lab:
            lab.start()
            site = Site(lab, GRANTED_S)
            phones = [site.phone(host, f"phone{host}") for host in range(10, 14)]
            for phone in phones:
                site.register(phone)
            registered = time.monotonic()
            lab.control.kill()
            time.sleep(SILENCE_S)
            site.call(phones[0].user, phones[:1])
            lab.start_control()
            lab.wait_up(10)
            rows = {row["inside"]: row for row in lab.ctl("registrations")["registrations"]}
            left = GRANTED_S - (time.monotonic() - registered)
            self.assertEqual(set(rows), {f"{phone.address}:5060" for phone in phones})
            for row in rows.values():
                self.assertLess(abs(row["expires_s"] - left), 2, row)
            for phone in phones:
                site.call(phone.user, [phone])
            gone = phones[-1]
            self.assertEqual(gone.register(REGISTRAR, expires=0).status, 200)
            site.shuts(site.contacts[gone.user][0], gone, IDLE_S + 8)
            wait_for("control to hear of it", lambda: len(lab.ctl("registrations")["registrations"]) == len(phones) - 1)

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
