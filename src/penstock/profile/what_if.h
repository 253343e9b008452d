// What training would reach with other cores, disks, caches, links and buckets.
//
//   const Prediction now = predict(facts, conditions);
//   Conditions more = conditions;
//   more.cores += 2;
//   const double gain = predict(facts, more).samples_per_s / now.samples_per_s - 1;
//
// Max-plus over the pipeline: X = min(G, P(cores), F(hits, disk)), where G holds the communication
// that the backward pass does not hide (overlap.h), and hits come from the policy's curve
// (hit_curves.h), not from the fraction that fits. Hits come early in an epoch, so that another
// resource may bind at its beginning and the disk at its end: X is the mean over the epoch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/core/result.h"
#include "penstock/profile/hit_curves.h"
#include "penstock/profile/overlap.h"
#include "penstock/profile/stalls.h"

namespace penstock::profile {

// What was measured of a job; it stays when the conditions change.
struct PipelineFacts {
  double batch = 0;  // of one rank
  int ranks = 1;
  double step_s = 0;                         // of every rank at once, without communication
  double backward_s = 0;                     // of it
  std::vector<std::int64_t> gradient_bytes;  // in the order of the forward pass
  double prep_cpu_s = 0;                     // of one core for one sample; 0: synthetic data
  double sample_bytes = 0;
  double dataset_bytes = 0;
  double memory_bytes_per_s = 0;  // reads that hit; 0: as good as free
};

struct Conditions {
  double cores = 1;             // that prepare data, over all ranks
  double disk_bytes_per_s = 0;  // 0: as good as infinite
  CachePolicy policy = CachePolicy::kPageCache;
  double cache_bytes = 0;
  LinkModel link;  // between nodes, or between ranks on one
  bool overlap = true;
  BucketLimits buckets;
};

struct Prediction {
  double hits = 0;
  double exposed_s = 0;             // communication that shows in a step
  std::vector<ResourceRate> rates;  // "compute", "link", "prep", "fetch": those that apply
  double samples_per_s = 0;
  std::string binds;
};

Prediction predict(const PipelineFacts& facts, const Conditions& conditions);
// The same with DS-Analyzer's rule that hits are the fraction that fits (VLDB 2021; 2.2 of the
// room page).
Prediction predict_as_ds_analyzer(const PipelineFacts& facts, const Conditions& conditions);

// The rate at which a storage with this share of hits delivers: T_f = hD/C + (1-h)D/S.
double fetch_rate(double hits, double sample_bytes, double memory_bytes_per_s,
                  double disk_bytes_per_s);

// The smallest share of hits at which the fetch keeps up with `wanted` samples/s:
// (1/S - 1/M)/(1/S - 1/C), in [0, 1].
double hits_wanted(double wanted, double disk_samples_per_s, double memory_samples_per_s);
// The smallest fraction of the data set that must fit for that share of hits.
double fraction_for_hits(CachePolicy policy, double hits);

// The cores that prepare as fast as the rest trains.
int cores_to_hide_prep(const PipelineFacts& facts, const Conditions& conditions);

// What to buy next: samples/s gained by one more of each.
struct Elasticities {
  double per_core = 0;
  double per_cache_gb = 0;
  double per_disk_mb_per_s = 0;
  double per_link_gbit_per_s = 0;
};
Elasticities elasticities(const PipelineFacts& facts, const Conditions& conditions);

// A prediction held against the real loader, which a cache and a limit of its reads throttle.
struct ValidationCase {
  CachePolicy policy = CachePolicy::kMinio;
  double fraction = 0;          // of the data set that the cache holds
  double disk_bytes_per_s = 0;  // limit
  double predicted = 0;         // samples/s in steady epochs
  double as_ds_analyzer = 0;
  double measured = 0;
};

struct ValidationOptions {
  std::string data;
  CachePolicy policy = CachePolicy::kLru;  // or kMinio: those that the loader has
  std::vector<double> fractions = {0.2, 0.35, 0.5, 0.65, 0.8};
  std::vector<double> disk_shares = {0.1, 0.2, 0.4};  // of what the loader alone reads
  int workers = 2;
  std::int64_t batch = 16;
  std::uint64_t seed = 0;
  bool progress = false;
};

// The loader alone in every combination; one epoch is counted after two that fill the cache.
Result<std::vector<ValidationCase>> validate_caches(const ValidationOptions& options);

}  // namespace penstock::profile
