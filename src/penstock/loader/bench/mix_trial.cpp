#include "penstock/loader/bench/mix_trial.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "penstock/core/interrupt.h"
#include "penstock/loader/internal/live_fit.h"
#include "penstock/loader/internal/live_loader.h"

namespace penstock::loader {
namespace {

using internal::LiveLoader;
using internal::LiveState;
using internal::LoaderWindow;
using internal::monotonic_now;

constexpr Seconds kSettle(0.2);  // queues of a few dozen samples follow a new allocation
constexpr Seconds kProbe(0.5);
constexpr Seconds kFill(0.3);  // all queues, before a run to the end
constexpr int kRounds = 3;
constexpr std::int64_t kEndless = std::numeric_limits<std::int64_t>::max() / 2;

// Of a mix's time: for one run to the end where nothing is wasted. Policies waste up to a half.
constexpr double kRunShare = 0.06;
constexpr double kRunWaste = 1.3;
// Of what probes and runs leave: for the sweep.
constexpr double kSweepShare = 0.55;

Status rest(Seconds time) {
  const Seconds end = monotonic_now() + time;
  constexpr double kLook = 0.05;
  while (true) {
    if (core::interrupted()) return core::negative("", "interrupted");
    const double left = std::min((end - monotonic_now()).value(), kLook);
    if (left <= 0) return {};
    const timespec pause = {.tv_sec = 0, .tv_nsec = static_cast<long>(left * 1e9)};
    ::nanosleep(&pause, nullptr);
  }
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// All workers shared out, at least one to each.
std::vector<std::vector<int>> whole_allocations(std::size_t jobs, int workers) {
  std::vector<std::vector<int>> all;
  std::vector<int> current(jobs, 1);
  const std::function<void(std::size_t, int)> fill = [&](std::size_t j, int left) {
    if (j + 1 == jobs) {
      current[j] = left;
      all.push_back(current);
      return;
    }
    const int others = static_cast<int>(jobs - j - 1);
    for (current[j] = 1; left - current[j] >= others; ++current[j]) fill(j + 1, left - current[j]);
  };
  fill(0, workers);
  return all;
}

class MixTrial {
 public:
  MixTrial(const TrialOptions& options, core::RandomStream& random,
           const std::function<void(double)>& advance)
      : options_(options), random_(random), advance_(advance) {
    state_.machine = options.machine;
  }

  Result<MixResult> run(const std::vector<JobSpec>& jobs, const std::vector<double>& lengths,
                        const core::PrivateFolder& folder) {
    for (std::size_t j = 0; j < jobs.size(); ++j) {
      PENSTOCK_TRY(std::unique_ptr<LiveLoader> loader,
                   LiveLoader::start(jobs[j], options_.program, folder, static_cast<int>(j)));
      loader->set_goal(kEndless);
      loaders_.push_back(std::move(loader));
      state_.jobs.push_back({.model = jobs[j].model});
    }
    PENSTOCK_TRY_STATUS(probe());
    set_lengths(lengths);
    PENSTOCK_TRY_STATUS(sweep());
    PENSTOCK_TRY_STATUS(measure_afresh());
    PENSTOCK_TRY_STATUS(run_to_the_end());
    for (const AllocatedJob& job : state_.jobs) result_.models.push_back(job.model);
    result_.cores = state_.machine.cores;
    return std::move(result_);
  }

 private:
  // Jobs that lose workers come first, so that there are never more than wanted.
  Status set_workers(const std::vector<int>& workers) {
    for (const bool fewer : {true, false}) {
      for (std::size_t j = 0; j < workers.size(); ++j) {
        if ((workers[j] < loaders_[j]->workers()) != fewer) continue;
        PENSTOCK_TRY_STATUS(loaders_[j]->set_workers(workers[j]));
      }
    }
    return {};
  }

  Result<std::vector<LoaderWindow>> observe(const std::vector<int>& workers, Seconds length) {
    PENSTOCK_TRY_STATUS(set_workers(workers));
    PENSTOCK_TRY_STATUS(rest(kSettle));
    std::vector<LoaderWindow> windows(workers.size());
    for (std::size_t j = 0; j < workers.size(); ++j) {
      windows[j].workers = workers[j];
      PENSTOCK_TRY(windows[j].begin, loaders_[j]->state());
    }
    PENSTOCK_TRY_STATUS(rest(length));
    for (std::size_t j = 0; j < workers.size(); ++j) {
      PENSTOCK_TRY(windows[j].end, loaders_[j]->state());
    }
    return windows;
  }

  double fraction_of(const std::vector<double>& rates) const {
    double sum = 0;
    for (std::size_t j = 0; j < rates.size(); ++j) {
      sum += std::min(1.0, rates[j] / state_.jobs[j].model.full_rate());
    }
    return sum / static_cast<double>(rates.size());
  }

  Result<double> measure(const std::vector<int>& workers, Seconds length) {
    PENSTOCK_TRY(const std::vector<LoaderWindow> windows, observe(workers, length));
    std::vector<double> rates;
    for (const LoaderWindow& window : windows) {
      rates.push_back(window.loaded() / window.length().value());
    }
    return fraction_of(rates);
  }

  Status probe() {
    const std::size_t n = loaders_.size();
    std::vector<std::vector<int>> probes = {allocate(AllocationPolicy::kEven, state_, {})};
    for (std::size_t j = 0; j < n; ++j) {
      probes.emplace_back(n, 1);
      probes.back()[j] = state_.machine.workers - static_cast<int>(n) + 1;
    }
    std::vector<std::vector<LoaderWindow>> seen(n);
    std::vector<double> cores;
    for (const std::vector<int>& workers : probes) {
      PENSTOCK_TRY(const std::vector<LoaderWindow> windows, observe(workers, kProbe));
      for (std::size_t j = 0; j < n; ++j) seen[j].push_back(windows[j]);
      if (const auto had = internal::contended_cores(windows)) cores.push_back(*had);
    }
    for (std::size_t j = 0; j < n; ++j) {
      JobModel& model = state_.jobs[j].model;
      if (!internal::fit_model(seen[j], model)) {
        return core::negative(model.name, "its loader delivered too little to learn its costs",
                              "run again on a quieter machine, or raise --seconds");
      }
    }
    if (!cores.empty()) state_.machine.cores = std::min(mean(cores), state_.machine.cores);
    spend(kProbe + kSettle, probes.size());
    return {};
  }

  // Runs of the given relative lengths, which the fastest allocation ends in a given time.
  void set_lengths(const std::vector<double>& lengths) {
    for (std::size_t j = 0; j < lengths.size(); ++j) {
      state_.jobs[j].remaining = lengths[j] * state_.jobs[j].model.full_rate();
    }
    const Seconds wanted = options_.length * kRunShare;
    const double scale = wanted.value() / fractional_optimum(Objective::kMakespan, state_).value;
    for (AllocatedJob& job : state_.jobs) {
      const double steps = std::ceil(job.remaining * scale / kStepSamples);
      job.remaining = kStepSamples * std::max(1.0, steps);
    }
    result_.makespan_bound = Seconds(fractional_optimum(Objective::kMakespan, state_).value);
  }

  Seconds time_left_for_rates() const {
    const double runs = kRunWaste * kRunShare * static_cast<double>(compared_policies().size());
    return options_.length * (1 - runs) - spent_;
  }

  // A window such that so many of them, with time to settle, take `whole`.
  static Seconds window_of(Seconds whole, std::size_t count) {
    constexpr Seconds kShortest(0.2);
    return std::max(kShortest, whole / static_cast<double>(count) - kSettle);
  }

  void spend(Seconds each, std::size_t count) {
    spent_ += each * static_cast<double>(count);
    advance_(std::min(1.0, spent_ / options_.length));
  }

  Status sweep() {
    for (const AllocationPolicy policy : compared_policies()) {
      PolicyOutcome& outcome = result_.policies.emplace_back();
      outcome.policy = policy;
      outcome.workers = allocate(policy, state_, {});
    }
    std::vector<std::vector<int>> all =
        whole_allocations(state_.jobs.size(), state_.machine.workers);
    for (const PolicyOutcome& outcome : result_.policies) {
      if (std::find(all.begin(), all.end(), outcome.workers) == all.end()) {
        all.push_back(outcome.workers);
      }
    }
    for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[random_.below(i)]);
    const Seconds window = window_of(time_left_for_rates() * kSweepShare, all.size());
    std::size_t best = 0;
    for (const std::vector<int>& workers : all) {
      MeasuredAllocation allocation;
      allocation.workers = workers;
      allocation.predicted = fraction_of(shared_rates(state_, workers));
      PENSTOCK_TRY(allocation.swept, measure(workers, window));
      result_.allocations.push_back(std::move(allocation));
      if (result_.allocations.back().swept > result_.allocations[best].swept) {
        best = result_.allocations.size() - 1;
      }
      spend(window + kSettle, 1);
    }
    // The oracle is what was measured, not what the model holds for best.
    result_.policies.back().workers = result_.allocations[best].workers;
    return {};
  }

  MeasuredAllocation& measured(const std::vector<int>& workers) {
    return *std::find_if(result_.allocations.begin(), result_.allocations.end(),
                         [&](const MeasuredAllocation& m) { return m.workers == workers; });
  }

  Status measure_afresh() {
    std::vector<std::vector<int>> chosen;
    for (const PolicyOutcome& outcome : result_.policies) {
      if (std::find(chosen.begin(), chosen.end(), outcome.workers) == chosen.end()) {
        chosen.push_back(outcome.workers);
      }
    }
    const Seconds window = window_of(time_left_for_rates(), chosen.size() * kRounds);
    for (int round = 0; round < kRounds; ++round) {
      for (const std::vector<int>& workers : chosen) {
        PENSTOCK_TRY(const double fraction, measure(workers, window));
        measured(workers).fresh.push_back(fraction);
        spend(window + kSettle, 1);
      }
      // There and back again: a drift of the machine hits all alike.
      std::reverse(chosen.begin(), chosen.end());
    }
    for (PolicyOutcome& outcome : result_.policies) {
      outcome.fraction = mean(measured(outcome.workers).fresh);
    }
    return {};
  }

  Status run_to_the_end() {
    std::vector<PolicyOutcome*> order;
    for (PolicyOutcome& outcome : result_.policies) order.push_back(&outcome);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random_.below(i)]);
    for (PolicyOutcome* outcome : order) {
      PENSTOCK_TRY(outcome->makespan, makespan(outcome->policy));
      spend(outcome->makespan + kFill, 1);
    }
    return {};
  }

