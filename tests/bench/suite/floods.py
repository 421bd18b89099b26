# SPDX-License-Identifier: BSD-3-Clause
"""Good calls beside floods from spoofed sources, with protection and without.

A trunk outside makes calls to a server inside (SIPp, a hundred at a time), a second good peer sends a message every few
milliseconds, and trafgen sends each kind of flood from one, a thousand and a hundred thousand sources, as fast as the
CPUs that are left to it allow. Of each: calls that failed, how long good messages took, how many did not arrive, and
memory. Needs the lab of the end-to-end tests: namespaces, and a veth to either side.
"""

import contextlib
import math
import multiprocessing
import os
import re
import socket
import struct
import sys
import time

from devices import ROOT, BenchError

sys.path.insert(0, str(ROOT / "tests/e2e"))

from support.far import by_pcap  # noqa: E402
from support.flood import KINDS, SOURCES, Flood  # noqa: E402
from support.lab import INSIDE, PINHOLE, Lab, LabError, wait_for  # noqa: E402
from support.sipp import Sipp  # noqa: E402

TRUNK = "203.0.113.11"
PROBE = "203.0.113.12"
PROBE_PORT = 5080  # of the inside host; the peer's is the one of SIP
RATE, HOLD_MS = 25, 4000  # a hundred calls at a time
PATIENCE_MS = 2500  # a call that hears nothing for so long has failed: two messages were sent again by then
FLOOD_S = 2.5
DRAIN_S = 0.2  # what is under way when a flood ends arrives
SETTLE_S = PATIENCE_MS / 1000 + 1  # SIPp writes its figures once a second
QUIET_S = 2.0  # at the end of that
PACE_S = 0.005  # of messages of the probe
ADDED_MS = 5.0  # what the flood may add to the slowest hundredth of them
LOST_SHARE = 0.001  # of good messages
GROWTH_KIB = 8192  # what a process may grow by in all

SO_TIMESTAMPNS = 35  # <asm-generic/socket.h>; its message carries a struct timespec


def configured(protected, kind):
    """The server inside is reached by the address of Pinhole."""
    def change(config):
        config["nat"] = {"forwards": [{"protocol": protocol, "external": f"{PINHOLE}:5060", "inside": f"{INSIDE}:5060"}
                                      for protocol in ("udp", "tcp")]}
        config["sip"] = {"calls_per_worker": 8192}
        config["protection"] = {"enabled": protected}
    return by_pcap(change) if kind == "fragment" else change


def message(start, number, stamp):
    return "\r\n".join((start, "Via: SIP/2.0/UDP probe.example;branch=z9hG4bK1", "Max-Forwards: 70",
                        "From: <sip:probe@probe.example>;tag=1", "To: <sip:server@probe.example>",
                        f"Call-ID: {number}@probe.example", "CSeq: 1 OPTIONS", f"Subject: {stamp}",
                        "Content-Length: 0", "", "")).encode()


