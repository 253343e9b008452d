// penstock plan from a spec to its document, page and exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "penstock/cli/command.h"
#include "penstock/core/file.h"
#include "penstock/ledger/book.h"
#include "penstock/ledger/find.h"

namespace penstock::cli {

std::unique_ptr<Command> make_plan_command();

namespace {

using core::Json;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A small job on two kinds of instances.
const std::string kJob =
    "[job]\nzoo = \"alexnet\"\nsamples = 100000\nepochs = 2\nbatch = 128\nprecision = \"fp16\"\n"
    "[fleet]\ninstances = [\"p3.2xlarge\", \"p3.16xlarge\"]\nmax_nodes = 2\n[goal]\n";

class PlanCommandTest : public ::testing::Test {
 protected:
  PlanCommandTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "plan-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    out_ = folder_ + "/plan.json";
    page_ = folder_ + "/plan.html";
  }
  ~PlanCommandTest() override { std::filesystem::remove_all(folder_); }

  Status plan(const std::string& spec, std::vector<std::string> words = {}) {
    const std::string path = folder_ + "/job.toml";
    EXPECT_TRUE(core::write_file(path, spec));
    words.insert(words.end(), {"--json", "--out", out_, "--report", page_});
    words.insert(words.begin(), path);
    CLI::App app;
    const std::unique_ptr<Command> command = make_plan_command();
    command->declare(app);
    std::reverse(words.begin(), words.end());  // as CLI11 wants them
    app.parse(words);
    PENSTOCK_TRY_STATUS(command->prepare());
    return command->run();
  }
  Json document() const {
    const Result<Json> json = core::read_json(out_);
    EXPECT_TRUE(json) << json.error().text();
    return json.value_or(Json());
  }

  std::string folder_;
  std::string out_;
  std::string page_;
};

TEST_F(PlanCommandTest, WritesWhatWasAskedAndWhatWasAnswered) {
  const Status status = plan(kJob + "finish_by = \"10 h\"\n", {"--seed", "7"});
  ASSERT_TRUE(status) << status.error().text();
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
  EXPECT_THAT(*core::read_file(page_), HasSubstr("penstock-plan/1"));
}

TEST_F(PlanCommandTest, ItsLedgersAreFoundInTheDocument) {
  ASSERT_TRUE(plan(kJob));
  const auto found = ledger::read_ledgers(out_);
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
  EXPECT_TRUE(std::filesystem::exists(page_));
}

TEST_F(PlanCommandTest, BadInputWritesNothing) {
  const Status status = plan(kJob + "finish_by = \"10 Gb\"\nspend = \"5 $\"\n");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kInput);
  EXPECT_THAT(status.error().text(), AllOf(HasSubstr("job.toml:11: goal.finish_by"),
                                           HasSubstr("job.toml:12: goal.spend")));
  EXPECT_FALSE(std::filesystem::exists(out_));
  EXPECT_FALSE(std::filesystem::exists(page_));
}

TEST_F(PlanCommandTest, TheBookKeepsTheChosenLedgerWithItsSpec) {
  const std::string path = folder_ + "/book.sqlite";
  ASSERT_TRUE(plan(kJob, {"--book", path}));
  auto book = ledger::Book::open_existing(path);
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
