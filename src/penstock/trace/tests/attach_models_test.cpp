#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "penstock/trace/jobs.h"

namespace penstock::trace {
namespace {

constexpr std::int64_t kHour = 3'600'000'000'000;

TrainingJob job_of(double hours, int accelerators) {
  TrainingJob job;
  job.duration_ns = std::int64_t(hours * double(kHour));
  job.accelerators = accelerators;
  return job;
}

std::string model_of(const JobTrace& trace, std::size_t job) {
  return trace.models.at(std::size_t(trace.jobs.at(job).model));
}

TEST(AttachModelsTest, AcceleratorTimeNotTimeDecidesTheClassJustBelowALimitAndAtIt) {
  JobTrace trace;
  trace.jobs = {job_of(0.999, 1), job_of(1, 1),   job_of(1.249, 8), job_of(1.25, 8),
                job_of(99.9, 1),  job_of(100, 1), job_of(1, 100)};
  attach_models(trace, 7);
  const std::vector<std::string> small = {"cifar10", "ncf"};
  const std::vector<std::string> medium = {"deepspeech2", "bert"};
  EXPECT_EQ(std::count(small.begin(), small.end(), model_of(trace, 0)), 1);
  EXPECT_EQ(std::count(medium.begin(), medium.end(), model_of(trace, 1)), 1);
  EXPECT_EQ(std::count(medium.begin(), medium.end(), model_of(trace, 2)), 1);
  EXPECT_EQ(model_of(trace, 3), "yolov3");
  EXPECT_EQ(model_of(trace, 4), "yolov3");
  EXPECT_EQ(model_of(trace, 5), "imagenet");
  EXPECT_EQ(model_of(trace, 6), "imagenet");
}

TEST(AttachModelsTest, AJobThatNamesItsModelKeepsItAndMovesNoOther) {
  JobTrace unnamed;
  unnamed.jobs.assign(100, job_of(0.5, 1));
  JobTrace named = unnamed;
  named.models = {"gpt2"};
  named.jobs[40].model = 0;
  attach_models(unnamed, 3);
  attach_models(named, 3);
  EXPECT_EQ(model_of(named, 40), "gpt2");
  for (std::size_t i = 0; i < unnamed.jobs.size(); ++i) {
    if (i == 40) continue;
    EXPECT_EQ(model_of(named, i), model_of(unnamed, i)) << i;
  }
  ASSERT_EQ(named.notes.size(), 1U);
  EXPECT_NE(named.notes.front().find("99 jobs"), std::string::npos);
}

TEST(AttachModelsTest, BothApplicationsOfAClassAreDrawnEquallyOftenAndTheSeedMovesThem) {
  JobTrace trace;
  trace.jobs.assign(10000, job_of(0.5, 1));
  JobTrace other = trace;
  attach_models(trace, 1);
  attach_models(other, 2);
  std::map<std::string, int> count;
  int moved = 0;
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    ++count[model_of(trace, i)];
    if (model_of(trace, i) != model_of(other, i)) ++moved;
  }
  ASSERT_EQ(count.size(), 2U);
  EXPECT_NEAR(count["ncf"], 5000, 250);  // 5 standard deviations
  EXPECT_NEAR(moved, 5000, 250);
}

}  // namespace
}  // namespace penstock::trace
