// The runs of Stash on a real training job, and what they say.
//
//   TrainProfileOptions options;
//   options.model = "resnet18.onnx";
//   options.data = "photos";
//   options.ranks = 2;
//   PENSTOCK_TRY(const TrainProfile profile, profile_training(options));
//   fmt::print("{}", profile_text(profile));
//
// Every run is a launch of real rank processes (train/launch.h) fed, where it needs data, by
// `penstock load run` processes through shared memory. Nothing of a run is kept between runs but
// the page cache.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "penstock/core/json_fwd.h"
#include "penstock/core/quantity.h"
#include "penstock/core/result.h"
#include "penstock/ledger/ledger.h"
#include "penstock/profile/schedule.h"
#include "penstock/profile/stalls.h"
#include "penstock/train/job.h"
#include "penstock/train/launch.h"

namespace penstock::profile {

// An accelerator as MLPerf Storage has it: a time for the step of a batch.
struct EmulatedProfile {
  std::string name;  // "resnet50-h100"
  std::int64_t batch = 0;
  Seconds compute;          // of one step
  double sample_bytes = 0;  // in the benchmark's data set
  double parameters = 0;    // 0: unknown, then nothing is summed over ranks
  int tensors = 0;
};
const std::vector<EmulatedProfile>& emulated_profiles();
Result<EmulatedProfile> emulated_profile(const std::string& name);

struct LoaderOptions {
  int workers = 0;  // of each rank; 0: its share of the cores
  int cores = 0;    // that all workers of a rank may use; 0: any
  std::string cache = "page";
  std::string cache_size;   // text with a unit, or empty
  std::string disk_limit;   // likewise
  std::int64_t size = 224;  // of an image's side
  double max_bad = 0.01;    // share of the images
};

// Ranks and loaders as steps of Slurm's, on its nodes and their own network.
struct SlurmOptions {
  std::string shared;     // folder that all nodes see; empty: the working directory
  std::string interface;  // network device between nodes; empty: the one on the way to the first
};

struct TrainProfileOptions {
  std::string model;                       // an ONNX file
  std::optional<EmulatedProfile> emulate;  // instead of computing
  std::vector<std::string> attach;         // a training program of the user's, with step markers
  std::string data;                        // empty: synthetic runs only
  // Of the data, as whoever reads them counts; 0: the JPEG files below the folder.
  std::int64_t dataset_samples = 0;
  double dataset_bytes = 0;
  std::int64_t batch = 32;  // of one rank
  int ranks = 1;
  int nodes = 1;
  Bandwidth link;                     // between nodes; 0: unlimited
  Seconds delay;                      // of it, one way
  bool nodes_in_transport = false;    // limit links in the transport even where the kernel could
  std::optional<SlurmOptions> slurm;  // absent: everything on this machine
  std::optional<train::Transport> transport;  // absent: what fits
  train::Optimizer optimizer = train::Optimizer::kSgd;
  bool overlap = true;
  std::int64_t bucket_bytes = 25 << 20;
  LoaderOptions loader;
  std::int64_t steps = 20;  // counted, of one run
  std::int64_t warmup = 3;
  int threads = 0;  // of a rank; 0: its share of the cores
  ScheduleGoal goal;
  std::uint64_t seed = 0;
  std::string loader_program;  // empty: this program
  std::string accelerator;     // the catalogue's name of what computes here; empty: "cpu" or "cuda"
  bool progress = false;
};

// The mean of each part of a step, over ranks and steps of all runs of a kind.
struct Phases {
  RunKind kind = RunKind::kSingle;
  double wait_s = 0;   // for the batch and its copy
  double fetch_s = 0;  // of that, the loader's waits for storage
  double forward_s = 0;
  double backward_s = 0;
  double exposed_s = 0;
  double optimizer_s = 0;
  double sent_bytes = 0;  // of a rank
};

// The second estimate of a stall, from the clocks inside the runs.
struct DirectEstimate {
  Stall stall = Stall::kContention;
  Interval time_s;
  bool agrees = true;  // its interval and that of the difference overlap
};

struct TrainProfile {
  std::string model;        // name
  std::string accelerator;  // what computes: "cpu", or the emulated profile
  TrainProfileOptions options;
  std::string link_text;  // how nodes were made: "network namespaces", "limit in the transport"
  std::vector<std::string> slurm_nodes;
  std::string transport;
  int cores = 1;
  int workers = 0;  // of the loader, a rank

  Decomposition stalls;
  std::vector<DirectEstimate> direct;
  std::vector<Phases> phases;
  std::vector<ResourceSlack> slack;
  StopReason stopped = StopReason::kPrecise;
  bool interrupted = false;
  std::vector<std::string> notes;
  std::int64_t bad_images = 0;  // that the loaders of one run have replaced, at most
  double marker_s = 0;  // what an empty step takes with its markers: the cost of measuring, at most

  // For predictions: what-if and the choice of instances.
  std::vector<std::int64_t> gradient_bytes;  // in the order of the forward pass
  double macs_per_sample = 0;
  double prep_rate = 0;   // samples/s of all loaders with nothing to wait for; 0: no data
  double fetch_rate = 0;  // likewise from a cold disk
  double sample_bytes = 0;
  double dataset_bytes = 0;
  std::int64_t dataset_samples = 0;

  std::vector<ledger::Ledger> ledgers;  // of the last run of each kind, with spans

  // Of all ranks, with every stall.
  double samples_per_s() const;
};

// Makes one run. The tests put their own in its place.
using Runner = std::function<Result<train::RunRecord>(RunKind kind, int number)>;

// The kinds of run that the options ask for, in the order of RunKind.
std::vector<RunKind> wanted_kinds(const TrainProfileOptions& options);

// Runs what next_run() asks for until it stops, Ctrl-C, or a run that fails (then what was measured
// so far, if every kind has run; else the error), and fills in everything that comes from the runs.
Status conduct(const Runner& runner, TrainProfile& profile);

// All of it, on this machine or Slurm's.
Result<TrainProfile> profile_training(const TrainProfileOptions& options);

// Schema "penstock-profile/1"; docs/profile.md describes it.
core::Json profile_document(const TrainProfile& profile);
std::string profile_text(const TrainProfile& profile);

}  // namespace penstock::profile
