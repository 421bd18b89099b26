# SPDX-License-Identifier: BSD-3-Clause
"""A registrar inside that anybody may reach: what scanners, guessers and floods get of it."""

import threading
import time
import unittest

from support.digest import credentials
from support.kamailio import PASSWORD, Kamailio
from support.lab import INSIDE, OUTSIDE, PINHOLE, Lab, side_by_side, wait_for
from support.phone import DOMAIN, Phone
from support.scanner import scan

SERVER = (PINHOLE, 5060)
SERVER_FOUND = rf"{PINHOLE}:5060 *\|"
ATTACKER = "203.0.113.13"
PHONE = "203.0.113.14"


def forward(config):
    """The registrar's port, to anybody."""
    config["nat"] = {"forwards": [{"protocol": "udp", "external": f"{PINHOLE}:5060", "inside": f"{INSIDE}:5060"}]}


def unprotected(config):
    forward(config)
    config["protection"] = {"enabled": False}


def protected(**protection):
    def configure(config):
        forward(config)
        config["protection"] = protection
    return configure


def bans(lab):
    return {row["prefix"].removesuffix("/32"): row for row in lab.ctl("ban", "list")["bans"]}


def register(phone, password, server=SERVER):
    """The status of the last answer to a registration with a password; None: there is no answer."""
    phone.send_register(server)
    first = phone.receive(1.0)
    if first is None or first.status != 401 or password is None:
        return first and first.status
    answer = credentials(first.header("WWW-Authenticate"), "REGISTER", f"sip:{DOMAIN}", phone.user, password)
    phone.send_register(server, more=[answer])
    last = phone.receive(1.0)
    return last and last.status


class Extension:
    """A phone inside that is registered, and answers whoever asks whether it is there, until the lab ends."""

    def __init__(self, lab):
        self._phone = Phone(lab.inside, "10.77.0.11", user="105")
        register(self._phone, PASSWORD, (INSIDE, 5060))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()
        lab.own(self)

    def close(self):
        """The thread ends before its socket: who waits for a descriptor waits for whatever has its number next."""
        self._over.set()
        self._thread.join()
        self._phone.close()

    def _answer(self):
        while not self._over.is_set():
            message = self._phone.receive(0.2)
            if message and message.method:
                self._phone.respond(message, 200, "OK")


