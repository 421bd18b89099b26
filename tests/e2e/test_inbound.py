# SPDX-License-Identifier: BSD-3-Clause
"""Calls from outside, and packets from outside that nobody asked for."""

import socket
import time
import unittest

from support import capture
from support.lab import INSIDE, OUTSIDE, PINHOLE, Lab, wait_for
from support.media import Media
from support.phone import Dialog, Phone, endpoint_of
from support.sipp import MEDIA_STEP, RTP_PACKETS, Sipp

STRANGER = "203.0.113.13"
CALLS = 10


class Inbound(unittest.TestCase):

    # [AC-01]
    def test_registered_phones(self):
        """inbound: ten phones register, and are called through the contacts that the registrar learnt"""
        phones = [f"10.77.0.{host}" for host in range(11, 21)]
        with Lab(workers=2) as lab:
            lab.start()
            link = capture.Capture(lab, lab.outside, "outside")
            contacts = self._register(lab, phones)
            self.assertEqual(len(set(contacts.values())), len(phones), contacts)
            rows = wait_for("the registrations", lambda: self._registrations(lab, len(phones)))
            self.assertEqual({row["inside"] for row in rows}, {f"{phone}:5060" for phone in phones})
            for row in rows:
                self.assertTrue(500 < row["expires_s"] <= 600, row)
            for call in [self._start_call(lab, phone, contacts[phone], number) for number, phone in enumerate(phones)]:
                self._finish_call(*call)
            self.assertEqual(capture.problems(link.stop())[:5], [])

    def _register(self, lab, phones):
        contacts = {}
        registrar = Sipp(lab, lab.outside, "registrar", OUTSIDE, 5060, calls=len(phones), media_port=40000)
        for phone in phones:
            one = Sipp(lab, lab.inside, "register", phone, 5060, remote=f"{OUTSIDE}:5060", calls=1, service="answerer")
            one.wait(10)
            one.check(self, 1)
            self.assertEqual(one.log(), [f"sip:answerer@{phone}:5060"], "the phone must see its own contact again")
        registrar.wait(10)
        registrar.check(self, len(phones))
        for phone, contact in zip(phones, registrar.log()):
            host, port = endpoint_of(contact)
            self.assertEqual(host, PINHOLE)
            contacts[phone] = f"{host}:{port}"
        return contacts

    @staticmethod
    def _registrations(lab, count):
        reply = lab.ctl("registrations")
        return reply["registrations"] if len(reply["registrations"]) == count else None

    def _start_call(self, lab, phone, contact, number):
        """A call from the registrar's address to the contact of a phone, with media both ways."""
        media = 20000 + number * 100
        peers = (Media(lab, lab.inside, phone, 30000, 1, MEDIA_STEP, echo=True),
                 Media(lab, lab.outside, OUTSIDE, media, 1, MEDIA_STEP),
                 Sipp(lab, lab.inside, "answerer", phone, 5060, calls=1, media_port=30000),
                 Sipp(lab, lab.outside, "caller", OUTSIDE, 5100 + number, remote=contact, calls=1, hold_ms=2700,
                      media_port=media, play=True))
        return peers

    def _finish_call(self, echoes, hears, answerer, caller):
        caller.wait(10)
        answerer.wait(10)
        caller.check(self, 1)
        answerer.check(self, 1)
        for heard in (echoes.stop(), hears.stop()):
            self.assertEqual([row["packets"] for row in heard.values()], [RTP_PACKETS])

    def test_forwarded_port(self):
        """inbound: calls from anyone reach a server inside through a forwarded port"""
        def forward(config):
            config["nat"] = {"forwards": [
                {"protocol": "udp", "external": f"{PINHOLE}:5060", "inside": f"{INSIDE}:5060"}]}
        with Lab(workers=2, configure=forward) as lab:
            lab.start()
            link = capture.Capture(lab, lab.outside, "outside")
            echoes = Media(lab, lab.inside, INSIDE, 30000, CALLS, MEDIA_STEP, echo=True)
            hears = Media(lab, lab.outside, STRANGER, 20000, CALLS, MEDIA_STEP)
            answerer = Sipp(lab, lab.inside, "answerer", INSIDE, 5060, calls=CALLS, media_port=30000)
            caller = Sipp(lab, lab.outside, "caller", STRANGER, 5062, remote=f"{PINHOLE}:5060", calls=CALLS,
                          hold_ms=2700, media_port=20000, play=True)
            caller.wait(20)
            answerer.wait(10)
            caller.check(self, CALLS)
            answerer.check(self, CALLS)
            for heard in (echoes.stop(), hears.stop()):
                self.assertEqual([row["packets"] for row in heard.values()], [RTP_PACKETS] * CALLS)
            self.assertEqual(capture.problems(link.stop())[:5], [])

    # [rfc5382-req4]
    def test_unsolicited(self):
        """inbound: a stranger who tries every UDP port and many TCP ports reaches nobody and hears nothing"""
        def silent(config):
            config["nat"] = {"tcp": {"answer_unsolicited": False}}
        with Lab(workers=2, configure=silent) as lab:
            lab.start()
            with Phone(lab.inside, INSIDE) as phone, Phone(lab.outside, OUTSIDE) as peer:
                dialog = Dialog(self, phone, peer, (OUTSIDE, 5060), 20000, 30000)
                dialog.invite()
                dialog.refuse()
                mapped = dialog.offer.contact[1]
                self._shut(lab)
                inside = capture.Capture(lab, lab.inside, "inside", f"host {STRANGER}")
                outside = capture.Capture(lab, lab.outside, "outside", f"host {STRANGER} and not arp")
                before = self._refused(lab)
                self._try_all_ports(lab)
                # What did not get in was seen and refused, not lost on the way; on a busy machine the kernel's ring
                # in front of Pinhole may overflow for a moment.
                self.assertGreater(self._refused(lab) - before, 64000)
                # The one that was asked is let in through the same port.
                peer.request("OPTIONS", f"sip:phone@{PINHOLE}:{mapped}", (PINHOLE, mapped), call_id="options@peer",
                             cseq=1, to="sip:phone@voice.example", from_tag="o")
                self.assertIsNotNone(phone.receive())
            self.assertEqual([packet for packet in capture.packets(inside.stop())], [])
            heard = list(capture.packets(outside.stop()))
            self.assertGreater(len(heard), 65535, "the stranger's packets did not even leave")
            self.assertEqual([packet for packet in heard if packet.target == STRANGER][:5], [])

    @staticmethod
    def _refused(lab):
        counters = lab.counters()
        return counters["drop_no_mapping"] + counters["drop_filtered"] + counters["drop_flow_rate"]

    @staticmethod
    def _shut(lab):
        wait_for("the media ports to shut", lambda: lab.gauges()["pinholes"] == 0, 10)

    @staticmethod
    def _try_all_ports(lab):
        with lab.outside.socket(address=STRANGER, port=5060) as stranger:
            lab.outside.run("ping", "-c", "1", "-I", "203.0.113.12", PINHOLE)  # the kernel queues few for ARP
            for port in range(1, 65536):
                stranger.sendto(b"is anybody there", (PINHOLE, port))
                if port % 64 == 0:
                    time.sleep(0.001)
        for port in (22, 80, 443, 5060, 5061, *range(1024, 65536, 997)):
            with lab.outside.socket(socket.SOCK_STREAM, STRANGER) as stranger:
                stranger.setblocking(False)
                stranger.connect_ex((PINHOLE, port))
