// Jobs that share uplinks, as a fluid: each link's bandwidth goes to the flows over it in max-min
// fair shares, and only what an arriving or leaving flow touches is computed anew.
//
//   FairShare links({capacity_of_node0_uplink, ...});
//   const FlowId flow = links.add({0, 3}, 2.5e9);        // crosses links 0 and 3, wants 2.5 GB/s
//   for (const FlowId f : links.changed()) rate(f) = links.share(f);   // in (0, 1]
//
// A flow asks `demand` of each of its links and has one rate everywhere; no flow gets more than it
// asks. Progressive filling (Bertsekas and Gallager, Data Networks, 6.5.2): all rates grow together
// until a link is full or a demand is met.
#pragma once

#include <cstdint>
#include <vector>

namespace penstock::cluster {

class FairShare {
 public:
  using FlowId = std::int32_t;
  explicit FairShare(std::vector<double> capacities);

  // `links` in ascending order, none twice, not empty; demand > 0. Ids are reused after remove().
  FlowId add(const std::vector<std::int32_t>& links, double demand);
  void remove(FlowId flow);
  // rate / demand, in (0, 1]
  double share(FlowId flow) const;
  // Flows whose share the calls since the last clear_changed() have changed, ascending; flows that
  // were removed since are not among them.
  const std::vector<FlowId>& changed();
  void clear_changed();
  // Of one link, the sum of rates over its capacity.
  double use(std::int32_t link) const;

 private:
  struct Flow;
  struct LinkState;
};

}  // namespace penstock::cluster
