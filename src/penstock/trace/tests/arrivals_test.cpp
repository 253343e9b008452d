#include "penstock/trace/arrivals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace penstock::trace {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr char kHeading[] = "name,arrival_s,accelerators,samples,loader\n";

TEST(ArrivalsTest, JobsComeInTheOrderOfArrival) {
  const auto trace = parse_arrivals(
      std::string(kHeading) + "late, 12.5, 2, 100, a\n# a remark\n\nfirst,0,1,200,b\r\n", "t.csv");
  ASSERT_TRUE(trace) << trace.error().text();
  ASSERT_EQ(trace->jobs.size(), 2u);
  EXPECT_EQ(trace->jobs[0].name, "first");
  EXPECT_EQ(trace->jobs[0].loader, "b");
  EXPECT_EQ(trace->jobs[1].name, "late");
  EXPECT_DOUBLE_EQ(trace->jobs[1].arrival.value(), 12.5);
  EXPECT_EQ(trace->jobs[1].accelerators, 2);
  EXPECT_EQ(trace->jobs[1].samples, 100);
}

TEST(ArrivalsTest, EveryBadRowIsReportedByItsLine) {
  const auto trace = parse_arrivals(
      std::string(kHeading) + "a,-1,1,1,x\na,0,0,1,x\nb,0,1\nc,0,1,many,\n", "t.csv");
  ASSERT_FALSE(trace);
  EXPECT_EQ(trace.error().kind, ErrorKind::kInput);
  EXPECT_THAT(trace.error().text(),
              AllOf(HasSubstr("t.csv:2: arrival_s \"-1\" is no time"),
                    HasSubstr("t.csv:3: names \"a\" again, as line 2 does"),
                    HasSubstr("t.csv:3: accelerators \"0\""), HasSubstr("t.csv:4: has 3 values"),
                    HasSubstr("t.csv:5: samples \"many\""), HasSubstr("t.csv:5: has no loader")));
}

TEST(ArrivalsTest, AFileWithoutTheHeadingOrAJobIsRefused) {
  EXPECT_FALSE(parse_arrivals("job,0,1,1,x\n", "t.csv"));
  EXPECT_FALSE(parse_arrivals(kHeading, "t.csv"));
  EXPECT_FALSE(parse_arrivals("", "t.csv"));
}

TEST(ArrivalsTest, TextReadsBackAsTheSameTrace) {
  const ArrivalTrace trace =
      poisson_arrivals({.jobs = 50, .accelerators = {1, 2, 4}, .loaders = {"a", "b"}}, 3);
  const std::string text = arrivals_text(trace);
  const auto again = parse_arrivals(text, "t.csv");
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(arrivals_text(*again), text);
}

TEST(ArrivalsTest, PoissonGapsAndWorkHaveTheirMeanAndSpread) {
  const int n = 20000;
  const ArrivalTrace trace = poisson_arrivals(
      {.jobs = n, .mean_gap = Seconds(4), .mean_samples = 1000, .loaders = {"a"}}, 11);
  double sum = 0, squares = 0, work = 0;
  for (int i = 1; i < n; ++i) {
    const double gap = (trace.jobs[static_cast<std::size_t>(i)].arrival -
                        trace.jobs[static_cast<std::size_t>(i - 1)].arrival)
                           .value();
    sum += gap;
    squares += gap * gap;
  }
  for (const JobArrival& job : trace.jobs) work += static_cast<double>(job.samples);
  const double mean = sum / (n - 1);
  // Five standard errors of the mean of an exponential, 1/sqrt(n), and of its variance, sqrt(8/n).
  EXPECT_NEAR(mean, 4, 4 * 5 / std::sqrt(n));
  EXPECT_NEAR(squares / (n - 1) - mean * mean, 16, 16 * 5 * std::sqrt(8.0 / n));
  EXPECT_NEAR(work / n, 1000, 1000 * 5 / std::sqrt(n));
}

TEST(ArrivalsTest, TheSeedAloneDecides) {
  const PoissonArrivals process{.jobs = 10, .accelerators = {1, 2}, .loaders = {"a", "b"}};
  EXPECT_EQ(arrivals_text(poisson_arrivals(process, 1)),
            arrivals_text(poisson_arrivals(process, 1)));
  EXPECT_NE(arrivals_text(poisson_arrivals(process, 1)),
            arrivals_text(poisson_arrivals(process, 2)));
}

}  // namespace
}  // namespace penstock::trace
