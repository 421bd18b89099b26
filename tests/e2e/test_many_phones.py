# SPDX-License-Identifier: BSD-3-Clause
"""Ten thousand phones with one port and one name, behind one address."""

import random
import resource
import unittest

from support import capture
from support.kamailio import Kamailio
from support.lab import INSIDE, OUTSIDE, Lab, wait_for
from support.phone import DOMAIN, Phone, endpoint_of
from support.sipp import Sipp

ALONE = True  # so many calls a second take the CPUs
PHONES = 10_000
RATE = 800
CALLED = 20
SOCKETS = PHONES + 1000
NETWORK = "10.78.0.0/16"  # behind the inside host
CALLER = "203.0.113.12"


def routed(config):
    config["routes"] = [{"prefix": NETWORK, "via": INSIDE}]


def address(number):
    return f"10.78.{1 + number // 250}.{1 + number % 250}"


class ManyPhones(unittest.TestCase):

    def setUp(self):
        """SIPp has a socket for each phone, and inherits how many it may have."""
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (SOCKETS + 2000, max(before[1], SOCKETS + 2000)))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)

    # [AC-17]
    def test_registered_and_called(self):
        """many phones: 10,000 register with the same port and user in Contact, and a call to any reaches that one"""
        with Lab(2, routed) as lab:
            lab.start()
            # Every address of the network is the host's own.
            lab.inside.run("ip", "route", "add", "local", NETWORK, "dev", "lo")
            kamailio = Kamailio(lab, lab.outside, OUTSIDE)
            link = capture.Capture(lab, lab.outside, "outside", "udp")
            users = lab.directory / "users.csv"
            users.write_text("SEQUENTIAL\n" + "".join(f"{address(number)};user{number}\n" for number in range(PHONES)),
                             encoding="ascii")
            phones = Sipp(lab, lab.inside, "register-many", INSIDE, 5060, remote=f"{OUTSIDE}:5060", calls=PHONES,
                          rate=RATE, limit=1000,
                          more=["-t", "ui", "-inf", users, "-ip_field", 0, "-max_socket", SOCKETS])
            statistics = phones.wait(90)
            self.assertEqual((statistics["SuccessfulCall"], statistics["FailedCall"]), (PHONES, 0), phones.errors())
            words = phones.log()
            seen = dict(zip(words[::2], words[1::2]))
            wrong = {address(number): seen.get(address(number)) for number in range(PHONES)
                     if seen.get(address(number)) != f"sip:phone@{address(number)}:5060"}
            self.assertEqual(wrong, {}, "what phones see for their contact")
            wait_for("control to know them all", lambda: lab.ctl("registrations")["total"] == PHONES)
            seed = random.randrange(1 << 32)
            chosen = random.Random(seed).sample(range(PHONES), CALLED)
            with Phone(lab.outside, CALLER, user="carol") as caller:
                contacts = {endpoint_of(self._call(lab, kamailio, caller, number, f"seed {seed}")) for number in chosen}
            self.assertEqual(len(contacts), CALLED)
            self.assertEqual(capture.problems(link.stop(), NETWORK)[:5], [])

    def _call(self, lab, kamailio, caller, number, seed):
        """Calls one phone by way of the registrar, and is refused by it. Returns the contact that leads there."""
        (contact,) = kamailio.contacts(f"user{number}")
        uri = f"sip:user{number}@{DOMAIN}"
        with Phone(lab.inside, address(number)) as phone:
            caller.request("INVITE", uri, (OUTSIDE, 5060), call_id=f"call-{number}@caller.example", cseq=1, to=uri,
                           from_tag="c")
            invite = phone.next("INVITE")
            self.assertEqual(endpoint_of(invite.start), (address(number), 5060), seed)
            phone.respond(invite, 486, "Busy Here")
            phone.next("ACK")
            caller.next("SIP/2.0 486")
        return contact
