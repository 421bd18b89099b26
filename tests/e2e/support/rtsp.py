# SPDX-License-Identifier: BSD-3-Clause
"""RTSP by hand: a server and a client that a test plays in turns, and their RTP and RTCP."""

import socket
import struct


def read_message(connection):
    """One message, head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(field(head.decode(), "Content-Length") or 0)
    while len(body) < length:
        body += _some(connection)
    return head.decode(), body


def _some(connection):
    part = connection.recv(4000)
    if not part:
        raise ConnectionError("the other end has closed")
    return part


def field(head, name):
    """The value of a header, "" when there is none."""
    for line in head.split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name.lower():
            return value.strip()
    return ""


def request(method, sequence, *headers, url="rtsp://pinhole.example/a"):
    return "\r\n".join((f"{method} {url} RTSP/1.0", f"CSeq: {sequence}", *headers, "", "")).encode()


def answer(sequence, *headers, body=b""):
    length = (f"Content-Length: {len(body)}",) if body else ()
    return "\r\n".join(("RTSP/1.0 200 OK", f"CSeq: {sequence}", *headers, *length, "", "")).encode() + body


def ports(transport, name):
    """The two ports of "client_port=5000-5001"."""
    for part in transport.split(";"):
        key, _, value = part.partition("=")
        if key == name:
            return tuple(map(int, value.split("-")))
    return None


def rtp(sequence):
    """A packet of sound."""
    return struct.pack("!BBHII", 0x80, 0, sequence, sequence * 160, 7) + bytes(160)


class Media:
    """A pair of ports, the even one for RTP."""

    def __init__(self, namespace, address, port):
        self.port = port
        self.sockets = [namespace.socket(address=address, port=port + which) for which in (0, 1)]

    @property
    def spoken(self):
        return f"{self.port}-{self.port + 1}"

    def send(self, address, to, count=20):
        """RTP to the first of two ports, a report to the second."""
        for sequence in range(count):
            self.sockets[0].sendto(rtp(sequence), (address, to[0]))
        self.sockets[1].sendto(b"\x80\xc8\0\0", (address, to[1]))

    def received(self, wanted):
        """How many packets have come to each port, when it is as many as are wanted or nothing more comes."""
        counts = [0, 0]
        for which, each in enumerate(self.sockets):
            try:
                while True:
                    each.settimeout(2.0 if counts[which] < wanted[which] else 0.1)
                    each.recv(2000)
                    counts[which] += 1
            except socket.timeout:
                pass
        return tuple(counts)

    def close(self):
        for each in self.sockets:
            each.close()
