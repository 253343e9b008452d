#include "penstock/train/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "penstock/core/interrupt.h"
#include "penstock/train/internal/slurm.h"

namespace penstock::train {
namespace {

using testing::HasSubstr;

// The processes that carry `mark` in their environment, whoever their parent is.
std::vector<int> processes_with(const std::string& mark) {
  std::vector<int> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream in(entry.path() / "environ");
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    if (text.find(mark) != std::string::npos) found.push_back(std::stoi(name));
  }
  return found;
}

// Whether they are gone, or go soon: a killed process that is not ours takes a moment to end.
bool soon_gone(const std::string& mark) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!processes_with(mark).empty()) {
    if (std::chrono::steady_clock::now() > until) return false;
    ::sched_yield();
  }
  return true;
}

class LaunchTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = testing::TempDir() + "launch-XXXXXX";
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    folder_ = path;
    ::setenv("TMPDIR", folder_.c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("TMPDIR");
    EXPECT_TRUE(std::filesystem::is_empty(folder_)) << "the run's folder has stayed";
    EXPECT_TRUE(soon_gone(mark())) << "processes have stayed";
    std::filesystem::remove_all(folder_);
  }

  std::string mark() const { return "PENSTOCK_TEST_MARK=" + folder_; }
  RankCommand program(std::vector<std::string> arguments) const {
    RankCommand command;
    command.command = std::move(arguments);
    command.command.insert(command.command.begin(), PENSTOCK_MARKER_PROGRAM);
    command.environment["PENSTOCK_TEST_MARK"] = folder_;
    return command;
  }
  static std::string error_of(const Launch& launch) {
    const Result<RunRecord> record = run_ranks(launch);
    return record ? "" : record.error().text();
  }

  std::string folder_;
};

TEST_F(LaunchTest, StepsOfEveryRankArriveInOrder) {
  Launch launch;
  for (int rank = 0; rank < 3; ++rank) launch.ranks.push_back(program({"4"}));
  const Result<RunRecord> record = run_ranks(launch);
  ASSERT_TRUE(record) << record.error().text();
  EXPECT_FALSE(record->interrupted);
  ASSERT_EQ(record->ranks.size(), 3);
  for (int rank = 0; rank < 3; ++rank) {
    const RankRecord& one = record->ranks[static_cast<std::size_t>(rank)];
    EXPECT_EQ(one.hello.rank, rank);
    EXPECT_EQ(one.hello.world, 3);
    EXPECT_EQ(one.hello.batch, 8);
    ASSERT_EQ(one.steps.size(), 4);
    for (std::size_t step = 0; step < 4; ++step) {
      EXPECT_EQ(one.steps[step].index, static_cast<std::int64_t>(step));
      EXPECT_EQ(one.steps[step].end_ns, 100 + rank);
    }
    EXPECT_GT(one.peak_bytes, 0);
  }
}

TEST_F(LaunchTest, ARankThatDiesTakesTheRunWithItByName) {
  Launch launch;
  launch.ranks = {program({"2", "hang"}), program({"2", "die"})};
  EXPECT_THAT(error_of(launch),
              testing::MatchesRegex("rank 1 \\(pid [0-9]+\\) died of signal 9 \\(Killed\\).*"));
}

TEST_F(LaunchTest, ARankThatFailsShowsItsLastLines) {
  Launch launch;
  launch.ranks = {program({"2", "hang"}), program({"2", "exit", "3"})};
  const Result<RunRecord> record = run_ranks(launch);
  ASSERT_FALSE(record);
  EXPECT_EQ(record.error().kind, ErrorKind::kMissing);
  EXPECT_THAT(record.error().text(),
              HasSubstr("ended with exit code 3; its last lines: first line | the reason"));
  EXPECT_THAT(record.error().text(), HasSubstr("rank 1 (pid "));
}

