# SPDX-License-Identifier: BSD-3-Clause
"""The NAT log as others read it: the JSON lines, nfcapd (nfdump) as a collector, and tshark on a capture."""

import collections
import datetime
import json
import signal
import subprocess

from support.capture import Capture
from support.lab import LabError

COLLECTOR = ("127.0.0.1", 4739)  # in the gateway's namespace, where control runs
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}
EVENTS = {8: "mapping_created", 9: "mapping_freed", 12: "ports_exhausted", 13: "quota_exceeded",
          16: "block_assigned", 17: "block_released"}

# The same for every reader. Endpoints are (address, port); ports of blocks are (first, last); what a kind of record
# does not have, or a reader does not tell, is None.
Record = collections.namedtuple("Record", "time event protocol inside external ports")


def endpoint(text):
    address, _, port = text.partition(":")
    return address, int(port) if port else None


class JsonLines:
    """The lines of nat.log.file, oldest file first."""

    def __init__(self, path):
        self.path = path

    def lines(self):
        """The objects. Only the last line, or one that a killed control left, may be half a line."""
        whole = []
        for path in sorted(self.path.parent.glob(self.path.name + "*"), key=self._age, reverse=True):
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    whole.append(json.loads(line))
                except ValueError:
                    continue
        return whole

    def _age(self, path):
        suffix = path.name[len(self.path.name):]
        return int(suffix[1:]) if suffix else 0

    def records(self):
        return [self._record(line) for line in self.lines() if "sequence" in line]

    @staticmethod
    def _record(line):
        ports = (line["first_port"], line["last_port"]) if "first_port" in line else None
        external = endpoint(line["external"]) if line["external"] else ("0.0.0.0", None)
        return Record(line["time"], line["event"], line.get("protocol"), endpoint(line["inside"]), external, ports)


def like_ipfix(record):
    """A record with what its template has: no inside port of a refusal, no external address of a quota."""
    if record.event == "ports_exhausted":
        return record._replace(inside=(record.inside[0], None))
    if record.event == "quota_exceeded":
        return record._replace(inside=(record.inside[0], None), external=None, protocol=None)
    return record


def like_nfdump(record):
    """A record of IPFIX with what nfdump 1.7.1 tells of it: no ports of blocks, and types where pings have numbers."""
    if record.protocol == "icmp":
        record = record._replace(inside=(record.inside[0], None))
    return record._replace(ports=None)


class Nfcapd:
    """nfcapd from Debian, and what nfdump says that it has collected."""

    def __init__(self, lab):
        self.directory = lab.directory / "nfcapd"
        self.directory.mkdir(exist_ok=True)
        self._popen = lab.gateway.start("nfcapd", "-w", self.directory, "-p", COLLECTOR[1], "-b", COLLECTOR[0],
                                        "-t", "3600", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while line := self._popen.stdout.readline():
            if "Startup" in line:
                break
        else:
            raise LabError("nfcapd did not start")
        lab.own(self)

    def close(self):
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
            self._popen.communicate(timeout=20)

    def records(self):
        """Ends the collector, which then writes its file."""
        self.close()
        result = subprocess.run(["nfdump", "-R", self.directory, "-o", "json", "-q"], check=True, capture_output=True,
                                text=True, timeout=60, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"})
        # This version of nfdump leaves out commas.
        decoder, text, at, rows = json.JSONDecoder(), result.stdout, 0, []
        while (at := text.find("{", at)) >= 0:
            row, at = decoder.raw_decode(text, at)
            rows.append(row)
        return [self._record(row) for row in rows]

    @staticmethod
    def _record(row):
        event = EVENTS[int(row["nat_event_id"])]
        is_mapping = event.startswith("mapping")
        second, milliseconds = row["t_event"].split(".")  # which nfdump writes without leading zeros
        return Record(f"{second}.{int(milliseconds):03}Z", event,
                      PROTOCOLS[int(row["proto"])] if "proto" in row and int(row["proto"]) else None,
                      (row["src4_addr"], int(row["src_port"]) if is_mapping and "src_port" in row else None),
                      (row["src4_xlt_ip"], int(row["src_xlt_port"]) if is_mapping else None)
                      if "src4_xlt_ip" in row else None, None)


class IpfixCapture:
    """The messages to the collector, captured, and decoded by tshark from Debian."""

    def __init__(self, lab):
        self._capture = Capture(lab, lab.gateway, "ipfix", f"udp dst port {COLLECTOR[1]}", interface="lo")

    def stop(self):
        self._capture.stop()
        return self

    @property
    def path(self):
        return self._capture.path

    def _decoded(self):
        result = subprocess.run(["tshark", "-r", self.path, "-d", f"udp.port=={COLLECTOR[1]},cflow", "-T", "json",
                                 "-J", "cflow", "--no-duplicate-keys"],
                                check=True, capture_output=True, text=True, timeout=60,
                                env={"TZ": "UTC", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})
        return [packet["_source"]["layers"]["cflow"] for packet in json.loads(result.stdout)]

    def records(self):
        found = []
        for message in self._decoded():
            self._collect(message, found)
        return found

    def _collect(self, node, found):
        """Every object with an event in it is a record; tshark calls it "Flow 1" and so on."""
        if isinstance(node, dict):
            if "cflow.nat_event" in node:
                found.append(self._record(node))
                return
            node = list(node.values())
        if isinstance(node, list):
            for item in node:
                self._collect(item, found)

    @staticmethod
    def _record(flow):
        event = EVENTS[int(flow["cflow.nat_event"])]
        when = datetime.datetime.strptime(flow["cflow.observation_time_milliseconds"][:-7], "%b %d, %Y %H:%M:%S.%f")

        def number(name):
            return int(flow[name]) if name in flow else None

        external = flow.get("cflow.post_natsource_ipv4_address")
        ports = (number("cflow.port_range_start"), number("cflow.port_range_end"))
        return Record(when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03}Z", event,
                      PROTOCOLS[number("cflow.protocol")] if "cflow.protocol" in flow else None,
                      (flow["cflow.srcaddr"], number("cflow.srcport")),
                      (external, number("cflow.post_naptsource_transport_port")) if external else None,
                      ports if ports[0] is not None else None)

    def sequences(self):
        """(sequence number, data records) of each message, as the headers say and tshark counts."""
        rows = []
        for message in self._decoded():
            records = []
            self._collect(message, records)
            rows.append((int(message["cflow.sequence"]), len(records)))
        return rows
