# SPDX-License-Identifier: BSD-3-Clause
"""The RTSP plug-in of docs/examples, with filtering by address and port: media arrives, and nobody else's does."""

import socket
import unittest

from support.lab import INSIDE, OUTSIDE, PINHOLE, one_and_two_workers
from support.plugins import plugin, strict, use
from support.rtsp import Media, answer, field, ports, read_message, request

PORT = 554
COUNT = 20  # packets


def configure(config):
    strict(config)
    config["nat"]["forwards"] = [{"protocol": "tcp", "external": f"{PINHOLE}:{PORT}", "inside": f"{INSIDE}:{PORT}"}]
    use(config, "rtsp", budget_us=50000, options="patience_s=30")


class Session:
    """A connection between a client and a server, both ours."""

    def __init__(self, lab, inside_serves, server=None):
        self.here, self.there = (lab.outside, lab.inside) if inside_serves else (lab.inside, lab.outside)
        self.server_address = server or (INSIDE if inside_serves else OUTSIDE)
        self.client_address = OUTSIDE if inside_serves else INSIDE
        self.dialled = PINHOLE if inside_serves else self.server_address
        self.listener = self.there.socket(socket.SOCK_STREAM, self.server_address, PORT)
        self.listener.listen()
        self.client = self.here.socket(socket.SOCK_STREAM, self.client_address)
        self.client.connect((self.dialled, PORT))
        self.server, self.caller = self.listener.accept()
        self.server.settimeout(2.0)
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sequence = 0

    def ask(self, method, *headers, reply=(), body=b"", pieces=1):
        """A request and its answer. Returns what either side was told, as heads."""
        self.sequence += 1
        text = request(method, self.sequence, *headers)
        size = -(-len(text) // pieces)
        for at in range(0, len(text), size):
            self.client.sendall(text[at:at + size])
        asked, _ = read_message(self.server)
        if callable(reply):
            reply = reply(asked)
        self.server.sendall(answer(self.sequence, *reply, body=body))
        answered, got = read_message(self.client)
        assert got == body
        return asked, answered

    def set_up(self, client_media, server_media, pieces=1):
        """Returns the ports of the client as the server knows them, and those of the server as the client does."""
        def reply(asked):
            transport = field(asked, "Transport")
            return (f"Transport: {transport};server_port={server_media.spoken};source={self.server_address}",)
        asked, answered = self.ask("SETUP", f"Transport: RTP/AVP;unicast;client_port={client_media.spoken}",
                                   reply=reply, pieces=pieces)
        told = field(answered, "Transport")
        assert ports(told, "client_port") == (client_media.port, client_media.port + 1), answered
        return ports(field(asked, "Transport"), "client_port"), ports(told, "server_port")

    def close(self):
        for each in (self.client, self.server, self.listener):
            each.close()


class Rtsp(unittest.TestCase):

    def media_pair(self, lab, session, port):
        return (lab.own(Media(session.here, session.client_address, port)),
                lab.own(Media(session.there, session.server_address, port + 1000)))

    def arrived(self, media, wanted):
        self.assertEqual(media.received(wanted), wanted)

    def test_client_inside(self):
        """rtsp: media comes in to a client inside, from its server alone; without the plug-in none does"""
        with one_and_two_workers(configure) as labs:
            for lab in labs:
                with self.subTest(workers=lab.workers):
                    session = lab.own(Session(lab, False))
                    session.ask("DESCRIBE", reply=("Content-Type: application/sdp",), body=b"v=0\r\n" * 40)
                    pairs = []
                    for number in range(2):
                        client, server = self.media_pair(lab, session, 5000 + 10 * number)
                        known, _ = session.set_up(client, server, pieces=1 + 7 * number)
                        self.assertEqual((known[0] % 2, known[1]), (0, known[0] + 1))
                        pairs.append((client, server, known))
                    session.ask("PLAY", "Session: 7")
                    stranger = lab.outside.socket(address="203.0.113.11", port=6000)
                    for client, server, known in pairs:
                        stranger.sendto(b"not yours", (PINHOLE, known[0]))
                        server.send(PINHOLE, known, COUNT)
                    for client, server, known in pairs:
                        self.arrived(client, (COUNT, 1))
                        client.send(OUTSIDE, (server.port, server.port + 1), 1)
                        self.arrived(server, (1, 1))
                    # Media between the messages, and a message in its midst.
                    session.server.sendall(b"$\0\0\4data")
                    self.assertEqual(session.client.recv(100), b"$\0\0\4data")
                    session.ask("TEARDOWN", "Session: 7")
                    counters = plugin(lab, "rtsp")["counters"]
                    self.assertEqual((counters["setup"], counters["no_room"]), (2, 0))
                    self.assertGreaterEqual(counters["edited"], 4)
                    stranger.close()
            # Without the plug-in the server is told an inside port, to which nothing gets.
            lab = labs[0]
            lab.ctl("alg", "off", "rtsp")
            session = lab.own(Session(lab, False, server="203.0.113.12"))
            client, server = self.media_pair(lab, session, 5200)
            known, _ = session.set_up(client, server)
            self.assertEqual(known, (5200, 5201))
            server.send(PINHOLE, known, COUNT)
            self.arrived(client, (0, 0))

    def test_server_inside(self):
        """rtsp: a server inside, behind a forward, sends media from the ports that its client was told"""
        with one_and_two_workers(configure) as labs:
            for lab in labs:
                with self.subTest(workers=lab.workers):
                    session = lab.own(Session(lab, True))
                    client, server = self.media_pair(lab, session, 5000)
                    known, told = session.set_up(client, server)
                    self.assertEqual(known, (5000, 5001))
                    client.send(PINHOLE, told, 1)
                    self.arrived(server, (1, 1))
                    server.send(OUTSIDE, known, COUNT)
                    client.sockets[0].settimeout(2.0)
                    self.assertEqual(client.sockets[0].recvfrom(2000)[1], (PINHOLE, told[0]))
                    self.arrived(client, (COUNT - 1, 1))


if __name__ == "__main__":
    unittest.main()
