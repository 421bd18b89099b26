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

    TRANSPORT = "UDP"

    def __init__(self, namespace, address, port=5060, user="phone"):
        self._namespace = namespace
        self.address, self.port, self.user = address, port, user
        self.socket = self._open()
        self._last = None
        self._registration = f"register-{next(_numbers)}"

    def _open(self):
        return self._namespace.socket(socket.SOCK_DGRAM, self.address, self.port)

    @property
    def uri(self):
        """Where it says that it can be reached."""
        parameter = "" if self.TRANSPORT == "UDP" else f";transport={self.TRANSPORT.lower()}"
        return f"sip:{self.user}@{self.address}:{self.port}{parameter}"

    def _via(self, branch):
        return f"Via: SIP/2.0/{self.TRANSPORT} {self.address}:{self.port};branch=z9hG4bK-{branch};rport"

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
                 self._via(f"{call_id[:8]}-{number}"), "Max-Forwards: 70",
                 f"From: <sip:{self.user}@{DOMAIN}>;tag={from_tag}",
                 f"To: <{to}>" + (f";tag={to_tag}" if to_tag else ""),
                 f"Call-ID: {call_id}", f"CSeq: {cseq} {method}",
                 f"Contact: <{self.uri}>", *more]
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
        if request.method != "REGISTER":  # there it would be a binding
            lines.append(f"Contact: <{self.uri}>")
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
                 self._via(f"register-{number}"), "Max-Forwards: 70", f"From: <sip:{self.user}@{DOMAIN}>;tag=r{number}",
                 f"To: <sip:{aor or self.user}@{DOMAIN}>",
                 f"Call-ID: {self._registration}@phone.example", f"CSeq: {number} REGISTER"]
        for contact in contacts or [f"<{self.uri}>"]:
            lines.append(f"Contact: {contact}")
        lines += [f"Expires: {expires}", *more, "Content-Length: 0"]
        self.send("\r\n".join(lines) + "\r\n\r\n", registrar)


class StreamPhone(Phone):
    """The same over TCP. Who listens takes the first connection that comes; who sends first makes it."""

    TRANSPORT = "TCP"

    def __init__(self, namespace, address, port=5060, user="phone", listens=False):
        super().__init__(namespace, address, port, user)
        self._listener = self._peer = None
        self._buffer = b""
        if listens:
            self._listener = self.socket
            self._listener.listen()

    def _open(self):
        return self._namespace.socket(socket.SOCK_STREAM, self.address, self.port)

    def send(self, text, target):
        if self._peer is None:
            self.socket.connect(target)
            self._peer = target
        self.socket.sendall(text.encode())

    def receive(self, timeout=2.0):
        """The next message of the stream, cut by its Content-Length."""
        deadline = time.monotonic() + timeout
        try:
            if self._listener is not None and self._peer is None:
                self._listener.settimeout(timeout)
                self.socket, self._peer = self._listener.accept()
            while not (size := self._size()):
                self.socket.settimeout(max(0.001, deadline - time.monotonic()))
                data = self.socket.recv(65535)
                if not data:
                    return None
                self._buffer += data
        except TimeoutError:
            return None
        message, self._buffer = self._buffer[:size], self._buffer[size:]
        return Message(message.decode(), self._peer)

    def _size(self):
        """How long the first message is; 0 when it is not whole yet."""
        head, end, _ = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return 0
        length = re.search(rb"(?im)^Content-Length:[ ]*([0-9]+)", head)
        size = len(head) + 4 + (int(length.group(1)) if length else 0)
        return size if len(self._buffer) >= size else 0

    def close(self):
        super().close()
        if self._listener is not None:
            self._listener.close()


class Dialog:
    """A call by hand between two phones, `caller` sending to `target`: each step is one message that must arrive.

    Media sockets are the caller's and the answerer's own; their external ends are learnt from the SDP received.
    The descriptions are what `offers` and `answers` make of an address and a port.
    """

    def __init__(self, test, caller, answerer, target, caller_media, answerer_media, offers=sdp, answers=sdp):
        self.test, self.caller, self.answerer, self.target = test, caller, answerer, target
        self.caller_media, self.answerer_media = caller_media, answerer_media
        self._offers, self._answers = offers, answers
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
        self._request("INVITE", 1, body=self._offers(self.caller.address, self.caller_media) + more_sdp, more=more)
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

    def accept(self, more_sdp="", more=()):
        body = self._answers(self.answerer.address, self.answerer_media) + more_sdp
        self.answerer.respond(self.offer, 200, "OK", body=body, more=more)
        self.answer = self._arrives(self.caller, "SIP/2.0 200")
        self._request("ACK", 1, to_tag="answer")
        self._arrives(self.answerer, "ACK ")
        return self.answer

    def hang_up(self, cseq=2):
        self._request("BYE", cseq, to_tag="answer")
        bye = self._arrives(self.answerer, "BYE ")
        self.answerer.respond(bye, 200, "OK")
        return self._arrives(self.caller, "SIP/2.0 200")
