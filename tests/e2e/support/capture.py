# SPDX-License-Identifier: BSD-3-Clause
"""Captures of a link, and a reader that trusts nothing: it checks every length and checksum by itself."""

import collections
import concurrent.futures
import ipaddress
import re
import signal
import socket
import struct
import subprocess
import time

from support.lab import INSIDE_NETWORK, LabError

ETHER_IPV4, ETHER_ARP = 0x0800, 0x0806
ICMP, TCP, UDP = 1, 6, 17
RTP_VERSION = 2
CATCH_UP_S = 0.5
LATEST_S = 30

Packet = collections.namedtuple("Packet", "time protocol source source_port target target_port payload ttl raw")


class Capture:
    """tcpdump on an interface of a namespace, from construction to stop()."""

    def __init__(self, lab, namespace, name, expression="", interface="eth0"):
        self.path = lab.directory / f"{name}.pcap"
        # The kernel sees a packet of the loopback leave and arrive; libpcap keeps one of the two.
        self._seen_times = 2 if interface == "lo" else 1
        self._popen = namespace.start("tcpdump", "-i", interface, "-n", "-s", "0", "-B", "32768", "-U", "--immediate-mode",
                                      "-Z", "root", "-w", self.path, *expression.split(), stderr=subprocess.PIPE, text=True)
        line = self._popen.stderr.readline()
        while line and "listening on" not in line:
            line = self._popen.stderr.readline()
        if not line:
            raise LabError("tcpdump did not start")
        lab.own(self)

    def _catch_up(self):
        """tcpdump forgets what it has not read yet when it is told to end: waits until it writes no more."""
        size, since = -1, time.monotonic()
        deadline = since + LATEST_S
        while time.monotonic() < since + CATCH_UP_S:
            if time.monotonic() > deadline:
                raise LabError(f"{self.path.name} still grows after {LATEST_S} s: somebody goes on sending")
            time.sleep(0.05)
            if (now := self.path.stat().st_size) != size:
                size, since = now, time.monotonic()

    def close(self):
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGINT)
        _, report = self._popen.communicate(timeout=20)
        return report

    def stop(self):
        """Ends the capture. Returns its frames; a capture that lost some proves nothing, so that is an error."""
        self._catch_up()
        report = self.close()
        counts = {name: int(re.search(rf"(\d+) packets? {name}", report).group(1))
                  for name in ("captured", "received by filter", "dropped by kernel")}
        if counts["dropped by kernel"] or counts["captured"] * self._seen_times != counts["received by filter"]:
            raise LabError(f"the capture is not complete: {counts}")
        return list(frames(self.path))


def stop_all(captures):
    """Ends several captures at once. Returns the frames of each."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(pool.map(Capture.stop, captures))


def frames(path):
    """(seconds, frame) of each frame of a capture file."""
    data = path.read_bytes()
    if struct.unpack_from("<I", data)[0] != 0xA1B2C3D4:
        raise LabError(f"{path} is no capture file of this machine's byte order")
    at = 24
    while at + 16 <= len(data):
        seconds, micros, captured, length = struct.unpack_from("<IIII", data, at)
        if captured != length:
            raise LabError(f"a frame of {length} bytes was captured with {captured}")
        yield seconds + micros / 1e6, data[at + 16:at + 16 + captured]
        at += 16 + captured


def ones_sum(data):
    """The one's complement sum of 16-bit words: 2^16 is 1 modulo 2^16 - 1. 0 stands for 0xffff too."""
    if len(data) % 2:
        data += b"\0"
    return int.from_bytes(data, "big") % 0xFFFF


class Problems(list):
    """What is wrong with the frames of a capture, as sentences."""

    udp = 0
    udp_without_checksum = 0

    def check(self, condition, sentence):
        if not condition:
            self.append(sentence)


def packets(captured):
    """The IPv4 packets among frames, as Packet rows. Frames that do not parse are left out; see problems()."""
    for when, frame in captured:
        packet = parse(when, frame, Problems())
        if packet:
            yield packet


def quotes(captured):
    """What ICMP errors among frames quote, as frames: of small packets that is all of them."""
    for when, frame in captured:
        packet = parse(when, frame, Problems())
        if packet and packet.protocol == ICMP and packet.payload[0] in (3, 11):
            yield when, frame[:14] + packet.payload[8:]


def problems(captured, forbidden=INSIDE_NETWORK):
    """Every wrong checksum or length among frames, and every address of the forbidden network wherever it hides:
    in headers, in ARP, in packets quoted by ICMP errors, and in payloads as text or as bytes. The network's prefix
    is of whole bytes."""
    found = Problems()
    network = ipaddress.ip_network(forbidden)
    for when, frame in captured:
        parse(when, frame, found)
        leak = find_leak(frame, network)
        found.check(leak is None, f"at {when:.6f}: {leak}")
    # SIPp sends RTP whose checksum happens to be 0 as it is, which means that there is none; that is one packet in
    # 65,536 of random ones, and a few in a stream that is played again and again.
    found.check(found.udp_without_checksum * 100 <= found.udp,
                f"{found.udp_without_checksum} of {found.udp} UDP packets have no checksum")
    return found


