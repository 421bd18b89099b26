# SPDX-License-Identifier: BSD-3-Clause
"""Real phones and a real registrar: baresip on both sides, Kamailio outside. What one says is what the other hears."""

import contextlib
import unittest

from support import capture
from support.baresip import Baresip
from support.kamailio import Kamailio
from support.lab import INSIDE, INSIDE2, OUTSIDE, OUTSIDE2, PINHOLE, Lab, wait_for
from support.phone import DOMAIN, Phone, endpoint_of, sdp
from support.voice import PCMU, Voice

REGISTRAR = f"{OUTSIDE}:5060"
DORA = "203.0.113.31"
FLAGS_AT = 33  # in a TCP packet without IP options
SYN, ACK = 2, 16


def soon_over(config):
    """Ended calls shut their ports within a second instead of four."""
    config["control"]["linger_s"] = 1


def direct(config):
    """Phones inside are told of each other's own endpoints, too."""
    soon_over(config)
    config["sip"] = {"local_media": "direct"}


class Phones(unittest.TestCase):

    @contextlib.contextmanager
    def _network(self, workers=2, auth=False, configure=soon_over, **options):
        """Alice and Bob are inside, on hosts of their own, and Carol is outside, like the registrar of all three."""
        with Lab(workers, configure, hosts=2) as lab:
            lab.start()
            links = [capture.Capture(lab, namespace, name)
                     for name, namespace in (("outside", lab.outside), ("outside2", lab.outside2))]
            self.kamailio = Kamailio(lab, lab.outside, OUTSIDE, auth=auth)
            self.alice = Baresip(lab, lab.inside, "alice", INSIDE, 400, proxy=REGISTRAR, **options)
            self.bob = Baresip(lab, lab.inside2, "bob", INSIDE2, 640, proxy=REGISTRAR, **options)
            self.carol = Baresip(lab, lab.outside2, "carol", OUTSIDE2, 1000, proxy=REGISTRAR, **options)
            for phone in (self.alice, self.bob, self.carol):
                wait_for(f"{phone.user} to be registered", lambda: self.kamailio.contacts(phone.user))
            yield lab
            self.captured = capture.stop_all(links)
            for captured in self.captured:
                self.assertEqual(capture.problems(captured)[:5], [])

    def _call(self, lab, caller, callee, pinholes, past_us=False):
        """A call in which both hear each other, through Pinhole or past it, and which leaves nothing open."""
        caller.dial(callee.user)
        caller.wait("CALL_ESTABLISHED")
        callee.wait("CALL_ESTABLISHED")
        caller.hears(callee.frequency)
        callee.hears(caller.frequency)
        self.assertEqual(lab.gauges()["pinholes"], pinholes)
        rows = lab.ctl("pinholes")["pinholes"]
        self.assertEqual(any(row["packets_in"] + row["packets_out"] for row in rows), not past_us, rows)
        caller.hang_up()
        for phone in (caller, callee):
            phone.wait("CALL_CLOSED")
        wait_for("the call's ports to shut", lambda: lab.gauges()["pinholes"] == 0)

    # [AC-09][AC-18]
    def test_calls(self):
        """phones: baresip and Kamailio, with digest: calls out, in and between phones inside, each hears the other"""
        with self._network(auth=True) as lab:
            registrations = lab.ctl("registrations")["registrations"]
            self.assertEqual({row["inside"] for row in registrations}, {f"{INSIDE}:5060", f"{INSIDE2}:5060"})
            for phone in (self.alice, self.bob):
                (contact,) = self.kamailio.contacts(phone.user)
                self.assertEqual(endpoint_of(contact)[0], PINHOLE)
            self._call(lab, self.alice, self.carol, 2)
            self._call(lab, self.carol, self.alice, 2)
            self._call(lab, self.alice, self.bob, 4)
            self._call(lab, self.bob, self.alice, 4)

    # [AC-07][AC-09]
    def test_calls_over_tcp(self):
        """phones: the same over TCP, with calls to contacts that were learnt; media of a local call passes us by"""
        with self._network(transport="tcp", configure=direct) as lab:
            for phone in (self.alice, self.bob):
                (contact,) = self.kamailio.contacts(phone.user)
                self.assertEqual(endpoint_of(contact)[0], PINHOLE)
                self.assertIn(";transport=tcp", contact)
            self._call(lab, self.alice, self.carol, 2)
            self._call(lab, self.carol, self.alice, 2)
            self._call(lab, self.bob, self.alice, 4, past_us=True)
            counters = lab.counters()
            for name in ("hairpinned", "sip_not_sip", "stream_not_mine", "stream_given_up", "stream_table_full"):
                self.assertEqual(counters[name], 0, name)
        connected = {(packet.source, packet.target) for packet in capture.packets(self.captured[0])
                     if packet.protocol == capture.TCP and packet.raw[FLAGS_AT] & (SYN | ACK) == SYN}
        self.assertIn((OUTSIDE, PINHOLE), connected)

    # [AC-09][AC-14]
    def test_early_media_and_hold(self):
        """phones: early media is heard both ways before the answer; a call held and resumed keeps its ports"""
        with self._network() as lab, Phone(lab.outside2, DORA, user="dora") as dora:
            voice = Voice(lab, lab.outside2, DORA, 30000, 1600)
            dora.register((OUTSIDE, 5060))
            self.alice.dial("dora")
            invite = dora.next("INVITE")
            dora.respond(invite, 183, "Session Progress", body=sdp(DORA, 30000, codec=PCMU))
            voice.speak_to(invite.media)
            self.alice.hears(voice.frequency)
            wait_for("dora to hear alice", lambda: voice.hears(self.alice.frequency))
            self.assertEqual([row["state"] for row in lab.ctl("calls")["calls"]], ["ringing"])
            dora.respond(invite, 200, "OK", body=sdp(DORA, 30000, codec=PCMU))
            dora.next("ACK")
            ports = self._ports(lab)
            self.alice.hears(voice.frequency, 2)
            for command, direction, reply in (("hold", "sendonly", "recvonly"), ("resume", "sendrecv", "sendrecv")):
                self.alice.tell(command)
                again = dora.next("INVITE")
                self.assertIn(f"a={direction}", again.body)
                self.assertEqual(again.media, invite.media)
                dora.respond(again, 200, "OK", body=sdp(DORA, 30000, f"a={reply}\r\n", PCMU))
                dora.next("ACK")
                self.assertEqual(self._ports(lab), ports)
            # baresip's recorder does not survive a hold, so that only the other ear can tell; packets go both ways.
            voice.forget()
            wait_for("dora to hear alice again", lambda: voice.hears(self.alice.frequency))
            before = self._packets_in(lab)
            wait_for("packets for alice", lambda: self._packets_in(lab) > before)
            voice.close()
            self.alice.hang_up()
            dora.respond(dora.next("BYE"), 200, "OK")
            wait_for("the call's ports to shut", lambda: lab.gauges()["pinholes"] == 0)

    # [AC-14][rfc3515]
    def test_transfer(self):
        """phones: Carol, called by Alice, hands her on to Bob: the two inside hear each other, and Carol is out of it"""
        with self._network() as lab:
            self.alice.dial("carol")
            self.alice.wait("CALL_ESTABLISHED")
            self.carol.wait("CALL_ESTABLISHED")
            self.alice.hears(self.carol.frequency)
            self.carol.tell("transfer", f"sip:bob@{DOMAIN}")
            self.bob.wait("CALL_ESTABLISHED")
            self.carol.wait("CALL_CLOSED")
            self.alice.hears(self.bob.frequency)
            self.bob.hears(self.alice.frequency)
            self.bob.hang_up()
            wait_for("the call's ports to shut", lambda: lab.gauges()["pinholes"] == 0)

    @staticmethod
    def _packets_in(lab):
        return sum(row["packets_in"] for row in lab.ctl("pinholes")["pinholes"])

    @staticmethod
    def _ports(lab):
        return sorted((row["inside"], row["external"]) for row in lab.ctl("pinholes")["pinholes"])
