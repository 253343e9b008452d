#include "penstock/partition/joint_chain.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "penstock/core/check.h"
#include "penstock/partition/elimination.h"
#include "penstock/partition/internal/joint_splits.h"
#include "penstock/partition/internal/level_model.h"

namespace penstock::partition {
namespace {

constexpr int kMost = 3;  // states that a node has at once: three types, or three layouts

// One node of the chain: its states, and the whole sizes that halving scales.
struct Link {
  const Node* node = nullptr;
  std::vector<int> states;
  double elements = 0;         // of the edge into it
  double input_gradient = 0;   // of what flows back
  bool gradient = false;
};

// How a state halves the dimensions of its node.
struct Halving {
  bool rows = false;
  bool in = false;
  bool out = false;
};

Halving halving(const Node& node, int state) {
  if (node.kind == NodeKind::kLayer) {
    switch (static_cast<Type>(state)) {
      case Type::kBatch: return {true, false, false};
      case Type::kIn: return {false, true, false};
      case Type::kOut: return {false, false, true};
      case Type::kGroup: return {false, true, true};
    }
  }
  switch (static_cast<Layout>(state)) {
    case Layout::kRows: return {true, false, false};
    case Layout::kColumns: return {false, true, true};
    default: return {};
  }
}

// What is left of a node's dimensions after some levels.
struct Left {
  double rows = 1;
  double in = 1;
  double out = 1;

  Left halved(const Halving& h) const {
    return {h.rows ? rows / 2 : rows, h.in ? in / 2 : in, h.out ? out / 2 : out};
  }
};

class JointChain {
 public:
  JointChain(const Network& network, const std::vector<Bandwidth>& links, FlopRate rate,
             const TreeOptions& options)
      : network_(network),
        links_(links),
        levels_(static_cast<int>(links.size())),
        rate_(rate.value()),
        options_(options) {
    collect_chain();
  }

  JointPlan run() {
    for (std::size_t i = 0; i < chain_.size(); ++i) {
      std::vector<double> value = i == 0 ? std::vector<double>(size_of(0), 0.0)
                                         : contract(i, values_.back());
      add_node_costs(i, value);
      values_.push_back(std::move(value));
    }
    return trace_back();
  }

 private:
  void collect_chain() {
    int v = 0;
    while (v < static_cast<int>(network_.nodes.size()) && !network_.nodes[v].in_edges.empty()) ++v;
    for (;;) {
      const Node& node = network_.nodes[v];
      Link link;
      link.node = &node;
      const int count = node.kind == NodeKind::kLayer ? kTypes : kLayouts;
      for (int state = 0; state < count; ++state) {
        if ((node.choices >> state & 1u) != 0) link.states.push_back(state);
      }
      PENSTOCK_CHECK(!link.states.empty());
      PENSTOCK_CHECK(link.states.size() <= static_cast<std::size_t>(kMost));
      if (!node.in_edges.empty()) {
        const Edge& edge = network_.edges[node.in_edges[0]];
        link.elements = static_cast<double>(edge.elements);
        link.gradient = edge.gradient;
        link.input_gradient = edge.gradient ? link.elements : 0;
      }
      order_.push_back(v);
      chain_.push_back(link);
      if (node.out_edges.empty()) break;
      v = network_.edges[node.out_edges[0]].to;
    }
    PENSTOCK_CHECK(order_.size() == network_.nodes.size());
  }

  std::size_t states(std::size_t i) const { return chain_[i].states.size(); }
  std::size_t power(std::size_t base, int exponent) const {
    std::size_t value = 1;
    for (int k = 0; k < exponent; ++k) value *= base;
    return value;
  }
  std::size_t size_of(std::size_t i) const { return power(states(i), levels_); }
  bool fused() const { return options_.table == Table::kFused; }