TEST_F(LaunchTest, WhatARankComplainsOfIsTheErrorWithItsKind) {
  Launch launch;
  launch.ranks = {program({"0", "complain", "the model has no operator \"Loop\""})};
  const Result<RunRecord> record = run_ranks(launch);
  ASSERT_FALSE(record);
  EXPECT_THAT(record.error().text(), HasSubstr("the model has no operator \"Loop\""));
  EXPECT_EQ(record.error().kind, ErrorKind::kMissing);
}

TEST_F(LaunchTest, TheRankThatDiedIsNamedAndNotTheOneThatNoticedFirst) {
  Launch launch;
  launch.ranks = {program({"2", "complain", "rank 1 (pid 99) has ended in the middle of a sum"}),
                  program({"2", "die"})};
  EXPECT_THAT(error_of(launch), HasSubstr("died of signal 9"));
  launch.ranks[1] = program({"2", "complain", "the disk is full"});
  EXPECT_THAT(error_of(launch), HasSubstr("rank 1"));
  EXPECT_THAT(error_of(launch), HasSubstr("the disk is full"));
}

TEST_F(LaunchTest, ARankThatHangsIsNamed) {
  Launch launch;
  launch.patience = Seconds(0.2);
  launch.ranks = {program({"2"}), program({"2", "hang"})};
  EXPECT_THAT(
      error_of(launch),
      testing::MatchesRegex("rank 1 \\(pid [0-9]+\\): no step came for 200 ms: it hangs.*"));
}

TEST_F(LaunchTest, ARankOfLongStepsIsAllowedFiveOfThem) {
  Launch launch;
  launch.patience = Seconds(0.01);
  launch.ranks = {program({"1", "long-step"})};
  EXPECT_THAT(error_of(launch), HasSubstr("no step came for 250 ms: it hangs"));
}

TEST_F(LaunchTest, ARankThatNeverBeginsIsNamed) {
  Launch launch;
  launch.start_patience = Seconds(0.2);
  launch.ranks = {program({"0", "hang"})};
  EXPECT_THAT(error_of(launch), HasSubstr("no step came for 200 ms"));
}

TEST_F(LaunchTest, RubbishIsRefusedWithItsPlace) {
  Launch launch;
  launch.ranks = {program({"2", "rubbish"})};
  EXPECT_THAT(error_of(launch),
              HasSubstr("line 4 of its step markers: index=-1 is not a whole number"));
}

TEST_F(LaunchTest, AProgramWithoutStepMarkersIsTold) {
  Launch launch;
  RankCommand silent;
  silent.command = {"true"};
  launch.ranks = {silent};
  EXPECT_THAT(error_of(launch), HasSubstr("ended without a step"));
}

TEST_F(LaunchTest, RanksThatCountDifferentlyAreTold) {
  Launch launch;
  launch.ranks = {program({"1"}), program({"1"})};
  launch.ranks[1].environment["WORLD_SIZE"] = "5";
  EXPECT_THAT(error_of(launch), HasSubstr("says that there are 5 ranks where 2 run"));
  launch.ranks[1].environment["WORLD_SIZE"] = "2";
  launch.ranks[1].environment["RANK"] = "0";
  EXPECT_THAT(error_of(launch), HasSubstr("is the rank that two programs say they are"));
}

TEST_F(LaunchTest, AProgramThatIsNotThereIsNamed) {
  Launch launch;
  launch.ranks = {program({"2", "hang"}), program({})};
  launch.ranks[1].command = {"no-such-program"};
  const Result<RunRecord> record = run_ranks(launch);
  ASSERT_FALSE(record);
  EXPECT_EQ(record.error().kind, ErrorKind::kMissing);
  EXPECT_EQ(record.error().text(), "no-such-program: cannot be started: No such file or directory");
}

TEST_F(LaunchTest, ANetworkNamespaceThatIsNotThereIsNamed) {
  Launch launch;
  launch.ranks = {program({"2"})};
  launch.ranks[0].network_namespace = "no-such-namespace";
  EXPECT_THAT(error_of(launch), HasSubstr("no-such-namespace"));
}

