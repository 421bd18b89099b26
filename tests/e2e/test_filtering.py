# SPDX-License-Identifier: BSD-3-Clause
"""Mapping and filtering behaviour (RFC 4787 sections 4 and 5): by sockets of every protocol, and by what tools that
classify translators say."""

import os
import socket
import struct
import subprocess
import unittest

from support import capture
from support.lab import INSIDE, INSIDE2, OUTSIDE, OUTSIDE2, PINHOLE, one_and_two_workers, wait_for

# Of three senders who are let in: the endpoint that was spoken to, another port of its host, another host.
LET_IN = {"endpoint_independent": 3, "address_dependent": 2, "address_and_port_dependent": 1}
ECHO_REPLY, ECHO_REQUEST = 0, 8
IDENTIFIER = 4321
STUN_ADDRESSES = ("203.0.113.11", "203.0.113.31")  # the second ones of both outside hosts
STUN_PORTS = (3478, 3479)
CLASSES = {
    "endpoint_independent": ("NAT with Endpoint Independent Filtering!", "Independent Filter"),
    "address_dependent": ("NAT with Address Dependent Filtering!", "Address Dependent Filter"),
    "address_and_port_dependent": ("NAT with Address and Port Dependent Filtering!", "Port Dependent Filter")}


def filtered(filtering):
    def configure(config):
        config["nat"] = {"filtering": filtering}
    return configure


def hosts_inside(lab):
    """With two workers these have different owners."""
    return (lab.inside, INSIDE), (lab.inside2, INSIDE2)


