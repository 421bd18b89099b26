# SPDX-License-Identifier: BSD-3-Clause
"""Plug-ins: what they do to traffic, what becomes of broken ones, and their switch."""

import unittest

from support.lab import INSIDE, OUTSIDE, Lab, wait_for
from support.plugins import plugin, use

PORT = 7777  # of the plug-in that is right
BROKEN = {"edits_past_the_end": (7771, "fault_argument"), "unknown_verdict": (7772, "fault_verdict"),
          "slow": (7773, "fault_budget")}
MAX_FAULTS = 3


class Plugins(unittest.TestCase):

    def refusal(self, change):
        """Why the data plane does not start, as it says itself."""
        with Lab(configure=change) as lab:
            process = lab.start_dataplane()
            wait_for("the data plane to end", lambda: not process.alive(), 15)
            self.assertEqual(process.popen.returncode, 2)
            return process.log_text()

    def test_refused(self):
        """plug-ins: one that cannot be used ends the start with a sentence that names it and why"""
        self.assertIn("plugins[1].file: /", said := self.refusal(lambda config: use(config, "right", "no_query")))
        self.assertIn("no_query.so: is no plug-in: it has no pinhole_plugin_query;", said)
        said = self.refusal(lambda config: use(config, "right", options="fail"))
        self.assertIn("plugins[0].options: /", said)
        self.assertIn("the gateway \"right\" does not start on worker 0 with \"fail\"", said)
        rule = {"name": "x", "action": "log", "application": "right"}
        said = self.refusal(lambda config: config.update(protection={"rules": [rule]}))
        self.assertIn('protection.rules[0].application: there is no gateway "right"; load its plug-in, enable ftp,', said)

    # [AC-24]
    def test_switch(self):
        """plug-ins: messages are changed, counted and told of; switched off for all, a host, an interface"""
        with Lab(workers=2, configure=lambda config: use(config, "right", budget_us=50000)) as lab:
            lab.start()
            with lab.inside.socket(address=INSIDE) as client, \
                    lab.outside.socket(address=OUTSIDE, port=PORT) as server:

                def arrives(text):
                    client.sendto(text, (OUTSIDE, PORT))
                    got, external = server.recvfrom(2000)
                    server.sendto(b"well", external)
                    self.assertEqual(client.recv(2000), b"well")
                    return got

                self.assertEqual(arrives(b"ping 1"), b"a long pong 1")
                self.assertEqual(arrives(b"else"), b"else")
                names = [row["name"] for row in lab.ctl("status")["interfaces"]]
                for options in ([], ["--interface", names[0]], ["--prefix", f"{INSIDE}/32"]):
                    lab.ctl("alg", "off", "right", *options)
                    self.assertEqual(arrives(b"ping 2"), b"ping 2")
                    lab.ctl("alg", "on", "right", *options)
                    self.assertEqual(arrives(b"ping 3"), b"a long pong 3")
                lab.ctl("sip", "off")
                self.assertEqual(arrives(b"ping 4"), b"a long pong 4")
                self.assertEqual([(row["name"], row["on"]) for row in lab.ctl("alg", "show")["algs"]],
                                 [("sip", False), ("ftp", True), ("right", True)])
            shown = plugin(lab, "right")
            self.assertEqual((shown["counters"]["pings"], shown["counters"]["edited"]), (5, 5))
            self.assertGreaterEqual(shown["counters"]["switched_off"], 3)
            self.assertEqual((shown["faults"], shown["claims"]), (0, [{"protocol": "udp", "port": PORT}]))
            self.assertEqual(lab.counters()["pings"], 5)
            wait_for("the event", lambda: "event=gateway_said gateway=right" in lab.control.log_text())
            self.assertIn("text=\"a ping\"", lab.control.log_text())

            # Configured off, and read again.
            lab.config["plugins"][0]["enabled"] = False
            lab.write_config(lab.config)
            self.assertEqual(lab.ctl("reload")["changed"], ["plugins[0].enabled"])
            self.assertEqual([(row["name"], row["on"]) for row in lab.ctl("alg", "show")["algs"]],
                             [("sip", False), ("ftp", True), ("right", False)])

    def test_broken(self):
        """plug-ins: who edits past the end, answers nonsense or takes too long is stopped, and traffic goes on"""

        def configure(config):
            use(config, *BROKEN, "right", max_faults=MAX_FAULTS)
            config["plugins"][-1]["budget_us"] = 50000

        with Lab(configure=configure) as lab:
            lab.start()
            for name, (port, counter) in BROKEN.items():
                with self.subTest(name), lab.inside.socket(address=INSIDE) as client, \
                        lab.outside.socket(address=OUTSIDE, port=port) as server:
                    for number in range(MAX_FAULTS + 3):
                        sent = f"number {number}".encode()
                        client.sendto(sent, (OUTSIDE, port))
                        got, external = server.recvfrom(2000)
                        self.assertEqual(got, sent)
                    server.sendto(b"back", external)
                    self.assertEqual(client.recv(2000), b"back")
                    shown = plugin(lab, name)
                    self.assertEqual((shown["faults"], shown["stopped_workers"]), (MAX_FAULTS, [0]))
                    self.assertEqual((shown["counters"][counter], shown["counters"]["shown"]),
                                     (MAX_FAULTS, MAX_FAULTS))
                    wait_for("the event", lambda: f"event=gateway_stopped gateway={name}" in lab.control.log_text())
            self.assertEqual(lab.ctl_text("plugins").count("STOPPED on worker 0"), len(BROKEN))
            # The one that is right has nothing to do with it.
            with lab.inside.socket(address=INSIDE) as client, \
                    lab.outside.socket(address=OUTSIDE, port=PORT) as server:
                client.sendto(b"ping", (OUTSIDE, PORT))
                self.assertEqual(server.recv(2000), b"a long pong")


if __name__ == "__main__":
    unittest.main()
