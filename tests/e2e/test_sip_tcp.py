# SPDX-License-Identifier: BSD-3-Clause
"""SIP over TCP through real stacks: registrations and calls with media, cut messages, and what is not SIP."""

import os
import socket
import threading
import unittest

from support import capture
from support.lab import INSIDE, INSIDE_GATEWAY, OUTSIDE, PINHOLE, Lab, wait_for
from support.media import Media
from support.sipp import MEDIA_STEP, RTP_PACKETS, Sipp

CALLS = 20
TRANSPORTS = ("t1", "tn")
CALLER_MEDIA = 20000
ANSWERER_MEDIA = 30000
SMALL_MSS = 120
TLS_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


class SipOverTcp(unittest.TestCase):

    @staticmethod
    def _listens(lab):
        """A connection that is refused is not tried again."""
        wait_for("SIPp to listen", lambda: f"{OUTSIDE}:5060 " in lab.outside.run("ss", "-ltnH").stdout)

    def _calls(self, lab, transport, calls=CALLS, play=False):
        answerer = Sipp(lab, lab.outside, "answerer", OUTSIDE, 5060, calls=calls, media_port=ANSWERER_MEDIA,
                        transport="t1")
        self._listens(lab)
        caller = Sipp(lab, lab.inside, "caller", INSIDE, 5060, remote=f"{OUTSIDE}:5060", calls=calls, rate=10,
                      hold_ms=3000 if play else 500, media_port=CALLER_MEDIA, play=play, transport=transport)
        caller.wait(90)
        caller.check(self, calls)
        answerer.wait(20)
        answerer.check(self, calls)

    def _are_translated(self, counters, calls=CALLS):
        self.assertEqual(counters["call_opened"], calls)
        self.assertGreaterEqual(counters["sip_edited"], 3 * calls, "INVITE, ACK and BYE of each call name the inside")
        for name in ("sip_not_sip", "stream_not_mine", "stream_given_up"):
            self.assertEqual(counters[name], 0, name)

    def test_calls(self):
        """sip over tcp: calls over one connection, and over one for each, with media; the inside is not seen outside"""
        for transport in TRANSPORTS:
            with self.subTest(transport=transport), Lab(workers=2) as lab:
                lab.start()
                link = capture.Capture(lab, lab.outside, "outside")
                hears = Media(lab, lab.inside, INSIDE, CALLER_MEDIA, CALLS, MEDIA_STEP)
                echoes = Media(lab, lab.outside, OUTSIDE, ANSWERER_MEDIA, CALLS, MEDIA_STEP, echo=True)
                self._calls(lab, transport, play=True)
                self._are_translated(lab.counters())
                for heard in (hears.stop(), echoes.stop()):
                    self.assertEqual([row["packets"] for row in heard.values()], [RTP_PACKETS] * CALLS)
                self.assertEqual(capture.problems(link.stop())[:5], [])

    def test_registrations(self):
        """sip over tcp: a phone sees its Contact as it wrote it, and the registrar an external one"""
        with Lab(workers=2) as lab:
            lab.start()
            registrar = Sipp(lab, lab.outside, "registrar", OUTSIDE, 5060, calls=1, transport="t1")
            self._listens(lab)
            phone = Sipp(lab, lab.inside, "register", INSIDE, 5060, remote=f"{OUTSIDE}:5060", calls=1, transport="t1")
            phone.wait(20)
            phone.check(self, 1)
            registrar.wait(20)
            registrar.check(self, 1)
            self.assertEqual(phone.log(), [f"sip:answerer@{INSIDE}:5060;transport=tcp"])
            self.assertRegex(registrar.log()[0], rf"^sip:answerer@{PINHOLE}:\d+;transport=tcp$")

    # [AC-07]
    def test_cut_messages(self):
        """sip over tcp: messages that come in many small segments"""
        with Lab(workers=2) as lab:
            lab.start()
            lab.inside.run("ip", "route", "add", OUTSIDE, "via", INSIDE_GATEWAY, "advmss", SMALL_MSS)
            lab.outside.run("ip", "route", "add", PINHOLE, "dev", "eth0", "advmss", SMALL_MSS)
            self._calls(lab, "t1")
            self._are_translated(lab.counters())

    def _listen(self, lab):
        listener = lab.outside.socket(address=OUTSIDE, port=5060, kind=socket.SOCK_STREAM)
        listener.listen()
        listener.settimeout(10)
        return listener

    def _meet_with_other_length(self, lab, listener):
        """A connection whose address is written longer or shorter outside: the port there is random."""
        for _ in range(20):
            phone = lab.inside.socket(address=INSIDE, kind=socket.SOCK_STREAM)
            phone.settimeout(20)
            phone.connect((OUTSIDE, 5060))
            server, external = listener.accept()
            server.settimeout(20)
            if len("{}:{}".format(*external)) != len("{}:{}".format(*phone.getsockname())):
                return phone, server
            phone.close()
            server.close()
        self.fail("20 random ports in a row were as long as needed")

    # [AC-07]
    def test_transfer(self):
        """sip over tcp: bytes behind messages whose lengths were changed arrive whole, either way"""
        with Lab(workers=2) as lab:
            lab.start()
            with self._listen(lab) as listener:
                phone, server = self._meet_with_other_length(lab, listener)
                port = phone.getsockname()[1]
                with phone, server:
                    messages = b"".join(self._options(port, number) for number in range(200))
                    sender = threading.Thread(target=phone.sendall, args=(messages,))
                    sender.start()
                    got = b""
                    while got.count(b"\r\n\r\n") < 200:
                        got += server.recv(65536)
                    sender.join()
                    self.assertNotIn(INSIDE.encode(), got)
                    self.assertNotEqual(len(got), len(messages))
                    restored = b"".join(self._options(port, number) for number in range(200))
                    external = got.split(b"Via: SIP/2.0/TCP ", 1)[1].split(b";", 1)[0]
                    self.assertEqual(got.replace(external, f"{INSIDE}:{port}".encode()), restored)
                    # What is no SIP ends the reading; it and all that follows is shifted and no more.
                    blob = b"\x16\x03\x01" + os.urandom(300000)
                    for one, other in ((phone, server), (server, phone)):
                        self._transfer(one, other, blob)
            self.assertEqual(lab.counters()["stream_given_up"], 0)

    # [AC-07]
    def test_speaks_and_does_not_read(self):
        """sip over tcp: a phone whose window is closed may say a large message"""
        with Lab() as lab:
            lab.start()
            with self._listen(lab) as listener, lab.inside.socket(address=INSIDE, kind=socket.SOCK_STREAM) as phone:
                phone.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
                phone.connect((OUTSIDE, 5060))
                server, external = listener.accept()
                with server:
                    port = phone.getsockname()[1]
                    server.setblocking(False)
                    server.send(b"".join(self._options(external[1], number) for number in range(200)))
                    wait_for("Pinhole to ask the phone again", lambda: lab.counters()["stream_sent_again"] > 1)
                    body = bytes(40000)
                    phone.sendall(self._options(port, 0).replace(b"Length: 0", b"Length: 40000") + body)
                    server.settimeout(10)
                    got = b""
                    while not got.endswith(b"\r\n\r\n" + body):
                        piece = server.recv(65536)
                        self.assertTrue(piece, "the connection ended")
                        got += piece
                    self.assertNotIn(INSIDE.encode(), got)

    def _transfer(self, sender, receiver, blob):
        thread = threading.Thread(target=sender.sendall, args=(blob,))
        thread.start()
        got = bytearray()
        while len(got) < len(blob):
            piece = receiver.recv(65536)
            self.assertTrue(piece, "the connection ended")
            got += piece
        thread.join()
        self.assertEqual(bytes(got), blob)

    @staticmethod
    def _options(port, number):
        return (f"OPTIONS sip:bob@voice.example SIP/2.0\r\nVia: SIP/2.0/TCP {INSIDE}:{port};branch=z9hG4bK{number}\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:a@voice.example>;tag=1\r\nTo: <sip:bob@voice.example>\r\n"
                f"Call-ID: {number}@voice.example\r\nCSeq: 1 OPTIONS\r\nContact: <sip:a@{INSIDE}:{port};transport=tcp>\r\n"
                "Content-Length: 0\r\n\r\n").encode()

    # [AC-20]
    def test_not_sip(self):
        """sip over tcp: TLS and HTTP on a SIP port pass untouched, though they name the inside"""
        names = f"\r\nVia: SIP/2.0/TCP {INSIDE}:5060\r\n".encode()
        with Lab(workers=2) as lab:
            lab.start()
            for first in (TLS_HELLO, b"POST /upload HTTP/1.1\r\nHost: voice.example\r\n"):
                with self.subTest(first=first[:4]), self._listen(lab) as listener, \
                        lab.inside.socket(address=INSIDE, kind=socket.SOCK_STREAM) as client:
                    client.settimeout(20)
                    client.connect((OUTSIDE, 5060))
                    server, _ = listener.accept()
                    with server:
                        server.settimeout(20)
                        self._transfer(client, server, first + names + os.urandom(200000))
                        self._transfer(server, client, names + os.urandom(200000))
            counters = lab.counters()
            self.assertEqual(counters["sip_edited"], 0)
            self.assertEqual(counters["stream_not_mine"], 2)
