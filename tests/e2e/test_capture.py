# SPDX-License-Identifier: BSD-3-Clause
"""pinholectl capture: what comes and goes on both sides, in one file."""

import collections
import re
import signal
import stat
import struct
import subprocess
import unittest

from support.lab import INSIDE, OUTSIDE, PINHOLE, Lab, build_directory, wait_for
from support.sipp import Sipp

OTHER_HOST = "10.77.0.11"
CALLS = 4
MEDIA = 20000
ANSWERER_MEDIA = 30000

Frame = collections.namedtuple("Frame", "interface sent source target source_port target_port payload")


def read_pcapng(path):
    """The UDP packets of a file, in order, by a reader that knows three blocks."""
    data, at, interfaces, frames = path.read_bytes(), 0, [], []
    while at < len(data):
        kind, length = struct.unpack_from("=II", data, at)
        assert struct.unpack_from("=I", data, at + length - 4) == (length,), "a block is torn"
        body = data[at + 8:at + length - 4]
        if kind == 1:
            interfaces.append(_options(body[8:])[2].decode())
        elif kind == 6:
            number, _, _, captured, original = struct.unpack_from("=5I", body)
            assert captured == original, "a frame is cut"
            flags, = struct.unpack("=I", _options(body[20 + (captured + 3) // 4 * 4:])[2])
            if frame := _udp(interfaces[number], flags & 3 == 2, body[20:20 + captured]):
                frames.append(frame)
        at += length
    return frames


def _options(body):
    options, at = {}, 0
    while at + 4 <= len(body):
        code, length = struct.unpack_from("=HH", body, at)
        options[code] = body[at + 4:at + 4 + length]
        at += 4 + (length + 3) // 4 * 4
    return options


def _udp(interface, sent, raw):
    if raw[12:14] != b"\x08\x00" or raw[23] != 17:
        return None
    at = 14 + 4 * (raw[14] & 15)
    source_port, target_port, length = struct.unpack_from(">HHH", raw, at)
    address = [".".join(map(str, raw[begin:begin + 4])) for begin in (26, 30)]
    return Frame(interface, sent, *address, source_port, target_port, raw[at + 8:at + length])


class CaptureFile(unittest.TestCase):

    def _begin(self, lab, name, *options):
        """pinholectl capture, when it has said that packets are copied."""
        path = lab.directory / name
        command = [build_directory() / "control/pinholectl", "--socket", lab.directory / "control.sock", "capture", path,
                   *options]
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        self.assertIn("Ctrl-C", process.stderr.readline())
        return path, process

    def _end(self, process, how="stopped"):
        """What it has printed, once it is interrupted."""
        if how == "stopped":
            process.send_signal(signal.SIGINT)
        text, errors = process.communicate(timeout=10)
        self.assertEqual(process.returncode, 0, errors)
        self.assertIn(f"ended: {how}", text)
        self.assertIn(", 0 not (ring full)", text)
        return text

    def _calls(self, lab, addresses=(INSIDE,), hold_ms=500):
        total = CALLS * len(addresses)
        answerer = Sipp(lab, lab.outside, "answerer", OUTSIDE, 5060, calls=total, media_port=ANSWERER_MEDIA)
        callers = [Sipp(lab, lab.inside, "caller", address, 5060, remote=f"{OUTSIDE}:5060", calls=CALLS,
                        hold_ms=hold_ms, media_port=MEDIA, play=True) for address in addresses]
        for caller in callers:
            caller.wait(30)
            caller.check(self, CALLS)
        answerer.wait(10)

    @staticmethod
    def _names(lab):
        return {row["zone"]: row["name"] for row in lab.ctl("status")["interfaces"]}

    # [AC-25]
    def test_both_sides(self):
        """capture: during calls through two workers, each INVITE is in the file as it came and as it left"""
        with Lab(workers=2) as lab:
            lab.start()
            path, process = self._begin(lab, "both.pcapng")
            self._calls(lab)
            text = self._end(process)
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
            names, frames = self._names(lab), read_pcapng(path)
            invites = [frame for frame in frames if frame.payload.startswith(b"INVITE ")]
            came = [frame for frame in invites if frame.interface == names["inside"] and not frame.sent]
            left = [frame for frame in invites if frame.interface == names["outside"] and frame.sent]
            self.assertEqual((len(came), len(left), len(invites)), (CALLS, CALLS, 2 * CALLS))
            for frame in came:
                self.assertEqual((frame.source, frame.target), (INSIDE, OUTSIDE))
                self.assertRegex(frame.payload, rf"Contact: <sip:caller\d+@{re.escape(INSIDE)}".encode())
                self.assertIn(f"c=IN IP4 {INSIDE}".encode(), frame.payload)
            for frame in left:
                self.assertEqual((frame.source, frame.target), (PINHOLE, OUTSIDE))
                self.assertIn(f"c=IN IP4 {PINHOLE}".encode(), frame.payload)
                self.assertNotIn(INSIDE.encode(), frame.payload)
            answers = [frame for frame in frames if frame.payload.startswith(b"SIP/2.0 200 ")]
            self.assertIn((names["outside"], False), {(frame.interface, frame.sent) for frame in answers})
            self.assertIn((names["inside"], True), {(frame.interface, frame.sent) for frame in answers})
            self.assertIn("packets written", text)
            self.assertEqual(collections.Counter(self._as_tshark_reads(path, 'sip.Method == "INVITE"')),
                             {(names["inside"], INSIDE): CALLS, (names["outside"], PINHOLE): CALLS})

    def _as_tshark_reads(self, path, display_filter):
        """Interface and source of the packets."""
        result = subprocess.run(["tshark", "-r", path, "-Y", display_filter, "-T", "fields", "-e", "frame.interface_name",
                                 "-e", "ip.src"], capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(result.returncode, 0, result.stderr)
        return [tuple(line.split()) for line in result.stdout.splitlines()]

    # [AC-25]
    def test_one_host(self):
        """capture: --host has the packets of one inside host on both sides, its first ones too, and no other's"""
        with Lab(workers=2) as lab:
            lab.start()
            path, process = self._begin(lab, "host.pcapng", "--host", INSIDE)
            self._calls(lab, (INSIDE, OTHER_HOST))
            self._end(process)
            names, frames = self._names(lab), read_pcapng(path)
            inside = [frame for frame in frames if frame.interface == names["inside"]]
            self.assertEqual({INSIDE in (frame.source, frame.target) for frame in inside}, {True})
            invites = [frame for frame in frames if frame.payload.startswith(b"INVITE ")]
            self.assertEqual(len(invites), 2 * CALLS)
            outside = [frame for frame in frames if frame.interface == names["outside"]]
            self.assertEqual(len(outside), len(inside))

    # [AC-25]
    def test_one_call(self):
        """capture: --call has signalling and media of one call on both sides, and nothing of its neighbours"""
        with Lab() as lab:
            lab.start()
            answerer = Sipp(lab, lab.outside, "answerer", OUTSIDE, 5060, calls=2, media_port=ANSWERER_MEDIA)
            callers = [Sipp(lab, lab.inside, "caller", address, 5060, remote=f"{OUTSIDE}:5060", calls=1, hold_ms=4000,
                            media_port=MEDIA, play=True) for address in (INSIDE, OTHER_HOST)]
            calls = wait_for("the calls", lambda: len(rows := lab.ctl("calls")["calls"]) == 2 and rows)
            call = next(row for row in calls if row["inside"].startswith(f"{INSIDE}:"))
            wait_for("its media", lambda: lab.ctl("pinholes", "--call", call["id"])["pinholes"])
            path, process = self._begin(lab, "call.pcapng", "--call", call["call_id"])
            for caller in callers:
                caller.wait(30)
            answerer.wait(10)
            self._end(process)
            names, frames = self._names(lab), read_pcapng(path)
            byes = [frame for frame in frames if frame.payload.startswith(b"BYE ")]
            self.assertEqual(sorted((frame.interface, frame.sent) for frame in byes),
                             sorted([(names["inside"], False), (names["outside"], True)]))
            media = collections.Counter(frame.interface for frame in frames if frame.payload[:1] == b"\x80")
            self.assertGreater(media[names["inside"]], 0)
            self.assertEqual(media[names["inside"]], media[names["outside"]])
            self.assertNotIn(OTHER_HOST, {frame.source for frame in frames} | {frame.target for frame in frames})

    # [AC-25][AC-28]
    def test_ends(self):
        """capture: it ends by a limit, and with a control or a pinholectl that is killed; the next one starts clean"""
        with Lab() as lab:
            lab.start()
            path, process = self._begin(lab, "short.pcapng", "--packets", 3)
            self._calls(lab)
            self._end(process, "packets")
            self.assertEqual(lab.ctl("capture", "status")["packets"], 3)
            refused = lab.ctl_run("capture", path, as_json=False)
            self.assertEqual(refused.returncode, 2)
            self.assertIn("exists", refused.stderr)

            _, process = self._begin(lab, "left.pcapng")
            process.kill()
            wait_for("its end", lambda: self._ended_by(lab) == "unattended", 20)

            self._begin(lab, "killed.pcapng")
            lab.control.kill()
            lab.start_control()
            lab.wait_up()
            self.assertEqual(lab.ctl("capture", "status")["state"], "none")
            path, process = self._begin(lab, "again.pcapng", "--interface", self._names(lab)["outside"])
            self._calls(lab)
            self._end(process)
            self.assertEqual({frame.interface for frame in read_pcapng(path)}, {self._names(lab)["outside"]})

    @staticmethod
    def _ended_by(lab):
        # Asking is attending: so the log is what tells.
        return "unattended" if "by=unattended" in lab.control.log_text() else None
