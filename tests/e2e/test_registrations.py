# SPDX-License-Identifier: BSD-3-Clause
"""The way in to a registered phone: open for as long as its registrar granted, however silent it is, and then shut."""

import itertools
import time
import unittest

from support.kamailio import Kamailio
from support.lab import OUTSIDE, LabError, one_and_two_workers, wait_for
from support.phone import DOMAIN, Phone, endpoint_of

REGISTRAR = (OUTSIDE, 5060)
IDLE_S = 2  # what a mapping lives that nothing else keeps
GRANTED_S = 9  # at most, whatever is asked for
SILENCE_S = 2 * IDLE_S + 1
CALLER = "203.0.113.12"

MARGIN_S = 32  # for a refresh that is late

_numbers = itertools.count(1)


def short(config):
    config["nat"] = {"timeouts": {"udp_s": IDLE_S}}


class Site:
    """Phones of one lab, registered with Kamailio, and who calls them from outside."""

    def __init__(self, lab, granted_s=GRANTED_S):
        self.lab = lab
        self.kamailio = Kamailio(lab, lab.outside, OUTSIDE, max_expires=granted_s)
        self.caller = lab.own(Phone(lab.outside, CALLER, user="carol"))
        self.contacts = {}  # what the registrar learnt, by user

    def phone(self, host, user, port=5060):
        return self.lab.own(Phone(self.lab.inside, f"10.77.0.{host}", port, user=user))

    def register(self, phone, user=None, **options):
        answer = phone.register(REGISTRAR, expires=3600, **options)
        if answer.status != 200:
            raise LabError(answer.text)
        user = user or phone.user
        self.contacts[user] = [endpoint_of(contact) for contact in self.kamailio.contacts(user)]
        return answer

    def call(self, user, phones):
        """Calls a user. Each of the phones has to be reached, and refuses."""
        call = {"call_id": f"{next(_numbers)}@caller.example", "cseq": 1, "to": f"sip:{user}@{DOMAIN}", "from_tag": "c"}
        self.caller.request("INVITE", f"sip:{user}@{DOMAIN}", REGISTRAR, **call)
        for phone in phones:
            invite = phone.next("INVITE")
            phone.respond(invite, 486, "Busy Here", to_tag=f"p{phone.port}")
            phone.next("ACK")
        self.caller.next("SIP/2.0 486")

    def reaches(self, contact, phone):
        """Whether a packet of the registrar's host to a contact reaches the phone."""
        with self.lab.outside.socket(address=OUTSIDE, port=5070) as stranger:
            stranger.sendto(b"\r\n\r\n", contact)
        phone.socket.settimeout(0.2)
        try:
            phone.socket.recvfrom(65535)
        except (TimeoutError, BlockingIOError):
            return False
        return True

    def shuts(self, contact, phone, timeout=GRANTED_S + MARGIN_S):
        wait_for(f"the way in to {phone.user} to shut", lambda: not self.reaches(contact, phone), timeout)


class Registrations(unittest.TestCase):

    # [AC-01]
    def test_the_way_in(self):
        """registrations: the way in is open after long silence while it was granted, by each contact, and shut then"""
        with one_and_two_workers(short) as labs:
            players = [self._play(Site(lab)) for lab in labs]
            for pause in players[0]:
                for player in players[1:]:
                    next(player)
                time.sleep(pause)
            for player in players[1:]:
                self.assertIsNone(next(player, None))

    def _play(self, site):
        """The play as a generator: it is played in several labs at once, and gives how long all of them are silent."""
        alice, other, gone, star = (site.phone(host, user) for host, user in
                                    ((10, "alice"), (11, "third"), (12, "gone"), (13, "star")))
        desk, second = site.phone(14, "bob"), site.phone(14, "bob", 5070)
        both = [f"<sip:bob@{phone.address}:{phone.port}>" for phone in (desk, second)]
        # Each phone sees its own contact again.
        self.assertEqual(site.register(alice).contact, (alice.address, 5060))
        site.register(desk, contacts=both)
        # A gateway registers a phone that has said nothing itself.
        site.register(alice, "third", aor="third", contacts=[f"<sip:third@{other.address}:5060>"])
        for phone, contact in ((gone, None), (star, ["*"])):
            site.register(phone)
            self.assertEqual(phone.register(REGISTRAR, expires=0, contacts=contact).status, 200)
        for row in site.lab.ctl("registrations")["registrations"]:
            self.assertLessEqual(row["expires_s"], GRANTED_S, row)
        yield SILENCE_S

        site.call("alice", [alice])
        site.call("bob", [desk, second])
        site.call("third", [other])
        for phone in (gone, star):
            site.shuts(site.contacts[phone.user][0], phone, 0.1)
        site.register(alice)
        learnt = site.contacts["bob"]
        site.register(desk, contacts=[both[0], both[1] + ";expires=0"])
        (removed,) = set(learnt) - set(site.contacts["bob"])
        yield SILENCE_S

        site.call("alice", [alice])
        site.call("bob", [desk])
        site.shuts(removed, second, 0.1)
        yield SILENCE_S

        for phone, contact in ((alice, site.contacts["alice"][0]), (desk, site.contacts["bob"][0]),
                               (other, site.contacts["third"][0])):
            site.shuts(contact, phone)
        self.assertEqual(site.lab.ctl("registrations")["registrations"], [])
