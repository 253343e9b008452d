// What the report page shows, asked of the page itself in headless Chromium.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "browser.h"
#include "penstock/core/file.h"
#include "penstock/core/json.h"
#include "penstock/plan/report.h"

namespace penstock::ui {
namespace {

using core::Json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

Json fixture(const std::string& name) {
  return core::read_json(PENSTOCK_SOURCE_DIR "/tests/ui/" + name).value();
}

std::vector<std::string> strings(const Json& array) {
  return array.get<std::vector<std::string>>();
}

class ReportPageTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_browser()) GTEST_SKIP() << "no Chromium here; sudo apt-get install chromium";
  }

  // The facts of a page that drew itself without any error and asked for nothing else. Each page is
  // drawn once, because the browser takes seconds to start.
  static Json facts_of(const Json& document, const Window& window = {}) {
    static std::map<std::pair<Json, std::string>, Result<Json>> pages;
    const auto key =
        std::pair(document, fmt::format("{} {} {}", window.width, window.dark, window.fragment));
    if (!pages.contains(key)) pages.emplace(key, open_page(document, window));
    const Result<Json>& facts = pages.at(key);
    if (!facts) {
      ADD_FAILURE() << facts.error().text();
      return nullptr;
    }
    EXPECT_EQ((*facts)["error"], nullptr);
    EXPECT_EQ((*facts)["drawn"], document["schema"]);
    EXPECT_EQ((*facts)["requests"], Json::array());
    return *facts;
  }
};

TEST_F(ReportPageTest, SaysWhatToRentAndWhatElseWasTried) {
  const Json plan = fixture("plan.json");
  const Json facts = facts_of(plan);
  EXPECT_EQ(facts["title"], "VGG-16 on ImageNet");
  EXPECT_EQ(facts["answer"], "Rent 2 × g5.12xlarge on the spot market");
  // 29,445.6 s at 2 nodes of 2.269 $/h.
  EXPECT_EQ(facts["consequence"], "Done in 8 h 11 min for 37.13 $.");
  EXPECT_EQ(facts["goal"], "✓ Meets the goal");
  EXPECT_THAT(strings(facts["tiles"]),
              ElementsAre("8 h 11 min", "37.13 $", "79.5 ms", "8 × A10G", "77%"));
  EXPECT_THAT(strings(facts["sections"]),
              ElementsAre("ledger", "runners-up", "front", "graph", "candidates", "assumptions"));
  EXPECT_EQ(facts["rows"], plan["candidates"].size());
  EXPECT_EQ(facts["thresholds"].size(), plan["thresholds"].size() + 1);
  EXPECT_THAT(strings(facts["current"]), ElementsAre("8 h 11 min or more"));
}

TEST_F(ReportPageTest, BarsAreAsLongAsTheirTimes) {
  const Json plan = fixture("plan.json");
  const Json facts = facts_of(plan);
  const Json& ledger = plan["candidates"][plan["chosen"].get<std::size_t>()]["ledger"];
  ASSERT_EQ(facts["bars"].size(), ledger["accounts"].size());
  for (std::size_t i = 0; i < facts["bars"].size(); ++i) {
    const Json& activities = ledger["accounts"][i]["activities"];
    EXPECT_EQ(facts["bars"][i].size(), activities.size());
    for (const auto& [name, time] : activities.items()) {
      EXPECT_NEAR(facts["bars"][i][name].get<double>(),
                  time.get<double>() / ledger["whole_s"].get<double>(), 0.002)
          << name << " of account " << i;
    }
  }
  EXPECT_THAT(strings(facts["sums"]), ElementsAre("Compute", "Interconnect", "Network", "Idle"));
  EXPECT_THAT(facts["tip"].get<std::string>(), StartsWith("Compute: "));
}

TEST_F(ReportPageTest, RunnersUpShareOneScale) {
  const Json plan = fixture("plan.json");
  const Json facts = facts_of(plan);
  std::map<std::string, double> wholes;  // by the name that the page gives a fleet
  for (const Json& candidate : plan["candidates"]) {
    if (!candidate.contains("ledger")) continue;
    std::string name = candidate["name"];
    if (const std::size_t at = name.find(" x "); at != std::string::npos)
      name.replace(at, 3, " × ");
    if (const std::size_t at = name.find(" (spot)"); at != std::string::npos) {
      name.replace(at, 7, " spot");
    }
    wholes[name] = candidate["ledger"]["whole_s"];
  }
  const std::vector<std::string> names = strings(facts["compared"]);
  ASSERT_EQ(names.size(), 7U);
  EXPECT_EQ(names.front(), "2 × g5.12xlarge spot");
  double longest = 0;
  for (const std::string& name : names) longest = std::max(longest, wholes.at(name));
  for (std::size_t i = 0; i < names.size(); ++i) {
    double length = 0;
    for (const auto& [activity, part] : facts["comparison"][i].items())
      length += part.get<double>();
    EXPECT_NEAR(length, wholes.at(names[i]) / longest, 0.002) << names[i];
  }
}

