#include "penstock/loader/bench/mix.h"

#include <fmt/format.h>

#include <cmath>

#include "penstock/core/random.h"

namespace penstock::loader {

const std::vector<int>& mix_sizes() {
  static const std::vector<int> kSizes = {64, 112, 160, 224};
  return kSizes;
}

std::vector<MixJob> draw_mix(std::uint64_t seed, int number) {
  core::RandomStream random(seed, fmt::format("mix {}", number));
  constexpr double kFewestCores = 0.3;
  constexpr double kMostCores = 3;
  constexpr double kDiskBound = 1.0 / 3;  // of the mixes have a job with a slow disk
  std::vector<MixJob> jobs(2 + static_cast<std::size_t>(number % 3));
  for (MixJob& job : jobs) {
    job.size = mix_sizes()[random.below(mix_sizes().size())];
    job.accelerators = 1 << random.below(3);
    job.cores = kFewestCores * std::pow(kMostCores / kFewestCores, random.uniform());
    job.length = 0.5 + random.uniform();
  }
  if (random.uniform() < kDiskBound) {
    jobs[random.below(jobs.size())].disk_share = 0.4 + 0.5 * random.uniform();
  }
  return jobs;
}

JobSpec job_of(const MixJob& mixed, const SampleCost& cost, int number, const std::string& data) {
  JobSpec job;
  job.model.name = fmt::format("job-{}", number);
  job.model.accelerators = mixed.accelerators;
  job.model.batch = kStepSamples / mixed.accelerators;
  job.model.step = cost.cpu * (kStepSamples / mixed.cores);
  job.data = data;
  job.loader_arguments = {"--size", std::to_string(mixed.size), "--seed", std::to_string(number)};
  if (mixed.disk_share > 0) {
    const double bytes_per_s = mixed.disk_share * job.model.full_rate() * cost.bytes.value();
    // Reads pass the page cache by, or the limit would have nothing to limit.
    for (const std::string& word :
         {std::string("--cache"), std::string("none"), std::string("--disk-limit"),
          fmt::format("{:.0f} kB/s", bytes_per_s * 1e-3)}) {
      job.loader_arguments.push_back(word);
    }
  }
  return job;
}

}  // namespace penstock::loader
