// penstock ledger and penstock book from their words to their documents.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "penstock/cli/tests/scenario.h"

namespace penstock::cli {

namespace {

using core::Json;
using ::testing::HasSubstr;

const std::string kPlan = PENSTOCK_SOURCE_DIR "/examples/ledgers/two-boards-plan.json";
const std::string kSimulation = PENSTOCK_SOURCE_DIR "/examples/ledgers/two-boards-simulation.json";

class LedgerCommandsTest : public Scenario {
 protected:
  Status ledger(std::vector<std::string> words) {
    words.insert(words.begin(), "ledger");
    words.insert(words.end(), {"--json", "--out", path("out.json")});
    return run(std::move(words));
  }
  Status book(std::vector<std::string> words) {
    words.insert(words.begin(), "book");
    words.insert(words.end(), {"--json", "--out", path("out.json"), "--book", path("book.sqlite")});
    return run(std::move(words));
  }
  Json document() const { return written_json("out.json"); }
};

TEST_F(LedgerCommandsTest, ShowGivesTheLedgersOfAllFilesAndTheirTrace) {
  const std::string trace = path("trace.json");
  ASSERT_TRUE(ledger({"show", kPlan, kSimulation, "--trace", trace}));
  const Json shown = document();
  ASSERT_EQ(shown["ledgers"].size(), 2u);
  EXPECT_EQ(shown["ledgers"][0]["ledger"], *core::read_json(kPlan));
  EXPECT_EQ(shown["ledgers"][1]["name"], "two boards, queued");
  const Result<Json> drawn = core::read_json(trace);
  ASSERT_TRUE(drawn) << drawn.error().text();
  std::set<int> processes;
  for (const Json& event : drawn->at("traceEvents")) processes.insert(event["pid"].get<int>());
  EXPECT_EQ(processes.size(), 2u);
}

TEST_F(LedgerCommandsTest, WhatShowWritesShowReads) {
  ASSERT_TRUE(ledger({"show", kPlan, kSimulation}));
  const Json first = document();
  std::filesystem::copy_file(path("out.json"), path("again.json"));
  ASSERT_TRUE(ledger({"show", path("again.json")}));
  EXPECT_EQ(document()["ledgers"][1]["ledger"], first["ledgers"][1]["ledger"]);
  EXPECT_EQ(document()["ledgers"][1]["path"], "ledgers[1].ledger");
}

TEST_F(LedgerCommandsTest, CompareNamesTheWorstGrowerAndTheEvidence) {
  ASSERT_TRUE(ledger({"compare", kPlan, kSimulation}));
  const Json comparison = document()["others"][0]["comparison"];
  EXPECT_EQ(comparison["worst"], "network");
  EXPECT_EQ(comparison["evidence_differs"], true);
  EXPECT_DOUBLE_EQ(comparison["ratio"].get<double>(), 19.5 / 17);
}

TEST_F(LedgerCommandsTest, FailAboveAnswersNoBeyondThePercentageAndStillWrites) {
  EXPECT_TRUE(ledger({"compare", kPlan, kSimulation, "--fail-above", "15"}));
  EXPECT_EQ(document()["others"][0]["exceeds"], false);
  const Status slower = ledger({"compare", kPlan, kSimulation, "--fail-above", "14"});
  ASSERT_FALSE(slower);
  EXPECT_EQ(slower.error().kind, ErrorKind::kNegative);
  EXPECT_EQ(document()["others"][0]["exceeds"], true);
  EXPECT_TRUE(ledger({"compare", kSimulation, kPlan, "--fail-above", "0"}));
  EXPECT_EQ(ledger({"compare", kPlan, kPlan, "--fail-above", "-1"}).error().kind,
            ErrorKind::kInput);
}

TEST_F(LedgerCommandsTest, CompareWithNothingIsRefused) {
  const Status alone = ledger({"compare", kPlan});
  ASSERT_FALSE(alone);
  EXPECT_THAT(alone.error().text(), HasSubstr("there is nothing to compare with"));
  EXPECT_FALSE(exists("out.json"));
}

TEST_F(LedgerCommandsTest, EveryWrongFileIsReportedAndNothingIsWritten) {
  const std::string wrong = write("wrong.json", "{\n\"ledger\": \n");
  const Status status = ledger({"show", wrong, path("none.json"), kPlan});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), HasSubstr("wrong.json:"));
  EXPECT_THAT(status.error().text(), HasSubstr("none.json: no such file"));
  EXPECT_FALSE(exists("out.json"));
}

TEST_F(LedgerCommandsTest, TheBookKeepsAResultWithItsProvenanceUntilItIsRemoved) {
  const Json plan = {{"schema", "penstock-plan/1"},
                     {"seed", 7},
                     {"strategies", {{{"name", "data"}, {"ledger", *core::read_json(kPlan)}}}}};
  const std::string result = write("result.json", core::json_text(plan));
  ASSERT_TRUE(book({"add", result, kSimulation}));
  ASSERT_EQ(document()["entries"].size(), 2u);

  ASSERT_TRUE(book({"list", "--kind", "plan"}));
  ASSERT_EQ(document()["entries"].size(), 1u);
  EXPECT_EQ(document()["entries"][0]["title"], "two boards, planned");

  ASSERT_TRUE(book({"show", "two boards, p"}));
  EXPECT_EQ(document()["payload"]["seed"], 7);
  EXPECT_EQ(document()["payload"]["name"], "data");
  EXPECT_FALSE(document()["payload"].contains("strategies"));
  EXPECT_EQ(document()["ledger"], *core::read_json(kPlan));
  EXPECT_FALSE(book({"show", "two boards"}));

  ASSERT_TRUE(book({"remove", "1", "1"}));
  ASSERT_TRUE(book({"list"}));
  ASSERT_EQ(document()["entries"].size(), 1u);
  EXPECT_EQ(document()["entries"][0]["kind"], "ledger");
}

TEST_F(LedgerCommandsTest, OneWrongFileKeepsAllOutOfTheBook) {
  EXPECT_FALSE(book({"add", kPlan, path("none.json")}));
  EXPECT_FALSE(exists("book.sqlite"));
  ASSERT_TRUE(book({"add", kPlan}));
  EXPECT_FALSE(book({"remove", "1", "99"}));
  ASSERT_TRUE(book({"list"}));
  EXPECT_EQ(document()["entries"].size(), 1u);
}

}  // namespace
}  // namespace penstock::cli
