// Jobs replayed a second of processor time. PENSTOCK_SHARED, or ../shared beside the source, holds
// the Philly trace; without it its benchmarks are left out.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>

#include "penstock/cluster/simulate.h"
#include "penstock/trace/jobs.h"

namespace penstock::cluster {
namespace {

// The part of the cluster's accelerators that the drawn jobs ask for on average.
constexpr double kLoad = 0.85;

const trace::JobTrace* philly() {
  static const Result<trace::JobTrace> trace = [] {
    const char* shared = std::getenv("PENSTOCK_SHARED");
    const std::string folder = shared != nullptr ? shared : PENSTOCK_SOURCE_DIR "/../shared";
    return trace::read_jobs(folder + "/data/cluster/philly/philly_jobs.csv", {.format = "philly"});
  }();
  return trace ? &*trace : nullptr;
}

// Accelerators and durations as Philly's, arrivals by its hours.
trace::JobTrace drawn(int jobs) {
  trace::JobLaw law{.law = "philly-like", .jobs = jobs};
  const Result<trace::JobTrace> probe = trace::generate_jobs(law, 1);
  double asked_s = 0;
  for (const trace::TrainingJob& job : probe->jobs) {
    asked_s += double(job.duration_ns) / 1e9 * job.accelerators / jobs;
  }
  law.mean_gap = Seconds(asked_s / 512 / kLoad);
  return *trace::generate_jobs(law, 1);
}

// What the allocator holds, without what it keeps for later.
double allocated_bytes() {
  const struct mallinfo2 all = mallinfo2();
  return double(all.uordblks) + double(all.hblkhd);
}

enum class Shape { kCount, kPlaced, kFluid };

void replay(benchmark::State& state, const trace::JobTrace& trace, const std::string& order,
            Shape shape) {
  const Result<Topology> racks =
      read_topology(PENSTOCK_SOURCE_DIR "/examples/clusters/philly-512.toml");
  const Topology cluster = shape == Shape::kCount ? one_node(512) : *racks;
  const Policy policy = *make_policy(order, shape == Shape::kCount ? "count" : "");
  SpeedBook speeds;
  double most = 0;
  double events = 0;
  const double before = allocated_bytes();
  for (auto _ : state) {
    const Result<SimulationResult> result =
        simulate({.trace = trace,
                  .cluster = cluster,
                  .policy = policy,
                  .contention = shape == Shape::kFluid ? Contention::kFluid : Contention::kNone,
                  .progress =
                      [&](Time, std::int64_t) {
                        most = std::max(most, allocated_bytes() - before);
                        return true;
                      }},
                 speeds);
    if (!result) {
      state.SkipWithError(result.error().text().c_str());
      return;
    }
    events = double(result->metrics.events);
  }
  const auto jobs = double(trace.jobs.size());
  state.SetItemsProcessed(state.iterations() * std::int64_t(trace.jobs.size()));
  state.counters["bytes_a_job"] = most / jobs;
  state.counters["with_trace"] = most / jobs + sizeof(trace::TrainingJob);
  state.counters["events_a_job"] = events / jobs;
}

void philly_jobs(benchmark::State& state, const std::string& order, Shape shape) {
  if (philly() == nullptr) {
    state.SkipWithError("the Philly trace is not here");
    return;
  }
  replay(state, *philly(), order, shape);
}
BENCHMARK_CAPTURE(philly_jobs, fifo_count, "fifo", Shape::kCount)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(philly_jobs, las_count, "2d-las", Shape::kCount)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(philly_jobs, las_placed, "2d-las", Shape::kPlaced)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(philly_jobs, dally_placed, "dally", Shape::kPlaced)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(philly_jobs, dally_fluid, "dally", Shape::kFluid)->Unit(benchmark::kMillisecond);

void drawn_jobs(benchmark::State& state, const std::string& order, Shape shape) {
  const trace::JobTrace trace = drawn(int(state.range(0)));
  replay(state, trace, order, shape);
}
BENCHMARK_CAPTURE(drawn_jobs, fifo_count, "fifo", Shape::kCount)
    ->RangeMultiplier(10)
    ->Range(1000, 1'000'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(drawn_jobs, las_count, "2d-las", Shape::kCount)
    ->RangeMultiplier(10)
    ->Range(1000, 1'000'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(drawn_jobs, dally_fluid, "dally", Shape::kFluid)
    ->RangeMultiplier(10)
    ->Range(1000, 1'000'000)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace penstock::cluster
