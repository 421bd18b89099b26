# SPDX-License-Identifier: BSD-3-Clause
"""What was done to each message of a call, and why, can be seen; whose packets its media ports take is a policy."""

import socket
import unittest

from support.lab import INSIDE, OUTSIDE, Lab, wait_for
from support.phone import Dialog, Phone

STRANGER = "203.0.113.13"
CALLER_MEDIA = 20000
ANSWERER_MEDIA = 30000


def with_why(config):
    config.setdefault("sip", {})["why"] = True


def with_why_and_malformed_dropped(config):
    with_why(config)
    config["sip"]["malformed"] = "drop"


class Why(unittest.TestCase):

    # [AC-25]
    def test_call(self):
        """why: pinholectl call --why names each token that was replaced, its rule, and what was opened"""
        with Lab(configure=with_why) as lab:
            lab.start()
            with Phone(lab.inside, INSIDE, user="caller") as caller, \
                    Phone(lab.outside, OUTSIDE, user="answerer") as answerer:
                dialog = Dialog(self, caller, answerer, (OUTSIDE, 5060), CALLER_MEDIA, ANSWERER_MEDIA)
                invite = dialog.invite()
                dialog.accept()
                wait_for("the ladder", lambda: len(self._ladder(lab, dialog)) == 3, 3)
                ladder = self._ladder(lab, dialog)
                edits = [row for row in ladder[0]["why"] if row["kind"] == "edit"]
                self.assertEqual(len(edits), ladder[0]["edits"])
                self.assertEqual(ladder[0]["why_lost"], 0)
                contact = next(row for row in edits if row["rule"] == "Contact")
                self.assertEqual(contact["before"].split(":")[0], INSIDE)
                self.assertIn(contact["after"], invite.header("Contact"))
                opened = [row for row in ladder[0]["why"] if row["kind"] == "opened"]
                self.assertEqual([row["before"] for row in opened],
                                 [f"{INSIDE}:{CALLER_MEDIA}", f"{INSIDE}:{CALLER_MEDIA + 1}"])
                self.assertEqual(opened[0]["after"], "{}:{}".format(*invite.media))
                expected = [row for row in ladder[1]["why"] if row["kind"] == "expected"]
                self.assertEqual(expected[0]["before"], f"{OUTSIDE}:{ANSWERER_MEDIA}")
                text = lab.ctl_text("call", dialog.call_id, "--why")
                self.assertIn(f"Contact: {contact['before']} → {contact['after']}", text)
                self.assertIn(f"pinhole opened: {INSIDE}:{CALLER_MEDIA} ↔ ", text)
                self.assertNotIn("why", lab.ctl("call", dialog.call_id)["ladder"][0])
                dialog.hang_up()

    @staticmethod
    def _ladder(lab, dialog):
        known = any(call["call_id"] == dialog.call_id for call in lab.ctl("calls")["calls"])
        return lab.ctl("call", dialog.call_id, "--why")["ladder"] if known else []

    # [AC-25]
    def test_messages(self):
        """why: pinholectl messages tells of messages of no call what was replaced, and of dropped ones the reason"""
        with Lab(configure=with_why_and_malformed_dropped) as lab:
            lab.start()
            with Phone(lab.inside, INSIDE, user="caller") as phone, Phone(lab.outside, OUTSIDE) as registrar:
                phone.send_register((OUTSIDE, 5060))
                asked = registrar.next("REGISTER")
                registrar.respond(asked, 200, "OK")
                phone.next("SIP/2.0 200")
                phone.send("OPTIONS sip:nobody SIP/2.0\r\nVia: nothing\r\n\r\n", (OUTSIDE, 5060))
                rows = wait_for("three messages", lambda: self._messages(lab, 3), 3)
                self.assertEqual([row["start"].split()[0] for row in rows], ["OPTIONS", "200", "REGISTER"])
                self.assertEqual([row["dropped"] for row in rows], ["drop_sip_malformed", None, None])
                contact = next(row for row in rows[2]["why"] if row["rule"] == "Contact")
                self.assertEqual(contact["before"].split(":")[0], INSIDE)
                self.assertIn(contact["after"], asked.header("Contact"))
                back = next(row for row in rows[1]["why"] if row["rule"] == "Via")
                self.assertEqual(back["after"].split(":")[0], INSIDE)
                dropped = lab.ctl("messages", "--dropped")["messages"]
                self.assertEqual([row["start"] for row in dropped], ["OPTIONS sip:nobody SIP/2.0"])
                self.assertIn(f"Contact: {contact['before']} → {contact['after']}", lab.ctl_text("messages", "--why"))

    @staticmethod
    def _messages(lab, count):
        rows = lab.ctl("messages", "--why")["messages"]
        return rows if len(rows) == count else None

    # [AC-25][AC-28]
    def test_control_away(self):
        """why: control is killed and started again; calls, pinholes and what passed in between are there"""
        with Lab(configure=with_why) as lab:
            lab.start()
            with Phone(lab.inside, INSIDE, user="caller") as caller, \
                    Phone(lab.outside, OUTSIDE, user="answerer") as answerer:
                dialog = Dialog(self, caller, answerer, (OUTSIDE, 5060), CALLER_MEDIA, ANSWERER_MEDIA)
                dialog.invite()
                wait_for("the call", lambda: lab.ctl("calls")["calls"], 3)
                before = lab.ctl("call", dialog.call_id)
                lab.control.kill()
                dialog.accept()
                lab.start_control()
                lab.wait_up(5)
                after = wait_for("the call again", lambda: self._found(lab, dialog), 3)
                self.assertEqual(after["call"]["id"], before["call"]["id"])
                self.assertEqual(after["call"]["state"], "confirmed")
                self.assertEqual([row["external"] for row in after["pinholes"]],
                                 [row["external"] for row in before["pinholes"]])
                self.assertEqual([line["start"] for line in after["ladder"]], ["200 OK", "ACK"])
                self.assertTrue(after["ladder"][0]["why"])
                dialog.hang_up()

    @staticmethod
    def _found(lab, dialog):
        if not lab.ctl("calls")["calls"]:
            return None
        detail = lab.ctl("call", dialog.call_id, "--why")
        return detail if len(detail["ladder"]) == 2 else None


class MediaFrom(unittest.TestCase):

    # [AC-09][AC-23][rfc7362]
    def test_attacker(self):
        """media: packets from elsewhere than the call's remote end are dropped and counted, its own are heard"""
        with Lab() as lab:
            lab.start()
            with Phone(lab.inside, INSIDE, user="caller") as caller, \
                    Phone(lab.outside, OUTSIDE, user="answerer") as answerer, \
                    lab.inside.socket(socket.SOCK_DGRAM, INSIDE, CALLER_MEDIA) as ear, \
                    lab.outside.socket(socket.SOCK_DGRAM, OUTSIDE, ANSWERER_MEDIA) as mouth, \
                    lab.outside.socket(socket.SOCK_DGRAM, STRANGER, ANSWERER_MEDIA) as attacker:
                dialog = Dialog(self, caller, answerer, (OUTSIDE, 5060), CALLER_MEDIA, ANSWERER_MEDIA)
                target = dialog.invite().media
                dialog.accept()
                mouth.sendto(b"remote", target)
                self.assertEqual(ear.recv(100), b"remote")
                for _ in range(5):
                    attacker.sendto(b"attack", target)
                wait_for("the attacker to be dropped", lambda: lab.counters()["drop_media_source"] == 5, 5)
                mouth.sendto(b"remote again", target)
                self.assertEqual(ear.recv(100), b"remote again")
                dialog.hang_up()
