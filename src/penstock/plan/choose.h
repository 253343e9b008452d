// Which of several offers to take: pure functions over time and money.
//
//   const std::optional<int> best = choose(offers, {.finish_by = Seconds(86400)});
//   for (const int index : front(offers)) draw(offers[index]);
//
// Ties are broken by the other criterion, then towards fewer nodes, then towards the earlier offer,
// so that what is chosen is never dominated and does not depend on the order of evaluation.
#pragma once

#include <optional>
#include <vector>

#include "penstock/core/quantity.h"

namespace penstock::plan {

// What a fleet asks for the whole job.
struct Offer {
  bool runs = false;  // false: it cannot run the job at all, and the rest means nothing
  Seconds time;
  Dollars cost;
  int nodes = 1;
};

// Either, both or neither.
struct Goal {
  std::optional<Seconds> finish_by;
  std::optional<Dollars> spend_at_most;

  // With a budget of money alone the answer is the fastest; in every other case the cheapest.
  bool wants_fastest() const { return spend_at_most && !finish_by; }
};

bool meets(const Offer& offer, const Goal& goal);
// No slower and no dearer, and better in one of the two or by the tie-break.
bool dominates(const std::vector<Offer>& offers, int a, int b);

// The answer, if any offer meets the goal.
std::optional<int> choose(const std::vector<Offer>& offers, const Goal& goal);
// By what factor an offer exceeds the budget that it misses most; at most 1 where it meets the
// goal.
double excess(const Offer& offer, const Goal& goal);
// The offer with the least excess: what to look at when nothing meets the goal.
std::optional<int> nearest(const std::vector<Offer>& offers, const Goal& goal);

// The offers that no other dominates, fastest first: time rises and cost falls along it. Each is
// the answer to a time budget from its own time up to the next one's, and to a budget of money from
// its own cost up to the previous one's.
std::vector<int> front(const std::vector<Offer>& offers);

}  // namespace penstock::plan
