# SPDX-License-Identifier: BSD-3-Clause
"""Tones: written to a file for a phone to play, and looked for in what another one heard."""

import cmath
import math
import struct
import wave

RATE = 8000
LEVEL = 8000  # of 32768: loud, and far from where G.711 clips
WINDOW = RATE // 5  # samples that are judged at a time


def write(path, frequency, seconds=40):
    """A mono file of 16 bits. One period is repeated: frequencies divide the rate, or the ends would click."""
    period = RATE // math.gcd(RATE, frequency)
    samples = [round(LEVEL * math.sin(2 * math.pi * frequency * at / RATE)) for at in range(period)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{period}h", *samples) * (seconds * RATE // period))


def read(path):
    """The samples of a file, also of one that is still being written: its header does not know its length yet."""
    data = path.read_bytes()
    at = data.find(b"data")
    body = data[at + 8:] if at >= 0 else b""
    return struct.unpack(f"<{len(body) // 2}h", body[:len(body) // 2 * 2])


def level(samples, frequency):
    """The amplitude of one frequency in a window of samples."""
    turn = cmath.exp(-2j * math.pi * frequency / RATE)
    factor, total = 1, 0
    for sample in samples:
        total += sample * factor
        factor *= turn
    return 2 * abs(total) / len(samples)


def heard(samples, frequency):
    """How many seconds of samples are the tone at its level and next to nothing besides.

    Each window is judged by itself: the tone has to have the level that it was played with, and almost all of the
    energy, which it would not have with gaps, clicks or another voice in it.
    """
    good = 0
    for at in range(0, len(samples) - WINDOW + 1, WINDOW):
        window = samples[at:at + WINDOW]
        energy = sum(sample * sample for sample in window) / WINDOW
        amplitude = level(window, frequency)
        if abs(amplitude - LEVEL) < LEVEL * 0.1 and amplitude * amplitude / 2 > energy * 0.95:
            good += 1
    return good * WINDOW / RATE
