// A loader's own cache of encoded samples, shared by its workers and bounded in bytes.
//
//   const std::unique_ptr<SampleCache> cache = make_minio_cache(Bytes(1e9));
//   if (const CachedBytes bytes = cache->find(sample)) ... a hit ...
//   else cache->offer(sample, read_bytes);
//
// Every epoch reads each sample once in a new order. MinIO (CoorDL, PVLDB 14(5)) never evicts once
// it is full: of a share x of the data it hits exactly x. LRU, which evicts what the epoch has yet
// to read, hits x + (1-x) ln(1-x).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "penstock/core/quantity.h"

namespace penstock::loader {

using CachedBytes = std::shared_ptr<const std::vector<std::uint8_t>>;

struct CacheCounters {
  std::int64_t hits = 0;
  std::int64_t misses = 0;
  std::int64_t evictions = 0;
  std::int64_t samples = 0;  // held now
  std::int64_t bytes = 0;    // of these
};

class SampleCache {
 public:
  virtual ~SampleCache() = default;
  virtual CachedBytes find(std::int64_t sample) = 0;  // counts a hit or a miss
  // May keep a copy. Safe to call from all workers, as is find().
  virtual void offer(std::int64_t sample, std::span<const std::uint8_t> bytes) = 0;
  virtual CacheCounters counters() const = 0;
};

std::unique_ptr<SampleCache> make_minio_cache(Bytes capacity);
std::unique_ptr<SampleCache> make_lru_cache(Bytes capacity);

}  // namespace penstock::loader
