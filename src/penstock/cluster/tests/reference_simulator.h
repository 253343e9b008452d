// The semantics of Tiresias' simulator (rooms/cluster.md, 6.1) in the plainest form: one list,
// whole seconds, everything looked at on every event. Slow, and meant to be read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace penstock::cluster {

struct ReferenceJob {
  std::int64_t submit = 0;  // seconds
  std::int64_t work = 0;
  std::int64_t accelerators = 1;
  // of the replay
  std::int64_t attained = 0;  // seconds
  std::int64_t end = -1;
  std::int64_t first_start = -1;
  std::int64_t preemptions = 0;
  int queue = 0;
  bool running = false;
};

struct ReferenceEvent {
  std::int64_t at = 0;
  std::size_t job = 0;
  char what = ' ';  // 's'tart, 'p'reempt, 'e'nd
  bool operator==(const ReferenceEvent&) const = default;
};

class ReferenceSimulator {
 public:
  // `policy`: "fifo", "srtf", "srsf", "2d-las".
  ReferenceSimulator(std::vector<ReferenceJob> jobs, std::int64_t accelerators, std::string policy,
                     bool late_demotions)
      : jobs_(std::move(jobs)),
        accelerators_(accelerators),
        policy_(std::move(policy)),
        late_(late_demotions) {
    for (std::size_t i = 0; i < jobs_.size(); ++i) arrivals_.push_back(i);
    std::stable_sort(arrivals_.begin(), arrivals_.end(), [&](std::size_t a, std::size_t b) {
      return jobs_[a].submit < jobs_[b].submit;
    });
    rank_.resize(jobs_.size());
    for (std::size_t i = 0; i < arrivals_.size(); ++i) rank_[arrivals_[i]] = i;
  }

  void run() {
    std::size_t next = 0;
    std::size_t ended = 0;
    std::int64_t now = 0;
    while (ended < jobs_.size()) {
      std::int64_t at = kNever;
      if (next < arrivals_.size()) at = jobs_[arrivals_[next]].submit;
      for (const auto& list : lists_) {
        for (const std::size_t i : list) {
          if (jobs_[i].running) at = std::min(at, now + jobs_[i].work - jobs_[i].attained);
        }
      }
      at = std::min(at, jump(now));
      for (auto& list : lists_) {
        for (const std::size_t i : list) {
          if (jobs_[i].running) jobs_[i].attained += at - now;
        }
      }
      now = at;
      for (auto& list : lists_) {
        for (const std::size_t i : list) {
          if (jobs_[i].running && jobs_[i].attained == jobs_[i].work) {
            jobs_[i].running = false;
            jobs_[i].end = now;
            events.push_back({now, i, 'e'});
            ++ended;
          }
        }
        std::erase_if(list, [&](std::size_t i) { return jobs_[i].end >= 0; });
      }
      while (next < arrivals_.size() && jobs_[arrivals_[next]].submit == now) {
        lists_[0].push_back(arrivals_[next++]);
      }
      if (policy_ == "2d-las") demote();
      walk(now);
    }
  }

  const std::vector<ReferenceJob>& jobs() const { return jobs_; }
  std::vector<ReferenceEvent> events;

 private:
  static constexpr std::int64_t kNever = std::int64_t{1} << 60;
  // Late demotions are defined for Tiresias' own limits; whole seconds need limits that every
  // demand divides.
  std::int64_t limit(int queue) const {
    return late_ ? (queue == 0 ? 3250 : 7200) : (queue == 0 ? 3200 : 6400);
  }

  std::int64_t jump(std::int64_t now) const {
    std::int64_t at = kNever;
    if (policy_ != "2d-las") return at;
    for (int q = 0; q < 2; ++q) {
      for (const std::size_t i : lists_[q]) {
        const ReferenceJob& job = jobs_[i];
        if (!job.running) continue;
        if (late_) {
          at = std::min(at, now + (limit(q) - job.attained) / job.accelerators);
        } else {
          const std::int64_t needed = (limit(q) + job.accelerators - 1) / job.accelerators;
          at = std::min(at, now + std::max<std::int64_t>(0, needed - job.attained));
        }
      }
    }
    return at;
  }

  void demote() {
    std::vector<std::size_t> running;
    for (const auto& list : lists_) {
      for (const std::size_t i : list) {
        if (jobs_[i].running) running.push_back(i);
      }
    }
    std::sort(running.begin(), running.end(),
              [&](std::size_t a, std::size_t b) { return rank_[a] < rank_[b]; });
    for (const std::size_t i : running) {
      ReferenceJob& job = jobs_[i];
      const int from = job.queue;
      while (job.queue < 2 && job.attained * job.accelerators >= limit(job.queue)) {
        ++job.queue;
        if (late_) break;
      }
      if (job.queue == from) continue;
      std::erase(lists_[from], i);
      lists_[job.queue].push_back(i);
    }
  }

  void walk(std::int64_t now) {
    const auto key = [&](std::size_t i) {
      const std::int64_t left = jobs_[i].work - jobs_[i].attained;
      return policy_ == "srsf" ? left * jobs_[i].accelerators : left;
    };
    if (policy_ == "srtf" || policy_ == "srsf") {
      std::stable_sort(lists_[0].begin(), lists_[0].end(),
                       [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
    }
    std::int64_t free = accelerators_;
    if (policy_ == "fifo") {
      for (const std::size_t i : lists_[0]) free -= jobs_[i].running ? jobs_[i].accelerators : 0;
      for (const std::size_t i : lists_[0]) {
        if (jobs_[i].running) continue;
        if (jobs_[i].accelerators > free) break;
        free -= jobs_[i].accelerators;
        start(i, now);
      }
      return;
    }
    std::vector<std::size_t> starts;
    for (auto& list : lists_) {
      for (const std::size_t i : list) {
        ReferenceJob& job = jobs_[i];
        if (job.accelerators <= free) {
          free -= job.accelerators;
          if (!job.running) starts.push_back(i);
        } else if (job.running) {
          job.running = false;
          ++job.preemptions;
          events.push_back({now, i, 'p'});
        }
      }
    }
    for (const std::size_t i : starts) start(i, now);
    if (policy_ != "2d-las") return;
    for (auto& list : lists_) {
      std::stable_partition(list.begin(), list.end(),
                            [&](std::size_t i) { return jobs_[i].running; });
    }
  }

  void start(std::size_t i, std::int64_t now) {
    jobs_[i].running = true;
    if (jobs_[i].first_start < 0) jobs_[i].first_start = now;
    events.push_back({now, i, 's'});
  }

  std::vector<ReferenceJob> jobs_;
  std::int64_t accelerators_;
  std::string policy_;
  bool late_;
  std::vector<std::size_t> arrivals_;
  std::vector<std::size_t> rank_;
  std::vector<std::size_t> lists_[3];
};

}  // namespace penstock::cluster
