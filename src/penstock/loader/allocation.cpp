#include "penstock/loader/allocation.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "penstock/core/check.h"
#include "penstock/loader/internal/rate_program.h"

namespace penstock::loader {
namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

// The largest level at which sum min(cap_j, weight_j * level) stays within the budget.
double water_level(const std::vector<double>& caps, const std::vector<int>& weights,
                   double budget) {
  if (std::accumulate(caps.begin(), caps.end(), 0.0) <= budget) return kUnlimited;
  std::vector<std::size_t> order(caps.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) {
    return caps[i] * weights[j] < caps[j] * weights[i];
  });
  double weight = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (const std::size_t j : order) {
    if (caps[j] * weight >= budget * weights[j]) break;
    budget -= caps[j];
    weight -= weights[j];
  }
  return budget / weight;
}

// What a job takes of one resource where each worker gets at most `level` of it.
double level_rate(double level, int workers, double need) {
  return need > 0 && std::isfinite(level) ? level * workers / need : kUnlimited;
}

std::vector<double> fractions(const AllocationState& state, const std::vector<double>& rates) {
  std::vector<double> result;
  for (std::size_t j = 0; j < rates.size(); ++j) {
    result.push_back(rates[j] / state.jobs[j].model.full_rate());
  }
  return result;
}

std::vector<double> times(const AllocationState& state, const std::vector<double>& rates) {
  std::vector<double> result;
  for (std::size_t j = 0; j < rates.size(); ++j) {
    const double left = state.jobs[j].remaining;
    result.push_back(left > 0 ? left / rates[j] : 0);
  }
  return result;
}

int total(const std::vector<int>& workers) {
  return std::accumulate(workers.begin(), workers.end(), 0);
}

// Near `ideal`, whole, at least one each, and `budget` in all where that is possible.
std::vector<int> rounded(const std::vector<double>& ideal, int budget) {
  std::vector<int> workers;
  for (const double value : ideal) workers.push_back(std::max(1, static_cast<int>(value)));
  const auto gap = [&](std::size_t j) { return ideal[j] - workers[j]; };
  while (total(workers) < budget) {
    std::size_t most = 0;
    for (std::size_t j = 1; j < ideal.size(); ++j) {
      if (gap(j) > gap(most)) most = j;
    }
    ++workers[most];
  }
  while (total(workers) > budget) {
    std::size_t most = ideal.size();
    for (std::size_t j = 0; j < ideal.size(); ++j) {
      if (workers[j] > 1 && (most == ideal.size() || gap(j) < gap(most))) most = j;
    }
    if (most == ideal.size()) break;
    --workers[most];
  }
  return workers;
}

class Search {
 public:
  Search(const AllocationState& state, Objective objective)
      : state_(state), objective_(objective) {}

  std::vector<double> score(const std::vector<int>& workers) const {
    return allocation_score(objective_, state_, shared_rates(state_, workers));
  }

  std::vector<int> greedy() const {
    std::vector<int> workers(state_.jobs.size(), 1);
    while (total(workers) < state_.machine.workers) {
      std::vector<int> best = workers;
      std::vector<double> best_score = score(workers);
      for (std::size_t j = 0; j < workers.size(); ++j) {
        std::vector<int> more = workers;
        ++more[j];
        take(more, best, best_score);
      }
      if (best == workers) break;
      workers = best;
    }
    return workers;
  }

  // Repeats the best move of one worker, added, taken away or passed on, until none helps, and
  // then the best two such moves at once: the objectives have ridges that one move cannot cross.
  void improve(std::vector<int>& workers) const {
    constexpr std::size_t kMostForTwo = 12;
    while (true) {
      std::vector<int> best = workers;
      std::vector<double> best_score = score(workers);
      const std::vector<std::vector<int>> near = neighbours(workers);
      for (const std::vector<int>& one : near) take(one, best, best_score);
      if (best == workers && workers.size() <= kMostForTwo) {
        for (const std::vector<int>& one : near) {
          for (const std::vector<int>& two : neighbours(one)) take(two, best, best_score);
        }
      }
      if (best == workers) return;
      workers = best;
    }
  }

