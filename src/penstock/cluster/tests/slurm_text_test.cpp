#include "penstock/cluster/internal/slurm_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>

namespace penstock::cluster::internal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// What scontrol 22.05.8 printed, with a name and a comment that have blanks and an "=".
constexpr const char* kPending =
    "JobId=4 JobName=my job UserId=root(0) GroupId=root(0) MCS_label=N/A Priority=0 Nice=0 "
    "Account=(null) QOS=(null) JobState=PENDING Reason=JobHeldUser Dependency=(null) Requeue=1 "
    "Restarts=0 BatchFlag=1 Reboot=0 ExitCode=0:0 DerivedExitCode=0:0 RunTime=00:00:00 "
    "TimeLimit=UNLIMITED TimeMin=N/A SubmitTime=2026-11-21T22:07:48 EligibleTime=Unknown "
    "AccrueTime=Unknown StartTime=Unknown EndTime=Unknown Deadline=N/A SuspendTime=None "
    "SecsPreSuspend=0 LastSchedEval=2026-11-21T22:07:48 Scheduler=Main Partition=all "
    "AllocNode:Sid=vm:10990 ReqNodeList=(null) ExcNodeList=(null) NodeList= NumNodes=1 NumCPUs=1 "
    "NumTasks=1 CPUs/Task=1 ReqB:S:C:T=0:0:*:* TRES=cpu=1,mem=1M,node=1,billing=1 Socks/Node=* "
    "NtasksPerN:B:S:C=0:0:*:* CoreSpec=* MinCPUsNode=1 MinMemoryNode=0 MinTmpDiskNode=0 "
    "Features=(null) DelayBoot=00:00:00 OverSubscribe=OK Contiguous=0 Licenses=(null) "
    "Network=(null) Command=/tmp/sl.sh WorkDir=/tmp Comment=penstock:model=res net;work=2 h  "
    "StdErr=/tmp/slurm-4.out StdIn=/dev/null StdOut=/tmp/slurm-4.out Power= "
    "TresPerJob=gres:gpu:6 ";
constexpr const char* kRunning =
    "JobId=1 JobName=sl.sh UserId=root(0) Priority=4294901759 JobState=RUNNING Reason=None "
    "Requeue=1 Restarts=2 SubmitTime=2026-11-21T22:03:10 EligibleTime=2026-11-21T22:03:11 "
    "StartTime=2026-11-21T22:03:11 EndTime=Unknown Partition=all ReqNodeList=node[01-02] "
    "NodeList=node[01-02] NumNodes=2 NumCPUs=6 NumTasks=6 CPUs/Task=1 JOB_GRES=gpu:6   "
    "Nodes=node01 CPU_IDs=0-4 Mem=0 GRES=gpu:4(IDX:0-3)   Nodes=node02 CPU_IDs=0 Mem=0 "
    "GRES=gpu:2(IDX:0-1) MinCPUsNode=1 WorkDir=/tmp StdErr=/tmp/slurm-1.out "
    "TresPerTask=gres:gpu:1 ";

TEST(SlurmTextTest, ExpandsListsOfHosts) {
  EXPECT_THAT(expand_hosts("node[01-03,07],gpu5"),
              ElementsAre("node01", "node02", "node03", "node07", "gpu5"));
  EXPECT_THAT(expand_hosts("r[1-2]n[09-10]-ib"),
              ElementsAre("r1n09-ib", "r1n10-ib", "r2n09-ib", "r2n10-ib"));
  EXPECT_THAT(expand_hosts("(null)"), IsEmpty());
  EXPECT_THAT(expand_hosts(""), IsEmpty());
  EXPECT_THAT(expand_hosts("node[5-3]"), IsEmpty());
}

TEST(SlurmTextTest, CountsOneResourceAmongMany) {
  EXPECT_EQ(resource_count("gres:gpu:6", "gpu"), 6);
  EXPECT_EQ(resource_count("gpu:a100:4(IDX:0-3),gpu:v100:2(IDX:4,5)", "gpu"), 6);
  EXPECT_EQ(resource_count("gres/gpu=2,gres:nic:1", "gpu"), 2);
  EXPECT_EQ(resource_count("gpu:tesla", "gpu"), 1);
  EXPECT_EQ(resource_count("gpu", "gpu"), 1);
  EXPECT_EQ(resource_count("gpumem:40", "gpu"), 0);
  EXPECT_EQ(resource_count("(null)", "gpu"), 0);
}

