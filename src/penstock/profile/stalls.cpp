#include "penstock/profile/stalls.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "penstock/core/check.h"
#include "penstock/profile/internal/bootstrap.h"

namespace penstock::profile {
namespace {

using core::RandomStream;

// Everything that was measured of one kind.
struct KindRuns {
  std::vector<const TimedRun*> runs;
  double mean = 0;                 // of all steps
  std::vector<double> replicates;  // of that mean
};

Stall stall_added_by(RunKind kind) {
  switch (kind) {
    case RunKind::kContention:
      return Stall::kContention;
    case RunKind::kRanks:
      return Stall::kInterconnect;
    case RunKind::kNodes:
      return Stall::kNetwork;
    case RunKind::kWarm:
      return Stall::kPrep;
    case RunKind::kSingle:
    case RunKind::kCold:
      break;
  }
  return Stall::kFetch;
}

std::int64_t steps_of(const KindRuns& kind) {
  std::int64_t steps = 0;
  for (const TimedRun* run : kind.runs) steps += static_cast<std::int64_t>(run->step_s.size());
  return steps;
}

double mean_of_kind(const KindRuns& kind) {
  double sum = 0;
  for (const TimedRun* run : kind.runs) {
    sum += internal::mean_of(run->step_s) * static_cast<double>(run->step_s.size());
  }
  return sum / static_cast<double>(steps_of(kind));
}

// The variation between runs of a kind beyond what their steps explain, pooled over the kinds.
struct RunEffect {
  double relative_deviation = 0;
  int degrees = 0;  // of freedom; 0: no kind was run twice
};

RunEffect pooled_run_effect(const std::array<KindRuns, kRunKinds>& kinds,
                            const BootstrapOptions& options) {
  constexpr int kWithinReplicates = 100;
  double between = 0;
  double within = 0;
  int runs = 0;
  RunEffect effect;
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    const KindRuns& kind = kinds[k];
    if (kind.runs.size() < 2) continue;
    RandomStream random(options.seed, fmt::format("within {}", k));
    std::vector<double> means;
    for (const TimedRun* run : kind.runs) {
      means.push_back(internal::mean_of(run->step_s));
      for (int r = 0; r < kWithinReplicates; ++r) {
        const double off = internal::block_bootstrap_mean(run->step_s, random) - means.back();
        within += off * off / (kWithinReplicates * kind.mean * kind.mean);
      }
      ++runs;
    }
    const double centre = internal::mean_of(means);
    for (const double mean : means) {
      between += (mean - centre) * (mean - centre) / (kind.mean * kind.mean);
    }
    effect.degrees += static_cast<int>(kind.runs.size()) - 1;
  }
  if (effect.degrees > 0) {
    const double variance = between / effect.degrees - within / runs;
    effect.relative_deviation = std::sqrt(std::max(0.0, variance));
  }
  return effect;
}

void bootstrap(std::size_t index, const RunEffect& effect, const BootstrapOptions& options,
               KindRuns& kind) {
  RandomStream random(options.seed, fmt::format("steps {}", index));
  const double spread =
      effect.relative_deviation * kind.mean / std::sqrt(static_cast<double>(kind.runs.size()));
  const auto steps = static_cast<double>(steps_of(kind));
  kind.replicates.reserve(static_cast<std::size_t>(options.replicates));
  for (int r = 0; r < options.replicates; ++r) {
    double sum = 0;
    for (const TimedRun* run : kind.runs) {
      sum += internal::block_bootstrap_mean(run->step_s, random) *
             static_cast<double>(run->step_s.size());
    }
    double mean = sum / steps;
    if (effect.degrees > 0) mean += spread * internal::student_t(effect.degrees, random);
    kind.replicates.push_back(mean);
  }
}

RunSummary summary_of(RunKind name, const KindRuns& kind, double confidence) {
  RunSummary summary;
  summary.kind = name;
  summary.runs = static_cast<int>(kind.runs.size());
  summary.steps = steps_of(kind);
  summary.step_s = internal::central_interval(kind.mean, kind.replicates, confidence);
  summary.min_s = std::numeric_limits<double>::infinity();
  for (const TimedRun* run : kind.runs) {
    const auto [low, high] = std::minmax_element(run->step_s.begin(), run->step_s.end());
    summary.min_s = std::min(summary.min_s, *low);
    summary.max_s = std::max(summary.max_s, *high);
  }
  return summary;
}

Interval difference_of(const KindRuns& later, const KindRuns& earlier, double confidence) {
  std::vector<double> replicates(later.replicates.size());
  for (std::size_t r = 0; r < replicates.size(); ++r) {
    replicates[r] = later.replicates[r] - earlier.replicates[r];
  }
  return internal::central_interval(later.mean - earlier.mean, std::move(replicates), confidence);
}

Status sort_by_kind(const std::vector<TimedRun>& runs, std::array<KindRuns, kRunKinds>& kinds) {
  for (const TimedRun& run : runs) {
    const std::string_view name = run_kind_name(run.kind);
    if (run.step_s.empty()) {
      return core::input_error(fmt::format("run \"{}\"", name), "has no counted step",
                               "give it more steps than its warm-up takes");
    }
    for (const double step : run.step_s) {
      if (!(step > 0) || !std::isfinite(step)) {
        return core::input_error(fmt::format("run \"{}\"", name),
                                 fmt::format("has a step of {} s", step));
      }
    }
    kinds[static_cast<std::size_t>(run.kind)].runs.push_back(&run);
  }
  if (kinds.front().runs.empty()) {
    return core::input_error("runs", "there is no run of a single rank",
                             "every stall is a difference to it; run kind \"single\" too");
  }
  return {};
}

}  // namespace

