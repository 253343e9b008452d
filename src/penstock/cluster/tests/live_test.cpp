#include "penstock/cluster/live.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>

#include "fake_batch.h"
#include "penstock/core/json.h"
#include "penstock/core/private_folder.h"
#include "penstock/core/random.h"
#include "penstock/ledger/journal.h"

namespace penstock::cluster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Policy policy_of(const std::string& order, const std::string& rule = "") {
  Policy policy = *make_policy(order, rule);
  EXPECT_TRUE(policy.settings.set("min-run", "1 s"));
  return policy;
}

// In memory where there is such a folder: what is tested is what is written, not the disk.
core::PrivateFolder memory_folder() {
  Result<core::PrivateFolder> folder = core::PrivateFolder::create("/dev/shm");
  return folder ? *std::move(folder) : *core::PrivateFolder::create();
}

// A scheduler that is started, killed and started again on one batch system.
class World {
 public:
  World(FakeBatch& batch, Policy policy) : batch_(batch), policy_(std::move(policy)) {}

  void begin() {
    live_.reset();
    journal_.reset();  // the lock goes first
    journal_ = std::make_unique<ledger::Journal>(
        *ledger::Journal::open(folder_.path() + "/book.sqlite", "test"));
    speeds_ = SpeedBook();
    speeds_.state("vgg16", 2.0, 4.0);
    Result<LiveScheduler> live = LiveScheduler::begin(
        {.policy = policy_, .links = uniform(1, 1, 1)}, speeds_, batch_, journal_.get());
    ASSERT_TRUE(live) << live.error().text();
    live_.emplace(*std::move(live));
  }
  // One step; where it was killed, a new one takes over after a while.
  void step() {
    try {
      if (!live_) begin();
      const Status status = live_->step(batch_.unix_ns());
      if (!status) last_error_ = status.error().text();
      for (std::string& line : live_->take_log()) log.push_back(std::move(line));
    } catch (const Killed&) {
      ++kills;
      live_.reset();
      journal_.reset();
      batch_.advance(3 * FakeBatch::kSecond);
    }
  }
  // Until all has ended, in steps of a second.
  void run(int most_steps = 2000) {
    for (int i = 0; i < most_steps && !(batch_.all_ended() && live_ && live_->jobs() == 0); ++i) {
      step();
      batch_.advance(FakeBatch::kSecond);
    }
    EXPECT_TRUE(batch_.all_ended()) << testing::PrintToString(log);
  }
  void run_for(int seconds) {
    for (int i = 0; i < seconds; ++i) {
      step();
      batch_.advance(FakeBatch::kSecond);
    }
  }
  void kill() {
    live_.reset();
    journal_.reset();
  }
  LiveScheduler& live() { return *live_; }
  const std::string& last_error() const { return last_error_; }

  std::vector<std::string> log;
  int kills = 0;

 private:
  FakeBatch& batch_;
  Policy policy_;
  core::PrivateFolder folder_ = memory_folder();
  SpeedBook speeds_;
  std::unique_ptr<ledger::Journal> journal_;
  std::optional<LiveScheduler> live_;
  std::string last_error_;
};

void expect_each_ran_once(const FakeBatch& batch) {
  for (const auto& [id, work] : batch.work) {
    EXPECT_EQ(work.ends, batch.foreign.contains(id) ? 0 : 1) << "job " << id;
  }
}

TEST(JobMarkTest, ReadsWhatACommentSays) {
  const JobMark mark = *parse_mark("penstock:model=bert; work=2 h;skew=0.5;save=20 s;batch=64");
  EXPECT_EQ(
      mark,
      (JobMark{
          .model = "bert", .batch = 64, .work = Seconds(7200), .skew = 0.5, .save = Seconds(20)}));
  EXPECT_TRUE(parse_mark("penstock"));
  EXPECT_TRUE(is_marked("penstock:"));
  EXPECT_FALSE(is_marked("penstocks"));
  EXPECT_FALSE(is_marked("about penstock:"));
}

TEST(JobMarkTest, SaysWhatIsWrongWithAComment) {
  EXPECT_THAT(parse_mark("penstock:work=2").error().text(), HasSubstr("work=2 is not a time"));
  EXPECT_THAT(parse_mark("penstock:modell=x").error().text(), HasSubstr("model"));
  EXPECT_FALSE(parse_mark("penstock:skew=2"));
  EXPECT_FALSE(parse_mark("penstock:save=-1 s"));
  EXPECT_FALSE(parse_mark("penstock:model"));
}

