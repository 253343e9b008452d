#include "penstock/plan/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace penstock::plan {
namespace {

using partition::Network;
using partition::NodeKind;

constexpr Seconds kDay{86400};

// "3.2x", or in percent where that reads better.
std::string factor_text(double ratio) {
  constexpr double kTwice = 1.95;  // two digits of percent end here
  if (ratio >= kTwice) return fmt::format("{:.{}f}x", ratio, ratio < 9.95 ? 1 : 0);
  return ratio < 1.001 ? "under 0.1 %" : fmt::format("{:.2g} %", 100 * (ratio - 1));
}

// `gain`: also says what the loser is better at.
std::string against(const Offer& offer, const Offer& best, const Goal& goal, bool gain) {
  const double dearer = offer.cost / best.cost;
  const double slower = offer.time / best.time;
  if (goal.wants_fastest()) {
    if (slower <= 1) return dearer > 1 ? "as fast, " + factor_text(dearer) + " dearer" : "as good";
    std::string text = factor_text(slower) + " slower";
    if (gain && dearer < 1) text += ", saves " + core::format_quantity(best.cost - offer.cost);
    return text;
  }
  if (dearer <= 1) return slower > 1 ? "as cheap, " + factor_text(slower) + " slower" : "as good";
  std::string text = factor_text(dearer) + " dearer";
  if (gain && slower < 1) text += fmt::format(", {} sooner", duration_text(best.time - offer.time));
  return text;
}

// A fleet of as many of the same devices for the same money an hour that is faster.
std::optional<int> better_joined(const std::vector<Candidate>& candidates,
                                 const std::vector<Offer>& offers, int index) {
  const Candidate& self = candidates[static_cast<std::size_t>(index)];
  std::optional<int> best;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& other = candidates[i];
    constexpr double kSamePrice = 1e-6;  // prices are given to a tenth of a cent
    const double ratio = (other.price * static_cast<double>(other.nodes)) /
                         (self.price * static_cast<double>(self.nodes));
    if (!offers[i].runs || other.instance.accelerator != self.instance.accelerator ||
        other.devices() != self.devices() || other.market != self.market ||
        std::abs(ratio - 1) > kSamePrice) {
      continue;
    }
    const Seconds bar = offers[static_cast<std::size_t>(best.value_or(index))].time;
    if (offers[i].time < bar) best = static_cast<int>(i);
  }
  return best;
}

std::string cut_text(const Cut& cut) {
  if (cut == Cut{}) return "whole";
  if (cut.in == 1 && cut.out == 1) return fmt::format("by batch {} ways", cut.batch);
  return fmt::format("{}x{}x{}", cut.batch, cut.in, cut.out);
}

struct Run {
  Cut cut;
  std::string first;
  std::string last;
  int layers = 0;
};

std::string run_text(const Run& run) {
  std::string who = run.first;
  if (run.layers == 2) who += " and " + run.last;
  if (run.layers > 2) who += fmt::format(" to {} ({} layers)", run.last, run.layers);
  return who + " " + cut_text(run.cut);
}

// Runs of equal parts folded into one each, most layers first.
std::string counts_text(std::vector<Run> runs) {
  std::vector<Run> folded;
  for (Run& run : runs) {
    const auto same =
        std::find_if(folded.begin(), folded.end(), [&](const Run& r) { return r.cut == run.cut; });
    if (same == folded.end()) {
      folded.push_back(std::move(run));
    } else {
      same->layers += run.layers;
    }
  }
  std::stable_sort(folded.begin(), folded.end(),
                   [](const Run& a, const Run& b) { return a.layers > b.layers; });
  constexpr std::size_t kShown = 5;
  std::string text;
  int rest = 0;
  for (std::size_t i = 0; i < folded.size(); ++i) {
    if (i >= kShown) {
      rest += folded[i].layers;
      continue;
    }
    text += fmt::format("{}{} {} {}", text.empty() ? "" : "; ", folded[i].layers,
                        folded[i].layers == 1 ? "layer" : "layers", cut_text(folded[i].cut));
  }
  if (rest > 0) text += fmt::format("; {} otherwise", rest);
  return text;
}

}  // namespace

