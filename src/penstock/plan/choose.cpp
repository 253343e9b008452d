#include "penstock/plan/choose.h"

#include <algorithm>
#include <tuple>

namespace penstock::plan {
namespace {

auto by_cost(const std::vector<Offer>& offers, int index) {
  const Offer& o = offers[static_cast<std::size_t>(index)];
  return std::make_tuple(o.cost.value(), o.time.value(), o.nodes, index);
}

auto by_time(const std::vector<Offer>& offers, int index) {
  const Offer& o = offers[static_cast<std::size_t>(index)];
  return std::make_tuple(o.time.value(), o.cost.value(), o.nodes, index);
}

std::vector<int> that_run(const std::vector<Offer>& offers) {
  std::vector<int> indices;
  for (std::size_t i = 0; i < offers.size(); ++i) {
    if (offers[i].runs) indices.push_back(static_cast<int>(i));
  }
  return indices;
}

}  // namespace

bool meets(const Offer& offer, const Goal& goal) {
  return offer.runs && !(goal.finish_by && offer.time > *goal.finish_by) &&
         !(goal.spend_at_most && offer.cost > *goal.spend_at_most);
}

bool dominates(const std::vector<Offer>& offers, int a, int b) {
  const Offer& x = offers[static_cast<std::size_t>(a)];
  const Offer& y = offers[static_cast<std::size_t>(b)];
  if (!x.runs) return false;
  if (!y.runs) return true;
  if (x.time > y.time || x.cost > y.cost) return false;
  return by_cost(offers, a) < by_cost(offers, b);
}

std::optional<int> choose(const std::vector<Offer>& offers, const Goal& goal) {
  std::optional<int> best;
  for (const int i : that_run(offers)) {
    if (!meets(offers[static_cast<std::size_t>(i)], goal)) continue;
    const bool better =
        !best || (goal.wants_fastest() ? by_time(offers, i) < by_time(offers, *best)
                                       : by_cost(offers, i) < by_cost(offers, *best));
    if (better) best = i;
  }
  return best;
}

double excess(const Offer& offer, const Goal& goal) {
  double most = 0;
  if (goal.finish_by) most = std::max(most, offer.time / *goal.finish_by);
  if (goal.spend_at_most) most = std::max(most, offer.cost / *goal.spend_at_most);
  return most;
}

std::optional<int> nearest(const std::vector<Offer>& offers, const Goal& goal) {
  const auto key = [&](int i) {
    return std::make_pair(excess(offers[static_cast<std::size_t>(i)], goal), by_cost(offers, i));
  };
  std::optional<int> best;
  for (const int i : that_run(offers)) {
    if (!best || key(i) < key(*best)) best = i;
  }
  return best;
}

std::vector<int> front(const std::vector<Offer>& offers) {
  std::vector<int> order = that_run(offers);
  std::sort(order.begin(), order.end(),
            [&](int a, int b) { return by_time(offers, a) < by_time(offers, b); });
  std::vector<int> kept;
  for (const int i : order) {
    const Offer& offer = offers[static_cast<std::size_t>(i)];
    if (kept.empty() || offer.cost < offers[static_cast<std::size_t>(kept.back())].cost) {
      kept.push_back(i);
    }
  }
  return kept;
}

}  // namespace penstock::plan
