#include "penstock/loader/allocation.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "penstock/core/file.h"
#include "penstock/core/random.h"

namespace penstock::loader {
namespace {

using testing::ElementsAre;

struct Mix {
  int jobs = 3;
  double cores = 4;
  int workers = 8;
  Bandwidth storage{std::numeric_limits<double>::infinity()};
};

AllocationState random_state(std::uint64_t seed, const Mix& mix) {
  core::RandomStream random(seed, "mix");
  AllocationState state;
  state.machine = {mix.cores, mix.workers, mix.storage};
  for (int j = 0; j < mix.jobs; ++j) {
    AllocatedJob job;
    job.model.name = fmt::format("job-{}", j);
    job.model.accelerators = 1 + static_cast<int>(random.below(4));
    job.model.batch = 32;
    job.model.cpu_per_sample = Seconds(0.001 + 0.004 * random.uniform());
    job.model.curve.sample_time = job.model.cpu_per_sample * (1 + random.uniform());
    job.model.bytes_per_sample = Bytes(50e3 + 200e3 * random.uniform());
    // Between a tenth of a core and 3 cores to keep it fed.
    const double cores = 0.1 + 2.9 * random.uniform();
    job.model.step =
        Seconds(32 * job.model.accelerators * job.model.cpu_per_sample.value() / cores);
    job.remaining = 1000 + 20000 * random.uniform();
    state.jobs.push_back(job);
  }
  return state;
}

double value_of(Objective objective, const AllocationState& state,
                const std::vector<int>& workers) {
  return allocation_score(objective, state, shared_rates(state, workers)).front();
}

int total(const std::vector<int>& workers) {
  return std::accumulate(workers.begin(), workers.end(), 0);
}

constexpr Objective kObjectives[] = {Objective::kThroughput, Objective::kFairness,
                                     Objective::kMakespan};

TEST(AllocationTest, EvenAndProportionalShareOutEveryWorker) {
  AllocationState state = random_state(1, {.jobs = 3, .workers = 8});
  state.jobs[0].model.accelerators = 1;
  state.jobs[1].model.accelerators = 1;
  state.jobs[2].model.accelerators = 6;
  EXPECT_THAT(allocate(AllocationPolicy::kEven, state, {}), ElementsAre(3, 3, 2));
  EXPECT_THAT(allocate(AllocationPolicy::kProportional, state, {}), ElementsAre(1, 1, 6));
}

TEST(AllocationTest, WorkersWithoutAUseAreHandedOutWhereTheyDoNoHarm) {
  // Two jobs that one worker each keeps at the full rate, with cores to spare.
  AllocationState state = random_state(1, {.jobs = 2, .cores = 4, .workers = 7});
  for (AllocatedJob& job : state.jobs) {
    job.model.step = job.model.curve.sample_time * (2.0 * 32 * job.model.accelerators);
  }
  for (const AllocationPolicy policy : {AllocationPolicy::kGain, AllocationPolicy::kOracle}) {
    const std::vector<int> workers = allocate(policy, state, {});
    EXPECT_EQ(total(workers), 7);
    EXPECT_NEAR(value_of(Objective::kThroughput, state, workers), 2, 1e-9);
    EXPECT_LE(std::abs(workers[0] - workers[1]), 1);
  }
}

TEST(AllocationTest, AWorkerThatWouldTakeACoreFromABetterUseStaysOut) {
  // The first job is at its full rate only with five sixths of the one core; a second worker of the
  // second would take from it.
  AllocationState state = random_state(1, {.jobs = 2, .cores = 1, .workers = 7});
  for (AllocatedJob& job : state.jobs) {
    job.model.accelerators = 1;
    job.model.cpu_per_sample = job.model.curve.sample_time = Seconds(0.001);
  }
  state.jobs[0].model.step = Seconds(32 * 0.001 * 6 / 5);
  state.jobs[1].model.step = Seconds(32 * 0.001 / 8);
  EXPECT_THAT(allocate(AllocationPolicy::kGain, state, {}), ElementsAre(6, 1));
}

TEST(AllocationTest, TheStaticGuessIsCutToTheBudget) {
  AllocationState state = random_state(1, {.jobs = 2, .workers = 8});
  state.jobs[0].model.accelerators = 1;
  state.jobs[1].model.accelerators = 2;
  EXPECT_THAT(allocate(AllocationPolicy::kStatic, state, {.workers_per_accelerator = 2}),
              ElementsAre(2, 4));
  EXPECT_EQ(total(allocate(AllocationPolicy::kStatic, state, {.workers_per_accelerator = 9})), 8);
}

TEST(AllocationTest, EveryPolicyGivesEachJobAWorkerAndKeepsTheBudget) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const AllocationState state = random_state(seed, {.jobs = 4, .workers = 7});
    for (const AllocationPolicy policy : all_policies()) {
      const std::vector<int> workers = allocate(policy, state, {});
      EXPECT_GE(*std::min_element(workers.begin(), workers.end()), 1);
      EXPECT_LE(total(workers), 7);
    }
  }
  const AllocationState crowded = random_state(1, {.jobs = 5, .workers = 3});
  for (const AllocationPolicy policy : all_policies()) {
    EXPECT_THAT(allocate(policy, crowded, {}), ElementsAre(1, 1, 1, 1, 1));
  }
}

