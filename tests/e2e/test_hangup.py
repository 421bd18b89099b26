# SPDX-License-Identifier: BSD-3-Clause
"""Calls that are hung up by Pinhole: both ends get a BYE that they accept, and no phone hangs on a dead call."""

import contextlib
import unittest

from support import capture
from support.kamailio import Kamailio
from support.lab import INSIDE, INSIDE2, OUTSIDE, PINHOLE, Lab, wait_for
from support.phone import Phone
from support.sipp import SCENARIOS, Sipp

CALLS = 10
HOLD_MS = 60000  # longer than any test: who calls waits to be hung up as well
ALICE = "203.0.113.13"
BYE = '<recv request="BYE"'


def soon_over(config):
    """Ended calls shut their ports within a second instead of four."""
    config["control"]["linger_s"] = 1


def forward(protocol):
    """Calls in reach a server inside by a forwarded port."""
    def configure(config):
        soon_over(config)
        config["nat"] = {"forwards": [
            {"protocol": protocol, "external": f"{PINHOLE}:5060", "inside": f"{INSIDE}:5060"}]}
    return configure


def waiting_caller():
    """The scenario of a caller who is hung up: it ends like that of who is called."""
    caller = (SCENARIOS / "caller.xml").read_text(encoding="utf-8")
    answerer = (SCENARIOS / "answerer.xml").read_text(encoding="utf-8")
    return caller[:caller.index("<!-- PLAY_RTP -->")] + answerer[answerer.index(BYE):]


def caller_by_proxy():
    """The same for a caller whose ACK goes by way of the proxies that have put themselves on it."""
    own_route = "      Record-Route: <sip:[local_ip]:[local_port];lr>\n"
    begin, ack, end = waiting_caller().replace(own_route, "").partition("      ACK [next_url] SIP/2.0\n")
    return begin + ack + "      [routes]\n" + end


