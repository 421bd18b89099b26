# SPDX-License-Identifier: BSD-3-Clause
"""Call flows written as ladders, and the two SIPp scenarios that each of them is.

    A INVITE sdp          A sends, B receives; A is who calls
    B 180
    B 200 sdp             answers the last request of the other side that has no final answer yet
    A ACK
    = both                both stop here until the test has looked at them (support/play.py says at what)

Words after a method or status: `sdp`, with `:` one of SDP's keys; a key of HEADERS; `once` for an INVITE that is not
sent again, because SIPp does nothing else until that is answered. A ladder's `must` says which texts the receiver of a
message has to find in it.
"""

import dataclasses
import re

from support.phone import DOMAIN

REASONS = {180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted", 407: "Proxy Authentication Required",
           486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending"}

# What a description says: address, the step from the party's media port to the one it names, and the rest.
SDP = {
    "sendrecv": ("[local_ip]", 0, "audio", "sendrecv"),
    "sendonly": ("[local_ip]", 0, "audio", "sendonly"),
    "recvonly": ("[local_ip]", 0, "audio", "recvonly"),
    "inactive": ("[local_ip]", 0, "audio", "inactive"),
    "zero": ("0.0.0.0", 0, "audio", "sendrecv"),
    "off": ("[local_ip]", None, "audio", "inactive"),
    "moved": ("[local_ip]", 10, "audio", "sendrecv"),
    "video": ("[local_ip]", 0, "audio+video", "sendrecv"),
    "image": ("[local_ip]", 4, "image", None),
}
VIDEO_STEP = 6

BEGINS = ("INVITE", "SUBSCRIBE")  # what a dialog begins with

HEADERS = {
    "supported": ["Supported: 100rel, timer"],
    "rel": ["Require: 100rel", "RSeq: 1"],
    "rack": ["RAck: 1 {invite} INVITE"],
    "timer": ["Supported: timer", "Session-Expires: 90;refresher=uac", "Min-SE: 90"],
    "timed": ["Require: timer", "Session-Expires: 90;refresher=uac"],
    "challenge": [f"Proxy-Authenticate: Digest realm=\"{DOMAIN}\", nonce=\"5ca1ab1e\", algorithm=MD5"],
    "credentials": [f"Proxy-Authorization: Digest username=\"a\", realm=\"{DOMAIN}\", nonce=\"5ca1ab1e\", "
                    "uri=\"sip:b@[local_ip]:5060\", response=\"00112233445566778899aabbccddeeff\""],
    "blind": ["Refer-To: <sip:carol@[local_ip]:5099>", "Referred-By: <sip:{user}@[local_ip]:[local_port]>"],
    "attended": ["Refer-To: <sip:carol@[local_ip]:5099?Replaces=other%40voice.example%3Bto-tag%3Dt%3Bfrom-tag%3Df>",
                 "Referred-By: <sip:{user}@[local_ip]:[local_port]>"],
    "replaces": ["Require: replaces", "Replaces: other@voice.example;to-tag=t;from-tag=f"],
    "asks": ["Event: message-summary", "Expires: 60"],
    "granted": ["Expires: 60"],
    "ends": ["Event: message-summary", "Expires: 0"],
    "waiting": ["Event: message-summary", "Subscription-State: active;expires=50"],
    "trying": ["Event: refer", "Subscription-State: active;expires=60"],
    "done": ["Event: refer", "Subscription-State: terminated;reason=noresource"],
}
# What NOTIFY tells of the other call (RFC 3515).
FRAGMENTS = {"trying": ["SIP/2.0 100 Trying"], "done": ["SIP/2.0 200 OK"]}


@dataclasses.dataclass(frozen=True)
class Ladder:
    title: str
    text: str
    must: tuple = ()  # (first word of a message, text that its receiver has to find in it)


@dataclasses.dataclass
class Party:
    """One side of a call, as both scenarios name it."""
    side: str
    user: str
    media: int  # the port of its RTP
    uri: str = ""  # where an INVITE for it goes


@dataclasses.dataclass
class Check:
    """A line that begins with `=`: its words, and where each side wants its media then."""
    words: list
    ports: dict
    kind: str
    listener: str = ""  # who goes on first, because it hears the next message or ends first; it says so


class Script:
    """The scenario of one side as it grows."""

    def __init__(self, party):
        self.party = party
        self.elements = []
        self.cseq = 0 if party.side == "A" else 100
        self.invite = 0  # CSeq of the last INVITE
        self.version = 0
        self.variables = set()

    def add(self, element):
        self.elements.append(element)

    def tell(self, what):
        """A line for the test."""
        self.add(f"<sendCmd><![CDATA[\n  Call-ID: [call_id]\n  {what}\n\n]]></sendCmd>")

    def text(self):
        # SIPp wants to be told of variables that are written and never read.
        unused = ",".join(sorted(self.variables))
        return ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"ladder\">\n" + "\n".join(self.elements) +
                (f"\n<Reference variables=\"{unused}\"/>" if unused else "") + "\n</scenario>\n")