TEST(AllocationTest, SharesOfAFullMachineAreThoseOfItsWorkersAndNobodyIdlesACore) {
  // Closed form: 2 cores, 1 + 3 workers, both jobs wanting more than they can get.
  AllocationState state;
  state.machine = {.cores = 2, .workers = 4};
  for (const char* name : {"a", "b"}) {
    AllocatedJob job;
    job.model.name = name;
    job.model.step = Seconds(0.001);
    job.model.cpu_per_sample = Seconds(0.002);
    job.model.curve.sample_time = Seconds(0.002);
    state.jobs.push_back(job);
  }
  std::vector<double> rates = shared_rates(state, {1, 3});
  EXPECT_NEAR(rates[0], 0.5 / 0.002, 1e-6);
  EXPECT_NEAR(rates[1], 1.5 / 0.002, 1e-6);
  // The second needs just 0.4 cores: what it leaves goes to the first, up to its one worker.
  state.jobs[1].model.step = Seconds(32 / 200.0);
  rates = shared_rates(state, {1, 3});
  EXPECT_NEAR(rates[0], 1 / 0.002, 1e-6);
  EXPECT_NEAR(rates[1], 200, 1e-6);
}

TEST(AllocationTest, SharedRatesUseNoMoreThanThereIsAndWasteNothingThatAWorkerCouldUse) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const AllocationState state =
        random_state(seed, {.jobs = 4, .cores = 2, .workers = 12, .storage = Bandwidth(80e6)});
    const std::vector<int> workers = {1 + static_cast<int>(seed % 4), 2, 3, 1};
    const std::vector<double> rates = shared_rates(state, workers);
    double cores = 0, bytes = 0;
    for (std::size_t j = 0; j < rates.size(); ++j) {
      cores += rates[j] * state.jobs[j].model.cpu_per_sample.value();
      bytes += rates[j] * state.jobs[j].model.storage_bytes();
    }
    EXPECT_LE(cores, 2 * (1 + 1e-9));
    EXPECT_LE(bytes, 80e6 * (1 + 1e-9));
    const bool is_full = cores > 2 * (1 - 1e-6) || bytes > 80e6 * (1 - 1e-6);
    for (std::size_t j = 0; !is_full && j < rates.size(); ++j) {
      EXPECT_NEAR(rates[j], state.jobs[j].model.rate(workers[j]), 1e-6 * rates[j]);
    }
  }
}

