// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The data plane's workers in a test, whole: an Appliance built from a configuration, whose ports are rings
// (net_ring) instead of NICs. A test puts frames on the wire, lets the workers take turns until nothing
// moves, and compares the frames that came out. All workers run in the test's thread, one turn each in
// rotation, so that a test does the same each time. Memory comes without huge pages.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/appliance.hpp"
#include "dataplane/config/structs.hpp"
#include "tests/support/frame.hpp"

#include <rte_ring.h>

namespace pinhole::test {

/// A frame that a worker sent.
struct Sent {
  unsigned interface = 0;
  Frame frame;

  friend bool operator==(const Sent&, const Sent&) = default;
};

/// Two interfaces, "inside" 10.0.0.1/8 and "outside" 203.0.113.1/24 with the gateway 203.0.113.254, and small
/// tables. Devices are filled in by the lab.
[[nodiscard]] config::Config lab_config(unsigned workers = 1);

class PipelineLab {
 public:
  /// Interfaces by their number in lab_config().
  static constexpr unsigned kInside = 0;
  static constexpr unsigned kOutside = 1;

  /// Each interface becomes a port of rings with a queue for each worker.
  /// Errors: throws what is wrong with the configuration.
  /// \param gateways  besides SIP
  explicit PipelineLab(config::Config config = lab_config(),
                       std::span<const dataplane::GatewaySpec> gateways = {});
  ~PipelineLab();
  PipelineLab(const PipelineLab&) = delete;
  PipelineLab& operator=(const PipelineLab&) = delete;

  /// The MAC address that answers for an address of a link; every address that frames are expected to leave
  /// for has to be made known by add_neighbor().
  [[nodiscard]] static nat::MacAddress mac_of(nat::Ipv4Address address);
  [[nodiscard]] nat::MacAddress own_mac(unsigned interface) const;
  void add_neighbor(unsigned interface, nat::Ipv4Address address);

  /// The n-th host of 10.0.0.0/8 that a worker owns, made known as a neighbour.
  nat::Ipv4Address host_of(unsigned worker, unsigned n = 0);

  /// Puts a frame on the wire, its Ethernet addresses set: it is received by `worker`.
  void receive(unsigned interface, const FrameSpec& spec, unsigned worker = 0);
  void receive_frame(unsigned interface, const Frame& frame, unsigned worker = 0);
  /// Turns of all workers until nothing moves.
  /// \return what they sent, by interface, queue and then time; requests by ARP are left out
  std::vector<Sent> run();
  /// One turn of one worker; what it sends stays on the wire for run().
  void turn(unsigned worker) { appliance_->workers()[worker]->turn(); }
  /// receive() and run().
  std::vector<Sent> send(unsigned interface, const FrameSpec& spec, unsigned worker = 0);
  /// The frame as it must leave: Ethernet addresses from our interface to the neighbour, all else as
  /// specified.
  [[nodiscard]] Sent leaves(unsigned interface, const FrameSpec& spec, nat::Ipv4Address neighbor) const;

  /// A worker that stands takes no turns: it answers nobody, and time does nothing for it.
  void stand(unsigned worker, bool stands) { standing_[worker] = stands; }

  /// What the main thread does now and then.
  void beat() { appliance_->beat(); }

  /// Lets time pass for the workers, and what is overdue then happen. Neighbours stay known.
  void pass_s(unsigned seconds);

  /// Sums over workers.
  [[nodiscard]] std::uint64_t dropped(nat::DropReason reason) const;
  [[nodiscard]] std::uint64_t count(dataplane::WorkerCounter counter) const;
  [[nodiscard]] std::uint64_t count(nat::Counter counter) const;
  [[nodiscard]] std::uint64_t count(ipc::GatewayNumber gateway, ipc::GatewayCounter counter) const;
  /// Every drop reason that is not zero, by name: what a failed test wants to print.
  [[nodiscard]] std::map<std::string, std::uint64_t> drops() const;
  /// Packet buffers that are neither free nor on the wire: 0 when the workers keep nothing.
  [[nodiscard]] unsigned buffers_in_use() const;

  [[nodiscard]] unsigned workers() const noexcept { return workers_; }
  [[nodiscard]] dataplane::WorkerContext& context(unsigned worker) { return appliance_->context(worker); }
  [[nodiscard]] const dataplane::Worker& worker(unsigned index) { return *appliance_->workers()[index]; }
  [[nodiscard]] const dataplane::Network& network() const { return appliance_->network(); }
  [[nodiscard]] const dataplane::Steering& steering() const { return appliance_->network().steering; }
  /// The mapping of an inside endpoint with its owner; fails the test when there is none.
  [[nodiscard]] const nat::Mapping& mapping(nat::Protocol protocol, nat::Endpoint inside);

 private:
  struct Wire {
    std::vector<rte_ring*> rx;  // by queue
    std::vector<rte_ring*> tx;
  };
  void make_wire(config::Interface& interface, unsigned number);
  /// A turn of each worker. \return what they did
  unsigned take_turn();
  void take_turns();

  unsigned workers_;
  std::vector<bool> standing_;
  std::uint64_t start_tsc_;
  std::vector<Wire> wires_;  // by interface
  std::vector<std::pair<unsigned, nat::Ipv4Address>> neighbors_;
  std::unique_ptr<dataplane::Appliance> appliance_;
};

}  // namespace pinhole::test
