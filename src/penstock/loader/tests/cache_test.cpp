// Hits of the two caches, exactly and against the closed forms.
#include "penstock/loader/cache.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <thread>

#include "penstock/core/random.h"

namespace penstock::loader {
namespace {

constexpr std::int64_t kBytes = 10;  // of every sample

// Reads each sample once, in an order of the epoch's own, as a loader does.
void read_epoch(SampleCache& cache, std::int64_t samples, int epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(samples));
  std::iota(order.begin(), order.end(), 0);
  core::RandomStream random(static_cast<std::uint64_t>(epoch), "order");
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  const std::vector<std::uint8_t> bytes(kBytes);
  for (const std::int64_t sample : order) {
    if (!cache.find(sample)) cache.offer(sample, bytes);
  }
}

std::int64_t hits_of_epoch(SampleCache& cache, std::int64_t samples, int epoch) {
  const std::int64_t before = cache.counters().hits;
  read_epoch(cache, samples, epoch);
  return cache.counters().hits - before;
}

TEST(CacheTest, MinioHitsExactlyWhatFitsInEveryEpochButTheFirst) {
  for (const std::int64_t capacity : {0, 9, 10, 355, 999, 1000, 5000}) {
    const auto cache = make_minio_cache(Bytes(static_cast<double>(capacity)));
    EXPECT_EQ(hits_of_epoch(*cache, 100, 0), 0);
    const std::int64_t fits = std::min<std::int64_t>(100, capacity / kBytes);
    for (int epoch = 1; epoch < 4; ++epoch) {
      EXPECT_EQ(hits_of_epoch(*cache, 100, epoch), fits) << capacity;
    }
    EXPECT_EQ(cache->counters().samples, fits);
    EXPECT_EQ(cache->counters().bytes, fits * kBytes);
    EXPECT_EQ(cache->counters().evictions, 0);
  }
}

TEST(CacheTest, LruHitsAsItsClosedFormSays) {
  constexpr std::int64_t kSamples = 4000;
  for (const double x : {0.2, 0.35, 0.5, 0.65, 0.9}) {
    const auto cache = make_lru_cache(Bytes(x * kSamples * kBytes));
    read_epoch(*cache, kSamples, 0);
    double hits = 0;
    constexpr int kEpochs = 10;
    for (int epoch = 1; epoch <= kEpochs; ++epoch) {
      hits += static_cast<double>(hits_of_epoch(*cache, kSamples, epoch));
      EXPECT_LE(cache->counters().bytes, static_cast<std::int64_t>(x * kSamples * kBytes));
    }
    EXPECT_NEAR(hits / kEpochs / kSamples, x + (1 - x) * std::log(1 - x), 0.01) << x;
  }
}

TEST(CacheTest, LruDropsWhatWasUsedLeastRecently) {
  const auto cache = make_lru_cache(Bytes(3 * kBytes));
  const std::vector<std::uint8_t> bytes(kBytes);
  for (const std::int64_t sample : {1, 2, 3}) cache->offer(sample, bytes);
  EXPECT_TRUE(cache->find(1));
  cache->offer(4, bytes);
  EXPECT_FALSE(cache->find(2));
  EXPECT_TRUE(cache->find(1));
  EXPECT_TRUE(cache->find(3));
  EXPECT_TRUE(cache->find(4));
  EXPECT_EQ(cache->counters().evictions, 1);
  cache->offer(5, std::vector<std::uint8_t>(3 * kBytes + 1));  // larger than the cache
  EXPECT_FALSE(cache->find(5));
  EXPECT_EQ(cache->counters().samples, 3);
}

constexpr std::int64_t kCapacity = 40 * kBytes + 5;

TEST(CacheTest, ManyWorkersNeverExceedTheCapacity) {
  for (const bool lru : {false, true}) {
    const auto cache = lru ? make_lru_cache(Bytes(kCapacity)) : make_minio_cache(Bytes(kCapacity));
    std::vector<std::thread> workers;
    for (int worker = 0; worker < 4; ++worker) {
      workers.emplace_back([&cache, worker] {
        for (int epoch = 0; epoch < 20; ++epoch) {
          read_epoch(*cache, 60, 10 * worker + epoch);
          EXPECT_LE(cache->counters().bytes, kCapacity);
        }
      });
    }
    for (std::thread& worker : workers) worker.join();
    const CacheCounters counters = cache->counters();
    EXPECT_EQ(counters.samples, 40);
    EXPECT_EQ(counters.bytes, 400);
    EXPECT_EQ(counters.hits + counters.misses, 4 * 20 * 60);
  }
}

}  // namespace
}  // namespace penstock::loader
