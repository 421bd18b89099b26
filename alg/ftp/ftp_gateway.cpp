// SPDX-License-Identifier: BSD-3-Clause
#include "alg/ftp/ftp_gateway.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "alg/ftp/data_endpoint.hpp"
#include "alg/ftp/line.hpp"
#include "alg/ftp/session.hpp"
#include "alg/http.hpp"
#include "alg/sip/chars.hpp"
#include "nat/endpoint.hpp"
#include "nat/ownership.hpp"

namespace pinhole::alg::ftp {

namespace {

constexpr std::uint16_t kFirstDataPort = 1024;
constexpr std::uint32_t kDataTimeout = 30;  // seconds
constexpr std::uint32_t kMaxDataTimeout = 3600;

// RFC 959 section 4.2 and RFC 2428 section 3, RFC 4217 section 4, RFC 2228 section 3.
constexpr std::uint16_t kPassive = 227;
constexpr std::uint16_t kExtendedPassive = 229;
constexpr std::uint16_t kSecured = 234;
constexpr std::uint16_t kSecurityData = 334;
constexpr std::uint16_t kFirstFinal = 200;  // what is below only says that there is more to come

constexpr std::string_view kNoCommand = "XXXX";
constexpr std::string_view kNoPassive = "500 Passive mode refused.";
constexpr std::string_view kNoEndpoint = "Refused.";

/// Of a worker, written once before its first packet.
struct Settings {
  const pinhole_host* host = nullptr;
  std::uint32_t data_timeout_s = kDataTimeout;
};

/// What becomes of an endpoint that was written.
enum class Outcome : std::uint8_t { announced, refused, exhausted };

/// One inspection.
class Inspection {
 public:
  Inspection(const Settings& settings, pinhole_context* context, const pinhole_message& message) noexcept
      : settings_(settings),
        host_(*settings.host),
        context_(context),
        message_(message),
        line_(message.bytes, message.length),
        session_(*static_cast<Session*>(message.flow)) {}

  int inspect() noexcept {
    auto& in_line = session_.in_line[is_from_inside() ? 0 : 1];
    const bool goes_on = in_line;
    in_line = !is_ended(line_);
    if (goes_on) return PINHOLE_FORWARD;
    const bool is_reply = message_.from == message_.server;
    if (!is_reply && (in_line || is_foreign())) session_.foreign = true;
    // What a rule would have to know stands behind what can be read; the rest sticks to what nobody knows.
    if (in_line && !is_reply && session_.greeted) return refuse_command(Counter::unreadable);
    if (in_line) count(Counter::unreadable);
    return is_reply ? inspect_reply() : inspect_command();
  }

 private:
  // What clients say.
  /// Whether a line is no client's of FTP: a page can have its browser send others, and commands behind them.
  [[nodiscard]] bool is_foreign() const noexcept;
  int inspect_command() noexcept;
  [[nodiscard]] bool is_allowed(const Command& command) noexcept;
  int open_active(Verb verb, std::string_view argument) noexcept;
  /// Has the server answer that there is no such command.
  int refuse_command(Counter why) noexcept;

  // What servers say.
  int inspect_reply() noexcept;
  int end_reply(std::uint16_t code) noexcept;
  int open_passive(Asked asked, const Reply& reply, bool is_whole) noexcept;

  [[nodiscard]] bool is_from_inside() const noexcept { return message_.from == PINHOLE_INSIDE; }
  [[nodiscard]] std::uint32_t senders_address() const noexcept {
    return is_from_inside() ? message_.inside.address : message_.remote.address;
  }
  [[nodiscard]] bool may_name(const pinhole_endpoint& written) const noexcept;
  /// \param names_address  whether its reader is told the address, and not the port alone
  /// \param shown  what its reader is to be told
  Outcome announce(const pinhole_endpoint& written, bool names_address, pinhole_endpoint& shown) noexcept;
  void tell_refused(const pinhole_endpoint& written) noexcept;

  /// \return what inspect() returns
  int replace(std::size_t begin, std::size_t end, std::string_view text) noexcept;
  void count(Counter counter) noexcept {
    static_cast<void>(host_.count(context_, static_cast<std::uint32_t>(counter), 1));
  }

