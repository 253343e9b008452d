#include "penstock/partition/ratio.h"

#include <algorithm>
#include <cmath>

namespace penstock::partition {

Seconds time_of(const SharedCost& cost, double share, const Party& party) {
  const double other = 1 - share;
  return cost.work * share / party.rate +
         (cost.fixed + cost.falling * other + cost.mixed * (share * other)) / party.link;
}

Ratio best_ratio(const SharedCost& cost, const Party& first, const Party& second, double least) {
  const auto slower = [&](double a) {
    return std::max(time_of(cost, a, first), time_of(cost, 1 - a, second));
  };
  if (first.rate == second.rate && first.link == second.link) return {0.5, slower(0.5)};

  Ratio best{0.5, Seconds(INFINITY)};
  const auto consider = [&](double a) {
    if (!(a >= least && a <= 1 - least)) return;
    const Seconds t = slower(a);
    if (t < best.time) best = {a, t};
  };
  // The balance of both sides: square * a^2 + slope * a + offset = 0.
  const double r1 = 1 / first.link.value();
  const double r2 = 1 / second.link.value();
  const double work = cost.work.value();
  const double mixed = cost.mixed.value();
  const double falling = cost.falling.value();
  const double square = -mixed * (r1 - r2);
  const double slope = work * (1 / first.rate.value() + 1 / second.rate.value()) +
                       mixed * (r1 - r2) - falling * (r1 + r2);
  const double offset = -work / second.rate.value() + cost.fixed.value() * (r1 - r2) + falling * r1;
  if (square == 0) {
    if (slope != 0) consider(-offset / slope);
  } else {
    const double root = slope * slope - 4 * square * offset;
    if (root >= 0) {
      // The form that does not cancel.
      const double q = -0.5 * (slope + std::copysign(std::sqrt(root), slope));
      consider(q / square);
      if (q != 0) consider(offset / q);
    }
  }
  // Where one side's time is stationary: work/rate - falling*r + mixed*r*(1 - 2a) = 0.
  if (mixed > 0) {
    const double a1 = 0.5 * (1 + (work / first.rate.value() - falling * r1) / (mixed * r1));
    const double a2 = 0.5 * (1 + (work / second.rate.value() - falling * r2) / (mixed * r2));
    consider(a1);
    consider(1 - a2);
  }
  consider(least);
  consider(1 - least);
  return best;
}

}  // namespace penstock::partition
