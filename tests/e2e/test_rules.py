# SPDX-License-Identifier: BSD-3-Clause
"""Rules for messages: asked of peers on both sides, changed while calls live, kept by whoever is killed."""

import json
import subprocess
import time
import unittest

from support.lab import INSIDE, OUTSIDE, Lab, build_directory, wait_for
from support.sipp import Sipp

CALLS = 100


def request(method, *, agent="phone", call_id="one"):
    return "\r\n".join((f"{method} sip:bob@example.com SIP/2.0", "Via: SIP/2.0/UDP peer.example.com;branch=z9hG4bK1",
                        "Max-Forwards: 70", "From: <sip:alice@example.com>;tag=1", "To: <sip:bob@example.com>",
                        f"Call-ID: {call_id}", f"CSeq: 1 {method}", f"User-Agent: {agent}", "Content-Length: 0", "",
                        "")).encode()


RULES = [
    {"name": "scanners", "action": "drop", "direction": "in", "user_agents": ["*friendly-scanner*"]},
    {"name": "no-publish", "action": "drop", "direction": "out", "methods": ["PUBLISH"], "sources": ["10.77.0.0/24"]},
    {"name": "messages", "action": "log", "methods": ["MESSAGE"]},
]


def with_rules(rules, **unknown):
    def change(config):
        # Its scanner is for a rule to find, and not for the screen, which is asked before.
        config["protection"] = {"screen": {"user_agents": []}, "rules": rules, "unknown": unknown}
    return change


