# SPDX-License-Identifier: BSD-3-Clause
"""Every kind of dialog between two SIPps: what it opens, that media passes there, and that all is shut after it."""

import concurrent.futures
import contextlib
import functools
import queue
import unittest

from support import capture
from support.ladder import Ladder, Party
from support.kamailio import Kamailio
from support.lab import OUTSIDE, PINHOLE, Lab, wait_for
from support.phone import DOMAIN, Phone, StreamPhone
from support.play import Leg, Play

AT_ONCE = 8
TCP = ";transport=tcp"
REPLACED = "Replaces: other@voice.example;to-tag=t;from-tag=f"
REPLACES = "Replaces=other%40voice.example%3Bto-tag%3Dt%3Bfrom-tag%3Df"

BEGIN = """
    A INVITE sdp supported
    B 180
    B 200 sdp
    A ACK
    = both
"""
END = """
    A BYE
    B 200
    = closed
"""

LADDERS = [
    Ladder("a call, ended by the caller", BEGIN + END),
    Ladder("a call, ended by the callee", BEGIN + """
        B BYE
        A 200
        = closed
    """),
    Ladder("delayed offer: the answer is in the ACK", """
        A INVITE
        B 180
        B 200 sdp
        A ACK sdp
        = both
    """ + END),
    Ladder("delayed offer in a reliable 183: the answer is in the PRACK", """
        A INVITE supported
        B 183 sdp rel
        A PRACK rack sdp
        B 200
        = both
        B 200
        A ACK
        = both same
    """ + END),
    Ladder("early media, acknowledged by PRACK", """
        A INVITE sdp supported
        B 183 sdp rel
        A PRACK rack
        B 200
        = both
        B 200
        A ACK
        = both same
    """ + END),
    Ladder("early media, and the same answer again in the 200", """
        A INVITE sdp
        B 183 sdp
        = both
        B 200 sdp
        A ACK
        = both same
    """ + END),
    Ladder("UPDATE before the answer and from the other side after it", """
        A INVITE sdp supported
        B 183 sdp rel
        A PRACK rack
        B 200
        A UPDATE sdp
        B 200 sdp
        = both
        B 200
        A ACK
        B UPDATE sdp
        A 200 sdp
        = both same
    """ + END),
    Ladder("re-INVITE with the same media, from both sides", BEGIN + """
        A INVITE sdp
        B 200 sdp
        A ACK
        = both same
        B INVITE sdp
        A 200 sdp
        B ACK
        = both same
    """ + END),
    Ladder("re-INVITE with a delayed offer", BEGIN + """
        B INVITE
        A 200 sdp
        B ACK sdp
        = both same
    """ + END),
    Ladder("re-INVITE with new media on both sides", BEGIN + """
        A INVITE sdp:moved
        B 200 sdp:moved
        A ACK
        = both
    """ + END),
    Ladder("re-INVITE that adds a stream", BEGIN + """
        A INVITE sdp:video
        B 200 sdp:video
        A ACK
        = both same
    """ + END),
    Ladder("re-INVITE that is refused: the old media goes on", BEGIN + """
        A INVITE sdp:moved
        B 488
        A ACK
        = first
        B INVITE sdp:moved
        A 488
        B ACK
        = first
    """ + END),
    Ladder("glare: both refuse, one tries again", BEGIN + """
        A INVITE sdp once
        B INVITE sdp once
        A 491
        B ACK
        B 491
        A ACK
        = first same
        A INVITE sdp
        B 200 sdp
        A ACK
        = both same
    """ + END),
    Ladder("hold by sendonly", BEGIN + """
        A INVITE sdp:sendonly
        B 200 sdp:recvonly
        A ACK
        = both same
        A INVITE sdp
        B 200 sdp
        A ACK
        = both same
    """ + END),
    Ladder("hold by inactive, by the callee", BEGIN + """
        B INVITE sdp:inactive
        A 200 sdp:inactive
        B ACK
        = both same
        B INVITE sdp
        A 200 sdp
        B ACK
        = both same
    """ + END),
    Ladder("hold by the address 0.0.0.0, from both sides", BEGIN + """
        A INVITE sdp:zero
        B 200 sdp:zero
        A ACK
        = same
        A INVITE sdp
        B 200 sdp
        A ACK
        = both same
        B INVITE sdp:zero
        A 200 sdp
        B ACK
        = same
        B INVITE sdp
        A 200 sdp
        B ACK
        = both same
    """ + END),
    Ladder("hold by port 0", BEGIN + """
        A INVITE sdp:off
        B 200 sdp:off
        A ACK
        A INVITE sdp
        B 200 sdp
        A ACK
        = both same
    """ + END),
    Ladder("blind transfer", BEGIN + """
        A REFER blind
        B 202
        B NOTIFY trying
        A 200
        B NOTIFY done
        A 200
        = both same
    """ + END),
    Ladder("attended transfer: what Replaces names is nobody's to change", BEGIN + """
        B INVITE sdp:sendonly
        A 200 sdp:recvonly
        B ACK
        A REFER attended
        B 202
        B NOTIFY done
        A 200
        = both same
    """ + END, must=(("REFER", REPLACES),)),
    Ladder("a call that replaces another one", """
        A INVITE sdp replaces
        B 200 sdp
        A ACK
        = both
    """ + END, must=(("INVITE", REPLACED),)),
    Ladder("cancelled while it rings", """
        A INVITE sdp
        B 183 sdp
        = both
        A CANCEL
        B 200
        B 487
        A ACK
        = closed
    """),
    Ladder("busy, and tried again: the same ports", """
        A INVITE sdp
        B 183 sdp
        = both
        B 486
        A ACK
        A INVITE sdp
        B 200 sdp
        A ACK
        = both same
    """ + END),
    Ladder("asked for credentials, and tried again: the same ports", """
        A INVITE sdp
        B 180
        = offered
        B 407 challenge
        A ACK
        A INVITE sdp credentials
        B 180
        B 200 sdp
        A ACK
        = both same
    """ + END),
    Ladder("session timer: refreshed by re-INVITE and by UPDATE without a body", """
        A INVITE sdp timer
        B 200 sdp timed
        A ACK
        = both
        A UPDATE timer
        B 200 timed
        A INVITE sdp timer
        B 200 sdp timed
        A ACK
        = both same
    """ + END),
    Ladder("fax: audio, T.38, and audio again", BEGIN + """
        B INVITE sdp:image
        A 200 sdp:image
        B ACK
        = both
        A INVITE sdp
        B 200 sdp
        A ACK
        = both same
    """ + END),
    Ladder("a subscription, told of and ended", """
        A SUBSCRIBE asks
        B 200 granted
        B NOTIFY waiting
        A 200
        B NOTIFY waiting
        A 200
        A SUBSCRIBE ends
        B 200 granted
        = closed
    """),
    Ladder("INFO and OPTIONS within a call", BEGIN + """
        A INFO
        B 200
        B OPTIONS
        A 200
        = both same
    """ + END),
]


