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

}  // namespace penstock::profile
