// How fast one training job can go with a number of loader workers, and what that costs.
//
//   PENSTOCK_TRY(const WorkerCurve curve, fit_curve({{1, 410}, {2, 800}, {4, 1150}}));
//   JobModel job{.name = "resnet50", .accelerators = 1, .batch = 32, .step = Seconds(0.05)};
//   job.curve = curve;
//   job.full_rate();              // samples/s where the accelerators never wait
//   job.workers_for_full_rate();  // the fewest that reach it
//   job.rate(2);                  // with two workers and the machine to itself
//
// Accelerators of one job take a batch each in a step, together; the step takes as long as its
// computation and synchronisation, or as its slowest accelerator waits for data.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"

namespace penstock::loader {

// Samples per second that a loader was seen to deliver when nothing made it wait.
struct Probe {
  int workers = 1;
  double rate = 0;
};

// r(n) = (a(n)^-p + R^-p)^(-1/p) with a(n) = n / sample_time: n workers one after another, bent to
// the ceiling R by a knee of sharpness p. Concave and increasing in n for every p >= 1; a large p
// is the piecewise-linear min(a, R), p = 1 the hyperbola of a shared serial part (Amdahl).
struct WorkerCurve {
  Seconds sample_time;                                       // of one worker and one sample
  double ceiling = std::numeric_limits<double>::infinity();  // samples/s, whatever the workers
  double sharpness = 32;
  std::vector<double> residuals;  // (fitted - observed) / observed, of each probe

  double rate(double workers) const;
};

// Least squares of the relative errors: for each of a few p, r^-p is linear in (1/n)^p and 1.
// Needs a probe of at least one number of workers; one number alone tells no ceiling.
Result<WorkerCurve> fit_curve(const std::vector<Probe>& probes);

struct JobModel {
  std::string name;
  int accelerators = 1;
  std::int64_t batch = 32;  // of one accelerator in one step
  Seconds step;             // computation and synchronisation; what a step takes at least
  Seconds cpu_per_sample;   // of the loader
  Bytes bytes_per_sample;
  double hit_ratio = 0;  // of samples, from a cache and not from storage
  WorkerCurve curve;     // with the machine to itself

  double full_rate() const;  // samples/s where the accelerators never wait
  // From storage, for each sample.
  double storage_bytes() const;
  // What the loader could deliver with shares of the machine's cores and storage.
  double loader_rate(double workers, double cores, Bandwidth storage) const;
  // What the job reaches: of the two above the smaller.
  double rate(double workers, double cores, Bandwidth storage) const;
  double rate(double workers) const;
  // Of the accelerators' time, waiting for data at that rate.
  double idle_fraction(double rate) const;
  // The fewest workers that reach the full rate within 1 %, or 0 where no number does.
  int workers_for_full_rate() const;
};

}  // namespace penstock::loader