# What a digest covers is nobody's to change: a phone may put an address there that it alone knows.
_DIGEST_URI = re.compile(rb"(?im)^((?:Proxy-)?Authorization:[^\r\n]*\buri=)\"[^\"\r\n]*\"")


def find_leak(frame, network):
    """Where a frame names an address of the network, as a phrase; None when it does not. A digest's uri is not read."""
    kind = struct.unpack_from(">H", frame, 12)[0]
    if kind == ETHER_ARP:
        for at in (28, 38):
            if ipaddress.ip_address(frame[at:at + 4]) in network:
                return f"an ARP message names {ipaddress.ip_address(frame[at:at + 4])}"
        return None
    if kind != ETHER_IPV4:
        return None
    ip = frame[14:]
    for at in (12, 16):
        if ipaddress.ip_address(ip[at:at + 4]) in network:
            return f"an IPv4 header names {ipaddress.ip_address(ip[at:at + 4])}"
    length = (ip[0] & 15) * 4
    payload = ip[length:int.from_bytes(ip[2:4], "big")]
    skip = {UDP: 8, TCP: (payload[12] >> 4) * 4 if len(payload) > 12 else 0, ICMP: 8}.get(ip[9], 0)
    payload = _DIGEST_URI.sub(rb"\1", payload[skip:])
    prefix = network.network_address.packed[:network.prefixlen // 8]
    text = ".".join(map(str, prefix)).encode() + b"."
    if re.search(rb"(?<![0-9.])" + re.escape(text) + rb"[0-9]", payload):
        return f"a payload holds the text {text.decode()}: {payload[:200]!r}"
    if ip[9] == UDP and payload[:1] and payload[0] >> 6 == RTP_VERSION:
        return None  # numbers, times and sound have those bytes by chance; addresses are text there (RFC 3550)
    at = payload.find(prefix)
    if 0 <= at < len(payload) - len(prefix):
        return f"a payload holds the bytes of {ipaddress.ip_address(payload[at:at + 4])}"
    return None


def parse(when, frame, found):
    """One frame as a Packet, or None; adds what is wrong with it to `found`."""
    where = f"at {when:.6f}"
    if len(frame) < 14:
        found.append(f"{where}: a frame of {len(frame)} bytes")
        return None
    kind = struct.unpack_from(">H", frame, 12)[0]
    if kind == ETHER_ARP:
        return None
    if kind != ETHER_IPV4:
        found.append(f"{where}: a frame of EtherType {kind:04x}")
        return None
    ip = frame[14:]
    header = (ip[0] & 15) * 4
    total = int.from_bytes(ip[2:4], "big")
    if ip[0] >> 4 != 4 or header < 20 or total < header or total > len(ip):
        found.append(f"{where}: an IPv4 header with wrong lengths")
        return None
    source, target = socket.inet_ntoa(ip[12:16]), socket.inet_ntoa(ip[16:20])
    flow = f"{where}, {source} to {target}"
    found.check(ones_sum(ip[:header]) == 0, f"{flow}: the IPv4 checksum is wrong")
    if int.from_bytes(ip[6:8], "big") & 0x3FFF:
        found.append(f"{flow}: a fragment")
        return None
    return _parse_transport(when, flow, ip, header, total, found)


def _parse_transport(when, flow, ip, header, total, found):
    protocol, body = ip[9], ip[header:total]
    source, target = socket.inet_ntoa(ip[12:16]), socket.inet_ntoa(ip[16:20])
    pseudo = ip[12:20] + bytes([0, protocol]) + len(body).to_bytes(2, "big")
    source_port = target_port = 0
    if protocol == UDP:
        source_port, target_port, length = struct.unpack_from(">HHH", body)
        found.check(length == len(body), f"{flow}: the UDP length is wrong")
        found.udp += 1
        if body[6:8] == b"\0\0":
            found.udp_without_checksum += 1
        else:
            found.check(ones_sum(pseudo + body) == 0, f"{flow}: the UDP checksum is wrong")
        payload = body[8:]
    elif protocol == TCP:
        source_port, target_port = struct.unpack_from(">HH", body)
        found.check(ones_sum(pseudo + body) == 0, f"{flow}: the TCP checksum is wrong")
        payload = body[(body[12] >> 4) * 4:]
    elif protocol == ICMP:
        found.check(ones_sum(body) == 0, f"{flow}: the ICMP checksum is wrong")
        payload = body
    else:
        found.append(f"{flow}: IP protocol {protocol}")
        return None
    return Packet(when, protocol, source, source_port, target, target_port, payload, ip[8], ip[:total])