class Protection(unittest.TestCase):

    def test_scanners(self):
        """protection: svmap, svwar and svcrack find nothing and end in a ban; without protection they find all"""
        with side_by_side(Lab(1, unprotected), Lab(1, protected())) as (bare, guarded):
            for lab in (bare, guarded):
                Kamailio(lab, lab.inside, INSIDE, auth=True)
                Extension(lab)
            words = guarded.directory / "words"
            words.write_text(f"1234\npassword\n{PASSWORD}\n", encoding="ascii")
            # What each tool is asked, and what it says when it has found something.
            tools = (("svmap", SERVER_FOUND, PINHOLE),
                     ("svwar", r"105 *\|", "-e", "104-106", "-m", "MESSAGE", "--force", PINHOLE),
                     ("svcrack", rf"105 *\| *{PASSWORD}", "-u", "105", "-d", words, PINHOLE))
            for tool, found, *arguments in tools:
                with self.subTest(tool):
                    self.assertRegex(scan(bare, tool, *arguments), found)
                    self.assertNotRegex(scan(guarded, tool, *arguments), found)
                    ban = wait_for("the ban", lambda: bans(guarded).get(OUTSIDE), 5)
                    self.assertEqual((ban["reason"], ban["level"]), ("scanner", 0))
                    self.assertIn("friendly-scanner", ban["detail"])
                    self.assertTrue(200 < ban["left_s"] <= 300, ban)
                    if tool != "svcrack":
                        guarded.ctl("ban", "lift", OUTSIDE)
                        time.sleep(0.3)
            self.assertGreaterEqual(guarded.counters()["drop_sip_scanner"], len(tools))
            self.assertEqual(bare.counters()["drop_sip_scanner"], 0)
            self._allowed_phone(guarded)

    def _allowed_phone(self, lab):
        """A phone behind the address of a scanner works once that is allowed, and the scanner finds nothing still."""
        with Phone(lab.outside, OUTSIDE, 5070, user="alice") as phone:
            self.assertIsNone(register(phone, PASSWORD))
            lab.ctl("allow", "add", OUTSIDE)
            wait_for("the phone to be let in", lambda: register(phone, PASSWORD) == 200, 5)
            self.assertTrue(bans(lab)[OUTSIDE]["allowed"])
            self.assertNotRegex(scan(lab, "svmap", PINHOLE), SERVER_FOUND)
            self.assertEqual(register(phone, PASSWORD), 200)

    def test_guessing(self):
        """protection: wrong passwords end in a ban that grows; the right one never does"""
        quick = protected(screen={"failed_auth": 4}, bans={"first_s": 4, "factor": 2})
        with Lab(1, quick) as lab:
            lab.start()
            Kamailio(lab, lab.inside, INSIDE, auth=True)
            with Phone(lab.outside, PHONE, user="bob") as phone, Phone(lab.outside, ATTACKER, user="bob") as attacker:
                for _ in range(12):
                    self.assertEqual(register(phone, PASSWORD), 200)
                for level, seconds in enumerate((4, 8)):
                    statuses = [register(attacker, f"guess {number}") for number in range(5)]
                    self.assertEqual(statuses, [401] * 4 + [None])
                    ban = wait_for("the ban", lambda: bans(lab).get(ATTACKER), 5)
                    self.assertEqual((ban["reason"], ban["level"], ban["proven"]), ("failed_auth", level, True))
                    self.assertEqual(register(phone, PASSWORD), 200)
                    wait_for("the ban to end", lambda: not bans(lab), seconds + 5)
                    # The worker may be a tick behind control.
                    wait_for("the attacker to be heard", lambda: register(attacker, None) == 401, 5)
                self.assertIn("event=banned", lab.control.log_text())

    def test_harvest(self):
        """protection: who asks for many addresses that nobody has is banned; who asks for one again is denied"""
        with Lab(2, protected(screen={"not_found": 8, "refused": 6, "deny_s": 3})) as lab:
            lab.start()
            Kamailio(lab, lab.inside, INSIDE)
            with Phone(lab.outside, ATTACKER, user="eve") as eve, Phone(lab.outside, PHONE, user="bob") as bob:
                reached = self._ask(eve, [f"user{number}" for number in range(30)], "MESSAGE")
                self.assertTrue(8 <= reached <= 12, reached)
                ban = wait_for("the ban", lambda: bans(lab).get(ATTACKER), 5)
                self.assertEqual(ban["reason"], "harvest")
                self.assertEqual(self._ask(bob, ["nobody"] * 10), 6)
                self.assertNotIn(PHONE, bans(lab))
                time.sleep(3.5)
                self.assertEqual(self._ask(bob, ["nobody"]), 1)

    @staticmethod
    def _ask(phone, users, method="INVITE"):
        """Asks for users that nobody is, one after another. Returns how often there was an answer."""
        for number, user in enumerate(users):
            call = {"call_id": f"{phone.user}-{time.monotonic_ns()}", "cseq": 1, "to": f"sip:{user}@{DOMAIN}",
                    "from_tag": "f"}
            phone.request(method, f"sip:{user}@{DOMAIN}", SERVER, **call)
            answer = phone.receive(0.5)
            if answer is None:
                return number
            if method == "INVITE":
                tag = answer.header("To").partition(";tag=")[2]
                phone.request("ACK", f"sip:{user}@{DOMAIN}", SERVER, to_tag=tag, **call)
        return len(users)

    def test_operator(self):
        """protection: an operator's ban holds through a kill of either process, until it is lifted"""
        with Lab(2, forward) as lab:
            lab.start()
            with Phone(lab.inside, INSIDE, user="server") as server, \
                    Phone(lab.outside, ATTACKER, user="eve") as eve:
                self.assertTrue(self._reaches(eve, server))
                lab.ctl("ban", "add", "203.0.113.13", "--seconds", 600, "--note", "ticket 7")
                wait_for("the ban to hold", lambda: not self._reaches(eve, server), 5)
                lab.ctl("allow", "add", "203.0.113.200")
                before = bans(lab)[ATTACKER]
                lab.control.kill()
                self.assertFalse(self._reaches(eve, server))
                lab.start_control()
                lab.wait_up()
                after = bans(lab)[ATTACKER]
                self.assertEqual((after["until"], after["detail"]), (before["until"], "ticket 7"))
                self.assertGreater(after["hits"], 0)
                self.assertEqual(lab.ctl("allow", "list")["allowed"], [{"prefix": "203.0.113.200/32", "configured": False}])

                lab.dataplane.kill()
                wait_for("control to notice", lambda: lab.dataplane_state() == "lost", 5)
                lab.start_dataplane()
                lab.wait_up()
                wait_for("the ban to hold again", lambda: not self._reaches(eve, server), 5)
                lab.ctl("ban", "lift", ATTACKER)
                wait_for("the ban to end", lambda: self._reaches(eve, server), 5)
                self.assertNotEqual(lab.ctl_run("ban", "lift", ATTACKER).returncode, 0)

    @staticmethod
    def _reaches(phone, server):
        while server.receive(0.05):
            pass
        phone.request("OPTIONS", f"sip:{PINHOLE}", SERVER, call_id=f"o-{time.monotonic_ns()}", cseq=1,
                      to=f"sip:{PINHOLE}", from_tag="f")
        return server.receive(0.5) is not None

    def test_established(self):
        """protection: an operator's ban holds at once for a flow that is established; who is lifted or allowed comes back"""
        with Lab(2) as lab:
            lab.start()
            with lab.inside.socket(address=INSIDE, port=7000) as host, \
                    lab.outside.socket(address=ATTACKER, port=9000) as peer:
                host.sendto(b"first", (ATTACKER, 9000))
                _, external = peer.recvfrom(100)

                def comes_in():
                    word = str(time.monotonic_ns()).encode()
                    peer.sendto(word, external)
                    host.settimeout(0.3)
                    try:
                        while host.recvfrom(100)[0] != word:
                            pass
                    except TimeoutError:
                        return False
                    return True

                def is_kept_out():
                    wait_for("the ban to hold", lambda: not comes_in(), 5)
                    host.sendto(b"more", (ATTACKER, 9000))
                    self.assertEqual(peer.recvfrom(100), (b"more", external), "inside may send to whom it likes")
                    self.assertFalse(comes_in())

                def comes_back():
                    express = lab.counters()["express"]
                    wait_for("the flow to come back", comes_in, 5)
                    self.assertTrue(all(comes_in() for _ in range(10)))
                    self.assertGreaterEqual(lab.counters()["express"] - express, 10)

                comes_back()
                for forgive in (("ban", "lift"), ("allow", "add")):
                    lab.ctl("ban", "add", ATTACKER, "--seconds", 600)
                    is_kept_out()
                    lab.ctl(*forgive, ATTACKER)
                    comes_back()
                lab.ctl("allow", "remove", ATTACKER)
                is_kept_out()
                self.assertGreaterEqual(lab.counters()["drop_banned"], 6)

    def test_limits(self):
        """protection: what a stranger sends over his limit is dropped, told and counted; others notice nothing"""
        few = {"limits": {"sources": {"unknown": {"per_s": 5, "burst": 20}}, "warn_percent": 50}}
        with Lab(1, protected(**few)) as lab:
            lab.start()
            with Phone(lab.inside, INSIDE, user="server") as server, \
                    Phone(lab.outside, ATTACKER, user="eve") as eve, Phone(lab.outside, OUTSIDE, user="bob") as bob:
                for number in range(100):
                    eve.request("OPTIONS", f"sip:{PINHOLE}", SERVER, call_id=f"flood-{number}", cseq=1,
                                to=f"sip:{PINHOLE}", from_tag="f")
                self.assertTrue(self._reaches(bob, server))
                counters = lab.counters()
                self.assertTrue(70 <= counters["drop_sip_rate"] <= 80, counters["drop_sip_rate"])
                self.assertGreater(counters["source_warned"], 0)
                log = wait_for("the log", lambda: "event=limit_exceeded" in lab.control.log_text()
                               and lab.control.log_text(), 5)
                self.assertIn("event=limit_near", log)
                self.assertIn(f"source={ATTACKER}", log)
                self.assertEqual(bans(lab), {})
