#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "penstock/cluster/simulate.h"
#include "penstock/cluster/tests/reference_simulator.h"
#include "penstock/core/random.h"
#include "penstock/trace/jobs.h"

namespace penstock::cluster {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

Policy oracle_policy(const std::string& order) {
  Policy policy = *make_policy(order, "count");
  policy.tiresias_oracle = true;
  return policy;
}

trace::JobTrace random_trace(std::uint64_t seed, int jobs, int accelerators, bool ties) {
  core::RandomStream random(seed, "jobs");
  trace::JobTrace trace;
  std::int64_t submit = 0;
  for (int i = 0; i < jobs; ++i) {
    trace::TrainingJob job;
    job.name = std::to_string(i);
    submit += std::int64_t(random.below(ties ? 3 : 400)) * (ties ? 50 : 1);
    job.submit_ns = submit * kSecond;
    job.duration_ns = (ties ? 100 * (1 + std::int64_t(random.below(20)))
                            : 1 + std::int64_t(random.below(random.below(5) == 0 ? 20000 : 900))) *
                      kSecond;
    job.accelerators = std::min(accelerators, 1 << random.below(5));
    trace.jobs.push_back(job);
  }
  return trace;
}

// Every start, preemption and end of a replay, in the order of time and job.
std::vector<ReferenceEvent> events_of(const SimulationResult& result) {
  std::vector<ReferenceEvent> events;
  std::vector<std::size_t> left(result.outcomes.size());
  for (const JobOutcome& outcome : result.outcomes) {
    left[std::size_t(outcome.job)] = std::size_t(outcome.starts);
  }
  for (const Episode& episode : result.episodes) {
    const auto job = std::size_t(episode.job);
    events.push_back({episode.start.ns / kSecond, job, 's'});
    events.push_back({episode.end.ns / kSecond, job, --left[job] == 0 ? 'e' : 'p'});
  }
  return events;
}

void sort_events(std::vector<ReferenceEvent>& events) {
  std::sort(events.begin(), events.end(), [](const ReferenceEvent& a, const ReferenceEvent& b) {
    return std::tie(a.at, a.job, a.what) < std::tie(b.at, b.job, b.what);
  });
}

class OracleTest : public testing::TestWithParam<const char*> {};

TEST_P(OracleTest, AgreesEventByEventWithTheReferenceOnRandomTraces) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const int accelerators = 16 << (seed % 2);
    const trace::JobTrace trace = random_trace(seed, 200, accelerators, seed % 3 == 0);
    for (const bool late : {true, false}) {
      std::vector<ReferenceJob> jobs;
      for (const trace::TrainingJob& job : trace.jobs) {
        jobs.push_back({.submit = job.submit_ns / kSecond,
                        .work = job.duration_ns / kSecond,
                        .accelerators = job.accelerators});
      }
      ReferenceSimulator reference(jobs, accelerators, GetParam(), late);
      reference.run();
      const Topology cluster = one_node(accelerators);
      SpeedBook speeds = SpeedBook::flat();
      Policy policy = oracle_policy(GetParam());
      policy.tiresias_oracle = late;
      if (!late) {
        policy.settings.las_limit_0 = {3200 * kSecond};
        policy.settings.las_limit_1 = {6400 * kSecond};
      }
      policy.settings.checkpoint = policy.settings.restore = Time{0};
      const Simulation simulation{
          .trace = trace, .cluster = cluster, .policy = policy, .keep_episodes = true};
      const Result<SimulationResult> result = simulate(simulation, speeds);
      ASSERT_TRUE(result) << result.error().text();
      std::vector<ReferenceEvent> ours = events_of(*result);
      std::vector<ReferenceEvent> theirs = reference.events;
      sort_events(ours);
      sort_events(theirs);
      for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
        ASSERT_EQ(ours[i], theirs[i])
            << "seed " << seed << " late " << late << " event " << i << ": " << ours[i].at << " "
            << ours[i].job << ours[i].what << ", reference " << theirs[i].at << " " << theirs[i].job
            << theirs[i].what;
      }
      ASSERT_EQ(ours.size(), theirs.size()) << "seed " << seed;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Orders, OracleTest, testing::Values("fifo", "srtf", "srsf", "2d-las"),
                         [](const auto& row) {
                           std::string name = row.param;
                           std::erase(name, '-');
                           return name;
                         });

// rooms/cluster.md, 6.2: what Tiresias' own simulator printed.
struct PublishedRow {
  const char* file;
  const char* format;
  int accelerators;
  int first;
  const char* order;
  double mean_jct_s;
  double p50_jct_s;  // 0: not stated
  double p99_jct_s;
  double makespan_s;
  int preemptions;
};

void PrintTo(const PublishedRow& row, std::ostream* out) { *out << row.file << " " << row.order; }

