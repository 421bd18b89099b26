# SPDX-License-Identifier: BSD-3-Clause
"""What people look with first: ping and traceroute, between two hosts inside and two outside, and behind routers."""

import socket
import subprocess
import unittest

from support import capture
from support.far import FAR, FAR_ROUTER, MIDDLE, FarNetwork
from support.lab import INSIDE, INSIDE2, INSIDE_GATEWAY, INSIDE_NETWORK, OUTSIDE, OUTSIDE2, PINHOLE, Lab

WHOLE = "203.0.113.50"  # nobody's on the link but Pinhole's
IDENTIFIER = 7000  # the first one; every host has the same ones
PINGS = 4  # of each sender


def addresses(first, count):
    """An address of a host and the spare ones after it."""
    network, _, number = first.rpartition(".")
    return [f"{network}.{int(number) + offset}" for offset in range(count)]


def ping(namespace, source, target, number=0):
    """A running ping; its standard output is waiting to be read. Those of one namespace that run at once have different
    numbers: a ping hears all of its kernel until it has bound its socket."""
    return namespace.start("ping", "-n", "-c", PINGS, "-i", "0.2", "-W", "2", "-e", IDENTIFIER + number, "-I", source,
                           target, stdout=subprocess.PIPE, text=True)


def meet(lab):
    """Has the data plane know the MAC addresses of both hosts outside: only a few packets wait for one."""
    for target in (OUTSIDE, OUTSIDE2):
        lab.inside.run("ping", "-n", "-c", "1", "-W", "2", target)


def hops(namespace, *arguments):
    """A running traceroute; see path_of()."""
    return namespace.start("traceroute", "-n", "-q", "2", "-w", "3", "-m", "6", *arguments, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)


def path_of(running):
    """Who answered at each hop, every probe of it: what traceroute printed, without the times."""
    said = running.communicate(timeout=30)[0]
    path = []
    for line in said.splitlines()[1:]:
        words = line.split()[1:]
        path.append(" ".join(word for at, word in enumerate(words)
                             if word != "ms" and words[at + 1:at + 2] != ["ms"]))
    return path


class Pings(unittest.TestCase):

    def assert_answered(self, running):
        said = running.communicate(timeout=20)[0]
        self.assertIn(f"{PINGS} received, 0% packet loss", said, said)
        self.assertNotIn("DIFFERENT", said)
        self.assertNotIn("DUP!", said)

    def _at_once(self, workers):
        def whole_address(config):
            config["nat"] = {"pool": [PINHOLE], "static_mappings": [{"external": WHOLE, "inside": "10.77.0.31"}]}
        with Lab(workers=workers, configure=whole_address, hosts=2) as lab:
            lab.start()
            meet(lab)
            link = capture.Capture(lab, lab.outside, "outside", "icmp")
            senders = [(namespace, source, target, number)
                       for namespace, first in ((lab.inside, "10.77.0.11"), (lab.inside2, "10.77.0.32"))
                       for number, (source, target) in enumerate(zip(addresses(first, 8), (OUTSIDE, OUTSIDE2) * 4))]
            senders += [(namespace, source, target, number)
                        for namespace, own in ((lab.outside, OUTSIDE), (lab.outside2, OUTSIDE2))
                        for number, (source, target) in enumerate(zip(addresses(own, 2), (PINHOLE, WHOLE)))]
            for running in [ping(*sender) for sender in senders]:
                self.assert_answered(running)
            # The same again, of one sender to one after the other: a host's identifier is one, whoever is asked.
            for target in (OUTSIDE, "203.0.113.11"):
                for running in [ping(lab.inside, INSIDE, target), ping(lab.inside2, INSIDE2, target)]:
                    self.assert_answered(running)
            captured = link.stop()
            self.assertEqual(capture.problems(captured), [])
            requests = [(int.from_bytes(packet.payload[4:6], "big"), packet.target)
                        for packet in capture.packets(captured)
                        if packet.source == PINHOLE and packet.payload[0] == 8]
            # Eight hosts of sixteen to this one once, and the last two to two addresses.
            self.assertEqual(len(requests), (8 + 4) * PINGS)
            self.assertEqual(len({identifier for identifier, _ in requests}), 8 + 2)
            self.assertEqual(len(set(requests)), 8 + 4)

    # [rfc5508-req1]
    def test_one_worker(self):
        """probes: twenty pings at once from two hosts a side that use the same identifiers, one worker"""
        self._at_once(1)

    # [rfc5508-req1]
    def test_two_workers(self):
        """probes: twenty pings at once from two hosts a side that use the same identifiers, two workers"""
        self._at_once(2)


class Traceroute(unittest.TestCase):

    def assert_whole(self, captured, forbidden):
        """Right checksums, in what errors quote too, and nowhere an address of the other side."""
        self.assertEqual(capture.problems(captured, forbidden)[:5], [])
        quotes = list(capture.quotes(captured))
        self.assertGreater(len(quotes), 20)
        self.assertEqual(capture.problems(quotes, forbidden)[:5], [])

    def _through(self, workers):
        def to_inside(config):
            # Every probe is to be answered.
            config["icmp"] = {"errors_per_s": 1000}
            config["nat"] = {
                "static_mappings": [{"external": WHOLE, "inside": "10.77.0.31"}],
                "forwards": [{"protocol": protocol, "external": f"{PINHOLE}:8000", "inside": f"{INSIDE}:80"}
                             for protocol in ("udp", "tcp")]}
        with Lab(workers=workers, configure=to_inside, hosts=2) as lab:
            lab.start()
            meet(lab)
            far = FarNetwork(lab)
            outside = capture.Capture(lab, lab.outside, "outside")
            inside = capture.Capture(lab, lab.inside, "inside")
            # UDP to rising ports, to one port, ICMP, TCP to a port that is closed and to one that is open.
            with far.host.socket(socket.SOCK_STREAM, FAR, 7000) as server:
                server.listen()
                for method in ((), ("-U", "-p", 4000), ("-I",), ("-T", "-p", 4000), ("-T", "-p", 7000)):
                    for trace in [hops(namespace, "-s", source, *method, FAR)
                                  for namespace, source in ((lab.inside, INSIDE), (lab.inside2, INSIDE2))]:
                        self.assertEqual(path_of(trace), [INSIDE_GATEWAY, OUTSIDE, MIDDLE[1], FAR], trace.args)
            self.assert_whole(inside.stop(), f"{PINHOLE}/32")
            # Towards a forward the host behind it answers as what the prober knows it by.
            for method in (("-U", "-p", 8000, PINHOLE), ("-T", "-p", 8000, PINHOLE), ("-I", WHOLE), (WHOLE,)):
                trace = hops(far.host, *method)
                self.assertEqual(path_of(trace), [FAR_ROUTER, MIDDLE[0], PINHOLE, method[-1]], trace.args)
            self.assert_whole(outside.stop(), INSIDE_NETWORK)

    # [rfc4787-req12b][rfc5382-req9][rfc5508-req4][rfc5508-req5][rfc5508-req10a]
    def test_one_worker(self):
        """probes: traceroute by UDP, ICMP and TCP shows every hop, outward and towards forwards, one worker"""
        self._through(1)

    # [rfc4787-req12b][rfc5382-req9][rfc5508-req4][rfc5508-req5][rfc5508-req10a]
    def test_two_workers(self):
        """probes: traceroute by UDP, ICMP and TCP shows every hop, outward and towards forwards, two workers"""
        self._through(2)
