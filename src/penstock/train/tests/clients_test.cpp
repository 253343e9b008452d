// The clients for other people's programs, run by the launcher.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "penstock/train/internal/child_process.h"
#include "penstock/train/launch.h"

namespace penstock::train {
namespace {

using testing::HasSubstr;

using Environment = std::map<std::string, std::string>;

// A Python that can run a statement, or empty. The first one on the path need not be Debian's,
// whose packages have torch.
std::string python_for(const std::string& statement) {
  for (const char* python : {"python3", "/usr/bin/python3"}) {
    if (internal::run_program({python, "-c", statement})) return python;
  }
  return "";
}

Launch launch_of(const std::vector<std::string>& command, const Environment& environment,
                 std::size_t ranks = 1) {
  RankCommand rank;
  rank.command = command;
  rank.environment = environment;
  rank.environment["PYTHONPATH"] = PENSTOCK_SOURCE_DIR "/clients";
  rank.environment["PYTHONDONTWRITEBYTECODE"] = "1";
  Launch launch;
  launch.ranks.assign(ranks, rank);
  return launch;
}

RunRecord run_cpp(const Environment& environment, std::size_t ranks = 1) {
  const Result<RunRecord> record =
      run_ranks(launch_of({PENSTOCK_CLIENT_PROGRAM}, environment, ranks));
  EXPECT_TRUE(record) << record.error().text();
  return record ? *record : RunRecord();
}

TEST(CppClientTest, StepsOfEveryRankArrive) {
  const RunRecord record = run_cpp({}, 2);
  ASSERT_EQ(record.ranks.size(), 2);
  for (int rank = 0; rank < 2; ++rank) {
    const RankRecord& one = record.ranks[static_cast<std::size_t>(rank)];
    EXPECT_EQ(one.hello.rank, rank);
    EXPECT_EQ(one.hello.world, 2);
    EXPECT_EQ(one.hello.batch, 16);
    EXPECT_GT(one.hello.pid, 0);
    ASSERT_EQ(one.steps.size(), 3);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(one.steps[i].index, static_cast<std::int64_t>(i));
      EXPECT_EQ(one.steps[i].samples, 101);
      EXPECT_EQ(one.steps[i].loss, 0.5);
      EXPECT_LE(one.steps[i].begin_ns, one.steps[i].ready_ns);
      EXPECT_LE(one.steps[i].ready_ns, one.steps[i].end_ns);
    }
    EXPECT_LE(one.steps[0].end_ns, one.steps[1].begin_ns);
  }
}

TEST(CppClientTest, TheConditionsOfTheRunAreObeyed) {
  const RunRecord record = run_cpp({{"PENSTOCK_STEP_COUNT", "2"},
                                    {"PENSTOCK_DATA", "synthetic"},
                                    {"PENSTOCK_ALL_REDUCE", "off"}});
  ASSERT_EQ(record.ranks.size(), 1);
  ASSERT_EQ(record.ranks[0].steps.size(), 2);
  EXPECT_EQ(record.ranks[0].steps[0].samples, 110);
}

TEST(CppClientTest, WithoutALauncherItDoesNothing) {
  EXPECT_TRUE(internal::run_program({"env", "-u", "PENSTOCK_STEPS", PENSTOCK_CLIENT_PROGRAM}));
}

TEST(CppClientTest, ALauncherThatDoesNotListenIsNamed) {
  const auto output =
      internal::run_program({"env", "PENSTOCK_STEPS=no-such-socket", PENSTOCK_CLIENT_PROGRAM});
  ASSERT_FALSE(output);
  EXPECT_THAT(output.error().text(), HasSubstr("PENSTOCK_STEPS=no-such-socket: no launcher"));
}

class PythonClientTest : public testing::Test {
 protected:
  void SetUp() override {
    if (python_for("").empty()) GTEST_SKIP() << "python3 is not installed";
  }
  // The script tells what it did as an error, which ends the run without its steps.
  static std::string told(const std::vector<std::string>& arguments,
                          const Environment& environment) {
    const Result<RunRecord> record = run_ranks(launch_of(command(arguments), environment));
    return record ? "" : record.error().text();
  }
  static std::vector<std::string> command(const std::vector<std::string>& arguments) {
    std::vector<std::string> command = {
        python_for(""), PENSTOCK_SOURCE_DIR "/src/penstock/train/tests/client_script.py"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return command;
  }
};

TEST_F(PythonClientTest, WatchMarksEveryBatchWithItsSamples) {
  Launch launch = launch_of({python_for(""), "-c",
                             "import penstock_steps\n"
                             "class Batch: shape = (5, 3)\n"
                             "steps = penstock_steps.connect(batch=8)\n"
                             "for images, labels in steps.watch([(Batch(), 0)] * 3): pass\n"},
                            {}, 2);
  const Result<RunRecord> record = run_ranks(launch);
  ASSERT_TRUE(record) << record.error().text();
  for (std::size_t rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(record->ranks[rank].hello.rank, static_cast<int>(rank));
    EXPECT_EQ(record->ranks[rank].hello.batch, 8);
    ASSERT_EQ(record->ranks[rank].steps.size(), 3);
    EXPECT_EQ(record->ranks[rank].steps[2].samples, 5);
  }
}

TEST_F(PythonClientTest, TheLoaderGoesRoundUntilTheStepsAreDone) {
  EXPECT_THAT(told({"3"}, {{"PENSTOCK_STEP_COUNT", "7"}}),
              HasSubstr("asked=7 seen=7 synchronized=True"));
}

TEST_F(PythonClientTest, WithoutALimitTheProgramsOwnEpochsHold) {
  EXPECT_THAT(told({"3", "2"}, {}), HasSubstr("asked=6 seen=6"));
}

TEST_F(PythonClientTest, ARunWithSyntheticDataKeepsToTheFirstBatches) {
  EXPECT_THAT(told({"3"}, {{"PENSTOCK_STEP_COUNT", "9"}, {"PENSTOCK_DATA", "synthetic"}}),
              HasSubstr("asked=2 seen=9"));
  EXPECT_THAT(told({"1"}, {{"PENSTOCK_STEP_COUNT", "9"}, {"PENSTOCK_DATA", "synthetic"}}),
              HasSubstr("asked=2 seen=9"));
}

TEST_F(PythonClientTest, ARunWithoutAllReduceDoesNotSynchronise) {
  EXPECT_THAT(told({"1"}, {{"PENSTOCK_ALL_REDUCE", "off"}}), HasSubstr("synchronized=False"));
}

TEST_F(PythonClientTest, AnEmptyLoaderEndsTheRun) {
  EXPECT_THAT(told({"0"}, {{"PENSTOCK_STEP_COUNT", "7"}}), HasSubstr("asked=0 seen=0"));
}

TEST_F(PythonClientTest, WithoutALauncherItDoesNothing) {
  std::vector<std::string> words = command({"3", "2"});
  words.insert(words.begin(), {"env", "-u", "PENSTOCK_STEPS", "PYTHONDONTWRITEBYTECODE=1",
                               "PYTHONPATH=" PENSTOCK_SOURCE_DIR "/clients"});
  const Result<std::string> output = internal::run_program(words);
  ASSERT_TRUE(output) << output.error().text();
  EXPECT_EQ(*output, "asked=6 seen=6 synchronized=True\n");
}

// Importing torch alone takes seconds.
TEST(AttachedExampleSlowTest, ThePyTorchScriptIsMeasuredWithItsSumsAndWithout) {
  const std::string python = python_for("import torch");
  if (python.empty()) GTEST_SKIP() << "python3-torch is not installed";
  for (const std::string all_reduce : {"on", "off"}) {
    const std::string port = std::to_string(20000 + ::getpid() % 20000);
    Launch launch =
        launch_of({python, PENSTOCK_SOURCE_DIR "/examples/attach/train_resnet.py", "--model",
                   "small", "--batch", "4", "--size", "32", "--workers", "0"},
                  {{"PENSTOCK_STEP_COUNT", "4"},
                   {"PENSTOCK_ALL_REDUCE", all_reduce},
                   {"MASTER_ADDR", "127.0.0.1"},
                   {"MASTER_PORT", port},
                   {"OMP_NUM_THREADS", "1"}},
                  2);
    const Result<RunRecord> record = run_ranks(launch);
    ASSERT_TRUE(record) << record.error().text();
    for (const RankRecord& rank : record->ranks) {
      ASSERT_EQ(rank.steps.size(), 4);
      EXPECT_EQ(rank.steps[0].samples, 4);
    }
  }
}

}  // namespace
}  // namespace penstock::train