TEST(SlurmTextTest, ReadsAHeldJobWhoseWordsHaveBlanks) {
  const BatchJob job = job_of(parse_record(kPending), "gpu");
  EXPECT_EQ(job.id, 4);
  EXPECT_EQ(job.name, "my job");
  EXPECT_EQ(job.user, "root");
  EXPECT_EQ(job.comment, "penstock:model=res net;work=2 h");
  EXPECT_EQ(job.state, BatchState::kPending);
  EXPECT_TRUE(job.is_held);
  EXPECT_FALSE(job.is_array);
  EXPECT_EQ(job.accelerators, 6);
  EXPECT_EQ(job.tasks, 1);
  EXPECT_THAT(job.wanted_nodes, IsEmpty());
  EXPECT_EQ(job.end_s, 0);
}

TEST(SlurmTextTest, ReadsWhereARunningJobHoldsAccelerators) {
  const BatchJob job = job_of(parse_record(kRunning), "gpu");
  EXPECT_EQ(job.state, BatchState::kRunning);
  EXPECT_FALSE(job.is_held);
  EXPECT_EQ(job.accelerators, 6);
  EXPECT_EQ(job.restarts, 2);
  EXPECT_THAT(job.wanted_nodes, ElementsAre("node01", "node02"));
  EXPECT_THAT(job.shares, ElementsAre(NodeShare{"node01", 4}, NodeShare{"node02", 2}));
  EXPECT_EQ(job.start_s - job.submit_s, 1);
}

TEST(SlurmTextTest, KnowsTheEndsOfAJob) {
  const auto state_of = [](const std::string& state) {
    return job_of(
        parse_record("JobId=1 JobState=" + state + " EndTime=2026-11-21T22:03:11 Priority=0"),
        "gpu");
  };
  for (const char* state : {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"}) {
    EXPECT_EQ(state_of(state).state, BatchState::kEnded) << state;
  }
  EXPECT_EQ(state_of("REQUEUE_HOLD").state, BatchState::kPending);
  EXPECT_TRUE(state_of("COMPLETING").is_completing);
}

TEST(SlurmTextTest, ANodeThatDrainsOrDoesNotAnswerTakesNoJobs) {
  const auto usable = [](const std::string& state) {
    return node_of(parse_record("NodeName=n1 Gres=gpu:4 State=" + state), "gpu").is_usable;
  };
  EXPECT_TRUE(usable("IDLE"));
  EXPECT_TRUE(usable("MIXED+PLANNED"));
  for (const char* state : {"IDLE+DRAIN", "MIXED*", "DOWN", "DOWN*+NOT_RESPONDING", "UNKNOWN"}) {
    EXPECT_FALSE(usable(state)) << state;
  }
}

TEST(SlurmTextTest, LeafSwitchesAreRacks) {
  std::vector<BatchNode> nodes = {{.name = "node01", .rack = ""}, {.name = "node05", .rack = ""}};
  set_racks(nodes, {parse_record("SwitchName=rack1 Level=0 LinkSpeed=1 Nodes=node[01-04]"),
                    parse_record("SwitchName=rack2 Level=0 LinkSpeed=1 Nodes=node05"),
                    parse_record("SwitchName=spine Level=1 LinkSpeed=1 Nodes=node[01-05] "
                                 "Switches=rack[1-2]")});
  EXPECT_EQ(nodes[0].rack, "rack1");
  EXPECT_EQ(nodes[1].rack, "rack2");
}

TEST(SlurmTextTest, TimesAreLocal) {
  EXPECT_EQ(parse_time("Unknown"), 0);
  EXPECT_EQ(parse_time("2026-11-21T22:03:11") - parse_time("2026-11-21T22:03:10"), 1);
}

}  // namespace
}  // namespace penstock::cluster::internal
