# SPDX-License-Identifier: BSD-3-Clause
"""What a call took it gives back: ports, mappings, buffers, memory."""

import time
import unittest

from support.lab import INSIDE, OUTSIDE, PINHOLE, Lab, wait_for
from support.phone import Dialog, Phone
from support.sipp import Sipp

MANY_CALLS = 10_000
RATE = 150
SHUT_S = 10
QUIET_S = 3
BACKSTOP_S = 32  # a worker shuts the ports of an ended call by itself after so long, should control never say so


class Teardown(unittest.TestCase):

    def _by_hand(self, lab):
        """Two phones and their media sockets: RTP and RTCP of each."""
        caller = Phone(lab.inside, INSIDE, user="caller")
        answerer = Phone(lab.outside, OUTSIDE, user="answerer")
        media = [lab.inside.socket(address=INSIDE, port=port) for port in (20000, 20001)]
        media += [lab.outside.socket(address=OUTSIDE, port=port) for port in (30000, 30001)]
        for sock in media:
            self.addCleanup(sock.close)
        self.addCleanup(caller.socket.close)
        self.addCleanup(answerer.socket.close)
        return caller, answerer, media

    def _pass_both_ways(self, media, external):
        """RTP and RTCP from outside first, then from inside; each arrives at its own socket."""
        for offset in (0, 1):
            inner, outer = media[offset], media[2 + offset]
            outer.sendto(b"in %d" % offset, (PINHOLE, external + offset))
            self.assertEqual(inner.recvfrom(100), (b"in %d" % offset, (OUTSIDE, 30000 + offset)))
            inner.sendto(b"out %d" % offset, (OUTSIDE, 30000 + offset))
            self.assertEqual(outer.recvfrom(100), (b"out %d" % offset, (PINHOLE, external + offset)))

    def _assert_shuts(self, media, external):
        """Within SHUT_S seconds packets from outside no longer arrive, at RTP or RTCP, and go on not arriving."""
        began = time.monotonic()
        last = [began, began]
        while time.monotonic() < min(began + SHUT_S, max(last) + QUIET_S):
            for offset in (0, 1):
                media[2 + offset].sendto(b"probe", (PINHOLE, external + offset))
            time.sleep(0.1)
            for offset in (0, 1):
                media[offset].settimeout(0)
                try:
                    while True:
                        media[offset].recvfrom(100)
                        last[offset] = time.monotonic()
                except BlockingIOError:
                    pass
                media[offset].settimeout(2.0)
        self.assertGreater(time.monotonic(), max(last) + QUIET_S, "packets from outside still reach the phone")

    def test_bye(self):
        """teardown: RTP and RTCP pass during a call, and within 10 s of BYE no packet reaches the phone"""
        with Lab(workers=2) as lab:
            lab.start()
            caller, answerer, media = self._by_hand(lab)
            before = None
            for _ in range(2):
                dialog = Dialog(self, caller, answerer, (OUTSIDE, 5060), 20000, 30000)
                address, external = dialog.invite().media
                self.assertEqual((address, external % 2), (PINHOLE, 0))
                dialog.ring()
                self.assertEqual(dialog.accept().media, (OUTSIDE, 30000))
                self._pass_both_ways(media, external)
                live = lab.gauges()
                self.assertEqual((live["calls"], live["pinholes"]), (1, 2))
                dialog.hang_up()
                if before is None:  # the first call leaves its signalling mapping, the second nothing more
                    wait_for("the call to close", lambda: lab.gauges()["calls"] == 0, SHUT_S)
                    before = lab.gauges()
            self._assert_shuts(media, external)
            after = lab.gauges()
            self.assertEqual({**after, "mbufs": 0}, {**before, "mbufs": 0})
            self.assertEqual((after["pinholes"], after["ports"], after["mappings"]), (0, 1, 1))
            record = lab.ctl("calls", "--all")["calls"][0]
            self.assertEqual((record["state"], record["end_reason"]), ("ended", "bye"))

    def test_refused_and_cancelled(self):
        """teardown: a refused and a cancelled call shut their media ports too"""
        for end, reason in ((Dialog.refuse, "failed"), (Dialog.cancel, "cancelled")):
            with Lab() as lab:
                lab.start()
                caller, answerer, media = self._by_hand(lab)
                dialog = Dialog(self, caller, answerer, (OUTSIDE, 5060), 20000, 30000)
                external = dialog.invite().media[1]
                media[2].sendto(b"early", (PINHOLE, external))
                self.assertEqual(media[0].recv(100), b"early")
                dialog.ring()
                end(dialog)
                self._assert_shuts(media, external)
                self.assertEqual(lab.gauges()["pinholes"], 0)
                self.assertEqual(lab.ctl("calls", "--all")["calls"][0]["end_reason"], reason)

    def test_without_control(self):
        """teardown: a call that ends while control is gone gives its ports back by itself"""
        with Lab() as lab:
            lab.start()
            caller, answerer, media = self._by_hand(lab)
            dialog = Dialog(self, caller, answerer, (OUTSIDE, 5060), 20000, 30000)
            external = dialog.invite().media[1]
            dialog.accept()
            lab.control.kill()
            self._pass_both_ways(media, external)
            dialog.hang_up()
            time.sleep(BACKSTOP_S - SHUT_S / 2)
            self._assert_shuts(media, external)
            lab.start_control()
            lab.wait_up(5)
            gauges = lab.gauges()
            self.assertEqual((gauges["calls"], gauges["pinholes"], gauges["ports"]), (0, 0, 1))

    def test_ten_thousand_calls(self):
        """teardown: after 10,000 calls mappings, pinholes, ports, buffers and memory are as before"""
        with Lab() as lab:
            lab.start()
            self._calls(lab, 1000, "warm-up")
            before, memory = self._settled(lab)
            self._calls(lab, MANY_CALLS, "many")
            after, memory_after = self._settled(lab)
            self.assertEqual({**after, "mbufs": 0}, {**before, "mbufs": 0})
            self.assertAlmostEqual(after["mbufs"], before["mbufs"], delta=64)
            self.assertLess(memory_after["dataplane"] - memory["dataplane"], 256, "KiB of the data plane")
            self.assertLess(memory_after["control"] - memory["control"], 1024, "KiB of control")
            self.assertGreaterEqual(lab.counters()["call_closed"], MANY_CALLS + 1000)

    def _calls(self, lab, count, name):
        answerer = Sipp(lab, lab.outside, "answerer", OUTSIDE, 5060, calls=count, name=f"answerer-{name}")
        caller = Sipp(lab, lab.inside, "caller", INSIDE, 5060, remote=f"{OUTSIDE}:5060", calls=count, rate=RATE,
                      hold_ms=20, limit=RATE * 4, name=f"caller-{name}")
        caller.wait(30 + 2 * count / RATE)
        answerer.wait(10)
        for statistics in (caller.statistics(), answerer.statistics()):
            self.assertEqual((statistics["SuccessfulCall"], statistics["FailedCall"]), (count, 0), caller.errors())

    @staticmethod
    def _settled(lab):
        wait_for("the last calls to close", lambda: lab.gauges()["calls"] == 0, SHUT_S)
        return lab.gauges(), {"dataplane": lab.dataplane.memory_kib(), "control": lab.control.memory_kib()}
