# SPDX-License-Identifier: BSD-3-Clause
"""A voice by hand: speaks a tone in G.711 from a socket, and keeps what it hears there."""

import bisect
import math
import socket
import struct
import threading
import time

from support import tone

SAMPLES = 160  # 20 ms of G.711
PCMU = 0


def _decode(code):
    """G.711, mu-law: a sign, three bits of segment, four of place in it."""
    code = ~code & 0xFF
    value = (((code & 15) << 3) + 132 << (code >> 4 & 7)) - 132
    return -value if code & 0x80 else value


_DECODED = [_decode(code) for code in range(256)]
_ORDER = sorted(range(256), key=_DECODED.__getitem__)
_VALUES = [_DECODED[code] for code in _ORDER]


def _encode(sample):
    """The code whose value is next to the sample."""
    at = bisect.bisect_left(_VALUES, sample)
    near = [number for number in (at - 1, at) if 0 <= number < 256]
    return _ORDER[min(near, key=lambda number: abs(_VALUES[number] - sample))]


class Voice:
    """RTP at address:port of a namespace: speaks `frequency` to whom speak_to() names, and hears everybody."""

    def __init__(self, lab, namespace, address, port, frequency):
        self.frequency = frequency
        self._socket = namespace.socket(socket.SOCK_DGRAM, address, port)
        self._socket.settimeout(0.2)
        self._target, self._running, self._heard = None, True, []
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._speak, self._hear)]
        for thread in self._threads:
            thread.start()
        lab.own(self)

    def speak_to(self, target):
        """Begins to speak to (host, port), or goes on to another one."""
        self._target = target

    def hears(self, frequency, seconds=1.0):
        return tone.heard(self._heard, frequency) >= seconds

    def forget(self):
        """Has hears() judge only what comes from now on."""
        self._heard = []

    def close(self):
        self._running = False
        for thread in self._threads:
            thread.join(5)
        self._socket.close()

    def _speak(self):
        number, began = 0, time.monotonic()
        codes = [_encode(round(tone.LEVEL * math.sin(2 * math.pi * self.frequency * at / tone.RATE)))
                 for at in range(tone.RATE)]  # a second of whole periods
        while self._running:
            if self._target:
                at = number * SAMPLES % tone.RATE
                header = struct.pack(">BBHII", 0x80, PCMU, number & 0xFFFF, number * SAMPLES & 0xFFFFFFFF, 0x5EED)
                self._socket.sendto(header + bytes(codes[at:at + SAMPLES]), self._target)
            number += 1
            time.sleep(max(0.0, began + number * SAMPLES / tone.RATE - time.monotonic()))

    def _hear(self):
        while self._running:
            try:
                packet = self._socket.recv(2048)
            except OSError:
                continue
            if len(packet) > 12 and packet[0] == 0x80 and packet[1] & 0x7F == PCMU:
                self._heard.extend(_DECODED[code] for code in packet[12:])
