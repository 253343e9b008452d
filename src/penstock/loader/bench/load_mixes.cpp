// What `penstock load allocate` gains on real loaders and real cores, beside A-Dloader's published
// 28.9 % of throughput and 10 % of makespan over an even allocation.
//
//   bench_load_mixes DATA [--mixes 20] [--seed 1] [--seconds 33] [--json] [--out FILE]
//                    [--penstock PROGRAM]
//
// DATA is a folder of images; one that is absent is made. Exit code 1 where the mean regret to the
// best measured allocation is above 5 %.
#include <fmt/format.h>
#include <sched.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "penstock/core/file.h"
#include "penstock/core/interrupt.h"
#include "penstock/core/json.h"
#include "penstock/core/progress.h"
#include "penstock/core/table.h"
#include "penstock/loader/bench/mix_trial.h"
#include "penstock/loader/synth.h"
#include "penstock/version.h"

namespace penstock::loader {
namespace {

using core::Json;
using core::Table;

constexpr double kMostRegret = 0.05;
// The paper's, over an even allocation: journal version; the conference version has 23.5 % and 10
// %.
constexpr double kPaperThroughput = 0.289;
constexpr double kPaperMakespan = 0.10;
// As many cores and workers on every machine, so that every allocation can be tried and results
// compare.
constexpr int kCores = 2;
constexpr int kWorkers = 6;

struct Arguments {
  std::string data;
  int mixes = 20;
  int seed = 1;
  int seconds = 33;
  bool json = false;
  std::string out;
  std::string program = PENSTOCK_PROGRAM;
};

Result<Arguments> read_arguments(const std::vector<std::string>& words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--json") {
      arguments.json = true;
      continue;
    }
    if (!word.starts_with("--")) {
      if (!arguments.data.empty()) return core::input_error(word, "is a second folder");
      arguments.data = word;
      continue;
    }
    int* number = word == "--mixes"     ? &arguments.mixes
                  : word == "--seed"    ? &arguments.seed
                  : word == "--seconds" ? &arguments.seconds
                                        : nullptr;
    std::string* text = word == "--out"        ? &arguments.out
                        : word == "--penstock" ? &arguments.program
                                               : nullptr;
    if (number == nullptr && text == nullptr) {
      return core::input_error(word, "is no option",
                               "use --mixes, --seed, --seconds, --json, --out or --penstock");
    }
    if (++i == words.size()) return core::input_error(word, "needs a value");
    if (text != nullptr) {
      *text = words[i];
      continue;
    }
    const char* end = words[i].data() + words[i].size();
    const auto [stop, error] = std::from_chars(words[i].data(), end, *number);
    if (error != std::errc() || stop != end || *number < 1) {
      return core::input_error(word, "\"" + words[i] + "\" is no whole number above 0");
    }
  }
  constexpr int kFewestSeconds = 12;  // or the windows become shorter than a few steps
  if (arguments.data.empty()) {
    return core::input_error("DATA", "is missing", "name a folder of images, or one to be made");
  }
  if (arguments.seconds < kFewestSeconds) {
    return core::input_error("--seconds", fmt::format("must be at least {}", kFewestSeconds));
  }
  return arguments;
}

// Us and the loaders that we start on as many cores as the bench is defined for.
Status take_cores() {
  cpu_set_t usable, taken;
  CPU_ZERO(&usable);
  CPU_ZERO(&taken);
  int count = 0;
  if (::sched_getaffinity(0, sizeof usable, &usable) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE && count < kCores; ++cpu) {
      if (!CPU_ISSET(cpu, &usable)) continue;
      CPU_SET(cpu, &taken);
      ++count;
    }
  }
  if (count < kCores || ::sched_setaffinity(0, sizeof taken, &taken) != 0) {
    return core::missing_error("processors", fmt::format("the bench needs {}", kCores));
  }
  return {};
}

Status prepare_data(const std::string& folder) {
  constexpr int kImages = 1200;
  std::error_code error;
  if (std::filesystem::exists(folder, error) && !std::filesystem::is_empty(folder, error))
    return {};
  fmt::print(stderr, "making {} images in {}\n", kImages, folder);
  SynthOptions options;
  options.images = kImages;
  options.progress = true;
  return synthesize(folder, options);
}

struct Trial {
  int number = 0;
  std::vector<MixJob> mix;
  MixResult result;

