#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "penstock/cli/command_load.h"
#include "penstock/core/file.h"

namespace penstock::cli {
namespace {

using core::Json;
using testing::AllOf;
using testing::HasSubstr;

const std::string kJobs = PENSTOCK_SOURCE_DIR "/examples/jobs/";

Status allocate(std::vector<std::string> words) {
  CLI::App app;
  const std::unique_ptr<Command> command = make_load_allocate_command();
  command->declare(app);
  std::reverse(words.begin(), words.end());
  app.parse(words);
  PENSTOCK_TRY_STATUS(command->prepare());
  return command->run();
}

Json document_of(std::vector<std::string> words) {
  const std::string out = testing::TempDir() + "allocate.json";
  words.insert(words.end(), {"--out", out});
  testing::internal::CaptureStdout();
  const Status status = allocate(std::move(words));
  testing::internal::GetCapturedStdout();
  EXPECT_TRUE(status) << status.error().text();
  const auto json = core::read_json(out);
  EXPECT_TRUE(json);
  return json ? *json : Json();
}

TEST(AllocateCommandTest, TheExampleIsSharedBetterByGainThanByTheBaselines) {
  const Json json = document_of({"--jobs", kJobs + "mix.toml"});
  std::map<std::string, double> mean;
  for (const Json& policy : json["policies"]) mean[policy["policy"]] = policy["mean_fraction"];
  ASSERT_EQ(mean.size(), 5u);
  EXPECT_GT(mean["gain"], 1.05 * mean["even"]);
  EXPECT_GT(mean["gain"], 1.05 * mean["proportional"]);
  EXPECT_NEAR(mean["gain"], mean["oracle"], 0.001);
  EXPECT_LE(mean["oracle"], json["bound"]["mean_fraction"].get<double>() + 1e-9);
}

TEST(AllocateCommandTest, ASimulationRepeatsToTheByte) {
  const std::vector<std::string> words = {"--jobs", kJobs + "mix.toml", "--simulate",
                                          kJobs + "arrivals.csv", "--no-book"};
  const Json first = document_of(words);
  EXPECT_EQ(first.dump(), document_of(words).dump());
  ASSERT_EQ(first["policies"].size(), 5u);
  for (const Json& policy : first["policies"]) {
    EXPECT_EQ(policy["jobs"].size(), 4u);
    EXPECT_GT(policy["makespan_s"].get<double>(), 200);
  }
}

TEST(AllocateCommandTest, DrawnArrivalsAreThoseOfTheirSeedAndReplayFromTheirFile) {
  const std::string saved = testing::TempDir() + "drawn.csv";
  const auto drawn = [&](const char* seed) {
    return document_of({"--jobs", kJobs + "mix.toml", "--draw", "12", "--mean-gap", "20 s",
                        "--seed", seed, "--save-trace", saved, "--policy", "gain", "--no-book"});
  };
  const Json other = drawn("2");
  const Json first = drawn("1");
  ASSERT_EQ(first["policies"].size(), 1u);
  EXPECT_EQ(first["policies"][0]["jobs"].size(), 12u);
  EXPECT_NE(first["policies"].dump(), other["policies"].dump());
  const Json again = document_of(
      {"--jobs", kJobs + "mix.toml", "--simulate", saved, "--policy", "gain", "--no-book"});
  // The file's times are rounded to what prints.
  EXPECT_NEAR(again["policies"][0]["makespan_s"].get<double>(),
              first["policies"][0]["makespan_s"].get<double>(), 1e-6);
}

TEST(AllocateCommandTest, EveryErrorOfAJobsFileIsReportedWithItsLine) {
  const std::string path = testing::TempDir() + "jobs.toml";
  ASSERT_TRUE(core::write_file(path,
                               "[policy]\ndrift_fracton = 1\n[[job]]\nname = \"a\"\nstep = 3\n"
                               "samples = 0\n"));
  const Status status = allocate({"--jobs", path});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kInput);
  EXPECT_THAT(status.error().text(),
              AllOf(HasSubstr("jobs.toml:2"), HasSubstr("drift_fraction"), HasSubstr("jobs.toml:5"),
                    HasSubstr("jobs.toml:6"), HasSubstr("neither cpu_per_sample nor data")));
}

TEST(AllocateCommandTest, AnUnknownPolicyIsRefused) {
  const Status status = allocate({"--jobs", kJobs + "mix.toml", "--policy", "best"});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), HasSubstr("\"best\" is no policy"));
}

TEST(AllocateCommandTest, ALiveRunWithoutDataNamesTheJob) {
  const Status status = allocate({"--jobs", kJobs + "mix.toml", "--run", "--no-book"});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), HasSubstr("resnet50-a100: has no data to load"));
}

}  // namespace
}  // namespace penstock::cli