TEST(LiveTest, JobsStartInTheOrderOfTheirSubmission) {
  FakeBatch batch(2, 2, 4);
  for (const int accelerators : {16, 8, 8, 1}) batch.add(accelerators, 10);
  World world(batch, policy_of("fifo"));
  world.run();
  EXPECT_THAT(batch.start_order, ElementsAre(1, 2, 3, 4));
  expect_each_ran_once(batch);
}

TEST(LiveTest, AJobThatFitsOneNodeLiesOnOneNode) {
  FakeBatch batch(2, 2, 4);
  batch.add(4, 5);
  batch.add(8, 5);
  World world(batch, policy_of("dally"));
  world.run_for(3);
  EXPECT_EQ(batch.job(1).shares.size(), 1U);
  EXPECT_EQ(batch.job(2).shares.size(), 2U);
}

// Whatever request is the last before SIGKILL, and whether or not it was carried out.
TEST(LiveTest, AKillBetweenAnyTwoRequestsNeitherLosesNorDoublesAJob) {
  const auto fill = [](FakeBatch& batch) {
    batch.add(16, 30, "penstock:model=vgg16;work=30 s");
    batch.advance(FakeBatch::kSecond);
    for (const int accelerators : {4, 8, 2}) {
      batch.add(accelerators, 4, "penstock:model=vgg16;work=4 s");
    }
  };
  const Policy policy = [] {
    Policy las = policy_of("2d-las", "manual");
    EXPECT_TRUE(las.settings.set("las-limit-0", "100 s"));
    EXPECT_TRUE(las.settings.set("las-limit-1", "1 h"));
    EXPECT_TRUE(las.settings.set("delay-node", "5 s"));
    return las;
  }();
  int requests = 0;
  {
    FakeBatch batch(2, 2, 4);
    fill(batch);
    World world(batch, policy);
    world.run();
    expect_each_ran_once(batch);
    requests = batch.requests;
    EXPECT_GT(batch.work.at(1).starts_ns.size(), 1U) << "nobody was preempted";
  }
  for (int at = 0; at < requests; ++at) {
    for (const bool before : {true, false}) {
      SCOPED_TRACE(testing::Message() << (before ? "before " : "after ") << at);
      FakeBatch batch(2, 2, 4);
      fill(batch);
      (before ? batch.killed_before : batch.killed_after) = at;
      World world(batch, policy);
      world.run();
      EXPECT_EQ(world.kills, 1);
      expect_each_ran_once(batch);
    }
  }
}

TEST(LiveTest, OthersJobsAreNeverTouchedAndTheirAcceleratorsAvoided) {
  FakeBatch batch(1, 2, 4);
  batch.occupy(0, 3);
  batch.add(1, 5, "");  // held by its owner, without a mark
  const std::int64_t array = batch.add(1, 5);
  batch.job(array).is_array = true;
  batch.foreign.insert(array);
  const std::int64_t ours = batch.add(5, 5);
  World world(batch, policy_of("fifo"));
  world.run(100);
  EXPECT_EQ(batch.work.at(ours).ends, 1);
  EXPECT_THAT(testing::PrintToString(world.log), HasSubstr("is left alone: it is an array"));
}

TEST(LiveTest, AJobLargerThanWhatIsFreeOfOthersWaitsAndIsSaidOnce) {
  FakeBatch batch(1, 2, 4);
  batch.occupy(0, 1);
  batch.add(8, 5);
  World world(batch, policy_of("fifo"));
  world.run_for(5);
  EXPECT_THAT(world.log, ElementsAre(HasSubstr("asks for 8 accelerators; only 7")));
}

TEST(LiveTest, AReleasedByHandJobIsLeftAlone) {
  FakeBatch batch(1, 1, 4);
  batch.add(4, 100);
  const std::int64_t second = batch.add(4, 5);
  World world(batch, policy_of("fifo"));
  world.run_for(3);
  batch.job(second).is_held = false;
  batch.foreign.insert(second);
  world.run_for(3);
  EXPECT_EQ(world.live().jobs(), 1);
}

TEST(LiveTest, ADyingNodeGivesItsJobToAnother) {
  FakeBatch batch(2, 2, 4);
  batch.add(4, 20);
  World world(batch, policy_of("dally"));
  world.run_for(5);
  const std::string first = batch.job(1).shares.at(0).node;
  batch.kill_node(0);
  batch.kill_node(1);
  world.run(60);
  EXPECT_EQ(batch.work.at(1).starts_ns.size(), 2U);
  EXPECT_EQ(world.live().counts().losses, 1);
  expect_each_ran_once(batch);
}

