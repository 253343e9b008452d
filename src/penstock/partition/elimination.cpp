#include "penstock/partition/elimination.h"

#include <algorithm>
#include <map>
#include <set>

#include "penstock/core/check.h"
#include "penstock/partition/internal/wide.h"

namespace penstock::partition {
namespace {

using Costs = PairwiseProblem::Costs;

// A table over `scope` (ascending variables), row-major, the last variable fastest.
struct Factor {
  std::vector<int> scope;
  Costs table;
};

Costs shared(std::vector<double> table) {
  return std::make_shared<const std::vector<double>>(std::move(table));
}

struct Eliminated {
  int variable;
  std::vector<Factor> factors;  // those that mentioned it, the unary one included
};

// out[i][j] = min over k of left[i][k] + middle[k] + right[k][j]; forbidden rows are skipped.
void min_plus(const std::vector<double>& left, const std::vector<double>& middle,
              const std::vector<double>& right, std::size_t rows, std::size_t inner,
              std::size_t columns, std::vector<double>& out) {
  out.assign(rows * columns, kForbidden);
  for (std::size_t i = 0; i < rows; ++i) {
    double* target = out.data() + i * columns;
    for (std::size_t k = 0; k < inner; ++k) {
      const double base = left[i * inner + k] + middle[k];
      if (base == kForbidden) continue;
      lower_by(base, right.data() + k * columns, target, columns);
    }
  }
}

std::vector<double> transposed(const std::vector<double>& table, std::size_t rows,
                               std::size_t columns) {
  std::vector<double> out(table.size());
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) out[j * rows + i] = table[i * columns + j];
  }
  return out;
}

class Elimination {
 public:
  Elimination(std::vector<std::vector<double>> unary, std::size_t max_table)
      : unary_(std::move(unary)),
        max_table_(max_table),
        neighbours_(unary_.size()),
        mentions_(unary_.size()) {}

  void add(Factor factor) {
    for (const int v : factor.scope) {
      for (const int w : factor.scope) {
        if (v != w) neighbours_[v].insert(w);
      }
    }
    // Tables over the same scope add up.
    for (const int id : mentions_[factor.scope[0]]) {
      if (alive_[id] && factors_[id].scope == factor.scope) {
        std::vector<double> sum = *factors_[id].table;
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += (*factor.table)[i];
        factors_[id].table = shared(std::move(sum));
        return;
      }
    }
    const int id = static_cast<int>(factors_.size());
    for (const int v : factor.scope) mentions_[v].push_back(id);
    factors_.push_back(std::move(factor));
    alive_.push_back(true);
  }

  // Fills `result`; false if a table would be too large.
  bool run(Assignment& result) {
    std::set<std::pair<std::size_t, int>> order;
    for (std::size_t v = 0; v < unary_.size(); ++v) {
      order.insert({neighbours_[v].size(), static_cast<int>(v)});
    }
    double constant = 0;
    while (!order.empty()) {
      const int v = order.begin()->second;
      order.erase(order.begin());
      for (const int w : neighbours_[v]) order.erase({neighbours_[w].size(), w});
      if (!eliminate(v, constant)) return false;
      for (const int w : neighbours_[v]) {
        neighbours_[w].erase(v);
        order.insert({neighbours_[w].size(), w});
      }
    }
    result.cost = constant;
    if (constant == kForbidden) return true;
    result.states.assign(unary_.size(), 0);
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      trace_back(*step, result.states);
    }
    return true;
  }

 private:
  std::size_t states(int v) const { return unary_[v].size(); }

  bool eliminate(int v, double& constant) {
    Eliminated step{v, {}};
    for (const int id : mentions_[v]) {
      if (!alive_[id]) continue;
      alive_[id] = false;
      step.factors.push_back(std::move(factors_[id]));
    }
    const std::vector<int> scope(neighbours_[v].begin(), neighbours_[v].end());
    bool pairwise = scope.size() <= 2 && step.factors.size() == scope.size();
    for (const Factor& f : step.factors) pairwise = pairwise && f.scope.size() == 2;

    if (scope.empty()) {
      constant += *std::min_element(unary_[v].begin(), unary_[v].end());
    } else if (pairwise) {
      eliminate_pairwise(v, scope, step.factors);
    } else if (!eliminate_general(v, scope, step.factors)) {
      return false;
    }
    steps_.push_back(std::move(step));
    return true;
  }

  // One or two neighbours, one table each: a matrix-vector or matrix-matrix product.
  void eliminate_pairwise(int v, const std::vector<int>& scope,
                          const std::vector<Factor>& factors) {
    const auto oriented = [&](int w, bool v_first) {
      for (const Factor& f : factors) {
        const bool has = f.scope[0] == w || f.scope[1] == w;
        if (!has) continue;
        if ((f.scope[0] == v) == v_first) return f.table;
        return shared(transposed(*f.table, states(f.scope[0]), states(f.scope[1])));
      }
      PENSTOCK_CHECK(false);
      return Costs();
    };
    std::vector<double> out;
    if (scope.size() == 1) {
      const std::vector<double> ones(states(v), 0.0);
      min_plus(*oriented(scope[0], false), unary_[v], ones, states(scope[0]), states(v), 1, out);
      for (std::size_t i = 0; i < out.size(); ++i) unary_[scope[0]][i] += out[i];
      return;
    }
    min_plus(*oriented(scope[0], false), unary_[v], *oriented(scope[1], true), states(scope[0]),
             states(v), states(scope[1]), out);
    add({scope, shared(std::move(out))});
  }

  bool eliminate_general(int v, const std::vector<int>& scope, const std::vector<Factor>& factors) {
    std::size_t size = 1;
    for (const int w : scope) {
      size *= states(w);
      if (size * states(v) > max_table_) return false;
    }
    std::vector<double> made(size, kForbidden);
    std::vector<int> assignment(unary_.size(), 0);
    for (std::size_t index = 0; index < size; ++index) {
      std::size_t rest = index;
      for (std::size_t s = scope.size(); s-- > 0;) {
        assignment[scope[s]] = static_cast<int>(rest % states(scope[s]));
        rest /= states(scope[s]);
      }
      for (std::size_t state = 0; state < states(v); ++state) {
        assignment[v] = static_cast<int>(state);
        made[index] = std::min(made[index], value(v, factors, assignment));
      }
    }
    if (scope.size() == 1) {
      for (std::size_t i = 0; i < size; ++i) unary_[scope[0]][i] += made[i];
    } else {
      add({scope, shared(std::move(made))});
    }
    return true;
  }

  double value(int v, const std::vector<Factor>& factors,
               const std::vector<int>& assignment) const {
    double sum = unary_[v][assignment[v]];
    for (const Factor& f : factors) {
      std::size_t index = 0;
      for (const int w : f.scope) index = index * states(w) + assignment[w];
      sum += (*f.table)[index];
    }
    return sum;
  }

  // The best state of an eliminated variable, once its neighbours are known.
  void trace_back(const Eliminated& step, std::vector<int>& assignment) const {
    double best = kForbidden;
    int best_state = 0;
    for (std::size_t state = 0; state < states(step.variable); ++state) {
      assignment[step.variable] = static_cast<int>(state);
      const double sum = value(step.variable, step.factors, assignment);
      if (sum < best) {
        best = sum;
        best_state = static_cast<int>(state);
      }
    }
    assignment[step.variable] = best_state;
  }

  std::vector<std::vector<double>> unary_;
  std::size_t max_table_;
  std::vector<std::set<int>> neighbours_;
  std::vector<std::vector<int>> mentions_;
  std::vector<Factor> factors_;
  std::vector<bool> alive_;
  std::vector<Eliminated> steps_;
};

}  // namespace