TEST_F(ReportPageTest, PointsLieWhereTimeAndCostSay) {
  const Json plan = fixture("plan.json");
  const Json facts = facts_of(plan);
  std::map<std::string, Json> candidates;
  for (const Json& candidate : plan["candidates"]) {
    if (candidate["fits"] == true) candidates[candidate["name"]] = candidate;
  }
  const Json& points = facts["points"];
  ASSERT_EQ(points.size(), candidates.size());
  const auto at = [&](std::size_t i, const char* key) {
    return std::log(candidates.at(points[i]["name"])[key].get<double>());
  };
  // Both axes are logarithmic: any third point lies on the line through two others.
  const std::size_t last = points.size() - 1;
  for (const auto& [axis, key] : {std::pair{"x", "time_s"}, std::pair{"y", "cost_usd"}}) {
    const double slope = (points[last][axis].get<double>() - points[0][axis].get<double>()) /
                         (at(last, key) - at(0, key));
    EXPECT_EQ(slope > 0, axis == std::string("x"));
    for (std::size_t i = 0; i <= last; ++i) {
      EXPECT_NEAR(points[i][axis].get<double>(),
                  points[0][axis].get<double>() + slope * (at(i, key) - at(0, key)), 0.01);
    }
  }
  for (const Json& point : points) {
    const Json& self = candidates.at(point["name"]);
    const bool beaten = std::any_of(candidates.begin(), candidates.end(), [&](const auto& other) {
      return other.second["time_s"] <= self["time_s"] &&
             other.second["cost_usd"] < self["cost_usd"];
    });
    EXPECT_EQ(point["front"], !beaten) << point["name"];
    EXPECT_EQ(point["chosen"], point["name"] == "2 x g5.12xlarge (spot)");
  }
}

TEST_F(ReportPageTest, LabelsOfPointsDoNotOverlap) {
  const Json facts = facts_of(fixture("plan.json"));
  EXPECT_THAT(strings(facts["overlaps"]), IsEmpty());
  const std::vector<std::string> labels = strings(facts["labels"]);
  for (const char* name : {"2 × g5.12xlarge spot", "p4d.24xlarge", "g5.12xlarge spot"}) {
    EXPECT_THAT(labels, testing::Contains(name));
  }
}

TEST_F(ReportPageTest, EveryLayerIsDrawnBelowWhatItReads) {
  for (const char* name : {"plan.json", "branches.json"}) {
    const Json plan = fixture(name);
    const Json facts = facts_of(plan);
    const Json& graph = plan["graph"];
    ASSERT_EQ(facts["nodes"].size(), graph["nodes"].size()) << name;
    EXPECT_EQ(facts["edges"], graph["edges"].size()) << name;
    std::map<std::string, double> rows;
    for (const Json& node : facts["nodes"]) {
      if (node["name"] != nullptr) rows[node["name"]] = node["y"];
    }
    std::map<Json, std::string> names;
    for (const Json& node : graph["nodes"]) {
      if (node["kind"] != "copy") names[node["id"]] = node["name"];
    }
    for (const Json& edge : graph["edges"]) {
      if (!names.contains(edge["from"]) || !names.contains(edge["to"])) continue;
      EXPECT_LT(rows.at(names[edge["from"]]), rows.at(names[edge["to"]])) << edge;
    }
  }
}

TEST_F(ReportPageTest, BranchesRunInLanesOfTheirOwn) {
  const Json facts = facts_of(fixture("branches.json"));
  std::map<std::string, double> lanes;
  for (const Json& node : facts["nodes"]) {
    if (node["kind"] != "copy") lanes[node["name"]] = node["x"];
  }
  // The longest branch goes straight on.
  EXPECT_NEAR(lanes["branch3_mid"], lanes["stem"], 0.5);
  EXPECT_NEAR(lanes["concat"], lanes["stem"], 0.5);
  EXPECT_GT(lanes["branch2"], lanes["stem"] + 5);
  EXPECT_GT(std::abs(lanes["branch1"] - lanes["branch2"]), 5);
}

TEST_F(ReportPageTest, SplitsAreNamed) {
  const Json facts = facts_of(fixture("plan.json"));
  EXPECT_EQ(facts["summary"],
            "13 of 16 layers are split along the batch, 2 along both batch and channels, 1 along "
            "channels.");
  std::map<std::string, std::string> splits;
  for (const Json& node : facts["nodes"]) splits[node["name"]] = node["split"];
  EXPECT_EQ(splits["conv1_1"], "batch 8");
  EXPECT_EQ(splits["fc6"], "out 4in 2");  // one mark each
  EXPECT_EQ(splits["relu7"], "channels 4 · batch 2");
}

