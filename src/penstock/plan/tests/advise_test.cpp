#include "penstock/plan/advise.h"

#include <gmock/gmock.h>

#include "penstock/core/json.h"
#include "penstock/core/random.h"

namespace penstock::plan {
namespace {

using testing::HasSubstr;

profile::MeasuredJob measured() {
  profile::MeasuredJob job;
  job.model = "vgg16";
  job.accelerator = "cpu";
  job.batch = 32;
  job.ranks = 2;
  job.step_s = job.single_step_s = 10;
  job.gradient_bytes = std::vector<std::int64_t>(32, 17 << 20);
  job.macs_per_sample = 15.5e9;
  job.prep_cores = 2;
  job.prep_rate = 1200;
  job.sample_bytes = 110e3;
  job.transport = "gloo";
  return job;
}

AdviceOptions options_of(const std::vector<std::string>& instances) {
  AdviceOptions options;
  options.job.samples = 1281167;
  options.job.epochs = 10;
  options.job.precision = "fp16";
  options.fleets.instances = instances;
  options.fleets.nodes = {1, 2};
  options.fleets.markets = {Market::kOnDemand};
  return options;
}

hardware::Catalog built_in() {
  auto catalog = hardware::load_catalog();
  EXPECT_TRUE(catalog) << catalog.error().text();
  return *std::move(catalog);
}

const AdvisedFleet& chosen_of(const Advice& advice) {
  return advice.fleets[static_cast<std::size_t>(advice.chosen.value())];
}

TEST(AdviseTest, RelaxingTheBudgetNeverCostsMore) {
  const hardware::Catalog catalog = built_in();
  AdviceOptions options = options_of({"p2.*", "p3.*", "g4dn.*", "p4d.*"});
  core::RandomStream random(1, "budgets");
  for (int trial = 0; trial < 100; ++trial) {
    const double tight = 3600 + random.uniform() * 4e5;
    const double wide = tight * (1 + random.uniform());
    options.goal.finish_by = Seconds(tight);
    const auto first = advise(measured(), options, catalog);
    options.goal.finish_by = Seconds(wide);
    const auto second = advise(measured(), options, catalog);
    ASSERT_TRUE(first && second);
    if (!first->chosen) continue;
    ASSERT_TRUE(second->chosen);
    EXPECT_LE(second->offers[static_cast<std::size_t>(*second->chosen)].cost,
              first->offers[static_cast<std::size_t>(*first->chosen)].cost);
  }
}

TEST(AdviseTest, ScalingAllPricesChangesNothing) {
  hardware::Catalog catalog = built_in();
  AdviceOptions options = options_of({"p3.*", "g4dn.*"});
  options.goal.finish_by = Seconds(200 * 3600);
  const auto before = advise(measured(), options, catalog);
  for (hardware::Instance& instance : catalog.instances) {
    instance.on_demand = instance.on_demand * 3.7;
    if (instance.spot) *instance.spot = *instance.spot * 3.7;
  }
  const auto after = advise(measured(), options, catalog);
  ASSERT_TRUE(before && after && before->chosen);
  EXPECT_EQ(before->chosen, after->chosen);
  EXPECT_EQ(before->front, after->front);
}

TEST(AdviseTest, ADominatedFleetIsNeverChosen) {
  const hardware::Catalog catalog = built_in();
  AdviceOptions options = options_of({"*"});
  for (double hours = 5; hours < 2000; hours *= 1.3) {
    options.goal.finish_by = Seconds(hours * 3600);
    const auto advice = advise(measured(), options, catalog);
    ASSERT_TRUE(advice);
    if (!advice->chosen) continue;
    for (std::size_t i = 0; i < advice->offers.size(); ++i) {
      EXPECT_FALSE(dominates(advice->offers, static_cast<int>(i), *advice->chosen));
    }
  }
}

TEST(AdviseTest, TwoNodesAtLinearPriceNeverBeatTheJoinedOne) {
  const hardware::Catalog catalog = built_in();
  AdviceOptions options = options_of({"p3.8xlarge", "p3.16xlarge"});
  for (double hours = 2; hours < 500; hours *= 1.2) {
    options.goal.finish_by = Seconds(hours * 3600);
    const auto advice = advise(measured(), options, catalog);
    ASSERT_TRUE(advice);
    if (advice->chosen) {
      EXPECT_NE(chosen_of(*advice).name, "2 x p3.8xlarge");
    }
  }
  options.goal = {};
  const auto advice = advise(measured(), options, catalog);
  EXPECT_THAT(advice_document(*advice, options).dump(),
              HasSubstr("costs the same as p3.16xlarge and only adds network stall"));
}

TEST(AdviseTest, ABudgetOfTimeIsKeptWithTheAskedProbability) {
  const hardware::Catalog catalog = built_in();
  AdviceOptions options = options_of({"p3.2xlarge"});
  options.fleets.nodes = {1};
  const auto free = advise(measured(), options, catalog);
  const Seconds expected = free->fleets[0].step.time;
  options.goal.finish_by = expected;  // kept every second time
  EXPECT_FALSE(advise(measured(), options, catalog)->chosen);
  options.confidence = 0.49;
  EXPECT_TRUE(advise(measured(), options, catalog)->chosen);
  options.confidence = 0.9;
  options.goal.finish_by = expected * 1.14;  // z of 1.4 at 10 %
  const auto kept = advise(measured(), options, catalog);
  ASSERT_TRUE(kept->chosen);
  EXPECT_NEAR(chosen_of(*kept).probability, 0.92, 0.005);
}

TEST(AdviseTest, SaysByHowMuchTheNearestMisses) {
  const hardware::Catalog catalog = built_in();
  AdviceOptions options = options_of({"p3.2xlarge"});
  options.goal.finish_by = Seconds(3600);
  const auto advice = advise(measured(), options, catalog);
  ASSERT_TRUE(advice);
  EXPECT_FALSE(advice->chosen);
  EXPECT_EQ(missed_goal(*advice, options).kind, ErrorKind::kNegative);
  EXPECT_THAT(missed_goal(*advice, options).text(), HasSubstr("p3.2xlarge, which misses 1 h by"));
}

TEST(FitLinksTest, FitsEachLinkByItselfAndSaysWhatIsMissing) {
  std::vector<profile::MeasuredJob> jobs;
  for (const auto& [model, tensors, mib] :
       {std::tuple("a", 10, 8), std::tuple("b", 40, 2), std::tuple("c", 20, 30)}) {
    profile::MeasuredJob job = measured();
    job.model = model;
    job.nodes = 2;
    job.link_bytes_per_s = 125e6;
    job.gradient_bytes =
        std::vector<std::int64_t>(static_cast<std::size_t>(tensors), std::int64_t{mib} << 20);
    job.network_s = 1e-3 * tensors + 1e-9 * tensors * (mib << 20);
    jobs.push_back(job);
  }
  jobs.push_back(measured());  // another link, one model
  const auto fits = fit_links(jobs);
  ASSERT_EQ(fits.size(), 2U);
  const LinkModelFit& across = fits[0].fit ? fits[0] : fits[1];
  ASSERT_TRUE(across.fit) << across.fit.error().text();
  EXPECT_NEAR(across.fit->a_s, 1e-3, 1e-8);
  const LinkModelFit& inside = fits[0].fit ? fits[1] : fits[0];
  ASSERT_FALSE(inside.fit);
  EXPECT_THAT(inside.fit.error().text(), HasSubstr("1 profiled models do not tell"));
}

}  // namespace
}  // namespace penstock::plan