  // Hands out the workers that the model has no use for, where they do no harm to it: they cover
  // what it does not see, such as uneven samples, and a kernel shares its cores the more evenly the
  // more threads there are on each.
  void use_up(std::vector<int>& workers) const {
    const std::vector<double> least = score(workers);
    for (int factor = state_.machine.workers / total(workers); factor > 1; --factor) {
      std::vector<int> more = workers;
      for (int& count : more) count *= factor;
      if (better_score(least, score(more))) continue;
      workers = more;
      break;
    }
    while (total(workers) < state_.machine.workers) {
      std::size_t best = workers.size();
      std::vector<double> best_score;
      for (std::size_t j = 0; j < workers.size(); ++j) {
        std::vector<int> more = workers;
        ++more[j];
        std::vector<double> value = score(more);
        if (better_score(least, value)) continue;
        const bool is_first = best == workers.size();
        const bool is_tie = !is_first && !better_score(best_score, value);
        if (is_first || better_score(value, best_score) || (is_tie && workers[j] < workers[best])) {
          best = j;
          best_score = std::move(value);
        }
      }
      if (best == workers.size()) return;
      ++workers[best];
    }
  }

  std::vector<int> exhaustive() const {
    std::vector<int> best(state_.jobs.size(), 1);
    std::vector<double> best_score = score(best);
    std::vector<int> workers = best;
    const std::function<void(std::size_t, int)> fill = [&](std::size_t j, int left) {
      if (j == workers.size()) return take(workers, best, best_score);
      for (workers[j] = 1; workers[j] - 1 <= left; ++workers[j]) {
        fill(j + 1, left - (workers[j] - 1));
      }
      workers[j] = 1;
    };
    fill(0, std::max(0, state_.machine.workers - static_cast<int>(workers.size())));
    return best;
  }

  void take(const std::vector<int>& candidate, std::vector<int>& best,
            std::vector<double>& best_score) const {
    std::vector<double> value = score(candidate);
    if (!better_score(value, best_score)) return;
    best = candidate;
    best_score = std::move(value);
  }

 private:
  std::vector<std::vector<int>> neighbours(const std::vector<int>& workers) const {
    std::vector<std::vector<int>> near;
    const bool has_spare = total(workers) < state_.machine.workers;
    for (std::size_t to = 0; to < workers.size(); ++to) {
      std::vector<int> more = workers;
      ++more[to];
      if (has_spare) near.push_back(more);
      for (std::size_t from = 0; from < workers.size(); ++from) {
        if (workers[from] == 1) continue;
        std::vector<int> moved = from == to ? workers : more;
        --moved[from];
        near.push_back(std::move(moved));
      }
    }
    return near;
  }

  const AllocationState& state_;
  Objective objective_;
};

std::vector<int> even(const AllocationState& state) {
  const double share =
      static_cast<double>(state.machine.workers) / static_cast<double>(state.jobs.size());
  return rounded(std::vector<double>(state.jobs.size(), share), state.machine.workers);
}

std::vector<int> proportional(const AllocationState& state) {
  double accelerators = 0;
  for (const AllocatedJob& job : state.jobs) accelerators += job.model.accelerators;
  std::vector<double> ideal;
  for (const AllocatedJob& job : state.jobs) {
    ideal.push_back(state.machine.workers * job.model.accelerators / accelerators);
  }
  return rounded(ideal, state.machine.workers);
}

std::vector<int> by_guess(const AllocationState& state, double per_accelerator) {
  std::vector<double> ideal;
  double sum = 0;
  for (const AllocatedJob& job : state.jobs) {
    ideal.push_back(std::max(1.0, std::round(per_accelerator * job.model.accelerators)));
    sum += ideal.back();
  }
  return rounded(ideal, std::min(state.machine.workers, static_cast<int>(sum)));
}

std::vector<int> by_gain(const AllocationState& state, Objective objective) {
  const Search search(state, objective);
  std::vector<std::vector<int>> starts = {search.greedy(), even(state)};
  // Workers weigh for cores: as many as the fractional optimum's work.
  const FractionalOptimum optimum = fractional_optimum(objective, state);
  std::vector<double> ideal;
  double work = 0;
  for (std::size_t j = 0; j < optimum.rates.size(); ++j) {
    ideal.push_back(optimum.rates[j] * state.jobs[j].model.curve.sample_time.value());
    work += ideal.back();
  }
  if (work > 0) {
    for (double& value : ideal) value *= state.machine.workers / work;
    starts.push_back(rounded(ideal, state.machine.workers));
  }
  std::vector<int> best = starts.front();
  std::vector<double> best_score = search.score(best);
  for (std::vector<int>& start : starts) {
    search.improve(start);
    search.take(start, best, best_score);
  }
  search.use_up(best);
  return best;
}

