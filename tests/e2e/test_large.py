# SPDX-License-Identifier: BSD-3-Clause
"""SIP messages larger than a packet, between real stacks: in fragments, both ways, and outgrowing the MTU."""

import itertools
import random
import socket
import unittest

from support import capture
from support.far import by_pcap
from support.lab import INSIDE, OUTSIDE, PINHOLE, Lab, wait_for
from support.phone import Dialog, Phone
from test_fragments import IP_MTU, IP_MTU_DISCOVER, PMTUDISC_DO, PMTUDISC_DONT, udp_fragments

SEED = random.randrange(1 << 32)


def message(start, address, size, sdp=False):
    """A SIP message of `size` bytes with an address in Via and Contact, most of it body."""
    head = "\r\n".join((start, f"Via: SIP/2.0/UDP {address};branch=z9hG4bK7", "Max-Forwards: 70",
                        "From: <sip:alice@example.com>;tag=1", "To: <sip:bob@example.com>", "Call-ID: large",
                        f"CSeq: 1 {'INVITE' if sdp else 'MESSAGE'}", f"Contact: <sip:alice@{address}>",
                        f"Content-Type: {'application/sdp' if sdp else 'text/plain'}", "Content-Length: "))
    host = address.split(":")[0]
    body = "" if not sdp else (f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
                               "m=audio 40000 RTP/AVP 0\r\n")
    filler = size - len(head) - len("00000\r\n\r\n") - len(body)
    if sdp:
        line = "a=x:" + "y" * 94 + "\r\n"
        body += line * (filler // len(line))
    else:
        body += "z" * filler
    return f"{head}{len(body):05}\r\n\r\n{body}".encode()


def scattered(raw, source, target, data, number, order):
    """Sends a datagram in fragments of 1,480 bytes, shuffled."""
    pieces = list(udp_fragments(source, target, data, number, range(1480, len(data) + 8, 1480)))
    order.shuffle(pieces)
    for piece in pieces:
        raw.sendto(piece, (target[0], 0))


class ScatteringPhone(Phone):
    """One whose messages leave in fragments, in any order."""

    def __init__(self, *arguments, order, **options):
        super().__init__(*arguments, **options)
        self._order, self._numbers = order, itertools.count(1)
        self._raw = self._namespace.socket(socket.SOCK_RAW, protocol=socket.IPPROTO_RAW)

    def send(self, text, target):
        scattered(self._raw, (self.address, self.port), target, text.encode(), next(self._numbers), self._order)

    def close(self):
        super().close()
        self._raw.close()


class LargeMessages(unittest.TestCase):

    # [AC-08]
    def test_fragments(self):
        """large messages: an INVITE of 9 kB and a MESSAGE of 60 kB pass both ways, their fragments in any order"""
        print(f"seed {SEED}", end=" ", flush=True)
        order = random.Random(SEED)
        for workers in (1, 2):
            with Lab(workers=workers, configure=by_pcap()) as lab:
                lab.start()
                with lab.inside.socket(address=INSIDE, port=5060) as phone, \
                        lab.outside.socket(address=OUTSIDE, port=5060) as proxy, \
                        lab.inside.socket(socket.SOCK_RAW, protocol=socket.IPPROTO_RAW) as from_inside, \
                        lab.outside.socket(socket.SOCK_RAW, protocol=socket.IPPROTO_RAW) as from_outside:
                    phone.sendto(b"\r\n\r\n", (OUTSIDE, 5060))
                    external = proxy.recvfrom(100)[1]
                    shown, own = (f"{at[0]}:{at[1]}".encode() for at in (external, (INSIDE, 5060)))
                    for number in range(1, 9):
                        invite = message("INVITE sip:bob@example.com SIP/2.0", own.decode(), 9000, sdp=True)
                        scattered(from_inside, (INSIDE, 5060), (OUTSIDE, 5060), invite, number, order)
                        got = proxy.recv(70000)
                        self.assertNotIn(INSIDE.encode(), got)
                        self.assertEqual(got.count(shown), 2)
                        self.assertIn(f"c=IN IP4 {PINHOLE}".encode(), got)
                        self.assertEqual(got[got.index(b"a=x:"):], invite[invite.index(b"a=x:"):])

                        text = message("MESSAGE sip:bob@example.com SIP/2.0", own.decode(), 60000)
                        scattered(from_inside, (INSIDE, 5060), (OUTSIDE, 5060), text, number + 100, order)
                        self.assertEqual(proxy.recv(70000), text.replace(own, shown))

                        text = message("MESSAGE sip:alice@example.com SIP/2.0", shown.decode(), 60000)
                        scattered(from_outside, (OUTSIDE, 5060), external, text, number, order)
                        self.assertEqual(phone.recv(70000), text.replace(shown, own))
                counters = lab.counters()
                self.assertEqual(counters["sip_reassembled"], 24)
                wait_for("nothing to wait", lambda lab=lab: lab.counters()["sip_fragment_waiting"] == 0)

    # [AC-08][AC-09]
    def test_calls(self):
        """large messages: calls in and out with descriptions of 9 kB and 60 kB, their fragments in any order, have media"""
        print(f"seed {SEED}", end=" ", flush=True)
        order = random.Random(SEED)
        with Lab(workers=2, configure=by_pcap()) as lab:
            lab.start()
            with ScatteringPhone(lab.inside, INSIDE, user="phone", order=order) as phone, \
                    ScatteringPhone(lab.outside, OUTSIDE, user="proxy", order=order) as proxy:
                phone.send_register((OUTSIDE, 5060))
                register = proxy.next("REGISTER")
                proxy.respond(register, 200, "OK", more=[f"Contact: {register.header('Contact')};expires=60"])
                phone.next("SIP/2.0 200")
                ways = (proxy, phone, register.contact), (phone, proxy, (OUTSIDE, 5060))
                for number, (size, (caller, answerer, target)) in enumerate(itertools.product((9000, 60000), ways)):
                    dialog = Dialog(self, caller, answerer, target, 20000 + 10 * number, 30000 + 10 * number)
                    self._call(lab, dialog, size)
            self.assertGreaterEqual(lab.counters()["sip_reassembled"], 8)

    def _call(self, lab, dialog, size):
        """Descriptions of that size arrive whole, and media passes where they say."""
        line = "a=x:" + "y" * 94 + "\r\n"
        more = line * (size // len(line))
        for received in (dialog.invite(more), dialog.accept(more)):
            self.assertEqual(received.body[-len(more):], more)
        self.assertIn(f"@{dialog.answerer.address}:5060", dialog.offer.start)
        inward = dialog.answerer.address == INSIDE
        described, inside_port, outside_port = (
            (dialog.answer, dialog.answerer_media, dialog.caller_media) if inward else
            (dialog.offer, dialog.caller_media, dialog.answerer_media))
        self.assertNotIn(INSIDE, described.text)
        self.assertEqual(described.media[0], PINHOLE)
        with lab.inside.socket(address=INSIDE, port=inside_port) as inside, \
                lab.outside.socket(address=OUTSIDE, port=outside_port) as outside:
            outside.sendto(b"speaks first", described.media)
            self.assertEqual(inside.recvfrom(100), (b"speaks first", (OUTSIDE, outside_port)))
            inside.sendto(b"and is answered", (OUTSIDE, outside_port))
            self.assertEqual(outside.recvfrom(100), (b"and is answered", described.media))
        dialog.hang_up()

    # [AC-08]
    def test_by_the_stacks(self):
        """large messages: what the stacks fragment by themselves arrives, in fragments that fit, untouched or edited"""
        with Lab(workers=2, configure=by_pcap()) as lab:
            lab.start()
            link = capture.Capture(lab, lab.outside, "outside", "udp")
            with lab.inside.socket(address=INSIDE, port=5060) as phone, \
                    lab.outside.socket(address=OUTSIDE, port=5060) as proxy:
                for address in (f"{INSIDE}:5060", "phone.example.com"):
                    for size in (1500, 3000, 9000, 60000):
                        text = message("MESSAGE sip:bob@example.com SIP/2.0", address, size)
                        phone.sendto(text, (OUTSIDE, 5060))
                        got, external = proxy.recvfrom(70000)
                        shown = f"{external[0]}:{external[1]}".encode()
                        self.assertEqual(got, text.replace(f"{INSIDE}:5060".encode(), shown))
                        proxy.sendto(got, external)
                        self.assertEqual(phone.recv(70000), text)
            frames = link.stop()
            self.assertGreater(len(frames), 160)
            self.assertLessEqual(max(len(frame) for _, frame in frames), 1514)

    # [AC-08]
    def test_outgrown(self):
        """large messages: one that outgrows the MTU arrives in fragments, or its sender learns to fragment it"""
        for ignore_df in (False, True):
            def configure(config, ignore_df=ignore_df):
                config.setdefault("sip", {})["ignore_df"] = ignore_df
            with Lab(configure=by_pcap(configure)) as lab:
                lab.start()
                with lab.inside.socket(address=INSIDE, port=5060) as phone, \
                        lab.outside.socket(address=OUTSIDE, port=5060) as proxy:
                    text = message("MESSAGE sip:bob@example.com SIP/2.0", f"{INSIDE}:5060", 1472)
                    phone.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DONT)
                    phone.sendto(text, (OUTSIDE, 5060))
                    first, external = proxy.recvfrom(2000)
                    self.assertEqual(first, text.replace(f"{INSIDE}:5060".encode(),
                                                         f"{external[0]}:{external[1]}".encode()))
                    self.assertGreater(len(first), 1472)

                    phone.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)
                    phone.connect((OUTSIDE, 5060))
                    phone.send(text)
                    if not ignore_df:
                        wait_for("the phone to learn", lambda: phone.getsockopt(socket.IPPROTO_IP, IP_MTU) < 1500)
                        self.assertEqual(lab.counters()["drop_too_big"], 1)
                        # What a phone's stack does by itself (IP_PMTUDISC_WANT): fragment what is larger.
                        phone.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DONT)
                        try:
                            phone.send(text)
                        except OSError:  # what was learnt is told once
                            phone.send(text)
                    self.assertEqual(proxy.recv(2000), first)


if __name__ == "__main__":
    unittest.main()
