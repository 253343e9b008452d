#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "penstock/cli/tests/scenario.h"

namespace penstock::cli {
namespace {

using core::Json;

class ClusterCompareTest : public Scenario {
 protected:
  std::vector<std::string> words(const std::string& command,
                                 const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {"cluster",
                                    command,
                                    "--draw",
                                    "poisson",
                                    "--jobs",
                                    "150",
                                    "--mean-gap",
                                    "10 min",
                                    "--demand",
                                    "2",
                                    "4",
                                    "8",
                                    "16",
                                    "--attach-models",
                                    "--cluster",
                                    PENSTOCK_SOURCE_DIR "/examples/clusters/2x4x8.toml",
                                    "--contention",
                                    "fluid"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::vector<std::string> sweep(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {"--policy", "2d-las", "--policy",      "dally/priced", "--over",
                                    "load=1,4", "--over", "timers=0.1,10", "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return words("sweep", all);
  }
  std::string text_of(const std::string& name) const {
    return core::read_file(path(name)).value_or("");
  }
};

TEST_F(ClusterCompareTest, TheFirstPolicyIsWhatOthersAreComparedWith) {
  ASSERT_TRUE(run(
      words("compare", {"--policy", "2d-las/no-wait", "--policy", "dally/consolidated", "--json"})))
      << complained();
  const Json json = printed_json();
  EXPECT_EQ(json.at("schema"), "penstock-cluster-compare/1");
  EXPECT_EQ(json.at("resampled"), "jobs");
  const Json& first = json.at("policies").at(0);
  const Json& second = json.at("policies").at(1);
  EXPECT_EQ(first.at("against_first").at("mean_jct_s").at("value"), 0);
  const double own = first.at("figures").at("mean_jct_s").at("value").get<double>();
  const double other = second.at("figures").at("mean_jct_s").at("value").get<double>();
  const Json& change = second.at("against_first").at("mean_jct_s");
  EXPECT_NEAR(change.at("value").get<double>(), other / own - 1, 1e-12);
  EXPECT_LE(change.at("low"), change.at("value"));
  EXPECT_GE(change.at("high"), change.at("value"));
  EXPECT_FALSE(second.at("figures").at("makespan_s").contains("low"));
  EXPECT_EQ(second.at("figures").at("communication_loss_accelerator_h").at("value"), 0);
}

TEST_F(ClusterCompareTest, SeveralSeedsGiveEveryFigureAnInterval) {
  ASSERT_TRUE(run(words("compare", {"--policy", "2d-las", "--seeds", "3", "--json"})))
      << complained();
  const Json json = printed_json();
  EXPECT_EQ(json.at("resampled"), "seeds");
  EXPECT_TRUE(json.at("policies").at(0).at("figures").at("makespan_s").contains("low"));
}

TEST_F(ClusterCompareTest, ComparesToTheSameBytesOnAnyNumberOfThreads) {
  std::vector<std::string> outputs;
  for (const char* threads : {"1", "2", "4"}) {
    ASSERT_TRUE(run(words("compare", {"--seeds", "2", "--json", "--threads", threads})))
        << complained();
    outputs.push_back(printed());
  }
  EXPECT_EQ(outputs[1], outputs[0]);
  EXPECT_EQ(outputs[2], outputs[0]);
}

TEST_F(ClusterCompareTest, SeedsOfATraceOfWhichNothingIsDrawnAreRefused) {
  const std::string trace =
      write("jobs.csv", "name,submit_s,duration_s,accelerators,model\na,0,100,1,bert\n");
  const Status status = run({"cluster", "compare", trace, "--gpus", "8", "--seeds", "2"});
  EXPECT_EQ(exit_code(status), 2);
  EXPECT_NE(complained().find("--seeds"), std::string::npos) << complained();
}

TEST_F(ClusterCompareTest, AnUnknownPlacementIsAnErrorWithTheNearest) {
  const Status status = run(words("compare", {"--policy", "dally/prized"}));
  EXPECT_EQ(exit_code(status), 2);
  EXPECT_NE(complained().find("priced"), std::string::npos) << complained();
}

TEST_F(ClusterCompareTest, ASweepGoesOverEveryCombinationToTheSameBytesOnAnyNumberOfThreads) {
  std::vector<std::string> outputs;
  for (const char* threads : {"1", "2", "4"}) {
    ASSERT_TRUE(run(sweep({"--threads", threads, "--csv", path("points.csv")}))) << complained();
    outputs.push_back(printed() + text_of("points.csv"));
  }
  EXPECT_EQ(outputs[1], outputs[0]);
  EXPECT_EQ(outputs[2], outputs[0]);
  const Json points = printed_json().at("points");
  ASSERT_EQ(points.size(), 8U);
  // The delays of no-wait are none: timers change nothing.
  EXPECT_EQ(points.at(0).at("policy"), "2d-las");
  EXPECT_EQ(points.at(0).at("mean_jct_s"), points.at(2).at("mean_jct_s"));
  const std::string csv = text_of("points.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 9);
}

TEST_F(ClusterCompareTest, ASweepCutInTheMiddleOfALineGoesOnToTheSameResult) {
  ASSERT_TRUE(run(sweep({"--results", path("all.jsonl"), "--threads", "1"}))) << complained();
  const std::string whole = text_of("all.jsonl");
  const std::string result = printed();
  // Anywhere: in the first line, at a line's end, within a line.
  std::size_t line_end = whole.find('\n', whole.find('\n') + 1);
  for (const std::size_t cut : {std::size_t(10), line_end + 1, line_end + 30, whole.size() - 1}) {
    write("cut.jsonl", whole.substr(0, cut));
    ASSERT_TRUE(run(sweep({"--results", path("cut.jsonl"), "--threads", "1"}))) << complained();
    EXPECT_EQ(printed(), result) << cut;
    EXPECT_EQ(text_of("cut.jsonl"), whole) << cut;
  }
}

TEST_F(ClusterCompareTest, AFinishedSweepSimulatesNothingAnew) {
  ASSERT_TRUE(run(sweep({"--results", path("all.jsonl")}))) << complained();
  // A figure that no simulation gives shows that the file was believed.
  std::string text = text_of("all.jsonl");
  const std::string key = "\"mean_jct_s\":";
  const std::size_t at = text.find(key, text.find("{\"point\":0,")) + key.size();
  text.replace(at, text.find(',', at) - at, "12345.5");
  write("all.jsonl", text);
  ASSERT_TRUE(run(sweep({"--results", path("all.jsonl")}))) << complained();
  EXPECT_EQ(printed_json().at("points").at(0).at("mean_jct_s"), 12345.5);
  EXPECT_EQ(text_of("all.jsonl"), text);
}

TEST_F(ClusterCompareTest, AFileOfAnotherSweepOrOfSomethingElseIsRefusedAndKept) {
  ASSERT_TRUE(run(sweep({"--results", path("all.jsonl")}))) << complained();
  const std::string text = text_of("all.jsonl");
  const Status status = run(sweep({"--results", path("all.jsonl"), "--seed", "9"}));
  EXPECT_EQ(exit_code(status), 2);
  EXPECT_NE(complained().find("another sweep"), std::string::npos) << complained();
  EXPECT_EQ(text_of("all.jsonl"), text);
  write("letter.txt", "Dear reader");
  EXPECT_EQ(exit_code(run(sweep({"--results", path("letter.txt")}))), 2);
  EXPECT_EQ(text_of("letter.txt"), "Dear reader");
}

TEST_F(ClusterCompareTest, WhatCannotBeSweptIsRefusedWithTheMend) {
  EXPECT_EQ(exit_code(run(words("sweep", {"--over", "laod=1,2"}))), 2);
  EXPECT_NE(complained().find("load"), std::string::npos) << complained();
  for (const char* bad : {"load=0", "load=1,,2", "load", "shape=2x4", "shape=2x0x8", "timers=-1"}) {
    EXPECT_EQ(exit_code(run(words("sweep", {"--over", bad}))), 2) << bad;
  }
}

TEST_F(ClusterCompareTest, ClaimsWithoutTheirTracesNameTheMissingFile) {
  const Status status = run({"cluster", "claims", "--data", path("nowhere")});
  EXPECT_EQ(exit_code(status), 3);
  EXPECT_NE(complained().find("muri/trace1.csv"), std::string::npos) << complained();
}

TEST_F(ClusterCompareTest, ClaimsStandBesideThePapersAndAgreeWithTheirOwnRuns) {
  const char* root = std::getenv("PENSTOCK_SHARED");
  const std::string data =
      std::string(root != nullptr ? root : PENSTOCK_SOURCE_DIR "/../shared") + "/data/cluster";
  if (!std::filesystem::exists(data)) GTEST_SKIP() << "the shared traces are absent";
  ASSERT_TRUE(
      run({"cluster", "claims", "--data", data, "--case", "muri-3", "--no-sweep", "--json"}))
      << complained();
  const Json json = printed_json();
  ASSERT_EQ(json.at("claims").size(), 8U);  // free and tight, four baselines
  ASSERT_EQ(json.at("ablation").size(), 9U);
  EXPECT_EQ(json.at("largest").at(2).at("paper_up_to"), 0.98);
  // The ablation's runs are the claims' own, seen from the other side.
  const Json& tight = json.at("claims").at(5);
  EXPECT_EQ(tight.at("baseline"), "no-wait");
  const double whole = json.at("ablation").at(0).at("mean_jct_s").get<double>();
  const double no_wait = json.at("ablation").at(1).at("mean_jct_s").get<double>();
  EXPECT_NEAR(tight.at("auto").at("mean completion").at("value").get<double>(), 1 - whole / no_wait,
              1e-12);
}

}  // namespace
}  // namespace penstock::cli
