// The command lines of profile and advise over a book; real runs are tested in their rooms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "penstock/cli/tests/scenario.h"
#include "penstock/ledger/book.h"
#include "penstock/profile/measured_job.h"

namespace penstock::cli {

namespace {

using core::Json;
using ::testing::HasSubstr;

class ProfileCommandTest : public Scenario {
 protected:
  // A book with the profile of a job, as `profile train --book` keeps it.
  std::string book() {
    profile::MeasuredJob job;
    job.model = "resnet50";
    job.accelerator = "V100";
    job.batch = 32;
    job.ranks = 2;
    job.step_s = job.single_step_s = 0.1;
    job.backward_s = 0.06;
    job.gradient_bytes = std::vector<std::int64_t>(161, 634946);
    job.macs_per_sample = 4.1e9;
    job.prep_cores = 2;
    job.prep_rate = 400;
    job.fetch_rate = 900;
    job.sample_bytes = 110e3;
    job.dataset_bytes = 1e9;
    job.samples_per_s = 300;
    ledger::Ledger ledger("resnet50", ledger::Evidence::kMeasured);
    ledger.add_account("rank0").add(ledger::Activity::kCompute, "step", Seconds(0.1));
    EXPECT_TRUE(ledger.close(Seconds(0.1)));
    auto opened = ledger::Book::open(path("book.sqlite"));
    EXPECT_TRUE(opened);
    const Json payload = {{"schema", "penstock-profile/1"}, {"rates", rates_to_json(job)}};
    EXPECT_TRUE(opened->add({ledger, "profile", payload}));
    return path("book.sqlite");
  }
};

TEST_F(ProfileCommandTest, WhatIfSaysThatCoresBindAndHowManyHideThem) {
  const Status status = run(
      {"profile", "what-if", "--book", book(), "--cores", "1", "--json", "--out", path("w.json")});
  ASSERT_TRUE(status) << complained();
  const Json json = written_json("w.json");
  EXPECT_EQ(json.at("what_if").at("binds"), "prep");
  EXPECT_NEAR(json.at("what_if").at("samples_per_s").get<double>(), 200, 1e-9);
  EXPECT_EQ(json.at("cores_to_hide_prep"), 4);  // 640 samples/s at 5 ms each
}

TEST_F(ProfileCommandTest, AdviseChoosesWithinTheTimeAndUsesTheMeasuredRate) {
  const Status status =
      run({"advise", "resnet50", "--book", book(), "--epochs", "10", "--finish-by", "100 h",
           "--instances", "p3.*", "--json", "--out", path("a.json")});
  ASSERT_TRUE(status) << complained();
  const Json json = written_json("a.json");
  const Json& chosen = json.at("fleets").at(json.at("chosen").get<std::size_t>());
  EXPECT_EQ(chosen.at("compute_evidence"), "measured");
  EXPECT_LE(chosen.at("time_with_confidence_s").get<double>(), 360000);
}

TEST_F(ProfileCommandTest, AdviseSaysNoWithExitCodeOneWhereNothingIsFastEnough) {
  const Status status =
      run({"advise", "--book", book(), "--finish-by", "1 s", "--instances", "p3.*"});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kNegative);
  EXPECT_THAT(status.error().text(), HasSubstr("the nearest is"));
}

TEST_F(ProfileCommandTest, ABookWithoutProfilesSaysHowToMakeOne) {
  ASSERT_TRUE(ledger::Book::open(path("empty.sqlite")));
  const Status status = run({"advise", "--book", path("empty.sqlite")});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kMissing);
  EXPECT_THAT(status.error().text(), HasSubstr("penstock profile train MODEL --book"));
}

TEST_F(ProfileCommandTest, TrainNamesWhatIsWrongWithItsOptions) {
  const auto fails = [&](std::vector<std::string> words, const char* text) {
    words.insert(words.begin(), {"profile", "train"});
    const Status status = run(std::move(words));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind, ErrorKind::kInput);
    EXPECT_THAT(status.error().text(), HasSubstr(text));
  };
  fails({}, "needs a model");
  fails({"a.onnx", "b.onnx"}, "one model too many");
  fails({"--emulate", "resnet50-h10"}, "resnet50-h100");
  fails({"a.onnx", "--link", "10 Gbit/s"}, "only one node");
  fails({"a.onnx", "--precision", "0"}, "is no share");
  fails({"--attach"}, "there is no program");
  fails({"--attach", "--nodes", "2", "--", "train"}, "--nodes: means nothing with --attach");
  fails({"a.onnx", "--delay", "50 us"}, "--delay: there is only one node");
  fails({"a.onnx", "--nodes", "2", "--link", "10 Gb"}, "--link: \"10 Gb\" has the unit");
  fails({"a.onnx", "--bucket", "-1 MB"}, "--bucket: \"-1 MB\" is below zero");
  fails({"a.onnx", "--data", "d", "--cache", "lru"}, "--cache-size: is missing");
  fails({"a.onnx", "--disk-limit", "100 MB"}, "--disk-limit: ");
}

TEST_F(ProfileCommandTest, LinkNamesWhatIsWrongWithItsOptions) {
  const auto fails = [&](std::vector<std::string> words, const char* text) {
    words.insert(words.begin(), {"profile", "link"});
    const Status status = run(std::move(words));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind, ErrorKind::kInput);
    EXPECT_THAT(status.error().text(), HasSubstr(text));
  };
  fails({"--nodes", "2", "--link", "10 Gb"}, "--link: ");
  fails({"--delay", "50 us"}, "--delay: there is only one node");
  fails({"--sizes", "1 MiB"}, "latency and bandwidth need two");
  fails({"--sizes", "1 MiB..8 B"}, "latency and bandwidth need two");
  fails({"--sizes", "8 B..1 PB"}, "up to 16 GiB");
  fails({"--ranks", "3", "--nodes", "2"}, "is no multiple of --nodes");
}

TEST_F(ProfileCommandTest, WhatCannotBeKeptIsSaidBeforeAnythingIsMeasured) {
  const auto fails = [&](std::vector<std::string> words, const std::string& text) {
    words.insert(words.begin(), {"profile", "train", "--emulate", "resnet50-h100"});
    const Status status = run(std::move(words));
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().text(), HasSubstr(text));
  };
  fails({"--out", path("absent/p.json")}, "--out: " + path("absent") + " is no folder");
  fails({"--trace", path("absent/t.json")}, "--trace: " + path("absent") + " is no folder");
  fails({"--book", write("notes.txt", "no book")}, "notes.txt");
  fails({"--data", path("absent")}, path("absent"));
}

}  // namespace

}  // namespace penstock::cli
