// The nodes of a network before they are wired: which operators each holds, which tensors it reads
// and which one it writes.
#pragma once

#include <string>
#include <vector>

#include "penstock/partition/internal/lowering_regions.h"
#include "penstock/partition/internal/lowering_rules.h"
#include "penstock/partition/network.h"

namespace penstock::partition::internal {

struct Draft {
  Node node;  // without columns and edges
  Rule rule;
  std::vector<int> reads;  // activations, each once, in the order of the operator's inputs
  int writes = -1;
  int region_entry = -1;  // of a region: what it keeps for the backward pass
};

struct Drafts {
  std::vector<Draft> drafts;  // in topological order
  std::vector<int> writer;    // per tensor: the draft that writes it last, or -1
  std::vector<std::string> warnings;
};

// Visits every live operator and gathers them into drafts.
Drafts draft_nodes(const model::Graph& graph, Tracker& tracker);

// Elements that each draft keeps for the backward pass: a layer its input, a Relu or Softmax its
// output, a norm or maximum pool its input, a product both operands. A tensor that several keep
// counts once, at the first layer that reads it or else at the first node that keeps it; a reshaped
// or transposed tensor is the same tensor. A region keeps its entry and computes the rest again.
void count_stash(const model::Graph& graph, const Tracker& tracker, Drafts& drafts);

}  // namespace penstock::partition::internal