class TiresiasTest : public testing::TestWithParam<PublishedRow> {};

TEST_P(TiresiasTest, IsReproducedToTheLastDigit) {
  const PublishedRow& row = GetParam();
  const char* shared = std::getenv("PENSTOCK_SHARED");
  const std::string path =
      (shared != nullptr ? std::string(shared) : std::string(PENSTOCK_SOURCE_DIR) + "/../shared") +
      "/data/cluster/" + row.file;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not here";
  trace::JobFormat format;
  format.format = row.format;
  const Result<trace::JobTrace> trace = trace::read_jobs(path, format);
  ASSERT_TRUE(trace) << trace.error().text();
  const Topology cluster = one_node(row.accelerators);
  SpeedBook speeds = SpeedBook::flat();
  const Simulation simulation{
      .trace = *trace, .cluster = cluster, .policy = oracle_policy(row.order), .first = row.first};
  const Result<SimulationResult> result = simulate(simulation, speeds);
  ASSERT_TRUE(result) << result.error().text();
  const Metrics& metrics = result->metrics;
  EXPECT_EQ(std::round(metrics.mean_jct_s * 10) / 10, row.mean_jct_s);
  if (row.p50_jct_s > 0) {
    EXPECT_EQ(metrics.p50_jct_s, row.p50_jct_s);
    EXPECT_EQ(metrics.p99_jct_s, row.p99_jct_s);
  }
  EXPECT_EQ(metrics.makespan_s, row.makespan_s);
  EXPECT_EQ(metrics.preemptions, row.preemptions);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, TiresiasTest,
    testing::Values(
        PublishedRow{"tiresias/60_job.csv", "tiresias", 16, 0, "fifo", 200.8, 148, 536, 3335, 0},
        PublishedRow{"tiresias/60_job.csv", "tiresias", 16, 0, "srtf", 192.1, 126, 566, 3271, 4},
        PublishedRow{"tiresias/60_job.csv", "tiresias", 16, 0, "srsf", 195.9, 126, 536, 3315, 7},
        PublishedRow{"tiresias/60_job.csv", "tiresias", 16, 0, "2d-las", 190.7, 130, 536, 3271, 0},
        PublishedRow{"muri/trace3.csv", "muri", 64, 0, "fifo", 991167.0, 1143089, 1686520, 8171961,
                     0},
        PublishedRow{"muri/trace3.csv", "muri", 64, 0, "srtf", 180116.3, 3545, 4233144, 8171961,
                     1037},
        PublishedRow{"muri/trace3.csv", "muri", 64, 0, "srsf", 172683.7, 3545, 3508093, 8171961,
                     749},
        PublishedRow{"muri/trace3.csv", "muri", 64, 0, "2d-las", 312869.6, 9116, 4707932, 8171961,
                     1303},
        PublishedRow{"muri/trace1.csv", "muri", 64, 0, "fifo", 10313080.7, 11425390, 13939560,
                     23805342, 0},
        PublishedRow{"muri/trace1.csv", "muri", 64, 0, "srtf", 1333917.3, 14392, 15854038, 25776881,
                     2525},
        PublishedRow{"muri/trace1.csv", "muri", 64, 0, "srsf", 952245.4, 14392, 15075236, 25662723,
                     2615},
        PublishedRow{"muri/trace1.csv", "muri", 64, 0, "2d-las", 3048140.3, 287060, 14351860,
                     23193817, 3927},
        PublishedRow{"muri/testbed_trace.csv", "muri", 64, 0, "fifo", 747485.4, 700575, 1456975,
                     3883693, 0},
        PublishedRow{"muri/testbed_trace.csv", "muri", 64, 0, "2d-las", 291019.6, 10996, 2576282,
                     3618299, 594},
        PublishedRow{"muri/testbed_trace.csv", "muri", 64, 0, "srtf", 219556.7, 0, 0, 3812814, 479},
        PublishedRow{"muri/testbed_trace.csv", "muri", 64, 0, "srsf", 215287.5, 0, 0, 3761336, 278},
        PublishedRow{"philly/philly_jobs.csv", "philly", 320, 10000, "2d-las", 34796.9, 1628,
                     983341, 6027556, 5592},
        PublishedRow{"philly/philly_jobs.csv", "philly", 320, 10000, "fifo", 697337.8, 0, 0,
                     5944538, 0},
        PublishedRow{"philly/philly_jobs.csv", "philly", 320, 10000, "srtf", 29251.2, 0, 0, 7349549,
                     14688},
        PublishedRow{"philly/philly_jobs.csv", "philly", 320, 10000, "srsf", 25602.2, 0, 0, 7508226,
                     8584}),
    [](const auto& row) {
      std::string name = std::string(row.param.file) + row.param.order;
      std::erase_if(name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); });
      return name;
    });

}  // namespace
}  // namespace penstock::cluster
