#include "penstock/loader/allocation_sim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace penstock::loader {
namespace {

using testing::HasSubstr;

// One core's worth of loading gives 500 samples/s; the accelerator could take 1000.
JobModel profile(const std::string& name) {
  JobModel model;
  model.name = name;
  model.batch = 100;
  model.step = Seconds(0.1);
  model.cpu_per_sample = Seconds(0.002);
  model.curve.sample_time = Seconds(0.002);
  return model;
}

SimulationOptions options(AllocationPolicy policy = AllocationPolicy::kEven) {
  SimulationOptions result;
  result.machine = {.cores = 1, .workers = 2};
  result.policy = policy;
  return result;
}

TEST(AllocationSimTest, TwoJobsOnOneCoreFollowTheClosedForm) {
  // Alone until 1 s: 500 done. Both at 250/s until the second has its 500, at 3 s: the first has
  // 1000 done, and the last 500 take 1 s.
  const trace::ArrivalTrace trace{
      {{"a", Seconds(0), 1, 1500, "p"}, {"b", Seconds(1), 1, 500, "p"}}};
  const auto report = simulate_allocation({profile("p")}, trace, options());
  ASSERT_TRUE(report) << report.error().text();
  EXPECT_NEAR(report->jobs[1].end.value(), 3, 1e-6);
  EXPECT_NEAR(report->jobs[0].end.value(), 4, 1e-6);
  EXPECT_NEAR(report->makespan.value(), 4, 1e-6);
  EXPECT_NEAR(report->mean_completion.value(), 3, 1e-6);
  EXPECT_NEAR(report->samples_per_s, 500, 1e-3);
  EXPECT_NEAR(report->jobs[0].compute.value(), 1.5, 1e-6);  // 1500 samples at the full rate
  EXPECT_NEAR(report->jobs[0].prep.value(), 2.5, 1e-6);
}

TEST(AllocationSimTest, ComputeIsTheWorkAndTheLedgerSumsUnderEveryPolicy) {
  const trace::ArrivalTrace trace = trace::poisson_arrivals(
      {.jobs = 12, .mean_gap = Seconds(5), .mean_samples = 5000, .loaders = {"p", "q"}}, 5);
  JobModel other = profile("q");
  other.cpu_per_sample = Seconds(0.0005);
  other.curve.sample_time = Seconds(0.001);
  other.bytes_per_sample = Bytes(100e3);
  for (const AllocationPolicy policy : all_policies()) {
    SimulationOptions wanted = options(policy);
    wanted.machine = {.cores = 2, .workers = 6, .storage = Bandwidth(60e6)};
    const auto report = simulate_allocation({profile("p"), other}, trace, wanted);
    ASSERT_TRUE(report) << report.error().text();
    for (const SimulatedJob& job : report->jobs) {
      EXPECT_NEAR(job.compute.value(), job.samples / 1000, 1e-6) << job.name;
      EXPECT_NEAR((job.end - job.arrival).value(), (job.compute + job.prep + job.fetch).value(),
                  1e-6);
    }
  }
}

TEST(AllocationSimTest, ALoaderThatNobodyDescribesIsNamedForEveryJob) {
  const trace::ArrivalTrace trace{{{"a", Seconds(0), 1, 1, "pp"}, {"b", Seconds(1), 1, 5, "p"}}};
  const auto report = simulate_allocation({profile("p")}, trace, options());
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().text(), HasSubstr("a: there is no loader profile \"pp\""));
}

}  // namespace
}  // namespace penstock::loader
