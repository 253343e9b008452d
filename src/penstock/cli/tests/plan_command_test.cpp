// penstock plan from a spec to its document, page and exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "penstock/cli/tests/scenario.h"
#include "penstock/ledger/book.h"
#include "penstock/ledger/find.h"

namespace penstock::cli {

namespace {

using core::Json;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A small job on two kinds of instances.
const std::string kJob =
    "[job]\nzoo = \"alexnet\"\nsamples = 100000\nepochs = 2\nbatch = 128\nprecision = \"fp16\"\n"
    "[fleet]\ninstances = [\"p3.2xlarge\", \"p3.16xlarge\"]\nmax_nodes = 2\n[goal]\n";

class PlanCommandTest : public Scenario {
 protected:
  Status plan(const std::string& spec, std::vector<std::string> words = {}) {
    words.insert(words.begin(), {"plan", write("job.toml", spec)});
    words.insert(words.end(),
                 {"--json", "--out", path("plan.json"), "--report", path("plan.html")});
    return run(std::move(words));
  }
  Json document() const { return written_json("plan.json"); }
};

TEST_F(PlanCommandTest, WritesWhatWasAskedAndWhatWasAnswered) {
  const Status status = plan(kJob + "finish_by = \"10 h\"\n", {"--seed", "7"});
  ASSERT_TRUE(status) << complained();
  const Json json = document();
  EXPECT_EQ(json.at("schema"), "penstock-plan/1");
  EXPECT_EQ(json.at("seed"), 7);
  EXPECT_EQ(json.at("spec").at("job").at("optimizer"), "momentum");
  EXPECT_EQ(json.at("goal").at("budget_time_s"), 36000);
  EXPECT_EQ(json.at("candidates").size(), 4u);
  const Json& chosen = json.at("candidates").at(json.at("chosen").get<std::size_t>());
  EXPECT_EQ(chosen.at("verdict"), "chosen");
  EXPECT_EQ(chosen.at("steps"), 782 * 2);
  EXPECT_LE(chosen.at("time_s").get<double>(), 36000);
  EXPECT_EQ(json.at("partition").at("network"), json.at("model").at("name"));
  EXPECT_THAT(*core::read_file(path("plan.html")), HasSubstr("penstock-plan/1"));
}

TEST_F(PlanCommandTest, ItsLedgersAreFoundInTheDocument) {
  ASSERT_TRUE(plan(kJob));
  const auto found = ledger::read_ledgers(path("plan.json"));
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(found->size(), 4u);
}

TEST_F(PlanCommandTest, AGoalThatNothingMeetsExitsWithOneAndStillWrites) {
  const Status status = plan(kJob + "finish_by = \"1 s\"\n");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kNegative);
  EXPECT_THAT(status.error().text(),
              AllOf(HasSubstr("job.toml"), HasSubstr("no fleet meets the goal"),
                    HasSubstr("misses 1 s by")));
  EXPECT_TRUE(document().at("chosen").is_null());
  EXPECT_TRUE(exists("plan.html"));
}

TEST_F(PlanCommandTest, BadInputWritesNothing) {
  const Status status = plan(kJob + "finish_by = \"10 Gb\"\nspend = \"5 $\"\n");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kInput);
  EXPECT_THAT(status.error().text(), AllOf(HasSubstr("job.toml:11: goal.finish_by"),
                                           HasSubstr("job.toml:12: goal.spend")));
  EXPECT_FALSE(exists("plan.json"));
  EXPECT_FALSE(exists("plan.html"));
}

TEST_F(PlanCommandTest, TheBookKeepsTheChosenLedgerWithItsSpec) {
  ASSERT_TRUE(plan(kJob, {"--book", path("book.sqlite")}));
  auto book = ledger::Book::open_existing(path("book.sqlite"));
  ASSERT_TRUE(book) << book.error().text();
  const auto entries = book->list("plan");
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 1u);
  const Json json = document();
  const Json& chosen = json.at("candidates").at(json.at("chosen").get<std::size_t>());
  EXPECT_EQ(entries->front().whole.value(), chosen.at("time_s").get<double>());
  EXPECT_EQ(book->payload_of(entries->front().id)->at("spec"), json.at("spec"));
}

}  // namespace
}  // namespace penstock::cli