std::string duration_text(Seconds time) {
  if (time < kDay || time >= 4 * kDay) return core::format_quantity(time);
  return fmt::format("{:.3g} h", time / Seconds(3600));
}

std::string goal_text(const Goal& goal) {
  if (!goal.finish_by && !goal.spend_at_most) return "as cheap as possible";
  if (!goal.spend_at_most) {
    return fmt::format("finish by {}, as cheap as possible", duration_text(*goal.finish_by));
  }
  const std::string money = core::format_quantity(*goal.spend_at_most);
  if (!goal.finish_by) return fmt::format("spend at most {}, as fast as possible", money);
  return fmt::format("finish by {} for at most {}", duration_text(*goal.finish_by), money);
}

std::string missed_text(const Offer& offer, const Goal& goal) {
  std::string text;
  if (goal.finish_by && offer.time > *goal.finish_by) {
    text = fmt::format("misses {} by {}", duration_text(*goal.finish_by),
                       duration_text(offer.time - *goal.finish_by));
  }
  if (goal.spend_at_most && offer.cost > *goal.spend_at_most) {
    text += fmt::format("{}costs {} over {}", text.empty() ? "" : ", ",
                        core::format_quantity(offer.cost - *goal.spend_at_most),
                        core::format_quantity(*goal.spend_at_most));
  }
  return text;
}

std::string verdict(const std::vector<Candidate>& candidates, const std::vector<Offer>& offers,
                    const Goal& goal, int index, std::optional<int> chosen) {
  const auto at = static_cast<std::size_t>(index);
  if (chosen == index) return "chosen";
  if (!offers[at].runs) return candidates[at].evaluation->refusal;
  const std::optional<int> joined = better_joined(candidates, offers, index);
  std::string text =
      meets(offers[at], goal)
          ? against(offers[at], offers[static_cast<std::size_t>(*chosen)], goal, !joined)
          : missed_text(offers[at], goal);
  if (joined) {
    const auto other = static_cast<std::size_t>(*joined);
    text += fmt::format("; same money as {}, {} slower", candidates[other].name,
                        factor_text(offers[at].time / offers[other].time));
  }
  const int idle = candidates[at].devices() - candidates[at].devices_used();
  if (idle > 0) {
    text += fmt::format("; {} of {} devices idle", idle, candidates[at].devices());
  }
  return text;
}

Cut cut_of(const partition::PartitionPlan& plan, int node) {
  const partition::MeshPlan& mesh = plan.tree.meshes.front();
  if (mesh.states.empty()) return {};
  const partition::MeshSpace space(plan.array.groups.front(), mesh.devices);
  const partition::MeshState& state = mesh.states[static_cast<std::size_t>(node)];
  return {space.parts(state.rows), space.parts(state.in), space.parts(state.out)};
}

std::string split_text(const Network& network, const partition::PartitionPlan& plan) {
  std::vector<Run> runs;
  for (std::size_t v = 0; v < network.nodes.size(); ++v) {
    if (network.nodes[v].kind != NodeKind::kLayer) continue;
    const Cut cut = cut_of(plan, static_cast<int>(v));
    if (runs.empty() || runs.back().cut != cut) runs.push_back({cut, network.nodes[v].name, "", 0});
    runs.back().last = network.nodes[v].name;
    ++runs.back().layers;
  }
  constexpr std::size_t kMostRuns = 6;
  if (runs.size() > kMostRuns) return counts_text(std::move(runs));
  std::string text;
  for (const Run& run : runs) text += (text.empty() ? "" : "; ") + run_text(run);
  return text;
}

}  // namespace penstock::plan
