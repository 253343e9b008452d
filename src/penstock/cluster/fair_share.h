// Jobs that share uplinks, as a fluid: each link's bandwidth goes to the flows over it in max-min
// fair shares, and only what an arriving or leaving flow touches is computed anew.
//
//   FairShare links({capacity_of_node0_uplink, ...});
//   const FlowId flow = links.add({0, 3}, 2.5e9);        // crosses links 0 and 3, wants 2.5 GB/s
//   for (const FlowId f : links.changed()) rate(f) = links.share(f);   // in (0, 1]
//
// A flow asks `demand` of each of its links and has one rate everywhere; no flow gets more than it
// asks. Progressive filling (Bertsekas and Gallager, Data Networks, 6.5.2): all rates grow together
// until a link is full or a demand is met. A link that could meet all its demands binds nobody, so
// it joins no flows: what is computed anew are the flows that links over their capacity join.
// Shares depend on the flows that are there, not on what came and went before.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

namespace penstock::cluster {

class FairShare {
 public:
  using FlowId = std::int32_t;
  explicit FairShare(const std::vector<double>& capacities);  // each above 0

  // `links` in ascending order, none twice, not empty; demand > 0. Ids are reused after remove().
  FlowId add(const std::vector<std::int32_t>& links, double demand);
  void remove(FlowId flow);
  // rate / demand, in (0, 1]
  double share(FlowId flow) const { return flows_[static_cast<std::size_t>(flow)].share; }
  // Flows whose share is not what it was at the last clear_changed(), new flows among them,
  // ascending. Differences of rounding (below 1e-12 of the share) are none.
  const std::vector<FlowId>& changed();
  void clear_changed();
  // Of one link, the sum of rates over its capacity.
  double use(std::int32_t link) const;

 private:
  struct Flow {
    std::vector<std::int32_t> links;
    double demand = 0;
    double share = 0;
    double before = 0;  // share at the last clear_changed(); 0: was not there
    std::uint64_t seen = 0;
    bool live = false;
    bool touched = false;  // is in touched_
    bool fixed = false;    // of the filling in progress
  };
  struct LinkState {
    double capacity = 0;
    std::vector<FlowId> flows;  // ascending, so that sums are the same whatever came before
    bool tight = false;         // demands exceed the capacity
    std::uint64_t seen = 0;
    double left = 0;  // of the filling in progress, as is `open`
    std::int32_t open = 0;
  };

  // The rate of the flows still growing at which a link is full.
  struct Filling {
    double at = 0;
    std::int32_t link = 0;
    auto operator<=>(const Filling&) const = default;
  };

  Flow& flow_at(FlowId flow) { return flows_[static_cast<std::size_t>(flow)]; }
  LinkState& link_at(std::int32_t link) { return links_[static_cast<std::size_t>(link)]; }
  void weigh(LinkState& link) const;
  void touch(FlowId flow);
  void begin_component();
  void reach(FlowId flow);
  void grow_component();
  void fill_component();
  double next_full_at();
  void fix(FlowId flow, double rate);

  std::vector<Flow> flows_;
  std::vector<LinkState> links_;
  std::vector<FlowId> free_ids_;
  std::vector<FlowId> touched_;
  std::vector<FlowId> changed_;
  // The connected component being computed.
  std::uint64_t round_ = 0;
  std::vector<FlowId> component_;
  std::vector<std::int32_t> component_links_;
  std::vector<Filling> filling_;  // a heap
};

}  // namespace penstock::cluster