class Filtering(unittest.TestCase):

    def _udp(self, lab, inside, let_in):
        with inside[0].socket(address=inside[1], port=4000) as client, \
                lab.outside.socket(address=OUTSIDE, port=4000) as spoken_to, \
                lab.outside.socket(address=OUTSIDE, port=4001) as other_port, \
                lab.outside2.socket(address=OUTSIDE2, port=4000) as other_host, \
                lab.outside2.socket(address=OUTSIDE2, port=4001) as other_both:
            client.sendto(b"hello", (OUTSIDE, 4000))
            external = spoken_to.recvfrom(100)[1]
            self._assert_let_in(lab, client, external, [spoken_to, other_port, other_host], let_in)
            client.sendto(b"hello", (OUTSIDE2, 4000))
            self.assertEqual(other_host.recvfrom(100)[1], external, "another mapping for another remote")
            self._assert_let_in(lab, client, external, [spoken_to, other_host, other_port, other_both],
                                2 if let_in == 1 else 4)

    def _assert_let_in(self, lab, client, external, senders, let_in):
        """That the first so many of some senders reach a client, and the others are dropped."""
        before = lab.counters()["drop_filtered"]
        for sender in reversed(senders):
            sender.sendto(b"may I?", external)
        came = {client.recvfrom(100)[1] for _ in range(let_in)}
        self.assertEqual(came, {sender.getsockname() for sender in senders[:let_in]})
        kept_out = len(senders) - let_in
        wait_for("the others to be dropped", lambda: lab.counters()["drop_filtered"] == before + kept_out, 5)

    def _tcp(self, lab, inside, let_in):
        with inside[0].socket(socket.SOCK_STREAM) as listener, inside[0].socket(socket.SOCK_STREAM) as client, \
                inside[0].socket(socket.SOCK_STREAM) as refused, \
                lab.outside.socket(socket.SOCK_STREAM, OUTSIDE, 7000) as server:
            server.listen()
            for each in (client, refused, listener):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                each.bind((inside[1], 5000))
            client.connect((OUTSIDE, 7000))
            connection, external = server.accept()
            with self.assertRaises(ConnectionRefusedError):
                refused.connect((OUTSIDE, 7001))
            listener.listen()
            senders = [lab.outside.socket(socket.SOCK_STREAM, OUTSIDE, 7001),
                       lab.outside.socket(socket.SOCK_STREAM, OUTSIDE, 7002),
                       lab.outside2.socket(socket.SOCK_STREAM, OUTSIDE2, 7001)]
            for sender in reversed(senders):
                sender.setblocking(False)
                sender.connect_ex(external)
            came = set()
            for _ in range(let_in):
                accepted, peer = listener.accept()
                accepted.close()
                came.add(peer)
            self.assertEqual(came, {sender.getsockname() for sender in senders[:let_in]})
            listener.settimeout(0.2)
            with self.assertRaises(TimeoutError):
                listener.accept()
            # Not refused either: nothing comes back.
            for sender in senders[let_in:]:
                self.assertEqual(sender.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
            for each in (*senders, connection):
                each.close()

    def _icmp(self, lab, inside, let_in):
        def raw(namespace, address):
            return namespace.socket(socket.SOCK_RAW, address, protocol=socket.IPPROTO_ICMP)
        with raw(*inside) as client, raw(lab.outside, OUTSIDE) as first, raw(lab.outside2, OUTSIDE2) as second:
            externals = []
            for target, heard in ((OUTSIDE, first), (OUTSIDE2, second)):
                if target == OUTSIDE2:
                    # Before the second one was spoken to.
                    replies = [self._reply(sender, externals[0]) for sender in (second, first)]
                    expected = set(replies if let_in == 3 else replies[1:])
                    self.assertEqual({self._heard(client, ECHO_REPLY, replies)[8:] for _ in expected}, expected)
                client.sendto(echo(ECHO_REQUEST, IDENTIFIER, b"hello"), (target, 0))
                externals.append(int.from_bytes(self._heard(heard, ECHO_REQUEST, [b"hello"])[4:6], "big"))
            self.assertEqual(externals[0], externals[1], "another identifier for another remote")

    def _reply(self, sender, identifier):
        data = os.urandom(8)
        sender.sendto(echo(ECHO_REPLY, identifier, data), (PINHOLE, 0))
        return data

    def _heard(self, listener, kind, payloads):
        """The next message of a kind, with one of some payloads, that a raw socket hears."""
        while True:
            message = listener.recv(1000)[20:]
            if message[0] == kind and message[8:] in payloads:
                return message

    def _all(self, filtering):
        with one_and_two_workers(filtered(filtering), hosts=2) as labs:
            for lab in labs:
                for inside in hosts_inside(lab):
                    self._udp(lab, inside, LET_IN[filtering])
                    self._tcp(lab, inside, LET_IN[filtering])
                    before = lab.counters()["drop_filtered"]
                    self._icmp(lab, inside, LET_IN[filtering])
                    self.assertEqual(lab.counters()["drop_filtered"] - before, 0 if LET_IN[filtering] == 3 else 1)

    # [rfc4787-req8][rfc5382-req3][rfc5508-req1a]
    def test_endpoint_independent(self):
        """filtering: endpoint-independent lets anybody in to what was mapped, by UDP, TCP and echo replies"""
        self._all("endpoint_independent")

    # [rfc4787-req8][rfc5382-req3][rfc5508-req1a]
    def test_address_dependent(self):
        """filtering: address-dependent lets the hosts in that were spoken to, by UDP, TCP and echo replies"""
        self._all("address_dependent")

    # [rfc4787-req8][rfc5382-req3][rfc5508-req1a]
    def test_address_and_port_dependent(self):
        """filtering: address-and-port-dependent lets only the endpoints in that were spoken to"""
        self._all("address_and_port_dependent")


def echo(kind, identifier, data):
    message = struct.pack(">BBHHH", kind, 0, 0, identifier, 1) + data
    return message[:2] + struct.pack(">H", ~capture.ones_sum(message) & 0xFFFF) + message[4:]


class Server:
    """A process that ends with its lab."""

    def __init__(self, popen):
        self._popen = popen

    def close(self):
        self._popen.kill()
        self._popen.wait(10)


class Classification(unittest.TestCase):
    """A server outside has two addresses and two ports, and answers from those that it is asked to use (RFC 5780)."""

    def serve(self, lab):
        """turnserver on one outside host, stund on the other; each has a tool that goes with it."""
        files = lab.directory
        self._server(lab, lab.outside, (OUTSIDE, STUN_ADDRESSES[0]), "turnserver", "-n", "--stun-only", "--no-cli",
                     "--no-tls", "--no-dtls", "--log-file", "stdout", "--pidfile", files / "turn.pid", "-b",
                     files / "turn.db", "-L", OUTSIDE, "-L", STUN_ADDRESSES[0])
        self._server(lab, lab.outside2, (OUTSIDE2, STUN_ADDRESSES[1]), "stund", "-h", OUTSIDE2, "-a", STUN_ADDRESSES[1])

    def _server(self, lab, namespace, addresses, *command):
        lab.own(Server(namespace.start(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)))
        endpoints = {f"{address}:{port}" for address in addresses for port in STUN_PORTS}
        wait_for(f"{command[0]} to listen",
                 lambda: endpoints <= set(namespace.run("ss", "-Hnlu").stdout.split()))

    def _classify(self, filtering):
        with one_and_two_workers(filtered(filtering), hosts=2) as labs:
            runs = []
            for lab in labs:
                self.serve(lab)
                modern, old = CLASSES[filtering]
                natdiscovery = [("-m", "NAT with Endpoint Independent Mapping!"), ("-f", modern)]
                if filtering == "endpoint_independent":  # it asks from another port, which others do not let in
                    natdiscovery.append(("-H", "Received a request (maybe a successful hairpinning)"))
                for namespace, address in hosts_inside(lab):
                    runs += [(words, namespace, ("turnutils_natdiscovery", option, "-L", address, OUTSIDE))
                             for option, words in natdiscovery]
                    runs.append((f"Independent Mapping, {old}, random port, will hairpin", namespace,
                                 ("stun", OUTSIDE2, "-i", address)))
            started = [(words, command, namespace.start(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                                        text=True))
                       for words, namespace, command in runs]
            for words, command, running in started:
                said = running.communicate(timeout=30)[0]
                self.assertIn(words, said, command)

    # [rfc4787-req1][rfc4787-req8][rfc5382-req1][rfc5382-req3][rfc4787-req9]
    def test_endpoint_independent(self):
        """filtering: natdiscovery and stun find endpoint-independent mapping, as filtering, and hairpinning"""
        self._classify("endpoint_independent")

    # [rfc4787-req1][rfc4787-req8][rfc5382-req1][rfc5382-req3]
    def test_address_dependent(self):
        """filtering: natdiscovery and stun find endpoint-independent mapping and address-dependent filtering"""
        self._classify("address_dependent")

    # [rfc4787-req1][rfc4787-req8][rfc5382-req1][rfc5382-req3]
    def test_address_and_port_dependent(self):
        """filtering: natdiscovery and stun find endpoint-independent mapping, address-and-port-dependent filtering"""
        self._classify("address_and_port_dependent")