def soon_over(config):
    """Ended calls shut their ports within a second instead of four."""
    config["control"]["linger_s"] = 1


class Dialogs(unittest.TestCase):

    def _play_all(self, lab, play, prepare=None):
        """Plays all ladders, some at a time, with addresses of their own; then all must be shut, and nothing seen."""
        with lab:
            lab.start()
            if prepare:
                prepare(lab)
            link = capture.Capture(lab, lab.outside, "outside")
            free = queue.SimpleQueue()
            for slot in range(AT_ONCE):
                free.put(slot)

            def one(number, ladder):
                slot = free.get()
                try:
                    play(lab, ladder, f"ladder{number}", slot, 5060 + number)
                except Exception as error:  # whatever it is, the others go on
                    return f"{ladder.title}: {error}"
                finally:
                    free.put(slot)
                return None

            with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
                failures = list(filter(None, pool.map(one, range(len(LADDERS)), LADDERS)))
            self.assertFalse(failures, "\n".join(failures))
            wait_for("the last ports to shut", lambda: lab.gauges()["pinholes"] == 0)
            self.assertEqual(capture.problems(link.stop())[:5], [])
            counters = lab.counters()
            for name in ("sip_malformed", "stream_not_mine", "stream_given_up", "stream_table_full"):
                self.assertEqual(counters[name], 0, name)

    def _out(self, lab, ladder, key, slot, port, tcp=False):
        inside = Leg(lab.inside, f"10.77.0.{11 + slot}", port, True)
        outside = Leg(lab.outside, f"203.0.113.{11 + slot}", 5060, False)
        # Over TCP answers go back on the connection, wherever SIPp is told that they go.
        source = f"{PINHOLE}:9" if tcp else self._external(inside, outside)
        caller = Party("A", "caller", 20000)
        callee = Party("B", "callee", 30000, f"sip:callee@{outside.address}:5060{TCP if tcp else ''}")
        Play(self, lab, ladder, caller, callee, (inside, outside), key, tcp).run(
            {"A": f"{outside.address}:5060", "B": source}, 9000 + 2 * slot)

    @staticmethod
    def _external(inside, outside):
        """How the outside leg sees the inside one: SIPp has to be told where its answers go."""
        with Phone(inside.namespace, inside.address, inside.port) as phone, \
                outside.namespace.socket(address=outside.address, port=outside.port) as peer:
            phone.send("\r\n", (outside.address, outside.port))
            return "%s:%d" % peer.recvfrom(100)[1]

    def _in(self, lab, ladder, key, slot, port, tcp=False):
        """Who is called has registered with who calls."""
        inside = Leg(lab.inside, f"10.77.0.{11 + slot}", port, True)
        outside = Leg(lab.outside, f"203.0.113.{11 + slot}", 5060, False)
        host, external = self._registered(inside, outside, tcp)
        caller = Party("A", "caller", 30000)
        callee = Party("B", "phone", 20000, f"sip:phone@{host}:{external}{TCP if tcp else ''}")
        Play(self, lab, ladder, caller, callee, (outside, inside), key, tcp).run(
            {"A": f"{host}:{external}", "B": f"{outside.address}:5060"}, 9000 + 2 * slot)

    @staticmethod
    def _registered(inside, outside, tcp):
        """Registers the inside leg with the outside one. Returns the contact that is learnt there."""
        with contextlib.ExitStack() as stack:
            if tcp:
                registrar = StreamPhone(outside.namespace, outside.address, outside.port, listens=True)
                phone = StreamPhone(inside.namespace, inside.address, inside.port)
            else:
                registrar = Phone(outside.namespace, outside.address, outside.port)
                phone = Phone(inside.namespace, inside.address, inside.port)
            for peer in (registrar, phone):
                stack.enter_context(peer)
            phone.send_register((outside.address, outside.port))
            register = registrar.next("REGISTER")
            registrar.respond(register, 200, "OK", more=[f"Contact: {register.header('Contact')};expires=60"])
            phone.next("SIP/2.0 200")
            return register.contact

    def _local(self, lab, ladder, key, slot, port, tcp=False):
        """Both are inside, with other owners where there are two, and talk by way of a proxy outside."""
        caller_leg = Leg(lab.inside, f"10.77.0.{11 + slot}", port, True)
        callee_leg = Leg(lab.inside2, f"10.77.0.{31 + slot}", port, True)
        kind = StreamPhone if tcp else Phone
        with kind(callee_leg.namespace, callee_leg.address, callee_leg.port, user=key) as phone:
            phone.register((OUTSIDE, 5060))
        caller, callee = Party("A", f"{key}-caller", 20000), Party("B", key, 30000, f"sip:{key}@{DOMAIN}{TCP if tcp else ''}")
        proxy = f"{OUTSIDE}:5060"
        Play(self, lab, ladder, caller, callee, (caller_leg, callee_leg), key, tcp).run(
            {"A": proxy, "B": proxy}, 9000 + 2 * slot)

    # [AC-09][AC-13][AC-14][AC-18][AC-19][AC-21][rfc3264][rfc6337]
    def test_out(self):
        """dialogs: calls out, through one worker"""
        self._play_all(Lab(1, soon_over), self._out)

    # [AC-09][AC-13][AC-14][AC-18][AC-19][AC-21][rfc3264][rfc6337]
    def test_in(self):
        """dialogs: calls in, to registered phones, through two workers"""
        self._play_all(Lab(2, soon_over), self._in)

    # [AC-07][AC-09][AC-13][AC-14][AC-18][AC-19][AC-21][rfc3264][rfc6337]
    def test_out_over_tcp(self):
        """dialogs: calls out over TCP, through two workers"""
        self._play_all(Lab(2, soon_over), functools.partial(self._out, tcp=True))

    # [AC-01][AC-07][AC-09][AC-13][AC-14][AC-18][AC-19][AC-21][rfc3264][rfc6337]
    def test_in_over_tcp(self):
        """dialogs: calls in over TCP, to phones that registered by another connection, through one worker"""
        self._play_all(Lab(1, soon_over), functools.partial(self._in, tcp=True))

    # [AC-09][AC-13][AC-14][AC-18][AC-19][AC-21][rfc3264][rfc6337]
    def test_local(self):
        """dialogs: calls between two phones inside by way of Kamailio outside, through two workers"""
        self._play_all(Lab(2, soon_over, hosts=2), self._local,
                       lambda lab: Kamailio(lab, lab.outside, OUTSIDE))

    # [AC-07][AC-09][AC-13][AC-14][AC-18][AC-19][AC-21]
    def test_local_over_tcp(self):
        """dialogs: calls between two phones inside by way of Kamailio outside, over TCP, through two workers"""
        self._play_all(Lab(2, soon_over, hosts=2), functools.partial(self._local, tcp=True),
                       lambda lab: Kamailio(lab, lab.outside, OUTSIDE))
