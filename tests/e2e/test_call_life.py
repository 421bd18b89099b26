# SPDX-License-Identifier: BSD-3-Clause
"""How calls end that their parties do not end, how many there may be, and what is written down of them."""

import contextlib
import time
import unittest

from support.call_log import CallLog, time_of, with_call_log
from support.lab import INSIDE, OUTSIDE, Lab, one_and_two_workers, wait_for
from support.media import Media
from support.phone import DOMAIN, Dialog, Phone, sdp
from support.sipp import MEDIA_STEP, RTP_PACKETS, Sipp

CALLERS = [f"10.77.0.{host}" for host in (10, 11, 12, 13, 14)]  # every worker owns one of them at least
PORTS = list(range(5060, 5070))
LATE_S = 1.0  # how much later than it is due a call may end, on a busy machine
RTP_BYTES = 20 + 8 + 12 + 160


def with_calls(**calls):
    """A configuration with records of calls and these settings; phones are told nothing by Pinhole."""
    def configure(config):
        config["sip"] = {"ports": PORTS}
        config["calls"] = {"hang_up": False, **calls}
        with_call_log(config)
    return configure


class Talk:
    """A call between two phones by hand, each on a port of its own, and their media."""

    def __init__(self, test, stack, lab, number):
        self.lab = lab
        address, port = CALLERS[number % len(CALLERS)], PORTS[number]
        self.caller = stack.enter_context(Phone(lab.inside, address, port, user=f"alice{number}"))
        self.answerer = stack.enter_context(Phone(lab.outside, OUTSIDE, port, user=f"bob{number}"))
        self.media = [stack.enter_context(lab.inside.socket(address=address, port=20000 + 10 * number)),
                      stack.enter_context(lab.outside.socket(address=OUTSIDE, port=30000 + 10 * number))]
        self.media_ports = (20000 + 10 * number, 30000 + 10 * number)
        self.dialog = Dialog(test, self.caller, self.answerer, (OUTSIDE, port), *self.media_ports)
        self.external = None

    @property
    def call_id(self):
        return self.dialog.call_id

    def invite(self, **options):
        self.external = self.dialog.invite(**options).media
        return self

    def connect(self, **options):
        self.invite(**options)
        self.dialog.accept()
        return self

    def speak(self):
        """A packet each way. Returns whether both arrived."""
        self.media[0].sendto(b"inside speaks", (OUTSIDE, self.media_ports[1]))
        outward = self._heard(self.media[1])
        return self.speak_in() and outward

    def speak_in(self):
        """The same from outside alone."""
        self.media[1].sendto(b"outside speaks", self.external)
        return self._heard(self.media[0])

    @staticmethod
    def _heard(media):
        media.settimeout(0.3)
        try:
            media.recvfrom(100)
        except TimeoutError:
            return False
        return True

    def again(self, cseq, more_sdp=""):
        """A re-INVITE with the same ports."""
        call = {"call_id": self.call_id, "to": f"sip:{self.answerer.user}@{DOMAIN}", "from_tag": "from",
                "to_tag": "answer", "cseq": cseq}
        target = self.dialog.target
        uri = f"sip:{self.answerer.user}@{target[0]}:{target[1]}"
        self.caller.request("INVITE", uri, target, body=sdp(self.caller.address, self.media_ports[0], more_sdp),
                            **call)
        offer = self.answerer.next("INVITE")
        self.external = offer.media
        self.answerer.respond(offer, 200, "OK", body=sdp(OUTSIDE, self.media_ports[1], more_sdp))
        self.caller.next("SIP/2.0 200")
        self.caller.request("ACK", uri, target, **call)
        self.answerer.next("ACK")