TEST(AllocationTest, OursIsNeverFarFromTheOracleAndOnAverageWithinAThousandth) {
  for (const Objective objective : kObjectives) {
    const AllocationParameters parameters{.objective = objective};
    double sum = 0;
    constexpr int kMixes = 60;
    for (std::uint64_t seed = 0; seed < kMixes; ++seed) {
      const AllocationState state =
          random_state(seed, {.jobs = 2 + static_cast<int>(seed % 3),
                              .cores = 2 + static_cast<double>(seed % 5),
                              .workers = 6 + static_cast<int>(seed % 4),
                              .storage = Bandwidth(seed % 2 == 0 ? 1e12 : 150e6)});
      const double ours =
          value_of(objective, state, allocate(AllocationPolicy::kGain, state, parameters));
      const double best =
          value_of(objective, state, allocate(AllocationPolicy::kOracle, state, parameters));
      const double regret = (best - ours) / std::abs(best);
      EXPECT_GE(regret, -1e-9);
      EXPECT_LE(regret, 0.04) << objective_name(objective) << " " << seed;
      sum += regret;
    }
    EXPECT_LE(sum / kMixes, 0.001) << objective_name(objective);
  }
}

TEST(AllocationTest, OursIsNeverBelowTheBaselinesOnTheModel) {
  for (const Objective objective : kObjectives) {
    const AllocationParameters parameters{.objective = objective};
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
      const AllocationState state = random_state(seed, {.jobs = 6, .cores = 4, .workers = 16});
      const double ours =
          value_of(objective, state, allocate(AllocationPolicy::kGain, state, parameters));
      EXPECT_GE(ours, value_of(objective, state, allocate(AllocationPolicy::kEven, state, {})));
    }
  }
}

TEST(AllocationTest, TheLeastFractionOfMaxMinIsAtLeastThatOfEven) {
  const AllocationParameters fair{.objective = Objective::kFairness};
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const AllocationState state = random_state(seed, {.jobs = 4, .cores = 2, .workers = 9});
    EXPECT_GE(value_of(Objective::kFairness, state, allocate(AllocationPolicy::kGain, state, fair)),
              value_of(Objective::kFairness, state, allocate(AllocationPolicy::kEven, state, {})));
  }
}

TEST(AllocationTest, PermutingTheJobsPermutesTheAnswer) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    AllocationState state = random_state(seed, {.jobs = 4, .workers = 9});
    state.jobs[1].model.accelerators = state.jobs[2].model.accelerators;  // ties, too
    AllocationState turned = state;
    std::rotate(turned.jobs.begin(), turned.jobs.begin() + 1, turned.jobs.end());
    for (const AllocationPolicy policy : all_policies()) {
      std::vector<int> workers = allocate(policy, state, {});
      std::rotate(workers.begin(), workers.begin() + 1, workers.end());
      EXPECT_EQ(workers, allocate(policy, turned, {})) << policy_name(policy);
    }
  }
}

TEST(AllocationTest, MoreOfAnyResourceNeverLowersTheFractionalOptimum) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const AllocationState state =
        random_state(seed, {.jobs = 4, .cores = 2, .workers = 8, .storage = Bandwidth(100e6)});
    AllocationState cores = state, storage = state;
    cores.machine.cores += 0.5;
    storage.machine.storage = storage.machine.storage * 1.3;
    for (const Objective objective : kObjectives) {
      const double sign = objective == Objective::kMakespan ? -1 : 1;
      const double before = sign * fractional_optimum(objective, state).value;
      EXPECT_GE(sign * fractional_optimum(objective, cores).value, before - 1e-9);
      EXPECT_GE(sign * fractional_optimum(objective, storage).value, before - 1e-9);
    }
  }
}

TEST(AllocationTest, MoreCoresNeverLowerTheOraclesObjective) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    AllocationState state = random_state(seed, {.jobs = 3, .cores = 1, .workers = 7});
    double before = -1e18;
    for (int step = 0; step < 6; ++step) {
      state.machine.cores += 0.7;
      const double value =
          value_of(Objective::kThroughput, state, allocate(AllocationPolicy::kOracle, state, {}));
      EXPECT_GE(value, before - 1e-9);
      before = value;
    }
  }
}

