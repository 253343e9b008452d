#include "penstock/profile/hit_curves.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <list>
#include <memory>
#include <numeric>
#include <vector>

#include "penstock/core/check.h"
#include "penstock/core/nearest.h"
#include "penstock/core/random.h"

namespace penstock::profile {
namespace {

using core::RandomStream;

class Cache {
 public:
  virtual ~Cache() = default;
  virtual bool read(int item) = 0;  // whether it hit
};

class MinioCache : public Cache {
 public:
  MinioCache(int items, int capacity) : cached_(static_cast<std::size_t>(items)), free_(capacity) {}
  bool read(int item) override {
    const auto at = static_cast<std::size_t>(item);
    if (cached_[at]) return true;
    if (free_ > 0) {
      --free_;
      cached_[at] = true;
    }
    return false;
  }

 private:
  std::vector<bool> cached_;
  int free_;
};

// LRU, or FIFO where a hit moves nothing.
class QueueCache : public Cache {
 public:
  QueueCache(int items, int capacity, bool move_on_hit)
      : place_(static_cast<std::size_t>(items), queue_.end()),
        capacity_(static_cast<std::size_t>(capacity)),
        move_on_hit_(move_on_hit) {}
  bool read(int item) override {
    const auto at = static_cast<std::size_t>(item);
    if (place_[at] != queue_.end()) {
      if (move_on_hit_) queue_.splice(queue_.begin(), queue_, place_[at]);
      return true;
    }
    if (capacity_ == 0) return false;
    if (queue_.size() == capacity_) {
      place_[static_cast<std::size_t>(queue_.back())] = queue_.end();
      queue_.pop_back();
    }
    queue_.push_front(item);
    place_[at] = queue_.begin();
    return false;
  }

 private:
  std::list<int> queue_;  // newest first
  std::vector<std::list<int>::iterator> place_;
  std::size_t capacity_;
  bool move_on_hit_;
};

class RandomCache : public Cache {
 public:
  RandomCache(int items, int capacity, std::uint64_t seed)
      : cached_(static_cast<std::size_t>(items)),
        capacity_(static_cast<std::size_t>(capacity)),
        random_(seed, "evict") {}
  bool read(int item) override {
    const auto at = static_cast<std::size_t>(item);
    if (cached_[at]) return true;
    if (capacity_ == 0) return false;
    cached_[at] = true;
    if (held_.size() < capacity_) {
      held_.push_back(item);
      return false;
    }
    int& victim = held_[random_.below(capacity_)];
    cached_[static_cast<std::size_t>(victim)] = false;
    victim = item;
    return false;
  }

 private:
  std::vector<bool> cached_;
  std::vector<int> held_;
  std::size_t capacity_;
  RandomStream random_;
};

// File pages of Linux without the multi-generational LRU. A page enters the inactive list marked as
// referenced; its second read there activates it (mark_page_accessed). Eviction takes the oldest
// inactive page, referenced or not (a clean file page without mappings: folio_check_references),
// and first deactivates from the active list's old end while that list is the longer one
// (inactive_is_low, whose ratio is 1 below 1 GiB; beyond that sqrt(10 GiB), which tests show to
// matter little). A page that comes back before as many pages were evicted and activated as
// the active list holds is activated at once (workingset_refault).
class PageCache : public Cache {
 public:
  PageCache(int items, int capacity)
      : pages_(static_cast<std::size_t>(items)), capacity_(static_cast<std::size_t>(capacity)) {}

  bool read(int item) override {
    Page& page = pages_[static_cast<std::size_t>(item)];
    if (page.list == List::kActive) return true;
    if (page.list == List::kInactive) {
      if (page.referenced) {
        inactive_.erase(page.place);
        activate(item, page);
      } else {
        page.referenced = true;
      }
      return true;
    }
    if (capacity_ == 0) return false;
    if (inactive_.size() + active_.size() == capacity_) evict();
    if (page.evicted_at >= 0 && age_ - page.evicted_at <= static_cast<long>(active_.size())) {
      activate(item, page);
    } else {
      page.referenced = true;
      insert(inactive_, List::kInactive, item, page);
    }
    return false;
  }

 private:
  enum class List { kNone, kInactive, kActive };
  struct Page {
    List list = List::kNone;
    bool referenced = false;
    std::list<int>::iterator place;
    long evicted_at = -1;
  };

  static void insert(std::list<int>& to, List list, int item, Page& page) {
    to.push_front(item);
    page.list = list;
    page.place = to.begin();
  }
  void activate(int item, Page& page) {
    page.referenced = false;
    insert(active_, List::kActive, item, page);
    ++age_;
  }
  void evict() {
    while (inactive_.size() < active_.size()) {
      const int item = active_.back();
      active_.pop_back();
      Page& page = pages_[static_cast<std::size_t>(item)];
      page.referenced = false;
      insert(inactive_, List::kInactive, item, page);
    }
    Page& victim = pages_[static_cast<std::size_t>(inactive_.back())];
    inactive_.pop_back();
    victim.list = List::kNone;
    victim.evicted_at = age_++;
  }

