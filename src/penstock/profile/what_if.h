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

// The cores that prepare as fast as the rest trains.
int cores_to_hide_prep(const PipelineFacts& facts, const Conditions& conditions);
// The least cache with which the disk costs no more than 1 % of the rate. Bytes, at
// most the data set's.
double cache_to_hide_fetch(const PipelineFacts& facts, const Conditions& conditions);

// What to buy next: samples/s gained by one more of each.
struct Elasticities {
  double per_core = 0;
  double per_cache_gb = 0;
  double per_disk_mb_per_s = 0;
  double per_link_gbit_per_s = 0;
};
Elasticities elasticities(const PipelineFacts& facts, const Conditions& conditions);

}  // namespace penstock::profile
