#include "penstock/loader/internal/rate_program.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace penstock::loader::internal {
namespace {

struct Prices {
  double core = 0;
  double storage = 0;
};

double reduced(const RateVariable& v, Prices prices) {
  return v.value - prices.core * v.core - prices.storage * v.storage;
}

double dual(const RateProgram& program, Prices prices) {
  double sum = prices.core * program.cores;
  if (prices.storage > 0) sum += prices.storage * program.storage;
  for (const RateVariable& v : program.variables) {
    sum += v.most * std::max(0.0, reduced(v, prices));
  }
  return sum;
}

std::vector<Prices> crossings(const RateProgram& program) {
  const auto& variables = program.variables;
  const bool bounded = std::isfinite(program.storage);
  std::vector<Prices> points = {{}};
  for (const RateVariable& v : variables) {
    if (v.core > 0) points.push_back({v.value / v.core, 0});
    if (bounded && v.storage > 0) points.push_back({0, v.value / v.storage});
  }
  for (std::size_t i = 0; bounded && i < variables.size(); ++i) {
    for (std::size_t j = i + 1; j < variables.size(); ++j) {
      const RateVariable& a = variables[i];
      const RateVariable& b = variables[j];
      const double determinant = a.core * b.storage - b.core * a.storage;
      const double size = a.core * b.storage + b.core * a.storage;
      if (std::abs(determinant) <= 1e-12 * size || size <= 0) continue;
      const Prices at{(a.value * b.storage - b.value * a.storage) / determinant,
                      (b.value * a.core - a.value * b.core) / determinant};
      if (at.core >= 0 && at.storage >= 0) points.push_back(at);
    }
  }
  return points;
}

// Fills `tied` in the order given until `cores` of the one resource is used. A variable that does
// not use it is filled whole.
std::vector<double> filled(const std::vector<RateVariable>& variables,
                           const std::vector<std::size_t>& tied, double RateVariable::*resource,
                           double budget) {
  std::vector<double> x(variables.size(), 0);
  for (const std::size_t j : tied) {
    const double need = variables[j].*resource;
    x[j] = need > 0 ? std::clamp(budget / need, 0.0, variables[j].most) : variables[j].most;
    budget -= need * x[j];
  }
  return x;
}

double used(const std::vector<RateVariable>& variables, const std::vector<double>& x,
            double RateVariable::*resource) {
  double sum = 0;
  for (std::size_t j = 0; j < x.size(); ++j) sum += variables[j].*resource * x[j];
  return sum;
}

// Spreads what is left over variables whose reduced value is zero. Where a price is above zero its
// resource must be used up; of all ways to use up the one, the two greedy orders use the least and
// the most of the other, and a mixture of them uses exactly what is wanted.
std::vector<double> spread(const RateProgram& program, std::vector<std::size_t> tied, Prices prices,
                           double cores, double storage) {
  const auto& v = program.variables;
  const bool by_core = prices.core > 0;
  double RateVariable::*first = by_core ? &RateVariable::core : &RateVariable::storage;
  double RateVariable::*second = by_core ? &RateVariable::storage : &RateVariable::core;
  const double budget = by_core ? cores : storage;
  const double wanted = by_core ? storage : cores;
  const bool must_use_up = by_core && prices.storage > 0;
  std::stable_sort(tied.begin(), tied.end(), [&](std::size_t i, std::size_t j) {
    return v[i].*second * (v[j].*first) < v[j].*second * (v[i].*first);
  });
  std::vector<double> low = filled(v, tied, first, budget);
  if (!must_use_up) return low;
  std::reverse(tied.begin(), tied.end());
  const std::vector<double> high = filled(v, tied, first, budget);
  const double least = used(v, low, second);
  const double most = used(v, high, second);
  const double part = most > least ? std::clamp((wanted - least) / (most - least), 0.0, 1.0) : 0.0;
  for (std::size_t j = 0; j < low.size(); ++j) low[j] += part * (high[j] - low[j]);
  return low;
}

}  // namespace

RateSolution solve_rates(const RateProgram& program) {
  Prices best;
  double least = std::numeric_limits<double>::infinity();
  for (const Prices prices : crossings(program)) {
    const double value = dual(program, prices);
    if (value < least) {
      least = value;
      best = prices;
    }
  }
  RateSolution solution;
  solution.core_price = best.core;
  solution.storage_price = best.storage;
  double cores = program.cores;
  double storage = program.storage;
  std::vector<std::size_t> tied;
  for (std::size_t j = 0; j < program.variables.size(); ++j) {
    const RateVariable& v = program.variables[j];
    const double gain = reduced(v, best);
    const bool is_tied = std::abs(gain) <= 1e-9 * v.value;
    if (is_tied) tied.push_back(j);
    solution.x.push_back(!is_tied && gain > 0 ? v.most : 0);
    cores -= v.core * solution.x.back();
    storage -= v.storage * solution.x.back();
  }
  const std::vector<double> rest =
      spread(program, std::move(tied), best, std::max(0.0, cores), std::max(0.0, storage));
  for (std::size_t j = 0; j < rest.size(); ++j) {
    solution.x[j] += rest[j];
    solution.value += program.variables[j].value * solution.x[j];
  }
  return solution;
}

}  // namespace penstock::loader::internal
