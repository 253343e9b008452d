// Random training jobs that share a machine: seeded, and as a rule wanting more than it has.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/loader/daemon.h"

namespace penstock::loader {

struct MixJob {
  int size = 224;  // of an image
  int accelerators = 1;
  double cores = 1;       // that its loader needs to keep the accelerators busy
  double disk_share = 0;  // of that need, what its disk delivers; 0: its data are in memory
  double length = 1;      // of its run at the full rate, beside that of the others
};

// Two, three or four jobs in turn with `number`.
std::vector<MixJob> draw_mix(std::uint64_t seed, int number);

// The sizes that jobs are drawn from.
const std::vector<int>& mix_sizes();

struct SampleCost {
  Seconds cpu;
  Bytes bytes;
};

// A step that takes as long as the wanted cores need for its samples; how many samples it trains is
// left open.
JobSpec job_of(const MixJob& mixed, const SampleCost& cost, int number, const std::string& data);

// Of all accelerators in a step: few, so that the loaders' queues are short beside a measurement.
inline constexpr int kStepSamples = 8;

}  // namespace penstock::loader