  // Elements received by either half for partial sums inside the node.
  double node_elements(const Link& link, int state, const Left& left) const {
    const Node& n = *link.node;
    const double vectors = static_cast<double>(n.vectors) * left.out;
    if (n.kind != NodeKind::kLayer) {
      return static_cast<Layout>(state) == Layout::kRows ? vectors : 0;
    }
    const double output = static_cast<double>(n.out_elements) * left.rows * left.out;
    switch (static_cast<Type>(state)) {
      case Type::kBatch: {
        const bool grouped = (n.choices & choice(Type::kGroup)) != 0;
        return static_cast<double>(n.weights) * left.out * (grouped ? 1 : left.in) + vectors;
      }
      case Type::kIn:
        if (!fused()) return output;
        return n.out_edges.empty() ? output / 2 : 0;
      case Type::kOut: return fused() ? 0 : link.input_gradient * left.rows * left.in;
      case Type::kGroup: return 0;
    }
    return 0;
  }

  // The fraction of the edge's tensor that either half receives, by state of producer and consumer.
  std::vector<double> edge_fractions(std::size_t i) const {
    const auto whole = [&](Layout layout) {
      return layout == Layout::kPartial && !fused() ? Layout::kReplicated : layout;
    };
    const auto forward = [&](const Node& n, int s) {
      return n.kind == NodeKind::kLayer ? whole(forward_out(static_cast<Type>(s)))
                                        : static_cast<Layout>(s);
    };
    const auto backward = [&](const Node& n, int s) {
      return n.kind == NodeKind::kLayer ? whole(backward_out(static_cast<Type>(s)))
                                        : static_cast<Layout>(s);
    };
    const auto reads = [](const Node& n, int s) {
      return n.kind == NodeKind::kLayer ? forward_in(static_cast<Type>(s)) : static_cast<Layout>(s);
    };
    const auto reads_back = [](const Node& n, int s) {
      return n.kind == NodeKind::kLayer ? backward_in(static_cast<Type>(s))
                                        : static_cast<Layout>(s);
    };
    std::vector<double> fractions;
    for (const int p : chain_[i - 1].states) {
      for (const int t : chain_[i].states) {
        const Node& from = *chain_[i - 1].node;
        const Node& to = *chain_[i].node;
        double f = received(forward(from, p), reads(to, t), {}, {});
        if (chain_[i].gradient) f += received(backward(to, t), reads_back(from, p), {}, {});
        fractions.push_back(f);
      }
    }
    return fractions;
  }

  // Dimensions left of node i for every prefix of states above `level`.
  std::vector<Left> prefixes(std::size_t i, int level) const {
    std::vector<Left> lefts = {Left{}};
    for (int h = 0; h < level; ++h) {
      std::vector<Left> next;
      next.reserve(lefts.size() * states(i));
      for (const Left& left : lefts) {
        for (const int s : chain_[i].states) next.push_back(left.halved(halving(*chain_[i].node, s)));
      }
      lefts = std::move(next);
    }
    return lefts;
  }

  double seconds(int level) const {
    return options_.bytes_per_element / links_[static_cast<std::size_t>(level)].value();
  }

  void add_node_costs(std::size_t i, std::vector<double>& value) const {
    const Link& link = chain_[i];
    std::vector<Left> lefts = {Left{}};
    std::vector<double> sums = {0.0};
    for (int h = 0; h < levels_; ++h) {
      std::vector<Left> next_lefts;
      std::vector<double> next_sums;
      next_lefts.reserve(lefts.size() * states(i));
      next_sums.reserve(lefts.size() * states(i));
      for (std::size_t k = 0; k < lefts.size(); ++k) {
        for (const int s : link.states) {
          next_sums.push_back(sums[k] + seconds(h) * node_elements(link, s, lefts[k]));
          next_lefts.push_back(lefts[k].halved(halving(*link.node, s)));
        }
      }
      lefts = std::move(next_lefts);
      sums = std::move(next_sums);
    }
    const double work = 6.0 * static_cast<double>(link.node->macs) / rate_;
    const bool dense = link.node->kind == NodeKind::kLayer &&
                       (link.node->choices & choice(Type::kGroup)) == 0;
    for (std::size_t k = 0; k < value.size(); ++k) {
      const double part = lefts[k].rows * lefts[k].out * (dense ? lefts[k].in : 1);
      value[k] += sums[k] + work * part;
    }
  }

