#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "penstock/core/interrupt.h"
#include "penstock/profile/internal/direct.h"
#include "penstock/profile/internal/setting.h"
#include "penstock/profile/train_profile.h"

namespace penstock::profile {
namespace {

using internal::KeptRun;

Seconds since(std::chrono::steady_clock::time_point start) {
  return Seconds(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

// The rest of this round, and all of the second one while the first is under way.
Seconds estimate_left(const std::vector<RunKind>& kinds, const std::vector<MadeRun>& made,
                      const NextRun& next) {
  if (made.size() >= kinds.size()) return next.remaining;
  if (made.empty()) return Seconds(0);
  Seconds spent;
  for (const MadeRun& run : made) spent += run.took;
  const auto left = static_cast<double>(2 * kinds.size() - made.size());
  return spent * (left / static_cast<double>(made.size()));
}

void say(const TrainProfile& profile, const std::vector<RunKind>& kinds,
         const std::vector<MadeRun>& made, const NextRun& next, Seconds elapsed) {
  if (!profile.options.progress) return;
  const Seconds left = estimate_left(kinds, made, next);
  fmt::print(stderr, "{:>7.1f} s  run {} \"{}\"{}\n", elapsed.value(), made.size() + 1,
             run_kind_name(*next.kind),
             left.value() > 0 ? fmt::format(", about {:.0f} s to go", left.value()) : "");
}

// Everything that follows from the runs.
Status fill_in(const std::vector<MadeRun>& made, const std::vector<KeptRun>& kept,
               TrainProfile& profile) {
  const TrainProfileOptions& options = profile.options;
  std::vector<TimedRun> runs;
  for (const MadeRun& run : made) runs.push_back(run.run);
  PENSTOCK_TRY(profile.stalls, decompose(runs, options.goal.bootstrap));
  profile.phases = internal::phases_of(kept, options.warmup);
  profile.direct =
      internal::direct_estimates(profile.stalls, kept, options.warmup, options.goal.bootstrap);
  for (const RunSummary& summary : profile.stalls.runs) {
    const auto last = std::find_if(kept.rbegin(), kept.rend(),
                                   [&](const KeptRun& run) { return run.kind == summary.kind; });
    const bool across = options.nodes > 1 && summary.kind >= RunKind::kNodes;
    profile.ledgers.push_back(internal::ledger_of(
        *last, fmt::format("{}: {}", profile.model, run_kind_name(summary.kind)), options.warmup,
        across));
  }

  const auto samples = static_cast<double>(options.batch * options.ranks);
  std::vector<ResourceRate> rates;
  const RunSummary* together = profile.stalls.find(RunKind::kContention);
  const double step = (together != nullptr ? together->step_s : profile.stalls.compute_s).value;
  rates.push_back({"compute", samples / step, false, true});
  // As the clocks inside say: the difference of runs may drown in noise.
  double communication = 0;
  for (const Phases& phases : profile.phases) {
    if (phases.kind == profile.stalls.runs.back().kind) communication = phases.exposed_s;
  }
  // Communication that shows follows computing, so that neither alone holds the other up.
  if (communication > 0) rates.push_back({"communication", samples / communication, false, true});
  if (profile.prep_rate > 0) rates.push_back({"prep", profile.prep_rate});
  if (profile.fetch_rate > 0) rates.push_back({"fetch", profile.fetch_rate});
  // A loader alone may come out no faster than it feeds training, by noise; it is then at least
  // as fast as that.
  const double reached = profile.samples_per_s();
  for (ResourceRate& rate : rates) {
    if (rate.samples_per_s >= reached) continue;
    rate.samples_per_s = reached;
    rate.at_least = true;
  }
  profile.slack = slack_of(rates, reached);
  return {};
}

// The most that the loaders of one run have replaced together.
std::int64_t bad_images(const std::vector<KeptRun>& kept) {
  std::int64_t most = 0;
  for (const KeptRun& run : kept) {
    std::int64_t bad = 0;
    for (const train::RankRecord& rank : run.record.ranks) {
      if (!rank.steps.empty()) bad += rank.steps.back().bad_samples;
    }
    most = std::max(most, bad);
  }
  return most;
}

bool has_all(const std::vector<RunKind>& kinds, const std::vector<MadeRun>& made) {
  std::set<RunKind> seen;
  for (const MadeRun& run : made) seen.insert(run.run.kind);
  return seen.size() == kinds.size();
}

}  // namespace

double TrainProfile::samples_per_s() const {
  return static_cast<double>(options.batch * options.ranks) / stalls.whole_s.value;
}

std::vector<RunKind> wanted_kinds(const TrainProfileOptions& options) {
  std::vector<RunKind> kinds = {RunKind::kSingle};
  const bool has_slurm = options.slurm.has_value();
  const bool across = options.nodes > 1 && (options.attach.empty() || has_slurm);
  if (options.ranks > 1) {
    kinds.push_back(RunKind::kContention);
    // Slurm's nodes have room for their own ranks, and seldom for all of them.
    if (!across || !has_slurm) kinds.push_back(RunKind::kRanks);
  }
  if (across) kinds.push_back(RunKind::kNodes);
  if (!options.data.empty() || !options.attach.empty()) {
    kinds.push_back(RunKind::kWarm);
    // A loader drops the files on its node; for an attached program only we could, and only here.
    const bool can_drop =
        options.attach.empty() ||
        (!has_slurm && (!options.data.empty() || internal::can_drop_all_caches()));
    if (can_drop) kinds.push_back(RunKind::kCold);
  }
  return kinds;
}

Status conduct(const Runner& runner, TrainProfile& profile) {
  const TrainProfileOptions& options = profile.options;
  const std::vector<RunKind> kinds = wanted_kinds(options);
  const auto start = std::chrono::steady_clock::now();
  std::vector<MadeRun> made;
  std::vector<KeptRun> kept;
  while (true) {
    const NextRun next = next_run(kinds, made, since(start), options.goal);
    profile.stopped = next.reason;
    if (!next.kind) break;
    if (core::interrupted()) {
      profile.interrupted = true;
      break;
    }
    say(profile, kinds, made, next, since(start));
    const auto begin = std::chrono::steady_clock::now();
    Result<train::RunRecord> record = runner(*next.kind, static_cast<int>(made.size()));
    if (!record) {
      // Every difference is known by now; the failure takes only what it would have added.
      if (!has_all(kinds, made)) return core::fail(std::move(record).error());
      profile.notes.push_back("stopped early: " + record.error().text());
      break;
    }
    profile.interrupted = record->interrupted;
    // A program of the user's says itself how large its batch is.
    const std::int64_t said = record->ranks.empty() ? 0 : record->ranks.front().hello.batch;
    if (!options.attach.empty() && said > 0) profile.options.batch = said;
    TimedRun timed = internal::timed_run(*next.kind, *record, options.warmup, options.batch);
    if (!timed.step_s.empty()) {
      made.push_back({std::move(timed), since(begin)});
      kept.push_back({*next.kind, *std::move(record)});
    } else if (!profile.interrupted) {
      return core::input_error(fmt::format("run \"{}\"", run_kind_name(*next.kind)),
                               "ended before a counted step",
                               "its data may be too few: lower --steps or --batch");
    }
    if (profile.interrupted) break;
  }
  if (made.empty()) {
    return core::negative("profile", "interrupted before anything was measured");
  }
  profile.bad_images = bad_images(kept);
  return fill_in(made, kept, profile);
}

}  // namespace penstock::profile
