#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>

#include "penstock/trace/jobs.h"
#include "shared_traces.h"

namespace penstock::trace {
namespace {

using testing::HasSubstr;

constexpr double kSecond = 1e9;

JobTrace generated(const JobLaw& law, std::uint64_t seed) {
  auto trace = generate_jobs(law, seed);
  EXPECT_TRUE(trace) << trace.error().text();
  return trace ? *trace : JobTrace{};
}

double mean_duration_s(const JobTrace& trace) {
  double sum = 0;
  for (const TrainingJob& job : trace.jobs) sum += static_cast<double>(job.duration_ns) / kSecond;
  return sum / static_cast<double>(trace.jobs.size());
}

double span_s(const JobTrace& trace) {
  return static_cast<double>(trace.jobs.back().submit_ns) / kSecond;
}

// Variance over mean of the number of submissions in consecutive windows.
double dispersion(const JobTrace& trace, double window_s) {
  std::vector<double> counts(static_cast<std::size_t>(span_s(trace) / window_s), 0);
  for (const TrainingJob& job : trace.jobs) {
    const auto at =
        static_cast<std::size_t>(static_cast<double>(job.submit_ns) / kSecond / window_s);
    if (at < counts.size()) ++counts[at];
  }
  double mean = 0, squares = 0;
  for (const double c : counts) mean += c / static_cast<double>(counts.size());
  for (const double c : counts) {
    squares += (c - mean) * (c - mean) / static_cast<double>(counts.size());
  }
  return squares / mean;
}

TEST(GenerateJobsTest, PoissonGapsAndDurationsHaveTheirMeanAndSpread) {
  const int n = 100000;
  const JobTrace trace = generated({.jobs = n,
                                    .mean_gap = Seconds(4),
                                    .mean_duration = Seconds(100),
                                    .accelerators = {1, 8},
                                    .models = {"a", "b", "c"}},
                                   11);
  ASSERT_EQ(trace.jobs.size(), static_cast<std::size_t>(n));
  EXPECT_EQ(trace.jobs[0].submit_ns, 0);
  // Five standard errors of the mean of an exponential, 1/sqrt(n).
  const double error = 5 / std::sqrt(n);
  EXPECT_NEAR(span_s(trace) / (n - 1), 4, 4 * error);
  EXPECT_NEAR(mean_duration_s(trace), 100, 100 * error);
  EXPECT_NEAR(dispersion(trace, 100), 1, 5 * std::sqrt(2.0 / (n * 4 / 100)));
  std::map<int, int> sizes, models;
  for (const TrainingJob& job : trace.jobs) {
    ++sizes[job.accelerators];
    ++models[job.model];
  }
  EXPECT_NEAR(sizes[8], n / 2, 5 * std::sqrt(n / 4));
  EXPECT_EQ(models.size(), 3u);
  EXPECT_NEAR(models[2], n / 3, 5 * std::sqrt(n * 2 / 9));
}

TEST(GenerateJobsTest, BurstsHaveTheDispersionOfATwoStateProcess) {
  const JobLaw law{.law = "bursty",
                   .jobs = 400000,
                   .mean_gap = Seconds(1),
                   .burst_ratio = 8,
                   .burst_share = 0.2,
                   .burst_gaps = 30};
  const JobTrace trace = generated(law, 3);
  // Fischer and Meier-Hellstern, "The Markov-modulated Poisson process (MMPP) cookbook", 1993:
  // variance over mean of the count in a window t, with the rates l1, l2 and r1, r2 of leaving.
  const double quiet = 1 / (1 + 0.2 * 7), busy = 8 * quiet;
  const double leave_busy = 1 / 30.0, leave_quiet = leave_busy * 0.2 / 0.8;
  const double leave = leave_busy + leave_quiet;
  const double limit = 2 * (busy - quiet) * (busy - quiet) * leave_busy * leave_quiet /
                       (leave * leave * (busy * leave_quiet + quiet * leave_busy));
  for (const double window : {10.0, 100.0}) {
    const double decay = (1 - std::exp(-leave * window)) / (leave * window);
    const double expected = 1 + limit * (1 - decay);
    EXPECT_NEAR(dispersion(trace, window), expected, 0.06 * expected) << window;
  }
  EXPECT_NEAR(span_s(trace) / 400000, 1, 0.05);
}

TEST(GenerateJobsTest, BurstsOfRatioOneArePoisson) {
  const JobTrace trace =
      generated({.law = "bursty", .jobs = 100000, .mean_gap = Seconds(1), .burst_ratio = 1}, 8);
  EXPECT_NEAR(span_s(trace) / 100000, 1, 5 / std::sqrt(100000));
  EXPECT_NEAR(dispersion(trace, 50), 1, 5 * std::sqrt(2.0 / 2000));
}

TEST(GenerateJobsTest, PhillyLikeJobsFollowHoursAndWeekdays) {
  const JobTrace trace = generated({.law = "philly-like", .jobs = 400000}, 1);
  std::array<double, 24> hours{};
  std::array<double, 7> days{};
  for (const TrainingJob& job : trace.jobs) {
    const double at = static_cast<double>(job.submit_ns) / kSecond;
    hours[static_cast<std::size_t>(at / 3600) % 24] += 24.0 / 400000;
    days[static_cast<std::size_t>(at / 86400) % 7] += 7.0 / 400000;
  }
  // The factors of the law: the busiest and the quietest hour, a Friday and a Sunday.
  EXPECT_NEAR(hours[7], 2.39, 0.05);
  EXPECT_NEAR(hours[17], 0.58, 0.03);
  EXPECT_NEAR(days[4], 1.55, 0.05);
  EXPECT_NEAR(days[6], 0.57, 0.03);
  EXPECT_NEAR(span_s(trace) / 400000, 149.7, 1.5);
}

TEST(GenerateJobsTest, PhillyLikeJobsLookLikeTheTrace) {
  PENSTOCK_SKIP_WITHOUT_SHARED_TRACES();
  const auto real = read_jobs(shared_trace("philly/philly_jobs.csv"), {.format = "philly"});
  ASSERT_TRUE(real) << real.error().text();
  const JobTrace drawn = generated({.law = "philly-like", .jobs = 400000}, 2);
  const auto durations = [](const JobTrace& trace, int least, int most) {
    std::vector<double> seconds;
    for (const TrainingJob& job : trace.jobs) {
      if (job.accelerators < least || job.accelerators > most) continue;
      seconds.push_back(static_cast<double>(job.duration_ns) / kSecond);
    }
    std::sort(seconds.begin(), seconds.end());
    return seconds;
  };
  for (const auto& [least, most] : {std::pair(1, 1), std::pair(2, 4), std::pair(8, 8)}) {
    const std::vector<double> a = durations(*real, least, most);
    const std::vector<double> b = durations(drawn, least, most);
    const double share = static_cast<double>(a.size()) / static_cast<double>(real->jobs.size());
    EXPECT_NEAR(static_cast<double>(b.size()) / 400000, share, 0.002);
    for (const double level : {0.1, 0.25, 0.5, 0.75, 0.9, 0.97}) {
      const auto at = [&](const std::vector<double>& v) {
        return v[static_cast<std::size_t>(level * static_cast<double>(v.size()))];
      };
      EXPECT_NEAR(std::log(at(b) / at(a)), 0, 0.3) << least << " at " << level;
    }
  }
  EXPECT_NEAR(mean_duration_s(drawn) / mean_duration_s(*real), 1, 0.08);
}

TEST(GenerateJobsTest, AGivenMeanScalesPhilly) {
  const JobTrace own = generated({.law = "philly-like", .jobs = 20000}, 4);
  const JobTrace scaled = generated({.law = "philly-like",
                                     .jobs = 20000,
                                     .mean_gap = Seconds(14.97),
                                     .mean_duration = Seconds(600)},
                                    4);
  // The same draws, each times the same factor.
  const double factor = static_cast<double>(scaled.jobs[7].duration_ns) /
                        static_cast<double>(own.jobs[7].duration_ns);
  EXPECT_NEAR(mean_duration_s(scaled) / mean_duration_s(own), factor, 1e-6 * factor);
  const JobTrace many =
      generated({.law = "philly-like", .jobs = 1000000, .mean_duration = Seconds(600)}, 5);
  // The standard deviation is some seven means.
  EXPECT_NEAR(mean_duration_s(many), 600, 5 * 7 * 600 / 1000.0);
}

TEST(GenerateJobsTest, TheSeedAloneDecidesAndDurationsDoNotDependOnArrivals) {
  for (const char* name : {"poisson", "bursty", "philly-like"}) {
    const JobLaw law{.law = name, .jobs = 200, .accelerators = {1, 2}, .models = {"x", "y"}};
    EXPECT_EQ(jobs_text(generated(law, 1)), jobs_text(generated(law, 1)));
    EXPECT_NE(jobs_text(generated(law, 1)), jobs_text(generated(law, 2)));
  }
  const JobTrace steady = generated({.jobs = 100}, 1);
  const JobTrace bursty = generated({.law = "bursty", .jobs = 100}, 1);
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(steady.jobs[i].duration_ns, bursty.jobs[i].duration_ns);
  }
}

TEST(GenerateJobsTest, GeneratedTracesReadBack) {
  const JobTrace trace = generated({.law = "philly-like", .jobs = 3000, .models = {"x"}}, 6);
  const std::string text = jobs_text(trace);
  const auto again = parse_jobs(text, "t.csv", {.format = "penstock"});
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(jobs_text(*again), text);
}

TEST(GenerateJobsTest, WhatCannotBeDrawnIsAnError) {
  const auto error_of = [](const JobLaw& law) {
    const auto trace = generate_jobs(law, 1);
    if (trace) return std::string("no error");
    EXPECT_EQ(trace.error().kind, ErrorKind::kInput);
    return trace.error().text();
  };
  EXPECT_THAT(error_of({.law = "poison"}), HasSubstr("did you mean \"poisson\"?"));
  EXPECT_THAT(error_of({.law = "weibull"}), HasSubstr("the laws are poisson, bursty, philly-like"));
  EXPECT_THAT(error_of({.jobs = 0}), HasSubstr("no job is asked for"));
  EXPECT_THAT(error_of({.mean_gap = Seconds(-1)}), HasSubstr("a mean time is negative"));
  EXPECT_THAT(error_of({.mean_duration = Seconds(NAN)}), HasSubstr("a mean time is negative"));
  EXPECT_THAT(error_of({.accelerators = {1, 0}}), HasSubstr("no accelerator"));
  EXPECT_THAT(error_of({.accelerators = {}}), HasSubstr("no accelerator"));
  EXPECT_THAT(error_of({.law = "bursty", .burst_share = 1}), HasSubstr("the bursts cannot be"));
  EXPECT_THAT(error_of({.jobs = 1000, .mean_gap = Seconds(1e9)}), HasSubstr("over 100 years"));
}

}  // namespace
}  // namespace penstock::trace