std::vector<int> by_trial(const AllocationState& state, Objective objective) {
  const Search search(state, objective);
  std::vector<int> best = search.exhaustive();
  search.use_up(best);
  return best;
}

// Storage has its limit only where there is one, so that no product is infinity times zero.
FractionalOptimum most_throughput(const AllocationState& state, const std::vector<double>& most) {
  internal::RateProgram program;
  program.cores = state.machine.cores;
  program.storage = state.machine.storage.value();
  for (std::size_t j = 0; j < most.size(); ++j) {
    const JobModel& model = state.jobs[j].model;
    program.variables.push_back(
        {1 / model.full_rate(), model.cpu_per_sample.value(), model.storage_bytes(), most[j]});
  }
  internal::RateSolution solution = internal::solve_rates(program);
  return {std::move(solution.x), solution.value, solution.core_price, solution.storage_price};
}

// Raises the common fraction of all jobs; one that reaches its limit, or uses a resource that is
// used up, stays where it is.
FractionalOptimum fairest(const AllocationState& state, const std::vector<double>& most) {
  const std::size_t n = most.size();
  FractionalOptimum optimum;
  optimum.rates.assign(n, 0);
  std::vector<bool> stays(n, false);
  double cores = state.machine.cores;
  double storage = state.machine.storage.value();
  for (std::size_t round = 0; round < n; ++round) {
    double core_need = 0, storage_need = 0, step = kUnlimited;
    for (std::size_t j = 0; j < n; ++j) {
      if (stays[j]) continue;
      const JobModel& model = state.jobs[j].model;
      core_need += model.full_rate() * model.cpu_per_sample.value();
      storage_need += model.full_rate() * model.storage_bytes();
      step = std::min(step, (most[j] - optimum.rates[j]) / model.full_rate());
    }
    if (core_need > 0) step = std::min(step, cores / core_need);
    if (storage_need > 0) step = std::min(step, storage / storage_need);
    if (!std::isfinite(step)) break;
    cores -= step * core_need;
    if (std::isfinite(storage)) storage -= step * storage_need;
    const bool no_cores = cores <= 1e-12 * state.machine.cores;
    const bool no_storage = storage <= 1e-12 * state.machine.storage.value();
    for (std::size_t j = 0; j < n; ++j) {
      if (stays[j]) continue;
      const JobModel& model = state.jobs[j].model;
      optimum.rates[j] += step * model.full_rate();
      stays[j] = optimum.rates[j] >= most[j] * (1 - 1e-12) ||
                 (no_cores && model.cpu_per_sample.value() > 0) ||
                 (no_storage && model.storage_bytes() > 0);
    }
  }
  const std::vector<double> reached = fractions(state, optimum.rates);
  optimum.value = *std::min_element(reached.begin(), reached.end());
  return optimum;
}

FractionalOptimum shortest(const AllocationState& state, const std::vector<double>& most) {
  double work = 0, bytes = 0, time = 0;
  for (std::size_t j = 0; j < most.size(); ++j) {
    const AllocatedJob& job = state.jobs[j];
    work += job.remaining * job.model.cpu_per_sample.value();
    bytes += job.remaining * job.model.storage_bytes();
    time = std::max(time, job.remaining / most[j]);
  }
  time = std::max(time, work / state.machine.cores);
  if (bytes > 0) time = std::max(time, bytes / state.machine.storage.value());
  FractionalOptimum optimum;
  optimum.value = time;
  for (const AllocatedJob& job : state.jobs) {
    optimum.rates.push_back(time > 0 ? job.remaining / time : 0);
  }
  return optimum;
}

// In the order of the jobs' names, so that ties fall the same way in whatever order they come.
std::vector<std::size_t> name_order(const AllocationState& state) {
  std::vector<std::size_t> order(state.jobs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) {
    return state.jobs[i].model.name < state.jobs[j].model.name;
  });
  return order;
}

struct NamedPolicy {
  AllocationPolicy policy;
  std::string_view name;
};
constexpr NamedPolicy kPolicies[] = {{AllocationPolicy::kEven, "even"},
                                     {AllocationPolicy::kProportional, "proportional"},
                                     {AllocationPolicy::kStatic, "static"},
                                     {AllocationPolicy::kGain, "gain"},
                                     {AllocationPolicy::kOracle, "oracle"}};
