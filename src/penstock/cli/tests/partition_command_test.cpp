// penstock partition and partition verify, from words to documents and exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "penstock/cli/tests/scenario.h"

namespace penstock::cli {

namespace {

using core::Json;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kArrays = PENSTOCK_SOURCE_DIR "/examples/arrays/";

class PartitionCommandTest : public Scenario {
 protected:
  Status partition(std::vector<std::string> words) {
    words.insert(words.begin(), "partition");
    return run(std::move(words));
  }
  // The one line of a failure, which leaves nothing written.
  std::string refusal(std::vector<std::string> words, ErrorKind kind) {
    words.insert(words.end(), {"--out", path("out.json")});
    const Status status = partition(std::move(words));
    EXPECT_EQ(exit_code(status), static_cast<int>(kind));
    EXPECT_FALSE(exists("out.json"));
    EXPECT_EQ(printed(), "");
    if (status) return "";
    const std::string text = status.error().text();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 0) << text;
    return text;
  }
  std::string array(const std::string& text) const { return write("array.toml", text); }
};

TEST_F(PartitionCommandTest, PaperModeTellsEveryStrategyBesideDataParallelism) {
  ASSERT_TRUE(partition({"--mode", "paper", "--batch", "512", "--zoo", "alexnet", "--array",
                         kArrays + "tpu-v2x128-v3x128.toml", "--strategy", "all", "--json"}));
  const Json json = printed_json();
  const std::vector<std::pair<std::string, double>> expected = {
      {"data", 997.960e-3}, {"owt", 153.066e-3}, {"hypar", 127.327e-3}, {"accpar", 64.241e-3}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Json& strategy = json["strategies"][i];
    EXPECT_EQ(strategy["name"], expected[i].first);
    EXPECT_NEAR(strategy["step_time_s"].get<double>(), expected[i].second,
                1e-3 * expected[i].second);
    EXPECT_NEAR(strategy["speedup_over_data_parallel"].get<double>(),
                expected[0].second / expected[i].second, 0.02);
    EXPECT_EQ(strategy["ledger"]["schema"], "penstock-ledger/1");
  }
}

TEST_F(PartitionCommandTest, TheSameCommandPrintsTheSameBytes) {
  const std::vector<std::string> words = {
      "--zoo", "resnet18", "--batch", "64", "--array", kArrays + "tpu-v2x8-v3x8.toml", "--json"};
  ASSERT_TRUE(partition(words));
  const std::string first = printed();
  ASSERT_TRUE(partition(words));
  EXPECT_EQ(printed(), first);
}

TEST_F(PartitionCommandTest, APlanIsWrittenVerifiedAndEvaluatedAtAnotherBatch) {
  const std::string plan = path("plan.json");
  ASSERT_TRUE(partition({"--zoo", "lenet", "--batch", "64", "--mode", "paper", "--array",
                         kArrays + "tpu-v2x8-v3x8.toml", "--out", plan}));
  ASSERT_TRUE(partition({"verify", plan, "--json"})) << complained();
  const Json report = printed_json();
  EXPECT_EQ(report["ok"], true);
  EXPECT_LE(report["gradient_error"].get<double>(), 1e-12);
  EXPECT_GT(report["workers"].size(), 1u);
  for (const Json& worker : report["workers"]) {
    EXPECT_EQ(worker["received_bytes"], worker["predicted_bytes"]);
  }
  ASSERT_TRUE(partition({"--zoo", "lenet", "--batch", "128", "--plan", plan, "--json"}));
  EXPECT_EQ(printed_json()["batch"], 128);
}

TEST_F(PartitionCommandTest, TheTraceHasABarForEveryDevice) {
  const std::string trace = path("trace.json");
  ASSERT_TRUE(partition({"--zoo", "alexnet", "--mode", "paper", "--array",
                         kArrays + "tpu-v2x8-v3x8.toml", "--trace", trace}));
  const auto json = core::read_json(trace);
  ASSERT_TRUE(json);
  EXPECT_GT(json->at("traceEvents").size(), 20u);
}

TEST_F(PartitionCommandTest, TablesFitAHundredColumns) {
  ASSERT_TRUE(partition({"--zoo", "vgg16", "--array", kArrays + "tpu-v2x8-v3x8.toml"}));
  std::size_t start = 0;
  for (std::size_t end; (end = printed().find('\n', start)) != std::string::npos; start = end + 1) {
    EXPECT_LE(end - start, 100u) << printed().substr(start, end - start);
  }
}

TEST_F(PartitionCommandTest, WrongUsageIsRefusedInOneLine) {
  EXPECT_THAT(refusal({}, ErrorKind::kInput), HasSubstr("needs one network"));
  EXPECT_THAT(refusal({"--zoo", "vgg16"}, ErrorKind::kInput), HasSubstr("needs an array"));
  EXPECT_THAT(refusal({"--zoo", "vgg61", "--array", kArrays + "v100x8.toml"}, ErrorKind::kInput),
              HasSubstr("vgg61"));
  EXPECT_THAT(refusal({"--zoo", "vgg16", "--array", "no.toml"}, ErrorKind::kMissing),
              HasSubstr("no.toml"));
  EXPECT_THAT(refusal({"--zoo", "vgg16", "--mode", "mash", "--array", kArrays + "v100x8.toml"},
                      ErrorKind::kInput),
              HasSubstr("\"mash\" is no mode"));
}

TEST_F(PartitionCommandTest, UnitMistakesInAnArrayAreNamedWithTheirLine) {
  const std::string group = "name = \"a\"\n[[group]]\naccelerator = \"V100\"\ncount = 4\n";
  const auto wrong = [&](const std::string& lines) {
    return refusal({"--zoo", "lenet", "--array", array(group + lines)}, ErrorKind::kInput);
  };
  EXPECT_THAT(wrong("link = \"16 GB/s\"\nmemory = \"16 Gb\"\n"),
              AllOf(HasSubstr("array.toml:6"), HasSubstr("lower-case b")));
  EXPECT_THAT(wrong("link = 16\n"), HasSubstr("bare number"));
  EXPECT_THAT(wrong("link = \"-1 GB/s\"\n"), HasSubstr("array.toml:5"));
  EXPECT_THAT(wrong("link = \"0 GB/s\"\n"), HasSubstr("array.toml:5"));
}

TEST_F(PartitionCommandTest, AnArrayThatCannotHoldTheModelIsExitCodeOne) {
  const std::string tiny = array(
      "name = \"tiny\"\n[[group]]\naccelerator = \"V100\"\ncount = 2\nlink = \"16 GB/s\"\n"
      "memory = \"64 MB\"\n");
  EXPECT_THAT(refusal({"--zoo", "vgg16", "--batch", "64", "--array", tiny}, ErrorKind::kNegative),
              AllOf(HasSubstr("cannot hold"), HasSubstr("vgg16")));
}

TEST_F(PartitionCommandTest, ADamagedPlanIsRefusedByPlace) {
  const std::string plan = path("plan.json");
  ASSERT_TRUE(partition({"--zoo", "lenet", "--batch", "64", "--mode", "paper", "--array",
                         kArrays + "tpu-v2x8-v3x8.toml", "--out", plan}));
  const auto text = core::read_file(plan);
  ASSERT_TRUE(text);
  ASSERT_TRUE(core::write_file(plan, text->substr(0, text->size() / 2)));
  const Status status = partition({"verify", plan});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kInput);
  EXPECT_THAT(status.error().text(), HasSubstr("plan.json:"));
}

TEST_F(PartitionCommandTest, InspectCountsAZooNetwork) {
  ASSERT_TRUE(run({"inspect", "--zoo", "vgg16", "--batch", "1", "--json"}));
  const Json json = printed_json();
  EXPECT_EQ(json["macs"], 15470264320);
  EXPECT_EQ(json["parameters"], 138344128);
  EXPECT_EQ(json["operators"]["Conv"], 13);
  EXPECT_EQ(json["layers"].size(), 16u);
}

}  // namespace
}  // namespace penstock::cli
