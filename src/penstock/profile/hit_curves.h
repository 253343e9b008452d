// How many reads a cache saves when every epoch reads a fresh random permutation of the data.
//
//   const double hits = hit_ratio(CachePolicy::kPageCache, 0.35);    // of the data fit: 0.13
//   // DS-Analyzer's rule says 0.35, which holds for MinIO alone
//
// LRU in closed form; the others, and LRU as a check, by simulation. The Linux page cache is
// simulated as the kernel's two lists with its working-set detection (mm/vmscan.c, mm/workingset.c;
// see hit_curves.cpp).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/core/result.h"

namespace penstock::profile {

enum class CachePolicy {
  kNone,
  kMinio,  // never evicts (CoorDL, VLDB 2021)
  kLru,
  kFifo,
  kRandom,     // evicts any
  kPageCache,  // Linux
};
std::string_view cache_policy_name(CachePolicy policy);  // "none", "minio", "lru", "fifo",
                                                         // "random", "page"
Result<CachePolicy> cache_policy_from_name(std::string_view name);

// The share of reads that hit in the steady state, where `fraction` of the data set fits.
double hit_ratio(CachePolicy policy, double fraction);
// The same for each of `places` equal parts of an epoch: what an epoch read last is what the next
// one finds, so that all but MinIO hit at an epoch's beginning and miss at its end.
std::vector<double> hit_profile(CachePolicy policy, double fraction, int places);

// x + (1-x) ln(1-x): an item hits if fewer than xN distinct items were read since, and between two
// reads in consecutive permutations at places a and b that is 1-(1-a)(1-b) of them.
double lru_hit_ratio(double fraction);

struct HitSimulation {
  int items = 4000;
  int epochs = 8;
  int warmup_epochs = 3;  // not counted
  std::uint64_t seed = 0;
};
double simulated_hit_ratio(CachePolicy policy, int cached_items, const HitSimulation& simulation);
std::vector<double> simulated_hit_profile(CachePolicy policy, int cached_items, int places,
                                          const HitSimulation& simulation);

struct PageCacheMeasurement {
  double fraction = 0;  // of the data that the group's memory limit holds
  double hits = 0;      // of bytes, mean of the counted epochs, which may swing widely
};

struct PageCacheOptions {
  std::string folder;  // on the disk in question; the file made there is removed
  std::int64_t file_bytes = 256 << 20;
  std::int64_t read_bytes = 128 << 10;  // as large as an image of ImageNet
  int epochs = 10;
  int warmup_epochs = 2;
  std::vector<double> fractions = {0.25, 0.375, 0.5, 0.625, 0.75, 0.875};
  std::uint64_t seed = 0;
};

// The page cache of this machine: a file read in random permutations by a process whose memory, and
// with it its cache, a control group limits (version 1 or 2). Hits are what the kernel did not read
// from storage. Needs root.
Result<std::vector<PageCacheMeasurement>> measure_page_cache(const PageCacheOptions& options);

}  // namespace penstock::profile
