#include "penstock/cluster/fair_share.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "penstock/core/check.h"

namespace penstock::cluster {

FairShare::FairShare(const std::vector<double>& capacities) : links_(capacities.size()) {
  for (std::size_t i = 0; i < capacities.size(); ++i) {
    PENSTOCK_CHECK(capacities[i] > 0);
    links_[i].capacity = capacities[i];
  }
}

void FairShare::weigh(LinkState& link) const {
  double demand = 0;
  for (const FlowId flow : link.flows) demand += flows_[static_cast<std::size_t>(flow)].demand;
  link.tight = demand > link.capacity;
}

void FairShare::touch(FlowId id) {
  Flow& flow = flow_at(id);
  if (flow.touched) return;
  flow.touched = true;
  flow.before = flow.share;
  touched_.push_back(id);
}

FairShare::FlowId FairShare::add(const std::vector<std::int32_t>& links, double demand) {
  PENSTOCK_CHECK(!links.empty());
  PENSTOCK_CHECK(demand > 0);
  if (free_ids_.empty()) {
    free_ids_.push_back(static_cast<FlowId>(flows_.size()));
    flows_.emplace_back();
  }
  const FlowId id = free_ids_.back();
  free_ids_.pop_back();
  Flow& flow = flow_at(id);
  flow.links = links;
  flow.demand = demand;
  flow.share = 0;
  flow.live = true;
  touch(id);
  flow.before = 0;  // the id's last owner is another flow
  begin_component();
  for (const std::int32_t index : links) {
    LinkState& link = link_at(index);
    link.flows.insert(std::upper_bound(link.flows.begin(), link.flows.end(), id), id);
    weigh(link);
  }
  reach(id);
  grow_component();
  fill_component();
  return id;
}

void FairShare::remove(FlowId id) {
  Flow& flow = flow_at(id);
  PENSTOCK_CHECK(flow.live);
  flow.live = false;
  begin_component();
  for (const std::int32_t index : flow.links) {
    LinkState& link = link_at(index);
    link.flows.erase(std::lower_bound(link.flows.begin(), link.flows.end(), id));
    // Who was held back by this flow may now grow, even where the link no longer binds.
    if (link.tight) {
      for (const FlowId other : link.flows) reach(other);
    }
    weigh(link);
  }
  free_ids_.push_back(id);
  grow_component();
  fill_component();
}

void FairShare::begin_component() {
  ++round_;
  component_.clear();
  component_links_.clear();
}

void FairShare::reach(FlowId id) {
  Flow& flow = flow_at(id);
  if (flow.seen == round_) return;
  flow.seen = round_;
  flow.fixed = false;
  component_.push_back(id);
}

void FairShare::grow_component() {
  for (std::size_t next = 0; next < component_.size(); ++next) {
    for (const std::int32_t index : flow_at(component_[next]).links) {
      LinkState& link = link_at(index);
      if (!link.tight || link.seen == round_) continue;
      link.seen = round_;
      link.left = link.capacity;
      link.open = static_cast<std::int32_t>(link.flows.size());
      component_links_.push_back(index);
      for (const FlowId other : link.flows) reach(other);
    }
  }
}

void FairShare::fix(FlowId id, double rate) {
  Flow& flow = flow_at(id);
  flow.fixed = true;
  const double share = std::min(1.0, rate / flow.demand);
  if (share != flow.share) {
    touch(id);
    flow.share = share;
  }
  for (const std::int32_t index : flow.links) {
    LinkState& link = link_at(index);
    if (link.seen != round_) continue;
    link.left -= rate;
    --link.open;
  }
}

void FairShare::fill_component() {
  // In an order that depends on the flows alone, so that rounding does too.
  std::sort(component_links_.begin(), component_links_.end());
  std::sort(component_.begin(), component_.end(), [this](FlowId a, FlowId b) {
    const double da = flow_at(a).demand;
    const double db = flow_at(b).demand;
    return da < db || (da == db && a < b);
  });
  filling_.clear();
  for (const std::int32_t index : component_links_) {
    const LinkState& link = link_at(index);
    filling_.push_back({link.left / link.open, index});
  }
  std::make_heap(filling_.begin(), filling_.end(), std::greater<>());
  double level = 0;
  for (auto next = component_.begin(); next != component_.end();) {
    // Rates only grow; rounding must not say otherwise.
    level = std::max(level, next_full_at());
    for (; next != component_.end(); ++next) {
      if (flow_at(*next).fixed) continue;
      if (flow_at(*next).demand > level) break;
      fix(*next, flow_at(*next).demand);
    }
    if (next == component_.end()) return;
    // Demands met since then left more to the others: the link is full later, or another is first.
    if (next_full_at() > level) continue;
    for (const FlowId flow : link_at(filling_.front().link).flows) {
      if (!flow_at(flow).fixed) fix(flow, level);
    }
  }
}

// A link is full at a rate that only grows while flows are fixed, so a stale entry is too low, and
// the first that is not stale is the minimum.
double FairShare::next_full_at() {
  while (!filling_.empty()) {
    const Filling first = filling_.front();
    const LinkState& link = link_at(first.link);
    const double at = link.open == 0 ? 0 : link.left / link.open;
    if (link.open > 0 && at <= first.at) return first.at;
    std::pop_heap(filling_.begin(), filling_.end(), std::greater<>());
    if (link.open == 0) {
      filling_.pop_back();
    } else {
      filling_.back().at = at;
      std::push_heap(filling_.begin(), filling_.end(), std::greater<>());
    }
  }
  return std::numeric_limits<double>::infinity();
}

const std::vector<FairShare::FlowId>& FairShare::changed() {
  constexpr double kRounding = 1e-12;
  changed_.clear();
  for (const FlowId id : touched_) {
    const Flow& flow = flow_at(id);
    if (flow.live && std::abs(flow.share - flow.before) > kRounding * flow.share) {
      changed_.push_back(id);
    }
  }
  std::sort(changed_.begin(), changed_.end());
  return changed_;
}

void FairShare::clear_changed() {
  for (const FlowId id : touched_) flow_at(id).touched = false;
  touched_.clear();
}

double FairShare::use(std::int32_t index) const {
  const LinkState& link = links_[static_cast<std::size_t>(index)];
  double rate = 0;
  for (const FlowId id : link.flows) {
    const Flow& flow = flows_[static_cast<std::size_t>(id)];
    rate += flow.share * flow.demand;
  }
  return rate / link.capacity;
}

}  // namespace penstock::cluster