TEST(LiveTest, ADrainingNodeKeepsItsJobsAndGetsNoMore) {
  FakeBatch batch(1, 2, 4);
  batch.add(4, 20);
  World world(batch, policy_of("fifo"));
  world.run_for(3);
  const int drained = batch.job(1).shares.at(0).node == "node0" ? 0 : 1;
  batch.node(drained).is_usable = false;
  batch.add(4, 30);
  batch.add(4, 5);
  world.run(100);
  EXPECT_EQ(batch.work.at(1).starts_ns.size(), 1U);
  EXPECT_GE(batch.work.at(3).starts_ns.at(0), batch.work.at(2).end_ns);
  expect_each_ran_once(batch);
}

TEST(LiveTest, ASplitThatSlurmChoseIsTakenAsItIs) {
  FakeBatch batch(1, 3, 4);
  batch.occupy(0, 2);
  batch.occupy(1, 1);
  batch.occupy(2, 2);
  batch.add(6, 30);
  batch.add(1, 30);
  World world(batch, policy_of("fifo"));
  world.run_for(5);
  EXPECT_EQ(batch.job(4).state, BatchState::kRunning);
  EXPECT_EQ(batch.job(5).state, BatchState::kRunning);
}

// The clock of the first offer is in the journal.
TEST(LiveTest, ADelayGoesOnAcrossARestart) {
  const auto start_of_waiting = [](bool is_killed) {
    FakeBatch batch(1, 2, 4);
    batch.occupy(0, 2);
    batch.occupy(1, 2);
    batch.add(2, 60);
    batch.add(1, 500);
    const std::int64_t waits = batch.add(3, 10, "penstock:model=vgg16;work=1 h");
    Policy policy = policy_of("fifo-backfill", "manual");
    EXPECT_TRUE(policy.settings.set("delay-node", "20 s"));
    World world(batch, policy);
    world.run_for(10);
    if (is_killed) world.kill();
    world.run_for(100);
    return batch.work.at(waits).starts_ns;
  };
  const auto whole = start_of_waiting(false);
  ASSERT_EQ(whole.size(), 1U);
  EXPECT_EQ(start_of_waiting(true), whole);
}

TEST(LiveTest, AJobThatAsksForTimeIsSignalledOnceAndThenRequeued) {
  FakeBatch batch(1, 1, 4);
  batch.add(4, 100, "penstock:work=100 s;save=6 s");
  Policy policy = policy_of("2d-las");
  ASSERT_TRUE(policy.settings.set("las-limit-0", "100 s"));
  ASSERT_TRUE(policy.settings.set("las-limit-1", "10 h"));
  World world(batch, policy);
  world.run_for(40);
  const std::int64_t second = batch.add(4, 5, "penstock:work=5 s");
  world.run_for(4);
  EXPECT_EQ(world.live().jobs_in(LiveState::kSaving), 1);
  EXPECT_EQ(batch.job(1).state, BatchState::kRunning);
  world.run();
  EXPECT_THAT(batch.signalled, ElementsAre(1));
  EXPECT_LT(batch.work.at(second).end_ns, batch.work.at(1).end_ns);
  expect_each_ran_once(batch);
}

TEST(LiveTest, ARefusedPlacementIsSaidOnceAndTheJobRests) {
  FakeBatch batch(1, 1, 4);
  batch.add(4, 10);
  batch.refuses_places = true;
  World world(batch, policy_of("fifo"));
  world.run_for(20);
  EXPECT_EQ(world.live().counts().refusals, 3);
  batch.refuses_places = false;
  world.run(200);
  expect_each_ran_once(batch);
}

TEST(LiveTest, AControllerThatIsAwayStopsNothing) {
  FakeBatch batch(1, 1, 4);
  batch.add(4, 10);
  batch.add(4, 10);
  World world(batch, policy_of("fifo"));
  world.run_for(5);
  batch.is_away = true;
  world.run_for(20);
  EXPECT_THAT(world.last_error(), HasSubstr("does not answer"));
  batch.is_away = false;
  world.run();
  expect_each_ran_once(batch);
}

TEST(LiveTest, ADryRunAsksForNothing) {
  FakeBatch batch(1, 1, 4);
  batch.add(4, 10);
  SpeedBook speeds;
  LiveScheduler live = *LiveScheduler::begin(
      {.policy = policy_of("dally"), .links = uniform(1, 1, 1), .dry_run = true}, speeds, batch,
      nullptr);
  ASSERT_TRUE(live.step(batch.unix_ns()));
  EXPECT_THAT(live.take_log(), ElementsAre(HasSubstr("start job 1 on node0:4")));
  EXPECT_EQ(batch.requests, 1);
  EXPECT_TRUE(batch.job(1).is_held);
}

