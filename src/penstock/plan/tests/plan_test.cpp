// Specs in, plans and documents out, over the built-in catalogue.
#include "penstock/plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "penstock/core/file.h"
#include "penstock/core/json.h"
#include "penstock/plan/report.h"

namespace penstock::plan {
namespace {

using core::Json;
using ::testing::AllOf;
using ::testing::HasSubstr;

PlanSpec vgg16_job() {
  PlanSpec spec;
  spec.path = "test.toml";
  spec.name = "test";
  spec.job.zoo = "vgg16";
  spec.job.samples = 1281167;
  spec.job.epochs = 74;
  spec.job.batch = 256;
  spec.job.optimizer = "momentum";
  spec.job.precision = "fp16";
  spec.fleets.instances = {"p3.*", "g4dn.*"};
  spec.fleets.nodes = {1, 2};
  spec.fleets.markets = {Market::kOnDemand};
  spec.fleets.efficiency = 0.7;
  spec.fleets.launch = Seconds(7e-6);
  return spec;
}

Plan planned(const PlanSpec& spec, int threads = 2) {
  PlanOptions options;
  options.evaluate.threads = threads;
  Result<Plan> plan = make_plan(spec, options);
  EXPECT_TRUE(plan) << plan.error().text();
  return plan.has_value() ? *std::move(plan) : Plan{};
}

int index_of(const Plan& plan, const std::string& name) {
  const auto found = std::find_if(plan.candidates.begin(), plan.candidates.end(),
                                  [&](const Candidate& c) { return c.name == name; });
  EXPECT_NE(found, plan.candidates.end()) << name;
  return static_cast<int>(found - plan.candidates.begin());
}

const Offer& offer_of(const Plan& plan, const std::string& name) {
  return plan.offers[static_cast<std::size_t>(index_of(plan, name))];
}

TEST(PlanTest, TimeAndCostAreStepsTimesStepAndNodesTimesPrice) {
  const Plan plan = planned(vgg16_job());
  const auto at = static_cast<std::size_t>(index_of(plan, "2 x p3.8xlarge"));
  const double step = plan.candidates[at].evaluation->best.step.value();
  const double time = step * 5005 * 74;  // ceil(1281167 / 256) = 5005
  EXPECT_DOUBLE_EQ(plan.offers[at].time.value(), time);
  EXPECT_NEAR(plan.offers[at].cost.value(), 2 * 12.24 * time / 3600, 1e-9 * time);
}

TEST(PlanTest, AMeasuredRateReplacesEfficiencyOfPeakAndThePlanSaysSo) {
  PlanSpec spec = vgg16_job();
  spec.job.precision = "fp32";
  const Plan computed = planned(spec);
  PlanOptions options;
  // A third of the 15.7 TFLOP/s of a V100, instead of 70 %.
  options.evaluate.measured["V100"] = {FlopRate(15.7e12 / 3), "entry 7"};
  const Result<Plan> measured = make_plan(spec, options);
  ASSERT_TRUE(measured) << measured.error().text();
  const auto at = static_cast<std::size_t>(index_of(computed, "p3.16xlarge"));
  EXPECT_GT(measured->offers[at].time, computed.offers[at].time * 1.5);
  EXPECT_TRUE(measured->candidates[at].evaluation->measured);
  EXPECT_THAT(measured->candidates[at].evaluation->note, HasSubstr("33.3 % of peak (entry 7"));
  const auto other = static_cast<std::size_t>(index_of(computed, "g4dn.metal"));
  EXPECT_TRUE(computed.offers[other].runs);
  EXPECT_EQ(measured->offers[other].time, computed.offers[other].time);
  const Json document = plan_document(*measured);
  EXPECT_EQ(document.at("candidates").at(at).at("compute_evidence"), "measured");
  EXPECT_EQ(document.at("candidates").at(other).at("compute_evidence"), "predicted");
}

TEST(PlanTest, OneDeviceTakesTheRooflineTimeOfItsLayers) {
  PlanSpec spec = vgg16_job();
  spec.fleets.instances = {"p3.2xlarge"};
  spec.fleets.nodes = {1};
  const Plan plan = planned(spec);
  // 6 FLOP a MAC, 4 of the first layer, at 70 % of 125 TFLOP/s; memory and launches only add.
  const double flop = 6.0 * static_cast<double>(plan.model.macs);
  const double least = (flop * 0.98) / (0.7 * 125e12);
  EXPECT_GT(plan.candidates[0].evaluation->best.step.value(), least);
  EXPECT_LT(plan.candidates[0].evaluation->best.step.value(), 3 * least);
}

TEST(PlanTest, EveryFleetTakesTheBestOfItsStrategiesAndASingleDeviceHasButOne) {
  const Plan plan = planned(vgg16_job());
  for (const Candidate& candidate : plan.candidates) {
    const Evaluation& evaluation = *candidate.evaluation;
    for (const StrategyTime& strategy : evaluation.strategies) {
      EXPECT_GE(strategy.step, evaluation.best.step) << candidate.name << " " << strategy.name;
      if (candidate.devices() == 1) {
        EXPECT_DOUBLE_EQ(strategy.step.value(), evaluation.best.step.value());
      }
    }
  }
}

TEST(PlanTest, TwoNodesAtLinearPriceNeverBeatTheSingleNode) {
  PlanSpec spec = vgg16_job();
  spec.fleets.instances = {"p3.8xlarge", "p3.16xlarge"};
  for (const char* net : {"alexnet", "vgg16", "resnet18"}) {
    spec.job.zoo = net;
    const Plan plan = planned(spec);
    const int joined = index_of(plan, "p3.16xlarge");
    const int apart = index_of(plan, "2 x p3.8xlarge");
    EXPECT_TRUE(dominates(plan.offers, joined, apart)) << net;
    EXPECT_EQ(std::count(plan.front.begin(), plan.front.end(), apart), 0) << net;
  }
}

TEST(PlanTest, DearerMoneyEverywhereKeepsTheFront) {
  PlanSpec spec = vgg16_job();
  spec.goal.finish_by = Seconds(86400);
  const Plan plan = planned(spec);
  Plan dearer = plan;
  dearer.offers.clear();
  for (Candidate& candidate : dearer.candidates) {
    candidate.price = candidate.price * 3.7;
    dearer.offers.push_back(candidate.offer(spec.job.steps()));
  }
  EXPECT_EQ(front(dearer.offers), plan.front);
  EXPECT_EQ(choose(dearer.offers, spec.goal), plan.chosen);
}

TEST(PlanTest, MarketsShareOneEvaluationAndDifferInPrice) {
  PlanSpec spec = vgg16_job();
  spec.fleets.instances = {"p3.2xlarge"};
  spec.fleets.nodes = {1};
  spec.fleets.markets = {Market::kOnDemand, Market::kSpot};
  const Plan plan = planned(spec);
  ASSERT_EQ(plan.candidates.size(), 2u);
  EXPECT_EQ(plan.candidates[0].evaluation, plan.candidates[1].evaluation);
  EXPECT_EQ(plan.candidates[1].name, "p3.2xlarge (spot)");
  EXPECT_NEAR(plan.offers[1].cost / plan.offers[0].cost, 1.408 / 3.06, 1e-12);
  EXPECT_THAT(assumptions(spec).back(), HasSubstr("interruptions"));
}

TEST(PlanTest, WhatCannotRunStaysWithItsReason) {
  PlanSpec spec = vgg16_job();
  spec.job.batch = 4096;
  spec.fleets.instances = {"p2.xlarge", "p3.2xlarge"};
  const Plan plan = planned(spec);
  const auto reason = [&](const std::string& name) {
    return plan.candidates[static_cast<std::size_t>(index_of(plan, name))].evaluation->refusal;
  };
  EXPECT_THAT(reason("2 x p2.xlarge"), HasSubstr("network bandwidth is unknown"));
  EXPECT_THAT(reason("p3.2xlarge"), AllOf(HasSubstr("does not fit: the leanest plan needs"),
                                          HasSubstr("on a device of")));
  EXPECT_FALSE(offer_of(plan, "p3.2xlarge").runs);
}

TEST(PlanTest, ADeviceWithoutThePrecisionComputesInAWiderOne) {
  PlanSpec spec = vgg16_job();
  spec.fleets.instances = {"p2.8xlarge"};
  spec.fleets.nodes = {1};
  const Plan plan = planned(spec);
  EXPECT_EQ(plan.candidates[0].evaluation->note, "computes in fp32: K80 has no fp16");
  EXPECT_EQ(plan.candidates[0].evaluation->best.plan.mesh_options.bytes_per_element, 4);
}

TEST(PlanTest, PatternsThatMatchNothingAreErrorsWithTheNearestName) {
  PlanSpec spec = vgg16_job();
  spec.fleets.instances = {"p3.2xlarg", "zz*"};
  const Result<Plan> plan = make_plan(spec, {});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().kind, ErrorKind::kInput);
  EXPECT_THAT(plan.error().text(),
              AllOf(HasSubstr("did you mean \"p3.2xlarge\""), HasSubstr("\"zz*\"")));
}

TEST(PlanTest, AGoalThatNothingMeetsNamesTheNearestAndTheMiss) {
  PlanSpec spec = vgg16_job();
  spec.goal.finish_by = Seconds(60);
  const Plan plan = planned(spec);
  EXPECT_FALSE(plan.chosen);
  ASSERT_TRUE(plan.nearest);
  for (const Offer& offer : plan.offers) {
    if (offer.runs) {
      EXPECT_GE(offer.time, plan.offers[static_cast<std::size_t>(*plan.nearest)].time);
    }
  }
  EXPECT_EQ(missed_goal(plan).kind, ErrorKind::kNegative);
  EXPECT_THAT(missed_goal(plan).text(), HasSubstr("misses 1 min by"));
  EXPECT_TRUE(plan_document(plan).at("chosen").is_null());
  EXPECT_TRUE(report_html(plan_document(plan)));
}

TEST(PlanTest, TheBytesAreTheSameAtAnyNumberOfThreads) {
  const PlanSpec spec = vgg16_job();
  const std::string one = core::json_text(plan_document(planned(spec, 1)));
  EXPECT_EQ(core::json_text(plan_document(planned(spec, 5))), one);
}

TEST(PlanDocumentTest, EveryLedgerSumsToItsCandidatesTimeAndCost) {
  PlanSpec spec = vgg16_job();
  spec.goal.finish_by = Seconds(86400 * 7);
  const Plan plan = planned(spec);
  const Json document = plan_document(plan);
  ASSERT_TRUE(plan.chosen);
  int checked = 0;
  for (const Json& candidate : document.at("candidates")) {
    if (!candidate.at("fits").get<bool>()) continue;
    const auto ledger = ledger::Ledger::from_json(candidate.at("ledger"), "candidate");
    ASSERT_TRUE(ledger) << ledger.error().text();
    EXPECT_DOUBLE_EQ(ledger->whole().value(), candidate.at("time_s").get<double>());
    EXPECT_DOUBLE_EQ(ledger->cost()->value(), candidate.at("cost_usd").get<double>());
    EXPECT_EQ(ledger->resources(), candidate.at("devices").get<int>());
    ++checked;
  }
  EXPECT_GE(checked, 6);
}

TEST(PlanDocumentTest, TheGraphsTimesSumToTheStepOfTheChosen) {
  const Plan plan = planned(vgg16_job());
  const Json document = plan_document(plan);
  ASSERT_TRUE(plan.chosen);
  double sum = 0;
  for (const Json& node : document.at("graph").at("nodes")) {
    sum += node.at("compute_s").get<double>() + node.at("communication_s").get<double>();
  }
  const Json& chosen = document.at("candidates").at(document.at("chosen").get<std::size_t>());
  EXPECT_NEAR(sum, chosen.at("step_time_s").get<double>(), 1e-9 * sum);
}

TEST(PlanDocumentTest, ThePartitionReadsBackAndCostsTheSame) {
  const Plan plan = planned(vgg16_job());
  const Json document = plan_document(plan);
  const auto read = partition::plan_from_json(document.at("partition"), plan.network, "plan");
  ASSERT_TRUE(read) << read.error().text();
  const Json& chosen = document.at("candidates").at(document.at("chosen").get<std::size_t>());
  EXPECT_DOUBLE_EQ(partition::as_result(plan.network, *read).step.value(),
                   chosen.at("step_time_s").get<double>());
}

TEST(PlanDocumentTest, ThresholdsAreTheFrontInOrderOfTime) {
  const Json document = plan_document(planned(vgg16_job()));
  double time = 0;
  double cost = INFINITY;
  for (const Json& threshold : document.at("thresholds")) {
    EXPECT_GT(threshold.at("time_s").get<double>(), time);
    EXPECT_LT(threshold.at("cost_usd").get<double>(), cost);
    time = threshold.at("time_s").get<double>();
    cost = threshold.at("cost_usd").get<double>();
    const Json& candidate =
        document.at("candidates").at(threshold.at("candidate").get<std::size_t>());
    EXPECT_TRUE(candidate.at("on_front").get<bool>());
    EXPECT_EQ(candidate.at("time_s").get<double>(), time);
  }
  EXPECT_LT(cost, INFINITY);
}

TEST(PlanTextTest, FitsAHundredColumns) {
  PlanSpec spec = vgg16_job();
  spec.fleets.instances = {"*"};
  const std::string text = plan_text(planned(spec));
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = text.find('\n', start);
    EXPECT_LE(end - start, 100u) << text.substr(start, end - start);
    start = end + 1;
  }
  EXPECT_THAT(text, AllOf(HasSubstr("Runners-up"), HasSubstr("Budgets of time"),
                          HasSubstr("stalls of data loading")));
}

// The specs that ship with the program.
TEST(ExampleSpecsTest, AreReadAndAnswered) {
  for (const char* name : {"train-vgg16.toml", "train-resnet50.toml"}) {
    const auto spec = read_spec(std::string(PENSTOCK_SOURCE_DIR "/examples/") + name);
    ASSERT_TRUE(spec) << spec.error().text();
    EXPECT_TRUE(planned(*spec).chosen) << name;
  }
}

}  // namespace
}  // namespace penstock::plan
