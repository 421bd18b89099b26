# SPDX-License-Identifier: BSD-3-Clause
"""A SIP peer written out by hand, for the tests that look at single messages."""

import itertools
import re
import socket
import time

from support.lab import LabError

DOMAIN = "voice.example"

_numbers = itertools.count(1)


class Message:
    """A SIP message as it arrived."""

    def __init__(self, text, sender):
        self.text = text
        self.sender = sender
        head, _, self.body = text.partition("\r\n\r\n")
        self.start, *lines = head.split("\r\n")
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]
        self.status = int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0
        self.method = None if self.status else self.start.split()[0]

    def header(self, name):
        """The first header of that name, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def identity(self):
        """What a message that is sent again has in common with the first one, and no other has within a call."""
        return self.start, *map(self.header, ("Call-ID", "CSeq", "To"))

    @property
    def contact(self):
        """(host, port) of the Contact."""
        return endpoint_of(self.header("Contact"))

    @property
    def media(self):
        """(host, port) of the first media line."""
        return (re.search(r"^c=IN IP4 (\S+)", self.body, re.M).group(1),
                int(re.search(r"^m=\w+ (\d+)", self.body, re.M).group(1)))


def endpoint_of(header):
    found = re.search(r"sip:(?:[^@>]*@)?([0-9.]+)(?::(\d+))?", header)
    return found.group(1), int(found.group(2) or 5060)


def sdp(address, port, more="", codec=8):
    """One audio stream in G.711: A-law (8) or mu-law (0)."""
    return (f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP {codec}\r\na=rtpmap:{codec} PCM{'A' if codec else 'U'}/8000\r\n{more}")


class Phone:
    """A SIP endpoint on one socket of a namespace."""

    def __init__(self, namespace, address, port=5060, user="phone"):
        self.address, self.port, self.user = address, port, user
        self.socket = namespace.socket(socket.SOCK_DGRAM, address, port)
        self._last = None
        self._registration = f"register-{next(_numbers)}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, text, target):
        self.socket.sendto(text.encode(), target)

    def receive(self, timeout=2.0):
        """The next message, or None when none comes in time."""
        self.socket.settimeout(timeout)
        try:
            data, sender = self.socket.recvfrom(65535)
        except (TimeoutError, BlockingIOError):
            return None
        return Message(data.decode(), sender)

    def next(self, start, timeout=5.0):
        """The next message that begins like that; others, and what is said again, are left."""
        deadline = time.monotonic() + timeout
        while message := self.receive(max(0.0, deadline - time.monotonic())):
            if message.start.startswith(start) and message.identity != self._last:
                self._last = message.identity
                return message
        raise LabError(f"{self.user} waited in vain for {start}")

    def again(self, start):
        """The next message that begins like that, whether or not it was said before."""
        self._last = None
        return self.next(start)

    def request(self, method, uri, target, *, call_id, cseq, to, from_tag, to_tag=None, body="", more=()):
        """Sends a request with this phone's addresses in Via and Contact."""
        number = next(_numbers)
        lines = [f"{method} {uri} SIP/2.0",
                 f"Via: SIP/2.0/UDP {self.address}:{self.port};branch=z9hG4bK-{call_id[:8]}-{number};rport",
                 "Max-Forwards: 70",
                 f"From: <sip:{self.user}@{DOMAIN}>;tag={from_tag}",
                 f"To: <{to}>" + (f";tag={to_tag}" if to_tag else ""),
                 f"Call-ID: {call_id}", f"CSeq: {cseq} {method}",
                 f"Contact: <sip:{self.user}@{self.address}:{self.port}>", *more]
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines) + "\r\n\r\n" + body, target)

    def respond(self, request, status, reason, *, to_tag="answer", body="", more=()):
        """Answers a request the way RFC 3261 says: to where it came from, with its Via, From, To and Call-ID."""
        lines = [f"SIP/2.0 {status} {reason}"]
        for name, value in request.headers:
            if name.lower() in ("via", "record-route", "from", "call-id", "cseq"):
                lines.append(f"{name}: {value}")
        to = request.header("To")
        lines.append(f"To: {to}" if ";tag=" in to else f"To: {to};tag={to_tag}")
        lines.append(f"Contact: <sip:{self.user}@{self.address}:{self.port}>")
        lines.extend(more)
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines) + "\r\n\r\n" + body, request.sender)


    def register(self, registrar, **options):
        """Registers. Returns the answer."""
        self.send_register(registrar, **options)
        return self.next("SIP/2.0 ")

    def send_register(self, registrar, expires=600, aor=None, contacts=None, more=()):
        """Asks to be registered with its one contact, or with those given; or somebody else, with `aor`."""
        number = next(_numbers)
        lines = [f"REGISTER sip:{DOMAIN} SIP/2.0",
                 f"Via: SIP/2.0/UDP {self.address}:{self.port};branch=z9hG4bK-register-{number};rport",
                 "Max-Forwards: 70", f"From: <sip:{self.user}@{DOMAIN}>;tag=r{number}",
                 f"To: <sip:{aor or self.user}@{DOMAIN}>",
                 f"Call-ID: {self._registration}@phone.example", f"CSeq: {number} REGISTER"]
        for contact in contacts or [f"<sip:{self.user}@{self.address}:{self.port}>"]:
            lines.append(f"Contact: {contact}")
        lines += [f"Expires: {expires}", *more, "Content-Length: 0"]
        self.send("\r\n".join(lines) + "\r\n\r\n", registrar)


