// The scheduler as a program, beside a real Slurm.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <map>

#include "bed.h"
#include "penstock/cluster/simulate.h"
#include "penstock/core/clock.h"
#include "penstock/trace/jobs.h"

namespace penstock::live {
namespace {

using cluster::BatchJob;
using cluster::BatchState;
using core::Json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAreArray;

constexpr std::int64_t kSecond = 1'000'000'000;

// Slurm's own pace is a second, so what is waited for is looked at ten times as often.
bool wait_until(const std::function<bool()>& holds, int seconds) {
  const std::int64_t limit = core::now_ns() + seconds * kSecond;
  while (core::now_ns() < limit) {
    if (holds()) return true;
    core::wait_until_ns(core::now_ns() + kSecond / 10);
  }
  return holds();
}

std::string comment_of(double work_s) {
  return fmt::format("penstock:model=vgg16;work={:.3f} s", work_s);
}

const std::vector<std::string> kSmallTimers = {"--set", "delay-node=5 s", "--set", "delay-rack=5 s",
                                               "--set", "checkpoint=1 s", "--set", "restore=1 s",
                                               "--set", "min-run=4 s"};

std::vector<std::string> options(const std::string& policy, bool until_done = true) {
  std::vector<std::string> all = {"--policy", policy};
  if (until_done) all.emplace_back("--until-done");
  all.insert(all.end(), kSmallTimers.begin(), kSmallTimers.end());
  return all;
}

class SlowLiveTest : public testing::Test {
 protected:
  void SetUp() override {
    auto bed = Bed::start({});
    if (!bed && bed.error().kind == ErrorKind::kMissing) GTEST_SKIP() << bed.error().text();
    ASSERT_TRUE(bed) << bed.error().text();
    bed_ = *std::move(bed);
  }
  std::int64_t submit(int accelerators, double work_s) {
    const auto id = bed_->submit(accelerators, work_s, comment_of(work_s));
    EXPECT_TRUE(id) << id.error().text();
    return id.value_or(0);
  }
  BatchJob job(std::int64_t id) {
    const auto view = bed_->slurm().look();
    if (!view) return {};
    for (const BatchJob& it : (*view)->jobs) {
      if (it.id == id) return it;
    }
    return {};
  }
  bool is_done(std::size_t count) { return bed_->done().size() >= count; }