TEST_F(LaunchTest, CompanionsEndWithTheRanks) {
  Launch launch;
  launch.companions = {program({"0", "hang"})};
  launch.companions[0].environment["PENSTOCK_STEPS"] = "";
  launch.ranks = {program({"2"})};
  const Result<RunRecord> record = run_ranks(launch);
  EXPECT_TRUE(record) << record.error().text();
}

TEST_F(LaunchTest, ACompanionThatFailsTakesTheRunWithIt) {
  Launch launch;
  launch.companions = {program({"0", "exit", "2"})};
  launch.companions[0].environment["PENSTOCK_STEPS"] = "";
  launch.ranks = {program({"2", "hang"})};
  const std::string error = error_of(launch);
  EXPECT_THAT(error, HasSubstr("companion 0 ("));
  EXPECT_THAT(error, HasSubstr("ended with exit code 2; its last lines: first line | the reason"));
  launch.companions[0].name = "the loader of rank 7";
  EXPECT_THAT(error_of(launch), HasSubstr("the loader of rank 7 ("));
}

TEST_F(LaunchTest, WhatARankLeavesRunningEndsWithIt) {
  Launch launch;
  launch.ranks = {program({"2", "orphan"})};
  const Result<RunRecord> record = run_ranks(launch);
  EXPECT_TRUE(record) << record.error().text();
  // TearDown() looks for processes that carry the mark.
}

TEST_F(LaunchTest, ARankThatIgnoresTheRequestToEndIsEndedByForce) {
  Launch launch;
  launch.ranks = {program({"1", "ignore-end"}), program({"1", "die"})};
  EXPECT_THAT(error_of(launch), HasSubstr("rank 1 (pid "));
}

TEST_F(LaunchTest, RanksDieWithALauncherThatIsKilled) {
  const pid_t launcher = ::fork();
  if (launcher == 0) {
    Launch launch;
    launch.ranks = {program({"1", "hang"})};
    launch.ranks[0].environment["PENSTOCK_TEST_MARK"] = folder_;
    (void)run_ranks(launch);
    ::_exit(0);
  }
  while (processes_with(mark()).empty()) ::sched_yield();
  ::kill(launcher, SIGKILL);
  ::waitpid(launcher, nullptr, 0);
  EXPECT_TRUE(soon_gone(mark()));
  // A killed launcher cannot remove its folder.
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    std::filesystem::remove_all(entry.path());
  }
}

// Interrupts itself when its rank has said three steps, in a process of its own, since the flag
// that Ctrl-C sets stays set.
[[noreturn]] void run_and_interrupt(Launch launch) {
  core::install_interrupt_handler();
  launch.ranks[0].command = {"sh", "-c",
                             std::string(PENSTOCK_MARKER_PROGRAM) + " 3; kill -INT " +
                                 std::to_string(::getpid()) + "; exec sleep 1000"};
  const Result<RunRecord> record = run_ranks(launch);
  const bool kept = record && record->interrupted && record->ranks[0].steps.size() == 3;
  ::_exit(kept ? 0 : 1);
}

TEST_F(LaunchTest, CtrlCEndsTheRunAndKeepsItsSteps) {
  Launch launch;
  launch.ranks = {program({})};
  EXPECT_EXIT(run_and_interrupt(launch), testing::ExitedWithCode(0), "");
}

// Stands in for Slurm's: runs every line of the file after its rank's number.
constexpr const char* kFakeSrun =
    "#!/bin/sh\n"
    "for file; do :; done\n"
    "while read -r rank line; do eval \"$line\" & done <\"$file\"\n"
    "wait\n";

SlurmNodes two_nodes() {
  return {.job = "7",
          .names = {"n1", "n2"},
          .address = "127.0.0.1",
          .our_address = "127.0.0.1",
          .processors_of_rank = 3};
}

