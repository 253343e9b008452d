#include "penstock/cluster/tuner.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "penstock/core/check.h"

namespace penstock::cluster {
namespace {

constexpr int kLongestInDefaults = 8;
// From nothing no doubling leads back.
constexpr Time kShortest{1'000'000'000};

// 1, 2, 3 to 4, 5 to 8, ...
int demand_class(int accelerators) {
  PENSTOCK_CHECK(accelerators > 0);
  return std::bit_width(static_cast<unsigned>(accelerators - 1));
}

// Whoever was granted at the moment at which another gave up was waiting beside him until then.
bool sooner(const WaitSample& a, const WaitSample& b) {
  return a.wait != b.wait ? a.wait < b.wait : a.gave_up < b.gave_up;
}

Time quantile_or_twice_longest(const std::vector<WaitSample>& by_wait, double quantile) {
  const Time tuned = kaplan_meier_quantile(by_wait, quantile);
  if (tuned < kNever) return tuned;
  return by_wait.back().wait + by_wait.back().wait;
}

Time mean_and_two_deviations(const std::vector<WaitSample>& by_wait) {
  double count = 0;
  double mean = 0;
  double squares = 0;
  for (const WaitSample& sample : by_wait) {  // Welford
    if (sample.gave_up) continue;
    const double ns = static_cast<double>(sample.wait.ns);
    const double off = ns - mean;
    mean += off / ++count;
    squares += off * (ns - mean);
  }
  const double deviation = count > 1 ? std::sqrt(squares / (count - 1)) : 0;
  return {std::llround(mean + 2 * deviation)};
}

}  // namespace

Time kaplan_meier_quantile(const std::vector<WaitSample>& sorted, double quantile) {
  double waiting = static_cast<double>(sorted.size());
  double survival = 1;
  for (const WaitSample& sample : sorted) {
    if (!sample.gave_up) survival *= (waiting - 1) / waiting;
    waiting -= 1;
    // Products of such fractions miss 1 - quantile by less than this.
    if (!sample.gave_up && survival <= 1 - quantile + 1e-9) return sample.wait;
  }
  return kNever;
}

DelayTuner::DelayTuner(const Settings& settings, Tuning tuning, Time interval)
    : settings_(settings), tuning_(tuning), interval_(interval) {}

Time DelayTuner::initial(Tier tier) const {
  PENSTOCK_CHECK(tier != Tier::kNetwork);
  return tier == Tier::kNode ? settings_.delay_node : settings_.delay_rack;
}

void DelayTuner::add(Tier tier, int accelerators, const WaitSample& sample) {
  if (tuning_ == Tuning::kNone) return;
  History& history = histories_[{tier, demand_class(accelerators)}];
  expire(tier, history, sample.at);
  if (history.samples.size() == static_cast<std::size_t>(settings_.tuner_window)) {
    drop_oldest(history);
  }
  history.samples.push_back(sample);
  std::vector<WaitSample>& by_wait = history.by_wait;
  by_wait.insert(std::upper_bound(by_wait.begin(), by_wait.end(), sample, sooner), sample);
  history.gave_up += sample.gave_up ? 1 : 0;
  retune(tier, history);
}

void DelayTuner::drop_oldest(History& history) {
  const WaitSample& oldest = history.samples.front();
  history.gave_up -= oldest.gave_up ? 1 : 0;
  history.by_wait.erase(
      std::lower_bound(history.by_wait.begin(), history.by_wait.end(), oldest, sooner));
  history.samples.pop_front();
}

void DelayTuner::expire(Tier tier, History& history, Time now) {
  while (!history.samples.empty() && history.samples.front().at + settings_.tuner_age < now) {
    drop_oldest(history);
    retune(tier, history);
  }
}

void DelayTuner::retune(Tier tier, History& history) {
  const auto size = static_cast<std::int64_t>(history.samples.size());
  const bool robust = tuning_ == Tuning::kQuantile;
  if ((robust ? size : size - history.gave_up) < settings_.tuner_confidence) {
    history.tuned.reset();
    return;
  }
  const Time target = robust ? quantile_or_twice_longest(history.by_wait, settings_.tuner_quantile)
                             : mean_and_two_deviations(history.by_wait);
  const Time initial = this->initial(tier);
  const Time last = history.tuned.value_or(initial);
  const Time steady = std::clamp(target, {last.ns / 2}, {last.ns * 2});
  const Time longest{initial.ns * kLongestInDefaults};
  history.tuned = std::min(longest, std::max({steady, interval_, kShortest}));
}

Timer DelayTuner::timer(Tier tier, int accelerators, Time now) {
  const auto found = histories_.find({tier, demand_class(accelerators)});
  if (found == histories_.end()) return {.value = initial(tier)};
  History& history = found->second;
  expire(tier, history, now);
  return {.value = history.tuned.value_or(initial(tier)),
          .samples = static_cast<int>(history.samples.size()),
          .gave_up = history.gave_up,
          .tuned = history.tuned.has_value()};
}

std::vector<WaitSample> DelayTuner::samples(Tier tier, int accelerators, Time now) const {
  const auto found = histories_.find({tier, demand_class(accelerators)});
  if (found == histories_.end()) return {};
  std::vector<WaitSample> recent;
  for (const WaitSample& sample : found->second.samples) {
    if (sample.at + settings_.tuner_age >= now) recent.push_back(sample);
  }
  return recent;
}

}  // namespace penstock::cluster