TEST(LiveTest, TellsWhatHasComeOfEveryJobAndMetrics) {
  FakeBatch batch(1, 1, 4);
  batch.add(4, 10);
  batch.add(2, 1000);
  World world(batch, policy_of("fifo"));
  world.run_for(15);
  const core::Json json = world.live().to_json(batch.unix_ns());
  ASSERT_EQ(json["ended"].size(), 1U);
  EXPECT_EQ(json["ended"][0]["how"], "COMPLETED");
  EXPECT_EQ(json["jobs"][0]["how"], "running");
  EXPECT_NEAR(json["ended"][0]["end_s"].get<double>(), 11, 1);
  const std::string metrics = world.live().metrics(batch.unix_ns());
  EXPECT_THAT(metrics, HasSubstr("\npenstock_cluster_jobs{state=\"running\"} 1\n"));
  EXPECT_THAT(metrics, HasSubstr("\npenstock_cluster_accelerators{state=\"free\"} 2\n"));
  EXPECT_THAT(metrics, HasSubstr("\npenstock_cluster_ended_total 1\n"));
}

TEST(LiveTest, AJobThatIsOverBetweenTwoLooksHasStartedToo) {
  FakeBatch batch(1, 1, 4);
  batch.add(4, 0.1);
  World world(batch, policy_of("fifo"));
  world.step();
  batch.advance(5 * FakeBatch::kSecond);
  world.step();
  const core::Json json = world.live().to_json(batch.unix_ns());
  ASSERT_EQ(json["ended"].size(), 1U);
  EXPECT_EQ(json["ended"][0]["starts"], 1);
}

TEST(SlurmDoorTest, AConfigurationThatIsNotThereIsNamedAtOnce) {
  ::setenv("SLURM_CONF", "/nowhere/slurm.conf", 1);
  for (const SlurmDoor door : {SlurmDoor::kBest, SlurmDoor::kLibrary, SlurmDoor::kPrograms}) {
    const auto slurm = open_slurm({.door = door});
    ASSERT_FALSE(slurm);
    EXPECT_EQ(slurm.error().kind, ErrorKind::kMissing);
    EXPECT_THAT(slurm.error().text(), HasSubstr("/nowhere/slurm.conf: cannot be read"));
  }
  ::unsetenv("SLURM_CONF");
}

// Random jobs, kills, dying and returning nodes, absent controllers.
TEST(LiveTest, EveryJobRunsToItsEndOnceWhateverHappens) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(seed);
    core::RandomStream random(seed, "live");
    FakeBatch batch(2, 3, 4);
    Policy policy = policy_of(seed % 3 == 0   ? "fifo-backfill"
                              : seed % 3 == 1 ? "2d-las"
                                              : "dally",
                              seed % 3 == 2 ? "" : "manual");
    ASSERT_TRUE(policy.settings.set("delay-node", "8 s"));
    ASSERT_TRUE(policy.settings.set("delay-rack", "8 s"));
    ASSERT_TRUE(policy.settings.set("las-limit-0", "60 s"));
    ASSERT_TRUE(policy.settings.set("las-limit-1", "5 min"));
    World world(batch, policy);
    for (int second = 0; second < 150; ++second) {
      if (random.uniform() < 0.15) {
        const double work = 3 + 30 * random.uniform();
        batch.add(1 << random.below(5), work,
                  fmt::format("penstock:model=vgg16;work={:.1f} s{}", work,
                              random.uniform() < 0.2 ? ";save=3 s" : ""));
      }
      const double dice = random.uniform();
      const int node = int(random.below(6));
      if (dice < 0.02) batch.kill_node(node);
      if (dice > 0.9) batch.node(node).is_usable = true;
      batch.is_away = dice > 0.5 && dice < 0.55;
      if (dice > 0.3 && dice < 0.4) {
        batch.killed_before = batch.requests + int(random.below(4));
        batch.killed_after = batch.requests + int(random.below(4));
      }
      world.step();
      batch.advance(FakeBatch::kSecond);
    }
    batch.is_away = false;
    batch.killed_before = batch.killed_after = -1;
    for (int node = 0; node < 6; ++node) batch.node(node).is_usable = true;
    world.run(3000);
    expect_each_ran_once(batch);
  }
}

}  // namespace
}  // namespace penstock::cluster