struct NamedObjective {
  Objective objective;
  std::string_view name;
};
constexpr NamedObjective kObjectives[] = {{Objective::kThroughput, "throughput"},
                                          {Objective::kFairness, "fairness"},
                                          {Objective::kMakespan, "makespan"}};

}  // namespace

std::string_view policy_name(AllocationPolicy policy) {
  return kPolicies[static_cast<std::size_t>(policy)].name;
}

std::optional<AllocationPolicy> policy_from_name(std::string_view name) {
  for (const NamedPolicy& entry : kPolicies) {
    if (entry.name == name) return entry.policy;
  }
  return std::nullopt;
}

const std::vector<AllocationPolicy>& all_policies() {
  static const std::vector<AllocationPolicy> kAll = {
      AllocationPolicy::kEven, AllocationPolicy::kProportional, AllocationPolicy::kStatic,
      AllocationPolicy::kGain, AllocationPolicy::kOracle};
  return kAll;
}

std::string_view objective_name(Objective objective) {
  return kObjectives[static_cast<std::size_t>(objective)].name;
}

std::optional<Objective> objective_from_name(std::string_view name) {
  for (const NamedObjective& entry : kObjectives) {
    if (entry.name == name) return entry.objective;
  }
  return std::nullopt;
}

const std::vector<ParameterDeclaration>& allocation_parameters() {
  using P = AllocationParameters;
  static const std::vector<ParameterDeclaration> kTable = {
      {"workers_per_accelerator", "workers", &P::workers_per_accelerator, 0.1, 1024,
       "What the static policy gives each accelerator"},
      {"switch_cost_s", "s", &P::switch_cost_s, 0, 3600,
       "Time that a job loses for each worker it gains or loses"},
      {"horizon_s", "s", &P::horizon_s, 0.001, 1e9,
       "How long a new allocation is expected to last"},
      {"drift_fraction", "1", &P::drift_fraction, 0.001, 10,
       "How far a rate may differ from the predicted one before it counts as drift"},
      {"drift_steps", "observations", &P::drift_steps, 1, 1e6,
       "How many observations in a row must drift before the model is fitted anew"}};
  return kTable;
}

std::vector<double> shared_rates(const AllocationState& state, const std::vector<int>& workers) {
  const std::size_t n = state.jobs.size();
  PENSTOCK_CHECK(workers.size() == n);
  std::vector<double> caps(n);
  for (std::size_t j = 0; j < n; ++j) {
    const JobModel& model = state.jobs[j].model;
    caps[j] = workers[j] > 0 ? std::min(model.full_rate(), model.curve.rate(workers[j])) : 0;
  }
  // Levels of cores and storage per worker, each found with the other's given: the one only rises
  // and the other only falls from round to round, so they settle.
  double core_level = kUnlimited;
  double storage_level = kUnlimited;
  std::vector<double> need(n);
  constexpr int kRounds = 64;
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t j = 0; j < n; ++j) {
      const JobModel& model = state.jobs[j].model;
      need[j] = model.cpu_per_sample.value() *
                std::min(caps[j], level_rate(storage_level, workers[j], model.storage_bytes()));
    }
    const double before = core_level;
    core_level = water_level(need, workers, state.machine.cores);
    if (!std::isfinite(state.machine.storage.value())) break;
    for (std::size_t j = 0; j < n; ++j) {
      const JobModel& model = state.jobs[j].model;
      need[j] = model.storage_bytes() *
                std::min(caps[j], level_rate(core_level, workers[j], model.cpu_per_sample.value()));
    }
    const double storage_before = storage_level;
    storage_level = water_level(need, workers, state.machine.storage.value());
    if (core_level == before && storage_level == storage_before) break;
  }
  std::vector<double> rates(n);
  for (std::size_t j = 0; j < n; ++j) {
    const JobModel& model = state.jobs[j].model;
    rates[j] = std::min({caps[j], level_rate(core_level, workers[j], model.cpu_per_sample.value()),
                         level_rate(storage_level, workers[j], model.storage_bytes())});
  }
  return rates;
}

