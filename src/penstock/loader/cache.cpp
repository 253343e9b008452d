#include "penstock/loader/cache.h"

#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace penstock::loader {
namespace {

CachedBytes copy_of(std::span<const std::uint8_t> bytes) {
  return std::make_shared<const std::vector<std::uint8_t>>(bytes.begin(), bytes.end());
}

class MinioCache : public SampleCache {
 public:
  explicit MinioCache(std::int64_t capacity) : capacity_(capacity) {}

  CachedBytes find(std::int64_t sample) override {
    const std::lock_guard lock(mutex_);
    const auto at = held_.find(sample);
    ++(at == held_.end() ? counters_.misses : counters_.hits);
    return at == held_.end() ? nullptr : at->second;
  }

  void offer(std::int64_t sample, std::span<const std::uint8_t> bytes) override {
    const auto size = static_cast<std::int64_t>(bytes.size());
    {
      const std::lock_guard lock(mutex_);
      if (counters_.bytes + size > capacity_ || held_.contains(sample)) return;
      counters_.bytes += size;  // reserved, so that the copy needs no lock
      ++counters_.samples;
    }
    CachedBytes copy = copy_of(bytes);
    const std::lock_guard lock(mutex_);
    if (held_.emplace(sample, std::move(copy)).second) return;
    counters_.bytes -= size;  // another worker has been as fast
    --counters_.samples;
  }

  CacheCounters counters() const override {
    const std::lock_guard lock(mutex_);
    return counters_;
  }

 private:
  const std::int64_t capacity_;
  mutable std::mutex mutex_;
  CacheCounters counters_;
  std::unordered_map<std::int64_t, CachedBytes> held_;
};

class LruCache : public SampleCache {
 public:
  explicit LruCache(std::int64_t capacity) : capacity_(capacity) {}

  CachedBytes find(std::int64_t sample) override {
    const std::lock_guard lock(mutex_);
    const auto at = held_.find(sample);
    ++(at == held_.end() ? counters_.misses : counters_.hits);
    if (at == held_.end()) return nullptr;
    order_.splice(order_.begin(), order_, at->second.place);
    return at->second.bytes;
  }

  void offer(std::int64_t sample, std::span<const std::uint8_t> bytes) override {
    const auto size = static_cast<std::int64_t>(bytes.size());
    if (size > capacity_) return;
    CachedBytes copy = copy_of(bytes);
    const std::lock_guard lock(mutex_);
    if (held_.contains(sample)) return;
    while (counters_.bytes + size > capacity_) {
      const auto oldest = held_.find(order_.back());
      counters_.bytes -= static_cast<std::int64_t>(oldest->second.bytes->size());
      --counters_.samples;
      ++counters_.evictions;
      held_.erase(oldest);
      order_.pop_back();
    }
    order_.push_front(sample);
    held_.emplace(sample, Entry{std::move(copy), order_.begin()});
    counters_.bytes += size;
    ++counters_.samples;
  }

  CacheCounters counters() const override {
    const std::lock_guard lock(mutex_);
    return counters_;
  }

 private:
  struct Entry {
    CachedBytes bytes;
    std::list<std::int64_t>::iterator place;
  };
  const std::int64_t capacity_;
  mutable std::mutex mutex_;
  CacheCounters counters_;
  std::list<std::int64_t> order_;  // last used first
  std::unordered_map<std::int64_t, Entry> held_;
};

}  // namespace

std::unique_ptr<SampleCache> make_minio_cache(Bytes capacity) {
  return std::make_unique<MinioCache>(static_cast<std::int64_t>(capacity.value()));
}
std::unique_ptr<SampleCache> make_lru_cache(Bytes capacity) {
  return std::make_unique<LruCache>(static_cast<std::int64_t>(capacity.value()));
}

}  // namespace penstock::loader
