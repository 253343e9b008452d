// What the clocks inside the runs say: the parts of every step, and a second estimate of the
// stalls.
#pragma once

#include <map>
#include <vector>

#include "penstock/profile/stalls.h"
#include "penstock/profile/train_profile.h"
#include "penstock/train/launch.h"

namespace penstock::profile::internal {

struct KeptRun {
  RunKind kind = RunKind::kSingle;
  train::RunRecord record;
};

// Seconds of each counted step: from the end of the step before to its own, averaged over ranks,
// rescaled to `batch` samples. Steps that a rank has not finished are left out.
TimedRun timed_run(RunKind kind, const train::RunRecord& record, std::int64_t warmup,
                   std::int64_t batch);

// Means over all runs of each kind.
std::vector<Phases> phases_of(const std::vector<KeptRun>& runs, std::int64_t warmup);

// Contention is slower computing, interconnect and network are exposed communication and what it
// took from computing, prep and fetch are waits for the batch; each as the difference of the same
// two kinds as the stall.
std::vector<DirectEstimate> direct_estimates(const Decomposition& stalls,
                                             const std::vector<KeptRun>& runs, std::int64_t warmup,
                                             const BootstrapOptions& options);

// Where each rank's time went in one run, with a span for each part of each step.
ledger::Ledger ledger_of(const KeptRun& run, const std::string& title, std::int64_t warmup,
                         bool across_nodes);

}  // namespace penstock::profile::internal