class HangUp(unittest.TestCase):

    def _live(self, lab, calls):
        """The calls, once all of them are confirmed."""
        def confirmed():
            rows = lab.ctl("calls")["calls"]
            return rows if [row["state"] for row in rows] == ["confirmed"] * calls else None
        return wait_for(f"{calls} confirmed calls", confirmed, 20)

    def _hang_up(self, lab, rows):
        for row in rows:
            self.assertEqual(lab.ctl("hangup", row["id"])["state"], "confirmed")

    def _are_over(self, lab, rows, byes):
        """All BYEs were answered the first time, and nothing is left of the calls."""
        wait_for("the calls to be closed", lambda: lab.gauges()["calls"] == 0, 20)
        counters = lab.counters()
        self.assertEqual({name: counters[name] for name in ("sip_bye_sent", "sip_bye_answered", "sip_bye_again",
                                                            "sip_bye_impossible")},
                         {"sip_bye_sent": byes, "sip_bye_answered": byes, "sip_bye_again": 0,
                          "sip_bye_impossible": 0})
        self.assertEqual(counters["drop_sip_own"], byes)
        reasons = [row["end_reason"] for row in lab.ctl("calls", "--all")["calls"]]
        self.assertEqual(reasons.count("operator"), len(rows), reasons)
        self.assertEqual(lab.gauges()["pinholes"], 0)

    def _play(self, lab, caller_at, callee_at, remote, transport=None):
        """Calls between two SIPps of which neither hangs up. `…_at` is (namespace, address, port)."""
        answerer = Sipp(lab, callee_at[0], "answerer", *callee_at[1:], calls=CALLS, media_port=30000,
                        transport=transport and "t1")
        if transport:
            wait_for("SIPp to listen", lambda: f"{callee_at[1]}:5060 " in callee_at[0].run("ss", "-ltnH").stdout)
        caller = Sipp(lab, caller_at[0], "caller", *caller_at[1:], remote=remote, calls=CALLS, hold_ms=HOLD_MS,
                      media_port=20000, text=waiting_caller(), transport=transport)
        rows = self._live(lab, CALLS)
        self._hang_up(lab, rows)
        for sipp in (caller, answerer):
            sipp.wait(20)
            sipp.check(self, CALLS)
        self._are_over(lab, rows, 2 * CALLS)

    def _out(self, workers, transport=None):
        with Lab(workers, soon_over) as lab:
            lab.start()
            link = capture.Capture(lab, lab.outside, "outside")
            self._play(lab, (lab.inside, INSIDE, 5060), (lab.outside, OUTSIDE, 5060), f"{OUTSIDE}:5060", transport)
            self.assertEqual(capture.problems(link.stop())[:5], [])

    def _in(self, workers, transport=None):
        with Lab(workers, forward("tcp" if transport else "udp")) as lab:
            lab.start()
            link = capture.Capture(lab, lab.outside, "outside")
            self._play(lab, (lab.outside, ALICE, 5062), (lab.inside, INSIDE, 5060), f"{PINHOLE}:5060", transport)
            self.assertEqual(capture.problems(link.stop())[:5], [])

    def test_out(self):
        """hangup: calls out by UDP end at both ends, through one worker and through two"""
        for workers in (1, 2):
            with self.subTest(workers=workers):
                self._out(workers)

    def test_in(self):
        """hangup: calls in by UDP end at both ends, through one worker and through two"""
        for workers in (1, 2):
            with self.subTest(workers=workers):
                self._in(workers)

    def test_out_over_tcp(self):
        """hangup: calls out over one connection, and over one for each, end at both ends"""
        for workers, transport in ((1, "t1"), (2, "tn")):
            with self.subTest(workers=workers, transport=transport):
                self._out(workers, transport)

    def test_in_over_tcp(self):
        """hangup: calls in over one connection, and over one for each, end at both ends"""
        for workers, transport in ((2, "t1"), (1, "tn")):
            with self.subTest(workers=workers, transport=transport):
                self._in(workers, transport)

    def _by_proxy(self, lab, caller_at, callee_at, rows):
        """A call by way of Kamailio outside, which stays on it by Record-Route. `…_at` is (namespace, address)."""
        Kamailio(lab, lab.outside, OUTSIDE)
        with Phone(*callee_at, user="answerer") as phone:
            phone.register((OUTSIDE, 5060))
        answerer = Sipp(lab, callee_at[0], "answerer", callee_at[1], 5060, calls=1, media_port=30000)
        caller = Sipp(lab, caller_at[0], "caller", caller_at[1], 5060, remote=f"{OUTSIDE}:5060", calls=1,
                      hold_ms=HOLD_MS, media_port=20000, text=caller_by_proxy())
        live = self._live(lab, rows)
        self._hang_up(lab, live[:1])
        for sipp in (caller, answerer):
            sipp.wait(20)
            sipp.check(self, 1)
        self._are_over(lab, live[:1], 2)

    def test_by_proxy(self):
        """hangup: calls out and in by way of Kamailio, with Record-Route, end at both ends"""
        for workers, out in ((1, True), (2, False)):
            with self.subTest(workers=workers, out=out), Lab(workers, soon_over) as lab:
                lab.start()
                inside, outside = (lab.inside, INSIDE), (lab.outside, ALICE)
                self._by_proxy(lab, *((inside, outside) if out else (outside, inside)), rows=1)

    def test_local(self):
        """hangup: a call between two phones inside by way of Kamailio outside ends at both ends"""
        with Lab(2, soon_over, hosts=2) as lab:
            lab.start()
            self._by_proxy(lab, (lab.inside, INSIDE), (lab.inside2, INSIDE2), rows=2)

    def test_nobody_there(self):
        """hangup: when the other side is gone, the one that is there gets its BYE and the call ends all the same"""
        with Lab(1, soon_over) as lab:
            lab.start()
            answerer = Sipp(lab, lab.outside, "answerer", OUTSIDE, 5060, calls=1, media_port=30000)
            caller = Sipp(lab, lab.inside, "caller", INSIDE, 5060, remote=f"{OUTSIDE}:5060", calls=1, hold_ms=HOLD_MS,
                          media_port=20000, text=waiting_caller())
            rows = self._live(lab, 1)
            answerer.close()
            self._hang_up(lab, rows)
            caller.wait(20)
            caller.check(self, 1)
            wait_for("the call to be closed", lambda: lab.gauges()["calls"] == 0, 30)
            counters = lab.counters()
            self.assertEqual(counters["sip_bye_answered"], 1)
            self.assertGreaterEqual(counters["sip_bye_again"], 1)
            self.assertEqual(lab.ctl("call", rows[0]["id"])["call"]["end_reason"], "operator")

    def test_over_and_unknown(self):
        """hangup: what is over or unknown is told so, and a call that rings is closed"""
        with Lab(1, soon_over) as lab, contextlib.ExitStack() as stack:
            lab.start()
            caller = stack.enter_context(Phone(lab.inside, INSIDE, user="caller"))
            caller.request("INVITE", "sip:answerer@voice.example", (OUTSIDE, 5060), call_id="rings@voice.example",
                           cseq=1, to="sip:answerer@voice.example", from_tag="a")
            row = wait_for("the call", lambda: lab.ctl("calls")["calls"])[0]
            self.assertEqual(lab.ctl("hangup", row["id"])["state"], "inviting")
            # A call that is being ended is not among the live ones, and has not ended.
            reason = wait_for("the call to be closed", lambda: lab.ctl("call", row["id"])["call"]["end_reason"])
            self.assertEqual(reason, "operator")
            self.assertEqual(lab.counters()["sip_bye_sent"], 0)
            for call in (row["id"], "nobody"):
                self.assertNotEqual(lab.ctl_run("hangup", call).returncode, 0)
