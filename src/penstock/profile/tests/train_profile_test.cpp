#include "penstock/profile/train_profile.h"

#include <gmock/gmock.h>

#include "penstock/core/json.h"
#include "penstock/core/random.h"
#include "penstock/profile/measured_job.h"

namespace penstock::profile {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using train::RankRecord;
using train::RunRecord;
using train::StepRecord;

// The parts of a step in microseconds.
struct Parts {
  std::int64_t wait = 0;
  std::int64_t fetch = 0;  // of the wait
  std::int64_t forward = 100;
  std::int64_t backward = 200;
  std::int64_t exposed = 0;
  std::int64_t update = 10;
};

RunRecord record_of(const Parts& parts, int ranks, int steps, std::uint64_t seed,
                    std::int64_t samples = 32) {
  core::RandomStream random(seed, "jitter");
  RunRecord record;
  for (int r = 0; r < ranks; ++r) {
    RankRecord rank;
    rank.hello = {r, ranks, samples, 1};
    std::int64_t clock = 1'000'000;
    for (int i = 0; i < steps; ++i) {
      const auto us = [&](std::int64_t mean) {
        return static_cast<std::int64_t>(static_cast<double>(mean) * 1000 *
                                         (1 + 0.01 * random.normal()));
      };
      StepRecord s;
      s.index = i;
      s.samples = samples;
      s.begin_ns = clock;
      s.ready_ns = clock + us(parts.wait);
      s.fetch_ns = us(parts.fetch);
      s.forward_ns = us(parts.forward);
      s.backward_ns = us(parts.backward);
      s.exposed_ns = us(parts.exposed);
      s.optimizer_ns = us(parts.update);
      s.end_ns = s.ready_ns + s.forward_ns + s.backward_ns + s.exposed_ns + s.optimizer_ns;
      clock = s.end_ns;
      rank.steps.push_back(s);
    }
    record.ranks.push_back(std::move(rank));
  }
  return record;
}

Parts parts_of(RunKind kind) {
  switch (kind) {
    case RunKind::kSingle:
      return {};
    case RunKind::kContention:
      return {.forward = 110, .backward = 220};
    case RunKind::kRanks:
      return {.forward = 110, .backward = 220, .exposed = 50};
    case RunKind::kNodes:
      return {.forward = 110, .backward = 220, .exposed = 250};
    case RunKind::kWarm:
      return {.wait = 150, .forward = 110, .backward = 220, .exposed = 250};
    case RunKind::kCold:
      break;
  }
  return {.wait = 450, .fetch = 300, .forward = 110, .backward = 220, .exposed = 250};
}

TrainProfile job(int ranks, int nodes, const std::string& data) {
  TrainProfile profile;
  profile.model = "net";
  profile.accelerator = "cpu";
  profile.options.ranks = ranks;
  profile.options.nodes = nodes;
  profile.options.data = data;
  profile.options.steps = 20;
  profile.options.warmup = 2;
  profile.prep_rate = 32 * 2 / 200e-6;
  return profile;
}

Result<RunRecord> exact_runner(RunKind kind, int number) {
  return record_of(parts_of(kind), kind == RunKind::kSingle ? 1 : 2, 22,
                   static_cast<std::uint64_t>(number));
}

TEST(TrainProfileTest, AsksForTheRunsThatTheOptionsNeed) {
  EXPECT_THAT(wanted_kinds(job(1, 1, "").options), ElementsAre(RunKind::kSingle));
  EXPECT_THAT(wanted_kinds(job(2, 1, "").options),
              ElementsAre(RunKind::kSingle, RunKind::kContention, RunKind::kRanks));
  EXPECT_EQ(wanted_kinds(job(2, 2, "photos").options).size(), 6U);
}

TEST(TrainProfileTest, BothEstimatesFindEveryStall) {
  TrainProfile profile = job(2, 2, "photos");
  ASSERT_TRUE(conduct(exact_runner, profile));
  const std::vector<double> expected = {30e-6, 50e-6, 200e-6, 150e-6, 300e-6};
  ASSERT_EQ(profile.stalls.stalls.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(profile.stalls.stalls[i].time_s.value, expected[i], 4e-6);
    EXPECT_NEAR(profile.direct[i].time_s.value, expected[i], 4e-6);
    EXPECT_TRUE(profile.direct[i].agrees);
  }
}

TEST(TrainProfileTest, InterconnectIsNotTheOptimizerStep) {
  TrainProfile profile = job(2, 1, "");
  const Runner slow_update = [](RunKind kind, int number) -> Result<RunRecord> {
    Parts parts = parts_of(kind);
    parts.update = 500;
    return record_of(parts, kind == RunKind::kSingle ? 1 : 2, 22,
                     static_cast<std::uint64_t>(number));
  };
  ASSERT_TRUE(conduct(slow_update, profile));
  EXPECT_NEAR(profile.direct[1].time_s.value, 50e-6, 4e-6);
}

TEST(TrainProfileTest, FlagsAStallThatTheClocksInsideDoNotSee) {
  // The loader's workers take the ranks' cores: computing slows down, waits do not.
  TrainProfile profile = job(1, 1, "photos");
  const Runner crowded = [](RunKind kind, int number) -> Result<RunRecord> {
    Parts parts;
    if (kind != RunKind::kSingle) parts.backward = 400;
    if (kind == RunKind::kCold) parts.wait = 100;
    return record_of(parts, 1, 22, static_cast<std::uint64_t>(number));
  };
  ASSERT_TRUE(conduct(crowded, profile));
  EXPECT_FALSE(profile.direct[0].agrees);
  EXPECT_TRUE(profile.direct[1].agrees);
  EXPECT_THAT(profile_text(profile), HasSubstr("prep: the runs differ by"));
}

TEST(TrainProfileTest, StepsOfFewerSamplesAreScaledToTheSameWork) {
  // The second rank's steps hold half the samples in half the time: the same job.
  TrainProfile profile = job(1, 1, "photos");
  const Runner halves = [](RunKind kind, int number) -> Result<RunRecord> {
    if (kind == RunKind::kSingle) {
      return record_of({}, 1, 22, static_cast<std::uint64_t>(number), 32);
    }
    return record_of({.forward = 50, .backward = 100, .update = 5}, 1, 22,
                     static_cast<std::uint64_t>(number), 16);
  };
  ASSERT_TRUE(conduct(halves, profile));
  EXPECT_NEAR(profile.stalls.find(Stall::kPrep)->time_s.value, 0, 4e-6);
}

TEST(TrainProfileTest, AnAttachedProgramSaysItsOwnBatchAndBothEstimatesUseIt) {
  TrainProfile profile = job(1, 1, "photos");
  profile.options.attach = {"train"};
  const Runner halves = [](RunKind kind, int number) -> Result<RunRecord> {
    return record_of(parts_of(kind), 1, 22, static_cast<std::uint64_t>(number), 16);
  };
  ASSERT_TRUE(conduct(halves, profile));
  EXPECT_EQ(profile.options.batch, 16);
  EXPECT_NEAR(profile.stalls.compute_s.value, 310e-6, 4e-6);
  EXPECT_NEAR(profile.samples_per_s(), 16 / 1040e-6, 200);
  for (const DirectEstimate& direct : profile.direct) {
    if (direct.stall == Stall::kFetch) {
      EXPECT_TRUE(direct.agrees);
    }
  }
}

TEST(TrainProfileTest, AProgramThatDoesNotTellItsWaitsForOthersIsNotSaidToDisagree) {
  TrainProfile profile = job(2, 1, "");
  profile.options.attach = {"train"};
  profile.options.data = "photos";
  const Runner terse = [](RunKind kind, int number) -> Result<RunRecord> {
    Parts parts = parts_of(kind);
    parts.update += parts.exposed;
    parts.exposed = 0;
    return record_of(parts, kind == RunKind::kSingle ? 1 : 2, 22,
                     static_cast<std::uint64_t>(number));
  };
  ASSERT_TRUE(conduct(terse, profile));
  ASSERT_EQ(profile.direct[1].stall, Stall::kInterconnect);
  EXPECT_NEAR(profile.direct[1].time_s.value, 0, 1e-9);
  EXPECT_TRUE(profile.direct[1].agrees);
}

TEST(TrainProfileTest, EstimatesAreNotHeldAgainstEachOtherBeforeARunIsRepeated) {
  TrainProfile profile = job(1, 1, "photos");
  profile.options.goal.time_limit = Seconds(0);
  const Runner crowded = [](RunKind kind, int number) -> Result<RunRecord> {
    Parts parts;
    if (kind != RunKind::kSingle) parts.backward = 400;
    return record_of(parts, 1, 22, static_cast<std::uint64_t>(number));
  };
  ASSERT_TRUE(conduct(crowded, profile));
  EXPECT_FALSE(profile.stalls.run_to_run_known);
  EXPECT_TRUE(profile.direct[0].agrees);
}

TEST(TrainProfileTest, BadImagesOfARunAreCountedOverItsRanksAndSaid) {
  TrainProfile profile = job(2, 1, "photos");
  const Runner damaged = [](RunKind kind, int number) -> Result<RunRecord> {
    Result<RunRecord> record = exact_runner(kind, number);
    if (kind != RunKind::kWarm && kind != RunKind::kCold) return record;
    for (RankRecord& rank : record->ranks) rank.steps.back().bad_samples = 3;
    return record;
  };
  ASSERT_TRUE(conduct(damaged, profile));
  EXPECT_EQ(profile.bad_images, 6);
  EXPECT_EQ(profile_document(profile).at("bad_images"), 6);
  EXPECT_THAT(profile_text(profile), HasSubstr("6 bad images in a run"));
}

TEST(TrainProfileTest, KeepsWhatWasMeasuredWhenALaterRunFails) {
  TrainProfile profile = job(2, 1, "");
  const Runner failing = [](RunKind kind, int number) -> Result<RunRecord> {
    if (number >= 4) return core::negative("rank 1", "died of signal 9");
    return exact_runner(kind, number);
  };
  ASSERT_TRUE(conduct(failing, profile));
  EXPECT_EQ(profile.stalls.runs.size(), 3U);
  EXPECT_THAT(profile.notes, ElementsAre(HasSubstr("rank 1: died of signal 9")));
}

TEST(TrainProfileTest, AFailureBeforeEveryKindHasRunIsTheAnswer) {
  TrainProfile profile = job(2, 1, "");
  const Runner failing = [](RunKind kind, int number) -> Result<RunRecord> {
    if (kind == RunKind::kRanks) return core::negative("rank 1", "is silent");
    return exact_runner(kind, number);
  };
  const Status status = conduct(failing, profile);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), HasSubstr("rank 1: is silent"));
}

