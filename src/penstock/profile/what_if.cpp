#include "penstock/profile/what_if.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "penstock/core/check.h"

namespace penstock::profile {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
constexpr int kParts = 50;  // of an epoch, in which the share of hits changes

Overlap communication(const PipelineFacts& facts, const Conditions& conditions) {
  if (facts.ranks < 2 || facts.gradient_bytes.empty()) return {};
  const auto cost = [&](double bytes) { return ring_time(conditions.link, facts.ranks, bytes); };
  const double backward = conditions.overlap ? facts.backward_s : 0;
  const auto tensors = evenly_ready(facts.gradient_bytes, backward);
  return overlap_of(fill_buckets(tensors, conditions.buckets), backward, cost);
}

double cached_fraction(const PipelineFacts& facts, const Conditions& conditions) {
  if (facts.dataset_bytes <= 0) return 1;
  return std::min(1.0, conditions.cache_bytes / facts.dataset_bytes);
}

// `hits` of equal parts of an epoch. Queues hold far less than such a part, so that each runs at
// the rate of what binds in it.
Prediction predict_with_hits(const PipelineFacts& facts, const Conditions& conditions,
                             const std::vector<double>& hits) {
  PENSTOCK_CHECK(facts.step_s > 0);
  PENSTOCK_CHECK(!hits.empty());
  const auto parts = static_cast<double>(hits.size());
  Prediction prediction;
  for (const double h : hits) prediction.hits += h / parts;
  const Overlap overlap = communication(facts, conditions);
  prediction.exposed_s = overlap.exposed_s;
  const double samples = facts.batch * facts.ranks;
  const double training = samples / (facts.step_s + overlap.exposed_s);
  prediction.rates.push_back({"compute", samples / facts.step_s});
  if (overlap.busy_s > 0) prediction.rates.push_back({"link", samples / overlap.busy_s});
  prediction.samples_per_s = training;
  prediction.binds = overlap.busy_s > facts.step_s ? "link" : "compute";
  if (facts.prep_cpu_s <= 0) return prediction;
  const double prep = conditions.cores / facts.prep_cpu_s;
  prediction.rates.push_back({"prep", prep});
  if (prep < prediction.samples_per_s) {
    prediction.samples_per_s = prep;
    prediction.binds = "prep";
  }
  const auto fetch = [&](double h) {
    return fetch_rate(h, facts.sample_bytes, facts.memory_bytes_per_s, conditions.disk_bytes_per_s);
  };
  double seconds = 0;  // of one sample, on average
  double waiting = 0;  // the share of them in which the fetch binds
  for (const double h : hits) {
    const double rate = std::min(fetch(h), prediction.samples_per_s);
    seconds += 1 / (rate * parts);
    if (rate < prediction.samples_per_s) waiting += 1 / (rate * parts);
  }
  const double mean = fetch(prediction.hits);
  if (std::isfinite(mean)) prediction.rates.push_back({"fetch", mean});
  prediction.samples_per_s = 1 / seconds;
  if (waiting > seconds / 2) prediction.binds = "fetch";
  return prediction;
}

double gain_of(const PipelineFacts& facts, const Conditions& now, const Conditions& more) {
  return predict(facts, more).samples_per_s - predict(facts, now).samples_per_s;
}

}  // namespace

double fetch_rate(double hits, double sample_bytes, double memory_bytes_per_s,
                  double disk_bytes_per_s) {
  double seconds = 0;
  if (memory_bytes_per_s > 0) seconds += hits * sample_bytes / memory_bytes_per_s;
  if (disk_bytes_per_s > 0) seconds += (1 - hits) * sample_bytes / disk_bytes_per_s;
  return seconds > 0 ? 1 / seconds : kInfinite;
}

Prediction predict(const PipelineFacts& facts, const Conditions& conditions) {
  return predict_with_hits(
      facts, conditions,
      hit_profile(conditions.policy, cached_fraction(facts, conditions), kParts));
}

Prediction predict_as_ds_analyzer(const PipelineFacts& facts, const Conditions& conditions) {
  const double fraction = cached_fraction(facts, conditions);
  return predict_with_hits(facts, conditions,
                           {conditions.policy == CachePolicy::kNone ? 0 : fraction});
}

int cores_to_hide_prep(const PipelineFacts& facts, const Conditions& conditions) {
  Conditions unlimited = conditions;
  unlimited.cores = kInfinite;
  const double rest = predict(facts, unlimited).samples_per_s;
  // A rate that is an exact multiple must not ask for one core more by rounding.
  return std::max(1, static_cast<int>(std::ceil(rest * facts.prep_cpu_s - 1e-9)));
}

double cache_to_hide_fetch(const PipelineFacts& facts, const Conditions& conditions) {
  Conditions then = conditions;
  then.disk_bytes_per_s = 0;
  constexpr double kAsGood = 0.99;
  const double wanted = kAsGood * predict(facts, then).samples_per_s;
  then.disk_bytes_per_s = conditions.disk_bytes_per_s;
  const auto is_enough = [&](double bytes) {
    then.cache_bytes = bytes;
    return predict(facts, then).samples_per_s >= wanted;
  };
  if (is_enough(0)) return 0;
  double low = 0;
  double high = facts.dataset_bytes;
  const double enough = 1e-3 * facts.dataset_bytes;  // the simulated curves are no finer
  while (high - low > enough) {
    const double middle = (low + high) / 2;
    (is_enough(middle) ? high : low) = middle;
  }
  return high;
}

Elasticities elasticities(const PipelineFacts& facts, const Conditions& conditions) {
  Elasticities gains;
  Conditions more = conditions;
  more.cores += 1;
  gains.per_core = gain_of(facts, conditions, more);
  more = conditions;
  more.cache_bytes += 1e9;
  gains.per_cache_gb = gain_of(facts, conditions, more);
  if (conditions.disk_bytes_per_s > 0) {
    more = conditions;
    more.disk_bytes_per_s += 1e6;
    gains.per_disk_mb_per_s = gain_of(facts, conditions, more);
  }
  if (conditions.link.beta_bytes_per_s > 0) {
    more = conditions;
    more.link.beta_bytes_per_s += 1e9 / 8;
    gains.per_link_gbit_per_s = gain_of(facts, conditions, more);
  }
  return gains;
}

}  // namespace penstock::profile
