// The training loop of one rank, with the times of every step.
//
//   StepParts parts{.trainer = &trainer, .collective = ring.get(), .reader = nullptr};
//   PENSTOCK_TRY_STATUS(run_steps(job, parts, [&](const StepRecord& s) { writer.write(s); }));
//
// A step is: wait for a batch and copy it to the device; forward; backward, in which buckets of
// gradients are summed over the ranks as they fill; wait for what is left of the sums; update. The
// loop itself sends nothing else between ranks: loss and times are reported by each rank for
// itself. One barrier before the first counted step lets the ranks start together.
#pragma once

#include <functional>

#include "penstock/core/result.h"
#include "penstock/train/collective.h"
#include "penstock/train/job.h"
#include "penstock/train/steps.h"
#include "penstock/train/trainer.h"

namespace penstock::train {

struct StepParts {
  Trainer* trainer = nullptr;
  Collective* collective = nullptr;  // null: one rank. Without job.all_reduce only for the barrier
  BatchReader* reader = nullptr;     // null: synthetic batches
};

// Runs job.warmup + job.steps steps, fewer where the data end; a batch that is not full is passed
// over. Fails with one line where a part does.
Status run_steps(const Job& job, const StepParts& parts,
                 const std::function<void(const StepRecord&)>& report);

}  // namespace penstock::train
