// Waits in queues whose means are known.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "penstock/cluster/simulate.h"
#include "penstock/core/random.h"

namespace penstock::cluster {
namespace {

constexpr double kWithin = 0.01;
constexpr int kJobs = 400'000;
constexpr int kSeeds = 4;

using Draw = std::function<double(core::RandomStream&)>;

double exponential(core::RandomStream& random) { return -std::log1p(-random.uniform()); }

trace::JobTrace poisson_arrivals(std::uint64_t seed, double rate, const Draw& service, int jobs) {
  core::RandomStream arrivals(seed, "arrivals");
  core::RandomStream services(seed, "services");
  trace::JobTrace trace;
  trace.jobs.resize(std::size_t(jobs));
  double at = 0;
  for (trace::TrainingJob& job : trace.jobs) {
    at += exponential(arrivals) / rate;
    job.submit_ns = std::llround(at * 1e9);
    job.duration_ns = std::max<std::int64_t>(1, std::llround(service(services) * 1e9));
  }
  return trace;
}

struct Queue {
  std::string order = "fifo";
  double rate = 0.5;  // services last 1 s on average
  Draw service = exponential;
  int servers = 1;
  int jobs = kJobs;
};

struct Means {
  double wait = 0;
  double jct = 0;
};

Means simulated(const Queue& queue) {
  Policy policy = *make_policy(queue.order, "");
  policy.settings.checkpoint = policy.settings.restore = policy.settings.min_run = Time{0};
  policy.settings.las_limit_0 = sim::duration_of(Seconds(0.5));
  policy.settings.las_limit_1 = sim::duration_of(Seconds(2));
  const Topology cluster = one_node(queue.servers);
  SpeedBook speeds = SpeedBook::flat();
  Means means;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const trace::JobTrace trace = poisson_arrivals(seed, queue.rate, queue.service, queue.jobs);
    const auto result = simulate({.trace = trace, .cluster = cluster, .policy = policy}, speeds);
    EXPECT_TRUE(result);
    if (!result) break;
    means.wait += result->metrics.mean_wait_s / kSeeds;
    means.jct += result->metrics.mean_jct_s / kSeeds;
  }
  return means;
}

void expect_within(double simulated, double known) {
  EXPECT_NEAR(simulated, known, kWithin * known);
}

TEST(QueueingTest, WaitsAtOneServerWithExponentialServiceAreThoseOfMM1) {
  expect_within(simulated({.rate = 0.3}).wait, 0.3 / 0.7);
  expect_within(simulated({.rate = 0.6}).wait, 0.6 / 0.4);
}

// Pollaczek and Khinchine: rate E[S^2] / (2 (1 - load)).
TEST(QueueingTest, WaitsAtOneServerAreThoseOfPollaczekAndKhinchine) {
  const Draw constant = [](core::RandomStream&) { return 1.0; };
  expect_within(simulated({.service = constant}).wait, 0.5 / (2 * 0.5));
  const Draw uniform = [](core::RandomStream& random) { return 2 * random.uniform(); };
  expect_within(simulated({.service = uniform}).wait, 0.5 * (4.0 / 3) / (2 * 0.5));
  const Draw two_point = [](core::RandomStream& random) {
    return random.uniform() < 0.75 ? 0.5 : 2.5;
  };
  expect_within(simulated({.service = two_point}).wait,
                0.5 * (0.75 * 0.25 + 0.25 * 6.25) / (2 * 0.5));
}

// Erlang's formula C.
TEST(QueueingTest, WaitsAtFourServersAreThoseOfMMC) {
  const double load = 2.8;
  double below = 0;
  double term = 1;
  for (int n = 0; n < 4; ++n) {
    below += term;
    term *= load / (n + 1);
  }
  const double last = term * 4 / (4 - load);
  expect_within(simulated({.rate = load, .servers = 4}).wait, last / (below + last) / (4 - load));
}

// Who starts next decides no mean, as long as sizes do not decide who starts next (Conway, Maxwell
// and Miller, Theory of Scheduling, 8.2): exponential service has no memory.
TEST(SlowQueueingTest, OrdersThatIgnoreSizeHaveTheMeanOfMM1) {
  for (const char* order : {"fifo-backfill", "2d-las", "dally"}) {
    SCOPED_TRACE(order);
    expect_within(simulated({.order = order}).jct, 1 / (1 - 0.5));
  }
}

// Schrage and Miller, Operations Research 14 (1966):
//   T(x) = rate (integral_0^x t^2 f + x^2 (1 - F(x))) / (2 (1 - r(x))^2)
//          + integral_0^x dt / (1 - r(t)),   r(x) = rate integral_0^x t f
TEST(QueueingTest, ShortestRemainingTimeHasTheMeanOfSchrageAndMiller) {
  const double rate = 0.6;
  const double step = 1e-4;
  double mean = 0;
  double second = 0;     // integral of t^2 f
  double load = 0;       // r(x)
  double residence = 0;  // integral of 1 / (1 - r)
  for (double x = step / 2; x < 40; x += step) {
    const double density = std::exp(-x);
    const double half_load = load + rate * x * density * step / 2;
    const double half_second = second + x * x * density * step / 2;
    const double half_residence = residence + step / 2 / (1 - half_load);
    const double wait =
        rate * (half_second + x * x * density) / (2 * (1 - half_load) * (1 - half_load));
    mean += (wait + half_residence) * density * step;
    load += rate * x * density * step;
    second += x * x * density * step;
    residence += step / (1 - half_load);
  }
  expect_within(simulated({.order = "srtf", .rate = rate}).jct, mean);
}

// Lindley's recursion, job by job.
TEST(QueueingTest, StartsAtOneServerAreThoseOfLindleysRecursion) {
  const trace::JobTrace trace = poisson_arrivals(9, 0.9, exponential, 50'000);
  const Topology cluster = one_node(1);
  SpeedBook speeds = SpeedBook::flat();
  const auto result =
      simulate({.trace = trace, .cluster = cluster, .policy = *make_policy("fifo", "")}, speeds);
  ASSERT_TRUE(result);
  std::int64_t idle_from = 0;
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    const std::int64_t start = std::max(idle_from, trace.jobs[i].submit_ns);
    ASSERT_EQ(result->outcomes[i].start.ns, start) << "job " << i;
    idle_from = start + trace.jobs[i].duration_ns;
  }
}

}  // namespace
}  // namespace penstock::cluster
