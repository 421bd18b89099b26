# SPDX-License-Identifier: BSD-3-Clause
"""External ports in blocks and by the rule: what servers see is what pinholectl says, both ways."""

import contextlib
import json
import os
import unittest

from support.lab import INSIDE, INSIDE2, OUTSIDE, PINHOLE, Lab, one_and_two_workers, side_by_side, wait_for
from support.phone import Dialog, Phone

BLOCK = 512
FIRST_PORT = 1024


class Ports(unittest.TestCase):

    def _external(self, lab, stack, inside):
        """Asks a server from a new socket. Returns the external endpoint that the server sees."""
        server = stack.enter_context(lab.outside.socket(address=OUTSIDE, port=0))
        client = stack.enter_context(inside[0].socket(address=inside[1]))
        client.connect(server.getsockname())
        data = os.urandom(8)
        client.send(data)
        got, peer = server.recvfrom(100)
        self.assertEqual(got, data)
        server.sendto(got, peer)
        self.assertEqual(client.recv(100), data)
        return peer

    def _row(self, lab, endpoint):
        answer = lab.ctl("subscriber", endpoint)
        self.assertEqual(answer["total"], 1, answer)
        return answer["subscribers"][0]

    def _same_both_ways(self, lab, stack, inside):
        """Returns what pinholectl says of the host."""
        self._external(lab, stack, inside)
        row = self._row(lab, inside[1])
        for _ in range(20):
            address, port = self._external(lab, stack, inside)
            self.assertEqual(address, PINHOLE)
            self.assertTrue(row["first_port"] <= port <= row["last_port"], (row, port))
            self.assertEqual(self._row(lab, f"{address}:{port}"), row)
        return row

    def test_media(self):
        """ports: RTP and RTCP of a call are a pair out of the block of their host, in both modes"""
        def ports(mode, subscribers):
            def configure(config):
                config["nat"] = {"ports": {"mode": mode, "block_size": BLOCK, "subscribers": subscribers}}
            return configure
        modes = (ports("blocks", []), ports("deterministic", ["10.77.0.0/26"]))
        with side_by_side(*(Lab(2, configure) for configure in modes)) as labs:
            for lab in labs:
                with Phone(lab.inside, INSIDE, user="caller") as caller, \
                        Phone(lab.outside, OUTSIDE, user="answerer") as answerer:
                    dialog = Dialog(self, caller, answerer, (OUTSIDE, 5060), 20000, 30000)
                    rtp = dialog.invite().media[1]
                    row = self._row(lab, INSIDE)
                    self.assertEqual(rtp % 2, 0)
                    self.assertTrue(row["first_port"] <= rtp < row["last_port"], (row, rtp))
                    pair = {f"{PINHOLE}:{rtp}", f"{PINHOLE}:{rtp + 1}"}
                    # The phone may have the message before control has its event.
                    wait_for("control to show the pair, and nothing else", lambda lab=lab, pair=pair: pair ==
                             {hole["external"] for hole in lab.ctl("pinholes")["pinholes"]})
                    dialog.ring()
                    dialog.accept()
                    dialog.hang_up()

    # [rfc7422]
    def test_deterministic(self):
        """ports: a subscriber's ports are those that the rule says, and pinholectl says so without a data plane"""
        def deterministic(config):
            config["nat"] = {"ports": {"mode": "deterministic", "block_size": BLOCK,
                                       "subscribers": [f"{INSIDE2}/32", "10.77.0.8/30"]}}
        with one_and_two_workers(deterministic, hosts=2) as labs, contextlib.ExitStack() as stack:
            for lab in labs:
                # INSIDE2 is number 0; INSIDE, 10.77.0.10, the third of the second prefix: number 3.
                for inside, number in (((lab.inside, INSIDE), 3), ((lab.inside2, INSIDE2), 0)):
                    row = self._same_both_ways(lab, stack, inside)
                    self.assertEqual((row["first_port"], row["number"]), (FIRST_PORT + number * BLOCK, number))
                self.assertEqual(lab.counters()["record_sent"], 0)
                lab.dataplane.kill()
                wait_for("control to see that the data plane is gone", lambda lab=lab: lab.dataplane_state() == "lost")
                self.assertEqual(self._row(lab, INSIDE)["first_port"], FIRST_PORT + 3 * BLOCK)
                self.assertEqual(self._row(lab, f"{PINHOLE}:{FIRST_PORT}")["inside"], INSIDE2)
                nobody = lab.ctl_run("subscriber", "10.77.0.99", as_json=False)
                self.assertEqual(nobody.returncode, 1)
                self.assertIn("is not in nat.ports.subscribers", nobody.stderr)

    def test_another_plan(self):
        """ports: control that has read another plan than the data plane says so, and tells nobody whose a port is"""
        def deterministic(config):
            config["nat"] = {"ports": {"mode": "deterministic", "block_size": BLOCK, "subscribers": [f"{INSIDE}/32"]}}
        with Lab(configure=deterministic) as lab:
            lab.start()
            lab.control.kill()
            right = lab.config_file.read_text()
            other = json.loads(right)
            other["nat"]["ports"]["subscribers"].insert(0, "10.77.0.99/32")
            lab.config_file.write_text(json.dumps(other))
            lab.start_control()
            lab.wait_up()
            for endpoint in (INSIDE, f"{PINHOLE}:{FIRST_PORT}"):
                asked = lab.ctl_run("subscriber", endpoint, as_json=False)
                self.assertEqual(asked.returncode, 1)
                self.assertIn("the data plane runs with another nat.pool, nat.ports", asked.stderr)
            self.assertTrue(lab.ctl("status")["dataplane"]["plan_differs"])
            self.assertIn("ANOTHER", lab.ctl_text("status"))
            lab.control.kill()
            lab.config_file.write_text(right)
            lab.start_control()
            lab.wait_up()
            self.assertFalse(lab.ctl("status")["dataplane"]["plan_differs"])
            self.assertEqual(self._row(lab, INSIDE)["first_port"], FIRST_PORT)

    # [rfc6888-req14]
    def test_blocks(self):
        """ports: in blocks two hosts never share one, and pinholectl knows whose it is while it is used"""
        def blocks(config):
            config["nat"] = {"ports": {"mode": "blocks", "block_size": BLOCK, "rest_s": 1},
                             "timeouts": {"udp_s": 4}}
        with one_and_two_workers(blocks, hosts=2) as labs, contextlib.ExitStack() as stack:
            for lab in labs:
                rows = [self._same_both_ways(lab, stack, inside)
                        for inside in ((lab.inside, INSIDE), (lab.inside2, INSIDE2))]
                self.assertNotEqual(rows[0]["first_port"], rows[1]["first_port"])
                for row in rows:
                    self.assertEqual(row["first_port"] % BLOCK, 0)
                    self.assertEqual(row["last_port"] - row["first_port"], BLOCK - 1)
            for lab in labs:
                wait_for("all blocks to be given back",
                         lambda lab=lab: (lab.counters()["block_live"], lab.counters()["block_resting"]) == (0, 0),
                         timeout=20)
                nobody = lab.ctl_run("subscriber", INSIDE, as_json=False)
                self.assertEqual(nobody.returncode, 1)
                self.assertIn("has no external ports now", nobody.stderr)
