# SPDX-License-Identifier: BSD-3-Clause
"""Calls that Kamailio forks to two phones: both may speak before the answer, and only the one that answers goes on."""

import contextlib
import unittest

from support import capture
from support.kamailio import Kamailio
from support.lab import OUTSIDE, Lab, wait_for
from support.phone import DOMAIN, Phone, sdp

PROXY = (OUTSIDE, 5060)
TEAM = f"sip:team@{DOMAIN}"


def soon_over(config):
    """Ended calls shut their ports within a second instead of four."""
    config["control"]["linger_s"] = 1


class Ringing:
    """A phone that was called, with a media socket of its own."""

    def __init__(self, stack, namespace, address, tag, media):
        self.tag, self.media = tag, media
        self.phone = stack.enter_context(Phone(namespace, address, user="team"))
        self.socket = stack.enter_context(namespace.socket(address=address, port=media))
        self.invite = None

    def respond(self, request, status, reason, **options):
        self.phone.respond(request, status, reason, to_tag=self.tag, **options)

    def description(self):
        return sdp(self.phone.address, self.media)


class Forks(unittest.TestCase):

    def _play(self, lab, caller_at, team_at, look=lambda lost, won: None):
        """Two phones of a team ring, speak, and the second one answers. `…_at` is (namespace, addresses)."""
        with contextlib.ExitStack() as stack:
            Kamailio(lab, lab.outside, OUTSIDE)
            namespace, (address,) = caller_at
            caller = stack.enter_context(Phone(namespace, address, user="caller"))
            self.media = stack.enter_context(namespace.socket(address=address, port=20000))
            team = [Ringing(stack, team_at[0], host, f"fork{number}", 30000 + 100 * number)
                    for number, host in enumerate(team_at[1])]
            for one in team:
                self.assertEqual(one.phone.register(PROXY).status, 200)
            call = {"call_id": "fork@caller.example", "to": TEAM, "from_tag": "c"}
            caller.request("INVITE", TEAM, PROXY, cseq=1, body=sdp(address, 20000), **call)
            for one in team:
                one.invite = one.phone.next("INVITE")
                one.respond(one.invite, 183, "Session Progress", body=one.description())
                progress = caller.next("SIP/2.0 183")
                self.assertIn(f"tag={one.tag}", progress.header("To"))
                self._speak(one, progress.media)
            lost, won = team
            won.respond(won.invite, 200, "OK", body=won.description())
            answer = caller.next("SIP/2.0 200")
            routes = [f"Route: {answer.header('Record-Route')}"]
            remote = answer.header("Contact").strip("<>")
            caller.request("ACK", remote, PROXY, cseq=1, to_tag=won.tag, more=routes, **call)
            won.phone.next("ACK")
            lost.respond(lost.phone.next("CANCEL"), 200, "OK")
            lost.respond(lost.invite, 487, "Request Terminated")
            lost.phone.next("ACK")
            self._speak(won, answer.media)
            look(lost, won)
            caller.request("BYE", remote, PROXY, cseq=2, to_tag=won.tag, more=routes, **call)
            won.respond(won.phone.next("BYE"), 200, "OK")
            caller.next("SIP/2.0 200")
            wait_for("the last ports to shut", lambda: lab.gauges()["pinholes"] == 0)

    def _speak(self, one, seen_by_caller):
        """RTP both ways between the caller and one of the team, where each was told that the other is."""
        one.socket.sendto(b"to the caller", one.invite.media)
        self.assertEqual(self.media.recvfrom(100), (b"to the caller", seen_by_caller))
        self.media.sendto(b"from the caller", seen_by_caller)
        self.assertEqual(one.socket.recvfrom(100), (b"from the caller", one.invite.media))

    # [AC-19]
    def test_out(self):
        """forks: a call out rings at two phones, both are heard before the answer, and the second takes it"""
        with Lab(2, soon_over) as lab:
            lab.start()
            link = capture.Capture(lab, lab.outside, "outside")
            self._play(lab, (lab.inside, ["10.77.0.11"]), (lab.outside, ["203.0.113.11", "203.0.113.12"]))
            self.assertEqual(capture.problems(link.stop())[:5], [])

    # [AC-19]
    def test_in(self):
        """forks: a call in rings at two phones inside; the ports of the other one shut while the call goes on"""
        with Lab(2, soon_over) as lab:
            lab.start()
            link = capture.Capture(lab, lab.outside, "outside")

            def only_the_winner(_, won):
                open_now = {f"{won.phone.address}:{won.media + step}" for step in (0, 1)}
                wait_for("the other phone's ports to shut", lambda: open_now == {
                    row["inside"] for row in lab.ctl("pinholes")["pinholes"]})

            self._play(lab, (lab.outside, ["203.0.113.12"]), (lab.inside, ["10.77.0.11", "10.77.0.12"]),
                       only_the_winner)
            self.assertEqual(capture.problems(link.stop())[:5], [])
