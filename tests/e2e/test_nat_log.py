# SPDX-License-Identifier: BSD-3-Clause
"""Who was behind an external endpoint: the log has it, the collector has it, and both are what the outside saw."""

import collections
import contextlib
import datetime
import json
import pathlib
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from support.lab import INSIDE, OUTSIDE, Lab, wait_for
from support.nat_log import COLLECTOR, IpfixCapture, JsonLines, Nfcapd, like_ipfix, like_nfdump

HOSTS = [f"10.77.0.{byte}" for byte in range(10, 14)]
ECHO_PORT = 7
DRAINED_S = 0.5  # many times as long as records wait for control


class Mirror:
    """A UDP server outside that tells everybody by which endpoint it saw them."""

    def __init__(self, lab):
        self._socket = lab.outside.socket(address=OUTSIDE, port=ECHO_PORT)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        lab.own(self)

    def _serve(self):
        self._socket.settimeout(0.2)
        while not self._over.is_set():
            try:
                _, peer = self._socket.recvfrom(100)
                self._socket.sendto(json.dumps(peer).encode(), peer)
            except TimeoutError:
                continue

    def close(self):
        self._over.set()
        self._thread.join()
        self._socket.close()


class Visitors:
    """Makes one mapping after the other until it is told to end, in a thread of its own."""

    def __init__(self, lab, look_outside):
        self._look_outside = look_outside
        self._end = threading.Event()
        self._failure = None
        self.seen = {}
        self._thread = threading.Thread(target=self._visit, args=(lab,))
        self._thread.start()
        lab.own(self)

    def _visit(self, lab):
        ports = iter(range(20000, 30000))
        try:
            while not self._end.wait(0.005):
                self.seen |= self._look_outside(lab, ports=[next(ports)])
        except Exception as failure:
            self._failure = failure

    def close(self):
        """Raises what has ended it early."""
        self._end.set()
        self._thread.join(20)
        if self._failure:
            raise self._failure


