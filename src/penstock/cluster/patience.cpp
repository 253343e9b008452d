#include <algorithm>
#include <cmath>

#include "penstock/cluster/policy.h"

namespace penstock::cluster {
namespace {

constexpr std::size_t kNode = static_cast<std::size_t>(Tier::kNode);
constexpr std::size_t kRack = static_cast<std::size_t>(Tier::kRack);
constexpr std::size_t kNetwork = static_cast<std::size_t>(Tier::kNetwork);

Time sum(Time a, Time b) { return std::min(kNever, a + b); }

Time scaled(Time time, double factor) {
  const double ns = static_cast<double>(time.ns) * factor;
  return ns < static_cast<double>(kNever.ns) ? Time{std::llround(ns)} : kNever;
}

Patience none(const WaitView& /*view*/, const Settings& /*settings*/) { return {}; }

Patience consolidated(const WaitView& /*view*/, const Settings& /*settings*/) {
  return {kNever, kNever};
}

// Gu et al., Tiresias, NSDI 2019, 3.3: what a job loses when spread is decided by its largest
// tensor. A job that does not tell its tensors is taken as even.
Patience tiresias(const WaitView& view, const Settings& settings) {
  if (view.skew <= 0 || view.skew < settings.skew) return {};
  return {kNever, kNever};
}

// sbatch --switches=1@slurm-wait: one leaf switch, which is a rack, or after the wait anything.
Patience slurm(const WaitView& /*view*/, const Settings& settings) {
  return {Time{}, settings.slurm_wait};
}

Patience manual(const WaitView& /*view*/, const Settings& settings) {
  return {settings.delay_node, sum(settings.delay_node, settings.delay_rack)};
}

Patience tuned(const WaitView& view, const Settings& /*settings*/) {
  return {view.timer[kNode], sum(view.timer[kNode], view.timer[kRack])};
}

// Ski rental (Karlin et al., Algorithmica 1988): whoever waits until the wait has cost what
// accepting would lose, pays at most twice what he would have paid with foresight.
Patience priced(const WaitView& view, const Settings& settings) {
  const double best = view.slowdown[static_cast<std::size_t>(view.best)];
  const auto loss = [&](std::size_t tier) {
    return scaled(view.job.remaining, std::max(0.0, view.slowdown[tier] / best - 1));
  };
  const auto capped = [&](Time wait, Time delays) {
    return std::min(wait, scaled(delays, settings.price_cap));
  };
  const Time rack = capped(loss(kRack), settings.delay_node);
  const Time both = sum(settings.delay_node, settings.delay_rack);
  return {rack, std::max(rack, capped(loss(kNetwork), both))};
}

std::vector<PatienceRule> make_rules() {
  std::vector<PatienceRule> rules;
  rules.push_back({.name = "count",
                   .summary = "any free accelerators; placement is not looked at",
                   .by_count = true,
                   .patience = none});
  rules.push_back(
      {.name = "no-wait", .summary = "the densest placement there is, at once", .patience = none});
  rules.push_back({.name = "anew",
                   .summary = "every decision places all jobs anew; one that lands elsewhere "
                              "restarts, as under Tiresias' and Muri's schedulers",
                   .anew = true,
                   .patience = none});
  rules.push_back({.name = "consolidated",
                   .summary = "waits for the closest tier however long it takes",
                   .patience = consolidated});
  rules.push_back({.name = "tiresias",
                   .summary = "as consolidated for jobs with one dominant tensor, else no-wait",
                   .patience = tiresias});
  rules.push_back(
      {.name = "slurm", .summary = "one rack for slurm-wait, then anything", .patience = slurm});
  rules.push_back({.name = "manual",
                   .summary = "one node for delay-node, one rack for delay-rack, then anything",
                   .patience = manual});
  rules.push_back({.name = "auto",
                   .summary = "as manual, delays from a quantile of recent waits",
                   .tuning = Tuning::kQuantile,
                   .patience = tuned});
  rules.push_back({.name = "auto-mean",
                   .summary = "as manual, delays from mean + 2 sd of recent waits",
                   .tuning = Tuning::kMeanAndDeviation,
                   .patience = tuned});
  rules.push_back({.name = "priced",
                   .summary = "as long as the wait is shorter than what accepting would lose",
                   .patience = priced});
  return rules;
}

}  // namespace

const std::vector<PatienceRule>& patience_rules() {
  static const std::vector<PatienceRule> all = make_rules();
  return all;
}

Patience patience_of(const Policy& policy, const WaitView& view) {
  if (view.best == Tier::kNetwork) return {};
  Patience patience = policy.rule.patience(view, policy.settings);
  if (view.best == Tier::kNode) return patience;
  // The rack's clock starts at once.
  if (patience.until_network < kNever) {
    patience.until_network = patience.until_network - patience.until_rack;
  }
  patience.until_rack = {};
  return patience;
}

}  // namespace penstock::cluster
