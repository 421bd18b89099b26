# SPDX-License-Identifier: BSD-3-Clause
"""What goes wrong on the way and must not end a call: messages sent again, answers to other ports, silence on hold."""

import contextlib
import time
import unittest

from support.kamailio import Kamailio
from support.lab import INSIDE, OUTSIDE, PINHOLE, Lab, one_and_two_workers
from support.phone import DOMAIN, Phone, endpoint_of, sdp

PROXY = (OUTSIDE, 5060)
CALLER = "203.0.113.12"
MEDIA_S = 2


def short_media(config):
    config["nat"] = {"timeouts": {"media_s": MEDIA_S}}


class Losses(unittest.TestCase):

    def _say_again(self, record_route):
        """A call whose 200 and ACK are sent twice, as if the first ones were lost. ACK and BYE go as routes say."""
        with Lab(2) as lab, contextlib.ExitStack() as stack:
            lab.start()
            Kamailio(lab, lab.outside, OUTSIDE, record_route=record_route)
            alice = stack.enter_context(Phone(lab.inside, INSIDE, user="alice"))
            carol = stack.enter_context(Phone(lab.outside, CALLER, user="carol"))
            self.assertEqual(alice.register(PROXY).status, 200)
            call = {"call_id": "loss@caller.example", "to": f"sip:alice@{DOMAIN}", "from_tag": "c"}
            carol.request("INVITE", f"sip:alice@{DOMAIN}", PROXY, cseq=1, body=sdp(CALLER, 30000), **call)
            invite = alice.next("INVITE")
            answers = []
            for _ in range(2):
                alice.respond(invite, 200, "OK", body=sdp(INSIDE, 20000))
                answers.append(carol.again("SIP/2.0 200"))
            self.assertEqual(*(answer.text for answer in answers))
            self.assertEqual(answers[0].contact[0], PINHOLE)
            route = answers[0].header("Record-Route")
            self.assertEqual(route is not None, record_route)
            remote, hop = answers[0].header("Contact").strip("<>"), PROXY if route else answers[0].contact
            more = [f"Route: {route}"] if route else []
            for _ in range(2):
                carol.request("ACK", remote, hop, cseq=1, to_tag="answer", more=more, **call)
                self.assertEqual(alice.again("ACK").sender, PROXY if route else (CALLER, 5060))
            carol.request("BYE", remote, hop, cseq=2, to_tag="answer", more=more, **call)
            alice.respond(alice.next("BYE"), 200, "OK")
            carol.next("SIP/2.0 200")

    # [AC-12]
    def test_sent_again(self):
        """losses: a 200 and an ACK that are sent again pass again, as routes say, and the call goes on"""
        self._say_again(record_route=True)

    # [AC-12]
    def test_sent_again_past_the_proxy(self):
        """losses: the same past a proxy that does not stay on the way: ACK and BYE come from the caller himself"""
        self._say_again(record_route=False)

    # [AC-11][rfc3581]
    def test_port_that_is_not_the_source(self):
        """losses: a phone that sends from a high port and listens on 5060 hears answers and calls at 5060"""
        with Lab(2) as lab, contextlib.ExitStack() as stack:
            lab.start()
            high = stack.enter_context(Phone(lab.inside, INSIDE, 41000, user="alice"))
            listens = stack.enter_context(Phone(lab.inside, INSIDE, 5060, user="alice"))
            server = stack.enter_context(Phone(lab.outside, OUTSIDE))
            for rport, hearer in (("", listens), (";rport", high)):
                lines = [f"OPTIONS sip:{OUTSIDE} SIP/2.0",
                         f"Via: SIP/2.0/UDP {INSIDE}:5060;branch=z9hG4bK-other{len(rport)}{rport}", "Max-Forwards: 70",
                         f"From: <sip:alice@{DOMAIN}>;tag=a", f"To: <sip:alice@{DOMAIN}>",
                         "Call-ID: other@phone.example",
                         f"CSeq: {1 + len(rport)} OPTIONS", f"Contact: <sip:alice@{INSIDE}:5060>", "Content-Length: 0"]
                high.send("\r\n".join(lines) + "\r\n\r\n", PROXY)
                request = server.next("OPTIONS")
                sent_by = endpoint_of("sip:" + request.header("Via").split()[1].partition(";")[0])
                self.assertNotEqual(sent_by[1], request.sender[1], "two ports inside are two outside")
                self.assertEqual(sent_by, request.contact)
                # RFC 3581: to the source with rport, else to the port of sent-by.
                via = request.header("Via")
                if rport:
                    via = via.replace(rport, f"{rport}={request.sender[1]}") + f";received={PINHOLE}"
                reply = request.text.replace(request.header("Via"), via).replace(request.start, "SIP/2.0 200 OK")
                server.send(reply, request.sender if rport else sent_by)
                answer = hearer.next("SIP/2.0 200")
                expected = f";rport=41000;received={INSIDE}" if rport else ""
                self.assertEqual(answer.header("Via"),
                                 f"SIP/2.0/UDP {INSIDE}:5060;branch=z9hG4bK-other{len(rport)}{expected}")

    # [AC-01]
    def test_keep_alives(self):
        """losses: keep-alives pass unchanged both ways: CRLF and its pong, empty datagrams, STUN, single bytes"""
        stun = bytes.fromhex("000100002112a442") + bytes(range(12))
        with Lab() as lab, Phone(lab.inside, INSIDE) as phone, Phone(lab.outside, OUTSIDE) as server:
            lab.start()
            for data in (b"\r\n\r\n", b"\r\n", b"", b"\0", stun, b"jaK"):
                phone.socket.sendto(data, PROXY)
                heard, source = server.socket.recvfrom(100)
                self.assertEqual(heard, data)
                server.socket.sendto(data, source)
                self.assertEqual(phone.socket.recvfrom(100), (data, PROXY))

    # [AC-27]
    def test_silence_on_hold(self):
        """losses: a call on hold that is silent for more than twice media_s has its ports, and speaks at them again"""
        with one_and_two_workers(short_media) as labs, contextlib.ExitStack() as stack:
            calls = [self._held_call(lab, stack) for lab in labs]
            time.sleep(2 * MEDIA_S + 1)
            for lab, (phone, media, invite) in zip(labs, calls):
                open_now = {row["inside"]: row["external"] for row in lab.ctl("pinholes")["pinholes"]}
                self.assertEqual(open_now[f"{INSIDE}:20000"], "%s:%d" % invite.media)
                media[1].sendto(b"are you there", invite.media)
                self.assertEqual(media[0].recvfrom(100), (b"are you there", (OUTSIDE, 30000)))

    def _held_call(self, lab, stack):
        phone = stack.enter_context(Phone(lab.inside, INSIDE, user="alice"))
        server = stack.enter_context(Phone(lab.outside, OUTSIDE, user="carol"))
        media = [stack.enter_context(lab.inside.socket(address=INSIDE, port=20000)),
                 stack.enter_context(lab.outside.socket(address=OUTSIDE, port=30000))]
        call = {"call_id": "hold@phone.example", "to": f"sip:carol@{DOMAIN}", "from_tag": "a"}
        for cseq, direction, tag in ((1, "sendrecv", None), (2, "inactive", "answer")):
            more = f"a={direction}\r\n"
            phone.request("INVITE", f"sip:carol@{OUTSIDE}", PROXY, cseq=cseq, to_tag=tag,
                          body=sdp(INSIDE, 20000, more), **call)
            invite = server.next("INVITE")
            server.respond(invite, 200, "OK", body=sdp(OUTSIDE, 30000, more))
            phone.next("SIP/2.0 200")
            phone.request("ACK", f"sip:carol@{OUTSIDE}", PROXY, cseq=cseq, to_tag="answer", **call)
            server.next("ACK")
        return phone, media, invite