  const PolicyOutcome& of(AllocationPolicy policy) const {
    for (const PolicyOutcome& outcome : result.policies) {
      if (outcome.policy == policy) return outcome;
    }
    return result.policies.front();
  }
  double regret() const {
    return 1 - of(AllocationPolicy::kGain).fraction / of(AllocationPolicy::kOracle).fraction;
  }
  // Against the largest mean of all readings: the luck of many readings counts against us.
  double most_regret() const {
    double best = 0, gain = 0;
    for (const MeasuredAllocation& allocation : result.allocations) {
      double sum = allocation.swept;
      for (const double reading : allocation.fresh) sum += reading;
      const double all = sum / static_cast<double>(1 + allocation.fresh.size());
      best = std::max(best, all);
      if (allocation.workers == of(AllocationPolicy::kGain).workers) gain = all;
    }
    return 1 - gain / best;
  }
  double throughput_gain(AllocationPolicy over) const {
    return of(AllocationPolicy::kGain).fraction / of(over).fraction - 1;
  }
  double makespan_gain(AllocationPolicy over) const {
    return 1 - of(AllocationPolicy::kGain).makespan / of(over).makespan;
  }
  double model_error() const {
    double sum = 0;
    for (const MeasuredAllocation& a : result.allocations) {
      sum += std::abs(a.predicted / a.swept - 1);
    }
    return sum / static_cast<double>(result.allocations.size());
  }
};

// A mean with its 95 % interval over the mixes, where there are enough for one.
struct Estimate {
  double mean = 0;
  std::optional<double> half_width;

  explicit Estimate(const std::vector<double>& values) {
    const auto n = static_cast<double>(values.size());
    for (const double value : values) mean += value / n;
    constexpr std::size_t kFewest = 5;
    if (values.size() < kFewest) return;
    double squares = 0;
    for (const double value : values) squares += (value - mean) * (value - mean);
    // Student's quantile from the normal one (Abramowitz and Stegun, 26.7.5), within 0.3 % for four
    // degrees of freedom and more.
    const double z = 1.959964;
    const double f = n - 1;
    const double z3 = z * z * z;
    const double z5 = z3 * z * z;
    const double z7 = z5 * z * z;
    const double t = z + (z3 + z) / (4 * f) + (5 * z5 + 16 * z3 + 3 * z) / (96 * f * f) +
                     (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * f * f * f);
    half_width = t * std::sqrt(squares / f / n);
  }
  std::string text() const {
    const std::string center = fmt::format("{:.1f} %", 100 * mean);
    if (!half_width) return center;
    return fmt::format("{} (95 %: {:.1f} to {:.1f})", center, 100 * (mean - *half_width),
                       100 * (mean + *half_width));
  }
  Json json() const {
    Json value = {{"mean", mean}};
    if (half_width) {
      value["low"] = mean - *half_width;
      value["high"] = mean + *half_width;
    }
    return value;
  }
};

template <typename F>
Estimate over_mixes(const std::vector<Trial>& trials, F value) {
  std::vector<double> values;
  for (const Trial& trial : trials) values.push_back(value(trial));
  return Estimate(values);
}

struct Summary {
  Estimate regret, most_regret, makespan_regret;
  Estimate over_even, over_proportional;
  Estimate makespan_over_even, makespan_over_proportional;
  Estimate model_error;

  explicit Summary(const std::vector<Trial>& trials)
      : regret(over_mixes(trials, [](const Trial& t) { return t.regret(); })),
        most_regret(over_mixes(trials, [](const Trial& t) { return t.most_regret(); })),
        makespan_regret(over_mixes(
            trials, [](const Trial& t) { return -t.makespan_gain(AllocationPolicy::kOracle); })),
        over_even(over_mixes(
            trials, [](const Trial& t) { return t.throughput_gain(AllocationPolicy::kEven); })),
        over_proportional(over_mixes(
            trials,
            [](const Trial& t) { return t.throughput_gain(AllocationPolicy::kProportional); })),
        makespan_over_even(over_mixes(
            trials, [](const Trial& t) { return t.makespan_gain(AllocationPolicy::kEven); })),
        makespan_over_proportional(over_mixes(
            trials,
            [](const Trial& t) { return t.makespan_gain(AllocationPolicy::kProportional); })),
        model_error(over_mixes(trials, [](const Trial& t) { return t.model_error(); })) {}
};

std::string joined(const std::vector<int>& workers) {
  std::string text;
  for (const int count : workers) text += (text.empty() ? "" : ":") + std::to_string(count);
  return text;
}

std::string wanted(const std::vector<MixJob>& mix) {
  std::string text;
  for (const MixJob& job : mix) {
    text += fmt::format("{}{:.1f}{}", text.empty() ? "" : " ", job.cores,
                        job.disk_share > 0 ? "d" : "");
  }
  return text;
}