  const Settings& settings_;
  const pinhole_host& host_;
  pinhole_context* context_;
  const pinhole_message& message_;
  std::string_view line_;
  Session& session_;
};

constexpr bool is_same(const pinhole_endpoint& one, const pinhole_endpoint& other) noexcept {
  return one.address == other.address && one.port == other.port;
}

/// Whether all that follows is encrypted (RFC 4217 section 2). After other mechanisms, commands may go on in
/// clear (RFC 2228).
bool is_encryption(std::string_view mechanism) noexcept {
  for (const auto name : {"tls", "tls-c", "tls-p", "ssl"}) {
    if (sip::equals(mechanism, name)) return true;
  }
  return false;
}

/// "HTTP/1.1"
bool is_http_version(std::string_view word) noexcept {
  const auto is_digit = [&](std::size_t at) noexcept { return word[at] >= '0' && word[at] <= '9'; };
  return word.size() == 8 && word.starts_with("HTTP/") && is_digit(5) && word[6] == '.' && is_digit(7);
}

/// RFC 9112 section 3: method, target and version. Pages may choose another method, and a target that is so
/// long that the version is in another piece.
bool is_http_request(std::string_view line) noexcept {
  const auto text = without_end(line);
  const auto method = text.find(' ');
  if (std::find(kHttpMethods.begin(), kHttpMethods.end(), text.substr(0, method)) != kHttpMethods.end())
    return true;
  if (method == std::string_view::npos) return false;
  auto rest = text;
  rest.remove_prefix(method + 1);
  const auto target = rest.substr(0, rest.find(' '));
  const bool is_target =
      target.starts_with('/') || target == "*" || target.find("://") != std::string_view::npos;
  if (!is_target) return false;
  rest.remove_prefix(target.size());
  if (rest.empty()) return !is_ended(line);
  rest.remove_prefix(1);
  return is_http_version(rest);
}

Asked asked_by(const Command& command) noexcept {
  switch (command.verb) {
    case Verb::pasv:
      return Asked::passive;
    case Verb::epsv:
      // RFC 2428 section 4: this one asks for no port.
      return sip::equals(command.argument, "all") ? Asked::other : Asked::extended_passive;
    case Verb::auth:
      return is_encryption(command.argument) ? Asked::security : Asked::other;
    case Verb::port:
    case Verb::eprt:
    case Verb::lprt:
    case Verb::lpsv:
    case Verb::other:
      break;
  }
  return Asked::other;
}

Counter counter_of(Outcome outcome) noexcept {
  return outcome == Outcome::exhausted ? Counter::exhausted : Counter::refused;
}

bool Inspection::is_foreign() const noexcept {
  return !begins_text(line_) || is_http_request(line_);
}

int Inspection::inspect_command() noexcept {
  LineScratch scratch;
  const auto command = read_command(line_, scratch);
  count(Counter::commands);
  // Before the server has greeted it may be another protocol, whose server will show it.
  const bool may_be_other = !session_.greeted && !begins_text(line_);
  if (command.is_ambiguous && !may_be_other) return refuse_command(Counter::unreadable);
  if (!command.name.empty() && !is_allowed(command)) return refuse_command(Counter::denied);
  if (command.verb == Verb::port || command.verb == Verb::eprt) {
    // A server that has not said a word has let nobody in.
    if (!session_.greeted) return refuse_command(Counter::refused);
    return open_active(command.verb, command.argument);
  }
  // RFC 1639: for addresses of any family, before EPRT and EPSV.
  if (command.verb == Verb::lprt || command.verb == Verb::lpsv) return refuse_command(Counter::refused);
  session_.pending.push(asked_by(command));
  return PINHOLE_FORWARD;
}

bool Inspection::is_allowed(const Command& command) noexcept {
  // Rules may have what they match written down.
  const auto& name = command.name;
  const bool is_secret = sip::equals(name, "pass") || sip::equals(name, "acct") || sip::equals(name, "adat");
  const auto argument = is_secret ? std::string_view("", 0) : command.argument;
  return host_.allows(context_, name.data(), name.size(), argument.data(), argument.size()) != 0;
}

int Inspection::open_active(Verb verb, std::string_view argument) noexcept {
  std::optional<pinhole_endpoint> written;
  if (verb == Verb::port) {
    written = read_port(argument);
  } else if (const auto extended = read_extended_port(argument)) {
    if (extended->is_ipv4) {
      written = extended->endpoint;
    } else if (message_.unchanged != 0) {
      // Of another family, for a connection that does not come this way.
      session_.pending.push(Asked::other);
      return PINHOLE_FORWARD;
    }
  }
  if (written && session_.foreign) {
    tell_refused(*written);
    written.reset();
  }
  if (!written) return refuse_command(Counter::refused);
  pinhole_endpoint shown{};
  const auto outcome = announce(*written, true, shown);
  if (outcome != Outcome::announced) return refuse_command(counter_of(outcome));
  count(Counter::active);
  session_.pending.push(Asked::other);
  if (is_same(*written, shown)) return PINHOLE_FORWARD;
  EndpointLine line;
  if (verb == Verb::port) {
    write_numbers(line.text("PORT "), shown);
  } else {
    write_extended_port(line.text("EPRT "), shown);
  }
  return replace(0, without_end(line_).size(), line.view());
}

int Inspection::refuse_command(Counter why) noexcept {
  count(why);
  session_.pending.push(Asked::other);
  return replace(0, without_end(line_).size(), kNoCommand);
}

int Inspection::inspect_reply() noexcept {
  const auto reply = read_reply(line_);
  const bool begins = session_.reply == 0;
  if (begins && reply.code == 0) {
    if (session_.greeted) return PINHOLE_FORWARD;
    count(Counter::left_other);
    return PINHOLE_LEAVE;
  }
  if (begins) count(Counter::replies);
  const auto code = begins ? reply.code : session_.reply;
  const bool ends = reply.code == code && !reply.goes_on;
  session_.reply = ends ? std::uint16_t{0} : code;
  int verdict = PINHOLE_FORWARD;
  for (const auto& [opens, asked] :
       {std::pair{kPassive, Asked::passive}, std::pair{kExtendedPassive, Asked::extended_passive}}) {
    if (code == opens && session_.greeted && session_.pending.has(asked))
      verdict = open_passive(asked, reply, begins && ends);
  }
  if (!ends || verdict != PINHOLE_FORWARD) return verdict;
  return end_reply(code);
}

int Inspection::end_reply(std::uint16_t code) noexcept {
  if (code < kFirstFinal) return PINHOLE_FORWARD;
  if (!session_.greeted) {
    session_.greeted = true;
    return PINHOLE_FORWARD;
  }
  auto& pending = session_.pending;
  if (code == kPassive || code == kExtendedPassive) {
    const auto asked = code == kPassive ? Asked::passive : Asked::extended_passive;
    if (!pending.has(asked)) {
      count(Counter::unasked);
      return PINHOLE_FORWARD;
    }
    pending.answer(asked);
    return PINHOLE_FORWARD;
  }
  if ((code == kSecured || code == kSecurityData) && pending.has(Asked::security)) {
    count(Counter::left_encrypted);
    return PINHOLE_LEAVE;
  }
  pending.answer();
  return PINHOLE_FORWARD;
}

int Inspection::open_passive(Asked asked, const Reply& reply, bool is_whole) noexcept {
  auto found = asked == Asked::passive ? find_numbers(line_) : find_extended(line_);
  if (!found) {
    if (is_whole) count(Counter::unreadable);
    return PINHOLE_FORWARD;
  }
  const bool names_address = asked == Asked::passive;
  if (!names_address) found->endpoint.address = senders_address();
  pinhole_endpoint shown{};
  const auto outcome = announce(found->endpoint, names_address, shown);
  if (outcome != Outcome::announced) {
    count(counter_of(outcome));
    // A part of a longer reply has to keep its code: its end goes by it.
    return is_whole ? replace(reply.begin, without_end(line_).size(), kNoPassive)
                    : replace(found->begin, found->end, kNoEndpoint);
  }
  count(Counter::passive);
  if (is_same(found->endpoint, shown)) return PINHOLE_FORWARD;
  EndpointLine text;
  if (names_address) {
    write_numbers(text, shown);
  } else {
    text.number(shown.port);
  }
  return replace(found->begin, found->end, text.view());
}

/// Either side of an own address is the sender's: a server may have been told how it is seen outside.
bool Inspection::may_name(const pinhole_endpoint& written) const noexcept {
  const bool is_own = written.address == senders_address() ||
                      (is_from_inside() && written.address == message_.external.address);
  return is_own && written.port >= kFirstDataPort;
}

Outcome Inspection::announce(const pinhole_endpoint& written, bool names_address,
                             pinhole_endpoint& shown) noexcept {
  if (!may_name(written)) {
    tell_refused(written);
    return Outcome::refused;
  }
  pinhole_expectation data{};
  data.size = sizeof data;
  data.protocol = PINHOLE_TCP;
  data.flags = PINHOLE_ONCE | PINHOLE_CHILD;
  data.inside.address = message_.inside.address;
  data.remote.address = message_.remote.address;
  data.seconds = settings_.data_timeout_s;
  if (is_from_inside()) {
    data.from = PINHOLE_OUTSIDE;
    data.inside.port = written.port;
    if (host_.reserve(context_, PINHOLE_TCP, written.port, 1, &shown) != PINHOLE_OK)
      return Outcome::exhausted;
    // Who is told a port alone connects to where its control connection goes.
    if (!names_address && shown.address != message_.external.address) return Outcome::exhausted;
  } else {
    data.from = PINHOLE_INSIDE;
    data.remote.port = written.port;
    shown = written;
  }
  return host_.expect(context_, &data) == PINHOLE_OK ? Outcome::announced : Outcome::exhausted;
}

void Inspection::tell_refused(const pinhole_endpoint& written) noexcept {
  sip::LineBuilder<PINHOLE_MAX_EVENT> text;
  const nat::Endpoint endpoint{nat::Ipv4Address::from_host(written.address), nat::Be16{written.port}};
  const nat::Ipv4Address sender = nat::Ipv4Address::from_host(senders_address());
  text.text("refused a data connection to ").text(nat::EndpointText(endpoint).view());
  text.text(", as asked for by ").address(sender);
  static_cast<void>(host_.event(context_, text.view().data(), text.view().size()));
}

int Inspection::replace(std::size_t begin, std::size_t end, std::string_view text) noexcept {
  // There is always room for one edit. If there were none, nothing of it may go on as it came.
  const int done = host_.replace(context_, begin, end - begin, text.data(), text.size());
  return done == PINHOLE_OK ? PINHOLE_FORWARD : PINHOLE_DROP;
}

/// \return false for what it does not know
bool read_options(std::string_view options, Settings& settings) noexcept {
  constexpr std::string_view kName = "data_timeout_s=";
  if (options.empty()) return true;
  if (!options.starts_with(kName)) return false;
  options.remove_prefix(kName.size());
  const auto seconds = sip::number(options, kMaxDataTimeout);
  if (!seconds || *seconds == 0) return false;
  settings.data_timeout_s = *seconds;
  return true;
}

int begin_worker(const pinhole_host* host, std::uint32_t worker, const char* options, void** state) noexcept {
  static std::array<Settings, nat::kMaxWorkers> all;
  if (worker >= all.size()) return 1;
  auto& settings = all[worker];
  settings = {.host = host, .data_timeout_s = kDataTimeout};
  *state = &settings;
  return read_options(options, settings) ? 0 : 1;
}

pinhole_frame frame(void* /*state*/, pinhole_framing* framing, const char* fresh,
                    std::size_t length) noexcept {
  return frame_line(*framing, {fresh, length});
}

int inspect(void* state, pinhole_context* context, const pinhole_message* message) noexcept {
  return Inspection(*static_cast<const Settings*>(state), context, *message).inspect();
}

constexpr pinhole_claim kClaim{PINHOLE_TCP, 0, 21};
constexpr std::array kCounterNames{"commands", "replies",        "active",    "passive",
                                   "refused",  "denied",         "exhausted", "unreadable",
                                   "unasked",  "left_encrypted", "left_other"};
static_assert(kCounterNames.size() == kCounters);

constexpr pinhole_plugin kGateway{.size = sizeof(pinhole_plugin),
                                  .major = PINHOLE_PLUGIN_MAJOR,
                                  .minor = PINHOLE_PLUGIN_MINOR,
                                  .name = "ftp",
                                  .version = "1",
                                  .claims = &kClaim,
                                  .claim_count = 1,
                                  .counter_count = kCounters,
                                  .counters = kCounterNames.data(),
                                  .flow_bytes = sizeof(Session),
                                  .unused = 0,
                                  .worker_init = begin_worker,
                                  .worker_fini = nullptr,
                                  .frame = frame,
                                  .inspect = inspect};

}  // namespace

const pinhole_plugin& gateway() noexcept {
  return kGateway;
}

}  // namespace pinhole::alg::ftp