TEST(TrainProfileTest, AnInterruptKeepsTheRunsBeforeIt) {
  TrainProfile profile = job(2, 1, "");
  const Runner interrupted = [](RunKind kind, int number) -> Result<RunRecord> {
    Result<RunRecord> record = exact_runner(kind, number);
    record->interrupted = number == 1;
    return record;
  };
  ASSERT_TRUE(conduct(interrupted, profile));
  EXPECT_TRUE(profile.interrupted);
  EXPECT_EQ(profile.stalls.runs.size(), 2U);
  EXPECT_NE(profile.stalls.find(Stall::kContention), nullptr);
}

TEST(TrainProfileTest, TheDocumentHasStallsSlackAndALedgerThatSums) {
  TrainProfile profile = job(2, 2, "photos");
  ASSERT_TRUE(conduct(exact_runner, profile));
  const core::Json document = profile_document(profile);
  ASSERT_EQ(document.at("stalls").size(), 5U);
  double shares = document.at("compute").at("share").get<double>();
  for (const core::Json& stall : document.at("stalls")) {
    for (const char* key : {"name", "time_s_per_step", "low_s", "high_s", "share"}) {
      EXPECT_TRUE(stall.contains(key)) << key;
    }
    shares += stall.at("share").get<double>();
  }
  EXPECT_NEAR(shares, 1, 1e-9);
  EXPECT_FALSE(document.at("slack").empty());
  const auto ledger = ledger::Ledger::from_json(document.at("ledger"), "profile");
  ASSERT_TRUE(ledger) << ledger.error().text();
  EXPECT_EQ(ledger->accounts().size(), 2U);
  EXPECT_NEAR(ledger->mean(ledger::Activity::kFetch) / ledger->whole(), 300.0 / 1040, 0.01);
  EXPECT_NEAR(ledger->mean(ledger::Activity::kNetwork) / ledger->whole(), 250.0 / 1040, 0.01);
}

