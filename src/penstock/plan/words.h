// What a plan says in words, a line each.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "penstock/partition/partition.h"
#include "penstock/plan/candidate.h"
#include "penstock/plan/choose.h"

namespace penstock::plan {

// As format_quantity(), but in hours up to four days: budgets are thought of in hours.
std::string duration_text(Seconds time);

// "finish by 24 h for at most 500.00 $".
std::string goal_text(const Goal& goal);

// "misses 24 h by 3.1 h, costs 12.00 $ over 500.00 $"; empty where the offer meets the goal.
std::string missed_text(const Offer& offer, const Goal& goal);

// Why `index` is not the answer: the reason why it cannot run, the budget that it misses and by how
// much, or how much dearer or slower than `chosen` it is. Where another fleet of the same devices
// for the same money is faster, names it: slower links are then all that this one adds.
std::string verdict(const std::vector<Candidate>& candidates, const std::vector<Offer>& offers,
                    const Goal& goal, int index, std::optional<int> chosen);

// Into how many parts a node of the network is cut, on the mesh of equal devices that a fleet is.
struct Cut {
  int batch = 1;
  int in = 1;
  int out = 1;
  bool operator==(const Cut&) const = default;
};
Cut cut_of(const partition::PartitionPlan& plan, int node);

// "conv1 to conv13 (13 layers) by batch 8 ways; fc1 1x4x2": runs of layers that are cut alike,
// as batch x input x output channels; only how many of each where there are many runs.
std::string split_text(const partition::Network& network, const partition::PartitionPlan& plan);

}  // namespace penstock::plan