std::string tables(const std::vector<Trial>& trials) {
  using A = Table::Align;
  Table rates({{"mix"},
               {"cores wanted"},
               {"had", A::kRight},
               {"even", A::kRight},
               {"prop.", A::kRight},
               {"gain", A::kRight},
               {"oracle", A::kRight},
               {"regret", A::kRight},
               {"workers of gain", A::kRight},
               {"of oracle", A::kRight}});
  Table ends({{"mix"},
              {"even", A::kRight},
              {"prop.", A::kRight},
              {"gain", A::kRight},
              {"oracle", A::kRight},
              {"bound", A::kRight}});
  for (const Trial& trial : trials) {
    std::vector<std::string> rate = {std::to_string(trial.number), wanted(trial.mix),
                                     fmt::format("{:.2f}", trial.result.cores)};
    std::vector<std::string> end = {std::to_string(trial.number)};
    for (const AllocationPolicy policy : compared_policies()) {
      rate.push_back(fmt::format("{:.1f} %", 100 * trial.of(policy).fraction));
      end.push_back(fmt::format("{:.2f} s", trial.of(policy).makespan.value()));
    }
    rate.push_back(fmt::format("{:.1f} %", 100 * trial.regret()));
    rate.push_back(joined(trial.of(AllocationPolicy::kGain).workers));
    rate.push_back(joined(trial.of(AllocationPolicy::kOracle).workers));
    rates.add_row(std::move(rate));
    end.push_back(fmt::format("{:.2f} s", trial.result.makespan_bound.value()));
    ends.add_row(std::move(end));
  }
  return "Mean of the jobs' rates over their full rates (d: a disk that is too slow). The oracle "
         "is "
         "the\nbest of all allocations, measured; all four measured afresh in turns.\n" +
         rates.text() +
         "\nUntil the last job ends, shared anew whenever one ends. The oracle tries every "
         "allocation on the\nfitted model; the bound is the model's, from empty queues.\n" +
         ends.text();
}

// What the loaders had of the cores, as the probes saw it.
std::string quietness(const std::vector<Trial>& trials) {
  double cores = 0;
  for (const Trial& trial : trials) {
    cores += trial.result.cores / static_cast<double>(trials.size());
  }
  constexpr double kQuiet = 0.9;
  if (cores >= kQuiet * kCores) return "";
  return fmt::format(
      "\nwarning: the loaders had {:.2f} of {} cores; run it again on a quieter machine\n", cores,
      kCores);
}

std::string summary_text(const Summary& s) {
  return fmt::format(
      "\nthroughput: regret to the oracle {}, at most {} allowed\n"
      "            {} where the luckiest of all readings is the oracle\n"
      "            over even {}; A-Dloader's paper: {:.1f} %\n"
      "            over proportional {}\n"
      "makespan:   over even {}; A-Dloader's paper: {:.0f} %\n"
      "            over proportional {}\n"
      "            longer than the oracle's by {}\n"
      "model:      off by {} from the rates of all allocations\n",
      s.regret.text(), fmt::format("{:.0f} %", 100 * kMostRegret), s.most_regret.text(),
      s.over_even.text(), 100 * kPaperThroughput, s.over_proportional.text(),
      s.makespan_over_even.text(), 100 * kPaperMakespan, s.makespan_over_proportional.text(),
      s.makespan_regret.text(), s.model_error.text());
}

Json mix_json(const Trial& trial) {
  Json jobs = Json::array();
  for (std::size_t j = 0; j < trial.mix.size(); ++j) {
    const MixJob& job = trial.mix[j];
    const JobModel& model = trial.result.models[j];
    jobs.push_back({{"size", job.size},
                    {"accelerators", job.accelerators},
                    {"cores_wanted", job.cores},
                    {"disk_share", job.disk_share},
                    {"full_samples_per_s", model.full_rate()},
                    {"cpu_s_per_sample", model.cpu_per_sample.value()},
                    {"bytes_per_sample", model.bytes_per_sample.value()}});
    if (std::isfinite(model.curve.ceiling)) {
      jobs.back()["ceiling_samples_per_s"] = model.curve.ceiling;
    }
  }
  Json policies = Json::array();
  for (const PolicyOutcome& outcome : trial.result.policies) {
    policies.push_back({{"name", policy_name(outcome.policy)},
                        {"workers", outcome.workers},
                        {"mean_fraction", outcome.fraction},
                        {"makespan_s", outcome.makespan.value()}});
  }
  Json allocations = Json::array();
  for (const MeasuredAllocation& allocation : trial.result.allocations) {
    allocations.push_back({{"workers", allocation.workers},
                           {"predicted_fraction", allocation.predicted},
                           {"swept_fraction", allocation.swept},
                           {"fresh_fractions", allocation.fresh}});
  }
  return {{"mix", trial.number},
          {"cores", trial.result.cores},
          {"jobs", std::move(jobs)},
          {"policies", std::move(policies)},
          {"allocations", std::move(allocations)},
          {"makespan_bound_s", trial.result.makespan_bound.value()},
          {"regret", trial.regret()}};
}

