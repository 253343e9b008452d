// What the page of a simulated cluster shows, asked of the page itself in headless Chromium.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "browser.h"
#include "penstock/cluster/report.h"
#include "penstock/core/json.h"

namespace penstock::ui {
namespace {

using core::Json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::vector<std::string> strings(const Json& array) {
  return array.get<std::vector<std::string>>();
}

struct Case {
  int jobs = 60;
  std::string order = "dally";
  std::string placement = "auto";
  bool racks = true;
};

Json simulated(const Case& of) {
  const trace::JobTrace trace =
      trace::generate_jobs({.law = "bursty",
                            .jobs = of.jobs,
                            .accelerators = {1, 1, 2, 4, 8, 16},
                            .models = {"vgg16", "resnet50", "<b>bert</b>", "gpt2", "lstm"}},
                           7)
          .value();
  const cluster::Topology topology = of.racks ? cluster::uniform(2, 4, 8) : cluster::one_node(32);
  cluster::SpeedBook speeds;
  cluster::SimulationResult result =
      cluster::simulate({.trace = trace,
                         .cluster = topology,
                         .policy = cluster::make_policy(of.order, of.placement).value(),
                         .contention = cluster::Contention::kFluid,
                         .keep_episodes = true,
                         .keep_timers = true},
                        speeds)
          .value();
  // Times as a tuner gives them, whatever this run's tuner did: a default, then three tuned ones.
  const auto at = [&](int part) { return cluster::Time{result.outcomes.back().end.ns / 5 * part}; };
  const auto timer = [&](int part, cluster::Tier tier, int accelerators, int minutes) {
    result.timers.push_back(
        {at(part), tier, accelerators, cluster::Time{minutes * 60'000'000'000}, part > 1});
  };
  result.timers.clear();
  for (const int part : {1, 2, 3, 4}) {
    timer(part, cluster::Tier::kNode, 4, 60 / part);
    timer(part, cluster::Tier::kRack, 16, 120 / part);
  }
  Json document = result.metrics.to_json();
  document["spec"] = {{"seed", 7},
                      {"policy", of.order},
                      {"placement", of.placement},
                      {"contention", "fluid"},
                      {"drawn", {{"law", "bursty"}, {"jobs", of.jobs}}}};
  document["speeds"] = cluster::speed_sources_json(result);
  document["ledger"] = result.ledger.to_json();
  return cluster::report_json(document, trace, topology, result);
}

class ClusterPageTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_browser()) GTEST_SKIP() << "no Chromium here; sudo apt-get install chromium";
  }

  // The facts of a page that drew itself without any error and asked for nothing else. Each page is
  // drawn once, because the browser takes seconds to start.
  static Json facts_of(const Json& report, const Window& window = {}) {
    static std::map<std::tuple<Json, int, std::string>, Result<Json>> pages;
    const auto key = std::tuple(report, window.width, window.fragment);
    if (!pages.contains(key)) {
      pages.emplace(key, open_html(cluster::report_html(report), "cluster_probe.js", window));
    }
    const Result<Json>& facts = pages.at(key);
    if (!facts) {
      ADD_FAILURE() << facts.error().text();
      return nullptr;
    }
    EXPECT_EQ((*facts)["error"], nullptr);
    EXPECT_EQ((*facts)["drawn"], "penstock-cluster-report/1");
    EXPECT_EQ((*facts)["requests"], Json::array());
    return *facts;
  }
};

TEST_F(ClusterPageTest, SaysWhatWasSimulated) {
  const Json facts = facts_of(simulated({}));
  EXPECT_EQ(facts["title"], "60 jobs on 2x4x8");
  EXPECT_THAT(facts["answer"].get<std::string>(), StartsWith("Mean completion time "));
  EXPECT_EQ(facts["consequence"], "60 jobs, drawn bursty, under dally with placement auto.");
  EXPECT_THAT(strings(facts["sections"]),
              ElementsAre("timeline", "completion", "timers", "ledger", "notes"));
  EXPECT_THAT(strings(facts["tiles"]),
              ElementsAre("Median", "Mean wait", "All jobs done", "Utilisation",
                          "Lost to placement", "Preemptions", "Fairness"));
  EXPECT_THAT(strings(facts["notes"]), Contains(HasSubstr("Speeds of starts: ")));
}

TEST_F(ClusterPageTest, EveryStayHasItsColourAndItsTipInItsPlace) {
  const Json facts = facts_of(simulated({}));
  ASSERT_GT(facts["samples"].size(), 60U);
  for (const Json& sample : facts["samples"]) {
    EXPECT_EQ(sample["drawn"], sample["wanted"]) << sample;
    EXPECT_THAT(sample["tip"].get<std::string>(),
                StartsWith("Job " + sample["job"].get<std::string>() + ", "));
  }
  const std::string job = facts["samples"][0]["job"];
  EXPECT_THAT(facts["pressed"]["story"].get<std::string>(), StartsWith("Job " + job + ", "));
  EXPECT_EQ(facts["pressed"]["found"], job);
}

TEST_F(ClusterPageTest, NoLabelCoversAnother) {
  for (const int width : {1280, 390}) {
    const Json facts = facts_of(simulated({}), {.width = width});
    EXPECT_THAT(strings(facts["overlaps"]), IsEmpty()) << width;
    EXPECT_THAT(strings(facts["spilt"]), IsEmpty()) << width;
    EXPECT_EQ(facts["overflow"], 0) << width;
    EXPECT_EQ(facts["nodes"].size(), 8U) << width;
  }
}

TEST_F(ClusterPageTest, ButtonsComeCloserAndBack) {
  const Json zoom = facts_of(simulated({}))["zoom"];
  EXPECT_NE(zoom["closer"]["ticks"], zoom["before"]);
  EXPECT_THAT(zoom["closer"]["shown"].get<std::string>(), HasSubstr(" to "));
  EXPECT_NE(zoom["later"], zoom["closer"]["shown"]);
  EXPECT_EQ(zoom["after"], zoom["before"]);
  EXPECT_EQ(zoom["shown"], "");
}

TEST_F(ClusterPageTest, UsageTellsWhoWorksAndWhoWaits) {
  const Json strip = facts_of(simulated({}))["strip"];
  EXPECT_THAT(strip["title"].get<std::string>(), StartsWith("At "));
  for (const char* row : {"accelerators at work", "jobs waiting", "accelerators they ask for"}) {
    EXPECT_TRUE(strip["rows"].contains(row)) << row << " in " << strip;
  }
}

TEST_F(ClusterPageTest, EveryDemandHasItsLawAndItsRow) {
  const Json facts = facts_of(simulated({}));
  EXPECT_THAT(strings(facts["laws"]), ElementsAre("9–16", "5–8", "3–4", "2", "1", "all jobs"));
  EXPECT_THAT(strings(facts["classes"]), ElementsAre("all jobs", "1", "2", "3–4", "5–8", "9–16"));
}

TEST_F(ClusterPageTest, TimersAreDrawnWhereAPlacementTunesThem) {
  const Json tuned = facts_of(simulated({}));
  EXPECT_THAT(strings(tuned["panels"]),
              ElementsAre("To wait for one node", "And then for one rack"));
  EXPECT_EQ(tuned["dots"], 8);
  EXPECT_EQ(tuned["hollow"], 2);
  EXPECT_THAT(strings(tuned["timerClasses"]), ElementsAre("3–4", "9–16"));
  const Json priced = facts_of(simulated({.placement = "priced"}));
  EXPECT_THAT(strings(priced["panels"]), IsEmpty());
  EXPECT_THAT(priced["timersLead"].get<std::string>(), HasSubstr("It tunes no timer."));
}

TEST_F(ClusterPageTest, AnAddressCanNameAJob) {
  const Json report = simulated({});
  const std::string name = report["jobs"]["name"][3];
  const Json facts = facts_of(report, {.fragment = "#job=" + name});
  EXPECT_THAT(facts["story"].get<std::string>(), StartsWith("Job " + name + ", "));
}

TEST_F(ClusterPageTest, OneNodeHasNoPlacements) {
  const Json facts = facts_of(simulated({.order = "fifo", .placement = "no-wait", .racks = false}));
  EXPECT_THAT(strings(facts["colourings"]), ElementsAre("Model", "Accelerators"));
  EXPECT_THAT(strings(facts["notes"]), Contains(HasSubstr("every job ran at full speed")));
  EXPECT_EQ(facts["nodes"].size(), 1U);
}

TEST_F(ClusterPageTest, ALongTraceSaysWhatItDrawsTogether) {
  const Json facts =
      facts_of(simulated({.jobs = 12'000, .order = "2d-las", .placement = "no-wait"}));
  EXPECT_THAT(strings(facts["notes"]),
              Contains(HasSubstr("Of 12,000 jobs the 10,000 that held most are named")));
  EXPECT_THAT(strings(facts["legend"]), Contains("several short stays"));
}

TEST_F(ClusterPageTest, IsDarkWhereTheSystemIs) {
  const Json facts = facts_of(simulated({}), {.width = 500, .dark = true});
  EXPECT_EQ(facts["background"], "rgb(18, 24, 30)");
  for (const Json& sample : facts["samples"]) EXPECT_EQ(sample["drawn"], sample["wanted"]);
}

}  // namespace
}  // namespace penstock::ui
