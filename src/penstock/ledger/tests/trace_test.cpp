#include "penstock/ledger/trace.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "penstock/core/json.h"

namespace penstock::ledger {
namespace {

using core::Json;

std::vector<Json> events_of(const Json& trace, const std::string& phase,
                            const std::string& name = "") {
  std::vector<Json> events;
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] == phase && (name.empty() || event["name"] == name)) events.push_back(event);
  }
  return events;
}

Ledger without_spans() {
  Ledger ledger("job", Evidence::kSimulated);
  Account& gpu = ledger.add_account("gpu", 128);
  gpu.add(Activity::kCompute, "conv1", Seconds(0.002));
  gpu.add(Activity::kNetwork, "", Seconds(0.001));
  ledger.add_account("host").add(Activity::kPrep, "decode", Seconds(0.004));
  EXPECT_TRUE(ledger.close(Seconds(0.004)));
  return ledger;
}

// Every key that the Trace Event Format asks of these phases, with its type.
TEST(TraceTest, EveryEventHasTheKeysOfItsPhase) {
  const Json trace = without_spans().to_trace();
  EXPECT_EQ(trace.size(), 2u);
  EXPECT_EQ(trace["displayTimeUnit"], "ms");
  ASSERT_TRUE(trace["traceEvents"].is_array());
  const std::set<std::string> metadata = {"process_name", "process_labels", "process_sort_index",
                                          "thread_name", "thread_sort_index"};
  for (const Json& event : trace["traceEvents"]) {
    EXPECT_TRUE(event["pid"].is_number_integer());
    EXPECT_TRUE(event["name"].is_string());
    if (event["ph"] == "M") {
      EXPECT_TRUE(metadata.contains(event["name"])) << event["name"];
      EXPECT_TRUE(event["args"].is_object());
    } else {
      EXPECT_EQ(event["ph"], "X");
      EXPECT_TRUE(event["tid"].is_number_integer());
      EXPECT_GE(event["ts"].get<double>(), 0);
      EXPECT_GE(event["dur"].get<double>(), 0);
      EXPECT_TRUE(activity_from_name(event["cat"].get<std::string>())) << event["cat"];
    }
  }
}

TEST(TraceTest, EachResourceIsOneNamedRowAndACountIsDrawnOnce) {
  const Json trace = without_spans().to_trace();
  const std::vector<Json> names = events_of(trace, "M", "thread_name");
  ASSERT_EQ(names.size(), 2u);
  EXPECT_EQ(names[0]["args"]["name"], "gpu x 128");
  EXPECT_EQ(names[1]["args"]["name"], "host");
  EXPECT_NE(names[0]["tid"], names[1]["tid"]);
  EXPECT_EQ(events_of(trace, "M", "process_name")[0]["args"]["name"], "job");
  EXPECT_EQ(events_of(trace, "M", "process_labels")[0]["args"]["labels"], "simulated");
}

TEST(TraceTest, WithoutSpansTheEntriesFollowOneAnotherInMicroseconds) {
  const std::vector<Json> bars = events_of(without_spans().to_trace(), "X");
  ASSERT_EQ(bars.size(), 4u);  // conv1, network, idle; decode
  EXPECT_EQ(bars[0]["name"], "conv1");
  EXPECT_DOUBLE_EQ(bars[0]["ts"].get<double>(), 0);
  EXPECT_DOUBLE_EQ(bars[0]["dur"].get<double>(), 2000);
  EXPECT_EQ(bars[1]["name"], "network");  // an empty label shows its activity
  EXPECT_DOUBLE_EQ(bars[1]["ts"].get<double>(), 2000);
  EXPECT_DOUBLE_EQ(bars[2]["ts"].get<double>(), 3000);
  EXPECT_DOUBLE_EQ(bars[3]["ts"].get<double>(), 0);  // the next row starts anew
  std::map<int, double> row_ends;
  for (const Json& bar : bars) row_ends[bar["tid"]] += bar["dur"].get<double>();
  for (const auto& [row, end] : row_ends) EXPECT_DOUBLE_EQ(end, 4000) << row;
}

TEST(TraceTest, SpansAreDrawnWhereTheyLieAndMayNameALink) {
  Ledger ledger = without_spans();
  ledger.add_span({"gpu", "conv1", Activity::kCompute, Seconds(0.001), Seconds(0.002)});
  ledger.add_span({"link", "gradient", Activity::kNetwork, Seconds(0.003), Seconds(0.001)});
  const Json trace = ledger.to_trace();
  const std::vector<Json> bars = events_of(trace, "X");
  ASSERT_EQ(bars.size(), 2u);
  EXPECT_DOUBLE_EQ(bars[0]["ts"].get<double>(), 1000);
  EXPECT_EQ(bars[0]["tid"], events_of(trace, "M", "thread_name")[0]["tid"]);
  EXPECT_EQ(bars[1]["cat"], "network");
  const Json link = events_of(trace, "M", "thread_name")[2];
  EXPECT_EQ(link["args"]["name"], "link");
  EXPECT_EQ(bars[1]["tid"], link["tid"]);
}

TEST(TraceTest, SeveralLedgersAreSeveralProcesses) {
  const Ledger a = without_spans();
  const Ledger b = without_spans();
  const std::vector<Json> names = events_of(trace_of({&a, &b}), "M", "process_name");
  ASSERT_EQ(names.size(), 2u);
  EXPECT_EQ(names[0]["pid"], 1);
  EXPECT_EQ(names[1]["pid"], 2);
}

}  // namespace
}  // namespace penstock::ledger
