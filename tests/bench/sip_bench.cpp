// SPDX-License-Identifier: BSD-3-Clause
// What a SIP message costs, on one core and in one run: to read it alone, and the whole way through the
// worker loop with everything in it rewritten, beside the cost of copying and of summing up the same bytes. A
// thousand phones send a message each; then the bytes of all of them are copied, summed up and read. Rounds
// of all loops alternate, and the figure is the median round. What comes out of the worker is checked byte
// for byte (tests/bench/sip_lab.hpp).
//
//     sip_bench [--json FILE]
#include <algorithm>
#include <cstdio>

#include "alg/sip/message.hpp"
#include "dataplane/eal.hpp"
#include "tests/bench/rows.hpp"
#include "tests/bench/sip_lab.hpp"

namespace pinhole::bench {

namespace {

constexpr unsigned kRounds = 15;
constexpr double kParseGigabytes = 2;  // a second, of the largest message
constexpr double kInviteUs = 1.2;      // the whole way

/// Cycles a message.
struct Figures {
  std::string name;
  double bytes = 0;
  double copy = 0;
  double sum = 0;
  double parse = 0;
  double worker = 0;
  double worker_new = 0;  // of calls that are not known yet; 0: not measured
};

/// The messages of all phones, one after the other.
class Batch {
 public:
  Batch(const SipMessage& message, unsigned call) : copy_(kPhones) {
    for (unsigned phone = 0; phone < kPhones; ++phone) {
      texts_.push_back(render(message, SipLab::inside_marks(phone, call)));
      copy_[phone].resize(texts_.back().size());
    }
  }

  [[nodiscard]] double bytes() const {
    double sum = 0;
    for (const auto& text : texts_) sum += static_cast<double>(text.size());
    return sum / kPhones;
  }
  /// \param each  `std::uint64_t(std::size_t)`: does its work with one message
  /// \return cycles a message
  template <typename Each>
  double time(Each&& each) {
    const std::uint64_t begin = rte_rdtsc_precise();
    for (std::size_t i = 0; i < kPhones; ++i) result_ = result_ + each(i);
    const std::uint64_t end = rte_rdtsc_precise();
    return static_cast<double>(end - begin) / kPhones;
  }
  double copy() {
    return time([this](std::size_t i) {
      std::memcpy(copy_[i].data(), texts_[i].data(), texts_[i].size());
      return static_cast<std::uint64_t>(copy_[i].back());
    });
  }
  double sum() {
    return time([this](std::size_t i) { return nat::sum_bytes(std::as_bytes(std::span(texts_[i]))); });
  }
  double parse() {
    return time([this](std::size_t i) {
      alg::sip::MessageView view;
      if (view.parse(texts_[i]) != alg::sip::ParseResult::message) throw std::runtime_error("not read");
      const auto summary = view.summary();
      return view.headers().size() + view.body().size() + summary.call_id.size() + summary.to_uri.size();
    });
  }

