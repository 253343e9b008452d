// Several training jobs on this machine, live: each has a loader of its own, a process that is
// resized while it runs, and accelerators emulated by their published step time.
//
//   PENSTOCK_TRY(const JobsFile file, read_jobs("jobs.toml"));
//   DaemonOptions options{.program = penstock, .policy = AllocationPolicy::kGain};
//   PENSTOCK_TRY(const LiveReport report, run_live(file, options));
//
// Loaders are resized when a job arrives, when one ends, when a job's model has been fitted, and
// when a rate drifts from the predicted one. None is restarted. Nothing stays behind: loaders end
// with us, and sockets and shared memory are removed, after Ctrl-C too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"
#include "penstock/ledger/ledger.h"
#include "penstock/loader/allocation.h"

namespace penstock::loader {

struct JobSpec {
  JobModel model;  // without cpu_per_sample: fitted while running
  Seconds arrival;
  std::int64_t samples = 0;
  std::string data;                           // folder of images; empty: no live run
  std::vector<std::string> loader_arguments;  // of `penstock load run`: size, cache, disk limit
};

struct JobsFile {
  MachineBudget machine;
  AllocationParameters parameters;
  std::vector<JobSpec> jobs;
};

// TOML; docs/load_allocate.md describes it. All errors at once.
Result<JobsFile> read_jobs(const std::string& path);
Result<JobsFile> parse_jobs(const std::string& text, const std::string& name);
// What all jobs of the file are at the start, together.
AllocationState state_of(const JobsFile& file);

struct DaemonOptions {
  std::string program;  // penstock
  AllocationPolicy policy = AllocationPolicy::kGain;
  Seconds window{0.5};  // of one observation
};

struct LiveJobReport {
  std::string name;
  Seconds arrival;
  Seconds end;  // since the start of the run
  std::int64_t samples = 0;
  double rate = 0;      // samples/s from arrival to end
  double fraction = 0;  // of the full rate
  int resizes = 0;
  JobModel model;  // as last fitted
};

struct LiveReport {
  AllocationPolicy policy = AllocationPolicy::kGain;
  std::vector<LiveJobReport> jobs;
  Seconds makespan;
  double mean_fraction = 0;
  int drifts = 0;
  bool interrupted = false;  // the jobs are as far as they came
  ledger::Ledger ledger;
};

Result<LiveReport> run_live(const JobsFile& file, const DaemonOptions& options);

}  // namespace penstock::loader
