#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "penstock/cluster/simulate.h"
#include "penstock/core/file.h"
#include "penstock/trace/jobs.h"

// A real cluster against the simulator: 400 jobs on 64 V100s under three policies, as Muri
// published them (rooms/cluster.md, section 7). Nothing is fitted to completion times: the round is
// the testbed's, the work is iterations times the iteration time measured on it, and what a start
// costs is what its jobs ran longer than their work, over all their starts.
namespace penstock::cluster {
namespace {

std::string testbed() {
  const char* shared = std::getenv("PENSTOCK_SHARED");
  return (shared != nullptr ? std::string(shared)
                            : std::string(PENSTOCK_SOURCE_DIR) + "/../shared") +
         "/data/cluster/muri/testbed_";
}

struct MeasuredJob {
  double jct_s = 0;
  double executed_s = 0;
  double starts = 0;
};

std::map<std::string, MeasuredJob> measured(const std::string& policy) {
  std::map<std::string, MeasuredJob> jobs;
  std::istringstream lines(*core::read_file(testbed() + "result_" + policy + ".csv"));
  std::string line;
  std::map<std::string, std::size_t> column;
  while (std::getline(lines, line)) {
    std::vector<std::string> cells;
    std::istringstream row(line);
    for (std::string cell; std::getline(row, cell, ',');) cells.push_back(cell);
    if (column.empty()) {
      for (std::size_t i = 0; i < cells.size(); ++i) column[cells[i]] = i;
      continue;
    }
    const auto number = [&](const char* name) { return std::stod(cells.at(column.at(name))); };
    jobs[cells.at(column.at("job_id"))] = {number("JCT"), number("real_executed_time"),
                                           number("job_counter")};
  }
  return jobs;
}

TEST(FidelityTest, AnswersForTheTestbedOf64AcceleratorsWithinFivePercent) {
  if (!std::filesystem::exists(testbed() + "trace.csv")) {
    GTEST_SKIP() << testbed() << "trace.csv is not here";
  }
  trace::JobFormat format;
  format.format = "muri";
  format.work_from_iterations = true;
  const Result<trace::JobTrace> trace = trace::read_jobs(testbed() + "trace.csv", format);
  ASSERT_TRUE(trace) << trace.error().text();
  const Result<Topology> cluster =
      read_topology(std::string(PENSTOCK_SOURCE_DIR) + "/examples/clusters/testbed-8x8.toml");
  ASSERT_TRUE(cluster) << cluster.error().text();

  const std::map<std::string, std::string> runs = {
      {"srtf", "SRTF"}, {"srsf", "SRSF"}, {"2d-las", "tiresias"}};
  double overhead = 0;
  double starts = 0;
  for (const auto& [order, name] : runs) {
    const auto jobs = measured(name);
    for (const trace::TrainingJob& job : trace->jobs) {
      const MeasuredJob& real = jobs.at(job.name);
      overhead += real.executed_s - double(job.duration_ns) * 1e-9;
      starts += real.starts;
    }
  }
  const Time start_cost = sim::duration_of(Seconds(overhead / starts));
  EXPECT_NEAR(sim::seconds_of(start_cost).value(), 104.5, 0.1);

  for (const auto& [order, name] : runs) {
    const auto jobs = measured(name);
    double mean = 0;
    for (const auto& [_, job] : jobs) mean += job.jct_s / double(jobs.size());
    Policy policy = *make_policy(order, "anew");
    policy.settings.checkpoint = policy.settings.restore = Time{0};
    SpeedBook speeds;
    const Result<SimulationResult> result = simulate({.trace = *trace,
                                                      .cluster = *cluster,
                                                      .policy = policy,
                                                      .round = sim::duration_of(Seconds(360)),
                                                      .start_cost = start_cost},
                                                     speeds);
    ASSERT_TRUE(result) << result.error().text();
    EXPECT_NEAR(result->metrics.mean_jct_s, mean, 0.05 * mean) << order;
    RecordProperty(order + " mean JCT, s",
                   std::to_string(result->metrics.mean_jct_s) + " of " + std::to_string(mean));
  }
}

}  // namespace
}  // namespace penstock::cluster