 private:
  std::vector<std::string> texts_;
  std::vector<std::string> copy_;
  volatile std::uint64_t result_ = 0;
};

Figures measure(SipLab& lab, const SipMessage& message, unsigned& call) {
  const unsigned known = call++;
  lab.send(message, known);
  Batch batch(message, known);
  std::vector<double> copy;
  std::vector<double> sum;
  std::vector<double> parse;
  std::vector<double> worker;
  for (unsigned round = 0; round < kRounds; ++round) {
    copy.push_back(batch.copy());
    sum.push_back(batch.sum());
    parse.push_back(batch.parse());
    worker.push_back(static_cast<double>(lab.send(message, known)) / kPhones);
  }
  return {message.name, batch.bytes(), median(copy), median(sum), median(parse), median(worker)};
}

double measure_new_calls(SipLab& lab, const SipMessage& message, unsigned& call) {
  std::vector<double> cycles;
  for (unsigned round = 0; round < kRounds; ++round) {
    cycles.push_back(static_cast<double>(lab.send(message, call++)) / kPhones);
  }
  return median(cycles);
}

double microseconds(double cycles) {
  return cycles / static_cast<double>(rte_get_tsc_hz()) * 1e6;
}

void print_row(const char* what, double bytes, double cycles, const char* wanted) {
  const double us = microseconds(cycles);
  fmt::print("  {:<24} {:>9.0f} {:>9.3f} {:>11.0f} {:>9.0f} {:>9.2f}  {}\n", what, cycles, us, 1e6 / us,
             bytes / us, cycles / bytes, wanted);
}

void print(const Figures& figures, bool is_largest, bool is_first) {
  fmt::print("{}, {:.0f} bytes\n", figures.name, figures.bytes);
  print_row("copy", figures.bytes, figures.copy, "");
  print_row("checksum", figures.bytes, figures.sum, "");
  const bool slow = figures.bytes / microseconds(figures.parse) < kParseGigabytes * 1000;
  print_row("parse", figures.bytes, figures.parse,
            !is_largest ? ""
            : slow      ? "2 GB/s MISSED"
                        : "2 GB/s reached");
  const auto verdict = [is_first](double cycles) {
    if (!is_first) return "";
    return microseconds(cycles) > kInviteUs ? "1.2 us MISSED" : "1.2 us reached";
  };
  print_row("worker", figures.bytes, figures.worker, verdict(figures.worker));
  if (figures.worker_new > 0) {
    print_row("worker, new calls", figures.bytes, figures.worker_new, verdict(figures.worker_new));
  }
  std::fflush(stdout);
}

nlohmann::json to_json(const Figures& figures) {
  const auto loop = [&](double cycles) {
    const double us = microseconds(cycles);
    return nlohmann::json{{"cycles", cycles},
                          {"us", us},
                          {"messages_per_s", 1e6 / us},
                          {"mb_per_s", figures.bytes / us},
                          {"cycles_per_byte", cycles / figures.bytes}};
  };
  nlohmann::json json;
  json["message"] = figures.name;
  json["bytes"] = figures.bytes;
  json["copy"] = loop(figures.copy);
  json["checksum"] = loop(figures.sum);
  json["parse"] = loop(figures.parse);
  json["worker"] = loop(figures.worker);
  if (figures.worker_new > 0) json["worker_new_calls"] = loop(figures.worker_new);
  return json;
}

int run(const char* json_path) {
  const auto config = sip_config(kMostCalls, "pinhole_sip_bench");
  if (const auto started = dataplane::start_eal(config, false); !started) {
    throw std::runtime_error(started.error().message);
  }
  SipLab lab(config);
  nlohmann::json report;
  report["benchmark"] = "sip";
  report["rounds"] = kRounds;
  report["messages_a_round"] = kPhones;
  report["rows"] = nlohmann::json::array();
  fmt::print("{:<26} {:>9} {:>9} {:>11} {:>9} {:>9}\n", "", "cycles", "us", "messages/s", "MB/s", "cycles/B");
  unsigned call = 0;
  for (const auto& message : kSipMessages) {
    const bool is_first = &message == std::begin(kSipMessages);
    auto figures = measure(lab, message, call);
    if (is_first) figures.worker_new = measure_new_calls(lab, message, call);
    print(figures, &message + 1 == std::end(kSipMessages), is_first);
    report["rows"].push_back(to_json(figures));
  }
  if (json_path == nullptr) return 0;
  std::FILE* const file = std::fopen(json_path, "w");
  if (file == nullptr) throw std::runtime_error(std::string("cannot write ") + json_path);
  fmt::print(file, "{}\n", report.dump(2));
  std::fclose(file);
  return 0;
}

}  // namespace

}  // namespace pinhole::bench

int main(int argc, char** argv) {
  try {
    const bool json = argc == 3 && std::string(argv[1]) == "--json";
    if (argc != 1 && !json) throw std::runtime_error("use no argument or --json FILE");
    return pinhole::bench::run(json ? argv[2] : nullptr);
  } catch (const std::exception& error) {
    fmt::print(stderr, "sip_bench: {}\n", error.what());
    return 1;
  }
}