  Result<Seconds> makespan(AllocationPolicy policy) {
    std::vector<std::size_t> running(loaders_.size());
    std::iota(running.begin(), running.end(), std::size_t{0});
    for (const auto& loader : loaders_) loader->pause();
    PENSTOCK_TRY_STATUS(rest(kFill));
    std::vector<double> left;
    for (const AllocatedJob& job : state_.jobs) left.push_back(job.remaining);
    PENSTOCK_TRY_STATUS(share(policy, running, left));
    const Seconds start = monotonic_now();
    for (std::size_t j = 0; j < loaders_.size(); ++j) {
      loaders_[j]->set_goal(static_cast<std::int64_t>(left[j]));
    }
    Seconds last = start;
    constexpr Seconds kLook(0.01);
    constexpr double kHopeless = 20;
    while (!running.empty()) {
      PENSTOCK_TRY_STATUS(rest(kLook));
      if (monotonic_now() - start > result_.makespan_bound * kHopeless) {
        return core::negative("", "jobs did not end in twenty times the predicted time",
                              "run again on a quieter machine");
      }
      const std::size_t before = running.size();
      for (std::size_t i = 0; i < running.size();) {
        const std::size_t j = running[i];
        PENSTOCK_TRY(const LiveState now, loaders_[j]->state());
        left[j] = std::max(1.0, state_.jobs[j].remaining - static_cast<double>(now.samples));
        if (now.is_done) {
          last = std::max(last, now.ended);
          running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
        } else {
          ++i;
        }
      }
      if (running.size() < before && !running.empty()) {
        PENSTOCK_TRY_STATUS(share(policy, running, left));
      }
    }
    return last - start;
  }

