#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The media of many calls: counts what arrives at each of many UDP ports, and echoes it when told to.

As a program it binds ADDRESS:FIRST, FIRST+STEP, ... and runs until SIGTERM; then it writes what it counted as JSON.
"""

import argparse
import json
import select
import signal
import socket
import subprocess
import sys


class Media:
    """The program in a namespace of a lab."""

    def __init__(self, lab, namespace, address, first, count, step, echo=False):
        self._report = lab.directory / f"media-{address}-{first}.json"
        command = [sys.executable, __file__, "--address", address, "--first", first, "--count", count, "--step", step,
                   "--report", self._report] + (["--echo"] if echo else [])
        self._popen = namespace.start(*command, stdout=subprocess.PIPE, text=True)
        if self._popen.stdout.readline() != "ready\n":
            raise AssertionError("the media peer did not start")
        lab.own(self)

    def close(self):
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
            self._popen.wait(10)
        self._popen.stdout.close()

    def stop(self):
        """Ends it. Returns for each port that heard something its packets and their senders."""
        self.close()
        return {int(port): row for port, row in json.loads(self._report.read_text(encoding="ascii")).items()}


def _serve(options):
    running = True

    def end(*_):
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, end)
    poll, ports = select.epoll(), {}
    for number in range(options.count):
        port = options.first + number * options.step
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.setblocking(False)
        peer.bind((options.address, port))
        poll.register(peer, select.EPOLLIN)
        ports[peer.fileno()] = (peer, port, {"packets": 0, "senders": {}})
    print("ready", flush=True)
    while running:
        for ready, _ in poll.poll(0.1):
            _drain(*ports[ready], options.echo)
    heard = {port: row for _, port, row in ports.values() if row["packets"]}
    with open(options.report, "w", encoding="ascii") as file:
        json.dump(heard, file)


def _drain(peer, _port, row, echo):
    while True:
        try:
            data, sender = peer.recvfrom(2048)
        except BlockingIOError:
            return
        row["packets"] += 1
        name = f"{sender[0]}:{sender[1]}"
        row["senders"][name] = row["senders"].get(name, 0) + 1
        if echo:
            peer.sendto(data, sender)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--step", type=int, default=4)
    parser.add_argument("--echo", action="store_true")
    parser.add_argument("--report", required=True)
    _serve(parser.parse_args())


if __name__ == "__main__":
    main()