std::vector<double> allocation_score(Objective objective, const AllocationState& state,
                                     const std::vector<double>& rates) {
  std::vector<double> reached = fractions(state, rates);
  std::sort(reached.begin(), reached.end());
  const double sum = std::accumulate(reached.begin(), reached.end(), 0.0);
  if (objective == Objective::kThroughput) return {sum, reached.front()};
  if (objective == Objective::kFairness) return reached;
  std::vector<double> score = times(state, rates);
  std::sort(score.begin(), score.end(), std::greater<>());
  for (double& value : score) value = -value;
  score.push_back(sum);
  return score;
}

bool better_score(const std::vector<double>& left, const std::vector<double>& right) {
  // Far above the rounding of the sums, far below any gain worth a worker.
  constexpr double kTie = 1e-9;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const double difference = left[i] - right[i];
    if (std::abs(difference) > kTie * std::max(std::abs(left[i]), std::abs(right[i]))) {
      return difference > 0;
    }
  }
  return false;
}

double oracle_trials(const AllocationState& state) {
  // Of W - n spare workers, any number to any job or to none: W over n.
  const double spare = std::max(
      0.0, static_cast<double>(state.machine.workers) - static_cast<double>(state.jobs.size()));
  double count = 1;
  for (std::size_t j = 1; j <= state.jobs.size(); ++j) {
    count *= (spare + static_cast<double>(j)) / static_cast<double>(j);
  }
  return count;
}

std::vector<int> allocate(AllocationPolicy policy, const AllocationState& state,
                          const AllocationParameters& parameters) {
  if (state.jobs.empty()) return {};
  AllocationState sorted;
  sorted.machine = state.machine;
  const std::vector<std::size_t> order = name_order(state);
  for (const std::size_t j : order) sorted.jobs.push_back(state.jobs[j]);
  std::vector<int> chosen;
  switch (policy) {
    case AllocationPolicy::kEven:
      chosen = even(sorted);
      break;
    case AllocationPolicy::kProportional:
      chosen = proportional(sorted);
      break;
    case AllocationPolicy::kStatic:
      chosen = by_guess(sorted, parameters.workers_per_accelerator);
      break;
    case AllocationPolicy::kGain:
      chosen = by_gain(sorted, parameters.objective);
      break;
    case AllocationPolicy::kOracle:
      PENSTOCK_CHECK(oracle_trials(sorted) <= kMostOracleTrials);
      chosen = by_trial(sorted, parameters.objective);
      break;
  }
  std::vector<int> workers(chosen.size());
  for (std::size_t i = 0; i < order.size(); ++i) workers[order[i]] = chosen[i];
  return workers;
}

std::vector<int> reallocate(AllocationPolicy policy, const AllocationState& state,
                            const AllocationParameters& parameters) {
  std::vector<int> wanted = allocate(policy, state, parameters);
  std::vector<int> now;
  int moved = 0;
  for (std::size_t j = 0; j < state.jobs.size(); ++j) {
    now.push_back(state.jobs[j].workers);
    moved += std::abs(wanted[j] - now.back());
    if (now.back() < 1) return wanted;
  }
  if (moved == 0 || total(now) > std::max(state.machine.workers, static_cast<int>(now.size()))) {
    return wanted;
  }
  // The baselines do not look at gains; neither do they wait for one.
  if (policy != AllocationPolicy::kGain && policy != AllocationPolicy::kOracle) return wanted;
  const auto score = [&](const std::vector<int>& workers) {
    return allocation_score(parameters.objective, state, shared_rates(state, workers)).front();
  };
  double gain = score(wanted) - score(now);
  // In seconds of one job's time: a fraction gained lasts for the horizon; a makespan is seconds
  // already, and the least fraction stands for that of every job.
  if (parameters.objective != Objective::kMakespan) gain *= parameters.horizon_s;
  if (parameters.objective == Objective::kFairness) {
    gain *= static_cast<double>(state.jobs.size());
  }
  return gain > moved * parameters.switch_cost_s ? wanted : now;
}

FractionalOptimum fractional_optimum(Objective objective, const AllocationState& state) {
  if (state.jobs.empty()) return {};
  std::vector<double> most;
  for (const AllocatedJob& job : state.jobs) {
    most.push_back(std::min(job.model.full_rate(), job.model.curve.rate(state.machine.workers)));
  }
  if (objective == Objective::kThroughput) return most_throughput(state, most);
  return objective == Objective::kFairness ? fairest(state, most) : shortest(state, most);
}

}  // namespace penstock::loader
