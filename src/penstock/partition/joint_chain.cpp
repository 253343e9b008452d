#include "penstock/partition/joint_chain.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "penstock/core/check.h"
#include "penstock/partition/elimination.h"
#include "penstock/partition/internal/joint_splits.h"
#include "penstock/partition/internal/level_model.h"
#include "penstock/partition/internal/wide.h"

namespace penstock::partition {
namespace {

constexpr int kMost = 3;  // states that a node has at once: three types, or three layouts

// One node of the chain: its states, and the whole sizes that halving scales.
struct Scales;
struct Link {
  const Node* node = nullptr;
  const Scales* scales = nullptr;
  std::vector<int> states;
  double elements = 0;        // of the edge into it
  double input_gradient = 0;  // of what flows back
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
      case Type::kBatch:
        return {true, false, false};
      case Type::kIn:
        return {false, true, false};
      case Type::kOut:
        return {false, false, true};
      case Type::kGroup:
        return {false, true, true};
    }
  }
  switch (static_cast<Layout>(state)) {
    case Layout::kRows:
      return {true, false, false};
    case Layout::kColumns:
      return {false, true, true};
    default:
      return {};
  }
}

// Suffixes are powers of three. Loops over them are rounded up to whole vectors of four: what is
// written past a suffix is overwritten by the next one, and buffers end in three spare elements.
constexpr std::size_t kSpare = 3;

// One axis of three states to three, over contiguous suffixes: most of the method's cost.
PENSTOCK_WIDE void contract_suffix(const double* __restrict in, double* __restrict out,
                                   const double* fractions, double moved, const double* scale,
                                   std::size_t prefixes, std::size_t suffix) {
  const std::size_t padded = (suffix + kSpare) / (kSpare + 1) * (kSpare + 1);
  for (std::size_t k = 0; k < prefixes; ++k, in += 3 * suffix) {
    const double local = moved * scale[k];
    for (std::size_t t = 0; t < 3; ++t, out += suffix) {
      const double wa = local * fractions[t];
      const double wb = local * fractions[3 + t];
      const double wc = local * fractions[6 + t];
      for (std::size_t s = 0; s < padded; ++s) {
        const double x = in[s] + wa;
        const double y = in[suffix + s] + wb;
        const double z = in[2 * suffix + s] + wc;
        const double xy = x < y ? x : y;
        out[s] = xy < z ? xy : z;
      }
    }
  }
}

// The two shortest suffixes fill a vector of four with three lanes.
using Lanes = double __attribute__((vector_size(32)));

PENSTOCK_WIDE void contract_last(const double* in, double* out, const double* fractions,
                                 double moved, const double* scale, std::size_t prefixes) {
  const Lanes f0 = {fractions[0], fractions[1], fractions[2], 0};
  const Lanes f1 = {fractions[3], fractions[4], fractions[5], 0};
  const Lanes f2 = {fractions[6], fractions[7], fractions[8], 0};
  for (std::size_t k = 0; k < prefixes; ++k, in += 3, out += 3) {
    const Lanes local = Lanes{} + moved * scale[k];
    const Lanes x = local * f0 + in[0];
    const Lanes y = local * f1 + in[1];
    const Lanes z = local * f2 + in[2];
    const Lanes xy = x < y ? x : y;
    const Lanes best = xy < z ? xy : z;
    std::memcpy(out, &best, sizeof best);
  }
}

PENSTOCK_WIDE void contract_last_but_one(const double* in, double* out, const double* fractions,
                                         double moved, const double* scale, std::size_t prefixes) {
  for (std::size_t k = 0; k < prefixes; ++k, in += 9, out += 9) {
    const double local = moved * scale[k];
    Lanes a;
    Lanes b;
    Lanes c;
    std::memcpy(&a, in, sizeof a);
    std::memcpy(&b, in + 3, sizeof b);
    std::memcpy(&c, in + 6, sizeof c);
    for (std::size_t t = 0; t < 3; ++t) {
      const Lanes x = a + local * fractions[t];
      const Lanes y = b + local * fractions[3 + t];
      const Lanes z = c + local * fractions[6 + t];
      const Lanes xy = x < y ? x : y;
      const Lanes best = xy < z ? xy : z;
      std::memcpy(out + 3 * t, &best, sizeof best);
    }
  }
}

// One more level of a node's own costs, three states wide.
PENSTOCK_WIDE void grow_three(const double* in, double* out, std::size_t count,
                              const double* const scale[3], const double elements[3],
                              const double vectors[3], const double* left) {
  const double *s0 = scale[0], *s1 = scale[1], *s2 = scale[2];
  const double e0 = elements[0], e1 = elements[1], e2 = elements[2];
  const double v0 = vectors[0], v1 = vectors[1], v2 = vectors[2];
  for (std::size_t k = 0; k < count; ++k) {
    out[3 * k] = in[k] + e0 * s0[k] + v0 * left[k];
    out[3 * k + 1] = in[k] + e1 * s1[k] + v1 * left[k];
    out[3 * k + 2] = in[k] + e2 * s2[k] + v2 * left[k];
  }
}

