# SPDX-License-Identifier: BSD-3-Clause
"""Media over TCP: fax and MSRP connect as their descriptions say and carry bytes both ways; nobody else gets in."""

import os
import re
import select
import socket
import threading
import unittest

from support import capture
from support.lab import INSIDE, OUTSIDE, PINHOLE, Lab, wait_for
from support.phone import Dialog, Phone

STRANGER = "203.0.113.13"
AMOUNT = 50_000
PATIENCE_S = 0.4  # for a SYN that must not arrive


def soon_over(config):
    """Ended calls shut their ports within a second instead of four."""
    config["control"]["linger_s"] = 1


def description(address, media, session=""):
    return f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n{session}{media}"


def fax(setup):
    """T.38 over TCP (RFC 3362)."""
    return lambda address, port: description(address, f"m=image {port} TCP t38\r\na=T38FaxVersion:0\r\n"
                                                      f"a=setup:{setup}\r\na=connection:new\r\n")


def fax_of_session(setup):
    """The same, where the session says who connects (RFC 4145 section 4)."""
    return lambda address, port: description(address, f"m=image {port} TCP t38\r\n", f"a=setup:{setup}\r\n")


def msrp(setup=None):
    """MSRP: without a=setup, who offers connects (RFC 4975 section 5.4)."""
    return lambda address, port: description(
        address, f"m=message {port} TCP/MSRP *\r\na=accept-types:text/plain\r\n"
                 f"a=path:msrp://{address}:{port}/s{port};tcp\r\n" + (f"a=setup:{setup}\r\n" if setup else ""))


# Whether the inside calls, the offer, the answer, and whether the inside connects.
ROWS = {
    "fax out, the outside connects": (True, fax("passive"), fax("active"), False),
    "fax out, the outside chooses to connect": (True, fax("actpass"), fax("active"), False),
    "fax out, the inside connects": (True, fax("active"), fax("passive"), True),
    "fax out, the inside connects, as its session says": (True, fax_of_session("active"), fax("passive"), True),
    "fax in, the outside connects": (False, fax("active"), fax("passive"), False),
    "fax in, the inside connects": (False, fax("passive"), fax("active"), True),
    "MSRP out, the inside connects": (True, msrp(), msrp(), True),
    "MSRP out, the outside chooses to connect": (True, msrp("actpass"), msrp("active"), False),
    "MSRP in, the outside connects": (False, msrp(), msrp(), False),
}


class MediaOverTcp(unittest.TestCase):

    # [AC-21][rfc3362][rfc4145][rfc4975]
    def test_calls(self):
        """media over tcp: fax and MSRP connect as they say, either way, and carry bytes; nobody else gets in"""
        with Lab(workers=2, configure=soon_over) as lab:
            lab.start()
            link = capture.Capture(lab, lab.outside, "outside")
            with Phone(lab.inside, INSIDE, user="phone") as phone, Phone(lab.outside, OUTSIDE, user="peer") as peer:
                phone.send_register((OUTSIDE, 5060))
                register = peer.next("REGISTER")
                peer.respond(register, 200, "OK", more=[f"Contact: {register.header('Contact')};expires=60"])
                phone.next("SIP/2.0 200")
                told = {}
                for number, (title, row) in enumerate(ROWS.items()):
                    ends = (phone, peer, (OUTSIDE, 5060)) if row[0] else (peer, phone, register.contact)
                    dialog = Dialog(self, *ends, 20000 + number, 30000 + number, *row[1:3])
                    with self.subTest(title):
                        port, told[port] = self._call(lab, dialog, out=row[0], inside_connects=row[3])
            self.assertEqual(len(told), len(ROWS))
            wait_for("the ports to shut", lambda: lab.gauges()["pinholes"] == 0)
            self._are_refused(lab, OUTSIDE, told)
            self.assertEqual(capture.problems(link.stop())[:5], [])

    def _call(self, lab, dialog, out, inside_connects):
        """Returns the port of the inside, and where it was told to be."""
        dialog.invite()
        dialog.accept()
        shown, port, other_port = ((dialog.offer, dialog.caller_media, dialog.answerer_media) if out else
                                   (dialog.answer, dialog.answerer_media, dialog.caller_media))
        self.assertEqual(shown.media[0], PINHOLE)
        for path in re.findall(r"a=path:msrp://(\S+)/", shown.body):
            self.assertEqual(path, "%s:%d" % shown.media)
        if inside_connects:
            if "a=setup:active" in shown.body:
                self._are_refused(lab, OUTSIDE, {port: shown.media})
            self._carries((lab.inside, INSIDE), (OUTSIDE, other_port), (lab.outside, OUTSIDE, other_port))
        else:
            self._carries((lab.outside, OUTSIDE), shown.media, (lab.inside, INSIDE, port))
            # Who was named is in now, so that the first who comes is not taken for him any more.
            self._are_refused(lab, STRANGER, {port: shown.media})
        dialog.hang_up()
        return port, shown.media

    @staticmethod
    def _listener(namespace, address, port):
        listener = namespace.socket(socket.SOCK_STREAM, address, port)
        listener.listen()
        listener.settimeout(5)
        return listener

    def _are_refused(self, lab, address, told):
        """That no connection of an address outside arrives: `told` is where the inside was told to be, by its port."""
        listeners = [self._listener(lab.inside, INSIDE, port) for port in told]
        clients = [lab.outside.socket(socket.SOCK_STREAM, address) for _ in told]
        for client, target in zip(clients, told.values()):
            client.setblocking(False)
            client.connect_ex(target)
        arrived, _, _ = select.select(listeners, [], [], PATIENCE_S)
        for each in listeners + clients:
            each.close()
        self.assertEqual(arrived, [], f"{address} got in")

    def _carries(self, client_at, target, server_at):
        """A connection to the target arrives at the server, and bytes pass both ways at once."""
        with self._listener(*server_at) as listener, client_at[0].socket(socket.SOCK_STREAM, client_at[1]) as client:
            client.settimeout(5)
            client.connect(target)
            server, _ = listener.accept()
            with server:
                server.settimeout(5)
                there, back = os.urandom(AMOUNT), os.urandom(AMOUNT)
                senders = [threading.Thread(target=end.sendall, args=(data,))
                           for end, data in ((client, there), (server, back))]
                for sender in senders:
                    sender.start()
                got = [self._read(end) for end in (server, client)]
                for sender in senders:
                    sender.join()
                self.assertEqual(got, [there, back])

    @staticmethod
    def _read(end):
        got = b""
        while len(got) < AMOUNT and (piece := end.recv(65536)):
            got += piece
        return got