class Dialog:
    """A call by hand between two phones, `caller` sending to `target`: each step is one message that must arrive.

    Media sockets are the caller's and the answerer's own; their external ends are learnt from the SDP received.
    """

    def __init__(self, test, caller, answerer, target, caller_media, answerer_media):
        self.test, self.caller, self.answerer, self.target = test, caller, answerer, target
        self.caller_media, self.answerer_media = caller_media, answerer_media
        self.call_id = f"{next(_numbers):06d}-dialog@{caller.user}.example"
        self._uri = f"sip:{answerer.user}@{target[0]}:{target[1]}"
        self.offer = self.answer = None

    def _request(self, method, cseq, **options):
        self.caller.request(method, self._uri, self.target, call_id=self.call_id, cseq=cseq,
                            to=f"sip:{self.answerer.user}@{DOMAIN}", from_tag="from", **options)

    def _arrives(self, phone, start):
        message = phone.receive()
        self.test.assertIsNotNone(message, f"{start} did not arrive")
        self.test.assertTrue(message.start.startswith(start), message.text)
        return message

    def invite(self, more_sdp="", more=()):
        self._request("INVITE", 1, body=sdp(self.caller.address, self.caller_media, more_sdp), more=more)
        self.offer = self._arrives(self.answerer, "INVITE ")
        return self.offer

    def refuse(self, status=486, reason="Busy Here"):
        self.answerer.respond(self.offer, status, reason)
        answer = self._arrives(self.caller, f"SIP/2.0 {status}")
        self._request("ACK", 1, to_tag="answer")
        self._arrives(self.answerer, "ACK ")
        return answer

    def cancel(self):
        self._request("CANCEL", 1)
        cancel = self._arrives(self.answerer, "CANCEL ")
        self.answerer.respond(cancel, 200, "OK")
        self._arrives(self.caller, "SIP/2.0 200")
        return self.refuse(487, "Request Terminated")

    def ring(self):
        self.answerer.respond(self.offer, 180, "Ringing")
        return self._arrives(self.caller, "SIP/2.0 180")

    def accept(self):
        self.answerer.respond(self.offer, 200, "OK", body=sdp(self.answerer.address, self.answerer_media))
        self.answer = self._arrives(self.caller, "SIP/2.0 200")
        self._request("ACK", 1, to_tag="answer")
        self._arrives(self.answerer, "ACK ")
        return self.answer

    def hang_up(self, cseq=2):
        self._request("BYE", cseq, to_tag="answer")
        bye = self._arrives(self.answerer, "BYE ")
        self.answerer.respond(bye, 200, "OK")
        return self._arrives(self.caller, "SIP/2.0 200")
