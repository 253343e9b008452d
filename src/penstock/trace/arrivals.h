// Training jobs as they arrive at a machine: read from text, written as text, or drawn at random.
//
//   name,arrival_s,accelerators,samples,loader
//   job-0,0,1,51200,resnet50
//   job-1,12.5,2,102400,alexnet
//
//   PENSTOCK_TRY(const ArrivalTrace trace, read_arrivals("jobs.csv"));
//   const ArrivalTrace random = poisson_arrivals({.jobs = 20, .loaders = {"resnet50"}}, seed);
//
// Comma-separated values with this very first line; names hold no comma. Empty lines and lines that
// begin with # are skipped. Rows may come in any order; jobs come out in the order of arrival.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"

namespace penstock::trace {

struct JobArrival {
  std::string name;
  Seconds arrival;
  int accelerators = 1;
  std::int64_t samples = 0;  // work, in samples
  std::string loader;        // the name of a loader profile, which the reader's user knows
};

struct ArrivalTrace {
  std::vector<JobArrival> jobs;
};

// Every bad row is reported, by line.
Result<ArrivalTrace> read_arrivals(const std::string& path);
// `name` stands for the file in errors.
Result<ArrivalTrace> parse_arrivals(std::string_view text, const std::string& name);
std::string arrivals_text(const ArrivalTrace& trace);

// A Poisson process: gaps between arrivals are exponential, work is exponential too, accelerators
// and loaders are drawn evenly from the lists, which must not be empty.
struct PoissonArrivals {
  int jobs = 10;
  Seconds mean_gap{10};
  double mean_samples = 50000;
  std::vector<int> accelerators = {1};
  std::vector<std::string> loaders;
};
ArrivalTrace poisson_arrivals(const PoissonArrivals& process, std::uint64_t seed);

}  // namespace penstock::trace
