// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The messages that sip_bench takes through the gateway. Each is a text with marks in it; the same text with
// the phone's own endpoints is what is sent, with their external ones what has to come out.

#include <string>
#include <string_view>

#include "nat/endpoint.hpp"

namespace pinhole::bench {

/// What stands at the marks of a message.
struct SipMarks {
  nat::Endpoint signalling;  // @SIP@, host:port
  nat::Endpoint media;       // @ADDRESS@ and @RTP@
  unsigned call = 0;         // @CALL@
};

struct SipMessage {
  const char* name;
  bool has_media;         // opens a stream for @RTP@
  std::string_view head;  // lines end with LF here, with CRLF on the way
  std::string_view body;
};

inline constexpr SipMessage kSipMessages[] = {
    {"INVITE with SDP", true, R"(INVITE sip:bob@example.com SIP/2.0
Via: SIP/2.0/UDP @SIP@;branch=z9hG4bK-524287-1---7f3a@CALL@;rport
Max-Forwards: 70
Contact: <sip:alice@@SIP@;transport=udp>
To: <sip:bob@example.com>
From: "Alice Liddell" <sip:alice@example.com>;tag=5a3c@CALL@
Call-ID: 81f2a9c04b1d4b6c9f@CALL@
CSeq: 1 INVITE
Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE
Content-Type: application/sdp
Supported: replaces, outbound, timer
User-Agent: Deskphone 5.6.25
Session-Expires: 1800
Allow-Events: presence, message-summary, talk, hold
)",
     R"(v=0
o=alice 13374 17890 IN IP4 @ADDRESS@
s=call
c=IN IP4 @ADDRESS@
t=0 0
m=audio @RTP@ RTP/AVP 9 8 0 18 101
a=rtpmap:9 G722/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:18 G729/8000
a=fmtp:18 annexb=no
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=sendrecv
)"},
    {"200 with SDP", true, R"(SIP/2.0 200 OK
Via: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKa7c6.8d1f@CALL@.0;rport=5060;received=198.51.100.7
Via: SIP/2.0/UDP 192.0.2.44:5062;branch=z9hG4bK-3341-1-5@CALL@
Record-Route: <sip:198.51.100.7;lr;ftag=77aa@CALL@;did=ab1.4471>
From: <sip:carol@example.com>;tag=77aa@CALL@
To: <sip:alice@example.com>;tag=0f0e@CALL@
Call-ID: in-1-3341@CALL@@192.0.2.44
CSeq: 1 INVITE
Contact: <sip:alice@@SIP@>
Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE
Supported: replaces, timer
Content-Type: application/sdp
)",
     R"(v=0
o=- 20250 20250 IN IP4 @ADDRESS@
s=-
c=IN IP4 @ADDRESS@
t=0 0
m=audio @RTP@ RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=sendrecv
)"},
    {"REGISTER", false, R"(REGISTER sip:example.com SIP/2.0
Via: SIP/2.0/UDP @SIP@;branch=z9hG4bK-524287-1---5bd1@CALL@;rport
Max-Forwards: 70
Contact: <sip:alice@@SIP@;rinstance=9f2c7a3e@CALL@>;+sip.instance="<urn:uuid:0c67446e-f1a1-11d9>";reg-id=1
To: "Alice Liddell" <sip:alice@example.com>
From: "Alice Liddell" <sip:alice@example.com>;tag=8e24@CALL@
Call-ID: 6b1c5f7d2e3a4b09@CALL@
CSeq: 2 REGISTER
Expires: 3600
Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE
Supported: path, outbound
User-Agent: Deskphone 5.6.25
Authorization: Digest username="alice",realm="example.com",nonce="5f2e8a7b9c",uri="sip:example.com",response="6629fae49393a05397450978507c4ef1",algorithm=MD5
)",
     ""},
    {"ACK", false, R"(ACK sip:bob@198.51.100.80:5070;transport=udp SIP/2.0
Via: SIP/2.0/UDP @SIP@;branch=z9hG4bK-524287-1---c1c1@CALL@;rport
Max-Forwards: 70
Route: <sip:198.51.100.7;lr;ftag=5a3c@CALL@>
Contact: <sip:alice@@SIP@;transport=udp>
To: <sip:bob@example.com>;tag=b0b5
From: "Alice Liddell" <sip:alice@example.com>;tag=5a3c@CALL@
Call-ID: 81f2a9c04b1d4b6c9f@CALL@
CSeq: 1 ACK
User-Agent: Deskphone 5.6.25
)",
     ""},
    {"IMS INVITE", true,
     R"(INVITE sip:+4930123456789@ims.mnc001.mcc262.3gppnetwork.org;user=phone SIP/2.0
Via: SIP/2.0/UDP @SIP@;branch=z9hG4bK.pcscf-7a31-@CALL@;rport
Via: SIP/2.0/UDP scscf01.ims.mnc001.mcc262.3gppnetwork.org:5060;branch=z9hG4bKd8f27a10c0ffee11@CALL@
Via: SIP/2.0/UDP icscf02.ims.mnc001.mcc262.3gppnetwork.org:4060;branch=z9hG4bKaf01bb27c4d4a2f9@CALL@
Via: SIP/2.0/UDP ue-23f8.access.mnc001.mcc262.3gppnetwork.org:6400;branch=z9hG4bK3dc1e7a9@CALL@
Route: <sip:mgcf01.ims.mnc001.mcc262.3gppnetwork.org:5060;lr;orig-dialog-id=O;cfg=7f3e9a>
Record-Route: <sip:mo@@SIP@;lr;Hpt=8e52_16;CxtId=4;TRC=ffffffff-ffffffff>
Record-Route: <sip:mo@scscf01.ims.mnc001.mcc262.3gppnetwork.org:5060;lr;ftag=4fa3d1c7;did=7b.b2f1;av=31>
Record-Route: <sip:term@icscf02.ims.mnc001.mcc262.3gppnetwork.org:4060;transport=udp;lr;ca=2f1c90>
Record-Route: <sip:ue-orig@pcscf07.ims.mnc001.mcc262.3gppnetwork.org:5066;lr;rm=1;dia=a14f3c>
From: <sip:+4917012345678@ims.mnc001.mcc262.3gppnetwork.org;user=phone>;tag=4fa3d1c7-@CALL@
To: <sip:+4930123456789@ims.mnc001.mcc262.3gppnetwork.org;user=phone>
Call-ID: 4fa3d1c7-5b0e-a1b2-c3d4e5f60718-@CALL@
CSeq: 101 INVITE
Contact: <sip:+4917012345678@@SIP@;ob>;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel";audio
Max-Forwards: 66
P-Asserted-Identity: <sip:+4917012345678@ims.mnc001.mcc262.3gppnetwork.org;user=phone>, <tel:+4917012345678>
P-Asserted-Service: urn:urn-7:3gpp-service.ims.icsi.mmtel
P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=26201a3f100c8d01;sbc-domain=sbc1.example.net
P-Visited-Network-ID: "ims.mnc001.mcc262.3gppnetwork.org"
P-Charging-Vector: icid-value=3f9a2c71d8e04b6c@CALL@;icid-generated-at=192.0.2.17;orig-ioi=ims.mnc001.mcc262.3gppnetwork.org
P-Charging-Function-Addresses: ccf="aaa://ccf1.ims.mnc001.mcc262.3gppnetwork.org:3868;transport=tcp"
P-Early-Media: supported
Accept-Contact: *;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"
Accept: application/sdp, application/3gpp-ims+xml
Allow: INVITE, ACK, OPTIONS, CANCEL, BYE, UPDATE, INFO, REFER, NOTIFY, MESSAGE, PRACK
Supported: 100rel, timer, precondition, replaces, histinfo, gruu
Session-Expires: 1800;refresher=uac
Min-SE: 90
User-Agent: Handset/14.2 IMS/6.0
Feature-Caps: *;+g.3gpp.srvcc;+g.3gpp.mid-call
Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000
Content-Type: application/sdp
Content-Disposition: session
)",
     R"(v=0
