#include "penstock/partition/elimination.h"

#include <gtest/gtest.h>

#include "penstock/core/random.h"

namespace penstock::partition {
namespace {

// Every assignment, by counting.
double brute_force(const PairwiseProblem& problem) {
  std::vector<int> states(static_cast<std::size_t>(problem.variables()), 0);
  double best = kForbidden;
  for (;;) {
    best = std::min(best, problem.cost(states));
    std::size_t v = 0;
    while (v < states.size() && ++states[v] == problem.states(static_cast<int>(v))) states[v++] = 0;
    if (v == states.size()) return best;
  }
}

PairwiseProblem random_problem(core::RandomStream& random, int variables, double density) {
  PairwiseProblem problem;
  for (int v = 0; v < variables; ++v) {
    std::vector<double> costs(1 + random.below(4));
    for (double& cost : costs) cost = random.uniform();
    problem.add_variable(std::move(costs));
  }
  for (int a = 0; a < variables; ++a) {
    for (int b = 0; b < variables; ++b) {
      if (a == b || random.uniform() > density) continue;
      std::vector<double> table(static_cast<std::size_t>(problem.states(a) * problem.states(b)));
      for (double& cost : table) cost = random.uniform() < 0.1 ? kForbidden : random.uniform();
      problem.add_pair(a, b, std::move(table));
    }
  }
  return problem;
}

TEST(EliminationTest, EqualsBruteForceOnRandomGraphsOfEveryDensity) {
  core::RandomStream random(1, "elimination");
  int feasible = 0;
  for (int trial = 0; trial < 400; ++trial) {
    const int variables = static_cast<int>(1 + random.below(7));
    const PairwiseProblem problem = random_problem(random, variables, random.uniform());
    const Assignment best = problem.minimise();
    const double expected = brute_force(problem);
    if (expected == kForbidden) {
      EXPECT_EQ(best.cost, kForbidden);
      continue;
    }
    ++feasible;
    EXPECT_NEAR(best.cost, expected, 1e-12 * (1 + expected));
    EXPECT_EQ(best.cost, problem.cost(best.states));
    EXPECT_TRUE(best.proven);
  }
  EXPECT_GT(feasible, 200);
}

TEST(EliminationTest, ATableThatWouldBeTooLargeGivesALocalOptimumThatSaysSo) {
  core::RandomStream random(2, "clique");
  const PairwiseProblem problem = random_problem(random, 7, 1.0);
  const Assignment local = problem.minimise(4);
  EXPECT_FALSE(local.proven);
  EXPECT_GE(local.cost, problem.minimise().cost);
}

TEST(EliminationTest, TiesGoToTheLowerState) {
  PairwiseProblem problem;
  const int a = problem.add_variable({1, 1, 1});
  const int b = problem.add_variable({2, 2});
  problem.add_pair(a, b, {0, 0, 0, 0, 0, 0});
  const Assignment best = problem.minimise();
  EXPECT_EQ(best.states, (std::vector<int>{0, 0}));
  EXPECT_DOUBLE_EQ(best.cost, 3);
}

}  // namespace
}  // namespace penstock::partition