Json document(const Arguments& arguments, const std::vector<Trial>& trials, const Summary& s) {
  Json mixes = Json::array();
  for (const Trial& trial : trials) mixes.push_back(mix_json(trial));
  return {{"schema", "penstock-load-mixes/1"},
          {"version", kVersion},
          {"data", arguments.data},
          {"seed", arguments.seed},
          {"seconds_per_mix", arguments.seconds},
          {"cores", kCores},
          {"workers", kWorkers},
          {"mixes", std::move(mixes)},
          {"summary",
           {{"regret", s.regret.json()},
            {"most_regret", s.most_regret.json()},
            {"throughput_gain_over_even", s.over_even.json()},
            {"throughput_gain_over_proportional", s.over_proportional.json()},
            {"paper_throughput_gain_over_even", kPaperThroughput},
            {"makespan_gain_over_even", s.makespan_over_even.json()},
            {"makespan_gain_over_proportional", s.makespan_over_proportional.json()},
            {"paper_makespan_gain_over_even", kPaperMakespan},
            {"makespan_regret", s.makespan_regret.json()},
            {"model_error", s.model_error.json()}}}};
}

// Fills `trials` as far as it comes.
Status run_all(const Arguments& arguments, std::vector<Trial>& trials) {
  PENSTOCK_TRY_STATUS(take_cores());
  PENSTOCK_TRY_STATUS(prepare_data(arguments.data));
  PENSTOCK_TRY(const core::PrivateFolder folder, core::PrivateFolder::create());
  TrialOptions options;
  options.program = arguments.program;
  options.machine.cores = kCores;
  options.machine.workers = kWorkers;
  options.length = Seconds(arguments.seconds);
  std::vector<SampleCost> costs;
  for (const int size : mix_sizes()) {
    PENSTOCK_TRY(const SampleCost cost, measure_cost(arguments.data, size, options, folder));
    costs.push_back(cost);
  }
  constexpr double kTicks = 100;  // of a mix
  core::Progress progress(fmt::format("{} mixes, hundredths", arguments.mixes),
                          static_cast<std::int64_t>(arguments.mixes * kTicks));
  for (int number = 0; number < arguments.mixes; ++number) {
    const auto seed = static_cast<std::uint64_t>(arguments.seed);
    Trial trial{.number = number + 1, .mix = draw_mix(seed, number), .result = {}};
    std::vector<JobSpec> jobs;
    std::vector<double> lengths;
    for (const MixJob& mixed : trial.mix) {
      std::size_t size = 0;
      while (mix_sizes()[size] != mixed.size) ++size;
      jobs.push_back(job_of(mixed, costs[size], static_cast<int>(jobs.size()), arguments.data));
      lengths.push_back(mixed.length);
    }
    core::RandomStream random(seed, fmt::format("order {}", number));
    std::int64_t ticks = 0;
    const auto advance = [&](double share) {
      const auto reached = static_cast<std::int64_t>(share * kTicks);
      progress.advance(reached - ticks);
      ticks = reached;
    };
    PENSTOCK_TRY(trial.result, run_mix(jobs, lengths, options, folder, random, advance));
    advance(1);
    trials.push_back(std::move(trial));
  }
  return {};
}

Status run(const Arguments& arguments) {
  std::vector<Trial> trials;
  Status status = run_all(arguments, trials);
  // An interrupt keeps the mixes that are whole.
  if (trials.empty()) return status;
  const Summary summary(trials);
  const Json json = document(arguments, trials, summary);
  if (arguments.json) {
    fmt::print("{}", core::json_text(json));
  } else {
    fmt::print("{}{}", tables(trials), summary_text(summary));
  }
  fmt::print(stderr, "{}", quietness(trials));
  if (!arguments.out.empty()) {
    PENSTOCK_TRY_STATUS(core::write_file(arguments.out, core::json_text(json)));
  }
  if (status && summary.regret.mean > kMostRegret) {
    return core::negative("", fmt::format("the mean regret is {}", summary.regret.text()));
  }
  return status;
}

}  // namespace
}  // namespace penstock::loader

int main(int count, char** words) {
  penstock::core::install_interrupt_handler();
  const auto arguments = penstock::loader::read_arguments({words + 1, words + count});
  const penstock::Status status =
      arguments ? penstock::loader::run(*arguments) : penstock::core::fail(arguments.error());
  if (status) return 0;
  fmt::print(stderr, "{}\n", status.error().text());
  return static_cast<int>(status.error().kind);
}
