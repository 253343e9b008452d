// Starts the ranks of a training program as processes, listens to their steps, and lets none of
// them outlive the run.
//
//   Launch launch;
//   launch.ranks = {{.command = {worker, job0_path}}, {.command = {worker, job1_path}}};
//   PENSTOCK_TRY(const RunRecord record, run_ranks(launch));
//
// A rank that dies takes the run with it, by name and with the last lines it wrote; a rank that is
// silent for `patience` counts as hung. Ctrl-C (core/interrupt.h) ends the run and keeps its steps.
// Standard output and error of all processes are caught; the last lines show in the error.
//
// Ranks find $PENSTOCK_STEPS in their environment, and RANK, LOCAL_RANK and WORLD_SIZE, unless
// their command sets these otherwise.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"
#include "penstock/train/slurm.h"
#include "penstock/train/steps.h"

namespace penstock::train {

struct RankCommand {
  std::vector<std::string> command;                // program and arguments
  std::map<std::string, std::string> environment;  // added to ours
  std::string network_namespace;                   // runs in it; empty: ours
  std::vector<int> processors;                     // it may run on; empty: all of ours
  std::string name;                                // of a companion in errors; empty: its number
};

struct Launch {
  std::vector<RankCommand> ranks;
  std::vector<RankCommand> companions;  // loaders: started first, ended with the ranks
  // Without a line of a rank, after its first step; or five of its longest steps, if that is more.
  Seconds patience{60};
  Seconds start_patience{300};  // until every rank's first step
  // Where there is one, ranks and companions start through srun, evenly over its nodes, and say
  // their steps over TCP; there are as many companions as ranks, each on its rank's node, or none.
  // Namespaces and processors are then Slurm's, and processor time and memory are not known here.
  std::optional<SlurmNodes> slurm;
};

struct RankRecord {
  StepsHello hello;
  std::vector<StepRecord> steps;  // in order, warm-up included
  double cpu_s = 0;               // of the process, user and system
  std::int64_t peak_bytes = 0;    // resident
};

struct RunRecord {
  std::vector<RankRecord> ranks;  // by rank
  bool interrupted = false;       // steps are what was there
};

Result<RunRecord> run_ranks(const Launch& launch);

// The path of a program that is installed beside this one ("penstock-torch-worker"), or an error
// (exit code 3) that says which package it needs. $PENSTOCK_LIBEXEC goes first.
Result<std::string> companion_program(const std::string& name);

}  // namespace penstock::train
