// What a simulation comes to: figures over jobs and accelerators, and the ledger.
#pragma once

#include "penstock/cluster/simulate.h"
#include "penstock/core/result.h"

namespace penstock::cluster::internal {

// As the simulation counts them: Tiresias' simulator in whole seconds, and at least one of work.
Time submit_of(const Simulation& simulation, const trace::TrainingJob& job);
Time work_of(const Simulation& simulation, const trace::TrainingJob& job);

struct ClusterTime {
  Time begin;                   // the first submission
  Time end;                     // the last completion
  double waiting_free_ns = 0;   // accelerators free while jobs waited, over time
  double declined_free_ns = 0;  // of it, while a job declined what was free
};

// Fills result.metrics and result.ledger from its outcomes.
Status fill_metrics(const Simulation& simulation, const ClusterTime& time,
                    SimulationResult& result);

}  // namespace penstock::cluster::internal
