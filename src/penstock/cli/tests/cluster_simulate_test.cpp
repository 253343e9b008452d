#include <string>
#include <vector>

#include "penstock/cli/tests/scenario.h"

namespace penstock::cli {
namespace {

using core::Json;

class ClusterSimulateTest : public Scenario {
 protected:
  // Two jobs that together are too large for the sixteen accelerators, then one for the gap.
  std::string trace() const {
    return write("jobs.csv",
                 "name,submit_s,duration_s,accelerators,model\n"
                 "wide,0,100,12,bert\n"
                 "next,10,50,8,bert\n"
                 "small,20,30,4,\n");
  }
  std::string cluster(const std::string& more = "") const {
    return write("cluster.toml",
                 "[cluster]\nname = \"pair\"\nnodes_per_rack = 2\naccelerators_per_node = 8\n"
                 "price = \"2 $/h\"\n[links.inside]\nbandwidth = \"100 GB/s\"\n"
                 "[links.node_uplink]\nbandwidth = \"10 Gbit/s\"\n" +
                     more);
  }
};

TEST_F(ClusterSimulateTest, FifoBlocksBehindTheHeadAndBackfillDoesNot) {
  ASSERT_TRUE(run({"cluster", "simulate", trace(), "--gpus", "16", "--policy", "fifo", "--no-book",
                   "--json", "--jobs-out", path("out.csv")}))
      << complained();
  const Json strict = printed_json();
  EXPECT_EQ(strict.at("schema"), "penstock-cluster/1");
  EXPECT_EQ(strict.at("jobs"), 3);
  // wide 0 to 100; next and small from 100 on: 100, 140 and 110.
  EXPECT_DOUBLE_EQ(strict.at("mean_jct_s").get<double>(), (100 + 140 + 110) / 3.0);
  EXPECT_EQ(strict.at("makespan_s"), 150);
  EXPECT_NE(core::read_file(path("out.csv"))->find("\nsmall,4,,20,100,130,110,"),
            std::string::npos);
  ASSERT_TRUE(run({"cluster", "simulate", trace(), "--gpus", "16", "--policy", "fifo-backfill",
                   "--no-book", "--json"}))
      << complained();
  EXPECT_DOUBLE_EQ(printed_json().at("mean_jct_s").get<double>(), (100 + 140 + 30) / 3.0);
}

TEST_F(ClusterSimulateTest, TheLedgerSumsToTheClusterAndHasItsPrice) {
  ASSERT_TRUE(run({"cluster", "simulate", trace(), "--cluster",
                   cluster("[slowdown.default]\nrack = 2\nnetwork = 2\n"), "--policy", "fifo",
                   "--no-book", "--json", "--trace", path("trace.json")}))
      << complained();
  const Json result = printed_json();
  const double makespan = result.at("makespan_s").get<double>();
  // Twelve accelerators of two nodes are the best there is for so large a job.
  EXPECT_EQ(makespan, 150);
  const Json& account = result.at("ledger").at("accounts").at(0);
  EXPECT_EQ(account.at("count"), 16);
  double sum = 0;
  for (const auto& [_, seconds] : account.at("activities").items()) sum += seconds.get<double>();
  EXPECT_NEAR(sum, makespan, 1e-9);
  EXPECT_NEAR(result.at("cost_usd").get<double>(), 16 * 2 * makespan / 3600, 1e-9);
  EXPECT_TRUE(Json::parse(*core::read_file(path("trace.json"))).contains("traceEvents"));
}

TEST_F(ClusterSimulateTest, AJobLargerThanANodeTakesWholeNodesWhereAsked) {
  // Twelve accelerators are free beside `small`, eight of them on a whole node.
  const std::string jobs = write("jobs.csv",
                                 "name,submit_s,duration_s,accelerators\n"
                                 "small,0,100,4\nwide,1,50,12\n");
  const std::vector<std::string> words = {"cluster",  "simulate", jobs,     "--cluster", cluster(),
                                          "--policy", "fifo",     "--json", "--no-book"};
  ASSERT_TRUE(run(words)) << complained();
  EXPECT_EQ(printed_json().at("makespan_s"), 100);
  std::vector<std::string> whole = words;
  whole.insert(whole.end(), {"--set", "whole-nodes=yes"});
  ASSERT_TRUE(run(whole)) << complained();
  EXPECT_EQ(printed_json().at("makespan_s"), 150);
}

TEST_F(ClusterSimulateTest, TheSameSeedGivesTheSameBytes) {
  const std::vector<std::string> words = {
      "cluster",  "simulate", "--draw",    "bursty",       "--jobs", "300",
      "--demand", "1",        "8",         "--seed",       "5",      "--cluster",
      cluster(),  "--json",   "--no-book", "--contention", "fluid",  "--attach-models"};
  ASSERT_TRUE(run(words)) << complained();
  const std::string first = printed();
  ASSERT_TRUE(run(words));
  EXPECT_EQ(first, printed());
}

TEST_F(ClusterSimulateTest, ExplainSaysWhatAJobWaitsForAndWhatAcceptingWouldCost) {
  // Each node has four free when `late` comes: eight, but not together.
  const std::string jobs = write("jobs.csv",
                                 "name,submit_s,duration_s,accelerators\n"
                                 "a,0,36000,4\nb,0,36000,8\nc,1,100,4\nd,200,36000,4\n"
                                 "late,7200,1000,4\n");
  const std::string there = cluster("[slowdown.default]\nrack = 3\nnetwork = 3\n");
  ASSERT_TRUE(run({"cluster", "explain", "late@2 h", jobs, "--cluster", there, "--policy",
                   "fifo-backfill", "--placement", "consolidated", "--json"}))
      << complained();
  EXPECT_EQ(printed_json().at("state"), "waiting");
  EXPECT_EQ(printed_json().at("free"), 0);
  EXPECT_EQ(printed_json().at("best_tier"), "node");
  EXPECT_DOUBLE_EQ(printed_json().at("price").at("rack").at("loss_s").get<double>(), 2000);
  ASSERT_TRUE(run({"cluster", "explain", "late@1 h", jobs, "--cluster", there, "--json"}));
  EXPECT_EQ(printed_json().at("state"), "not submitted");
  EXPECT_FALSE(run({"cluster", "explain", "nobody@1 h", jobs, "--cluster", there}));
  EXPECT_NE(complained().find("nobody"), std::string::npos);
}

TEST_F(ClusterSimulateTest, BadInputIsNamedInOneLineWithExitCodeTwo) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"name,submit_s,duration_s,accelerators\na,-5,10,1\n", "jobs.csv:2"},
      {"name,submit_s,duration_s,accelerators\na,0,10,32\n", "jobs.csv: job a wants 32"},
      {"name,submit_s,duration_s,accelerators\n", "jobs.csv"}};
  for (const auto& [text, said] : bad) {
    const std::string jobs = write("jobs.csv", text);
    const Status status =
        run({"cluster", "simulate", jobs, "--gpus", "16", "--policy", "fifo", "--no-book"});
    ASSERT_FALSE(status) << text;
    EXPECT_EQ(int(status.error().kind), 2) << text;
    EXPECT_NE(status.error().text().find(said), std::string::npos) << status.error().text();
  }
  const std::string unlinked = write("unlinked.toml",
                                     "[cluster]\nname = \"x\"\nnodes_per_rack = 2\n"
                                     "accelerators_per_node = 8\n");
  const Status status =
      run({"cluster", "simulate", trace(), "--cluster", unlinked, "--policy", "fifo"});
  ASSERT_FALSE(status);
  EXPECT_EQ(int(status.error().kind), 2);
  EXPECT_NE(status.error().text().find("links"), std::string::npos) << status.error().text();
}

}  // namespace
}  // namespace penstock::cli
