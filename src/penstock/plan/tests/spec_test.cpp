#include "penstock/plan/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "penstock/core/file.h"
#include "penstock/core/json.h"

namespace penstock::plan {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PlanSpecTest : public ::testing::Test {
 protected:
  PlanSpecTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "plan-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~PlanSpecTest() override { std::filesystem::remove_all(folder_); }

  Result<PlanSpec> read(const std::string& text) {
    const std::string path = folder_ + "/job.toml";
    EXPECT_TRUE(core::write_file(path, text));
    return read_spec(path);
  }
  std::string error(const std::string& text) {
    const Result<PlanSpec> spec = read(text);
    return spec ? "accepted" : spec.error().text();
  }

  std::string folder_;
};

const std::string kJob = "[job]\nzoo = \"vgg16\"\nsamples = 1000\nepochs = 3\nbatch = 300\n";

TEST_F(PlanSpecTest, FillsInEveryDefault) {
  const Result<PlanSpec> spec = read(kJob);
  ASSERT_TRUE(spec) << spec.error().text();
  EXPECT_EQ(spec->name, "job");
  EXPECT_EQ(spec->to_json(), core::Json::parse(R"({
    "name": "job",
    "job": {"kind": "train", "zoo": "vgg16", "samples": 1000, "epochs": 3, "batch": 300,
            "optimizer": "momentum", "precision": "fp32"},
    "goal": {"market": "on-demand"},
    "fleet": {"instances": ["*"], "nodes": [1, 2, 4], "catalog": [],
              "efficiency": 0.7, "launch_s": 7e-6}})"));
}

TEST_F(PlanSpecTest, TheLastStepOfAnEpochTakesWhatIsLeft) {
  const Result<PlanSpec> spec = read(kJob);
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->job.steps(), 12);  // 300 + 300 + 300 + 100, three times
}

TEST_F(PlanSpecTest, FilesAreRelativeToTheSpec) {
  const Result<PlanSpec> spec = read(
      "[job]\nmodel = \"nets/a.onnx\"\nsamples = 10\nepochs = 1\nbatch = 1\n"
      "[fleet]\ncatalog = [\"mine.toml\", \"/elsewhere/theirs.toml\"]\n");
  ASSERT_TRUE(spec) << spec.error().text();
  EXPECT_EQ(spec->job.model, folder_ + "/nets/a.onnx");
  EXPECT_THAT(spec->fleets.catalogs, ElementsAre(folder_ + "/mine.toml", "/elsewhere/theirs.toml"));
}

TEST_F(PlanSpecTest, NodeCountsArePowersOfTwoTheMostAndThoseListed) {
  const Result<PlanSpec> spec = read(kJob + "[fleet]\nmax_nodes = 6\nnodes = [3, 9]\n");
  ASSERT_TRUE(spec) << spec.error().text();
  EXPECT_THAT(spec->fleets.nodes, ElementsAre(1, 2, 3, 4, 6, 9));
}

TEST_F(PlanSpecTest, ReportsEveryErrorWithItsLine) {
  EXPECT_THAT(error("[job]\nzoo = \"vgg17\"\nsamples = 0\nepochs = 3\nbatch = 8\n"
                    "optimiser = \"adam\"\n[goal]\nfinish_by = 24\nmarket = \"black\"\n"
                    "[fleet]\nefficiency = 1.5\nmax_nodes = -2\n"),
              AllOf(HasSubstr("job.toml:2: job.zoo: \"vgg17\""), HasSubstr("job.toml:3: "),
                    HasSubstr("optimizer"), HasSubstr("job.toml:8: "), HasSubstr("job.toml:9: "),
                    HasSubstr("job.toml:11: "), HasSubstr("job.toml:12: ")));
}

TEST_F(PlanSpecTest, NeedsExactlyOneModel) {
  EXPECT_THAT(error("[job]\nsamples = 10\nepochs = 1\nbatch = 1\n"),
              HasSubstr("needs either model or zoo"));
  EXPECT_THAT(error(kJob + "model = \"a.onnx\"\n"), HasSubstr("needs either model or zoo"));
  EXPECT_THAT(error(""), HasSubstr("job"));
}

TEST_F(PlanSpecTest, RefusesABatchAboveTheSamples) {
  EXPECT_THAT(error("[job]\nzoo = \"lenet\"\nsamples = 10\nepochs = 1\nbatch = 11\n"),
              HasSubstr("11 is more than the 10 samples"));
}

TEST_F(PlanSpecTest, AMissingModelIsAMissingThing) {
  const Result<PlanSpec> spec =
      read("[job]\nmodel = \"none.onnx\"\nsamples = 10\nepochs = 1\nbatch = 1\n");
  ASSERT_TRUE(spec);
  const Result<model::Graph> graph = read_model(*spec);
  ASSERT_FALSE(graph);
  EXPECT_EQ(graph.error().kind, ErrorKind::kMissing);
  EXPECT_THAT(graph.error().text(), HasSubstr("none.onnx"));
}

}  // namespace
}  // namespace penstock::plan
