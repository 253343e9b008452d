// What a simulation comes to: figures over jobs and accelerators, and the ledger.
#pragma once

#include "penstock/cluster/simulate.h"
#include "penstock/core/result.h"

namespace penstock::cluster::internal {

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
