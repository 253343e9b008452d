// The ratio in which two unlike sides share one layer (AccPar; room page "partition" 1.6).
#pragma once

#include "penstock/core/quantity.h"

namespace penstock::partition {

// What a layer costs the side that owns the fraction a of it:
//   a * work / rate  +  (fixed + falling * (1 - a) + mixed * a * (1 - a)) / link
// and the other side with 1 - a in place of a.
struct SharedCost {
  Flop work;      // of the whole layer
  Bytes fixed;    // partial sums, whatever the ratio
  Bytes falling;  // coefficient of 1 - a
  Bytes mixed;    // coefficient of a (1 - a)
};

struct Party {
  FlopRate rate;
  Bandwidth link;
};

Seconds time_of(const SharedCost& cost, double share, const Party& party);

struct Ratio {
  double share = 0.5;  // the first party's
  Seconds time;        // of the slower party
};

// The share in [least, 1 - least] with the smallest time of the slower party. Where both sides
// balance inside the interval that is a root of a quadratic; on slow links the root lies outside,
// and balance need not be the minimum, so that both ends and the stationary points are tried too.
// Equal parties get exactly one half.
Ratio best_ratio(const SharedCost& cost, const Party& first, const Party& second, double least);

}  // namespace penstock::partition
