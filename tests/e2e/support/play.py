# SPDX-License-Identifier: BSD-3-Clause
"""A ladder between two SIPps, one of them inside or both, with the media in the test's own hands.

SIPp has a socket for a partner that it asks before it goes on (third party call control); here the partner is the
test. So at each `=` of a ladder the call stands still for as long as it takes to look. Words of such a line:

    both      RTP and RTCP of each stream pass both ways between the ports last described, outside speaking first
    first     the same with the ports of the first `both`, whatever was described since
    offered   who calls has its ports, if it is inside
    same      each stream has the external port that it had before
    closed    no port of the call is open
"""

import contextlib
import os
import signal
import socket

from support.ladder import VIDEO_STEP, Compiler
from support.lab import LabError, wait_for
from support.sipp import Sipp

PATIENCE_S = 20


class Leg:
    """Where one side of a call lives."""

    def __init__(self, namespace, address, port, inside):
        self.namespace, self.address, self.port, self.inside = namespace, address, port, inside


class Partner:
    """One SIPp and the connection over which it waits for the test."""

    def __init__(self, lab, leg, script, call_id, name, *, remote, control_port, stays, transport):
        self._call_id = call_id
        with leg.namespace.socket(socket.SOCK_STREAM, "127.0.0.1", control_port) as listener:
            listener.listen()
            listener.settimeout(PATIENCE_S)
            # With another call to come, SIPp stays when its call is over, and with it the connection of its peer.
            self.sipp = Sipp(lab, leg.namespace, None, leg.address, leg.port, text=script, calls=2 if stays else 1,
                             name=name, remote=remote,
                             more=["-3pcc", f"127.0.0.1:{control_port}", "-cid_str", call_id, "-t", transport,
                                   "-max_socket", 100, "-trace_msg", "-message_file", "messages.log"])
            try:
                self._connection, _ = listener.accept()
            except TimeoutError:
                raise LabError(f"SIPp {name} did not come up: {self.sipp.screen()}") from None
        self._connection.settimeout(PATIENCE_S)
        self.seen = self.seen_video = None

    def wait(self):
        """Waits until it stops at a `=`, and takes down where the other side wants its media."""
        words = self._hear().partition("seen:")[2].split()
        ports = [int(word) for word in words[1:] if word.isdigit()]
        self.seen, self.seen_video = [(words[0], port) for port in ports] + [None] * (2 - len(ports))

    def go_on(self, listens):
        """Lets it go on; with `listens`, waits until it does."""
        self._connection.sendall(f"Call-ID: {self._call_id}\r\ngo: on\r\n\r\n\x1b".encode())
        if listens:
            self._hear()

    def _hear(self):
        text = b""
        while not text.endswith(b"\x1b"):
            try:
                data = self._connection.recv(1)
            except TimeoutError:
                data = b""
            if not data:
                raise LabError(f"SIPp {self.sipp.name} did not come as far as that: {self.sipp.errors()}"
                               f"{self.sipp.messages()}")
            text += data
        if b"abort_call" in text:
            raise LabError(f"SIPp {self.sipp.name} gave up: {self.sipp.errors()}")
        return text.decode()

    def close(self):
        self._connection.close()


