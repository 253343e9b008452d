// Nodes that Slurm lends for the runs of a job, and that go back when they are not needed.
//
//   PENSTOCK_TRY(SlurmAllocation allocation, SlurmAllocation::create({.ranks = 2, .nodes = 2}));
//   launch.slurm = allocation.first(2);                // ranks start there through srun
//   job.rendezvous = allocation.new_rendezvous();      // another for every run
//   job.interface = allocation.interface();
//
// Where we run inside an allocation (SLURM_JOB_ID, as in salloc and sbatch) its nodes serve, and
// stay with their owner. Else one is asked for with salloc, whose own variables (SALLOC_PARTITION,
// SALLOC_GPUS_PER_NODE, ...) say what else is wanted; it ends with this object, or with this
// process however that ends.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "penstock/core/result.h"

namespace penstock::train {

struct SlurmRequest {
  int ranks = 1;
  int nodes = 1;               // that the ranks go evenly over
  int processors_of_rank = 0;  // 0: one, or what the allocation we run in has
};

struct SlurmNodes {
  std::string job;
  std::vector<std::string> names;  // in Slurm's order: rank 0 runs on the first
  std::string address;             // of the first node, IPv4
  std::string our_address;         // by which nodes reach us
  int processors_of_rank = 1;
};

class SlurmAllocation {
 public:
  // Waits in Slurm's queue; Ctrl-C (core/interrupt.h) ends the waiting.
  static Result<SlurmAllocation> create(const SlurmRequest& request);
  SlurmAllocation(SlurmAllocation&& other) noexcept;
  SlurmAllocation& operator=(SlurmAllocation&& other) noexcept;
  ~SlurmAllocation();

  const SlurmNodes& nodes() const;
  SlurmNodes first(int nodes) const;
  // Where ranks meet: a port of the first node that has not been given out before.
  std::string new_rendezvous();
  // For Job::interface: each rank's device on the way to the first node.
  std::string interface() const;

 private:
  struct State;
  explicit SlurmAllocation(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace penstock::train