  // All workers among the jobs that still run.
  Status share(AllocationPolicy policy, const std::vector<std::size_t>& running,
               const std::vector<double>& left) {
    AllocationState state;
    state.machine = state_.machine;
    for (const std::size_t j : running) {
      state.jobs.push_back({.model = state_.jobs[j].model, .remaining = left[j]});
    }
    const std::vector<int> chosen = allocate(policy, state, {.objective = Objective::kMakespan});
    std::vector<int> workers(loaders_.size(), 1);
    for (std::size_t i = 0; i < running.size(); ++i) workers[running[i]] = chosen[i];
    return set_workers(workers);
  }

  const TrialOptions& options_;
  core::RandomStream& random_;
  const std::function<void(double)>& advance_;
  std::vector<std::unique_ptr<LiveLoader>> loaders_;
  AllocationState state_;
  Seconds spent_;
  MixResult result_;
};

}  // namespace

const std::vector<AllocationPolicy>& compared_policies() {
  static const std::vector<AllocationPolicy> kCompared = {
      AllocationPolicy::kEven, AllocationPolicy::kProportional, AllocationPolicy::kGain,
      AllocationPolicy::kOracle};
  return kCompared;
}

Result<SampleCost> measure_cost(const std::string& data, int size, const TrialOptions& options,
                                const core::PrivateFolder& folder) {
  MixJob job{.size = size};
  JobSpec spec = job_of(job, {Seconds(1e-5), Bytes(0)}, 0, data);
  spec.model.name = "cost";
  PENSTOCK_TRY(const std::unique_ptr<LiveLoader> loader,
               LiveLoader::start(spec, options.program, folder, 0));
  // As many as there are cores: what a sample costs with all of them busy.
  PENSTOCK_TRY_STATUS(loader->set_workers(std::max(1, static_cast<int>(options.machine.cores))));
  loader->set_goal(kEndless);
  PENSTOCK_TRY_STATUS(rest(kProbe));
  LoaderWindow window;
  PENSTOCK_TRY(window.begin, loader->state());
  PENSTOCK_TRY_STATUS(rest(kProbe));
  PENSTOCK_TRY(window.end, loader->state());
  JobModel model;
  if (!internal::fit_model({window}, model)) {
    return core::negative(data, "the loader delivered too little to learn what a sample costs",
                          "run again on a quieter machine");
  }
  return SampleCost{model.cpu_per_sample, model.bytes_per_sample};
}

Result<MixResult> run_mix(const std::vector<JobSpec>& jobs, const std::vector<double>& lengths,
                          const TrialOptions& options, const core::PrivateFolder& folder,
                          core::RandomStream& random, const std::function<void(double)>& advance) {
  return MixTrial(options, random, advance).run(jobs, lengths, folder);
}

}  // namespace penstock::loader
