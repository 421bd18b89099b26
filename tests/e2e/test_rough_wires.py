# SPDX-License-Identifier: BSD-3-Clause
"""SIP over TCP between real stacks over wires that lose, double, reorder and cut segments, on both sides of Pinhole."""

import random
import socket
import threading
import time
import unittest

from support import rough
from support.lab import INSIDE, OUTSIDE, Lab, wait_for
from support.sipp import Sipp

CALLS = 20
MESSAGES = 300
LARGEST_BODY = 9000
PATIENCE_S = 60


class RoughWires(unittest.TestCase):

    def _start(self, lab, seed):
        """Puts the wires in, and starts what is between them."""
        wires = [rough.RoughWire(lab, side, seed) for side in ("inside", "outside")]
        lab.start()
        return wires

    def _all_was_mended(self, lab, wires):
        counters = lab.counters()
        for name in ("sip_malformed", "stream_not_mine", "stream_not_whole", "stream_given_up",
                     "drop_stream_overlap"):
            self.assertEqual(counters[name], 0, name)
        for name in ("sip_edited", "stream_reordered"):
            self.assertGreater(counters[name], 0, name)
        for wire in wires:
            for what, count in wire.counts.items():
                self.assertGreater(count, 0, f"no segment was {what}: {wire.counts}")

    # [AC-07]
    def test_calls(self):
        """rough wires: calls over one TCP connection, and over one for each"""
        seed = rough.seed()
        for transport in ("t1", "tn"):
            with self.subTest(transport=transport), Lab(2) as lab:
                wires = self._start(lab, seed)
                answerer = Sipp(lab, lab.outside, "answerer", OUTSIDE, 5060, calls=CALLS, transport="t1")
                wait_for("SIPp to listen", lambda: f"{OUTSIDE}:5060 " in lab.outside.run("ss", "-ltnH").stdout)
                caller = Sipp(lab, lab.inside, "caller", INSIDE, 5060, remote=f"{OUTSIDE}:5060", calls=CALLS, rate=10,
                              hold_ms=500, transport=transport)
                for peer in (caller, answerer):
                    peer.wait(PATIENCE_S)
                    peer.check(self, CALLS)
                self._all_was_mended(lab, wires)

    # [AC-06][AC-07]
    def test_streams(self):
        """rough wires: both ends get what was made of a long stream of messages, byte for byte, and its end"""
        seed = rough.seed()
        with Lab(2) as lab:
            wires = self._start(lab, seed)
            with lab.outside.socket(address=OUTSIDE, port=5060, kind=socket.SOCK_STREAM) as listener, \
                    lab.inside.socket(address=INSIDE, kind=socket.SOCK_STREAM) as phone:
                listener.listen()
                listener.settimeout(PATIENCE_S)
                phone.settimeout(PATIENCE_S)
                phone.connect((OUTSIDE, 5060))
                server, (host, port) = listener.accept()
                with server:
                    server.settimeout(PATIENCE_S)
                    inside, outside = f"{INSIDE}:{phone.getsockname()[1]}", f"{host}:{port}"
                    self._compare(lab, phone, server, inside, outside, random.Random(seed))
            self._all_was_mended(lab, wires)

    def _compare(self, lab, phone, server, inside, outside, chance):
        """Both send at once, in pieces; then what came is compared with what was to come."""
        out, back = (Conversation(chance, make) for make in (request, answer))
        ears = {"server": Ear(server), "phone": Ear(phone)}
        threads = [threading.Thread(target=out.say, args=(phone, inside)),
                   threading.Thread(target=back.say, args=(server, outside)),
                   *(threading.Thread(target=ear.listen) for ear in ears.values())]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * PATIENCE_S)
        problems = [f"the {name} {problem}" for name, said, own, seen in
                    (("server", out, inside, outside), ("phone", back, outside, inside))
                    if (problem := ears[name].problem(said, own, seen))]
        if problems:
            counters = {name: count for name, count in lab.counters().items()
                        if count and name.startswith(("stream_", "drop_", "sip_"))}
            self.fail("\n".join((*problems, f"counters: {counters}")))


class Conversation:
    """What one side says: messages that name an endpoint, and keep-alives."""

    def __init__(self, chance, make):
        self._parts = [(make, number, chance.randbytes(chance.choice((0, 0, 200, 1500, LARGEST_BODY))).hex(),
                        b"\r\n\r\n" * chance.randrange(2)) for number in range(MESSAGES)]
        self._pieces = random.Random(chance.random())

    def messages(self, endpoint):
        return [make(endpoint, number, body) + rest for make, number, body, rest in self._parts]

    def text(self, endpoint):
        return b"".join(self.messages(endpoint))

    def strange_messages(self, heard, own, seen):
        """The numbers of messages that came as they were said, and of the first that came otherwise or not at all."""
        at, untranslated = 0, []
        for number, (wanted, said) in enumerate(zip(self.messages(seen), self.messages(own))):
            if heard.startswith(wanted, at):
                at += len(wanted)
            elif heard.startswith(said, at):
                untranslated.append(number)
                at += len(said)
            else:
                return untranslated, number
        return untranslated, None

    def say(self, connection, endpoint):
        text = self.text(endpoint)
        at = 0
        while at < len(text):
            size = self._pieces.choice((1, 7, 100, 700, 3000, 20000))
            connection.sendall(text[at:at + size])
            at += size
        connection.shutdown(socket.SHUT_WR)


class Ear:
    """Takes all that comes, to the end, and knows where nothing came for longest."""

    def __init__(self, connection):
        self._connection = connection
        self._got = bytearray()
        self._silence_s, self._silent_at = 0.0, 0
        self._ended = False

    def listen(self):
        last = time.monotonic()
        while piece := self._connection.recv(65536):
            now = time.monotonic()
            if now - last > self._silence_s:
                self._silence_s, self._silent_at = now - last, len(self._got)
            last = now
            self._got += piece
        self._ended = True

    def problem(self, said, own, seen):
        """What is not as it was to be; None when all is."""
        got, wanted = bytes(self._got), said.text(seen)
        if got == wanted and self._ended:
            return None
        untranslated, broken = said.strange_messages(got, own, seen)
        return (f"got {len(got)} bytes instead of {len(wanted)}, and {'then' if self._ended else 'not'} the end. "
                f"Untranslated: messages {untranslated}; other bytes from message {broken} on; the longest silence, of "
                f"{self._silence_s:.1f} s, was behind {self._silent_at} bytes")


def request(endpoint, number, body):
    return (f"MESSAGE sip:bob@voice.example SIP/2.0\r\nVia: SIP/2.0/TCP {endpoint};branch=z9hG4bK{number}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:a@voice.example>;tag=1\r\nTo: <sip:bob@voice.example>\r\n"
            f"Call-ID: {number}@voice.example\r\nCSeq: {number} MESSAGE\r\n"
            f"Contact: <sip:a@{endpoint};transport=tcp>\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()


def answer(endpoint, number, body):
    return (f"SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP {endpoint};branch=z9hG4bK{number}\r\n"
            f"From: <sip:a@voice.example>;tag=1\r\nTo: <sip:bob@voice.example>;tag=2\r\n"
            f"Call-ID: {number}@voice.example\r\nCSeq: {number} MESSAGE\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()
