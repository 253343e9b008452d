// max sum v_j x_j subject to sum u_j x_j <= U, sum b_j x_j <= B, 0 <= x_j <= X_j: a fractional
// knapsack with two budgets, solved exactly through its dual.
//
// The dual function g(p, q) = pU + qB + sum X_j max(0, v_j - p u_j - q b_j) is convex and piecewise
// linear, so its least value over p, q >= 0 lies where two of the lines v_j = p u_j + q b_j, p = 0
// and q = 0 cross: O(n^2) points, each evaluated in O(n).
#pragma once

#include <vector>

namespace penstock::loader::internal {

struct RateVariable {
  double value = 0;    // v, above 0
  double core = 0;     // u, not below 0
  double storage = 0;  // b, not below 0
  double most = 0;     // X, finite
};

struct RateProgram {
  std::vector<RateVariable> variables;
  double cores = 0;
  double storage = 0;  // may be infinite
};

struct RateSolution {
  std::vector<double> x;
  double value = 0;
  double core_price = 0;
  double storage_price = 0;
};

RateSolution solve_rates(const RateProgram& program);

}  // namespace penstock::loader::internal
