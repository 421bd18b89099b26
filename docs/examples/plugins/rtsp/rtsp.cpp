// SPDX-License-Identifier: BSD-3-Clause
// A plug-in for RTSP (RFC 2326, RFC 7826): control over a connection, media over UDP beside it.
//
//     SETUP     "send to my ports 5000-5001"        ──▶   ports of the inside host become external ones
//     200 OK    "client 5000-5001, server 6000-6001" ◀──   and back; what comes from 6000-6001 is let in
//     TEARDOWN                                       ──▶   what has not begun by now is shut
//
// One side of each transport is inside Pinhole, the client's or the server's: its ports and addresses are
// replaced. Media over the connection itself passes.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>

#include <pinhole/plugin.h>

#include "framer.hpp"
#include "message.hpp"
#include "setups.hpp"
#include "text.hpp"

namespace {

using namespace rtsp;

enum Counter : std::uint32_t {
  count_setup,
  count_flow,
  count_interleaved,
  count_refused,
  count_no_room,
  counters
};
constexpr const char* kCounterNames[counters] = {"setup", "flow", "interleaved", "refused", "no_room"};

constexpr pinhole_claim kClaims[] = {{PINHOLE_TCP, 0, 554}, {PINHOLE_TCP, 0, 8554}};

/// How long media may wait behind SETUP or PLAY, in seconds.
constexpr std::uint32_t kPatience = 60;

/// What a worker has.
struct Worker {
  const pinhole_host& host;
  std::uint32_t patience = kPatience;
};

/// One message on its way, and what it does to the setups of its connection.
class Inspection {
 public:
  Inspection(const Worker& worker, pinhole_context* context, const pinhole_message& message) noexcept
      : worker_(worker),
        host_(worker.host),
        context_(context),
        message_(message),
        text_(message.bytes, message.length),
        outside_(message.external.address),
        setups_(*static_cast<Setups*>(message.flow)) {}

  void run() noexcept {
    const auto start = start_line(text_);
    if (!start.method.empty() && !is_allowed(start)) return;
    if (equals(start.method, "play")) announce_all(worker_.patience);
    if (equals(start.method, "teardown")) {
      announce_all(1);
      setups_ = {};
    }
    const bool succeeds = start.status >= 200 && start.status < 300;
    if (!equals(start.method, "setup") && !succeeds) return;
    read_sequence();
    Headers headers(text_);
    for (Header header; headers.next(header);) {
      if (!equals(header.name, "transport")) continue;
      for (auto rest = header.value; !rest.empty();) translate(read_transport(cut(rest, ',')), succeeds);
    }
  }

 private:
  [[nodiscard]] bool goes_out() const noexcept { return message_.from == PINHOLE_INSIDE; }
  [[nodiscard]] bool client_is_inside() const noexcept { return message_.server == PINHOLE_OUTSIDE; }

  /// A request that a rule forbids goes on under a name that no server knows, so that its client is answered.
  [[nodiscard]] bool is_allowed(const StartLine& start) noexcept {
    if (host_.allows(context_, start.method.data(), start.method.size(), start.uri.data(), start.uri.size()))
      return true;
    host_.count(context_, count_refused, 1);
    replace(start.method, "REFUSED");
    return false;
  }

  void read_sequence() noexcept {
    Headers headers(text_);
    for (Header header; headers.next(header);) {
      // What is kept is enough to tell the few that are under way apart.
      if (equals(header.name, "cseq"))
        sequence_ = static_cast<std::uint16_t>(number_of<std::uint32_t>(header.value).value_or(0));
    }
  }

  void translate(const Transport& transport, bool is_answer) noexcept {
    if (transport.is_interleaved) host_.count(context_, count_interleaved, 1);
    if (!transport.is_datagrams) return;
    const auto& own = client_is_inside() ? transport.client : transport.server;
    const auto& peer = client_is_inside() ? transport.server : transport.client;
    if (goes_out() && own.says_ports()) host_.count(context_, count_setup, 1);
    for (std::size_t which = 0; which < 2; ++which) own_ports_[which] = {};
    if (own.says_ports()) {
      goes_out() ? reserve(own) : recall(own);
    } else if (is_answer && client_is_inside()) {
      recall_by_sequence();  // the server does not repeat the client's ports
    }
    write_side(own);
    if (is_answer) announce(peer);
  }

  /// Finds external ports for those of the inside host. A pair stays one: RTP even, RTCP the next.
  void reserve(const Side& own) noexcept {
    const auto first = own.port(0);
    const auto second = own.port(1);
    pinhole_endpoint external{};
    if (second == first + 1 && first % 2 == 0) {
      if (!answered(host_.reserve(context_, PINHOLE_UDP, first, 2, &external))) return;
      outside_ = external.address;
      own_ports_[0] = setups_.keep({sequence_, first, external.port, 0}, true);
      own_ports_[1] = {own_ports_[0].slot, second, static_cast<std::uint16_t>(external.port + 1)};
      return;
    }
    for (std::size_t which = 0; which < 2; ++which) {
      const auto port = own.port(which);
      if (port == 0 || !answered(host_.reserve(context_, PINHOLE_UDP, port, 1, &external))) return;
      outside_ = external.address;
      own_ports_[which] = setups_.keep({sequence_, port, external.port, 0}, false);
    }
  }
  [[nodiscard]] bool answered(int result) noexcept {
    if (result != PINHOLE_OK) host_.count(context_, count_no_room, 1);
    return result == PINHOLE_OK;
  }
  void recall(const Side& own) noexcept {
    for (std::size_t which = 0; which < 2; ++which) {
      if (own.port(which) != 0) own_ports_[which] = setups_.by_external(own.port(which));
    }
  }
  void recall_by_sequence() noexcept {
    for (std::size_t which = 0; which < 2; ++which) own_ports_[which] = setups_.by_sequence(sequence_, which);
  }