class Rules(unittest.TestCase):

    def _arrives(self, sender, receiver, target, message):
        """Whether a message arrives before the one that is sent after it."""
        sender.sendto(message, target)
        mark = request("OPTIONS", call_id="mark")
        sender.sendto(mark, target)
        got, _ = receiver.recvfrom(4000)
        if b"Call-ID: mark" in got:
            return False
        self.assertIn(b"Call-ID: mark", receiver.recvfrom(4000)[0])
        return True

    def _hits(self, lab):
        return {row["name"]: row["hits"] for row in lab.ctl("rules")["rules"]}

    def test_both_ways(self):
        """rules: by direction, method and User-Agent, with their hits; messages that nobody understands; lines of log"""
        unknown = {"nat": {"methods": "drop", "not_sip": "drop", "malformed": "drop"}}
        with Lab(workers=2, configure=with_rules(RULES, **unknown)) as lab:
            lab.start()
            with lab.inside.socket(address=INSIDE, port=5060) as phone, \
                    lab.outside.socket(address=OUTSIDE, port=5060) as peer:
                phone.sendto(request("OPTIONS"), (OUTSIDE, 5060))
                _, external = peer.recvfrom(4000)
                out = lambda message: self._arrives(phone, peer, (OUTSIDE, 5060), message)
                into = lambda message: self._arrives(peer, phone, external, message)
                scan = request("OPTIONS", agent="friendly-scanner")
                self.assertTrue(out(scan))
                self.assertFalse(into(scan))
                self.assertFalse(out(request("PUBLISH")))
                self.assertTrue(into(request("PUBLISH")))
                self.assertTrue(out(request("MESSAGE")))
                self.assertFalse(out(request("FROBNICATE")))
                self.assertFalse(into(b"GET / HTTP/1.1\r\n\r\n"))
                self.assertFalse(out(b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n"))
            self.assertEqual(self._hits(lab), {"scanners": 1, "no-publish": 1, "messages": 1, "unknown.nat.methods": 1,
                                               "unknown.nat.not_sip": 1, "unknown.nat.malformed": 1})
            self.assertEqual(lab.counters()["drop_sip_rule"], 5)
            line = wait_for("the line of the rule that logs",
                            lambda: [each for each in lab.control.log_text().splitlines() if "rule_matched" in each])[0]
            for words in ("rule=messages", "direction=out", f"inside={INSIDE}:5060", f"remote={OUTSIDE}:5060",
                          'start="MESSAGE sip:bob@example.com SIP/2.0"'):
                self.assertIn(words, line)

    def _reload_fails(self, lab, text):
        lab.config_file.write_text(text, encoding="utf-8")
        result = lab.ctl_run("reload")
        self.assertNotEqual(result.returncode, 0, result.stdout)
        return result.stderr + result.stdout

    def test_live_calls(self):
        """rules: reload again and again while 100 calls are live loses no message; a wrong file changes nothing"""
        with Lab(workers=2) as lab:
            lab.start()
            answerer = Sipp(lab, lab.outside, "answerer", OUTSIDE, 5060, calls=CALLS)
            caller = Sipp(lab, lab.inside, "caller", INSIDE, 5060, remote=f"{OUTSIDE}:5060", calls=CALLS, rate=50,
                          hold_ms=20000)
            wait_for("all calls to be live", lambda: lab.ctl("status")["live"]["calls"] == CALLS)
            for number in range(10):
                rules = [*RULES, {"name": f"round-{number}", "action": "drop", "methods": ["PUBLISH"]}]
                lab.write_config(lab.changed_config(with_rules(rules)))
                result = lab.ctl("reload")
                self.assertEqual((result["generation"], result["settled"]), (number + 1, True))
                self.assertEqual(lab.ctl("status")["live"]["calls"], CALLS, "the calls are to live through all of it")
                self.assertIn("protection.rules" if number == 0 else "protection.rules[3].name", result["changed"])
                self.assertIn(f"round-{number}", self._hits(lab))

            before = lab.ctl("config", "show"), lab.ctl("rules"), lab.ctl("sip", "show")
            wrong = lab.changed_config(with_rules([{"name": "x", "action": "drop", "interfaces": ["nowhere"]}]))
            self.assertIn("protection.rules[0].interfaces[0]", self._reload_fails(lab, json.dumps(wrong)))
            self.assertIn("line 1, column", self._reload_fails(lab, "{ no JSON"))
            fixed = lab.changed_config(with_rules([]))
            fixed["sip"] = {"ports": [5060, 5070], "enabled": False}
            said = self._reload_fails(lab, json.dumps(fixed))
            self.assertIn("sip.ports", said)
            self.assertNotIn("sip.enabled", said)
            self.assertEqual((lab.ctl("config", "show"), lab.ctl("rules"), lab.ctl("sip", "show")), before)

            caller.wait(60)
            caller.check(self, CALLS)
            answerer.wait(10)
            answerer.check(self, CALLS)
            self.assertEqual(lab.counters()["command_refused"], 0)

    def test_gateways(self):
        """rules: a reload that names a gateway that is not loaded, or turns FTP, is refused in a sentence, and undone"""
        with Lab(configure=with_rules(RULES)) as lab:
            lab.start()
            before = lab.ctl("config", "show"), lab.ctl("rules"), lab.ctl("alg", "show")
            unknown = lab.changed_config(with_rules([{"name": "x", "action": "log", "application": "tftp"}]))
            self.assertIn('protection.rules[0].application: there is no gateway "tftp", and nothing was changed',
                          self._reload_fails(lab, json.dumps(unknown)))
            turned = lab.changed_config(lambda config: config.update(ftp={"enabled": False}))
            self.assertIn("ftp.enabled found changed, which takes a restart of both processes, and nothing was changed",
                          self._reload_fails(lab, json.dumps(turned)))
            self.assertEqual((lab.ctl("config", "show"), lab.ctl("rules"), lab.ctl("alg", "show")), before)
            # Control has read the file anew, and the data plane has not.
            lab.control.kill()
            lab.start_control()
            lab.wait_up()
            self.assertIn("ftp.enabled: found another value than the data plane has, and nothing was changed",
                          self._reload_fails(lab, json.dumps(turned)))
            self.assertEqual(lab.ctl("rules"), before[1])

    def test_kills(self):
        """rules: what was reloaded holds after control, and after the data plane, was killed and started again"""
        with Lab(workers=2, configure=with_rules(RULES)) as lab:
            lab.start()
            lab.ctl("sip", "off", "--prefix", f"{OUTSIDE}/32")
            lab.write_config(lab.changed_config(with_rules(RULES[:1])))
            lab.ctl("reload")
            self.assertEqual(len(lab.ctl("sip", "show")["hosts"]), 1, "the file says nothing new of it")
            lab.control.kill()
            lab.start_control()
            lab.wait_up()
            self.assertEqual(self._hits(lab), {"scanners": 0})
            lab.write_config(lab.changed_config(with_rules(RULES[:2])))
            self.assertEqual(lab.ctl("reload")["generation"], 3)
            lab.dataplane.kill()
            lab.start_dataplane()
            wait_for("the new data plane", lambda: lab.dataplane_state() == "up" and
                     lab.ctl("status")["dataplane"]["pid"] == lab.dataplane.pid, 30)
            self.assertEqual(self._hits(lab), {"scanners": 0, "no-publish": 0})

    def test_kill_in_the_middle(self):
        """rules: control is killed in the middle of reload; the old list holds or the new one, for all workers alike"""
        with Lab(workers=2, configure=with_rules(RULES[:1])) as lab:
            lab.start()
            for number in range(6):
                before, name = set(self._hits(lab)), f"round-{number}"
                lab.write_config(lab.changed_config(with_rules([{"name": name, "action": "drop", "methods": ["INFO"]}])))
                with subprocess.Popen([build_directory() / "control/pinholectl", "--socket",
                                       lab.directory / "control.sock", "reload"], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL) as reload:
                    time.sleep(0.06 * number)
                    lab.control.kill()
                    reload.wait(20)
                lab.start_control()
                lab.wait_up()
                wait_for("all workers to have one list", lambda: lab.ctl("sip", "show")["settled"])
                self.assertIn(set(self._hits(lab)), (before, {name}))
                self.assertTrue(lab.ctl("reload")["settled"])
                self.assertEqual(set(self._hits(lab)), {name})


if __name__ == "__main__":
    unittest.main()
