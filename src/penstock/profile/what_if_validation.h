// Predictions of what-if (profile/what_if.h) held against the real thing under a throttle.
//
//   PENSTOCK_TRY(const std::vector<ThrottledCase> cases, validate_workers({.data = "photos"}));
//   for (const ThrottledCase& one : cases) print(one.conditions, one.predicted, one.measured);
//
// Caches and disks are the loader's own limits; workers and cores are taken from the loader; links
// are limited by the kernel's token bucket between network namespaces, where that can be had, and
// by rate and delay in the transport. What was measured without a throttle predicts the rest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/core/result.h"
#include "penstock/profile/train_profile.h"
#include "penstock/profile/what_if.h"

namespace penstock::profile {

// A cache of the loader and a limit of its reads.
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
  // As the loader counts them; 0: the JPEG files below the folder.
  std::int64_t dataset_samples = 0;
  double dataset_bytes = 0;
  CachePolicy policy = CachePolicy::kLru;  // or kMinio: those that the loader has
  std::vector<double> fractions = {0.2, 0.35, 0.5, 0.65, 0.8};
  std::vector<double> disk_shares = {0.1, 0.2, 0.4};  // of what the loader alone reads
  int workers = 2;
  std::int64_t batch = 16;
  std::uint64_t seed = 0;
  std::string loader_program;  // empty: this program
  bool progress = false;
};

// The loader alone in every combination; one epoch is counted after two that fill the cache.
Result<std::vector<ValidationCase>> validate_caches(const ValidationOptions& options);

// Any other throttle, in words.
struct ThrottledCase {
  std::string conditions;  // "2 workers on 1 core"
  double predicted = 0;    // samples/s
  double measured = 0;
};

// The loader alone with fewer and more workers than cores, on all cores and on fewer, from what one
// worker does; four epochs each, after one that warms the page cache. Of `options` neither caches
// nor disks.
Result<std::vector<ThrottledCase>> validate_workers(const ValidationOptions& options);

struct LinkValidationOptions {
  std::string model;                           // an ONNX file that is trained
  EmulatedProfile emulate;                     // where there is no model
  std::int64_t batch = 32;                     // of a rank; of the model only
  int ranks = 2;                               // each a node of its own
  std::vector<double> rates = {125e6, 500e6};  // bytes/s
  std::vector<double> delays_s = {100e-6, 2e-3};
  std::vector<std::int64_t> bucket_bytes = {25 << 20, 1 << 20};
  std::int64_t steps = 8;
  std::uint64_t seed = 0;
  bool progress = false;
};

// Training over every combination of rate, delay and bucket, and over every rate alone, from what
// the ranks do without summing gradients.
Result<std::vector<ThrottledCase>> validate_links(const LinkValidationOptions& options);

}  // namespace penstock::profile