TEST(AllocationTest, NoAllocationOfWorkersBeatsTheFractionalOptimum) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const AllocationState state =
        random_state(seed, {.jobs = 3, .cores = 2, .workers = 8, .storage = Bandwidth(120e6)});
    for (const Objective objective : kObjectives) {
      const double sign = objective == Objective::kMakespan ? -1 : 1;
      const double oracle = value_of(
          objective, state, allocate(AllocationPolicy::kOracle, state, {.objective = objective}));
      const double bound = sign * fractional_optimum(objective, state).value;
      EXPECT_LE(oracle, bound + 1e-9 * std::abs(bound));
    }
  }
}

// One resource: the fractional knapsack, filled by value for each core.
TEST(AllocationTest, GreedyEqualsTheLinearProgramOnOneResource) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const AllocationState state = random_state(seed, {.jobs = 5, .cores = 2, .workers = 40});
    std::vector<double> demands;
    for (const AllocatedJob& job : state.jobs) {
      demands.push_back(job.model.full_rate() * job.model.cpu_per_sample.value());
    }
    std::sort(demands.begin(), demands.end());
    double left = 2, greedy = 0;
    for (const double demand : demands) {
      greedy += std::min(1.0, left / demand);
      left -= std::min(left, demand);
    }
    const FractionalOptimum optimum = fractional_optimum(Objective::kThroughput, state);
    EXPECT_NEAR(optimum.value, greedy, 1e-9);
  }
}

// All vertices of the polytope: every two of the constraints cross with the others at a bound.
double best_vertex(const AllocationState& state) {
  const std::size_t n = state.jobs.size();
  const auto core = [&](std::size_t j) { return state.jobs[j].model.cpu_per_sample.value(); };
  const auto byte = [&](std::size_t j) { return state.jobs[j].model.storage_bytes(); };
  const auto most = [&](std::size_t j) {
    const JobModel& m = state.jobs[j].model;
    return std::min(m.full_rate(), m.curve.rate(state.machine.workers));
  };
  double best = 0;
  const auto consider = [&](const std::vector<double>& x) {
    double cores = 0, bytes = 0, value = 0;
    for (std::size_t j = 0; j < n; ++j) {
      if (!(x[j] >= -1e-9) || x[j] > most(j) * (1 + 1e-9)) return;
      cores += core(j) * x[j];
      bytes += byte(j) * x[j];
      value += x[j] / state.jobs[j].model.full_rate();
    }
    if (cores > state.machine.cores * (1 + 1e-9)) return;
    if (bytes > state.machine.storage.value() * (1 + 1e-9)) return;
    best = std::max(best, value);
  };
  for (std::uint32_t mask = 0; mask < (1u << n); ++mask) {
    std::vector<double> x(n);
    double cores = state.machine.cores, bytes = state.machine.storage.value();
    for (std::size_t j = 0; j < n; ++j) {
      x[j] = (mask >> j & 1u) != 0 ? most(j) : 0;
      cores -= core(j) * x[j];
      bytes -= byte(j) * x[j];
    }
    consider(x);
    for (std::size_t i = 0; i < n; ++i) {
      if ((mask >> i & 1u) != 0) continue;
      for (const double value : {cores / core(i), bytes / byte(i)}) {
        std::vector<double> y = x;
        y[i] = value;
        consider(y);
      }
      for (std::size_t j = i + 1; j < n; ++j) {
        if ((mask >> j & 1u) != 0) continue;
        const double determinant = core(i) * byte(j) - core(j) * byte(i);
        std::vector<double> y = x;
        y[i] = (cores * byte(j) - core(j) * bytes) / determinant;
        y[j] = (core(i) * bytes - cores * byte(i)) / determinant;
        consider(y);
      }
    }
  }
  return best;
}

