// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What becomes of the streams of a session description: asks the host about the endpoints that it names, and
// has media opened or expected. What is written where is for alg/sip/sdp_rewrite. Invariant: the host is
// asked about an endpoint once, and nothing below kFirstMediaPort is opened.

#include <cstdint>
#include <optional>

#include "alg/sip/bounded_list.hpp"
#include "alg/sip/sdp.hpp"
#include "alg/sip/translator.hpp"

namespace pinhole::alg::sip {

/// What a description is for.
enum class SdpPurpose : std::uint8_t {
  session,      // it sets media up, as an offer or an answer
  trickle,      // a fragment of one: candidates for streams that are set up elsewhere (RFC 8840)
  information,  // it tells what an endpoint can do: addresses are hidden, and nothing is opened
};

/// Ports below this one are never opened for media (requirement AC-23).
inline constexpr std::uint16_t kFirstMediaPort = 1024;

/// What becomes of one media section.
enum class Fate : std::uint8_t {
  left,    // not ours, or not to be told: as it was
  hidden,  // ours, but rejected (port 0) or not to be opened: the address is replaced, the port stays
  mapped,  // both are replaced
};

struct Stream {
  Fate fate = Fate::left;
  bool moves_candidates = false;  // whether its candidates are translated
  bool has_rtcp = false;          // `rtcp_before` became `rtcp`
  std::uint8_t section = 0;       // index of its m= line
  nat::Protocol protocol = nat::Protocol::udp;
  std::uint16_t port_count = 1;             // how many ports the other side may be told of
  std::optional<nat::Ipv4Address> address;  // before, that the section's port belongs to
  nat::Endpoint rtp_before;
  nat::Endpoint rtcp_before;
  nat::Endpoint rtp;
  nat::Endpoint rtcp;
};

/// RTP and RTCP of one stream.
struct MediaEndpoints {
  nat::Endpoint rtp;
  nat::Endpoint rtcp;
};

class SdpStreams {
 public:
  SdpStreams(SdpPurpose purpose, const SessionDescription& description, Translator& translator) noexcept;

  /// Decides on all streams, in order, and asks for what they need.
  void resolve() noexcept;

  [[nodiscard]] const Stream& operator[](std::size_t index) const noexcept { return streams_[index]; }
  [[nodiscard]] std::uint32_t opened() const noexcept { return opened_; }
  [[nodiscard]] bool outbound() const noexcept { return outbound_; }

  [[nodiscard]] bool is_ours(nat::Ipv4Address address) noexcept;
  /// What stands for a media endpoint of ours: outbound through a mapping that lets nobody in, inbound as far
  /// as the policy says.
  /// \return none when nothing does: the port is not to be told, or not known
  [[nodiscard]] std::optional<nat::Endpoint> counterpart(nat::Protocol protocol,
                                                         nat::Endpoint endpoint) noexcept;
  /// The same of a candidate, or of an endpoint beside it. \param stream that it is for, or nullptr
  [[nodiscard]] std::optional<nat::Endpoint> candidate_after(const Candidate& candidate,
                                                             nat::Endpoint endpoint,
                                                             const Stream* stream) noexcept;
  /// What stands for an alternative to the default of a stream; outbound it is opened as that is. RTP and
  /// RTCP are one endpoint where the stream has no RTCP of its own.
  /// \param stream that it is for, or nullptr \return none when nothing does
  [[nodiscard]] std::optional<MediaEndpoints> alternative_after(const Alternative& alternative,
                                                                const Stream* stream) noexcept;
  /// What a candidate of the side that receives this description is called there.
  [[nodiscard]] std::optional<nat::Endpoint> remote_candidate_after(nat::Endpoint endpoint) noexcept;

  /// The address that stands for one of ours where no port goes with it: that of its media, else that of the
  /// signalling.
  [[nodiscard]] nat::Ipv4Address address_after(nat::Ipv4Address before) noexcept;
  [[nodiscard]] nat::Ipv4Address address_after(const Stream& stream) noexcept;
  /// Outbound: that of the signalling, whatever becomes of media.
  [[nodiscard]] nat::Ipv4Address hidden(nat::Ipv4Address before) noexcept;

 private:
  /// An endpoint that the host was asked about.
  struct Known {
    nat::Protocol protocol;
    nat::Endpoint before;
    std::optional<nat::Endpoint> after;
  };
  static constexpr std::size_t kMaxKnown = 64;
  // Pairs of ports in one m= line; a receiver gets as many layers as it is told of.
  static constexpr unsigned kMaxPairs = 4;

  void describe(const MediaSection& section, const Stream& stream) noexcept;
  void resolve_one(const MediaSection& section, Stream& stream) noexcept;
  void resolve_outbound(const MediaSection& section, Stream& stream) noexcept;
  void resolve_inbound(const MediaSection& section, Stream& stream) noexcept;
  void resolve_without_default(const MediaSection& section, Stream& stream) noexcept;
  void open(const MediaSection& section, Stream& stream) noexcept;
  void open_further_ports(const MediaSection& section, Stream& stream) noexcept;
  void open_learnt(const MediaSection& section, const Stream& stream) noexcept;
  void expect(const MediaSection& section, const Stream& stream) noexcept;
  void expect_candidates() noexcept;
  void expect_from(std::uint8_t section, const Alternative& alternative) noexcept;
  [[nodiscard]] MediaEndpoints endpoints_of(const Alternative& alternative,
                                            const MediaSection& section) const noexcept;
  [[nodiscard]] bool may_be_told(const Lookup& counterpart) const noexcept;
  void find_rtcp(const MediaSection& section, Stream& stream) noexcept;
  [[nodiscard]] const Connection& connection_of(const MediaSection& section) const noexcept {
    return section.has_connection ? section.connection : description_.connection;
  }
  /// Whether the default is no address, or an IPv6 one.
  [[nodiscard]] bool names_nothing(const MediaSection& section, const Stream& stream) const noexcept {
    return stream.address ? stream.address->is_unspecified() : connection_of(section).is_ip6;
  }

  Translator& translator_;
  const SessionDescription& description_;
  SdpPurpose purpose_;
  bool outbound_;
  bool restores_all_;  // inbound: media of other hosts, too
  std::uint32_t opened_ = 0;
  BoundedList<Stream, SessionDescription::kMaxMedia> streams_;
  BoundedList<Known, kMaxKnown> known_;
  std::optional<nat::Ipv4Address> asked_;  // the last address that is_ours() was asked about
  bool asked_is_ours_ = false;
};

/// The next port; the last one has none.
[[nodiscard]] constexpr nat::Endpoint next_port(nat::Endpoint endpoint) noexcept {
  if (endpoint.port.host() == 65535) return endpoint;
  return {endpoint.address, nat::Be16{static_cast<std::uint16_t>(endpoint.port.host() + 1)}};
}

}  // namespace pinhole::alg::sip