class Timers(unittest.TestCase):
    RINGING_S, ACK_S, SILENCE_S, DURATION_S = 3, 2, 5, 9

    def _calls(self, lab, stack):
        """One call for each timer, and what becomes of it: (call, reason, from when, after how long)."""
        talks = [Talk(self, stack, lab, number) for number in range(6)]
        ringing, without_ack, silent, talking, held, timed = talks
        ringing.invite()
        ringing.dialog.ring()
        without_ack.invite()
        without_ack.answerer.respond(without_ack.dialog.offer, 200, "OK", body=sdp(OUTSIDE, 30010))
        without_ack.caller.next("SIP/2.0 200")
        silent.connect()
        talking.connect()
        held.connect(more_sdp="a=inactive\r\n")
        timed.invite(more=["Supported: timer", "Session-Expires: 1800;refresher=uac"])
        timed.dialog.accept(more=["Require: timer", "Session-Expires: 1800;refresher=uac"])
        return talking, [(ringing, "no_answer", "started", self.RINGING_S),
                         (without_ack, "no_ack", "answered", self.ACK_S),
                         (silent, "media_silence", "answered", self.SILENCE_S),
                         (talking, "max_duration", "answered", self.DURATION_S),
                         (held, "max_duration", "answered", self.DURATION_S),
                         (timed, "max_duration", "answered", self.DURATION_S)]

    def test_all(self):
        """call_life: every timer ends its call when it is due and says why; talk, hold and session timers are spared"""
        configure = with_calls(ringing_s=self.RINGING_S, answer_ack_s=self.ACK_S, media_inactivity_s=self.SILENCE_S,
                               max_duration_s=self.DURATION_S)
        with one_and_two_workers(configure) as labs, contextlib.ExitStack() as stack:
            begun = [self._calls(lab, stack) for lab in labs]
            deadline = time.monotonic() + self.DURATION_S - 1
            while time.monotonic() < deadline:
                for talking, _ in begun:
                    self.assertTrue(talking.speak())
                time.sleep(0.2)
            for lab, (talking, expected) in zip(labs, begun):
                self._ended(lab, expected)
                self.assertFalse(talking.speak_in())
                wait_for("every port to be shut", lambda lab=lab: lab.gauges()["pinholes"] == 0, 10)
                self.assertEqual(lab.counters()["call_ended"], len(expected))

    def _ended(self, lab, expected):
        log = CallLog(lab)
        for call, reason, since, after_s in expected:
            record = log.wait_for(call.call_id)
            self.assertEqual((record["reason"], record["ended_by"]), (reason, "pinhole"), record)
            lasted = time_of(record["ended"]) - time_of(record[since])
            self.assertGreaterEqual(lasted, after_s - 0.2, record)
            self.assertLess(lasted, after_s + LATE_S, record)
            row = lab.ctl("call", record["id"])["call"]
            self.assertEqual((row["state"], row["end_reason"], row["ended_by"]), ("ended", reason, "pinhole"))
            self.assertIn(f"event=call_ended id={record['id']} reason={reason}", lab.control.log_text())

    def test_shut(self):
        """call_life: by policy silent media is only shut; what is agreed on anew has the same ports"""
        configure = with_calls(media_inactivity_s=3, media_inactivity="shut")
        with one_and_two_workers(configure) as labs, contextlib.ExitStack() as stack:
            talks = [Talk(self, stack, lab, 0).connect() for lab in labs]
            for talk in talks:
                self.assertTrue(talk.speak())
            for lab, talk in zip(labs, talks):
                wait_for("the media to be shut", lambda lab=lab: lab.counters()["call_media_shut"] == 1, 6)
                wait_for("the worker to follow", lambda talk=talk: not talk.speak_in(), 2)
                self.assertEqual([row["state"] for row in lab.ctl("calls")["calls"]], ["confirmed"])
                before = talk.external
                talk.again(2)
                self.assertEqual(talk.external, before)
                self.assertTrue(talk.speak())
                talk.dialog.hang_up(cseq=3)
                record = CallLog(lab).wait_for(talk.call_id)
                self.assertEqual((record["reason"], record["ended_by"]), ("bye", "inside"))

    # [AC-28]
    def test_restart(self):
        """call_life: control is killed during calls; their time goes on, and each has its record with all numbers"""
        with one_and_two_workers(with_calls(max_duration_s=8)) as labs, contextlib.ExitStack() as stack:
            kept = [Talk(self, stack, lab, 0).connect() for lab in labs]
            for talk in kept:
                self.assertTrue(talk.speak())
            time.sleep(2)
            for lab in labs:
                lab.control.kill()
            hasty = [Talk(self, stack, lab, 1).connect() for lab in labs]
            for talk in hasty:
                self.assertTrue(talk.speak())
                talk.dialog.hang_up()
            time.sleep(1)
            for lab in labs:
                lab.start_control()
            for lab in labs:
                lab.wait_up()
            for lab, long, short in zip(labs, kept, hasty):
                log = CallLog(lab)
                self.assertEqual(log.wait_for(short.call_id)["reason"], "bye")
                record = log.wait_for(long.call_id)
                self.assertEqual(record["reason"], "max_duration")
                lasted = time_of(record["ended"]) - time_of(record["answered"])
                self.assertLess(abs(lasted - 8), LATE_S, record)
                for call in (short, long):
                    self.assertEqual(len(log.of(call.call_id)), 1)
                    media = log.of(call.call_id)[0]["media"]
                    self.assertEqual([(row["packets_out"], row["packets_in"]) for row in media], [(1, 1), (0, 0)])