class NatLog(unittest.TestCase):

    def setUp(self):
        around = tempfile.TemporaryDirectory(prefix="pinhole-nat-log-")
        self.addCleanup(around.cleanup)
        self.directory = pathlib.Path(around.name) / "log"  # which a test may move away
        self.directory.mkdir()
        self.path = self.directory / "nat.jsonl"
        self.log = JsonLines(self.path)

    def configure(self, ports=None, udp_s=2, **log):
        def change(config):
            config["nat"] = {
                "timeouts": {"udp_s": udp_s},
                "ports": ports or {},
                "log": {"file": str(self.path), "collector": f"{COLLECTOR[0]}:{COLLECTOR[1]}", "template_s": 2, **log},
            }
        return change

    def look_outside(self, lab, hosts=HOSTS, ports=range(20000, 20010)):
        """Sends from each endpoint inside; returns by which one each was seen: {inside: external}."""
        seen = {}
        for host in hosts:
            for port in ports:
                with lab.inside.socket(address=host, port=port) as client:
                    client.sendto(b"who am I?", (OUTSIDE, ECHO_PORT))
                    seen[host, port] = tuple(json.loads(client.recv(100)))
        return seen

    def mappings(self, event):
        return {record.inside: record.external for record in self.log.records() if record.event == event}

    def assert_collected(self, nfcapd, capture):
        """What both readers made of the IPFIX is what the file says, record by record."""
        wanted = collections.Counter(like_ipfix(record) for record in self.log.records())
        self.assertTrue(wanted)
        self.assertEqual(collections.Counter(capture.stop().records()), wanted)
        self.assertEqual(collections.Counter(nfcapd.records()),
                         collections.Counter(like_nfdump(record) for record in wanted.elements()))
        expected = None
        for sequence, records in capture.sequences():
            self.assertEqual(sequence, expected if expected is not None else sequence)
            expected = sequence + records

    def assert_no_remote(self, capture):
        for path in self.path.parent.iterdir():
            self.assertNotIn(OUTSIDE, path.read_text(encoding="utf-8"))
        self.assertNotIn(socket.inet_aton(OUTSIDE), capture.path.read_bytes())

    # [rfc6888-req12][rfc6888-req10]
    def test_mappings(self):
        """nat log: file and collector tell of each mapping what the outside saw, from its begin to its end"""
        with Lab(workers=2, configure=self.configure(mappings=True)) as lab:
            nfcapd, capture = Nfcapd(lab), IpfixCapture(lab)
            lab.start()
            Mirror(lab)
            began = time.time()
            seen = self.look_outside(lab)
            lab.inside.run("ping", "-n", "-c", "1", "-e", "4242", "-I", HOSTS[1], OUTSIDE)
            with lab.outside.socket(socket.SOCK_STREAM, OUTSIDE, 7000) as server:
                server.listen()
                with lab.inside.socket(socket.SOCK_STREAM, INSIDE, 30000) as client:
                    client.connect((OUTSIDE, 7000))
                    tcp_peer = server.accept()[1]
            wait_for("every UDP mapping to end", lambda: len(self.mappings("mapping_freed")) >= len(seen), 20)

            created = self.mappings("mapping_created")
            self.assertEqual({inside: created[inside] for inside in seen}, seen)
            self.assertEqual(created[INSIDE, 30000], tcp_peer)
            self.assertEqual([record.protocol for record in self.log.records() if record.inside == (HOSTS[1], 4242)],
                             ["icmp"])
            freed = self.mappings("mapping_freed")
            self.assertEqual({inside: freed[inside] for inside in seen}, seen)
            for line in self.log.lines():
                when = datetime.datetime.strptime(line["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
                self.assertLess(abs(when.replace(tzinfo=datetime.timezone.utc).timestamp() - began), 30)

            status = lab.ctl("status")["nat_log"]
            self.assertEqual(status["written"], len(self.log.lines()))
            self.assertEqual(status["received"], len(self.log.records()))
            self.assertEqual(status["exported"], len(self.log.records()))
            self.assertEqual((status["lost"], status["unwritten"], status["unsent"]), (0, 0, 0))
            self.assertIn(f"collector {COLLECTOR[0]}:{COLLECTOR[1]}: sent {status['exported']}",
                          lab.ctl_text("status"))
            self.assert_collected(nfcapd, capture)
            self.assert_no_remote(capture)

    # [rfc6888-req14]
    def test_blocks(self):
        """nat log: with port blocks every port that the outside saw lies in a block of its host, two records a block"""
        ports = {"mode": "blocks", "block_size": 64, "blocks_per_host": 2}
        with Lab(workers=2, configure=self.configure(ports, udp_s=15)) as lab:
            nfcapd, capture = Nfcapd(lab), IpfixCapture(lab)
            lab.start()
            Mirror(lab)
            seen = self.look_outside(lab, ports=range(20000, 20080))

            def blocks(event):
                return [(record.inside[0], record.external[0], record.ports) for record in self.log.records()
                        if record.event == event]
            wait_for("both blocks of each", lambda: len(blocks("block_assigned")) >= 2 * len(HOSTS))
            assigned = blocks("block_assigned")
            for (host, _), (address, port) in seen.items():
                owners = {owner for owner, external, (first, last) in assigned
                          if external == address and first <= port <= last}
                self.assertEqual(owners, {host}, f"{address}:{port}")
            self.assertEqual({(last - first + 1) for _, _, (first, last) in assigned}, {64})
            self.assertEqual(len(assigned), 2 * len(HOSTS))

            # One host asks for more than it may have, which is told with the reason.
            for port in range(21000, 21000 + 2 * 64):
                with lab.inside.socket(address=HOSTS[0], port=port) as client:
                    client.sendto(b"", (OUTSIDE, ECHO_PORT))
            refused = wait_for("the refusal", lambda: [line for line in self.log.lines()
                                                       if line["event"] == "quota_exceeded"])
            self.assertEqual(refused[0]["inside"].split(":")[0], HOSTS[0])
            self.assertEqual(refused[0]["reason"], "drop_quota_mappings")

            wait_for("every block to come back",
                     lambda: len(blocks("block_released")) >= len(blocks("block_assigned")), 60)
            self.assertEqual(sorted(blocks("block_released")), sorted(blocks("block_assigned")))
            events = {record.event for record in self.log.records()}
            self.assertEqual(events, {"block_assigned", "block_released", "quota_exceeded"})
            self.assert_collected(nfcapd, capture)
            self.assert_no_remote(capture)

    def test_no_log(self):
        """nat log: ports by a rule make no record, and a data plane that nobody asked for records has no ring"""
        def deterministic(config):
            config["nat"] = {"ports": {"mode": "deterministic", "block_size": 64, "subscribers": ["10.77.0.0/27"]},
                             "log": {"file": str(self.path)}}
        with Lab(configure=deterministic) as lab:
            lab.start()
            Mirror(lab)
            self.look_outside(lab)
            time.sleep(DRAINED_S)
            self.assertEqual([line["event"] for line in self.log.lines()], ["dataplane_attached"])
            self.assertEqual(lab.counters()["record_sent"], 0)
        with Lab() as lab:
            lab.start()
            Mirror(lab)
            self.look_outside(lab)
            self.assertIsNone(lab.ctl("status")["nat_log"])
            self.assertEqual(lab.counters()["record_sent"], 0)

    def test_control(self):
        """nat log: control is killed while mappings are made; the log has every one of them"""
        with Lab(workers=2, configure=self.configure(mappings=True)) as lab:
            lab.start()
            Mirror(lab)
            visitors = Visitors(lab, self.look_outside)
            wait_for("the first records", lambda: len(self.mappings("mapping_created")) >= 20)
            lab.control.kill()
            known = len(visitors.seen)
            wait_for("mappings that control does not see", lambda: len(visitors.seen) >= known + 20)
            lab.start_control()
            lab.wait_up(10)
            known = len(visitors.seen)
            wait_for("mappings that the new one sees", lambda: len(visitors.seen) >= known + 20)
            visitors.close()
            seen = visitors.seen
            wait_for("every UDP mapping to end", lambda: len(self.mappings("mapping_freed")) >= len(seen), 20)
            self.assertEqual(self.mappings("mapping_created"), seen)
            self.assertEqual(self.mappings("mapping_freed"), seen)
            events = collections.Counter(line["event"] for line in self.log.lines())
            self.assertEqual(events["dataplane_attached"], 2)
            self.assertEqual(events["records_lost"], 0)

    def test_dataplane(self):
        """nat log: the data plane is killed and comes back; the log says that what lived before has ended"""
        with Lab(configure=self.configure(mappings=True)) as lab:
            lab.start()
            Mirror(lab)
            seen = self.look_outside(lab)
            lab.dataplane.kill()
            wait_for("control to notice", lambda: lab.dataplane_state() == "lost", 5)
            self.assertEqual(self.mappings("mapping_created"), seen)
            lab.start_dataplane()
            lab.wait_up(15)
            self.look_outside(lab, hosts=HOSTS[:1], ports=[25000])
            wait_for("the first record of the new one", lambda: (HOSTS[0], 25000) in self.mappings("mapping_created"))
            started = [line["started"] for line in self.log.lines() if line["event"] == "dataplane_attached"]
            self.assertEqual(len(started), 2)
            self.assertLess(started[0], started[1])
            times = [line["time"] for line in self.log.lines() if line.get("sequence") == 0]
            self.assertLess(times[0], started[1])
            self.assertLess(started[1], times[1])

    def test_moved(self):
        """nat log: the file is moved away as logrotate does, and the directory vanishes; nothing is lost"""
        with Lab(configure=self.configure(mappings=True, file_mb=0)) as lab:
            lab.start()
            Mirror(lab)
            seen = self.look_outside(lab, ports=range(20000, 20005))
            wait_for("the first half", lambda: len(self.mappings("mapping_created")) == len(seen))
            self.path.rename(f"{self.path}.1")
            time.sleep(1.1)
            seen |= self.look_outside(lab, ports=range(20005, 20010))
            wait_for("the second half", lambda: len(self.mappings("mapping_created")) == len(seen))
            self.assertTrue(self.path.exists())

            away = self.directory.with_name("away")
            self.directory.rename(away)
            seen |= self.look_outside(lab, ports=range(20010, 20015))
            status = wait_for("the problem to be told",
                              lambda: (now := lab.ctl("status")["nat_log"])["file_problem"] and now)
            self.assertIn("No such file or directory", status["file_problem"])
            away.rename(self.directory)
            wait_for("the last third", lambda: set(seen) <= set(self.mappings("mapping_created")))
            self.assertEqual(self.mappings("mapping_created"), seen)
            wait_for("the problem to be over", lambda: not lab.ctl("status")["nat_log"]["file_problem"], 5)
            self.assertEqual(lab.ctl("status")["nat_log"]["unwritten"], 0)
            self.assertEqual(lab.control.log_text().count("event=nat_log_failed"), 1)
            self.assertEqual(lab.control.log_text().count("event=nat_log_back"), 1)

    def tmpfs(self, *options):
        subprocess.run(["mount", "-t", "tmpfs", *options, "none", self.directory], check=True, timeout=20)

    @contextlib.contextmanager
    def small_disk(self):
        """Not a clean-up of unittest, which does none after Ctrl-C."""
        self.tmpfs("-o", "size=16k")
        try:
            yield
        finally:
            subprocess.run(["umount", self.directory], check=True, timeout=20)

    def test_disk(self):
        """nat log: the disk is full; control says so once and goes on, and nothing is lost when there is room again"""
        with self.small_disk(), Lab(configure=self.configure(mappings=True, udp_s=60)) as lab:
            capture = IpfixCapture(lab)
            lab.start()
            Mirror(lab)
            seen = self.look_outside(lab, ports=range(20000, 20050))
            status = wait_for("the disk to be full",
                              lambda: (now := lab.ctl("status")["nat_log"])["file_problem"] and now)
            self.assertIn("No space left on device", status["file_problem"])
            self.assertLess(self.path.stat().st_size, 16384 + 1)
            self.assertTrue(self.path.read_text(encoding="utf-8").endswith("}\n"), "whole lines only")
            wait_for("the rest, which the file cannot have",
                     lambda: lab.ctl("status")["nat_log"]["received"] == len(seen), 5)

            self.tmpfs("-o", "remount,size=1m")
            wait_for("what waited to be written", lambda: len(self.mappings("mapping_created")) == len(seen), 5)
            self.assertEqual(self.mappings("mapping_created"), seen)
            self.assertEqual([line["sequence"] for line in self.log.lines() if "sequence" in line],
                             list(range(len(seen))))
            self.assertEqual(lab.control.log_text().count("event=nat_log_failed"), 1)
            self.assertEqual({record.inside: record.external for record in capture.stop().records()}, seen)