class SlurmLaunchTest : public LaunchTest {
 protected:
  void SetUp() override {
    LaunchTest::SetUp();
    tools_ = folder_ + "-tools";
    std::filesystem::create_directory(tools_);
    std::ofstream(tools_ + "/srun") << kFakeSrun;
    std::filesystem::permissions(tools_ + "/srun", std::filesystem::perms::owner_all);
    path_ = std::getenv("PATH");
    ::setenv("PATH", (tools_ + ":" + path_).c_str(), 1);
  }
  void TearDown() override {
    ::setenv("PATH", path_.c_str(), 1);
    std::filesystem::remove_all(tools_);
    LaunchTest::TearDown();
  }
  std::string tools_;
  std::string path_;
};

TEST_F(SlurmLaunchTest, StepsComeOverTcp) {
  Launch launch;
  launch.slurm = two_nodes();
  launch.ranks = {program({"3"}), program({"3"})};
  const Result<RunRecord> record = run_ranks(launch);
  ASSERT_TRUE(record) << record.error().text();
  ASSERT_EQ(record->ranks.size(), 2);
  EXPECT_EQ(record->ranks[0].steps.size(), 3);
  EXPECT_EQ(record->ranks[1].steps.size(), 3);
  EXPECT_EQ(record->ranks[1].hello.rank, 1);
}

TEST_F(SlurmLaunchTest, ARankThatGoesWithoutAWordIsNamedWithItsNode) {
  Launch launch;
  launch.slurm = two_nodes();
  launch.ranks = {program({"2", "hang"}), program({"2", "die"})};
  EXPECT_THAT(error_of(launch), HasSubstr("rank 1 (on n2): has gone without a word"));
}

TEST_F(SlurmLaunchTest, ARankThatComplainsIsTheErrorWhateverGoesAfterIt) {
  Launch launch;
  launch.slurm = two_nodes();
  launch.ranks = {program({"2", "complain", "a peer has died or hangs: connection reset"}),
                  program({"2", "complain", "the disk is full"})};
  EXPECT_THAT(error_of(launch), HasSubstr("rank 1 (on n2): the disk is full"));
  launch.ranks[1] = program({"2", "die"});
  EXPECT_THAT(error_of(launch), HasSubstr("rank 1 (on n2): has gone without a word"));
}

TEST(SlurmTest, RanksKeepTheirCommandsAndEnvironments) {
  RankCommand first;
  first.command = {"worker", "a job.json"};
  first.environment = {{"PENSTOCK_STEPS", "tcp:host:1"}, {"RANK", "0"}};
  RankCommand second;
  second.command = {"worker", "100%t\"it's\".json"};
  EXPECT_EQ(internal::multi_prog_file({first, second}),
            "0 env 'PENSTOCK_STEPS=tcp:host:1' 'RANK=0' 'worker' 'a job.json'\n"
            "1 env 'worker' '100%t\"it'\\''s\".json'\n");
}

TEST(SlurmTest, RanksSpreadEvenlyOverTheNodes) {
  EXPECT_THAT(
      internal::srun_command(5, two_nodes(), "ranks"),
      testing::IsSupersetOf({"--jobid=7", "--nodes=2", "--nodelist=n1,n2", "--ntasks=5",
                             "--ntasks-per-node=3", "--cpus-per-task=3", "--distribution=block"}));
}

TEST(CompanionProgramTest, AProgramThatIsNotThereSaysHowToGetIt) {
  const Result<std::string> worker = companion_program("penstock-no-such-worker");
  ASSERT_FALSE(worker);
  EXPECT_EQ(worker.error().kind, ErrorKind::kMissing);
  EXPECT_THAT(worker.error().text(), HasSubstr("PENSTOCK_LIBEXEC"));
}

TEST(CompanionProgramTest, TheFolderInTheEnvironmentGoesFirst) {
  const std::filesystem::path program = PENSTOCK_MARKER_PROGRAM;
  ::setenv("PENSTOCK_LIBEXEC", program.parent_path().c_str(), 1);
  const Result<std::string> found = companion_program(program.filename());
  ::unsetenv("PENSTOCK_LIBEXEC");
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(*found, program.string());
}

}  // namespace
}  // namespace penstock::train