o=rue 3219 3219 IN IP4 @ADDRESS@
s=-
c=IN IP4 @ADDRESS@
b=AS:41
t=0 0
m=audio @RTP@ RTP/AVP 107 106 105 104 101 102
b=AS:41
b=RS:512
b=RR:1537
a=rtpmap:107 EVS/16000
a=fmtp:107 br=5.9-24.4;bw=nb-swb;max-red=220
a=rtpmap:106 AMR-WB/16000/1
a=fmtp:106 mode-change-capability=2;max-red=220
a=rtpmap:105 AMR-WB/16000/1
a=fmtp:105 octet-align=1;mode-change-capability=2;max-red=220
a=rtpmap:104 AMR/8000/1
a=fmtp:104 mode-change-capability=2;max-red=220
a=rtpmap:101 telephone-event/16000
a=fmtp:101 0-15
a=rtpmap:102 telephone-event/8000
a=fmtp:102 0-15
a=curr:qos local none
a=curr:qos remote none
a=des:qos mandatory local sendrecv
a=des:qos optional remote sendrecv
a=sendrecv
a=ptime:20
a=maxptime:240
)"},
};

namespace sip_messages_detail {

inline std::string filled(std::string_view text, const SipMarks& marks) {
  const std::string values[] = {
      std::string(nat::EndpointText(marks.signalling).view()),
      std::string(nat::EndpointText(marks.media.address).view()),
      std::to_string(marks.media.port.host()),
      std::to_string(100'000 + marks.call),
  };
  constexpr std::string_view kNames[] = {"@SIP@", "@ADDRESS@", "@RTP@", "@CALL@"};
  std::string result;
  result.reserve(text.size() + 512);
  for (std::size_t at = 0; at < text.size();) {
    std::size_t mark = 0;
    while (mark < std::size(kNames) && !text.substr(at).starts_with(kNames[mark])) ++mark;
    if (mark < std::size(kNames)) {
      result += values[mark];
      at += kNames[mark].size();
    } else {
      if (text[at] == '\n') result += '\r';
      result += text[at++];
    }
  }
  return result;
}

}  // namespace sip_messages_detail

inline std::string render(const SipMessage& message, const SipMarks& marks) {
  const auto body = sip_messages_detail::filled(message.body, marks);
  return sip_messages_detail::filled(message.head, marks) + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

}  // namespace pinhole::bench