int PairwiseProblem::add_variable(std::vector<double> costs) {
  PENSTOCK_CHECK(!costs.empty());
  unary_.push_back(std::move(costs));
  return variables() - 1;
}

void PairwiseProblem::add_cost(int variable, int state, double cost) {
  unary_[variable][state] += cost;
}

void PairwiseProblem::add_pair(int a, int b, std::vector<double> costs) {
  add_pair(a, b, shared(std::move(costs)));
}

void PairwiseProblem::add_pair(int a, int b, Costs costs) {
  PENSTOCK_CHECK(a != b);
  PENSTOCK_CHECK(costs->size() == unary_[a].size() * unary_[b].size());
  if (a > b) {
    costs = shared(transposed(*costs, unary_[a].size(), unary_[b].size()));
    std::swap(a, b);
  }
  pairs_.push_back({a, b, std::move(costs)});
}

double PairwiseProblem::cost(const std::vector<int>& states) const {
  double sum = 0;
  for (std::size_t v = 0; v < unary_.size(); ++v) sum += unary_[v][states[v]];
  for (const Pair& pair : pairs_) {
    sum += (*pair.costs)[states[pair.a] * unary_[pair.b].size() + states[pair.b]];
  }
  return sum;
}

Assignment PairwiseProblem::minimise(std::size_t max_table) const {
  Elimination elimination(unary_, max_table);
  for (const Pair& pair : pairs_) elimination.add({{pair.a, pair.b}, pair.costs});
  Assignment result;
  if (!elimination.run(result)) return descend();
  // Summed once more in the order of the tables, so that the cost does not depend on the order of
  // elimination.
  if (result.cost != kForbidden) result.cost = cost(result.states);
  return result;
}

// Coordinate descent from the cheapest state of each variable.
Assignment PairwiseProblem::descend() const {
  Assignment result;
  result.proven = false;
  std::vector<std::vector<const Pair*>> touching(unary_.size());
  for (const Pair& pair : pairs_) {
    touching[pair.a].push_back(&pair);
    touching[pair.b].push_back(&pair);
  }
  for (const auto& costs : unary_) {
    result.states.push_back(
        static_cast<int>(std::min_element(costs.begin(), costs.end()) - costs.begin()));
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t v = 0; v < unary_.size(); ++v) {
      const auto local = [&](int state) {
        double sum = unary_[v][state];
        for (const Pair* pair : touching[v]) {
          const bool first = pair->a == static_cast<int>(v);
          const int row = first ? state : result.states[pair->a];
          const int column = first ? result.states[pair->b] : state;
          sum += (*pair->costs)[row * unary_[pair->b].size() + column];
        }
        return sum;
      };
      double best = local(result.states[v]);
      for (int state = 0; state < states(static_cast<int>(v)); ++state) {
        const double sum = local(state);
        if (sum < best) {
          best = sum;
          result.states[v] = state;
          changed = true;
        }
      }
    }
  }
  result.cost = cost(result.states);
  return result;
}

}  // namespace penstock::partition