  // Contracts the previous node's axes one by one, from the top level.
  std::vector<double> contract(std::size_t i, const std::vector<double>& previous) const {
    const std::size_t from = states(i - 1);
    const std::size_t to = states(i);
    const std::vector<double> fractions = edge_fractions(i);
    std::vector<double> current = previous;
    std::vector<Left> lefts = {Left{}};
    for (int h = 0; h < levels_; ++h) {
      const std::size_t suffix = power(from, levels_ - h - 1);
      std::vector<double> next(lefts.size() * to * suffix);
      for (std::size_t k = 0; k < lefts.size(); ++k) {
        const double moved = seconds(h) * chain_[i].elements * lefts[k].rows * lefts[k].in;
        contract_axis(current.data() + k * from * suffix, next.data() + k * to * suffix, fractions,
                      moved, from, to, suffix);
      }
      current = std::move(next);
      if (h + 1 < levels_) {
        std::vector<Left> below;
        below.reserve(lefts.size() * to);
        for (const Left& left : lefts) {
          for (const int s : chain_[i].states) {
            below.push_back(left.halved(halving(*chain_[i].node, s)));
          }
        }
        lefts = std::move(below);
      }
    }
    return current;
  }

  static void contract_axis(const double* in, double* out, const std::vector<double>& fractions,
                            double moved, std::size_t from, std::size_t to, std::size_t suffix) {
    if (from == kMost) {
      for (std::size_t t = 0; t < to; ++t) {
        const double w0 = moved * fractions[t];
        const double w1 = moved * fractions[to + t];
        const double w2 = moved * fractions[2 * to + t];
        const double* a = in;
        const double* b = in + suffix;
        const double* c = in + 2 * suffix;
        double* target = out + t * suffix;
        for (std::size_t s = 0; s < suffix; ++s) {
          target[s] = std::min(std::min(a[s] + w0, b[s] + w1), c[s] + w2);
        }
      }
      return;
    }
    for (std::size_t t = 0; t < to; ++t) {
      for (std::size_t s = 0; s < suffix; ++s) {
        double best = kForbidden;
        for (std::size_t p = 0; p < from; ++p) {
          best = std::min(best, in[p * suffix + s] + moved * fractions[p * to + t]);
        }
        out[t * suffix + s] = best;
      }
    }
  }

  // The best state vector of node i - 1 for a given one of node i: the same contraction for one
  // target, with every stage kept.
  std::vector<std::size_t> predecessor(std::size_t i, const std::vector<std::size_t>& target) const {
    const std::size_t from = states(i - 1);
    const std::size_t to = states(i);
    const std::vector<double> fractions = edge_fractions(i);
    std::vector<std::vector<double>> stages = {values_[i - 1]};
    std::vector<double> moved;
    Left left;
    for (int h = 0; h < levels_; ++h) {
      moved.push_back(seconds(h) * chain_[i].elements * left.rows * left.in);
      const std::size_t suffix = power(from, levels_ - h - 1);
      std::vector<double> next(suffix, kForbidden);
      for (std::size_t p = 0; p < from; ++p) {
        const double w = moved.back() * fractions[p * to + target[static_cast<std::size_t>(h)]];
        for (std::size_t s = 0; s < suffix; ++s) {
          next[s] = std::min(next[s], stages.back()[p * suffix + s] + w);
        }
      }
      stages.push_back(std::move(next));
      left = left.halved(halving(*chain_[i].node,
                                 chain_[i].states[target[static_cast<std::size_t>(h)]]));
    }
    std::vector<std::size_t> chosen(static_cast<std::size_t>(levels_));
    std::size_t index = 0;  // the axes below h are chosen; those above are still open
    for (int h = levels_ - 1; h >= 0; --h) {
      const std::size_t suffix = power(from, levels_ - h - 1);
      double best = kForbidden;
      for (std::size_t p = 0; p < from; ++p) {
        const double w = moved[static_cast<std::size_t>(h)] *
                         fractions[p * to + target[static_cast<std::size_t>(h)]];
        const double sum = stages[static_cast<std::size_t>(h)][p * suffix + index] + w;
        if (sum < best) {
          best = sum;
          chosen[static_cast<std::size_t>(h)] = p;
        }
      }
      index += chosen[static_cast<std::size_t>(h)] * suffix;
    }
    return chosen;
  }