void expect_feasible(const AllocationState& state, const FractionalOptimum& optimum) {
  double cores = 0, bytes = 0;
  for (std::size_t j = 0; j < optimum.rates.size(); ++j) {
    EXPECT_GE(optimum.rates[j], -1e-9);
    EXPECT_LE(optimum.rates[j], state.jobs[j].model.full_rate() * (1 + 1e-9));
    cores += optimum.rates[j] * state.jobs[j].model.cpu_per_sample.value();
    bytes += optimum.rates[j] * state.jobs[j].model.storage_bytes();
  }
  EXPECT_LE(cores, state.machine.cores * (1 + 1e-9));
  EXPECT_LE(bytes, state.machine.storage.value() * (1 + 1e-9));
}

TEST(AllocationTest, TheLinearProgramEqualsVertexEnumeration) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    AllocationState state =
        random_state(seed, {.jobs = 1 + static_cast<int>(seed % 4),
                            .cores = 0.5 + static_cast<double>(seed % 7) / 2,
                            .workers = 8,
                            .storage = Bandwidth(1e7 * static_cast<double>(1 + seed % 13))});
    // Equal jobs make the optimum degenerate.
    if (seed % 5 == 0 && state.jobs.size() > 1) {
      const std::string name = state.jobs[1].model.name;
      state.jobs[1].model = state.jobs[0].model;
      state.jobs[1].model.name = name;
    }
    const FractionalOptimum optimum = fractional_optimum(Objective::kThroughput, state);
    EXPECT_NEAR(optimum.value, best_vertex(state), 1e-7) << seed;
    expect_feasible(state, optimum);
  }
}

TEST(AllocationTest, PricesAreWhatOneMoreCoreAndByteAreWorth) {
  int priced = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const AllocationState state =
        random_state(seed, {.jobs = 4, .cores = 1.5, .workers = 8, .storage = Bandwidth(6e7)});
    const FractionalOptimum optimum = fractional_optimum(Objective::kThroughput, state);
    AllocationState more = state, bytes = state;
    more.machine.cores += 1e-5;
    bytes.machine.storage += Bandwidth(100);
    EXPECT_NEAR((fractional_optimum(Objective::kThroughput, more).value - optimum.value) / 1e-5,
                optimum.core_price, 1e-5);
    EXPECT_NEAR((fractional_optimum(Objective::kThroughput, bytes).value - optimum.value) / 100,
                optimum.storage_price, 1e-11);
    priced += optimum.core_price > 0 && optimum.storage_price > 0 ? 1 : 0;
  }
  EXPECT_GT(priced, 0);
}

