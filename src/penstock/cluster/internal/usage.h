// A cluster over time, as means over equal spans: how many accelerators work, and who waits.
#pragma once

#include <array>
#include <vector>

#include "penstock/cluster/simulate.h"

namespace penstock::cluster::internal {

// A quantity that is constant between events.
class TimeBins {
 public:
  TimeBins(Time begin, Time end, std::size_t bins);
  void add(Time from, Time to, double value);
  // The mean of every bin.
  std::vector<double> means() const;

 private:
  Time begin_;
  Time end_;
  double width_ns_;
  std::vector<double> parts_;   // value x ns of bins that an interval covers in part
  std::vector<double> change_;  // where intervals begin and cease to cover whole bins
};

struct Usage {
  std::array<std::vector<double>, kTiers> busy;  // accelerators, of jobs within a node, a rack, ...
  std::vector<double> pending_jobs;
  std::vector<double> wanted;  // accelerators that they ask for
};
Usage usage(const trace::JobTrace& trace, const Topology& cluster, const SimulationResult& result,
            Time begin, Time end, std::size_t bins);

}  // namespace penstock::cluster::internal