  std::unique_ptr<Bed> bed_;
};
using SlowLongLiveTest = SlowLiveTest;

TEST_F(SlowLiveTest, AKilledSchedulerIsTakenUpAndEveryJobRunsOnce) {
  const std::int64_t foreign = *bed_->slurm().submit({.name = "foreign",
                                                      .script = "#!/bin/sh\n",
                                                      .comment = "held by its owner",
                                                      .folder = "/",
                                                      .output = "/dev/null",
                                                      .accelerators = 1,
                                                      .environment = {"PATH=/usr/bin:/bin"}});
  std::vector<std::int64_t> ids;
  for (const int accelerators : {8, 4, 2, 1, 8, 16, 4, 1, 2, 4}) {
    ids.push_back(submit(accelerators, 3));
  }
  {
    Process killed = bed_->run(options("dally"));
    ASSERT_TRUE(wait_until([&] { return is_done(3); }, 60)) << bed_->log();
    killed.signal(SIGKILL);
    EXPECT_EQ(killed.wait(), 128 + SIGKILL);
  }
  Process run = bed_->run(options("dally"));
  EXPECT_EQ(run.wait(), 0) << bed_->log();
  EXPECT_THAT(bed_->done(), UnorderedElementsAreArray(ids)) << bed_->log();
  EXPECT_EQ(bed_->document()["ended"].size(), ids.size());
  for (const Json& ended : bed_->document()["ended"]) EXPECT_EQ(ended["how"], "COMPLETED");
  EXPECT_TRUE(job(foreign).is_held);
  EXPECT_THAT(job(foreign).wanted_nodes, IsEmpty());
  EXPECT_TRUE(bed_->slurm().cancel(foreign));
  EXPECT_THAT(bed_->left_behind(), IsEmpty());
}

TEST_F(SlowLiveTest, APreemptedJobSavesItselfAndGoesOnFromThere) {
  const std::int64_t large = submit(16, 12);
  std::vector<std::string> words = options("2d-las", false);
  for (const char* word : {"--set", "las-limit-0=40 s", "--set", "las-limit-1=1 h"}) {
    words.emplace_back(word);
  }
  Process run = bed_->run(words);
  ASSERT_TRUE(wait_until([&] { return job(large).state == BatchState::kRunning; }, 30));
  core::wait_until_ns(core::now_ns() + 6 * kSecond);  // it spends its first queue's share
  const std::int64_t small = submit(1, 2);
  ASSERT_TRUE(wait_until([&] { return is_done(2); }, 90)) << bed_->log();
  EXPECT_EQ(bed_->done().front(), small) << bed_->log();
  EXPECT_GE(job(large).restarts, 1);
  // A job says that it is done just before Slurm sees it end.
  EXPECT_TRUE(wait_until([&] { return bed_->left_behind().empty(); }, 30));
  run.signal(SIGINT);
  EXPECT_EQ(run.wait(), 0);
  EXPECT_THAT(bed_->log(), HasSubstr("interrupted"));
  EXPECT_THAT(bed_->left_behind(), IsEmpty());
}

// 60 jobs of a real trace, five times as fast.
class Replay {
 public:
  static Result<Replay> load() {
    const char* shared = std::getenv("PENSTOCK_SHARED");
    const std::string root = shared == nullptr ? PENSTOCK_SOURCE_DIR "/../shared" : shared;
    Replay replay;
    PENSTOCK_TRY(replay.trace, trace::read_jobs(root + "/data/cluster/tiresias/60_job.csv",
                                                {.format = "tiresias"}));
    replay.trace.models = {"vgg16"};
    for (trace::TrainingJob& job : replay.trace.jobs) {
      const double step = iteration_s(job.accelerators);
      const double work = double(job.duration_ns) * 1e-9 / kFaster;
      job.model = 0;
      job.network_share = -1;
      job.batch = 0;
      job.duration_ns = std::llround(std::max(1.0, std::round(work / step)) * step * 1e9);
      job.submit_ns = std::int64_t(double(job.submit_ns) / kFaster);
    }
    return replay;
  }
  static constexpr double kFaster = 5;
  trace::JobTrace trace;
};

struct Timing {
  double start_s = 0;
  double jct_s = 0;
};

// What the simulator says of the same jobs on the same bed.
std::vector<Timing> simulated(const Replay& replay, const std::string& order, double start_cost_s) {
  cluster::Policy policy = *cluster::make_policy(order, order == "dally" ? "" : "no-wait");
  for (std::size_t i = 0; i < kSmallTimers.size(); i += 2) {
    const std::string& word = kSmallTimers[i + 1];
    const std::size_t equals = word.find('=');
    EXPECT_TRUE(policy.settings.set(word.substr(0, equals), word.substr(equals + 1)));
  }
  cluster::Topology bed = cluster::uniform(2, 2, 4);
  cluster::SpeedBook speeds;
  speeds.state("vgg16", 1.5, 2.5);
  cluster::Simulation simulation{.trace = replay.trace, .cluster = bed, .policy = policy};
  simulation.start_cost = sim::duration_of(Seconds(start_cost_s));
  const auto result = cluster::simulate(simulation, speeds);
  EXPECT_TRUE(result) << result.error().text();
  std::vector<Timing> timings;
  for (std::size_t i = 0; i < replay.trace.jobs.size(); ++i) {
    const cluster::JobOutcome& outcome = result->outcomes[i];
    const double submit = double(replay.trace.jobs[i].submit_ns) * 1e-9;
    timings.push_back(
        {sim::seconds_of(outcome.start).value(), sim::seconds_of(outcome.end).value() - submit});
  }
  return timings;
}

class SlowLongReplayTest : public SlowLiveTest, public testing::WithParamInterface<std::string> {};

// From a decision to the first step and from the last to the end being seen: what jobs that can lie
// on no more than one node, and ran once, held their accelerators for beyond their work. The
// median, in the very run, since it depends on the machine's load.
double measured_start_cost(const Json& ended, const Replay& replay,
                           const std::vector<std::int64_t>& ids) {
  std::vector<double> costs;
  for (const Json& job : ended) {
    const auto found = std::find(ids.begin(), ids.end(), job["id"].get<std::int64_t>());
    if (found == ids.end() || job["starts"] != 1 || job["accelerators"] != 1) continue;
    const trace::TrainingJob& it = replay.trace.jobs[std::size_t(found - ids.begin())];
    costs.push_back(job["held_s"].get<double>() - double(it.duration_ns) * 1e-9);
  }
  std::sort(costs.begin(), costs.end());
  return costs.empty() ? 0 : std::max(0.0, costs[costs.size() / 2]);
}

TEST_P(SlowLongReplayTest, SixtyJobsGoAsSimulatedThroughAKillAndARestartOfTheController) {
  auto replay = Replay::load();
  if (!replay) GTEST_SKIP() << replay.error().text();
  std::vector<std::string> words = options(GetParam(), false);
  Process run = bed_->run(words);
  ASSERT_TRUE(wait_until([&] { return bed_->log().find("through") != std::string::npos; }, 20));
  const std::int64_t begin = core::now_ns();
  const double begin_unix = double(core::clock_ns(CLOCK_REALTIME)) * 1e-9;
  std::vector<std::int64_t> ids;
  bool is_killed = false;
  bool is_restarted = false;
  const auto disturb = [&] {
    const std::size_t done = bed_->done().size();
    if (!is_killed && done >= 20) {
      is_killed = true;
      run.signal(SIGKILL);
      run.wait();
      run = bed_->run(words);
    }
    if (!is_restarted && done >= 40) {
      is_restarted = true;
      bed_->restart_controller();
    }
    return done;
  };
  for (const trace::TrainingJob& job : replay->trace.jobs) {
    while (core::now_ns() < begin + job.submit_ns) {
      disturb();
      core::wait_until_ns(std::min(begin + job.submit_ns, core::now_ns() + kSecond / 5));
    }
    ids.push_back(submit(job.accelerators, double(job.duration_ns) * 1e-9));
  }
  ASSERT_TRUE(wait_until([&] { return disturb() >= ids.size(); }, 1800)) << bed_->log();
  EXPECT_TRUE(wait_until([&] { return bed_->left_behind().empty(); }, 30));
  core::wait_until_ns(core::now_ns() + 2 * kSecond);
  run.signal(SIGINT);
  EXPECT_EQ(run.wait(), 0);
  EXPECT_TRUE(is_killed && is_restarted);

  EXPECT_THAT(bed_->done(), UnorderedElementsAreArray(ids)) << "each once";
  const Json document = bed_->document();
  const double epoch = document["epoch_s"].get<double>() - begin_unix;
  std::map<std::int64_t, Timing> by_id;
  for (const Json& job : document["ended"]) {
    const std::size_t i =
        std::size_t(std::find(ids.begin(), ids.end(), job["id"].get<std::int64_t>()) - ids.begin());
    if (i == ids.size()) continue;
    const double submit = double(replay->trace.jobs[i].submit_ns) * 1e-9;
    by_id[ids[i]] = {job["start_s"].get<double>() + epoch,
                     job["end_s"].get<double>() + epoch - submit};
  }
  ASSERT_EQ(by_id.size(), ids.size()) << bed_->log();

  const double start_cost = measured_start_cost(document["ended"], *replay, ids);
  const std::vector<Timing> expected = simulated(*replay, GetParam(), start_cost);
  double live_sum = 0;
  double simulated_sum = 0;
  std::vector<double> errors;
  int inversions = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Timing& live = by_id.at(ids[i]);
    live_sum += live.jct_s;
    simulated_sum += expected[i].jct_s;
    errors.push_back(std::abs(live.jct_s / expected[i].jct_s - 1));
    for (std::size_t j = 0; j < i; ++j) {
      // Starts nearer than Slurm's own pace have no order.
      const double apart = expected[i].start_s - expected[j].start_s;
      const double live_apart = live.start_s - by_id.at(ids[j]).start_s;
      if (std::abs(apart) > 2 && std::abs(live_apart) > 2 && (apart > 0) != (live_apart > 0)) {
        ++inversions;
      }
    }
    fmt::print("{} {} gpus: start {:.1f} simulated {:.1f}; completed in {:.1f} simulated {:.1f}\n",
               ids[i], replay->trace.jobs[i].accelerators, live.start_s, expected[i].start_s,
               live.jct_s, expected[i].jct_s);
  }
  std::sort(errors.begin(), errors.end());
  fmt::print(
      "{}: start cost {:.2f} s; mean completion {:.2f} s, simulated {:.2f} s; error of a job "
      "median {:.1f} %, 90 % {:.1f} %, most {:.1f} %; {} inversions\n",
      GetParam(), start_cost, live_sum / double(ids.size()), simulated_sum / double(ids.size()),
      100 * errors[30], 100 * errors[54], 100 * errors.back(), inversions);
  EXPECT_EQ(inversions, 0);
  EXPECT_NEAR(live_sum, simulated_sum, 0.1 * simulated_sum);
}

INSTANTIATE_TEST_SUITE_P(Policies, SlowLongReplayTest, testing::Values("fifo", "dally"));

TEST_F(SlowLongLiveTest, AJobWhoseNodeDiesRunsElsewhere) {
  const std::int64_t id = submit(4, 20);
  Process run = bed_->run(options("dally"));
  ASSERT_TRUE(wait_until([&] { return job(id).state == BatchState::kRunning; }, 30));
  const std::string node = job(id).shares.at(0).node;
  core::wait_until_ns(core::now_ns() + 5 * kSecond);
  bed_->kill_node(node);
  // Slurm gives a silent node 30 s, then requeues its jobs.
  EXPECT_EQ(run.wait(), 0) << bed_->log();
  EXPECT_THAT(bed_->done(), testing::ElementsAre(id)) << bed_->log();
  EXPECT_THAT(bed_->log(), HasSubstr("has lost its accelerators"));
  EXPECT_NE(job(id).wanted_nodes, std::vector<std::string>{node});
}

}  // namespace
}  // namespace penstock::live