class Limits(unittest.TestCase):

    def _begin(self, phone, server, number, call_id, arrives=True):
        """Whether an INVITE arrives at the server as it should; returns it."""
        phone.request("INVITE", f"sip:bob@{server.address}", (server.address, server.port), call_id=call_id, cseq=1,
                      to=f"sip:bob@{DOMAIN}", from_tag="from", body=sdp(phone.address, 20000 + 2 * number))
        if arrives:
            return server.next("INVITE")
        message = server.receive(0.5)
        self.assertIsNone(message, message and message.text)
        return None

    def _refuse(self, phone, server, invite):
        """The server ends the call."""
        server.respond(invite, 486, "Busy Here")
        phone.next("SIP/2.0 486")

    def _limited(self, limits, steps):
        """Runs steps(phones by host, servers, begin, refuse) with one worker and with two."""
        with one_and_two_workers(with_calls(limits=limits)) as labs:
            for lab in labs:
                with contextlib.ExitStack() as stack:
                    phones = [stack.enter_context(Phone(lab.inside, address)) for address in CALLERS]
                    servers = [stack.enter_context(Phone(lab.outside, address)) for address in
                               (OUTSIDE, "203.0.113.11")]
                    before = lab.counters()["drop_call_limit"]
                    refused = steps(phones, servers)
                    self.assertEqual(lab.counters()["drop_call_limit"] - before, refused)

    def test_per_host(self):
        """call_life: a host may have so many calls at a time; when one has ended the next may begin at once"""
        def steps(phones, servers):
            first = self._begin(phones[0], servers[0], 0, "host-1@phone.example")
            self._begin(phones[0], servers[1], 1, "host-2@phone.example")
            self._begin(phones[0], servers[0], 2, "host-3@phone.example", arrives=False)
            self._begin(phones[1], servers[0], 3, "host-4@phone.example")
            self._begin(phones[0], servers[0], 0, "host-1@phone.example")  # sent again
            self._refuse(phones[0], servers[0], first)
            self._begin(phones[0], servers[0], 2, "host-3@phone.example")
            return 1
        self._limited({"per_host": 2}, steps)

    def test_per_server(self):
        """call_life: a server may have so many calls at a time, from all hosts together"""
        def steps(phones, servers):
            invites = [self._begin(phone, servers[0], 0, f"server-{phone.address}@phone.example")
                       for phone in phones[:3]]
            for phone in phones[3:]:
                self._begin(phone, servers[0], 0, f"server-{phone.address}@phone.example", arrives=False)
            self._begin(phones[3], servers[1], 1, "other@phone.example")
            self._refuse(phones[1], servers[0], invites[1])
            self._begin(phones[4], servers[0], 0, f"server-{phones[4].address}@phone.example")
            return 2
        self._limited({"per_server": 3}, steps)

    def test_total(self):
        """call_life: there may be so many calls at a time in all"""
        def steps(phones, servers):
            for phone in phones[:4]:
                self._begin(phone, servers[0], 0, f"total-{phone.address}@phone.example")
            self._begin(phones[4], servers[1], 0, "fifth@phone.example", arrives=False)
            return 1
        self._limited({"total": 4}, steps)

    def test_per_second(self):
        """call_life: so many calls may begin a second, and a burst"""
        def steps(phones, servers):
            time.sleep(5)  # the bucket fills
            for number in range(20):
                phone = phones[number % len(phones)]
                phone.request("INVITE", f"sip:bob@{OUTSIDE}", (OUTSIDE, 5060), call_id=f"{number}-fast@phone.example",
                              cseq=1, to=f"sip:bob@{DOMAIN}", from_tag="from")
            arrived = set()
            while message := servers[0].receive(0.5):
                arrived.add(message.header("Call-ID"))
            self.assertIn(len(arrived), range(6, 9), "a burst of six, and one or two of the time that it took")
            time.sleep(3)
            self._begin(phones[0], servers[0], 0, "later@phone.example")
            return 20 - len(arrived)
        self._limited({"per_s": 2, "burst": 6}, steps)