class Compiler:
    """Turns a ladder into the scenarios of A and B for one call."""

    def __init__(self, ladder, caller, callee, key):
        self._ladder, self._key = ladder, key
        self._scripts = {party.side: Script(party) for party in (caller, callee)}
        self._pending = []  # (who sent it, method, CSeq)
        self._dialog = False
        self._refused = False
        self._ports = {party.side: party.media for party in (caller, callee)}
        self._kind = "audio"
        self.checks = []
        self._stopped = False
        for line in filter(None, map(str.strip, ladder.text.splitlines())):
            self._step(*line.split())
        self._end()

    def scenario(self, side):
        return self._scripts[side].text()

    def _step(self, who, what, *words):
        if self._stopped and who != "=":
            self._start_again(who)
        if who == "=":
            self._check([what, *words])
        elif what.isdigit():
            self._respond(who, int(what), words)
        else:
            self._request(who, what, words)

    # --- lines

    def _request(self, who, method, words):
        sender, cseq = self._scripts[who], self._next_cseq(who, method, words)
        self._send_request(sender, method, cseq, words)
        self._receive_request(self._other(who), method, words)
        if method != "ACK":
            self._pending.append((who, method, cseq))

    def _respond(self, who, status, words):
        asked = next(request for request in reversed(self._pending) if request[0] != who)
        if status >= 200:
            self._pending.remove(asked)
        asker, method, cseq = asked
        self._send_response(self._scripts[who], method, cseq, asker, status, words)
        self._receive_response(self._scripts[asker], method, status, words)
        if method in BEGINS and status >= 200:
            self._refused = status >= 300
            self._dialog = self._dialog or status < 300

    def _check(self, words):
        for script in self._scripts.values():
            script.variables |= {"seen_address", "seen_port"}
            video = " [$seen_video]" if "seen_video" in script.variables else ""
            script.tell(f"seen: [$seen_address] [$seen_port]{video}")
            script.add("<recvCmd/>")
        self.checks.append(Check(words, dict(self._ports), self._kind))
        self._stopped = True

    def _start_again(self, who):
        """What is said first after a `=` must not come before its hearer goes on: SIPp would take it amiss."""
        self._stopped = False
        listener = self._other(who)
        listener.tell("listening")
        self.checks[-1].listener = listener.party.side

    def _end(self):
        """Who is called ends its call first, and says so: over TCP the caller then closes the connection."""
        assert self._stopped, "a ladder ends with a line of '='"
        callee = self._scripts["B"]
        callee.tell("over")
        self.checks[-1].listener = callee.party.side

    # --- messages

    def _other(self, who):
        return self._scripts["B" if who == "A" else "A"]

    def _next_cseq(self, who, method, words):
        script = self._scripts[who]
        if method in ("ACK", "CANCEL"):
            return script.invite
        script.cseq += 1
        if method == "INVITE":
            script.invite = script.cseq
        return script.cseq

    def _parties(self, asker):
        """From and To of a request of `asker`, without tags."""
        one, other = self._scripts[asker].party, self._other(asker).party
        return (f"From: <sip:{one.user}@{DOMAIN}>;tag={one.side}", f"To: <sip:{other.user}@{DOMAIN}>",
                f";tag={other.side}")

    def _send_request(self, script, method, cseq, words):
        who = script.party.side
        outside = not self._dialog and (method in (*BEGINS, "CANCEL") or (method == "ACK" and self._refused))
        branch = f"z9hG4bK-{self._key}-{who}-{cseq}"
        if method not in ("INVITE", "CANCEL") and not (method == "ACK" and self._refused):
            branch += f"-{method}"
        from_line, to_line, to_tag = self._parties(who)
        tagged = to_tag if not outside or method == "ACK" else ""
        lines = [f"{method} {self._other(who).party.uri if outside else '[next_url]'} SIP/2.0",
                 f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch};rport", "Max-Forwards: 70",
                 from_line, to_line + tagged, "Call-ID: [call_id]", f"CSeq: {cseq} {method}"]
        if not outside:
            lines.append("[routes]")
        lines.append(f"Contact: <sip:{script.party.user}@[local_ip]:[local_port];transport=[transport]>")
        self._send(script, lines, words, "" if method == "ACK" or "once" in words else " retrans=\"500\"")
        if "once" in words:
            script.add("<recv response=\"100\" optional=\"true\"/>")

    def _send_response(self, script, method, cseq, asker, status, words):
        from_line, to_line, to_tag = self._parties(asker)
        lines = [f"SIP/2.0 {status} {REASONS[status]}", f"[$via_{method}]", from_line, to_line + to_tag,
                 "Call-ID: [call_id]", f"CSeq: {cseq} {method}"]
        if status < 300:
            lines.append(f"Contact: <sip:{script.party.user}@[local_ip]:[local_port];transport=[transport]>")
        self._send(script, lines, words, " retrans=\"500\"" if method == "INVITE" and status >= 200 else "")

    def _send(self, script, lines, words, attributes):
        for word in words:
            lines += [line.format(invite=script.invite, user=script.party.user) for line in HEADERS.get(word, ())]
        kind, body = self._body(script, words)
        lines += [f"Content-Type: {kind}", "Content-Length: [len]"] if body else ["Content-Length: 0"]
        text = "\n".join(f"      {line}" for line in lines + ["", *body])
        script.add(f"<send{attributes}><![CDATA[\n{text}\n\n    ]]></send>")

    def _body(self, script, words):
        """The type of the body that the words ask for, and its lines."""
        for word in words:
            if word in FRAGMENTS:
                return "message/sipfrag;version=2.0", FRAGMENTS[word]
            if word.startswith("sdp"):
                return "application/sdp", self._sdp(script, word.partition(":")[2] or "sendrecv")
        return None, []

    def _sdp(self, script, key):
        address, step, kind, direction = SDP[key]
        who, first = script.party.side, script.party.media
        script.version += 1
        lines = ["v=0", f"o={script.party.user} 1 {script.version} IN IP4 [local_ip]", "s=-", f"c=IN IP4 {address}",
                 "t=0 0"]
        port = 0 if step is None else first + step
        if port:
            self._ports[who] = port
        self._kind = kind
        if kind == "image":
            return lines + [f"m=image {port} udptl t38", "a=T38FaxVersion:0", "a=T38FaxUdpEC:t38UDPRedundancy"]
        lines += [f"m=audio {port} RTP/AVP 8", "a=rtpmap:8 PCMA/8000", f"a={direction}"]
        if kind == "audio+video":
            lines += [f"m=video {first + VIDEO_STEP} RTP/AVP 31", "a=rtpmap:31 H261/90000"]
        return lines

    # --- receiving

    def _receive_request(self, script, method, words):
        actions = []
        if method != "ACK":
            script.variables.add(f"all_{method}")
            # All Vias and Record-Routes: what a response gives back. They stand before Max-Forwards.
            actions.append("<ereg regexp=\"SIP/2.0[[:space:]]+(.*[^[:space:]])[[:space:]]+Max-Forwards\" "
                           f"search_in=\"msg\" check_it=\"true\" assign_to=\"all_{method},via_{method}\"/>")
        first = method in BEGINS and not self._dialog and script.party.side == "B"
        self._receive(script, f"request=\"{method}\"" + (" rrs=\"true\"" if first else ""), method, words, actions)

    def _receive_response(self, script, method, status, words):
        if method == "INVITE":
            script.add("<recv response=\"100\" optional=\"true\"/>")
        learns = method in BEGINS and status < 300 and not self._dialog
        self._receive(script, f"response=\"{status}\"" + (" rrs=\"true\"" if learns else ""), str(status), words, [])

    def _receive(self, script, what, name, words, actions):
        if any(word.startswith("sdp") for word in words):
            script.variables |= {"any_address", "any_port"}
            actions += ["<ereg regexp=\"c=IN IP4 ([0-9.]+)\" search_in=\"msg\" check_it=\"true\" "
                        "assign_to=\"any_address,seen_address\"/>",
                        "<ereg regexp=\"m=[a-z]+ ([0-9]+)\" search_in=\"msg\" check_it=\"true\" "
                        "assign_to=\"any_port,seen_port\"/>"]
        if "sdp:video" in words:
            script.variables |= {"any_video", "seen_video"}
            actions.append("<ereg regexp=\"m=video ([0-9]+)\" search_in=\"msg\" check_it=\"true\" "
                           "assign_to=\"any_video,seen_video\"/>")
        for number, (message, text) in enumerate(self._ladder.must):
            if message == name:
                script.variables.add(f"must_{number}")
                actions.append(f"<ereg regexp=\"{re.escape(text)}\" search_in=\"msg\" check_it=\"true\" "
                               f"assign_to=\"must_{number}\"/>")
        inner = "<action>" + "".join(actions) + "</action>" if actions else ""
        script.add(f"<recv {what}>{inner}</recv>")