  JointPlan trace_back() const {
    const std::size_t last = chain_.size() - 1;
    const std::vector<double>& value = values_[last];
    std::size_t index =
        static_cast<std::size_t>(std::min_element(value.begin(), value.end()) - value.begin());
    JointPlan plan;
    plan.step = Seconds(value[index]);
    std::vector<std::size_t> digits(static_cast<std::size_t>(levels_));
    for (int h = levels_ - 1; h >= 0; --h) {
      digits[static_cast<std::size_t>(h)] = index % states(last);
      index /= states(last);
    }
    plan.states.assign(static_cast<std::size_t>(levels_),
                       std::vector<std::uint8_t>(network_.nodes.size(), 0));
    for (std::size_t i = last;; --i) {
      for (int h = 0; h < levels_; ++h) {
        const auto level = static_cast<std::size_t>(h);
        plan.states[level][static_cast<std::size_t>(order_[i])] =
            static_cast<std::uint8_t>(chain_[i].states[digits[level]]);
      }
      if (i == 0) break;
      digits = predecessor(i, digits);
    }
    return plan;
  }

  const Network& network_;
  const std::vector<Bandwidth>& links_;
  int levels_;
  double rate_;
  const TreeOptions& options_;
  std::vector<int> order_;  // network nodes along the chain
  std::vector<Link> chain_;
  std::vector<std::vector<double>> values_;
};

}  // namespace

JointPlan joint_chain(const Network& network, const std::vector<Bandwidth>& links, FlopRate rate,
                      const TreeOptions& options) {
  PENSTOCK_CHECK(network.is_chain());
  PENSTOCK_CHECK(links.size() <= static_cast<std::size_t>(kMaxJointLevels));
  return JointChain(network, links, rate, options).run();
}

std::optional<std::vector<std::pair<int, Split>>> joint_splits(const Network& network,
                                                               const DeviceTree& tree, int index,
                                                               const std::vector<Extent>& extents,
                                                               const TreeOptions& options) {
  if (!network.is_chain()) return std::nullopt;
  std::vector<Bandwidth> links;
  std::vector<int> path;
  int at = index;
  for (; !tree.nodes[at].leaf(); at = tree.nodes[at].children[0]) {
    if (!tree.nodes[at].equal_halves()) return std::nullopt;
    path.push_back(at);
    links.push_back(tree.nodes[at].charged[0]);
  }
  if (links.size() > static_cast<std::size_t>(kMaxJointLevels)) return std::nullopt;
  // The local network: whole sizes scaled to what this subtree works on.
  Network local = network;
  const LevelModel model(network, extents, options);
  for (std::size_t i = 0; i < local.nodes.size(); ++i) {
    const int v = static_cast<int>(i);
    Node& n = local.nodes[i];
    n.out_elements = std::llround(model.output_elements(v));
    n.weights = std::llround(model.weight_elements(v));
    n.vectors = std::llround(model.vector_elements(v));
    n.macs = std::llround(model.flops(v) / 6.0);
  }
  for (std::size_t e = 0; e < local.edges.size(); ++e) {
    local.edges[e].elements = std::llround(model.edge_elements(static_cast<int>(e)));
  }
  const JointPlan joint = joint_chain(local, links, tree.nodes[at].rate, options);
  std::vector<std::pair<int, Split>> splits;
  for (std::size_t level = 0; level < path.size(); ++level) {
    Split split;
    split.states = joint.states[level];
    split.shares.assign(network.nodes.size(), 0.5);
    splits.emplace_back(path[level], std::move(split));
  }
  return splits;
}

}  // namespace penstock::partition