// out = costs + work * scale (+ before)
PENSTOCK_WIDE void sum_up(const double* costs, const double* scale, double work,
                          const double* before, double* out, std::size_t count) {
  if (before == nullptr) {
    for (std::size_t k = 0; k < count; ++k) out[k] = costs[k] + work * scale[k];
  } else {
    for (std::size_t k = 0; k < count; ++k) out[k] = costs[k] + work * scale[k] + before[k];
  }
}

void contract_three(const double* in, double* out, const double* fractions, double moved,
                    const double* scale, std::size_t prefixes, std::size_t suffix) {
  if (suffix == 1) return contract_last(in, out, fractions, moved, scale, prefixes);
  if (suffix == 3) return contract_last_but_one(in, out, fractions, moved, scale, prefixes);
  contract_suffix(in, out, fractions, moved, scale, prefixes, suffix);
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

// Fractions of a node's sizes that are left after the states of every prefix of levels, for one
// list of states. Level h has states^h prefixes.
struct Scales {
  std::vector<std::vector<double>> moved;    // rows * in, of the input
  std::vector<std::vector<double>> output;   // rows * out
  std::vector<std::vector<double>> weights;  // in * out
  std::vector<std::vector<double>> vectors;  // out
  std::vector<double> work;  // rows * in * out (rows * out unless dense), whole depth
};

class JointChain {
 public:
  JointChain(const Network& network, const std::vector<Bandwidth>& links, FlopRate rate,
             const TreeOptions& options)
      : network_(network),
        levels_(static_cast<int>(links.size())),
        rate_(rate.value()),
        options_(options) {
    for (const Bandwidth link : links) {
      seconds_.push_back(options.bytes_per_element / link.value());
    }
    collect_chain();
  }

  JointPlan run() {
    std::size_t total = 0;
    for (std::size_t i = 0; i < chain_.size(); ++i) total += size_of(i) + kSpare;
    double* next = arena(total);
    for (std::size_t i = 0; i < chain_.size(); ++i) {
      node_costs(i);
      if (i > 0) contract(i);
      values_.push_back(next);
      next += size_of(i) + kSpare;
      std::fill_n(values_[i] + size_of(i), kSpare, kForbidden);
      const double work = 6.0 * static_cast<double>(chain_[i].node->macs) / rate_;
      sum_up(costs_.data(), chain_[i].scales->work.data(), work, i > 0 ? current_.data() : nullptr,
             values_[i], size_of(i));
    }
    return trace_back();
  }

 private:
  // At least `size` numbers, kept from call to call: fresh pages would cost as much as the method.
  static double* arena(std::size_t size) {
    thread_local std::vector<double> numbers;
    if (numbers.size() < size) numbers.resize(size);
    return numbers.data();
  }

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
      link.scales = &scales_of(node, link.states);
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

  static bool is_dense(const Node& node) {
    return node.kind == NodeKind::kLayer && (node.choices & choice(Type::kGroup)) == 0;
  }

  const Scales& scales_of(const Node& node, const std::vector<int>& states) {
    const auto key = std::make_pair(node.kind == NodeKind::kLayer, node.choices);
    const auto known = scales_.find(key);
    if (known != scales_.end()) return known->second;
    Scales made;
    std::vector<Left> lefts = {Left{}};
    for (int h = 0; h < levels_; ++h) {
      for (auto* list : {&made.moved, &made.output, &made.weights, &made.vectors}) {
        list->emplace_back();
        list->back().reserve(lefts.size());
      }
      std::vector<Left> next;
      next.reserve(lefts.size() * states.size());
      for (const Left& left : lefts) {
        made.moved.back().push_back(left.rows * left.in);
        made.output.back().push_back(left.rows * left.out);
        made.weights.back().push_back(left.out * (is_dense(node) ? left.in : 1));
        made.vectors.back().push_back(left.out);
        for (const int s : states) next.push_back(left.halved(halving(node, s)));
      }
      lefts = std::move(next);
    }
    for (const Left& left : lefts) {
      made.work.push_back(left.rows * left.out * (is_dense(node) ? left.in : 1));
    }
    return scales_.emplace(key, std::move(made)).first->second;
  }

  // What a state exchanges inside the node: elements, and the fractions that scale them.
  struct Part {
    double elements = 0;
    const std::vector<double>* scale = nullptr;
    double vectors = 0;
  };
  Part node_part(const Link& link, int state, std::size_t level) const {
    const Node& n = *link.node;
    const Scales& scales = *link.scales;
    const double vectors = static_cast<double>(n.vectors);
    if (n.kind != NodeKind::kLayer) {
      return {0, &scales.output[level], static_cast<Layout>(state) == Layout::kRows ? vectors : 0};
    }
    const double output = static_cast<double>(n.out_elements);
    switch (static_cast<Type>(state)) {
      case Type::kBatch:
        return {static_cast<double>(n.weights), &scales.weights[level], vectors};
      case Type::kIn:
        if (!fused()) return {output, &scales.output[level], 0};
        return {n.out_edges.empty() ? output / 2 : 0, &scales.output[level], 0};
      case Type::kOut:
        return {fused() ? 0 : link.input_gradient, &scales.moved[level], 0};
      case Type::kGroup:
        break;
    }
    return {0, &scales.output[level], 0};
  }

  // What node i costs by itself in every state vector, into costs_.
  void node_costs(std::size_t i) {
    const Link& link = chain_[i];
    const std::size_t count = states(i);
    costs_.assign(1, 0.0);
    for (std::size_t h = 0; h < seconds_.size(); ++h) {
      spare_.resize(costs_.size() * count);
      const double* left = link.scales->vectors[h].data();
      const double* scale[kMost] = {left, left, left};
      double elements[kMost] = {};
      double vectors[kMost] = {};
      for (std::size_t t = 0; t < count; ++t) {
        const Part part = node_part(link, link.states[t], h);
        scale[t] = part.scale->data();
        elements[t] = part.elements * seconds_[h];
        vectors[t] = part.vectors * seconds_[h];
      }
      if (count == kMost) {
        grow_three(costs_.data(), spare_.data(), costs_.size(), scale, elements, vectors, left);
      } else {
        for (std::size_t k = 0; k < costs_.size(); ++k) {
          for (std::size_t t = 0; t < count; ++t) {
            spare_[k * count + t] = costs_[k] + elements[t] * scale[t][k] + vectors[t] * left[k];
          }
        }
      }
      std::swap(costs_, spare_);
    }
  }

  // Contracts the previous node's axes one by one, from the top level, into current_.
  void contract(std::size_t i) {
    const std::size_t from = states(i - 1);
    const std::size_t to = states(i);
    const std::vector<double> fractions = edge_fractions(i);
    const double* source = values_[i - 1];
    for (std::size_t h = 0; h < seconds_.size(); ++h) {
      const std::size_t suffix = power(from, levels_ - static_cast<int>(h) - 1);
      const std::vector<double>& scale = chain_[i].scales->moved[h];
      const double moved = seconds_[h] * chain_[i].elements;
      spare_.resize(scale.size() * to * suffix + kSpare);
      if (from == kMost && to == kMost) {
        contract_three(source, spare_.data(), fractions.data(), moved, scale.data(), scale.size(),
                       suffix);
      } else {
        for (std::size_t k = 0; k < scale.size(); ++k) {
          contract_axis(source + k * from * suffix, spare_.data() + k * to * suffix, fractions,
                        moved * scale[k], from, to, suffix);
        }
      }
      std::swap(current_, spare_);
      source = current_.data();
    }
  }

  static void contract_axis(const double* in, double* out, const std::vector<double>& fractions,
                            double moved, std::size_t from, std::size_t to, std::size_t suffix) {
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
  std::vector<std::size_t> predecessor(std::size_t i,
                                       const std::vector<std::size_t>& target) const {
    const std::size_t from = states(i - 1);
    const std::size_t to = states(i);
    const std::vector<double> fractions = edge_fractions(i);
    std::vector<std::vector<double>> stages;
    const auto stage = [&](std::size_t h) {
      return h == 0 ? values_[i - 1] : stages[h - 1].data();
    };
    std::vector<double> moved;
    Left left;
    for (int h = 0; h < levels_; ++h) {
      moved.push_back(seconds_[static_cast<std::size_t>(h)] * chain_[i].elements * left.rows *
                      left.in);
      const std::size_t suffix = power(from, levels_ - h - 1);
      std::vector<double> next(suffix, kForbidden);
      for (std::size_t p = 0; p < from; ++p) {
        const double w = moved.back() * fractions[p * to + target[static_cast<std::size_t>(h)]];
        lower_by(w, stage(static_cast<std::size_t>(h)) + p * suffix, next.data(), suffix);
      }
      stages.push_back(std::move(next));
      left = left.halved(
          halving(*chain_[i].node, chain_[i].states[target[static_cast<std::size_t>(h)]]));
    }
    std::vector<std::size_t> chosen(static_cast<std::size_t>(levels_));
    std::size_t index = 0;  // the axes below h are chosen; those above are still open
    for (int h = levels_ - 1; h >= 0; --h) {
      const std::size_t suffix = power(from, levels_ - h - 1);
      double best = kForbidden;
      for (std::size_t p = 0; p < from; ++p) {
        const double w = moved[static_cast<std::size_t>(h)] *
                         fractions[p * to + target[static_cast<std::size_t>(h)]];
        const double sum = stage(static_cast<std::size_t>(h))[p * suffix + index] + w;
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
    const double* value = values_[last];
    auto index = static_cast<std::size_t>(std::min_element(value, value + size_of(last)) - value);
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
  int levels_;
  std::vector<double> seconds_;  // an element, by level
  double rate_;
  const TreeOptions& options_;
  std::map<std::pair<bool, Choices>, Scales> scales_;  // by kind and choices of a node
  std::vector<int> order_;                             // network nodes along the chain
  std::vector<Link> chain_;
  std::vector<double*> values_;  // best cost up to a node, by its states
  std::vector<double> costs_;    // buffers of the pass over one node
  std::vector<double> current_;
  std::vector<double> spare_;
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