def send_for_ever(peer, target):
    """A process of its own, so that nobody but the flood delays the time between the stamp and the message."""
    os.nice(-10)
    due = time.monotonic()
    for number in range(sys.maxsize):
        due = max(due + PACE_S, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
        stamp = time.clock_gettime_ns(time.CLOCK_REALTIME)
        with contextlib.suppress(OSError):
            peer.sendto(message(f"OPTIONS sip:server@{PINHOLE} SIP/2.0", number, stamp), target)


class Probe:
    """A good peer, known since it answered inside. Its messages carry the time at which they were sent; when they were
    there is said by the kernel, so that it does not matter when we come to read them."""

    def __init__(self, lab):
        self._inside = lab.inside.socket(address=INSIDE, port=PROBE_PORT)
        self._inside.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._inside.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._peer = lab.outside.socket(address=PROBE, port=5060)
        self._inside.sendto(message(f"OPTIONS sip:{PROBE} SIP/2.0", "first", 0), (PROBE, 5060))
        _, target = self._peer.recvfrom(4000)
        self._peer.sendto(message("SIP/2.0 200 OK", "first", 0), target)
        self._inside.recvfrom(4000)
        self._next = 0  # number of a message
        self._sender = multiprocessing.get_context("fork").Process(target=send_for_ever, args=(self._peer, target))
        self._sender.start()
        lab.own(self)

    def close(self):
        self._sender.kill()
        self._sender.join(10)
        self._inside.close()
        self._peer.close()

    def take(self):
        """What came since the last time: delays in ms, sorted, and how many of those sent meanwhile did not come."""
        self._inside.settimeout(0)
        delays, numbers = [], []
        with contextlib.suppress(BlockingIOError):
            while True:
                text, ancillary, _, _ = self._inside.recvmsg(4000, 64)
                seconds, nanoseconds = struct.unpack("@ll", ancillary[0][2])
                number, stamp = (int(re.search(rb"\r\n" + name + rb": (\d+)", text)[1]) for name in (b"Call-ID", b"Subject"))
                delays.append((seconds * 1_000_000_000 + nanoseconds - stamp) / 1e6)
                numbers.append(number)
        if not delays:
            return [], None
        # What did not come before the first that did is missing, too.
        first, self._next = self._next, max(numbers) + 1
        return sorted(delays), self._next - min(first, *numbers) - len(set(numbers))


def percentile(delays, share):
    return round(delays[math.ceil(len(delays) * share) - 1], 3) if delays else None


def latency(probe):
    delays, lost = probe.take()
    return {"messages": len(delays), "messages_lost": lost, "p50_ms": percentile(delays, 0.5),
            "p99_ms": percentile(delays, 0.99), "max_ms": percentile(delays, 1.0)}


class Scene:
    """A lab with good calls and the probe, which has been quiet for a while."""

    def __init__(self, lab, protected):
        self.lab, self.protected = lab, protected
        lab.start()
        self._mac = next(row["mac"] for row in lab.ctl("status")["interfaces"] if row["name"] == "outside")
        patience = ("-recv_timeout", PATIENCE_MS)
        Sipp(lab, lab.inside, "answerer", INSIDE, 5060, calls=1_000_000)
        self._trunk = Sipp(lab, lab.outside, "caller", TRUNK, 5060, remote=f"{PINHOLE}:5060", calls=1_000_000, rate=RATE,
                           hold_ms=HOLD_MS, limit=1000, more=patience)
        self._probe = Probe(lab)
        wait_for("a hundred calls", lambda: lab.gauges()["calls"] >= RATE * HOLD_MS // 1000, 20)
        self._quiet = self._settle()

    def _settle(self):
        """Waits until what a flood did to calls is counted. Returns how long messages take without one."""
        time.sleep(SETTLE_S - QUIET_S)
        self._probe.take()
        time.sleep(QUIET_S)
        return latency(self._probe)

    def _memory(self):
        return {process.name: process.memory_kib() for process in (self.lab.dataplane, self.lab.control)}

    def flood(self, kind, sources):
        calls, memory = self._trunk.statistics(), self._memory()
        self._probe.take()
        flood = Flood(self.lab, self.lab.outside, kind, sources, PINHOLE, 5060, self._mac)
        time.sleep(FLOOD_S)
        packets = flood.stop()
        time.sleep(DRAIN_S)
        good = latency(self._probe)
        before, self._quiet = self._quiet, self._settle()
        after = self._trunk.statistics()
        counted = {name: after[column] - calls[column] for name, column in (
            ("calls_ended_well", "SuccessfulCall"), ("calls_failed", "FailedCall"), ("sent_again", "Retransmissions"))}
        grown = {name: size - memory[name] for name, size in self._memory().items()}
        row = {"kind": kind, "sources": sources, "protected": self.protected, "flood_pps": round(packets / FLOOD_S),
               **counted, **good, "quiet": before, "grown_kib": grown}
        if good["p99_ms"] is not None and before["p99_ms"] is not None:
            row["p99_added_ms"] = round(good["p99_ms"] - before["p99_ms"], 3)
        print(line_of(row), flush=True)
        return row


def line_of(row):
    added = f"{row['p99_added_ms']:8.2f}" if "p99_added_ms" in row else "        "
    p50, p99, longest = (f"{row[key]:8.2f}" if row[key] is not None else "       -" for key in ("p50_ms", "p99_ms", "max_ms"))
    lost = "all" if row["messages_lost"] is None else row["messages_lost"]
    return (f"{row['kind']:<10}{row['sources']:>8}  {'on' if row['protected'] else 'off':<4}{row['flood_pps']:>9}"
            f"{row['calls_ended_well']:>7}{row['calls_failed']:>8}{row['sent_again']:>7}{p50}{p99}{longest}{added}{lost:>6}"
            f"{sum(row['grown_kib'].values()):>8}")


def verdicts(rows):
    """What is wanted with protection, and what came of it."""
    guarded = [row for row in rows if row["protected"]]
    failed = sum(row["calls_failed"] for row in guarded)
    added = max(row.get("p99_added_ms", math.inf) for row in guarded)
    grown = sum(sum(row["grown_kib"].values()) for row in guarded)
    lost = sum(math.inf if row["messages_lost"] is None else row["messages_lost"] for row in guarded)
    sent = sum(row["messages"] for row in guarded) + lost
    return [{"label": label, "value": value, "limit": limit, "unit": unit, "met": value <= limit}
            for label, value, limit, unit in (("good calls failed", failed, 0, "calls"),
                                              ("good messages lost", lost, sent * LOST_SHARE, "messages"),
                                              ("most that p99 of good messages grew", added, ADDED_MS, "ms"),
                                              ("memory grown by all floods", grown, GROWTH_KIB, "KiB"))]


def run(_options):
    """The report of `scripts/bench floods`."""
    print("flood      sources  prot      pps   ok  failed  again  p50 ms  p99 ms  max ms   added  lost  KiB")
    whole = [kind for kind in KINDS if kind != "fragment"]
    # Without protection each kind has a lab of its own: what it leaves behind is not to be counted for the next.
    scenes = [(True, whole), (True, ["fragment"]), *((False, [kind]) for kind in KINDS)]
    rows = []
    try:
        for protected, kinds in scenes:
            with Lab(1, configured(protected, kinds[0])) as lab:
                scene = Scene(lab, protected)
                rows += [scene.flood(kind, sources) for kind in kinds for sources in SOURCES]
    except LabError as error:
        raise BenchError(str(error).splitlines()[0]) from error
    wanted = verdicts(rows)
    for verdict in wanted:
        print(f"{verdict['label']}: {verdict['value']:g} {verdict['unit']}, at most {verdict['limit']:g} wanted"
              f"{'' if verdict['met'] else ': MISSED'}")
    return {"benchmark": "floods", "flood_s": FLOOD_S, "calls_at_a_time": RATE * HOLD_MS // 1000, "rows": rows,
            "wanted": wanted}
