// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The express path: plain UDP packets of established flows, which are nearly all that a worker ever sees. It
// comes before the stages of dataplane/pipeline.hpp, takes what it can be sure of, and leaves the rest.
//
// What is plain is said in dataplane/plain_frame.hpp. A flow is established when the regular path has taken a
// packet of the very same remote endpoint through, in the same direction, and found nothing that stands
// against it: then the mapping holds the number of a next hop, and routes, filters, zones and gateways need
// not be asked again, because they would say the same.
//
// The first packet of a flow is taken, too, where no more than a route has to be asked: its mapping is made
// (dataplane/express.cpp, open()), and then it is a packet of an established flow.
//
// A plain packet whose flow belongs to another worker is handed over at once.
//
// What it takes overtakes what is left, of the same flow, too: a plain packet leaves before a fragment that
// came in ahead of it in the same burst. Plain packets of a flow stay in order.
//
// Invariant: for a packet that it takes, the express path does what the regular path would do, byte for byte
// and count for count; a packet that it does not take is untouched. It may always be left out.

#include <array>
#include <cstdint>

#include "dataplane/burst.hpp"
#include "dataplane/hop_table.hpp"
#include "dataplane/network.hpp"
#include "dataplane/plain_frame.hpp"
#include "nat/translator.hpp"

#include <rte_build_config.h>

namespace pinhole::dataplane {

struct WorkerContext;

class Express {
 public:
  /// Which way a packet is taken to go; regular: each says by where it came from.
  enum class Way : std::uint8_t { regular, outbound, inbound };

  /// \param measures  what goes through pinholes is measured (dataplane/media_meters.hpp)
  Express(const Network& network, bool measures);

  // Both forward the packets of established flows; what is left is moved to the front of the burst, in order.

  /// What one port received: also counts its bytes, and notes the port on what is left.
  void forward_received(Burst& burst, std::uint16_t port, WorkerContext& worker) noexcept;
  /// What other workers handed over.
  void forward_handed_over(Burst& burst, WorkerContext& worker) noexcept;

  // After the regular path has translated a packet of kind flow: lets those that follow it take the express
  // path if they may.

  void admit_outbound(nat::Mapping& mapping, const nat::Endpoint& remote, Hop hop,
                      const WorkerContext& worker) noexcept {
    if (mapping.hop_out == nat::kNoHop && !by_arrival_)
      try_to_admit(mapping.hop_out, mapping, remote, hop, worker);
  }
  void admit_inbound(nat::Mapping& mapping, const nat::Endpoint& remote, Hop hop,
                     const WorkerContext& worker) noexcept {
    if (mapping.hop_in == nat::kNoHop) try_to_admit(mapping.hop_in, mapping, remote, hop, worker);
  }

  /// Once a tick.
  void refresh(nat::Translator& translator) noexcept { hops_.refresh(translator); }
  [[nodiscard]] const HopTable& hops() const noexcept { return hops_; }

 private:
  /// What is done with the frames of a port.
  enum class Use : std::uint8_t {
    none,      // it has several interfaces, or one whose frames are tagged
    forward,   // the plain ones are forwarded
    measured,  // and measured
  };
  /// What is known of a port before a frame is read.
  struct Arrival {
    plain::Head head;  // of plain frames
    std::uint16_t port = 0;
    Use use = Use::none;
    bool inside = false;
  };
  enum class Found : std::uint8_t { nothing, flow, elsewhere };
  /// What became of the first packet of a flow.
  enum class First : std::uint8_t { sent, left, refused };
  struct Flow;
  struct Sent;
  struct Finder;
  struct Sender;
  template <Way kWay, bool kMeasured>
  class Pass;

  void try_to_admit(nat::HopNumber& number, const nat::Mapping& mapping, const nat::Endpoint& remote, Hop hop,
                    const WorkerContext& worker) noexcept;
  template <bool kOutbound>
  [[nodiscard]] static Found recognise(Flow& flow, std::size_t size, const plain::Head& head,
                                       const Finder& finder) noexcept;
  template <bool kOutbound, bool kMeasured>
  [[nodiscard]] static bool finish(const Flow& flow, const Sender& sender, Sent& sent) noexcept;
  template <bool kOutbound, bool kMeasured>
  [[nodiscard]] static bool send(const Flow& flow, const Sender& sender, Sent& sent) noexcept;
  template <bool kMeasured>
  void forward(Burst& burst, const Arrival& arrival, WorkerContext& worker) noexcept;
  [[nodiscard]] static bool is_ordinary(const nat::Endpoint& source, const nat::Endpoint& destination,
                                        const Network& network, Hop& hop) noexcept;
  template <bool kMeasured>
  [[nodiscard]] First open(Flow& flow, bool certain, const nat::Foreseen& foreseen, WorkerContext& worker,
                           const Sender& sender, Sent& sent) noexcept;

  bool alone_;       // the only worker owns everything
  bool by_arrival_;  // what comes by one inside interface is not treated like what comes by another
  bool measures_;
  std::array<Arrival, RTE_MAX_ETHPORTS> arrivals_{};
  HopTable hops_;
};

}  // namespace pinhole::dataplane
