# SPDX-License-Identifier: BSD-3-Clause
"""The switch of the SIP gateway: turned while calls live, by interface and by host, across restarts of control."""

import unittest

from support.lab import INSIDE, OUTSIDE, Lab

PHONES = (INSIDE, "10.77.0.11")


def invite(start, address, call_id, cseq=1, to_tag=""):
    host = address.split(":")[0]
    body = f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
    return "\r\n".join((start, f"Via: SIP/2.0/UDP {address};branch=z9hG4bK{cseq}", "Max-Forwards: 70",
                        "From: <sip:alice@example.com>;tag=1", f"To: <sip:bob@example.com>{to_tag}",
                        f"Call-ID: {call_id}", f"CSeq: {cseq} INVITE", f"Contact: <sip:alice@{address}>",
                        "Content-Type: application/sdp", f"Content-Length: {len(body)}", "", body)).encode()


class Switch(unittest.TestCase):

    def passes(self, phone, proxy, address, call_id, **more):
        """Sends an INVITE out. Returns whether it arrived translated, and from where; else it arrived as it was."""
        sent = invite("INVITE sip:bob@example.com SIP/2.0", f"{address}:5060", call_id, **more)
        phone.sendto(sent, (OUTSIDE, 5060))
        got, external = proxy.recvfrom(4000)
        if got != sent:
            self.assertNotIn(address.encode(), got)
        return got != sent, external

    # [AC-24][rfc4787-req10]
    def test_run_time(self):
        """switch: off and on at run time, for all, an interface or a host; a call that lives is seen through"""
        with Lab(workers=2) as lab:
            lab.start()
            with lab.inside.socket(address=PHONES[0], port=5060) as phone, \
                    lab.inside.socket(address=PHONES[1], port=5060) as other, \
                    lab.outside.socket(address=OUTSIDE, port=5060) as proxy:
                translated, external = self.passes(phone, proxy, PHONES[0], "living")
                self.assertTrue(translated)
                self.assertEqual(lab.ctl("sip", "show")["generation"], 0)
                names = [row["name"] for row in lab.ctl("status")["interfaces"]]
                for number, options in enumerate(([], ["--interface", names[1]], ["--prefix", f"{PHONES[0]}/32"])):
                    shown = lab.ctl("sip", "off", *options)
                    self.assertTrue(shown["settled"])
                    self.assertEqual(lab.ctl("status")["sip"], shown)
                    self.assertFalse(self.passes(phone, proxy, PHONES[0], f"new-{number}")[0])
                    self.assertEqual(self.passes(other, proxy, PHONES[1], f"other-{number}")[0],
                                     options[:1] == ["--prefix"])

                    # The answer to the living call, and its next offer.
                    proxy.sendto(invite("SIP/2.0 200 OK", f"{external[0]}:{external[1]}", "living", to_tag=";tag=2"),
                                 external)
                    self.assertIn(PHONES[0].encode(), phone.recv(4000))
                    self.assertTrue(self.passes(phone, proxy, PHONES[0], "living", cseq=number + 2, to_tag=";tag=2")[0])

                    shown = lab.ctl("sip", "on", *options)
                    self.assertEqual((shown["on"], shown["interfaces_off"], shown["hosts"]), (True, [], []))
                    self.assertTrue(self.passes(phone, proxy, PHONES[0], f"again-{number}")[0])
                self.assertEqual(lab.ctl("sip", "show")["generation"], 6)

    # [AC-24]
    def test_restart(self):
        """switch: what was turned off stays off when control is killed and started again"""
        with Lab(workers=2) as lab:
            lab.start()
            lab.ctl("sip", "off", "--prefix", f"{PHONES[0]}/32")
            lab.control.kill()
            lab.start_control()
            lab.wait_up()
            self.assertEqual(lab.ctl("sip", "show")["hosts"], [{"prefix": f"{PHONES[0]}/32", "on": False}])
            with lab.inside.socket(address=PHONES[0], port=5060) as phone, \
                    lab.outside.socket(address=OUTSIDE, port=5060) as proxy:
                self.assertFalse(self.passes(phone, proxy, PHONES[0], "off")[0])
                lab.ctl("sip", "on", "--prefix", f"{PHONES[0]}/32")
                self.assertTrue(self.passes(phone, proxy, PHONES[0], "on")[0])


if __name__ == "__main__":
    unittest.main()
