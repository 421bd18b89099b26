// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What an ALG may ask of the place it runs in: the endpoints that stand for one another, pinholes for media,
// and to make a call or a registration known. The worker implements it; tests implement it over a few
// std::maps.

#include <cstdint>

#include "alg/alg.hpp"
#include "alg/rtp_clocks.hpp"
#include "alg/sip/summary.hpp"
#include "nat/endpoint.hpp"

namespace pinhole::alg {

enum class LookupState : std::uint8_t {
  found,
  none,       // stands for nothing: leave the token alone
  wait,       // another worker was asked: answer Verdict::wait
  exhausted,  // no port or mapping could be had: answer Verdict::drop
};

struct Lookup {
  LookupState state = LookupState::none;
  nat::Endpoint endpoint;
  Portless portless = {};   // of inside_of(): how the host writes it
  bool is_pinhole = false;  // of inside_of(): opened for the media of a call, or forwarded for anyone
};

/// How an inside host wrote a signalling endpoint of its own with the default port: what was written without
/// a port has to come back without one (requirement AC-10).
enum class Written : std::uint8_t { anyhow, in_uri, in_uri_without_port, in_via, in_via_without_port };

/// Whose word it is that an inside host listens at a signalling endpoint.
enum class Claim : std::uint8_t {
  own,     // the sender's
  echoed,  // somebody else's, which the sender repeats: it must not open anything (requirement AC-23)
};

/// What a session description says of one of its streams.
struct MediaStream {
  std::uint8_t section = 0;  // index of its m= line
  bool rejected = false;     // port 0, and not because another stream carries it
  bool held = false;         // media is not to go both ways, or not through here: silence says nothing
  bool nowhere = false;      // held by naming no endpoint: what it had is kept for it
  RtpClocks clocks = {};     // that it names
};

/// A media stream that SDP announced, as the inside sees it: RTP with its RTCP (the next port unless a=rtcp
/// says otherwise). For media that has no RTCP (m=image, rtcp-mux agreed) `rtcp` equals `rtp`.
struct MediaRequest {
  nat::Endpoint rtp;
  nat::Endpoint rtcp;
  std::uint8_t section = 0;  // index of the m= line that announced it
  nat::Protocol protocol = nat::Protocol::udp;
  bool follows = false;  // fresh ports are to be those right after the ones of the inside ports before these
};

struct MediaLookup {
  LookupState state = LookupState::none;
  nat::Endpoint rtp;   // external; even when a fresh pair could be had
  nat::Endpoint rtcp;  // external; the next port when a fresh pair could be had
};

/// What the host makes of a message that was announced.
enum class Welcome : std::uint8_t {
  taken,     // it is the gateway's
  none,      // it is none of the gateway's: it is to pass as it came
  too_many,  // it would begin a call over a limit: answer Verdict::refuse
};

class Host {
 public:
  /// True for an address that lies on the inside (routed to an inside interface).
  [[nodiscard]] virtual bool is_inside(nat::Ipv4Address address) const noexcept = 0;
  /// True for an address of the external pool.
  [[nodiscard]] virtual bool is_external(nat::Ipv4Address address) const noexcept = 0;

  /// The external endpoint of a signalling endpoint inside. By the sender's own claim the mapping is made
  /// when there is none; by an echoed one it is only looked up.
  /// \param written to be remembered for as long as the mapping lives, if it is the sender's word; `anyhow`:
  /// nothing is
  [[nodiscard]] virtual Lookup external_of(nat::Protocol protocol, nat::Endpoint inside,
                                           Written written = Written::anyhow,
                                           Claim claim = Claim::own) noexcept = 0;
  /// The external endpoint of a media endpoint inside that is named, but not opened (an ICE candidate that is
  /// no default); makes the mapping when there is none. What it sends itself lets others in.
  [[nodiscard]] virtual Lookup candidate_of(nat::Protocol protocol, nat::Endpoint inside) noexcept = 0;
  /// The inside endpoint that an external endpoint of ours stands for; never makes a mapping.
  [[nodiscard]] virtual Lookup inside_of(nat::Protocol protocol, nat::Endpoint external) noexcept = 0;
  /// The same of a signalling endpoint of the message's own host alone, for which nobody is asked. Where
  /// nothing stands for it by that protocol, by UDP or TCP, the other one is meant.
  [[nodiscard]] virtual Lookup own_inside_of(nat::Protocol protocol, nat::Endpoint external) noexcept = 0;

  /// Says what the message is. Called once an inspection, before anything is asked that may open something,
  /// so that media belongs to its call.
  [[nodiscard]] virtual Welcome announce(const sip::Summary& summary) noexcept = 0;
  /// Says what an offer or answer wants of one of its streams; called for each, in order, before its media is
  /// expected. Descriptions that set nothing up are not told of.
  virtual void describe(const MediaStream& stream) noexcept = 0;
  /// Mappings for a stream announced from inside, owned by the announced call, open when this returns.
  /// The same inside endpoints get the same external ones for as long as they are open.
  [[nodiscard]] virtual MediaLookup open_media(const MediaRequest& request) noexcept = 0;
  /// An offer or answer from outside says where the remote end of a stream wants its media, and so where its
  /// own will come from. Called for the default first, then for each further endpoint of the stream (ICE
  /// candidates). \param rtcp equals `rtp` when there is no RTCP or it shares the port
  virtual void expect_media_from(std::uint8_t section, nat::Endpoint rtp, nat::Endpoint rtcp) noexcept = 0;
  /// An INVITE from outside says where the requests of its dialog will come from. To be let in to the
  /// signalling of the host that it is for once that host has accepted it, or asked for an answer to a
  /// provisional response, and while the call lives. Or a 2xx to SUBSCRIBE or REFER says so: to be let in for
  /// as long as was granted, if it answers what the host has sent there.
  virtual void expect_signalling_from(nat::Endpoint remote) noexcept = 0;
  /// Requests come to this inside endpoint: its sender says so of itself or of a proxy, or a registrar of a
  /// Path. To be kept for as long as the call, subscription or binding lives that the message is of.
  virtual void expect_requests_at(nat::Protocol protocol, nat::Endpoint inside) noexcept = 0;
  /// An INVITE or UPDATE, or a 2xx to one, says how requests get to who sends it.
  virtual void tell_dialog(const sip::DialogFacts& facts) noexcept = 0;
  /// A registrar granted (expires_s > 0) or ended (0) a binding of an inside contact.
  virtual void grant(const sip::Binding& binding) noexcept = 0;

 protected:
  ~Host() = default;
};

}  // namespace pinhole::alg
