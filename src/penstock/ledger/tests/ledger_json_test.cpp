#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "penstock/core/file.h"
#include "penstock/core/json.h"
#include "penstock/core/random.h"
#include "penstock/ledger/ledger.h"

namespace penstock::ledger {
namespace {

using core::Json;
using ::testing::HasSubstr;

Ledger example() {
  Ledger ledger("two \"boards\"", Evidence::kSimulated);
  ledger.set_cost(Dollars(0.1));
  Account& gpu = ledger.add_account("gpu", 2);
  gpu.add(Activity::kCompute, "conv1", Seconds(0.1));
  gpu.add(Activity::kNetwork, "gradient of conv1", Seconds(0.2));
  gpu.add(Activity::kCompute, "fc", Seconds(0.3));
  ledger.add_account("host").add(Activity::kPrep, "decode", Seconds(0.7));
  ledger.add_span({"gpu", "conv1", Activity::kCompute, Seconds(0), Seconds(0.1)});
  EXPECT_TRUE(ledger.close(Seconds(0.7)));
  return ledger;
}

TEST(LedgerJsonTest, HasTheDocumentedKeys) {
  const Json json = example().to_json();
  EXPECT_EQ(json["schema"], "penstock-ledger/1");
  EXPECT_EQ(json["title"], "two \"boards\"");
  EXPECT_EQ(json["evidence"], "simulated");
  EXPECT_EQ(json["whole_s"], 0.7);
  EXPECT_EQ(json["cost_usd"], 0.1);
  const Json& gpu = json["accounts"][0];
  EXPECT_EQ(gpu["resource"], "gpu");
  EXPECT_EQ(gpu["count"], 2);
  EXPECT_EQ(gpu["activities"]["compute"], 0.1 + 0.3);
  EXPECT_EQ(gpu["activities"].size(), 3u);  // compute, network, idle
  EXPECT_EQ(gpu["entries"][1]["activity"], "network");
  EXPECT_EQ(gpu["entries"][1]["label"], "gradient of conv1");
  EXPECT_EQ(gpu["entries"][1]["time_s"], 0.2);
  EXPECT_EQ(json["spans"][0]["duration_s"], 0.1);
}

TEST(LedgerJsonTest, ReadsBackWhatItWroteToTheByte) {
  const std::string text = core::json_text(example().to_json());
  const Result<Json> json = core::parse_json(text, "x.json");
  const Result<Ledger> ledger = Ledger::from_json(*json, "x.json");
  ASSERT_TRUE(ledger) << ledger.error().text();
  EXPECT_EQ(core::json_text(ledger->to_json()), text);
}

// Sums over a thousand random times per account miss the whole by many roundings.
TEST(LedgerJsonTest, TheExamplesReadBackToTheByte) {
  for (const char* name : {"two-boards-plan.json", "two-boards-simulation.json"}) {
    const std::string path = std::string(PENSTOCK_SOURCE_DIR "/examples/ledgers/") + name;
    const Result<std::string> text = core::read_file(path);
    ASSERT_TRUE(text) << text.error().text();
    const Result<Ledger> ledger = Ledger::from_json(*core::parse_json(*text, path), path);
    ASSERT_TRUE(ledger) << ledger.error().text();
    EXPECT_EQ(core::json_text(ledger->to_json()), *text);
  }
}

TEST(LedgerJsonTest, RandomLedgersOfManyMagnitudesReadBackToTheByte) {
  core::RandomStream random(7, "ledgers");
  for (int trial = 0; trial < 50; ++trial) {
    Ledger ledger("trial", Evidence::kMeasured);
    const double scale = std::pow(10.0, static_cast<double>(random.below(24)) - 12);
    Seconds longest;
    for (int a = 0; a < 3; ++a) {
      Account& account =
          ledger.add_account("r" + std::to_string(a), 1 + static_cast<int>(random.below(9)));
      for (int e = 0; e < 200; ++e) {
        account.add(all_activities()[random.below(kActivities)],
                    "layer " + std::to_string(random.below(40)), Seconds(scale * random.uniform()));
      }
      longest = std::max(longest, account.total());
    }
    ASSERT_TRUE(ledger.close(longest * (1 + random.uniform())));
    const std::string text = core::json_text(ledger.to_json());
    const Result<Ledger> read = Ledger::from_json(*core::parse_json(text, "x"), "x");
    ASSERT_TRUE(read) << read.error().text();
    ASSERT_EQ(core::json_text(read->to_json()), text);
  }
}

// The error that one change to a right file leads to.
std::string error_after(const std::function<void(Json&)>& change) {
  Json json = example().to_json();
  change(json);
  const Result<Ledger> ledger = Ledger::from_json(json, "x.json");
  if (ledger) return "accepted";
  EXPECT_EQ(ledger.error().kind, ErrorKind::kInput);
  return ledger.error().text();
}

TEST(LedgerJsonTest, PartsMaySumToTheWholeWithinTheToleranceAndNotByOneStepMore) {
  const auto with_compute = [](double seconds) {
    return error_after([&](Json& j) {
      j["whole_s"] = 1.0;
      j["accounts"].erase(1);
      j["accounts"][0]["activities"] = {{"compute", seconds}};
      j["accounts"][0]["entries"] = {{{"activity", "compute"}, {"label", ""}, {"time_s", seconds}}};
    });
  };
  double above = 1 + kSumTolerance;
  while (above - 1 > kSumTolerance) above = std::nextafter(above, 0.0);
  double below = 1 - kSumTolerance;
  while (1 - below > kSumTolerance) below = std::nextafter(below, 2.0);
  EXPECT_EQ(with_compute(above), "accepted");
  EXPECT_EQ(with_compute(below), "accepted");
  EXPECT_THAT(with_compute(std::nextafter(above, 2.0)),
              HasSubstr("x.json: accounts[0].activities: sum to "));
  EXPECT_THAT(with_compute(std::nextafter(above, 2.0)), HasSubstr(" too much"));
  EXPECT_THAT(with_compute(std::nextafter(below, 0.0)), HasSubstr(" missing"));
}

TEST(LedgerJsonTest, RefusesPartsThatDoNotSum) {
  EXPECT_EQ(error_after([](Json& j) {
              j["whole_s"] = 1;
              j["accounts"].erase(0);
            }),
            "x.json: accounts[0].activities: sum to 0.7 s, but the whole is 1 s: "
            "0.3 s missing");
  EXPECT_EQ(error_after([](Json& j) { j["accounts"][0]["entries"][1]["time_s"] = 0.5; }),
            "x.json: accounts[0].activities.network: is 0.2 s, but its entries sum to 0.5 s");
  EXPECT_EQ(error_after([](Json& j) { j["accounts"][0]["activities"].erase("network"); }),
            "x.json: accounts[0].activities.network: is 0 s, but its entries sum to 0.2 s\n"
            "x.json: accounts[0].activities: sum to 0.5 s, but the whole is 0.7 s: "
            "0.2 s missing");
}

TEST(LedgerJsonTest, RefusesNegativeAndInfiniteTimes) {
  EXPECT_EQ(error_after([](Json& j) { j["accounts"][0]["entries"][0]["time_s"] = -1; }),
            "x.json: accounts[0].entries[0].time_s: must not be negative, but is -1");
  EXPECT_EQ(error_after([](Json& j) { j["whole_s"] = -0.5; }),
            "x.json: whole_s: must not be negative, but is -0.5");
  EXPECT_EQ(error_after([](Json& j) { j["spans"][0]["start_s"] = -2; }),
            "x.json: spans[0].start_s: must not be negative, but is -2");
  EXPECT_EQ(error_after([](Json& j) { j["cost_usd"] = -3; }),
            "x.json: cost_usd: must not be negative, but is -3");
  EXPECT_EQ(error_after([](Json& j) { j["whole_s"] = nullptr; }),  // what NaN is written as
            "x.json: whole_s: must be a number, not null");
}

TEST(LedgerJsonTest, RefusesUnknownNamesWithTheNearestOne) {
  EXPECT_EQ(error_after([](Json& j) { j["accounts"][0]["entries"][0]["activity"] = "computer"; }),
            "x.json: accounts[0].entries[0].activity: \"computer\" is not an activity; did you "
            "mean \"compute\"?");
  EXPECT_EQ(error_after([](Json& j) { j["accounts"][0]["activities"]["netwrok"] = 0; }),
            "x.json: accounts[0].activities: \"netwrok\" is not an activity; did you mean "
            "\"network\"?");
  EXPECT_THAT(error_after([](Json& j) { j["spans"][0]["activity"] = "x"; }),
              HasSubstr("use one of compute, prep, fetch, interconnect, network, memory, queue, "
                        "batch-wait, cold-start, preemption, idle"));
  EXPECT_EQ(error_after([](Json& j) { j["evidence"] = "guessed"; }),
            "x.json: evidence: \"guessed\" is not a kind of evidence; use one of predicted, "
            "simulated, measured");
  EXPECT_EQ(error_after([](Json& j) { j["accounts"][1]["counts"] = 1; }),
            "x.json: accounts[1].counts: is not a known key; did you mean \"count\"?");
  EXPECT_EQ(error_after([](Json& j) { j["cost_us"] = 1; }),
            "x.json: cost_us: is not a known key; did you mean \"cost_usd\"?");
}

TEST(LedgerJsonTest, RefusesEveryMissingKey) {
  for (const char* key : {"schema", "title", "evidence", "whole_s", "accounts", "spans"}) {
    EXPECT_THAT(error_after([&](Json& j) { j.erase(key); }),
                HasSubstr(std::string("x.json: \"") + key + "\" is missing"));
  }
  for (const char* key : {"resource", "count", "activities", "entries"}) {
    EXPECT_EQ(error_after([&](Json& j) { j["accounts"][1].erase(key); }),
              std::string("x.json: accounts[1]: \"") + key + "\" is missing");
  }
  for (const char* key : {"activity", "label", "time_s"}) {
    EXPECT_EQ(error_after([&](Json& j) { j["accounts"][0]["entries"][2].erase(key); }),
              std::string("x.json: accounts[0].entries[2]: \"") + key + "\" is missing");
  }
  for (const char* key : {"resource", "name", "activity", "start_s", "duration_s"}) {
    EXPECT_EQ(error_after([&](Json& j) { j["spans"][0].erase(key); }),
              std::string("x.json: spans[0]: \"") + key + "\" is missing");
  }
}

TEST(LedgerJsonTest, RefusesAnotherSchemaAndANewerVersion) {
  EXPECT_EQ(error_after([](Json& j) { j["schema"] = "penstock-ledger/2"; }),
            "x.json: schema: is \"penstock-ledger/2\", but this Penstock reads "
            "\"penstock-ledger/1\"; write the ledger again with this version");
  EXPECT_EQ(error_after([](Json& j) { j["schema"] = "receipt"; }),
            "x.json: schema: must be \"penstock-ledger/1\", not \"receipt\"; name a ledger");
  EXPECT_EQ(error_after([](Json& j) { j["schema"] = 1; }), "x.json: schema: must be text, not 1");
}

TEST(LedgerJsonTest, RefusesWrongTypesCountsAndDoubles) {
  EXPECT_EQ(error_after([](Json& j) { j = Json::array(); }),
            "x.json: must be an object, not an array");
  EXPECT_EQ(error_after([](Json& j) { j["accounts"][0] = "gpu"; }),
            "x.json: accounts[0]: must be an object, not \"gpu\"");
  EXPECT_EQ(error_after([](Json& j) { j["accounts"] = Json::object(); }),
            "x.json: accounts: must be an array, not an object");
  for (const Json& count : {Json(0), Json(-1), Json(1.5), Json(1e300), Json(3000000000u)}) {
    EXPECT_THAT(
        error_after([&](Json& j) { j["accounts"][0]["count"] = count; }),
        HasSubstr("x.json: accounts[0].count: must be a whole number from 1 to 2147483647"));
  }
  EXPECT_EQ(error_after([](Json& j) { j["accounts"][1]["resource"] = "gpu"; }),
            "x.json: accounts[1].resource: \"gpu\" has an account already");
  EXPECT_EQ(error_after([](Json& j) { j["accounts"][0]["entries"][2]["label"] = "conv1"; }),
            "x.json: accounts[0].entries[2].label: \"conv1\" has its compute time twice");
}

TEST(LedgerJsonTest, ReportsEveryErrorAtOnce) {
  EXPECT_EQ(error_after([](Json& j) {
              j["evidence"] = 3;
              j["accounts"][1]["count"] = 0;
              j["spans"][0].erase("name");
            }),
            "x.json: evidence: must be text, not 3\n"
            "x.json: accounts[1].count: must be a whole number from 1 to 2147483647, not 0\n"
            "x.json: spans[0]: \"name\" is missing");
}

TEST(LedgerJsonDeathTest, AnUnclosedLedgerIsNotWritten) {
  Ledger ledger("job", Evidence::kMeasured);
  ledger.add_account("gpu").add(Activity::kCompute, "", Seconds(1));
  EXPECT_DEATH(static_cast<void>(ledger.to_json()), "total");
}

}  // namespace
}  // namespace penstock::ledger
