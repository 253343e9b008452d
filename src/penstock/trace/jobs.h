// Training jobs as they were submitted to a cluster: read from the formats that are in use, or
// drawn at random.
//
//   PENSTOCK_TRY(const JobTrace trace, read_jobs("trace3.csv", {.format = "muri"}));
//   const JobTrace random = *generate_jobs({.law = "philly-like", .jobs = 100000}, seed);
//
// Jobs come out in the order of submission, equal times in the order of the file.
// docs/job_traces.md has a section for each format: its columns, where its files come from, and
// what of it is read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"

namespace penstock::trace {

struct TrainingJob {
  std::string name;               // as the trace calls it, else its row counted from 0; each once
  std::int64_t submit_ns = 0;     // since the trace's own beginning, at least 0
  std::int64_t duration_ns = 0;   // alone, on the accelerators that the trace ran it on; above 0
  std::int64_t deadline_ns = -1;  // since the same beginning, not before submit_ns; -1: none
  std::int64_t start_ns = -1;     // when the trace's own scheduler started it; -1: it does not say
  std::int64_t iterations = 0;    // 0: the trace does not say
  std::int32_t accelerators = 1;
  std::int32_t model = -1;  // index into JobTrace::models; -1: the trace does not say
  std::int32_t batch = 0;   // over all accelerators; 0: the trace does not say
  // The part of an iteration, in [0, 1], during which the trace saw the network busy; -1: it does
  // not say. An upper bound of what a faster network can save, since it may overlap computation.
  float network_share = -1;
};

struct JobTrace {
  std::vector<TrainingJob> jobs;
  std::vector<std::string> models;  // lower case, as the trace writes them: "resnet50"; each once
  std::string source;               // the file, or the law that drew it; for errors
  std::vector<std::string> notes;   // what of the file was left out, and why; one sentence each
};

struct JobFormat {
  std::string format{};  // one of job_formats()
  // Gavel: the file of measured steps per second, without which steps are no duration, and the
  // device key in it.
  std::string throughputs{};
  std::string device = "v100";
  // Pollux: the folder of measured step times, <application>_placements.csv and
  // <application>_scalability.csv, without which samples are no duration.
  std::string profiles{};
  // Muri: a job's work is its iterations times the iteration time that the trace measured, not its
  // duration column, which in the testbed's trace is another figure.
  bool work_from_iterations = false;
};

// "philly", "muri", "tiresias", "gavel", "pollux", "shockwave", "sacct", "penstock".
const std::vector<std::string>& job_formats();
// Bad rows are reported by line, with the column and the mend: a negative time, no accelerators, a
// missing column, a duration that is no number. An empty trace is an error. No time lies more than
// 100 years after the beginning (or after 1970), so that sums of two fit.
Result<JobTrace> read_jobs(const std::string& path, const JobFormat& format);
// `name` stands for the file in errors.
Result<JobTrace> parse_jobs(std::string_view text, const std::string& name,
                            const JobFormat& format);
// The format "penstock"; reading it gives the same trace, but for notes.
std::string jobs_text(const JobTrace& trace);

struct JobLaw {
  // "poisson": exponential gaps and durations. "bursty": exponential durations, arrivals that
  // switch between a quiet and a busy Poisson process (Markov-modulated). "philly-like":
  // accelerators and durations as the Philly trace shows them, arrivals that follow its hours and
  // weekdays from a Monday's midnight on.
  std::string law = "poisson";
  int jobs = 1000;
  Seconds mean_gap{};       // zero: the law's own, 60 s, or 150 s if philly-like
  Seconds mean_duration{};  // zero: the law's own, 1 h, or 3.4 h if philly-like
  // Drawn evenly, but for the accelerators of philly-like. No models: the jobs name none.
  std::vector<int> accelerators = {1};
  std::vector<std::string> models{};
  // Bursty alone: how much faster jobs arrive when busy, the part of the time that is busy, and how
  // many mean gaps a busy time lasts on average.
  double burst_ratio = 10;
  double burst_share = 0.1;
  double burst_gaps = 20;
};
Result<JobTrace> generate_jobs(const JobLaw& law, std::uint64_t seed);

// Gives each job without a model one of Pollux's six applications by its accelerator-time: below 1
// h "cifar10" or "ncf", below 10 h "deepspeech2" or "bert", below 100 h "yolov3", else "imagenet"
// (docs/job_traces.md). Which of two: the seed and the job's place in the trace. A note says how
// many.
void attach_models(JobTrace& trace, std::uint64_t seed);

}  // namespace penstock::trace