  /// Says on the other side of Pinhole what is true there.
  void write_side(const Side& own) noexcept {
    if (message_.unchanged != 0) return;  // as it stands it is true there
    const auto to = [&](const OwnPort& port) { return goes_out() ? port.external : port.inside; };
    if (own.ports.present() && own_ports_[0].known()) {
      Writer writer;
      writer.number(to(own_ports_[0]));
      if (own_ports_[1].known()) writer.character('-').number(to(own_ports_[1]));
      // A forward may have another external address than what its inside host begins.
      const bool is_elsewhere = goes_out() && !client_is_inside() && outside_ != message_.external.address;
      if (is_elsewhere && own.address.empty()) writer.text(";source=").address(outside_);
      replace(own.ports.text, writer.view());
    }
    const auto here = goes_out() ? message_.inside.address : outside_;
    const auto there = goes_out() ? outside_ : message_.inside.address;
    if (address_of(own.address) == here) replace(own.address, Writer().address(there).view());
    for (std::size_t i = 0; i < own.place_count; ++i) {
      const auto& place = own.places[i];
      if (!own_ports_[i].known() || (place.address != 0 && place.address != here)) continue;
      Writer writer;
      if (place.address != 0) writer.address(there);
      replace(place.text, writer.character(':').number(to(own_ports_[i])).view());
    }
  }

  /// Lets in what the peer sends to the ports of a transport that both have agreed on.
  void announce(const Side& peer) noexcept {
    const auto said = peer.said_address();
    // Where a client outside wants media sent is its server's to decide; nothing is opened for it.
    if (!client_is_inside() && said != 0 && said != message_.remote.address) return;
    const auto address = said != 0 ? said : message_.remote.address;
    for (std::size_t which = 0; which < 2; ++which) {
      if (!own_ports_[which].known()) continue;
      setups_.agree(own_ports_[which], peer.port(which));
      expect(own_ports_[which].inside, {address, peer.port(which), 0}, worker_.patience);
    }
  }

  /// The same for all that was agreed on, with as long to wait.
  void announce_all(std::uint32_t seconds) noexcept {
    setups_.for_each_agreed([&](std::uint16_t inside, std::uint16_t remote) {
      expect(inside, {message_.remote.address, remote, 0}, seconds);
    });
  }

  void expect(std::uint16_t inside, pinhole_endpoint remote, std::uint32_t seconds) noexcept {
    const pinhole_expectation flow{.size = sizeof flow,
                                   .protocol = PINHOLE_UDP,
                                   .from = PINHOLE_OUTSIDE,
                                   .flags = PINHOLE_CHILD,
                                   .inside = {message_.inside.address, inside, 0},
                                   .remote = remote,
                                   .seconds = seconds,
                                   .unused = 0};
    if (answered(host_.expect(context_, &flow))) host_.count(context_, count_flow, 1);
  }

  void replace(std::string_view place, std::string_view by) noexcept {
    if (place == by) return;
    const auto offset = static_cast<std::size_t>(place.data() - text_.data());
    if (host_.replace(context_, offset, place.size(), by.data(), by.size()) != PINHOLE_OK)
      host_.count(context_, count_no_room, 1);
  }

  const Worker& worker_;
  const pinhole_host& host_;
  pinhole_context* context_;
  const pinhole_message& message_;
  std::string_view text_;
  std::uint32_t outside_;  // the address that media of the inside host has outside
  Setups& setups_;
  std::uint16_t sequence_ = 0;
  OwnPort own_ports_[2];
};

/// \param options  "", or "patience_s=N" with 1 to 3600
bool read_options(std::string_view options, Worker& worker) noexcept {
  if (options.empty()) return true;
  if (cut(options, '=') != "patience_s") return false;
  worker.patience = number_of<std::uint32_t>(options).value_or(0);
  return worker.patience >= 1 && worker.patience <= 3600;
}

int start_worker(const pinhole_host* host, std::uint32_t, const char* options, void** state) {
  auto* const worker = new (std::nothrow) Worker{*host};
  if (worker == nullptr) return 1;
  if (!read_options(options, *worker)) {
    delete worker;
    return 2;
  }
  *state = worker;
  return 0;
}

void end_worker(void* state) {
  delete static_cast<Worker*>(state);
}

pinhole_frame frame(void*, pinhole_framing* framing, const char* fresh, std::size_t length) {
  return feed(*framing, {fresh, length});
}

int inspect(void* state, pinhole_context* context, const pinhole_message* message) {
  Inspection(*static_cast<const Worker*>(state), context, *message).run();
  return PINHOLE_FORWARD;
}

constexpr pinhole_plugin kPlugin = {
    .size = sizeof(pinhole_plugin),
    .major = PINHOLE_PLUGIN_MAJOR,
    .minor = PINHOLE_PLUGIN_MINOR,
    .name = "rtsp",
    .version = "1.0",
    .claims = kClaims,
    .claim_count = sizeof kClaims / sizeof kClaims[0],
    .counter_count = counters,
    .counters = kCounterNames,
    .flow_bytes = sizeof(Setups),
    .unused = 0,
    .worker_init = start_worker,
    .worker_fini = end_worker,
    .frame = frame,
    .inspect = inspect,
};

}  // namespace

extern "C" const pinhole_plugin* pinhole_plugin_query(std::uint16_t host_major, std::uint16_t) {
  return host_major == PINHOLE_PLUGIN_MAJOR ? &kPlugin : nullptr;
}