TEST_F(ReportPageTest, TheKeyboardReachesEveryFleet) {
  const Json facts = facts_of(fixture("plan.json"));
  EXPECT_EQ(facts["walk"]["moved"], true);
  EXPECT_EQ(facts["walk"]["stops"], 1);
  EXPECT_EQ(facts["selection"]["before"], "2 × g5.12xlarge spot");
  EXPECT_EQ(facts["selection"]["after"], "p3.16xlarge spot");
  EXPECT_THAT(facts["selection"]["hash"].get<std::string>(), StartsWith("#candidate="));
  const std::vector<std::string> costs = strings(facts["costs"]);
  EXPECT_EQ(costs.front(), "29.70 $");
  EXPECT_EQ(costs.back(), "–");
}

TEST_F(ReportPageTest, AnAddressCanNameAFleet) {
  const Json plan = fixture("plan.json");
  ASSERT_EQ(plan["candidates"][3]["name"], "p3.8xlarge");
  const Json facts = facts_of(plan, {.fragment = "#candidate=3"});
  EXPECT_EQ(facts["selection"]["before"], "p3.8xlarge");
}

TEST_F(ReportPageTest, SaysWhatMissesLeastWhereNothingMeetsTheGoal) {
  const Json facts = facts_of(fixture("branches.json"));
  EXPECT_EQ(facts["title"], "A net with branches & <tags>");
  EXPECT_EQ(facts["answer"], "No fleet meets the goal");
  EXPECT_THAT(facts["consequence"].get<std::string>(),
              StartsWith("The nearest is g4dn.12xlarge: "));
  EXPECT_EQ(facts["goal"], "✗ Misses the goal");
  EXPECT_EQ(facts["bars"].size(), 1U);
  EXPECT_THAT(strings(facts["notes"]), ElementsAre(HasSubstr("LRN")));
}

TEST_F(ReportPageTest, ABudgetOfMoneyAloneAsksForTheFastest) {
  Json plan = fixture("plan.json");
  plan["goal"] = {{"text", "spend at most 60.00 $, as fast as possible"}, {"budget_cost_usd", 60}};
  const Json facts = facts_of(plan);
  EXPECT_THAT(strings(facts["current"]), ElementsAre("56.90 $ or more"));
  const std::vector<std::string> thresholds = strings(facts["thresholds"]);
  ASSERT_EQ(thresholds.size(), 6U);
  EXPECT_THAT(thresholds[1], StartsWith("29.70 $ or moreRent g5.12xlarge spot: 13 h 5 min."));
  EXPECT_EQ(strings(facts["compared"])[1], "2 × p4d.24xlarge");
}

TEST_F(ReportPageTest, ALoneLedgerShowsOnlyItsBars) {
  const Json plan = fixture("plan.json");
  const Json ledger = plan["candidates"][plan["chosen"].get<std::size_t>()]["ledger"];
  const Json facts = facts_of(ledger);
  EXPECT_EQ(facts["title"], ledger["title"]);
  EXPECT_THAT(strings(facts["sections"]), ElementsAre("ledger"));
  EXPECT_EQ(facts["bars"].size(), ledger["accounts"].size());
}

TEST_F(ReportPageTest, FitsANarrowWindowInTheDark) {
  const Json facts = facts_of(fixture("plan.json"), {.width = 500, .dark = true});
  EXPECT_EQ(facts["overflow"], 0);
  EXPECT_EQ(facts["background"], "rgb(18, 24, 30)");
}

TEST_F(ReportPageTest, APictureShowsTheWholePage) {
  const Folder folder;
  ASSERT_TRUE(plan::write_report(fixture("plan.json"), folder.path() + "/page.html"));
  const Result<std::string> run =
      run_command("'" PENSTOCK_SOURCE_DIR "/tests/ui/screenshot.sh' '" + folder.path() +
                  "/page.html' '" + folder.path() + "/page.png' 1280");
  ASSERT_TRUE(run) << run.error().text();
  const std::string picture = core::read_file(folder.path() + "/page.png").value();
  ASSERT_THAT(picture, StartsWith("\x89PNG"));
  // The header chunk follows the 8 bytes of the signature: length, name, width, height.
  const auto number = [&](std::size_t at) {
    int value = 0;
    for (std::size_t i = at; i < at + 4; ++i)
      value = 256 * value + static_cast<unsigned char>(picture[i]);
    return value;
  };
  EXPECT_EQ(number(16), 1280);
  EXPECT_GT(number(20), 2000);
}

}  // namespace
}  // namespace penstock::ui
