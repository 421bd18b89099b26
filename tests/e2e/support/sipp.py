# SPDX-License-Identifier: BSD-3-Clause
"""SIPp as a peer: runs a scenario of tests/e2e/sipp in a namespace and reads its statistics."""

import csv
import os
import pathlib
import re
import signal
import struct
import subprocess

from support.lab import LabError

SCENARIOS = pathlib.Path(__file__).resolve().parents[1] / "sipp"
MEDIA_STEP = 4  # SIPp gives each call the fourth port after the last one
MEDIA_OFFSET = 8  # SIPp binds the first ports itself; the scenarios add this to stay clear of them
RTP_PACKETS = 125  # 2.5 s at 50 a second
RTP_PAYLOAD = b"\xd5" * 160  # silence in G.711 A-law


class Sipp:
    """One run of SIPp: start, then wait() or stop().

    `media_port` is the media port of the first call; `play` has the scenario send RTP. `text` is a scenario that is
    in no file, `more` are further arguments; `transport` is SIPp's: t1 is one TCP connection for all calls, tn one for
    each.
    """

    def __init__(self, lab, namespace, scenario, address, port, *, remote=None, calls, rate=20, hold_ms=0,
                 media_port=20000, service="answerer", play=False, limit=None, name=None, text=None, more=(),
                 transport=None):
        self.name = name or f"{scenario}-{address}-{port}"
        self._files = lab.directory / "sipp" / self.name
        self._files.mkdir(parents=True, exist_ok=True)
        command = ["sipp", "-sf", self._scenario(scenario, play, text, transport), "-i", address, "-bind_local",
                   "-p", port, "-mi", address, "-mp", media_port - MEDIA_OFFSET, "-m", calls, "-s", service,
                   "-cid_str", f"%u-%p@{scenario}.example", "-nostdin", "-trace_stat", "-stf", self._file("stat.csv"),
                   "-fd", 1, "-trace_err", "-error_file", self._file("errors.log"),
                   "-trace_logs", "-log_file", self._file("log"), "-timer_resol", 5]
        if transport:
            command += ["-t", transport, "-max_socket", 1000]
        if remote:
            command += [remote, "-r", rate, "-d", hold_ms, "-l", limit or calls]
        command += more
        with open(self._file("screen"), "wb") as screen:
            self._popen = namespace.start(*command, cwd=self._files, stdout=screen, stderr=screen,
                                          env=dict(os.environ, TERM="xterm"))
        lab.own(self)

    def _file(self, name):
        return self._files / name

    def _scenario(self, scenario, play, text, transport):
        text = text or (SCENARIOS / f"{scenario}.xml").read_text(encoding="utf-8")
        if transport:
            text = text.replace("[local_port]>", "[local_port];transport=tcp>")
            # Nothing is sent again, and the caller's closing of its connection would fail who still waits for it.
            text = re.sub(r"<timewait [^>]*/>", "", text)
        if play:
            write_rtp(self._file("rtp.pcap"))
            text = text.replace("<!-- PLAY_RTP -->", "<nop><action><exec play_pcap_audio="
                                f"\"{self._file('rtp.pcap')}\"/></action></nop>")
        path = self._file("scenario.xml")
        path.write_text(text, encoding="utf-8")
        return path

    def running(self):
        return self._popen.poll() is None

    def close(self):
        if self.running():
            self._popen.send_signal(signal.SIGKILL)
            self._popen.wait(10)

    def stop(self):
        """Ends one that would wait for more calls. Its statistics stay."""
        self._popen.send_signal(signal.SIGUSR1)
        try:
            self._popen.wait(5)
        except subprocess.TimeoutExpired:
            self.close()

    def wait(self, timeout):
        """Waits for the last call and returns the statistics."""
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.close()
            raise LabError(f"SIPp {self.name} did not end within {timeout} s: {self.statistics()} "
                           f"{self.errors()}") from None
        return self.statistics()

    def statistics(self):
        """The cumulative columns of the last line of SIPp's statistics, as numbers by name."""
        try:
            with open(self._file("stat.csv"), encoding="ascii", errors="replace") as file:
                rows = list(csv.DictReader(file, delimiter=";"))
        except FileNotFoundError:
            rows = []
        if not rows:
            raise LabError(f"SIPp {self.name} wrote no statistics: {self.errors()} "
                           f"{self.screen()}")
        return {name[:-3]: int(value) for name, value in rows[-1].items()
                if name and name.endswith("(C)") and value.isdigit()}

    def log(self):
        """What the scenario logged, line by line."""
        return self._file("log").read_text(encoding="utf-8").split()

    def screen(self):
        """The end of what it printed: why it did not start."""
        return self._text("screen")[-500:]

    def errors(self):
        return self._text("errors.log")[:2000]

    def messages(self):
        """The end of what it sent and received, when it was told to keep that."""
        return self._text("messages.log")[-3000:]

    def _text(self, name):
        path = self._file(name)
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def check(self, test, calls):
        """Fails the test unless every call succeeded, and nothing had to be said twice."""
        statistics = self.statistics()
        test.assertEqual(statistics["SuccessfulCall"], calls, f"{self.name}: {statistics} {self.errors()}")
        for name in ("FailedCall", "Retransmissions", "OutOfCallMsgs", "DeadCallMsgs"):
            test.assertEqual(statistics[name], 0, f"{self.name}: {name}: {statistics} {self.errors()}")


def write_rtp(path):
    """A capture of RTP for SIPp to play: addresses and ports in it are replaced by SIPp."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number in range(RTP_PACKETS):
            rtp = struct.pack(">BBHII", 0x80, 8, number, number * 160, 0xC0FFEE11) + RTP_PAYLOAD
            udp = struct.pack(">HHHH", 20000, 30000, 8 + len(rtp), 0) + rtp
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), number, 0x4000, 64, 17, 0, bytes(4),
                             bytes(4)) + udp
            frame = bytes(12) + b"\x08\x00" + ip
            micros = number * 20000
            file.write(struct.pack("<IIII", micros // 1000000, micros % 1000000, len(frame), len(frame)) + frame)
