# SPDX-License-Identifier: BSD-3-Clause
"""Wires of a lab that lose, double, delay and cut TCP segments, or packets of RTP by their numbers. By hand, because it
needs no kernel for that."""

import errno
import heapq
import os
import random
import select
import socket
import struct
import subprocess
import threading
import time

from support.capture import ETHER_IPV4, TCP, UDP, ones_sum
from support.lab import Namespace

ETHER_ALL = 0x0003
OUTGOING = socket.PACKET_OUTGOING
FIN_AND_PUSH = 0x09

# Of a hundred segments. One that is late lets others overtake it; one that is cut comes in two, each with its own fate.
LOST, DOUBLED, LATE, CUT = 3, 5, 15, 30
LATEST_S = 0.012


def seed():
    """PINHOLE_SEED, to see again the like of what was seen once, or a new one. It is printed."""
    number = int(os.environ.get("PINHOLE_SEED") or int.from_bytes(os.urandom(4), "big"))
    print(f"       rough wires by PINHOLE_SEED={number}", flush=True)
    return number


class RoughWire:
    """Takes the place of the wire between Pinhole and a side of the lab, before Pinhole starts."""

    def __init__(self, lab, side, number):
        self._chance = random.Random(f"{number} {side}")
        self._namespace = Namespace(f"{lab.prefix}-wire-{side}")
        self._waiting = []  # (when, order, socket, frame)
        self._order = 0
        self.counts = dict.fromkeys(("lost", "doubled", "late", "cut"), 0)
        lab.own(self)
        interface = f"{side}0"
        subprocess.run(["ip", "netns", "add", self._namespace.name], check=True)
        lab.gateway.run("ip", "link", "set", interface, "netns", self._namespace.name, "name", "far")
        lab.gateway.run("ip", "link", "add", interface, "type", "veth", "peer", "name", "near", "netns",
                        self._namespace.name)
        for namespace, name in ((lab.gateway, interface), (self._namespace, "near"), (self._namespace, "far")):
            offloads = [word for kind in ("rx", "tx", "tso", "gso", "gro") for word in (kind, "off")]
            namespace.run("ethtool", "-K", name, *offloads)
            namespace.run("ip", "link", "set", name, "arp", "off", "up")
        ends = [self._open(name) for name in ("near", "far")]
        self._across = dict(zip(ends, reversed(ends)))
        self._runs = True
        self.broken = None  # why it carries nothing any more
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _open(self, interface):
        end = self._namespace.socket(socket.SOCK_RAW, family=socket.AF_PACKET, protocol=socket.htons(ETHER_ALL))
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        end.bind((interface, ETHER_ALL))
        end.setblocking(False)
        return end

    def close(self):
        self._runs = False
        self._thread.join(10)
        broken = self.broken
        for end in self._across:
            end.close()
        subprocess.run(["ip", "netns", "delete", self._namespace.name], check=False, stderr=subprocess.DEVNULL)
        if broken is not None:
            raise RuntimeError("the rough wire broke") from broken

    def _carry(self):
        try:
            self._carry_frames()
        except OSError as error:
            self.broken = error

    def _carry_frames(self):
        while self._runs:
            wait = max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else 0.1
            for end in select.select(list(self._across), [], [], min(wait, 0.1))[0]:
                frame, origin = end.recvfrom(65535)
                if origin[2] != OUTGOING:
                    self._take(self._across[end], frame)
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                _, _, end, frame = heapq.heappop(self._waiting)
                self._send(end, frame)

    def _send(self, end, frame):
        """A wire that is full loses a frame more."""
        try:
            end.send(frame)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ENOBUFS):
                raise
            self.counts["lost"] += 1

    def _happens(self, what, percent):
        happens = self._chance.randrange(100) < percent
        self.counts[what] += happens
        return happens

    def _take(self, end, frame):
        if not is_tcp(frame):
            self._send(end, frame)
            return
        for segment in self._maybe_cut(frame):
            if self._happens("lost", LOST):
                continue
            for _ in range(2 if self._happens("doubled", DOUBLED) else 1):
                late = self._chance.uniform(0, LATEST_S) if self._happens("late", LATE) else 0
                self._order += 1
                heapq.heappush(self._waiting, (time.monotonic() + late, self._order, end, segment))

    def _maybe_cut(self, frame):
        size = payload_size(frame)
        if size < 2 or not self._happens("cut", CUT):
            return [frame]
        at = self._chance.randrange(1, size)
        return [part_of(frame, 0, at), part_of(frame, at, size)]


class LossyWire(RoughWire):
    """Loses packets of RTP on their way to Pinhole, and holds others up: those of whose sequence numbers `loses` and
    `holds_up` say so. All else passes."""

    def __init__(self, lab, side, loses, holds_up=lambda number: False, late_s=0.05):
        self._loses, self._holds_up, self._late_s = loses, holds_up, late_s
        super().__init__(lab, side, 0)

    def _take(self, end, frame):
        number = rtp_number(frame) if end.getsockname()[0] == "near" else None
        if number is None or not (self._loses(number) or self._holds_up(number)):
            self._send(end, frame)
        elif not self._loses(number):
            self._order += 1
            heapq.heappush(self._waiting, (time.monotonic() + self._late_s, self._order, end, frame))


def rtp_number(frame):
    """The sequence number of an RTP packet; None for anything else."""
    if len(frame) < 54 or struct.unpack_from(">H", frame, 12)[0] != ETHER_IPV4 or frame[14 + 9] != UDP:
        return None
    payload = 14 + (frame[14] & 15) * 4 + 8
    return struct.unpack_from(">H", frame, payload + 2)[0] if frame[payload] >> 6 == 2 else None


def is_tcp(frame):
    return struct.unpack_from(">H", frame, 12)[0] == ETHER_IPV4 and frame[14 + 9] == TCP


def offsets(frame):
    """Where the TCP header, its payload and the end of the datagram are."""
    transport = 14 + (frame[14] & 15) * 4
    return transport, transport + (frame[transport + 12] >> 4) * 4, 14 + int.from_bytes(frame[16:18], "big")


def payload_size(frame):
    _, payload, end = offsets(frame)
    return end - payload


def part_of(frame, begin, end):
    """A segment with some bytes of another one's payload."""
    transport, payload, last = offsets(frame)
    part = bytearray(frame[:payload] + frame[payload + begin:payload + end])
    sequence = int.from_bytes(part[transport + 4:transport + 8], "big") + begin
    struct.pack_into(">I", part, transport + 4, sequence & 0xFFFFFFFF)
    if payload + end != last:
        part[transport + 13] &= ~FIN_AND_PUSH & 0xFF
    struct.pack_into(">H", part, 16, len(part) - 14)
    size = len(part) - transport
    write_checksum(part, 14 + 10, part[14:transport], b"")
    write_checksum(part, transport + 16, part[transport:], part[26:34] + bytes([0, TCP]) + size.to_bytes(2, "big"))
    return bytes(part)


def write_checksum(frame, at, covered, pseudo_header):
    """`covered` still has the old checksum in it, which counts for nothing: its complement is added."""
    old = int.from_bytes(frame[at:at + 2], "big")
    struct.pack_into(">H", frame, at, 0xFFFF - (ones_sum(pseudo_header + covered) + 0xFFFF - old) % 0xFFFF)