class Play:
    """One ladder, played."""

    def __init__(self, test, lab, ladder, caller, callee, legs, key, tcp=False):
        self._test, self._lab, self._ladder = test, lab, ladder
        # Who calls has a connection for each call, who is called takes what comes.
        self._transports = {"A": "tn", "B": "t1"} if tcp else {"A": "u1", "B": "u1"}
        self._parties = {"A": caller, "B": callee}
        self._legs = dict(zip("AB", legs))
        self._key = key
        self._first = None  # what the first `both` went between
        self._externals = {}  # of inside endpoints, as they were
        self._partners = {}

    def run(self, remotes, control_port):
        """Plays it whole. `remotes` is where A and B send what they send, as host:port."""
        compiled = Compiler(self._ladder, self._parties["A"], self._parties["B"], self._key)
        with contextlib.ExitStack() as stack:
            for number, side in enumerate("BA"):  # who is called is there first
                partner = Partner(self._lab, self._legs[side], compiled.scenario(side), f"{self._key}@ladder.example",
                                  f"{self._key}-{side}", remote=remotes[side], control_port=control_port + number,
                                  stays=side == "B", transport=self._transports[side])
                self._partners[side] = stack.enter_context(contextlib.closing(partner))
            for check in compiled.checks:
                self._wait()
                self._look(check)
                for side in sorted(self._partners, key=lambda side: side != check.listener):
                    self._partners[side].go_on(side == check.listener)
            self._partners["A"].sipp.wait(PATIENCE_S)
            self._partners["B"].sipp.stop()
            for partner in self._partners.values():
                statistics = partner.sipp.statistics()
                self._test.assertEqual((statistics["SuccessfulCall"], statistics["FailedCall"]), (1, 0),
                                       f"{self._title}: {partner.sipp.errors()}")

    @property
    def _title(self):
        return f"{self._ladder.title} ({self._key})"

    def _wait(self):
        try:
            for partner in self._partners.values():
                partner.wait()
        except LabError as error:  # who waits in vain is seldom the one that went astray
            others = "".join(f"\n{partner.sipp.name}: {partner.sipp.errors()}" for partner in self._partners.values())
            raise LabError(f"{error}{others}") from None

    # --- looking

    def _look(self, check):
        if "closed" in check.words:
            wait_for(f"{self._title}: the ports to shut", lambda: not self._pinholes(), 10)
            return
        seen = {side: partner.seen for side, partner in self._partners.items()}
        ports, steps = check.ports, (0,) if check.kind == "image" else (0, 1)
        if "first" in check.words:
            seen, ports, steps = self._first
        streams = [(seen, ports, steps)]
        if check.kind == "audio+video":
            streams.append(({side: partner.seen_video for side, partner in self._partners.items()},
                            {side: party.media + VIDEO_STEP for side, party in self._parties.items()}, steps))
        for seen, ports, steps in streams:
            self._compare(check, ports, steps)
            if "both" in check.words or "first" in check.words:
                self._first = self._first or (seen, ports, steps)
                for step in steps:
                    self._pass(seen, ports, step)

    def _pinholes(self):
        """External by inside endpoint, of this call's media."""
        hosts = {self._legs[side].address for side in "AB" if self._legs[side].inside}
        media = {side: self._parties[side].media for side in "AB"}
        rows = self._lab.ctl("pinholes", "--limit", 1000)["pinholes"]
        found = {}
        for row in rows:
            host, port = row["inside"].split(":")
            if host in hosts and any(first <= int(port) < first + 20 for first in media.values()):
                found[row["inside"]] = row["external"]
        return found

    def _compare(self, check, ports, steps):
        """Every stream of an inside party has its pinhole; with `same`, the one that it had."""
        sides = "A" if "offered" in check.words else "AB"
        wanted = {f"{self._legs[side].address}:{ports[side] + step}" for side in sides if self._legs[side].inside
                  for step in steps}

        def open_now():
            found = self._pinholes()
            return (found,) if wanted <= set(found) else None

        # Control hears of a pinhole a moment after the worker has made it.
        (found,) = wait_for(f"{self._title}: = {check.words}: pinholes for {wanted}", open_now, 5)
        if "same" in check.words:
            known = {endpoint: external for endpoint, external in self._externals.items() if endpoint in wanted}
            self._test.assertEqual({endpoint: found[endpoint] for endpoint in known}, known, self._title)
        self._externals.update(found)

    def _pass(self, seen, ports, step):
        """A packet each way. Each comes from where its receiver was told that the other one is."""
        sockets = {}
        with contextlib.ExitStack() as stack:
            for side, leg in self._legs.items():
                sockets[side] = stack.enter_context(leg.namespace.socket(address=leg.address, port=ports[side] + step))
                sockets[side].settimeout(5.0)
            order = sorted("AB", key=lambda side: self._legs[side].inside)  # outside speaks first
            for sender, receiver in (order, reversed(order)):
                host, port = seen[sender]
                what = f"{self._key} {sender} {step} {os.urandom(4).hex()}".encode()
                sockets[sender].sendto(what, (host, port + step))
                try:
                    data, source = sockets[receiver].recvfrom(200)
                except TimeoutError:
                    self._test.fail(f"{self._title}: {sender} sent to {host}:{port + step}, {receiver} heard nothing")
                self._test.assertEqual((data, source), (what, (seen[receiver][0], seen[receiver][1] + step)),
                                       f"{self._title}: what {receiver} heard")