std::string_view run_kind_name(RunKind kind) {
  constexpr std::array<std::string_view, kRunKinds> kNames = {"single", "contention", "ranks",
                                                              "nodes",  "warm",       "cold"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string_view stall_name(Stall stall) {
  constexpr std::array<std::string_view, 5> kNames = {"contention", "interconnect", "network",
                                                      "prep", "fetch"};
  return kNames[static_cast<std::size_t>(stall)];
}

const StallEstimate* Decomposition::find(Stall stall) const {
  for (const StallEstimate& estimate : stalls) {
    if (estimate.stall == stall) return &estimate;
  }
  return nullptr;
}

const RunSummary* Decomposition::find(RunKind kind) const {
  for (const RunSummary& summary : runs) {
    if (summary.kind == kind) return &summary;
  }
  return nullptr;
}

Result<Decomposition> decompose(const std::vector<TimedRun>& runs,
                                const BootstrapOptions& options) {
  PENSTOCK_CHECK(options.replicates > 1);
  std::array<KindRuns, kRunKinds> kinds;
  PENSTOCK_TRY_STATUS(sort_by_kind(runs, kinds));
  for (KindRuns& kind : kinds) {
    if (!kind.runs.empty()) kind.mean = mean_of_kind(kind);
  }
  const RunEffect effect = pooled_run_effect(kinds, options);
  Decomposition found;
  found.run_to_run = effect.relative_deviation;
  found.run_to_run_known = effect.degrees > 0;

  const KindRuns* earlier = nullptr;
  RunKind earlier_kind = RunKind::kSingle;
  double single_node_mean = 0;  // of k ranks on one node, which Stash divides interconnect by
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    KindRuns& kind = kinds[k];
    if (kind.runs.empty()) continue;
    const auto name = static_cast<RunKind>(k);
    bootstrap(k, effect, options, kind);
    found.runs.push_back(summary_of(name, kind, options.confidence));
    if (name <= RunKind::kRanks) single_node_mean = kind.mean;
    if (earlier != nullptr) {
      StallEstimate estimate;
      estimate.stall = stall_added_by(name);
      estimate.later = name;
      estimate.earlier = earlier_kind;
      estimate.time_s = difference_of(kind, *earlier, options.confidence);
      // Stash divides the network's stall by the step without it, every other by the later step.
      estimate.paper_share =
          estimate.time_s.value / (name == RunKind::kNodes ? earlier->mean : kind.mean);
      found.stalls.push_back(estimate);
    }
    earlier = &kind;
    earlier_kind = name;
  }
  found.compute_s = found.runs.front().step_s;
  found.whole_s = found.runs.back().step_s;
  found.compute_share = found.compute_s.value / found.whole_s.value;
  for (StallEstimate& estimate : found.stalls) {
    estimate.share = estimate.time_s.value / found.whole_s.value;
    if (estimate.stall == Stall::kContention) {
      estimate.paper_share = estimate.time_s.value / single_node_mean;
    }
  }
  return found;
}

std::vector<ResourceSlack> slack_of(const std::vector<ResourceRate>& rates, double reached) {
  PENSTOCK_CHECK(reached > 0);
  std::vector<ResourceSlack> all;
  for (const ResourceRate& rate : rates) {
    ResourceSlack slack{
        rate.name, rate.samples_per_s, rate.at_least, rate.samples_per_s / reached, 0, ""};
    double others = std::numeric_limits<double>::infinity();
    const auto limit = [&](double samples_per_s, const std::string& name) {
      if (samples_per_s >= others) return;
      others = samples_per_s;
      slack.binds = name;
    };
    double step_s = 0;  // of a sample, without this resource
    const ResourceRate* slowest = nullptr;
    for (const ResourceRate& other : rates) {
      if (&other == &rate) continue;
      if (!other.in_step) {
        limit(other.samples_per_s, other.name);
        continue;
      }
      step_s += 1 / other.samples_per_s;
      if (slowest == nullptr || other.samples_per_s < slowest->samples_per_s) slowest = &other;
    }
    if (slowest != nullptr) limit(1 / step_s, slowest->name);
    if (!slack.binds.empty()) slack.gain = std::max(0.0, others / reached - 1);
    all.push_back(std::move(slack));
  }
  return all;
}

}  // namespace penstock::profile