  std::vector<Page> pages_;
  std::size_t capacity_;
  std::list<int> inactive_;  // newest first
  std::list<int> active_;
  long age_ = 0;  // evictions and activations so far
};

std::unique_ptr<Cache> make_cache(CachePolicy policy, int items, int capacity, std::uint64_t seed) {
  switch (policy) {
    case CachePolicy::kMinio:
      return std::make_unique<MinioCache>(items, capacity);
    case CachePolicy::kLru:
      return std::make_unique<QueueCache>(items, capacity, true);
    case CachePolicy::kFifo:
      return std::make_unique<QueueCache>(items, capacity, false);
    case CachePolicy::kRandom:
      return std::make_unique<RandomCache>(items, capacity, seed);
    case CachePolicy::kPageCache:
      return std::make_unique<PageCache>(items, capacity);
    case CachePolicy::kNone:
      break;
  }
  return std::make_unique<MinioCache>(items, 0);
}

constexpr std::array<std::pair<CachePolicy, std::string_view>, 6> kNames = {{
    {CachePolicy::kNone, "none"},
    {CachePolicy::kMinio, "minio"},
    {CachePolicy::kLru, "lru"},
    {CachePolicy::kFifo, "fifo"},
    {CachePolicy::kRandom, "random"},
    {CachePolicy::kPageCache, "page"},
}};

}  // namespace

std::string_view cache_policy_name(CachePolicy policy) {
  return kNames[static_cast<std::size_t>(policy)].second;
}

Result<CachePolicy> cache_policy_from_name(std::string_view name) {
  std::string known;
  for (const auto& [policy, its_name] : kNames) {
    if (its_name == name) return policy;
    known += (known.empty() ? "" : ", ") + std::string(its_name);
  }
  return core::input_error("", "\"" + std::string(name) + "\" is no cache policy",
                           "use one of " + known);
}

double lru_hit_ratio(double fraction) {
  if (fraction <= 0) return 0;
  if (fraction >= 1) return 1;
  return fraction + (1 - fraction) * std::log1p(-fraction);
}

double hit_ratio(CachePolicy policy, double fraction) {
  if (fraction <= 0 || policy == CachePolicy::kNone) return 0;
  if (fraction >= 1) return 1;
  if (policy == CachePolicy::kMinio) return fraction;
  if (policy == CachePolicy::kLru) return lru_hit_ratio(fraction);
  const HitSimulation simulation;
  return simulated_hit_ratio(policy, static_cast<int>(std::lround(fraction * simulation.items)),
                             simulation);
}

// An item at place a of an epoch, b of the one before, hits where (1-a)(1-b) > 1-x: with a chance
// of 1 - (1-x)/(1-a), up to a = x. (Our derivation; its integral is lru_hit_ratio.)
std::vector<double> hit_profile(CachePolicy policy, double fraction, int places) {
  PENSTOCK_CHECK(places > 0);
  const auto count = static_cast<std::size_t>(places);
  if (policy == CachePolicy::kLru && fraction > 0 && fraction < 1) {
    const auto hits_up_to = [&](double a) { return a + (1 - fraction) * std::log1p(-a); };
    std::vector<double> hits(count);
    for (std::size_t i = 0; i < count; ++i) {
      const double from = std::min(fraction, static_cast<double>(i) / places);
      const double to = std::min(fraction, static_cast<double>(i + 1) / places);
      hits[i] = places * (hits_up_to(to) - hits_up_to(from));
    }
    return hits;
  }
  if (fraction <= 0 || fraction >= 1 || policy == CachePolicy::kMinio ||
      policy == CachePolicy::kNone) {
    return std::vector<double>(count, hit_ratio(policy, fraction));
  }
  const HitSimulation simulation;
  return simulated_hit_profile(policy, static_cast<int>(std::lround(fraction * simulation.items)),
                               places, simulation);
}

double simulated_hit_ratio(CachePolicy policy, int cached_items, const HitSimulation& simulation) {
  return simulated_hit_profile(policy, cached_items, 1, simulation).front();
}

std::vector<double> simulated_hit_profile(CachePolicy policy, int cached_items, int places,
                                          const HitSimulation& simulation) {
  PENSTOCK_CHECK(simulation.epochs > simulation.warmup_epochs);
  PENSTOCK_CHECK(cached_items >= 0);
  PENSTOCK_CHECK(places > 0);
  PENSTOCK_CHECK(simulation.items >= places);
  RandomStream random(simulation.seed, "permutations");
  const auto cache = make_cache(policy, simulation.items, cached_items, simulation.seed);
  std::vector<int> order(static_cast<std::size_t>(simulation.items));
  std::iota(order.begin(), order.end(), 0);
  std::vector<double> hits(static_cast<std::size_t>(places));
  std::vector<double> reads(hits.size());
  for (int epoch = 0; epoch < simulation.epochs; ++epoch) {
    for (std::size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1], order[random.below(i)]);
    }
    for (std::size_t i = 0; i < order.size(); ++i) {
      const bool hit = cache->read(order[i]);
      if (epoch < simulation.warmup_epochs) continue;
      const std::size_t place = i * hits.size() / order.size();
      reads[place] += 1;
      if (hit) hits[place] += 1;
    }
  }
  for (std::size_t i = 0; i < hits.size(); ++i) hits[i] /= reads[i];
  return hits;
}

}  // namespace penstock::profile