class Records(unittest.TestCase):
    CALLS, HOLD_MS = 40, 3500

    def _records(self, workers):
        with Lab(workers, with_calls()) as lab:
            lab.start()
            hears = Media(lab, lab.inside, INSIDE, 20000, self.CALLS, MEDIA_STEP)
            echoes = Media(lab, lab.outside, OUTSIDE, 30000, self.CALLS, MEDIA_STEP, echo=True)
            answerer = Sipp(lab, lab.outside, "answerer", OUTSIDE, 5060, calls=self.CALLS, media_port=30000)
            caller = Sipp(lab, lab.inside, "caller", INSIDE, 5060, remote=f"{OUTSIDE}:5060", calls=self.CALLS,
                          rate=20, hold_ms=self.HOLD_MS, media_port=20000, play=True)
            caller.wait(60)
            answerer.wait(10)
            caller.check(self, self.CALLS)
            records = CallLog(lab).wait(self.CALLS)
            self.assertEqual(len(records), self.CALLS)
            self.assertEqual(len({record["id"] for record in records}), self.CALLS)
            ports = set()
            for record in records:
                self._is_whole(record)
                ports.add(record["media"][0]["inside"])
            self.assertEqual(len(ports), self.CALLS)
            self.assertEqual(sum(row["packets"] for row in hears.stop().values()), self.CALLS * RTP_PACKETS)
            self.assertEqual(sum(row["packets"] for row in echoes.stop().values()), self.CALLS * RTP_PACKETS)
            self.assertEqual(lab.counters()["call_record_written"], self.CALLS)

    def _is_whole(self, record):
        self.assertEqual((record["reason"], record["ended_by"], record["direction"]), ("bye", "inside", "outbound"))
        self.assertEqual((record["inside"], record["remote"]), (f"{INSIDE}:5060", f"{OUTSIDE}:5060"))
        self.assertRegex(record["from"], "sip:caller[0-9]+@voice.example")
        self.assertEqual(record["to"], "sip:answerer@voice.example")
        talked = time_of(record["ended"]) - time_of(record["answered"])
        self.assertLess(abs(talked - self.HOLD_MS / 1000), LATE_S, record)
        rtp, rtcp = record["media"]
        self.assertEqual((rtp["packets_out"], rtp["packets_in"]), (RTP_PACKETS, RTP_PACKETS), record)
        self.assertEqual(rtp["bytes"], 2 * RTP_PACKETS * RTP_BYTES)
        self.assertTrue(rtp["remote"].startswith(f"{OUTSIDE}:30"), record)
        self.assertEqual((rtp["rtcp"], rtcp["rtcp"]), (False, True))
        for key in ("bytes_out", "bytes_in", "rtp_out", "rtp_in"):
            self.assertEqual((rtp[key], rtcp[key]), (None, None), "nothing is measured unless it is asked for")
        self.assertEqual((rtcp["packets_out"], rtcp["packets_in"], rtcp["bytes"]), (0, 0, 0))

    def test_one_worker(self):
        """call_life: forty calls with RTP have forty records that say what passed, one worker"""
        self._records(1)

    def test_two_workers(self):
        """call_life: forty calls with RTP have forty records that say what passed, two workers"""
        self._records(2)

    def test_ends(self):
        """call_life: a record says whether inside or outside ended the call, and how"""
        with one_and_two_workers(with_calls()) as labs, contextlib.ExitStack() as stack:
            for lab in labs:
                refused, cancelled, ended = [Talk(self, stack, lab, number) for number in range(3)]
                refused.invite()
                refused.dialog.refuse()
                cancelled.invite()
                cancelled.dialog.ring()
                cancelled.dialog.cancel()
                ended.connect()
                self._hang_up_outside(ended)
                log = CallLog(lab)
                for talk, expected in ((refused, ("failed", "outside")), (cancelled, ("cancelled", "inside")),
                                       (ended, ("bye", "outside"))):
                    record = log.wait_for(talk.call_id)
                    self.assertEqual((record["reason"], record["ended_by"]), expected)

    def _hang_up_outside(self, talk):
        contact = talk.dialog.offer.contact
        talk.answerer.request("BYE", f"sip:{talk.caller.user}@{contact[0]}:{contact[1]}", contact,
                              call_id=talk.call_id, cseq=1, to=f"sip:{talk.caller.user}@{DOMAIN}", from_tag="answer",
                              to_tag="from")
        talk.caller.respond(talk.caller.next("BYE"), 200, "OK")
        talk.answerer.next("SIP/2.0 200")

