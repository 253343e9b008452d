// The exact minimum of a sum of tables over discrete variables: one for each variable, one for each
// linked pair of variables.
//
//   PairwiseProblem problem;
//   const int a = problem.add_variable({0.0, 1.0});          // cost of each of its two states
//   const int b = problem.add_variable({0.5, 0.0, 2.0});
//   problem.add_pair(a, b, {0, 1, 2,                         // row: state of a
//                           1, 0, 3});
//   const Assignment best = problem.minimise();
//
// Variables are eliminated in order of least degree. A series-parallel graph (a chain, ResNet, an
// inception or transformer block) never makes a table over more than two variables, so this is the
// layer-wise dynamic programme of AccPar on chains and its multi-path form on joins, exact on both;
// other graphs cost states^(treewidth + 1).
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <vector>

namespace penstock::partition {

inline constexpr double kForbidden = std::numeric_limits<double>::infinity();

struct Assignment {
  double cost = 0;          // kForbidden if no state is allowed
  std::vector<int> states;  // of each variable
  bool proven = true;       // false: a table would have been too large; a local optimum
};

class PairwiseProblem {
 public:
  // Returns the variable's index. At least one state.
  int add_variable(std::vector<double> costs);
  void add_cost(int variable, int state, double cost);
  // `costs` has one row for each state of `a` and one column for each state of `b`; a != b. Tables
  // of the same pair add up.
  void add_pair(int a, int b, std::vector<double> costs);
  // The same for a table that several pairs share.
  using Costs = std::shared_ptr<const std::vector<double>>;
  void add_pair(int a, int b, Costs costs);

  int variables() const { return static_cast<int>(unary_.size()); }
  int states(int variable) const { return static_cast<int>(unary_[variable].size()); }

  // Ties are broken towards the lower state of the earlier variable, so equal problems give equal
  // answers. Where a table would exceed `max_table` entries, falls back to coordinate descent.
  Assignment minimise(std::size_t max_table = std::size_t{1} << 22) const;
  // The cost of one assignment.
  double cost(const std::vector<int>& states) const;

  struct Pair {
    int a;
    int b;        // a < b
    Costs costs;  // one row for each state of a
  };
  const std::vector<double>& costs(int variable) const { return unary_[variable]; }
  const std::vector<Pair>& pairs() const { return pairs_; }

 private:
  Assignment descend() const;

  std::vector<std::vector<double>> unary_;
  std::vector<Pair> pairs_;
};

}  // namespace penstock::partition
