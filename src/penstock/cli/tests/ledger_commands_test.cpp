// penstock ledger and penstock book from their words to their documents.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "penstock/cli/command.h"
#include "penstock/core/file.h"

namespace penstock::cli {

std::unique_ptr<Command> make_book_command();
std::unique_ptr<Command> make_ledger_command();

namespace {

using core::Json;
using ::testing::HasSubstr;

const std::string kPlan = PENSTOCK_SOURCE_DIR "/examples/ledgers/two-boards-plan.json";
const std::string kSimulation = PENSTOCK_SOURCE_DIR "/examples/ledgers/two-boards-simulation.json";

class LedgerCommandsTest : public ::testing::Test {
 protected:
  LedgerCommandsTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "commands-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    out_ = folder_ + "/out.json";
    book_ = folder_ + "/book.sqlite";
  }
  ~LedgerCommandsTest() override { std::filesystem::remove_all(folder_); }

  static Status run(std::unique_ptr<Command> command, std::vector<std::string> words) {
    CLI::App app;
    command->declare(app);
    std::reverse(words.begin(), words.end());  // as CLI11 wants them
    app.parse(words);
    PENSTOCK_TRY_STATUS(command->prepare());
    return command->run();
  }
  Status ledger(std::vector<std::string> words) {
    words.insert(words.end(), {"--json", "--out", out_});
    return run(make_ledger_command(), std::move(words));
  }
  Status book(std::vector<std::string> words) {
    words.insert(words.end(), {"--json", "--out", out_, "--book", book_});
    return run(make_book_command(), std::move(words));
  }
  Json document() const {
    const Result<Json> json = core::read_json(out_);
    EXPECT_TRUE(json) << json.error().text();
    return json.value_or(Json());
  }

  std::string folder_;
  std::string out_;
  std::string book_;
};

TEST_F(LedgerCommandsTest, ShowGivesTheLedgersOfAllFilesAndTheirTrace) {
  const std::string trace = folder_ + "/trace.json";
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
  std::filesystem::copy_file(out_, folder_ + "/again.json");
  ASSERT_TRUE(ledger({"show", folder_ + "/again.json"}));
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
  EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(LedgerCommandsTest, EveryWrongFileIsReportedAndNothingIsWritten) {
  const std::string wrong = folder_ + "/wrong.json";
  ASSERT_TRUE(core::write_file(wrong, "{\n\"ledger\": \n"));
  const Status status = ledger({"show", wrong, folder_ + "/none.json", kPlan});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), HasSubstr("wrong.json:"));
  EXPECT_THAT(status.error().text(), HasSubstr("none.json: no such file"));
  EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(LedgerCommandsTest, TheBookKeepsAResultWithItsProvenanceUntilItIsRemoved) {
  const std::string result = folder_ + "/result.json";
  const Json plan = {{"schema", "penstock-plan/1"},
                     {"seed", 7},
                     {"strategies", {{{"name", "data"}, {"ledger", *core::read_json(kPlan)}}}}};
  ASSERT_TRUE(core::write_file(result, core::json_text(plan)));
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
  EXPECT_FALSE(book({"add", kPlan, folder_ + "/none.json"}));
  EXPECT_FALSE(std::filesystem::exists(book_));
  ASSERT_TRUE(book({"add", kPlan}));
  EXPECT_FALSE(book({"remove", "1", "99"}));
  ASSERT_TRUE(book({"list"}));
  EXPECT_EQ(document()["entries"].size(), 1u);
}

}  // namespace
}  // namespace penstock::cli
