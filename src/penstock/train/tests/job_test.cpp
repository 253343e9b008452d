#include "penstock/train/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "penstock/core/json.h"

namespace penstock::train {
namespace {

using testing::HasSubstr;

// Every field differs from its default, so that a forgotten one shows.
Job unusual_job() {
  Job job;
  job.model = "resnet18.onnx";
  job.accelerator = {Seconds(0.125), Seconds(0.25), {4, 4096}};
  job.batch = 7;
  job.steps = 9;
  job.warmup = 2;
  job.channel = "batches";
  job.seed = 0xffff'ffff'ffff'fffeU;
  job.threads = 3;
  job.optimizer = Optimizer::kAdam;
  job.learning_rate = 0.5;
  job.momentum = 0.75;
  job.rank = 1;
  job.world = 3;
  job.all_reduce = false;
  job.overlap = false;
  job.transport = Transport::kRing;
  job.first_bucket_bytes = 11;
  job.bucket_bytes = 13;
  job.rendezvous = "tcp:localhost:4000";
  job.interface = "eth7";
  job.node_of_rank = {0, 1, 1};
  job.limit = {Bandwidth(1.25e8), Seconds(0.001)};
  return job;
}

std::string error_of(const core::Json& json) {
  const Result<Job> job = job_from_json(json, "job.json");
  return job ? "" : job.error().text();
}

TEST(JobTest, TheTextOfAJobReadsBackToTheSameText) {
  const std::string text = core::json_text(to_json(unusual_job()));
  const Result<core::Json> json = core::parse_json(text, "job.json");
  ASSERT_TRUE(json);
  const Result<Job> job = job_from_json(*json, "job.json");
  ASSERT_TRUE(job) << job.error().text();
  EXPECT_EQ(core::json_text(to_json(*job)), text);
  EXPECT_EQ(job->seed, 0xffff'ffff'ffff'fffeU);
  EXPECT_EQ(job->transport, Transport::kRing);
  EXPECT_EQ(job->node_of_rank, std::vector<int>({0, 1, 1}));
}

TEST(JobTest, NoFieldOfTheUnusualJobHasItsDefault) {
  const core::Json unusual = to_json(unusual_job());
  const core::Json usual = to_json(Job());
  for (const auto& item : usual.items()) {
    if (item.key() != "schema") {
      EXPECT_NE(unusual.at(item.key()), item.value()) << item.key();
    }
  }
}

TEST(JobTest, KeysThatAreAbsentKeepTheirDefaults) {
  const Result<Job> job = job_from_json({{"schema", "penstock-job/1"}, {"batch", 5}}, "job.json");
  ASSERT_TRUE(job) << job.error().text();
  EXPECT_EQ(job->batch, 5);
  EXPECT_EQ(job->steps, Job().steps);
}

TEST(JobTest, AnUnknownKeyIsNamedWithTheNearestOne) {
  core::Json json = to_json(Job());
  json["worlds"] = 2;
  EXPECT_THAT(error_of(json), HasSubstr("job.json: worlds: unknown key"));
  EXPECT_THAT(error_of(json), HasSubstr("did you mean \"world\"?"));
}

TEST(JobTest, EveryBadValueIsReportedWithItsKey) {
  core::Json json = to_json(Job());
  json["batch"] = 0;
  json["threads"] = "two";
  json["transport"] = "glue";
  json["accelerator"]["forward_s"] = -1;
  json["accelerator"]["gradient_bytes"] = {4, 6};
  const std::string error = error_of(json);
  EXPECT_THAT(error, HasSubstr("job.json: batch: 0 is below 1"));
  EXPECT_THAT(error, HasSubstr("job.json: threads: has the wrong type: \"two\""));
  EXPECT_THAT(error, HasSubstr("transport: \"glue\" is none of gloo, nccl, ring"));
  EXPECT_THAT(error, HasSubstr("job.json: accelerator.forward_s: -1 is below 0"));
  EXPECT_THAT(error, HasSubstr("gradient_bytes: 6 bytes are not whole floats"));
}

TEST(JobTest, RanksThatCannotMeetAreRefused) {
  core::Json json = to_json(Job());
  json["world"] = 2;
  EXPECT_THAT(error_of(json), HasSubstr("rendezvous: is empty, and 2 ranks have to meet"));
  json["rendezvous"] = "meet";
  EXPECT_EQ(error_of(json), "");
  json["rank"] = 2;
  EXPECT_THAT(error_of(json), HasSubstr("rank: 2 is not below world 2"));
  json["node_of_rank"] = {0};
  EXPECT_THAT(error_of(json), HasSubstr("node_of_rank: names 1 ranks where world is 2"));
}

TEST(JobTest, ADocumentOfAnotherSchemaIsRefused) {
  EXPECT_THAT(error_of({{"schema", "penstock-plan/1"}}),
              HasSubstr("\"penstock-plan/1\" is not \"penstock-job/1\""));
  EXPECT_THAT(error_of(core::Json::array()), HasSubstr("\"schema\" is missing"));
}

}  // namespace
}  // namespace penstock::train
