// Real processes on the loopback device: what penstock-emulated-worker says, sends and refuses.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "worker_processes.h"

namespace penstock::train {
namespace {

using ::testing::HasSubstr;

class EmulatedWorkerTest : public WorkerProcessTest {
 protected:
  EmulatedWorkerTest() : WorkerProcessTest(PENSTOCK_EMULATED_WORKER) {
    job_.accelerator = {.forward = Seconds(0.001),
                        .backward = Seconds(0.002),
                        .gradient_bytes = {4000, 400, 40'000}};
    job_.batch = 7;
    job_.steps = 3;
    job_.warmup = 1;
    job_.transport = Transport::kRing;
    job_.first_bucket_bytes = 1000;
    job_.bucket_bytes = 1000;
  }
};

TEST_F(EmulatedWorkerTest, OneRankReportsItsStepsAndEnds) {
  const WorkerRun one = run({job_}).front();
  EXPECT_EQ(one.exit_code, 0) << one.complaint;
  EXPECT_TRUE(one.is_done);
  ASSERT_EQ(one.steps.size(), 4U);
  for (const StepRecord& step : one.steps) {
    EXPECT_EQ(step.samples, 7);
    EXPECT_EQ(step.exposed_ns, 0);
    EXPECT_EQ(step.sent_bytes, 0);
  }
}

TEST_F(EmulatedWorkerTest, TwoRanksSendTheBytesOfTheRingFormulaInEveryStep) {
  const std::vector<WorkerRun> runs = run(ranks(2));
  for (const WorkerRun& one : runs) {
    EXPECT_EQ(one.exit_code, 0) << one.complaint;
    ASSERT_EQ(one.steps.size(), 4U);
    for (const StepRecord& step : one.steps) {
      // 2 (n - 1) / n of all gradients; the buckets' counts are even.
      EXPECT_EQ(step.sent_bytes, 44'400);
      EXPECT_EQ(step.received_bytes, 44'400);
    }
  }
}

TEST_F(EmulatedWorkerTest, ARankWhosePeerLeavesSaysSoInOneLine) {
  job_.steps = 1000;
  std::vector<Job> jobs = ranks(2);
  jobs[1].steps = 2;
  const std::vector<WorkerRun> runs = run(jobs);
  EXPECT_EQ(runs[1].exit_code, 0) << runs[1].complaint;
  EXPECT_EQ(runs[0].exit_code, 1);
  EXPECT_THAT(runs[0].complaint, HasSubstr("penstock-emulated-worker: rank 0:"));
  EXPECT_EQ(std::count(runs[0].complaint.begin(), runs[0].complaint.end(), '\n'), 1);
  EXPECT_EQ(runs[0].steps.size(), 3U);  // those that it finished are told
}

TEST_F(EmulatedWorkerTest, ATransportOfLibtorchIsMissing) {
  job_.world = 2;
  job_.transport = Transport::kGloo;
  const WorkerRun one = run({job_}).front();
  EXPECT_EQ(one.exit_code, 3);
  EXPECT_THAT(one.complaint, HasSubstr("set the transport \"ring\""));
}

TEST_F(EmulatedWorkerTest, AJobThatCannotBeReadIsNamed) {
  const std::string command =
      fmt::format("{} {}/none.json > {}/out 2>&1", PENSTOCK_EMULATED_WORKER, folder_, folder_);
  EXPECT_NE(WEXITSTATUS(std::system(command.c_str())), 0);
  EXPECT_THAT(core::read_file(folder_ + "/out").value_or(""), HasSubstr("none.json"));
}

}  // namespace
}  // namespace penstock::train
