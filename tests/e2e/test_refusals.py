# SPDX-License-Identifier: BSD-3-Clause
"""What Pinhole itself refuses over TCP: the answer reaches a real peer, and its connection goes on for other calls."""

import unittest

from support.lab import INSIDE, OUTSIDE, PINHOLE, Lab, wait_for
from support.sipp import SCENARIOS, Sipp

CALLS = 20
REFUSED = 2  # of the callers 1 to 20 those whose number ends with 5
AT_A_TIME = 3


def with_refusal(status):
    """A caller who answers a refusal as RFC 3261 wants it, writes it down, and counts it as well done."""
    text = (SCENARIOS / "caller.xml").read_text(encoding="utf-8")
    accepted = '  <recv response="200" rtd="1" rrs="true"/>\n'
    end = "  <ResponseTimeRepartition"
    assert accepted in text and end in text
    text = text.replace(accepted, f'  <recv response="{status}" optional="true" next="1"/>\n' + accepted)
    return text.replace(end, f"""  <nop next="2"/>
  <label id="1"/>
  <nop><action><log message="{status}"/></action></nop>
  <send>
    <![CDATA[
      ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
      [last_Via:]
      Max-Forwards: 70
      [last_From:]
      [last_To:]
      Call-ID: [call_id]
      CSeq: 1 ACK
      Content-Length: 0

    ]]>
  </send>
  <label id="2"/>
""" + end)


def refusing(status):
    """Some callers, from either side, are refused by a rule; a server inside is reached by the address of Pinhole."""
    def change(config):
        config["nat"] = {"forwards": [{"protocol": "tcp", "external": f"{PINHOLE}:5060", "inside": f"{INSIDE}:5060"}]}
        config["protection"] = {"rules": [{"name": "some", "action": "refuse", "status": status, "retry_after_s": 5,
                                           "methods": ["INVITE"], "from_uris": ["sip:caller*5@voice.example"]}]}
    return change


def with_few_calls(config):
    config["calls"] = {"limits": {"per_host": AT_A_TIME}}


class Refusals(unittest.TestCase):

    def _run(self, lab, status, inbound=False, hold_ms=100):
        """Calls over one connection. Returns how many were refused, and how many the other side has had."""
        places = ((lab.outside, OUTSIDE, PINHOLE), (lab.inside, INSIDE))
        (near, address, target), (far, far_address) = places if inbound else ((lab.inside, INSIDE, OUTSIDE),
                                                                                (lab.outside, OUTSIDE))
        name = f"{status}-{'in' if inbound else 'out'}"
        answerer = Sipp(lab, far, "answerer", far_address, 5060, calls=1000, transport="t1", name=f"answerer-{name}")
        wait_for("SIPp to listen", lambda: f"{far_address}:5060 " in far.run("ss", "-ltnH").stdout)
        caller = Sipp(lab, near, "caller", address, 5060, remote=f"{target}:5060", calls=CALLS, rate=10, hold_ms=hold_ms,
                      transport="t1", text=with_refusal(status), name=f"caller-{name}")
        caller.wait(60)
        caller.check(self, CALLS)
        answerer.stop()
        self.assertEqual(answerer.statistics()["FailedCall"], 0, answerer.errors())
        return len(caller.log()), answerer.statistics()["SuccessfulCall"]

    def _is_sound(self, counters):
        for name in ("stream_given_up", "stream_not_mine", "drop_sip_malformed"):
            self.assertEqual(counters[name], 0, name)

    def test_by_rule(self):
        """refusals: 400, 403 and 503 by a rule over TCP, either way, and the next calls on the same connection"""
        for status in (400, 403, 503):
            with self.subTest(status=status), Lab(workers=2, configure=refusing(status)) as lab:
                lab.start()
                self.assertEqual(self._run(lab, status), (REFUSED, CALLS - REFUSED))
                self.assertEqual(self._run(lab, status, inbound=True), (REFUSED, CALLS - REFUSED))
                counters = lab.counters()
                self.assertEqual(counters["drop_sip_refused"], 2 * REFUSED)
                self._is_sound(counters)

    def test_by_limit(self):
        """refusals: 503 by a limit of calls over TCP, and those calls get through that there is room for"""
        with Lab(workers=2, configure=with_few_calls) as lab:
            lab.start()
            refused, accepted = self._run(lab, 503, hold_ms=1500)
            self.assertEqual(refused + accepted, CALLS)
            self.assertGreaterEqual(refused, AT_A_TIME)
            self.assertGreater(accepted, AT_A_TIME)
            counters = lab.counters()
            self.assertEqual(counters["drop_call_limit"], refused)
            self._is_sound(counters)
