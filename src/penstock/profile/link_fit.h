// Latency and bandwidth of a link from timed collectives, in nccl-tests' terms.
//
//   PENSTOCK_TRY(const LinkFit fit, fit_link(points, ranks));
//   // fit.model.alpha_s, fit.model.beta_bytes_per_s; bus bandwidth of a point:
//   bus_bandwidth(points[0], CollectiveKind::kAllReduce, ranks);
//
// Bus bandwidth (nccl-tests, doc/PERFORMANCE.md) multiplies bytes over time by a factor of the
// operation, so that it compares with the link's own rate. It supposes a ring: over a tree it may
// exceed the line rate.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"
#include "penstock/profile/overlap.h"

namespace penstock::profile {

enum class CollectiveKind {
  kAllReduce,
  kAllGather,
  kReduceScatter,
  kAllToAll,
  kBroadcast,
  kReduce,
  kSendReceive
};
// 2(n-1)/n, (n-1)/n or 1.
double bus_factor(CollectiveKind kind, int ranks);

struct LinkPoint {
  std::int64_t bytes = 0;
  double time_s = 0;  // of a repetition that nothing disturbed
};
// What a busy host does to a repetition only ever adds time, and to many of them; so their lowest
// tenth, not their middle, is the link's. The very least would be whatever a clock got wrong.
double undisturbed_time(const std::vector<double>& repetitions);
Bandwidth algorithm_bandwidth(const LinkPoint& point);
Bandwidth bus_bandwidth(const LinkPoint& point, CollectiveKind kind, int ranks);

struct LinkFit {
  LinkModel model;
  double worst_error = 0;   // of the fit to a point, relative
  double median_error = 0;  // likewise
};

// Fits t = 2(n-1) alpha + 2(n-1)/n S/beta to the points of an all-reduce by relative errors, so
// that small messages weigh as much as large ones; a size that is far off the line, because the
// host was busy all through it, weighs less (Huber, 1964). Needs two sizes. A latency that would
// come out below zero is zero.
Result<LinkFit> fit_link(const std::vector<LinkPoint>& points, int ranks);

struct LinkVerdict {
  bool normal = false;
  double fraction = 0;  // of the expected bandwidth
  std::string text;     // one sentence
};
// Against what the catalogue or the user says; 80 % of the line rate is what protocols leave. Where
// the fit misses its points by more than a tenth, the link is no line of latency and bandwidth (a
// rate limiter that lets bursts pass, for example) and the largest message is judged instead.
LinkVerdict judge_link(const LinkFit& fit, const LinkPoint& largest, int ranks,
                       const std::string& link, Bandwidth expected);

struct LinkMeasurementOptions {
  int ranks = 2;
  int nodes = 1;
  Bandwidth link;             // between nodes; 0: unlimited
  Seconds delay;              // one way
  bool in_transport = false;  // limit links in the transport even where the kernel could
  std::vector<std::int64_t> sizes;
  std::int64_t warmup = 5;        // as nccl-tests
  std::int64_t repetitions = 20;  // in two rounds, up and down the sizes
  bool progress = false;
};

struct LinkMeasurement {
  std::vector<LinkPoint> points;   // by size
  std::vector<double> sent_bytes;  // of a rank and repetition, counted by the transport
  std::string nodes_made_by;       // empty: all on one node
  std::vector<std::string> notes;
  bool interrupted = false;
};

// 8 B to 64 MiB, doubling.
std::vector<std::int64_t> default_link_sizes();

// All-reduces on our ring (train/ring.h) between processes, on nodes of their own where asked.
Result<LinkMeasurement> measure_link(const LinkMeasurementOptions& options);

}  // namespace penstock::profile
