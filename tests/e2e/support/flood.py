# SPDX-License-Identifier: BSD-3-Clause
"""Floods with spoofed sources, by trafgen: what an attacker of any size would send, as fast as this machine can."""

import signal
import subprocess

from support.lab import LabError

def _counting(first, count):
    """A byte that counts with every packet. Bytes whose counts have no common divisor make all combinations."""
    return f"dinc({first}, {first + count - 1}, 1)"


# All lie behind the outside gateway, and no host of the lab has one of them.
SOURCES = {
    1: ["100", "64", "0", "1"],
    1000: ["100", "64", _counting(0, 8), _counting(1, 125)],
    100_000: ["100", _counting(64, 7), _counting(0, 113), _counting(1, 127)],
}
METHODS = ("INVITE", "REGISTER", "OPTIONS")
KINDS = (*METHODS, "malformed", "syn", "fragment")
# Six million different words.
WORD = ", ".join(_counting(ord("a"), count) for count in (5, 7, 8, 9, 11, 13, 17))
WORD_SIZE = 7
MARK = "flood"  # in the Call-ID and the From of each message


def _bytes(text):
    return ", ".join(map(str, text.encode()))


def _request(method, target, cseq="1"):
    """A request in trafgen's language, and its size. What differs from one to the next is a word."""
    uri = f"sip:{'' if method == 'REGISTER' else 'answerer@'}{target}"
    texts = [f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 100.64.0.1:5060;branch=z9hG4bK",
             f"\r\nMax-Forwards: 70\r\nFrom: <sip:{MARK}@voice.example>;tag=",
             "\r\nTo: <sip:answerer@voice.example>\r\nCall-ID: ",
             f"@{MARK}.example\r\nCSeq: {cseq} {method}\r\nContact: <sip:{MARK}@100.64.0.1:5060>\r\n"
             "Content-Length: 0\r\n\r\n"]
    return f", {WORD}, ".join(map(_bytes, texts)), sum(map(len, texts)) + WORD_SIZE * (len(texts) - 1)


def _words(*numbers):
    return ", ".join(f"c16({number})" for number in numbers)


def packet(kind, sources, target, port, mac):
    """A packet in trafgen's language."""
    source = ", ".join(SOURCES[sources])
    destination = ", ".join(target.split("."))
    fragment, protocol = 0, 17
    if kind == "syn":
        protocol = 6
        parts = [_counting(64, 125), "drnd()", _words(port), "drnd(4)", _words(0, 0), "0x50, 0x02", _words(8192),
                 "csumtcp(14, 34)", _words(0)]
        size = 20
    elif kind == "fragment":  # the second one of a datagram that has no first
        fragment = 185
        parts = ["fill(0x41, 200)"]
        size = 200
    else:
        text, size = _request("INVITE", target, "one") if kind == "malformed" else _request(kind, target)
        size += 8
        parts = [_counting(64, 125), "drnd()", _words(port, size, 0), text]
    header = ["0x45, 0", _words(20 + size), "drnd(2)", _words(fragment), f"64, {protocol}", "csumip(14, 33)", source,
              destination]
    ethernet = [", ".join(f"0x{byte}" for byte in mac.split(":")), "0x02, 0, 0, 0, 0, 0x99", "0x08, 0x00"]
    return "{ " + ", ".join(ethernet + header + parts) + " }\n"


class Flood:
    """Sends until stop(), at most for `seconds`. What it takes of the machine is what nobody else wants."""

    def __init__(self, lab, namespace, kind, sources, target, port, mac, seconds=60, interface="eth0"):
        path = lab.directory / f"flood-{kind}-{sources}.cfg"
        path.write_text(packet(kind, sources, target, port, mac), encoding="ascii")
        self._popen = namespace.start("timeout", "--signal=INT", seconds, "nice", "-n", "10", "trafgen", "--dev", interface,
                                      "--conf", path, "--cpus", 1, "--no-sock-mem", "--notouch-irq", "--no-cpu-stats",
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lab.own(self)

    def close(self):
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGINT)
        self.report, _ = self._popen.communicate(timeout=20)
        return self.report

    def stop(self):
        """Returns how many packets were sent."""
        report = self.close()
        for line in report.splitlines():
            if line.strip().endswith("packets outgoing"):
                return int(line.split()[0])
        raise LabError(f"trafgen did not say what it sent: {report}")