TEST(TrainProfileTest, RatesSurviveTheBook) {
  TrainProfile profile = job(2, 2, "photos");
  profile.gradient_bytes = {400, 800};
  profile.cores = 4;
  profile.workers = 2;
  ASSERT_TRUE(conduct(exact_runner, profile));
  const auto job = measured_job_from_document(profile_document(profile), "book entry 1");
  ASSERT_TRUE(job) << job.error().text();
  EXPECT_THAT(job->gradient_bytes, ElementsAre(400, 800));
  EXPECT_NEAR(job->step_s, 340e-6, 4e-6);
  EXPECT_NEAR(job->network_s, 200e-6, 4e-6);
  EXPECT_NEAR(job->facts().prep_cpu_s, 4 * 200e-6 / 64, 1e-9);
  EXPECT_FALSE(measured_job_from_document(core::Json::object(), "book entry 2"));
}

TEST(EmulatedProfilesTest, DemandWhatMlperfStorageSays) {
  const auto h100 = emulated_profile("resnet50-h100");
  ASSERT_TRUE(h100);
  EXPECT_NEAR(static_cast<double>(h100->batch) / h100->compute.value(), 1786, 1);
  EXPECT_THAT(emulated_profile("resnet50-h10").error().text(), HasSubstr("resnet50-h100"));
}

}  // namespace
}  // namespace penstock::profile
