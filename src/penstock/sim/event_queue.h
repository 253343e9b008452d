// What happens next: events in the order of their time, and of scheduling where times are equal.
//
//   EventQueue<Finish> events;
//   events.schedule(events.now() + duration_of(Seconds(2)), Finish{.job = 3});
//   while (!events.empty()) {
//     const Finish finish = events.pop();   // the clock, events.now(), is at its time
//   }
//
// The event is a plain value of the simulation's own, a variant where there are several kinds; a
// call through a pointer for each would cost more than the heap. The heap has four children a node:
// half the levels of one with two, and the four lie in a line or two of the cache (LaMarca and
// Ladner, The influence of caches on the performance of heaps, 1996). Of many thousand events only
// the soonest are in the heap, so that it stays in the near cache; the others lie unsorted until
// their time comes closer, as in the ladder queue (Tang, Goh and Thng, 2005).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "penstock/core/check.h"
#include "penstock/sim/clock.h"

namespace penstock::sim {

template <typename Event>
class EventQueue {
 public:
  // `at` must not lie in the past.
  void schedule(Time at, Event event) {
    PENSTOCK_CHECK(at.ns >= now_.ns);
    if (at > last_near_) {
      far_.push_back({at, sequence_++, std::move(event)});
      return;
    }
    heap_.push_back({at, sequence_++, std::move(event)});
    rise(heap_.size() - 1);
    if (heap_.size() > most_near_) split_heap();
  }
  // The next event; moves the clock to its time. The queue must not be empty.
  Event pop() {
    Entry entry = take();
    now_ = entry.at;
    return std::move(entry.event);
  }
  // Takes the next event out and leaves the clock alone: for one that something has overtaken.
  Event discard() { return take().event; }
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size() + far_.size(); }
  Time now() const { return now_; }
  // The next event and its time; the queue must not be empty.
  const Event& next() const { return heap_.front().event; }
  Time next_time() const { return heap_.front().at; }

 private:
  struct Entry {
    Time at;
    std::uint64_t sequence;
    Event event;
  };
  Entry take() {
    PENSTOCK_CHECK(!heap_.empty());
    Entry first = std::move(heap_.front());
    Entry last = std::move(heap_.back());
    heap_.pop_back();
    if (!heap_.empty()) {
      fill_front(std::move(last));
    } else if (!far_.empty()) {
      draw_near();
    }
    return first;
  }
  void split_heap() {
    far_.insert(far_.end(), std::make_move_iterator(heap_.begin()),
                std::make_move_iterator(heap_.end()));
    heap_.clear();
    draw_near();
  }
  // From far into the heap: an eighth, so that each event is looked at a dozen times, not more.
  void draw_near() {
    const std::size_t share = std::max(kNear, far_.size() / 8);
    most_near_ = 4 * share;
    last_near_ = kEnd;
    auto end = far_.end();
    if (share < far_.size()) {
      const auto middle = far_.begin() + std::ptrdiff_t(share);
      std::nth_element(far_.begin(), middle, far_.end(), before);
      // Whole moments only; where one moment holds them all, all of that.
      last_near_ = middle->at == far_.front().at ? middle->at : middle->at - Time{1};
      end = std::partition(far_.begin(), far_.end(),
                           [&](const Entry& entry) { return entry.at <= last_near_; });
      most_near_ = std::max(most_near_, 4 * std::size_t(end - far_.begin()));
    }
    for (auto entry = far_.begin(); entry != end; ++entry) {
      heap_.push_back(std::move(*entry));
      rise(heap_.size() - 1);
    }
    far_.erase(far_.begin(), end);
  }
  // Without branches: which of two comes first is a coin's throw to the processor.
  static bool before(const Entry& a, const Entry& b) {
    return (int{a.at < b.at} | (int{a.at == b.at} & int{a.sequence < b.sequence})) != 0;
  }
  void rise(std::size_t hole) {
    Entry entry = std::move(heap_[hole]);
    while (hole > 0) {
      const std::size_t parent = (hole - 1) / kChildren;
      if (!before(entry, heap_[parent])) break;
      heap_[hole] = std::move(heap_[parent]);
      hole = parent;
    }
    heap_[hole] = std::move(entry);
  }
  // The hole at the front sinks to a leaf, and `last`, which came from one, rises from there: it
  // seldom rises far.
  void fill_front(Entry last) {
    const std::size_t size = heap_.size();
    std::size_t hole = 0;
    std::size_t child = 1;
    for (; child + kChildren <= size; child = hole * kChildren + 1) {
      const std::size_t left = child + std::size_t(before(heap_[child + 1], heap_[child]));
      const std::size_t right = child + 2 + std::size_t(before(heap_[child + 3], heap_[child + 2]));
      const std::size_t least = before(heap_[right], heap_[left]) ? right : left;
      heap_[hole] = std::move(heap_[least]);
      hole = least;
    }
    if (child < size) {
      std::size_t least = child;
      for (++child; child < size; ++child) {
        if (before(heap_[child], heap_[least])) least = child;
      }
      heap_[hole] = std::move(heap_[least]);
      hole = least;
    }
    heap_[hole] = std::move(last);
    rise(hole);
  }

  static constexpr std::size_t kChildren = 4;
  static constexpr std::size_t kNear = 4096;  // a tenth of a megabyte, within the second cache
  static constexpr Time kEnd{std::numeric_limits<std::int64_t>::max()};
  std::vector<Entry> heap_;  // all up to last_near_; not empty while anything is
  std::vector<Entry> far_;   // all others, in no order
  Time last_near_ = kEnd;
  std::size_t most_near_ = 4 * kNear;
  std::uint64_t sequence_ = 0;
  Time now_;
};

}  // namespace penstock::sim