// An independent solver on all three objectives, each as the linear program of its definition.
TEST(AllocationTest, GlpkAgreesOnEveryObjective) {
  if (std::system("command -v glpsol > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "no glpsol here; sudo apt-get install glpk-utils";
  }
  const std::string folder = testing::TempDir() + fmt::format("allocation-{}", ::getpid());
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const AllocationState state = random_state(
        seed + 900, {.jobs = 4, .cores = 1.5, .workers = 8, .storage = Bandwidth(2.5e8)});
    for (const Objective objective : kObjectives) {
      std::string goal, core, byte, rows, bounds;
      for (std::size_t j = 0; j < state.jobs.size(); ++j) {
        const JobModel& m = state.jobs[j].model;
        const double most = std::min(m.full_rate(), m.curve.rate(8));
        // Storage in MB, so that the solver's tolerances fit.
        core += fmt::format(" + {:.17g} x{}", m.cpu_per_sample.value(), j);
        byte += fmt::format(" + {:.17g} x{}", m.storage_bytes() * 1e-6, j);
        goal += fmt::format(" + {:.17g} x{}", 1 / m.full_rate(), j);
        bounds += fmt::format(" 0 <= x{} <= {:.17g}\n", j, most);
        // f <= x/full; and x >= remaining z with z = 1/T.
        const double scale =
            objective == Objective::kFairness ? m.full_rate() : state.jobs[j].remaining;
        rows += fmt::format(" r{}: x{} - {:.17g} f >= 0\n", j, j, scale);
      }
      if (objective != Objective::kThroughput) goal = " f";
      const std::string program = fmt::format(
          "Maximize\n goal:{}\nSubject To\n cores:{} <= {}\n bytes:{} <= {}\n{}Bounds\n{} f >= "
          "0\nEnd\n",
          goal, core, state.machine.cores, byte, state.machine.storage.value() * 1e-6,
          objective == Objective::kThroughput ? "" : rows, bounds);
      ASSERT_TRUE(core::write_file(folder + ".lp", program));
      const std::string command = fmt::format("glpsol --lp {0}.lp -w {0}.sol > /dev/null", folder);
      ASSERT_EQ(std::system(command.c_str()), 0);
      const auto solution = core::read_file(folder + ".sol");
      ASSERT_TRUE(solution);
      // "s bas ROWS COLUMNS f f VALUE": a basic solution, feasible both ways.
      const std::size_t at = solution->find("\ns bas ");
      ASSERT_NE(at, std::string::npos);
      double value = 0;
      ASSERT_EQ(std::sscanf(solution->c_str() + at, "\ns bas %*d %*d f f %lf", &value), 1);
      if (objective == Objective::kMakespan) value = 1 / value;
      const double ours = fractional_optimum(objective, state).value;
      EXPECT_NEAR(ours, value, 1e-6 * value) << objective_name(objective) << " " << seed;
    }
  }
  std::remove((folder + ".lp").c_str());
  std::remove((folder + ".sol").c_str());
}

TEST(AllocationTest, WorkersMoveOnlyWhereTheGainPaysForIt) {
  AllocationState state = random_state(4, {.jobs = 2, .cores = 2, .workers = 6});
  const AllocationParameters free{.switch_cost_s = 0};
  const std::vector<int> best = allocate(AllocationPolicy::kGain, state, free);
  // The worst of the full allocations, to move away from.
  std::vector<int> worst = best;
  for (int n = 1; n <= 5; ++n) {
    if (value_of(Objective::kThroughput, state, {n, 6 - n}) <
        value_of(Objective::kThroughput, state, worst)) {
      worst = {n, 6 - n};
    }
  }
  ASSERT_NE(worst, best);
  state.jobs[0].workers = worst[0];
  state.jobs[1].workers = worst[1];
  const double gain = value_of(Objective::kThroughput, state, best) -
                      value_of(Objective::kThroughput, state, worst);
  const int moved = std::abs(best[0] - worst[0]) + std::abs(best[1] - worst[1]);
  // At the limit: a cost just below what the horizon earns, and just above.
  const double limit = gain * free.horizon_s / moved;
  EXPECT_EQ(reallocate(AllocationPolicy::kGain, state, {.switch_cost_s = limit * 0.999}), best);
  EXPECT_EQ(reallocate(AllocationPolicy::kGain, state, {.switch_cost_s = limit * 1.001}), worst);
  state.jobs[1].workers = 0;  // has just arrived
  EXPECT_EQ(reallocate(AllocationPolicy::kGain, state, {.switch_cost_s = limit * 1.001}), best);
}

TEST(AllocationTest, NamesReadBackAndEveryParameterLiesInItsRange) {
  for (const AllocationPolicy policy : all_policies()) {
    EXPECT_EQ(policy_from_name(policy_name(policy)), policy);
  }
  for (const Objective objective : kObjectives) {
    EXPECT_EQ(objective_from_name(objective_name(objective)), objective);
  }
  EXPECT_FALSE(policy_from_name("best"));
  const AllocationParameters defaults;
  for (const ParameterDeclaration& parameter : allocation_parameters()) {
    EXPECT_GE(defaults.*parameter.value, parameter.low) << parameter.name;
    EXPECT_LE(defaults.*parameter.value, parameter.high) << parameter.name;
  }
}

}  // namespace
}  // namespace penstock::loader
